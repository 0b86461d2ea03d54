"""Building tensors in a normal form: nested contractions opened, identities used up, like terms
collected, powers of the same entries merged. Every step holds for all values; none reorders.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any

from tapemagic.formula import (
    ONE,
    ZERO,
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
    number,
    power,
    times,
)
from tapemagic.formula import plus as total
from tapemagic.tensors.nodes import (
    PLACES,
    Contract,
    Function,
    Labels,
    Leaf,
    Map,
    Node,
    Plus,
    Reshape,
    Shape,
    Structure,
    constant,
    identity,
    postorder,
)

Label = Hashable
Factor = tuple[Node, Sequence[Label]]
_fresh = itertools.count()
HALF = number(Fraction(1, 2))
MINUS = times(-1)  # as a tidied product has it


def fresh(count: int) -> list[Label]:
    """Labels that are used nowhere else."""
    return [("fresh", next(_fresh)) for _ in range(count)]


# -- contractions -------------------------------------------------------------------------------


def contract(
    factors: Iterable[Factor],
    out: Sequence[Label],
    sizes: Mapping[Label, int],
    coefficient: Formula = ONE,
) -> Node:
    """coefficient · Σ factors over the labels that are not in `out`; `sizes` of the labels in
    `out` that no factor has."""
    given = [(node, tuple(labels)) for node, labels in factors]
    known = dict(sizes)
    for node, labels in given:
        known.update(zip(labels, node.shape))
    shape = tuple(known[label] for label in out)
    coefficient, opened = _opened(given, times(coefficient), known)
    summed = dict.fromkeys(k for _, labels in given for k in labels if k not in out)
    summed |= dict.fromkeys(k for _, labels in opened for k in labels if k not in out)
    opened, summed = _without_identities(opened, tuple(out), summed)
    merged = _merged(opened)
    settled = _units(merged)
    for label in summed:
        if not any(label in labels for _, labels in merged):
            coefficient = times(coefficient, known[label])
    if coefficient == ZERO or settled is None:
        return constant(ZERO, shape)
    merged = [f for f in merged if not (f[1] and f[1][0] in settled and f[1][0] in summed)]
    return _canonical(coefficient, merged, tuple(out), shape)


def with_factors(node: Contract, factors: Iterable[Factor]) -> Node:
    """The same product of other factors."""
    out = tuple(range(node.rank))
    return contract(factors, out, dict(enumerate(node.shape)), node.coefficient)


def merged_into(node: Contract, gone: Sequence[int], new: Node, labels: Sequence[Label]) -> Node:
    """The same product, where `new` stands for the factors at some places."""
    rest = [factor for k, factor in enumerate(node.factors) if k not in gone]
    return with_factors(node, [(new, labels), *rest])


def _times(one: Formula, other: Formula) -> Formula:
    if one == ONE or other == ONE:
        return other if one == ONE else one
    return times(one, other)


def _opened(
    given: Sequence[tuple[Node, tuple[Label, ...]]], coefficient: Formula, known: dict[Label, int]
) -> tuple[Formula, list[tuple[Node, tuple[Label, ...]]]]:
    """Contractions inside contractions: one product, their own sums under fresh labels."""
    found: list[tuple[Node, tuple[Label, ...]]] = []
    for node, labels in given:
        if isinstance(node, Plus):
            common, rest = _common(node)
            coefficient = _times(coefficient, common)
            found.append((rest, labels))
            continue
        if not isinstance(node, Contract):
            found.append((node, labels))
            continue
        coefficient = _times(coefficient, node.coefficient)
        inner = node.summed
        names: dict[int, Label] = dict(enumerate(labels))
        names.update(zip(inner, fresh(len(inner))))
        known.update({names[k]: size for k, size in node.sizes.items()})
        found += [(part, tuple(names[k] for k in own)) for part, own in node.factors]
    diagonals = [_diagonal_sum(node, labels) for node, labels in found]
    if any(diagonals):
        return _opened([new or old for new, old in zip(diagonals, found)], coefficient, known)
    return coefficient, found


def _diagonal_sum(node: Node, labels: tuple[Label, ...]) -> tuple[Node, tuple[Label, ...]] | None:
    """The diagonal of A + I, where δᵢᵢ is 1; None where there is no δ on it."""
    distinct = tuple(dict.fromkeys(labels))
    if not isinstance(node, Plus) or len(distinct) == len(labels):
        return None
    terms = [contract([(term, labels)], distinct, {}) for term in node.terms]
    found = plus(terms, terms[0].shape)
    return (found, distinct) if _deltas(found) < _deltas(node) else None


def _deltas(node: Node) -> int:
    """How often δ stands in it."""
    own = isinstance(node, Structure) and node.kind == "identity"
    return own + sum(_deltas(child) for child in node.children)


def _common(node: Plus) -> tuple[Formula, Node]:
    """The number that stands in front of every term."""
    parts = [unscaled(term) for term in node.terms]
    common = parts[0][0]
    if any(c != common for c, _ in parts):
        opposite = times(-1, common)
        if common == ONE or any(c not in (common, opposite) for c, _ in parts):
            return ONE, node
        common = common.operand if isinstance(common, Negative) else common  # the size comes out
    if common == ONE:
        return ONE, node
    rest = [part if c == common else scaled(part, number(-1)) for c, part in parts]
    return common, Plus(node.shape, tuple(rest))


def _without_identities(
    factors: Sequence[tuple[Node, tuple[Label, ...]]],
    out: tuple[Label, ...],
    summed: dict[Label, None],
) -> tuple[list[tuple[Node, tuple[Label, ...]]], dict[Label, None]]:
    """Σⱼ δᵢⱼ xⱼ = xᵢ"""
    kept = list(factors)
    while True:
        for place, (node, labels) in enumerate(kept):
            if not (isinstance(node, Structure) and node.kind == "identity"):
                continue
            first, second = labels
            if first != second and first in out and second in out:
                continue
            del kept[place]
            if first != second:
                gone, stays = (second, first) if second not in out else (first, second)
                kept = [(n, tuple(stays if k == gone else k for k in ls)) for n, ls in kept]
                summed.pop(gone, None)
            break
        else:
            return kept, summed


def _merged(
    factors: Sequence[tuple[Node, tuple[Label, ...]]],
) -> list[tuple[Node, tuple[Label, ...]]]:
    """x ∘ x = x², x ∘ x⁻¹ = 1, at the place of the first."""
    exponents: dict[tuple[Node, tuple[Label, ...]], Fraction] = {}
    for node, labels in factors:
        base, exponent = _as_power(node)
        if isinstance(base, Structure) and base.is_zero_one:
            exponents[(base, labels)] = Fraction(1)
        else:
            exponents[(base, labels)] = exponents.get((base, labels), Fraction(0)) + exponent
    return [
        (node if e == 1 else _power_of(node, e), labels)
        for (node, labels), e in exponents.items()
        if e
    ]


def _units(factors: Sequence[tuple[Node, tuple[Label, ...]]]) -> set[Label] | None:
    """The labels that a unit vector alone has: it sums to 1. None where two different ones meet:
    eᵢᵀeⱼ = 0."""
    found: dict[Label, Node] = {}
    for node, labels in factors:
        unit = isinstance(node, Structure) and node.kind == "unit"
        if unit and found.setdefault(labels[0], node) != node:
            return None
    uses = Counter(label for _, labels in factors for label in labels)
    return {label for label in found if uses[label] == 1}


def _as_power(node: Node) -> tuple[Node, Fraction]:
    if isinstance(node, Map) and isinstance(node.formula, Power):
        exponent = _exact(node.formula.exponent)
        if node.formula.base == PLACES[0] and exponent is not None:
            return node.operands[0][0], exponent
    return node, Fraction(1)


def _exact(node: Formula) -> Fraction | None:
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Negative) and isinstance(node.operand, Number):
        return -node.operand.value
    return None


def _power_of(base: Node, exponent: Fraction) -> Node:
    labels = tuple(range(base.rank))
    return Map(base.shape, Power(PLACES[0], number(exponent)), ((base, labels),))


def _canonical(
    coefficient: Formula,
    factors: Sequence[tuple[Node, tuple[Label, ...]]],
    out: tuple[Label, ...],
    shape: Shape,
) -> Node:
    names: dict[Label, int] = {label: i for i, label in enumerate(out)}
    found: list[tuple[Node, Labels]] = []
    for node, labels in factors:
        if _is_symmetric_inverse(node):  # A⁻ᵀ = A⁻¹: the axis that was named first stands first
            last = sorted(labels[-2:], key=lambda k: names.get(k, len(names)))
            labels = (*labels[:-2], *last)
        for label in labels:
            names.setdefault(label, len(names))
        found.append((node, tuple(names[k] for k in labels)))
    numbered = tuple(found)
    if len(numbered) == 1 and numbered[0][1] == tuple(range(len(shape))):
        only = numbered[0][0]
        if coefficient == ONE:
            return only
        if isinstance(only, Plus) and coefficient == MINUS:
            return plus([scaled(term, coefficient) for term in only.terms], shape)
    return Contract(shape, coefficient, numbered)


def _is_symmetric_inverse(node: Node) -> bool:
    return isinstance(node, Function) and node.function == "inverse" and _symmetric(node)


_MOST_SUMMED = 4  # labels whose orders are tried


@lru_cache(maxsize=4096)
def _symmetric(node: Node) -> bool:
    """Whether the last two axes may change places, whatever the values: AᵀA + I."""
    if isinstance(node, Structure):
        return node.kind == "identity"
    if isinstance(node, Function):
        return node.function == "inverse" and _symmetric(node.operands[0])
    if node.rank < 2 or not isinstance(node, (Contract, Map, Plus)):
        return False
    swap = {node.rank - 2: node.rank - 1, node.rank - 1: node.rank - 2}
    if isinstance(node, Plus):
        terms = [term for term in node.terms if not _symmetric(term)]
        return Counter(_renamed(t, {}) for t in terms) == Counter(_renamed(t, swap) for t in terms)
    summed = node.summed if isinstance(node, Contract) else ()
    orders = itertools.permutations(summed) if len(summed) <= _MOST_SUMMED else [summed]
    own = _renamed(node, {})
    return any(_renamed(node, swap | dict(zip(summed, order))) == own for order in orders)


def _renamed(node: Node, names: Mapping[int, int]) -> Hashable:
    """A product with other labels, the order of its factors aside."""
    if isinstance(node, Map):
        return node.formula, tuple(_placed(part, ls, names) for part, ls in node.operands)
    if not isinstance(node, Contract):
        node = Contract(node.shape, ONE, ((node, tuple(range(node.rank))),))
    factors = Counter(_placed(part, labels, names) for part, labels in node.factors)
    return node.coefficient, frozenset(factors.items())


def _placed(node: Node, labels: Labels, names: Mapping[int, int]) -> Hashable:
    found = [names.get(k, k) for k in labels]
    return node, tuple([*found[:-2], *sorted(found[-2:])] if _symmetric(node) else found)


def scaled(node: Node, coefficient: Formula) -> Node:
    """coefficient · node"""
    labels = tuple(range(node.rank))
    return contract([(node, labels)], labels, {}, coefficient)


def rearranged(node: Node, labels: Sequence[Label], out: Sequence[Label], shape: Shape) -> Node:
    """`node`, whose axes are `labels`, with the axes `out`: transposed, summed, broadcast."""
    return contract([(node, labels)], out, dict(zip(out, shape)))


def identity_over(labels: Sequence[Label], others: Sequence[Label], shape: Shape) -> list[Factor]:
    """δ between each label and its partner."""
    return [(identity(n), (a, b)) for a, b, n in zip(labels, others, shape)]


# -- sums ---------------------------------------------------------------------------------------


def plus(terms: Sequence[Node], shape: Shape) -> Node:
    """The sum, like terms collected at the place of the first."""
    collected: dict[Hashable, tuple[Node, Formula]] = {}
    for coefficient, term in _flat(terms, ONE):
        key = _unordered(term)
        first, known = collected.get(key, (term, ZERO))
        collected[key] = first, coefficient if known == ZERO else total(known, coefficient)
    kept = [t if c == ONE else scaled(t, c) for t, c in collected.values() if c != ZERO]
    if not kept:
        return constant(ZERO, shape)
    return kept[0] if len(kept) == 1 else Plus(shape, tuple(kept))


def _unordered(term: Node) -> Hashable:
    """What is equal for products of the same factors in another order."""
    if not isinstance(term, Contract) or len(term.factors) < 2:
        return term
    return term.coefficient, frozenset(Counter(term.factors).items())


def _flat(terms: Iterable[Node], sign: Formula) -> Iterable[tuple[Formula, Node]]:
    for term in terms:
        if isinstance(term, Plus):
            yield from _flat(term.terms, sign)
            continue
        coefficient, rest = unscaled(term)
        if isinstance(rest, Plus) and coefficient in (ONE, MINUS):
            yield from _flat(rest.terms, times(sign, coefficient))
        else:
            yield _times(sign, coefficient), rest


def unscaled(node: Node) -> tuple[Formula, Node]:
    """The coefficient in front, and what it multiplies."""
    if not isinstance(node, Contract):
        return ONE, node
    factors = node.factors
    if len(factors) == 1 and factors[0][1] == tuple(range(node.rank)):
        return node.coefficient, factors[0][0]
    return node.coefficient, Contract(node.shape, ONE, factors)


def is_zero(node: Node) -> bool:
    """Whether it is 0 whatever the values."""
    return isinstance(node, Contract) and node.coefficient == ZERO


# -- scalar functions of entries ----------------------------------------------------------------


def mapped(
    formula: Formula, operands: Sequence[Factor], out: Sequence[Label], shape: Shape
) -> Node:
    """`formula` of the operands' entries (in the place of `PLACES`), broadcast to `out`."""
    return _Mapping(operands, tuple(out), shape).of(formula)


