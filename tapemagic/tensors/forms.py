"""A question's answer in whole tensors: definitions and one sweep, shared by all sources."""

from __future__ import annotations

import math
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tapemagic.equations import Leaf as Source
from tapemagic.formula import Call
from tapemagic.formula import postorder as parts
from tapemagic.tensors import sweep as sweeping
from tapemagic.tensors.definitions import Definitions, define
from tapemagic.tensors.evaluation import TooLarge, cost
from tapemagic.tensors.following import forward
from tapemagic.tensors.nodes import Array, Leaf, Map, postorder
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
    apart: dict[_Key, bool] = field(default_factory=dict)  # no source is computed from another


def has_tensors(trace: Trace, shared: Shared) -> bool:
    """Whether anything in the trace has more than one entry, or a complex number's two."""
    known = shared.tensors.get(id(trace))
    if known is None:
        known = any(
            math.prod(trace.tensors[key].shape) > 1
            or trace.tensors[key].dtype.startswith("complex")
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
    seed: tuple[Array | None, str],
    names: Mapping[int, str],
    shared: Shared,
) -> TensorForm:
    """The derivative by source number `place`; `seed` has the weights of the target's entries, and
    their name. Raises `NotDerivable` with the reason."""
    weights = None if seed[0] is None else tuple(np.asarray(seed[0]).flat)
    key = (id(trace), target, text, tuple(s.tensors for s in sources), jacobian, weights)
    if key not in shared.sweeps:
        definitions = define(trace, target, text, sources, names)
        shared.sweeps[key] = sweeping.sweep(definitions, jacobian, *seed)
    memo = shared.memos.setdefault(key, Memo())
    return replace(sweeping.form(shared.sweeps[key], place), memo=weakref.ref(memo))


def work(form: TensorForm) -> float:
    """How many multiplications it takes to evaluate the closed form."""
    memo = form.shared
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
    if form.sweep.work > WORK:
        raise TooLarge("so many multiplications")
    return form.followed()


def target_value(form: TensorForm, moved: Mapping[Leaf, Array]) -> Array:
    """The target in float64, with values `moved`; `LookupError` where one is gone."""
    memo = form.shared
    if memo is not None and memo.at_rest is None:
        memo.at_rest = forward(form.definitions)
    at_rest = None if memo is None else memo.at_rest
    return forward(form.definitions, moved, at_rest)[form.definitions.target]


def definitions_cost(form: TensorForm) -> float:
    """About how many multiplications it takes to follow the definitions once."""
    memo = form.shared or Memo()
    if memo.definitions_cost is None:
        nodes = [d.node for d in form.definitions.definitions if not d.opaque]
        memo.definitions_cost = cost(nodes)
    return memo.definitions_cost


def stops(definitions: Definitions) -> bool:
    """Whether the tape takes something for constant that the definitions move."""
    nodes = postorder([d.node for d in definitions.definitions if not d.opaque])
    formulas = [node.formula for node in nodes if isinstance(node, Map)]
    return any(isinstance(f, Call) and f.function == "stop_gradient" for f in parts(formulas))


__all__ = [
    "Shared",
    "TensorForm",
    "TooLarge",
    "definitions_cost",
    "first_order",
    "has_tensors",
    "stops",
    "target_value",
    "value",
]
