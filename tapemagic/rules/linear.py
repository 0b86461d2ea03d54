"""Rules of linear algebra: products of matrices, einsum, determinants, inverses, solving."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapemagic.formula import ZERO, Formula, Negative, Quotient, call
from tapemagic.rules.elementwise import difference
from tapemagic.rules.reductions import added, multiplied
from tapemagic.rules.rule import Array, Attributes, NotSymbolic, Row, alike, is_symbolic, text

_LARGEST = 3  # side of a matrix whose determinant a person would still write out


def _swap(array: Array) -> Array:
    return np.swapaxes(array, -1, -2)


def _product(a: Array, b: Array) -> Array:
    a, b = alike((a, b))
    if a.dtype != object:
        with np.errstate(all="ignore"):
            return np.asarray(np.matmul(a, b))
    rows, inner, columns = a.shape[-2], a.shape[-1], b.shape[-1]
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = np.broadcast_to(a, (*batch, rows, inner)), np.broadcast_to(b, (*batch, inner, columns))
    result = np.empty((*batch, rows, columns), dtype=object)
    for place in np.ndindex(result.shape):
        at, i, j = place[:-2], place[-2], place[-1]
        pairs = [(a[at][i, k], b[at][k, j]) for k in range(inner)]
        result[place] = added([multiplied(pair) for pair in pairs])
    return result


def _matmul(first: str, second: str) -> Callable[..., tuple[Array, ...]]:
    def applied(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
        a = _swap(inputs[0]) if attributes.get(first) else inputs[0]
        b = _swap(inputs[1]) if attributes.get(second) else inputs[1]
        return (_product(a, b),)

    return applied


def _einsum(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    equation = text(attributes["equation"]).replace(" ", "")
    arrays = alike(inputs)
    if not is_symbolic(*arrays):
        return (np.asarray(np.einsum(equation, *arrays)),)
    terms, result = _letters(equation, [array.ndim for array in arrays])
    sizes = {k: n for term, array in zip(terms, arrays) for k, n in zip(term, array.shape) if n > 1}
    inner = [k for k in dict.fromkeys("".join(terms)) if k not in result]
    output = np.empty([sizes.get(k, 1) for k in result], dtype=object)
    for outer in np.ndindex(output.shape):
        at = dict(zip(result, outer))
        parts = []
        for rest in np.ndindex(*(sizes.get(k, 1) for k in inner)):
            at.update(zip(inner, rest))
            parts.append(multiplied([_entry(x, term, at) for x, term in zip(arrays, terms)]))
        output[outer] = added(parts)
    return (output,)


def _entry(array: Array, letters: str, at: dict[str, int]) -> Formula:
    # A size of 1 under an ellipsis broadcasts.
    places = (at[k] if size > 1 else 0 for k, size in zip(letters, array.shape))
    return array[tuple(places)]  # type: ignore[no-any-return]


def _letters(equation: str, ranks: list[int]) -> tuple[list[str], str]:
    """The letters of each input and of the result; digits stand for an ellipsis' axes."""
    left, _, right = equation.partition("->")
    terms, widest = [], 0
    for term, rank in zip(left.split(","), ranks):
        missing = rank - len(term.replace("...", ""))
        widest = max(widest, missing)
        terms.append((term, missing))
    digits = "".join(chr(0x2460 + place) for place in range(widest))
    opened = [term.replace("...", digits[widest - missing :]) for term, missing in terms]
    if "->" not in equation:
        once = sorted(k for k in set(left) if k.isalpha() and left.count(k) == 1)
        right = ("..." if "..." in left else "") + "".join(once)
    return opened, right.replace("...", digits)