class _Mapping:
    """Sums and products become tensors; what is left is a function of entries."""

    def __init__(self, operands: Sequence[Factor], out: tuple[Label, ...], shape: Shape) -> None:
        self._operands, self._out, self._shape = operands, out, shape
        self._sizes = dict(zip(out, shape))
        self._axes = tuple(range(len(out)))

    def of(self, formula: Formula) -> Node:
        if not formula.free:
            return constant(formula, self._shape)
        if isinstance(formula, Symbol):
            node, labels = self._operands[formula.name.version]
            return contract([(node, labels)], self._out, self._sizes)
        if isinstance(formula, Sum):
            return plus([self.of(term) for term in formula.terms], self._shape)
        if isinstance(formula, Negative):
            return scaled(self.of(formula.operand), number(-1))
        if isinstance(formula, Product):
            return self._product([self.of(factor) for factor in formula.factors])
        if isinstance(formula, Quotient):
            below = to_power(self.of(formula.denominator), number(-1))
            return self._product([self.of(formula.numerator), below])
        if isinstance(formula, Power):
            exponent = _constant(self.of(formula.exponent))
            if exponent is not None:
                return to_power(self.of(formula.base), exponent)
        if isinstance(formula, Call) and formula.function == "sqrt":
            return to_power(self.of(formula.arguments[0]), HALF)
        if isinstance(formula, Call) and formula.function == "div_no_nan":
            above, below = (self.of(argument) for argument in formula.arguments)
            divisor = _constant(below)
            if divisor is not None and divisor != ZERO:
                return self._product([above, to_power(below, number(-1))])
        return self._irreducible(formula)

    def _product(self, parts: Sequence[Node]) -> Node:
        return contract(
            [(part, self._axes) for part in parts], self._axes, dict(enumerate(self._shape))
        )

    def _irreducible(self, formula: Formula) -> Node:
        """A function of what its arguments are: the arguments become the operands."""
        parts: dict[Node, Symbol] = {}
        arguments = []
        for child in formula.children:
            node = self.of(child)
            value = _constant(node)
            if value is not None:
                arguments.append(value)
            else:
                arguments.append(parts.setdefault(node, PLACES[len(parts)]))
        return applied(formula.rebuilt(tuple(arguments)), list(parts), self._shape)


