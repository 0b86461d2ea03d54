"""Softmax, log-sum-exp, softplus and sigmoid, as people write them step by step.

Shifting the logits, as stable code does, changes neither value nor derivative.
"""

from __future__ import annotations

from collections.abc import Mapping

from tapemagic.formula import ONE, Call, Formula, Power, number, times
from tapemagic.tensors.algebra import (
    Label,
    contract,
    merged_into,
    plus,
    rearranged,
    scaled,
    unscaled,
)
from tapemagic.tensors.nodes import (
    PLACES,
    Contract,
    Function,
    Labels,
    Map,
    Node,
    Plus,
    Shape,
    argument,
    constant,
)
from tapemagic.tensors.whole import make, softmax

MINUS = number(-1)


def _without_shift(logits: Node) -> Node:
    """softmax(x − m) = softmax(x) for an m that is the same along the last axis."""
    if not isinstance(logits, Plus):
        return logits
    last = logits.rank - 1
    kept = [term for term in logits.terms if not _constant_along(term, last)]
    return plus(kept, logits.shape) if kept else logits


def _constant_along(node: Node, axis: int) -> bool:
    return isinstance(node, Contract) and not any(axis in labels for _, labels in node.factors)


def softmax_of(node: Node) -> Node | None:
    """exp(z) ∘ 1/Σ exp(z)"""
    assert isinstance(node, Contract)
    for place, (part, labels) in enumerate(node.factors):
        logits = argument(part, "exp")
        if logits is None or not labels:
            continue
        for other, (below, axes) in enumerate(node.factors):
            if other != place and axes == labels[:-1] and _sums_exp(below) == logits:
                whole = softmax(_without_shift(logits))
                return merged_into(node, (place, other), whole, labels)
            turned = _moved_last(labels, axes) if other != place else None
            if turned is not None and logits.rank == len(labels):
                order, moved = turned
                again = rearranged(logits, range(logits.rank), order, _shape(logits, order))
                if _sums_exp(below) == again:
                    whole = softmax(_without_shift(again))
                    return merged_into(node, (place, other), whole, moved)
    return None


def _moved_last(labels: Labels, axes: Labels) -> tuple[Labels, Labels] | None:
    """How to turn `labels` so that the one that `axes` lacks stands last."""
    missing = [k for k, label in enumerate(labels) if label not in axes]
    if len(missing) != 1 or missing[0] == len(labels) - 1 or len(axes) != len(labels) - 1:
        return None
    try:
        order = (*(labels.index(label) for label in axes), missing[0])
    except ValueError:
        return None
    return order, tuple(labels[k] for k in order)


def _shape(node: Node, order: Labels) -> Shape:
    return tuple(node.shape[k] for k in order)


def _sums_exp(node: Node) -> Node | None:
    """The z of (Σ exp z)⁻¹, summed over its last axis."""
    if not (isinstance(node, Map) and node.formula == Power(PLACES[0], MINUS)):
        return None
    return _sum_of_exp(node.operands[0][0])


def _sum_of_exp(node: Node) -> Node | None:
    if not isinstance(node, Contract) or node.coefficient != ONE or len(node.factors) != 1:
        return None
    part, labels = node.factors[0]
    logits = argument(part, "exp")
    if logits is None or len(node.summed) != 1 or len(labels) != node.rank + 1:
        return None
    order = tuple(labels.index(k) for k in (*range(node.rank), *node.summed))
    return rearranged(logits, range(logits.rank), order, _shape(logits, order))


def sums_to_one(node: Node) -> Node | None:
    """Σⱼ softmax(z)ⱼ = 1, where nothing else depends on j"""
    assert isinstance(node, Contract)
    for place, (part, labels) in enumerate(node.factors):
        if not (isinstance(part, Function) and part.function == "softmax"):
            continue
        last = labels[-1]
        if last >= node.rank and sum(ls.count(last) for _, ls in node.factors) == 1:
            sizes: dict[Label, int] = {k: n for k, n in node.sizes.items() if k != last}
            unit = constant(ONE, part.shape[:-1])
            factors = [f for k, f in enumerate(node.factors) if k != place]
            factors.insert(place, (unit, labels[:-1]))
            return contract(factors, tuple(range(node.rank)), sizes, node.coefficient)
    return None


def logsumexp_shifted(node: Node) -> Node | None:
    """logsumexp(x − m) + m = logsumexp(x)"""
    assert isinstance(node, Plus)
    for place, term in enumerate(node.terms):
        if not (isinstance(term, Function) and term.function == "logsumexp"):
            continue
        shifted, labels = _unturned(term.operands[0])
        if not isinstance(shifted, Plus):
            continue
        axes = tuple(range(node.rank))
        for other, shift in enumerate(node.terms):
            if other == place:
                continue
            spread = rearranged(shift, axes, labels, shifted.shape)
            if scaled(spread, MINUS) in shifted.terms:
                logits = plus([shifted, spread], shifted.shape)
                turned = rearranged(logits, labels, range(term.rank + 1), term.operands[0].shape)
                found = make("logsumexp", node.shape, turned)
                rest = [t for k, t in enumerate(node.terms) if k not in (place, other)]
                return plus([found, *rest], node.shape)
    return None


