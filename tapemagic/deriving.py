"""One derivative, from the trace to `Derivative`: equations, sweep, closed form, check.

Nothing here may take the user's cell down: what cannot be derived becomes a reason, in words.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tapemagic import check as checking
from tapemagic.check import Check, Difference, Precision
from tapemagic.closed_form import ClosedForm, NoClosedForm, closed_form
from tapemagic.derivation import Derivation, derive, symbol_values
from tapemagic.equations import (
    Equations,
    Leaf,
    NotDerivable,
    depend_on_each_other,
    derive_equations,
)
from tapemagic.numeric import NotReplayable
from tapemagic.result import Derivative
from tapemagic.tensors import forms
from tapemagic.tensors.forms import Shared, TensorForm, TooLarge
from tapemagic.tensors.sweep import again, along
from tapemagic.trace import LARGE, Array, Operation, Trace

_SYMMETRIC = {"Cholesky", "SelfAdjointEigV2"}
LONG = 2_000  # equations that are still followed again from the sources
SEVERAL = 12  # sources that share one set of equations


@dataclass(frozen=True)
class Along:
    """A vector by name, of the source's shape."""

    name: str
    value: Array


@dataclass(frozen=True)
class Question:
    """What is asked of the trace: d target/d sources[order[0]] d sources[order[1]] …

    `kind` is "gradient", "jacobian", "batch_jacobian" or "hessian". `seed` weights the target's
    entries (default ones). `names` has names that no binding gave, by tensor id. `several`: it
    is one of several partial derivatives, so that they are written with ∂.
    `notation` is "auto", "matrix", "index" or "components". `meanings` says what short names
    stand for. `along`: of a second derivative, only its product with this vector.
    """

    key: str
    target: int
    text: str
    sources: tuple[Leaf, ...]
    order: tuple[int, ...]
    kind: str = "gradient"
    seed: Array | None = None
    names: Mapping[int, str] | None = None
    several: bool = False
    notation: str = "auto"
    meanings: Mapping[str, str] = field(default_factory=dict)
    along: Along | None = None

    @property
    def entrywise(self) -> bool:
        """Whether the entries of what is differentiated are kept apart."""
        return self.kind != "gradient"


def explain(
    trace: Trace,
    question: Question,
    value: Any,
    measured: Array | None,
    lower: Derivative | None,
    shared: Shared | None = None,
) -> Derivative:
    """The derivative that the tape answered with `value` (`measured` as float64), explained.

    `lower` is the derivative of one order less, if this is a higher one; `shared` keeps what
    the derivatives of one trace have in common.
    """
    reasons: list[str] = []
    derivation = None
    closed = None
    tensor, why = _tensor(trace, question, lower, shared or Shared())
    if too_large := _too_large(trace, question, measured):
        check = Check(measured, None, None, None, too_large)
        return _explained(question, value, check, None, None, [why] if why else [], tensor)
    try:
        if not _enough(tensor, question):
            derivation = _derivation(trace, question)
            closed = _closed(question, derivation, lower)
    except (NotDerivable, NoClosedForm) as reason:
        reasons.append(str(reason))
    except Exception as error:  # noqa: BLE001 - an error of ours must not cost the user the value
        reasons.append(f"tapemagic failed on it ({type(error).__name__}: {error})")
    try:
        with np.errstate(all="ignore"):
            symbolic, spread = _symbolic(question, derivation, closed)
            if question.kind == "batch_jacobian" and derivation is not None:
                rank = len(trace.tensors[question.target].shape)
                symbolic = _batch(symbolic, rank)
                closed = replace(closed, formulas=_batch(closed.formulas, rank)) if closed else None
            chain = derivation.value if derivation and len(question.order) == 1 else None
            by_tensor, note = _in_numbers(trace, question, tensor)
            if derivation is None and by_tensor is not None:
                symbolic, spread = by_tensor, _shaken(trace, question, tensor)
            check = _check(trace, question, measured, symbolic, chain, spread)
            if note and symbolic is None:
                check = replace(check, note="; ".join(n for n in (check.note, note) if n))
            if by_tensor is not None and not _is_right(trace, question, by_tensor, check, spread):
                tensor, why = None, "the form in whole tensors does not give the tape's value"
    except Exception as error:  # noqa: BLE001 - as above
        check = Check(measured, None, None, None, f"the check failed ({error})")
        tensor = None
    if check.derived is False and closed is not None:
        reasons.append("what was derived does not give the tape's value")
        closed = None
    if closed is None:
        reasons = _reasons(tensor, why, reasons)
    return _explained(question, value, check, derivation, closed, reasons, tensor)


def _reasons(tensor: TensorForm | None, why: str, reasons: list[str]) -> list[str]:
    """Why there is no closed form, if so: `why` there is none in whole tensors, or `reasons` why
    there is none in components."""
    if tensor is not None and tensor.closed is not None:
        return []
    if why and (tensor is not None or not reasons or "entries" in reasons[0]):
        return [why]
    return reasons


