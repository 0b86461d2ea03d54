"""From a derivation to the program that a page runs: value, derivatives, every shown number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tapemagic.derivation import Derivation
from tapemagic.document import Differential, Tensor
from tapemagic.equations import Equations
from tapemagic.explorer.registers import Code, Registers
from tapemagic.explorer.slopes import slopes
from tapemagic.formula import Formula, Symbol, number
from tapemagic.numbers import LARGEST
from tapemagic.trace import Array

MOST = 8  # entries of the sources: one slider each
KERNEL_ONLY = frozenset(
    "betainc expint fresnel_cos fresnel_sin igamma igamma_slope igammac spence zeta".split()
)
"""Functions that the page has no code for."""


class NotExplorable(Exception):
    """Why there is no program, in plain words."""


def in_words(error: Exception) -> str:
    """An exception's type and the first line of what it says."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


@dataclass(frozen=True)
class Program:
    """Code and where in it the answers are, by register.

    `derivatives` has orders 1, 2 … of one source; `gradient` has the partial derivative by each
    entry of several, `hessian` rows of two. `guards` are registers with the truth value that
    they had: where one has the other value, the recorded path does not hold. What lies beyond
    `most`, the largest number of the target's dtype, is infinite.
    """

    code: Code
    value: int
    derivatives: tuple[int, ...]
    gradient: tuple[int, ...]
    hessian: tuple[tuple[int, ...], ...] | None
    guards: tuple[tuple[int, int], ...]
    most: float = LARGEST["float64"]

    def data(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "inputs": self.code.inputs,
            "constants": [number_or_text(value) for value in self.code.constants],
            "ops": [list(op) for op in self.code.ops],
            "value": self.value,
            "derivatives": list(self.derivatives),
            "gradient": list(self.gradient or self.derivatives[:1]),
            "hessian": None if self.hessian is None else [list(row) for row in self.hessian],
            "guards": [list(guard) for guard in self.guards],
            "most": self.most,
        }

    def held(self, values: Array) -> Array:
        """Registers as the target's dtype holds them."""
        return np.where(np.abs(values) > self.most, np.copysign(np.inf, values), values)

    def holds(self, registers: Sequence[Array]) -> Array:
        """Where, of the points that were run, the recorded path holds."""
        agreed = [np.equal(registers[place], truth) for place, truth in self.guards]
        return np.all(np.broadcast_arrays(*agreed), axis=0) if agreed else np.asarray(True)


def number_or_text(value: float) -> float | str:
    """A number as JSON can say it: "nan", "inf" and "-inf" are texts."""
    return float(value) if np.isfinite(value) else str(float(value))


def inputs_of(equations: Equations) -> list[Symbol]:
    """The entries of the sources, in order: the program's inputs."""
    found: list[Symbol] = []
    for versions in equations.sources:
        if len(versions) > 1:
            raise NotExplorable(f"{versions[0].text} is assigned to while the cell runs")
        shape = equations.values[versions[0]].shape
        found += [Symbol(versions[0], index) for index in np.ndindex(*shape)]
    if len(found) > MOST:
        raise NotExplorable(f"the sources have {len(found)} entries; sliders are for up to {MOST}")
    return found


