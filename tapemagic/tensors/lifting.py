"""From TensorFlow's operations to tensor expressions: arithmetic, products, sums, functions.

One row an op type. Elementwise ops need none: the table of rules gives their formula, which
is taken entry by entry. Operations that move entries about are in `moving`, those with windows
in `windows`.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from tapemagic import rules
from tapemagic.formula import ONE, Formula, Symbol, call, number
from tapemagic.tensors import (
    cumulating,
    decompositions,
    diagonals,
    grouping,
    images,
    joining,
    moving,
    normalising,
    pooling,
    scattering,
    slicing,
    whole,
    windows,
)
from tapemagic.tensors.algebra import (
    Factor,
    contract,
    mapped,
    plus,
    rearranged,
    scaled,
    to_power,
)
from tapemagic.tensors.nodes import (
    PLACES,
    Array,
    Node,
    Shape,
    constant,
    core,
)
from tapemagic.tensors.operand import Context, NotLiftable, Operand, Rule, kept, text

MINUS = number(-1)


def lifted(context: Context) -> Sequence[Node | None]:
    """The outputs as tensor expressions (None for one that has none).

    Raises `NotLiftable` with the reason, in plain words.
    """
    rule = ROWS.get(context.kind)
    if rule is not None:
        return rule(context)
    row = rules.row(context.kind)
    if row is None or not row.elementwise:
        raise NotLiftable(f"{context.kind} has no rule for whole tensors")
    return (_elementwise(context, row),)


def _elementwise(context: Context, row: rules.Row) -> Node:
    rank = len(context.output)
    places: list[Array] = []
    operands: list[Factor] = []
    for operand in context.inputs:
        place: Symbol = PLACES[len(places)]
        places.append(np.array(place, dtype=object))
        ahead = rank - len(operand.shape)
        operands.append((operand.node, tuple(axis + ahead for axis in operand.axes)))
        if len(places) == len(PLACES) and len(context.inputs) > len(PLACES):
            raise NotLiftable(f"{context.kind} of so many inputs")
    try:
        (formula,) = row.apply(places, context.attributes)
    except rules.NotSymbolic as error:
        raise NotLiftable(str(error)) from error
    entry: Formula = rules.as_formulas(np.asarray(formula)).item()
    return mapped(entry, operands, kept(context.output), core(context.output))


# -- products and sums --------------------------------------------------------------------------


def _matmul(first: str, second: str) -> Rule:
    def rule(context: Context) -> Sequence[Node]:
        a, b = context.inputs
        rank = len(context.output)
        row, inner, column = rank - 2, rank, rank - 1
        left = [
            *_batch(a, rank),
            *((inner, row) if context.attributes.get(first) else (row, inner)),
        ]
        right = [
            *_batch(b, rank),
            *((column, inner) if context.attributes.get(second) else (inner, column)),
        ]
        factors = [_factor(a, left), _factor(b, right)]
        return (_contracted(factors, context.output),)

    return rule


def _batch(operand: Operand, rank: int) -> list[int]:
    count = len(operand.shape) - 2
    return list(range(rank - 2 - count, rank - 2))


def _factor(operand: Operand, labels: Sequence[object]) -> Factor:
    """The operand with a label for each of its axes, those of one entry left out."""
    return operand.node, tuple(labels[axis] for axis in operand.axes)


def _contracted(factors: Sequence[Factor], shape: Shape, coefficient: Formula = ONE) -> Node:
    out = kept(shape)
    return contract(factors, out, {axis: shape[axis] for axis in out}, coefficient)


def _einsum(context: Context) -> Sequence[Node]:
    equation = text(context.attributes["equation"]).replace(" ", "")
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if not arrow:
        once = sorted(k for k in set(left) if k.isalpha() and left.count(k) == 1)
        right = ("..." if "..." in left else "") + "".join(once)
    missing = [len(o.shape) - len(t.replace("...", "")) for o, t in zip(context.inputs, terms)]
    widest = max([m for m, t in zip(missing, terms) if "..." in t], default=0)
    spread = [("…", place) for place in range(widest)]

    def labels(term: str, own: int) -> list[object]:
        before, dots, after = term.partition("...")
        return [*before, *(spread[widest - own :] if dots else ()), *after]

    factors = [_factor(o, labels(t, m)) for o, t, m in zip(context.inputs, terms, missing)]
    out = labels(right, widest)
    sizes = {label: size for label, size in zip(out, context.output) if size != 1}
    return (contract(factors, tuple(sizes), sizes),)


def _reduced_axes(context: Context) -> tuple[Operand, set[int]]:
    operand, axes = context.inputs[:2]
    rank = len(operand.shape)
    return operand, {axis % rank for axis in axes.numbers} if rank else set()


def _sum(mean: bool) -> Rule:
    def rule(context: Context) -> Sequence[Node]:
        operand, axes = _reduced_axes(context)
        out = tuple(axis for axis in operand.axes if axis not in axes)
        count = int(np.prod([operand.shape[axis] for axis in axes], dtype=np.int64))
        coefficient = number(Fraction(1, count)) if mean and count else ONE
        return (contract([(operand.node, operand.axes)], out, {}, coefficient),)

    return rule


def _bias_add(context: Context) -> Sequence[Node]:
    operand, bias = context.inputs
    channel = _channel(context, len(context.output))
    factors = (operand.node, operand.axes), (bias.node, (channel,) if bias.axes else ())
    out, shape = kept(context.output), core(context.output)
    return (plus([rearranged(node, labels, out, shape) for node, labels in factors], shape),)


def _bias_add_grad(context: Context) -> Sequence[Node]:
    (operand,) = context.inputs
    channel = _channel(context, len(operand.shape))
    out = (channel,) if operand.shape[channel] != 1 else ()
    return (contract([(operand.node, operand.axes)], out, {}),)


def _channel(context: Context, rank: int) -> int:
    return 1 if text(context.attributes.get("data_format", "")).startswith("NC") else rank - 1


def _add_n(context: Context) -> Sequence[Node]:
    return (plus([operand.node for operand in context.inputs], core(context.output)),)


def _l2_loss(context: Context) -> Sequence[Node]:
    (operand,) = context.inputs
    square = to_power(operand.node, number(2))
    return (contract([(square, operand.axes)], (), {}, number(Fraction(1, 2))),)


def _norm(context: Context) -> Sequence[Node]:
    operand, axes = _reduced_axes(context)
    out = tuple(axis for axis in operand.axes if axis not in axes)
    total = contract([(to_power(operand.node, number(2)), operand.axes)], out, {})
    return (to_power(total, number(Fraction(1, 2))),)


# -- functions of whole tensors -----------------------------------------------------------------


def _extreme(name: str) -> Rule:
    def rule(context: Context) -> Sequence[Node]:
        operand, axes = _reduced_axes(context)
        rest = tuple(axis for axis in operand.axes if axis not in axes)
        own = tuple(axis for axis in operand.axes if axis in axes)
        shape = tuple(operand.shape[axis] for axis in (*rest, *own))
        turned = rearranged(operand.node, operand.axes, (*rest, *own), shape)
        if not own:
            return (turned,)
        if name == "prod":
            return (whole.product(turned, len(own), operand.has_zero),)
        return (whole.make(name, shape[: len(rest)], turned, parameters=(len(own),)),)

    return rule


def _last_axis(name: str, of_one: int) -> Rule:
    def rule(context: Context) -> Sequence[Node]:
        (operand,) = context.inputs
        if operand.shape[-1] == 1:
            return (constant(number(of_one), core(operand.shape)),)
        return (whole.make(name, core(operand.shape), operand.node),)

    return rule


def _cross_entropy(context: Context) -> Sequence[Node]:
    logits, labels = context.inputs
    if logits.shape[-1] == 1:
        raise NotLiftable(f"{context.kind} of one class")
    shape = context.outputs[1]
    out, sizes = kept(shape), core(shape)
    wide = [
        rearranged(o.node, [a + len(shape) - len(o.shape) for a in o.axes], out, sizes)
        for o in (logits, labels)
    ]
    return _with_gap(context, *wide)


def _sparse_cross_entropy(context: Context) -> Sequence[Node]:
    logits, places = context.inputs
    rows, classes = logits.shape
    if classes == 1:
        raise NotLiftable(f"{context.kind} of one class")
    hot = scattering.hot(np.asarray(places.numbers), classes, ["row"], "class", places.name)
    out = ["row", "class"] if rows > 1 else ["class"]
    sizes = {"row": rows, "class": classes}
    labels = contract(hot, out, {k: sizes[k] for k in out})
    return _with_gap(context, logits.node, labels)


def _with_gap(context: Context, logits: Node, labels: Node) -> Sequence[Node]:
    """The loss, and softmax − labels, which TensorFlow keeps for the way back."""
    loss = whole.make("cross_entropy", core(context.outputs[0]), logits, labels)
    gap = plus([whole.softmax(logits), scaled(labels, MINUS)], logits.shape)
    return (loss, gap)


def _like(value: int) -> Rule:
    return lambda context: (constant(number(value), core(context.output)),)


def _select(context: Context) -> Sequence[Node]:
    """The first version: a condition of one axis chooses whole rows."""
    condition, yes, no = context.inputs
    ahead = 0 if len(condition.shape) == 1 else len(context.output) - len(condition.shape)
    labels = tuple(axis + ahead for axis in condition.axes)
    operands = [(condition.node, labels), (yes.node, yes.axes), (no.node, no.axes)]
    formula = call("where", *PLACES[:3])
    return (mapped(formula, operands, kept(context.output), core(context.output)),)


ROWS: dict[str, Rule] = {
    "Select": _select,
    "MatMul": _matmul("transpose_a", "transpose_b"),
    "BatchMatMul": _matmul("adj_x", "adj_y"),
    "BatchMatMulV2": _matmul("adj_x", "adj_y"),
    "BatchMatMulV3": _matmul("adj_x", "adj_y"),
    "Einsum": _einsum,
    "Sum": _sum(mean=False),
    "Mean": _sum(mean=True),
    "Max": _extreme("max"),
    "Min": _extreme("min"),
    "Prod": _extreme("prod"),
    "EuclideanNorm": _norm,
    "L2Loss": _l2_loss,
    "BiasAdd": _bias_add,
    "BiasAddV1": _bias_add,
    "BiasAddGrad": _bias_add_grad,
    "AddN": _add_n,
    "OnesLike": _like(1),
    "ZerosLike": _like(0),
    "Softmax": _last_axis("softmax", 1),
    "LogSoftmax": _last_axis("log_softmax", 0),
    "SoftmaxCrossEntropyWithLogits": _cross_entropy,
    "SparseSoftmaxCrossEntropyWithLogits": _sparse_cross_entropy,
    **decompositions.ROWS,
    **moving.ROWS,
    **slicing.ROWS,
    **joining.ROWS,
    **cumulating.ROWS,
    **scattering.ROWS,
    **grouping.ROWS,
    **diagonals.ROWS,
    **windows.ROWS,
    **pooling.ROWS,
    **images.ROWS,
    **normalising.ROWS,
}
