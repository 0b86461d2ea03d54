"""Parts of tensors, and parts put back in their place.

A part is a contraction with a constant structure (`x[2:5]` is E x, where row i of E has its 1 at
i + 2), so that its pullback, which puts the part back, is Eᵀ.
"""

from __future__ import annotations

from collections.abc import Sequence

from tapemagic.formula import ZERO, number
from tapemagic.tensors.algebra import contract, fresh, plus, scaled
from tapemagic.tensors.nodes import Node, Shape, Structure, constant, core, ones
from tapemagic.tensors.operand import Attributes, Context, NotLiftable, Operand, Rule, kept


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


def stretch(start: int, step: int, count: int, size: int) -> Structure | int | None:
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
        stretch(starts[axis], 1, size, operand.shape[axis])
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
    return stretch(start, step, len(range(start, stop, step)), size)


def _split(context: Context) -> Sequence[Node]:
    if context.kind == "Split":
        axis, operand = context.inputs
    else:
        operand, _, axis = context.inputs
    along = axis.number % len(operand.shape)
    found, start = [], 0
    for shape in context.outputs:
        part = stretch(start, 1, shape[along], operand.shape[along])
        places = [part if a == along else None for a in range(len(operand.shape))]
        found.append(taken(operand.node, operand.shape, places))
        start += shape[along]
    return found


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


ROWS: dict[str, Rule] = {
    "Slice": _slice,
    "StridedSlice": _strided_slice,
    "Unpack": _unpack,
    "Split": _split,
    "SplitV": _split,
    "StridedSliceGrad": _strided_slice_back,
    "TensorStridedSliceUpdate": _strided_update,
}
