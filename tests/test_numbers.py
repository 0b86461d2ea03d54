"""Constants are recognised exactly or not at all; shown digits are within rounding."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapemagic.formula import Call, Constant, Formula, Negative, Number, Product, Quotient, number
from tapemagic.numbers import exactly, in_dtype, recognise, shortest, written

DTYPES = ["float64", "float32", "float16", "bfloat16"]
PI = Constant("pi")


def value_of(node: Formula) -> float:
    match node:
        case Number(value=value):
            return float(value)
        case Constant(text=text):
            return {"pi": math.pi, "e": math.e, "inf": math.inf}[text]
        case Call(arguments=(argument,)):
            return math.sqrt(value_of(argument))
        case Negative(operand=operand):
            return -value_of(operand)
        case Product(factors=factors):
            return math.prod(map(value_of, factors))
        case Quotient(numerator=above, denominator=below):
            return value_of(above) / value_of(below)
    raise AssertionError(node)


@pytest.mark.parametrize("dtype", DTYPES)
@given(st.floats(allow_nan=False))
def test_recognised_constants_are_the_same_number(dtype: str, value: float) -> None:
    value = in_dtype(value, dtype)
    assert in_dtype(value_of(recognise(value, dtype)), dtype) == value


@given(st.integers(1, 24), st.integers(1, 24), st.sampled_from(["float64", "float32"]))
def test_fractions_are_recognised(above: int, below: int, dtype: str) -> None:
    value = in_dtype(above / below, dtype)
    found = recognise(value, dtype)
    terminating = exactly(Fraction(above, below)) is not None
    assert isinstance(found, Number)
    digits = len(shortest(value, dtype).normalize().as_tuple().digits)
    if not terminating and digits < {"float64": 15, "float32": 7}[dtype]:
        # 2/21 in float32 is 0.0952381, which somebody may have typed.
        assert found.decimal and found.value == Fraction(shortest(value, dtype))
        return
    assert found == Number(Fraction(above, below))
    assert found.decimal == (terminating and above % below != 0)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("value", "formula"),
    [
        (math.pi, PI),
        (2 * math.pi, Product((number(2), PI))),
        (math.pi / 2, Quotient(PI, number(2))),
        (math.pi / 180, Quotient(PI, number(180))),
        (-math.pi, Negative(PI)),
        (math.e, Constant("e")),
        (math.sqrt(2), Call("sqrt", (number(2),))),
        (math.sqrt(3), Call("sqrt", (number(3),))),
        (1 / math.pi, Quotient(number(1), PI)),
        (0.1, Number(Fraction(1, 10), True)),
        (3.14, Number(Fraction(314, 100), True)),
        (3.0, number(3)),
        (-0.0, number(0)),
        (1e30, number(10**30)),
        (math.inf, Constant("inf")),
        (-math.inf, Negative(Constant("inf"))),
    ],
)
def test_known_constants(value: float, formula: Formula, dtype: str) -> None:
    assert recognise(in_dtype(value, dtype), dtype) == formula


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@given(st.floats(0.01, 100))
def test_few_digits_stay_decimal(dtype: str, value: float) -> None:
    assert isinstance(recognise(in_dtype(value, dtype), dtype), Number)


def test_nan_is_a_constant() -> None:
    assert recognise(math.nan) == Constant("nan")


@pytest.mark.parametrize("dtype", DTYPES)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_what_is_shown_is_within_rounding(dtype: str, value: float) -> None:
    value = in_dtype(value, dtype)
    if math.isinf(value):
        return
    shown = written(value, dtype)
    exponent = shown.exponent
    read = Fraction(shown.mantissa) * Fraction(10) ** exponent * (-1 if shown.negative else 1)
    if shown.exact:
        assert in_dtype(float(read), dtype) == value
    else:
        slack = Fraction(1, 10**5) if dtype in ("float16", "bfloat16") else Fraction(6, 10**6)
        assert abs(read - Fraction(value)) <= slack * abs(Fraction(value))
    assert len(shown.mantissa) <= 13


@pytest.mark.parametrize(
    ("value", "dtype", "text", "exact"),
    [
        (108.0, "float32", "108", True),
        (np.float32(0.1).item(), "float32", "0.1", True),
        (np.float32(1 / 3).item(), "float32", "0.333333", False),
        (np.float32(1.2e-7).item(), "float32", "1.2·10⁻⁷", True),
        (296352.0, "float32", "296352", True),
        (1e30, "float64", "10³⁰", True),
        (1234567.8, "float64", "1.23457·10⁶", False),
        (-0.0, "float64", "−0", True),
        (math.inf, "float32", "∞", True),
        (-math.inf, "float32", "−∞", True),
        (math.nan, "float32", "nan", True),
        (2.0, "int32", "2", True),
        (1e9, "float32", "10⁹", True),
        (2_000_000.0, "float64", "2·10⁶", True),
        (3 + 2j, "complex64", "3 + 2i", True),
        (3 - 0.5j, "complex128", "3 − 0.5i", True),
    ],
)
def test_written(value: complex, dtype: str, text: str, exact: bool) -> None:
    shown = written(value, dtype)
    assert (str(shown), shown.exact) == (text, exact)


@given(st.fractions())
def test_exact_numbers_are_exact_when_they_say_so(value: Fraction) -> None:
    shown = exactly(value)
    if shown and shown.exact:
        sign = -1 if shown.negative else 1
        assert sign * Fraction(shown.mantissa) * Fraction(10) ** shown.exponent == value
