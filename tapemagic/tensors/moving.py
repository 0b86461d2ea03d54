"""Operations that move all entries about: axes, orders, blocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from tapemagic.tensors.algebra import rearranged, reshaped
from tapemagic.tensors.joining import padded
from tapemagic.tensors.nodes import Node, Shape, Structure, core
from tapemagic.tensors.operand import Context, NotLiftable, Rule, kept, text
from tapemagic.tensors.slicing import stretch, taken


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


def _fill(context: Context) -> Sequence[Node]:
    value = context.inputs[1]
    out, shape = kept(context.output), core(context.output)
    return (rearranged(value.node, (), out, shape),)


def _copies(context: Context) -> Sequence[Node]:
    return [operand.node for operand in context.inputs]


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
        stretch(start, 1, kept_, size) for start, kept_, size in zip(starts, context.output, full)
    ]
    return (taken(node, full, places),)


ROWS: dict[str, Rule] = {
    **dict.fromkeys(("Reshape", "ExpandDims", "Squeeze"), _same),
    "Transpose": _transpose,
    "ConjugateTranspose": _transpose,
    "BroadcastTo": _broadcast,
    "ReverseV2": _reverse,
    "Reverse": _reverse,
    "Roll": _roll,
    "Fill": _fill,
    "IdentityN": _copies,
    "DepthToSpace": _blocks(to_space=True),
    "SpaceToDepth": _blocks(to_space=False),
    "SpaceToBatchND": _to_batch,
    "BatchToSpaceND": _from_batch,
}
