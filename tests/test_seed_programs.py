"""The programs that the project was asked for, each as a `%%grad` cell without a tape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

SETUP = "%load_ext tapemagic\nimport tensorflow as tf"
ONCE = "A non-persistent GradientTape can only be used to compute one set of gradients"
S3 = "y = 2*x**3 + 5*x**2 + 3*x"

Cell = Callable[[str], Any]


@pytest.fixture
def shell(new_shell: Callable[[], Any]) -> Any:
    """A shell in which the extension is loaded and TensorFlow has its usual name."""
    made = new_shell()
    assert made.run_cell(SETUP).success
    return made


@pytest.fixture
def cell(shell: Any) -> Cell:
    """Run a cell that must succeed; its value."""

    def run(text: str) -> Any:
        done = shell.run_cell(text)
        done.raise_error()
        return done.result

    return run


@dataclass(frozen=True)
class Program:
    """A cell; what it must return by key, and the lines that its derivation must hold."""

    cell: str
    values: dict[str, Any]
    lines: tuple[str, ...] = field(default=())


PROGRAMS = {
    "S1": Program(
        "%%grad x\nx = tf.ones((2, 3))\ny = tf.reduce_sum(x)\nz = y**2",
        {"dz/dx": np.full((2, 3), 12.0)},
        ("y = Σ x = x₁₁ + x₁₂ + x₁₃ + x₂₁ + x₂₂ + x₂₃", "∂z/∂x = ∂z/∂y · ∂y/∂x"),
    ),
    "S2": Program(
        "%%grad x\nx = tf.ones((2, 2))\ny = tf.reduce_sum(x)\nz = y**2",
        {"dz/dx": np.full((2, 2), 8.0)},
        (
            "y = Σ x = x₁₁ + x₁₂ + x₂₁ + x₂₂ = 1 + 1 + 1 + 1 = 4 (1) line 3",
            "z = y² = 4² = 16 (2) line 4",
            "chain rule ∂z/∂x = ∂z/∂y · ∂y/∂x",
            "from (2) ∂z/∂y = 2y = 2 · 4 = 8",
            "from (1) ∂y/∂x = ⎡1 1⎤",
            "∂z/∂x = 8 × ⎡1 1⎤ = ⎡8 8⎤",
        ),
    ),
    "S3": Program(
        f"%%grad x\nx = tf.constant(2.0)\n{S3}",
        {"dy/dx": 47.0},
        ("dy/dx = 6x² + 10x + 3 = 6 · 2² + 10 · 2 + 3 = 47",),
    ),
    "S4": Program(
        f"%%grad x -n 2\nx = tf.Variable(2.0)\n{S3}",
        {"dy/dx": 47.0, "d2y/dx2": 34.0},
        ("dy/dx = 6x² + 10x + 3", "d²y/dx² = d/dx (6x² + 10x + 3) = 12x + 10 = 12 · 2 + 10 = 34"),
    ),
    "S4, no WRT": Program(
        f"%%grad -n 2\nx = tf.Variable(2.0)\n{S3}", {"dy/dx": 47.0, "d2y/dx2": 34.0}
    ),
    "S7": Program(
        "%%grad w\nw = tf.Variable([1.0])\nloss = w * w", {"dloss/dw": np.array([2.0])}, ("2w₁",)
    ),
    "S8": Program("%%grad w\nw = tf.constant(1.0)\nloss = w * w", {"dloss/dw": 2.0}, ("2w",)),
    "S9": Program(
        "%%grad x -n 2\nx = tf.Variable(1.0)\ny = x*x*x",
        {"dy/dx": 3.0, "d2y/dx2": 6.0},
        ("dy/dx = 3x² = 3 · 1² = 3", "d²y/dx² = d/dx (3x²) = 6x = 6 · 1 = 6"),
    ),
    "S10": Program(
        "%%grad x\nx = tf.constant(3.0)\ny = x**2\nz = y**2",
        {"dz/dx": 108.0},
        (
            "y = x² = 3² = 9 (1) line 3",
            "z = y² = 9² = 81 (2) line 4",
            "chain rule dz/dx = dz/dy · dy/dx",
            "from (2) dz/dy = 2y = 2 · 3² = 18",
            "from (1) dy/dx = 2x = 2 · 3 = 6",
            "dz/dx = 18 × 6 = 108",
            "by substitution dz/dx = d/dx x⁴ = 4x³ = 4 · 3³ = 108",
        ),
    ),
    "S12": Program(
        "%%grad x -n 2\nx = tf.Variable(1.0)\ny = x**3",
        {"dy/dx": 3.0, "d2y/dx2": 6.0},
        ("dy/dx = 3x²", "= 6x ="),
    ),
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_values(cell: Cell, shell: Any, program: Program) -> None:
    result = cell(program.cell)
    assert list(result) == list(program.values)
    for key, value in program.values.items():
        derivative = result[key]
        found = derivative.value.numpy()
        assert found.shape == np.shape(value)
        np.testing.assert_array_equal(found, value)
        assert derivative.check.agrees is True
        np.testing.assert_allclose(derivative.evaluate(), value, rtol=1e-6)
        assert shell.user_ns[key.replace("/", "_")] is derivative.value


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_derivation(cell: Cell, program: Program) -> None:
    shown = " ".join(repr(cell(program.cell)).split())
    for line in program.lines:
        assert line in shown
    assert "✓ checked" in shown


def test_s5_the_magic_asks_a_tape_that_answers_once(cell: Cell, shell: Any) -> None:
    cell(f"%%grad x\nx = tf.constant(2.0)\n{S3}")
    assert isinstance(shell.run_cell("%grad x").error_in_exec, Exception)
    assert isinstance(shell.run_cell("%grad x").error_in_exec, Exception)


def test_s5_the_error_is_tensorflow_s_and_explained(
    shell: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    body = "x = tf.constant(2.0)\ny = x**2\na = t.gradient(y, x)\nb = t.gradient(y, x)"
    error = shell.run_cell(f"%%grad x --tape t\n{body}").error_in_exec
    assert isinstance(error, RuntimeError)
    assert str(error).startswith(ONCE)
    assert shell.user_ns["a"].numpy() == 4.0
    assert "b" not in shell.user_ns
    assert "-p" in capsys.readouterr().out  # what to write instead


def test_s6_and_s11_a_persistent_tape_asked_twice(cell: Cell, shell: Any) -> None:
    result = cell(f"%%grad x -p --of y\nx = tf.constant(2.0)\n{S3}\nz = y*y*y*y")
    assert result["dy/dx"].value.numpy() == 47.0
    again = cell("%grad y --of z")
    assert again["dz/dy"].value.numpy() == 296352.0
    assert again["dz/dy"].check.agrees is True
    assert "dz/dy = 4y³ = 4 · 42³ = 296352" in repr(again)
    assert shell.user_ns["dz_dy"].numpy() == 296352.0

    cell("%%grad x -p\nx = tf.constant(3.0)\ny = x**2\nz = y**2")
    assert shell.user_ns["dz_dx"].numpy() == 108.0
    cell("%grad x --of y")
    assert shell.user_ns["dy_dx"].numpy() == 6.0
    cell("del tape")
    assert "tape" not in shell.user_ns


# -- the same programs with the tape that the articles print: `%%grad` alone on top ---------------

TAPES = {
    "S1": (12.0, ("= 36 (2)", "∂z/∂x = ∂z/∂y · ∂y/∂x", "from (2) ∂z/∂y = 2y = 2")),
    "S2": (8.0, ("y = Σ x", "∂z/∂x = ∂z/∂y · ∂y/∂x", "∂z/∂x = 8 × ⎡1 1⎤ = ⎡8 8⎤")),
    "S3": (47.0, ("dy/dx = 6x² + 10x + 3 = 6 · 2² + 10 · 2 + 3 = 47",)),
    "S4": (34.0, ("dy/dx = 6x² + 10x + 3", "d²y/dx²", "= 34")),
    "S6": (296352.0, ("dy/dx = 6x² + 10x + 3", "dz/dy = 4y³ = 4 · ", "= 296352")),
    "S7": (2.0, ("2w₁",)),
    "S8": (2.0, ("2w",)),
    "S9": (6.0, ("dy/dx = 3x² = 3 · 1² = 3", "6x = 6 · 1 = 6")),
    "S10": (108.0, ("chain rule dz/dx = dz/dy · dy/dx", "by substitution dz/dx = d/dx x⁴ = 4x³")),
    "S11": (6.0, ("dz/dx = 18 × 6 = 108", "dy/dx = 2x = 2 · 3 = 6")),
    "S13": (None, ("dy/dx = 3x²", "this ran after the block of the tape")),
    "S14": (None, ("dy/dx = 3x²", "persistent or not")),
}


@pytest.mark.parametrize("name", TAPES)
def test_with_a_tape_of_its_own(cell: Cell, name: str) -> None:
    from tape_cells import SEEDS

    last, lines = TAPES[name]
    result = cell(SEEDS[name].cell)
    value = result.calls[-1].derivatives[-1].value
    assert value is None if last is None else bool(np.all(value.numpy() == last))
    shown = " ".join(repr(result).split())
    for line in lines:
        assert line in shown


def test_s12_in_every_position(cell: Cell) -> None:
    from tape_cells import SEEDS

    programs = [program for key, program in SEEDS.items() if key.startswith("S12")]
    assert len(programs) == 5
    for program in programs:
        result = cell(program.cell)
        assert [float(d.value) for c in result.calls for d in c.derivatives] == [3.0, 6.0]
        assert list(result) == ["dy/dx", "d2y/dx2"]
        assert all(d.check.agrees for d in result.values())
