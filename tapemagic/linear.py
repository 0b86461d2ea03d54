"""Derivatives of derivatives that do not depend on the source: 0, which the tape calls None."""

from __future__ import annotations

import numpy as np

from tapemagic import remedies
from tapemagic.case import Case
from tapemagic.check import Check
from tapemagic.diagnosis import Diagnosis
from tapemagic.findings import finding, repaired
from tapemagic.trace import Line


def higher_order(
    target: str, source: str, call: Line | None, check: Check, lower: object
) -> tuple[Diagnosis, ...]:
    """A derivative of higher order that is None: of a lower one that does not depend on the
    source."""
    known = check.symbolic if check.symbolic is not None else check.finite_difference
    vanishes = known is not None and not np.any(np.abs(known) > 1e-6)
    if check.tape is not None or lower is None or not vanishes:
        return ()
    message = (
        f"the derivative of {target} of one order less does not depend on {source}: the next one "
        "is 0, which the tape expresses by None; ask with --zero to get 0."
    )
    return (finding("higher_order", call, message, None),)


def is_made_of_answers(case: Case) -> bool:
    """Whether the target is an answer of another tape, passed on by ops of a single input."""
    key = case.target
    for operation in reversed(case.trace.operations):
        if key in operation.outputs:
            if len(operation.inputs) == 0:
                return False
            key = operation.inputs[0]
            if key in case.answers:
                return True
    return False


def constant(case: Case) -> Diagnosis:
    """The derivative of a derivative that does not depend on the source."""
    itself = case.target in case.answers
    what = "is itself a derivative, and it" if itself else "is made of a derivative, which"
    return finding(
        "higher_order",
        case.call,
        f"{case.target_text} {what} came out as a constant: it does not depend on "
        f"{case.source.text}. The next derivative is 0, which the tape expresses by None; ask with "
        "unconnected_gradients='zero' to get 0.",
        repaired(
            case.call,
            lambda s, n: remedies.keyword(s, n, case.method, "unconnected_gradients", "'zero'"),
        ),
    )
