"""What the kernel computes for a page that cannot: value, gradient, the curve along one entry.

The recorded ops run again in TensorFlow, compiled once, or the cell does. The page asks for one
point at a time and then for the newest that is wanted by then, so that a drag never queues.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tapemagic.explorer.curve import moved
from tapemagic.explorer.program import NotExplorable, number_or_text
from tapemagic.explorer.sliders import Sliders, grid
from tapemagic.explorer.table import Table, bisecting

At = Callable[[Sequence[float]], tuple[float, list[float]]]
POINTS = 65  # of a curve
SECONDS = 0.04  # for a curve
FIRST = 0.3  # for all of them, to begin with


@dataclass(frozen=True)
class Answer:
    """The target at a point, its gradient, and the curve along the entry numbered `along`, which
    is finished once there are no more points of it to ask for."""

    point: tuple[float, ...]
    value: float
    gradient: tuple[float, ...]
    along: int
    curve: Table

    def data(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "point": list(self.point),
            "value": number_or_text(self.value),
            "gradient": [number_or_text(slope) for slope in self.gradient],
            "along": self.along,
            "curve": self.curve.data(),
            "finished": len(self.curve.x) == POINTS,
        }


class Answers:
    """Answers from `at`, which gives value and gradient at a point, or raises `NotExplorable`.

    `first` has one for each slider, at the recorded point.
    """

    def __init__(self, at: At, sliders: Sliders) -> None:
        self.at, self._sliders = at, sliders
        self._begun: dict[int, tuple[list[float], dict[int, tuple[float, float]]]] = {}
        share = max(FIRST / len(sliders), SECONDS)
        self.first = [self.answer(sliders.point, place, share) for place in range(len(sliders))]

    def answer(self, point: Sequence[float], along: int, seconds: float = SECONDS) -> Answer:
        """All that is asked about a point; of the curve, what there is time for."""
        value, gradient = self.at(point)
        curve = self._curve(point, along, time.perf_counter() + seconds)
        return Answer(tuple(point), value, tuple(gradient), along, curve)

    def _curve(self, point: Sequence[float], along: int, until: float) -> Table:
        """While only this entry moves, the curve stays, and gets finer with each answer: the
        page asks until it is finished."""
        x = grid(self._sliders[along], POINTS)
        through = moved(point, along, 0.0)
        kept, found = self._begun.get(along, (through, {}))
        if kept != through:
            found = {}
        self._begun[along] = through, found
        left = [place for place in bisecting(len(x)) if place not in found]
        for place in left:
            if len(found) > 2 and time.perf_counter() > until:
                break
            try:
                there, slopes = self.at(moved(point, along, float(x[place])))
                found[place] = there, slopes[along]
            except NotExplorable:
                found[place] = np.nan, np.nan
        places = sorted(found)
        y, d = np.array([found[place] for place in places]).T
        return Table(x[places], y, (d,))
