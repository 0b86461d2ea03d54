"""Whether the known paths give what the cell itself gives, elsewhere too.

NumPy reads memory unseen, and what left as a number may decide anything: so a cell that may run
again is compared. Where it differs, running it at many points is what there is to show.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from tapemagic.check import EPSILON
from tapemagic.deriving import Explained
from tapemagic.explorer.curve import at, moved
from tapemagic.explorer.paths import Paths
from tapemagic.explorer.payload import grid
from tapemagic.explorer.program import NotExplorable
from tapemagic.explorer.subject import Subject
from tapemagic.explorer.table import Table
from tapemagic.result import Result

POINTS = 41  # of a table
SECONDS = 2.0  # for a table by running the cell again and again
PROBES = 7  # along a source, where the cell is run again to compare
QUICK = 0.03  # seconds of a cell that is compared without a reason


class Rerun(Protocol):
    """Runs the cell again, elsewhere, in a copy of the namespace."""

    def result(self, values: Mapping[str, Any]) -> tuple[Result, list[Explained]]: ...

    def value(self, values: Mapping[str, Any], target: str) -> float: ...

    def slope(self, values: Mapping[str, Any], target: str) -> tuple[float, float]: ...


def trusted(paths: Paths, chosen: Subject, rerun: Rerun | None, effect: str) -> tuple[str, bool]:
    """Words for it, and whether the cell, run elsewhere, gives what the known paths give there.

    Without a suspicion a cell is compared only if it is quick.
    """
    where = _suspected(paths)
    if rerun is None:
        why = f", and the cell is not run again, for {effect}" if effect else ""
        return (f"The recorded path may not hold elsewhere ({where}{why})." if where else ""), True
    began = time.perf_counter()
    if chosen.question.seed is not None or not _agrees(paths, chosen, rerun, paths.point):
        return "", True  # it gives something else each time: nothing to compare with
    if not where and time.perf_counter() - began > QUICK:
        return "", True
    for place, slider in enumerate(paths.sliders[:2]):
        for x in grid(slider, PROBES):
            if not _agrees(paths, chosen, rerun, moved(paths.point, place, float(x))):
                detail = f" ({where})" if where else ""
                return f"The recorded path does not hold everywhere{detail}.", False
    return "", True


def as_recorded(paths: Paths, chosen: Subject) -> None:
    """Raises `NotExplorable` where the program does not give what was recorded: a formula may
    overflow where TensorFlow's op does not."""
    equations, here = chosen.derivation.equations, at([paths.pieces[0].program], paths.point)
    with np.errstate(all="ignore"):
        recorded = float(np.sum(chosen.derivation.seed * equations.values[equations.target]))
    if here is None or not _close(here[0], recorded, equations.dtype):
        found = "nothing" if here is None else f"{here[0]:.6g}"
        raise NotExplorable(f"it gives {found} where TensorFlow gave {recorded:.6g}")


def _close(known: float, found: float, dtype: str) -> bool:
    """Whether a program's value is the other one, as far as the dtype can tell."""
    epsilon = EPSILON.get(dtype, 2.0**-23)
    if not np.isfinite(found) and not abs(known) < 0.1 / epsilon**3:
        return True  # the dtype's range ends before float64's
    loose = max(1e-3, 64 * epsilon)
    return bool(np.isclose(found, known, rtol=loose, atol=loose, equal_nan=True))


def _suspected(paths: Paths) -> str:
    if not paths.unknown:
        return ""
    escape = paths.unknown[0]
    where = f"line {escape.line.number}" if escape.line is not None else "on the way"
    return f"{where}: a value leaves TensorFlow by {escape.method}, and may decide"


def _agrees(paths: Paths, chosen: Subject, rerun: Rerun, point: Sequence[float]) -> bool:
    known = at([one.program for one in paths.pieces], point)
    if known is None:
        return True
    try:
        found = rerun.value(paths.values(point), chosen.first.target)
    except Exception:  # noqa: BLE001 - the user's cell, at a point of ours
        return False
    return _close(known[0], found, chosen.derivation.equations.dtype)


def by_rerunning(paths: Paths, target: str, rerun: Rerun) -> Table:
    """The target and its slope from running the cell at each point: true whatever decides."""
    if len(paths.sliders) != 1:
        raise NotExplorable("a cell that decides by numbers is explored by one source only")
    x, until = grid(paths.sliders[0], POINTS), time.perf_counter() + SECONDS
    rows: list[tuple[float, float]] = []
    for point in x:
        try:
            rows.append(rerun.slope(paths.values([float(point)]), target))
        except Exception:  # noqa: BLE001 - the user's cell, at a point of ours
            rows.append((np.nan, np.nan))
        if time.perf_counter() > until:
            raise NotExplorable("the cell takes too long to be run at many points")
    y, slopes = np.array(rows).T
    return Table(x, y, (slopes,))
