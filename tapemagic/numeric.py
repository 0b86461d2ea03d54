"""Numbers in float64 by NumPy alone: formulas evaluated, traces replayed."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from tapemagic import rules
from tapemagic.formula import Formula, Number, Symbol, symbols
from tapemagic.meaning import meaning
from tapemagic.trace import Array, Operation, Trace

_ENTRIES = 2**20  # that one replay may compute


class NotReplayable(Exception):
    """The op type `kind` has no rule, and what it reads was changed."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind if " " in kind else f"there is no rule for {kind}")
        self.kind = kind


def evaluate(nodes: Formula | Sequence[Any] | Array, values: Mapping[Symbol, Any]) -> Array:
    """The values of formulas. For arrays as values, their axes come behind those of `nodes`."""
    array = np.asarray(nodes, dtype=object)
    if array.ndim == 0 and isinstance(array.item(), Number):
        return np.asarray(float(array.item().value))  # most slopes of a long chain
    # Only what occurs: a long derivation has thousands of values.
    used = {symbol: values[symbol] for symbol in symbols(array.flat) if symbol in values}
    results = meaning(list(array.ravel()), used)
    shape = np.broadcast_shapes(*(np.shape(value) for value in (*used.values(), *results)))
    whole = np.empty((array.size, *shape), dtype=np.float64)
    for place, result in enumerate(results):
        whole[place] = result
    return whole.reshape(array.shape + shape)


class Replay:
    """The same ops in float64, prepared once to be run with many values of `leaves`.

    What does not depend on `leaves` keeps its recorded value (random numbers stay the same).
    Raises `NotReplayable` for an op without a rule that does, and where it would be too much.
    """

    def __init__(self, trace: Trace, leaves: Collection[int], wanted: Sequence[int]) -> None:
        self._trace, self._wanted = trace, wanted
        self._moved = _moved(trace, leaves)
        self._operations = _needed(trace, leaves, self._moved, wanted)
        made = (key for op in self._operations for key in op.outputs if key in trace.tensors)
        if sum(math.prod(trace.tensors[key].shape) for key in made) > _ENTRIES:
            raise NotReplayable("replaying so many entries would take too long")
        self._recorded: dict[int, Array] = {}

    def run(self, leaves: Mapping[int, Array]) -> dict[int, Array]:
        """The wanted tensors for these values."""
        values = {tensor: double(value) for tensor, value in leaves.items()}
        with np.errstate(all="ignore"):
            for operation in self._operations:
                results = _run(operation, [self._value(values, t) for t in operation.inputs])
                for tensor, result in zip(operation.outputs, results):
                    if tensor not in leaves:
                        values[tensor] = result
        return {tensor: self._value(values, tensor) for tensor in self._wanted}

    def _value(self, values: dict[int, Array], tensor: int) -> Array:
        if tensor in values:
            return values[tensor]
        if tensor not in self._recorded:
            recorded = self._trace.tensors.get(tensor)
            if tensor in self._moved or recorded is None or recorded.data is None:
                raise NotReplayable("a tensor whose value was not recorded")
            self._recorded[tensor] = double(recorded.data)
        return self._recorded[tensor]


def double(value: Any) -> Array:
    """float64 of floats of any width; integers, truth values and complex numbers as they are."""
    array = np.asarray(value)
    whole = array.dtype.kind in "biuc"
    return array if whole or array.dtype.kind in "SUO" else array.astype(np.float64)


def _moved(trace: Trace, leaves: Collection[int]) -> set[int]:
    """The tensors that depend on `leaves`."""
    moved = set(leaves)
    for operation in trace.operations:
        if any(tensor in moved for tensor in operation.inputs):
            moved.update(operation.outputs)
    return moved


def _needed(
    trace: Trace, leaves: Collection[int], moved: set[int], wanted: Sequence[int]
) -> list[Operation]:
    """The ops to run, in order: `wanted` needs them, and no recorded value will do."""
    missing = {t for t in wanted if _missing(trace, leaves, moved, t)}
    needed = []
    for operation in reversed(trace.operations):
        if missing.intersection(operation.outputs):
            needed.append(operation)
            missing.difference_update(operation.outputs)
            missing.update(t for t in operation.inputs if _missing(trace, leaves, moved, t))
    return needed[::-1]


def _missing(trace: Trace, leaves: Collection[int], moved: set[int], tensor: int) -> bool:
    recorded = trace.tensors.get(tensor)
    known = tensor not in moved and recorded is not None and recorded.data is not None
    return tensor not in leaves and not known


def _run(operation: Operation, inputs: list[Array]) -> tuple[Array, ...]:
    rule = rules.row(operation.kind)
    if rule is None:
        raise NotReplayable(operation.kind)
    return tuple(map(np.asarray, rule.apply(inputs, operation.attributes)))
