"""Fixes as text: several changes as one, lines that move, names that are told apart."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tapemagic import edges, in_tensorflow, moving, origins, remedies, smoothing
from tapemagic.diagnosis import Diagnosis
from tapemagic.drafting import Step, in_turn
from tapemagic.programs import program
from tapemagic.rewriting import Fix, Source, held

FILE = "<a cell of the tests>"


@pytest.fixture
def cell() -> Iterator[Callable[[str], str]]:
    """Makes a cell whose lines can be looked up."""

    def make(text: str, name: str = FILE) -> str:
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        return name

    yield make
    linecache.cache.pop(FILE, None)


def applied(file: str, fix: Fix | None) -> str:
    assert fix is not None
    diagnosis = Diagnosis("", 1, "", "", fix.code, fix.first, fix.last)
    return diagnosis.applied("".join(linecache.getlines(file)))


OUTSIDE = """\
x = tf.constant(2.0)
y = np.exp(x)
z = tf.stop_gradient(y) * 2.0
with tf.GradientTape() as tape:
    tape.watch(x)
    w = z + 1.0
"""


def test_steps_find_the_lines_that_others_moved(cell: Callable[[str], str]) -> None:
    file = cell(OUTSIDE)
    steps = [
        Step((3, 4), moving.moved_into),
        Step((2, 4), moving.moved_into),
        Step((2, 3), in_tensorflow.rewritten),
        Step((3,), remedies.without_stop),
    ]
    assert applied(file, in_turn(file, steps)) == (
        "x = tf.constant(2.0)\n"
        "with tf.GradientTape() as tape:\n"
        "    tape.watch(x)\n"
        "    y = tf.exp(x)\n"
        "    z = y * 2.0\n"
        "    w = z + 1.0\n"
    )
    assert not any("draft" in name for name in linecache.cache)


def test_half_a_fix_is_none(cell: Callable[[str], str]) -> None:
    file = cell("a = 1\nb = tf.round(a)\nc = np.median(b)\n")
    rounded = Step((2,), smoothing.smooth)
    assert in_turn(file, [rounded]) is not None
    assert in_turn(file, [rounded, Step((3, 3), in_tensorflow.rewritten)]) is None


def test_a_fix_is_made_of_whole_statements(cell: Callable[[str], str]) -> None:
    file = cell("a = tf.add(\n    tf.stop_gradient(x),\n    y,\n)\nb = a\n")
    fix = in_turn(file, [Step((1,), remedies.without_stop)])
    assert fix is not None
    assert (fix.first, fix.last) == (1, 4)
    assert fix.code == "a = tf.add(\n    x,\n    y,\n)"


def test_a_line_between_keeps_what_it_needs(cell: Callable[[str], str]) -> None:
    """Moved into the block, `y` would be missing where it is printed."""
    file = cell("y = w * 2\nprint(y)\nwith tf.GradientTape() as tape:\n    z = y\n")
    assert in_turn(file, [Step((1, 3), moving.moved_into)]) is None


def test_an_array_that_is_filled_becomes_a_list(cell: Callable[[str], str]) -> None:
    file = cell("a = np.zeros(3)\nfor i in range(3):\n    a[i] = f(i)\ns = tf.constant(a) + 1\n")
    assert applied(file, in_turn(file, [Step((3, 4), in_tensorflow.rewritten)])) == (
        "a = []\nfor i in range(3):\n    a.append(f(i))\ns = tf.stack(a) + 1\n"
    )


def test_statements_on_one_line(cell: Callable[[str], str]) -> None:
    file = cell("a = np.sin(x); b = np.cos(x)\nw = w - g; print(w)\n")
    assert applied(file, in_turn(file, [Step((1, 1), in_tensorflow.rewritten)])) == (
        "a = tf.sin(x); b = tf.cos(x)\nw = w - g; print(w)\n"
    )
    assigned = partial(remedies.assign, name="w")
    assert applied(file, in_turn(file, [Step((2,), assigned)])) == (
        "a = np.sin(x); b = np.cos(x)\nw.assign(w - g); print(w)\n"
    )


def test_what_stands_beside_on_the_line_stays(cell: Callable[[str], str]) -> None:
    file = cell(
        "a = tf.constant(1.); b = tf.constant(2.)\nfor k in range(2): v.assign(\n  k); n = 1\n"
    )
    named = partial(remedies.variable, name="b")
    bound = Step((2,), remedies.plain_binding)
    assert applied(file, in_turn(file, [Step((1,), named), bound])) == (
        "a = tf.constant(1.); b = tf.Variable(2.)\nfor k in range(2): v = k; n = 1\n"
    )


def test_two_steps_on_one_line_are_not_half_mended(cell: Callable[[str], str]) -> None:
    file = cell("w = w - g; b = b - h\n")
    assert in_turn(file, [Step((1,), partial(remedies.assign, name="w"))]) is None


def test_what_a_stopped_tape_computed_stays(cell: Callable[[str], str]) -> None:
    file = cell("with t.stop_recording(): y = f(\n    x)\n")
    assert applied(file, in_turn(file, [Step((1,), moving.without_line)])) == "y = f(\n    x)\n"
    file = cell("u = 2 * x; t.reset(); y = u\n", "<another cell>")
    fix = in_turn(file, [Step((1,), moving.without_line)])
    assert applied(file, fix) == "u = 2 * x; pass; y = u\n"


@pytest.mark.parametrize(
    "line, wanted",
    [
        ("y = np.hypot(x, a + 1)", "y = tf.sqrt(x**2 + (a + 1)**2)"),
        ("y = np.concatenate([x, x])", "y = tf.concat([x, x], 0)"),
        ("y = np.round(x - a, 2)", "y = (tf.round((x - a) * 10.0**2) / 10.0**2)"),
        ("y = np.clip(x, None, 2.)", "y = tf.experimental.numpy.clip(x, None, 2.)"),
        ("y = np.linalg.solve(x, [1., 2.])", "y = tf.tensordot(tf.linalg.inv(x), [1., 2.], 1)"),
    ],
)
def test_tensorflow_s_arguments(cell: Callable[[str], str], line: str, wanted: str) -> None:
    file = cell(f"{line}\n")
    assert applied(file, in_turn(file, [Step((1, 1), in_tensorflow.rewritten)])) == f"{wanted}\n"


def test_what_tensorflow_cannot_say_is_not_said(cell: Callable[[str], str]) -> None:
    file = cell("y = np.std(x, ddof=1)\n")
    assert in_turn(file, [Step((1, 1), in_tensorflow.rewritten)]) is None


def test_stand_ins_keep_their_operands_together(cell: Callable[[str], str]) -> None:
    file = cell("y = tf.round(a if c else b)\nz = tf.nn.relu(a) + tf.tanh(b - a)\n")
    steps = [Step((1,), smoothing.smooth), Step((2,), partial(smoothing.less_flat, kind="Tanh"))]
    assert applied(file, in_turn(file, steps)) == (
        "y = ((a if c else b) + tf.stop_gradient(tf.round(a if c else b) - (a if c else b)))\n"
        "z = tf.nn.relu(a) + (tf.tanh(b - a) + 0.01 * (b - a))\n"
    )


def test_constants_stay_numpy_s(cell: Callable[[str], str]) -> None:
    file = cell("y = np.exp(x) / np.sqrt(2 * np.pi)\n")
    assert applied(file, in_turn(file, [Step((1, 1), in_tensorflow.rewritten)])) == (
        "y = tf.exp(x) / np.sqrt(2 * np.pi)\n"
    )


def test_a_helper_s_names_are_its_own(cell: Callable[[str], str]) -> None:
    file = cell("def f(x):\n    y = np.mean(x)\n    return y\n\n\nz = f(w)\nu = y\n")
    whole = program(file)
    inner, call, other = whole.at(file, 2), whole.at(file, 6), whole.at(file, 7)
    assert inner is not None
    assert call is not None
    assert other is not None
    reached = whole.reached(inner.writes)
    assert call.reads & reached
    assert not other.reads & reached
    assert "w" in whole.stand_for(inner.calls)


def test_what_names_stand_for(cell: Callable[[str], str]) -> None:
    import math

    import numpy

    class Stubborn:
        def __getattr__(self, name: str) -> object:
            raise ValueError("locked")

    file = cell("a = power(x) + onp.sin(x) + cosine(x) + stubborn\n")
    names = {"onp": numpy, "power": numpy.exp, "cosine": math.cos, "stubborn": Stubborn(), "x": 1}
    origins.remember(file, names, lambda code: True)
    known = origins.of(file)
    assert known.modules == {"onp"}
    assert known.functions == {"power": "exp", "cosine": "cos"}
    assert origins.of(origins.draft(file, 1)) is known
    fixed = applied(file, in_turn(file, [Step((1, 1), in_tensorflow.rewritten)]))
    assert fixed == "a = tf.exp(x) + tf.sin(x) + tf.cos(x) + stubborn\n"


def test_operands_hold_together(cell: Callable[[str], str]) -> None:
    """Exchanged as operands, sums keep their parentheses; arguments by place are kept."""
    file = cell(
        "y = (x - m) / s\nz = (x + 1) // 2\nw = (u - v) / 2 + tf.sqrt(u)\n"
        "t = tf.math.reduce_std(x, -1)\n"
    )
    nowhere = partial(edges.safe, nowhere=True)
    assert applied(file, in_turn(file, [Step((1,), nowhere)])).startswith(
        "y = (x - m) / (s + 1e-12)"
    )
    assert "z = ((x + 1) / 2)\n" in applied(file, in_turn(file, [Step((2,), smoothing.smooth)]))
    fixed = applied(file, in_turn(file, [Step((3,), edges.safe)]))
    assert "w = (u - v) / 2 + tf.sqrt(u + 1e-12)\n" in fixed
    fixed = applied(file, in_turn(file, [Step((4,), edges.safe)]))
    assert "reduce_variance(x, -1)" in fixed
    assert [held(text) for text in ("f(a) + f(b)", "(a + b)", "a.b", "-f(a)")] == [
        "(f(a) + f(b))",
        "(a + b)",
        "a.b",
        "(-f(a))",
    ]


def test_source_lines(cell: Callable[[str], str]) -> None:
    source = Source(cell("with a as b:\n    pass\n"))
    node = source.statement(1)
    assert node is not None
    assert source.span(node) == (1, 1)
