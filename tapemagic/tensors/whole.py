"""Functions of whole tensors: one row each gives its meaning, its pullback and its name.

A function acts on the last axes of its operands. Pullbacks are those of Giles, "Collected
Matrix Derivative Results for Forward and Reverse Mode Algorithmic Differentiation" (2008);
where calculus leaves a choice (ties of max) they follow TensorFlow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from tapemagic.equations import NotDerivable
from tapemagic.formula import ONE, call, number
from tapemagic.tensors.algebra import (
    Factor,
    Label,
    applied,
    contract,
    fresh,
    plus,
    rearranged,
    scaled,
    to_power,
)
from tapemagic.tensors.nodes import (
    PLACES,
    Array,
    Function,
    Node,
    Shape,
    Structure,
    identity,
)

Pullback = Callable[[Function, Node, int], "Sequence[Node | None]"]
MINUS = number(-1)


@dataclass(frozen=True)
class Row:
    """`numpy(*arrays, *parameters)` in float64. `pullback(node, cotangent, lead)` gives the
    cotangent of each operand (None: not differentiated by); the first `lead` axes of a
    cotangent belong to what is differentiated. `bare` functions are printed by their own name."""

    name: str
    rule: str
    numpy: Callable[..., Array]
    pullback: Pullback


def row(name: str) -> Row:
    """The row of that function."""
    return FUNCTIONS[name]


def make(name: str, shape: Shape, *operands: Node, parameters: tuple[Any, ...] = ()) -> Node:
    """The function applied."""
    return Function(shape, name, tuple(operands), parameters)


def inverse(matrix: Node) -> Node:
    """The inverse of the last two axes; of an inverse, the matrix itself."""
    if isinstance(matrix, Function) and matrix.function == "inverse":
        return matrix.operands[0]
    return make("inverse", matrix.shape, matrix)


def softmax(logits: Node) -> Node:
    """softmax over the last axis"""
    return make("softmax", logits.shape, logits)


def exponential(matrix: Node) -> Node:
    """I + A + A²/2! + …, of the last two axes."""
    return make("expm", matrix.shape, matrix)


def product(node: Node, count: int, has_zero: bool = False) -> Node:
    """The product over the last `count` axes."""
    shape = node.shape[: node.rank - count]
    return make("prod_with_zero" if has_zero else "prod", shape, node, parameters=(count,))


def _axes(g: Node, lead: int) -> tuple[list[Label], list[Label]]:
    """Labels of a cotangent: the leading ones, its own."""
    labels = fresh(g.rank)
    return labels[:lead], labels[lead:]


def _join(factors: Sequence[Factor], out: Sequence[Label], coefficient: Any = ONE) -> Node:
    return contract(factors, out, {}, coefficient)


def _inverse_back(node: Function, g: Node, lead: int) -> list[Node | None]:
    """−A⁻ᵀ ḡ A⁻ᵀ"""
    front, (*batch, p, q) = _axes(g, lead)
    i, j = fresh(2)
    factors = [(node, (*batch, p, i)), (g, (*front, *batch, p, q)), (node, (*batch, j, q))]
    return [_join(factors, (*front, *batch, i, j), MINUS)]


def _determinant_back(node: Function, g: Node, lead: int) -> list[Node | None]:
    """ḡ det A · A⁻ᵀ"""
    front, batch = _axes(g, lead)
    i, j = fresh(2)
    inverted = (inverse(node.operands[0]), (*batch, j, i))
    factors = [(g, (*front, *batch)), (node, batch), inverted]
    return [_join(factors, (*front, *batch, i, j))]


def _logdet_back(node: Function, g: Node, lead: int) -> list[Node | None]:
    """ḡ A⁻ᵀ"""
    front, batch = _axes(g, lead)
    i, j = fresh(2)
    factors = [(g, (*front, *batch)), (inverse(node.operands[0]), (*batch, j, i))]
    return [_join(factors, (*front, *batch, i, j))]


def _logdet(matrix: Array) -> Array:
    sign, size = np.linalg.slogdet(matrix)
    return np.asarray(np.where(sign < 0, np.nan, size))


def _cholesky_back(node: Function, g: Node, lead: int) -> list[Node | None]:
    """½(S + Sᵀ) with S = L⁻ᵀ Φ(Lᵀ ḡ) L⁻¹; Φ takes the lower triangle and half the diagonal."""
    front, (*batch, p, q) = _axes(g, lead)
    k, i, j = fresh(3)
    size = node.shape[-1]
    half = Structure((size, size), "triangle", (True, 0, True))
    back = inverse(node)
    factors: list[Factor] = [
        (back, (*batch, k, i)),
        (half, (k, q)),
        (node, (*batch, p, k)),
        (g, (*front, *batch, p, q)),
        (back, (*batch, q, j)),
    ]
    one = _join(factors, (*front, *batch, i, j))
    other = _join(factors, (*front, *batch, j, i))
    return [scaled(plus([one, other], one.shape), number(Fraction(1, 2)))]


def _turned(node: Node, ahead: Shape = ()) -> Node:
    """The transpose of the last two axes; the same for all of the axes `ahead`."""
    front, (*batch, i, j) = fresh(len(ahead)), fresh(node.rank)
    out = (*front, *batch, i, j)
    return contract([(node, (*batch, j, i))], out, dict(zip(front, ahead)))


def _exponential_back(node: Function, g: Node, lead: int) -> list[Node | None]:
    """The derivative of the exponential at Aᵀ in the direction ḡ"""
    return [make("L_exp", g.shape, _turned(node.operands[0], g.shape[:lead]), g)]


def _frechet_back(node: Function, g: Node, lead: int) -> list[Node | None]:
    """Linear in the direction; by the matrix it would be a second derivative."""
    matrix, _ = node.operands
    if not isinstance(matrix, Structure):
        return _not_derived(node, g, lead)
    return [None, make("L_exp", g.shape, _turned(matrix, g.shape[:lead]), g)]


def _pseudoinverse_back(node: Function, g: Node, lead: int) -> list[Node | None]:
    """−Pᵀ ḡ Pᵀ + (I − AP) ḡᵀ P Pᵀ + Pᵀ P ḡᵀ (I − PA), of Golub and Pereyra (1973)"""
    matrix = node.operands[0]
    front, (*batch, p, q) = _axes(g, lead)
    i, j, k = fresh(3)
    out = (*front, *batch, i, j)
    back = (g, (*front, *batch, p, q))

    def gap(one: Node, other: Node) -> Node:
        """I − one other"""
        size = one.shape[-2]
        ahead = dict(zip(batch, one.shape))
        eye = contract([(identity(size), (i, j))], (*batch, i, j), ahead)
        factors = [(one, (*batch, i, k)), (other, (*batch, k, j))]
        return plus([eye, _join(factors, (*batch, i, j), MINUS)], eye.shape)

    inner = [(node, (*batch, p, i)), back, (node, (*batch, j, q))]
    square = [(node, (*batch, p, k)), (node, (*batch, j, k))]
    left = [(gap(matrix, node), (*batch, i, q)), back, *square]
    square = [(node, (*batch, k, i)), (node, (*batch, k, q))]
    right = [*square, back, (gap(node, matrix), (*batch, p, j))]
    terms = [_join(inner, out, MINUS), _join(left, out), _join(right, out)]
    return [plus(terms, terms[0].shape)]


def _eigenvalues_back(node: Function, g: Node, lead: int) -> list[Node | None]:
    """V diag(ḡ) Vᵀ, folded onto the lower triangle, which alone is read"""
    matrix = node.operands[0]
    front, (*batch, k) = _axes(g, lead)
    i, j = fresh(2)
    size = matrix.shape[-1]
    vectors = make("eigenvectors", matrix.shape, matrix)
    half = Structure((size, size), "triangle", (True, 0, True))
    factors: list[Factor] = [
        (half, (i, j)),
        (vectors, (*batch, i, k)),
        (g, (*front, *batch, k)),
        (vectors, (*batch, j, k)),
    ]
    return [_join(factors, (*front, *batch, i, j), number(2))]


def _singular_values_back(node: Function, g: Node, lead: int) -> list[Node | None]:
    """U diag(ḡ) Vᵀ"""
    matrix = node.operands[0]
    front, (*batch, k) = _axes(g, lead)
    i, j = fresh(2)
    ahead, count = matrix.shape[:-2], node.shape[-1]
    left = make("left_singular_vectors", (*ahead, matrix.shape[-2], count), matrix)
    right = make("right_singular_vectors", (*ahead, matrix.shape[-1], count), matrix)
    factors: list[Factor] = [
        (left, (*batch, i, k)),
        (g, (*front, *batch, k)),
        (right, (*batch, j, k)),
    ]
    return [_join(factors, (*front, *batch, i, j))]


def decomposed(node: Function) -> Node:
    """The matrix by the vectors of which `node` is one part: U diag(σ) Vᵀ or V diag(λ) Vᵀ."""
    (matrix,) = node.operands
    *batch, i, j, k = fresh(matrix.rank + 1)
    if node.function == "eigenvectors":
        left: Node = node
        right, name = left, "eigenvalues"
    else:
        ahead, count = matrix.shape[:-2], min(matrix.shape[-2:])
        left = make("left_singular_vectors", (*ahead, matrix.shape[-2], count), matrix)
        right = make("right_singular_vectors", (*ahead, matrix.shape[-1], count), matrix)
        name = "singular_values"
    values = make(name, (*matrix.shape[:-2], min(matrix.shape[-2:])), matrix)
    factors = [(left, (*batch, i, k)), (values, (*batch, k)), (right, (*batch, j, k))]
    return _join(factors, (*batch, i, j))


def _left_singular(matrix: Array) -> Array:
    """The columns that belong to the singular values, largest first."""
    return np.asarray(np.linalg.svd(matrix, full_matrices=False)[0])


def _right_singular(matrix: Array) -> Array:
    """The columns that belong to the singular values, largest first."""
    return np.swapaxes(np.linalg.svd(matrix, full_matrices=False)[2], -1, -2)


def _softmax_back(node: Function, g: Node, lead: int) -> list[Node | None]:
    """p ∘ (ḡ − Σ ḡ p)"""
    front, (*batch, k) = _axes(g, lead)
    j = fresh(1)[0]
    out = (*front, *batch, k)
    first = _join([(node, (*batch, k)), (g, out)], out)
    factors = [(node, (*batch, k)), (g, (*front, *batch, j)), (node, (*batch, j))]
    return [plus([first, _join(factors, out, MINUS)], g.shape)]


def _log_softmax_back(node: Function, g: Node, lead: int) -> list[Node | None]:
    """ḡ − p Σ ḡ"""
    front, (*batch, k) = _axes(g, lead)
    j = fresh(1)[0]
    out = (*front, *batch, k)
    share = [(softmax(node.operands[0]), (*batch, k)), (g, (*front, *batch, j))]
    return [plus([g, _join(share, out, MINUS)], g.shape)]


def _logsumexp_back(node: Function, g: Node, lead: int) -> list[Node | None]:
    """ḡ softmax"""
    front, batch = _axes(g, lead)
    k = fresh(1)[0]
    factors = [(g, (*front, *batch)), (softmax(node.operands[0]), (*batch, k))]
    return [_join(factors, (*front, *batch, k))]


def _cross_entropy_back(node: Function, g: Node, lead: int) -> list[Node | None]:
    """ḡ (p − y), as TensorFlow has it (labels that sum to 1), and −ḡ ln p"""
    logits, labels = node.operands
    front, batch = _axes(g, lead)
    k = fresh(1)[0]
    gap = plus([softmax(logits), scaled(labels, MINUS)], logits.shape)
    logs = make("log_softmax", logits.shape, logits)
    out = (*front, *batch, k)
    return [
        _join([(g, (*front, *batch)), (gap, (*batch, k))], out),
        _join([(g, (*front, *batch)), (logs, (*batch, k))], out, MINUS),
    ]


def _extreme_back(node: Function, g: Node, lead: int) -> list[Node | None]:
    """ḡ where the entry is the extreme one, shared among ties"""
    operand, count = node.operands[0], node.parameters[0]
    front, batch = _axes(g, lead)
    own = fresh(count)
    if len(node.parameters) > 1:  # pooling: the first of them has it all
        chosen = first_largest(operand, count)
        factors = [(g, (*front, *batch)), (chosen, (*batch, *own))]
        return [_join(factors, (*front, *batch, *own))]
    spread = rearranged(node, batch, (*batch, *own), operand.shape)
    equal = call("indicator", call("equal", PLACES[0], PLACES[1]))
    chosen = applied(equal, [operand, spread], operand.shape)
    number_of = rearranged(chosen, (*batch, *own), batch, node.shape)
    share = to_power(number_of, MINUS), tuple(batch)
    factors = [(g, (*front, *batch)), (chosen, (*batch, *own)), share]
    return [_join(factors, (*front, *batch, *own))]


def first_largest(node: Node, count: int) -> Node:
    """1 at the first of the largest entries of the last `count` axes, 0 elsewhere."""
    return make("first_largest", node.shape, node, parameters=(count,))


def _first_largest(array: Array, count: int) -> Array:
    flat = array.reshape(*array.shape[: array.ndim - count], -1)
    found = np.argmax(flat, axis=-1)[..., None] == np.arange(flat.shape[-1])
    return np.asarray(found.reshape(array.shape), dtype=np.float64)


def _product_back(node: Function, g: Node, lead: int) -> list[Node | None]:
    """ḡ Π x / x"""
    operand, count = node.operands[0], node.parameters[0]
    front, batch = _axes(g, lead)
    own = fresh(count)
    reciprocal = to_power(operand, MINUS)
    factors = [(g, (*front, *batch)), (node, batch), (reciprocal, (*batch, *own))]
    return [_join(factors, (*front, *batch, *own))]


def _product_with_zero_back(node: Function, g: Node, lead: int) -> list[Node | None]:
    """ḡ Π of the others"""
    operand, count = node.operands[0], node.parameters[0]
    front, batch = _axes(g, lead)
    own = fresh(count)
    others = make("prod_of_others", operand.shape, operand, parameters=(count,))
    return [_join([(g, (*front, *batch)), (others, (*batch, *own))], (*front, *batch, *own))]


def _not_derived(node: Function, g: Node, lead: int) -> list[Node | None]:
    raise NotDerivable(f"the derivative of {row(node.function).rule} is not derived")


def _product_of_others(array: Array, count: int) -> Array:
    """[…, i] = Π of the entries but i."""
    flat = array.reshape(*array.shape[: array.ndim - count], -1)
    ahead, behind = np.ones_like(flat), np.ones_like(flat)
    ahead[..., 1:] = np.cumprod(flat[..., :-1], axis=-1)
    behind[..., :-1] = np.cumprod(flat[..., :0:-1], axis=-1)[..., ::-1]
    return np.asarray((ahead * behind).reshape(array.shape))


def _exponential(matrix: Array) -> Array:
    """By a Padé approximant of a part of the matrix, squared again and again (Higham, 2005)."""
    norm = float(np.max(np.sum(np.abs(matrix), axis=-2), initial=0.0))
    halvings = max(0, math.ceil(math.log2(norm / 5.4))) if 0 < norm < math.inf else 0
    part, eye = matrix / 2.0**halvings, np.eye(matrix.shape[-1])
    above = below = np.zeros_like(matrix)
    for k in range(13, -1, -1):
        weight = math.comb(13, k) / math.perm(26, k) * eye
        above, below = above @ part + weight, weight - below @ part
    found = np.linalg.solve(below, above)
    for _ in range(halvings):
        found = found @ found
    return np.asarray(found)


def _frechet(matrix: Array, direction: Array) -> Array:
    """The upper right block of exp of [[A, G], [0, A]]."""
    size = matrix.shape[-1]
    whole = np.block([[matrix, direction], [np.zeros_like(matrix), matrix]])
    return _exponential(whole)[..., :size, size:]


def _cross_entropy(logits: Array, labels: Array) -> Array:
    terms = np.where(labels == 0, 0.0, -labels * _log_softmax(logits))
    return np.asarray(np.sum(terms, axis=-1))


def _softmax(logits: Array) -> Array:
    powers = np.exp(logits - np.max(logits, axis=-1, keepdims=True))
    return np.asarray(powers / np.sum(powers, axis=-1, keepdims=True))


def _log_softmax(logits: Array) -> Array:
    shifted = logits - np.max(logits, axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True)))


def _logsumexp(array: Array) -> Array:
    top = np.max(array, axis=-1, keepdims=True)
    total = np.log(np.sum(np.exp(array - top), axis=-1, keepdims=True)) + top
    return np.asarray(total[..., 0])


def _places_of_largest(array: Array, count: int) -> Array:
    """[…, k, i] = 1 where entry i is the k-th largest of the last axis (ties: the first)."""
    order = np.argsort(-array, axis=-1, kind="stable")[..., :count]
    return np.asarray(order[..., None] == np.arange(array.shape[-1]), dtype=np.float64)


def _over_last(fold: Callable[..., Any]) -> Callable[..., Array]:
    return lambda array, count, first=False: np.asarray(fold(array, axis=tuple(range(-count, 0))))


FUNCTIONS: dict[str, Row] = {
    row.name: row
    for row in (
        Row("inverse", "inverse matrix rule", np.linalg.inv, _inverse_back),
        Row("det", "determinant rule", np.linalg.det, _determinant_back),
        Row("logdet", "log-determinant rule", _logdet, _logdet_back),
        Row("logabsdet", "log-determinant rule", lambda a: np.linalg.slogdet(a)[1], _logdet_back),
        Row("expm", "matrix exponential rule", _exponential, _exponential_back),
        Row("L_exp", "a derivative of the matrix exponential", _frechet, _frechet_back),
        Row("pinv", "pseudoinverse rule", np.linalg.pinv, _pseudoinverse_back),
        Row("cholesky", "Cholesky rule", np.linalg.cholesky, _cholesky_back),
        Row("eigenvalues", "eigenvalue rule", np.linalg.eigvalsh, _eigenvalues_back),
        Row("eigenvectors", "eigenvectors", lambda a: np.linalg.eigh(a)[1], _not_derived),
        Row(
            "singular_values",
            "singular value rule",
            lambda a: np.linalg.svd(a, compute_uv=False),
            _singular_values_back,
        ),
        Row("left_singular_vectors", "singular vectors", _left_singular, _not_derived),
        Row("right_singular_vectors", "singular vectors", _right_singular, _not_derived),
        Row("softmax", "softmax rule", _softmax, _softmax_back),
        Row("log_softmax", "log-softmax rule", _log_softmax, _log_softmax_back),
        Row("logsumexp", "log-sum-exp rule", _logsumexp, _logsumexp_back),
        Row("cross_entropy", "cross-entropy rule", _cross_entropy, _cross_entropy_back),
        Row("max", "maximum rule", _over_last(np.max), _extreme_back),
        Row("min", "minimum rule", _over_last(np.min), _extreme_back),
        Row("prod", "product rule", _over_last(np.prod), _product_back),
        Row("prod_with_zero", "product rule", _over_last(np.prod), _product_with_zero_back),
        Row("prod_of_others", "a product of all but one", _product_of_others, _not_derived),
        Row("topk", "choice of the largest", _places_of_largest, lambda node, g, lead: [None]),
        Row("first_largest", "choice of the largest", _first_largest, lambda node, g, lead: [None]),
    )
}
