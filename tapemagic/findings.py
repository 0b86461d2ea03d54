"""How a finding is put together: the line, and a fix made of the lines of its file."""

from __future__ import annotations

from collections.abc import Callable

from tapemagic.diagnosis import Diagnosis
from tapemagic.rewriting import Fix, Source
from tapemagic.trace import Array, Line


def repaired(line: Line | None, make: Callable[[Source, int], Fix | None]) -> Fix | None:
    """What `make` gives for the file and the number of a line, if it is known."""
    if line is None or not line.file:
        return None
    source = Source(line.file)
    fix = make(source, line.number)
    return fix if fix is not None and source.still_parses(fix) else None


def finding(cause: str, line: Line | None, message: str, fix: Fix | None) -> Diagnosis:
    """A diagnosis at a line."""
    where = line or Line(0)
    if fix is None:
        return Diagnosis(cause, where.number, where.text, message, file=where.file)
    return Diagnosis(
        cause, where.number, where.text, message, fix.code, fix.first, fix.last, where.file
    )


def is_float(value: Array | None) -> bool:
    """Whether it is a known array of real floating numbers."""
    return value is not None and value.dtype.kind == "f"
