"""Fixes that exchange functions: TensorFlow's own for NumPy's, smooth for steps, safe for edges."""

from __future__ import annotations

import ast
import re

from tapemagic import codes
from tapemagic.rewriting import Change, Fix, Source, combined, everywhere, function_name, held

_SAME_NAME = {
    *("sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan", "exp", "sqrt", "abs"),
    *("square", "minimum", "maximum", "sign", "add", "subtract", "multiply", "divide", "tensordot"),
    *("reshape", "transpose", "stack", "where", "eye", "ones_like", "zeros_like", "round", "floor"),
    *("matmul", "pow", "einsum", "squeeze", "expand_dims", "tile"),
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
    "norm": "tf.norm",
    "hypot": "tf.norm",
    "reciprocal": "tf.math.reciprocal",
}
_PASSES = {"array", "asarray", "float32", "float64", "convert_to_numpy"}
_REDUCES = {"sum", "mean", "max", "min", "prod", "std", "var"}
_MODULES = ("numpy", "math", "cmath", "scipy")
_PYTHON_OP = {"numpy_function", "py_function"}


# -- NumPy, math, Python's numbers ---------------------------------------------------------------


def in_tensorflow(source: Source, left: int, back: int) -> Fix | None:
    """From where a value left to where it came back: NumPy, math and Python's numbers replaced by
    TensorFlow's own functions, also in a function that was handed to `py_function`."""
    change = _in_tensorflow(source)
    first, last = min(left, back), max(left, back)
    if len(codes.functions_around(source.file, [first, last])) > 1:
        first, last = left, codes.function_end(source.file, left)  # it came back by `return`
    fixes = [everywhere(source, first, last, change)]
    node = source.statement(left)
    called = [n for n in ast.walk(node) if function_name(n) in _PYTHON_OP] if node else []
    for call in called:
        name = source.text(call.args[0]) if isinstance(call, ast.Call) and call.args else ""
        span = codes.function_span(source.file, name)
        if span is not None:
            fixes.append(everywhere(source, *span, change))
    return combined(source, fixes)


def _in_tensorflow(source: Source) -> Change:
    def change(node: ast.AST) -> str | None:
        if not isinstance(node, ast.Call):
            return None
        function, args = node.func, node.args
        if isinstance(function, ast.Name):
            return _by_name(source, node, function.id, change)
        if not isinstance(function, ast.Attribute):
            return None
        name, owner = function.attr, source.text(function.value)
        if name in ("numpy", "item", "tolist") and not args:
            return source.within(function.value, change)
        if name == "astype" and len(args) == 1:
            return source.within(function.value, change)
        if name in ("predict", "predict_on_batch") and args:
            return f"{owner}({source.within(args[0], change)})"
        if name in _PYTHON_OP and len(args) >= 2:
            return _called(source, node, change)
        if owner == "np.random" and name == "normal" and len(args) >= 2:
            return _reparametrised(source, node, change)
        root = owner.split(".")[0]
        if root in _MODULES or root == "np" or name == "convert_to_numpy":
            return _renamed(source, node, name, change)
        if name in _REDUCES and root not in ("tf", "keras", "K"):
            parts = [source.within(function.value, change), *(source.text(a) for a in args)]
            return f"{_OTHER_NAME[name]}({', '.join(parts + _keywords(source, node, change))})"
        return None

    return change


def _by_name(source: Source, node: ast.Call, name: str, change: Change) -> str | None:
    """float(x), and what was imported by name: `from math import exp`."""
    if name in ("float", "int") and len(node.args) == 1:
        return held(source.within(node.args[0], change), node.args[0])
    if name in codes.imported(source.file, _MODULES):
        return _renamed(source, node, name, change)
    return None


def _called(source: Source, node: ast.Call, change: Change) -> str:
    inputs = node.args[1]
    listed = inputs.elts if isinstance(inputs, (ast.List, ast.Tuple)) else [inputs]
    parts = ", ".join(source.within(part, change) for part in listed)
    return f"{source.text(node.args[0])}({parts})"


def _reparametrised(source: Source, node: ast.Call, change: Change) -> str:
    """A normal sample as mean + deviation × noise: the noise alone is a constant."""
    mean, deviation = (source.within(arg, change) for arg in node.args[:2])
    size = next((source.text(k.value) for k in node.keywords if k.arg == "size"), "()")
    shape = size if size.startswith(("(", "[")) else f"({size},)"
    return f"({mean} + {deviation} * tf.random.normal({shape}))"


