"""What stands under a cell with `--explore`: live page, static picture, the kernel's end."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from tapemagic import exposition, html, latex
from tapemagic.check import EPSILON
from tapemagic.deriving import Explained
from tapemagic.document import Document, Note, Section
from tapemagic.explorer import fragment, picture, printed
from tapemagic.explorer.curve import Curve, along, at, moved, nearest, of_table, run
from tapemagic.explorer.paths import Paths
from tapemagic.explorer.payload import Slider, grid, payload, sliders
from tapemagic.explorer.picture import Panel
from tapemagic.explorer.program import NotExplorable, Program
from tapemagic.explorer.ranges import Range
from tapemagic.explorer.slots import fixed
from tapemagic.explorer.subject import Subject, subject
from tapemagic.explorer.table import Table, tabulate
from tapemagic.options import Options
from tapemagic.result import Result

POINTS = 41  # of a table
SECONDS = 2.0  # for a table by running the cell again and again
PROBES = 7  # along a source, where the cell is run again to compare
QUICK = 0.03  # seconds of a cell that is compared without a reason
PANELS = 4  # of the static picture


class Rerun(Protocol):
    """Runs the cell again, elsewhere, in a copy of the namespace."""

    def result(self, values: Mapping[str, Any]) -> tuple[Result, list[Explained]]: ...

    def value(self, values: Mapping[str, Any], target: str) -> float: ...

    def slope(self, values: Mapping[str, Any], target: str) -> tuple[float, float]: ...


@dataclass
class View:
    """An explorer: its sliders, the paths that it knows, the table from TensorFlow."""

    result: Result
    subject: Subject
    sliders: list[Slider]
    paths: Paths | None
    table: Table | None
    limits: str
    identity: str = field(default_factory=lambda: f"tapemagic-{uuid.uuid4().hex[:12]}")

    @property
    def programs(self) -> list[Program]:
        """The programs of the known paths, the recorded one first."""
        return [one.program for one in self.paths.pieces] if self.paths else []

    @cached_property
    def payload(self) -> dict[str, Any]:
        """What the page gets."""
        pieces = self.paths.pieces if self.paths else []
        told = "" if pieces else self._recorded()
        return payload(
            self.identity, self.subject, self.sliders, pieces, self.table, self.limits, told
        )

    def at(self, point: Sequence[float]) -> tuple[float, list[float]] | None:
        """Value and first derivatives; None where no known path holds."""
        if self.paths is not None:
            return at(self.programs, point)
        return nearest(self.table, point[0]) if self.table is not None else None

    # -- the kernel's end ----------------------------------------------------------------------

    opener: Callable[[View], Any] | None = None
    _widget: Any = None

    @property
    def widget(self) -> Any:
        """The widget with the traitlets `point`, `value` and `derivative`."""
        if self._widget is None and self.opener is not None:
            self._widget = self.opener(self)
        return self._widget

    # -- shown ---------------------------------------------------------------------------------

    def html(self) -> str:
        """The whole output: the explorer, then what of the result it does not explore."""
        notes = tuple(Note(text, "warning") for text in self._words)
        static = html.document(Document((Section(notes),)), "") if notes else ""
        static += self.paths.pieces[0].html if self.paths else self._recorded()
        live = fragment.live(self.identity, self.payload, self.svg, self._described, static)
        rest = self._rest()
        return f"{live}\n{html.document(rest, '')}" if rest is not None else live

    def latex(self) -> str:
        """The picture for print, and the derivation."""
        return f"{printed.picture(self._panels)}\n\n{self.result.latex}"

    def _recorded(self) -> str:
        """The derivation with no number that moves."""
        told = exposition.whole(Result(self.subject.derivatives, lambda _: Document(())))
        return html.document(fixed(told), latex.document(told))

    @property
    def _words(self) -> list[str]:
        return [*(s.range.word for s in self.sliders if s.range.word), *filter(None, [self.limits])]

    def _rest(self) -> Document | None:
        if any(derivative not in self.subject.derivatives for derivative in self.result.values()):
            return self.result.document
        notes = tuple(Note(text) for text in self.result.notes)
        return Document((Section(notes),)) if notes else None

    @cached_property
    def _panels(self) -> list[Panel]:
        point = [slider.value for slider in self.sliders]
        here = self.at(point)
        if here is None:
            return []
        target = self.payload["target"]["text"]
        return [
            Panel(
                self._curve(place, point),
                slider.text,
                target,
                (slider.value, here[0]),
                here[1][place] if place < len(here[1]) else np.nan,
                slider.range.scale == "log",
            )
            for place, slider in enumerate(self.sliders[:PANELS])
        ]

    def _curve(self, place: int, point: Sequence[float]) -> Curve:
        if self.paths is None and self.table is not None:
            return of_table(self.table)
        return along(self.programs, point, place, grid(self.sliders[place]))

    @cached_property
    def svg(self) -> str:
        """The static picture."""
        return picture.svg(self._panels)

    @property
    def _described(self) -> str:
        return ". ".join(panel.words for panel in self._panels)


def view(
    result: Result,
    explained: Sequence[Explained],
    options: Options,
    rerun: Rerun | None = None,
    effect: str = "",
) -> View:
    """The explorer of a result; raises `NotExplorable` where there is nothing to explore.

    `rerun` runs the cell elsewhere; it is not used where the cell has an `effect` besides
    computing.
    """
    chosen = subject(result, explained, options.order)
    if chosen.derivation.lead:
        raise NotExplorable("sliders follow a gradient: leave out --jacobian")
    shown = sliders(chosen, options.explore or ())
    paths: Paths | None = None
    said: list[str] = []
    try:
        paths = Paths(chosen, shown, options.steps)
        _as_recorded(paths, chosen)
    except NotExplorable as reason:
        paths = None
        said.append(f"no formula to follow: {reason}")
    if paths is not None:
        if rerun is not None and not effect:
            paths.rerun = rerun.result
        paths.why = f"the cell is not run again, for {effect}" if effect else ""
        shown = _finite(paths)
        paths.sliders = shown
        paths.explore()
        said += _branch_words(paths)
        word, trusted = _trusted(paths, chosen, rerun if not effect else None, effect)
        said += [word] if word else []
        if not trusted and rerun is not None:
            said.append("The curve shows the cell run at single points.")
            again = _by_rerunning(paths, chosen.first.target, rerun)
            return View(result, replace(chosen, order=1), shown, None, again, " ".join(said))
        if not paths.branches:
            paths.rerun = None  # and let go of the namespace as it was
        said += _domain_words(paths)
    table, word = _table(chosen, shown, paths)
    if paths is None and table is None:
        raise NotExplorable("; ".join([*said, word]))
    if paths is None:
        said.append("The curve shows TensorFlow's own values at single points.")
    return View(result, chosen, shown, paths, table, " ".join(said))


def _table(
    chosen: Subject, shown: Sequence[Slider], paths: Paths | None
) -> tuple[Table | None, str]:
    if len(shown) != 1:
        return None, "a table is for one source"
    points = np.unique(np.append(grid(shown[0], POINTS), shown[0].value))
    if paths is not None:  # the recorded ops are the cell's only where the path holds
        points = points[run(paths.pieces[0].program, [points])[2]]
    # Beside a program it is a check, for which values and slopes will do.
    order = chosen.order if paths is None else 1
    try:
        return tabulate(chosen.trace, chosen.question, points, order), ""
    except NotExplorable as reason:
        return None, str(reason)
    except Exception as error:  # noqa: BLE001 - the program does without
        return None, f"TensorFlow could not run the ops again ({type(error).__name__})"


# -- where the picture ends --------------------------------------------------------------------


def _finite(paths: Paths) -> list[Slider]:
    """A range that nobody asked for ends where the target does: before log's 0."""
    found = []
    for place, slider in enumerate(paths.sliders):
        x = grid(slider)
        curve = along([one.program for one in paths.pieces], paths.point, place, x)
        bad = ~np.isfinite(curve.y) & (curve.path >= 0)
        if bad.any() and not slider.range.given and not bad.all():
            here = int(np.argmin(np.abs(x - slider.value)))
            slider = replace(slider, range=_cut(slider.range, x, bad, here))
        found.append(slider)
    return found


