"""Where lines break: at relations first, then at + and · inside a side."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from tapemagic.document import Statement
from tapemagic.printing import Printer, function_row
from tapemagic.spelling import Spelling

T = TypeVar("T")


@dataclass(frozen=True)
class Line(Generic[T]):
    """A line of a statement; only the first has a left side, `deeper` ones go on inside one."""

    left: T | str
    right: tuple[T, ...]
    deeper: bool = False


def broken(
    statement: Statement, printer: Printer[T], measure: Printer[int], width: int
) -> list[Line[T]]:
    """The lines of `statement`, each at most about `width` columns where that can be had."""
    first, *others = statement.sides
    left = printer.show(first)
    room = max(width - measure.show(first), width // 3)
    lines: list[tuple[list[T], bool]] = []
    used = room + 1
    for relation, side in zip(statement.relations, others):
        sign, sign_width = printer.operator(relation), measure.operator(relation)
        pieces = list(zip(printer.chunks(side), measure.chunks(side)))
        if used + sign_width + sum(size for _, size in pieces) > room:
            lines.append(([], False))
            used = 0
        lines[-1][0].append(sign)
        used += sign_width
        for count, (piece, size) in enumerate(pieces):
            if count and used + size > room:
                lines.append(([], True))
                used = 4
            lines[-1][0].append(piece)
            used += size
    if not lines:
        return [Line(left, ())]
    return [Line("" if i else left, tuple(row), deep) for i, (row, deep) in enumerate(lines)]


def sentences(text: str, width: int) -> list[str]:
    """Words in lines of at most `width` columns."""
    return [
        line
        for paragraph in text.splitlines()
        for line in textwrap.wrap(paragraph, width, break_on_hyphens=False) or []
    ]


class Width(Printer[int]):
    """How many columns a formula takes when fractions and matrices are set in two dimensions."""

    def row(self, parts: Sequence[int]) -> int:
        return sum(parts)

    def digits(self, text: str) -> int:
        return len(text)

    def spelled(self, spelling: Spelling) -> int:
        small = sum(len(piece.text) + 1 for piece in spelling.below) + len(spelling.above)
        return len(spelling.core.text) + (2 * small + 2) // 3

    def constant(self, text: str) -> int:
        return 3 if text == "nan" else 1

    def operator(self, sign: str) -> int:
        return 3

    def prefix(self, sign: str) -> int:
        return 1

    def gap(self) -> int:
        return 0

    def comma(self) -> int:
        return 2

    def function(self, name: str) -> int:
        return len(function_row(name, "text") or name)

    def applied(self, function: int, argument: int) -> int:
        return function + argument

    def fraction(self, above: int, below: int) -> int:
        return max(above, below)

    def power(self, base: int, exponent: int) -> int:
        return base + (2 * exponent + 2) // 3

    def root(self, body: int) -> int:
        return body + 1

    def overlined(self, body: int) -> int:
        return body

    def transposed(self, body: int) -> int:
        return body + 1

    def subscripted(self, body: int, below: int) -> int:
        return body + (2 * below + 2) // 3

    def underbraced(self, body: int, below: int) -> int:
        return max(body, (2 * below + 2) // 3)

    def summation(self, below: int) -> int:
        return max(2, (2 * below + 2) // 3)

    def fenced(self, body: int, left: str = "(", right: str = ")") -> int:
        return body + 2

    def at_equation(self, body: int, number: int) -> int:
        return body + 3

    def matrix(self, rows: Sequence[Sequence[int]]) -> int:
        columns = max((len(row) for row in rows), default=0)
        widest = (max((row[j] for row in rows if j < len(row)), default=0) for j in range(columns))
        return sum(widest) + 2 * columns + 2

    def cases(self, condition: int, yes: int, no: int) -> int:
        return max(yes + condition + 4, no + 10) + 2

    def ellipsis(self, direction: str = "h") -> int:
        return 2

    def words(self, text: str) -> int:
        return len(text)

    def dee(self, partial: bool, order: int) -> int:
        return 1 if order == 1 else 2
