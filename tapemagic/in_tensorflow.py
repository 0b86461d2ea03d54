"""Fixes that stay with TensorFlow: its own functions for NumPy's, math's and Python's numbers."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tapemagic import codes, collecting, interpolating, origins, sampling
from tapemagic.rewriting import Change, Fix, Source, combined, everywhere, function_name, held

_SAME_NAME = {
    *("sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan", "exp", "sqrt", "abs"),
    *("square", "minimum", "maximum", "sign", "add", "subtract", "multiply", "divide", "tensordot"),
    *("reshape", "transpose", "stack", "where", "eye", "ones_like", "zeros_like", "round", "floor"),
    *("matmul", "pow", "einsum", "squeeze", "expand_dims", "tile", "cumsum"),
}
_OTHER_NAME = {
    "log": "tf.math.log",
    "log1p": "tf.math.log1p",
    "expm1": "tf.math.expm1",
    "erf": "tf.math.erf",
    "expit": "tf.sigmoid",
    "softmax": "tf.nn.softmax",
    "logsumexp": "tf.reduce_logsumexp",
    "atan2": "tf.math.atan2",
    "arctan2": "tf.math.atan2",
    "arcsin": "tf.asin",
    "arccos": "tf.acos",
    "arctan": "tf.atan",
    "mean": "tf.reduce_mean",
    "fmean": "tf.reduce_mean",
    "sum": "tf.reduce_sum",
    "fsum": "tf.reduce_sum",
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
    "rfft": "tf.signal.rfft",
    "irfft": "tf.signal.irfft",
    "reciprocal": "tf.math.reciprocal",
    "inv": "tf.linalg.inv",
    "det": "tf.linalg.det",
    "cholesky": "tf.linalg.cholesky",
}
# The rest of NumPy that TensorFlow has under NumPy's names.
_BY_NUMPY_S_NAME = {
    *("append", "average", "cbrt", "conj", "cross", "cumprod", "deg2rad", "diag", "diagonal"),
    *("diff", "dstack", "exp2", "flip", "full_like", "hstack", "imag", "inner", "kron", "log10"),
    *("log2", "logaddexp", "moveaxis", "nanmean", "nansum", "outer", "pad", "polyval", "ptp"),
    *("rad2deg", "ravel", "real", "repeat", "roll", "sinc", "sort", "split", "swapaxes", "take"),
    *("trace", "tril", "triu", "vander", "vdot", "vstack", "negative", "float_power"),
}
# Those whose arguments are others in TensorFlow.
_BY_FORM = {
    "hypot": "tf.sqrt({0}**2 + {1}**2)",
    "dot": "tf.tensordot({0}, {1}, 1)",
    "round": "(tf.round({0} * 10.0**{1}) / 10.0**{1})",  # to so many decimals
    "solve": "tf.tensordot(tf.linalg.inv({0}), {1}, 1)",  # also where {1} is a vector
}
_ONLY_NUMPY_S = {"ddof", "initial", "order", "casting", "decimals"}  # keywords
_PASSES = {
    *("array", "asarray", "asanyarray", "ascontiguousarray", "float32", "float64"),
    *("convert_to_numpy", "copy"),
}
_REDUCES = {"sum", "mean", "max", "min", "prod", "std", "var"}
_MODULES = ("numpy", "math", "cmath", "scipy", "statistics")
_PYTHON_OP = {"numpy_function", "py_function"}
_OF_ARRAYS = {  # methods that tensors lack
    "flatten": "tf.reshape({0}, [-1])",
    "ravel": "tf.reshape({0}, [-1])",
    "reshape": "tf.reshape({0}, ({1}))",
    "squeeze": "tf.squeeze({0})",
    "transpose": "tf.transpose({0})",
    "dot": "tf.tensordot({0}, {1}, 1)",
    "clip": "tf.clip_by_value({0}, {1})",
}
_BUILT_IN = {  # of Python's, which take numbers
    "round": "({0} + tf.stop_gradient(tf.round({0}) - {0}))",
    "sorted": "tf.unstack(tf.sort({0}))",
}
_TEXTS = {"str", "repr", "format", "dumps"}
_METHODS = {"numpy": "{}", "item": "{}", "astype": "{}", "tolist": "tf.unstack({})", "copy": "{}"}


def rewritten(source: Source, left: int, back: int = 0) -> Fix | None:
    """From where a value left to where it came back (0: in another file): NumPy, math and Python's
    numbers replaced by TensorFlow's own functions, also in a function that was handed to
    `py_function`. None if something is left for which TensorFlow has no function."""
    filled = collecting.stacked(source, left)
    if filled is not None:
        return filled
    change = _in_tensorflow(source)
    first, last = min(left, back or left), max(left, back)
    if not back:
        first, last = codes.function_around(source.file, left) or (left, left)
    elif len(codes.functions_around(source.file, [first, last])) > 1:
        first, last = left, codes.function_end(source.file, left)  # it came back by `return`
    fixes = [everywhere(source, first, last, change if back else _returning(source, change))]
    numbers = [left]
    node = source.statement(left)
    called = [n for n in ast.walk(node) if function_name(n) in _PYTHON_OP] if node else []
    for call in called:
        name = source.text(call.args[0]) if isinstance(call, ast.Call) and call.args else ""
        span = codes.function_span(source.file, name)
        if span is not None:
            fixes.append(everywhere(source, *span, change))
            numbers += range(span[0] + 1, span[1] + 1)
    made = combined(source, fixes)
    left_over = any(_is_outside_still(source, number, change) for number in numbers)
    return None if left_over or made is None else interpolating.defined(source, made)


def used(source: Source, name: str, first: int, last: int) -> Fix | None:
    """The statements below one line and above another that read a name, by TensorFlow's functions:
    of a variable `tf.constant` would take the value alone."""
    change = _in_tensorflow(source)
    reading = [
        number
        for number in range(first + 1, last)
        for node in [source.statement(number)]
        if node is not None and node.lineno == number and name in _names(node)
    ]
    return combined(source, (source.rewritten(number, change) for number in reading))


def _names(node: ast.stmt) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _returning(source: Source, change: Change) -> Change:
    """Besides, what is returned as a list becomes a tensor."""

    def also(node: ast.AST) -> str | None:
        new = change(node)
        if new is not None or not isinstance(node, ast.Name):
            return new
        statement = source.statement(node.lineno)
        made = codes.last_assignment(source.file, node.id, node.lineno)
        listed = made is not None and isinstance(made.value, (ast.List, ast.ListComp))
        if listed and isinstance(statement, ast.Return) and statement.value is node:
            return f"tf.stack({node.id})"
        return None

    return also


def _is_outside_still(source: Source, number: int, change: Change) -> bool:
    """Whether a call that takes a value out stays at a line."""
    node = source.statement(number)
    if node is None:
        return False
    own = [part for part in ast.iter_child_nodes(node) if not isinstance(part, ast.stmt)]
    parts = [n for part in own for n in ast.walk(part)]
    if any(isinstance(n, ast.JoinedStr) or function_name(n) in _TEXTS for n in parts):
        return True  # it left as a text
    calls = [n for n in parts if isinstance(n, ast.Call)]
    leaving = [c for c in calls if _leaves(source, c) and _variable_names(source, c)]
    return any(change(call) is None for call in leaving)


def _leaves(source: Source, node: ast.Call) -> bool:
    known = origins.of(source.file)
    if isinstance(node.func, ast.Name):
        return node.func.id in known.functions or node.func.id in codes.imported(
            source.file, _MODULES
        )
    return _root(node.func) in (*_MODULES, "np", *known.modules)


def _root(function: ast.expr) -> str:
    """m of m.f and m.n.f; "" where it is not a name."""
    while isinstance(function, ast.Attribute):
        function = function.value
    return function.id if isinstance(function, ast.Name) else ""


def _variable_names(source: Source, node: ast.Call) -> set[str]:
    """The names in a call's arguments whose values may come from a tensor."""
    parts = [*node.args, *(k.value for k in node.keywords if k.arg not in ("size", "dtype"))]
    names = {n.id for p in parts for n in ast.walk(p) if isinstance(n, ast.Name)}
    return names - {"np", "tf", "range", "len", "float", "int", *_MODULES}


