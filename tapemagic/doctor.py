"""Why a derivative is None, nan, zero, or not what was expected: from the recording alone.

Silent on what is healthy. Each finding says what was seen, names the line, and offers a fix.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from tapemagic import codes, disconnection, nonfinite, surprises, vanishing
from tapemagic.births import is_finite
from tapemagic.case import Case
from tapemagic.diagnosis import Diagnosis
from tapemagic.trace import Array


def diagnose(case: Case) -> tuple[Diagnosis, ...]:
    """All findings, the decisive one first; empty where the derivative is healthy."""
    try:
        with np.errstate(all="ignore"):
            return tuple(_located(case, d) for d in _distinct(_findings(case)))
    except Exception:  # noqa: BLE001 - a doctor who fails must not take the derivation along
        return ()


def _findings(case: Case) -> Iterator[Diagnosis]:
    value = case.value
    if value is None:
        yield from disconnection.none(case)
        return
    if case.zero and not np.any(value):
        found = list(disconnection.none(case))
        if any(d.cause not in ("unconnected", "higher_order") for d in found):
            yield from found
            return
        if found:  # asked for zeros, and there is no way: healthy
            return
    target = case.trace.array(case.target)
    if not np.all(np.isfinite(value)) or (target is not None and not is_finite(target)):
        yield from nonfinite.not_finite(case)
        return
    if not np.any(value) or _is_rounding(case, value):
        dead = list(vanishing.zero(case))
        yield from dead or disconnection.zero(case)
    yield from disconnection.lost(case)
    yield from surprises.surprising(case)


def _is_rounding(case: Case, value: Array) -> bool:
    """Whether the closed form is 0, and the answer what rounding left of it."""
    form, check = case.check.symbolic, case.check
    if form is None or check.agrees is not True or case.trace.tensors[case.target].shape:
        return False
    largest = float(np.max(np.abs(form), initial=0.0))
    return largest <= 1e-6 * float(np.max(np.abs(value), initial=0.0))


def _located(case: Case, diagnosis: Diagnosis) -> Diagnosis:
    """With the function of a line that stands in another file than the call."""
    if case.call is None or diagnosis.file in ("", case.call.file):
        return diagnosis
    name = codes.function_name(diagnosis.file, diagnosis.line)
    return replace(diagnosis, function=name)


def _distinct(found: Iterator[Diagnosis]) -> Iterator[Diagnosis]:
    seen: set[tuple[str, int]] = set()
    for diagnosis in found:
        if (diagnosis.cause, diagnosis.line) not in seen:
            seen.add((diagnosis.cause, diagnosis.line))
            yield diagnosis
