"""Cells of tensors in a real shell: the tape's value always, a closed form that evaluates to it
in nine of ten derivatives and more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from cells import Shell, open_shell
from tensor_cells import TensorCell, cells

CELLS = list(cells())


@pytest.fixture(scope="module")
def shell() -> Iterator[Shell]:
    with open_shell() as shell:
        yield shell


def by_hand(cell: TensorCell) -> list[Any]:
    """What a tape says without us."""
    names: dict[str, Any] = {"tf": tf, "np": np}
    exec(cell.setup, names)
    wrt, *options = cell.line.split(" -")
    sources = [names[name.strip()] for name in wrt.split(",")]
    with tf.GradientTape(persistent=True) as outer, tf.GradientTape(persistent=True) as tape:
        for source in sources:
            outer.watch(source)
            tape.watch(source)
        exec(cell.body, names)
        target = names[cell.target]
        slopes = tape.gradient(target, sources)
    if options == ["J"]:
        return [tape.jacobian(target, source) for source in sources]
    if options == ["-hessian"]:
        return [outer.jacobian(slope, source) for slope, source in zip(slopes, sources)]
    return list(slopes)


def dense(value: Any) -> Any:
    return None if value is None else tf.convert_to_tensor(value).numpy().astype(np.float64)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_cell(shell: Shell, cell: TensorCell) -> None:
    shell.clean()
    shell.run(cell.setup).raise_error()
    shell.run(cell.cell).raise_error()
    truths = by_hand(cell)
    derivatives = list(shell.names["res"].values())[-len(truths) :]
    assert "✓ checked" in repr(shell.names["res"])
    for derivative, truth in zip(derivatives, truths, strict=True):
        value, wanted = dense(derivative.value), dense(truth)
        assert np.array_equal(value, wanted) or np.allclose(value, wanted, 1e-5, 1e-6)
        assert derivative.check.agrees is True, (derivative.key, derivative.check)
        closed = derivative.expression is not None or (
            derivative.tensor is not None and derivative.tensor.closed is not None
        )
        if closed:
            mine = np.asarray(derivative.evaluate()).reshape(wanted.shape)
            scale = max(1.0, float(np.max(np.abs(wanted), initial=0)))
            assert np.allclose(mine, wanted, 2e-4, 2e-5 * scale), derivative.key
        assert closed or "chain" in cell.flags, (derivative.key, derivative.reasons)


def test_nearly_all_have_a_closed_form() -> None:
    assert sum("chain" in cell.flags for cell in CELLS) <= 0.1 * len(CELLS)