def _explained(
    question: Question,
    value: Any,
    check: Check,
    derivation: Derivation | None,
    closed: ClosedForm | None,
    reasons: Sequence[str],
    tensor: TensorForm | None,
) -> Derivative:
    return Derivative(
        question.key,
        question.text,
        tuple(question.sources[i].text for i in question.order),
        value,
        check,
        derivation,
        closed,
        tuple(reasons),
        question.several,
        tensor=tensor,
        meanings=question.meanings,
        along=question.along.name if question.along is not None else "",
    )


def _too_large(trace: Trace, question: Question, measured: Array | None) -> str:
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


# -- in whole tensors ---------------------------------------------------------------------------

_BESIDE = 9  # entries up to which components stand beside the matrix form


def _tensor(
    trace: Trace, question: Question, lower: Derivative | None, shared: Shared
) -> tuple[TensorForm | None, str]:
    """The derivative in whole tensors, or why there is none."""
    if question.notation == "components" or not forms.has_tensors(trace, shared):
        return None, ""
    try:
        leaves = _leaves(trace, question, shared)
        last = question.sources[question.order[-1]]
        if not last.tensors:
            return None, ""
        place = leaves.index(last)
        if len(question.order) > 1:
            if lower is None or lower.tensor is None:
                return None, "" if lower is None else f"{lower.key} has none"
            jacobian = question.kind == "hessian"
            by = question.along
            if by is None:
                found = again(lower.tensor, place, jacobian)
            else:
                found = again(along(lower.tensor, by.name, by.value), place, False)
        else:
            jacobian = question.kind in ("jacobian", "batch_jacobian")
            names = question.names or {}
            found = forms.first_order(
                trace,
                question.target,
                question.text,
                leaves,
                place,
                jacobian,
                question.seed,
                names,
                shared,
            )
        return found, found.reason
    except NotDerivable as reason:
        return None, str(reason)
    except Exception as error:  # noqa: BLE001 - an error of ours must not cost the user the value
        return None, f"tapemagic failed on it ({type(error).__name__}: {error})"


def _enough(tensor: TensorForm | None, question: Question) -> bool:
    """Whether nobody would write the entries out: there is a form of more than a few, or the
    way leads through layers."""
    if question.along is not None:
        return True
    if tensor is None:
        return False
    definitions = tensor.definitions
    if tensor.closed is None:
        return tensor.sweep is not None and bool(definitions.layers)
    large = definitions.largest > _BESIDE or bool(definitions.layers)
    return question.notation != "auto" or large


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
        return None, "a value that it needs is not kept any more"
    return _whole_shape(trace, question, found), ""


def _whole_shape(trace: Trace, question: Question, array: Array) -> Array:
    shapes = [trace.tensors[question.sources[i].tensors[0]].shape for i in question.order]
    if question.kind in ("jacobian", "batch_jacobian"):
        shapes.insert(0, trace.tensors[question.target].shape)
    elif question.kind != "hessian":
        shapes = shapes[-1:]
    whole = array.reshape([size for shape in shapes for size in shape])
    rank = len(trace.tensors[question.target].shape)
    return _batch(whole, rank) if question.kind == "batch_jacobian" else whole


def _shaken(trace: Trace, question: Question, tensor: TensorForm | None) -> Array | float:
    """How far the form moves with the dtype's precision."""
    if tensor is None or tensor.closed is None:
        return 0.0
    epsilon = checking.EPSILON.get(tensor.definitions.dtype, 2.0**-23)
    base = tensor.evaluate({})
    if base is None or base.size > 2**16:
        return 0.0
    spread: Array = np.zeros(base.shape)
    for period in (1, 2):
        moved = {}
        for k, leaf in enumerate(tensor.definitions.given):
            value = tensor.definitions.look(leaf)
            if value is not None and value.dtype.kind == "f":
                moved[leaf] = value * (1 + epsilon * _signs(np.shape(value), k, period))
        other = tensor.evaluate(moved)
        if other is not None:
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
    precision = Precision(
        trace.tensors[question.target].dtype, len(trace.operations), spread, scale
    )
    return checking.compare(tape, value, None, "", precision).derived is not False


# -- in components ------------------------------------------------------------------------------


def _derivation(trace: Trace, question: Question) -> Derivation:
    for i in question.order:
        if not question.sources[i].tensors:
            raise NotDerivable(
                f"{question.sources[i].text} was not read while the cell was recorded"
            )
    leaves = _leaves(trace, question)
    equations = derive_equations(
        trace, question.target, question.text, leaves, question.names or {}
    )
    jacobian = question.kind in ("jacobian", "batch_jacobian")
    place = leaves.index(question.sources[question.order[0]])
    return derive(equations, place, question.seed, jacobian)


