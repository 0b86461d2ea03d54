"""Fixes for choices: where argmax or a sample picks an entry, its mean under the softmax."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from tapemagic import codes
from tapemagic.rewriting import Fix, Source, combined, function_name


def chance(source: Source, node: ast.AST, name: str = "", z: str = "") -> str | None:
    """The softmax's entry at the label, for argmax(z) == label: how likely a hit is; 1 − that for
    a miss. `name` is what argmax(z) was bound to, if it was."""
    pair, hit = _compared(node)
    chosen = [n for n in pair if _is_choice(n, name)]
    if not chosen:
        return None
    first = chosen[0]
    if isinstance(first, ast.Call):
        z = source.text(first.args[0])
    likely = f"tf.nn.softmax({z})"
    if len(chosen) == 2 and isinstance(chosen[1], ast.Call):
        found = f"tf.reduce_sum({likely} * {source.text(chosen[1].args[0])}, axis=-1)"
    else:
        label = pair[1] if first is pair[0] else pair[0]
        found = f"tf.gather({likely}, {source.text(label)}, axis=-1, batch_dims=1)"
    return found if hit else f"(1.0 - {found})"


def _compared(node: ast.AST) -> tuple[Sequence[ast.expr], bool]:
    """Both sides of a == b or a != b, and which of the two it is."""
    if isinstance(node, ast.Call) and len(node.args) == 2:
        name = function_name(node)
        return (node.args if name in ("equal", "not_equal") else ()), name == "equal"
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.Eq, ast.NotEq)):
        return (node.left, node.comparators[0]), isinstance(node.ops[0], ast.Eq)
    return (), False


def _is_choice(node: ast.expr, name: str) -> bool:
    called = isinstance(node, ast.Call) and function_name(node) == "argmax" and bool(node.args)
    return called or (isinstance(node, ast.Name) and node.id == name)


def expected(source: Source, number: int) -> Fix | None:
    """`i = argmax(z)`, or i a sample from z, and what is looked up at i: its mean."""
    node = source.statement(number)
    if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
        return None
    name, known = node.targets[0].id, _weights(source, node.value)
    if known is None:
        return None
    weights, form = known
    z = "" if form != "{0}" else weights.removeprefix("tf.nn.softmax(").removesuffix(")")

    def looked_up(part: ast.AST) -> str | None:
        if z and (hit := chance(source, part, name, z)) is not None:
            return hit
        if isinstance(part, ast.Subscript) and source.text(part.slice) == name:
            return f"tf.tensordot({weights}, {source.text(part.value)}, 1)"
        if not isinstance(part, ast.Call) or len(part.args) < 2:
            return None
        if function_name(part) == "cast" and source.text(part.args[0]) == name:
            return None if "int" in source.text(part.args[1]) else form.format(place(weights))
        if function_name(part) == "one_hot" and source.text(part.args[0]) == name:
            return form.format(weights)
        if function_name(part) != "gather" or source.text(part.args[1]) != name:
            return None
        values = source.text(part.args[0])
        if any(k.arg == "batch_dims" for k in part.keywords):
            return form.format(f"tf.reduce_sum({weights} * {values}, axis=-1)")
        return form.format(f"tf.tensordot({weights}, {values}, 1)")

    below = codes.statements_below(source.file, number)
    return combined(source, [source.rewritten(n, looked_up) for n in below])


def place(weights: str) -> str:
    """The mean of the places themselves."""
    places = f"tf.range({weights}.shape[-1], dtype={weights}.dtype)"
    return f"tf.reduce_sum({weights} * {places}, axis=-1)"


def _weights(source: Source, made: ast.expr) -> tuple[str, str] | None:
    """How likely each choice is, and the form of what is looked up: a sample of a batch has an axis
    of its own, unless it is indexed away."""
    form = "tf.expand_dims({0}, 1)"
    index = ""
    if function_name(made) == "argmax" and isinstance(made, ast.Call) and made.args:
        return f"tf.nn.softmax({source.text(made.args[0])})", "{0}"
    if isinstance(made, ast.Subscript):
        index, made = source.text(made.slice), made.value
    elif function_name(made) == "squeeze" and isinstance(made, ast.Call) and _has_axis(made):
        index, made = ":, 0", made.args[0]
    if function_name(made) != "categorical" or not isinstance(made, ast.Call):
        return None
    if len(made.args) != 2 or source.text(made.args[1]) != "1" or index not in _INDEXED:
        return None
    weights = f"tf.nn.softmax({source.text(made.args[0])})"
    return f"{weights}{_INDEXED[index]}", "{0}" if index else form


_INDEXED = {"": "", ":, 0": "", "0, 0": "[0]"}  # of a sample; what is left of the weights


def _has_axis(node: ast.Call) -> bool:
    return len(node.args) == 2 or any(k.arg == "axis" for k in node.keywords)
