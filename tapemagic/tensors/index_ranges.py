"""How far a sum over an index goes, as a reader of the formula can tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tapemagic.formula import (
    Formula,
    Number,
    Power,
)
from tapemagic.tensors.algebra import plus as add
from tapemagic.tensors.algebra import with_factors
from tapemagic.tensors.nodes import (
    Contract,
    Function,
    Labels,
    Leaf,
    Map,
    Node,
    Plus,
    Reshape,
    Structure,
)
from tapemagic.tensors.unmerging import groups


def triangle_over(
    label: int, factors: Sequence[tuple[Node, Labels]], places: Mapping[int, Formula]
) -> tuple[Structure, Labels] | None:
    """The triangle that says how far the sum over the label goes: Σ over j ≤ i."""
    for part, labels in factors:
        if not (isinstance(part, Structure) and part.kind == "triangle" and label in labels):
            continue
        lower, offset, half = part.parameters
        if half or part.shape[0] != part.shape[1] or any(k not in places for k in labels):
            continue
        below = labels.index(label) == (1 if lower else 0)  # j ≤ i, and not j ≥ i
        if labels[0] != labels[1] and ((below and offset <= 0) or tells_range(factors, label)):
            return part, labels
    return None


def multiplied_out(node: Contract) -> Node | None:
    """Σⱼ (pᵢ δᵢⱼ − pᵢ pⱼ) xⱼ as pᵢ xᵢ − Σⱼ pᵢ pⱼ xⱼ: in a product a δ with a summed letter goes."""
    for place, (part, labels) in enumerate(node.factors):
        if isinstance(part, Plus) and any(_has_delta(t, labels, node.rank) for t in part.terms):
            around = node.factors[:place], node.factors[place + 1 :]
            terms = [with_factors(node, [*around[0], (t, labels), *around[1]]) for t in part.terms]
            return add(terms, node.shape)
    return None


def _has_delta(term: Node, labels: Labels, rank: int) -> bool:
    """Whether the term, with these labels, has a δ of which one is summed."""
    parts = term.factors if isinstance(term, Contract) else ((term, tuple(range(term.rank))),)
    return any(
        isinstance(part, Structure)
        and part.kind == "identity"
        and any(k < term.rank and labels[k] >= rank for k in own)
        for part, own in parts
    )


def tells_range(factors: Sequence[tuple[Node, Labels]], label: int) -> bool:
    """Whether the letter of this label stands by itself as the place in a tensor, whose axis then
    says how far a sum over it goes: in aₖ it does, in x_{i + k} or cos(2πk/n) it does not."""
    for part, labels in factors:
        if isinstance(part, Structure):
            own = labels[:-1] if part.kind == "one_hot" and part.of is not None else ()
            if label in own:
                return True
        elif any(_is_place(part, axis) for axis, k in enumerate(labels) if k == label):
            return True
    return False


def _is_place(node: Node, axis: int) -> bool:
    """Whether the place along the axis is one in a tensor inside."""
    if isinstance(node, Reshape):
        groups_ = groups(node.operand.shape, node.shape)
        return any(
            new == (axis,) and len(old) == 1 and _is_place(node.operand, old[0])
            for old, new in groups_
        )
    if isinstance(node, Plus):
        return any(_is_place(term, axis) for term in node.terms)
    if isinstance(node, Contract):
        return tells_range(node.factors, axis)
    if isinstance(node, Map):
        return tells_range(node.operands, axis)
    return isinstance(node, (Leaf, Function))


def vanishes(node: Node, axis: int) -> bool:
    """Whether what is written for its entry is 0 outside the range of that axis: an entry of a
    named tensor is, sin x_{i+1} and x_{i+1} of a window are not."""
    if isinstance(node, Plus):
        return all(vanishes(term, axis) for term in node.terms)
    if isinstance(node, Contract):
        return any(axis in ls and vanishes(part, ls.index(axis)) for part, ls in node.factors)
    if isinstance(node, Map):
        formula, ((base, labels), *_) = node.formula, node.operands
        power = isinstance(formula, Power) and isinstance(formula.exponent, Number)
        positive = power and formula.exponent.value > 0  # type: ignore[attr-defined]
        return positive and axis in labels and vanishes(base, labels.index(axis))
    return isinstance(node, Leaf)


def stays_inside(part: Structure, labels: Labels, target: int) -> bool:
    """Whether every place that follows from the others is one of the axis."""
    if part.kind == "window":
        stride, dilation, pad = part.parameters
        rows, size, places = part.shape
        last = (rows - 1) * stride + (places - 1) * dilation - pad
        return target == labels[1] and pad <= 0 and last < size
    if part.kind == "one_hot":
        return all(0 <= place < part.shape[-1] for place in part.parameters[0])
    return part.kind != "strided" or target == labels[1]
