"""Ops that the tape was handed a derivative for: custom gradients, compiled functions.

Each is opened up if the ops inside have that same derivative, else it stays one op and its
derivative is taken as given.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np

from tapemagic import rules
from tapemagic.derivation import derive
from tapemagic.equations import Leaf, NotDependent, NotDerivable, Slice, derive_equations
from tapemagic.tensors.definitions import define
from tapemagic.tensors.evaluation import TooLarge
from tapemagic.tensors.forms import WORK
from tapemagic.tensors.sweep import sweep
from tapemagic.trace import Answer, Array, Operation, TensorValue, Trace


def settled(trace: Trace) -> Trace:
    """The trace with each such op either opened up or left as one."""
    kept: list[Operation] = []
    made: set[int] = set()
    for position, operation in enumerate(trace.operations):
        if operation.given:
            same = _same_inside(trace, position, operation, made)
            if same:
                continue
            if same is False:
                attributes = {**operation.attributes, "overrides": True}
                operation = replace(operation, attributes=attributes)
        kept.append(operation)
        made.update(operation.outputs)
    return replace(trace, operations=tuple(kept))


def _same_inside(
    trace: Trace, position: int, operation: Operation, inside: Collection[int]
) -> bool | None:
    """Whether differentiating the ops inside gives what the tape was handed; None where that
    cannot be told."""
    if operation.outputs[0] not in inside:
        return None
    later = {key for op in trace.operations[position + 1 :] for key in op.inputs}
    later.add(operation.outputs[0])
    used = [k for k, key in enumerate(operation.outputs) if key in later and key in inside]
    try:
        with np.errstate(all="ignore"):
            return all(_same_output(trace, position, operation, place) for place in used)
    except Exception:  # noqa: BLE001 - what cannot be opened up stays one op
        return None


def _same_output(trace: Trace, position: int, operation: Operation, place: int) -> bool:
    before = replace(trace, operations=trace.operations[:position])
    inputs = tuple(dict.fromkeys(operation.inputs))
    if operation.vjp is None or len(inputs) < len(operation.inputs):
        raise NotDerivable("an input is there twice")
    if operation.answered is None and not operation.attributes.get("library"):
        # A custom gradient is the user's code: the tape did not ask it, nor do we.
        raise NotDerivable("it was not asked")
    answer = operation.answered or _probed(trace, operation, place)
    asked = answer.cotangents
    if any(np.any(c) for k, c in enumerate(asked) if k != place and c is not None):
        raise NotDerivable("several outputs were asked for together")
    if asked[place] is None:
        raise NotDerivable("the output was not asked for")
    leaves = [Leaf(f"x{i}", (key,)) for i, key in enumerate(inputs)]
    gave = list(answer.gave)
    if answer.first:
        whole = before
        before = _sampled(whole, operation, place, leaves, answer)
        # What the first entries cannot tell: the slope by a constant, a sum over all of them.
        gave = [
            told if before.tensors[key].shape or _moves(whole, key) else _UNTOLD
            for key, told in zip(inputs, gave)
        ]
    seed = np.asarray(asked[place], dtype=np.float64)
    own = _own(before, operation.outputs[place], leaves, seed, answer.inputs)
    return all(told is _UNTOLD or _agree(mine, told) for mine, told in zip(own, gave))


_UNTOLD = np.zeros(0)


def _moves(trace: Trace, key: int) -> bool:
    """Whether it is more than a number of the code's."""
    named = any(binding.tensor == key for binding in trace.bindings)
    read = any(key in reads for reads in trace.variables.values())
    return named or read or any(key in op.outputs for op in trace.operations)


def _agree(own: Array, told: Array | None) -> bool:
    if told is None:
        return not np.any(own)
    return bool(np.allclose(own.reshape(told.shape), told, rtol=1e-4, atol=1e-6))


def _own(
    trace: Trace,
    output: int,
    leaves: Sequence[Leaf],
    seed: Array,
    inputs: Sequence[Array | None],
) -> Iterator[Array]:
    """What the ops inside give each of the inputs, in whole tensors or entry by entry."""
    try:
        definitions = define(trace, output, "y", leaves, {})
        found = sweep(definitions, False, seed, closed=False)
        if found.work > WORK:
            raise TooLarge("so many multiplications")
        chosen = {
            group[0]: np.asarray(value, dtype=np.float64)
            for group, value in zip(definitions.sources, inputs)
            if value is not None and value.dtype.kind == "f"
        }
        known = found.followed(chosen)
        whole = [
            known.get(group[0], np.zeros(group[0].shape)).reshape(group[0].whole)
            for group in definitions.sources
        ]
    except NotDependent:
        whole = [np.zeros(trace.tensors[key].shape) for leaf in leaves for key in leaf.tensors]
    except (NotDerivable, LookupError, TooLarge):
        equations = derive_equations(trace, output, "y", leaves, {})
        whole = [derive(equations, i, seed).value for i in range(len(leaves))]
    yield from whole


def _probed(trace: Trace, operation: Operation, place: int) -> Answer:
    """What the tape's own derivative says, asked for one output with ones."""
    assert operation.vjp is not None
    cotangents: list[Array | None] = [
        np.zeros(trace.tensors[key].shape) for key in operation.outputs
    ]
    cotangents[place] = np.ones(trace.tensors[operation.outputs[place]].shape)
    return Answer(cotangents, operation.vjp([c for c in cotangents if c is not None]))


def _sampled(
    trace: Trace, operation: Operation, place: int, leaves: Sequence[Leaf], answer: Answer
) -> Trace:
    """The ops inside on the first entries alone. Raises `NotDerivable` unless all of them take
    entry by entry what has the output's shape."""
    output = operation.outputs[place]
    shape = trace.tensors[output].shape
    part = Slice(trace, output, leaves)
    tensors = {}
    for key in part.reach:
        known = trace.tensors[key]
        if known.shape == shape:
            tensors[key] = TensorValue((answer.first,), known.dtype)
        elif np.prod(known.shape, dtype=int) == 1:
            tensors[key] = known
        else:
            raise NotDerivable("shapes inside differ")
    for op in part.operations:
        row = rules.row(op.kind)
        if row is None or not (row.elementwise or op.kind == "Identity"):
            raise NotDerivable(f"{op.kind} is not elementwise")
    for key, value in zip(operation.inputs, answer.inputs):
        if key in tensors and value is not None and tensors[key].data is None:
            tensors[key] = replace(tensors[key], data=value)
    return Trace(tuple(part.operations), tensors)
