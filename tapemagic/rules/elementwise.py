"""Rules of the ops that work entry by entry: a formula says it all.

A builder uses the plain nodes, so that formulas stay as the user wrote them. Broadcasting and
the numbers follow from the formula, once, in `_applied`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from tapemagic.formula import (
    ONE,
    Call,
    Formula,
    Name,
    Negative,
    Number,
    Power,
    Product,
    Quotient,
    Sum,
    Symbol,
    Value,
    call,
    number,
)
from tapemagic.functions import FUNCTIONS
from tapemagic.meaning import compiled
from tapemagic.rules.rule import Array, Attributes, Row, as_formulas, is_symbolic
from tapemagic.special import SELU_ALPHA, SELU_SCALE

Builder = Callable[..., Formula]


def total(*terms: Formula) -> Formula:
    """The sum as written; sums in it are opened."""
    flat = [part for term in terms for part in (term.terms if isinstance(term, Sum) else (term,))]
    return flat[0] if len(flat) == 1 else Sum(tuple(flat)) if flat else number(0)


def product(*factors: Formula) -> Formula:
    """The product as written; products in it are opened, a factor 1 says nothing."""
    flat: list[Formula] = []
    for factor in factors:
        parts = factor.factors if isinstance(factor, Product) else (factor,)
        flat += [part for part in parts if part != ONE]
    return flat[0] if len(flat) == 1 else Product(tuple(flat)) if flat else number(1)


def difference(a: Formula, b: Formula) -> Formula:
    """a - b as written."""
    return total(a, Negative(b))


def _where(condition: Formula, yes: Formula, no: Formula) -> Formula:
    if isinstance(condition, Number):
        return yes if condition.value else no
    return call("where", condition, yes, no)


def _of(name: str) -> Builder:
    return lambda *arguments: Call(name, arguments)


def _one(x: Formula) -> Formula:
    return number(1)


def _gate(g: Formula, condition: Formula) -> Formula:
    return product(g, call("indicator", condition))


def _attribute(value: float) -> Formula:
    # TensorFlow keeps float attributes in float32: 0.3 is 0.30000001192… in float64 ops too.
    kept = float(np.float32(value))
    return number(value) if kept == value else Value(kept, "float32")


def _leaky(x: Formula, alpha: float) -> Formula:
    return call("leaky_relu", x, _attribute(alpha))


def _leaky_grad(g: Formula, x: Formula, alpha: float) -> Formula:
    return product(g, _where(call("greater", x, 0), number(1), _attribute(alpha)))


def _cast(x: Formula, SrcT: Any, DstT: Any) -> Formula:
    source, target = _family(SrcT), _family(DstT)
    if source == target or target == "complex" or (source, target) == ("integer", "float"):
        return x
    if source == "bool":
        return x if isinstance(x, Number) else call("indicator", x)
    return call("not_equal", x, 0) if target == "bool" else call("trunc", x)


_FAMILIES = {1: "float", 2: "float", 10: "bool", 14: "float", 19: "float", 8: "complex"}
_FAMILIES[18] = "complex"


def _family(dtype: Any) -> str:
    """float, integer, bool or complex of a dtype as the op callback gives it (enum or DType)."""
    if isinstance(dtype, int):
        return _FAMILIES.get(dtype, "integer")
    name = str(getattr(dtype, "name", dtype))
    known = ("bool", "complex", "float")
    return next((family for family in known if family in name), "integer")


@cache
def _pattern(
    build: Builder, count: int, options: tuple[tuple[str, Any], ...]
) -> Callable[[Any], Any]:
    """The builder's formula of `count` placeholders as a function on numbers, made once."""
    places = tuple(Symbol(Name("x", place)) for place in range(count))
    return compiled(build(*places, **dict(options)), {p: i for i, p in enumerate(places)})


