"""What was derived, held against the tape's answer and against a difference quotient."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tapemagic import check as checking
from tapemagic.check import Check, Difference, Precision
from tapemagic.closed_form import ClosedForm
from tapemagic.derivation import Derivation, symbol_values
from tapemagic.differences import above, along_one_direction, difference
from tapemagic.equations import Equations
from tapemagic.question import Question
from tapemagic.tensors import forms
from tapemagic.tensors.evaluation import cost, evaluate
from tapemagic.tensors.forms import TensorForm, TooLarge
from tapemagic.tensors.nodes import leaves
from tapemagic.trace import LARGE, Array, Trace

LONG = 2_000  # equations that are still followed again from the sources


def checked(
    trace: Trace,
    question: Question,
    measured: Array | None,
    derivation: Derivation | None,
    closed: ClosedForm | None,
    tensor: TensorForm | None,
) -> tuple[Check, TensorForm | None, ClosedForm | None, str]:
    """The check, and of the forms those that stood it; why a form was dropped."""
    symbolic, spread = _symbolic(question, derivation, closed)
    if question.kind == "batch_jacobian" and derivation is not None:
        rank = len(trace.tensors[question.target].shape)
        symbolic = _batch(symbolic, rank)
        spread = _batch(spread, rank)
        closed = replace(closed, formulas=_batch(closed.formulas, rank)) if closed else None
    chain = derivation.value if derivation and len(question.order) == 1 else None
    by_tensor, note = _in_numbers(trace, question, tensor)
    if derivation is None and by_tensor is not None:
        symbolic, spread = by_tensor, _shaken(trace, question, tensor)
    check = _check(trace, question, measured, symbolic, chain, spread, tensor)
    if note and symbolic is None:
        check = replace(check, note="; ".join(n for n in (check.note, note) if n))
    if by_tensor is None or _is_right(trace, question, by_tensor, check, spread):
        return check, tensor, closed, ""
    if derivation is None:
        check = _check(trace, question, measured, None, None, 0.0)
    return check, None, closed, "the form in whole tensors does not give the tape's value"


def too_large(trace: Trace, question: Question, measured: Array | None) -> str:
    """Why nothing is computed to compare the tape's answer with, if so."""
    wanted = [question.sources[i].tensors[:1] for i in question.order]
    shapes = [trace.tensors[key].shape for keys in wanted for key in keys]
    most = max([0 if measured is None else measured.size, *map(math.prod, shapes)])
    if most <= LARGE:
        return ""
    if measured is not None and len(shapes) == 1 and measured.shape[:1] != shapes[0][:1]:
        return (
            f"IndexedSlices: {measured.shape[0]} rows of a table of shape {shapes[0]}, which is "
            "not made whole"
        )
    return f"{most:,} entries are too many to compute them once more"


def _in_numbers(
    trace: Trace, question: Question, tensor: TensorForm | None
) -> tuple[Array | None, str]:
    """The form's value in the shape of the tape's answer, or why it was not evaluated."""
    if tensor is None:
        return None, ""
    try:
        found = forms.value(tensor)
    except TooLarge as error:
        return None, f"not evaluated in NumPy: it would take {error}"
    if found is None:
        opaque = [d.operation for d in tensor.definitions.definitions if d.operation is not None]
        python = next((operation.kind for operation in opaque if operation.vjp is None), "")
        if python:
            return None, f"the Python code in {python} is not run again"
        return None, "a value that it needs is not kept any more"
    return _whole_shape(trace, question, found), ""


def _whole_shape(trace: Trace, question: Question, array: Array) -> Array:
    shapes = [trace.tensors[question.sources[i].tensors[0]].shape for i in question.order]
    if question.kind == "batch_jacobian":
        shapes = [trace.tensors[question.target].shape, shapes[0][1:]]
    elif question.kind == "jacobian":
        shapes.insert(0, trace.tensors[question.target].shape)
    elif question.kind != "hessian":
        shapes = shapes[-1:]
    return array.reshape([size for shape in shapes for size in shape])


