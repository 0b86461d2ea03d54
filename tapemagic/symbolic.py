"""Formulas to SymPy and back, and SymPy's simplification within a time limit.

SymPy never differentiates here (its matrix derivatives and its kinks are not TensorFlow's);
it offers a shorter form, which is taken only if it has the same value at several points.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from tapemagic.formula import (
    Call,
    Constant,
    Formula,
    Negative,
    Number,
    Power,
    Product,
    Quotient,
    Sum,
    Symbol,
    Value,
    call,
    number,
    postorder,
)
from tapemagic.functions import FUNCTIONS
from tapemagic.numeric import evaluate
from tapemagic.patience import TooLong, within
from tapemagic.trace import Array

_WIDE = 400  # nodes that SymPy is still asked to evaluate
_SHORTER = 0.8  # how short a form must become to be taken
_TRIGONOMETRIC = frozenset("sin cos tan sinh cosh tanh".split())
# What SymPy has under one name; the others come back longer, or as cases.
_ELEMENTARY = _TRIGONOMETRIC.union("asin acos atan asinh acosh atanh exp log sqrt abs".split())
_FROM_SYMPY = {  # where SymPy's name of a function is not ours
    "Abs": "abs",
    "loggamma": "lgamma",
    "Max": "max",
    "Min": "min",
}


def symbol_text(symbol: Symbol) -> str:
    """The plain name of a symbol: x, x_1 (a version), x_12 (an entry, from 1)."""
    parts = [symbol.name.text]
    if symbol.name.version:
        parts.append(str(symbol.name.version))
    if symbol.index:
        joint = "" if all(i < 9 for i in symbol.index) else "_"
        parts.append(joint.join(str(i + 1) for i in symbol.index))
    return "_".join(parts)


def to_sympy(node: Formula, symbols: Mapping[Symbol, Any] | None = None) -> Any:
    """`node` as a SymPy expression; symbols are plain unless `symbols` says otherwise.

    Raises `KeyError` for a function that SymPy does not have (an opaque op).
    """
    import sympy

    if isinstance(node, Number):
        return sympy.Rational(node.value.numerator, node.value.denominator)
    if isinstance(node, Value):
        return sympy.Float(node.value)
    if isinstance(node, Constant):
        return {"pi": sympy.pi, "e": sympy.E, "inf": sympy.oo, "nan": sympy.nan}[node.text]
    if isinstance(node, Symbol):
        return (symbols or {}).get(node) or sympy.Symbol(symbol_text(node))
    parts = [to_sympy(child, symbols) for child in node.children]
    if isinstance(node, Call):
        return FUNCTIONS[node.function].sympy(*parts)
    build: dict[type, Callable[..., Any]] = {
        Sum: lambda *terms: sympy.Add(*terms),
        Product: lambda *factors: sympy.Mul(*factors),
        Negative: lambda operand: -operand,
        Quotient: lambda above, below: above / below,
        Power: lambda base, exponent: base**exponent,
    }
    return build[type(node)](*parts)


def from_sympy(expression: Any, symbols: Mapping[Any, Symbol]) -> Formula:
    """A SymPy expression as a formula, in the order in which SymPy would print it.

    Raises `KeyError` for what has no counterpart.
    """
    import sympy

    def convert(part: Any) -> Formula:
        return from_sympy(part, symbols)

    if expression in symbols:
        return symbols[expression]
    if expression.is_Rational:
        exact = number(expression.p)
        return exact if expression.q == 1 else Quotient(exact, number(expression.q))
    if expression is sympy.pi or expression is sympy.E:
        return Constant("pi" if expression is sympy.pi else "e")
    if expression.is_Add:
        return Sum(tuple(convert(term) for term in expression.as_ordered_terms()))
    if expression.could_extract_minus_sign() and expression.is_Mul:
        return Negative(convert(-expression))
    if expression.is_Mul:
        above, below = sympy.fraction(expression)
        if below != 1:
            return Quotient(convert(above), convert(below))
        return Product(tuple(convert(factor) for factor in expression.as_ordered_factors()))
    if isinstance(expression, sympy.exp):
        return call("exp", convert(expression.args[0]))
    if expression.is_Pow:
        return _power(expression.base, expression.exp, convert)
    name = type(expression).__name__
    name = _FROM_SYMPY.get(name, name)
    if name not in FUNCTIONS:
        raise KeyError(name)
    return call(name, *(convert(part) for part in expression.args))


def _power(base: Any, exponent: Any, convert: Callable[[Any], Formula]) -> Formula:
    if exponent.is_Rational and exponent.q == 2 and exponent.p == 1:
        return call("sqrt", convert(base))
    if exponent.is_Rational and exponent < 0:
        return Quotient(number(1), convert(base**-exponent))
    return Power(convert(base), convert(exponent))


def evaluate_widely(formulas: Array, values: Mapping[Symbol, float]) -> Array:
    """`evaluate`, and where a textbook form overflows float64 on the way (a softmax of large
    numbers does), SymPy's wider range of exponents."""
    found = evaluate(formulas, values)
    if found.size > 64 or np.all(np.isfinite(found)):
        return found
    import sympy

    found = np.array(found)
    for index in np.ndindex(*found.shape):
        node: Formula = formulas.item(index) if formulas.shape else formulas.item()
        if np.isfinite(found[index]) or node.size > _WIDE:
            continue
        known = {symbol: sympy.Float(values[symbol], 30) for symbol in node.free}
        try:
            wide = complex(to_sympy(node, known).evalf(30))
        except (KeyError, TypeError, ValueError, OverflowError, ZeroDivisionError):
            continue
        if wide.imag == 0 and np.isfinite(wide.real):
            found[index] = wide.real
    return found


