"""Running sums and products, and the largest entries.

What comes before each entry is a triangle of ones; the rest counts as the neutral element.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tapemagic.formula import ONE, ZERO, Formula, call, number
from tapemagic.tensors import whole
from tapemagic.tensors.algebra import applied, contract, rearranged, reshaped
from tapemagic.tensors.nodes import (
    PLACES,
    Function,
    Labels,
    Map,
    Node,
    Structure,
    constant,
    core,
)
from tapemagic.tensors.operand import Context, Rule
from tapemagic.tensors.slicing import taken


def _cumulative(context: Context) -> Sequence[Node]:
    operand = context.inputs[0]
    triangle, along = _before(context)
    if triangle is None:
        late = context.attributes.get("exclusive")
        return (constant(ZERO, core(operand.shape)) if late else operand.node,)
    places = [triangle if a == along else None for a in range(len(operand.shape))]
    return (taken(operand.node, operand.shape, places),)


def _before(context: Context) -> tuple[Structure | None, int]:
    """[i, j] = 1 where j comes before i (or is i): what a running sum adds up."""
    operand, axis = context.inputs
    along = axis.number % len(operand.shape)
    size = operand.shape[along]
    late = -1 if context.attributes.get("exclusive") else 0
    reverse = bool(context.attributes.get("reverse"))
    triangle = Structure((size, size), "triangle", (not reverse, late, False))
    return (triangle if size > 1 else None), along


def _running(name: str, neutral: Formula) -> Rule:
    """Over what comes before each entry; the rest counts as the neutral element."""

    def rule(context: Context) -> Sequence[Node]:
        operand = context.inputs[0]
        triangle, along = _before(context)
        late = context.attributes.get("exclusive")
        if triangle is None:
            return (constant(neutral, core(operand.shape)) if late else operand.node,)
        axes = operand.axes
        out = ["new" if a == along else a for a in axes] + [along]
        shape = (*core(operand.shape), operand.shape[along])
        before = contract([(triangle, ("new", along))], out, dict(zip(out, shape)))
        spread = rearranged(operand.node, axes, out, shape)
        chosen = applied(call("where", PLACES[0], PLACES[1], neutral), [before, spread], shape)
        if name == "prod":
            return (whole.product(chosen, 1, operand.has_zero),)
        return (whole.make(name, shape[:-1], chosen),)

    return rule


def chosen_part(node: Function) -> tuple[tuple[Structure, Labels], tuple[Node, Labels]] | None:
    """The condition c and the x, with their axes, of a fold over "x where c, else nothing"."""
    neutral, operand = _NEUTRAL.get(node.function), node.operands[0]
    if neutral is None or not isinstance(operand, Map) or len(operand.operands) != 2:
        return None
    (condition, axes), taken_ = operand.operands
    if operand.formula != call("where", PLACES[0], PLACES[1], neutral):
        return None
    return ((condition, axes), taken_) if isinstance(condition, Structure) else None


_NEUTRAL = dict.fromkeys(("max", "first_largest"), number(-math.inf))
_NEUTRAL |= {"min": number(math.inf), "prod": ONE, "prod_with_zero": ONE}


def _top(context: Context) -> Sequence[Node | None]:
    """The largest entries: a matrix of ones and zeros, itself a function of x, picks them."""
    operand = context.inputs[0]
    count, size = context.outputs[0][-1], operand.shape[-1]
    if size == 1:
        return (operand.node, None)
    axes = operand.axes
    node, rank = operand.node, operand.node.rank
    batch = node.shape[:-1]
    picks: Node = Function((*batch, count, size), "topk", (node,), (count,))
    labels = (*axes[:-1], "k", axes[-1])
    if count == 1:
        picks = reshaped(Function((*batch, size), "topk", (node,), (count,)), (*batch, size))
        labels = (*axes[:-1], axes[-1])
    out = tuple(label for label in labels if label != axes[-1])
    assert rank == len(axes)
    return (contract([(picks, labels), (node, axes)], out, {}), None)


ROWS: dict[str, Rule] = {
    "Cumsum": _cumulative,
    "Cumprod": _running("prod", ONE),
    "CumulativeLogsumexp": _running("logsumexp", number(-math.inf)),
    "TopKV2": _top,
}
