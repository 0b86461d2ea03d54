"""Several targets of one question: the tape differentiates their sum, which we write down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from tapemagic.calls import OwnCall
from tapemagic.trace import Operation, TensorValue, Trace


def summed(trace: Trace, keys: Sequence[int], call: OwnCall) -> tuple[Trace, int]:
    """Σ targets, weighted by the output gradients, as further operations of the trace."""
    given = call.argument(2, "output_gradients") if call.method == "gradient" else None
    weights = tf.nest.flatten(given) if given is not None else [None] * len(keys)
    tensors: dict[int, TensorValue] = {}
    operations: list[Operation] = []
    fresh = iter(range(-(10**9), 0))

    def constant(array: Any, dtype: str) -> int:
        key = next(fresh)
        tensors[key] = TensorValue(np.shape(array), dtype, np.asarray(array))
        return key

    def made(kind: str, inputs: Sequence[int], value: Any, dtype: str, **attributes: Any) -> int:
        key = constant(value, dtype)
        operations.append(Operation(kind, tuple(inputs), (key,), attributes, None, at=call.start))
        return key

    totals = []
    for key, weight in zip(keys, weights):
        known = trace.tensors[key]
        data = known.data if known.data is not None else np.full(known.shape, np.nan)
        if weight is not None:
            factor = np.asarray(tf.convert_to_tensor(weight).numpy())
            data = data * factor
            key = made("Mul", (key, constant(factor, known.dtype)), data, known.dtype)
        if known.shape:
            axes = constant(np.arange(len(known.shape)), "int32")
            key = made("Sum", (key, axes), np.sum(data), known.dtype, keep_dims=False)
        totals.append(key)
        tensors.setdefault(key, known)
    value = np.sum([tensors[key].data for key in totals])
    total = made("AddN", totals, value, trace.tensors[keys[0]].dtype)
    joined = {**tensors}
    whole = replace(
        trace,
        operations=(*trace.operations, *operations),
        tensors=_Joined(joined, trace.tensors),
    )
    return whole, total


class _Joined(Mapping[int, TensorValue]):
    """The recorded tensors, and a few more."""

    def __init__(self, more: dict[int, TensorValue], recorded: Mapping[int, TensorValue]) -> None:
        self._more, self._recorded = more, recorded

    def __getitem__(self, key: int) -> TensorValue:
        return self._more[key] if key in self._more else self._recorded[key]

    def __iter__(self) -> Iterator[int]:
        return iter({**self._more, **dict.fromkeys(self._recorded)})

    def __len__(self) -> int:
        return len(self._more) + len(self._recorded)