def _constant(node: Node) -> Formula | None:
    return node.coefficient if isinstance(node, Contract) and not node.factors else None


_CHOICE = Call("indicator", (PLACES[0],))
_AT_ZERO = dict.fromkeys(("exp", "cos", "cosh"), ONE) | dict.fromkeys(("sin", "tan", "sinh"), ZERO)


def applied(formula: Formula, operands: Sequence[Node], shape: Shape) -> Node:
    """`formula` entry by entry of operands of one shape; the axes that none of them really has
    are broadcast afterwards."""
    cores = [_unbroadcast(node) for node in operands]
    used = sorted({label for _, labels in cores for label in labels})
    places = {label: i for i, label in enumerate(used)}
    inner = tuple(shape[label] for label in used)
    if not formula.free:
        known = formula.children == (ZERO,) and isinstance(formula, Call)
        value = _AT_ZERO.get(formula.function) if known else None  # type: ignore[attr-defined]
        return constant(formula if value is None else value, shape)
    node: Node = Map(inner, formula, tuple((n, tuple(places[k] for k in ls)) for n, ls in cores))
    condition = cores[0][0]
    if formula == _CHOICE and isinstance(condition, Structure) and condition.is_zero_one:
        node = condition  # it has the ones and zeros itself
    return contract([(node, used)], tuple(range(len(shape))), dict(enumerate(shape)))


