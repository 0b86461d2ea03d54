"""Tensors put side by side, padded and repeated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tapemagic.tensors.algebra import contract, fresh, plus
from tapemagic.tensors.nodes import Array, Node, Shape, Structure, core
from tapemagic.tensors.operand import Context, NotLiftable, Rule, kept
from tapemagic.tensors.slicing import put, taken


def placed(node: Node, shape: Shape, axis: int, start: int, size: int) -> Node:
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
            terms.append(placed(node, own, axis, start, shape[axis]))
        start += own[axis]
    return plus(terms, core(shape))


def _pack(context: Context) -> Sequence[Node]:
    axis = int(context.attributes.get("axis") or 0) % len(context.output)
    shape = tuple(1 if a == axis else size for a, size in enumerate(context.output))
    return (_joined([(p.node, shape) for p in context.inputs], axis, context.output),)


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
        node = placed(node, tuple(sizes), axis, int(before), size)
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


def _mirror_pad_back(context: Context) -> Sequence[Node]:
    operand, pads = context.inputs
    rows = np.asarray(pads.numbers).reshape(-1, 2)
    places = _mirrored(context, context.output, rows)
    if 1 in context.output:
        raise NotLiftable("a mirrored axis of one entry")
    return (put(operand.node, context.output, places),)


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


ROWS: dict[str, Rule] = {
    "ConcatV2": _concat,
    "Concat": _concat,
    "Pack": _pack,
    "Pad": _pad,
    "PadV2": _pad,
    "MirrorPad": _mirror_pad,
    "Tile": _tile,
    "MirrorPadGrad": _mirror_pad_back,
}
