"""Fixes for steps and flat stretches: smooth functions, floating numbers in place of integers."""

from __future__ import annotations

import ast

from tapemagic import choosing, codes
from tapemagic.rewriting import Change, Fix, Source, combined, everywhere, function_name, held


def smooth(source: Source, number: int) -> Fix | None:
    """Steps at a line by smooth stand-ins: softmax for one-hot argmax, sigmoid for comparisons,
    straight-through estimates for rounding."""

    def change(node: ast.AST) -> str | None:
        name = function_name(node)
        if isinstance(node, ast.Compare) and (hit := choosing.chance(source, node)):
            return hit
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.FloorDiv):
            left, right = (held(source.within(n, change)) for n in (node.left, node.right))
            return f"({left} / {right})"
        if not isinstance(node, ast.Call) or not node.args:
            return None
        inner = source.within(node.args[0], change)
        if name in ("round", "floor", "ceil", "rint"):
            others = [source.text(arg) for arg in node.args[1:]]  # decimals
            others += [f"{k.arg}={source.text(k.value)}" for k in node.keywords]
            jumps = f"{source.text(node.func)}({', '.join([inner, *others])})"
            return f"({held(inner)} + tf.stop_gradient({jumps} - ({inner})))"
        inside = node.args[0]
        if name in ("one_hot", "cast") and function_name(inside) == "argmax":
            assert isinstance(inside, ast.Call)
            chosen = f"tf.nn.softmax({source.text(inside.args[0])})"
            if name == "one_hot":
                return chosen
            return choosing.place(chosen)
        compared = _difference(source, inside)
        if name in ("equal", "not_equal") and (hit := choosing.chance(source, node)):
            return hit
        if name == "cast" and compared:
            return f"tf.sigmoid({compared})"
        if name == "where" and len(node.args) == 3 and compared:
            yes, no = (held(source.text(part)) for part in node.args[1:])
            return f"({no} + ({yes} - {no}) * tf.sigmoid({compared}))"
        return None

    found = choosing.expected(source, number) or source.rewritten(number, change)
    return found or _mask(source, number)


def _mask(source: Source, number: int) -> Fix | None:
    """`m = a > b` as a sigmoid, where m is only cast further down."""
    name, node = codes.assigned_name(source.file, number), source.statement(number)
    compared = _difference(source, node.value) if isinstance(node, ast.Assign) else None
    if not isinstance(node, ast.Assign) or not name or compared is None:
        return None
    below = [source.statement(n) for n in codes.statements_below(source.file, number)]
    parts = [part for one in below if one is not None for part in ast.walk(one)]
    cast = [p.args[0] for p in parts if isinstance(p, ast.Call) and function_name(p) == "cast"]
    read = {p for p in parts if isinstance(p, ast.Name) and p.id == name}
    return source.exchanged(node.value, f"tf.sigmoid({compared})") if read <= set(cast) else None


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
    one, other = held(source.text(left)), held(source.text(right))
    if above:
        return f"{one} - {other}"
    return f"{other} - {one}" if below else None


_SATURATED = (*("sigmoid", "tanh", "softmax", "elu", "selu", "softplus", "erf", "hard_sigmoid"),)
_LESS_FLAT = {
    "relu": "tf.nn.leaky_relu({0})",
    "relu6": "tf.nn.leaky_relu({0})",
    "clip_by_value": "({0} + tf.stop_gradient({call} - {0}))",
    "clip": "({0} + tf.stop_gradient({call} - {0}))",
    "maximum": "({0} + tf.stop_gradient({call} - {0}))",
    "minimum": "({0} + tf.stop_gradient({call} - {0}))",
    "sign": "tf.tanh({0})",
    **dict.fromkeys(_SATURATED, "({call} + 0.01 * {0})"),
}
_CALLS = ("relu", "relu6", "sign")  # their stand-ins are calls
_BENDING = {"relu": "softplus", "leaky_relu": "softplus", "relu6": "softplus"}


def less_flat(source: Source, number: int, kind: str) -> Fix | None:
    """Flat functions at a line by ones with a slope everywhere; else those of a `kind` of op that
    layers were given as their activation."""
    every = ast.walk(codes.tree(source.file) or ast.Pass())
    called = {node.func for node in every if isinstance(node, ast.Call)}
    here = source.statement(number)
    names = {function_name(node) for node in ast.walk(here)} if here is not None else set()
    # The one that is flat, and not another beside it; those of two steps have other names.
    flat = {kind.lower()} & names or set(_LESS_FLAT)

    def change(node: ast.AST) -> str | None:
        name = function_name(node)
        if name not in flat or not isinstance(node, ast.Call) or not node.args:
            return None
        moving = [arg for arg in node.args if not isinstance(arg, (ast.Constant, ast.UnaryOp))]
        part = source.within((moving or node.args)[0], change)
        operand = part if name in _CALLS else held(part)
        return _LESS_FLAT[name].format(operand, call=source.text(node))

    def activation(node: ast.AST) -> str | None:
        named = isinstance(node, ast.Constant)
        name = str(getattr(node, "value" if named else "attr", ""))
        if name.replace("hard_sigmoid", "relu6") != kind.lower() or node in called:
            return None
        if name in ("relu", "relu6"):
            return '"leaky_relu"'
        function = f"tf.keras.activations.{name}" if named else source.text(node)
        return f"lambda z: {function}(z) + 0.01 * z"

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
            return held(source.within(node.args[0], change))
        if name == "convert_to_tensor" and node.args:
            return f"tf.cast({source.text(node)}, tf.float32)"
        if name not in ("constant", "Variable", "range") or not node.args:
            return None
        if any(isinstance(part, ast.Call) for arg in node.args for part in ast.walk(arg)):
            return _cast(source, node, name)  # tf.constant(np.array(…)): its own dtype counts
        parts = [source.within(arg, literal) for arg in node.args]
        kept = [f"{k.arg}={source.text(k.value)}" for k in node.keywords if k.arg != "dtype"]
        text = f"{source.text(node.func)}({', '.join([*parts, *kept])})"
        if text != source.text(node):
            return text
        return f"{source.text(node.func)}({', '.join([*parts, *kept, 'dtype=tf.float32'])})"

    return source.rewritten(number, change)


def _cast(source: Source, node: ast.Call, name: str) -> str:
    """What makes integers, with a cast around it; of a variable, around its value."""
    if name != "Variable":
        return f"tf.cast({source.text(node)}, tf.float32)"
    kept = "".join(f", {k.arg}={source.text(k.value)}" for k in node.keywords if k.arg != "dtype")
    return f"{source.text(node.func)}(tf.cast({source.text(node.args[0])}, tf.float32){kept})"
