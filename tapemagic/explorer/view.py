"""What stands under a cell with `--explore`: live page, static picture, the kernel's end."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from tapemagic import exposition, html, latex
from tapemagic.deriving import Explained
from tapemagic.document import Document, Note, Section
from tapemagic.explorer import fragment, picture, printed
from tapemagic.explorer.answers import Answers
from tapemagic.explorer.branches import decisions
from tapemagic.explorer.curve import Curve, along, at, nearest, of_table, run
from tapemagic.explorer.limits import branch_words, domain_words, finite
from tapemagic.explorer.paths import Paths
from tapemagic.explorer.payload import Slider, grid, payload, sliders, target_text
from tapemagic.explorer.picture import Panel
from tapemagic.explorer.program import NotExplorable, Program
from tapemagic.explorer.slots import fixed
from tapemagic.explorer.subject import Subject, subject
from tapemagic.explorer.table import Table, tabulate
from tapemagic.explorer.trust import POINTS, Rerun, as_recorded, by_rerunning, trusted
from tapemagic.options import Options
from tapemagic.result import Result

PANELS = 4  # of the static picture


@dataclass
class View:
    """An explorer: its sliders, the paths that it knows, the table from TensorFlow."""

    result: Result
    subject: Subject
    sliders: list[Slider]
    paths: Paths | None
    table: Table | None
    limits: str
    answers: Answers | None = None
    identity: str = field(default_factory=lambda: f"tapemagic-{uuid.uuid4().hex[:12]}")

    @property
    def programs(self) -> list[Program]:
        """The programs of the known paths, the recorded one first."""
        return [one.program for one in self.paths.pieces] if self.paths else []

    @property
    def payload(self) -> dict[str, Any]:
        """What the page gets, with all paths that are known by now."""
        pieces = self.paths.pieces if self.paths else []
        told = "" if pieces else self._recorded()
        kernel = [one.data() for one in self.answers.first] if self.answers is not None else []
        return payload(
            self.identity, self.subject, self.sliders, pieces, self.table, kernel, self.limits, told
        )

    def at(self, point: Sequence[float]) -> tuple[float, list[float]] | None:
        """Value and first derivatives; None where no known path holds."""
        if self.paths is not None:
            return at(self.programs, point)
        if self.answers is not None:
            return self.answers.at(point)
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
        live = fragment.live(self.payload, self.svg, self._described, static)
        rest = self._rest()
        return f"{live}\n{html.document(rest, '')}" if rest is not None else live

    def latex(self) -> str:
        """The picture for print, and the derivation."""
        return f"{printed.picture(self._panels)}\n\n{self.result.latex}"

    def _recorded(self) -> str:
        """The derivation with no number that moves."""
        shown = Result(self.subject.derivatives, lambda _: Document(()))
        told = exposition.whole(shown)
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
        target = target_text(self.subject)
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
        if self.answers is not None:
            return of_table(self.answers.first[place].curve)
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
    undecided: list[str] = []
    try:
        if chosen.unwritten:
            raise NotExplorable(chosen.unwritten)
        paths = Paths(chosen, shown)
        as_recorded(paths, chosen)
    except NotExplorable as reason:
        paths = None
        said.append(f"no formula to follow: {reason}.")
        undecided = _undecided(chosen)
    if paths is not None:
        if rerun is not None and not effect:
            paths.rerun = rerun.result
        paths.why = f"the cell is not run again, for {effect}" if effect else ""
        shown = finite(paths)
        paths.sliders = shown
        paths.explore()
        said += branch_words(paths)
        word, holds = trusted(paths, chosen, rerun if not effect else None, effect)
        said += [word] if word else []
        if not holds and rerun is not None:
            said.append("The curve shows the cell run at single points.")
            again = by_rerunning(paths, chosen.first.target, rerun)
            return View(result, replace(chosen.light, order=1), shown, None, again, " ".join(said))
        if not paths.branches:
            paths.rerun = None  # and let go of the namespace as it was
        said += domain_words(paths)
    table, word = _table(chosen, shown, paths)
    if paths is not None or table is not None:
        if paths is None:
            said.append("The curve shows TensorFlow's own values at single points.")
        return View(result, chosen.light, shown, paths, table, " ".join([*said, *undecided]))
    try:
        answers = Answers(chosen, shown)
    except NotExplorable as reason:
        raise NotExplorable("; ".join(dict.fromkeys([*said, word, str(reason)]))) from reason
    said.append("TensorFlow computes each point in the kernel.")
    light = replace(chosen.light, order=1)
    return View(result, light, shown, None, None, " ".join([*said, *undecided]), answers)


def _undecided(chosen: Subject) -> list[str]:
    """A word where Python decided by values: without formulas nobody knows where it holds."""
    decided, unknown = decisions(chosen.trace, chosen.question)
    if not decided and not unknown:
        return []
    at = [one.line for one in decided] + [one.line for one in unknown]
    lines = [line.number for line in at if line is not None]
    where = f" (line {lines[0]})" if lines else ""
    return [f"The cell decides by values{where}: the recorded path may not hold elsewhere."]


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