def _shaken(trace: Trace, question: Question, tensor: TensorForm | None) -> Array | float:
    """How far the form moves with the dtype's precision."""
    if tensor is None or tensor.closed is None:
        return 0.0
    epsilon = checking.EPSILON.get(tensor.definitions.dtype, 2.0**-23)
    base = tensor.evaluate({})
    if base is None:
        return 0.0
    if base.size > 2**16 or cost([tensor.closed]) > forms.LITTLE:
        return 2 * epsilon * float(np.max(np.abs(base), initial=0.0))
    spread: Array = np.zeros(base.shape)
    for period in (1, 2):
        moved = {}
        for k, leaf in enumerate(tensor.definitions.given):
            value = tensor.definitions.look(leaf)
            if value is not None and value.dtype.kind == "f":
                moved[leaf] = value * (1 + epsilon * _signs(np.shape(value), k, period))
        looked = {leaf: tensor.definitions.look(leaf) for leaf in leaves([tensor.closed])}
        values = {k: moved.get(k, value) for k, value in looked.items() if value is not None}
        if len(values) == len(looked):
            other = evaluate([tensor.closed], values, rounding=epsilon)[0]
            spread = np.maximum(spread, np.abs(np.nan_to_num(other - base)))
    return _whole_shape(trace, question, spread)


def _is_right(
    trace: Trace, question: Question, value: Array, check: Check, spread: Array | float
) -> bool:
    """Whether the form gives the tape's value, where there is one to compare with."""
    tape = check.tape
    if tape is None or np.iscomplexobj(tape) or not np.all(np.isfinite(tape)):
        return True
    if tape.shape != value.shape:
        return False
    if not np.all(np.isfinite(value)):
        return False
    scale = _scale(trace, question)
    precision = Precision(_coarsest(trace, question), len(trace.operations), spread, scale)
    return checking.compare(tape, value, None, "", precision).derived is not False


def _symbolic(
    question: Question, derivation: Derivation | None, closed: ClosedForm | None
) -> tuple[Array | None, Array | float]:
    """The derivation's own number, and how far it moves with the dtype's precision."""
    if derivation is None or (closed is None and len(question.order) > 1):
        return None, 0.0
    equations = derivation.equations
    if closed is None and len(equations.equations) > LONG:
        return derivation.value, 0.0  # following them all again would double the time
    found = _evaluated(derivation, closed, equations.values)
    epsilon = checking.EPSILON.get(equations.dtype, 2.0**-23)
    spread: Array | float = np.zeros(np.shape(found))
    for period in (1, 2):  # all up, then up and down in turn
        moved = {
            name: value * (1 + epsilon * _signs(np.shape(value), k, period))
            for k, (name, value) in enumerate(_settable(equations).items())
        }
        other = _evaluated(derivation, closed, {**equations.values, **moved})
        spread = np.maximum(spread, np.abs(np.nan_to_num(other - found)))
    return found, spread


def _signs(shape: tuple[int, ...], start: int, period: int) -> Array:
    count = np.arange(start, start + int(np.prod(shape))).reshape(shape)
    return np.where(count % period, -1.0, 1.0)


def _settable(equations: Equations) -> dict[Any, Array]:
    names = [n for group in equations.sources for n in group] + list(equations.constants)
    return {name: equations.values[name] for name in names}


def _evaluated(
    derivation: Derivation, closed: ClosedForm | None, values: Mapping[Any, Array]
) -> Array:
    if closed is None:
        return derivation.evaluate(values)
    return np.asarray(closed.evaluate(symbol_values(values)))


