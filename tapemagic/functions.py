"""The functions that formulas call: one row each gives its names, its meaning and its slope.

Slopes follow TensorFlow where calculus leaves a choice: relu′(0) = 0, abs′(0) = 0, a tie of
`maximum` goes to its first argument, ties of `max` share equally.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tapemagic import special
from tapemagic.formula import ZERO, Constant, Formula, Scalar, call, number

Partials = Callable[..., tuple[Formula, ...]]


@dataclass(frozen=True)
class Function:
    """A row. `partials(*arguments)` gives ∂/∂argument for each argument, as formulas.

    `numpy` maps float64 arrays to float64 (or bool) arrays. `sympy` maps SymPy expressions to a
    SymPy expression; it imports SymPy itself, late. `rule` names the rule of differentiation.
    """

    name: str
    latex: str
    text: str
    numpy: Callable[..., Any]
    sympy: Callable[..., Any]
    partials: Partials
    rule: str


_PLAIN_LATEX = frozenset("sin cos tan sinh cosh tanh exp max min".split())
PI = Constant("pi")


def _sympy(name: str) -> Callable[..., Any]:
    """SymPy's function of that name, imported when it is first called."""
    return _built(lambda sp, *arguments: getattr(sp, name)(*arguments))


def _built(build: Callable[..., Any]) -> Callable[..., Any]:
    """`build(sympy, *arguments)` with SymPy imported when it is first called."""

    def late(*arguments: Any) -> Any:
        import sympy

        return build(sympy, *arguments)

    return late


def _row(
    name: str,
    rule: str,
    numpy: Callable[..., Any],
    partials: Partials,
    sympy: str | Callable[..., Any] = "",
    text: str = "",
    latex: str = "",
) -> Function:
    text = text or name
    plain = rf"\{name}" if name in _PLAIN_LATEX else rf"\operatorname{{{text}}}"
    build = _built(sympy) if callable(sympy) else _sympy(sympy or name)
    return Function(name, latex or plain, text, numpy, build, partials, rule)


def _flat(*arguments: Formula) -> tuple[Formula, ...]:
    return (ZERO,) * len(arguments)


def _if(condition: Formula, yes: Scalar, no: Scalar) -> Formula:
    return call("where", condition, yes, no)


def indicator(condition: Formula) -> Formula:
    """1 where the condition holds, 0 elsewhere."""
    return call("indicator", condition)


def _is(comparison: str, a: Scalar, b: Scalar) -> Formula:
    return indicator(call(comparison, a, b))


def _extreme_partials(share: str) -> Partials:
    return lambda *xs: tuple(call(share, x, *xs) for x in xs)


def _ties(sp: Any, extreme: Any, own: Any, *entries: Any) -> Any:
    best = extreme(*entries)
    count = sum(sp.Piecewise((1, sp.Eq(e, best)), (0, True)) for e in entries)
    return sp.Piecewise((1 / count, sp.Eq(own, best)), (0, True))


def _scaled(sp: Any, value: Any, x: Any) -> Any:
    return sp.exp(-sp.Abs(x)) * value


def _fn(name: str) -> Callable[[Scalar], Formula]:
    return lambda *arguments: call(name, *arguments)


_cosh, _exp, _log, _sqrt, _abs, _sign = map(_fn, "cosh exp log sqrt abs sign".split())
_I0, _I1, _I0E, _I1E = map(_fn, "bessel_i0 bessel_i1 bessel_i0e bessel_i1e".split())
_J0, _J1, _Y0, _Y1 = map(_fn, "bessel_j0 bessel_j1 bessel_y0 bessel_y1".split())
_K0, _K1, _K0E, _K1E = map(_fn, "bessel_k0 bessel_k1 bessel_k0e bessel_k1e".split())
_S, _A = special.SELU_SCALE, special.SELU_ALPHA


def _density(a: Formula, x: Formula) -> Formula:
    # exp of a sum of logarithms as TensorFlow has it: xᵃ⁻¹e⁻ˣ/Γ(a) overflows much sooner.
    return _exp((a - 1) * _log(x) - x - call("lgamma", a))


def _beta_density(a: Formula, b: Formula, x: Formula) -> Formula:
    beta = call("lgamma", a) + call("lgamma", b) - call("lgamma", a + b)
    return _exp((a - 1) * _log(x) + (b - 1) * call("log1p", -x) - beta)


