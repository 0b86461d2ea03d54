"""Whether there is a slope that the tape did not see: a difference on the replay decides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tapemagic.case import Case
from tapemagic.check import hidden_slope
from tapemagic.escapes import returns
from tapemagic.numbers import written
from tapemagic.trace import Array


def hidden(case: Case) -> str:
    """What the tape missed, as a sentence; empty where the replay cannot tell."""
    slope = _replayed(case)
    if slope is None:
        return ""
    if not np.any(np.abs(slope) > 1e-9):
        return " (The true derivative is 0 here all the same.)"
    return f" There is a derivative ({_brief(slope)}); the tape did not see it."


def whole(case: Case) -> str:
    """The whole slope, of which the tape saw a part, in parentheses."""
    slope = _replayed(case)
    return "" if slope is None else f" (the whole derivative is {_brief(slope)})"


def is_all(case: Case) -> bool:
    """Whether the tape's answer is all of the slope, as far as the replay can tell."""
    slope = _replayed(case)
    if slope is None or case.value is None or slope.size != case.value.size:
        return False
    value = np.asarray(case.value, dtype=np.float64).reshape(slope.shape)
    return bool(np.max(np.abs(value - slope), initial=0.0) <= 1e-3 * np.max(np.abs(slope)))


def moves(case: Case, constants: Sequence[int]) -> bool:
    """Whether the target depends on a value, as far as the replay can tell: not on the largest
    entry that a softmax is shifted by."""
    slope = hidden_slope(case.trace, case.target, constants)
    return slope is None or bool(np.any(np.abs(slope) > 1e-6))


def _brief(slope: Array) -> str:
    if slope.size == 1:
        return f"about {written(float(slope.flat[0]), 'float32')}"
    return f"of norm {written(float(np.linalg.norm(slope)), 'float32')}"


def _replayed(case: Case) -> Array | None:
    """The slope by a replay, where all of the way can be replayed: NumPy's part cannot."""
    if returns(case.trace, {case.target: case.call}):
        return None
    return hidden_slope(case.trace, case.target, case.sources)
