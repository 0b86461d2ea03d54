"""Fixes: the user's own lines, rewritten. Each gives code and the lines that it replaces."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tapemagic import codes

_SAME_NAME = {
    *("sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan", "exp", "sqrt", "abs"),
    *("square", "minimum", "maximum", "sign", "add", "subtract", "multiply", "divide", "tensordot"),
    *("reshape", "transpose", "concat", "stack", "where", "eye", "ones_like", "zeros_like"),
    *("round", "floor", "matmul", "pow", "norm", "einsum", "squeeze", "expand_dims", "tile"),
}
_OTHER_NAME = {
    "log": "tf.math.log",
    "log1p": "tf.math.log1p",
    "expm1": "tf.math.expm1",
    "erf": "tf.math.erf",
    "atan2": "tf.math.atan2",
    "arctan2": "tf.math.atan2",
    "arcsin": "tf.asin",
    "arccos": "tf.acos",
    "arctan": "tf.atan",
    "mean": "tf.reduce_mean",
    "sum": "tf.reduce_sum",
    "max": "tf.reduce_max",
    "amax": "tf.reduce_max",
    "min": "tf.reduce_min",
    "amin": "tf.reduce_min",
    "prod": "tf.reduce_prod",
    "std": "tf.math.reduce_std",
    "var": "tf.math.reduce_variance",
    "power": "tf.pow",
    "fabs": "tf.abs",
    "absolute": "tf.abs",
    "clip": "tf.clip_by_value",
    "concatenate": "tf.concat",
    "hypot": "tf.math.hypot",
    "reciprocal": "tf.math.reciprocal",
}
_NOTHING = {"array", "asarray", "float32", "float64", "convert_to_numpy", "squeeze_", "float_"}


@dataclass(frozen=True)
class Fix:
    """`code` in place of the lines `first` to `last` (1-based, both included)."""

    code: str
    first: int
    last: int


class Source:
    """A file or cell as lines, for rewriting."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines = [line.rstrip("\n") for line in codes.lines(file)]

    def statement(self, number: int) -> ast.stmt | None:
        """The innermost statement at a line; a header only, for what has a body."""
        return codes.statement_at(self.file, number)

    def span(self, node: ast.stmt) -> tuple[int, int]:
        """First and last line; of a compound statement, those of its header."""
        body = getattr(node, "body", None)
        last = node.end_lineno or node.lineno
        if isinstance(body, list) and body:
            last = max(node.lineno, body[0].lineno - 1)
        return node.lineno, last

    def text(self, node: ast.AST) -> str:
        """The code of an expression."""
        return ast.get_source_segment("\n".join(self.lines), node) or ast.unparse(node)

    def indentation(self, number: int) -> str:
        line = self.lines[number - 1]
        return line[: len(line) - len(line.lstrip())]

    def rewritten(self, number: int, change: Callable[[ast.AST], str | None]) -> Fix | None:
        """The statement at a line with expressions replaced: `change` gives an expression's new
        text, or None to look inside it."""
        node = self.statement(number)
        if node is None:
            return None
        first, last = self.span(node)
        edits = list(self._edits(node, change, last))
        if not edits:
            return None
        return self._edited(first, last, edits)

    def _edits(
        self, node: ast.AST, change: Callable[[ast.AST], str | None], last: int
    ) -> Sequence[tuple[ast.expr, str]]:
        found: list[tuple[ast.expr, str]] = []
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt) or getattr(child, "lineno", 0) > last:
                continue
            new = change(child) if isinstance(child, ast.expr) else None
            if new is not None and isinstance(child, ast.expr):
                found.append((child, new))
            else:
                found += self._edits(child, change, last)
        return found

    def _edited(self, first: int, last: int, edits: Sequence[tuple[ast.expr, str]]) -> Fix:
        text = [line.encode() for line in self.lines[first - 1 : last]]
        for node, new in sorted(edits, key=lambda e: (e[0].lineno, e[0].col_offset), reverse=True):
            top, bottom = node.lineno - first, (node.end_lineno or node.lineno) - first
            head = text[top][: node.col_offset]
            tail = text[bottom][node.end_col_offset or 0 :]
            text[top : bottom + 1] = [head + new.encode() + tail]
        return Fix(b"\n".join(text).decode(), first, last)

    def replaced(self, number: int, code: str) -> Fix | None:
        """The whole statement at a line, by other code in its indentation."""
        node = self.statement(number)
        if node is None:
            return None
        first, last = self.span(node)
        indent = self.indentation(first)
        return Fix("\n".join(indent + line for line in code.split("\n")), first, last)

    def within(self, node: ast.expr, change: Callable[[ast.AST], str | None]) -> str:
        """An expression's text with parts of it replaced."""
        new = change(node)
        if new is not None:
            return new
        text = self.text(node).encode()
        if "\n" in text.decode():
            return ast.unparse(node)
        edits = self._edits(node, change, node.end_lineno or node.lineno)
        for part, replacement in sorted(edits, key=lambda e: e[0].col_offset, reverse=True):
            start = part.col_offset - node.col_offset
            end = (part.end_col_offset or 0) - node.col_offset
            text = text[:start] + replacement.encode() + text[end:]
        return text.decode()


