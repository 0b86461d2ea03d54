"""The target along one source, from the programs of all known paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tapemagic.explorer.program import Program
from tapemagic.explorer.table import Table
from tapemagic.trace import Array


@dataclass(frozen=True)
class Curve:
    """Points of the target, nan where no known path holds; `path` numbers the path (−1: none)."""

    x: Array
    y: Array
    path: Array


def run(program: Program, point: Sequence[Array | float]) -> tuple[Array, Array, Array]:
    """Value, first derivatives (one row an input) and where the path holds."""
    registers = program.code.run(point)
    shape = np.broadcast_shapes(*(np.shape(entry) for entry in point))
    places = program.derivatives[:1] or program.gradient
    value, *slopes = (
        np.broadcast_to(program.held(registers[place]), shape) for place in (program.value, *places)
    )
    return value, np.array(slopes), np.broadcast_to(program.holds(registers), shape)


def along(programs: Sequence[Program], point: Sequence[float], place: int, x: Array) -> Curve:
    """The target for the values `x` of one input, the others as in `point`."""
    y, path = np.full(x.shape, np.nan), np.full(x.shape, -1)
    moved = [x if i == place else value for i, value in enumerate(point)]
    for number, program in enumerate(programs):
        value, _, holds = run(program, moved)
        free = holds & (path < 0)
        y[free], path[free] = value[free], number
    return Curve(x, y, path)


def moved(point: Sequence[float], place: int, value: float) -> list[float]:
    """The point with one entry changed."""
    return [value if i == place else entry for i, entry in enumerate(point)]


def at(programs: Sequence[Program], point: Sequence[float]) -> tuple[float, list[float]] | None:
    """Value and first derivatives at a point; None where no known path holds."""
    for program in programs:
        value, slopes, holds = run(program, point)
        if holds:
            return float(value), [float(slope) for slope in slopes]
    return None


def nearest(table: Table, x: float) -> tuple[float, list[float]]:
    """Value and first derivative at the table's point next to `x`."""
    place = int(np.argmin(np.abs(table.x - x)))
    return float(table.y[place]), [float(table.d[0][place])] if table.d else []


def of_table(table: Table) -> Curve:
    """The table's points as a curve."""
    return Curve(table.x, table.y, np.zeros(table.x.shape, dtype=int))