def _leaves(trace: Trace, question: Question, shared: Shared | None = None) -> list[Leaf]:
    """All sources, so that the equations serve all derivatives alike; only those that count
    where one source is computed from another, for then the way leads through the other.

    Entry by entry (without `shared`) only few are taken together."""
    every = [leaf for leaf in question.sources if leaf.tensors]
    key = (id(trace), question.sources)
    if shared is None and len(every) > SEVERAL:
        apart = False
    elif shared is not None and key in shared.apart:
        apart = shared.apart[key]
    else:
        apart = not depend_on_each_other(trace, every)
    if shared is not None:
        shared.apart[key] = apart
    if apart:
        return every
    return [question.sources[i] for i in dict.fromkeys(question.order)]


def _closed(
    question: Question, derivation: Derivation, lower: Derivative | None
) -> ClosedForm | None:
    equations = derivation.equations
    last = question.sources[question.order[-1]].name
    names = next(group for group in equations.sources if group[0].text == last)
    below = lower.closed_form if lower is not None else None
    if lower is not None and below is None:
        raise NoClosedForm(f"{lower.key} has none")
    wrt = (*(below.wrt if below else ()), names)
    seed = derivation.seed if derivation.lead == 0 else np.ones(())
    entrywise = question.entrywise and not (question.kind == "hessian" and below is None)
    return closed_form(equations, wrt, seed, entrywise, below)


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
) -> Check:
    dtype = trace.tensors[question.target].dtype
    difference = _difference(trace, question)
    if question.kind == "batch_jacobian" and isinstance(difference, Difference):
        rank = len(trace.tensors[question.target].shape)
        value, error, low, high = (
            _batch(part, rank)
            for part in (difference.value, difference.error, difference.low, difference.high)
        )
        difference = Difference(value, error, low, high, difference.kink)
        chain = _batch(chain, rank)
        spread = _batch(np.asarray(spread), rank) if np.ndim(spread) else spread
    if measured is not None and np.iscomplexobj(measured):
        return Check(measured, None, None, None, "complex numbers are not checked")
    precision = Precision(
        dtype, len(trace.operations), spread, _scale(trace, question), _custom(trace)
    )
    found = checking.compare(measured, symbolic, chain, difference, precision)
    overriding = [
        op.kind for op in _above(trace, question.target) if op.attributes.get("overrides")
    ]
    if overriding and "overrides" not in found.note:
        told = f"the custom gradient of {', '.join(dict.fromkeys(overriding))} overrides calculus"
        found = replace(found, note="; ".join(note for note in (found.note, told) if note))
    return found


def _custom(trace: Trace) -> str:
    names = (op.kind for op in trace.operations if op.given)
    return ", ".join(dict.fromkeys(names))


def _scale(trace: Trace, question: Question) -> float:
    """target / sourceⁿ: the size of what may cancel in an nth derivative."""
    data = trace.tensors[question.target].data
    size = 0.0 if data is None else float(np.max(np.abs(data), initial=0.0))
    for i in question.order:
        known = [trace.tensors[key].data for key in question.sources[i].tensors]
        sizes = [float(np.max(np.abs(d), initial=0.0)) for d in known if d is not None and d.size]
        size /= max([1e-2, *sizes])
    return size if np.isfinite(size) else 0.0


def _difference(trace: Trace, question: Question) -> Difference | str:
    trace = replace(trace, operations=_above(trace, question.target))
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
        return str(reason)
    except Exception as error:  # noqa: BLE001 - as above: the value stands all the same
        return f"the replay failed ({type(error).__name__}: {error})"


def _above(trace: Trace, target: int) -> tuple[Operation, ...]:
    """The operations that the target is made by."""
    needed, found = {target}, []
    for operation in reversed(trace.operations):
        if needed.intersection(operation.outputs):
            needed.update(operation.inputs)
            found.append(operation)
    return tuple(found[::-1])


def _point(trace: Trace, leaf: Leaf) -> Array:
    data = trace.tensors[leaf.tensors[0]].data if leaf.tensors else None
    if data is None or data.dtype.kind not in "fV":
        raise NotReplayable("the source has no recorded value of a floating dtype")
    return np.asarray(data, dtype=np.float64)


def _batch(array: Any, rank: int) -> Any:
    """The blocks of a Jacobian whose target (of this rank) and source belong to the same entry
    of the batch, the leading axis of both."""
    if array is None or np.ndim(array) <= rank:
        return array
    return np.stack([np.take(array[i], i, axis=rank - 1) for i in range(array.shape[0])])


def leaf_of(trace: Trace, key: int, text: str, is_variable: bool, shown: str = "") -> Leaf:
    """The source with this tensor or variable id; a variable is what was read of it."""
    tensors = trace.read(key) if is_variable else (trace.canonical(key),)
    return Leaf(text, tensors, shown)


__all__ = ["Question", "explain", "leaf_of"]