# -- the fixes by cause --------------------------------------------------------------------------


def watch(source: Source, number: int, name: str) -> Fix | None:
    """`tape.watch(name)` under the `with` of the tape at a line."""
    for node in codes.enclosing(source.file, number):
        if isinstance(node, ast.With):
            made = [i for i in node.items if "GradientTape" in source.text(i.context_expr)]
            made = made or list(node.items)
            named = [item for item in made if item.optional_vars is not None]
            if not named or node.lineno != number:
                continue
            first, last = source.span(node)
            tape = source.text(named[0].optional_vars)  # type: ignore[arg-type]
            body = source.indentation(node.body[0].lineno)
            header = "\n".join(source.lines[first - 1 : last])
            return Fix(f"{header}\n{body}{tape}.watch({name})", first, last)
    return None


def variable(source: Source, number: int, floating: bool = False) -> Fix | None:
    """The assignment at a line, its value as a trainable variable."""
    node = source.statement(number)
    if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
        return None
    value = node.value
    text = source.text(value)
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        if value.func.attr == "Variable":
            return source.rewritten(number, lambda n: _trainable(source, n))
        if value.func.attr == "constant" and len(value.args) == 1:
            text = ", ".join(source.text(part) for part in value.args)
            text += "".join(f", {k.arg}={source.text(k.value)}" for k in value.keywords)
    if floating:
        text = f"tf.cast({text}, tf.float32)"
    return source.rewritten(number, lambda n: f"tf.Variable({text})" if n is value else None)


def _trainable(source: Source, node: ast.AST) -> str | None:
    if not isinstance(node, ast.keyword) or node.arg != "trainable":
        if isinstance(node, ast.Call) and any(k.arg == "trainable" for k in node.keywords):
            parts = [source.text(a) for a in node.args]
            parts += [
                f"{k.arg}={source.text(k.value)}" for k in node.keywords if k.arg != "trainable"
            ]
            return f"{source.text(node.func)}({', '.join(parts)})"
    return None


def assign(source: Source, number: int, name: str) -> Fix | None:
    """`w = w - step` as `w.assign(w - step)`, so that the name keeps its variable."""
    node = source.statement(number)
    if isinstance(node, ast.AugAssign) and isinstance(node.op, (ast.Add, ast.Sub)):
        method = "assign_add" if isinstance(node.op, ast.Add) else "assign_sub"
        return source.replaced(
            number, f"{source.text(node.target)}.{method}({source.text(node.value)})"
        )
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = source.text(node.targets[0])
        if target == name:
            return source.replaced(number, f"{target}.assign({source.text(node.value)})")
    return None


