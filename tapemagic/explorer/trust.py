"""Whether what was recorded gives what the cell itself gives, elsewhere too.

NumPy reads memory unseen, and what left as a number may decide anything: so a cell that may run
again is compared. Where it differs, running it at each point is what there is to show.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tapemagic.check import EPSILON
from tapemagic.explorer.anew import Rerun
from tapemagic.explorer.curve import moved
from tapemagic.explorer.program import NotExplorable
from tapemagic.explorer.sliders import Sliders, grid
from tapemagic.explorer.subject import Subject
from tapemagic.trace import Escaped

SECONDS = 2.0  # for comparing
PROBES = 7  # along a source, where the cell is run again to compare
QUICK = 0.03  # seconds of a cell that is compared without a reason


@dataclass
class Trial:
    """Compares `known`, the target at a point (None: not known there), with what the cell gives.

    `unknown` are the values that left TensorFlow as numbers, and may have decided.
    """

    known: Callable[[Sequence[float]], float | None]
    sliders: Sliders
    subject: Subject
    unknown: Sequence[Escaped]

    def verdict(self, rerun: Rerun | None, effect: str) -> tuple[str, bool]:
        """Words for it, and whether what was recorded is to be shown.

        Without a suspicion a cell is compared only if it is quick. What gives something else each
        time cannot be compared; nor can a cell with an `effect`, which is not run again.
        """
        if rerun is None:
            return self._doubt(f", and the cell is not run again, for {effect}" if effect else "")
        began = time.perf_counter()
        if self.subject.question.seed is not None or not self._agrees(rerun, self.sliders.point):
            return self._doubt(", and the cell cannot be compared")
        if not self.unknown and time.perf_counter() - began > QUICK:
            return "", True
        for place, slider in enumerate(self.sliders.each[:2]):
            for x in grid(slider, PROBES):
                if time.perf_counter() - began > SECONDS:
                    return self._doubt(", and the cell takes too long to be compared")
                if not self._agrees(rerun, moved(self.sliders.point, place, float(x))):
                    if not self.unknown:
                        return "Elsewhere the cell gives something else than the formula.", False
                    return f"The recorded path does not hold everywhere ({self._suspicion}).", False
        return "", True

    def _doubt(self, why: str) -> tuple[str, bool]:
        if not self.unknown:
            return "", True
        return f"The recorded path may not hold elsewhere ({self._suspicion}{why}).", True

    @property
    def _suspicion(self) -> str:
        """Where a value left TensorFlow that may decide."""
        escape = self.unknown[0]
        where = f"line {escape.line.number}" if escape.line is not None else "on the way"
        return f"{where}: a value leaves TensorFlow by {escape.method}, and may decide"

    def _agrees(self, rerun: Rerun, point: Sequence[float]) -> bool:
        known = self.known(point)
        if known is None:
            return True
        try:
            found = rerun.value(self.sliders.named(point), self.subject.first.target)
        except Exception:  # noqa: BLE001 - the user's cell, at a point of ours
            return False
        return _close(known, found, self.subject.derivation.equations.dtype)


def as_recorded(subject: Subject, here: float | None) -> None:
    """Raises `NotExplorable` where what is found at the recorded point is not what was recorded:
    a formula may overflow where TensorFlow's op does not, and a cell may draw random numbers."""
    derivation = subject.derivation
    target = derivation.equations.values[derivation.equations.target]
    with np.errstate(all="ignore"):
        recorded = float(np.sum(derivation.seed * target))
    if here is None or not _close(here, recorded, derivation.equations.dtype):
        found = "nothing" if here is None else f"{here:.6g}"
        raise NotExplorable(f"it gives {found} where TensorFlow gave {recorded:.6g}")


def _close(known: float, found: float, dtype: str) -> bool:
    """Whether a program's value is the other one, as far as the dtype can tell."""
    epsilon = EPSILON.get(dtype, 2.0**-23)
    if not np.isfinite(found) and not abs(known) < 0.1 / epsilon**3:
        return True  # the dtype's range ends before float64's
    loose = max(1e-3, 64 * epsilon)
    return bool(np.isclose(found, known, rtol=loose, atol=loose, equal_nan=True))
