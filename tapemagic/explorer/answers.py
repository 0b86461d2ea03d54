"""What the kernel computes for a page that cannot: value, gradient, the curve along one entry.

The recorded ops run again in TensorFlow, compiled once. The page asks for one point at a time
and then for the newest that is wanted by then, so that a drag never queues.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tapemagic.explorer.curve import moved
from tapemagic.explorer.payload import Slider, grid
from tapemagic.explorer.program import number_or_text
from tapemagic.explorer.replay import Replay
from tapemagic.explorer.subject import Subject
from tapemagic.explorer.table import Table, bisecting

POINTS = 65  # of a curve
SECONDS = 0.04  # for a curve


@dataclass(frozen=True)
class Answer:
    """The target at a point, its gradient, and the curve along the entry numbered `along`."""

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
        }


class Answers:
    """Answers about a subject; `first` has one for each slider, at the recorded point.

    Raises `NotExplorable` with the reason where the recorded ops cannot be run again.
    """

    def __init__(self, subject: Subject, sliders: Sequence[Slider]) -> None:
        self._replay, self._sliders = Replay(subject.trace, subject.question), sliders
        self._replay.confirm()
        point = [slider.value for slider in sliders]
        self.first = [self.answer(point, place) for place in range(len(sliders))]

    def at(self, point: Sequence[float]) -> tuple[float, list[float]]:
        """Value and gradient."""
        return self._replay.at(point)

    def answer(self, point: Sequence[float], along: int) -> Answer:
        """All that is asked about a point; of the curve, what there is time for."""
        value, gradient = self.at(point)
        x, until = grid(self._sliders[along], POINTS), time.perf_counter() + SECONDS
        found: dict[int, tuple[float, float]] = {}
        for place in bisecting(len(x)):
            if len(found) > 2 and time.perf_counter() > until:
                break
            there, slopes = self.at(moved(point, along, float(x[place])))
            found[place] = there, slopes[along]
        places = sorted(found)
        y, d = np.array([found[place] for place in places]).T
        curve = Table(x[places], y, (d,))
        return Answer(tuple(point), value, tuple(gradient), along, curve)
