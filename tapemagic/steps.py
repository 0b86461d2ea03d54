"""The steps of a derivation, as data: what a reader sees, line by line, able to re-evaluate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tapemagic.closed_form import ClosedForm
from tapemagic.derivation import Derivation, symbol_values
from tapemagic.formula import Name, Symbol
from tapemagic.symbolic import evaluate_widely
from tapemagic.trace import Array, Line


@dataclass(frozen=True)
class Step:
    """One step. `kind` is "definition", "partial", "chain" or "substitution".

    `of` (and for a derivative `wrt`) are its names, `formula` its right-hand side as an object
    array of formulas (None: measured by the tape), `value` the same in float64. A partial and
    a chain step have the `product` so far: the part of the whole derivative that goes this
    way. `equation` is the number of the equation, `line` the user's line, `rule` its name.
    """

    kind: str
    of: Name
    wrt: Name | None
    rule: str
    formula: Array | None
    value: Array
    equation: int | None = None
    line: Line | None = None
    product: Array | None = None
    _values: Mapping[Symbol, float] = field(default_factory=dict, repr=False)
    _parts: tuple[tuple[Array, Array, int], ...] = field(default=(), repr=False)

    def evaluate(self) -> Array:
        """The step computed again, from its formula or its factors, at the recorded point."""
        if self.formula is not None:
            return evaluate_widely(self.formula, self._values)
        if not self._parts:
            return self.value
        with np.errstate(all="ignore"):
            return np.asarray(
                sum(np.tensordot(adjoint, slope, axes=n) for adjoint, slope, n in self._parts)
            )


def steps(derivation: Derivation, closed: ClosedForm | None) -> tuple[Step, ...]:
    """Definitions, local partials, the adjoints they add up to, the closed form."""
    equations = derivation.equations
    known = symbol_values(equations.values)
    found = [
        Step(
            "definition",
            e.name,
            None,
            e.rule,
            None if e.opaque else e.formulas,
            e.value,
            number,
            e.line,
            _values=known,
        )
        for number, e in enumerate(equations.equations, 1)
    ]
    for adjoint in derivation.adjoints:
        for term in adjoint.terms:
            p = term.partial
            found.append(
                Step(
                    "partial",
                    p.of,
                    p.wrt,
                    p.equation.rule,
                    p.formulas,
                    p.value if p.formulas is None else evaluate_widely(p.formulas, known),
                    p.number,
                    p.equation.line,
                    term.value,
                    known,
                )
            )
        if adjoint.terms:
            found.append(_chain(derivation, adjoint.name))
    if closed is not None:
        value = evaluate_widely(closed.formulas, known)
        wrt = closed.wrt[-1][0]
        found.append(
            Step(
                "substitution",
                equations.target,
                wrt,
                "substitution",
                closed.formulas,
                value,
                _values=known,
            )
        )
    return tuple(found)


def _chain(derivation: Derivation, name: Name) -> Step:
    adjoint = derivation.by_name[name]
    parts = []
    for term in adjoint.terms:
        above = derivation.by_name[term.partial.of]
        parts.append((above.value, term.partial.value, len(term.partial.equation.shape)))
    rule = "chain rule" if len(parts) == 1 else "chain rule, sum over paths"
    return Step(
        "chain",
        derivation.equations.target,
        name,
        rule,
        None,
        adjoint.value,
        product=adjoint.value,
        _parts=tuple(parts),
    )