def _unbroadcast(node: Node) -> tuple[Node, Labels]:
    """The node without the axes along which it is constant, and the axes that it keeps."""
    every = tuple(range(node.rank))
    if not isinstance(node, Contract):
        return node, every
    used = tuple(k for k in every if any(k in labels for _, labels in node.factors))
    if used == every:
        return node, every
    sizes: dict[Label, int] = {k: node.shape[k] for k in used}
    return contract(node.factors, used, sizes, node.coefficient), used


def to_power(node: Node, exponent: Formula) -> Node:
    """nodeᵉˣᵖᵒⁿᵉⁿᵗ, entry by entry."""
    value = _exact(exponent)
    plain = _constant(node)
    if plain is not None:
        return constant(power(plain, exponent), node.shape)
    if value == 1:
        return node
    if value is None:
        return applied(Power(PLACES[0], exponent), [node], node.shape)
    if isinstance(node, Contract) and not node.summed and (value.denominator == 1 or _safe(node)):
        # (c x y)ⁿ = cⁿ xⁿ yⁿ
        factors = [(to_power(part, exponent), labels) for part, labels in node.factors]
        every = tuple(range(node.rank))
        return contract(
            factors, every, dict(enumerate(node.shape)), power(node.coefficient, exponent)
        )
    base, inner = _as_power(node)
    if inner != 1 and value.denominator == 1:
        merged = inner * value
        return base if merged == 1 else _power_of(base, merged)
    if isinstance(node, Contract):
        # A number in front of a sum comes out of a whole power, a positive one out of a root.
        c = node.coefficient
        if c not in (ONE, ZERO) and (value.denominator == 1 or _positive(c)):
            return contract(
                [(to_power(unscaled(node)[1], exponent), tuple(range(node.rank)))],
                tuple(range(node.rank)),
                {},
                power(c, exponent),
            )
        return applied(Power(PLACES[0], number(value)), [node], node.shape)
    return _power_of(node, value)


