"""Σᵢ f(eᵢ), the same for every place i of an axis, written once for all places: a loop over rows
is a product of matrices again.

As in batching by `vmap`, each part gets one more axis in front, the place; eᵢ becomes δᵢⱼ.
"""

from __future__ import annotations

from collections import defaultdict

from tapemagic.tensors.algebra import contract, fresh, mapped, plus, rearranged, replaced, reshaped
from tapemagic.tensors.nodes import (
    Contract,
    Function,
    Map,
    Node,
    Plus,
    Reshape,
    Structure,
    identity,
    postorder,
)

MOST = 64  # terms that are compared with each other


def over_all(node: Node) -> Node | None:
    """The sum with one term in the place of those that differ in a unit vector only; None where
    they do not go through all its places."""
    assert isinstance(node, Plus)
    units = [_units(term) for term in node.terms] if len(node.terms) <= MOST else []
    sizes = {size for found in units for size in found}
    for size in sorted(sizes, reverse=True):
        groups: dict[Node, dict[int, int]] = defaultdict(dict)
        for at, (term, found) in enumerate(zip(node.terms, units)):
            if len(found.get(size, ())) == 1:
                (unit,) = found[size]
                groups[replaced(term, {unit: _any(size)})][unit.parameters[0]] = at
        for pattern, places in groups.items():
            if len(places) == size:
                return _joined(node, pattern, size, list(places.values()))
    return None


def _units(term: Node) -> dict[int, set[Structure]]:
    """The unit vectors in it, by their size."""
    found: dict[int, set[Structure]] = defaultdict(set)
    for part in postorder([term]):
        if isinstance(part, Structure) and part.kind == "unit":
            found[part.shape[0]].add(part)
    return found


def _any(size: int) -> Structure:
    """Stands for a unit vector, whichever."""
    return Structure((size,), "unit", (None,))


def _joined(node: Plus, pattern: Node, size: int, at: list[int]) -> Node | None:
    axes = tuple(range(node.rank))
    spread = _spread(_lifted(pattern, size), pattern, size)
    whole = contract([(spread, ("place", *axes))], axes, dict(zip(axes, node.shape)))
    first = min(at)
    terms = [whole if k == first else term for k, term in enumerate(node.terms)]
    found = plus([t for k, t in enumerate(terms) if k == first or k not in at], node.shape)
    return found if found.size < node.size else None


def _lifted(pattern: Node, size: int) -> dict[Node, Node]:
    """Each part that has the unit vector in it, for all places: they are its first axis."""
    done: dict[Node, Node] = {}
    for part in postorder([pattern]):
        if part == _any(size):
            done[part] = identity(size)
        elif any(child in done for child in part.children):
            done[part] = _one_lifted(part, done, size)
    return done


def _one_lifted(part: Node, done: dict[Node, Node], size: int) -> Node:
    shape = (size, *part.shape)
    if isinstance(part, Plus):
        return plus([_spread(done, term, size) for term in part.terms], shape)
    if isinstance(part, Reshape):
        return reshaped(done[part.operand], shape)
    if isinstance(part, Function):
        operands = tuple(_spread(done, child, size) for child in part.operands)
        return Function(shape, part.function, operands, part.parameters)
    assert isinstance(part, (Contract, Map))
    (place,) = fresh(1)
    given = part.factors if isinstance(part, Contract) else part.operands
    factors = [
        (done[child], (place, *labels)) if child in done else (child, labels)
        for child, labels in given
    ]
    out = (place, *range(part.rank))
    if isinstance(part, Map):
        return mapped(part.formula, factors, out, shape)
    return contract(factors, out, dict(zip(out, shape)), part.coefficient)


def _spread(done: dict[Node, Node], part: Node, size: int) -> Node:
    """The part with the axis in front, whether it depends on the place or not."""
    if part in done:
        return done[part]
    axes = tuple(range(part.rank))
    return rearranged(part, axes, ("place", *axes), (size, *part.shape))
