"""Gathers, scatters and groups: contractions with matrices whose rows have a single 1.

[k, n] = 1 where n is the k-th place: summing over n gathers, summing over k scatters and adds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from tapemagic.formula import ZERO, Name, number
from tapemagic.tensors.algebra import Factor, Label, contract, plus, scaled
from tapemagic.tensors.nodes import Array, Node, Shape, Structure, constant, core
from tapemagic.tensors.operand import Context, NotLiftable, Operand, Rule
from tapemagic.tensors.structures import given


def places_of(operand: Operand) -> Array:
    """Recorded integers in their shape."""
    return np.asarray(operand.numbers, dtype=np.int64).reshape(operand.shape)


def hot(
    places: Array, size: int, new: Sequence[Label], old: Label, name: Name | None = None
) -> list[Factor]:
    """The factor that is 1 where `old` (an axis of `size` entries) is at the place that the
    labels `new` say; a place outside is nowhere. Axes of one entry have no label."""
    shape = core(places.shape)
    labels = [label for label, count in zip(new, places.shape) if count != 1]
    flat = tuple(int(place) for place in places.ravel())
    if size == 1:
        inside = (places.reshape(shape) == 0).astype(float)
        if inside.all():
            return []
        return [(given(inside, "inside"), labels)]
    if not shape:
        if not 0 <= flat[0] < size:
            return [(constant(ZERO, (size,)), [old])]
        return [(Structure((size,), "unit", flat), [old])]
    window = _window(places.reshape(shape)) if name is None and len(shape) == 2 else None
    if window is not None:
        rows, columns = shape
        return [(Structure((rows, size, columns), "window", window), [labels[0], old, labels[1]])]
    return [(Structure((*shape, size), "one_hot", (flat,), name), [*labels, old])]


def _window(places: Array) -> tuple[int, int, int] | None:
    """Stride, dilation and padding, if the places are those under a window that moves along."""
    start, stride, dilation = places[0, 0], places[1, 0] - places[0, 0], places[0, 1] - places[0, 0]
    i, p = np.ogrid[: places.shape[0], : places.shape[1]]
    if stride < 1 or dilation < 1 or np.any(places != start + i * stride + p * dilation):
        return None
    return int(stride), int(dilation), -int(start)


def named(shape: Shape, mark: str) -> list[Label]:
    """A label for each axis."""
    return [(mark, axis) for axis in range(len(shape))]


def labelled(operand: Operand, labels: Sequence[Label]) -> Factor:
    """The operand with a label for each of its axes, those of one entry left out."""
    return operand.node, [labels[axis] for axis in operand.axes]


def over(factors: Iterable[Factor], labels: Sequence[Label], shape: Shape) -> Node:
    """The contraction with these labels as axes, in that shape."""
    sizes = {label: size for label, size in zip(labels, shape) if size != 1}
    return contract(factors, tuple(sizes), sizes)


def gather(context: Context) -> Sequence[Node]:
    """Entries along an axis, at the places of the batch or of all."""
    operand, indices = context.inputs[:2]
    axis = context.inputs[2].number if len(context.inputs) > 2 else 0
    axis %= max(1, len(operand.shape))
    batch = int(context.attributes.get("batch_dims") or 0) % max(1, len(indices.shape) + 1)
    old, own = named(operand.shape, "x"), named(indices.shape, "i")
    own[:batch] = old[:batch]
    factors = hot(places_of(indices), operand.shape[axis], own, old[axis], indices.name)
    out = [*old[:axis], *own[batch:], *old[axis + 1 :]]
    return (over([*factors, labelled(operand, old)][::-1], out, context.output),)


def _resource_gather(context: Context) -> Sequence[Node]:
    return gather(Context("GatherV2", context.inputs[:2], context.attributes, context.outputs))


def _gather_nd(context: Context) -> Sequence[Node]:
    operand, indices = context.inputs
    old = named(operand.shape, "x")
    places, own, factors = _columns(operand.shape, indices, old)
    out = [*own, *old[len(places) :]]
    return (over([labelled(operand, old), *factors], out, context.output),)


def _columns(
    shape: Shape, indices: Operand, old: Sequence[Label]
) -> tuple[list[Array], list[Label], list[Factor]]:
    """Rows of places along the first axes of a tensor: each column with its factor."""
    rows = places_of(indices)
    depth = rows.shape[-1]
    own = named(rows.shape[:-1], "i")
    columns = [rows[..., k] for k in range(depth)]
    name = indices.name if depth == 1 and 1 in rows.shape[-1:] else None
    factors: list[Factor] = []
    for column, size, label in zip(columns, shape, old):
        factors += hot(column, size, own, label, name)
    return columns, own, factors


def _scattered(shape: Shape, indices: Operand, updates: Operand) -> Node:
    old = named(shape, "x")
    columns, own, factors = _columns(shape, indices, old)
    labels = [*own, *old[len(columns) :]]
    return over([*factors, labelled(updates, labels)], old, shape)


def _scatter_nd(context: Context) -> Sequence[Node]:
    indices, updates = context.inputs[:2]
    return (_scattered(context.output, indices, updates),)


def _tensor_scatter(sign: int) -> Rule:
    def rule(context: Context) -> Sequence[Node]:
        operand, indices, updates = context.inputs
        put = _scattered(operand.shape, indices, updates)
        return (plus([operand.node, scaled(put, number(sign))], core(operand.shape)),)

    return rule


def _tensor_update(context: Context) -> Sequence[Node]:
    operand, indices, updates = context.inputs
    shape = operand.shape
    rows = places_of(indices).reshape(-1, indices.shape[-1])
    if len(np.unique(rows, axis=0)) < len(rows):
        raise NotLiftable("two updates of one place")
    keep = np.ones(shape[: rows.shape[1]])
    keep[tuple(rows.T)] = 0
    old = named(shape, "x")
    mask = given(keep.reshape(core(keep.shape)), "rest")
    labels = [label for label, size in zip(old, keep.shape) if size != 1]
    rest = over([(mask, labels), labelled(operand, old)], old, shape)
    return (plus([rest, _scattered(shape, indices, updates)], core(shape)),)


def _stitch(context: Context) -> Sequence[Node]:
    half = len(context.inputs) // 2
    indices, parts = context.inputs[:half], context.inputs[half:]
    every = np.concatenate([places_of(i).ravel() for i in indices])
    if len(np.unique(every)) < len(every):
        raise NotLiftable("two parts for one place")
    terms = []
    for places, part in zip(indices, parts):
        old = named(context.output, "x")
        own = named(places.shape, "i")
        factors = hot(places_of(places), context.output[0], own, old[0])
        terms.append(over([*factors, labelled(part, [*own, *old[1:]])], old, context.output))
    return (plus(terms, core(context.output)),)


def _partition(context: Context) -> Sequence[Node]:
    operand, partitions = context.inputs
    which = places_of(partitions)
    count = which.ndim
    found: list[Node] = []
    for number_of, shape in enumerate(context.outputs):
        rows = np.argwhere(which == number_of)
        if not len(rows):
            found.append(constant(ZERO, core(shape)))
            continue
        old = named(operand.shape, "x")
        factors: list[Factor] = []
        for column, size, label in zip(rows.T, operand.shape, old):
            factors += hot(column, size, ["row"], label)
        out = ["row", *old[count:]]
        found.append(over([labelled(operand, old), *factors], out, shape))
    return found


def _sparse_product(context: Context) -> Sequence[Node]:
    """A matrix given by its entries that are not 0, times a matrix."""
    indices, values, _, right = context.inputs
    if context.inputs[2].data is None:
        raise NotLiftable("a sparse matrix of an unrecorded shape")
    shape = context.inputs[2].numbers
    rows, columns = places_of(indices).T
    if context.attributes.get("adjoint_a"):
        rows, columns, shape = columns, rows, shape[::-1]
    inner, outer = ("column", "out")
    if context.attributes.get("adjoint_b"):
        inner, outer = outer, inner
    factors = [
        *hot(rows, shape[0], ["entry"], "row"),
        labelled(values, ["entry"]),
        *hot(columns, shape[1], ["entry"], "column"),
        labelled(right, ["column", "out"] if inner == "column" else ["out", "column"]),
    ]
    return (over(factors, ["row", "out"], context.output),)


def _reverse_sequence(context: Context) -> Sequence[Node]:
    operand, lengths = context.inputs
    along = int(context.attributes["seq_dim"])
    batch = int(context.attributes.get("batch_dim") or 0)
    size = operand.shape[along]
    places = np.tile(np.arange(size), (operand.shape[batch], 1))
    for row, length in zip(places, lengths.numbers):
        row[:length] = row[:length][::-1]
    old = named(operand.shape, "x")
    factors = hot(places, size, [old[batch], "new"], old[along])
    out = ["new" if axis == along else label for axis, label in enumerate(old)]
    return (over([labelled(operand, old), *factors], out, context.output),)


ROWS: dict[str, Rule] = {
    "GatherV2": gather,
    "Gather": gather,
    "ResourceGather": _resource_gather,
    "GatherNd": _gather_nd,
    "ResourceGatherNd": _gather_nd,
    "ScatterNd": _scatter_nd,
    "TensorScatterAdd": _tensor_scatter(1),
    "TensorScatterSub": _tensor_scatter(-1),
    "ScatterNdNonAliasingAdd": _tensor_scatter(1),
    "TensorScatterUpdate": _tensor_update,
    "DynamicStitch": _stitch,
    "ParallelDynamicStitch": _stitch,
    "DynamicPartition": _partition,
    "ReverseSequence": _reverse_sequence,
    "SparseTensorDenseMatMul": _sparse_product,
}
