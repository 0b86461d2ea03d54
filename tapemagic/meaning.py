"""What formulas mean in numbers: NumPy float64, nan and inf included."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from tapemagic.formula import (
    Call,
    Constant,
    Formula,
    Negative,
    Number,
    Power,
    Product,
    Quotient,
    Sum,
    Symbol,
    Value,
    postorder,
)
from tapemagic.functions import FUNCTIONS

CONSTANTS = {"pi": math.pi, "e": math.e, "inf": math.inf, "nan": math.nan}


def meaning(roots: Iterable[Formula], values: Mapping[Symbol, Any]) -> list[Any]:
    """The value of each root, for scalars or arrays (that broadcast) in place of the symbols."""
    roots = list(roots)
    known: dict[Formula, Any] = {}
    with np.errstate(all="ignore"):
        for node in postorder(roots):
            known[node] = _value(node, [known[child] for child in node.children], values)
    return [known[root] for root in roots]


def compiled(node: Formula, places: Mapping[Symbol, int]) -> Callable[[Any], Any]:
    """`node` as a function of the sequence of its symbols' values: for many evaluations."""
    if isinstance(node, Symbol):
        return operator.itemgetter(places[node])
    if not node.children:
        constant = _value(node, [], {})
        return lambda values: constant
    parts = [compiled(child, places) for child in node.children]
    if isinstance(node, Call):
        function = FUNCTIONS[node.function].numpy
        if len(parts) == 1:
            only = parts[0]
            return lambda values: function(only(values))
        return lambda values: function(*(part(values) for part in parts))
    combine = _COMBINE[type(node)]
    return lambda values: combine([part(values) for part in parts])


def _value(node: Formula, parts: list[Any], values: Mapping[Symbol, Any]) -> Any:
    if isinstance(node, Symbol):
        value = np.asarray(values[node])
        return value if value.dtype == bool else value.astype(np.float64)
    if isinstance(node, Number):
        return _number(node.value)
    if isinstance(node, Value):
        return np.float64(node.value.real)
    if isinstance(node, Constant):
        return np.float64(CONSTANTS[node.text])
    if isinstance(node, Call):
        return FUNCTIONS[node.function].numpy(*parts)
    combine = _COMBINE.get(type(node))
    if combine is None:
        raise TypeError(f"{type(node).__name__} is for showing, it has no value")
    return combine(parts)


def _number(value: Fraction) -> Any:
    try:
        return np.float64(float(value))
    except OverflowError:
        return np.float64(math.inf if value > 0 else -math.inf)


def _folded(operation: Callable[[Any, Any], Any], start: float) -> Callable[[list[Any]], Any]:
    def fold(parts: list[Any]) -> Any:
        total = parts[0] if parts else np.float64(start)
        for part in parts[1:]:
            total = operation(total, part)
        return total

    return fold


_COMBINE: dict[type, Callable[[list[Any]], Any]] = {
    Sum: _folded(np.add, 0.0),
    Product: _folded(np.multiply, 1.0),
    Negative: lambda parts: np.negative(parts[0]),
    Quotient: lambda parts: np.divide(parts[0], parts[1]),
    Power: lambda parts: np.power(parts[0], parts[1]),
}
