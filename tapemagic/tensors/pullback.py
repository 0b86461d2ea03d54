"""The reverse sweep over tensors: what each part of a target contributes to the derivative.

Three rules serve all linear and all elementwise operations; the rest are the rows of `whole`.
Broadcasting is undone here, in one place: an axis that an operand does not have is summed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from tapemagic.calculus import derivative
from tapemagic.formula import ZERO
from tapemagic.tensors import whole
from tapemagic.tensors.algebra import (
    Factor,
    Label,
    contract,
    fresh,
    identity_over,
    mapped,
    plus,
    reshaped,
)
from tapemagic.tensors.nodes import (
    PLACES,
    Contract,
    Function,
    Leaf,
    Map,
    Node,
    Plus,
    Reshape,
    identity,
    postorder,
)


def identity_seed(node: Node) -> Node:
    """∂node/∂node, each entry by itself: the seed of a Jacobian, with `node.rank` leading axes."""
    first, second = fresh(node.rank), fresh(node.rank)
    return contract(identity_over(first, second, node.shape), (*first, *second), {})


def cotangents(
    root: Node, seed: Node, lead: int, wanted: Sequence[Leaf]
) -> Mapping[Leaf, tuple[Node, ...]]:
    """Seed · ∂root/∂leaf for each wanted leaf, one contribution for every use of it.

    `seed` has `lead` axes of the target in front of those of `root`. Leaves that `root` does
    not depend on are missing.
    """
    reached = _reaching(root, set(wanted))
    totals: dict[Node, list[Node]] = {root: [seed]}
    for node in reversed(list(postorder([root]))):
        if node not in reached or node not in totals or isinstance(node, Leaf):
            continue
        parts = totals[node]
        cotangent = parts[0] if len(parts) == 1 else plus(parts, parts[0].shape)
        for child, share in shares(node, cotangent, lead):
            if child in reached:
                totals.setdefault(child, []).append(share)
    return {leaf: tuple(totals[leaf]) for leaf in wanted if leaf in totals}


def gradient(root: Node, seed: Node, lead: int, leaf: Leaf) -> Node:
    """Seed · ∂root/∂leaf, all uses added up."""
    shape = seed.shape[:lead] + leaf.shape
    return plus(cotangents(root, seed, lead, [leaf]).get(leaf, ()), shape)


def _reaching(root: Node, wanted: set[Leaf]) -> set[Node]:
    found: set[Node] = set()
    for node in postorder([root]):
        if node in wanted or any(child in found for child in node.children):
            found.add(node)
    return found


def shares(node: Node, g: Node, lead: int) -> Iterator[tuple[Node, Node]]:
    """Each operand with what it gets of the cotangent `g`, once for each time it stands there."""
    if isinstance(node, Plus):
        for term in node.terms:
            yield term, g
    elif isinstance(node, Contract):
        yield from _of_contraction(node, g, lead)
    elif isinstance(node, Map):
        yield from _of_map(node, g, lead)
    elif isinstance(node, Reshape):
        yield node.operand, reshaped(g, g.shape[:lead] + node.operand.shape)
    elif isinstance(node, Function):
        for child, share in zip(node.operands, whole.row(node.function).pullback(node, g, lead)):
            if share is not None:
                yield child, share


def _of_contraction(node: Contract, g: Node, lead: int) -> Iterator[tuple[Node, Node]]:
    front: list[Label] = fresh(lead)
    cotangent: Factor = (g, (*front, *range(node.rank)))
    for place, (child, labels) in enumerate(node.factors):
        others: list[Factor] = [f for k, f in enumerate(node.factors) if k != place]
        out: list[Label] = []
        # A label that stands twice takes the diagonal: its cotangent lies on the diagonal.
        for axis, label in enumerate(labels):
            if Counter(labels[:axis])[label]:
                twin = fresh(1)[0]
                others.append((identity(child.shape[axis]), (label, twin)))
                out.append(twin)
            else:
                out.append(label)
        sizes = {**dict(zip(front, g.shape)), **dict(zip(out, child.shape))}
        yield child, contract([cotangent, *others], (*front, *out), sizes, node.coefficient)


def _of_map(node: Map, g: Node, lead: int) -> Iterator[tuple[Node, Node]]:
    front: list[Label] = fresh(lead)
    out = tuple(range(node.rank))
    for place, (child, labels) in enumerate(node.operands):
        slope = derivative(node.formula, PLACES[place])
        if slope == ZERO:
            continue
        local = mapped(slope, node.operands, out, node.shape)
        factors: list[Factor] = [(g, (*front, *out)), (local, out)]
        yield child, contract(factors, (*front, *labels), {})
