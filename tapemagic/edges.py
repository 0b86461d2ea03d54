"""Fixes at the edges of domains: an epsilon, `divide_no_nan`, the double `where`."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from tapemagic import codes
from tapemagic.rewriting import Change, Fix, Source, function_name, held

_DIAGONAL = "1e-3 * tf.linalg.diag(tf.cast(tf.range({0}.shape[-1]), {0}.dtype))"
_SAFE = {
    "sqrt": "{function}({0} + 1e-12{rest})",
    "rsqrt": "{function}({0} + 1e-12{rest})",
    "log": "{function}({0} + 1e-7{rest})",
    "norm": "tf.sqrt(tf.reduce_sum(tf.square({0}){rest}) + 1e-12)",
    "reduce_euclidean_norm": "tf.sqrt(tf.reduce_sum(tf.square({0}){rest}) + 1e-12)",
    "reduce_std": "tf.sqrt(tf.math.reduce_variance({0}{rest}) + 1e-12)",
    "reciprocal": "(1.0 / ({0} + 1e-12))",
    "divide": "tf.math.divide_no_nan({0}, {1})",
    "pow": "{function}({0} + 1e-12, {1}{rest})",
    "acos": "{function}((1 - 1e-6) * tf.clip_by_value({0}, -1.0, 1.0){rest})",
    "asin": "{function}((1 - 1e-6) * tf.clip_by_value({0}, -1.0, 1.0){rest})",
    "atanh": "{function}((1 - 1e-6) * tf.clip_by_value({0}, -1.0, 1.0){rest})",
    "acosh": "{function}({0} + 1e-6{rest})",
    "atan2": "{function}({0}, {1} + 1e-6{rest})",
    "eigh": f"{{function}}({{0}} + {_DIAGONAL}{{rest}})",
    "svd": f"{{function}}({{0}} + {_DIAGONAL}{{rest}})",
}
_SQUASHED = {
    "sigmoid": ("tf.math.log_sigmoid({0})", "tf.math.log_sigmoid(-({0}))"),
    "softmax": ("tf.nn.log_softmax({0})", None),
}


_BELOW = {  # where entries are negative
    "sqrt": "{function}(tf.abs({0}) + 1e-12{rest})",
    "rsqrt": "{function}(tf.abs({0}) + 1e-12{rest})",
    "log": "{function}(tf.abs({0}) + 1e-7{rest})",
    "pow": "{function}(tf.abs({0}) + 1e-12, {1}{rest})",
}


def of_any(source: Source, number: int) -> Fix | None:
    """A mean that is 0 where there is nothing to take it of."""

    def change(node: ast.AST) -> str | None:
        if function_name(node) != "reduce_mean" or not isinstance(node, ast.Call):
            return None
        if len(node.args) != 1 or node.keywords:
            return None
        x = source.text(node.args[0])
        count = f"tf.cast(tf.size({x}), {held(x)}.dtype)"
        return f"tf.math.divide_no_nan(tf.reduce_sum({x}), {count})"

    return source.rewritten(number, change)


def safe(source: Source, number: int, below: bool = False, nowhere: bool = False) -> Fix | None:
    """Functions at the edge of their domain, moved off it: an epsilon, `divide_no_nan`, the
    logarithm of a sigmoid in one piece. `below`: entries are negative that must not be;
    `nowhere`: no divisor is other than 0, so that `divide_no_nan` would have no slope."""

    def change(node: ast.AST) -> str | None:
        name = function_name(node)
        if isinstance(node, ast.Call) and node.args:
            whole = _log_of_squashed(source, node, number) if name == "log" else None
            shape = (below and _BELOW.get(name)) or _SAFE.get(name)
            return whole or _shaped(source, node, shape, change)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            above = held(source.within(node.left, change))
            under = held(source.within(node.right, change))
            if isinstance(node.right, ast.Constant):
                return f"{above} / {under}"
            if nowhere or isinstance(node.left, ast.Constant):
                return f"{above} / ({under} + 1e-12)"
            return f"tf.math.divide_no_nan({above}, {under})"
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            base = held(source.within(node.left, change))
            if not isinstance(node.right, ast.Constant) or not isinstance(node.right.value, int):
                power = held(source.text(node.right))
                if below:
                    return f"tf.sign({base}) * (tf.abs({base}) + 1e-12) ** {power}"
                return f"({base} + 1e-12) ** {power}"
        return None

    return source.rewritten(number, change)


_INFINITE = {"np.inf", "math.inf", "numpy.inf", "tf.float32.max", "np.Inf", "float('inf')"}


def finite(source: Source, number: int) -> Fix | None:
    """An infinite mask at a line by a large number."""

    def change(node: ast.AST) -> str | None:
        text = source.text(node).replace('"', "'") if isinstance(node, ast.expr) else ""
        if text in ("float('-inf')", "np.NINF", "-tf.float32.max"):
            return "-1e9"
        return "1e9" if text in _INFINITE else None

    return source.rewritten(number, change)


def without_nan(source: Source, number: int, name: str) -> Fix | None:
    """Below the statement that binds a name to data with nan: zeros in their place."""
    node = source.statement(number)
    if node is None:
        return None
    first, last = source.span(node)
    kept = "\n".join(source.lines[first - 1 : last])
    zeros = f"tf.where(tf.math.is_nan({name}), tf.zeros_like({name}), {name})"
    return Fix(f"{kept}\n{source.indentation(first)}{name} = {zeros}", first, last)


def _shaped(source: Source, node: ast.Call, shape: str | None, change: Change) -> str | None:
    if shape is None:
        return None
    parts = [source.within(arg, change) for arg in node.args]
    kept = [k for k in node.keywords if k.arg != "ord"]
    taken = 2 if "{1}" in shape or function_name(node) == "norm" else 1  # norm(x, ord, axis)
    rest = "".join(f", {part}" for part in parts[taken:])
    rest += "".join(f", {k.arg}={source.text(k.value)}" for k in kept)
    try:
        return shape.format(*parts, function=source.text(node.func), rest=rest)
    except IndexError:
        return None


def _log_of_squashed(source: Source, node: ast.Call, number: int) -> str | None:
    """log p and log(1 − p) for p = σ(z): log σ(z) and log σ(−z); also of entries p[i]."""
    inside = node.args[0]
    index = ""
    other = isinstance(inside, ast.BinOp) and isinstance(inside.op, ast.Sub)
    if isinstance(inside, ast.BinOp) and other:
        one = isinstance(inside.left, ast.Constant) and inside.left.value == 1
        inside = inside.right if one else inside
    elif isinstance(inside, ast.Subscript):
        index = source.text(inside)[len(source.text(inside.value)) :]
        inside = inside.value
    inside = _value(source, inside, number)
    by_hand = None if other else _log_of_ratio(source, inside, number)
    if by_hand is not None:
        return f"({by_hand}){index}"
    forms = _SQUASHED.get(function_name(inside))
    form = forms[1 if other else 0] if forms else None
    if form is None or not isinstance(inside, ast.Call) or not inside.args:
        return None
    return form.format(source.text(inside.args[0])) + index


def _value(source: Source, node: ast.expr, number: int) -> ast.expr:
    """What a name was last bound to; any other expression itself."""
    made = (
        codes.last_assignment(source.file, node.id, number) if isinstance(node, ast.Name) else None
    )
    return node if made is None else made.value


def _log_of_ratio(source: Source, node: ast.expr, number: int) -> str | None:
    """log of e / sum(e) for e = exp(z): z − logsumexp(z)."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Div):
        return None
    total = _value(source, node.right, number)
    grown = _value(source, node.left, number)
    if not isinstance(total, ast.Call) or not isinstance(grown, ast.Call):
        return None
    if function_name(total) != "reduce_sum" or function_name(grown) != "exp":
        return None
    if source.text(total.args[0]) != source.text(node.left) or not grown.args:
        return None
    z = held(source.text(grown.args[0]))
    rest = "".join(f", {source.text(a)}" for a in total.args[1:])
    rest += "".join(f", {k.arg}={source.text(k.value)}" for k in total.keywords)
    return f"{z} - tf.reduce_logsumexp({z}{rest})"


