"""Straight-line code over registers: built with equal operations shared, run by NumPy.

A page runs the same code in JavaScript (`page/program.js`). All numbers are float64; truth
values are 0 and 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tapemagic.formula import (
    Call,
    Constant,
    Formula,
    Negative,
    Number,
    Power,
    Product,
    Quotient,
    Sum,
    Symbol,
    Value,
    postorder,
)
from tapemagic.functions import FUNCTIONS
from tapemagic.meaning import CONSTANTS
from tapemagic.trace import Array

Op = tuple[Any, ...]  # a name and the registers that it reads
_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    "pow": np.power,
}


def apply(name: str, parts: Sequence[Any]) -> Array:
    """One operation on float64 numbers or arrays."""
    compute = _ARITHMETIC.get(name) or FUNCTIONS[name].numpy
    if name == "where":
        parts = [np.not_equal(parts[0], 0), *parts[1:]]
    elif name.startswith("logical_"):
        parts = [np.not_equal(part, 0) for part in parts]
    with np.errstate(all="ignore"):
        return np.asarray(compute(*parts), dtype=np.float64)


@dataclass(frozen=True)
class Code:
    """`ops` fill one register each, after those of the `inputs` and the `constants`."""

    inputs: int
    constants: tuple[float, ...]
    ops: tuple[Op, ...]

    def run(self, point: Sequence[Any]) -> list[Array]:
        """All registers, for numbers or for arrays of many points as inputs."""
        found = [np.asarray(value, dtype=np.float64) for value in (*point, *self.constants)]
        for name, *places in self.ops:
            found.append(apply(name, [found[place] for place in places]))
        return found


class Registers:
    """Code under construction. A node's number is its register until `code` leaves out the rest."""

    def __init__(self, inputs: int) -> None:
        self.inputs = inputs
        self._ops: list[Op] = [("input", i) for i in range(inputs)]
        self._known: dict[Op, int] = {op: i for i, op in enumerate(self._ops)}
        self._values: dict[int, float] = {}  # of constants
        self._moving = set(range(inputs))
        self.zero, self.one = self.constant(0.0), self.constant(1.0)

    def op(self, node: int) -> Op:
        """The operation that fills a register."""
        return self._ops[node]

    def value(self, node: int) -> float | None:
        """The number in a constant register."""
        return self._values.get(node)

    def constant(self, value: float) -> int:
        """The register of a number; −0.0 is another one than 0.0."""
        node = self._add(("constant", float(value).hex()))
        self._values[node] = float(value)
        return node

    def emit(self, name: str, *parts: int) -> int:
        """The register of an operation: one that is there already, if there is one."""
        simpler = self._simpler(name, parts)
        if simpler is not None:
            return simpler
        if all(part in self._values for part in parts):
            return self.constant(float(apply(name, [self._values[part] for part in parts])))
        if name in ("add", "mul"):
            parts = tuple(sorted(parts))
        return self._add((name, *parts))

    def _add(self, op: Op) -> int:
        node = self._known.get(op)
        if node is None:
            node = self._known[op] = len(self._ops)
            self._ops.append(op)
            if op[0] != "constant" and self._moving.intersection(op[1:]):
                self._moving.add(node)
        return node

    def moves(self, node: int) -> bool:
        """Whether a register depends on the inputs."""
        return node in self._moving

    def _simpler(self, name: str, parts: Sequence[int]) -> int | None:
        """What adds 0, multiplies by 0 or 1 … is left out, as one does by hand."""
        first, last = parts[0], parts[-1]
        low, high = self._values.get(first), self._values.get(last)
        if name == "add" and 0.0 in (low, high):
            return last if low == 0.0 else first
        if name == "mul" and 0.0 in (low, high):
            return self.zero
        if name == "mul" and 1.0 in (low, high):
            return last if low == 1.0 else first
        if name == "sub" and high == 0.0:
            return first
        if name == "sub" and low == 0.0:
            return self.emit("neg", last)
        if name == "neg" and self._ops[first][0] == "neg":
            return int(self._ops[first][1])
        if name in ("div", "pow") and high == 1.0:
            return first
        if name == "div" and low == 0.0:
            return self.zero
        if name == "pow" and high == 0.0:
            return self.one
        return None

    def formula(self, node: Formula, where: Mapping[Symbol, int]) -> int:
        """The register of a formula whose symbols stand in the registers `where`."""
        known: dict[Formula, int] = {}
        for part in postorder([node]):
            known[part] = self._formula(part, [known[child] for child in part.children], where)
        return known[node]

    def _formula(self, node: Formula, parts: list[int], where: Mapping[Symbol, int]) -> int:
        if isinstance(node, Symbol):
            return where[node]
        if isinstance(node, Number):
            return self.constant(_float(node))
        if isinstance(node, Value):
            return self.constant(node.value.real)
        if isinstance(node, Constant):
            return self.constant(CONSTANTS[node.text])
        if isinstance(node, Call):
            return self.emit(node.function, *parts)
        if isinstance(node, Sum):
            return self._sum(node, parts)
        name = _NAMES.get(type(node))
        if name is None:
            raise TypeError(f"{type(node).__name__} is for showing, it has no value")
        return self.folded(name, parts)

    def _sum(self, node: Sum, parts: Sequence[int]) -> int:
        total = parts[0]
        for term, part in zip(node.terms[1:], parts[1:]):
            if isinstance(term, Negative) and self._ops[part][0] == "neg":
                total = self.emit("sub", total, int(self._ops[part][1]))
            else:
                total = self.emit("add", total, part)
        return total

    def folded(self, name: str, parts: Sequence[int]) -> int:
        """((a ∘ b) ∘ c) …, or the operation of one part."""
        if len(parts) == 1 and name != "neg":
            return parts[0]
        total = self.emit(name, *parts[:2])
        for part in parts[2:]:
            total = self.emit(name, total, part)
        return total

    def needed(self, wanted: Iterable[int]) -> list[int]:
        """The registers that `wanted` are computed from, themselves included, in order."""
        pending, seen = list(wanted), set[int]()
        while pending:
            node = pending.pop()
            if node not in seen:
                seen.add(node)
                if self._ops[node][0] not in ("input", "constant"):
                    pending.extend(self._ops[node][1:])
        return sorted(seen)

    def code(self, wanted: Iterable[int]) -> tuple[Code, dict[int, int]]:
        """The code for the wanted registers alone, and where each of them is in it."""
        nodes = self.needed(wanted)
        places = {i: i for i in range(self.inputs)}
        constants = [node for node in nodes if node in self._values]
        rest = [node for node in nodes if node not in self._values and node >= self.inputs]
        for place, node in enumerate((*constants, *rest), self.inputs):
            places[node] = place
        ops = [self._ops[node] for node in rest]
        renamed = tuple((name, *(places[part] for part in parts)) for name, *parts in ops)
        return Code(self.inputs, tuple(self._values[c] for c in constants), renamed), places


_NAMES: dict[type, str] = {Product: "mul", Quotient: "div", Power: "pow", Negative: "neg"}


def _float(node: Number) -> float:
    try:
        return float(node.value)
    except OverflowError:
        return float("inf") if node.value > 0 else float("-inf")
