"""Fixes for NumPy's random samples: noise that is a constant, scaled and moved by TensorFlow."""

from __future__ import annotations

import ast

from tapemagic import codes
from tapemagic.rewriting import Change, Source, held

# Parameters with what they are by default, and the sample of noise of this shape.
SAMPLES = {
    "normal": ({"loc": "0.0", "scale": "1.0"}, "({0} + {1} * tf.random.normal({2}))"),
    "uniform": ({"low": "0.0", "high": "1.0"}, "({0} + ({1} - {0}) * tf.random.uniform({2}))"),
    "lognormal": ({"mean": "0.0", "sigma": "1.0"}, "tf.exp({0} + {1} * tf.random.normal({2}))"),
    "exponential": ({"scale": "1.0"}, "({0} * tf.random.gamma({2}, 1.0))"),
}
_GENERATORS = ("default_rng", "RandomState")


def reparametrised(source: Source, node: ast.Call, change: Change) -> str | None:
    """`np.random.normal(m, s)` as m + s · noise, and the like; None for what is no such sample."""
    function = node.func
    if not isinstance(function, ast.Attribute) or function.attr not in SAMPLES:
        return None
    if not _is_numpy_s(source, function.value):
        return None
    parameters, form = SAMPLES[function.attr]
    given = dict(zip([*parameters, "size"], node.args))
    given.update({k.arg: k.value for k in node.keywords if k.arg})
    parts = [
        held(source.within(given[name], change)) if name in given else default
        for name, default in parameters.items()
    ]
    size = given.get("size")
    shape = f"tf.shape({' + '.join(parts)})" if size is None else _shape(source, size)
    return form.format(parts[0], parts[-1], shape)


def _is_numpy_s(source: Source, owner: ast.expr) -> bool:
    """Whether it is np.random, or a generator made by it."""
    if not isinstance(owner, ast.Name):
        return source.text(owner) in ("np.random", "numpy.random")
    made = codes.last_assignment(source.file, owner.id, owner.lineno)
    return made is not None and source.text(made.value).split("(")[0].endswith(_GENERATORS)


def _shape(source: Source, size: ast.expr) -> str:
    """NumPy's size, a number or a shape, as a shape."""
    text = source.text(size)
    if isinstance(size, (ast.Tuple, ast.List)) or text.endswith(".shape"):
        return text
    return f"[{text}]" if isinstance(size, ast.Constant) else f"tf.reshape({text}, [-1])"