def _cross(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    a, b = alike(inputs)
    if a.dtype != object:
        return (np.cross(a, b),)
    result = np.empty(a.shape, dtype=object)
    for at in np.ndindex(a.shape[:-1]):
        x, y = a[at], b[at]
        for i, (j, k) in enumerate(((1, 2), (2, 0), (0, 1))):
            ahead, behind = multiplied((x[j], y[k])), multiplied((x[k], y[j]))
            result[at][i] = difference(ahead, behind)
    return (result,)


def _small(matrix: Array) -> None:
    if matrix.shape[-1] > _LARGEST:
        size = matrix.shape[-1]
        raise NotSymbolic(f"a determinant of {size} × {size} entries is too long to write out")


def determinant(matrix: Array) -> Formula:
    """By cofactors along the first row."""
    if matrix.shape[0] == 1:
        return matrix[0, 0]  # type: ignore[no-any-return]
    terms = []
    for column in range(len(matrix)):
        term = multiplied((matrix[0, column], determinant(_minor(matrix, 0, column))))
        terms.append(Negative(term) if column % 2 and term != ZERO else term)
    return added(terms)


def _minor(matrix: Array, row: int, column: int) -> Array:
    return np.delete(np.delete(matrix, row, 0), column, 1)


def _inverse(matrix: Array) -> Array:
    _small(matrix)
    whole, result = determinant(matrix), np.empty(matrix.shape, dtype=object)
    for i, j in np.ndindex(matrix.shape):
        if len(matrix) == 1:
            result[i, j] = Quotient(multiplied(()), whole)
        else:
            part = determinant(_minor(matrix, j, i))
            signed = Negative(part) if (i + j) % 2 else part
            result[i, j] = ZERO if part == ZERO else Quotient(signed, whole)
    return result


def _per_matrix(array: Array, build: Callable[[Array], Any], cell: tuple[int, ...]) -> Array:
    batch = array.shape[:-2]
    result = np.empty((*batch, *cell), dtype=object)
    for at in np.ndindex(batch):
        result[at] = build(array[at])
    return result


def _determinant_of(matrix: Array) -> Formula:
    _small(matrix)
    return determinant(matrix)


def _matrix_determinant(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    if inputs[0].dtype != object:
        return (np.asarray(np.linalg.det(inputs[0])),)
    return (_per_matrix(inputs[0], _determinant_of, ()),)


def _log_determinant(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    if inputs[0].dtype != object:
        sign, log = np.linalg.slogdet(inputs[0])
        return np.asarray(sign), np.asarray(log)
    wholes = _per_matrix(inputs[0], _determinant_of, ())
    signs, logs = np.empty_like(wholes), np.empty_like(wholes)
    for at in np.ndindex(wholes.shape):
        whole: Any = wholes[at]
        signs[at], logs[at] = call("sign", whole), call("log", call("abs", whole))
    return signs, logs


def _inverted(array: Array) -> Array:
    if array.dtype != object:
        return np.asarray(np.linalg.inv(array))
    return _per_matrix(array, _inverse, array.shape[-2:])


def _matrix_inverse(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    return (_inverted(_swap(inputs[0]) if attributes.get("adjoint") else inputs[0]),)


def _matrix_solve(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    matrix = _swap(inputs[0]) if attributes.get("adjoint") else inputs[0]
    if not is_symbolic(*inputs):
        return (np.asarray(np.linalg.solve(matrix, inputs[1])),)
    if not is_symbolic(matrix):
        matrix = np.linalg.inv(matrix)
        return (_product(matrix, inputs[1]),)
    return (_product(_inverted(matrix), inputs[1]),)


def _triangular_solve(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    matrix, right = inputs
    lower = attributes.get("lower", True)
    if not is_symbolic(matrix):
        triangle = np.tri(matrix.shape[-1], dtype=bool)
        kept = np.where(triangle if lower else triangle.T, matrix, 0)
        return _matrix_solve((kept, right), attributes)
    if attributes.get("adjoint"):
        matrix, lower = _swap(matrix), not lower
    _small(matrix)
    (right,) = alike((right, matrix))[:1]
    batch = np.broadcast_shapes(matrix.shape[:-2], right.shape[:-2])
    matrix = np.broadcast_to(matrix, (*batch, *matrix.shape[-2:]))
    right = np.broadcast_to(right, (*batch, *right.shape[-2:]))
    result = np.empty(right.shape, dtype=object)
    for at in np.ndindex(batch):
        for column in range(right.shape[-1]):
            result[at][:, column] = _substituted(matrix[at], right[at][:, column], lower)
    return (result,)


def _substituted(matrix: Array, right: Array, lower: bool) -> Array:
    """x₁ = b₁/A₁₁, x₂ = (b₂ − A₂₁x₁)/A₂₂ …, or from the last one up."""
    size = len(matrix)
    result = np.empty(size, dtype=object)
    rows = list(range(size)) if lower else list(range(size))[::-1]
    for place, i in enumerate(rows):
        known = [multiplied((matrix[i, j], result[j])) for j in rows[:place]]
        rest = added([right[i], *(Negative(term) for term in known if term != ZERO)])
        result[i] = ZERO if rest == ZERO else Quotient(rest, matrix[i, i])
    return result


def _cholesky(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    if inputs[0].dtype == object:
        # It reads the lower triangle; TensorFlow's slopes are those of a symmetric matrix.
        raise NotSymbolic("Cholesky's root of a matrix that is taken as symmetric")
    return (np.asarray(np.linalg.cholesky(inputs[0])),)


# fmt: off
ROWS = (
    Row("MatMul",                "matrix product",      _matmul("transpose_a", "transpose_b")),
    Row("BatchMatMul",           "matrix product",      _matmul("adj_x", "adj_y")),
    Row("BatchMatMulV2",         "matrix product",      _matmul("adj_x", "adj_y")),
    Row("BatchMatMulV3",         "matrix product",      _matmul("adj_x", "adj_y")),
    Row("Einsum",                "sum of products",     _einsum),
    Row("Cross",                 "cross product",       _cross),
    Row("MatrixDeterminant",     "determinant",         _matrix_determinant),
    Row("LogMatrixDeterminant",  "determinant",         _log_determinant),
    Row("MatrixInverse",         "inverse matrix",      _matrix_inverse),
    Row("MatrixSolve",           "linear equations",    _matrix_solve),
    Row("MatrixTriangularSolve", "linear equations",    _triangular_solve),
    Row("Cholesky",              "Cholesky's root",     _cholesky),
)
# fmt: on
