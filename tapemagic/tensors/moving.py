"""Operations that move entries about: reshapes, slices, gathers, concatenations, diagonals.

A part of a tensor is a contraction with a constant structure (`x[2:5]` is E x, where row i of
E has its 1 at i + 2), so that its pullback, which puts the part back in its place, is Eᵀ.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tapemagic.formula import ZERO
from tapemagic.tensors.algebra import contract, fresh, plus, rearranged, reshaped
from tapemagic.tensors.nodes import Function, Node, Shape, Structure, constant, core
from tapemagic.tensors.operand import Context, NotLiftable, Operand, Rule, kept


def _same(context: Context) -> Sequence[Node]:
    """Only axes of size 1 come or go, or the order of the entries stays."""
    return (reshaped(context.inputs[0].node, core(context.output)),)


def _transpose(context: Context) -> Sequence[Node]:
    operand, order = context.inputs
    labels = operand.axes
    out = tuple(axis for axis in order.numbers if axis in labels)
    return (rearranged(operand.node, labels, out, core(context.output)),)


def _broadcast(context: Context) -> Sequence[Node]:
    operand, shape = context.inputs[0], context.output
    ahead = len(shape) - len(operand.shape)
    labels = tuple(axis + ahead for axis in operand.axes)
    return (rearranged(operand.node, labels, kept(shape), core(shape)),)


def taken(node: Node, shape: Shape, places: Sequence[Structure | int | None]) -> Node:
    """Along each axis of `shape`: the whole of it (None), one entry (an integer), or what a
    structure [new, old] picks. Axes of one entry only take None or 0."""
    axes = kept(shape)
    labels: dict[int, object] = dict(zip(axes, fresh(len(axes))))
    factors: list[tuple[Node, Sequence[object]]] = [(node, tuple(labels[a] for a in axes))]
    out: list[object] = []
    sizes: dict[object, int] = {}
    for axis, place in enumerate(places):
        if isinstance(place, int):
            if axis in labels:
                unit = Structure((shape[axis],), "unit", (place,))
                factors.append((unit, (labels[axis],)))
        elif place is None:
            out += [labels[axis]] if axis in labels else []
        else:
            (new,) = fresh(1)
            if axis in labels:
                factors.append((place, (new, labels[axis])))
            out.append(new)
            sizes[new] = place.shape[0]
    return contract(factors, out, sizes)


def _part(start: int, step: int, count: int, size: int) -> Structure | int | None:
    """Entries start, start + step … along an axis."""
    if count == size and step == 1:
        return None
    if count == 1:
        return start
    return Structure((count, size), "strided", (start, step))


def _slice(context: Context) -> Sequence[Node]:
    operand, begin, _ = context.inputs
    starts = begin.numbers
    places = [
        _part(starts[axis], 1, size, operand.shape[axis])
        for axis, size in enumerate(context.output)
    ]
    return (taken(operand.node, operand.shape, places),)


def _strided_slice(context: Context) -> Sequence[Node]:
    operand = context.inputs[0]
    begin, end, step = (o.numbers for o in context.inputs[1:4])
    masks = {
        name: int(context.attributes.get(f"{name}_mask") or 0)
        for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    index: list[object] = []
    for place in range(len(begin)):
        bit = 1 << place
        if masks["ellipsis"] & bit:
            index.append(Ellipsis)
        elif masks["new_axis"] & bit:
            index.append(None)
        elif masks["shrink_axis"] & bit:
            index.append(begin[place])
        else:
            first = None if masks["begin"] & bit else begin[place]
            last = None if masks["end"] & bit else end[place]
            index.append(slice(first, last, step[place]))
    places = [_indexed(i, size) for i, size in _spread(index, operand.shape)]
    return (taken(operand.node, operand.shape, places),)


def _spread(index: Sequence[object], shape: Shape) -> list[tuple[object, int]]:
    """An index for each axis of the operand, new axes left out."""
    own = [i for i in index if i is not None]
    missing = len(shape) - sum(1 for i in own if i is not Ellipsis)
    full: list[object] = []
    for i in own:
        full += [slice(None)] * missing if i is Ellipsis else [i]
    full += [slice(None)] * (len(shape) - len(full))
    return list(zip(full, shape))


def _indexed(index: object, size: int) -> Structure | int | None:
    if isinstance(index, int):
        return index % size
    assert isinstance(index, slice)
    start, stop, step = index.indices(size)
    return _part(start, step, len(range(start, stop, step)), size)


def _gather(context: Context) -> Sequence[Node]:
    operand, indices = context.inputs[:2]
    axis = context.inputs[2].number if len(context.inputs) > 2 else 0
    axis %= max(1, len(operand.shape))
    if context.attributes.get("batch_dims"):
        raise NotLiftable("a gather with batch axes")
    places = indices.numbers
    size = operand.shape[axis]
    picked: Structure | int | None
    if len(places) == 1:
        picked = places[0]
    elif size == 1:
        picked = None
    else:
        picked = Structure((len(places), size), "one_hot", (tuple(places),), indices.name)
    per_axis: list[Structure | int | None] = [None] * len(operand.shape)
    per_axis[axis] = picked
    if size == 1 and len(places) > 1:
        raise NotLiftable("a gather from an axis of one entry")
    return (reshaped(taken(operand.node, operand.shape, per_axis), core(context.output)),)


def _resource_gather(context: Context) -> Sequence[Node]:
    return _gather(Context("GatherV2", context.inputs[:2], {}, context.outputs))


def _gather_nd(context: Context) -> Sequence[Node]:
    operand, indices = context.inputs
    depth = indices.shape[-1]
    if depth == 1:
        flat = Operand((len(indices.numbers),), indices.make, indices.data, indices.name)
        return _gather(Context("GatherV2", (operand, flat), {}, context.outputs))
    if depth != len(operand.shape) or 1 in operand.shape:
        raise NotLiftable("a gather of parts of several axes")
    rows = np.asarray(indices.numbers).reshape(-1, depth)
    if len(rows) == 1:
        return (taken(operand.node, operand.shape, [int(i) for i in rows[0]]),)
    (new,), labels = fresh(1), fresh(depth)
    hots = [
        Structure((len(rows), size), "one_hot", (tuple(int(i) for i in column),))
        for size, column in zip(operand.shape, rows.T)
    ]
    factors = [(operand.node, labels), *((hot, (new, k)) for hot, k in zip(hots, labels))]
    return (reshaped(contract(factors, (new,), {}), core(context.output)),)


def _placed(node: Node, shape: Shape, axis: int, start: int, size: int) -> Node:
    """`node` of that shape put at `start` along an axis of that size, zeros around it."""
    axes = kept(shape)
    labels: dict[int, object] = dict(zip(axes, fresh(len(axes))))
    factors: list[tuple[Node, Sequence[object]]] = [(node, tuple(labels[a] for a in axes))]
    if size == shape[axis]:
        return node
    (new,) = fresh(1)
    if shape[axis] == 1:
        factors.append((Structure((size,), "unit", (start,)), (new,)))
    else:
        back = Structure((shape[axis], size), "strided", (start, 1))
        factors.append((back, (labels[axis], new)))
    out = [new if a == axis else labels[a] for a in range(len(shape)) if a == axis or a in labels]
    return contract(factors, out, {})


def _concat(context: Context) -> Sequence[Node]:
    if context.kind == "Concat":
        axis, parts = context.inputs[0], context.inputs[1:]
    else:
        axis, parts = context.inputs[-1], context.inputs[:-1]
    return (_joined([(p.node, p.shape) for p in parts], axis.number, context.output),)


def _joined(parts: Sequence[tuple[Node, Shape]], axis: int, shape: Shape) -> Node:
    axis %= len(shape)
    terms, start = [], 0
    for node, own in parts:
        if own[axis]:
            terms.append(_placed(node, own, axis, start, shape[axis]))
        start += own[axis]
    return plus(terms, core(shape))


def _pack(context: Context) -> Sequence[Node]:
    axis = int(context.attributes.get("axis") or 0) % len(context.output)
    shape = tuple(1 if a == axis else size for a, size in enumerate(context.output))
    return (_joined([(p.node, shape) for p in context.inputs], axis, context.output),)


def _unpack(context: Context) -> Sequence[Node]:
    (operand,) = context.inputs
    axis = int(context.attributes.get("axis") or 0) % len(operand.shape)
    return [
        taken(
            operand.node,
            operand.shape,
            [k if a == axis else None for a in range(len(operand.shape))],
        )
        for k in range(operand.shape[axis])
    ]


def _split(context: Context) -> Sequence[Node]:
    if context.kind == "Split":
        axis, operand = context.inputs
    else:
        operand, _, axis = context.inputs
    along = axis.number % len(operand.shape)
    found, start = [], 0
    for shape in context.outputs:
        part = _part(start, 1, shape[along], operand.shape[along])
        places = [part if a == along else None for a in range(len(operand.shape))]
        found.append(taken(operand.node, operand.shape, places))
        start += shape[along]
    return found


def _pad(context: Context) -> Sequence[Node]:
    operand, pads = context.inputs[:2]
    if len(context.inputs) > 2 and np.any(context.inputs[2].data):
        raise NotLiftable("a padding with another value than 0")
    node, shape = operand.node, list(operand.shape)
    rows = np.asarray(pads.numbers).reshape(-1, 2)
    for axis, (before, after) in enumerate(rows):
        size = shape[axis] + int(before) + int(after)
        node = _placed(node, tuple(shape), axis, int(before), size)
        shape[axis] = size
    return (node,)


def _mirror_pad(context: Context) -> Sequence[Node]:
    operand, pads = context.inputs
    rows = np.asarray(pads.numbers).reshape(-1, 2)
    symmetric = int("SYMMETRIC" in str(context.attributes.get("mode")))
    places: list[Structure | int | None] = []
    for size, (before, after) in zip(operand.shape, rows):
        total = size + int(before) + int(after)
        if size == 1 and total > 1:
            raise NotLiftable("a mirrored axis of one entry")
        picked = Structure((total, size), "mirrored", (int(before), symmetric))
        places.append(picked if total != size else None)
    return (taken(operand.node, operand.shape, places),)


def _tile(context: Context) -> Sequence[Node]:
    operand, multiples = context.inputs
    axes = operand.axes
    labels: dict[int, object] = dict(zip(axes, fresh(len(axes))))
    factors: list[tuple[Node, Sequence[object]]] = [(operand.node, tuple(labels[a] for a in axes))]
    out: list[object] = []
    sizes: dict[object, int] = {}
    for axis, (times, size) in enumerate(zip(multiples.numbers, operand.shape)):
        if times == 1:
            out += [labels[axis]] if axis in labels else []
            continue
        (new,) = fresh(1)
        if axis in labels:
            factors.append((Structure((times * size, size), "modulo"), (new, labels[axis])))
        out.append(new)
        sizes[new] = times * size
    return (contract(factors, out, sizes),)


def _reverse(context: Context) -> Sequence[Node]:
    operand, axes = context.inputs
    turned = {axis % len(operand.shape) for axis in axes.numbers}
    places = [
        Structure((size, size), "strided", (size - 1, -1)) if a in turned and size > 1 else None
        for a, size in enumerate(operand.shape)
    ]
    return (taken(operand.node, operand.shape, places),)


def _roll(context: Context) -> Sequence[Node]:
    operand, shifts, axes = context.inputs
    moves = dict(zip((a % len(operand.shape) for a in axes.numbers), shifts.numbers))
    places = []
    for axis, size in enumerate(operand.shape):
        rows = tuple(int(i) for i in np.roll(np.arange(size), moves.get(axis, 0)))
        same = rows == tuple(range(size))
        places.append(None if same else Structure((size, size), "one_hot", (rows,)))
    return (taken(operand.node, operand.shape, places),)


def _cumulative(context: Context) -> Sequence[Node]:
    operand, axis = context.inputs
    along = axis.number % len(operand.shape)
    size = operand.shape[along]
    late = -1 if context.attributes.get("exclusive") else 0
    if size == 1:
        return (constant(ZERO, core(operand.shape)) if late else operand.node,)
    reverse = bool(context.attributes.get("reverse"))
    triangle = Structure((size, size), "triangle", (not reverse, late, False))
    places = [triangle if a == along else None for a in range(len(operand.shape))]
    return (taken(operand.node, operand.shape, places),)


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


def _main_diagonal(context: Context, at: int) -> None:
    if any(context.inputs[at].numbers):
        raise NotLiftable("a diagonal beside the main one")


def _diag(context: Context) -> Sequence[Node]:
    operand = context.inputs[0]
    if len(context.inputs) > 1:
        _main_diagonal(context, 1)
    rank, size = len(operand.shape), context.output[-1]
    if context.output[-2:] != (operand.shape[-1],) * 2 or size == 1:
        raise NotLiftable("a diagonal of another size")
    eye = Structure((size, size), "identity")
    factors = [(operand.node, operand.axes), (eye, (rank - 1, rank))]
    out = [*(a for a in operand.axes if a != rank - 1), rank - 1, rank]
    return (contract(factors, out, {}),)


def _diag_part(context: Context) -> Sequence[Node]:
    operand = context.inputs[0]
    if len(context.inputs) > 1:
        _main_diagonal(context, 1)
    rows, columns = operand.shape[-2:]
    if rows != columns or rows == 1:
        raise NotLiftable("the diagonal of a matrix that is not square")
    rank = len(operand.shape)
    labels = [rank - 2 if a == rank - 1 else a for a in operand.axes]
    out = [a for a in operand.axes if a != rank - 1]
    return (contract([(operand.node, labels)], out, {}),)


def _set_diag(context: Context) -> Sequence[Node]:
    operand, diagonal = context.inputs[:2]
    _main_diagonal(context, 2)
    size = operand.shape[-1]
    if operand.shape[-2] != size or size == 1:
        raise NotLiftable("the diagonal of a matrix that is not square")
    rest = Structure((size, size), "given", ("off diagonal",), given=1 - np.eye(size))
    rank = len(operand.shape)
    off = contract([(operand.node, operand.axes), (rest, (rank - 2, rank - 1))], operand.axes, {})
    (on,) = _diag(Context("MatrixDiag", (diagonal,), {}, context.outputs))
    return (plus([off, on], off.shape),)


def _band(context: Context) -> Sequence[Node]:
    operand, lower, upper = context.inputs
    rows, columns = operand.shape[-2:]
    if 1 in (rows, columns):
        raise NotLiftable("a band of one row or column")
    low, high = lower.number, upper.number
    i, j = np.ogrid[:rows, :columns]
    mask = ((low < 0) | (i - j <= low)) & ((high < 0) | (j - i <= high))
    if (low, high) in ((-1, 0), (0, -1)):
        band = Structure((rows, columns), "triangle", (high == 0, 0, False))
    else:
        band = Structure((rows, columns), "given", ("band", low, high), given=mask)
    rank = len(operand.shape)
    factors = [(operand.node, operand.axes), (band, (rank - 2, rank - 1))]
    return (contract(factors, operand.axes, {}),)


def _segments(mean: bool) -> Rule:
    def rule(context: Context) -> Sequence[Node]:
        operand, ids = context.inputs[:2]
        groups, places = context.output[0], ids.numbers
        rows = operand.shape[0]
        if len(ids.shape) != 1 or 1 in (rows, groups):
            raise NotLiftable("groups along more than one axis, or of one row")
        if min(places) < 0:
            raise NotLiftable("rows that belong to no group")
        hot = Structure((rows, groups), "one_hot", (tuple(places),), ids.name)
        labels = operand.axes
        (new,) = fresh(1)
        factors = [(hot, (0, new)), (operand.node, labels)]
        total = contract(factors, (new, *labels[1:]), {})
        if not mean:
            return (total,)
        counts = np.maximum(np.bincount(places, minlength=groups), 1)
        share = Structure((groups,), "given", ("1/counts", *counts), given=1 / counts)
        axes = tuple(range(total.rank))
        return (contract([(share, (0,)), (total, axes)], axes, {}),)

    return rule


ROWS: dict[str, Rule] = {
    **dict.fromkeys(("Reshape", "ExpandDims", "Squeeze"), _same),
    "Transpose": _transpose,
    "ConjugateTranspose": _transpose,
    "BroadcastTo": _broadcast,
    "Slice": _slice,
    "StridedSlice": _strided_slice,
    "GatherV2": _gather,
    "Gather": _gather,
    "ResourceGather": _resource_gather,
    "GatherNd": _gather_nd,
    "ConcatV2": _concat,
    "Concat": _concat,
    "Pack": _pack,
    "Unpack": _unpack,
    "Split": _split,
    "SplitV": _split,
    "Pad": _pad,
    "PadV2": _pad,
    "MirrorPad": _mirror_pad,
    "Tile": _tile,
    "ReverseV2": _reverse,
    "Roll": _roll,
    "Cumsum": _cumulative,
    "TopKV2": _top,
    **dict.fromkeys(("MatrixDiag", "MatrixDiagV2", "MatrixDiagV3", "Diag"), _diag),
    **dict.fromkeys(
        ("MatrixDiagPart", "MatrixDiagPartV2", "MatrixDiagPartV3", "DiagPart"), _diag_part
    ),
    **dict.fromkeys(("MatrixSetDiagV2", "MatrixSetDiagV3"), _set_diag),
    "MatrixBandPart": _band,
    "SegmentSum": _segments(mean=False),
    "SegmentMean": _segments(mean=True),
    "UnsortedSegmentSum": _segments(mean=False),
}
