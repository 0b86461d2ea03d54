"""One derivative, from the trace to `Derivative`: equations, sweep, closed form, check.

Nothing here may take the user's cell down: what cannot be derived becomes a reason, in words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np

from tapemagic.check import Check
from tapemagic.closed_form import ClosedForm, NoClosedForm, closed_form
from tapemagic.derivation import Derivation, derive
from tapemagic.equations import (
    ENTRIES,
    Leaf,
    NotDerivable,
    depend_on_each_other,
    derive_equations,
)
from tapemagic.question import Question
from tapemagic.result import Derivative
from tapemagic.substitution import is_long
from tapemagic.tensors import forms
from tapemagic.tensors.forms import Shared, TensorForm
from tapemagic.tensors.sweep import again, along, batched
from tapemagic.trace import Array, Trace
from tapemagic.verifying import checked, too_large

SEVERAL = 12  # sources that share one set of equations


@dataclass(frozen=True)
class Explained:
    """A question, the trace that it was asked of, and what came of it."""

    trace: Trace
    question: Question
    derivative: Derivative


_KEPT: ContextVar[list[Explained] | None] = ContextVar("kept", default=None)


@contextmanager
def keeping() -> Iterator[list[Explained]]:
    """What is explained in here, with its trace: for who goes on from there."""
    kept: list[Explained] = []
    token = _KEPT.set(kept)
    try:
        yield kept
    finally:
        _KEPT.reset(token)


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
    found = _verified(trace, question, value, measured, lower, shared or Shared())
    kept = _KEPT.get()
    if kept is not None:
        kept.append(Explained(trace, question, found))
    return found


def _verified(
    trace: Trace,
    question: Question,
    value: Any,
    measured: Array | None,
    lower: Derivative | None,
    shared: Shared,
) -> Derivative:
    tensor, why = _tensor(trace, question, lower, shared)
    if measured is None and tensor is not None and tensor.is_zero:
        tensor = None  # why the tape saw no way is not told by "0"
    if why_not := too_large(trace, question, measured):
        check = Check(measured, None, None, None, why_not)
        return _explained(question, value, check, None, None, [why] if why else [], tensor)
    derivation, closed, reasons = _in_components(trace, question, lower, tensor)
    try:
        with np.errstate(all="ignore"):
            found = checked(trace, question, measured, derivation, closed, tensor)
            check, tensor, closed, dropped = found
            why = dropped or why
    except Exception as error:  # noqa: BLE001 - an error of ours must not cost the user the value
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
    if tensor is not None and (tensor.closed or tensor.in_adjoints) is not None:
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
        weights=question.seed_name if question.seed is not None else None,
        style=question.style,
    )


def _in_components(
    trace: Trace, question: Question, lower: Derivative | None, tensor: TensorForm | None
) -> tuple[Derivation | None, ClosedForm | None, list[str]]:
    """The derivation entry by entry, where anybody would write the entries out."""
    if question.along is not None:
        return None, None, []
    whole = tensor is not None and tensor.closed is not None
    if tensor is not None and (whole or not tensor.definitions.opaque or _by_layers(tensor)):
        few = tensor.definitions.largest <= _BESIDE and not tensor.definitions.layers
        if question.style.notation != "auto" or not few:
            return None, None, []
    derivation = None
    try:
        derivation = entrywise(trace.abridged(), question)
        closed = _closed(question, derivation, lower)
        if whole and (closed is None or is_long(closed.formulas)):
            return None, None, []
    except (NotDerivable, NoClosedForm) as reason:
        # The adjoints of whole tensors read better than those of entries, also by themselves.
        told = whole or (tensor is not None and not tensor.definitions.opaque)
        return (None, None, []) if told else (derivation, None, [str(reason)])
    except Exception as error:  # noqa: BLE001 - as above
        return derivation, None, [f"tapemagic failed on it ({type(error).__name__}: {error})"]
    return derivation, closed, []


def _by_layers(tensor: TensorForm) -> bool:
    """Whether the way leads through layers."""
    return tensor.sweep is not None and bool(tensor.definitions.layers)


# -- in whole tensors ---------------------------------------------------------------------------

_BESIDE = 9  # entries up to which components stand beside the matrix form


def _tensor(
    trace: Trace, question: Question, lower: Derivative | None, shared: Shared
) -> tuple[TensorForm | None, str]:
    """The derivative in whole tensors, or why there is none."""
    if question.style.notation == "components" or not forms.has_tensors(trace, shared):
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
                (question.seed, question.seed_name),
                names,
                shared,
            )
        if question.kind == "batch_jacobian":
            found = batched(found)
        return found, found.reason
    except NotDerivable as reason:
        return None, str(reason)
    except Exception as error:  # noqa: BLE001 - an error of ours must not cost the user the value
        return None, f"tapemagic failed on it ({type(error).__name__}: {error})"


# -- in components ------------------------------------------------------------------------------


def entrywise(trace: Trace, question: Question, most: int = ENTRIES) -> Derivation:
    """The derivation with every entry written out, of tensors of up to `most` entries.

    Raises `NotDerivable` with the reason where there is none.
    """
    for i in question.order:
        if not question.sources[i].tensors:
            raise NotDerivable(
                f"{question.sources[i].text} was not read while the cell was recorded"
            )
    leaves = _leaves(trace, question)
    equations = derive_equations(
        trace, question.target, question.text, leaves, question.names or {}, most
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


__all__ = ["Explained", "entrywise", "explain", "keeping"]