# fmt: off
_ELEMENTARY = (
    _row("sin", "sine rule", np.sin, lambda x: (call("cos", x),)),
    _row("cos", "cosine rule", np.cos, lambda x: (-call("sin", x),)),
    _row("tan", "tangent rule", np.tan, lambda x: (1 / call("cos", x) ** 2,)),
    _row("asin", "arcsine rule", np.arcsin, lambda x: (1 / _sqrt(1 - x**2),),
         text="arcsin", latex=r"\arcsin"),
    _row("acos", "arccosine rule", np.arccos, lambda x: (-1 / _sqrt(1 - x**2),),
         text="arccos", latex=r"\arccos"),
    _row("atan", "arctangent rule", np.arctan, lambda x: (1 / (1 + x**2),),
         text="arctan", latex=r"\arctan"),
    _row("sinh", "hyperbolic sine rule", np.sinh, lambda x: (_cosh(x),)),
    _row("cosh", "hyperbolic cosine rule", np.cosh, lambda x: (call("sinh", x),)),
    _row("tanh", "hyperbolic tangent rule", np.tanh, lambda x: (1 - call("tanh", x) ** 2,)),
    _row("asinh", "inverse hyperbolic sine rule", np.arcsinh, lambda x: (1 / _sqrt(x**2 + 1),),
         text="arsinh"),
    _row("acosh", "inverse hyperbolic cosine rule", np.arccosh, lambda x: (1 / _sqrt(x**2 - 1),),
         text="arcosh"),
    _row("atanh", "inverse hyperbolic tangent rule", np.arctanh, lambda x: (1 / (1 - x**2),),
         text="artanh"),
    _row("exp", "exponential rule", np.exp, lambda x: (_exp(x),)),
    _row("expm1", "exponential rule", np.expm1, lambda x: (_exp(x),),
         lambda sp, x: sp.exp(x) - 1),
    _row("log", "logarithm rule", np.log, lambda x: (1 / x,), text="ln", latex=r"\ln"),
    _row("log1p", "logarithm rule", np.log1p, lambda x: (1 / (1 + x),),
         lambda sp, x: sp.log(1 + x)),
    # The logarithm in the slope of a power: TensorFlow takes 0 where the base is not positive.
    _row("log_or_zero", "logarithm rule",
         lambda x: np.where(x > 0, np.log(np.where(x > 0, x, 1.0)), 0.0),
         lambda x: (call("xdivy", _is("greater", x, 0), x),), "log", text="ln", latex=r"\ln"),
    _row("sqrt", "root rule", np.sqrt, lambda x: (1 / (2 * _sqrt(x)),), text="√", latex=r"\sqrt"),
    _row("abs", "absolute value rule", np.abs, lambda x: (_sign(x),), "Abs",
         text="abs", latex=r"\operatorname{abs}"),
    _row("sign", "sign rule", np.sign, _flat, text="sgn"),
    _row("atan2", "two-argument arctangent rule", np.arctan2,
         lambda y, x: (x / (x**2 + y**2), -y / (x**2 + y**2))),
    _row("stop_gradient", "stopped gradient", np.positive, _flat, lambda sp, x: x, text="sg"),
)

_ACTIVATIONS = (
    _row("sigmoid", "sigmoid rule", special.sigmoid,
         lambda x: (call("sigmoid", x) * (1 - call("sigmoid", x)),),
         lambda sp, x: 1 / (1 + sp.exp(-x)), text="σ", latex=r"\sigma"),
    _row("softplus", "softplus rule", lambda x: np.logaddexp(x, 0.0),
         lambda x: (call("sigmoid", x),), lambda sp, x: sp.log(1 + sp.exp(x))),
    _row("softsign", "softsign rule", lambda x: x / (1 + np.abs(x)),
         lambda x: (1 / (1 + _abs(x)) ** 2,), lambda sp, x: x / (1 + sp.Abs(x))),
    _row("relu", "ReLU rule", lambda x: np.maximum(x, 0.0), lambda x: (_is("greater", x, 0),),
         lambda sp, x: sp.Max(0, x), text="ReLU"),
    _row("relu6", "ReLU6 rule", lambda x: np.clip(x, 0.0, 6.0),
         lambda x: (indicator(call("logical_and", call("greater", x, 0), call("less", x, 6))),),
         lambda sp, x: sp.Min(6, sp.Max(0, x)), text="ReLU6"),
    _row("leaky_relu", "leaky ReLU rule", lambda x, alpha: np.where(x > 0, x, alpha * x),
         lambda x, alpha: (_if(call("greater", x, 0), 1, alpha), _if(call("greater", x, 0), 0, x)),
         lambda sp, x, alpha: sp.Piecewise((x, x > 0), (alpha * x, True)), text="LeakyReLU"),
    _row("elu", "ELU rule", special.elu, lambda x: (_if(call("less", x, 0), _exp(x), 1),),
         lambda sp, x: sp.Piecewise((sp.exp(x) - 1, x < 0), (x, True)), text="ELU"),
    _row("selu", "SELU rule", lambda x: _S * np.where(x < 0, _A * special.elu(x), x),
         lambda x: (_if(call("less", x, 0), number(_S * _A) * _exp(x), number(_S)),),
         lambda sp, x: sp.Piecewise((_S * _A * (sp.exp(x) - 1), x < 0), (_S * x, True)),
         text="SELU"),
)

