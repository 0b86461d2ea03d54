"""Linear algebra beyond products: inverses, determinants, solvers, eigenvalues.

A matrix of one row and column is a number here, for axes of one entry are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from tapemagic.formula import call, number
from tapemagic.tensors import whole
from tapemagic.tensors.algebra import Factor, Label, applied, contract, plus, rearranged, to_power
from tapemagic.tensors.nodes import PLACES, Function, Node, Structure, core, identity
from tapemagic.tensors.operand import Context, NotLiftable, Operand, Rule
from tapemagic.tensors.structures import given

MINUS, HALF = number(-1), number(Fraction(1, 2))


def batch_labels(operand: Operand, rank: int, core_axes: int = 2) -> list[Label]:
    """Labels of the batch axes of an operand among those of a result of that rank."""
    count = len(operand.shape) - core_axes
    return list(range(rank - core_axes - count, rank - core_axes))


def factor(operand: Operand, labels: Sequence[Label]) -> Factor:
    """The operand with a label for each of its axes, those of one entry left out."""
    return operand.node, tuple(labels[axis] for axis in operand.axes)


def _made(factors: Sequence[Factor], labels: Sequence[Label], shape: Sequence[int]) -> Node:
    sizes = {label: size for label, size in zip(labels, shape) if size != 1}
    return contract(factors, tuple(sizes), sizes)


# -- inverses -----------------------------------------------------------------------------------


def _inverse(context: Context) -> Sequence[Node]:
    return (_inverted(context.inputs[0], bool(context.attributes.get("adjoint"))),)


def _inverted(operand: Operand, adjoint: bool = False) -> Node:
    if operand.shape[-1] == 1:
        return to_power(operand.node, MINUS)
    node = whole.inverse(operand.node)
    rank = node.rank
    turned = (*range(rank - 2), rank - 1, rank - 2)
    return rearranged(node, turned, range(rank), node.shape) if adjoint else node


def _solve(context: Context) -> Sequence[Node]:
    matrix, right = context.inputs
    inverted = _inverted(matrix, bool(context.attributes.get("adjoint")))
    return (_solved(context, matrix, inverted, right),)


def _triangular_solve(context: Context) -> Sequence[Node]:
    matrix, right = context.inputs
    lower = bool(context.attributes.get("lower", True))
    node, rank = matrix.node, matrix.node.rank
    root = isinstance(node, Function) and node.function == "cholesky" and lower
    if matrix.shape[-1] > 1 and not root:
        size = matrix.shape[-1]
        mask = Structure((size, size), "triangle", (lower, 0, False))
        axes = tuple(range(rank))
        node = contract([(mask, axes[-2:]), (node, axes)], axes, {})
    part = Operand(matrix.shape, lambda: node)
    inverted = _inverted(part, bool(context.attributes.get("adjoint")))
    return (_solved(context, matrix, inverted, right),)


def _solved(context: Context, matrix: Operand, inverted: Node, right: Operand) -> Node:
    rank = len(context.output)
    left = Operand(matrix.shape, lambda: inverted)
    labels = [*range(rank - 2), "row", "column"]
    factors = [
        factor(left, [*batch_labels(matrix, rank), "row", "inner"]),
        factor(right, [*batch_labels(right, rank), "inner", "column"]),
    ]
    return _made(factors, labels, context.output)


def _least_squares(context: Context) -> Sequence[Node]:
    """(AᵀA + λI)⁻¹ Aᵀ B, or Aᵀ (A Aᵀ + λI)⁻¹ B where A is wide."""
    matrix, right, regular = context.inputs
    if not context.attributes.get("fast", True):
        raise NotLiftable("least squares by an orthogonal decomposition")
    rows, columns = matrix.shape[-2:]
    rank = len(context.output)
    batch = list(range(rank - 2))
    tall = rows >= columns
    size = min(rows, columns)
    first, second = (
        ([*batch, "inner", "p"], [*batch, "inner", "q"])
        if tall
        else ([*batch, "p", "inner"], [*batch, "q", "inner"])
    )
    shape = (*matrix.shape[:-2], size, size)
    gram = _made([factor(matrix, first), factor(matrix, second)], [*batch, "p", "q"], shape)
    eye: list[Factor] = [(identity(size), ("p", "q"))] if size > 1 else []
    ridge = _made([(regular.node, ()), *eye], [*batch, "p", "q"], shape)
    normal = plus([gram, ridge], gram.shape)
    inverted = Operand(shape, lambda: _inverted(Operand(shape, lambda: normal)))
    if tall:
        left = [factor(inverted, [*batch, "n", "q"]), factor(matrix, [*batch, "m", "q"])]
    else:
        left = [factor(matrix, [*batch, "q", "n"]), factor(inverted, [*batch, "q", "m"])]
    factors = [*left, factor(right, [*batch, "m", "column"])]
    return (_made(factors, [*batch, "n", "column"], context.output),)


def _beside(size: int, shift: int) -> Node:
    """Ones on the diagonal, or on the one above or below it."""
    if not shift:
        return identity(size)
    return given(np.eye(size, k=shift), "above" if shift > 0 else "below")


def _tridiagonal(operand: Operand) -> Operand:
    """The matrix of three packed diagonals, (…, 3, size): above, main, below."""
    size = operand.shape[-1]
    if size == 1:
        raise NotLiftable("a matrix of one row")
    batch = list(range(len(operand.shape) - 2))
    terms = []
    shape = (*operand.shape[:-2], size, size)
    for row, shift in ((0, 1), (1, 0), (2, -1)):
        pick = Structure((3,), "unit", (row,)), ("band",)
        put = _beside(size, shift)
        factors = [factor(operand, [*batch, "band", "i"]), pick, (put, ("i", "j"))]
        terms.append(_made(factors, [*batch, "i", "j"], shape))
    return Operand(shape, lambda: plus(terms, core(shape)))


def _tridiagonal_solve(context: Context) -> Sequence[Node]:
    diagonals, right = context.inputs
    matrix = _tridiagonal(diagonals)
    return (_solved(context, matrix, _inverted(matrix), right),)


def _tridiagonal_product(context: Context) -> Sequence[Node]:
    above, main, below, right = context.inputs
    size = right.shape[-2]
    if size == 1:
        raise NotLiftable("a matrix of one row")
    batch = list(range(len(right.shape) - 2))
    terms = []
    for diagonal, shift in ((above, 1), (main, 0), (below, -1)):
        put = _beside(size, shift)
        factors = [
            factor(diagonal, [*batch, "one", "i"]),
            (put, ("i", "j")),
            factor(right, [*batch, "j", "column"]),
        ]
        terms.append(_made(factors, [*batch, "i", "column"], context.output))
    return (plus(terms, core(context.output)),)


# -- functions of a matrix ----------------------------------------------------------------------


def _determinant(context: Context) -> Sequence[Node]:
    (operand,) = context.inputs
    if operand.shape[-1] == 1:
        return (operand.node,)
    return (whole.make("det", core(operand.shape[:-2]), operand.node),)


def _log_determinant(context: Context) -> Sequence[Node | None]:
    (operand,) = context.inputs
    shape = core(operand.shape[:-2])
    if operand.shape[-1] == 1:
        return (None, applied(call("log", call("abs", PLACES[0])), [operand.node], shape))
    return (None, whole.make("logabsdet", shape, operand.node))


def _exponential(context: Context) -> Sequence[Node]:
    (operand,) = context.inputs
    if operand.shape[-1] == 1:
        return (applied(call("exp", PLACES[0]), [operand.node], core(operand.shape)),)
    return (whole.make("expm", core(operand.shape), operand.node),)


def _pseudoinverse(context: Context) -> Sequence[Node]:
    (operand,) = context.inputs
    if 1 in operand.shape[-2:]:  # aᵀ/‖a‖²
        axes = list(operand.axes)
        batch = [axis for axis in axes if axis < len(operand.shape) - 2]
        total = contract([(to_power(operand.node, number(2)), axes)], batch, {})
        factors = [(operand.node, axes), (to_power(total, MINUS), batch)]
        return (contract(factors, axes, {}),)
    least = 10.0 * max(operand.shape[-2:]) * np.finfo(str(context.attributes["dtype"])).eps
    return (whole.make("pinv", core(context.output), operand.node, parameters=(float(least),)),)


def _cholesky(context: Context) -> Sequence[Node]:
    (operand,) = context.inputs
    if operand.shape[-1] == 1:
        return (to_power(operand.node, HALF),)
    return (whole.make("cholesky", core(operand.shape), operand.node),)


def _eigenvalues(context: Context) -> Sequence[Node | None]:
    """Those of a symmetric matrix; the vectors have no sign of their own."""
    (operand,) = context.inputs
    shape = core(operand.shape[:-1])
    if operand.shape[-1] == 1:
        return (operand.node, None)
    return (whole.make("eigenvalues", shape, operand.node), None)


def _singular_values(context: Context) -> Sequence[Node | None]:
    (operand,) = context.inputs
    shape = core(context.outputs[0])
    if 1 in operand.shape[-2:]:
        axes = list(operand.axes)
        out = [axis for axis in axes if axis < len(operand.shape) - 2]
        total = contract([(to_power(operand.node, number(2)), axes)], out, {})
        return (to_power(total, HALF), None, None)
    return (whole.make("singular_values", shape, operand.node), None, None)


def _cross(context: Context) -> Sequence[Node]:
    one, other = context.inputs
    signs = np.zeros((3, 3, 3))
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        signs[i, j, k], signs[i, k, j] = 1, -1
    batch = list(range(len(context.output) - 1))
    factors = [
        (given(signs, "ε"), ("i", "j", "k")),
        factor(one, [*batch, "j"]),
        factor(other, [*batch, "k"]),
    ]
    return (_made(factors, [*batch, "i"], context.output),)


ROWS: dict[str, Rule] = {
    "MatrixInverse": _inverse,
    "MatrixSolve": _solve,
    "MatrixTriangularSolve": _triangular_solve,
    "MatrixSolveLs": _least_squares,
    "TridiagonalSolve": _tridiagonal_solve,
    "TridiagonalMatMul": _tridiagonal_product,
    "MatrixDeterminant": _determinant,
    "LogMatrixDeterminant": _log_determinant,
    "Cholesky": _cholesky,
    "expm": _exponential,  # these two are functions of TensorFlow's, made of many ops
    "pinv": _pseudoinverse,
    "SelfAdjointEigV2": _eigenvalues,
    "Svd": _singular_values,
    "Cross": _cross,
}
