"""A closed form as a SymPy matrix expression, where the form is one of matrices and vectors.

Nothing is differentiated here: SymPy only gets what has been derived and checked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tapemagic import document as d
from tapemagic import formula as f
from tapemagic.functions import FUNCTIONS
from tapemagic.symbolic import to_sympy
from tapemagic.tensors import whole
from tapemagic.tensors.lettering import Lettering
from tapemagic.tensors.matrix_form import MatrixWriter, NotMatrix
from tapemagic.tensors.nodes import Leaf, Shape, Structure, postorder
from tapemagic.tensors.structures import entries
from tapemagic.tensors.sweep import TensorForm


def matrix_expression(form: TensorForm) -> Any:
    """The closed form in `MatrixSymbol`s (a vector is a column) and symbols; a scalar where it
    is one. None where there is no such form."""
    if form.closed is None:
        return None
    shapes = {n.name: n.shape for n in postorder([form.closed]) if isinstance(n, Leaf)}
    rows = {
        n.name
        for n in postorder([form.closed])
        if isinstance(n, Leaf) and n.rank == 1 and len(n.whole) > 1 and n.whole[-1] != 1
    }
    letters = Lettering(tuple(name.text for name in shapes))
    ranges = {
        letters.matrix(n): n
        for n in postorder([form.closed])
        if isinstance(n, Structure) and n.kind == "range"
    }
    try:
        return _Builder(shapes, rows, ranges).of(MatrixWriter(letters).write(form.closed))
    except (NotMatrix, KeyError, NotImplementedError):
        return None


class _Builder:
    """Formulas in matrix notation, read into SymPy."""

    def __init__(
        self, shapes: dict[f.Name, Shape], rows: set[f.Name], ranges: dict[f.Formula, Structure]
    ) -> None:
        import sympy

        self._sp, self._shapes, self._rows, self._ranges = sympy, shapes, rows, ranges

    def of(self, node: f.Formula) -> Any:
        handler: Callable[[Any], Any] | None = getattr(self, f"_{type(node).__name__}", None)
        if handler is None:
            if any(isinstance(part, (d.Tensor, f.Symbol)) for part in f.postorder([node])):
                raise NotImplementedError(type(node).__name__)
            return to_sympy(node)
        return handler(node)

    def _Tensor(self, node: d.Tensor) -> Any:
        if node in self._ranges:
            return self._sp.ImmutableMatrix([int(n) for n in entries(self._ranges[node])])
        shape, text = self._shapes[node.name], node.name.text
        if node.name.version:
            text += f"_{node.name.version}"
        if not shape:
            return self._sp.Symbol(text, real=True)
        if node.name in self._rows:
            return self._sp.MatrixSymbol(text, 1, shape[0])
        return self._sp.MatrixSymbol(text, shape[0], shape[1] if len(shape) > 1 else 1)

    def _Symbol(self, node: f.Symbol) -> Any:
        whole = self._Tensor(d.Tensor(node.name))
        if not self._shapes[node.name]:
            return whole
        return whole[(*node.index, 0)[:2]]

    def _Matrix(self, node: d.Matrix) -> Any:
        rows = [[self.of(entry) for entry in row] for row in node.rows]
        if any(self._is_matrix(entry) for row in rows for entry in row):
            raise NotImplementedError("blocks")
        return self._sp.ImmutableMatrix(rows)

    def _Ones(self, node: d.Ones) -> Any:
        return self._sp.OneMatrix(node.entries, 1)

    def _Identity(self, node: d.Identity) -> Any:
        return self._sp.Identity(node.entries)

    def _Bracketed(self, node: d.Bracketed) -> Any:
        return self._scalar(self.of(node.operand))

    def _Transposed(self, node: d.Transposed) -> Any:
        inner = self.of(node.operand)
        return inner.T if self._is_matrix(inner) else inner

    def _Sum(self, node: f.Sum) -> Any:
        terms = [self.of(term) for term in node.terms]
        shape = next((t.shape for t in terms if self._is_matrix(t)), None)
        if shape is None:
            return self._sp.Add(*terms)
        ones = self._sp.OneMatrix(*shape)
        return self._sp.MatAdd(*(t if self._is_matrix(t) else t * ones for t in terms))

    def _Product(self, node: f.Product) -> Any:
        found = self._sp.Integer(1)
        for factor in node.factors:
            part = self.of(factor)
            if self._is_matrix(part) and part.shape == (1, 1):
                part = self._scalar(part)
            found = found * part
        return self._scalar(found)

    def _Negative(self, node: f.Negative) -> Any:
        return -self.of(node.operand)

    def _Quotient(self, node: f.Quotient) -> Any:
        return self.of(node.numerator) / self._scalar(self.of(node.denominator))

    def _Power(self, node: f.Power) -> Any:
        base, exponent = self.of(node.base), to_sympy(node.exponent)
        if self._is_matrix(base) and exponent == -1:
            return self._sp.Inverse(base)
        return self._scalar(base) ** exponent

    def _EntryPower(self, node: d.EntryPower) -> Any:
        return self._sp.HadamardPower(self.of(node.base), to_sympy(node.exponent))

    def _Pointwise(self, node: d.Pointwise) -> Any:
        factors = [self.of(factor) for factor in node.factors]
        factors += [self._sp.HadamardPower(self.of(part), -1) for part in node.divisors]
        scalars = [x for x in factors if not self._is_matrix(x)]
        matrices = [x for x in factors if self._is_matrix(x)]
        whole = matrices[0] if len(matrices) == 1 else self._sp.HadamardProduct(*matrices)
        return self._sp.Mul(*scalars) * whole if scalars else whole

    def _Norm(self, node: d.Norm) -> Any:
        inner = self.of(node.operand)
        return self._sp.sqrt(self._sp.Trace(inner.T * inner))

    def _Call(self, node: f.Call) -> Any:
        parts = [self.of(argument) for argument in node.arguments]
        first = parts[0]
        special = getattr(self, f"_call_{node.function}", None)
        if special is not None:
            return special(*parts)
        if node.function in whole.FUNCTIONS:  # max of a row is no function of entries
            raise NotImplementedError(node.function)
        if len(parts) == 1 and self._is_matrix(first) and node.function in FUNCTIONS:
            function = FUNCTIONS[node.function].sympy
            x = self._sp.Dummy("x")
            return first.applyfunc(self._sp.Lambda(x, function(x)))
        if any(self._is_matrix(part) for part in parts):
            raise NotImplementedError(node.function)
        return FUNCTIONS[node.function].sympy(*parts)

    def _call_diag(self, matrix: Any) -> Any:
        if 1 in matrix.shape:
            return self._sp.DiagMatrix(matrix)
        raise NotImplementedError("the diagonal of a matrix")

    def _call_tr(self, matrix: Any) -> Any:
        return self._sp.Trace(matrix)

    def _call_det(self, matrix: Any) -> Any:
        return self._sp.Determinant(matrix)

    def _call_softmax(self, logits: Any) -> Any:
        sp = self._sp
        powers = logits.applyfunc(sp.exp)
        if logits.shape[1] == 1:
            total = sp.Trace(sp.OneMatrix(1, logits.shape[0]) * powers)
            return powers / total
        sums = powers * sp.OneMatrix(logits.shape[1], 1)
        return sp.DiagMatrix(sp.HadamardPower(sums, -1)) * powers

    def _is_matrix(self, value: Any) -> bool:
        return bool(getattr(value, "is_Matrix", False))

    def _scalar(self, value: Any) -> Any:
        """What has one row and one column is a number."""
        if self._is_matrix(value) and value.shape == (1, 1):
            return self._sp.Trace(value)
        return value