def in_tensorflow(source: Source, number: int) -> Fix | None:
    """NumPy, math and Python's numbers at a line replaced by TensorFlow's own functions."""

    def change(node: ast.AST) -> str | None:
        if not isinstance(node, ast.Call):
            return None
        function, args = node.func, node.args
        if isinstance(function, ast.Name) and function.id in ("float", "int") and len(args) == 1:
            return _held(source.within(args[0], change), args[0])
        if not isinstance(function, ast.Attribute):
            return None
        if function.attr in ("numpy", "item") and not args:
            return source.within(function.value, change)
        if function.attr == "astype" and len(args) == 1:
            return source.within(function.value, change)
        if function.attr in ("predict", "predict_on_batch") and args:
            return f"{source.text(function.value)}({source.within(args[0], change)})"
        root = source.text(function.value).split(".")[0]
        if root not in ("np", "numpy", "math", "scipy", "cmath", "keras", "tf"):
            return None
        if function.attr in ("numpy_function", "py_function") and len(args) >= 2:
            return _called(source, node, change)
        if root in ("keras", "tf") and function.attr not in _NOTHING:
            return None
        return _renamed(source, node, function.attr, change)

    return source.rewritten(number, change)


def _called(source: Source, node: ast.Call, change: Callable[[ast.AST], str | None]) -> str:
    inputs = node.args[1]
    listed = inputs.elts if isinstance(inputs, (ast.List, ast.Tuple)) else [inputs]
    parts = ", ".join(source.within(part, change) for part in listed)
    return f"{source.text(node.args[0])}({parts})"


def _renamed(
    source: Source, node: ast.Call, name: str, change: Callable[[ast.AST], str | None]
) -> str | None:
    parts = [source.within(arg, change) for arg in node.args]
    if name in _NOTHING and parts:
        return parts[0]
    if name == "dot" and len(parts) == 2:
        return f"tf.tensordot({parts[0]}, {parts[1]}, 1)"
    new = f"tf.{name}" if name in _SAME_NAME else _OTHER_NAME.get(name)
    if new is None:
        return None
    parts += [
        f"{k.arg}={source.within(k.value, change)}"
        for k in node.keywords
        if k.arg not in ("dtype", "out")
    ]
    return f"{new}({', '.join(parts)})"


def _held(text: str, node: ast.expr) -> str:
    plain = isinstance(node, (ast.Name, ast.Attribute, ast.Subscript, ast.Call, ast.Constant))
    return text if plain or text.endswith(")") else f"({text})"


def without_call(source: Source, number: int, names: Sequence[str]) -> Fix | None:
    """The calls of these functions at a line replaced by their first argument."""

    def change(node: ast.AST) -> str | None:
        name = _function(node)
        if isinstance(node, ast.Call) and name in names and node.args:
            return _held(source.within(node.args[0], change), node.args[0])
        return None

    return source.rewritten(number, change)


def wrapped(source: Source, number: int, shapes: dict[str, str], once: bool = False) -> Fix | None:
    """Calls at a line rewritten by a pattern: {0}, {1} … are the arguments, {call} the whole."""

    def change(node: ast.AST) -> str | None:
        name = _function(node)
        if name not in shapes or not isinstance(node, ast.Call):
            return None
        parts = [source.within(arg, change) for arg in node.args]
        try:
            return shapes[name].format(*parts, call=source.text(node))
        except IndexError:
            return None

    return source.rewritten(number, change)


def _function(node: ast.AST) -> str:
    function = node.func if isinstance(node, ast.Call) else None
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def plain_binding(source: Source, number: int) -> Fix | None:
    """`v.assign(e)` as `v = e`: a tensor keeps the way to what it was computed from."""
    node = source.statement(number)
    call = node.value if isinstance(node, (ast.Expr, ast.Assign, ast.Return)) else None
    if isinstance(node, ast.Assign) and _function(node.value) == "Variable":
        inner = node.value.args[0] if isinstance(node.value, ast.Call) else None
        return (
            None
            if inner is None
            else source.rewritten(number, lambda n: source.text(inner) if n is node.value else None)
        )
    if not isinstance(node, ast.Expr) or not isinstance(call, ast.Call) or not call.args:
        return None
    function = call.func
    if not isinstance(function, ast.Attribute):
        return None
    owner, value = source.text(function.value), source.text(call.args[0])
    if function.attr == "scatter_nd_update" and len(call.args) == 2:
        rows = f"{value}, {source.text(call.args[1])}"
        return source.replaced(number, f"{owner} = tf.tensor_scatter_nd_update({owner}, {rows})")
    if isinstance(function.value, ast.Subscript):
        whole, index = source.text(function.value.value), source.text(function.value.slice)
        return source.replaced(
            number, f"{whole} = tf.tensor_scatter_nd_update({whole}, [[{index}]], [{value}])"
        )
    new = {
        "assign": value,
        "assign_add": f"{owner} + ({value})",
        "assign_sub": f"{owner} - ({value})",
    }
    if function.attr not in new:
        return None
    return source.replaced(number, f"{owner} = {new[function.attr]}")


