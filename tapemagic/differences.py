"""Difference quotients of the recorded program, in float64.

The recorded operations are replayed one by one; where one has no entrywise rule, or the entries
are many, the definitions in whole tensors are followed instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tapemagic import check as checking
from tapemagic.check import Difference
from tapemagic.equations import Leaf
from tapemagic.numeric import NotReplayable
from tapemagic.question import Question
from tapemagic.tensors import forms
from tapemagic.tensors.forms import TensorForm
from tapemagic.tensors.nodes import Function, postorder
from tapemagic.trace import Array, Operation, Trace

_SYMMETRIC = {"Cholesky", "SelfAdjointEigV2"}
_HALVES = {"cholesky", "eigenvalues"}


def difference(
    trace: Trace, question: Question, form: TensorForm | None = None
) -> Difference | str:
    """The quotient for each entry, or why there is none."""
    trace = replace(trace, operations=above(trace, question.target))
    symmetric = _SYMMETRIC & {operation.kind for operation in trace.operations}
    if symmetric:
        return f"{symmetric.pop()} takes its matrix as symmetric, whose entries move in pairs"
    used = [question.sources[i] for i in dict.fromkeys(question.order)]
    places = {i: k for k, i in enumerate(dict.fromkeys(question.order))}
    order = [places[i] for i in question.order]
    weights: Array | None = None
    try:
        if question.kind in ("gradient", "hessian"):
            shape = trace.tensors[question.target].shape
            weights = np.ones(shape) if question.seed is None else question.seed
        points = [_point(trace, leaf) for leaf in used]
        keys = [leaf.tensors for leaf in used]
        run = checking.target_function(trace, question.target, keys, weights)
        entrywise = question.kind == "hessian"
        by = None if question.along is None else question.along.value
        return checking.finite_difference(run, points, order, len(trace.operations), entrywise, by)
    except NotReplayable as reason:
        return _by_definitions(question, form, str(reason))
    except Exception as error:  # noqa: BLE001 - as above: the value stands all the same
        return f"the replay failed ({type(error).__name__}: {error})"


def above(trace: Trace, target: int) -> tuple[Operation, ...]:
    """The operations that the target is made by."""
    needed, found = {target}, []
    for operation in reversed(trace.operations):
        if needed.intersection(operation.outputs):
            needed.update(operation.inputs)
            found.append(operation)
    return tuple(found[::-1])


def _point(trace: Trace, leaf: Leaf) -> Array:
    if not leaf.tensors:
        raise NotReplayable("the source was not read while the cell was recorded")
    data = trace.tensors[leaf.tensors[0]].data
    if data is None:
        raise NotReplayable("the source is too large to be moved entry by entry")
    if data.dtype.kind not in "fV":
        raise NotReplayable("the source has no recorded value of a floating dtype")
    return np.asarray(data, dtype=np.float64)


_WORK = 1e8  # multiplications that differences along the definitions may cost
_MOST = 3e8  # the same where nothing else can decide
_SEED = 7


def _by_definitions(question: Question, form: TensorForm | None, reason: str) -> Difference | str:
    """Entry by entry, the definitions in whole tensors followed in place of the operations."""
    program = _followed(question, form)
    if program is None:
        return reason
    run, points, each = program
    if points[0].size * 4 * each > _WORK:
        return reason
    return checking.finite_difference(run, points, [0], 1)


def along_one_direction(
    question: Question, form: TensorForm | None, tape: Array, decided: bool
) -> tuple[float, float, float] | None:
    """Where the entries are too many: what the tape's answer says of the slope along one
    direction, the difference quotient along it, and that one's error. None where the definitions
    cannot be followed, or it would take long (what is not `decided` yet may take longer)."""
    program = _followed(question, form)
    if program is None or program[2] * 5 > (_WORK if decided else _MOST):
        return None
    run, (point,), _ = program
    direction = np.random.default_rng(_SEED).choice([-1.0, 1.0], point.shape)
    step = 2.0 ** (-52 / 3) * max(1e-3, float(np.max(np.abs(point), initial=0.0)))
    near, far = ((run([k * direction]) - run([-k * direction])) / (2 * k) for k in (step, 2 * step))
    quotient = float((4 * near - far) / 3)
    noise = 2.0**-50 * float(np.abs(run([0 * direction]))) / step
    return float(np.sum(tape * direction)), quotient, float(np.abs(near - far)) / 3 + noise


def _followed(
    question: Question, form: TensorForm | None
) -> tuple[checking.Function, list[Array], float] | None:
    """The definitions as a function of the source's shift, the source's value, and what one run
    costs; None where an operation is opaque, or stopped, or a value is gone."""
    if form is None or question.kind != "gradient" or len(question.order) > 1:
        return None
    definitions = form.definitions
    if definitions.opaque or len(form.source) != 1 or forms.stops(definitions):
        return None
    parts = postorder([d.node for d in definitions.definitions])
    if any(isinstance(part, Function) and part.function in _HALVES for part in parts):
        return None  # the entries of a symmetric matrix move in pairs
    point = definitions.look(form.source[0])
    if point is None or definitions.values() is None:
        return None
    weights = 1.0 if question.seed is None else question.seed.reshape(definitions.target.shape)

    def run(shifts: Sequence[Array]) -> Array:
        moved = {form.source[0]: point + shifts[0]}
        return np.asarray(np.sum(weights * forms.target_value(form, moved)))

    return run, [point], forms.definitions_cost(form)