def _unturned(node: Node) -> tuple[Node, Labels]:
    """The X of Xᵀ, and where its axes stand in `node`."""
    if isinstance(node, Contract) and len(node.factors) == 1 and node.coefficient == ONE:
        part, labels = node.factors[0]
        if sorted(labels) == list(range(node.rank)):
            return part, labels
    return node, tuple(range(node.rank))


def log_softmax(node: Node) -> Node | None:
    """x − logsumexp(x) = log softmax(x)"""
    assert isinstance(node, Plus)
    present = set(node.terms)
    for other, rest in enumerate(node.terms):
        if not (isinstance(rest, Contract) and len(rest.factors) == 1 and not rest.summed):
            continue
        log, labels = rest.factors[0]
        if not (isinstance(log, Function) and log.function == "logsumexp"):
            continue
        (logits,) = log.operands
        subtracted = labels == tuple(range(node.rank - 1)) and times(-1) == rest.coefficient
        if subtracted and logits in present and logits.shape == node.shape:
            found = make("log_softmax", node.shape, logits)
            place = node.terms.index(logits)
            kept = [t for k, t in enumerate(node.terms) if k not in (place, other)]
            return plus([found, *kept], node.shape)
    return None


def softplus(node: Node) -> Node | None:
    """max(z, 0) + ln(1 + exp(−|z|)), as stable code for ln(1 + eᶻ) has it"""
    assert isinstance(node, Plus)
    for place, term in enumerate(node.terms):
        logits = _positive_part(term)
        if logits is None:
            continue
        for other, log in enumerate(node.terms):
            inner = argument(log, "log1p")
            exponent = None if inner is None else argument(inner, "exp")
            if exponent is not None and _is_minus_size(exponent, logits):
                axes = tuple(range(node.rank))
                found = Map(node.shape, Call("softplus", (PLACES[0],)), ((logits, axes),))
                kept = [t for k, t in enumerate(node.terms) if k not in (place, other)]
                return plus([found, *kept], node.shape)
    return None


def _positive_part(node: Node) -> Node | None:
    """The z of "z where z ≥ 0, else 0"."""
    chosen = _where_not_negative(node)
    return chosen[0] if chosen and chosen[1] == number(0) and chosen[0] == chosen[2] else None


def _is_minus_size(node: Node, logits: Node) -> bool:
    """ "−z where z ≥ 0, else z" """
    chosen = _where_not_negative(node)
    return bool(
        chosen
        and chosen[2] == logits
        and chosen[0] == scaled(logits, MINUS)
        and chosen[1] == logits
    )


def _where_not_negative(node: Node) -> tuple[Node, Node | Formula, Node] | None:
    """(a, b, z) of "a where z ≥ 0, else b"."""
    if not isinstance(node, Map):
        return None
    formula = node.formula
    every = tuple(range(node.rank))
    if not isinstance(formula, Call) or formula.function != "where":
        return None
    if any(labels != every for _, labels in node.operands):
        return None
    nodes: Mapping[Formula, Node] = {PLACES[k]: part for k, (part, _) in enumerate(node.operands)}
    condition, yes, no = (nodes.get(argument, argument) for argument in formula.arguments)
    tested = Call("greater_equal", (PLACES[0], number(0)))
    if not (isinstance(condition, Map) and condition.formula == tested) or not isinstance(
        yes, Node
    ):
        return None
    return yes, no, condition.operands[0][0]


def log_of_sum(node: Node) -> Node | None:
    """ln Σ exp(z) = logsumexp(z)"""
    inside = argument(node, "log")
    logits = _sum_of_exp(inside) if inside is not None else None
    return None if logits is None else make("logsumexp", node.shape, logits)


def log_of_softmax(node: Node) -> Node | None:
    inside = argument(node, "log")
    if isinstance(inside, Function) and inside.function == "softmax":
        return make("log_softmax", node.shape, inside.operands[0])
    return None


def sigmoid(node: Node) -> Node | None:
    """1/(1 + e⁻ᶻ) = σ(z)"""
    assert isinstance(node, Map)
    if node.formula != Power(PLACES[0], MINUS):
        return None
    below = node.operands[0][0]
    if not isinstance(below, Plus) or len(below.terms) != 2:
        return None
    for one, other in (below.terms, below.terms[::-1]):
        is_one = isinstance(one, Contract) and not one.factors and one.coefficient == ONE
        exponent = argument(other, "exp") if is_one else None
        if exponent is not None and unscaled(exponent)[0] == times(-1):
            axes = tuple(range(node.rank))
            logits = scaled(exponent, MINUS)
            return Map(node.shape, Call("sigmoid", (PLACES[0],)), ((logits, axes),))
    return None
