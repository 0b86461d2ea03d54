"""A table of TensorFlow's own values: the recorded ops run again, for many points at once.

It checks the page's program, and stands in for it where there is none. Ops that work entry by
entry take all points in one call; else the points go one after the other, while time lasts.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from tapemagic import rules
from tapemagic.explorer.program import NotExplorable
from tapemagic.question import Question
from tapemagic.trace import Array, Operation, Trace

SECONDS = 0.15  # for points one by one
Function = Callable[[Any], Any]


@dataclass(frozen=True)
class Table:
    """The target at the points `x`, with its derivatives of order 1, 2 … in `d`."""

    x: Array
    y: Array
    d: tuple[Array, ...]


def tabulate(trace: Trace, question: Question, points: Array, order: int) -> Table:
    """The table of one scalar source, from TensorFlow; raises `NotExplorable` with the reason."""
    replay = _Replay(trace, question)
    x = tf.constant(points, replay.dtype)
    try:
        recorded = np.asarray(replay.run(tf.constant(replay.point, replay.dtype)))
        if not np.allclose(recorded, replay.recorded, rtol=1e-4, atol=1e-30, equal_nan=True):
            raise NotExplorable("run once more, the recorded ops give something else")
        if replay.elementwise:
            rows = [np.broadcast_to(row, points.shape) for row in _rows(replay.run, x, order)]
        else:
            places = _bisecting(len(points))
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


def _bisecting(count: int) -> list[int]:
    """All places, the ends first, then the middles: whenever it ends, they are spread out."""
    found: dict[int, None] = dict.fromkeys((0, count - 1))
    step = count - 1
    while step > 1:
        step = (step + 1) // 2
        found.update(dict.fromkeys(range(0, count, step)))
    found.update(dict.fromkeys(range(count)))
    return list(found)


class _Replay:
    """The recorded ops between one scalar source and the target, as a function for TensorFlow."""

    def __init__(self, trace: Trace, question: Question) -> None:
        leaves = [leaf for leaf in question.sources if leaf.tensors]
        if len(leaves) != 1 or len(leaves[0].tensors) != 1:
            raise NotExplorable("a table is for one source with one value")
        self._trace, self._target, self._source = trace, question.target, leaves[0].tensors[0]
        known = trace.tensors[self._source]
        if known.shape != () or known.data is None:
            raise NotExplorable("a table is for one scalar source")
        self._seed, self.dtype, self.point = question.seed, known.dtype, known.data
        self._operations = self._needed()
        self._constants: dict[int, Any] = {}
        target = trace.tensors[question.target]
        weights = np.ones(target.shape) if question.seed is None else question.seed
        data = np.nan if target.data is None else np.asarray(target.data, dtype=np.float64)
        self.recorded = np.sum(weights * data)
        rows = [rules.row(op.kind) for op in self._operations]
        scalars = all(trace.tensors[k].shape == () for op in self._operations for k in op.inputs)
        self.elementwise = scalars and all(row is not None and row.elementwise for row in rows)

    def _needed(self) -> list[Operation]:
        active, found = {self._source}, []
        for operation in self._trace.operations:
            if active.intersection(operation.inputs) and self._source not in operation.outputs:
                if operation.given:
                    raise NotExplorable(f"{operation.kind} has a derivative of its own")
                active.update(operation.outputs)
                found.append(operation)
        needed, kept = {self._target}, []
        for operation in reversed(found):
            if needed.intersection(operation.outputs):
                needed.update(operation.inputs)
                kept.append(operation)
        return kept[::-1]

    def run(self, x: Any) -> Any:
        """The target (weighted and summed, if it is a tensor) where the source is `x`."""
        values: dict[int, Any] = {self._source: x}
        for operation in self._operations:
            inputs = [values[k] if k in values else self._constant(k) for k in operation.inputs]
            for key, made in zip(operation.outputs, _call(operation, inputs)):
                values[key] = tf.stop_gradient(made) if operation.off_tape else made
        found = values.get(self._target)
        if found is None:
            raise NotExplorable("the target does not depend on the source")
        if self._seed is not None:
            found = found * tf.cast(tf.constant(self._seed), found.dtype)
        return found if self.elementwise else tf.reduce_sum(found)

    def _constant(self, key: int) -> Any:
        if key not in self._constants:
            data = self._trace.array(key)
            if data is None:
                raise NotExplorable("a tensor on the way is too large to be kept")
            self._constants[key] = tf.constant(data, self._trace.tensors[key].dtype)
        return self._constants[key]


def _call(operation: Operation, inputs: Sequence[Any]) -> list[Any]:
    """One op of TensorFlow, by its raw name."""
    found = _raw(operation.kind)
    if found is None:
        raise NotExplorable(f"{operation.kind} cannot be run by itself")
    function, accepted, groups = found
    given: dict[str, Any] = {}
    left = list(inputs)
    for name, counted in groups:
        size = operation.attributes.get(counted, 1) if counted else 1
        size = size if isinstance(size, int) else len(size)
        given[name] = left[:size] if counted else left[0]
        left = left[size:]
    given |= {k: v for k, v in operation.attributes.items() if k in accepted}
    made = function(**given)
    return list(made) if isinstance(made, (list, tuple)) else [made]


@lru_cache(maxsize=512)
def _raw(
    kind: str,
) -> tuple[Callable[..., Any], frozenset[str], tuple[tuple[str, str], ...]] | None:
    """The function of an op type, the attributes it takes, its inputs with what counts them."""
    function = getattr(tf.raw_ops, kind, None)
    definition = op_def_registry.get(kind) if function is not None else None
    if function is None or definition is None:
        return None
    counted = [a.number_attr or a.type_list_attr for a in definition.input_arg]
    # Python's names differ from the definition's (axis for reduction_indices), the order does not.
    names = list(inspect.signature(function).parameters)
    groups = tuple(zip(names, counted))
    return function, frozenset(names[len(counted) :]) - {"name"}, groups
