"""Derivations for a terminal: Unicode, matrices over several lines."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from tapemagic import document as d
from tapemagic.formula import Formula
from tapemagic.layout import Width, broken, sentences
from tapemagic.printing import Printer, function_row
from tapemagic.spelling import Piece, Spelling

_SUPERSCRIPTS = dict(zip("0123456789+−=()nixykmtT", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱˣʸᵏᵐᵗᵀ"))
_SUBSCRIPTS = dict(zip("0123456789()", "₀₁₂₃₄₅₆₇₈₉₍₎")) | {",": "‚"}
_LETTERS_BELOW = {**_SUBSCRIPTS, **dict(zip("aehijklmnoprstuvx", "ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ"))}
_ONE_SIGN = re.compile(f"[0-9]+|[^\\W0-9][{''.join(_LETTERS_BELOW.values())}]*")  # xw is a product
_CONSTANTS = {"pi": "π", "inf": "∞", "reals": "ℝ", "ones": "𝟏", "identity": "I", "transpose": "T"}
_DOTS = {"h": "…", "v": "⋮", "d": "⋱", "l": "…"}
_TALL = {  # a bracket's top, middle and bottom
    "(": "⎛⎜⎝", ")": "⎞⎟⎠", "[": "⎡⎢⎣", "]": "⎤⎥⎦", "|": "│││", "⌊": "⎢⎢⎣", "⌋": "⎥⎥⎦",
    "⌈": "⎡⎢⎢", "⌉": "⎤⎥⎥", "‖": "‖‖‖",
}  # fmt: skip


def columns(text: str) -> int:
    """How many columns of a terminal `text` fills."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.category(c) in ("Mn", "Me", "Cf") for c in text)


@dataclass(frozen=True)
class Box:
    """Lines of text of equal width; `middle` is the one that other things stand on."""

    lines: tuple[str, ...]
    middle: int = 0

    @property
    def width(self) -> int:
        return columns(self.lines[0])

    @property
    def flat(self) -> bool:
        return len(self.lines) == 1

    def __str__(self) -> str:
        return "\n".join(line.rstrip() for line in self.lines)


def beside(boxes: Sequence[Box]) -> Box:
    """The boxes in a row, their middles on one line."""
    above = max((box.middle for box in boxes), default=0)
    below = max((len(box.lines) - box.middle for box in boxes), default=1)
    lines = [""] * (above + below)
    for box in boxes:
        start = above - box.middle
        for i in range(above + below):
            inside = start <= i < start + len(box.lines)
            lines[i] += box.lines[i - start] if inside else " " * box.width
    return Box(tuple(lines), above)


def _box(text: str) -> Box:
    return Box((text,))


