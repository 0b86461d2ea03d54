"""LaTeX that MathJax, KaTeX and pdflatex (amsmath, amssymb) all read."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Sequence

from tapemagic import document as d
from tapemagic.formula import Formula
from tapemagic.layout import Line, Width, broken, sentences
from tapemagic.printing import Printer, function_row
from tapemagic.spelling import GREEK, Piece, Spelling

_WIDTH = 90  # visible columns of a line
_UNFOLDED = 12  # a fold with more items is left out
_ALIKE = {"Alpha": "A", "Beta": "B", "Epsilon": "E", "Zeta": "Z", "Eta": "H", "Iota": "I"} | {
    "Kappa": "K", "Mu": "M", "Nu": "N", "Omicron": "O", "Rho": "P", "Tau": "T", "Chi": "X",
    "omicron": "o",
}  # fmt: skip
_VARIANTS = {"epsilon": "varepsilon", "phi": "varphi"}
_ITALIC_GREEK = {
    letter: _ALIKE.get(word, "\\" + _VARIANTS.get(word, word))
    for word, letter in GREEK.items()
    if word not in ("lambda_", "lamda")
}
_ACCENTS = {
    "\u0302": "hat", "\u0303": "tilde", "\u0304": "bar", "\u0305": "bar",
    "\u0307": "dot", "\u0308": "ddot", "\u20d7": "vec",
}  # fmt: skip

_OPERATORS = {
    "−": "-", "·": r"\cdot", "×": r"\times", "∘": r"\circ", "≈": r"\approx",
    "≥": r"\ge", "≤": r"\le", "≠": r"\ne", "∧": r"\land", "∨": r"\lor", "¬": r"\lnot ",
    "mod": r"\bmod", "∈": r"\in", "⊘": r"\oslash",
}  # fmt: skip
_FENCES = {"⌊": r"\lfloor", "⌋": r"\rfloor", "⌈": r"\lceil", "⌉": r"\rceil", "|": "|", "‖": r"\|"}
_CONSTANTS = {"pi": r"\pi", "e": "e", "inf": r"\infty", "nan": r"\mathrm{nan}", "i": r"\mathrm{i}"}
_CONSTANTS |= {
    "reals": r"\mathbb{R}",
    "ones": r"\mathbf{1}",
    "identity": "I",
    "transpose": r"\mathsf{T}",
}
_DOTS = {"h": r"\cdots", "v": r"\vdots", "d": r"\ddots", "l": r"\dots"}
_TALL = re.compile(r"\\(frac|begin|left|sqrt|overline)")

# Inside \text these would start something, or have no glyph in a text font: outside of it,
# as mathematics, every reader knows them.
_SPECIAL = {
    "#": r"\#", "$": r"\$", "%": r"\%", "&": r"\&", "_": r"\_", "{": r"\{", "}": r"\}",
    "\\": r"\backslash ", "^": r"{}^{\wedge}", "~": r"\sim ", "<": "<", ">": ">", "|": "|",
    '"': r"\text{''}", "→": r"\to ", "←": r"\leftarrow ", "↦": r"\mapsto ", "∂": r"\partial ",
    "∞": r"\infty ", "√": r"\surd ", "Σ": r"\Sigma ", "∑": r"\sum ", "∈": r"\in ", "′": "'",
    "…": r"\dots ", "⋯": r"\cdots ", "✓": r"\checkmark ", "½": r"\tfrac12 ", "ᵀ": r"{}^{\mathsf T}",
    "\u200b": "", "`": r"\text{'}",
}  # fmt: skip
_SPECIAL |= {sign: f"{command} " for sign, command in _OPERATORS.items() if len(sign) == 1}
_SPECIAL |= {"−": "{-}", "<": "{<}", ">": "{>}"}
_SPECIAL |= {letter: command + " " for letter, command in _ITALIC_GREEK.items()}
_SPECIAL |= {c: f"{{}}^{{{n}}}" for n, c in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}
_SPECIAL |= {c: f"{{}}_{{{n}}}" for n, c in enumerate("₀₁₂₃₄₅₆₇₈₉")}
_SPECIAL |= {"⁻": "{}^{-}", "⁺": "{}^{+}", "₍": "{}_{(}", "₎": "{}_{)}"}


def formula(node: Formula) -> str:
    """`node` as LaTeX, without dollars."""
    return _PRINTER.show(node)


def words(text: str, command: str = r"\text") -> str:
    r"""Any words, as `\text{…}` with all that is special in between as mathematics."""
    text = " ".join(unicodedata.normalize("NFC", text).split("\n"))
    runs = re.split(f"([{re.escape(''.join(_SPECIAL))}]|--+|[\\x00-\\x1f\\x7f])", text)
    shown = []
    for position, run in enumerate(runs):
        if position % 2:
            shown.append(f"{command}{{-}}" * len(run) if run[0] == "-" else _SPECIAL.get(run, " "))
        elif run:
            shown.append(f"{command}{{{run}}}")
    return "".join(shown)


class LatexPrinter(Printer[str]):
    """Formulas in LaTeX's mathematics mode."""

    def row(self, parts: Sequence[str]) -> str:
        out = ""
        for part in parts:
            # \cdot x needs its space, \cdot 2 does not mind one.
            apart = re.search(r"\\[A-Za-z]+$", out) and re.match(r"[A-Za-z]", part)
            out += (" " if apart else "") + part
        return out

    def digits(self, text: str) -> str:
        return text

    def spelled(self, spelling: Spelling) -> str:
        below = ",".join(self._piece(piece) for piece in spelling.below)
        shown = self._piece(spelling.core) + (f"_{{{below}}}" if below else "")
        return shown + (f"^{{({spelling.above})}}" if spelling.above else "")

    def _piece(self, piece: Piece) -> str:
        text = piece.text
        if text in _ITALIC_GREEK:
            return _ITALIC_GREEK[text]
        if len(text) == 2 and text[0].isascii() and text[1] in _ACCENTS:
            return f"\\{_ACCENTS[text[1]]}{{{text[0]}}}"
        if (piece.letter and text.isascii()) or (text.isdecimal() and text.isascii()):
            return text
        if re.fullmatch(r"[A-Za-z0-9.,]+", text):
            return re.sub(r"^\\mathrm\{([0-9,]+)\}$", r"\1", f"\\mathrm{{{text}}}")
        return f"{{{words(text)}}}"

    def constant(self, text: str) -> str:
        return _CONSTANTS.get(text) or words(text)

    def operator(self, sign: str) -> str:
        return f" {_OPERATORS.get(sign, sign)} "

    def prefix(self, sign: str) -> str:
        return _OPERATORS.get(sign, sign)

    def gap(self) -> str:
        return r"\,"

    def comma(self) -> str:
        return ", "

    def function(self, name: str) -> str:
        known = function_row(name, "latex")
        if known and not re.search(r"\{\w*_\w*\}", known):
            return known
        return f"\\operatorname{{{_operator_name(name)}}}"

    def applied(self, function: str, argument: str) -> str:
        return function + argument

    def fraction(self, above: str, below: str) -> str:
        return f"\\frac{{{above}}}{{{below}}}"

    def power(self, base: str, exponent: str) -> str:
        return f"{base}^{{{exponent}}}"

    def root(self, body: str) -> str:
        return f"\\sqrt{{{body}}}"

    def overlined(self, body: str) -> str:
        return f"\\overline{{{body}}}"

    def transposed(self, body: str) -> str:
        return f"{body}^{{\\mathsf{{T}}}}"

    def subscripted(self, body: str, below: str) -> str:
        return f"{{{body}}}_{{{below}}}" if "_" in body else f"{body}_{{{below}}}"

    def underbraced(self, body: str, below: str) -> str:
        return f"\\underbrace{{{body}}}_{{{below}}}"

    def summation(self, below: str) -> str:
        return f"\\sum_{{{below}}} "

    def fenced(self, body: str, left: str = "(", right: str = ")") -> str:
        left, right = _FENCES.get(left, left), _FENCES.get(right, right)
        if _TALL.search(body) or left in "[|":
            # \left also keeps a bracket after \\ from being read as \\[length].
            return f"\\left{left} {body} \\right{right}"
        return f"{left} {body} {right}" if left[0] == "\\" else left + body + right

    def at_equation(self, body: str, number: int) -> str:
        return f"\\left.{body}\\right|_{{({number})}}"

    def matrix(self, rows: Sequence[Sequence[str]]) -> str:
        body = r" \\ ".join(" & ".join(row) for row in rows)
        columns = max((len(row) for row in rows), default=0)
        if columns <= 10:
            return f"\\begin{{bmatrix}} {body} \\end{{bmatrix}}"
        array = f"\\begin{{array}}{{{'c' * columns}}} {body} \\end{{array}}"  # amsmath's limit
        return f"\\left[{array}\\right]"

    def cases(self, condition: str, yes: str, no: str) -> str:
        otherwise = f"{yes} & \\text{{if }} {condition} \\\\ {no} & \\text{{otherwise}}"
        return f"\\begin{{cases}} {otherwise} \\end{{cases}}"

    def ellipsis(self, direction: str = "h") -> str:
        return _DOTS[direction]

    def words(self, text: str) -> str:
        return words(text)

    def dee(self, partial: bool, order: int) -> str:
        sign = r"\partial " if partial else r"\mathrm{d}"
        return f"{sign.strip()}^{{{order}}}" if order > 1 else sign


