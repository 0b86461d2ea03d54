"""The shapes of the factors in a formula of matrices: each under its factor."""

from __future__ import annotations

from collections.abc import Mapping

from tapemagic import document as d
from tapemagic import formula as f

Pair = tuple[int, ...]  # rows and columns; () for a number
_SCALARS = {"tr", "det", "max", "min", "prod", "logsumexp"}


def with_shapes(node: f.Formula, shapes: Mapping[f.Name, Pair]) -> f.Formula | None:
    """A product with the shape of each matrix under it; None where there is nothing to show or
    one of them is not known. `shapes` are (rows, columns) of the named tensors."""
    if isinstance(node, f.Negative):
        inner = with_shapes(node.operand, shapes)
        return None if inner is None else f.Negative(inner)
    if not isinstance(node, f.Product):
        return None
    known = [shape_of(factor, shapes) for factor in node.factors]
    if any(shape is None for shape in known) or sum(1 for shape in known if shape) < 2:
        return None
    factors = [
        d.Underbraced(factor, shape) if shape else factor
        for factor, shape in zip(node.factors, known)
    ]
    return f.Product(tuple(factors))


def shape_of(node: f.Formula, shapes: Mapping[f.Name, Pair]) -> Pair | None:
    """Rows and columns of what a formula stands for; None where that is not known."""
    if isinstance(node, d.Tensor):
        return shapes.get(node.name)
    if isinstance(node, d.Differential):
        variable = node.wrt[-1][0]
        if isinstance(variable, f.Symbol):
            return ()
        plain = len(node.wrt) == 1 and node.wrt[0][1] == 1 and isinstance(variable, d.Tensor)
        return shapes.get(variable.name) if plain else None  # type: ignore[attr-defined]
    if isinstance(node, d.Ones):
        return node.entries, 1
    if isinstance(node, d.Identity):
        return node.entries, node.entries
    if isinstance(node, (d.Bracketed, d.Norm, f.Number, f.Constant, f.Symbol)):
        return ()
    if isinstance(node, d.Transposed):
        inner = shape_of(node.operand, shapes)
        return None if inner is None else inner[::-1]
    if isinstance(node, (d.Subscripted, d.Matrix)):
        return None
    if isinstance(node, f.Product):
        return _of_product([shape_of(factor, shapes) for factor in node.factors])
    if isinstance(node, f.Call):
        return _of_call(node, shapes)
    parts = [shape_of(child, shapes) for child in node.children]
    if any(part is None for part in parts):
        return None
    return next((part for part in parts if part), ())


def _of_product(parts: list[Pair | None]) -> Pair | None:
    if any(part is None for part in parts):
        return None
    matrices = [part for part in parts if part]
    if not matrices:
        return ()
    found = (matrices[0][0], matrices[-1][1])
    return () if found == (1, 1) else found


def _of_call(node: f.Call, shapes: Mapping[f.Name, Pair]) -> Pair | None:
    if node.function in _SCALARS and not isinstance(node, d.Column):
        return ()
    parts = [shape_of(argument, shapes) for argument in node.arguments]
    first = next((part for part in parts if part), ())
    if any(part is None for part in parts):
        return None
    if node.function == "diag" and first:
        return (first[0], 1) if isinstance(node, d.Column) else (first[0], first[0])
    if node.function in ("vec", "reshape", "CE", "topk", "sv", "eig"):
        return None
    return (first[0], 1) if first and isinstance(node, d.Column) else first
