"""What of a result is explored: the first derivative that can be, and those of higher order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tapemagic.derivation import Derivation
from tapemagic.deriving import Explained
from tapemagic.equations import Equations
from tapemagic.explorer.entries import unwritten, written_out
from tapemagic.explorer.program import NotExplorable
from tapemagic.question import Question
from tapemagic.result import Derivative, Result
from tapemagic.trace import Trace


@dataclass(frozen=True)
class Subject:
    """The derivatives of one target that share their equations, and where these came from.

    `unwritten` is why there are no equations, if so.
    """

    derivatives: tuple[Derivative, ...]
    derivation: Derivation
    trace: Trace
    question: Question
    order: int
    unwritten: str = ""

    @property
    def light(self) -> Subject:
        """The same without the trace, which holds on to all that the cell computed."""
        return replace(self, trace=Trace((), {}))

    @property
    def first(self) -> Derivative:
        """The derivative of order 1."""
        return self.derivatives[0]


def subject(result: Result, explained: Sequence[Explained], order: int) -> Subject:
    """The first derivative of order 1 with equations, and those that go on from it; without
    equations, the first that is a gradient.

    Raises `NotExplorable` where there is none.
    """
    found = {id(one.derivative.check): one for one in explained}  # a diagnosis leaves the check
    reasons: list[str] = []
    asked = [
        (derivative, found[id(derivative.check)])
        for derivative in result.values()
        if derivative.order == 1 and derivative.inner is None and id(derivative.check) in found
    ]
    for _, one in asked:
        try:
            derivation = written_out(one)
        except NotExplorable as reason:
            reasons.append(str(reason))
            continue
        same = tuple(
            other
            for other in result.values()
            if other.inner is None
            and _goes_on(one, found.get(id(other.check)), derivation.equations)
        )
        orders = [len(d.inner[1]) + 1 if d.inner else d.order for d in result.values()]
        return Subject(same, derivation, one.trace, one.question, max(order, *orders))
    why = "; ".join(dict.fromkeys(reasons))
    for derivative, one in asked:
        if one.question.kind == "gradient" and derivative.value is not None:
            same = tuple(other for other, its in asked if _asked(its) == _asked(one))
            return Subject(same, unwritten(one), one.trace, one.question, order, why)
    reasons += [reason for derivative in result.values() for reason in derivative.reasons]
    raise NotExplorable("; ".join(dict.fromkeys(reasons)) or "there is no derivative to follow")


def _goes_on(first: Explained, other: Explained | None, mine: Equations) -> bool:
    """Whether another derivative has the same equations."""
    if other is None:
        return False
    if other.trace is first.trace and _asked(other) == _asked(first):
        return True
    try:
        its = written_out(other).equations
    except NotExplorable:
        return False
    if mine.target != its.target or len(mine.equations) != len(its.equations):
        return False
    return all(
        a.name == b.name and a.formulas.shape == b.formulas.shape
        for a, b in zip(mine.equations, its.equations)
    )


def _asked(one: Explained) -> tuple[object, ...]:
    return one.question.target, one.question.text, one.question.sources
