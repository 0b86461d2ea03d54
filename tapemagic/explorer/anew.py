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

    def gradients(
        self, values: Mapping[str, Any], target: str, order: int
    ) -> tuple[float, list[dict[str, Array]]]: ...


class Anew:
    """The target and its gradient, or the derivatives up to `order` by a single entry, from a
    `rerun` at each point."""

    def __init__(self, rerun: Rerun, sliders: Sliders, target: str, order: int) -> None:
        self._rerun, self._sliders, self._target = rerun, sliders, target
        self._order = order

    def at(self, point: Sequence[float]) -> tuple[float, list[float]]:
        """Value and slopes; raises `NotExplorable` with what the cell raised."""
        values = self._sliders.named(point)
        try:
            value, gradients = self._rerun.gradients(values, self._target, self._order)
        except Exception as error:
            raise NotExplorable(f"the cell raises there {in_words(error)}") from error
        symbols = [slider.symbol for slider in self._sliders]
        return value, [
            float(gradient[symbol.name.text][symbol.index])
            for gradient in gradients
            for symbol in symbols
        ]

    def table(self) -> Table | None:
        """Along the one source, from end to end; None where that would take too long."""
        x = stops(self._sliders[0], POINTS)
        until = time.perf_counter() + SECONDS
        rows: list[tuple[float, ...]] = []
        for point in x:
            try:
                value, slopes = self.at([float(point)])
                rows.append((value, *slopes))
            except NotExplorable:
                rows.append((np.nan,) * (self._order + 1))
            if time.perf_counter() > until:
                return None
        y, *d = np.array(rows).T
        return Table(x, y, tuple(d))
