"""The tidying algebra: it never changes a value, and it writes as a person does."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tapemagic.formula import (
    ONE,
    ZERO,
    Constant,
    Formula,
    Name,
    Negative,
    Number,
    Power,
    Product,
    Quotient,
    Sum,
    Symbol,
    call,
    number,
    plus,
    power,
    replace,
    symbols,
    tidied,
    times,
)
from tapemagic.numeric import evaluate

pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

x, y, z = (Symbol(Name(text)) for text in "xyz")
# Positive values: roots and powers are then defined for all formulas below.
POINT = {x: 1.7, y: 0.6, z: 2.3}

_exponents = st.sampled_from(
    [*map(number, (-2, -1, 0, 1, 2, 3, Fraction(1, 2), 0.5)), x, Negative(y)]
)
_leaves = st.one_of(
    st.sampled_from([x, y, z, Constant("pi"), call("sin", x), call("exp", Negative(y))]),
    st.integers(-4, 9).map(number),
    st.sampled_from([0.5, -0.1, 2.25]).map(number),
    st.sampled_from([Fraction(1, 3), Fraction(-7, 2)]).map(number),
)
formulas = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: Sum(tuple(parts))),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: Product(tuple(parts))),
        inner.map(Negative),
        st.tuples(inner, inner).map(lambda pair: Quotient(*pair)),
        st.tuples(inner, _exponents).map(lambda pair: Power(*pair)),
    ),
    max_leaves=8,
)


def _value(node: Formula) -> float:
    return float(evaluate(node, POINT))


def _assume_regular(*nodes: Formula) -> None:
    """No poles, no roots of negative numbers, no cancellation anywhere in the formulas."""
    pending = list(nodes)
    while pending:
        node = pending.pop()
        value = _value(node)
        assume(math.isfinite(value) and abs(value) < 1e12)
        if isinstance(node, Quotient):
            assume(abs(_value(node.denominator)) > 1e-3)
        if isinstance(node, Power):
            assume(_value(node.base) > 1e-3)
        pending += node.children


def _same(mine: Formula, truth: float, *parts: Formula) -> bool:
    scale = max([1.0, *(abs(_value(part)) for node in parts for part in (node, *node.children))])
    return math.isclose(_value(mine), truth, rel_tol=1e-8, abs_tol=1e-8 * scale)


@given(formulas)
def test_tidying_keeps_the_value(node: Formula) -> None:
    _assume_regular(node)
    assert _same(tidied(node), _value(node), node)


@given(formulas, formulas)
def test_operators_keep_the_value(a: Formula, b: Formula) -> None:
    _assume_regular(a, b)
    one, other = _value(a), _value(b)
    assert _same(plus(a, b), one + other, a, b)
    assert _same(a - b, one - other, a, b)
    assert _same(times(a, b), one * other, a, b)
    if abs(other) > 1e-3:
        assert _same(a / b, one / other, a, b)


@given(formulas, st.integers(-3, 4))
def test_powers_keep_the_value(base: Formula, exponent: int) -> None:
    _assume_regular(base)
    assume(0.01 < abs(_value(base)) < 1e3)
    assert _same(power(base, exponent), _value(base) ** exponent, base)


@given(formulas)
def test_tidying_is_done_once(node: Formula) -> None:
    _assume_regular(node)
    once = tidied(node)
    assert _same(tidied(once), _value(once), node)


@given(formulas)
def test_replacing_a_symbol_is_evaluating_elsewhere(node: Formula) -> None:
    _assume_regular(node)
    moved = evaluate(replace(node, {x: number(2)}), POINT)
    assert np.allclose(moved, evaluate(node, {**POINT, x: 2.0}), equal_nan=True)


@pytest.mark.parametrize(
    "mine, written",
    [
        (x * y + y * x, Product((number(2), x, y))),
        (x * x * x, Power(x, number(3))),
        (x - x, ZERO),
        (x / x, ONE),
        (1 / x, Quotient(ONE, x)),
        (x**-1, Quotient(ONE, x)),
        ((x + 1) ** -1, Quotient(ONE, Sum((x, ONE)))),
        (power(x, Negative(number(2))), Quotient(ONE, Power(x, number(2)))),
        (power(x, number(-1) - 1), Quotient(ONE, Power(x, number(2)))),
        (x * number(0.1) / 3, Quotient(x, number(30))),
        (number(0.1) * x, Product((number(0.1), x))),
        (3 * power(2, Fraction(1, 2)) * power(2, Fraction(1, 2)), number(6)),
        (power(x * y, Fraction(1, 2)) * power(x * y, Fraction(1, 2)), Product((x, y))),
        (x * power(x, y - 1), Power(x, y)),
        (power(x, 40) * power(x, 40), Power(x, number(80))),
        (times(2, x, Fraction(1, 3)), Quotient(Product((number(2), x)), number(3))),
        (times(-1, -x), x),
        (x - (y + x), Negative(y)),
        (power(number(0), 0), ONE),
    ],
)
def test_written_as_a_person_does(mine: Formula, written: Formula) -> None:
    assert mine == written


def test_numbers() -> None:
    assert number(np.float64(0.1)) == Number(Fraction(1, 10))
    assert number(math.inf) == Constant("inf")
    assert number(-math.inf) == Negative(Constant("inf"))
    assert number(math.nan) == Constant("nan")
    assert number(0.25).decimal  # type: ignore[attr-defined]


def test_huge_powers_stay_powers() -> None:
    huge = times(power(number(1e300), 9), x)
    assert huge.size < 10
    assert evaluate(huge, POINT) == math.inf


def _doubled(times_over: int) -> Formula:
    node: Formula = x
    for _ in range(times_over):
        node = Sum((node, Product((node, y))))
    return node


def test_shared_parts_are_looked_at_once() -> None:
    # As trees these have 2²⁰⁰ nodes.
    one, other = _doubled(200), _doubled(200)
    assert one == other
    assert np.isfinite(evaluate(one, {x: 1.0, y: 0.0}))
    assert replace(one, {x: z}).free == {z, y}


def test_deep_formulas() -> None:
    node: Formula = x
    for _ in range(5000):
        node = call("sin", node)
    assert np.isfinite(evaluate(node, POINT))
    assert replace(node, {x: z}).free == {z}
    assert symbols([tidied(node), y]) == {x, y}
