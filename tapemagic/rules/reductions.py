"""Rules of the ops that run over axes: sums, products, extremes, running sums, groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tapemagic.formula import ONE, ZERO, Call, Formula, Number, Power, Quotient, call, number
from tapemagic.rules.elementwise import product, total
from tapemagic.rules.rule import (
    Array,
    Attributes,
    NotSymbolic,
    Row,
    axes_of,
    filled,
    integer,
    plain,
    text,
)

Entries = Sequence[Formula]


def added(entries: Entries) -> Formula:
    """The sum as a person writes it: without zeros, bare numbers added up."""
    kept = [entry for entry in entries if entry != ZERO]
    if all(isinstance(entry, Number) for entry in kept):
        return number(sum(entry.value for entry in kept if isinstance(entry, Number)))
    return total(*kept)


def multiplied(entries: Entries) -> Formula:
    """The product as a person writes it: without ones, 0 if there is a 0."""
    kept = [entry for entry in entries if entry != ONE]
    return ZERO if ZERO in kept else product(*kept)


def _mean(entries: Entries) -> Formula:
    return added(entries) if len(entries) == 1 else Quotient(added(entries), number(len(entries)))


def _norm(entries: Entries) -> Formula:
    return call("sqrt", added([Power(entry, number(2)) for entry in entries]))


def _extreme(name: str) -> Callable[[Entries], Formula]:
    return lambda entries: entries[0] if len(entries) == 1 else Call(name, tuple(entries))


def _logical(name: str) -> Callable[[Entries], Formula]:
    def fold(entries: Entries) -> Formula:
        result, *rest = entries
        for entry in rest:
            result = call(name, result, entry)
        return result

    return fold


@dataclass(frozen=True)
class Fold:
    """Many entries to one: `numbers(array, axis=…)`, `formulas(entries)`."""

    numbers: Callable[..., Any]
    formulas: Callable[[Entries], Formula]


def _np_mean(array: Array, axis: Any) -> Any:
    return np.mean(array, axis=axis, dtype=np.float64)


_SUM = Fold(np.sum, added)
_MEAN = Fold(_np_mean, _mean)
_PROD = Fold(np.prod, multiplied)
_MAX = Fold(np.max, _extreme("max"))
_MIN = Fold(np.min, _extreme("min"))
_NORM = Fold(lambda a, axis: np.sqrt(np.sum(np.square(a), axis=axis)), _norm)
_ALL, _ANY = Fold(np.all, _logical("logical_and")), Fold(np.any, _logical("logical_or"))


def reduced(array: Array, axes: Sequence[int], fold: Fold) -> Array:
    """`fold` over the axes, which disappear."""
    with np.errstate(all="ignore"):
        if array.dtype != object:
            return np.asarray(fold.numbers(array, axis=tuple(axes)))
    rest = [axis for axis in range(array.ndim) if axis not in axes]
    shape = tuple(array.shape[axis] for axis in rest)
    count = int(np.prod([array.shape[axis] for axis in axes], dtype=int))
    cells = array.transpose(*rest, *axes).reshape((*shape, count))
    result = np.empty(shape, dtype=object)
    for index in np.ndindex(shape):
        result[index] = fold.formulas(list(cells[index]))
    return result


def _reduction(kind: str, rule: str, fold: Fold) -> Row:
    def applied(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
        array, axes = inputs[0], axes_of(inputs[0], inputs[1])
        result = reduced(array, axes, fold)
        if attributes.get("keep_dims"):
            kept = [1 if axis in axes else size for axis, size in enumerate(array.shape)]
            result = result.reshape(kept)
        return (result,)

    return Row(kind, rule, applied)


def _running(kind: str, rule: str, fold: Fold, start: float) -> Row:
    def applied(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
        array, axis = np.moveaxis(inputs[0], integer(inputs[1]), 0), integer(inputs[1])
        array = array[::-1] if attributes.get("reverse") else array
        late = 0 if attributes.get("exclusive") else 1
        parts = [
            reduced(array[: size + late], (0,), fold)
            if size + late
            else filled(array.shape[1:], start, array)
            for size in range(len(array))
        ]
        result = np.stack(parts) if parts else array
        result = result[::-1] if attributes.get("reverse") else result
        return (np.moveaxis(result, 0, axis),)

    return Row(kind, rule, applied)


def _l2_loss(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    array = inputs[0]
    if array.dtype != object:
        return (np.asarray(np.sum(np.square(array)) / 2),)
    squares = added([Power(entry, number(2)) for entry in array.ravel()])
    return (np.array(Quotient(squares, number(2)), dtype=object),)


def _bias_add_grad(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    array = inputs[0]
    channel = 1 if attributes.get("data_format") in ("NCHW", b"NCHW") else array.ndim - 1
    return (reduced(array, [axis for axis in range(array.ndim) if axis != channel], _SUM),)


def _arg(kind: str, choose: Callable[..., Any]) -> Row:
    def applied(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
        if inputs[0].dtype == object:
            raise NotSymbolic("which entry is the largest or smallest depends on the values")
        return (np.asarray(choose(inputs[0], axis=integer(inputs[1]))),)

    return Row(kind, "position of an extreme", applied)


def _segments(kind: str, fold: Fold, empty: float, unsorted: bool) -> Row:
    def applied(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
        data, ids = inputs[0], plain(inputs[1])
        count = integer(inputs[2]) if unsorted else int(ids[-1]) + 1 if ids.size else 0
        rows = data.reshape((ids.size, *data.shape[ids.ndim :]))
        result = filled((count, *rows.shape[1:]), empty, rows)
        for segment in range(count):
            members = rows[ids.ravel() == segment]
            if len(members):
                result[segment] = reduced(members, (0,), fold)[()]
        return (result,)

    return Row(kind, "sums by group" if fold is _SUM else "groups", applied)


def _pool(kind: str, fold: Fold) -> Row:
    """The entries under each window, those of the padding left out."""

    def applied(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
        (x,) = inputs
        sizes, steps = attributes["ksize"], attributes["strides"]
        same = text(attributes["padding"]) == "SAME"
        starts = [
            _window_starts(size, places, step, same)
            for size, places, step in zip(x.shape, sizes, steps)
        ]
        result = np.empty([len(own) for own in starts], x.dtype)
        for place in np.ndindex(result.shape):
            corner = [own[k] for own, k in zip(starts, place)]
            spans = (slice(max(0, at), at + size) for at, size in zip(corner, sizes))
            result[place] = reduced(x[tuple(spans)], range(x.ndim), fold)[()]
        return (result,)

    return Row(kind, "mean", applied)


def _window_starts(size: int, places: int, step: int, same: bool) -> list[int]:
    """Where windows begin along an axis; before 0 in the padding."""
    if not same:
        return list(range(0, size - places + 1, step))
    count = -(-size // step)
    before = max(0, (count - 1) * step + places - size) // 2
    return [k * step - before for k in range(count)]


_LOWEST, _HIGHEST = float(np.finfo(np.float64).min), float(np.finfo(np.float64).max)

# fmt: off
ROWS = (
    _reduction("Sum",           "sum",            _SUM),
    _reduction("Mean",          "mean",           _MEAN),
    _reduction("Prod",          "product",        _PROD),
    _reduction("Max",           "maximum rule",   _MAX),
    _reduction("Min",           "maximum rule",   _MIN),
    _reduction("EuclideanNorm", "Euclidean norm", _NORM),
    _reduction("All",           "logic",          _ALL),
    _reduction("Any",           "logic",          _ANY),
    _running("Cumsum",  "running sum",     _SUM,  0.0),
    _running("Cumprod", "running product", _PROD, 1.0),
    Row("L2Loss",      "half the sum of squares", _l2_loss),
    Row("BiasAddGrad", "sum",                     _bias_add_grad),
    _arg("ArgMax", np.argmax),
    _arg("ArgMin", np.argmin),
    _pool("AvgPool",   _MEAN),
    _pool("AvgPool3D", _MEAN),
    _segments("SegmentSum",          _SUM,  0.0, unsorted=False),
    _segments("SegmentMean",         _MEAN, 0.0, unsorted=False),
    _segments("SegmentProd",         _PROD, 1.0, unsorted=False),
    _segments("SegmentMax",          _MAX,  0.0, unsorted=False),
    _segments("SegmentMin",          _MIN,  0.0, unsorted=False),
    _segments("UnsortedSegmentSum",  _SUM,  0.0, unsorted=True),
    _segments("UnsortedSegmentProd", _PROD, 1.0, unsorted=True),
    _segments("UnsortedSegmentMax",  _MAX,  _LOWEST, unsorted=True),
    _segments("UnsortedSegmentMin",  _MIN,  _HIGHEST, unsorted=True),
)
# fmt: on