_PRINTER = LatexPrinter()


def _operator_name(name: str) -> str:
    known = re.sub(r"[^A-Za-z0-9_]", "", name)
    return known.replace("_", r"\_") or "f"


# --- documents ----------------------------------------------------------------------------


def document(doc: d.Document) -> str:
    """The derivation as `$$…$$` blocks, at least one for each section."""
    blocks: list[str] = []
    for section in doc.sections:
        if section.title or section.heading:
            blocks.append(f"$$ {_heading(section)} $$")
        blocks += _blocks(section.items)
    return "\n".join(blocks)


def _heading(section: d.Section) -> str:
    parts = [words(section.title, r"\textbf")] if section.title else []
    parts += [formula(section.heading)] if section.heading else []
    return r"\quad ".join(parts)


def _blocks(items: Sequence[d.Item]) -> list[str]:
    """Neighbouring statements share one block; words have their own, for their length."""
    blocks: list[str] = []
    run: list[d.Statement] = []
    for item in items:
        if isinstance(item, d.Statement):
            run.append(item)
            continue
        blocks += _statements(run)
        run = []
        blocks += [_note(item)] if isinstance(item, d.Note) else _fold(item)
    return blocks + _statements(run)


def _statements(run: Sequence[d.Statement]) -> list[str]:
    if not run:
        return []
    labelled = any(statement.label for statement in run)
    rows = [row for statement in run for row in _rows(statement, labelled)]
    return [_aligned(rows)]


