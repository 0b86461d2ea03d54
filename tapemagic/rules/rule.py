"""What a rule is, and how arrays of numbers and arrays of formulas meet in one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tapemagic.formula import ZERO, Formula, Number, call, number

Array = np.ndarray[Any, Any]
Attributes = Mapping[str, Any]
Apply = Callable[[Sequence[Array], Attributes], tuple[Array, ...]]


class NotSymbolic(Exception):
    """The op has no closed form for these inputs; the message says why in plain words."""


@dataclass(frozen=True)
class Row:
    """The meaning of TensorFlow's op type `kind`; `rule` names it in words.

    `apply(inputs, attributes)` maps arrays of float64, int64 or bool to such arrays, and arrays
    of formulas (dtype object) to arrays of formulas; axes, shapes and indices are always plain.
    """

    kind: str
    rule: str
    apply: Apply
    elementwise: bool = False


def is_symbolic(*arrays: Array) -> bool:
    """Whether one of the arrays holds formulas."""
    return any(array.dtype == object for array in arrays)


def as_formula(value: Any) -> Formula:
    """One entry of an array as a formula; a truth value becomes 1 or 0."""
    if isinstance(value, Formula):
        return value
    if isinstance(value, np.floating) and value.itemsize < 8:
        return number(float(str(value)))  # 0.1 of float32, not 0.10000000149
    return number(value.item() if isinstance(value, np.generic) else value)


def as_formulas(array: Array) -> Array:
    """An array of formulas with the shape of `array`."""
    result = np.empty(array.shape, dtype=object)
    for index in np.ndindex(array.shape):
        result[index] = as_formula(array[index])
    return result


def alike(arrays: Sequence[Array]) -> list[Array]:
    """The arrays, all turned to formulas if one of them is symbolic."""
    if not is_symbolic(*arrays):
        return list(arrays)
    return [array if array.dtype == object else as_formulas(array) for array in arrays]


def stopped(array: Array) -> Array:
    """An input that TensorFlow differentiates nothing by, although the result depends on it."""
    if array.dtype != object:
        return array
    result = np.empty(array.shape, dtype=object)
    for index in np.ndindex(array.shape):
        value: Any = array[index]
        result[index] = call("stop_gradient", value) if value.free else value
    return result


def filled(shape: Sequence[int], value: float, like: Array) -> Array:
    """A constant array of formulas or numbers, whichever `like` holds."""
    if like.dtype != object:
        return np.full(tuple(shape), value, dtype=like.dtype)
    result = np.empty(tuple(shape), dtype=object)
    result.fill(number(value) if value else ZERO)
    return result


def integers(array: Array) -> list[int]:
    """Axes, shapes or indices as a flat list; formulas of whole numbers are taken as well."""
    return [_integer(value) for value in np.asarray(array).ravel()]


def integer(array: Array) -> int:
    """An axis or a size."""
    return integers(array)[0]


def _integer(value: Any) -> int:
    if isinstance(value, Formula):
        if not isinstance(value, Number) or value.value.denominator != 1:
            raise NotSymbolic("an index or a shape that depends on the values")
        return int(value.value)
    return int(value)


def plain(array: Array) -> Array:
    """Indices as an array of integers."""
    return np.array(integers(array), dtype=np.int64).reshape(np.shape(array))


def axes_of(array: Array, axes: Array) -> tuple[int, ...]:
    """The axes to reduce over, counted from the front."""
    return tuple(sorted({axis % array.ndim for axis in integers(axes)})) if array.ndim else ()


def text(value: Any) -> str:
    """An attribute that TensorFlow gives as bytes or as a string."""
    return value.decode() if isinstance(value, bytes) else str(value)
