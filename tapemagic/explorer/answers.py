"""What the kernel computes for a page that cannot: value and slopes, curves, the plane.

The recorded ops run again in TensorFlow, compiled once, or the cell does. The page asks one
question at a time, then for what is wanted by then, so that a drag never queues; while nothing
moves it asks again, and each answer is finer than the one before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tapemagic.explorer.program import NotExplorable, in_words, number_or_text
from tapemagic.explorer.sliders import Sliders
from tapemagic.explorer.wishes import SIDES, Point, Wish
from tapemagic.trace import Array

At = Callable[[Sequence[float]], tuple[float, list[float]]]
SECONDS = 0.04  # for an answer
FIRST = 0.5  # for what the page has to begin with
PLANE = 30.0  # for a plane: a slow cell gets a coarse one
KEPT = 20_000  # points


@dataclass(frozen=True)
class Found:
    """At a point, the value, and the slope by each entry or, of a single entry, those of order
    1, 2 …; all nan, and a `word` why, where it cannot be computed."""

    value: float
    slopes: tuple[float, ...]
    word: str = ""


@dataclass(frozen=True)
class Answer:
    """What is known of a wish by now; `curves` have the value and the slopes as columns.

    The plane is the finest known, None where the page has it.
    """

    wish: Wish
    here: Found
    curves: tuple[tuple[Array, Array], ...]
    plane: tuple[int, Array] | None
    finished: bool

    def data(self) -> dict[str, Any]:
        """As JSON has it."""
        curves = zip(self.wish.lines, self.curves)
        return {
            "wish": self.wish.data(),
            "value": number_or_text(self.here.value),
            "slopes": [number_or_text(slope) for slope in self.here.slopes],
            "word": self.here.word,
            "curves": [
                {"along": line.along, "x": x.tolist(), "columns": _short(columns)}
                for line, (x, columns) in curves
            ],
            "plane": self.plane
            and {
                "ranges": self.wish.plane,
                "side": self.plane[0],
                "columns": _short(self.plane[1]),
            },
            "finished": self.finished,
        }


class Answers:
    """Answers from `compute`, which gives value and slopes at a point, or raises.

    `first` is all that there is time for around the recorded point; raises `NotExplorable` where
    nothing can be computed there.
    """

    def __init__(self, compute: At, sliders: Sliders) -> None:
        self.compute, self._sliders = compute, sliders
        self._known: dict[Point, Found] = {}
        self._spent = 0.0  # seconds
        self._count = 0  # of points computed
        self._slopes = 0  # at each point
        here = self.at(sliders.point)
        if here.word:
            raise NotExplorable(here.word)
        self._slopes = len(here.slopes)
        self.first = self.answer(Wish.whole(sliders), 0, FIRST, 3 * len(sliders))

    def at(self, point: Sequence[float]) -> Found:
        """Value and slopes at a point, computed once."""
        key = tuple(point)
        if key not in self._known:
            if len(self._known) >= KEPT:
                del self._known[next(iter(self._known))]
            self._known[key] = self._found(key)
        return self._known[key]

    def _found(self, point: Point) -> Found:
        began = time.perf_counter()
        try:
            value, slopes = self.compute(point)
            return Found(value, tuple(slopes))
        except NotExplorable as reason:
            word = str(reason)
        except Exception as error:  # noqa: BLE001 - of the user's ops, at a point of the page's
            word = f"the kernel cannot tell: {in_words(error)}"
        finally:
            self._spent += time.perf_counter() - began
            self._count += 1
        return Found(np.nan, (np.nan,) * self._slopes, word)

    def answer(self, wish: Wish, side: int = 0, seconds: float = SECONDS, least: int = 1) -> Answer:
        """All that is known by now, and what there is time for: so many points at `least`. The
        page has a plane of this `side` already."""
        until = time.perf_counter() + seconds
        sides = [n for n in SIDES if n == SIDES[0] or n * n * self._spent < PLANE * self._count]
        finished = True
        for point in wish.points(self._sliders, sides):
            if point in self._known:
                continue
            if least <= 0 and time.perf_counter() > until:
                finished = False
                break
            self.at(point)
            least -= 1
        curves = tuple(
            self._columns(wish.along(line, self._sliders), line.along) for line in wish.lines
        )
        return Answer(wish, self.at(wish.point), curves, self._plane(wish, side), finished)

    def _columns(self, points: Sequence[Point], along: int) -> tuple[Array, Array]:
        """Of a curve, what is known."""
        known = [point for point in points if point in self._known]
        return np.array([point[along] for point in known]), self._table(known)

    def _table(self, points: Sequence[Point]) -> Array:
        """Value and slopes at known points, a row each."""
        found = [self._known[point] for point in points]
        columns = np.empty((self._slopes + 1, len(found)))
        for place, one in enumerate(found):
            columns[:, place] = one.value, *one.slopes
        return columns

    def _plane(self, wish: Wish, least: int) -> tuple[int, Array] | None:
        """The finest grid that is known, if it is finer than the page's."""
        for side in reversed(SIDES) if wish.plane is not None else ():
            if side <= least:
                break
            points = wish.grid(side, self._sliders)
            if all(point in self._known for point in points):
                return side, self._table(points)
        return None


def _short(columns: Array) -> list[list[float | str]]:
    """With the digits that a picture needs, and float32 has."""
    return [[number_or_text(float(f"{v:.9g}")) for v in column] for column in columns.tolist()]