def _in_tensorflow(source: Source) -> Change:
    modules = {*_MODULES, "np", *origins.of(source.file).modules}

    def change(node: ast.AST) -> str | None:
        if not isinstance(node, ast.Call):
            return None
        function = node.func
        if isinstance(function, ast.Name):
            return _by_name(source, node, function.id, change)
        if not isinstance(function, ast.Attribute):
            return None
        name, owner = function.attr, source.text(function.value)
        root = _root(function)
        if name in sampling.SAMPLES:
            sample = sampling.reparametrised(source, node, change)
            if sample is not None:
                return sample
        if root in modules or name == "convert_to_numpy":
            return _renamed(source, node, name, change)
        if owner == "tf" and name == "constant" and _packs(source, node, change):
            return f"tf.convert_to_tensor({', '.join(_arguments(source, node, change))})"
        return _by_method(source, node, name, owner, change)

    return change


def _by_method(source: Source, node: ast.Call, name: str, owner: str, change: Change) -> str | None:
    """x.numpy(), x.mean() of what NumPy made, model.predict(x), tf.py_function(f, …)."""
    assert isinstance(node.func, ast.Attribute)
    args, root = node.args, _root(node.func)
    plain = root not in {"tf", "keras", "K", *origins.of(source.file).libraries}
    if name in _METHODS and len(args) == (name == "astype"):
        return _METHODS[name].format(source.within(node.func.value, change))
    if name in ("predict", "predict_on_batch") and args:
        return f"{owner}({source.within(args[0], change)})"
    if name in _PYTHON_OP and len(args) >= 2:
        return _called(source, node, change)
    if name in _REDUCES and plain:
        parts = [source.within(node.func.value, change), *(source.text(a) for a in args)]
        return f"{_OTHER_NAME[name]}({', '.join(parts + _keywords(source, node, change))})"
    if name in _OF_ARRAYS and plain:
        given = ", ".join(source.within(arg, change) for arg in args)
        return _OF_ARRAYS[name].format(source.within(node.func.value, change), given)
    return None