class TextPrinter(Printer[Box]):
    """Formulas in Unicode; `one_line` also writes matrices so."""

    linear = True

    def __init__(self, one_line: bool = False) -> None:
        self.one_line = one_line

    def row(self, parts: Sequence[Box]) -> Box:
        return beside(parts)

    def digits(self, text: str) -> Box:
        return _box(text)

    def spelled(self, spelling: Spelling) -> Box:
        shown, pieces = spelling.core.text, spelling.below
        if spelling.above:
            shown += _script(f"({spelling.above})", _SUPERSCRIPTS)
        for i, piece in enumerate(pieces):
            shown += _below(piece, after=pieces[i - 1] if i else None)
        return _box(shown)

    def constant(self, text: str) -> Box:
        return _box(_CONSTANTS.get(text, text))

    def operator(self, sign: str) -> Box:
        return _box(f" {sign} ")

    def prefix(self, sign: str) -> Box:
        return _box(sign)

    def gap(self) -> Box:
        return _box(" ")

    def comma(self) -> Box:
        return _box(", ")

    def function(self, name: str) -> Box:
        return _box(function_row(name, "text") or name)

    def applied(self, function: Box, argument: Box) -> Box:
        return beside([function, argument])

    def fraction(self, above: Box, below: Box) -> Box:
        return beside([above, _box("/"), below])

    def power(self, base: Box, exponent: Box) -> Box:
        text = exponent.lines[0]
        if exponent.flat and len(text) <= 4 and all(c in _SUPERSCRIPTS for c in text):
            return beside([base, _box(_script(text, _SUPERSCRIPTS))])
        plain = exponent.flat and (
            bool(_ONE_SIGN.fullmatch(text)) or (text[0] == "(" and text.find(")") == len(text) - 1)
        )
        return beside([base, _box("^"), exponent if plain else self.fenced(exponent)])

    def root(self, body: Box) -> Box:
        return beside([_box("√"), body])

    def overlined(self, body: Box) -> Box:
        return beside([_box("conj"), self.fenced(body)])

    def transposed(self, body: Box) -> Box:
        return beside([body, Box(("ᵀ", *[" "] * (len(body.lines) - 1)), body.middle)])

    def subscripted(self, body: Box, below: Box) -> Box:
        text = str(below)
        if below.flat and all(c in _LETTERS_BELOW for c in text):
            return beside([body, _box(_script(text, _LETTERS_BELOW))])
        short = below.flat and text.isalnum()
        return beside([body, _box("_"), below if short else self.fenced(below, "{", "}")])

    def underbraced(self, body: Box, below: Box) -> Box:
        return beside([body, _box("{"), below, _box("}")])

    def summation(self, below: Box) -> Box:
        return beside([self.subscripted(_box("Σ"), below), _box(" ")])

    def fenced(self, body: Box, left: str = "(", right: str = ")") -> Box:
        return beside([_side(left, body), body, _side(right, body)])

    def at_equation(self, body: Box, number: int) -> Box:
        return beside([body, _box("|" + _script(f"({number})", _SUBSCRIPTS))])

    def matrix(self, rows: Sequence[Sequence[Box]]) -> Box:
        if self.one_line or any(not entry.flat for row in rows for entry in row):
            texts = (", ".join(str(entry) for entry in row) for row in rows)
            return _box("[" + ", ".join(f"[{text}]" for text in texts) + "]")
        count = max((len(row) for row in rows), default=0)
        widths = [max(row[j].width for row in rows if j < len(row)) for j in range(count)]
        lines = []
        for row in rows:
            cells = [" " * (size - box.width) + box.lines[0] for box, size in zip(row, widths)]
            lines.append("  ".join(cells))
        return self.fenced(Box(tuple(lines), (len(lines) - 1) // 2), "[", "]")

    def cases(self, condition: Box, yes: Box, no: Box) -> Box:
        parts = [_box("{"), yes, _box(" if "), condition, _box(" else "), no, _box("}")]
        return beside(parts)

    def ellipsis(self, direction: str = "h") -> Box:
        return _box(_DOTS[direction])

    def words(self, text: str) -> Box:
        return _box(" ".join(text.split()))

    def dee(self, partial: bool, order: int) -> Box:
        return _box(
            ("∂" if partial else "d") + (_script(str(order), _SUPERSCRIPTS) if order > 1 else "")
        )


def _script(text: str, table: dict[str, str]) -> str:
    return "".join(table.get(c, c) for c in text)


def _below(piece: Piece, after: Piece | None) -> str:
    """A subscript: small digits, but words behind an underscore as in Python."""
    if all(c in _SUBSCRIPTS for c in piece.text):
        small = after is not None and after.text[-1] in _SUBSCRIPTS
        return ("‚" if small else "") + _script(piece.text, _SUBSCRIPTS)
    return "_" + piece.text


def _side(bracket: str, body: Box) -> Box:
    height = len(body.lines)
    if height == 1 or bracket not in _TALL:
        return _box(bracket)
    top, middle, bottom = tuple(_TALL[bracket])
    return Box((top, *[middle] * (height - 2), bottom), body.middle)


def formula(node: Formula) -> str:
    """`node` on one line."""
    return str(TextPrinter(one_line=True).show(node))


# --- documents ----------------------------------------------------------------------------


class _TextWidth(Width):
    """Fractions on one line are as long as their parts together."""

    linear = True

    def fraction(self, above: int, below: int) -> int:
        return above + below + 1

    def gap(self) -> int:
        return 1

    def cases(self, condition: int, yes: int, no: int) -> int:
        return condition + yes + no + 12


def document(doc: d.Document, width: int = 80) -> str:
    """The derivation in lines of at most about `width` columns."""
    parts = []
    for section in doc.sections:
        lines = []
        if section.title or section.heading:
            lines += [_heading(section), ""]
        parts.append("\n".join(lines + _items(section.items, width)))
    return "\n\n".join(parts)


def _heading(section: d.Section) -> str:
    heading = formula(section.heading) if section.heading else ""
    title = "  ".join(part for part in (section.title, heading) if part)
    return f"{title}\n{'─' * columns(title)}"


def _items(items: Sequence[d.Item], width: int) -> list[str]:
    lines: list[str] = []
    statements = [item for item in items if isinstance(item, d.Statement)]
    label = max((min(columns(s.label), width // 4) for s in statements), default=0)
    printer = TextPrinter()
    sides = [printer.show(s.sides[0]).width for s in statements if s.relations]
    left = max((side for side in sides if side <= width // 3), default=0)
    for item in items:
        if isinstance(item, d.Statement):
            lines += _statement(item, label + 2 if label else 0, left, width)
        elif isinstance(item, d.Note):
            lines += _note(item, width)
        else:
            lines += [f"… {line}" if not i else f"  {line}"
                      for i, line in enumerate(sentences(item.summary, width - 2))]  # fmt: skip
    return lines


def _statement(statement: d.Statement, label: int, left: int, width: int) -> list[str]:
    """label  left = right  (number)  line n, with everything in its column."""
    behind = f"({statement.number})" if statement.number is not None else ""
    if statement.source:
        behind = f"{behind}  line {statement.source.number}".strip()
    lines: list[str] = []
    if columns(statement.label) > max(label - 2, 0):
        lines.append(statement.label)
        beginning = ""
    else:
        beginning = statement.label
    room = width - label - columns(behind) - 2
    shown = broken(statement, TextPrinter(), _TextWidth(), room)
    first = str(shown[0].left).split("\n")
    side = max(left, max(columns(line) for line in first))
    for position, line in enumerate(shown):
        cells = [_padded(_box(beginning if not position else ""), label)]
        if isinstance(line.left, Box):
            cells += [_padded(line.left, left, right=True), *line.right]
        else:
            cells += [_box(" " * (side + 4 * line.deeper)), *line.right]
        rows = [row.rstrip() for row in beside(cells).lines]
        if behind and not position:
            middle = beside(cells).middle
            gap = max(width - columns(rows[middle]) - columns(behind), 2)
            rows[middle] += " " * gap + behind
        lines += rows
    return lines


def _padded(box: Box, width: int, right: bool = False) -> Box:
    space = _box(" " * max(width - box.width, 0))
    return beside([space, box] if right else [box, space])


def _note(note: d.Note, width: int) -> list[str]:
    mark = {"check": "✓", "warning": "⚠"}.get(note.kind, "")
    if note.kind == "check" and note.agrees is not True:
        mark = "✗" if note.agrees is False else "–"
    indent = mark + " " if mark else ""
    lines = sentences(note.text, width - len(indent))
    told = [(indent if not i else " " * len(indent)) + line for i, line in enumerate(lines)]
    return told + [f"  │ {line}" for line in note.code.splitlines()]
