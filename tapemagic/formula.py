"""Formulas as people write them: small immutable trees that keep the order they came in.

There are two ways to build one:

* the node classes (`Sum((a, b))`, `Product((a, b))` ...) keep exactly what they are given,
  so that the user's own lines are shown as they stand;
* `plus`, `times`, `power` and the operators `+ - * / **` tidy up as a person does while
  differentiating: numbers are folded, equal factors become powers, like terms are collected
  where the first of them stood. Nothing is reordered.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from functools import cache
from itertools import islice
from typing import ClassVar, Union

Scalar = Union["Formula", int, float, Fraction]


@dataclass(frozen=True)
class Name:
    """A name as Python has it; `version` counts its bindings from 0 (x, x₁, x₂ …).

    `apart`: the version is written above, where x₁ would be taken for something else.
    `plain`: x1 stays x1, for x₁ is an entry of the vector x.
    """

    text: str
    version: int = 0
    apart: bool = field(default=False, compare=False)
    plain: bool = field(default=False, compare=False)


@cache
def _compared(node: type) -> tuple[str, ...]:
    """The fields that make up a node."""
    return tuple(f.name for f in fields(node) if f.compare)


class Formula:
    """Base of all nodes: hashable, compared by structure. The operators tidy up."""

    size: int  # nodes in the tree
    free: frozenset[Symbol]  # its symbols
    _key: tuple[object, ...]
    _hash: int
    _children: ClassVar[tuple[str, ...]] = ()  # fields that hold one of them, or several

    def __post_init__(self) -> None:
        # Once a node, at birth, so that every later walk stays linear.
        parts = self.children
        self.__dict__["size"] = 1 + sum(part.size for part in parts)
        self.__dict__["free"] = frozenset().union(*(part.free for part in parts))
        key = tuple([getattr(self, name) for name in _compared(type(self))])  # type: ignore[arg-type]
        self.__dict__["_key"] = key
        self.__dict__["_hash"] = hash((type(self).__name__, key))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Formula) or type(self) is not type(other):
            return False
        if self._hash != other._hash or self._key != other._key:
            return False
        # Twins share one key from now on, so that comparing large twins again takes no time.
        other.__dict__["_key"] = self._key
        return True

    @property
    def children(self) -> tuple[Formula, ...]:
        """The formulas directly under this node, in order."""
        found: list[Formula] = []
        for name in self._children:
            part = self.__dict__[name]
            if isinstance(part, tuple):
                found += part
            else:
                found.append(part)
        return tuple(found)

    def rebuilt(self, children: tuple[Formula, ...]) -> Formula:
        """The same node over other children, nothing tidied."""
        if not self._children:
            return self
        left, parts = iter(children), {}
        for name in self._children:
            part = self.__dict__[name]
            several = isinstance(part, tuple)
            parts[name] = tuple(islice(left, len(part))) if several else next(left)
        return dataclasses.replace(self, **parts)  # type: ignore[type-var]

    def __add__(self, other: Scalar) -> Formula:
        return plus(self, other)

    def __radd__(self, other: Scalar) -> Formula:
        return plus(other, self)

    def __sub__(self, other: Scalar) -> Formula:
        return plus(self, times(-1, other))

    def __rsub__(self, other: Scalar) -> Formula:
        return plus(other, times(-1, self))

    def __mul__(self, other: Scalar) -> Formula:
        return times(self, other)

    def __rmul__(self, other: Scalar) -> Formula:
        return times(other, self)

    def __truediv__(self, other: Scalar) -> Formula:
        return times(self, power(other, -1))

    def __rtruediv__(self, other: Scalar) -> Formula:
        return times(other, power(self, -1))

    def __pow__(self, other: Scalar) -> Formula:
        return power(self, other)

    def __rpow__(self, other: Scalar) -> Formula:
        return power(other, self)

    def __neg__(self) -> Formula:
        return times(-1, self)


@dataclass(frozen=True, eq=False)
class Number(Formula):
    """A number, exact as written; `decimal` if people would write it 0.25 and not 1/4."""

    value: Fraction
    decimal: bool = field(default=False, compare=False)


@dataclass(frozen=True, eq=False)
class Value(Formula):
    """A measured number put in for a symbol: shown with the digits that its dtype has.

    `origin` is the formula that it is the value of, where that is known: elsewhere the formula
    has another value.
    """

    value: float | complex
    dtype: str = "float64"
    origin: Formula | None = field(default=None, compare=False)


@dataclass(frozen=True, eq=False)
class Constant(Formula):
    """A number with a name of its own: `pi`, `e`, `inf`, `nan`."""

    text: str


@dataclass(frozen=True, eq=False)
class Symbol(Formula):
    """A named scalar, or the entry `index` (from 0) of a named tensor."""

    name: Name
    index: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        self.__dict__["free"] = frozenset((self,))


@dataclass(frozen=True, eq=False)
class Sum(Formula):
    """terms[0] + terms[1] + …; a `Negative` term is written as a difference."""

    terms: tuple[Formula, ...]

    _children = ("terms",)


@dataclass(frozen=True, eq=False)
class Product(Formula):
    """factors[0] · factors[1] · …"""

    factors: tuple[Formula, ...]

    _children = ("factors",)


@dataclass(frozen=True, eq=False)
class Negative(Formula):
    """-operand"""

    operand: Formula

    _children = ("operand",)


@dataclass(frozen=True, eq=False)
class Quotient(Formula):
    """numerator / denominator"""

    numerator: Formula
    denominator: Formula

    _children = ("numerator", "denominator")


@dataclass(frozen=True, eq=False)
class Power(Formula):
    """base ** exponent"""

    base: Formula
    exponent: Formula

    _children = ("base", "exponent")


@dataclass(frozen=True, eq=False)
class Call(Formula):
    """function(*arguments), where `function` is a row of `functions.FUNCTIONS`."""

    function: str
    arguments: tuple[Formula, ...]

    _children = ("arguments",)


def number(value: int | float | Fraction, decimal: bool = False) -> Formula:
    """The formula of an exact number; inf and nan become constants."""
    if isinstance(value, float):
        if value != value:
            return Constant("nan")
        if value in (float("inf"), float("-inf")):
            return Constant("inf") if value > 0 else Negative(Constant("inf"))
        return Number(Fraction(repr(float(value))), value != int(value))
    return Number(Fraction(value), decimal)


def formula(value: Scalar) -> Formula:
    """`value` as a formula."""
    return value if isinstance(value, Formula) else number(value)


ZERO, ONE, MINUS_ONE = number(0), number(1), number(-1)
HALF = number(Fraction(1, 2))


def call(function: str, *arguments: Scalar) -> Formula:
    """function(*arguments) as a formula."""
    return Call(function, tuple(formula(argument) for argument in arguments))


# A monomial is a coefficient (with its way of writing) and factors base → exponent, in order.
_Factors = dict[Formula, Formula]
_MOST_BITS = 512  # of a number raised to a power and written out


def _signed(node: Formula) -> Number | None:
    """An exact number with its sign in it, however it was written."""
    if isinstance(node, Negative):
        inner = _signed(node.operand)
        return Number(-inner.value, inner.decimal) if inner else None
    return node if isinstance(node, Number) else None


def _whole(node: Formula) -> Fraction | None:
    exact = _signed(node)
    return exact.value if exact and exact.value.denominator == 1 else None


def _monomial(node: Formula) -> tuple[Number, _Factors]:
    """`node` as a coefficient and powers of bases, each base once, in order of appearance."""
    coefficient, factors = Number(Fraction(1)), {}  # type: tuple[Number, _Factors]
    pending: list[tuple[Formula, Fraction]] = [(node, Fraction(1))]
    while pending:
        part, exponent = pending.pop()  # the exponents here are whole
        if isinstance(part, Number) and _folds(part, exponent):
            folded = part.value ** int(exponent)
            coefficient = Number(coefficient.value * folded, coefficient.decimal or part.decimal)
        elif isinstance(part, (Negative, Product, Quotient)):
            pending += reversed(_opened(part, exponent))
        elif isinstance(part, Power):
            # (bᵖ)ⁿ = bᵖⁿ holds for whole n; b is opened up only under a whole exponent.
            inner = times(part.exponent, exponent)
            whole = _whole(inner)
            if whole is not None and abs(whole) <= 64:
                pending.append((part.base, whole))
            else:
                _raise_factor(factors, part.base, inner)
        elif _is_root_of_number(part):
            pending.append((Power(part.children[0], HALF), exponent))  # (√2)² = 2
        else:
            _raise_factor(factors, part, number(exponent))
    return _reopened(coefficient, factors)


def _is_root_of_number(node: Formula) -> bool:
    return (
        isinstance(node, Call) and node.function == "sqrt" and isinstance(node.children[0], Number)
    )


def _folds(node: Number, exponent: Fraction) -> bool:
    bits = max(node.value.numerator.bit_length(), node.value.denominator.bit_length())
    return bool(node.value or exponent > 0) and bits * abs(exponent) <= max(_MOST_BITS, bits)


def _opened(node: Formula, exponent: Fraction) -> list[tuple[Formula, Fraction]]:
    if isinstance(node, Negative):
        return [(number(-1), exponent), (node.operand, exponent)]
    if isinstance(node, Quotient):
        return [(node.numerator, exponent), (node.denominator, -exponent)]
    return [(factor, exponent) for factor in node.children]


def _reopened(coefficient: Number, factors: _Factors) -> tuple[Number, _Factors]:
    """The monomial once more if roots met and left a whole power: √2 · √2, (ab)^½ · (ab)^½."""
    for base, exponent in factors.items():
        whole = _whole(exponent)
        again = isinstance(base, Number) and whole is not None and _folds(base, whole)
        if again or (whole is not None and isinstance(base, (Negative, Product, Quotient, Power))):
            powers = (Power(base, exponent) for base, exponent in factors.items())
            return _monomial(Product((coefficient, *powers)))
    for base in [base for base in factors if isinstance(base, Number) and base.value > 0]:
        coefficient = _gathered(coefficient, factors, base)
    return coefficient, factors


def _gathered(coefficient: Number, factors: _Factors, base: Number) -> Number:
    """A root of 1/n as one of n, taken together with an n in the coefficient: (1/n)√n = 1/√n."""
    exponent = factors[base]
    if base.value.numerator == 1 and isinstance(exponent, Number):
        del factors[base]
        base, exponent = Number(Fraction(base.value.denominator)), Number(-exponent.value)
        _raise_factor(factors, base, exponent)
    exponent = factors.get(base, ZERO)
    if not isinstance(exponent, Number) or exponent.value.denominator == 1:
        return coefficient
    if exponent.value > 0 and coefficient.value.denominator % base.value == 0:
        _raise_factor(factors, base, MINUS_ONE)
        return Number(coefficient.value * base.value, coefficient.decimal)
    return coefficient


def _raise_factor(factors: _Factors, base: Formula, exponent: Formula) -> None:
    total = plus(factors[base], exponent) if base in factors else exponent
    if total == ZERO:
        factors.pop(base, None)
    else:
        factors[base] = _signed(total) or total


def _written(coefficient: Number, factors: _Factors) -> Formula:
    """The formula of a monomial: one fraction, the coefficient in front."""
    above, below = [], []
    for base, exponent in factors.items():
        if isinstance(exponent, Number) and exponent.value < 0:
            below.append(_power_node(base, Number(-exponent.value, exponent.decimal)))
        else:
            above.append(_power_node(base, exponent))
    size, sign = abs(coefficient.value), coefficient.value < 0
    if size.denominator == 1 or (coefficient.decimal and _terminates(size)):
        top, bottom = Number(size, coefficient.decimal), ONE  # type: tuple[Formula, Formula]
    else:
        top, bottom = number(size.numerator), number(size.denominator)
    body = _product([top, *above])
    if below or bottom != ONE:
        body = Quotient(body, _product([bottom, *below]))
        if not above and not below:
            body = Number(size)
    return Negative(body) if sign else body


def _terminates(value: Fraction) -> bool:
    """Whether the decimal expansion ends: 0.1 does, 0.1/3 is 1/30."""
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


def _power_node(base: Formula, exponent: Formula) -> Formula:
    if isinstance(base, Number) and exponent == HALF:
        return Call("sqrt", (base,))
    return base if exponent == ONE else Power(base, exponent)


def _product(factors: list[Formula]) -> Formula:
    kept = [factor for factor in factors if factor != ONE]
    if not kept:
        return ONE
    return kept[0] if len(kept) == 1 else Product(tuple(kept))


def times(*factors: Scalar) -> Formula:
    """The tidied product: numbers folded to the front, equal bases merged into powers."""
    parts = [formula(factor) for factor in factors]
    signed = [_signed(part) for part in parts]
    if all(part and _folds(part, Fraction(1)) for part in signed):  # the short way to the same
        value = math.prod(part.value for part in signed if part)
        decimal = any(part.decimal for part in signed if part)
        return _written(Number(Fraction(value), decimal), {}) if value else ZERO
    coefficient, merged = _monomial(Product(tuple(parts)))
    return ZERO if coefficient.value == 0 else _written(coefficient, merged)


def power(base: Scalar, exponent: Scalar) -> Formula:
    """The tidied power."""
    base, exponent = formula(base), formula(exponent)
    if exponent == ZERO or base == ONE:
        return ONE
    if exponent == ONE:
        return base
    whole = _whole(exponent)
    if whole is not None and abs(whole) <= 64:
        coefficient, factors = _monomial(Power(base, exponent))
        return _written(coefficient, factors) if coefficient.value else ZERO
    return Power(base, exponent)


def plus(*terms: Scalar) -> Formula:
    """The tidied sum: like terms collected at the place of the first."""
    parts = [formula(term) for term in terms]
    if len(parts) == 2 and ZERO in parts:  # the short way to the same, for numbers
        rest = parts[1] if parts[0] == ZERO else parts[0]
        if isinstance(rest, Number) and rest.value > 0:
            return _written(rest, {})
    collected: dict[frozenset[tuple[Formula, Formula]], tuple[Number, _Factors]] = {}
    pending = [(term, 1) for term in reversed(parts)]
    while pending:
        term, sign = pending.pop()
        if isinstance(term, Sum):
            pending += [(part, sign) for part in reversed(term.terms)]
        elif isinstance(term, Negative):
            pending.append((term.operand, -sign))
        else:
            coefficient, factors = _monomial(term)
            # xy and yx are like terms, written as the first of them was.
            key = frozenset(factors.items())
            old, first = collected.get(key, (Number(Fraction(0)), factors))
            total = old.value + sign * coefficient.value
            collected[key] = Number(total, old.decimal or coefficient.decimal), first
    kept = [_written(c, factors) for c, factors in collected.values() if c.value]
    if not kept:
        return ZERO
    return kept[0] if len(kept) == 1 else Sum(tuple(kept))


def postorder(
    roots: Iterable[Formula], wanted: Callable[[Formula], bool] = lambda node: True
) -> Iterator[Formula]:
    """Every distinct wanted node once, children first. No recursion: formulas may be deep."""
    seen: set[Formula] = set()
    pending = [(root, False) for root in reversed(list(roots))]
    while pending:
        node, ready = pending.pop()
        if ready:
            yield node
        elif node not in seen and wanted(node):
            seen.add(node)
            pending.append((node, True))
            pending += [(child, False) for child in reversed(node.children)]


def replace(node: Formula, leaves: Mapping[Formula, Formula]) -> Formula:
    """`node` with the given sub-formulas replaced, everything else as it was written."""
    done: dict[Formula, Formula] = dict(leaves)
    for part in postorder([node], lambda part: part not in leaves):
        new = tuple(done[child] for child in part.children)
        same = all(a is b for a, b in zip(new, part.children))
        done[part] = part if same else part.rebuilt(new)
    return done[node]


def tidied(node: Formula) -> Formula:
    """`node` rebuilt by the tidying operations."""
    done: dict[Formula, Formula] = {}
    for part in postorder([node]):
        children = tuple(done[child] for child in part.children)
        make = _TIDY.get(type(part))
        done[part] = make(*children) if make else _indicated(part.rebuilt(children))
    return done[node]


def chosen(condition: Formula, yes: Formula, no: Formula) -> Formula:
    """{yes if c else no}; {1 if c else 0} as [c]."""
    if yes == no:
        return yes
    if (yes, no) == (ONE, ZERO):
        return call("indicator", condition)
    if (yes, no) == (ZERO, ONE):
        return call("indicator", call("logical_not", condition))
    return call("where", condition, yes, no)


def _indicated(node: Formula) -> Formula:
    is_choice = isinstance(node, Call) and node.function == "where"
    return chosen(*node.children) if is_choice else node


_TIDY: dict[type, Callable[..., Formula]] = {
    Sum: plus,
    Product: times,
    Negative: lambda operand: times(-1, operand),
    Quotient: lambda above, below: times(above, power(below, -1)),
    Power: power,
}


def symbols(nodes: Iterable[Formula]) -> frozenset[Symbol]:
    """All symbols in `nodes`."""
    return frozenset().union(*(node.free for node in nodes))
