"""Rules of the ops that pick entries or put them somewhere: slices, gathers, scatters, bands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tapemagic.formula import Formula
from tapemagic.rules.elementwise import difference, total
from tapemagic.rules.rule import (
    Array,
    Attributes,
    NotSymbolic,
    Row,
    alike,
    filled,
    integer,
    integers,
    plain,
    stopped,
    text,
)

_MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")


def _strided(begin: Array, end: Array, step: Array, attributes: Attributes) -> tuple[Any, ...]:
    """NumPy's index for TensorFlow's slice with its five bit masks."""
    masks = [int(attributes.get(name, 0)) for name in _MASKS]
    index: list[Any] = []
    for place, bounds in enumerate(zip(integers(begin), integers(end), integers(step))):
        no_begin, no_end, ellipsis, new_axis, shrink = (mask >> place & 1 for mask in masks)
        if ellipsis:
            index.append(Ellipsis)
        elif new_axis:
            index.append(np.newaxis)
        elif shrink:
            index.append(bounds[0])
        else:
            first, last = None if no_begin else bounds[0], None if no_end else bounds[1]
            index.append(slice(first, last, bounds[2]))
    return tuple(index) if Ellipsis in index else (*index, Ellipsis)


def _strided_slice(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    x, begin, end, step = inputs
    return (np.array(x[_strided(begin, end, step, attributes)]),)


def _strided_slice_grad(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    shape, begin, end, step, gradient = inputs
    result = filled(integers(shape), 0, gradient)
    result[_strided(begin, end, step, attributes)] = gradient
    return (result,)


def _slice(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    begin, size = integers(inputs[1]), integers(inputs[2])
    bounds = (slice(b, None if n == -1 else b + n) for b, n in zip(begin, size))
    return (inputs[0][tuple(bounds)],)


def _gather(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    x, indices, batch = inputs[0], plain(inputs[1]), int(attributes.get("batch_dims", 0) or 0)
    axis = integer(inputs[2]) % x.ndim if len(inputs) > 2 else 0
    batch = batch % indices.ndim if batch < 0 else batch
    parts = [np.take(x[at], indices[at], axis=axis - batch) for at in np.ndindex(x.shape[:batch])]
    whole = np.array([np.asarray(part) for part in parts]) if batch else np.asarray(parts[0])
    return (whole.reshape(x.shape[:batch] + whole.shape[1:]) if batch else whole,)


def _at(indices: Array) -> tuple[Any, ...]:
    """NumPy's index for rows of indices, one row a place."""
    return (*np.moveaxis(indices, -1, 0), Ellipsis)


