"""A contraction as a graph: labels are its nodes, matrices its edges, vectors weights on a node.

Summing over a label joins two edges to a matrix product, closes a circle to a trace, ends a
path in a matrix times a vector. What is no such graph has no matrix form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tapemagic import document as d
from tapemagic.formula import (
    ONE,
    Formula,
    Negative,
    Number,
    Power,
    Product,
    Quotient,
    number,
)
from tapemagic.tensors.matrix_products import (
    diag,
    joined,
    pointwise,
    product,
    signed,
    trace,
    transposed,
)
from tapemagic.tensors.nodes import PLACES, Contract, Labels, Map, Node, Structure


class NotMatrix(Exception):
    """The tensor cannot be written with matrices and vectors alone."""


class Writer(Protocol):
    """Writes the tensors that are contracted."""

    def write(self, node: Node) -> Formula: ...

    def power(self, base: Node, exponent: Formula) -> Formula: ...

    def entry(self, node: Node, places: Sequence[int]) -> Formula: ...


def power_of(node: Map) -> Formula | None:
    """The exponent, if the function is a power."""
    formula = node.formula
    if isinstance(formula, Power) and formula.base == PLACES[0] and not formula.exponent.free:
        return formula.exponent
    return None


@dataclass
class _Edge:
    """A matrix between two labels: `formula` has rows `row` and columns `column`."""

    row: int
    column: int
    formula: Formula

    def seen_from(self, label: int) -> Formula:
        """With that label as its rows."""
        return self.formula if self.row == label else transposed(self.formula)

    def other(self, label: int) -> int:
        return self.column if self.row == label else self.row


class Graph:
    """One contraction, its labels summed away one by one."""

    def __init__(self, node: Contract, writer: Writer) -> None:
        self._rank, self._coefficient = node.rank, node.coefficient
        self._sizes = node.sizes
        self._scalars: list[Formula] = []
        self._below: list[Formula] = []
        self._weights: dict[int, list[Formula]] = {}
        self._edges: list[_Edge] = []
        # The summed labels that a unit vector has: the place, the vector.
        self._chosen: dict[int, tuple[Formula, Formula]] = {}
        self._norm(node, writer)

    def _norm(self, node: Contract, writer: Writer) -> None:
        """Place the factors; what is summed by itself becomes a norm or a sum at once."""
        for part, labels in self._without_entries(node, writer):
            alone = all(
                label >= node.rank and sum(label in ls for _, ls in node.factors) == 1
                for label in labels
            )
            if labels and alone and isinstance(part, Map) and power_of(part) == number(2):
                shown = writer.write(part.operands[0][0])
                if len(labels) == 2 and labels[0] == labels[1]:
                    shown = _diagonal(shown)
                self._scalars.append(_squared_norm(shown))
            elif alone and len(labels) == 2 and labels[0] == labels[1]:
                self._scalars.append(trace(writer.write(part)))
            else:
                self._place(part, labels, writer)

    def _without_entries(self, node: Contract, writer: Writer) -> list[tuple[Node, Labels]]:
        """Factors of which unit vectors choose an entry are numbers: e₁ᵀAe₂ = A₁₂."""
        units = {labels[0]: part for part, labels in node.factors if _is_unit(part)}
        left = []
        for part, labels in node.factors:
            if _is_unit(part):
                if labels[0] < node.rank:
                    left.append((part, labels))
            elif labels and all(label in units for label in labels):
                entry = writer.entry(part, [_place(units[label]) for label in labels])
                if isinstance(entry, Quotient) and entry.numerator == ONE:
                    self._below.append(entry.denominator)
                else:
                    self._scalars.append(entry)
            else:
                left.append((part, labels))
        for label, unit in units.items():
            if label >= node.rank:
                self._chosen[label] = number(_place(unit) + 1), writer.write(unit)
        return left

    def _place(self, part: Node, labels: Labels, writer: Writer) -> None:
        if not labels:
            exponent = power_of(part) if isinstance(part, Map) else None
            if isinstance(exponent, Number) and exponent.value < 0 and isinstance(part, Map):
                self._below.append(writer.power(part.operands[0][0], number(-exponent.value)))
            else:
                self._scalars.append(writer.write(part))
        elif len(labels) == 1:
            self._weights.setdefault(labels[0], []).append(writer.write(part))
        elif len(labels) == 2:
            shown = writer.write(part)
            if labels[0] != labels[1]:
                self._edges.append(_Edge(*labels, shown))
            else:
                self._weights.setdefault(labels[0], []).append(_diagonal(shown))
        else:
            raise NotMatrix(f"a tensor of {len(labels)} axes")

    def formula(self) -> Formula:
        self._merge()
        while True:
            left = {k for e in self._edges for k in (e.row, e.column)} | set(self._weights)
            summed = [label for label in left if label >= self._rank]
            if not summed:
                break
            self._eliminate(min(summed, key=self._cost))
            self._merge()
        body = self._body()
        alone = len(self._scalars) == 1 and not body
        scalars = self._scalars if alone else [_held(part) for part in self._scalars]
        above = [*scalars, *body]
        if self._below:
            scale = signed(self._coefficient, scalars, self._below)
            if isinstance(scale, Negative):
                return Negative(product([scale.operand, *body]))
            return product([scale, *body])
        return signed(self._coefficient, above)

    def _cost(self, label: int) -> tuple[bool, int, int, int]:
        count = len(self._at(label))
        weighted = 0 if label in self._weights else 1
        # The last axis first: xᵀ(Ay) and not (Aᵀx)ᵀy; entries last: (Ax)₁ and not xᵀAᵀe₁.
        return (label in self._chosen, 2 if count == 1 and weighted else count, weighted, -label)

    def _at(self, label: int) -> list[_Edge]:
        return [e for e in self._edges if label in (e.row, e.column)]

    def _merge(self) -> None:
        """Two matrices between the same labels are multiplied entry by entry."""
        merged: dict[frozenset[int], _Edge] = {}
        for edge in self._edges:
            key = frozenset((edge.row, edge.column))
            first = merged.get(key)
            if first is None:
                merged[key] = edge
                continue
            both_summed = min(key) >= self._rank and len(key) == 2
            alone = all(len(self._at(k)) == 2 and not self._weighted(k) for k in key)
            if both_summed and alone and len(self._between(key)) == 2:
                # Σ A_ij B_ij = tr(AᵀB), Σ A_ij B_ji = tr(AB)
                turned = first.formula if edge.row != first.row else transposed(first.formula)
                inner = joined([turned, edge.formula])
                self._scalars.append(trace(inner))
                self._edges = [e for e in self._edges if e not in (first, edge)]
                self._merge()
                return
            merged[key] = _Edge(
                first.row, first.column, pointwise([first.formula, edge.seen_from(first.row)])
            )
        self._edges = list(merged.values())

    def _weighted(self, label: int) -> bool:
        return label in self._weights or label in self._chosen

    def _between(self, key: frozenset[int]) -> list[_Edge]:
        return [e for e in self._edges if frozenset((e.row, e.column)) == key]

    def _eliminate(self, label: int) -> None:
        edges = self._at(label)
        weights = self._weights.pop(label, [])
        if label in self._chosen:
            self._choose(label, edges, weights)
            return
        if not edges:
            self._scalars.append(_inner(weights, self._sizes[label]))
            return
        for edge in edges:
            self._edges.remove(edge)
        if len(edges) == 1:
            other = edges[0].other(label)
            vector = pointwise(weights) if weights else d.Ones(self._sizes[label])
            applied = joined([edges[0].seen_from(other), vector])
            self._weights.setdefault(other, []).append(applied)
        elif len(edges) == 2:
            first, second = edges
            row, column = first.other(label), second.other(label)  # not the same: merged
            between = [diag(weights)] if weights else []
            inner = joined([first.seen_from(row), *between, second.seen_from(label)])
            self._edges.append(_Edge(row, column, inner))
        else:
            raise NotMatrix("a label that three matrices share")

    def _choose(self, label: int, edges: Sequence[_Edge], weights: Sequence[Formula]) -> None:
        """A unit vector picks entries of vectors, rows and columns of matrices."""
        place, unit = self._chosen[label]
        self._scalars += [d.Subscripted(weight, (place,)) for weight in weights]
        for edge in edges:
            self._edges.remove(edge)
            other = edge.other(label)
            if other in self._chosen:
                places = place, self._chosen[other][0]
                self._scalars.append(d.Subscripted(edge.seen_from(label), places))
            else:
                column = joined([edge.seen_from(other), unit])
                self._weights.setdefault(other, []).append(column)

    def _body(self) -> list[Formula]:
        """What is left has the axes of the result."""
        if self._rank == 0:
            return []
        if self._rank == 1:
            weights = self._weights.get(0)
            if weights:
                return _outer_factors(weights)
            return [d.Ones(self._sizes[0])]
        rows, columns = self._weights.get(0), self._weights.get(1)
        if not self._edges:
            left = pointwise(rows) if rows else d.Ones(self._sizes[0])
            right = pointwise(columns) if columns else d.Ones(self._sizes[1])
            return [left, transposed(right)]
        (edge,) = self._edges
        shown = edge.seen_from(0)
        found = [] if isinstance(shown, d.Identity) and (rows or columns) else [shown]
        if rows:
            found.insert(0, diag(rows))
        if columns:
            found.append(diag(columns))
        return found


def _diagonal(matrix: Formula) -> Formula:
    """The column of its diagonal; of powers, the powers of that."""
    if isinstance(matrix, d.EntryPower):
        return d.EntryPower(_diagonal(matrix.base), matrix.exponent)
    return d.Column("diag", (matrix,))


def _is_unit(node: Node) -> bool:
    return isinstance(node, Structure) and node.kind == "unit"


def _place(unit: Node) -> int:
    """Where its 1 is."""
    assert isinstance(unit, Structure)
    return int(unit.parameters[0])


def _held(scalar: Formula) -> Formula:
    """A product that is a number, in brackets among other factors."""
    return d.Bracketed(scalar) if isinstance(scalar, Product) else scalar


def _outer_factors(weights: Sequence[Formula]) -> list[Formula]:
    if len(weights) == 1 and isinstance(weights[0], Product):
        return list(weights[0].factors)
    return [pointwise(weights)]


def _squared_norm(shown: Formula) -> Formula:
    """‖x‖², which is ‖xᵀ‖²"""
    lying = isinstance(shown, d.Transposed)
    return Power(d.Norm(transposed(shown) if lying else shown), number(2))


def _inner(weights: Sequence[Formula], size: int) -> Formula:
    """Σ u v = uᵀv"""
    if len(weights) == 1:
        return product([transposed(d.Ones(size)), weights[0]])
    first, *rest = weights
    if len(rest) == 1 and rest[0] == first:
        return _squared_norm(first)
    # The simpler one is turned: xᵀ(Ax) and not (Ax)ᵀx. A row lies already.
    second = pointwise(rest)
    if isinstance(second, d.Transposed):
        first, second = second, first
    elif isinstance(first, d.Transposed):
        pass
    elif first.size > second.size or isinstance(second, d.Tensor):
        first, second = (second, first) if second.size < first.size else (first, second)
    return product([transposed(first), second])
