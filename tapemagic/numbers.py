"""Numbers as people write them: constants of the user's code, and measured values.

A dtype decides which digits mean anything: float32 0.1 is 0.1, not 0.10000000149. So the
shortest decimal that the dtype reads back as the same number is where everything starts.
"""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np

from tapemagic.formula import (
    Call,
    Constant,
    Formula,
    Negative,
    Number,
    Product,
    Quotient,
)

# Significant digits after which a shortest decimal looks computed, not typed in. The small
# floats have none: so few digits make chance hits on fractions and on π.
_FULL_DIGITS = {"float32": 7, "complex64": 7, "float64": 15, "complex128": 15}
_SHOWN = 6  # significant digits of a measured value
_READ = 10**9  # the denominator of a fraction that nobody reads
_ROUND = 6  # zeros after a digit that nobody counts
_EXACT = 10  # an exact number is shown in full up to so many digits
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_MULTIPLES = range(1, 13)
_PARTS = (1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 180, 360)


@dataclass(frozen=True)
class Written:
    """Digits to print: ±mantissa · 10^exponent, which is the value itself only if `exact`.

    `mantissa` is unsigned: digits with an optional point, "∞" or "nan". A complex value has
    its imaginary part in `imaginary`.
    """

    mantissa: str
    exponent: int = 0
    negative: bool = False
    exact: bool = True
    imaginary: Written | None = None

    @property
    def finite(self) -> bool:
        """Whether there are digits."""
        return self.mantissa[0].isdigit()

    def __str__(self) -> str:
        """In Unicode, for a running text: −1.2·10⁻⁷."""
        text = self.mantissa
        if self.exponent:
            power = "10" + str(self.exponent).translate(_SUPERSCRIPT)
            text = power if text == "1" else f"{text}·{power}"
        text = "−" + text if self.negative else text
        if (part := self.imaginary) is None:
            return text
        return f"{text} {'−' if part.negative else '+'} {str(part).lstrip('−')}i"


LARGEST = {
    "float16": 65504.0,
    "bfloat16": 255 * 2.0**120,
    "float32": (2**24 - 1) * 2.0**104,
    "float64": sys.float_info.max,
}
"""Beyond it is infinity."""


def in_dtype(value: float, dtype: str) -> float:
    """`value` rounded to what `dtype` can hold."""
    single = {"complex64": "float32", "complex128": "float64"}.get(dtype, dtype)
    if single == "bfloat16":
        return _in_bfloat16(value)
    if single in ("float16", "float32"):
        with np.errstate(over="ignore"):
            return float(np.dtype(single).type(value))
    return float(value)


def _in_bfloat16(value: float) -> float:
    """Round to nearest even on the upper half of a float32."""
    if not math.isfinite(value):
        return value
    try:
        (bits,) = struct.unpack("<I", struct.pack("<f", value))
    except OverflowError:
        return math.copysign(math.inf, value)
    bits = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
    (rounded,) = struct.unpack("<f", struct.pack("<I", bits))
    return float(rounded)


def shortest(value: float, dtype: str) -> Decimal:
    """The shortest decimal that `dtype` reads back as `value`."""
    if dtype in ("float16", "float32", "complex64"):
        with np.errstate(over="ignore"):
            single = np.float16(value) if dtype == "float16" else np.float32(value)
        return Decimal(np.format_float_scientific(single, unique=True, trim="-"))
    if dtype == "bfloat16":
        for digits in range(8):
            text = f"{value:.{digits}e}"
            if _in_bfloat16(float(text)) == value:
                return Decimal(text)
    return Decimal(repr(float(value)))


def _digits(number: Decimal) -> int:
    return len("".join(map(str, number.as_tuple().digits)).rstrip("0")) or 1


def written(value: float | complex, dtype: str = "float64") -> Written:
    """A measured value as it is shown: short numbers in full, others to six digits."""
    if isinstance(value, complex):
        real, imaginary = written(value.real, dtype), written(value.imag, dtype)
        exact = real.exact and imaginary.exact
        return Written(real.mantissa, real.exponent, real.negative, exact, imaginary)
    negative = math.copysign(1.0, value) < 0
    if math.isnan(value):
        return Written("nan")
    if math.isinf(value):
        return Written("∞", negative=negative)
    if value == 0:
        return Written("0", negative=negative)
    number = abs(shortest(value, dtype))
    if _in_full(number):
        return _positioned(number, negative, exact=True, largest=_EXACT)
    rounded = Decimal(f"{number:.{_SHOWN - 1}e}")
    return _positioned(rounded, negative, exact=False, largest=_SHOWN)