def double_where(source: Source, number: int, culprit: int) -> Fix | None:
    """tf.where(c, f(x), y) with a safe value in place of x where c does not hold; f(x) may have a
    line of its own, the culprit's."""
    node = source.statement(number)
    calls = [n for n in ast.walk(node) if function_name(n) == "where"] if node is not None else []
    for call in calls:
        if isinstance(call, ast.Call) and len(call.args) == 3:
            found = _guarded(source, number, call, culprit)
            if found is not None:
                return found
    return None


def _guarded(source: Source, number: int, call: ast.Call, culprit: int) -> Fix | None:
    condition, yes, no = call.args
    names = {n.id for n in ast.walk(condition) if isinstance(n, ast.Name)} - {"tf", "np"}
    text = source.text(condition)
    for name in sorted(names):
        first = f"tf.where({text}, {name}, tf.ones_like({name}))"
        second = f"tf.where({text}, tf.ones_like({name}), {name})"
        own = {id(yes): first, id(no): second}
        if culprit != number:
            found = _guarded_above(source, culprit, name, {yes: first, no: second})
            if found is not None:
                return found
        new: dict[int, str] = {}
        for side in (yes, no):
            plain = isinstance(side, ast.Name) or function_name(side) in ("ones_like", "zeros_like")
            if _uses(side, name) and not plain:
                new[id(side)] = source.within(side, _exchange(name, own[id(side)]))
        if new:
            return source.rewritten(number, _chosen(new))
    return None


def _guarded_above(
    source: Source, culprit: int, name: str, sides: Mapping[ast.expr, str]
) -> Fix | None:
    """The culprit has a line of its own, and `where` uses what it makes."""
    above = source.statement(culprit)
    if not isinstance(above, ast.Assign) or not _uses(above.value, name):
        return None
    made = {t.id for t in above.targets if isinstance(t, ast.Name)}
    for side, safe_value in sides.items():
        if any(_uses(side, target) for target in made):
            return source.rewritten(culprit, _exchange(name, safe_value))
    return None


def _uses(node: ast.AST, name: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(node))


def _chosen(new: dict[int, str]) -> Change:
    return lambda node: new.get(id(node))


def _exchange(name: str, new: str) -> Change:
    def change(node: ast.AST) -> str | None:
        loaded = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        return new if loaded and isinstance(node, ast.Name) and node.id == name else None

    return change