def moved_into(source: Source, number: int, tape: int) -> Fix | None:
    """The statement at a line moved into the block of the `with` at the line `tape`."""
    node = source.statement(number)
    block = next((n for n in codes.enclosing(source.file, tape) if isinstance(n, ast.With)), None)
    if node is None or block is None:
        return None
    first, last = node.lineno, node.end_lineno or node.lineno
    body = source.indentation(block.body[0].lineno)
    own = source.indentation(first)
    moved = [body + line.removeprefix(own) for line in source.lines[first - 1 : last]]
    top, header = source.span(block)
    end = block.end_lineno or block.lineno
    if last < top:  # from above the block to its beginning
        between = source.lines[last:header]
        return Fix("\n".join([*between, *moved]), first, header)
    if first > end:  # from below the block to its end
        between = source.lines[end : first - 1]
        return Fix("\n".join([*moved, *between]), end + 1, last)
    return None


def without_line(source: Source, number: int) -> Fix | None:
    """A block's header dropped and its body moved out, or a statement dropped."""
    node = source.statement(number)
    if node is None:
        return None
    body = getattr(node, "body", None)
    first, last = node.lineno, node.end_lineno or node.lineno
    outer = source.indentation(first)
    if isinstance(node, ast.With) and isinstance(body, list):
        inner = source.indentation(body[0].lineno)
        lines = source.lines[body[0].lineno - 1 : last]
        return Fix("\n".join(outer + line.removeprefix(inner) for line in lines), first, last)
    return Fix(f"{outer}pass", first, last)


def as_float(source: Source, number: int) -> Fix | None:
    """The integers that make a tensor at a line as floats; casts to integers dropped."""

    def literal(node: ast.AST) -> str | None:
        if isinstance(node, ast.Constant) and type(node.value) is int:
            return f"{node.value}.0"
        return None

    def change(node: ast.AST) -> str | None:
        name = _function(node)
        if not isinstance(node, ast.Call):
            return None
        if name == "cast" and len(node.args) == 2 and re.search("int", source.text(node.args[1])):
            return source.within(node.args[0], change)
        if name in ("constant", "Variable", "range") and node.args:
            parts = [source.within(arg, literal) for arg in node.args]
            plain = all("int" not in source.text(k.value) for k in node.keywords)
            kept = [
                f"{k.arg}={source.text(k.value)}"
                for k in node.keywords
                if k.arg != "dtype" or plain
            ]
            text = f"{source.text(node.func)}({', '.join([*parts, *kept])})"
            if text != source.text(node):
                return text
            return f"{source.text(node.func)}({', '.join([*parts, *kept, 'dtype=tf.float32'])})"
        return None

    return source.rewritten(number, change)


def watched_after(source: Source, number: int, block: object, name: str) -> Fix | None:
    """`tape.watch(name)` right after the statement at a line, inside the tape's block."""
    node = source.statement(number)
    header = codes.statement_at(source.file, getattr(block, "number", 0))
    if node is None or not isinstance(header, ast.With):
        return None
    named = [item for item in header.items if item.optional_vars is not None]
    if not named:
        return None
    first, last = source.span(node)
    tape = source.text(named[0].optional_vars)  # type: ignore[arg-type]
    kept = "\n".join(source.lines[first - 1 : last])
    return Fix(f"{kept}\n{source.indentation(first)}{tape}.watch({name})", first, last)


