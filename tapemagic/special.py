"""NumPy meanings of functions that NumPy lacks: stable pieces, and special functions by mpmath."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

SELU_SCALE = 1.0507009873554805
SELU_ALPHA = 1.6732632423543772


@lru_cache(maxsize=1)
def _context() -> Any:
    # A context of our own: mpmath's global one is the user's, and 64 bits need some spare.
    import mpmath

    context = mpmath.MPContext()
    context.prec = 90
    return context


def by_mpmath(compute: Callable[..., Any]) -> Callable[..., Any]:
    """`compute(mp, *arguments)` over arrays; nan outside the domain, inf at a pole."""

    def point(*arguments: float) -> float:
        mp = _context()
        if any(math.isnan(argument) for argument in arguments):
            return math.nan
        try:
            result = compute(mp, *(mp.mpf(float(argument)) for argument in arguments))
        except (ValueError, ZeroDivisionError, ArithmeticError, mp.NoConvergence):
            return math.nan
        if isinstance(result, mp.mpc):
            return float(result.real) if result.imag == 0 else math.nan
        return float(result)

    return np.vectorize(point, otypes=[np.float64])


def _lgamma(x: float) -> float:
    try:
        return math.lgamma(x)
    except ValueError:
        return math.inf


erf: Callable[..., Any] = np.vectorize(math.erf, otypes=[np.float64])
erfc: Callable[..., Any] = np.vectorize(math.erfc, otypes=[np.float64])
lgamma: Callable[..., Any] = np.vectorize(_lgamma, otypes=[np.float64])


def _erfinv(mp: Any, x: Any) -> Any:
    return mp.sign(x) * mp.inf if abs(x) == 1 else mp.erfinv(x)


def _polygamma(mp: Any, n: Any, x: Any) -> Any:
    return mp.psi(int(n), x) if n == int(n) and n >= 0 else mp.nan


def _igamma_slope(mp: Any, a: Any, x: Any) -> Any:
    # ∂/∂a has no closed form; the difference quotient keeps half of the 180 digits.
    with mp.workdps(60):
        return mp.diff(lambda order: mp.gammainc(order, 0, x, regularized=True), a)


erfinv = by_mpmath(_erfinv)
ndtri = by_mpmath(lambda mp, p: mp.sqrt(2) * _erfinv(mp, 2 * p - 1))
digamma = by_mpmath(lambda mp, x: mp.digamma(x))
polygamma = by_mpmath(_polygamma)
igamma = by_mpmath(lambda mp, a, x: mp.gammainc(a, 0, x, regularized=True))
igammac = by_mpmath(lambda mp, a, x: mp.gammainc(a, x, mp.inf, regularized=True))
igamma_slope = by_mpmath(_igamma_slope)
betainc = by_mpmath(lambda mp, a, b, x: mp.betainc(a, b, 0, x, regularized=True))
zeta = by_mpmath(lambda mp, x, q: mp.zeta(x, q))
dawsn = by_mpmath(lambda mp, x: mp.sqrt(mp.pi) / 2 * mp.exp(-x * x) * mp.erfi(x))
expint = by_mpmath(lambda mp, x: mp.ei(x))
fresnel_cos = by_mpmath(lambda mp, x: mp.fresnelc(x))
fresnel_sin = by_mpmath(lambda mp, x: mp.fresnels(x))
spence = by_mpmath(lambda mp, x: mp.polylog(2, 1 - x))


def bessel(kind: str, order: int, scaled: bool = False) -> Callable[..., Any]:
    """The Bessel function J, Y, I or K of that order; `scaled` is TensorFlow's …e variant."""

    def compute(mp: Any, x: Any) -> Any:
        value = getattr(mp, f"bessel{kind}")(order, x)
        if not scaled:
            return value
        return value * (mp.exp(x) if kind == "k" else mp.exp(-abs(x)))

    return by_mpmath(compute)


def sigmoid(x: Any) -> Any:
    """1/(1+e⁻ˣ) without overflow."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


def elu(x: Any) -> Any:
    """x above 0, eˣ−1 below."""
    return np.where(x < 0, np.expm1(np.minimum(x, 0)), x)


def unless_zero(test: Any, value: Callable[[], Any]) -> Any:
    """`value()`, but 0 wherever `test` is 0, even against nan and inf."""
    return np.where(np.equal(test, 0), 0.0, value())


def extreme_share(extreme: Callable[..., Any]) -> Callable[..., Any]:
    """share(xᵢ, x₁ … xₙ): 1/(number of ties) if xᵢ is the extreme of all, else 0."""

    def share(own: Any, *entries: Any) -> Any:
        every = np.broadcast_arrays(own, *entries)
        best = extreme(every[1:], axis=0)
        return (every[0] == best) / np.maximum(sum((e == best).astype(float) for e in every[1:]), 1)

    return share
