"""The closed form "by substitution": the target written in the sources alone, differentiated.

An expanded expression can be exponentially larger than the ops that made it, so its size is
counted before it is built; where it is too large there is none, and the chain stands alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np

from tapemagic.calculus import derivative
from tapemagic.equations import Equations
from tapemagic.formula import (
    ZERO,
    Call,
    Formula,
    Name,
    Number,
    Quotient,
    Symbol,
    number,
    plus,
    replace,
    tidied,
    times,
)
from tapemagic.symbolic import evaluate_widely, simplified
from tapemagic.trace import Array

LARGEST = 160  # nodes in an entry of the expanded target
LARGEST_DERIVATIVE = 900  # nodes in an entry of its derivative
WORTH = 150  # nodes that simplification is still tried on
SECONDS = 0.3  # for all simplification of one derivative
SECONDS_A_CELL = 0.6  # for that of a whole cell


class NoClosedForm(Exception):
    """Why there is none, in plain words."""


@dataclass(frozen=True)
class ClosedForm:
    """`whole`: the target in the sources; `formulas`: its derivative, simplified.

    `wrt` lists the sources it was differentiated by, once for each time. `lower` is what
    the last of them acted on, where that is not `whole`.
    """

    whole: Array
    formulas: Array
    wrt: tuple[tuple[Name, ...], ...]
    lower: Array | None = None

    def evaluate(self, values: Mapping[Symbol, float]) -> Array:
        """In NumPy float64; in a wider range where that overflows on the way."""
        return evaluate_widely(self.formulas, values)


def expanded(equations: Equations) -> Array:
    """The target's entries in the symbols of sources and named constants alone."""
    if equations.opaque:
        raise NoClosedForm(f"{', '.join(equations.opaque)} has no formula here")
    sizes: dict[Symbol, int] = {}
    written: dict[Formula, Formula] = {}
    for equation in equations.equations:
        for index in np.ndindex(*equation.shape):
            node = equation.formulas[index]
            symbol = Symbol(equation.name, index)
            sizes[symbol] = _size(node, sizes)
            if sizes[symbol] <= LARGEST:
                written[symbol] = (
                    tidied(replace(node, written))
                    if equation.shape == () or (node.size < LARGEST)
                    else node
                )
    whole = np.empty(equations.values[equations.target].shape, dtype=object)
    for index in np.ndindex(*whole.shape):
        symbol = Symbol(equations.target, index)
        if sizes.get(symbol, 1) > LARGEST:
            raise NoClosedForm(
                f"written out in the sources alone it would have {_about(sizes[symbol])} parts"
            )
        whole[index] = written.get(symbol, symbol)
    return whole


def _size(node: Formula, sizes: Mapping[Symbol, int]) -> int:
    if isinstance(node, Symbol):
        return sizes.get(node, 1)
    return 1 + sum(_size(child, sizes) for child in node.children)


_UNTIL: ContextVar[float] = ContextVar("until", default=float("inf"))


@contextmanager
def simplifying(seconds: float) -> Iterator[None]:
    """All closed forms in here share this time for their simplification."""
    token = _UNTIL.set(time.perf_counter() + seconds)
    try:
        yield
    finally:
        _UNTIL.reset(token)


# What simplifying gave: a training loop asks for the same forms again and again.
_KNOWN: dict[Formula, Formula] = {}
_MOST_KNOWN = 1_000


def _about(size: int) -> str:
    return str(size) if size < 10_000 else f"about 10^{len(str(size)) - 1}"


def closed_form(
    equations: Equations,
    wrt: Sequence[tuple[Name, ...]],
    seed: Array,
    entrywise: bool = False,
    lower: ClosedForm | None = None,
) -> ClosedForm:
    """The derivative of the (weighted) target by each source of `wrt` in turn.

    `lower` is the closed form of one order less, to go on from. `entrywise` keeps the entries
    of what is differentiated apart, as a Jacobian does; else they are summed, as the tape does.
    Raises `NoClosedForm` with the reason.
    """
    if lower is None:
        whole = expanded(equations)
        current = whole if entrywise else _weighted(whole, seed)
    else:
        whole = lower.whole
        current = lower.formulas if entrywise else _total(lower.formulas)
    shape = equations.values[wrt[-1][0]].shape
    found = np.full(current.shape + shape, ZERO, dtype=object)
    for index in np.ndindex(*current.shape):
        for entry in np.ndindex(*shape):
            parts = [derivative(current[index], Symbol(name, entry)) for name in wrt[-1]]
            found[index + entry] = _checked_size(plus(*parts))
    return ClosedForm(whole, _shorter(found), tuple(wrt), lower.formulas if lower else None)


def _weighted(whole: Array, seed: Array) -> Array:
    """The scalar that the tape differentiates: Σ seed · target."""
    terms = [
        times(number(float(weight)), part) for weight, part in zip(seed.flat, whole.flat) if weight
    ]
    total = np.empty((), dtype=object)
    total[()] = terms[0] if len(terms) == 1 else plus(*terms)
    return total


def _total(formulas: Array) -> Array:
    total = np.empty((), dtype=object)
    total[()] = plus(*formulas.flat) if formulas.size != 1 else formulas.flat[0]
    return total


def _checked_size(node: Formula) -> Formula:
    if node.size > LARGEST_DERIVATIVE:
        raise NoClosedForm(f"it would have {node.size} parts")
    return node


def _shorter(formulas: Array) -> Array:
    """Each entry simplified, while time lasts."""
    until = min(time.perf_counter() + SECONDS, _UNTIL.get())
    found: Array = formulas.copy()
    for index in np.ndindex(*formulas.shape):
        node = formulas[index]
        left = until - time.perf_counter()
        if node not in _KNOWN:
            if _is_simple(node) or left <= 0.02 or node.size > WORTH:
                continue
            if len(_KNOWN) >= _MOST_KNOWN:
                _KNOWN.clear()
            _KNOWN[node] = simplified(node, left)
        found[index] = _KNOWN[node]
    return found


def _is_simple(node: Formula) -> bool:
    """Whether a person would leave it as it stands: short, or a tidied polynomial."""
    return node.size <= 9 or _is_polynomial(node)


def _is_polynomial(node: Formula) -> bool:
    if isinstance(node, (Call, Quotient)):
        return (
            isinstance(node, Quotient)
            and isinstance(node.denominator, Number)
            and (_is_polynomial(node.numerator))
        )
    return all(_is_polynomial(child) for child in node.children)
