"""The recorded ops between the sources and the target, as a function for TensorFlow."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from tapemagic import rules
from tapemagic.explorer.program import NotExplorable
from tapemagic.question import Question
from tapemagic.trace import Operation, TensorValue, Trace

# Attributes that Python calls otherwise, of all raw ops.
_RENAMED = {("Squeeze", "squeeze_dims"): "axis"}


class Replay:
    """The ops that lead from the sources to the target, run again for other values of these.

    `sources` are their recorded values. Raises `NotExplorable` with the reason where the ops
    cannot be run by themselves.
    """

    def __init__(self, trace: Trace, question: Question) -> None:
        leaves = [leaf for leaf in question.sources if leaf.tensors]
        for leaf in leaves:
            if len(leaf.tensors) != 1:
                raise NotExplorable(f"{leaf.text} is assigned to while the cell runs")
        self._trace, self._target = trace, question.target
        self._keys = [leaf.tensors[0] for leaf in leaves]
        self.sources: list[TensorValue] = [trace.tensors[key] for key in self._keys]
        if any(source.data is None for source in self.sources):
            raise NotExplorable("a source is too large to be moved")
        self._seed = question.seed
        self._operations = self._needed()
        self._constants: dict[int, Any] = {}
        self._compiled = tf.function(self._follow, autograph=False)
        rows = [rules.row(op.kind) for op in self._operations]
        scalars = all(trace.tensors[k].shape == () for op in self._operations for k in op.inputs)
        self.elementwise = scalars and all(row is not None and row.elementwise for row in rows)

    def _needed(self) -> list[Operation]:
        active, found = set(self._keys), []
        for operation in self._trace.operations:
            if active.intersection(operation.inputs):
                if active.intersection(self._keys).intersection(operation.outputs):
                    continue
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

    def run(self, *values: Any) -> Any:
        """The target (weighted and summed, if it is a tensor) for these values of the sources."""
        known: dict[int, Any] = dict(zip(self._keys, values))
        for operation in self._operations:
            inputs = [known[k] if k in known else self._constant(k) for k in operation.inputs]
            for key, made in zip(operation.outputs, _call(operation, inputs)):
                known[key] = tf.stop_gradient(made) if operation.off_tape else made
        found = known.get(self._target)
        if found is None:
            raise NotExplorable("the target does not depend on the source")
        if self._seed is not None:
            found = found * tf.cast(tf.constant(self._seed), found.dtype)
        return found if self.elementwise else tf.reduce_sum(found)

    def at(self, point: Sequence[float], order: int = 1) -> tuple[float, list[float]]:
        """The target and its derivative by each entry of the sources in turn; of a single entry
        those of order 1, 2 … up to `order`. Compiled once."""
        with _told():
            value, *slopes = self._compiled(tf.constant(point, tf.float64), order)
        return float(value), np.concatenate(slopes).tolist()

    def _follow(self, entries: Any, order: int) -> list[Any]:
        if order == 0:
            parts = tf.split(entries, [int(np.prod(source.shape)) for source in self.sources])
            values = [
                tf.cast(tf.reshape(part, source.shape), source.dtype)
                for part, source in zip(parts, self.sources)
            ]
            return [tf.cast(self.run(*values), tf.float64)]
        with tf.GradientTape() as tape:
            tape.watch(entries)
            lower = self._follow(entries, order - 1)
        return [*lower, tape.gradient(lower[-1], entries, unconnected_gradients="zero")]

    def confirm(self) -> None:
        """Raises `NotExplorable` where the recorded point does not give the recorded target."""
        target = self._trace.tensors[self._target]
        weights = np.ones(target.shape) if self._seed is None else self._seed
        data = np.nan if target.data is None else np.asarray(target.data, dtype=np.float64)
        with _told():
            here = self.run(*(tf.constant(source.data, source.dtype) for source in self.sources))
        here = np.asarray(tf.cast(here, tf.float64))  # NumPy refuses bfloat16
        if not np.allclose(here, np.sum(weights * data), rtol=1e-4, atol=1e-30, equal_nan=True):
            raise NotExplorable("run once more, the recorded ops give something else")

    def _constant(self, key: int) -> Any:
        if key not in self._constants:
            data = self._trace.array(key)
            if data is None:
                raise NotExplorable("a tensor on the way is too large to be kept")
            with tf.init_scope():  # also while `_follow` is traced
                self._constants[key] = tf.constant(data, self._trace.tensors[key].dtype)
        return self._constants[key]


@contextmanager
def _told() -> Iterator[None]:
    """An error of TensorFlow's is a reason."""
    try:
        yield
    except tf.errors.OpError as error:
        raise NotExplorable(f"TensorFlow: {str(error).splitlines()[0]}") from error


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
    named = {_RENAMED.get((operation.kind, k), k): v for k, v in operation.attributes.items()}
    given |= {name: value for name, value in named.items() if name in accepted}
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
