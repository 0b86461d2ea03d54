"""Operations that move entries about: reshapes, slices, gathers, concatenations, diagonals.

A part of a tensor is a contraction with a constant structure (`x[2:5]` is E x, where row i of
E has its 1 at i + 2), so that its pullback, which puts the part back in its place, is Eᵀ.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from tapemagic.formula import ONE, ZERO, Formula, call, number
from tapemagic.tensors import whole
from tapemagic.tensors.algebra import (
    applied,
    contract,
    fresh,
    plus,
    rearranged,
    reshaped,
    scaled,
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
    ones,
)
from tapemagic.tensors.operand import (
    Attributes,
    Context,
    NotLiftable,
    Operand,
    Rule,
    kept,
    text,
)


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
    places = _strided_places(context.inputs[1:4], context.attributes, operand.shape)
    return (taken(operand.node, operand.shape, places),)


def _strided_places(
    bounds: Sequence[Operand], attributes: Attributes, shape: Shape
) -> list[Structure | int | None]:
    """What a slice with masks takes along each axis of `shape`."""
    begin, end, step = (bound.numbers for bound in bounds)
    masks = {
        name: int(attributes.get(f"{name}_mask") or 0)
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
    return [_indexed(i, size) for i, size in _spread(index, shape)]


def put(node: Node, shape: Shape, places: Sequence[Structure | int | None]) -> Node:
    """The transpose of `taken`: the part back in its place in `shape`, zeros elsewhere."""
    axes = kept(shape)
    labels: dict[int, object] = dict(zip(axes, fresh(len(axes))))
    own: list[object] = []
    factors: list[tuple[Node, Sequence[object]]] = []
    for axis, place in enumerate(places):
        if isinstance(place, int):
            if axis in labels:
                factors.append((Structure((shape[axis],), "unit", (place,)), (labels[axis],)))
        elif place is None:
            own += [labels[axis]] if axis in labels else []
        else:
            (new,) = fresh(1)
            own.append(new)
            if axis in labels:
                factors.append((place, (new, labels[axis])))
    out = [labels[axis] for axis in axes]
    return contract([(node, own), *factors], out, dict(zip(out, core(shape))))


def _strided_slice_back(context: Context) -> Sequence[Node]:
    shape = tuple(context.inputs[0].numbers)
    places = _strided_places(context.inputs[1:4], context.attributes, shape)
    if any(isinstance(p, Structure) and p.shape[0] == 0 for p in places):
        return (constant(ZERO, core(shape)),)
    return (put(context.inputs[4].node, shape, places),)


def _strided_update(context: Context) -> Sequence[Node]:
    operand, value = context.inputs[0], context.inputs[4]
    shape = operand.shape
    places = _strided_places(context.inputs[1:4], context.attributes, shape)
    part = tuple(p.shape[0] if isinstance(p, Structure) else 0 for p in places)
    sizes = [size if p is None else count for p, size, count in zip(places, shape, part)]
    counted = core([size for p, size in zip(places, sizes) if not isinstance(p, int)])
    if value.node.shape != counted:
        raise NotLiftable("a value that is broadcast to the part that it replaces")
    inside = put(ones(counted), shape, places)
    axes = tuple(range(inside.rank))
    rest = plus([ones(inside.shape), scaled(inside, number(-1))], inside.shape)
    kept_ = contract([(rest, axes), (operand.node, axes)], axes, {})
    return (plus([kept_, put(value.node, shape, places)], core(shape)),)


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
    rows = np.asarray(pads.numbers).reshape(-1, 2)
    node = padded(operand.node, operand.shape, rows)
    value = context.inputs[2] if len(context.inputs) > 2 else None
    if value is None or (value.data is not None and not np.any(value.data)):
        return (node,)
    if value.data is None:
        raise NotLiftable("a padding that varies, which the tape takes as constant")
    shape = context.output
    around = 1 - np.pad(np.ones(operand.shape), rows)
    if not around.any():
        return (node,)
    mask = Structure(core(shape), "given", ("around",), given=around.reshape(core(shape)))
    axes = kept(shape)
    return (plus([node, contract([(mask, axes), (value.node, ())], axes, {})], core(shape)),)


def padded(node: Node, shape: Shape, rows: Array) -> Node:
    """Zeros before and after along each axis."""
    sizes = list(shape)
    for axis, (before, after) in enumerate(rows):
        size = sizes[axis] + int(before) + int(after)
        node = _placed(node, tuple(sizes), axis, int(before), size)
        sizes[axis] = size
    return node


def _mirror_pad(context: Context) -> Sequence[Node]:
    operand, pads = context.inputs
    rows = np.asarray(pads.numbers).reshape(-1, 2)
    return (taken(operand.node, operand.shape, _mirrored(context, operand.shape, rows)),)


def _mirrored(context: Context, shape: Shape, rows: Array) -> list[Structure | int | None]:
    symmetric = int("SYMMETRIC" in str(context.attributes.get("mode")))
    places: list[Structure | int | None] = []
    for size, (before, after) in zip(shape, rows):
        total = size + int(before) + int(after)
        if size == 1 and total > 1:
            raise NotLiftable("a mirrored axis of one entry")
        picked = Structure((total, size), "mirrored", (int(before), symmetric))
        places.append(picked if total != size else None)
    return places


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
    if context.kind == "Reverse":
        turned = {axis for axis, yes in enumerate(axes.numbers) if yes}
    places = [
        Structure((size, size), "strided", (size - 1, -1)) if a in turned and size > 1 else None
        for a, size in enumerate(operand.shape)
    ]
    return (taken(operand.node, operand.shape, places),)


def _roll(context: Context) -> Sequence[Node]:
    operand, shifts, axes = context.inputs
    moves: Counter[int] = Counter()
    for axis, shift in zip(axes.numbers, shifts.numbers):
        moves[axis % len(operand.shape)] += shift
    places = []
    for axis, size in enumerate(operand.shape):
        rows = tuple(int(i) for i in np.roll(np.arange(size), moves[axis]))
        same = rows == tuple(range(size))
        places.append(None if same else Structure((size, size), "one_hot", (rows,)))
    return (taken(operand.node, operand.shape, places),)


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


def _fill(context: Context) -> Sequence[Node]:
    value = context.inputs[1]
    out, shape = kept(context.output), core(context.output)
    return (rearranged(value.node, (), out, shape),)


def _copies(context: Context) -> Sequence[Node]:
    return [operand.node for operand in context.inputs]


def _mirror_pad_back(context: Context) -> Sequence[Node]:
    operand, pads = context.inputs
    rows = np.asarray(pads.numbers).reshape(-1, 2)
    places = _mirrored(context, context.output, rows)
    if 1 in context.output:
        raise NotLiftable("a mirrored axis of one entry")
    return (put(operand.node, context.output, places),)


def _turned(node: Node, shape: Shape, order: Sequence[int], into: Shape) -> Node:
    """Cut into axes of that shape, these transposed, and put together again."""
    cut = reshaped(node, core(shape))
    labels = kept(shape)
    out = [axis for axis in order if axis in labels]
    turned = rearranged(cut, labels, out, tuple(shape[axis] for axis in out))
    return reshaped(turned, core(into))


def _blocks(to_space: bool) -> Rule:
    """Channels to blocks of pixels, or back."""

    def rule(context: Context) -> Sequence[Node]:
        (operand,) = context.inputs
        size = int(context.attributes["block_size"])
        if text(context.attributes.get("data_format") or "NHWC") != "NHWC":
            raise NotLiftable("channels in front of the spatial axes")
        batch, rows, columns, channels = operand.shape
        if to_space:
            shape = (batch, rows, columns, size, size, channels // size**2)
            order = (0, 1, 3, 2, 4, 5)
        else:
            shape = (batch, rows // size, size, columns // size, size, channels)
            order = (0, 1, 3, 2, 4, 5)
        return (_turned(operand.node, shape, order, context.output),)

    return rule


def _to_batch(context: Context) -> Sequence[Node]:
    operand, blocks, pads = context.inputs
    sizes = blocks.numbers
    count = len(sizes)
    rows = np.zeros((len(operand.shape), 2), dtype=np.int64)
    rows[1 : 1 + count] = np.asarray(pads.numbers).reshape(-1, 2)
    node = padded(operand.node, operand.shape, rows)
    whole_shape = [size + int(sum(row)) for size, row in zip(operand.shape, rows)]
    shape = [whole_shape[0]]
    for size, block in zip(whole_shape[1:], sizes):
        shape += [size // block, block]
    rest = whole_shape[1 + count :]
    inner = [2 + 2 * k for k in range(count)]
    order = [*inner, 0, *(k - 1 for k in inner), *range(1 + 2 * count, 1 + 2 * count + len(rest))]
    return (_turned(node, (*shape, *rest), order, context.output),)


def _from_batch(context: Context) -> Sequence[Node]:
    operand, blocks, crops = context.inputs
    sizes = blocks.numbers
    count = len(sizes)
    batch = operand.shape[0] // int(np.prod(sizes))
    shape = (*sizes, batch, *operand.shape[1:])
    order = [count]
    for k in range(count):
        order += [count + 1 + k, k]
    order += range(2 * count + 1, len(shape))
    rest = operand.shape[1 + count :]
    full = (batch, *(size * block for size, block in zip(operand.shape[1:], sizes)), *rest)
    node = _turned(operand.node, shape, order, full)
    starts = [0] * len(full)
    starts[1 : 1 + count] = [row[0] for row in np.asarray(crops.numbers).reshape(-1, 2).tolist()]
    places = [
        _part(start, 1, kept_, size) for start, kept_, size in zip(starts, context.output, full)
    ]
    return (taken(node, full, places),)


ROWS: dict[str, Rule] = {
    **dict.fromkeys(("Reshape", "ExpandDims", "Squeeze"), _same),
    "Transpose": _transpose,
    "ConjugateTranspose": _transpose,
    "BroadcastTo": _broadcast,
    "Slice": _slice,
    "StridedSlice": _strided_slice,
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
    "Reverse": _reverse,
    "Roll": _roll,
    "Cumsum": _cumulative,
    "Cumprod": _running("prod", ONE),
    "CumulativeLogsumexp": _running("logsumexp", number(-math.inf)),
    "StridedSliceGrad": _strided_slice_back,
    "TensorStridedSliceUpdate": _strided_update,
    "MirrorPadGrad": _mirror_pad_back,
    "Fill": _fill,
    "IdentityN": _copies,
    "DepthToSpace": _blocks(to_space=True),
    "SpaceToDepth": _blocks(to_space=False),
    "SpaceToBatchND": _to_batch,
    "BatchToSpaceND": _from_batch,
    "TopKV2": _top,
}
