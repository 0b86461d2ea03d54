"""The cell run anew at each point, in a copy of the namespace: true whatever decides in it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from tapemagic.deriving import Explained
from tapemagic.explorer.program import NotExplorable, in_words
from tapemagic.explorer.sliders import Sliders, stops
from tapemagic.explorer.table import POINTS, Table
from tapemagic.result import Result
from tapemagic.trace import Array

SECONDS = 2.0  # for a table


class Rerun(Protocol):
    """Runs the cell again, elsewhere, in a copy of the namespace."""

    def result(self, values: Mapping[str, Any]) -> tuple[Result, list[Explained]]: ...

    def value(self, values: Mapping[str, Any], target: str) -> float: ...

    def gradient(
        self, values: Mapping[str, Any], target: str
    ) -> tuple[float, dict[str, Array]]: ...


class Anew:
    """The target and its gradient, from a `rerun` at each point."""

    def __init__(self, rerun: Rerun, sliders: Sliders, target: str) -> None:
        self._rerun, self._sliders, self._target = rerun, sliders, target

    def at(self, point: Sequence[float]) -> tuple[float, list[float]]:
        """Value and gradient; raises `NotExplorable` with what the cell raised."""
        try:
            value, gradient = self._rerun.gradient(self._sliders.named(point), self._target)
        except Exception as error:
            raise NotExplorable(f"the cell raises there {in_words(error)}") from error
        symbols = [slider.symbol for slider in self._sliders]
        return value, [float(gradient[symbol.name.text][symbol.index]) for symbol in symbols]

    def table(self) -> Table | None:
        """Along the one source, from end to end; None where that would take too long."""
        x = stops(self._sliders[0], POINTS)
        until = time.perf_counter() + SECONDS
        rows: list[tuple[float, float]] = []
        for point in x:
            try:
                value, slopes = self.at([float(point)])
                rows.append((value, slopes[0]))
            except NotExplorable:
                rows.append((np.nan, np.nan))
            if time.perf_counter() > until:
                return None
        y, slopes = np.array(rows).T
        return Table(x, y, (slopes,))
