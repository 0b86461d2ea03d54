"""Closed forms in whole tensors, against NumPy twins and the tape, at points and in sizes that
were not recorded; their LaTeX is what a textbook prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import sympy
import tensorflow as tf
from cells import Shell, open_shell
from textbook import PUBLISHED, ROWS, SIZES, Row

OTHER = ({"n": 4, "m": 5, "k": 6, "h": 3}, {"n": 7, "m": 2, "k": 5, "h": 4})
MAKERS = """
def normal(*shape):
    return tf.random.normal(shape)
def definite(n):
    A = tf.random.normal((n, n))
    return A@tf.transpose(A) + n*tf.eye(n)
def zero_one(n):
    return tf.cast(tf.random.normal((n,)) > 0, tf.float32)
def one_hot(n, k):
    return tf.one_hot(tf.random.uniform((n,), 0, k, tf.int32), k)
"""


@pytest.fixture(scope="module")
def shell() -> Iterator[Shell]:
    with open_shell() as made:
        made.run(MAKERS).raise_error()
        yield made


def twin(text: str, known: dict[str, Any]) -> Any:
    """The NumPy twin's value; `known` has the arrays by name."""
    a = {name: np.asarray(value) for name, value in known.items()}

    def softmax(z: Any) -> Any:
        e = np.exp(z - z.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    def sigma(z: Any) -> Any:
        return 1 / (1 + np.exp(-z))

    def hidden() -> Any:
        return np.tanh(a["X"] @ a["W1"] + a["b1"])

    def rbf(x: Any, c: Any) -> Any:
        return np.exp(-((x[:, None] - c[None]) ** 2).sum(-1) / 2)

    def attention_slope() -> Any:
        p = softmax(a["Q"] @ a["K"].T / 2)
        g = a["G"] @ a["V"].T
        return p * (g - (p * g).sum(-1, keepdims=True))

    def layer_norm_slope(x: Any, g: Any) -> Any:
        deviation = np.sqrt(x.var() + 1e-3)
        z = (x - x.mean()) / deviation
        return (g - g.mean() - z * (g * z).mean()) / deviation

    def conv(x: Any, w: Any) -> Any:
        size = x.shape[1] - 2
        return sum(np.einsum("bic,co->bio", x[:, p : p + size], w[p]) for p in range(3))

    names = {
        "np": np,
        "softmax": softmax,
        "sigma": sigma,
        "norm": np.linalg.norm,
        "hidden": hidden,
        "out": lambda: hidden() @ a["W2"] + a["b2"],
        "rbf": rbf,
        "forget": lambda: sigma(a["x"] @ a["W"] + a["d"] @ a["U"] + a["b"]),
        "attention_slope": attention_slope,
        "layer_norm_slope": layer_norm_slope,
        "conv": conv,
        **a,
    }
    return eval(text, names)


def run(shell: Shell, row: Row, sizes: dict[str, int]) -> tuple[Any, dict[str, Any]]:
    """The result of the cell, and what it was given."""
    shell.run("; ".join(f"{name}={size}" for name, size in sizes.items()))
    shell.run(row.given).raise_error()
    given = {part.split("=")[0].strip() for part in row.given.split(";")}
    known = {name: np.asarray(shell.names[name]) for name in given}
    done = shell.run(f"%%grad {' '.join(row.answers)}\n{row.cell}")
    done.raise_error()
    return done.result, {**known, **sizes}


def by_tape(row: Row, source: str, target: str, known: dict[str, Any]) -> Any:
    """What TensorFlow says at another point, in float64."""
    names: dict[str, Any] = {"tf": tf}
    for name, value in known.items():
        floating = isinstance(value, np.ndarray) and value.dtype.kind == "f"
        names[name] = tf.constant(value, tf.float64) if floating else value
    cell = row.cell.replace("tf.sqrt(4.0)", "tf.sqrt(tf.constant(4.0, tf.float64))")
    with tf.GradientTape() as tape:
        tape.watch(names[source])
        exec(cell, names)
    return tf.convert_to_tensor(tape.gradient(names[target], names[source])).numpy()


@pytest.mark.parametrize("row", ROWS + PUBLISHED, ids=lambda row: row.name)
def test_textbook(shell: Shell, row: Row) -> None:
    rng = np.random.default_rng(1)
    for sizes in (SIZES, *OTHER):
        result, known = run(shell, row, sizes)
        for source, (latex, text) in row.answers.items():
            (key,) = (k for k in result if k.endswith(f"/d{source}"))
            derivative = result[key]
            assert derivative.check.agrees is True, derivative.check
            if sizes is SIZES:
                assert latex in derivative.latex, derivative.latex
            for _ in range(3):
                moved = {
                    name: _moved(value, rng)
                    for name, value in known.items()
                    if isinstance(value, np.ndarray) and value.dtype.kind == "f"
                }
                point = {**known, **moved}
                settable = {n: v for n, v in moved.items() if n in _names(derivative)}
                own = derivative.evaluate(**settable)
                np.testing.assert_allclose(own, twin(text, point), rtol=1e-9, atol=1e-9)
                target = key.split("/")[0][1:]
                tape = by_tape(row, source, target, point)
                np.testing.assert_allclose(own, tape, rtol=1e-8, atol=1e-8)


def _moved(value: Any, rng: Any) -> Any:
    """Another point: a small step, so that a definite matrix stays one and labels are kept."""
    if set(np.unique(value)) <= {-1.0, 0.0, 1.0}:
        return value.astype(np.float64)
    step = 0.2 * rng.normal(size=value.shape)
    if value.ndim == 2 and value.shape[0] == value.shape[1] and np.allclose(value, value.T):
        step = step + step.T
    return value + step


def _names(derivative: Any) -> set[str]:
    """What values can be given for."""
    if derivative.closed_form is not None:
        equations = derivative.derivation.equations
        given = [*(n for group in equations.sources for n in group), *equations.constants]
        return {name.text for name in given}
    return {leaf.name.text for leaf in derivative.tensor.definitions.given}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_sympy_matrix_expression(shell: Shell, row: Row) -> None:
    result, known = run(shell, row, SIZES)
    for key, derivative in result.items():
        expression = derivative.expression
        if derivative.closed_form is not None or expression is None:
            continue
        symbols = sorted(expression.free_symbols, key=str)
        arrays = [np.asarray(known[s.name], np.float64) for s in symbols]
        arrays = [a.reshape(s.shape) if s.is_Matrix else a for a, s in zip(arrays, symbols)]
        expected = np.asarray(derivative.evaluate())
        own = np.asarray(in_numbers(expression, dict(zip(symbols, arrays))))
        np.testing.assert_allclose(own.ravel(), expected.ravel(), rtol=1e-5, atol=1e-6, err_msg=key)


def in_numbers(node: Any, values: dict[Any, Any]) -> Any:
    """A matrix expression of SymPy's in NumPy; `lambdify` does not know all of them."""
    if node in values:
        return values[node]
    if node.is_number:
        return float(node)
    kind = type(node).__name__
    if kind == "OneMatrix":
        return np.ones([int(size) for size in node.shape])
    if kind == "Identity":
        return np.eye(int(node.shape[0]))
    if kind == "ElementwiseApplyFunction":
        scalar = sympy.lambdify(node.function.variables, node.function.expr)
        return np.vectorize(scalar)(in_numbers(node.expr, values))
    parts = [in_numbers(part, values) for part in node.args]
    return _SYMPY_NUMPY[kind](*parts)


def _matmul(*parts: Any) -> Any:
    found = parts[0]
    for part in parts[1:]:
        found = found @ part if np.ndim(found) and np.ndim(part) else found * part
    return found


_SYMPY_NUMPY: dict[str, Any] = {
    "MatMul": _matmul,
    "MatAdd": lambda *parts: sum(parts),
    "Add": lambda *parts: sum(parts),
    "Mul": lambda *parts: np.prod(parts),
    "Pow": np.power,
    "HadamardProduct": lambda *parts: np.prod(parts, axis=0),
    "HadamardPower": np.power,
    "Transpose": np.transpose,
    "Inverse": lambda matrix, power=-1: np.linalg.inv(matrix),
    "Trace": np.trace,
    "Determinant": np.linalg.det,
    "DiagMatrix": lambda vector: np.diag(np.ravel(vector)),
}


def test_literal_arrays_are_told_beside_components(shell: Shell) -> None:
    shell.run("X = tf.constant([[1., 2.], [3., 4.]])").raise_error()
    shell.run(
        "%%grad w -o r -q\nw = tf.constant([1., -1.])\n"
        "L = tf.reduce_sum((X@w[:, None] - [[5.], [6.]])**2)"
    )
    text = repr(shell.names["r"])
    name = text.split("in matrix form")[1].split("− ")[1][:2]  # 2Xᵀ(Xw − u₁)
    assert f"{name} = ⎡5⎤" in text