def argument(
    source: Source, number: int, method: str, place: int, old: str, new: str
) -> Fix | None:
    """An argument of the call of `method` at a line, exchanged."""

    def change(node: ast.AST) -> str | None:
        if _function(node) != method or not isinstance(node, ast.Call):
            return None
        parts = [source.text(a) for a in node.args]
        if place < len(parts):
            parts[place] = parts[place].replace(old, new)
        named = [f"{k.arg}={source.text(k.value)}" for k in node.keywords]
        return f"{source.text(node.func)}({', '.join([*parts, *named])})"

    return source.rewritten(number, change)


def swapped(source: Source, number: int, method: str) -> Fix | None:
    """Target and source of the call at a line, exchanged."""

    def change(node: ast.AST) -> str | None:
        if _function(node) != method or not isinstance(node, ast.Call) or len(node.args) < 2:
            return None
        parts = [source.text(a) for a in node.args]
        parts[:2] = parts[1::-1]
        named = [f"{k.arg}={source.text(k.value)}" for k in node.keywords]
        return f"{source.text(node.func)}({', '.join([*parts, *named])})"

    return source.rewritten(number, change)


def keyword(source: Source, number: int, method: str, name: str, value: str) -> Fix | None:
    """A keyword added to the call of `method` at a line."""

    def change(node: ast.AST) -> str | None:
        if _function(node) != method or not isinstance(node, ast.Call):
            return None
        text = source.text(node).rstrip()
        return f"{text[:-1].rstrip().rstrip(',')}, {name}={value})"

    return source.rewritten(number, change)


def smooth(source: Source, number: int) -> Fix | None:
    """Steps at a line by smooth stand-ins: softmax for argmax, sigmoid for comparisons,
    straight-through estimates for rounding."""

    def change(node: ast.AST) -> str | None:
        name = _function(node)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.FloorDiv):
            return f"({source.within(node.left, change)} / {source.within(node.right, change)})"
        if not isinstance(node, ast.Call) or not node.args:
            return None
        inner = source.within(node.args[0], change)
        if name in ("round", "floor", "ceil", "rint"):
            call = f"{source.text(node.func)}({inner})"
            return f"({inner} + tf.stop_gradient({call} - {inner}))"
        if name == "one_hot" and _function(node.args[0]) in ("argmax", "argmin"):
            inside = node.args[0]
            assert isinstance(inside, ast.Call)
            return f"tf.nn.softmax({source.text(inside.args[0])})"
        if name in ("argmax", "argmin"):
            return f"tf.reduce_max({inner}, axis=-1)"
        if name == "cast" and (compared := _difference(source, node.args[0])):
            return f"tf.sigmoid({compared})"
        if (
            name == "where"
            and len(node.args) == 3
            and (compared := _difference(source, node.args[0]))
        ):
            yes, no = (source.text(part) for part in node.args[1:])
            return f"({no} + ({yes} - {no}) * tf.sigmoid({compared}))"
        return None

    return source.rewritten(number, change)