class Compiler:
    """Writes the registers of one derivation; `program` gives them with all that was asked for."""

    def __init__(self, derivation: Derivation, order: int) -> None:
        self._d, self._order = derivation, order
        self._guards: list[tuple[int, int]] = []
        self._asked: list[int] = []
        equations = derivation.equations
        self.inputs = inputs_of(equations)
        self.registers = Registers(len(self.inputs))
        self._where = {symbol: i for i, symbol in enumerate(self.inputs)}
        self._define(equations, self._where)
        self.value = self._weighted()

    def _define(self, equations: Equations, where: dict[Symbol, int]) -> None:
        """Every symbol of the equations gets its register in `where`."""
        if equations.opaque:
            raise NotExplorable(f"{', '.join(equations.opaque)} has no formula here")
        for name in equations.constants:
            for index in np.ndindex(*equations.values[name].shape):
                value = float(equations.values[name][index])
                where.setdefault(Symbol(name, index), self.registers.constant(value))
        for equation in equations.equations:
            for index in np.ndindex(*equation.shape):
                symbol = Symbol(equation.name, index)
                if symbol not in where:
                    formula = equation.formulas[index]
                    where[symbol] = self.registers.formula(formula, where)

    def _weighted(self) -> int:
        """Σ seed · target: the scalar that the tape differentiates."""
        r, target, total = self.registers, self._d.equations.target, self.registers.zero
        if self._d.lead:
            raise NotExplorable("sliders follow a gradient, not a Jacobian")
        for index in np.ndindex(*self._d.seed.shape):
            entry = self._where[Symbol(target, index)]
            weight = r.constant(float(self._d.seed[index]))
            total = r.emit("add", total, r.emit("mul", weight, entry))
        return total

    # -- what is asked for -------------------------------------------------------------------

    def guard(self, equations: Equations, truth: bool) -> None:
        """The path holds only where the target of these equations has this truth value."""
        where = {symbol: i for i, symbol in enumerate(self.inputs)}
        self._define(equations, where)
        entries = [where[Symbol(equations.target, index)] for index in _indices(equations)]
        if len(entries) != 1:
            raise NotExplorable("a decision by several truth values at once")
        if self.registers.moves(entries[0]):
            self._guards.append((entries[0], int(truth)))

    def register(self, origin: Formula) -> int | None:
        """The register of a shown number, by what it is the value of; None where it has none."""
        if isinstance(origin, Differential):
            node = self._differential(origin)
        elif all(symbol in self._where for symbol in origin.free):
            node = self.registers.formula(origin, self._where)
        else:
            node = None
        if node is not None:
            self._asked.append(node)
        return node

    def program(self) -> tuple[Program, dict[int, int]]:
        """The program, and where the registers that were asked for are in it."""
        derivatives, gradient, hessian = self._derivatives
        rows = [node for row in hessian or () for node in row]
        guards = [node for node, _ in self._guards]
        wanted = (self.value, *derivatives, *gradient, *rows, *guards, *self._asked)
        code, at = self.registers.code(wanted)
        missing = KERNEL_ONLY.intersection(name for name, *_ in code.ops)
        if missing:
            raise NotExplorable(f"the page cannot compute {', '.join(sorted(missing))}")
        program = Program(
            code,
            at[self.value],
            tuple(at[node] for node in derivatives),
            tuple(at[node] for node in gradient),
            None if hessian is None else tuple(tuple(at[n] for n in row) for row in hessian),
            tuple((at[node], truth) for node, truth in self._guards),
            LARGEST.get(self._d.equations.dtype, LARGEST["float64"]),
        )
        return program, at

    # -- derivatives -------------------------------------------------------------------------

    def _by(self, node: int, place: int) -> int:
        """d node/d input."""
        return slopes(self.registers, [node], {place: self.registers.one})[0]

    @cached_property
    def _derivatives(self) -> tuple[list[int], list[int], list[list[int]] | None]:
        """Of one input all orders; of several the gradient, of two the Hessian too."""
        count = self.registers.inputs
        if count == 1:
            orders = [self.value]
            for _ in range(self._order):
                orders.append(self._by(orders[-1], 0))
            return orders[1:], [], None
        gradient = [self._by(self.value, i) for i in range(count)]
        if count != 2 or self._order < 2:
            return [], gradient, None
        return [], gradient, [[self._by(node, j) for j in range(2)] for node in gradient]

    def _differential(self, origin: Differential) -> int | None:
        """d target/d …: by the sources in turn, or the adjoint of a name on the way."""
        target = origin.target
        if not isinstance(target, Tensor) or target.name != self._d.equations.target:
            return None
        turns = [variable for variable, times in origin.wrt for _ in range(times)]
        places = [self._places(variable) for variable in turns]
        if not all(places):
            return self._adjoints.get(turns[0]) if len(turns) == 1 else None
        node = self.value
        for several in places[:-1]:  # the tape differentiates the sum of a gradient's entries
            node = self.registers.folded("add", [self._by(node, place) for place in several])
        return self._by(node, places[-1][0]) if len(places[-1]) == 1 else None

    def _places(self, variable: Formula) -> list[int]:
        """The inputs that a source, or an entry of one, stands for."""
        if isinstance(variable, Tensor):
            return [i for i, symbol in enumerate(self.inputs) if symbol.name == variable.name]
        return [i for i, symbol in enumerate(self.inputs) if symbol == variable]

    @cached_property
    def _adjoints(self) -> dict[Formula, int]:
        """d target/d each entry of each name, by the derivation's own sweep."""
        r, found = self.registers, dict[Formula, int]()
        for adjoint in self._d.adjoints:
            shape = self._d.equations.values[adjoint.name].shape
            for index in np.ndindex(*shape):
                total = r.constant(float(self._d.seed[index])) if not adjoint.terms else r.zero
                for of, slope in _ways(adjoint.terms, index):
                    share = r.emit("mul", found[of], r.formula(slope, self._where))
                    total = r.emit("add", total, share)
                found[Symbol(adjoint.name, index)] = total
            if shape == ():
                found[Tensor(adjoint.name)] = found[Symbol(adjoint.name)]
        return found


def _indices(equations: Equations) -> Iterator[tuple[int, ...]]:
    return iter(np.ndindex(*equations.values[equations.target].shape))


def _ways(terms: Sequence[Any], index: tuple[int, ...]) -> Iterator[tuple[Symbol, Formula]]:
    """The entries above that an entry leads to, each with the slope on the way."""
    for term in terms:
        partial = term.partial
        for own in np.ndindex(*partial.equation.shape):
            if partial.formulas is None:
                yield Symbol(partial.of, own), number(float(partial.value[own + index]))
            else:
                yield Symbol(partial.of, own), partial.formulas[own + index]


__all__ = ["Compiler", "NotExplorable", "Program", "in_words", "inputs_of", "number_or_text"]
