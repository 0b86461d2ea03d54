"""Formulas in MathML Core, which today's browsers draw without any library."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from html import escape

from tapemagic.document import Slot
from tapemagic.formula import Formula
from tapemagic.numbers import written
from tapemagic.precedence import POWER, SUM
from tapemagic.printing import Printer, function_row
from tapemagic.spelling import Piece, Spelling

_CONSTANTS = {"pi": "π", "inf": "∞", "reals": "ℝ", "ones": "𝟏", "identity": "I", "transpose": "T"}
_UPRIGHT = {"i", "inf", "reals", "ones", "transpose"}
_DOTS = {"h": "⋯", "v": "⋮", "d": "⋱", "l": "…"}


class MathmlPrinter(Printer[str]):
    """Each method gives markup that stands as one child."""

    def show(self, node: Formula, place: int = SUM) -> str:
        return _slot(node, place) if isinstance(node, Slot) else super().show(node, place)

    def row(self, parts: Sequence[str]) -> str:
        return parts[0] if len(parts) == 1 else f"<mrow>{''.join(parts)}</mrow>"

    def digits(self, text: str) -> str:
        return f"<mn>{escape(text)}</mn>"

    def spelled(self, spelling: Spelling) -> str:
        core = self._piece(spelling.core)
        pieces = [self._piece(piece) for piece in spelling.below]
        below = self.row([part for piece in pieces for part in (_SMALL_COMMA, piece)][1:] or [""])
        above = f"<mrow>{_mo('(')}<mn>{spelling.above}</mn>{_mo(')')}</mrow>"
        if pieces and spelling.above:
            return f"<msubsup>{core}{below}{above}</msubsup>"
        if spelling.above:
            return f"<msup>{core}{above}</msup>"
        return f"<msub>{core}{below}</msub>" if pieces else core

    def _piece(self, piece: Piece) -> str:
        if piece.text.isdecimal() or set(piece.text) <= set("0123456789,"):
            return self.digits(piece.text)
        kind = "" if piece.letter or len(piece.text) > 1 else ' mathvariant="normal"'
        if piece.letter and (len(piece.text) > 1 or piece.text > "z"):
            # Browsers slant single letters of English and Greek only.
            slanted = unicodedata.name(piece.text[0], "").startswith(("LATIN", "CYRILLIC"))
            kind = ' class="tapemagic-letter"' if slanted else kind
        return f"<mi{kind}>{escape(piece.text)}</mi>"

    def constant(self, text: str) -> str:
        upright = (
            ' mathvariant="normal"' if text in ("i", "inf", "reals", "ones", "transpose") else ""
        )
        return f"<mi{upright}>{escape(_CONSTANTS.get(text, text))}</mi>"

    def operator(self, sign: str) -> str:
        space = "0.2em" if sign in "·×∘⊘" else "0.26em"
        return f'<mo form="infix" lspace="{space}" rspace="{space}">{escape(sign)}</mo>'

    def prefix(self, sign: str) -> str:
        return f'<mo form="prefix">{escape(sign)}</mo>'

    def gap(self) -> str:
        return '<mspace width="0.17em"></mspace>'

    def comma(self) -> str:
        return '<mo form="infix" separator="true">,</mo>'

    def function(self, name: str) -> str:
        text = function_row(name, "text") or name
        upright = ' mathvariant="normal"' if len(text) == 1 else ""
        return f"<mi{upright}>{escape(text)}</mi>"

    def applied(self, function: str, argument: str) -> str:
        # In a row of its own: between it and a bracket Firefox leaves a gap.
        return f"<mrow><mrow>{function}<mo>&#x2061;</mo></mrow>{argument}</mrow>"

    def fraction(self, above: str, below: str) -> str:
        return f"<mfrac>{above}{below}</mfrac>"

    def power(self, base: str, exponent: str) -> str:
        if base.startswith("<msub>") and base.count("<msub>") == 1:
            return f"<msubsup>{base[6:-7]}{exponent}</msubsup>"
        return f"<msup>{base}{exponent}</msup>"

    def root(self, body: str) -> str:
        return f"<msqrt>{body}</msqrt>"

    def overlined(self, body: str) -> str:
        return f'<mover accent="true">{body}<mo stretchy="true">‾</mo></mover>'

    def transposed(self, body: str) -> str:
        return f'<msup>{body}<mi mathvariant="normal">T</mi></msup>'

    def subscripted(self, body: str, below: str) -> str:
        return f"<msub>{body}{below}</msub>"

    def underbraced(self, body: str, below: str) -> str:
        return f"<munder>{body}{below}</munder>"  # a brace stretches with few fonts only

    def summation(self, below: str) -> str:
        return f'<munder><mo movablelimits="false">∑</mo>{below}</munder>'

    def fenced(self, body: str, left: str = "(", right: str = ")") -> str:
        # Left to themselves, browsers stretch brackets around a mere y, too.
        tall = any(tag in body for tag in ("<mfrac>", "<mtable", "<msqrt>", "<mover"))
        kind = f'fence="true" stretchy="{"true" if tall else "false"}"'
        opening = f'<mo form="prefix" {kind}>{escape(left)}</mo>'
        closing = f'<mo form="postfix" {kind}>{escape(right)}</mo>'
        return f"<mrow>{opening}{body}{closing}</mrow>"

    def at_equation(self, body: str, number: int) -> str:
        bar = '<mo form="postfix" fence="true" stretchy="true">|</mo>'
        equation = f"<mrow>{_mo('(')}<mn>{number}</mn>{_mo(')')}</mrow>"
        return f"<msub><mrow>{body}{bar}</mrow>{equation}</msub>"

    def matrix(self, rows: Sequence[Sequence[str]]) -> str:
        return _table(rows, "tapemagic-matrix")

    def cases(self, condition: str, yes: str, no: str) -> str:
        rows = [[yes, f"<mrow><mtext>if&#xa0;</mtext>{condition}</mrow>"]]
        rows.append([no, "<mtext>otherwise</mtext>"])
        brace = '<mo form="prefix" fence="true" stretchy="true">{</mo>'
        return f"<mrow>{brace}{_table(rows, 'tapemagic-cases')}</mrow>"

    def ellipsis(self, direction: str = "h") -> str:
        return f"<mi>{_DOTS[direction]}</mi>"

    def words(self, text: str) -> str:
        return f"<mtext>{escape(text)}</mtext>"

    def dee(self, partial: bool, order: int) -> str:
        sign = f'<mi mathvariant="normal">{"∂" if partial else "d"}</mi>'
        sign = f"<mpadded>{sign}</mpadded>"  # else Firefox leaves a gap before a slanted letter
        return f"<msup>{sign}<mn>{order}</mn></msup>" if order > 1 else sign


def _slot(slot: Slot, place: int) -> str:
    """A moving number as one text; `data-fence` says when its place needs brackets."""
    number = written(slot.value, slot.dtype)
    fence = "" if place == SUM else "negative" if place < POWER else "product"
    fenced = fence and (number.negative or (fence == "product" and number.exponent))
    text = f"({number})" if fenced else str(number)
    kind = f' data-fence="{fence}"' if fence else ""
    return f'<mn data-slot="{slot.place}"{kind}>{text}</mn>'


def _mo(bracket: str) -> str:
    return f'<mo stretchy="false" lspace="0" rspace="0">{bracket}</mo>'


_SMALL_COMMA = '<mo lspace="0" rspace="0.1em">,</mo>'
_PRINTER = MathmlPrinter()


def _table(rows: Sequence[Sequence[str]], name: str) -> str:
    cells = ("".join(f"<mtd>{entry}</mtd>" for entry in row) for row in rows)
    shown = "".join(f"<mtr>{row}</mtr>" for row in cells)
    return f'<mtable class="{name}" displaystyle="true">{shown}</mtable>'


def element(markup: str) -> str:
    """A `math` element around what a printer gave; fractions in full size."""
    xmlns = "http://www.w3.org/1998/Math/MathML"
    return f'<math xmlns="{xmlns}" displaystyle="true">{markup}</math>'


def markup(node: Formula) -> str:
    """`node` as what stands inside a `math` element."""
    return _PRINTER.show(node)


def formula(node: Formula) -> str:
    """`node` as a `math` element."""
    return element(markup(node))
