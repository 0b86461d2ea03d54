"""The reverse sweep over the equations: local partials, products, sums over paths.

A `Derivation` is data: renderers read it, and every step can re-evaluate itself in float64.
Layout is the tape's own: a partial has the shape of the output followed by that of the input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tapemagic.calculus import Application, applications
from tapemagic.equations import Equation, Equations
from tapemagic.formula import ZERO, Name, Symbol
from tapemagic.numeric import evaluate
from tapemagic.trace import Array


@dataclass(frozen=True)
class Partial:
    """∂of/∂wrt within one equation: `formulas` in the shape of `of` followed by `wrt`'s.

    `formulas` is None for an opaque op, whose slopes the tape measured.
    """

    equation: Equation
    number: int
    wrt: Name
    formulas: Array | None
    value: Array

    @property
    def of(self) -> Name:
        return self.equation.name

    @cached_property
    def applications(self) -> tuple[Application, ...]:
        """Every rule that was applied, innermost first (scalars only)."""
        if self.formulas is None or self.equation.formulas.size != 1 or self.formulas.size != 1:
            return ()
        return applications(self.equation.formulas.flat[0], Symbol(self.wrt))

    @property
    def elementwise(self) -> bool:
        """Whether entry i of the output depends on entry i of the input alone."""
        shape = self.equation.shape
        if not shape or self.value.shape != shape + shape:
            return False
        size = int(np.prod(shape))
        square = self.value.reshape(size, size)
        if self.formulas is None:
            return bool(np.all(square == np.diag(np.diag(square))))
        grid = self.formulas.reshape(size, size)
        return all(grid[i, j] == ZERO for i in range(size) for j in range(size) if i != j)

    def evaluate(self, values: Mapping[Symbol, float]) -> Array:
        """The partial at other values of its symbols, in float64."""
        return self.value if self.formulas is None else evaluate(self.formulas, values)


@dataclass(frozen=True)
class Term:
    """One path's share: the adjoint of `partial.of` times the partial."""

    partial: Partial
    value: Array


@dataclass(frozen=True)
class Adjoint:
    """d target/d name = Σ over the equations that use `name` of adjoint × partial.

    `terms` is empty for the target itself, whose adjoint is the seed.
    """

    name: Name
    terms: tuple[Term, ...]
    value: Array


@dataclass(frozen=True)
class Derivation:
    """d target/d source, derived. `adjoints` come in the order of the reverse sweep.

    `seed` weights the target's entries; `lead` is its number of leading axes that stay (the
    target's rank for a Jacobian, 0 for a gradient). `value` has `lead` + the source's shape;
    versions of a source (a variable assigned in between) are summed.
    """

    equations: Equations
    seed: Array
    lead: int
    adjoints: tuple[Adjoint, ...]
    source: tuple[Name, ...]
    value: Array

    @cached_property
    def by_name(self) -> Mapping[Name, Adjoint]:
        """The adjoints by the name they belong to."""
        return {adjoint.name: adjoint for adjoint in self.adjoints}

    @property
    def partials(self) -> tuple[Partial, ...]:
        """All local partials that matter, in the order of the sweep."""
        return tuple(term.partial for adjoint in self.adjoints for term in adjoint.terms)

    def evaluate(self, values: Mapping[Name, Array]) -> Array:
        """The derivative by following the equations, at other values of sources or constants."""
        known = symbol_values({**self.equations.values, **values})
        for equation in self.equations.equations:
            if not equation.opaque:
                result = evaluate(equation.formulas, known)
                known.update(_entry_values(equation.name, result))
        return _sweep(self.equations, self.source, self.seed, self.lead, known)[1]


def symbol_values(values: Mapping[Name, Array]) -> dict[Symbol, float]:
    """The values of all entries of named tensors."""
    known: dict[Symbol, float] = {}
    for name, value in values.items():
        known.update(_entry_values(name, np.asarray(value)))
    return known


def _entry_values(name: Name, value: Array) -> dict[Symbol, float]:
    if value.ndim == 0:
        return {Symbol(name): float(value)}
    flat = value.ravel().tolist()
    return {Symbol(name, i): v for i, v in zip(np.ndindex(*value.shape), flat)}


def derive(
    equations: Equations, source: int = 0, seed: Array | None = None, jacobian: bool = False
) -> Derivation:
    """d target/d the given source: the sum over the target's entries weighted by `seed`
    (default: ones, as the tape does), or with `jacobian` each entry by itself."""
    shape = equations.values[equations.target].shape
    if jacobian:
        size = int(np.prod(shape, dtype=np.int64))
        seed, lead = np.eye(size).reshape(shape + shape), len(shape)
    else:
        seed, lead = (np.ones(shape) if seed is None else np.asarray(seed, dtype=np.float64)), 0
    known = symbol_values(equations.values)
    names = equations.sources[source]
    adjoints, value = _sweep(equations, names, seed, lead, known)
    return Derivation(equations, seed, lead, adjoints, names, value)


def _reaching(equations: Equations, source: Sequence[Name]) -> frozenset[Name]:
    """The names that depend on the source."""
    reached = set(source)
    for equation in equations.equations:
        if reached.intersection(equation.inputs):
            reached.add(equation.name)
    return frozenset(reached)


def _sweep(
    equations: Equations,
    source: Sequence[Name],
    seed: Array,
    lead: int,
    known: Mapping[Symbol, float],
) -> tuple[tuple[Adjoint, ...], Array]:
    """The adjoints from the target down to the source, and the source's own, summed."""
    reached = _reaching(equations, source)
    terms: dict[Name, list[Term]] = {equations.target: []}
    totals: dict[Name, Array] = {equations.target: seed}
    adjoints: list[Adjoint] = []
    count = len(equations.equations)
    for back, equation in enumerate(reversed(equations.equations)):
        if equation.name not in totals or equation.name in source:
            continue
        adjoint = totals[equation.name]
        adjoints.append(Adjoint(equation.name, tuple(terms[equation.name]), adjoint))
        for name in equation.inputs:
            if name not in reached:
                continue
            partial = _partial(equation, count - back, name, equations, known)
            share = _contract(adjoint, partial.value, len(equation.shape))
            terms.setdefault(name, []).append(Term(partial, share))
            totals[name] = totals[name] + share if name in totals else share
    shape = equations.values[source[0]].shape
    value = np.zeros(seed.shape[:lead] + shape)
    for name in source:
        if name in totals:
            adjoints.append(Adjoint(name, tuple(terms[name]), totals[name]))
            value = value + totals[name]
    return tuple(adjoints), value


def _contract(adjoint: Array, partial: Array, axes: int) -> Array:
    if axes == 0:
        return np.multiply.outer(adjoint, partial) if adjoint.ndim else adjoint * partial
    # A slope of 0 beside an infinite adjoint: the tape multiplies too, so nan stays nan.
    with np.errstate(all="ignore"):
        return np.asarray(np.tensordot(adjoint, partial, axes=axes))


def _partial(
    equation: Equation,
    number: int,
    name: Name,
    equations: Equations,
    known: Mapping[Symbol, float],
) -> Partial:
    formulas = equation.partial(name, equations.values[name].shape)
    if formulas is None:
        return Partial(equation, number, name, None, equation.slopes[name])
    return Partial(equation, number, name, formulas, evaluate(formulas, known))
