"""How a result is explored: by the programs of its paths, by a table, or by the kernel."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from tapemagic.deriving import Explained
from tapemagic.explorer.anew import Anew, Rerun
from tapemagic.explorer.answers import Answers, At
from tapemagic.explorer.branches import decisions
from tapemagic.explorer.curve import run
from tapemagic.explorer.limits import branch_words, domain_words, finite
from tapemagic.explorer.paths import Paths
from tapemagic.explorer.program import NotExplorable
from tapemagic.explorer.replay import Replay
from tapemagic.explorer.sliders import Sliders, sliders, stops
from tapemagic.explorer.subject import Subject, subject
from tapemagic.explorer.table import POINTS, Table, tabulate
from tapemagic.explorer.trust import Trial, as_recorded
from tapemagic.explorer.view import View
from tapemagic.options import Options
from tapemagic.result import Result


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
    opening = _Opening(result, chosen, sliders(chosen, options.explore or ()), rerun, effect)
    try:
        if chosen.unwritten:
            raise NotExplorable(chosen.unwritten)
        paths = Paths(chosen, opening.sliders)
        as_recorded(chosen, paths.value(opening.sliders.point))
    except NotExplorable as reason:
        return opening.by_tensorflow(str(reason))
    return opening.by_paths(paths)


class _Opening:
    """Of one result: what there is to show it by."""

    def __init__(
        self, result: Result, chosen: Subject, shown: Sliders, rerun: Rerun | None, effect: str
    ) -> None:
        self._result, self._subject, self.sliders = result, chosen, shown
        self._rerun, self._effect = (None if effect else rerun), effect

    def by_paths(self, paths: Paths) -> View:
        """By a program that the page runs, one for each path through the cell."""
        if self._rerun is not None:
            paths.rerun = self._rerun.result
        paths.why = f"the cell is not run again, for {self._effect}" if self._effect else ""
        paths.sliders = self.sliders = finite(paths)
        paths.explore()
        trial = Trial(paths.value, self.sliders, self._subject, paths.unknown)
        word, holds = trial.verdict(self._rerun, self._effect)
        if not holds:
            return self._anew(word)
        said = [*branch_words(paths), word]
        if not paths.branches:
            paths.rerun = None  # and let go of the namespace as it was
        return self._view(said, paths=paths, table=self._beside(paths))

    def _beside(self, paths: Paths) -> Table | None:
        """A check on the program of a single scalar source, for which values and slopes will do;
        the recorded ops are the cell's only where the path holds."""
        if len(self.sliders) > 1:
            return None
        try:
            points = stops(self.sliders[0], POINTS)
            points = points[run(paths.pieces[0].program, [points])[2]]
            return tabulate(Replay(self._subject.trace, self._subject.question), points, 1)
        except Exception:  # noqa: BLE001 - the program does without
            return None

    def by_tensorflow(self, reason: str) -> View:
        """By the recorded ops, run again: beforehand for one source, else in the kernel."""
        said = f"No formula to follow: {reason}."
        chosen = self._subject
        decided, unknown = decisions(chosen.trace, chosen.question)
        if decided and self._rerun is not None:
            return self._anew(said)
        try:
            replay = Replay(chosen.trace, chosen.question)
            replay.confirm()

            def known(point: Sequence[float]) -> float | None:
                with suppress(NotExplorable):
                    return replay.at(point)[0]
                return None

            trial = Trial(known, self.sliders, chosen, unknown)
            word, holds = trial.verdict(self._rerun, self._effect)
            if not holds:
                return self._anew(said, word)
            if decided:
                lines = [one.line.number for one in decided if one.line is not None]
                where = f" (line {lines[0]})" if lines else ""
                word = f"The cell decides by values{where}: the path may not hold elsewhere."
            if len(self.sliders) > 1 or self.sliders[0].symbol.index:
                told = "TensorFlow computes each point in the kernel."
                at = partial(replay.at, order=self._order)
                return self._by_kernel(at, said, told, word)
            table = tabulate(replay, stops(self.sliders[0], POINTS), chosen.order)
        except NotExplorable as other:
            if self._rerun is not None:
                return self._anew(said)
            raise NotExplorable("; ".join(dict.fromkeys([reason, str(other)]))) from other
        told = "The curve shows TensorFlow's own values at single points."
        return self._view([said, told, word], table=table)

    def _anew(self, *said: str) -> View:
        """By running the cell anew for each point; raises `NotExplorable` where it then gives
        something else."""
        assert self._rerun is not None
        anew = Anew(self._rerun, self.sliders, self._subject.first.target, self._order)
        as_recorded(self._subject, anew.at(self.sliders.point)[0])
        table = anew.table() if len(self.sliders) == 1 else None
        if table is None:
            return self._by_kernel(anew.at, *said, "The kernel runs the cell again for each point.")
        word = "The curve shows the cell run at single points."
        return self._view([*said, word], table=table)

    @property
    def _order(self) -> int:
        """Up to which the derivatives are computed: of several entries the gradient alone."""
        return self._subject.order if len(self.sliders) == 1 else 1

    def _by_kernel(self, at: At, *said: str) -> View:
        """By the kernel, which is asked for each point."""
        self._subject = replace(self._subject, order=self._order)
        return self._view(said, answers=Answers(at, self.sliders))

    def _view(
        self,
        said: Sequence[str],
        paths: Paths | None = None,
        table: Table | None = None,
        answers: Answers | None = None,
    ) -> View:
        words = tuple(word for word in said if word)
        found = View(self._result, self._subject.light, self.sliders, words, paths, table, answers)
        found.words = (*words, *domain_words(self.sliders, found.curves))
        return found
