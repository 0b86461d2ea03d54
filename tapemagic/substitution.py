"""Values put in: formulas with numbers for names, arrays in rows and columns, = or ≈."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from tapemagic import numbers
from tapemagic.document import (
    Differential,
    Fold,
    Item,
    Matrix,
    Note,
    Source,
    Stack,
    Statement,
    Tensor,
    Words,
)
from tapemagic.equations import Equations
from tapemagic.extent import norm
from tapemagic.formula import Formula, Negative, Number, Power, Symbol, Value, replace
from tapemagic.trace import Array

T = TypeVar("T")
ENTRIES = 36  # entries of an array that are written out
SHOWN = 9  # lines of a kind that are shown before the rest is folded
FOLDED = 300  # lines behind one fold
INSIDE = 60  # lines of one layer
LONG = 110  # nodes that still make one line, or one matrix


def arranged(array: Array) -> Formula:
    """An array of formulas as rows and columns."""
    if array.size == 0:
        return Words(f"empty, of shape {array.shape}")
    if array.ndim == 0:
        entry: Formula = array.item()
        return entry
    if array.ndim == 1:
        return Matrix(tuple((entry,) for entry in array))
    if array.ndim == 2:
        return Matrix(tuple(tuple(row) for row in array))
    return Stack(tuple(arranged(part) for part in array))


def shown(value: Array, dtype: str, origins: Any = None) -> Formula:
    """A measured value, or its shape and norm where it is too large to print.

    `origins` are the formulas that it is the value of, in the same shape.
    """
    if not printable(value):
        shape = " × ".join(map(str, value.shape))
        return Words(f"{shape} entries, norm {numbers.written(norm(value), dtype)}")
    entries = np.empty(value.shape, dtype=object)
    known = np.asarray(origins, dtype=object)
    for index in np.ndindex(*value.shape):
        one = complex(value[index]) if np.iscomplexobj(value) else float(value[index])
        entries[index] = Value(one, dtype, None if origins is None else known[index])
    return arranged(entries)


def computed(value: Array, origins: Any = None) -> Formula:
    """A number of the derivation's own, in float64: 0.1 + 0.2 is 0.3 to 13 digits."""
    rounded = [float(f"{v:.13g}") for v in np.asarray(value).flat]
    return shown(np.array(rounded).reshape(np.shape(value)), "float64", origins)


def by_entries(slope: Differential, shape: tuple[int, ...]) -> Array:
    """A derivative entry by entry of the source that it is by, of this shape."""
    *others, (last, times) = slope.wrt
    found = np.full(shape, slope, dtype=object)
    if shape and isinstance(last, Tensor):
        before = (*others, *(((last, times - 1),) if times > 1 else ()))
        for index in np.ndindex(*shape):
            wrt = (*before, (Symbol(last.name, index), 1))
            found[index] = Differential(slope.target, wrt, slope.partial)
    return found


def printable(array: Array) -> bool:
    return bool(array.size <= ENTRIES)


def is_long(formulas: Array) -> bool:
    """Whether it is too much for one line, or one matrix."""
    return bool(sum(node.size for node in formulas.flat) > LONG)


def with_values(formulas: Array, equations: Equations, plain: bool = False) -> list[Formula]:
    """The formulas with the values put in; nothing where there is nothing to put in.

    A partial also shows where a value comes from: 2y = 2 · 3²; a definition (`plain`) does not.
    """
    if not any(node.free for node in formulas.flat) or formulas.size > 9 or is_long(formulas):
        return []
    fill = _value if plain else _put
    put = {s: fill(s, equations) for node in formulas.flat for s in node.free}
    filled = np.empty(formulas.shape, dtype=object)
    for index in np.ndindex(*formulas.shape):
        filled[index] = replace(formulas[index], put)
    return [arranged(filled)]