def _cut(given: Range, x: Any, bad: Any, here: int) -> Range:
    below = [i for i in range(here) if bad[i]]
    above = [i for i in range(here + 1, len(x)) if bad[i]]
    low = _short(x[max(below) + 1]) if below else given.low
    high = _short(x[min(above) - 1]) if above else given.high
    return replace(given, low=low, high=high) if low < high else given


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _domain_words(paths: Paths) -> list[str]:
    programs, words = [one.program for one in paths.pieces], []
    for place, slider in enumerate(paths.sliders):
        curve = along(programs, paths.point, place, grid(slider))
        bad = curve.x[~np.isfinite(curve.y) & (curve.path >= 0)]
        if bad.size:
            words.append(
                f"The target is nan or infinite at {bad.size} of {curve.x.size} points of this "
                f"range, the first at {slider.text} = {bad[0]:.4g}."
            )
    return words


def _branch_words(paths: Paths) -> list[str]:
    if not paths.branches:
        return []
    programs, words = [one.program for one in paths.pieces], []
    for place, slider in enumerate(paths.sliders):
        free = along(programs, paths.point, place, grid(slider)).path < 0
        if free.any():
            why = f": {paths.why}" if paths.why else ""
            words.append(
                f"The recorded path holds for {paths.pieces[0].condition}; beyond it the curve is "
                f"not shown{why}."
            )
            break
    return words


# -- decisions that nobody can read -------------------------------------------------------------


def _trusted(paths: Paths, chosen: Subject, rerun: Rerun | None, effect: str) -> tuple[str, bool]:
    """Whether the cell, run elsewhere, gives what the known paths give there; and words for it.

    NumPy reads memory unseen, and compiled functions decide unseen: so every cell that may run
    again is compared, if it is quick.
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


def _as_recorded(paths: Paths, chosen: Subject) -> None:
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


def _by_rerunning(paths: Paths, target: str, rerun: Rerun) -> Table:
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
