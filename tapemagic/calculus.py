"""Derivatives of formulas, by the rules and in the forms that textbooks have.

Where calculus leaves a choice the result follows TensorFlow, see `functions`.
"""

from __future__ import annotations

from dataclasses import dataclass

from tapemagic.formula import (
    ONE,
    ZERO,
    Call,
    Formula,
    Negative,
    Number,
    Power,
    Product,
    Quotient,
    Sum,
    Symbol,
    call,
    chosen,
    plus,
    postorder,
    power,
    times,
)
from tapemagic.functions import CONDITIONS, FUNCTIONS

_Slopes = dict[Formula, Formula]


@dataclass(frozen=True)
class Application:
    """A rule used once: d `node` / d symbol = `derivative`, by `rule`."""

    rule: str
    node: Formula
    derivative: Formula


def derivative(node: Formula, symbol: Symbol) -> Formula:
    """d node / d symbol, tidied, in the user's order."""
    return _slopes(node, symbol).get(node, ZERO)


def applications(node: Formula, symbol: Symbol) -> tuple[Application, ...]:
    """Every rule applied on the way to d node / d symbol, innermost first."""
    slopes = _slopes(node, symbol)
    return tuple(
        Application(_rule(part, symbol), part, slope)
        for part, slope in slopes.items()
        if part == node or not (isinstance(part, Symbol) or _is_condition(part))
    )


def _slopes(node: Formula, symbol: Symbol) -> _Slopes:
    """The slope of every part of `node` that depends on `symbol`, innermost first."""
    slopes: _Slopes = {}
    if symbol in node.free:
        for part in postorder([node], lambda part: symbol in part.free):
            slopes[part] = _slope(part, slopes)
    return slopes


def _slope(node: Formula, slopes: _Slopes) -> Formula:
    if isinstance(node, Symbol):
        return ONE
    if isinstance(node, Sum):
        return plus(*(slopes[term] for term in node.terms if term in slopes))
    if isinstance(node, Negative):
        return -slopes[node.operand]
    if isinstance(node, Product):
        return _product_slope(node.factors, slopes)
    if isinstance(node, Quotient):
        return _quotient_slope(node, slopes)
    if isinstance(node, Power):
        return _power_slope(node, slopes)
    if isinstance(node, Call):
        return _call_slope(node, slopes)
    raise TypeError(f"{type(node).__name__} is for showing, it has no derivative")


def _product_slope(factors: tuple[Formula, ...], slopes: _Slopes) -> Formula:
    terms = []
    for place, factor in enumerate(factors):
        if factor in slopes:
            terms.append(times(*factors[:place], slopes[factor], *factors[place + 1 :]))
    return plus(*terms)


def _quotient_slope(node: Quotient, slopes: _Slopes) -> Formula:
    above, below = node.numerator, node.denominator
    if below not in slopes:
        return slopes[above] / below
    if above not in slopes:
        return -(above * slopes[below]) / below**2
    return (slopes[above] * below - above * slopes[below]) / below**2


def _power_slope(node: Power, slopes: _Slopes) -> Formula:
    base, exponent, terms = node.base, node.exponent, []
    if base in slopes:
        terms.append(times(exponent, slopes[base], power(base, exponent - 1)))
    if exponent in slopes:
        # TensorFlow's slope in the exponent is 0 where the base is not positive.
        positive = isinstance(base, Number) and base.value > 0
        logarithm = call("log" if positive else "log_or_zero", base)
        terms.append(times(slopes[exponent], node, logarithm))
    return plus(*terms)


def _call_slope(node: Call, slopes: _Slopes) -> Formula:
    if node.function == "where":
        # One branch counts: an infinite slope in the other one must not turn into 0 · ∞ = nan.
        condition, yes, no = node.arguments
        yes, no = slopes.get(yes, ZERO), slopes.get(no, ZERO)
        return chosen(condition, yes, no)
    partials = FUNCTIONS[node.function].partials(*node.arguments)
    pairs = zip(node.arguments, partials)
    return plus(*(times(slopes[inner], outer) for inner, outer in pairs if inner in slopes))


def _is_condition(node: Formula) -> bool:
    return isinstance(node, Call) and node.function in CONDITIONS


def _rule(node: Formula, symbol: Symbol) -> str:
    depending = [child for child in node.children if symbol in child.free]
    if isinstance(node, Symbol):
        return "variable itself"
    if isinstance(node, Sum):
        return "sum rule"
    if isinstance(node, Product):
        return "product rule" if len(depending) > 1 else "constant multiple rule"
    if isinstance(node, Quotient):
        return "quotient rule" if symbol in node.denominator.free else "constant multiple rule"
    if isinstance(node, Power):
        return _power_rule(node, symbol)
    if isinstance(node, Call):
        rule = FUNCTIONS[node.function].rule
        composed = any(child != symbol for child in depending)
        return f"{rule}, chain rule" if composed and node.function != "where" else rule
    return "constant multiple rule"


def _power_rule(node: Power, symbol: Symbol) -> str:
    if symbol not in node.exponent.free:
        return "power rule" if node.base == symbol else "power rule, chain rule"
    if symbol in node.base.free:
        return "general power rule"
    return "exponential rule" if node.exponent == symbol else "exponential rule, chain rule"
