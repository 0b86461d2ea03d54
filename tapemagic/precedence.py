"""How tightly formulas bind when they are printed, and what they are printed as."""

from __future__ import annotations

from collections.abc import Callable

from tapemagic import document as d
from tapemagic import formula as f
from tapemagic.numbers import Written, digits, written
from tapemagic.spelling import spell

# What binds tighter stands higher; a part that binds looser than its place needs brackets.
SUM, PRODUCT, FACTOR, POWER, ATOM = range(5)

RELATIONS = {
    "greater": ">",
    "greater_equal": "≥",
    "less": "<",
    "less_equal": "≤",
    "equal": "=",
    "not_equal": "≠",
}
_OPPOSITE = {"greater": "less_equal", "less": "greater_equal", "equal": "not_equal"}
_OPPOSITE.update({opposite: name for name, opposite in _OPPOSITE.items()})
LOGIC = {"logical_and": "∧", "logical_or": "∨"}
# What code has a function for and mathematics writes with others.
_SPELLED_OUT: dict[tuple[str, int], Callable[..., f.Formula]] = {
    ("square", 1): lambda x: f.Power(x, f.number(2)),
    ("reciprocal", 1): lambda x: f.Quotient(f.ONE, x),
    ("expm1", 1): lambda x: f.Sum((f.Call("exp", (x,)), f.number(-1))),
    ("log1p", 1): lambda x: f.Call("log", (f.Sum((f.ONE, x)),)),
    ("floor_div", 2): lambda x, y: f.Call("floor", (f.Quotient(x, y),)),
}


def level(node: f.Formula, linear: bool) -> int:
    """How tightly `node` binds; in a `linear` notation fractions bind as products do."""
    fraction = PRODUCT if linear else FACTOR
    if isinstance(node, f.Value):
        return _written_level(written(node.value, node.dtype))
    if isinstance(node, f.Number):
        known = digits(node)
        if node.value < 0:
            return SUM
        return fraction if known is None else _written_level(known)
    if isinstance(node, (f.Sum, f.Negative)):
        return SUM
    if isinstance(node, f.Quotient):
        return fraction
    if isinstance(node, d.BigSum):
        return PRODUCT
    if isinstance(node, (f.Product, d.Pointwise, d.Cross)):
        return SUM if unsigned(node)[0] else PRODUCT
    if isinstance(node, d.Differential):
        return FACTOR
    if isinstance(node, (f.Power, d.Transposed, d.EntryPower)):
        return POWER
    if isinstance(node, (f.Symbol, d.Tensor)):
        index = node.index if isinstance(node, f.Symbol) else ()
        return POWER if spell(node.name, index).above else ATOM
    return _call_level(node, linear) if isinstance(node, f.Call) else ATOM


def _written_level(digits: Written) -> int:
    if digits.negative or digits.imaginary:
        return SUM
    return FACTOR if digits.exponent else ATOM


def _call_level(node: f.Call, linear: bool) -> int:
    if (instead := spelled_out(node)) is not None:
        return level(instead, linear)
    if node.function in RELATIONS or node.function in LOGIC or node.function == "where":
        return SUM
    if node.function == "floor_mod":
        return PRODUCT
    tight = ("exp", "sqrt", "logical_not", *(() if linear else ("conj",)))
    return POWER if node.function in tight else ATOM


def spelled_out(node: f.Call) -> f.Formula | None:
    """What mathematics writes for a function that only code has."""
    build = _SPELLED_OUT.get((node.function, len(node.arguments)))
    if build is not None:
        return build(*node.arguments)
    inner = node.arguments[0] if node.function == "logical_not" else None
    if isinstance(inner, f.Call) and inner.function in _OPPOSITE:
        return f.Call(_OPPOSITE[inner.function], inner.arguments)
    return None


def unsigned(node: f.Formula) -> tuple[bool, f.Formula]:
    """Whether `node` is written with a minus sign in front, and what stands behind it."""
    if isinstance(node, f.Negative):
        return True, node.operand
    if isinstance(node, f.Number) and node.value < 0:
        return True, f.Number(-node.value, node.decimal)
    if isinstance(node, f.Product) and isinstance(node.factors[0], (f.Number, f.Product)):
        negative, first = unsigned(node.factors[0])
        return negative, f.Product((first, *node.factors[1:]))
    return False, node
