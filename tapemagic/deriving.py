"""One derivative, from the trace to `Derivative`: equations, sweep, closed form, check.

Nothing here may take the user's cell down: what cannot be derived becomes a reason, in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
from tapemagic.tensors.evaluation import cost
from tapemagic.tensors.forms import Shared, TensorForm, TooLarge
from tapemagic.tensors.sweep import again
from tapemagic.trace import Answer, Array, Operation, Trace

_SYMMETRIC = {"Cholesky", "SelfAdjointEigV2"}
LONG = 2_000  # equations that are still followed again from the sources
SEVERAL = 12  # sources that share one set of equations


@dataclass(frozen=True)
class Question:
    """What is asked of the trace: d target/d sources[order[0]] d sources[order[1]] …

    `kind` is "gradient", "jacobian", "batch_jacobian" or "hessian". `seed` weights the target's
    entries (default ones). `names` has names that no binding gave, by tensor id. `several`: it
    is one of several partial derivatives, so that they are written with ∂.
    `notation` is "auto", "matrix", "index" or "components".
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
    if measured is None and tensor is not None and tensor.is_zero:
        tensor = None  # why the tape saw no way is not told by "0"
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
    if tensor is not None and tensor.closed is not None and closed is None:
        reasons = []
    elif closed is None and why and (tensor is not None or not reasons or "entries" in reasons[0]):
        reasons = [why]
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
    )


# -- in whole tensors ---------------------------------------------------------------------------

_BESIDE = 9  # entries up to which components stand beside the matrix form


def _tensor(
    trace: Trace, question: Question, lower: Derivative | None, shared: Shared
) -> tuple[TensorForm | None, str]:
    """The derivative in whole tensors, or why there is none."""
    if question.notation == "components" or not forms.has_tensors(trace, shared):
        return None, ""
    try:
        leaves = _leaves(trace, question)
        last = question.sources[question.order[-1]]
        if not last.tensors:
            return None, ""
        place = leaves.index(last)
        if len(question.order) > 1:
            if lower is None or lower.tensor is None:
                return None, "" if lower is None else f"{lower.key} has none"
            jacobian = question.kind == "hessian"
            found = again(lower.tensor, place, jacobian)
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
    """Whether nobody would write the entries out: there are more than a few, and a form, or one
    that is only too long."""
    if tensor is None or (tensor.closed is None and tensor.definitions.opaque):
        return False
    return question.notation != "auto" or tensor.definitions.largest > _BESIDE


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


def _leaves(trace: Trace, question: Question) -> list[Leaf]:
    """All sources, so that the equations serve all derivatives alike; only those that count
    where one source is computed from another, for then the way leads through the other."""
    every = [leaf for leaf in question.sources if leaf.tensors]
    if len(every) <= SEVERAL and not depend_on_each_other(trace, every):
        return every
    return [question.sources[i] for i in dict.fromkeys(question.order)]


def _closed(
    question: Question, derivation: Derivation, lower: Derivative | None
) -> ClosedForm | None:
    equations = derivation.equations
    last = question.sources[question.order[-1]].text
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
    return checking.compare(measured, symbolic, chain, difference, precision)


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
        return checking.finite_difference(run, points, order, len(trace.operations), entrywise)
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


def settled(trace: Trace) -> Trace:
    """The trace with each op that the tape was handed a derivative for either opened up (if the
    ops inside have that same derivative) or left as one, its derivative taken as given."""
    operations = list(trace.operations)
    for position, operation in enumerate(trace.operations):
        if operation.given and _same_inside(trace, position, operation):
            operations[position] = replace(operation, given=False, kind="", outputs=())
    kept = tuple(op for op in operations if op.kind)
    return replace(trace, operations=kept)


def _same_inside(trace: Trace, position: int, operation: Operation) -> bool:
    """Whether differentiating the ops inside gives what the tape was handed."""
    inside = {key for op in trace.operations[:position] for key in op.outputs}
    later = {key for op in trace.operations[position + 1 :] for key in op.inputs}
    wanted = inside & {*later, operation.outputs[0]}
    used = [k for k, key in enumerate(operation.outputs) if key in wanted]
    if operation.outputs[0] not in inside:
        return False
    try:
        return all(_same_output(trace, position, operation, place) for place in used)
    except Exception:  # noqa: BLE001 - what cannot be opened up stays one op
        return False


def _same_output(trace: Trace, position: int, operation: Operation, place: int) -> bool:
    before = replace(trace, operations=trace.operations[:position])
    inputs = tuple(dict.fromkeys(operation.inputs))
    if operation.vjp is None or len(inputs) < len(operation.inputs):
        return False
    if operation.answered is None and not operation.attributes.get("library"):
        return False  # a custom gradient is the user's code: the tape did not ask it, nor do we
    asked, given = operation.answered or _probed(trace, operation, place)
    if any(np.any(c) for k, c in enumerate(asked) if k != place and c is not None):
        return False
    leaves = [Leaf(f"x{i}", (key,)) for i, key in enumerate(inputs)]
    equations = derive_equations(before, operation.outputs[place], "y", leaves, {})
    for i, answer in enumerate(given):
        own = derive(equations, i, np.asarray(asked[place], dtype=np.float64)).value
        if answer is None and np.any(own):
            return False
        if answer is not None and not np.allclose(own, answer, rtol=1e-4, atol=1e-6):
            return False
    return True


def _probed(trace: Trace, operation: Operation, place: int) -> Answer:
    """What the tape's own derivative says, asked for one output with ones."""
    assert operation.vjp is not None
    cotangents: list[Array | None] = [
        np.zeros(trace.tensors[key].shape) for key in operation.outputs
    ]
    cotangents[place] = np.ones(trace.tensors[operation.outputs[place]].shape)
    return tuple(cotangents), tuple(operation.vjp([c for c in cotangents if c is not None]))


def leaf_of(trace: Trace, key: int, text: str, is_variable: bool) -> Leaf:
    """The source with this tensor or variable id; a variable is what was read of it."""
    return Leaf(text, trace.read(key) if is_variable else (trace.canonical(key),))


__all__ = ["Question", "explain", "leaf_of", "settled"]
