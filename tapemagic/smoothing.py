"""Fixes for steps and flat stretches: smooth functions, floating numbers in place of integers."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from tapemagic import codes
from tapemagic.rewriting import Change, Fix, Source, combined, everywhere, function_name, held


def smooth(source: Source, number: int) -> Fix | None:
    """Steps at a line by smooth stand-ins: softmax for one-hot argmax, sigmoid for comparisons,
    straight-through estimates for rounding."""

    def change(node: ast.AST) -> str | None:
        name = function_name(node)
        if isinstance(node, ast.Compare) and (hit := _chance(source, node)):
            return hit
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.FloorDiv):
            return f"({source.within(node.left, change)} / {source.within(node.right, change)})"
        if not isinstance(node, ast.Call) or not node.args:
            return None
        inner = source.within(node.args[0], change)
        if name in ("round", "floor", "ceil", "rint"):
            return f"({inner} + tf.stop_gradient({source.text(node.func)}({inner}) - ({inner})))"
        inside = node.args[0]
        if name in ("one_hot", "cast") and function_name(inside) == "argmax":
            assert isinstance(inside, ast.Call)
            chosen = f"tf.nn.softmax({source.text(inside.args[0])})"
            if name == "one_hot":
                return chosen
            places = f"tf.range({chosen}.shape[-1], dtype={chosen}.dtype)"
            return f"tf.reduce_sum({chosen} * {places}, axis=-1)"
        compared = _difference(source, inside)
        if name in ("equal", "not_equal") and (hit := _chance(source, node)):
            return hit
        if name == "cast" and compared:
            return f"tf.sigmoid({compared})"
        if name == "where" and len(node.args) == 3 and compared:
            yes, no = (source.text(part) for part in node.args[1:])
            return f"({no} + ({yes} - {no}) * tf.sigmoid({compared}))"
        return None

    return _expected(source, number) or source.rewritten(number, change)


def _chance(source: Source, node: ast.AST, name: str = "", z: str = "") -> str | None:
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


def _expected(source: Source, number: int) -> Fix | None:
    """`i = argmax(z)` and what is looked up at i: its mean under the softmax."""
    node = source.statement(number)
    if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
        return None
    call = node.value
    if function_name(call) != "argmax" or not isinstance(call, ast.Call) or not call.args:
        return None
    name, z = node.targets[0].id, source.text(call.args[0])
    weights = f"tf.nn.softmax({z})"

    def looked_up(part: ast.AST) -> str | None:
        if (hit := _chance(source, part, name, z)) is not None:
            return hit
        if isinstance(part, ast.Subscript) and source.text(part.slice) == name:
            return f"tf.tensordot({weights}, {source.text(part.value)}, 1)"
        gathered = function_name(part) == "gather" and isinstance(part, ast.Call)
        if gathered and source.text(part.args[1]) == name:  # type: ignore[attr-defined]
            return f"tf.tensordot({weights}, {source.text(part.args[0])}, 1)"  # type: ignore[attr-defined]
        return None

    return combined(
        source,
        [source.rewritten(n, looked_up) for n in codes.statements_below(source.file, number)],
    )


_ABOVE, _BELOW = {"greater", "greater_equal"}, {"less", "less_equal"}


def _difference(source: Source, node: ast.expr) -> str | None:
    """a − b for a > b, whose sign is the comparison."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        left, right = node.left, node.comparators[0]
        above = isinstance(node.ops[0], (ast.Gt, ast.GtE))
        below = isinstance(node.ops[0], (ast.Lt, ast.LtE))
    elif isinstance(node, ast.Call) and len(node.args) == 2:
        left, right = node.args
        above, below = function_name(node) in _ABOVE, function_name(node) in _BELOW
    else:
        return None
    one, other = held(source.text(left), left), held(source.text(right), right)
    if above:
        return f"{one} - {other}"
    return f"{other} - {one}" if below else None


_LESS_FLAT = {
    "relu": "tf.nn.leaky_relu({0})",
    "relu6": "tf.nn.leaky_relu({0})",
    "sigmoid": "({call} + 0.01 * ({0}))",
    "tanh": "({call} + 0.01 * ({0}))",
    "clip_by_value": "({0} + tf.stop_gradient({call} - ({0})))",
    "maximum": "({0} + tf.stop_gradient({call} - ({0})))",
    "minimum": "({0} + tf.stop_gradient({call} - ({0})))",
    "sign": "tf.tanh({0})",
    "softmax": "({call} + 0.01 * ({0}))",
}
_BENDING = {"relu": "softplus", "leaky_relu": "softplus", "relu6": "softplus"}


