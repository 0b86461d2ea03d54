"""What of a result is explored: the first derivative that can be, and those of higher order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tapemagic.derivation import Derivation
from tapemagic.deriving import Explained
from tapemagic.explorer.program import NotExplorable
from tapemagic.question import Question
from tapemagic.result import Derivative, Result
from tapemagic.trace import Trace


@dataclass(frozen=True)
class Subject:
    """The derivatives of one target that share their equations, and where these came from."""

    derivatives: tuple[Derivative, ...]
    derivation: Derivation
    trace: Trace
    question: Question
    order: int

    @property
    def light(self) -> Subject:
        """The same without the trace, which holds on to all that the cell computed."""
        return replace(self, trace=Trace((), {}))

    @property
    def first(self) -> Derivative:
        """The derivative of order 1."""
        return self.derivatives[0]


def subject(result: Result, explained: Sequence[Explained], order: int) -> Subject:
    """The first derivative of order 1 with equations, and those that go on from it.

    Raises `NotExplorable` where there is none.
    """
    known = {id(one.derivation): one for one in explained if one.derivation is not None}
    for derivative in result.values():
        derivation = derivative.derivation
        if derivation is None or derivative.order > 1 or derivative.inner is not None:
            continue
        one = known.get(id(derivation))
        if one is not None:
            same = tuple(d for d in result.values() if _goes_on(d, derivative))
            orders = [len(d.inner[1]) + 1 if d.inner else d.order for d in result.values()]
            return Subject(same, derivation, one.trace, one.question, max(order, *orders))
    reasons = [reason for derivative in result.values() for reason in derivative.reasons]
    raise NotExplorable("; ".join(dict.fromkeys(reasons)) or "there is no derivative to follow")


def _goes_on(other: Derivative, first: Derivative) -> bool:
    """Whether the equations of both are the same."""
    if other.derivation is None or first.derivation is None or other.inner is not None:
        return False
    mine, its = first.derivation.equations, other.derivation.equations
    if mine.target != its.target or len(mine.equations) != len(its.equations):
        return False
    return all(
        a.name == b.name and a.formulas.shape == b.formulas.shape
        for a, b in zip(mine.equations, its.equations)
    )
