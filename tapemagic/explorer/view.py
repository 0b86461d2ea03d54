"""What stands under a cell with `--explore`: live page, static picture, the kernel's end."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from tapemagic import exposition, html, latex, text
from tapemagic.document import Document, Note, Section
from tapemagic.explorer import fragment, picture, printed
from tapemagic.explorer.answers import Answers
from tapemagic.explorer.curve import Curve, along, at, nearest, of_table
from tapemagic.explorer.paths import Paths
from tapemagic.explorer.payload import payload, target_text
from tapemagic.explorer.picture import Panel
from tapemagic.explorer.program import Program
from tapemagic.explorer.sliders import Sliders, grid
from tapemagic.explorer.slots import fixed
from tapemagic.explorer.subject import Subject
from tapemagic.explorer.table import Table
from tapemagic.result import Result

PANELS = 4  # of the static picture
_ELSEWHERE = (
    "The sliders are in a notebook's page: run the cell in JupyterLab, or open what "
    "jupyter nbconvert --to html makes of it."
)


@dataclass
class View:
    """An explorer: its sliders, and the paths that it knows, the table from TensorFlow, or the
    kernel's answers; `words` say what it cannot show."""

    result: Result
    subject: Subject
    sliders: Sliders
    words: tuple[str, ...] = ()
    paths: Paths | None = None
    table: Table | None = None
    answers: Answers | None = None
    identity: str = field(default_factory=lambda: f"tapemagic-{uuid.uuid4().hex[:12]}")

    @property
    def programs(self) -> list[Program]:
        """The programs of the known paths, the recorded one first."""
        return self.paths.programs if self.paths is not None else []

    @property
    def limits(self) -> str:
        """The words, as the page has them."""
        return " ".join(self.words)

    @property
    def payload(self) -> dict[str, Any]:
        """What the page gets, with all paths that are known by now."""
        pieces = self.paths.pieces if self.paths else []
        told = "" if pieces else self._recorded()
        kernel = None if self.answers is None else self.answers.first.data()
        return payload(
            self.identity, self.subject, self.sliders, pieces, self.table, kernel, self.limits, told
        )

    def at(self, point: Sequence[float]) -> tuple[float, list[float]] | None:
        """Value and slopes; None where no known path holds, or nothing can be computed."""
        if self.paths is not None:
            return at(self.programs, point)
        if self.answers is not None:
            found = self.answers.at(point)
            return None if found.word else (found.value, list(found.slopes))
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
        ranges = [slider.range.word for slider in self.sliders if slider.range.word]
        notes = tuple(Note(text, "warning") for text in filter(None, [*ranges, self.limits]))
        static = html.document(Document((Section(notes),)), "") if notes else ""
        static += self.paths.pieces[0].html if self.paths else self._recorded()
        page = self.payload
        first = page["pieces"][0] if page["pieces"] else page
        first["derivation"] = None  # the page takes the printed one
        live = fragment.live(page, self.svg, self._described, static)
        rest = self._rest()
        return f"{live}\n{html.document(rest, '')}" if rest is not None else live

    def text(self) -> str:
        """The derivation, and where the rest is."""
        return text.document(
            Document((*self.result.document.sections, Section((Note(_ELSEWHERE),))))
        )

    def latex(self) -> str:
        """The picture for print, and the derivation."""
        return f"{printed.picture(self._panels)}\n\n{self.result.latex}"

    def _recorded(self) -> str:
        """The derivation with no number that moves."""
        shown = Result(self.subject.derivatives, lambda _: Document(()))
        told = exposition.whole(shown)
        return html.document(fixed(told), latex.document(told))

    def _rest(self) -> Document | None:
        if any(derivative not in self.subject.derivatives for derivative in self.result.values()):
            return self.result.document
        notes = tuple(Note(text) for text in self.result.notes)
        return Document((Section(notes),)) if notes else None

    @cached_property
    def _panels(self) -> list[Panel]:
        point = self.sliders.point
        here = self.at(point)
        if here is None:
            return []
        target = target_text(self.subject)
        return [
            Panel(
                curve,
                slider.text,
                target,
                (slider.value, here[0]),
                here[1][place] if place < len(here[1]) else np.nan,
                slider.range.scale == "log",
            )
            for place, (slider, curve) in enumerate(zip(self.sliders.each[:PANELS], self.curves))
        ]

    @cached_property
    def curves(self) -> list[Curve]:
        """Along each slider, through the recorded point."""
        if self.answers is not None:
            return [
                Curve(x, columns[0], np.zeros(x.shape, dtype=int))
                for x, columns in self.answers.first.curves
            ]
        if self.paths is None and self.table is not None:
            return [of_table(self.table)]
        point = self.sliders.point
        return [along(self.programs, point, i, grid(one)) for i, one in enumerate(self.sliders)]

    @cached_property
    def svg(self) -> str:
        """The static picture."""
        return picture.svg(self._panels)

    @property
    def _described(self) -> str:
        return ". ".join(panel.words for panel in self._panels)