def _rows(statement: d.Statement, labelled: bool) -> list[str]:
    """The rows of one statement: & label & left side & = right side & (number)."""
    lines = broken(statement, LatexPrinter(), Width(), _WIDTH)
    rows = []
    for position, line in enumerate(lines):
        label = words(statement.label) if statement.label and not position else ""
        cells = [f"& {label} "] if labelled else []
        cells += [f"{line.left} ", _right(line)]
        if statement.number is not None and position == len(lines) - 1:
            cells.append(f" \\qquad ({statement.number})")
        rows.append("& ".join(cells))
    return rows


def _right(line: Line[str]) -> str:
    # The empty group keeps + an operator between two things.
    shown = _PRINTER.row(line.right).strip()
    return r"\quad {} " + shown if line.deeper else shown


def _note(note: d.Note) -> str:
    mark = {"check": r"\checkmark", "warning": r"\triangle!"}.get(note.kind, "")
    if note.kind == "check" and note.agrees is not True:
        mark = r"\times" if note.agrees is False else "-"
    lines = [f"& {words(line)}" for line in sentences(note.text, _WIDTH)]
    if mark and lines:
        lines[0] = f"& {mark}\\ {lines[0][2:]}"
    code = [f"& {row}" for line in note.code.splitlines() for row in _code(line)]
    return _aligned(lines + code)


def _code(line: str) -> list[str]:
    """A line of Python; what does not fit on the page goes on below it."""
    indent = len(line) - len(line.lstrip())
    below = " " * (indent + 8)
    rows = textwrap.wrap(line, _WIDTH, subsequent_indent=below, break_long_words=False) or [line]
    return [
        "\\ " * (2 * (len(row) - len(row.lstrip())) + 4)
        + words(row.lstrip()).replace(r"\text{", r"\texttt{")
        for row in rows
    ]


def _fold(fold: d.Fold) -> list[str]:
    lines = sentences(fold.summary, _WIDTH)
    if len(fold.items) > _UNFOLDED:
        lines = ["… " + line if not i else line for i, line in enumerate(lines)]
    summary = _aligned([f"& {words(line)}" for line in lines])
    return [summary] if len(fold.items) > _UNFOLDED else [summary, *_blocks(fold.items)]


def _aligned(rows: Sequence[str]) -> str:
    body = " \\\\[4pt]\n".join(rows)
    return f"$$\\begin{{aligned}}\n{body}\n\\end{{aligned}}$$"