def _in_full(number: Decimal) -> bool:
    whole = number == number.to_integral_value() and number.adjusted() < _EXACT
    return whole or _digits(number) <= _SHOWN


def _positioned(number: Decimal, negative: bool, exact: bool, largest: int) -> Written:
    """`number` in positional form, or with a power of ten where that would be long."""
    power = number.adjusted()
    round_ = power >= _ROUND and _digits(number) == 1  # 10⁹ and not 1000000000
    if -5 < power < largest and not round_:
        return Written(_plain(number), 0, negative, exact)
    return Written(_plain(number.scaleb(-power)), power, negative, exact)


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def exactly(number: Fraction) -> Written | None:
    """A terminating decimal as it is written, long ones to seven digits; None for a fraction that
    somebody may read."""
    denominator, negative = number.denominator, number < 0
    for prime in (2, 5):
        while denominator % prime == 0:
            denominator //= prime
    if denominator != 1:
        if number.denominator < _READ:
            return None
        quotient = Decimal(abs(number.numerator)) / Decimal(number.denominator)
        return _positioned(Decimal(f"{quotient:.6e}"), negative, exact=False, largest=7)
    decimal = _decimal(abs(number))
    if not decimal:
        return Written("0")
    whole = decimal == decimal.to_integral_value()
    if _digits(decimal) > (15 if whole else 10):
        return _positioned(Decimal(f"{decimal:.6e}"), negative, exact=False, largest=7)
    return _positioned(decimal, negative, exact=True, largest=15)


def digits(number: Number) -> Written | None:
    """A number's digits, None where it is written as a fraction."""
    found = exactly(number.value)
    plain = number.decimal or number.value.denominator == 1
    return found if found and (plain or not found.exact) else None


def _decimal(number: Fraction) -> Decimal:
    """A terminating decimal without rounding, whatever the context's precision."""
    places = 0
    while number.denominator != 1:
        number, places = number * 10, places + 1
    return Decimal((0, tuple(map(int, str(number.numerator))), -places))


def recognise(value: float, dtype: str = "float64") -> Formula:
    """A constant of the user's code as a person writes it: 3, 0.1, 1/3, π/2."""
    if math.isnan(value):
        return Constant("nan")
    if value < 0:
        return _negative(recognise(-value, dtype))
    if math.isinf(value):
        return Constant("inf")
    if value == int(value) and value < 2**53:
        return Number(Fraction(int(value)))
    decimal = shortest(value, dtype)
    if _digits(decimal) >= _FULL_DIGITS.get(dtype, 99):
        known = _as_fraction(value, dtype) or _as_multiple(value, dtype)
        if known is not None:
            return known
    return Number(Fraction(decimal), decimal=decimal != decimal.to_integral_value())


def _negative(positive: Formula) -> Formula:
    if isinstance(positive, Number):
        return Number(-positive.value, positive.decimal)
    return Negative(positive)


def _as_fraction(value: float, dtype: str) -> Formula | None:
    """p/q with p and q below 100, if it is the very same number in `dtype`."""
    near = Fraction(value).limit_denominator(99)
    if not 0 < near.numerator < 100 or in_dtype(float(near), dtype) != value:
        return None
    return Number(near)


def _as_multiple(value: float, dtype: str) -> Formula | None:
    """A small rational multiple of π, e, √2, √3 or of its reciprocal, if bit-exact."""
    for number, formula in _multiples():
        if in_dtype(number, dtype) == value:
            return formula
    return None


def _multiples() -> Iterator[tuple[float, Formula]]:
    """Candidates, the simplest first."""
    for size, constant in (
        (math.pi, Constant("pi")),
        (math.e, Constant("e")),
        (math.sqrt(2), Call("sqrt", (Number(Fraction(2)),))),
        (math.sqrt(3), Call("sqrt", (Number(Fraction(3)),))),
    ):
        for below in _PARTS:
            for above in _MULTIPLES:
                if math.gcd(above, below) == 1:
                    yield above * size / below, _ratio(_scaled(above, constant), below)
        for above in _MULTIPLES:
            yield above / size, Quotient(Number(Fraction(above)), constant)


def _scaled(factor: int, constant: Formula) -> Formula:
    return constant if factor == 1 else Product((Number(Fraction(factor)), constant))


def _ratio(above: Formula, below: int) -> Formula:
    return above if below == 1 else Quotient(above, Number(Fraction(below)))
