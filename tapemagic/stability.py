"""Fixes for overflow and lost digits: stable forms of the same function, a wider dtype."""

from __future__ import annotations

import ast
import re

from tapemagic.rewriting import Fix, Source, everywhere, function_name

_LARGEST = "80.0"  # e⁸⁰ is still a float32


def stable(source: Source, number: int, clipped: bool = False) -> Fix | None:
    """What overflows at a line in its stable form: softplus, logsumexp, sigmoid, or shifted by the
    largest entry, as in a softmax; else, if it is to be `clipped`, an exponent that is not."""
    in_ratio = _is_in_ratio(source, number)

    def change(node: ast.AST) -> str | None:
        if isinstance(node, ast.Call) and function_name(node) in ("log", "log1p") and node.args:
            return _stable_log(source, node)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            x = _one_plus_exp(source, node.right)
            if x is not None and isinstance(node.left, ast.Constant) and node.left.value == 1:
                return f"tf.sigmoid({_negated(x)})"
        if function_name(node) == "exp" and isinstance(node, ast.Call) and node.args:
            x = source.text(node.args[0])
            if in_ratio:  # a common factor, which the ratio drops again
                return f"{source.text(node.func)}({x} - tf.stop_gradient(tf.reduce_max({x})))"
            return f"{source.text(node.func)}(tf.minimum({x}, {_LARGEST}))" if clipped else None
        return None

    return source.rewritten(number, change)


def _is_in_ratio(source: Source, number: int) -> bool:
    """Whether what a line makes is divided by its own sum: a softmax."""
    node = source.statement(number)
    names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} if node is not None else set()
    return any(
        re.search(rf"\b{re.escape(name)}\s*/\s*tf\.reduce_sum\({re.escape(name)}\b", line)
        for name in names
        for line in source.lines
    )


def _stable_log(source: Source, node: ast.Call) -> str | None:
    inside = node.args[0]
    if function_name(node) == "log1p":
        x = _argument(source, inside, "exp")
        return None if x is None else f"tf.nn.softplus({x})"
    x = _one_plus_exp(source, inside)
    if x is not None:
        return f"tf.nn.softplus({x})"
    if function_name(inside) == "reduce_sum" and isinstance(inside, ast.Call) and inside.args:
        x = _argument(source, inside.args[0], "exp")
        rest = "".join(f", {k.arg}={source.text(k.value)}" for k in inside.keywords)
        return None if x is None else f"tf.reduce_logsumexp({x}{rest})"
    x = _argument(source, inside, "cosh")
    return None if x is None else f"({x} + tf.nn.softplus(-2.0 * ({x})) - 0.6931471805599453)"


def _one_plus_exp(source: Source, node: ast.expr) -> str | None:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        for one, other in ((node.left, node.right), (node.right, node.left)):
            if isinstance(one, ast.Constant) and one.value == 1:
                return _argument(source, other, "exp")
    return None


def _argument(source: Source, node: ast.expr, function: str) -> str | None:
    if function_name(node) == function and isinstance(node, ast.Call) and node.args:
        return source.text(node.args[0])
    return None


def _negated(text: str) -> str:
    plain = text[1:].strip()
    return plain if text.startswith("-") and re.fullmatch(r"[\w.]+", plain) else f"-({text})"


_SHAPED = {"ones", "zeros", "eye", "normal", "uniform"}
_MADE = {"constant", "Variable", *_SHAPED}
_CAST = {"linspace", "fill"}  # they take no dtype


def wider(source: Source, number: int) -> Fix | None:
    """The tensors that are made above a line in a wider dtype: float32 or float64."""
    half = any("float16" in line for line in source.lines)

    def widened(node: ast.AST) -> str | None:
        if isinstance(node, ast.Attribute) and node.attr in ("float16", "bfloat16", "half"):
            return "tf.float32"
        if half or not isinstance(node, ast.Call) or not source.text(node.func).startswith("tf."):
            return None
        name = function_name(node)
        if name in _CAST:
            return f"tf.cast({source.text(node)}, tf.float64)"
        literal = not any(
            isinstance(n, (ast.Call, ast.Name)) for a in node.args for n in ast.walk(a)
        )
        if name not in _MADE or len(node.args) > 2 or not (literal or name in _SHAPED):
            return None
        parts = [source.text(arg) for arg in node.args]
        parts += [f"{k.arg}={source.text(k.value)}" for k in node.keywords if k.arg != "dtype"]
        return f"{source.text(node.func)}({', '.join(parts)}, dtype=tf.float64)"

    return everywhere(source, 1, len(source.lines) if half else number, widened)
