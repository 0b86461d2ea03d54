"""How a finding is put together: the line, and a fix made of the lines of its file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from tapemagic.diagnosis import Diagnosis
from tapemagic.drafting import Step, in_turn
from tapemagic.rewriting import Fix, Source
from tapemagic.trace import Array, Line


@dataclass(frozen=True)
class Repair:
    """A change to make at a line: `make` is given the file and the line's number, and those of
    the lines `others` of the same file."""

    line: Line | None
    make: Callable[..., Fix | None]
    others: tuple[int, ...] = ()
    named: tuple[tuple[str, object], ...] = ()  # further arguments


@dataclass(frozen=True)
class Told:
    """One finding before its fix is put together; without `counts` it only explains another."""

    cause: str
    line: Line | None
    message: str
    repairs: tuple[Repair, ...] = ()
    counts: bool = True


def found_with(told: Sequence[Told]) -> list[Diagnosis]:
    """The findings with one fix for all of them, at the first: half a fix misleads."""
    repairs = [repair for one in told if one.counts for repair in one.repairs]
    whole = all(one.repairs for one in told if one.counts)
    fix = together(repairs) if whole else None
    found = []
    for one in told:
        line = one.line
        if fix is not None and repairs[0].line is not None and line is not None:
            # A fix belongs to the file of its line: a source is made here, watched in a function.
            line = line if line.file == repairs[0].line.file else repairs[0].line
        found.append(finding(one.cause, line, one.message, fix))
        fix = None
    return found


def repaired(line: Line | None, make: Callable[[Source, int], Fix | None]) -> Fix | None:
    """What `make` gives for the file and the number of a line, if it is known."""
    return together([Repair(line, make)])


def together(repairs: Sequence[Repair]) -> Fix | None:
    """All changes as one fix; None if one of them cannot be made: half a fix misleads."""
    files = {r.line.file for r in repairs if r.line is not None}
    if len(files) != 1 or "" in files or any(r.line is None for r in repairs):
        return None
    steps = [
        Step((r.line.number, *r.others), partial(r.make, **dict(r.named)))
        for r in dict.fromkeys(repairs)
        if r.line is not None
    ]
    return in_turn(files.pop(), steps)


def finding(cause: str, line: Line | None, message: str, fix: Fix | None) -> Diagnosis:
    """A diagnosis at a line."""
    where = line or Line(0)
    file = where.file
    if fix is None:
        return Diagnosis(cause, where.number, where.text, message, file=file)
    return Diagnosis(cause, where.number, where.text, message, fix.code, fix.first, fix.last, file)


def is_float(value: Array | None) -> bool:
    """Whether it is a known array of real floating numbers."""
    return value is not None and value.dtype.kind == "f"
