"""The paths through a cell: the recorded one, and those that a re-run finds across its borders."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tapemagic.deriving import Explained
from tapemagic.explorer.branches import decisions
from tapemagic.explorer.curve import along, at, moved
from tapemagic.explorer.payload import Piece, piece
from tapemagic.explorer.program import NotExplorable, Program, in_words
from tapemagic.explorer.sliders import Sliders, grid
from tapemagic.explorer.subject import Subject, subject
from tapemagic.result import Result

Again = Callable[[Mapping[str, Any]], tuple[Result, list[Explained]]]
MOST = 8  # paths
SECONDS = 1.5  # for those that are looked for in advance


class Paths:
    """The known pieces; `rerun` is None, and `why` says why, where there can be no others."""

    def __init__(self, first: Subject, shown: Sliders) -> None:
        self.sliders = shown
        self.rerun: Again | None = None
        self.why = ""
        decided, self.unknown = decisions(first.trace, first.question)
        self.pieces = [piece(first, decided)]
        self._first = first.light

    @property
    def programs(self) -> list[Program]:
        """Of the known pieces, the recorded one first."""
        return [one.program for one in self.pieces]

    @property
    def branches(self) -> bool:
        """Whether Python decided anything by the sources' values."""
        return bool(self.pieces[0].program.guards)

    def explore(self) -> None:
        """Find the paths that hold elsewhere in the ranges, the nearest to the point first."""
        until = time.perf_counter() + SECONDS
        while self.branches and self.rerun is not None and time.perf_counter() < until:
            missing = self._missing()
            if missing is None:
                return
            if len(self.pieces) >= MOST:
                self.why = f"the cell goes more than {MOST} ways here"
                return
            try:
                self.find(missing)
            except NotExplorable as reason:
                self.why = str(reason)
                return

    def find(self, point: Sequence[float]) -> Piece:
        """The path that holds at a point, found by running the cell there.

        Raises `NotExplorable` with the reason where there is none.
        """
        if self.rerun is None:
            raise NotExplorable(self.why or "the cell cannot be run again")
        try:
            result, explained = self.rerun(self.sliders.named(point))
            other = subject(result, explained, self._first.order)
            decided, _ = decisions(other.trace, other.question)
            found = piece(other, decided)
        except NotExplorable as reason:
            raise NotExplorable(f"there {reason}") from reason
        except Exception as error:
            raise NotExplorable(f"the cell raises there {in_words(error)}") from error
        if at([found.program], point) is None:
            raise NotExplorable("the cell's decisions there cannot be followed")
        self.pieces.append(found)
        return found

    def value(self, point: Sequence[float]) -> float | None:
        """The target at a point; None where no known path holds."""
        found = at(self.programs, point)
        return None if found is None else found[0]

    def holding(self, point: Sequence[float]) -> Piece:
        """The known path that holds at a point."""
        return next(one for one in self.pieces if at([one.program], point) is not None)

    def _missing(self) -> list[float] | None:
        """The point nearest to the recorded one, along one source, where no known path holds."""
        best: tuple[float, list[float]] | None = None
        for place, slider in enumerate(self.sliders):
            x = grid(slider)
            free = x[along(self.programs, self.sliders.point, place, x).path < 0]
            if free.size:
                nearest = float(free[np.argmin(np.abs(free - slider.value))])
                width = slider.range.high - slider.range.low
                distance = abs(nearest - slider.value) / width
                if best is None or distance < best[0]:
                    best = distance, moved(self.sliders.point, place, nearest)
        return None if best is None else best[1]
