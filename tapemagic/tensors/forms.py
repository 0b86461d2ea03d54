"""A question's answer in whole tensors: definitions and one sweep, shared by all sources."""

from __future__ import annotations

import math
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tapemagic.equations import Leaf as Source
from tapemagic.tensors import sweep as sweeping
from tapemagic.tensors.definitions import define
from tapemagic.tensors.evaluation import TooLarge, cost
from tapemagic.tensors.nodes import Array
from tapemagic.tensors.sweep import Memo, Sweep, TensorForm
from tapemagic.trace import Trace

WORK = 3e8  # multiplications that checking a form may cost
LITTLE = 2e7  # and those that may be done three times
_Key = tuple[object, ...]


@dataclass
class Shared:
    """What the derivatives of one target have in common, so that it is made once."""

    sweeps: dict[_Key, Sweep] = field(default_factory=dict)
    tensors: dict[int, bool] = field(default_factory=dict)
    memos: dict[_Key, Memo] = field(default_factory=dict)


def has_tensors(trace: Trace, shared: Shared) -> bool:
    """Whether anything in the trace has more than one entry."""
    known = shared.tensors.get(id(trace))
    if known is None:
        known = any(
            math.prod(trace.tensors[key].shape) > 1
            for op in trace.operations
            for key in (*op.inputs, *op.outputs)
            if key in trace.tensors
        )
        shared.tensors[id(trace)] = known
    return known


def first_order(
    trace: Trace,
    target: int,
    text: str,
    sources: Sequence[Source],
    place: int,
    jacobian: bool,
    seed: Array | None,
    names: Mapping[int, str],
    shared: Shared,
) -> TensorForm:
    """The derivative by source number `place`. Raises `NotDerivable` with the reason."""
    weights = None if seed is None else tuple(np.asarray(seed).flat)
    key = (id(trace), target, text, tuple(s.tensors for s in sources), jacobian, weights)
    if key not in shared.sweeps:
        definitions = define(trace, target, text, sources, names)
        shared.sweeps[key] = sweeping.sweep(definitions, jacobian, seed)
    memo = shared.memos.setdefault(key, Memo())
    return replace(sweeping.form(shared.sweeps[key], place), memo=weakref.ref(memo))


def work(form: TensorForm) -> float:
    """How many multiplications it takes to evaluate the closed form."""
    memo = None if form.memo is None else form.memo()
    return cost([form.closed] if form.closed else [], () if memo is None else memo.arrays)


def value(form: TensorForm) -> Array | None:
    """The form in numbers at the recorded point, by its closed form or by following the sweep;
    None where a value is gone. Raises `TooLarge`."""
    if form.closed is not None:
        if work(form) > WORK:
            raise TooLarge("so many multiplications")
        return form.evaluate({})
    if form.sweep is None:
        return None
    nodes = [d.node for d in form.definitions.definitions]
    nodes += [a.node for a in form.sweep.adjoints.values() if a.node is not None]
    if cost(nodes) > WORK:
        raise TooLarge("so many multiplications")
    return form.followed()


__all__ = [
    "Shared",
    "TensorForm",
    "TooLarge",
    "first_order",
    "has_tensors",
    "value",
]