_PIECEWISE = (
    _row("where", "the branch taken", np.where,
         lambda c, a, b: (ZERO, indicator(c), indicator(call("logical_not", c))),
         lambda sp, c, a, b: sp.Piecewise((a, c), (b, True))),
    _row("indicator", "piecewise constant", lambda c: np.asarray(c).astype(np.float64), _flat,
         lambda sp, c: sp.Piecewise((1, c), (0, True)), text="1", latex=r"\mathbf{1}"),
    _row("maximum", "maximum rule", np.maximum,
         lambda a, b: (_is("greater_equal", a, b), _is("less", a, b)), "Max",
         text="max", latex=r"\max"),
    _row("minimum", "minimum rule", np.minimum,
         lambda a, b: (_is("less_equal", a, b), _is("greater", a, b)), "Min",
         text="min", latex=r"\min"),
    _row("max", "maximum rule", lambda *xs: np.max(np.broadcast_arrays(*xs), axis=0),
         _extreme_partials("max_share"), "Max"),
    _row("min", "minimum rule", lambda *xs: np.min(np.broadcast_arrays(*xs), axis=0),
         _extreme_partials("min_share"), "Min"),
    _row("max_share", "piecewise constant", special.extreme_share(np.max), _flat,
         lambda sp, *xs: _ties(sp, sp.Max, *xs), text="ismax"),
    _row("min_share", "piecewise constant", special.extreme_share(np.min), _flat,
         lambda sp, *xs: _ties(sp, sp.Min, *xs), text="ismin"),
    # Both edges of a clip belong to the inside, as in TensorFlow's ClipByValue.
    _row("clip", "clip rule", lambda x, low, high: np.minimum(np.maximum(x, low), high),
         lambda x, low, high: (
             indicator(call("logical_and", call("greater_equal", x, low),
                            call("less_equal", x, high))),
             _is("less", x, low), _is("greater", x, high)),
         lambda sp, x, low, high: sp.Min(high, sp.Max(low, x))),
    _row("floor", "piecewise constant", np.floor, _flat),
    _row("ceil", "piecewise constant", np.ceil, _flat, "ceiling"),
    _row("round", "piecewise constant", np.round, _flat, lambda sp, x: sp.Function("round")(x)),
    _row("rint", "piecewise constant", np.rint, _flat, lambda sp, x: sp.Function("round")(x),
         text="round"),
    _row("trunc", "piecewise constant", np.trunc, _flat,
         lambda sp, x: sp.sign(x) * sp.floor(sp.Abs(x))),
    _row("floor_div", "piecewise constant", np.floor_divide, _flat,
         lambda sp, a, b: sp.floor(a / b), text="//", latex=r"\mathbin{//}"),
    _row("floor_mod", "remainder rule", np.mod, lambda a, b: (number(1), -call("floor_div", a, b)),
         "Mod", text="mod", latex=r"\bmod"),
)

