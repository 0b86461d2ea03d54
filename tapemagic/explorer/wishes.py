"""What the page wants of the kernel: a point, curves through it, the plane of two entries."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from tapemagic.explorer.curve import moved
from tapemagic.explorer.sliders import Slider, Sliders, grid
from tapemagic.explorer.table import bisecting
from tapemagic.trace import Array

SIDES = (5, 9, 17, 33)  # of the plane: each grid has the points of the one before
POINTS = 2 * SIDES[-1] - 1  # of a curve
Point = tuple[float, ...]
Span = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """A curve along the entry numbered `along`, which goes through the values `also`."""

    along: int
    span: Span
    also: tuple[float, ...] = ()


@dataclass(frozen=True)
class Wish:
    """A point, the curves through it, and the ranges of both entries, where there are two."""

    point: Point
    lines: tuple[Line, ...]
    plane: tuple[Span, Span] | None = None

    @classmethod
    def whole(cls, sliders: Sliders) -> Wish:
        """The recorded point, and all there is to see over the sliders' ranges."""
        spans = [(slider.range.low, slider.range.high) for slider in sliders]
        lines = tuple(Line(along, span) for along, span in enumerate(spans))
        plane = (spans[0], spans[1]) if len(spans) == 2 else None
        return cls(tuple(sliders.point), lines, plane)

    @classmethod
    def read(cls, data: Any, sliders: Sliders) -> Wish:
        """As the page writes it; what makes no sense raises `ValueError`, `TypeError` or
        `KeyError`."""
        point = tuple(map(_finite, data["point"]))
        if len(point) != len(sliders) or len(data["lines"]) > len(sliders):
            raise ValueError
        lines = tuple(_line(one, sliders) for one in data["lines"])
        plane = data["plane"]
        if plane is None:
            return cls(point, lines)
        if len(plane) != len(sliders) or len(plane) != 2:
            raise ValueError
        return cls(point, lines, (_span(plane[0], sliders[0]), _span(plane[1], sliders[1])))

    def data(self) -> dict[str, Any]:
        """As the page wrote it."""
        return asdict(self)

    def along(self, line: Line, sliders: Sliders) -> list[Point]:
        """The points of a curve, the wish's own among them if it lies there."""
        here = self.point[line.along]
        own = (here,) if line.span[0] <= here <= line.span[1] else ()
        spread = _spread(sliders[line.along], line.span, POINTS)
        return [self._moved(line, x) for x in np.unique(np.append(spread, line.also + own))]

    def grid(self, side: int, sliders: Sliders) -> list[Point]:
        """The points of the plane, row by row from below."""
        assert self.plane is not None
        step = (SIDES[-1] - 1) // (side - 1)
        x, y = (
            _spread(slider, span, SIDES[-1])[::step].tolist()
            for slider, span in zip(sliders, self.plane)
        )
        return [(a, b) for b in y for a in x]

    def points(self, sliders: Sliders, sides: Sequence[int]) -> Iterator[Point]:
        """All of them, the most wanted first: coarse curves and planes before fine ones."""
        yield self.point
        for line in self.lines:
            yield from (self._moved(line, x) for x in line.also)
        spreads = [_spread(sliders[line.along], line.span, POINTS) for line in self.lines]
        for side in SIDES:
            count = 2 * side - 1  # of a curve
            for place in bisecting(count):
                for line, x in zip(self.lines, spreads):
                    yield self._moved(line, x[place * (POINTS - 1) // (count - 1)])
            if self.plane is not None and side in sides:
                yield from self.grid(side, sliders)

    def _moved(self, line: Line, x: float) -> Point:
        return tuple(moved(self.point, line.along, float(x)))


def _spread(slider: Slider, span: Span, count: int) -> Array:
    return grid(replace(slider, range=replace(slider.range, low=span[0], high=span[1])), count)


def _line(data: Any, sliders: Sliders) -> Line:
    along = data["along"]
    if along not in range(len(sliders)) or len(data["also"]) > 1:
        raise ValueError
    return Line(along, _span(data["span"], sliders[along]), tuple(map(_finite, data["also"])))


def _span(data: Any, slider: Slider) -> Span:
    low, high = map(_finite, data)
    if not low < high or (slider.range.scale == "log" and low <= 0):
        raise ValueError
    return low, high


def _finite(value: Any) -> float:
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError
    return float(value)
