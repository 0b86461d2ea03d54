"""How a person typesets a formula: one walk with precedences for every notation.

`Printer` decides where brackets, dots and minus signs go; a subclass says how its notation
writes a fraction or a root. `T` is what it builds: a string of markup, or a block of text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from tapemagic import document as d
from tapemagic import formula as f
from tapemagic.functions import FUNCTIONS
from tapemagic.joints import Joint, joint
from tapemagic.notation import Notation, T
from tapemagic.numbers import Written, digits, written
from tapemagic.precedence import (
    ATOM,
    FACTOR,
    LOGIC,
    POWER,
    PRODUCT,
    RELATIONS,
    SUM,
    level,
    spelled_out,
    unsigned,
)
from tapemagic.spelling import spell

_BRACKETS = {"abs": ("|", "|"), "floor": ("⌊", "⌋"), "ceil": ("⌈", "⌉"), "indicator": ("[", "]")}
_POWERED = {"sin", "cos", "tan", "sinh", "cosh", "tanh", "log"}
_POWERED |= {"asin", "acos", "atan", "asinh", "acosh", "atanh"}
_SMALL = 12  # nodes in an exponent of e before exp(…) reads better


class Printer(Notation[T]):
    """The walk that all notations share."""

    def show(self, node: f.Formula, place: int = SUM) -> T:
        """`node`, in brackets if it binds looser than its place needs."""
        body = self._handler(node)(node)
        return self.fenced(body) if level(node, self.linear) < place else body

    def _handler(self, node: f.Formula) -> Callable[[Any], T]:
        for kind in type(node).__mro__:
            handler: Callable[[Any], T] | None = getattr(self, f"_{kind.__name__.strip('_')}", None)
            if handler is not None:
                return handler
        raise TypeError(f"no way to print {type(node).__name__}")

    # --- leaves ---------------------------------------------------------------------------

    def _Number(self, node: f.Number) -> T:
        known = digits(node)
        if known is not None:
            return self.written(known)
        value = abs(node.value)
        parts = (self.digits(str(value.numerator)), self.digits(str(value.denominator)))
        body = self.fraction(*parts)
        return self.row([self.prefix("−"), body]) if node.value < 0 else body

    def _Value(self, node: f.Value) -> T:
        return self.written(written(node.value, node.dtype))

    def written(self, number: Written) -> T:
        """±digits · 10^exponent"""
        parts = [self.prefix("−")] if number.negative else []
        names = {"∞": "inf", "nan": "nan"}
        if not number.finite:
            parts.append(self.constant(names[number.mantissa]))
        elif not number.exponent or number.mantissa != "1":
            parts.append(self.digits(number.mantissa))
        if number.exponent:
            parts += [self.operator("·")] if number.mantissa != "1" else []
            sign = [self.prefix("−")] if number.exponent < 0 else []
            exponent = self.row([*sign, self.digits(str(abs(number.exponent)))])
            parts.append(self.power(self.digits("10"), exponent))
        if (part := number.imaginary) is not None:
            size = Written(part.mantissa, part.exponent, False, part.exact)
            parts += [self.operator("−" if part.negative else "+"), self.written(size)]
            parts.append(self.constant("i"))
        return self.row(parts)

    def _Constant(self, node: f.Constant) -> T:
        return self.constant(node.text)

    def _Symbol(self, node: f.Symbol) -> T:
        return self.spelled(spell(node.name, node.index))

    def _Tensor(self, node: d.Tensor) -> T:
        return self.spelled(spell(node.name))

    def _Words(self, node: d.Words) -> T:
        return self.words(node.text)

    def _Ellipsis(self, node: d.Ellipsis_) -> T:
        return self.ellipsis()

    # --- arithmetic -----------------------------------------------------------------------

    def _Sum(self, node: f.Sum) -> T:
        return self.row(self.terms(node))

    def terms(self, node: f.Sum) -> list[T]:
        """The terms, each with the sign in front of it: a line may break before any."""
        shown: list[T] = []
        for negative, term in _signed_terms(node):
            body = self.show(term, PRODUCT)
            if shown:
                shown.append(self.row([self.operator("−" if negative else "+"), body]))
            else:
                shown.append(self.row([self.prefix("−"), body]) if negative else body)
        return shown

    def _Negative(self, node: f.Negative) -> T:
        return self.row([self.prefix("−"), self.show(node.operand, PRODUCT)])

    def _Product(self, node: f.Product) -> T:
        negative, positive = unsigned(node)
        sign = [self.prefix("−")] if negative else []
        return self.row([*sign, *self.factors(positive)])

    def factors(self, node: f.Formula) -> list[T]:
        """The factors up to the next dot: a line may break before any."""
        nodes = list(_factors(node)) if isinstance(node, f.Product) else [node]
        runs: list[list[T]] = [[self.show(nodes[0], FACTOR)]]
        for left, right in pairwise(nodes):
            between = joint(left, right, level(right, self.linear) < FACTOR, self.linear)
            if between is Joint.DOT:
                runs.append([self.operator("·")])
            elif between is Joint.GAP:
                runs[-1].append(self.gap())
            last = right is nodes[-1] and isinstance(right, d.BigSum)
            runs[-1].append(self.show(right, PRODUCT if last else FACTOR))
        return [self.row(run) for run in runs]

    def _joined(self, nodes: Sequence[f.Formula], sign: str, place: int) -> T:
        parts = [self.show(nodes[0], place)]
        for node in nodes[1:]:
            parts += [self.operator(sign), self.show(node, place)]
        return self.row(parts)

    def _Pointwise(self, node: d.Pointwise) -> T:
        above = self._joined(node.factors, "∘", FACTOR)
        parts = [above]
        for divisor in node.divisors:
            parts += [self.operator("⊘"), self.show(divisor, FACTOR)]
        return self.row(parts)

    def _Subscripted(self, node: d.Subscripted) -> T:
        tight = isinstance(node.operand, (d.Tensor, d.Ones))
        body = self.show(node.operand) if tight else self.show(node.operand, ATOM)
        if isinstance(node.operand, f.Call):
            body = self.fenced(body, "[", "]")
        plain = all(_one_sign(part) for part in node.below)
        below: list[T] = []
        for part in node.below:
            below += [self.comma()] if below and not plain else []
            below.append(self.show(part))
        return self.subscripted(body, self.row(below))

    def _Tuple(self, node: d.Tuple_) -> T:
        return self._arguments(node.places)

    def _BigSum(self, node: d.BigSum) -> T:
        below: list[T] = []
        for letter in node.letters:
            below += [self.comma(), self.show(letter)] if below else [self.show(letter)]
        return self.row([self.summation(self.row(below)), self.show(node.operand, PRODUCT)])

    def _Ones(self, node: d.Ones) -> T:
        return self.constant("ones")

    def _Identity(self, node: d.Identity) -> T:
        return self.constant("identity")

    def _Bracketed(self, node: d.Bracketed) -> T:
        return self.fenced(self.show(node.operand))

    def _Norm(self, node: d.Norm) -> T:
        return self.fenced(self.show(node.operand), "‖", "‖")

    def _EntryPower(self, node: d.EntryPower) -> T:
        exponent = self.show(node.exponent)
        if isinstance(node.exponent, f.Sum):
            exponent = self.fenced(exponent)
        return self.power(self.show(node.base, ATOM), self.row([self.prefix("∘"), exponent]))

    def _Underbraced(self, node: d.Underbraced) -> T:
        return self.underbraced(self.show(node.operand, FACTOR), self._sizes(node.shape))

    def _Space(self, node: d.Space) -> T:
        reals = self.constant("reals")
        return self.power(reals, self._sizes(node.shape)) if node.shape else reals

    def _sizes(self, shape: Sequence[int]) -> T:
        parts: list[T] = []
        for size in shape:
            parts += [self.prefix("×")] if parts else []
            parts.append(self.digits(str(size)))
        return self.row(parts)

    def _Cross(self, node: d.Cross) -> T:
        return self._joined(node.factors, "×", PRODUCT)

    def _Quotient(self, node: f.Quotient) -> T:
        if not self.linear:
            return self.fraction(self.show(node.numerator), self.show(node.denominator))
        nested = isinstance(node.numerator, f.Quotient)
        above = self.show(node.numerator, FACTOR if nested else PRODUCT)
        return self.fraction(above, self.show(node.denominator, POWER))

    def _Power(self, node: f.Power) -> T:
        base, exponent = node.base, self.show(node.exponent)
        if isinstance(base, f.Call) and base.function in _POWERED and _counts(node.exponent):
            name = self.power(self.function(base.function), exponent)
            return self.applied(name, self._arguments(base.arguments))
        return self.power(self.show(base, ATOM), exponent)

    # --- functions ------------------------------------------------------------------------

    def _Call(self, node: f.Call) -> T:
        name, arguments = node.function, node.arguments
        if (instead := spelled_out(node)) is not None:
            return self.show(instead)
        if name in RELATIONS and len(arguments) == 2:
            return self._related(arguments, RELATIONS[name])
        if name in LOGIC and len(arguments) == 2:
            return self._logic(arguments, LOGIC[name])
        if name == "floor_mod" and len(arguments) == 2:
            return self._joined(arguments, "mod", FACTOR)
        if name == "where" and len(arguments) == 3:
            condition, yes, no = (self.show(argument) for argument in arguments)
            return self.cases(condition, yes, no)
        if len(arguments) == 1:
            special = self._special(name, arguments[0])
            if special is not None:
                return special
        return self.applied(self.function(name), self._arguments(arguments))

    def _related(self, sides: Sequence[f.Formula], sign: str) -> T:
        """a + b > c: only what compares or chooses itself needs brackets."""
        left, right = (self.show(s, PRODUCT if isinstance(s, f.Call) else SUM) for s in sides)
        return self.row([left, self.operator(sign), right])

    def _logic(self, arguments: Sequence[f.Formula], sign: str) -> T:
        """x > 0 ∧ y > 0: comparisons need no brackets, other conditions do."""
        parts: list[T] = []
        for node in arguments:
            compares = isinstance(node, f.Call) and node.function in RELATIONS
            parts += [self.operator(sign)] if parts else []
            parts.append(self.show(node, SUM if compares else PRODUCT))
        return self.row(parts)

    def _special(self, name: str, argument: f.Formula) -> T | None:
        """Functions of one argument with a notation of their own."""
        if name in _BRACKETS:
            return self.fenced(self.show(argument), *_BRACKETS[name])
        if name == "sqrt":
            return self.root(self.show(argument, ATOM if self.linear else SUM))
        if name == "logical_not":
            return self.row([self.prefix("¬"), self.show(argument, ATOM)])
        if name == "exp" and argument.size <= _SMALL and not _tall(argument):
            return self.power(self.constant("e"), self.show(argument))
        if name == "conj":
            return self.overlined(self.show(argument))
        return None

    def _arguments(self, arguments: Sequence[f.Formula]) -> T:
        parts: list[T] = []
        for argument in arguments:
            parts += [self.comma(), self.show(argument)] if parts else [self.show(argument)]
        return self.fenced(self.row(parts))

    # --- what only derivations have -------------------------------------------------------

    def _Differential(self, node: d.Differential) -> T:
        order = sum(times for _, times in node.wrt)
        below: list[T] = []
        for variable, times in node.wrt:
            shown = self.show(variable, ATOM if times > 1 else POWER)
            if times > 1:
                shown = self.power(shown, self.digits(str(times)))
            below += [self.gap()] if below and not self.linear else []
            below += [self.dee(node.partial, 1), *self._after_dee(variable), shown]
        above = [self.dee(node.partial, order)]
        if isinstance(node.target, (d.Tensor, f.Symbol, d.Subscripted)):
            above += [*self._after_dee(node.target), self.show(node.target)]
            body = self.fraction(self.row(above), self.row(below))
        else:
            operator = self.fraction(self.row(above), self.row(below))
            body = self.row([operator, self.gap(), self.show(node.target, POWER)])
        return body if node.equation is None else self.at_equation(body, node.equation)

    def _after_dee(self, variable: f.Formula) -> list[T]:
        """Room between d and a name of several letters."""
        variable = variable.operand if isinstance(variable, d.Subscripted) else variable
        named = isinstance(variable, (d.Tensor, f.Symbol))
        letter = named and spell(variable.name).core.letter  # type: ignore[attr-defined]
        return [] if letter or self.linear else [self.gap()]

    def _Transposed(self, node: d.Transposed) -> T:
        inner = node.operand
        if isinstance(inner, f.Power) and inner.exponent == f.number(-1):  # A⁻ᵀ
            sign = self.row([self.prefix("−"), self.constant("transpose")])
            return self.power(self.show(inner.base, ATOM), sign)
        return self.transposed(self.show(node.operand, ATOM))

    def _Matrix(self, node: d.Matrix) -> T:
        return self.matrix([self._matrix_row(node, i) for i in range(len(node.rows))])

    def _matrix_row(self, node: d.Matrix, i: int) -> list[T]:
        """Entries of a row; a row left out has vertical dots, and slanting ones on the way."""
        left_out = all(isinstance(entry, d.Ellipsis_) for entry in node.rows[i])
        shown = []
        for j, entry in enumerate(node.rows[i]):
            if not left_out or not isinstance(entry, d.Ellipsis_):
                shown.append(self.show(entry))
                continue
            column = all(isinstance(row[j], d.Ellipsis_) for row in node.rows if j < len(row))
            shown.append(self.ellipsis("d" if column and len(node.rows) > 1 else "v"))
        return shown

    def _Stack(self, node: d.Stack) -> T:
        parts: list[T] = []
        for part in node.slices:
            parts += [self.comma()] if parts else []
            parts.append(self.ellipsis("l") if isinstance(part, d.Ellipsis_) else self.show(part))
        return self.fenced(self.row(parts), "[", "]")

    # --- lines ----------------------------------------------------------------------------

    def chunks(self, node: f.Formula) -> list[T]:
        """`node` in pieces between which a line may break."""
        if isinstance(node, f.Sum):
            return self.terms(node)
        if isinstance(node, f.Product) and not unsigned(node)[0]:
            return self.factors(node)
        if isinstance(node, d.Cross):
            first, *others = node.factors
            return [
                self.show(first, PRODUCT),
                *(self.row([self.operator("×"), self.show(x, PRODUCT)]) for x in others),
            ]
        return [self.show(node)]


def function_row(name: str, notation: str) -> str | None:
    """What the table of functions says about `name` in "latex" or "text"."""
    row = FUNCTIONS.get(name)
    return getattr(row, notation) if row else None


def _signed_terms(node: f.Sum) -> Iterator[tuple[bool, f.Formula]]:
    """The terms with their signs (true: minus); sums inside sums are opened up."""
    for term in node.terms:
        if isinstance(term, f.Sum):
            yield from _signed_terms(term)
        else:
            yield unsigned(term)


def _one_sign(place: f.Formula) -> bool:
    """Whether a place is one letter or digit, which needs no comma: A₁₂."""
    if isinstance(place, f.Number):
        return place.value.denominator == 1 and 0 <= place.value < 10
    return isinstance(place, f.Symbol) and len(place.name.text) == 1


def _factors(node: f.Product) -> Iterator[f.Formula]:
    for factor in node.factors:
        if isinstance(factor, f.Product):
            yield from _factors(factor)
        else:
            yield factor


def _counts(exponent: f.Formula) -> bool:
    """Whether the exponent is 2, 3, …: sin⁻¹ would be read as the inverse."""
    whole = isinstance(exponent, f.Number) and exponent.value.denominator == 1
    return whole and exponent.value > 1  # type: ignore[attr-defined]


def _tall(node: f.Formula) -> bool:
    """Whether the formula is no sight in an exponent."""
    if isinstance(node, (d.Matrix, d.Stack, d.Differential)):
        return True
    if isinstance(node, f.Call) and node.function == "where":
        return True
    if isinstance(node, f.Quotient) and any(_has_quotient(part) for part in node.children):
        return True
    return any(_tall(child) for child in node.children)


def _has_quotient(node: f.Formula) -> bool:
    return isinstance(node, f.Quotient) or any(_has_quotient(part) for part in node.children)