def simplified(node: Formula, seconds: float) -> Formula:
    """A shorter form of `node` if SymPy finds one in time; else `node` itself."""
    if not _ELEMENTARY.issuperset(_functions(node)):
        return node
    import sympy

    ordered = sorted(node.free, key=symbol_text)
    symbols = {s: sympy.Symbol(symbol_text(s), real=True) for s in ordered}
    back = {v: k for k, v in symbols.items()}
    best = [node]

    def search() -> None:
        with_sympy = to_sympy(node, symbols)
        for attempt in _attempts(node):
            with suppress(KeyError, TypeError, ValueError, AttributeError, ArithmeticError):
                found = from_sympy(attempt(with_sympy), back)
                if found.size < _SHORTER * best[-1].size and _same(node, found):
                    best.append(found)

    with suppress(TooLong, KeyError, TypeError, ValueError, AttributeError, ArithmeticError):
        within(seconds, search)
    return best[-1]


def _attempts(node: Formula) -> Iterator[Callable[[Any], Any]]:
    """What may make it shorter, in a few ms each: common factors taken out, fractions reduced.
    `sympy.simplify` tries far more, and hardly ever finds more in a derivative."""
    import sympy

    yield sympy.factor_terms
    yield sympy.together
    yield lambda expression: sympy.factor_terms(sympy.powsimp(sympy.cancel(expression)))
    if any(_is_square(part) for part in postorder([node])):
        yield lambda expression: sympy.factor_terms(sympy.trigsimp(expression))


def _is_square(node: Formula) -> bool:
    """The square of a sine or the like: sin² + cos² = 1."""
    if not isinstance(node, Power) or not isinstance(node.base, Call):
        return False
    return node.exponent == number(2) and node.base.function in _TRIGONOMETRIC


def _functions(node: Formula) -> set[str]:
    return {part.function for part in postorder([node]) if isinstance(part, Call)}


def _same(one: Formula, other: Formula, points: int = 6) -> bool:
    """Whether two formulas agree at random points, nan where nan."""
    pick = random.Random(7)  # noqa: S311 - points, not secrets
    agreed = 0
    for _ in range(points):
        at = {symbol: pick.uniform(-2.5, 2.5) for symbol in sorted(one.free, key=symbol_text)}
        a, b = float(evaluate(one, at)), float(evaluate(other, at))
        if a != a:
            continue
        if not abs(a - b) <= 1e-9 * max(1.0, abs(a)):
            return False
        agreed += 1
    return agreed >= 2


__all__ = ["evaluate_widely", "from_sympy", "simplified", "symbol_text", "to_sympy"]
