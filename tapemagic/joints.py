"""What stands between two factors: nothing, a space or a dot."""

from __future__ import annotations

from enum import Enum

from tapemagic import document as d
from tapemagic import formula as f
from tapemagic.spelling import Piece, spell


class Joint(Enum):
    """The ways to write a product."""

    NONE = 0
    GAP = 1
    DOT = 2


def joint(left: f.Formula, right: f.Formula, bracketed: bool, linear: bool) -> Joint:
    """Between `left` and `right`, which is `bracketed` or not."""
    if any(isinstance(side, (d.Differential, d.Ellipsis_, f.Value)) for side in (left, right)):
        return Joint.DOT
    if bracketed:
        return Joint.DOT if _looks_like_function(left) else Joint.NONE
    if _begins_with_digit(right, linear) or _ends_in_power_of_ten(left):
        return Joint.DOT
    if isinstance(left, f.Number):
        if isinstance(right, f.Call) and right.function == "sqrt":
            return Joint.NONE
        word = _is_word(right) or isinstance(right, (f.Call, d.Matrix, d.Stack, d.Words))
        return Joint.GAP if word else Joint.NONE
    if any(_is_word(side) or (linear and _has_words_below(side)) for side in (left, right)):
        return Joint.DOT
    if isinstance(left, f.Quotient) and _is_letter(right):
        return Joint.NONE
    if _is_letter(left) and _is_letter(right):
        return Joint.NONE
    return Joint.GAP


def _base(node: f.Formula) -> f.Formula:
    while isinstance(node, (f.Power, d.Transposed)):
        node = node.base if isinstance(node, f.Power) else node.operand
    return node


def _core(node: f.Formula) -> Piece | None:
    node = _base(node)
    return spell(node.name).core if isinstance(node, (f.Symbol, d.Tensor)) else None


def _is_letter(node: f.Formula) -> bool:
    core = _core(node)
    return isinstance(_base(node), (f.Constant, d.Ones, d.Identity)) or bool(core and core.letter)


def _is_word(node: f.Formula) -> bool:
    core = _core(node)
    return bool(core and not core.letter)


def _has_words_below(node: f.Formula) -> bool:
    """y_pred x must not become y_predx, nor x y_pred xy_pred."""
    node = _base(node)
    named = isinstance(node, (f.Symbol, d.Tensor))
    return named and not all(piece.text.isdecimal() for piece in spell(node.name).below)  # type: ignore[attr-defined]


def _begins_with_digit(node: f.Formula, linear: bool) -> bool:
    base = _base(node)
    if isinstance(base, f.Quotient):
        return not linear or base is not node
    return isinstance(base, (f.Number, f.Value))


def _ends_in_power_of_ten(node: f.Formula) -> bool:
    return isinstance(node, f.Number) and abs(node.value) >= 10**15


def _looks_like_function(node: f.Formula) -> bool:
    """f(x + 1), loss(x + 1) and sin(x)(x + 1) would be misread without a dot."""
    core = _core(node)
    named = core is not None and (not core.letter or core.text in "fgh")
    return named or isinstance(_base(node), f.Call)