def _packs(source: Source, call: ast.Call, change: Change) -> bool:
    """Whether it may be a list of tensors, of which tf.constant would only take the values."""
    if not call.args or any(k.arg not in ("dtype", "name") for k in call.keywords):
        return False
    node = call.args[0]
    if isinstance(node, ast.Constant):
        return False
    if isinstance(node, (ast.List, ast.Tuple)):
        return any(not isinstance(part, (ast.Constant, ast.UnaryOp)) for part in node.elts)
    part = isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice)
    return part or isinstance(node, (ast.Name, ast.ListComp)) or change(node) is not None


def _by_name(source: Source, node: ast.Call, name: str, change: Change) -> str | None:
    """float(x), and what was imported by name: `from math import exp`."""
    if name in ("float", "int") and len(node.args) == 1:
        return held(source.within(node.args[0], change))
    if name in _BUILT_IN and node.args and _leaves_inside(source, node, change):
        return _BUILT_IN[name].format(held(source.within(node.args[0], change)))
    known = origins.of(source.file).functions
    if name in known or name in codes.imported(source.file, _MODULES):
        return _renamed(source, node, codes.true_name(source.file, known.get(name, name)), change)
    return None


def _leaves_inside(source: Source, node: ast.Call, change: Change) -> bool:
    """Whether what a function is given leaves TensorFlow in its first argument."""
    return source.within(node.args[0], change) != source.text(node.args[0])


def _called(source: Source, node: ast.Call, change: Change) -> str:
    inputs = node.args[1]
    listed = inputs.elts if isinstance(inputs, (ast.List, ast.Tuple)) else [inputs]
    parts = ", ".join(source.within(part, change) for part in listed)
    function = source.text(node.args[0])
    imported = function.split(".")[-1]
    if function.startswith("np.") and _tensorflow_s(imported):
        function = str(_tensorflow_s(imported))
    return f"{held(function)}({parts})"


def _renamed(source: Source, node: ast.Call, name: str, change: Change) -> str | None:
    if not _variable_names(source, node) and not any(
        isinstance(n, ast.Call) for arg in node.args for n in ast.walk(arg)
    ):
        return None  # of constants: it stays what it is
    parts = [source.within(arg, change) for arg in node.args]
    if name in _PASSES and parts:
        return f"tf.convert_to_tensor({parts[0]})" if _may_be_listed(source, node) else parts[0]
    if name == "interp" and len(parts) == 3 and not node.keywords:
        return f"interpolated({', '.join(parts)})"
    if name in _BY_FORM and len(parts) == 2:
        return _BY_FORM[name].format(*map(held, parts))
    given = {k.arg for k in node.keywords}
    new = _tensorflow_s(name)
    if name == "clip" and _leaves_out(node):
        new = "tf.experimental.numpy.clip"
    if new is None or given & _ONLY_NUMPY_S:
        return None
    if name == "concatenate" and len(parts) == 1 and "axis" not in given:
        parts.append("0")
    return f"{new}({', '.join(parts + _keywords(source, node, change))})"


def _leaves_out(node: ast.Call) -> bool:
    """Whether it names its limits as NumPy does, or is without one."""
    return bool(node.keywords) or any(_is_none(arg) for arg in node.args)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _may_be_listed(source: Source, node: ast.Call) -> bool:
    """Whether the argument of np.array is a list, as far as one can see."""
    value: ast.AST = node.args[0]
    if isinstance(value, ast.Name):
        made = codes.last_assignment(source.file, value.id, node.lineno)
        value = value if made is None else made.value
    return isinstance(value, (ast.List, ast.Tuple, ast.ListComp))


def _tensorflow_s(name: str) -> str | None:
    """TensorFlow's name for a function of NumPy's."""
    if name in _BY_NUMPY_S_NAME:
        return f"tf.experimental.numpy.{name}"
    return f"tf.{name}" if name in _SAME_NAME else _OTHER_NAME.get(name)


def _arguments(source: Source, node: ast.Call, change: Change) -> Iterator[str]:
    yield from (source.within(arg, change) for arg in node.args)
    yield from (f"{k.arg}={source.within(k.value, change)}" for k in node.keywords)


def _keywords(source: Source, node: ast.Call, change: Change) -> list[str]:
    skipped = ("dtype", "out", "where")
    return [
        f"{k.arg}={source.within(k.value, change)}" for k in node.keywords if k.arg not in skipped
    ]