_LOGIC = (
    _row("greater", "piecewise constant", np.greater, _flat, "Gt", text=">", latex=">"),
    _row("greater_equal", "piecewise constant", np.greater_equal, _flat, "Ge",
         text="≥", latex=r"\ge"),
    _row("less", "piecewise constant", np.less, _flat, "Lt", text="<", latex="<"),
    _row("less_equal", "piecewise constant", np.less_equal, _flat, "Le", text="≤", latex=r"\le"),
    _row("equal", "piecewise constant", np.equal, _flat, "Eq", text="=", latex="="),
    _row("not_equal", "piecewise constant", np.not_equal, _flat, "Ne", text="≠", latex=r"\ne"),
    _row("logical_and", "piecewise constant", np.logical_and, _flat, "And",
         text="∧", latex=r"\land"),
    _row("logical_or", "piecewise constant", np.logical_or, _flat, "Or", text="∨", latex=r"\lor"),
    _row("logical_not", "piecewise constant", np.logical_not, _flat, "Not",
         text="¬", latex=r"\lnot"),
    _row("is_finite", "piecewise constant", np.isfinite, _flat,
         lambda sp, x: sp.And(sp.Ne(x, sp.oo), sp.Ne(x, -sp.oo)), text="finite"),
    _row("is_nan", "piecewise constant", np.isnan, _flat, lambda sp, x: sp.false, text="nan"),
    _row("is_inf", "piecewise constant", np.isinf, _flat,
         lambda sp, x: sp.Or(sp.Eq(x, sp.oo), sp.Eq(x, -sp.oo)), text="infinite"),
)

_GUARDED = (
    _row("xlogy", "product rule", lambda x, y: special.unless_zero(x, lambda: x * np.log(y)),
         lambda x, y: (call("xlogy", _is("not_equal", x, 0), y), call("xdivy", x, y)),
         lambda sp, x, y: sp.Piecewise((0, sp.Eq(x, 0)), (x * sp.log(y), True))),
    _row("xlog1py", "product rule", lambda x, y: special.unless_zero(x, lambda: x * np.log1p(y)),
         lambda x, y: (call("xlog1py", _is("not_equal", x, 0), y), call("xdivy", x, y + 1)),
         lambda sp, x, y: sp.Piecewise((0, sp.Eq(x, 0)), (x * sp.log(1 + y), True))),
    _row("xdivy", "quotient rule", lambda x, y: special.unless_zero(x, lambda: x / y),
         lambda x, y: (call("xdivy", _is("not_equal", x, 0), y), call("xdivy", -x, y**2)),
         lambda sp, x, y: sp.Piecewise((0, sp.Eq(x, 0)), (x / y, True))),
    _row("div_no_nan", "quotient rule", lambda x, y: special.unless_zero(y, lambda: x / y),
         lambda x, y: (call("div_no_nan", 1, y), call("div_no_nan", -x, y**2)),
         lambda sp, x, y: sp.Piecewise((0, sp.Eq(y, 0)), (x / y, True))),
    _row("mul_no_nan", "product rule", lambda x, y: special.unless_zero(y, lambda: x * y),
         lambda x, y: (y, x), lambda sp, x, y: x * y),
)

_SPECIAL = (
    _row("erf", "error function rule", special.erf, lambda x: (2 / _sqrt(PI) * _exp(-(x**2)),)),
    _row("erfc", "error function rule", special.erfc, lambda x: (-2 / _sqrt(PI) * _exp(-(x**2)),)),
    _row("erfinv", "inverse function rule", special.erfinv,
         lambda x: (_sqrt(PI) / 2 * _exp(call("erfinv", x) ** 2),),
         text="erf⁻¹", latex=r"\operatorname{erf}^{-1}"),
    _row("ndtri", "inverse function rule", special.ndtri,
         lambda p: (_sqrt(2 * PI) * _exp(call("ndtri", p) ** 2 / 2),),
         lambda sp, p: sp.sqrt(2) * sp.erfinv(2 * p - 1), text="Φ⁻¹", latex=r"\Phi^{-1}"),
    _row("lgamma", "log-gamma rule", special.lgamma, lambda x: (call("digamma", x),), "loggamma",
         text="lnΓ", latex=r"\ln\Gamma"),
    _row("digamma", "digamma rule", special.digamma, lambda x: (call("polygamma", 1, x),),
         text="ψ", latex=r"\psi"),
    _row("polygamma", "polygamma rule", special.polygamma,
         lambda n, x: (ZERO, call("polygamma", n + 1, x))),
    _row("igamma", "incomplete gamma rule", special.igamma,
         lambda a, x: (call("igamma_slope", a, x), _density(a, x)),
         lambda sp, a, x: sp.lowergamma(a, x) / sp.gamma(a), text="P", latex="P"),
    _row("igammac", "incomplete gamma rule", special.igammac,
         lambda a, x: (-call("igamma_slope", a, x), -_density(a, x)),
         lambda sp, a, x: sp.uppergamma(a, x) / sp.gamma(a), text="Q", latex="Q"),
    # ∂P/∂a; TensorFlow has the op IgammaGradA but no second derivative.
    _row("igamma_slope", "incomplete gamma rule", special.igamma_slope, _flat,
         lambda sp, a, x: sp.Function("igamma_slope")(a, x), text="∂P/∂a", latex="P_a"),
    # TensorFlow has slopes for x only (betainc) and for q only (zeta).
    _row("betainc", "incomplete beta rule", special.betainc,
         lambda a, b, x: (ZERO, ZERO, _beta_density(a, b, x)),
         lambda sp, a, b, x: sp.betainc_regularized(a, b, 0, x), text="I", latex="I"),
    _row("zeta", "Hurwitz zeta rule", special.zeta,
         lambda x, q: (ZERO, -x * call("zeta", x + 1, q)), text="ζ", latex=r"\zeta"),
    _row("dawsn", "Dawson rule", special.dawsn, lambda x: (1 - 2 * x * call("dawsn", x),),
         lambda sp, x: sp.sqrt(sp.pi) / 2 * sp.exp(-(x**2)) * sp.erfi(x), text="D", latex="D"),
    _row("expint", "exponential integral rule", special.expint, lambda x: (_exp(x) / x,), "Ei",
         text="Ei"),
    _row("fresnel_cos", "Fresnel rule", special.fresnel_cos,
         lambda x: (call("cos", PI / 2 * x**2),), "fresnelc", text="C", latex="C"),
    _row("fresnel_sin", "Fresnel rule", special.fresnel_sin,
         lambda x: (call("sin", PI / 2 * x**2),), "fresnels", text="S", latex="S"),
    _row("spence", "dilogarithm rule", special.spence,
         lambda x: (_if(call("equal", x, 1), -1, _log(x) / (1 - x)),),
         lambda sp, x: sp.polylog(2, 1 - x), text="Li₂(1−·)", latex=r"\operatorname{spence}"),
)