def _gather_nd(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    x, indices, batch = inputs[0], plain(inputs[1]), int(attributes.get("batch_dims", 0) or 0)
    if not batch:
        return (np.asarray(x[_at(indices)]),)
    whole = np.array([x[at][_at(indices[at])] for at in np.ndindex(x.shape[:batch])])
    return (whole.reshape(x.shape[:batch] + whole.shape[1:]),)


def _one_hot(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    indices, depth = plain(inputs[0]), integer(inputs[1])
    on, off = alike([stopped(value) for value in inputs[2:4]])
    hot = indices[..., np.newaxis] == np.arange(depth)
    axis = int(attributes.get("axis", -1))
    return (np.moveaxis(np.where(hot, on, off), -1, axis),)


# Scatters: entries that meet at one place are combined, in order.


def _replaced(old: Any, new: Any) -> Any:
    return new


def _sum(old: Any, new: Any) -> Any:
    if not isinstance(old, Formula):
        return old + new
    return new if old == filled((), 0, np.empty((), object))[()] else total(old, new)


def _minus(old: Any, new: Any) -> Any:
    return difference(old, new) if isinstance(old, Formula) else old - new


def _scattered(x: Array, indices: Array, updates: Array, combine: Callable[..., Any]) -> Array:
    x, updates = alike((x, updates))
    result: Array = x.copy()
    places = plain(indices)
    for at in np.ndindex(places.shape[:-1]):
        place = tuple(places[at])
        for rest in np.ndindex(x.shape[len(place) :]):
            result[place + rest] = combine(result[place + rest], updates[at + rest])
    return result


def _scatter(kind: str, combine: Callable[..., Any]) -> Row:
    def applied(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
        x, indices, updates = inputs
        return (_scattered(x, indices, updates, combine),)

    return Row(kind, "scatter", applied)


def _scatter_nd(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    indices, updates, shape = inputs
    return (_scattered(filled(integers(shape), 0, updates), indices, updates, _sum),)


def _dynamic_stitch(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    half = len(inputs) // 2
    places, data = [plain(a) for a in inputs[:half]], alike(inputs[half:])
    count = 1 + max((int(place.max()) for place in places if place.size), default=-1)
    rest = data[0].shape[places[0].ndim :]
    result = filled((count, *rest), 0, data[0])
    for where, values in zip(places, data):
        result[where.ravel()] = values.reshape((where.size, *rest))
    return (result,)


def _top_k(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    x, count = inputs[0], integer(inputs[1])
    if x.dtype == object:
        raise NotSymbolic("which entries are the largest depends on the values")
    order = np.argsort(-x, axis=-1, kind="stable")[..., :count]
    return np.take_along_axis(x, order, axis=-1), order


# Diagonals and bands. A place is (row, column, which diagonal, where on it).


def _diagonals(low: int, high: int, shape: Sequence[int], align: str) -> Iterator[tuple[int, ...]]:
    rows, columns = shape
    longest = min(rows + min(high, 0), columns - max(low, 0))
    above, _, below = align.partition("_")
    for diagonal in range(high, low - 1, -1):
        length = min(rows + min(diagonal, 0), columns - max(diagonal, 0))
        right = (diagonal >= 0 and above == "RIGHT") or (diagonal <= 0 and below == "RIGHT")
        shift = longest - length if right else 0
        for step in range(length):
            row, column = step - min(diagonal, 0), step + max(diagonal, 0)
            yield row, column, high - diagonal, step + shift


def _bounds(k: Array) -> tuple[int, int]:
    ends = integers(k)
    return ends[0], ends[-1]


def _align(attributes: Attributes) -> str:
    return text(attributes.get("align", "LEFT_LEFT"))


def _padding(rest: Sequence[Array]) -> Array:
    return stopped(rest[0]) if rest else np.zeros(())


def _matrix_diag(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    x = inputs[0]
    low, high = _bounds(inputs[1]) if len(inputs) > 1 else (0, 0)
    x = x if low < high else x[..., np.newaxis, :]
    least = x.shape[-1] - min(high, 0), x.shape[-1] + max(low, 0)
    asked = [integer(a) for a in inputs[2:4]] or [-1, -1]
    rows, columns = (n if n >= 0 else least[i] for i, n in enumerate(asked))
    if asked == [-1, -1]:
        rows = columns = max(least)
    x, padding = alike((x, _padding(inputs[4:])))
    result = np.array(np.broadcast_to(padding, (*x.shape[:-2], rows, columns)))
    result = result.astype(x.dtype)
    for row, column, which, place in _diagonals(low, high, (rows, columns), _align(attributes)):
        result[..., row, column] = x[..., which, place]
    return (result,)


def _matrix_diag_part(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    x, padding = alike((inputs[0], _padding(inputs[2:])))
    low, high = _bounds(inputs[1]) if len(inputs) > 1 else (0, 0)
    rows, columns = x.shape[-2:]
    longest = min(rows + min(high, 0), columns - max(low, 0))
    result = np.array(np.broadcast_to(padding, (*x.shape[:-2], high - low + 1, longest)))
    for row, column, which, place in _diagonals(low, high, (rows, columns), _align(attributes)):
        result[..., which, place] = x[..., row, column]
    return (result if low < high else result[..., 0, :],)


def _matrix_set_diag(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    x, diagonal = alike(inputs[:2])
    low, high = _bounds(inputs[2]) if len(inputs) > 2 else (0, 0)
    diagonal = diagonal if low < high else diagonal[..., np.newaxis, :]
    result = x.copy()
    for row, column, which, place in _diagonals(low, high, x.shape[-2:], _align(attributes)):
        result[..., row, column] = diagonal[..., which, place]
    return (result,)


def _matrix_band_part(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    x, lower, upper = inputs[0], integer(inputs[1]), integer(inputs[2])
    rows, columns = np.indices(x.shape[-2:])
    inside = ((lower < 0) | (rows - columns <= lower)) & ((upper < 0) | (columns - rows <= upper))
    return (np.where(inside, x, filled((), 0, x)),)


# fmt: off
ROWS = (
    Row("StridedSlice",     "selection", _strided_slice),
    Row("StridedSliceGrad", "embedding", _strided_slice_grad),
    Row("Slice",            "selection", _slice),
    Row("Gather",           "selection", _gather),
    Row("GatherV2",         "selection", _gather),
    Row("GatherNd",         "selection", _gather_nd),
    Row("OneHot",           "one-hot",   _one_hot),
    Row("ScatterNd",        "scatter",   _scatter_nd),
    _scatter("TensorScatterUpdate", _replaced),
    _scatter("TensorScatterAdd",    _sum),
    _scatter("TensorScatterSub",    _minus),
    Row("DynamicStitch",    "interleaving", _dynamic_stitch),
    Row("ParallelDynamicStitch", "interleaving", _dynamic_stitch),
    Row("TopKV2",           "the largest entries", _top_k),
    Row("MatrixDiag",       "diagonal", _matrix_diag),
    Row("MatrixDiagV2",     "diagonal", _matrix_diag),
    Row("MatrixDiagV3",     "diagonal", _matrix_diag),
    Row("MatrixDiagPart",   "diagonal", _matrix_diag_part),
    Row("MatrixDiagPartV2", "diagonal", _matrix_diag_part),
    Row("MatrixDiagPartV3", "diagonal", _matrix_diag_part),
    Row("MatrixSetDiag",    "diagonal", _matrix_set_diag),
    Row("MatrixSetDiagV2",  "diagonal", _matrix_set_diag),
    Row("MatrixSetDiagV3",  "diagonal", _matrix_set_diag),
    Row("MatrixBandPart",   "band",     _matrix_band_part),
)
# fmt: on