def _check(
    trace: Trace,
    question: Question,
    measured: Array | None,
    symbolic: Array | None,
    chain: Array | None,
    spread: Array | float,
    form: TensorForm | None = None,
) -> Check:
    dtype = _coarsest(trace, question)
    quotient = difference(trace, question, form)
    if question.kind == "batch_jacobian" and isinstance(quotient, Difference):
        rank = len(trace.tensors[question.target].shape)
        parts = ("value", "error", "low", "high")
        blocks = {part: _batch(getattr(quotient, part), rank) for part in parts}
        quotient = replace(quotient, **blocks)
        chain = _batch(chain, rank)
    if measured is not None and np.iscomplexobj(measured):
        return Check(measured, None, None, None, "complex numbers are not checked")
    precision = Precision(
        dtype, len(trace.operations), spread, _scale(trace, question), _custom(trace)
    )
    found = checking.compare(measured, symbolic, chain, quotient, precision)
    overriding = [o.kind for o in above(trace, question.target) if o.attributes.get("overrides")]
    if overriding and "overrides" not in found.note:
        told = f"the custom gradient of {', '.join(dict.fromkeys(overriding))} overrides calculus"
        found = replace(found, note="; ".join(note for note in (found.note, told) if note))
    return found if isinstance(quotient, Difference) else _in_one_direction(question, form, found)


def _in_one_direction(question: Question, form: TensorForm | None, check: Check) -> Check:
    """Where the entries are too many for differences, one along a direction decides."""
    tape = check.tape
    if tape is None or not np.all(np.isfinite(tape)) or check.agrees is False:
        return check
    found = along_one_direction(question, form, tape, check.agrees is not None)
    if found is None or form is None:
        return check
    slope, quotient, error = found
    epsilon = checking.EPSILON.get(form.definitions.dtype, 2.0**-23)
    norm = float(np.linalg.norm(tape.ravel())) * math.sqrt(tape.size)
    if error > 0.05 * max(abs(slope), 1e-3 * norm, 1e-30):
        return check
    off = abs(slope - quotient)
    same = off <= 8 * error + 1e-3 * abs(slope) + 64 * epsilon * norm
    if not same and off <= 0.05 * max(abs(slope), abs(quotient)):
        return check  # of thousands of entries, some may stand at a corner
    reason = "no finite difference: "
    rest = [part for part in check.note.split("; ") if part and not part.startswith(reason)]
    words = f"a difference along one direction gives {quotient:.6g}, the tape {slope:.6g}"
    agrees = False if not same else True if check.agrees is None else check.agrees
    return replace(check, agrees=agrees, note="; ".join([words, *rest]))


def _coarsest(trace: Trace, question: Question) -> str:
    """The dtype of the fewest digits among target, sources and what lies between."""
    keys = {question.target, *(key for s in question.sources for key in s.tensors)}
    keys.update(key for op in above(trace, question.target) for key in op.outputs)
    dtypes = {trace.tensors[key].dtype for key in keys} & set(checking.EPSILON)
    own = trace.tensors[question.target].dtype
    return max(dtypes, key=lambda dtype: checking.EPSILON[dtype], default=own)


def _custom(trace: Trace) -> str:
    names = (op.kind for op in trace.operations if op.given)
    return ", ".join(dict.fromkeys(names))


def _scale(trace: Trace, question: Question) -> float:
    """target / sourceⁿ: the size of what may cancel in an nth derivative."""
    data = trace.array(question.target)
    size = 0.0 if data is None else float(np.max(np.abs(data), initial=0.0))
    for i in question.order:
        known = [trace.array(key) for key in question.sources[i].tensors]
        sizes = [float(np.max(np.abs(d), initial=0.0)) for d in known if d is not None and d.size]
        size /= max([1e-2, *sizes])
    return size if np.isfinite(size) else 0.0


def _batch(array: Any, rank: int) -> Any:
    """The blocks of a Jacobian whose target (of this rank) and source belong to the same entry
    of the batch, the leading axis of both."""
    if array is None or np.ndim(array) <= rank:
        return array
    return np.stack([np.take(array[i], i, axis=rank - 1) for i in range(array.shape[0])])
