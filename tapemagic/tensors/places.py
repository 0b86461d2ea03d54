"""Arithmetic of the places of entries, which count from 1: i + 1, ⌈k/n⌉, j ≤ i."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tapemagic import document as d
from tapemagic.formula import (
    ONE,
    Call,
    Formula,
    Name,
    Quotient,
    Sum,
    Symbol,
    number,
    plus,
    postorder,
    replace,
    times,
)
from tapemagic.tensors.nodes import (
    Reshape,
    Structure,
)
from tapemagic.tensors.unmerging import groups

_TURNED = {"greater": "less", "less": "greater"}
_TURNED |= {f"{one}_equal": f"{other}_equal" for one, other in _TURNED.items()}


def regrouped(node: Reshape, at: Sequence[Formula]) -> list[Formula]:
    """The places in the tensor that was reshaped, row by row; they count from 1."""
    old, new = node.operand.shape, node.shape
    found: list[Formula] = []
    for inner, outer in groups(old, new):
        place = _raveled([at[k] for k in outer], [new[k] for k in outer])
        found += _unraveled(place, [old[k] for k in inner])
    return found


def _raveled(at: Sequence[Formula], sizes: Sequence[int]) -> Formula:
    """n(i − 1) + j for the places i, j in axes of m and n entries."""
    place, *rest = at
    if isinstance(place, Call) and place.function == "ceil":
        whole = place.arguments[0].children[0]
        if _unraveled(whole, sizes) == list(at):  # there and back again
            return whole
    for inner, size in zip(rest, sizes[1:]):
        place = _rejoined(place, inner, size) or plus(times(size, place), inner, -size)
    return place


def _rejoined(place: Formula, inner: Formula, size: int) -> Formula | None:
    """n(i − 1) + k, where the place in the row is i − 1 + ⌈k/n⌉ and the one within (k − 1) mod n
    + 1: windows that are cut from parts. None for other places."""
    terms = place.terms if isinstance(place, Sum) else (place,)
    for term in terms:
        if isinstance(term, Call) and term.function == "ceil":
            (share,) = term.arguments
            if isinstance(share, Quotient) and _unraveled(share.children[0], (0, size)) == [
                term,
                inner,
            ]:
                rest = [other for other in terms if other is not term]
                return plus(times(size, plus(*rest)), share.children[0])
    return None


def _unraveled(place: Formula, sizes: Sequence[int]) -> list[Formula]:
    """⌈k/n⌉ and (k − 1) mod n + 1 for the place k, in axes of m and n entries."""
    found: list[Formula] = []
    for axis in range(len(sizes)):
        behind = math.prod(sizes[axis + 1 :])
        own = place if behind == 1 else Call("ceil", (Quotient(place, number(behind)),))
        if axis:
            own = plus(Call("floor_mod", (plus(own, -1), number(sizes[axis]))), 1)
        found.append(own)
    return found


def flat(formula: Formula) -> Formula:
    """Without sums in sums: g^(i − 2) and not g^((i − 1) − 1)."""
    nested = [
        part
        for part in postorder([formula])
        if isinstance(part, Sum) and any(isinstance(term, Sum) for term in part.terms)
    ]
    return replace(formula, {part: plus(*part.terms) for part in nested})


def delta(one: Formula, other: Formula) -> Formula:
    """1 where the places are the same."""
    return ONE if one == other else d.Subscripted(d.Tensor(Name("delta")), (one, other))


def comparison(triangle: Structure, at: Sequence[Formula]) -> Formula:
    """Which places lie in the triangle: i ≥ j, i > j, i + 2 ≥ j …"""
    (i, j), (lower, offset, _) = at, triangle.parameters
    if offset == -1:
        return Call("greater" if lower else "less", (i, j))
    if lower:
        return Call("greater_equal", (plus(i, offset), j))
    return Call("less_equal", (i, plus(j, offset)))


def bound(comparison: Formula, own: Symbol) -> Formula:
    """The comparison with the letter that it bounds in front: k ≤ i."""
    assert isinstance(comparison, Call)
    left, right = comparison.arguments
    if left == own or right != own:
        return comparison
    return Call(_TURNED[comparison.function], (right, left))


def letters_in(at: Sequence[Formula]) -> set[str]:
    """The letters in these places."""
    return {symbol.name.text for place in at for symbol in place.free}


def subscripted(node: Formula, at: Sequence[Formula]) -> Formula:
    return d.Subscripted(node, tuple(at)) if at else node