def _safe(node: Contract) -> bool:
    """Whether a root may be taken of the one factor and of the coefficient by itself."""
    return len(node.factors) == 1 and _positive(node.coefficient)


def _positive(value: Formula) -> bool:
    if isinstance(value, Quotient):
        return _positive(value.numerator) and _positive(value.denominator)
    return (isinstance(value, Number) and value.value > 0) or isinstance(value, Constant)


# -- rebuilding ---------------------------------------------------------------------------------


def rebuilt(node: Node, children: Sequence[Node]) -> Node:
    """The same operation on other children, in normal form."""
    if isinstance(node, Contract):
        return with_factors(node, [(c, labels) for c, (_, labels) in zip(children, node.factors)])
    if isinstance(node, Plus):
        return plus(children, node.shape)
    if isinstance(node, Map):
        operands = [(child, labels) for child, (_, labels) in zip(children, node.operands)]
        return mapped(node.formula, operands, tuple(range(node.rank)), node.shape)
    if isinstance(node, Reshape):
        return reshaped(children[0], node.shape)
    if isinstance(node, Function):
        return Function(node.shape, node.function, tuple(children), node.parameters)
    return node


def reshaped(node: Node, shape: Shape) -> Node:
    """The same entries in another shape."""
    while isinstance(node, Reshape):
        node = node.operand
    if node.shape == shape:
        return node
    value = _constant(node)
    if value is not None:
        return constant(value, shape)
    if isinstance(node, Contract) and node.coefficient != ONE:
        coefficient, rest = unscaled(node)
        return scaled(reshaped(rest, shape), coefficient)
    return Reshape(shape, node)


def replaced(node: Node, new: Mapping[Any, Node] | Callable[[Node], Node | None]) -> Node:
    """`node` with parts replaced (by others of the same shape), in normal form again."""
    look = new.get if isinstance(new, Mapping) else new
    done: dict[Node, Node] = {}
    for part in postorder([node]):
        other = look(part)
        if other is not None:
            done[part] = other
        elif part.children:
            children = [done[child] for child in part.children]
            same = all(a is b for a, b in zip(children, part.children))
            done[part] = part if same else rebuilt(part, children)
        else:
            done[part] = part
    return done[node]


__all__ = [
    "Factor",
    "Label",
    "Leaf",
    "applied",
    "contract",
    "fresh",
    "identity_over",
    "is_zero",
    "mapped",
    "plus",
    "rearranged",
    "rebuilt",
    "replaced",
    "reshaped",
    "scaled",
    "to_power",
    "unscaled",
]