def _renamed(source: Source, node: ast.Call, name: str, change: Change) -> str | None:
    parts = [source.within(arg, change) for arg in node.args]
    if name in _PASSES and parts:
        return parts[0]
    if name == "dot" and len(parts) == 2:
        return f"tf.tensordot({parts[0]}, {parts[1]}, 1)"
    new = f"tf.{name}" if name in _SAME_NAME else _OTHER_NAME.get(name)
    if new is None:
        return None
    return f"{new}({', '.join(parts + _keywords(source, node, change))})"


def _keywords(source: Source, node: ast.Call, change: Change) -> list[str]:
    skipped = ("dtype", "out", "where")
    return [
        f"{k.arg}={source.within(k.value, change)}" for k in node.keywords if k.arg not in skipped
    ]


# -- steps and flat stretches --------------------------------------------------------------------


def smooth(source: Source, number: int) -> Fix | None:
    """Steps at a line by smooth stand-ins: softmax for one-hot argmax, sigmoid for comparisons,
    straight-through estimates for rounding."""

    def change(node: ast.AST) -> str | None:
        name = function_name(node)
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
        if name == "cast" and compared:
            return f"tf.sigmoid({compared})"
        if name == "where" and len(node.args) == 3 and compared:
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


_LESS_FLAT = {
    "relu": "tf.nn.leaky_relu({0})",
    "relu6": "tf.nn.leaky_relu({0})",
    "sigmoid": "({call} + 0.01 * ({0}))",
    "tanh": "({call} + 0.01 * ({0}))",
    "clip_by_value": "({0} + tf.stop_gradient({call} - ({0})))",
    "maximum": "({0} + tf.stop_gradient({call} - ({0})))",
    "minimum": "({0} + tf.stop_gradient({call} - ({0})))",
    "sign": "tf.tanh({0})",
}


def less_flat(source: Source, number: int) -> Fix | None:
    """Flat functions at a line by ones with a slope everywhere; else, by name, where a layer was
    given one as its activation."""

    def change(node: ast.AST) -> str | None:
        name = function_name(node)
        if name not in _LESS_FLAT or not isinstance(node, ast.Call) or not node.args:
            return None
        parts = [source.within(arg, change) for arg in node.args]
        return _LESS_FLAT[name].format(*parts, call=source.text(node))

    def activation(node: ast.AST) -> str | None:
        flat = isinstance(node, ast.Constant) and node.value in ("relu", "relu6")
        return '"leaky_relu"' if flat else None

    count = len(source.lines)
    found = source.rewritten(number, change) or everywhere(source, 1, count, activation)
    return found or _inside(source, number, change)


def _inside(source: Source, number: int, change: Change) -> Fix | None:
    """The functions of the same file that a line calls, rewritten."""
    node = source.statement(number)
    names = {function_name(n) for n in ast.walk(node)} - {""} if node is not None else set()
    spans = [codes.function_span(source.file, name) for name in sorted(names)]
    return combined(source, (everywhere(source, *span, change) for span in spans if span))


# -- the edges of domains ------------------------------------------------------------------------

_DIAGONAL = (
    "tf.linalg.diag(1e-3 * tf.range(tf.cast(tf.shape({0})[-1], {0}.dtype), dtype={0}.dtype))"
)
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
    "acos": "{function}(tf.clip_by_value({0}, -1 + 1e-6, 1 - 1e-6){rest})",
    "asin": "{function}(tf.clip_by_value({0}, -1 + 1e-6, 1 - 1e-6){rest})",
    "atanh": "{function}(tf.clip_by_value({0}, -1 + 1e-6, 1 - 1e-6){rest})",
    "eigh": f"{{function}}({{0}} + {_DIAGONAL}{{rest}})",
    "svd": f"{{function}}({{0}} + {_DIAGONAL}{{rest}})",
}
_SQUASHED = {
    "sigmoid": ("tf.math.log_sigmoid({0})", "tf.math.log_sigmoid(-({0}))"),
    "softmax": ("tf.nn.log_softmax({0})", None),
}


