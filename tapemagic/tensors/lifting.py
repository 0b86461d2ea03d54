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
from tapemagic.tensors import moving, whole, windows
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
    Function,
    Node,
    Shape,
    Structure,
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
        return (whole.make(name, shape[: len(rest)], turned, parameters=(len(own),)),)

    return rule


def _last_axis(name: str) -> Rule:
    def rule(context: Context) -> Sequence[Node]:
        (operand,) = context.inputs
        if operand.shape[-1] == 1:
            raise NotLiftable(f"{context.kind} of one entry")
        return (whole.make(name, core(operand.shape), operand.node),)

    return rule


def _cross_entropy(context: Context) -> Sequence[Node]:
    logits, labels = context.inputs
    if logits.shape[-1] == 1 or labels.shape != logits.shape:
        raise NotLiftable(f"{context.kind} with labels that broadcast")
    return _with_gap(context, logits.node, labels.node)


def _sparse_cross_entropy(context: Context) -> Sequence[Node]:
    logits, places = context.inputs
    classes = logits.shape[-1]
    if classes == 1 or len(logits.shape) != 2:
        raise NotLiftable(f"{context.kind} of these shapes")
    hot = Structure(
        (len(places.numbers), classes), "one_hot", (tuple(places.numbers),), places.name
    )
    labels = hot
    if logits.shape[0] == 1:
        labels = Structure((classes,), "unit", (places.number,))
    return _with_gap(context, logits.node, labels)


def _with_gap(context: Context, logits: Node, labels: Node) -> Sequence[Node]:
    """The loss, and softmax − labels, which TensorFlow keeps for the way back."""
    loss = whole.make("cross_entropy", core(context.outputs[0]), logits, labels)
    gap = plus([whole.softmax(logits), scaled(labels, MINUS)], logits.shape)
    return (loss, gap)


def _square(operand: Operand) -> None:
    if 1 in operand.shape[-2:]:
        raise NotLiftable("a matrix of one row or column")


def _inverse(context: Context) -> Sequence[Node]:
    return (_inverted(context.inputs[0], bool(context.attributes.get("adjoint"))),)


def _inverted(operand: Operand, adjoint: bool) -> Node:
    _square(operand)
    node = whole.inverse(operand.node)
    rank = node.rank
    turned = (*range(rank - 2), rank - 1, rank - 2)
    return rearranged(node, turned, range(rank), node.shape) if adjoint else node


def _solve(context: Context) -> Sequence[Node]:
    matrix, right = context.inputs
    return (
        _solved(context, matrix, _inverted(matrix, bool(context.attributes.get("adjoint"))), right),
    )


def _triangular_solve(context: Context) -> Sequence[Node]:
    matrix, right = context.inputs
    _square(matrix)
    lower = bool(context.attributes.get("lower", True))
    node, rank = matrix.node, matrix.node.rank
    if not (isinstance(node, Function) and node.function == "cholesky" and lower):
        size = matrix.shape[-1]
        mask = Structure((size, size), "triangle", (lower, 0, False))
        axes = tuple(range(rank))
        node = contract([(mask, axes[-2:]), (node, axes)], axes, {})
    part = Operand(matrix.shape, lambda: node)
    inverted = _inverted(part, bool(context.attributes.get("adjoint")))
    return (_solved(context, matrix, inverted, right),)


def _solved(context: Context, matrix: Operand, inverted: Node, right: Operand) -> Node:
    rank = len(context.output)
    left = Operand(matrix.shape, lambda: inverted)
    factors = [
        _factor(left, [*_batch(matrix, rank), rank - 2, rank]),
        _factor(right, [*_batch(right, rank), rank, rank - 1]),
    ]
    return _contracted(factors, context.output)


def _of_matrix(name: str) -> Rule:
    def rule(context: Context) -> Sequence[Node | None]:
        (operand,) = context.inputs
        _square(operand)
        batch = core(operand.shape[:-2])
        shape = core(operand.shape) if name == "cholesky" else batch
        made = whole.make(name, shape, operand.node)
        return (None, made) if name == "logdet" else (made,)

    return rule


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
    "Softmax": _last_axis("softmax"),
    "LogSoftmax": _last_axis("log_softmax"),
    "SoftmaxCrossEntropyWithLogits": _cross_entropy,
    "SparseSoftmaxCrossEntropyWithLogits": _sparse_cross_entropy,
    "MatrixInverse": _inverse,
    "MatrixSolve": _solve,
    "MatrixTriangularSolve": _triangular_solve,
    "MatrixDeterminant": _of_matrix("det"),
    "LogMatrixDeterminant": _of_matrix("logdet"),
    "Cholesky": _of_matrix("cholesky"),
    **moving.ROWS,
    **windows.ROWS,
}