def _numbers(build: Builder, inputs: Sequence[Array], options: dict[str, Any]) -> Array:
    function = _pattern(build, len(inputs), tuple(options.items()))
    whole = all(array.dtype.kind in "iu" for array in inputs)
    exact = [
        array if array.dtype == bool else array.astype(np.float64, copy=False) for array in inputs
    ]
    with np.errstate(all="ignore"):
        result = np.asarray(function(exact))
    if any(array.ndim for array in inputs):
        shape = np.broadcast_shapes(*(array.shape for array in inputs))
        result = result if result.shape == shape else np.array(np.broadcast_to(result, shape))
    return result.astype(np.int64) if whole and result.dtype != bool else result


def _formulas(build: Builder, inputs: Sequence[Array], options: dict[str, Any]) -> Array:
    arrays = np.broadcast_arrays(*map(as_formulas, inputs))
    result = np.empty(arrays[0].shape, dtype=object)
    for index in np.ndindex(result.shape):
        result[index] = build(*(array[index] for array in arrays), **options)
    return result


def _row(kind: str, rule: str, build: Builder, uses: tuple[str, ...] = ()) -> Row:
    def applied(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
        options = {name: attributes[name] for name in uses}
        arrays = [np.asarray(array) for array in inputs]
        mode = _formulas if is_symbolic(*arrays) else _numbers
        return (mode(build, arrays, options),)

    return Row(kind, rule, applied, elementwise=True)


def _named(kind: str, function: str) -> Row:
    return _row(kind, FUNCTIONS[function].rule, _of(function))


# fmt: off
_ARITHMETIC = (
    _row("Add",               "sum rule",               total),
    _row("AddV2",             "sum rule",               total),
    _row("AddN",              "sum rule",               total),
    _row("Sub",               "sum rule",               difference),
    _row("Mul",               "product rule",           product),
    _row("MulNoNan",          "product rule",           _of("mul_no_nan")),
    _row("Div",               "quotient rule",          Quotient),
    _row("RealDiv",           "quotient rule",          Quotient),
    _row("DivNoNan",          "quotient rule",          _of("div_no_nan")),
    _row("Neg",               "constant multiple rule", Negative),
    _row("Reciprocal",        "quotient rule",          lambda x: Quotient(number(1), x)),
    _row("Inv",               "quotient rule",          lambda x: Quotient(number(1), x)),
    _row("Pow",               "power rule",             Power),
    _row("Square",            "power rule",             lambda x: Power(x, number(2))),
    _row("SquaredDifference", "power rule", lambda a, b: Power(difference(a, b), number(2))),
    _row("Rsqrt",             "root rule",  lambda x: Quotient(number(1), call("sqrt", x))),
)

_FUNCTIONS = tuple(
    _named(kind, function)
    for kind, function in {
        "Sin": "sin", "Cos": "cos", "Tan": "tan", "Asin": "asin", "Acos": "acos", "Atan": "atan",
        "Sinh": "sinh", "Cosh": "cosh", "Tanh": "tanh", "Asinh": "asinh", "Acosh": "acosh",
        "Atanh": "atanh", "Atan2": "atan2", "Exp": "exp", "Expm1": "expm1", "Log": "log",
        "Log1p": "log1p", "Sqrt": "sqrt", "Abs": "abs", "Sign": "sign",
        "Sigmoid": "sigmoid", "Softplus": "softplus", "Softsign": "softsign", "Relu": "relu",
        "Relu6": "relu6", "Elu": "elu", "Selu": "selu", "StopGradient": "stop_gradient",
        "Maximum": "maximum", "Minimum": "minimum", "ClipByValue": "clip", "Floor": "floor",
        "Ceil": "ceil", "Round": "round", "Rint": "rint", "FloorDiv": "floor_div",
        "FloorMod": "floor_mod", "Greater": "greater", "GreaterEqual": "greater_equal",
        "Less": "less", "LessEqual": "less_equal", "Equal": "equal", "NotEqual": "not_equal",
        "LogicalAnd": "logical_and", "LogicalOr": "logical_or", "LogicalNot": "logical_not",
        "IsFinite": "is_finite", "IsNan": "is_nan", "IsInf": "is_inf",
        "Xlogy": "xlogy", "Xlog1py": "xlog1py", "Xdivy": "xdivy", "Erf": "erf", "Erfc": "erfc",
        "Erfinv": "erfinv", "Ndtri": "ndtri", "Lgamma": "lgamma", "Digamma": "digamma",
        "Polygamma": "polygamma", "Igamma": "igamma", "Igammac": "igammac",
        "IgammaGradA": "igamma_slope", "Betainc": "betainc", "Zeta": "zeta", "Dawsn": "dawsn",
        "Expint": "expint", "FresnelCos": "fresnel_cos", "FresnelSin": "fresnel_sin",
        "Spence": "spence", "BesselI0": "bessel_i0", "BesselI0e": "bessel_i0e",
        "BesselI1": "bessel_i1", "BesselI1e": "bessel_i1e", "BesselJ0": "bessel_j0",
        "BesselJ1": "bessel_j1", "BesselK0": "bessel_k0", "BesselK0e": "bessel_k0e",
        "BesselK1": "bessel_k1", "BesselK1e": "bessel_k1e", "BesselY0": "bessel_y0",
        "BesselY1": "bessel_y1",
    }.items()
)

_OTHERS = (
    _row("LeakyRelu",       "leaky ReLU rule",  _leaky, uses=("alpha",)),
    _row("SelectV2",        "the branch taken", _where),
    _row("Cast",            "change of dtype",  _cast, uses=("SrcT", "DstT")),
    _row("Identity",        "copy",             lambda x: x),
    _row("Snapshot",        "copy",             lambda x: x),
    _row("PreventGradient", "copy",             lambda x: x),
    _row("CheckNumerics",   "copy",             lambda x: x),
    _row("CheckNumericsV2", "copy",             lambda x: x),
    _row("EnsureShape",     "copy",             lambda x: x),
    _row("PlaceholderWithDefault", "copy",      lambda x: x),
    _row("OnesLike",        "constant",         _one),
    _row("ZerosLike",       "constant",         lambda x: number(0)),
)

# The ops that TensorFlow runs backwards: an outer tape sees them as ordinary ops.
_BACKWARD = (
    _row("ReciprocalGrad", "slope of 1/x",
         lambda y, g: product(Negative(g), Power(y, number(2)))),
    _row("InvGrad",        "slope of 1/x",
         lambda y, g: product(Negative(g), Power(y, number(2)))),
    _row("SqrtGrad",       "slope of the root", lambda y, g: Quotient(g, product(number(2), y))),
    _row("RsqrtGrad",      "slope of the reciprocal root",
         lambda y, g: Quotient(Negative(product(g, Power(y, number(3)))), number(2))),
    _row("SigmoidGrad",    "slope of the sigmoid",
         lambda y, g: product(g, y, difference(number(1), y))),
    _row("TanhGrad",       "slope of tanh",
         lambda y, g: product(g, difference(number(1), Power(y, number(2))))),
    _row("SoftplusGrad",   "slope of softplus", lambda g, x: product(g, call("sigmoid", x))),
    _row("SoftsignGrad",   "slope of softsign",
         lambda g, x: Quotient(g, Power(total(number(1), call("abs", x)), number(2)))),
    _row("ReluGrad",       "slope of ReLU",  lambda g, x: _gate(g, call("greater", x, 0))),
    _row("Relu6Grad",      "slope of ReLU6", lambda g, x: _gate(
        g, call("logical_and", call("greater", x, 0), call("less", x, 6)))),
    _row("LeakyReluGrad",  "slope of leaky ReLU", _leaky_grad, uses=("alpha",)),
    _row("EluGrad",        "slope of ELU", lambda g, y: _where(
        call("less", y, 0), product(g, total(y, number(1))), g)),
    _row("SeluGrad",       "slope of SELU", lambda g, y: _where(
        call("less", y, 0), product(g, total(y, number(SELU_SCALE * SELU_ALPHA))),
        product(number(SELU_SCALE), g))),
)
# fmt: on

ROWS = (*_ARITHMETIC, *_FUNCTIONS, *_OTHERS, *_BACKWARD)