def _put(symbol: Symbol, equations: Equations) -> Formula:
    """A symbol's value; a plain power of a source shows where it comes from: 2y = 2 · 3²."""
    equation = equations.by_name.get(symbol.name)
    if equation is not None and equation.shape == ():
        formula: Formula = equation.formulas.item()
        base = formula.base if isinstance(formula, Power) else None
        if isinstance(base, Symbol) and any(base.name in group for group in equations.sources):
            return replace(formula, {base: _value(base, equations)})
    return _value(symbol, equations)


def _value(symbol: Symbol, equations: Equations) -> Formula:
    equation = equations.by_name.get(symbol.name)
    dtype = equation.dtype if equation is not None else equations.dtype
    return Value(float(equations.values[symbol.name][symbol.index]), dtype, symbol)


def statement(
    sides: Sequence[Formula],
    label: str = "",
    number: int | None = None,
    source: Source | None = None,
) -> Statement:
    """side = side = …, each said once; "≈" before numbers that are shown rounded."""
    kept: list[Formula] = []
    for side in sides:
        if not kept or _as_read(side) != _as_read(kept[-1]):
            kept.append(side)
    relations = tuple("≈" if _has_rounded(side) else "=" for side in kept[1:])
    return Statement(tuple(kept), relations, label, number, source)


def _as_read(node: Formula) -> Formula:
    """A value that is shown exactly reads like the number itself."""
    if isinstance(node, Value):
        written = numbers.written(node.value, node.dtype)
        if isinstance(node.value, complex) or not written.exact:
            return Words(str(written))
        return _as_read(numbers.recognise(node.value, node.dtype))
    if isinstance(node, Number):
        return Number(node.value)
    if isinstance(node, Negative):
        return _negated(_as_read(node.operand))
    if isinstance(node, Matrix):
        return Matrix(tuple(tuple(_as_read(entry) for entry in row) for row in node.rows))
    if isinstance(node, Stack):
        return Stack(tuple(_as_read(part) for part in node.slices))
    return node.rebuilt(tuple(_as_read(child) for child in node.children))


def _negated(node: Formula) -> Formula:
    """−x as it is read: −0.5 is a number, −(−2) is still to be worked out."""
    if isinstance(node, Number) and node.value > 0:
        return Number(-node.value)
    if isinstance(node, Words) and not node.text.startswith("−"):
        return Words(f"−{node.text}")
    return Negative(node)


def _has_rounded(node: Formula) -> bool:
    if isinstance(node, Value):
        return not numbers.written(node.value, node.dtype).exact
    return any(_has_rounded(child) for child in node.children)


def counted(count: int, one: str, many: str) -> str:
    """1 more entry, 2 more entries."""
    return f"{count} {one if count == 1 else many}"


def _told(
    parts: Sequence[T], tell: Callable[[int, T], list[Item]], first: int, last: int
) -> list[Item]:
    return [item for k in range(first, last) for item in tell(k, parts[k])]


def abridged(parts: Sequence[T], tell: Callable[[int, T], list[Item]]) -> list[Item]:
    """Many parts told, of very many (a recurrent layer's steps) the first and the last; `tell` is
    not called for what is left out."""

    count = len(parts)
    if count <= INSIDE:
        return _told(parts, tell, 0, count)
    head, tail = INSIDE * 2 // 3, INSIDE // 3
    left = Note(f"… and {count - tail - head} more, in the steps of the result")
    return [*_told(parts, tell, 0, head), left, *_told(parts, tell, count - tail, count)]


def folded(parts: Sequence[T], tell: Callable[[int, T], list[Item]], what: str) -> list[Item]:
    """The first and the last of many parts told, those between one click away.

    `tell(position, part)` makes a part's lines; it is not called for what is left out.
    """

    count = len(parts)
    if count <= SHOWN:
        return _told(parts, tell, 0, count)
    head, tail = SHOWN // 2, SHOWN // 3
    until = min(count - tail, head + FOLDED)
    middle = _told(parts, tell, head, until)
    if until < count - tail:
        middle.append(Note(f"… and {count - tail - until} more, in the steps of the result"))
    fold = Fold(f"{count - tail - head} more {what}", tuple(middle))
    return [*_told(parts, tell, 0, head), fold, *_told(parts, tell, count - tail, count)]
