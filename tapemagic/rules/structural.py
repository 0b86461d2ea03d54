"""Rules of the ops that only move entries, or tell shapes: NumPy does the same to formulas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapemagic.formula import Formula, number
from tapemagic.rules.elementwise import ROWS as _ELEMENTWISE
from tapemagic.rules.elementwise import total
from tapemagic.rules.rule import (
    Array,
    Attributes,
    NotSymbolic,
    Row,
    alike,
    as_formula,
    filled,
    integer,
    integers,
    is_symbolic,
    plain,
    stopped,
)

_WHERE = next(row for row in _ELEMENTWISE if row.kind == "SelectV2").apply


def _of(kind: str, rule: str, move: Callable[..., Any], uses: tuple[str, ...] = ()) -> Row:
    """`move(*inputs, **attributes)` gives one array, or a tuple of them."""

    def applied(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
        result = move(*inputs, **{name: attributes[name] for name in uses if name in attributes})
        return result if isinstance(result, tuple) else (result,)

    return Row(kind, rule, applied)


def _squeeze(x: Array, squeeze_dims: Any = None) -> Array:
    axes = tuple(squeeze_dims or ()) or tuple(a for a, size in enumerate(x.shape) if size == 1)
    return np.squeeze(x, axis=axes)


def _pack(*arrays: Array, axis: int = 0) -> Array:
    return np.stack(alike(arrays), axis)


def _unpack(x: Array, axis: int = 0) -> tuple[Array, ...]:
    return tuple(np.take(x, [place], axis).squeeze(axis) for place in range(x.shape[axis]))


def _concat(*arrays: Array) -> Array:
    return np.concatenate(alike(arrays[:-1]), axis=integer(arrays[-1]))


def _concat_first(axis: Array, *arrays: Array) -> Array:
    return np.concatenate(alike(arrays), axis=integer(axis))


def _split(axis: Array, x: Array, num_split: int) -> tuple[Array, ...]:
    return tuple(np.split(x, num_split, axis=integer(axis)))


def _split_v(x: Array, sizes: Array, axis: Array) -> tuple[Array, ...]:
    parts, along = integers(sizes), integer(axis)
    rest = x.shape[along] - sum(size for size in parts if size >= 0)
    ends = np.cumsum([rest if size < 0 else size for size in parts])
    return tuple(np.split(x, ends[:-1], axis=along))


def _tile(x: Array, multiples: Array) -> Array:
    return np.tile(x, integers(multiples)) if x.ndim else x


def _fill(shape: Array, value: Array) -> Array:
    return np.array(np.broadcast_to(value, integers(shape)))


def _pad(x: Array, widths: Array, value: Array | None = None) -> Array:
    around, fill = plain(widths), np.zeros((), x.dtype if x.dtype != object else float)
    x, fill = alike((x, fill if value is None else stopped(value)))
    result = _fill(np.array(x.shape) + around.sum(axis=1), fill)
    result[tuple(slice(before, before + n) for (before, _), n in zip(around, x.shape))] = x
    return result


def _mirror_pad(x: Array, widths: Array, mode: Any) -> Array:
    kind = "reflect" if mode in ("REFLECT", b"REFLECT") else "symmetric"
    places = np.pad(np.arange(x.size).reshape(x.shape), plain(widths), mode=kind)  # type: ignore[call-overload]
    return np.asarray(x.ravel()[places])


def _reverse(x: Array, axes: Array) -> Array:
    return np.flip(x, axis=tuple(integers(axes)))


def _reverse_flags(x: Array, flags: Array) -> Array:
    return np.flip(x, axis=tuple(np.flatnonzero(flags)))


def _roll(x: Array, shift: Array, axis: Array) -> Array:
    return np.roll(x, integers(shift), axis=integers(axis))


def _diagonal(x: Array) -> Array:
    result = filled((x.size, x.size), 0, x)
    result[np.arange(x.size), np.arange(x.size)] = x.ravel()
    return np.reshape(result, x.shape * 2)


def _diagonal_part(x: Array) -> Array:
    shape = x.shape[: x.ndim // 2]
    side = int(np.prod(shape, dtype=int))
    return np.reshape(np.diagonal(x.reshape(side, side)), shape)


def _shapes(*arrays: Array) -> tuple[Array, ...]:
    return tuple(np.array(array.shape, dtype=np.int64) for array in arrays)


def _range(start: Array, limit: Array, delta: Array) -> Array:
    whole = is_symbolic(start, limit, delta)
    ends: list[Any] = [integer(a) if whole else a[()] for a in (start, limit, delta)]
    return np.asarray(np.arange(*ends))


def _lin_space(start: Array, stop: Array, num: Array) -> Array:
    count = integer(num)
    if not is_symbolic(start, stop):
        return np.linspace(start[()], stop[()], count)
    first, last = (as_formula(stopped(end)[()]) for end in (start, stop))
    result = np.empty(count, dtype=object)
    for place in range(count):
        share = number(place) / max(count - 1, 1)
        result[place] = total(first, (last - first) * share) if place else first
    return result


def _bias_add(x: Array, bias: Array, data_format: Any = "NHWC") -> Array:
    if data_format in ("NCHW", b"NCHW"):
        bias = bias.reshape((-1,) + (1,) * (x.ndim - 2))
    add = next(row for row in _ELEMENTWISE if row.kind == "AddV2").apply
    return add((x, bias), {})[0]


def _select(condition: Array, yes: Array, no: Array) -> Array:
    if condition.ndim < yes.ndim:  # the old op chooses whole rows by a vector
        condition = condition.reshape(condition.shape + (1,) * (yes.ndim - condition.ndim))
    return _WHERE((condition, yes, no), {})[0]


def _gradient_axes(first: Array, second: Array) -> tuple[Array, ...]:
    """The axes to sum over when a broadcast is undone."""
    shapes = [integers(first), integers(second)]
    rank = max(map(len, shapes))
    a, b = ([1] * (rank - len(shape)) + shape for shape in shapes)
    # An axis of size 1 in both is summed over in both, unless it is broadcast in neither.
    if shapes[0] == shapes[1]:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return tuple(
        np.array([axis for axis in range(rank) if own[axis] == 1], dtype=np.int64) for own in (a, b)
    )


def _invert_permutation(x: Array) -> Array:
    return np.argsort(plain(x))


def _nonzero(x: Array) -> Array:
    if x.dtype == object and any(isinstance(entry, Formula) and entry.free for entry in x.ravel()):
        raise NotSymbolic("which entries are not zero depends on the values")
    return np.argwhere(plain(x) if x.dtype == object else x)


# fmt: off
ROWS = (
    _of("Reshape",       "reshape",   lambda x, shape: x.reshape(integers(shape))),
    _of("ExpandDims",    "reshape",   lambda x, axis: np.expand_dims(x, integer(axis))),
    _of("Squeeze",       "reshape",   _squeeze, uses=("squeeze_dims",)),
    _of("Transpose",     "transpose", lambda x, order: np.transpose(x, integers(order))),
    _of("ConjugateTranspose", "transpose", lambda x, order: np.transpose(x, integers(order))),
    _of("Pack",          "stack",     _pack, uses=("axis",)),
    _of("Unpack",        "unstack",   _unpack, uses=("axis",)),
    _of("ConcatV2",      "concatenation", _concat),
    _of("Concat",        "concatenation", _concat_first),
    _of("Split",         "split",     _split, uses=("num_split",)),
    _of("SplitV",        "split",     _split_v),
    _of("Tile",          "repetition", _tile),
    _of("BroadcastTo",   "broadcast", lambda x, shape: _fill(shape, x)),
    _of("Fill",          "broadcast", _fill),
    _of("Pad",           "padding",   _pad),
    _of("PadV2",         "padding",   _pad),
    _of("MirrorPad",     "padding",   _mirror_pad, uses=("mode",)),
    _of("Reverse",       "reversal",  _reverse_flags),
    _of("ReverseV2",     "reversal",  _reverse),
    _of("Roll",          "rotation",  _roll),
    _of("Diag",          "diagonal",  _diagonal),
    _of("DiagPart",      "diagonal",  _diagonal_part),
    _of("Select",        "the branch taken", _select),
    _of("BiasAdd",       "sum rule",  _bias_add, uses=("data_format",)),
    _of("BiasAddV1",     "sum rule",  _bias_add),
    _of("IdentityN",     "copy",      lambda *xs: tuple(xs)),
    _of("Shape",         "shape",     _shapes),
    _of("ShapeN",        "shape",     _shapes),
    _of("Size",          "shape",     lambda x: np.array(x.size)),
    _of("Rank",          "shape",     lambda x: np.array(x.ndim)),
    _of("Range",         "range",     _range),
    _of("LinSpace",      "range",     _lin_space),
    _of("Where",         "positions", _nonzero),
    _of("InvertPermutation",     "positions", _invert_permutation),
    _of("BroadcastGradientArgs", "axes of a broadcast", _gradient_axes),
)
# fmt: on
