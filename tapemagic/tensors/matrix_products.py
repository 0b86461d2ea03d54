"""Products as they are written among matrices: the order kept, ∘ and ⊘, transposes, the sign in
front."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from tapemagic import document as d
from tapemagic.formula import (
    ONE,
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
    number,
    plus,
    times,
)
from tapemagic.functions import FUNCTIONS

MINUS = number(-1)
NAMES = {
    "cross_entropy": "CE",
    "log_softmax": "logsoftmax",
    "cholesky": "chol",
    "singular_values": "sv",
    "eigenvalues": "eig",
    "prod_with_zero": "prod",
}
LEGEND = {
    "expm": "expm(A) = I + A + A²/2! + ⋯, the exponential of a matrix",
    "L_exp": "L_exp(A, G) is the derivative of expm at A in the direction G",
    "pinv": "pinv(A) is the pseudoinverse of A",
    "rowmax": "rowmax: the largest entry of each row",
    "rowmin": "rowmin: the least entry of each row",
    "rowprod": "rowprod: the product of each row",
    "cumprod": "cumprod: the products of the first entries, of 1, 2, 3 … of them",
    "sv": "sv: the singular values, the largest first",
    "eig": "eig: the eigenvalues of a symmetric matrix, the least first",
    "topk": "topk: row k has its 1 at the k-th largest entry",
    "argmax": "argmax: the first place, if several entries are largest",
    "stop_gradient": "sg is stop_gradient: what stands in it counts as a constant",
}
"""What the names of functions stand for."""


LOGARITHMS: dict[str, Callable[[Formula], Formula]] = {
    "logdet": lambda determinant: Call("log", (determinant,)),
    "logabsdet": lambda determinant: Call("log", (Call("abs", (determinant,)),)),
}


def pointwise(parts: Sequence[Formula]) -> Formula:
    """Entry by entry; reciprocals stand behind ⊘."""
    if len(parts) == 1:
        return parts[0]
    above: list[Formula] = []
    below: list[Formula] = []
    for part in parts:
        if isinstance(part, d.Pointwise):
            above += part.factors
            below += part.divisors
        elif isinstance(part, d.EntryPower) and part.exponent == MINUS:
            below.append(part.base)
        else:
            above.append(part)
    return d.Pointwise(tuple(above) or (ONE,), tuple(below))


def transposed(node: Formula) -> Formula:
    """nodeᵀ, with (AB)ᵀ = BᵀAᵀ and (Aᵀ)ᵀ = A."""
    if isinstance(node, d.Transposed):
        return node.operand
    if isinstance(node, Power) and node.exponent == MINUS and transposed(node.base) == node.base:
        return node  # (A + Aᵀ)⁻ᵀ
    if isinstance(node, Product) and isinstance(node.factors[-1], d.Identity):
        return node  # a number times I
    if isinstance(node, Product):
        scalars = [f for f in node.factors if is_number(f)]
        others = [f for f in node.factors if f not in scalars]
        return Product((*scalars, *(transposed(f) for f in reversed(others))))
    if isinstance(node, Negative):
        return Negative(transposed(node.operand))
    if isinstance(node, d.Identity) or _is_diagonal(node) or is_number(node):
        return node
    if isinstance(node, Sum):
        turned = [transposed(term) for term in node.terms]
        if set(turned) == set(node.terms):  # (A + Aᵀ)ᵀ
            return node
    inside = _turned_inside(node)
    if inside is not None and _transposes(inside) < _transposes(node):
        return inside
    return d.Transposed(node)


def _turned_inside(node: Formula) -> Formula | None:
    """The transpose of what is computed entry by entry, by those of its parts: tanh(hᵀWᵀ)ᵀ is
    tanh(Wh)."""
    by_entries = isinstance(node, Call) and node.function in FUNCTIONS
    if isinstance(node, (Sum, d.Pointwise, d.EntryPower)) or by_entries:
        return node.rebuilt(tuple(map(transposed, node.children)))
    return None


def _transposes(node: Formula) -> int:
    return isinstance(node, d.Transposed) + sum(map(_transposes, node.children))


# Functions of vectors and matrices that have a number for a value.
_NUMBERS = {"tr", "det", "logsumexp", "max", "min", "prod"}


def is_number(node: Formula) -> bool:
    """Whether it is written as a number, which has no transpose: a, ‖x‖², det(A), (xᵀy)."""
    if isinstance(node, (Number, Constant, Value, Symbol, Quotient, d.Bracketed, d.Norm)):
        return True
    if isinstance(node, d.Differential):
        return all(isinstance(symbol, Symbol) for symbol, _ in node.wrt)
    if isinstance(node, d.Subscripted):  # e₁ and E_{1:2} are no entries
        return not isinstance(node.operand, (d.Tensor, d.Ones))
    if isinstance(node, d.Column):
        return False
    if isinstance(node, Call) and node.function in _NUMBERS:
        return True
    arithmetic = isinstance(node, (Power, Product, Sum, Negative)) or (
        isinstance(node, Call) and node.function in FUNCTIONS
    )
    return arithmetic and all(is_number(child) for child in node.children)


def _is_diagonal(node: Formula) -> bool:
    plain = isinstance(node, Call) and not isinstance(node, d.Column)
    return plain and node.function == "diag"  # type: ignore[attr-defined]


def product(parts: Sequence[Formula]) -> Formula:
    """One after the other, without ones. An identity stays: 2 I is not 2."""
    flat: list[Formula] = []
    for part in parts:
        flat += part.factors if isinstance(part, Product) else [part]
    kept = [part for part in flat if part != ONE]
    if not kept:
        return flat[-1] if flat else ONE
    return kept[0] if len(kept) == 1 else Product(tuple(kept))


def joined(parts: Sequence[Formula]) -> Formula:
    """The product of matrices (and a vector): an identity among them is left out."""
    flat = [f for part in parts for f in (part.factors if isinstance(part, Product) else [part])]
    kept: list[Formula] = []
    for part in flat:
        last = kept[-1] if kept else None
        if isinstance(part, Power) and isinstance(last, Power) and part.base == last.base:
            kept[-1] = Power(part.base, plus(last.exponent, part.exponent))  # A⁻¹A⁻¹ = A⁻²
        elif not isinstance(part, d.Identity):
            kept.append(part)
    return product(kept or parts[:1])


def signed(
    coefficient: Formula, above: Sequence[Formula], below: Sequence[Formula] = ()
) -> Formula:
    """coefficient · above / below, the sign in front."""
    negative = False
    if isinstance(coefficient, Negative):
        negative, coefficient = True, coefficient.operand
    elif isinstance(coefficient, Number) and coefficient.value < 0:
        negative, coefficient = True, Number(-coefficient.value, coefficient.decimal)
    if below:
        top, bottom = coefficient, list(below)
        if (
            isinstance(coefficient, Number)
            and coefficient.value.denominator != 1
            and not coefficient.decimal
        ):
            top, bottom = (
                number(coefficient.value.numerator),
                [
                    number(coefficient.value.denominator),
                    *below,
                ],
            )
        body: Formula = Quotient(product([top, *above]), product(bottom))
    else:
        body = product([coefficient, *above])
    return Negative(body) if negative else body


def diag(weights: Sequence[Formula]) -> Formula:
    """The diagonal matrix of weights that are multiplied entry by entry."""
    return Call("diag", (pointwise(weights),))


def trace(inner: Formula) -> Formula:
    """tr(inner)"""
    return Call("tr", (inner,))


def raised(shown: Formula, exponent: Formula) -> Formula:
    """A number to a power: roots and reciprocals written as such."""
    if exponent == number(ONE.value / 2):  # type: ignore[attr-defined]
        return _root(shown)
    if isinstance(exponent, Number) and exponent.value < 0:
        positive = number(-exponent.value)
        return Quotient(ONE, shown if positive == ONE else raised(shown, positive))
    if isinstance(shown, Power) and isinstance(shown.base, d.Norm):
        return Power(shown.base, times(shown.exponent, exponent))  # (‖x‖²)^{3/2} = ‖x‖³
    return Power(shown, exponent)


def added(terms: Sequence[Formula]) -> Formula:
    """The sum; what is negative does not begin it, if something else can. What reads the same, for
    the sake of a symmetry, is one term."""
    terms = [_repeated(term, count) for term, count in Counter(terms).items()]
    if len(terms) == 1:
        return terms[0]
    first = next((k for k, t in enumerate(terms) if not isinstance(t, Negative)), 0)
    return Sum((terms[first], *terms[:first], *terms[first + 1 :]))


def _repeated(term: Formula, count: int) -> Formula:
    if count == 1:
        return term
    negative = isinstance(term, Negative)
    body = term.operand if isinstance(term, Negative) else term
    factors = body.factors if isinstance(body, Product) else (body,)
    numbers = [f for f in factors[:1] if isinstance(f, Number)]
    return signed(times(-count if negative else count, *numbers), factors[len(numbers) :])


def _root(shown: Formula) -> Formula:
    """√(‖x‖²) is ‖x‖."""
    if isinstance(shown, Power) and isinstance(shown.base, d.Norm) and shown.exponent == number(2):
        return shown.base
    return Call("sqrt", (shown,))