def safe(source: Source, number: int) -> Fix | None:
    """Functions at the edge of their domain, moved off it: an epsilon, `divide_no_nan`, the
    logarithm of a sigmoid in one piece."""

    def change(node: ast.AST) -> str | None:
        name = function_name(node)
        if isinstance(node, ast.Call) and node.args:
            whole = _log_of_squashed(source, node, number) if name == "log" else None
            return whole or _shaped(source, node, _SAFE.get(name), change)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            above, below = source.within(node.left, change), source.within(node.right, change)
            if isinstance(node.right, ast.Constant):
                return f"{above} / {below}"
            if isinstance(node.left, ast.Constant):  # with divide_no_nan the slope would be 0
                return f"{above} / ({below} + 1e-12)"
            return f"tf.math.divide_no_nan({above}, {below})"
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            base = held(source.within(node.left, change), node.left)
            if not isinstance(node.right, ast.Constant) or not isinstance(node.right.value, int):
                power = held(source.text(node.right), node.right)
                return f"tf.sign({base}) * (tf.abs({base}) + 1e-12) ** {power}"
        return None

    return source.rewritten(number, change)


def _shaped(source: Source, node: ast.Call, shape: str | None, change: Change) -> str | None:
    if shape is None:
        return None
    parts = [source.within(arg, change) for arg in node.args]
    kept = [k for k in node.keywords if k.arg != "ord"]
    rest = "".join(f", {k.arg}={source.text(k.value)}" for k in kept)
    try:
        return shape.format(*parts, function=source.text(node.func), rest=rest)
    except IndexError:
        return None


def _log_of_squashed(source: Source, node: ast.Call, number: int) -> str | None:
    """log p and log(1 − p) for p = σ(z): log σ(z) and log σ(−z)."""
    inside = node.args[0]
    other = isinstance(inside, ast.BinOp) and isinstance(inside.op, ast.Sub)
    if isinstance(inside, ast.BinOp) and other:
        one = isinstance(inside.left, ast.Constant) and inside.left.value == 1
        inside = inside.right if one else inside
    if isinstance(inside, ast.Name):
        made = codes.last_assignment(source.file, inside.id, number)
        inside = made.value if made is not None else inside
    forms = _SQUASHED.get(function_name(inside))
    form = forms[1 if other else 0] if forms else None
    if form is None or not isinstance(inside, ast.Call) or not inside.args:
        return None
    return form.format(source.text(inside.args[0]))


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
        new: dict[int, str] = {}
        for side in (yes, no):
            plain = isinstance(side, ast.Name) or function_name(side) in ("ones_like", "zeros_like")
            if _uses(side, name) and not plain:
                new[id(side)] = source.within(side, _exchange(name, own[id(side)]))
        if new:
            return source.rewritten(number, _chosen(new))
        above = source.statement(culprit)
        if culprit != number and isinstance(above, ast.Assign) and _uses(above.value, name):
            made = {t.id for t in above.targets if isinstance(t, ast.Name)}
            for side in (yes, no):
                if isinstance(side, ast.Name) and side.id in made:
                    return source.rewritten(culprit, _exchange(name, own[id(side)]))
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


_LARGEST = "80.0"  # e⁸⁰ is still a float32


# -- overflow and precision ----------------------------------------------------------------------


def stable(source: Source, number: int) -> Fix | None:
    """What overflows at a line in its stable form: softplus, logsumexp, sigmoid; else shifted by
    the largest entry, as in a softmax."""
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
            return f"{source.text(node.func)}(tf.minimum({x}, {_LARGEST}))"
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


_MADE = {"constant", "Variable", "ones", "zeros", "linspace", "fill", "eye", "normal", "uniform"}


def wider(source: Source, number: int) -> Fix | None:
    """The tensors that are made above a line in a wider dtype: float32 or float64."""
    half = any("float16" in line for line in source.lines)

    def widened(node: ast.AST) -> str | None:
        if isinstance(node, ast.Attribute) and node.attr in ("float16", "bfloat16", "half"):
            return "tf.float32"
        if half or function_name(node) not in _MADE or not isinstance(node, ast.Call):
            return None
        if not source.text(node.func).startswith("tf.") or len(node.args) > 2:
            return None
        parts = [source.text(arg) for arg in node.args]
        parts += [f"{k.arg}={source.text(k.value)}" for k in node.keywords if k.arg != "dtype"]
        if function_name(node) == "linspace":
            return None
        return f"{source.text(node.func)}({', '.join(parts)}, dtype=tf.float64)"

    return everywhere(source, 1, len(source.lines) if half else number, widened)


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
        if name not in ("constant", "Variable", "range") or not node.args:
            return None
        parts = [source.within(arg, literal) for arg in node.args]
        kept = [f"{k.arg}={source.text(k.value)}" for k in node.keywords if k.arg != "dtype"]
        text = f"{source.text(node.func)}({', '.join([*parts, *kept])})"
        if text != source.text(node):
            return text
        return f"{source.text(node.func)}({', '.join([*parts, *kept, 'dtype=tf.float32'])})"

    return source.rewritten(number, change)
