"""A derivative in components: its closed form by substitution, and the tape's answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tapemagic.closed_form import ClosedForm
from tapemagic.document import (
    Differential,
    Fold,
    Item,
    Statement,
    Tensor,
)
from tapemagic.formula import Formula, Symbol
from tapemagic.substitution import (
    arranged,
    by_entries,
    counted,
    is_long,
    printable,
    shown,
    statement,
    with_values,
)
from tapemagic.trace import Array

if TYPE_CHECKING:
    from tapemagic.result import Derivative


def value_alone(derivative: Derivative, heading: Formula) -> Statement:
    """The answer with nothing before it."""
    return statement((heading, answer(derivative, heading)))


def answer(derivative: Derivative, heading: Formula) -> Formula:
    """What the tape returned."""
    value = derivative.check.tape
    assert value is not None
    return shown(value, dtype_of(derivative), origins(derivative, heading, value))


def origins(derivative: Derivative, heading: Formula, value: Array) -> Array | None:
    """What the entries of an answer are the values of."""
    if not derivative.is_gradient or not isinstance(heading, Differential):
        return None
    return by_entries(heading, value.shape)


def dtype_of(derivative: Derivative) -> str:
    """The answer's."""
    dtype = getattr(derivative.value, "dtype", None)
    return str(getattr(dtype, "name", "float32"))


def by_substitution(derivative: Derivative, heading: Formula) -> list[Item]:
    """The closed form, where it says more than the chain did."""
    closed, derivation = derivative.closed_form, derivative.derivation
    if closed is None or derivation is None or not printable(closed.formulas):
        return []
    if (
        derivative.order == 1
        and derivative.style.steps != "result"
        and _is_told(closed, derivation.partials)
    ):
        return []
    label = "by substitution" if derivative.order == 1 else f"order {derivative.order}"
    label = "" if derivative.style.steps == "result" else label
    if closed.formulas.shape and is_long(closed.formulas):
        return _by_entries(derivative, closed, label)
    equations = derivation.equations
    sides: list[Formula] = [heading]
    if closed.whole.ndim == 0 and derivative.style.steps != "result":
        sides.append(_operator(closed, derivative))
    sides += [arranged(closed.formulas), *with_values(closed.formulas, equations)]
    if derivative.check.tape is not None:
        sides.append(answer(derivative, heading))
    told = statement(sides, label)
    if is_long(closed.formulas) and derivative.style.steps != "result":
        size = sum(node.size for node in closed.formulas.flat)
        return [Fold(f"by substitution: a closed form of {size} parts", (told,))]
    return [told]


def _is_told(closed: ClosedForm, partials: Sequence[Any]) -> bool:
    only = partials[0].formulas if len(partials) == 1 else None
    if only is None or only.shape != closed.formulas.shape:
        return False
    return all(a == b for a, b in zip(only.flat, closed.formulas.flat))


def _by_entries(derivative: Derivative, closed: ClosedForm, label: str) -> list[Item]:
    """A closed form that is too wide for a matrix, entry by entry."""
    assert derivative.derivation is not None
    equations = derivative.derivation.equations
    rank = closed.whole.ndim if derivative.derivation.lead else 0
    value = derivative.check.tape
    told: list[Item] = []
    for index in np.ndindex(*closed.formulas.shape):
        node = closed.formulas[index]
        of, at = index[:rank], list(index[rank:])
        wrt = []
        for group in closed.wrt:
            depth = equations.values[group[0]].ndim
            own, at = tuple(at[:depth]) if len(closed.wrt) == 1 or at else (), at[depth:]
            wrt.append((Symbol(group[0], own), 1))
        target = Symbol(equations.target, of) if of else Tensor(equations.target)
        left = Differential(target, tuple(wrt), True)
        sides: list[Formula] = [left, node]
        if value is not None and value.shape == closed.formulas.shape:
            sides.append(shown(np.asarray(value[index]), dtype_of(derivative), left))
        told.append(statement(sides, label if not told else ""))
    return [told[0], Fold(counted(len(told) - 1, "more entry", "more entries"), tuple(told[1:]))]


def _operator(closed: ClosedForm, derivative: Derivative) -> Formula:
    """d/dx in front of what it acts on: the target, or the derivative of one order less."""
    operator = ((Tensor(closed.wrt[-1][0]), 1),)
    inner = closed.lower if closed.lower is not None else closed.whole
    return Differential(arranged(inner), operator, derivative.several)