def less_flat(source: Source, number: int) -> Fix | None:
    """Flat functions at a line by ones with a slope everywhere; else, by name, where a layer was
    given one as its activation."""

    def change(node: ast.AST) -> str | None:
        name = function_name(node)
        if name not in _LESS_FLAT or not isinstance(node, ast.Call) or not node.args:
            return None
        moving = [arg for arg in node.args if not isinstance(arg, (ast.Constant, ast.UnaryOp))]
        part = source.within((moving or node.args)[0], change)
        return _LESS_FLAT[name].format(part, call=source.text(node))

    def activation(node: ast.AST) -> str | None:
        flat = isinstance(node, ast.Constant) and node.value in ("relu", "relu6")
        return '"leaky_relu"' if flat else None

    count = len(source.lines)
    found = source.rewritten(number, change) or everywhere(source, 1, count, activation)
    return found or _inside(source, number, change)


def sigmoid(source: Source, number: int) -> Fix | None:
    """A softmax over one entry as a sigmoid, also where a layer was given one by name."""

    def change(node: ast.AST) -> str | None:
        if function_name(node) == "softmax" and isinstance(node, ast.Call) and node.args:
            return f"tf.sigmoid({source.text(node.args[0])})"
        named = isinstance(node, ast.Constant) and node.value == "softmax"
        return '"sigmoid"' if named else None

    return source.rewritten(number, change) or everywhere(source, 1, len(source.lines), change)


def bending(source: Source, number: int) -> Fix | None:
    """Functions of straight pieces by ones that bend: softplus for relu, a root for abs."""

    def change(node: ast.AST) -> str | None:
        name = function_name(node)
        if isinstance(node, ast.Call) and node.args and name in _BENDING:
            return f"tf.nn.softplus({source.within(node.args[0], change)})"
        if isinstance(node, ast.Call) and node.args and name == "abs":
            return f"tf.sqrt(tf.square({source.within(node.args[0], change)}) + 1e-6)"
        if isinstance(node, ast.Constant) and node.value in _BENDING:
            return '"softplus"'
        if isinstance(node, ast.Attribute) and source.text(node) == "tf.nn.relu":
            return "tf.nn.softplus"
        return None

    found = source.rewritten(number, change) or _inside(source, number, change)
    return found or everywhere(source, 1, len(source.lines), change)


def _inside(source: Source, number: int, change: Change) -> Fix | None:
    """The functions of the same file that a line calls, rewritten."""
    node = source.statement(number)
    names = {function_name(n) for n in ast.walk(node)} - {""} if node is not None else set()
    spans = [codes.function_span(source.file, name) for name in sorted(names)]
    return combined(source, (everywhere(source, *span, change) for span in spans if span))


def as_float(source: Source, number: int) -> Fix | None:
    """The integers that make a tensor at a line as floats; casts to integers dropped."""

    def literal(node: ast.AST) -> str | None:
        value = node.value if isinstance(node, ast.Constant) else None
        return f"{value}.0" if type(value) is int else None

    def change(node: ast.AST) -> str | None:
        name = function_name(node)
        if not isinstance(node, ast.Call):
            return None
        if name == "cast" and len(node.args) == 2 and "int" in source.text(node.args[1]):
            return held(source.within(node.args[0], change), node.args[0])
        if name == "convert_to_tensor" and node.args:
            return f"tf.cast({source.text(node)}, tf.float32)"
        if name not in ("constant", "Variable", "range") or not node.args:
            return None
        parts = [source.within(arg, literal) for arg in node.args]
        kept = [f"{k.arg}={source.text(k.value)}" for k in node.keywords if k.arg != "dtype"]
        text = f"{source.text(node.func)}({', '.join([*parts, *kept])})"
        if text != source.text(node):
            return text
        return f"{source.text(node.func)}({', '.join([*parts, *kept, 'dtype=tf.float32'])})"

    return source.rewritten(number, change)
