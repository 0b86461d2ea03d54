"""Brackets: put around what terms share, and opened where something cancels then."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from tapemagic.formula import Formula
from tapemagic.tensors.algebra import (
    contract,
    plus,
    rearranged,
    scaled,
    with_factors,
)
from tapemagic.tensors.nodes import (
    Contract,
    Labels,
    Node,
    Plus,
    Structure,
)

_MOST_TERMS = 12  # of a sum that is multiplied out to see whether something cancels
_MOST_NODES = 48  # of what that is tried on


def factored(node: Node, recognised: Callable[[Node], Node]) -> Node | None:
    """A u + A v = A (u + v), and what u + v is `recognised` as"""
    assert isinstance(node, Plus)
    seen: dict[object, list[tuple[int, int]]] = {}
    for place, term in enumerate(node.terms):
        for which, (key, _) in enumerate(_contexts(term)):
            seen.setdefault(key, []).append((place, which))
    shared = [places for places in seen.values() if len({p for p, _ in places}) > 1]
    if not shared:
        return None
    best = max(shared, key=len)
    members = list(dict(best).items())
    chosen = [_contexts(node.terms[place])[which][1] for place, which in members]
    labels, around = chosen[0].labels, chosen[0].around
    inner = recognised(plus([c.turned(labels) for c in chosen], chosen[0].part.shape))
    out = tuple(range(node.rank))
    joined = contract([(inner, labels), *around], out, dict(zip(out, node.shape)))
    first, gone = members[0][0], dict(members)
    terms = [joined if k == first else term for k, term in enumerate(node.terms)]
    return plus([t for k, t in enumerate(terms) if k == first or k not in gone], node.shape)


@dataclass(frozen=True)
class _Context:
    """A factor of a product, with what stands around it."""

    part: Node
    labels: Labels
    coefficient: Formula
    around: tuple[tuple[Node, Labels], ...]

    def turned(self, labels: Labels) -> Node:
        """The factor (and the number in front of the product) with its axes in that order."""
        shape = tuple(self.part.shape[self.labels.index(k)] for k in labels)
        return scaled(rearranged(self.part, self.labels, labels, shape), self.coefficient)


def _contexts(term: Node) -> list[tuple[object, _Context]]:
    """Each factor of a product that could be put in brackets with others, and a key that is
    equal for two of them if the same stands around both."""
    if not isinstance(term, Contract) or len(term.factors) < 2:
        return []
    found: list[tuple[object, _Context]] = []
    for place, (part, labels) in enumerate(term.factors):
        if isinstance(part, Structure) and part.kind == "unit":
            continue  # A₁ + A₂ and not Aᵀ(e₁ + e₂)
        around = [f for k, f in enumerate(term.factors) if k != place]
        names: dict[int, int] = {label: label for label in range(term.rank)}
        for _, ls in around:
            for label in ls:
                names.setdefault(label, len(names))
        if not labels or len(set(labels)) < len(labels) or any(k not in names for k in labels):
            continue
        renamed = tuple((p, tuple(names[k] for k in ls)) for p, ls in around)
        own = tuple(names[k] for k in labels)
        context = _Context(part, own, term.coefficient, renamed)
        found.append(((renamed, tuple(sorted(own))), context))
    return found


def cancelled(node: Node) -> Node | None:
    """Multiplied out, if that makes it shorter: (y/p − 1) ∘ p = y − p"""
    if node.size > _MOST_NODES or not 1 < _count(node) <= _MOST_TERMS:
        return None
    terms = _expanded(node)
    if not 1 < len(terms) <= _MOST_TERMS:
        return None
    found = plus(terms, node.shape)
    return found if found.size < 0.75 * node.size else None


def _count(node: Node) -> int:
    """How many terms there would be, multiplied out."""
    if isinstance(node, Plus):
        return sum(_count(term) for term in node.terms)
    if isinstance(node, Contract):
        return math.prod(_count(part) for part, _ in node.factors if isinstance(part, Plus))
    return 1


def _expanded(node: Node) -> list[Node]:
    """The terms of all products of sums in `node`."""
    if isinstance(node, Plus):
        return [part for term in node.terms for part in _expanded(term)]
    if not isinstance(node, Contract):
        return [node]
    for place, (part, labels) in enumerate(node.factors):
        if isinstance(part, Plus) and len(part.terms) <= _MOST_TERMS:
            found: list[Node] = []
            for term in part.terms:
                factors = list(node.factors)
                factors[place] = (term, labels)
                found += _expanded(with_factors(node, factors))
                if len(found) > _MOST_TERMS:
                    break
            return found
    return [node]