def _difference(source: Source, node: ast.expr) -> str | None:
    """a − b for a > b, whose sign is the comparison."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        left, right = source.text(node.left), source.text(node.comparators[0])
        if isinstance(node.ops[0], (ast.Gt, ast.GtE)):
            return f"{left} - {right}"
        if isinstance(node.ops[0], (ast.Lt, ast.LtE)):
            return f"{right} - {left}"
    return None


_SAFE = {
    "sqrt": "{call0}({0} + 1e-12)",
    "rsqrt": "{call0}({0} + 1e-12)",
    "log": "{call0}({0} + 1e-7)",
    "norm": "tf.sqrt(tf.reduce_sum(tf.square({0})) + 1e-12)",
    "reciprocal": "tf.math.divide_no_nan(1.0, {0})",
    "divide": "tf.math.divide_no_nan({0}, {1})",
    "pow": "{call0}({0} + 1e-12, {1})",
    "acos": "{call0}(tf.clip_by_value({0}, -1 + 1e-6, 1 - 1e-6))",
    "asin": "{call0}(tf.clip_by_value({0}, -1 + 1e-6, 1 - 1e-6))",
    "atanh": "{call0}(tf.clip_by_value({0}, -1 + 1e-6, 1 - 1e-6))",
    "reduce_std": "tf.sqrt(tf.math.reduce_variance({0}) + 1e-12)",
    "eigh": "{call0}({0} + tf.linalg.diag(1e-4 * tf.range(tf.shape({0})[-1], dtype={0}.dtype)))",
    "svd": "{call0}({0} + 1e-4 * tf.linalg.diag(tf.range(tf.shape({0})[-1], dtype={0}.dtype)))",
}


def safe(source: Source, number: int) -> Fix | None:
    """Functions at the edge of their domain, moved off it: an epsilon, `divide_no_nan`."""

    def change(node: ast.AST) -> str | None:
        name = _function(node)
        if isinstance(node, ast.Call) and name in _SAFE and node.args:
            return _shaped(source, node, _SAFE[name], change)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            above, below = source.within(node.left, change), source.within(node.right, change)
            return f"tf.math.divide_no_nan({above}, {below})"
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            base = _held(source.within(node.left, change), node.left)
            power = source.text(node.right)
            if not isinstance(node.right, ast.Constant) or not isinstance(node.right.value, int):
                return f"tf.sign({base}) * (tf.abs({base}) + 1e-12) ** {_held(power, node.right)}"
        return None

    return source.rewritten(number, change)


def _shaped(
    source: Source, node: ast.Call, shape: str, change: Callable[[ast.AST], str | None]
) -> str | None:
    parts = [source.within(arg, change) for arg in node.args]
    try:
        text = shape.format(*parts, call0=source.text(node.func))
    except IndexError:
        return None
    named = ", ".join(f"{k.arg}={source.text(k.value)}" for k in node.keywords if k.arg != "ord")
    if not named or not text.endswith(")"):
        return text
    if "reduce_sum(" in text:
        return text.replace(") + 1e-12)", f", {named}) + 1e-12)")
    return f"{text[:-1]}, {named})"


def stable(source: Source, number: int) -> Fix | None:
    """What overflows at a line in its stable form: softplus, logsumexp, softmax, sigmoid; or in
    float64."""
    node = source.statement(number)
    if node is None:
        return None

    def change(node: ast.AST) -> str | None:
        if isinstance(node, ast.Call) and _function(node) in ("log", "log1p") and node.args:
            inside = node.args[0]
            if _function(node) == "log1p" and _function(inside) == "exp":
                return f"tf.nn.softplus({_argument(source, inside)})"
            if isinstance(inside, ast.BinOp) and isinstance(inside.op, ast.Add):
                for one, other in ((inside.left, inside.right), (inside.right, inside.left)):
                    if (
                        isinstance(one, ast.Constant)
                        and one.value == 1
                        and _function(other) == "exp"
                    ):
                        return f"tf.nn.softplus({_argument(source, other)})"
            if _function(inside) == "reduce_sum" and isinstance(inside, ast.Call):
                if inside.args and _function(inside.args[0]) == "exp":
                    rest = "".join(f", {k.arg}={source.text(k.value)}" for k in inside.keywords)
                    return f"tf.reduce_logsumexp({_argument(source, inside.args[0])}{rest})"
            if _function(inside) == "cosh":
                x = _argument(source, inside)
                return f"({x} + tf.nn.softplus(-2.0 * ({x})) - 0.6931471805599453)"
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            below = node.right
            if isinstance(below, ast.BinOp) and isinstance(below.op, ast.Add):
                for one, other in ((below.left, below.right), (below.right, below.left)):
                    if (
                        isinstance(one, ast.Constant)
                        and one.value == 1
                        and _function(other) == "exp"
                    ):
                        return (
                            f"{source.text(node.left)} * tf.sigmoid(-({_argument(source, other)}))"
                        )
            if _function(node.left) == "exp" and _function(below) == "reduce_sum":
                return f"tf.nn.softmax({_argument(source, node.left)})"
        if _function(node) == "exp" and isinstance(node, ast.Call) and node.args:
            x = source.text(node.args[0])
            return f"{source.text(node.func)}({x} - tf.stop_gradient(tf.reduce_max({x})))"
        return None

    return source.rewritten(number, change)


def _argument(source: Source, node: ast.AST) -> str:
    assert isinstance(node, ast.Call)
    return source.text(node.args[0])


def double_where(source: Source, number: int, culprit: int) -> Fix | None:
    """tf.where(c, f(x), y) with a safe value in place of x where c does not hold."""

    def change(node: ast.AST) -> str | None:
        if not isinstance(node, ast.Call) or _function(node) != "where" or len(node.args) != 3:
            return None
        condition, yes, no = node.args
        names = {n.id for n in ast.walk(condition) if isinstance(n, ast.Name)} - {"tf", "np"}
        for name in sorted(names):
            text = source.text(condition)
            sides = []
            for side, use in (
                (yes, "{c}, {x}, tf.ones_like({x})"),
                (no, "{c}, tf.ones_like({x}), {x}"),
            ):
                safe_name = f"tf.where({use.format(c=text, x=name)})"
                uses = any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(side))
                nested = not isinstance(side, ast.Name)
                sides.append(
                    _with(source, side, name, safe_name) if uses and nested else source.text(side)
                )
            if sides != [source.text(yes), source.text(no)]:
                return f"{source.text(node.func)}({text}, {sides[0]}, {sides[1]})"
        return None

    return source.rewritten(number, change)


def _with(source: Source, node: ast.expr, name: str, new: str) -> str:
    return source.within(node, lambda n: new if isinstance(n, ast.Name) and n.id == name else None)


def less_flat(source: Source, number: int) -> Fix | None:
    """Flat functions at a line by ones with a slope everywhere."""
    shapes = {
        "relu": "tf.nn.leaky_relu({0})",
        "relu6": "tf.nn.leaky_relu({0})",
        "sigmoid": "({call} + 0.01 * ({0}))",
        "tanh": "({call} + 0.01 * ({0}))",
        "clip_by_value": "({0} + tf.stop_gradient({call} - {0}))",
        "maximum": "({0} + tf.stop_gradient({call} - {0}))",
        "minimum": "({0} + tf.stop_gradient({call} - {0}))",
        "sign": "tf.tanh({0})",
    }
    found = wrapped(source, number, shapes)
    if found is not None:
        return found

    def activation(node: ast.AST) -> str | None:
        if isinstance(node, ast.Constant) and node.value in ("relu", "relu6"):
            return repr("leaky_relu")
        return None

    return source.rewritten(number, activation)


def wider(source: Source, number: int) -> Fix | None:
    """The names at a line in float64."""
    node = source.statement(number)
    value = getattr(node, "value", None)
    if not isinstance(node, (ast.Assign, ast.Return, ast.Expr)) or value is None:
        return None
    functions = {id(n.func) for n in ast.walk(value) if isinstance(n, ast.Call)}

    def change(node: ast.AST) -> str | None:
        if id(node) in functions:
            return source.text(node)
        plain = isinstance(node, ast.Name) and node.id not in ("tf", "np", "math")
        return f"tf.cast({source.text(node)}, tf.float64)" if plain else None

    return source.rewritten(number, change)


def conjugated(source: Source, number: int, method: str) -> Fix | None:
    """tf.math.conj around the call."""
    return source.rewritten(
        number, lambda n: f"tf.math.conj({source.text(n)})" if _function(n) == method else None
    )


def jacobian(source: Source, number: int, method: str) -> Fix | None:
    """`tape.jacobian` in place of `tape.gradient`."""

    def change(node: ast.AST) -> str | None:
        if _function(node) != method or not isinstance(node, ast.Call):
            return None
        assert isinstance(node.func, ast.Attribute)
        inside = ", ".join(source.text(a) for a in node.args)
        named = "".join(f", {k.arg}={source.text(k.value)}" for k in node.keywords)
        return f"{source.text(node.func.value)}.jacobian({inside}{named})"

    return source.rewritten(number, change)
