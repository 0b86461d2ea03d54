"""What is said in words under a derivative: of what it is, what the doctor found, the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tapemagic import numbers
from tapemagic.components import dtype_of
from tapemagic.diagnosis import Diagnosis
from tapemagic.document import (
    Note,
)
from tapemagic.extent import norm
from tapemagic.trace import Array

if TYPE_CHECKING:
    from tapemagic.result import Derivative

_FIX = 12  # lines of a fix that are shown
_REMARKS = {"kink", "summed", "convention", "custom", "degenerate"}  # nothing is broken
_OF_A_SUM = (
    "of the sum of the gradient's entries, as the tape's is: the rows of the Hessian are added up, "
    "and --hessian keeps them apart"
)


def of_what(derivative: Derivative) -> list[Note]:
    """Of what it is the derivative, where the target's entries were summed or weighted."""
    found = [Note(_OF_A_SUM)] if _is_of_a_sum(derivative) else []
    if derivative.weights is not None and derivative.value is not None:
        found.append(Note(_weighted(derivative.target, derivative.weights)))
    return found


def found_by_doctor(derivative: Derivative) -> list[Note]:
    """The diagnoses."""
    # On one of several ways, stop_gradient is mostly meant as it is.
    partly = derivative.value is not None
    return [_diagnosis(d, partly and d.cause == "stopped") for d in derivative.diagnoses]


def _weighted(target: str, weights: str) -> str:
    """Of what it is the derivative, where a seed weights the target's entries."""
    if not weights:
        return f"of a weighted sum: the seed weights the entries of {target}"
    return f"of the sum of {weights} ∘ {target}: the seed {weights} weights the entries of {target}"


def _is_of_a_sum(derivative: Derivative) -> bool:
    """Whether it is a scalar's second derivative by a tensor, whose gradient's entries were
    summed."""
    if derivative.order < 2 or derivative.along or not derivative.is_gradient:
        return False
    if len(set(derivative.sources)) > 1 or np.prod(np.shape(derivative.value)) <= 1:
        return False
    if derivative.derivation is not None:
        equations = derivative.derivation.equations
        source = equations.values[equations.sources[0][0]]
        summed = np.shape(derivative.value) == source.shape  # a Hessian has twice its axes
        return summed and not derivative.derivation.seed.shape
    return derivative.tensor is not None and not derivative.tensor.definitions.target.whole


def _diagnosis(diagnosis: Diagnosis, remark: bool = False) -> Note:
    """What the doctor says, with the line and the code to paste."""
    inside = f" of {diagnosis.function}" if diagnosis.function else ""
    where = f"line {diagnosis.line}{inside}, {diagnosis.text}: " if diagnosis.line else ""
    kind = "note" if diagnosis.cause in _REMARKS or remark else "warning"
    lines = diagnosis.fix.split("\n") if diagnosis.fix else []
    if len(lines) > _FIX:
        lines = [*lines[:_FIX], "…"]
    told = f"{where}{diagnosis.message} ({diagnosis.cause})"
    if lines:
        first, last = diagnosis.first, diagnosis.last
        replaced = f"line {first}" if first == last else f"lines {first} to {last}"
        told += f" In place of {replaced}{inside}:"
    return Note(told, kind, code="\n".join(lines))


def verdict(derivative: Derivative) -> Note:
    """What the check says."""
    check, value = derivative.check, derivative.value
    if value is None:
        why = "" if derivative.diagnoses else f": {_why_none(derivative)}"
        return Note(f"{derivative.key} is None{why}", "warning")
    dtype = dtype_of(derivative)
    parts = [f"tape {_brief(check.tape, dtype)}"]
    # Where they differ, rounding to the tape's dtype may hide by how much: 1e-8 is 0 in float16.
    other = "float64" if check.agrees is False else dtype
    if check.symbolic is not None:
        form = derivative.tensor
        by_tensor = form is not None and (form.closed or form.in_adjoints) is not None
        has_form = derivative.closed_form is not None or by_tensor
        name = "closed form" if has_form else "derivation"
        parts.append(f"{name} {_brief(check.symbolic, other)}")
    if check.finite_difference is not None:
        parts.append(f"finite difference {_brief(check.finite_difference, other)}")
    note = f" ({check.note})" if check.note else ""
    if check.agrees is False:
        return Note("they do not agree: " + ", ".join(parts) + note, "warning", False)
    if check.agrees is None:
        return Note("not checked: " + ", ".join(parts) + note, "check", None)
    same = len({part.rsplit(" ", 1)[-1] for part in parts}) == 1 or len(parts) == 1
    joint = ", " if check.kink else " = " if same else " ≈ "
    return Note("checked: " + joint.join(parts) + note, "check", True)


def _why_none(derivative: Derivative) -> str:
    """The two opposite meanings of None, told apart by derivation and replay."""
    check = derivative.check
    known = check.symbolic if check.symbolic is not None else check.finite_difference
    if known is None:
        return "the tape found no path from source to target"
    if not np.any(np.abs(known) > 1e-6):
        return "the tape's way to say 0 where what it differentiates does not depend on the source"
    return f"the tape found no path, but the recorded ops have the slope {_brief(known, 'float64')}"


def _brief(array: Array | None, dtype: str) -> str:
    if array is None:
        return "None"
    if array.ndim == 0:
        return _digits(array[()], dtype)
    if array.size <= 4:
        return "[" + ", ".join(_digits(value, dtype) for value in array.flat) + "]"
    return f"of norm {_digits(norm(array), dtype)}"


def _digits(value: Any, dtype: str) -> str:
    plain = complex(value) if np.iscomplexobj(value) else float(value)
    return str(numbers.written(plain, dtype))
