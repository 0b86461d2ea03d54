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
