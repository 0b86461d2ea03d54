"""Diagonals, bands and triangles of matrices.

Diagonal k of A has the entries A_{i, i+k}: a sum over p of d_p, put at row p + max(0, −k) and
column p + max(0, k), which two shifted identities say.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tapemagic.tensors.algebra import Factor, Label, contract, plus
from tapemagic.tensors.nodes import Node, Shape, Structure, core, identity
from tapemagic.tensors.operand import Context, NotLiftable, Operand, Rule, text
from tapemagic.tensors.structures import given

ROW, COLUMN, PLACE = "row", "column", "place"


def _lowest_and_highest(operand: Operand) -> tuple[int, int]:
    bounds = operand.numbers
    return bounds[0], bounds[-1]


def _length(k: int, rows: int, columns: int) -> int:
    return min(rows + min(0, k), columns - max(0, k))


def _shift(start: int, count: int, size: int, old: Label) -> Factor | None:
    """[place, old] = 1 where old = place + start; None where it is the one entry of both."""
    if count == 1:
        return None if size == 1 else (Structure((size,), "unit", (start,)), [old])
    if count == size:
        return identity(size), [PLACE, old]
    return Structure((count, size), "strided", (start, 1)), [PLACE, old]


def _factors(k: int, rows: int, columns: int) -> list[Factor]:
    """Where diagonal k of a matrix lies, by place, row and column."""
    count = _length(k, rows, columns)
    parts = _shift(max(0, -k), count, rows, ROW), _shift(max(0, k), count, columns, COLUMN)
    return [part for part in parts if part is not None]


def _offset(k: int, rows: int, columns: int, width: int, align: str) -> int:
    """At which place of a row of the packed band the diagonal begins."""
    above, below = align.split("_")
    side = above if k > 0 else below
    if k == 0:
        side = "LEFT"  # one of them has the full length, or they are alike
    return width - _length(k, rows, columns) if side == "RIGHT" else 0


def _band_place(index: int, many: int, start: int, count: int, width: int) -> list[Factor]:
    """Row `index` of the packed band, its places from `start`."""
    found: list[Factor] = []
    if many > 1:
        found.append((Structure((many,), "unit", (index,)), ["band"]))
    if count == width:
        return [*found, (identity(width), [PLACE, "packed"])] if width > 1 else found
    if count == 1:
        return [*found, (Structure((width,), "unit", (start,)), ["packed"])]
    return [*found, (Structure((count, width), "strided", (start, 1)), [PLACE, "packed"])]


def _by_diagonal(
    bounds: tuple[int, int], rows: int, columns: int, packed: Shape, align: str
) -> list[list[Factor]]:
    """For each diagonal, where it lies in the matrix and in the packed band."""
    low, high = bounds
    found = []
    width = packed[-1]
    for k in range(low, high + 1):
        count = _length(k, rows, columns)
        start = _offset(k, rows, columns, width, align)
        place = _band_place(high - k, high - low + 1, start, count, width)
        found.append([*_factors(k, rows, columns), *place])
    return found


def _axes(operand: Operand, last: Sequence[Label]) -> list[Label]:
    every = [*range(len(operand.shape) - len(last)), *last]
    return [every[axis] for axis in operand.axes]


def _kept(labels: Sequence[Label], shape: Shape) -> dict[Label, int]:
    return {label: size for label, size in zip(labels, shape) if size != 1}


def _packed(bounds: tuple[int, int]) -> list[Label]:
    return ["packed"] if bounds[0] == bounds[1] else ["band", "packed"]


def _sum(
    operand: Operand, own: Sequence[Label], out: dict[Label, int], parts: Sequence[Sequence[Factor]]
) -> Node:
    whole = operand.node, _axes(operand, own)
    return plus([contract([whole, *part], tuple(out), out) for part in parts], tuple(out.values()))


def _padding(context: Context, at: int) -> None:
    padding = context.inputs[at] if len(context.inputs) > at else None
    if padding is not None and (padding.data is None or np.any(padding.data)):
        raise NotLiftable("a padding with another value than 0")


def _align(context: Context) -> str:
    return text(context.attributes.get("align") or "LEFT_LEFT")


def _diag(context: Context) -> Sequence[Node]:
    operand = context.inputs[0]
    bounds = _lowest_and_highest(context.inputs[1]) if len(context.inputs) > 1 else (0, 0)
    _padding(context, 4)
    rows, columns = context.output[-2:]
    own = _packed(bounds)
    packed = operand.shape[-len(own) :]
    batch = range(len(context.output) - 2)
    out = _kept([*batch, ROW, COLUMN], context.output)
    parts = _by_diagonal(bounds, rows, columns, packed, _align(context))
    return (_sum(operand, own, out, parts),)


def _diag_part(context: Context) -> Sequence[Node]:
    operand = context.inputs[0]
    bounds = _lowest_and_highest(context.inputs[1]) if len(context.inputs) > 1 else (0, 0)
    _padding(context, 2)
    rows, columns = operand.shape[-2:]
    own = _packed(bounds)
    out = _kept([*range(len(operand.shape) - 2), *own], context.output)
    parts = _by_diagonal(bounds, rows, columns, context.output[-len(own) :], _align(context))
    return (_sum(operand, [ROW, COLUMN], out, parts),)


def _tensor_diag(context: Context) -> Sequence[Node]:
    """Diag: as many axes again, equal to the first."""
    (operand,) = context.inputs
    first = list(range(len(operand.shape)))
    twins = [("twin", axis) for axis in first]
    equal = [
        (identity(size), (axis, twin))
        for axis, twin, size in zip(first, twins, operand.shape)
        if size != 1
    ]
    out = _kept([*first, *twins], context.output)
    return (contract([(operand.node, operand.axes), *equal], tuple(out), out),)


def _tensor_diag_part(context: Context) -> Sequence[Node]:
    (operand,) = context.inputs
    half = len(operand.shape) // 2
    labels = [axis % half for axis in operand.axes]
    out = _kept(range(half), context.output)
    return (contract([(operand.node, labels)], tuple(out), out),)


def _set_diag(context: Context) -> Sequence[Node]:
    operand, diagonal = context.inputs[:2]
    bounds = _lowest_and_highest(context.inputs[2]) if len(context.inputs) > 2 else (0, 0)
    rows, columns = operand.shape[-2:]
    i, j = np.ogrid[:rows, :columns]
    off = ((j - i < bounds[0]) | (j - i > bounds[1])).astype(float)
    axes = len(operand.shape)
    kept = [axis for axis in (axes - 2, axes - 1) if operand.shape[axis] != 1]
    mask = given(off.reshape(core(off.shape)), "off the diagonal")
    rest = contract([(mask, kept), (operand.node, operand.axes)], operand.axes, {})
    on = Context(
        "MatrixDiagV3", (diagonal, *context.inputs[2:3]), context.attributes, context.outputs
    )
    return (plus([rest, *_diag(on)], rest.shape),)


def _band(context: Context) -> Sequence[Node]:
    operand, lower, upper = context.inputs
    rows, columns = operand.shape[-2:]
    low, high = lower.number, upper.number
    i, j = np.ogrid[:rows, :columns]
    mask = ((low < 0) | (i - j <= low)) & ((high < 0) | (j - i <= high))
    if mask.all():
        return (operand.node,)
    axes = len(operand.shape)
    kept = [axis for axis in (axes - 2, axes - 1) if operand.shape[axis] != 1]
    if len(kept) == 2 and (low, high) in ((-1, 0), (0, -1)):
        band: Node = Structure((rows, columns), "triangle", (high == 0, 0, False))
    else:
        band = given(mask.astype(float).reshape(core(mask.shape)), "band")
    factors = [(operand.node, operand.axes), (band, kept)]
    return (contract(factors, operand.axes, {}),)


ROWS: dict[str, Rule] = {
    **dict.fromkeys(("MatrixDiag", "MatrixDiagV2", "MatrixDiagV3"), _diag),
    **dict.fromkeys(("MatrixDiagPart", "MatrixDiagPartV2", "MatrixDiagPartV3"), _diag_part),
    "Diag": _tensor_diag,
    "DiagPart": _tensor_diag_part,
    **dict.fromkeys(("MatrixSetDiag", "MatrixSetDiagV2", "MatrixSetDiagV3"), _set_diag),
    "MatrixBandPart": _band,
}
