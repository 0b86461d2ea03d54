"""A closed form as a SymPy matrix expression, where the form is one of matrices and vectors."""

from __future__ import annotations

from typing import Any

from tapemagic.tensors.sweep import TensorForm


def matrix_expression(form: TensorForm) -> Any:
    """The closed form in `MatrixSymbol`s (a vector is a column), a scalar expression for a
    scalar; None where it has none."""
    return None