def _bessel(kind: str, order: int, partials: Partials, scaled: bool = False) -> Function:
    def build(sp: Any, x: Any) -> Any:
        value = getattr(sp, f"bessel{kind}")(order, x)
        return value if not scaled else value * sp.exp(x if kind == "k" else -sp.Abs(x))

    name = f"{kind.upper()}{'₀₁'[order]}{'ᵉ' if scaled else ''}"
    latex = f"{kind.upper()}_{order}" + ("^{e}" if scaled else "")
    return _row(f"bessel_{kind}{order}{'e' * scaled}", "Bessel rule",
                special.bessel(kind, order, scaled), partials, build, name, latex)


_BESSEL = (
    _bessel("i", 0, lambda x: (_I1(x),)),
    _bessel("i", 0, lambda x: (_I1E(x) - _sign(x) * _I0E(x),), True),
    # At 0 TensorFlow answers 1 for I₁′. That is no choice but a mistake: I₁(x) = x/2 + …
    _bessel("i", 1, lambda x: (_if(call("equal", x, 0), 0.5, _I0(x) - _I1(x) / x),)),
    _bessel("i", 1, lambda x: (
        _if(call("equal", x, 0), 0.5, _I0E(x) - _I1E(x) * (_sign(x) + 1 / x)),), True),
    _bessel("j", 0, lambda x: (-_J1(x),)),
    _bessel("j", 1, lambda x: (_if(call("equal", x, 0), 0.5, _J0(x) - _J1(x) / x),)),
    _bessel("y", 0, lambda x: (-_Y1(x),)),
    _bessel("y", 1, lambda x: (_Y0(x) - _Y1(x) / x,)),
    _bessel("k", 0, lambda x: (-_K1(x),)),
    _bessel("k", 0, lambda x: (_K0E(x) - _K1E(x),), True),
    _bessel("k", 1, lambda x: (-_K0(x) - _K1(x) / x,)),
    _bessel("k", 1, lambda x: (_K1E(x) * (1 - 1 / x) - _K0E(x),), True),
)
# fmt: on

_ROWS = (*_ELEMENTARY, *_ACTIVATIONS, *_PIECEWISE, *_LOGIC, *_GUARDED, *_SPECIAL, *_BESSEL)
FUNCTIONS = {row.name: row for row in _ROWS}
CONDITIONS = frozenset(row.name for row in _LOGIC)
"""Functions that are true or false."""
INFIX = frozenset(
    "greater greater_equal less less_equal equal not_equal logical_and logical_or"
    " floor_div floor_mod".split()
)
"""Functions whose name is written between their two arguments."""
