"""Where a nan, an inf or a zero is born: the recorded values forward, and the tape's own
derivatives of the recorded ops backward, op by op."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tapemagic.trace import Array, Operation, Trace

_MOST = 20_000  # ops that are followed back


@dataclass(frozen=True)
class Visit:
    """One op of the reverse sweep: the cotangents of its outputs, and what it made of them, by
    the tensor they belong to (None: not connected)."""

    operation: Operation
    received: dict[int, Array]
    gave: dict[int, Array | None]


def between(trace: Trace, sources: Collection[int], target: int) -> list[Operation]:
    """The ops on the tape that lead from the sources to the target, in order."""
    alive = set(sources)
    forward: list[Operation] = []
    for operation in trace.operations:
        if _is_opened(operation, forward):
            continue
        if not operation.off_tape and alive.intersection(operation.inputs):
            alive.update(operation.outputs)
            forward.append(operation)
    needed, found = {target}, []
    for operation in reversed(forward):
        if needed.intersection(operation.outputs):
            needed.update(alive.intersection(operation.inputs))
            found.append(operation)
    return found[::-1]


def _is_opened(operation: Operation, before: Sequence[Operation]) -> bool:
    """Whether it is a compiled function whose ops stand there one by one already."""
    if not operation.given or not operation.attributes.get("compiled"):
        return False
    made = set(operation.outputs)
    return any(made.intersection(other.outputs) for other in before)


def sweep(
    trace: Trace, sources: Collection[int], target: int, seed: Array | None
) -> Iterator[Visit]:
    """The ops from the target down to the sources, each with what the tape's own derivative of
    it says at the recorded values. Ends early where a value was not kept."""
    operations = between(trace, sources, target)
    known = trace.tensors[target]
    if len(operations) > _MOST:
        return
    totals: dict[int, Array] = {target: np.ones(known.shape) if seed is None else seed}
    wanted = set(sources) | {key for op in operations for key in op.outputs}
    for operation in reversed(operations):
        received = {key: totals[key] for key in operation.outputs if key in totals}
        if not received or operation.vjp is None:
            continue
        shapes = [trace.tensors[key].shape for key in operation.outputs]
        cotangents = [
            totals.get(key, np.zeros(shape)) for key, shape in zip(operation.outputs, shapes)
        ]
        with np.errstate(all="ignore"):
            try:
                answers = operation.vjp(cotangents)
            except Exception:  # noqa: BLE001 - a value was not kept, or user code is not run again
                return
            gave: dict[int, Array | None] = {}
            for key, answer in zip(operation.inputs, answers):
                if key in wanted:
                    share = None if answer is None else np.asarray(answer)
                    gave[key] = _sum(gave.get(key), share)
            for key, share in gave.items():
                if share is not None:
                    totals[key] = totals[key] + share if key in totals else share
        yield Visit(operation, received, gave)


def _sum(one: Array | None, other: Array | None) -> Array | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other


def first_bad_value(trace: Trace, operations: Sequence[Operation]) -> Operation | None:
    """The first op whose result is not finite although all that it read is; or is nan although
    nothing that it read is (0 times an inf that was given)."""
    for operation in operations:
        values = [trace.array(key) for key in operation.outputs]
        if any(value is not None and not is_finite(value) for value in values):
            inputs = [trace.array(key) for key in operation.inputs]
            if all(value is None or is_finite(value) for value in inputs):
                return operation
            if any(map(_is_nan, values)) and not any(map(_is_nan, inputs)):
                return operation
    return None


def bad_data(trace: Trace, operations: Sequence[Operation]) -> tuple[Operation, int] | None:
    """The first op that reads a tensor that holds nan and that no op made, and that tensor."""
    made = {key for operation in trace.operations for key in operation.outputs}
    for operation in operations:
        for key in operation.inputs:
            if key not in made and _is_nan(trace.array(key)):
                return operation, key
    return None


def _is_nan(value: Array | None) -> bool:
    return value is not None and value.dtype.kind in "fc" and bool(np.any(np.isnan(value)))


def first_bad_cotangent(visits: Sequence[Visit]) -> Visit | None:
    """The first op that makes something not finite of finite cotangents."""
    for visit in visits:
        bad = any(share is not None and not is_finite(share) for share in visit.gave.values())
        if bad and all(map(is_finite, visit.received.values())):
            return visit
    return None


def zeroing(visits: Sequence[Visit], sources: Collection[int]) -> Iterator[Visit]:
    """The ops that make nothing but zeros of a cotangent that is not zero, as far as its shares
    come to the sources at all; the first one first."""
    reaching = set(sources)
    for visit in reversed(visits):
        if any(share is not None and key in reaching for key, share in visit.gave.items()):
            reaching.update(visit.received)
    for visit in visits:
        sizes = [float(np.max(np.abs(value), initial=0.0)) for value in visit.received.values()]
        came = max(sizes, default=0.0)
        shares = [s for key, s in visit.gave.items() if s is not None and key in reaching]
        # The entries of a softmax add up to 1 only up to rounding.
        least = 1e-6 * came if visit.operation.kind == "Softmax" else 0.0
        if came and shares and all(np.all(np.abs(share) <= least) for share in shares):
            yield visit


def infinite_data(trace: Trace, culprit: Operation) -> tuple[int, Operation] | None:
    """The constant that holds an inf, among all that an op was computed from, and its reader."""
    made = {key: op for op in trace.operations for key in op.outputs}
    pending, seen = [culprit], {id(culprit)}
    while pending:
        operation = pending.pop()
        for key in operation.inputs:
            value = trace.array(key)
            if value is None or is_finite(value) or _is_nan(value):
                continue
            maker = made.get(key)
            if maker is None:
                return key, operation
            if id(maker) not in seen:
                seen.add(id(maker))
                pending.append(maker)
    return None


def is_finite(value: Array) -> bool:
    """Whether all entries are, of floating and complex arrays."""
    return value.dtype.kind not in "fcV" or bool(np.all(np.isfinite(value.astype(_wide(value)))))


def _wide(value: Array) -> type:
    return complex if value.dtype.kind == "c" else float
