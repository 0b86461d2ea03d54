"""A table of TensorFlow's own values: the recorded ops run again, for many points at once.

It checks the page's program, and stands in for it where there is none. Ops that work entry by
entry take all points in one call; else the points go one after the other, the recorded one first,
while time lasts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tapemagic.explorer.program import NotExplorable, number_or_text
from tapemagic.explorer.replay import Replay
from tapemagic.trace import Array

POINTS = 41
SECONDS = 0.15  # for points one by one
Function = Callable[[Any], Any]


@dataclass(frozen=True)
class Table:
    """The target at the points `x`, with its derivatives of order 1, 2 … in `d`."""

    x: Array
    y: Array
    d: tuple[Array, ...]

    def data(self) -> dict[str, Any]:
        """As JSON has it."""

        def row(values: Array) -> list[float | str]:
            return [number_or_text(value) for value in values.tolist()]

        return {"x": row(self.x), "y": row(self.y), "d": [row(order) for order in self.d]}


def tabulate(replay: Replay, points: Array, order: int) -> Table:
    """The table of one scalar source, from TensorFlow; raises `NotExplorable` with the reason."""
    if [source.shape for source in replay.sources] != [()]:
        raise NotExplorable("a table is for one scalar source")
    x = tf.constant(points, replay.sources[0].dtype)
    try:
        replay.confirm()
        if replay.elementwise:
            rows = [np.broadcast_to(row, points.shape) for row in _rows(replay.run, x, order)]
        else:
            recorded = int(np.argmin(np.abs(points - replay.sources[0].data)))
            places = list(dict.fromkeys([recorded, *bisecting(len(points))]))
            done, found = _one_by_one(replay.run, [x[i] for i in places], order)
            chosen = np.argsort(places[:done])
            points = points[np.asarray(places[:done])[chosen]]
            rows = [np.asarray(row)[chosen] for row in zip(*found)]
    except tf.errors.OpError as error:
        raise NotExplorable(f"TensorFlow: {str(error).splitlines()[0]}") from error
    return Table(points, rows[0], tuple(rows[1:]))


def _rows(run: Function, x: Any, order: int) -> list[Array]:
    """The value and its derivatives, by nested tapes; None is 0."""

    def level(n: int) -> list[Any]:
        if n == 0:
            return [run(x)]
        with tf.GradientTape() as tape:
            tape.watch(x)
            lower = level(n - 1)
        slope = tape.gradient(lower[-1], x) if lower[-1].dtype.is_floating else None
        return [*lower, tf.zeros_like(x) if slope is None else slope]

    return [np.asarray(tf.cast(row, tf.float64)) for row in level(order)]


def _one_by_one(run: Function, points: Sequence[Any], order: int) -> tuple[int, list[list[Array]]]:
    until = time.perf_counter() + SECONDS
    found: list[list[Array]] = []
    for point in points:
        if len(found) > 2 and time.perf_counter() > until:
            break
        found.append([np.sum(row) for row in _rows(run, point, order)])
    return len(found), found


def bisecting(count: int) -> list[int]:
    """All places, the ends first, then the middles: whenever it ends, they are spread out."""
    found: dict[int, None] = dict.fromkeys((0, count - 1))
    step = count - 1
    while step > 1:
        step = (step + 1) // 2
        found.update(dict.fromkeys(range(0, count, step)))
    found.update(dict.fromkeys(range(count)))
    return list(found)
