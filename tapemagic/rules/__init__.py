"""The rules: one row for each of TensorFlow's op types that tapemagic can derive."""

from __future__ import annotations

from tapemagic.rules import elementwise, indexing, linear, reductions, softmax, structural
from tapemagic.rules.rule import Array, NotSymbolic, Row, as_formulas

__all__ = ["ROWS", "Array", "NotSymbolic", "Row", "as_formulas", "row"]

_TABLES = (elementwise, reductions, softmax, linear, structural, indexing)
ROWS: dict[str, Row] = {row.kind: row for table in _TABLES for row in table.ROWS}


def row(kind: str) -> Row | None:
    """The rule of that op type, or None."""
    return ROWS.get(kind)
