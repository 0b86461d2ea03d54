"""What a slider may do: the range that was asked for, or a sensible one around the value.

Ranges are written as ipywidgets abbreviates them, `(min, max)` or `(min, max, step)`. They are
read as literals, never evaluated. What is wrong with one becomes a word to show; the slider
works all the same.
"""

from __future__ import annotations

import ast
import math
import re
from dataclasses import dataclass, replace

_STEPS = 120  # of a slider whose step nobody chose
_WIDE = 1000.0  # max/min from where a positive range is shown on a logarithmic scale
_NICE = (1.0, 1.5, 2.0, 3.0, 5.0, 10.0)


@dataclass(frozen=True)
class Range:
    """From `low` to `high` in steps (of decades, on a logarithmic scale).

    `word` says what was put right, `given` whether it was asked for.
    """

    low: float
    high: float
    step: float
    scale: str = "linear"
    word: str = ""
    given: bool = False


def around(value: float) -> Range:
    """A range of round numbers with the value near its middle."""
    if not math.isfinite(value):
        return replace(around(0.0), word=f"the value is {value}: the slider starts at 0.")
    if abs(value) < 1e-300:
        value = 0.0
    half = _nice(1.5 * abs(value)) if value else 3.0
    low, high = _round(value - half, half), _round(value + half, half)
    return Range(low, high, _step(low, high))


def read(text: str, name: str, value: float) -> Range:
    """The range that `text` asks for, for the source `name` that has this value now."""
    numbers, word = _numbers(text)
    if numbers is None:
        return replace(around(value), word=f"{name}={text}: {word}; shown is the usual range.")
    low, high, *steps = numbers
    if low > high:
        low, high, word = high, low, f"{name}={text} is reversed: read as ({high:g}, {low:g})."
    if math.isfinite(value) and not low <= value <= high:
        word = word or f"{name} = {value:g} lies outside {text}: the range is widened to it."
        low, high = min(low, value), max(high, value)
    step = steps[0] if steps else _step(low, high)
    if not 0 < step <= high - low:
        word = f"{name}={text}: a step of {step:g} does not fit between {low:g} and {high:g}."
        step = _step(low, high)
    if low > 0 and high / low >= _WIDE and not steps:
        return Range(low, high, _step(math.log10(low), math.log10(high)), "log", word, True)
    return Range(low, high, step, "linear", word, True)


def is_range(text: str) -> bool:
    """Whether the text looks like a range, even if like a bad one."""
    numbers, word = _numbers(text)
    return numbers is not None or word != UNREADABLE


UNREADABLE = "write a range as (-3, 3) or (-3, 3, 0.1)"


def _numbers(text: str) -> tuple[tuple[float, ...] | None, str]:
    """(low, high) or (low, high, step); or None and why not."""
    # As Python prints them; 1e999 reads as infinity, and has no meaning as a limit either.
    if re.search(r"\b(nan|inf)\b", text):
        return None, "its limits must be finite numbers"
    try:
        found = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None, UNREADABLE
    if not isinstance(found, (tuple, list)) or len(found) not in (2, 3):
        return None, UNREADABLE
    if not all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in found):
        return None, UNREADABLE
    try:
        numbers = tuple(float(n) for n in found)
    except OverflowError:
        return None, "its limits must be finite numbers"
    if not all(map(math.isfinite, numbers)):
        return None, "its limits must be finite numbers"
    if numbers[0] == numbers[1]:
        return None, "it is empty"
    if not math.isfinite(numbers[1] - numbers[0]):
        return None, "it is too wide"
    return numbers, ""


def _nice(size: float) -> float:
    """The next round number above."""
    power = 10.0 ** math.floor(math.log10(size))
    return next(n * power for n in _NICE if n * power >= size * (1 - 1e-9))


def _step(low: float, high: float) -> float:
    """A round step, of which about a hundred lead through the range."""
    step = (high - low) / _STEPS
    power = 10.0 ** math.floor(math.log10(step)) if step > 0 else 1.0
    return min((1.0, 2.0, 5.0, 10.0), key=lambda n: abs(n * power - step)) * power


def _round(value: float, size: float) -> float:
    """To the digits that count beside `size`, and no −0."""
    return round(value, 2 - math.floor(math.log10(size))) + 0.0
