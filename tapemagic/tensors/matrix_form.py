"""Tensors of rank 0 to 2 as a textbook writes them: products, transposes, traces, diag, ∘.

A contraction is a graph: labels are its nodes, matrices its edges, vectors weights on a node.
Summing over a label joins two edges to a matrix product, closes a circle to a trace, ends a
path in a matrix times a vector. What is no such graph has no matrix form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tapemagic import document as d
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
    number,
    replace,
    times,
)
from tapemagic.tensors.nodes import (
    PLACES,
    Contract,
    Function,
    Labels,
    Leaf,
    Map,
    Node,
    Plus,
    Reshape,
    Shape,
    Structure,
)

MINUS = number(-1)

_LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


class NotMatrix(Exception):
    """The tensor cannot be written with matrices and vectors alone."""


class MatrixWriter:
    """Writes tensors of rank 0 to 2, a vector as a column. `taken` are the user's names;
    `target` is how the differentiated thing is written, for the adjoints ∂target/∂name."""

    def __init__(self, taken: Sequence[str] = (), target: Formula | None = None) -> None:
        self._target = target
        self._known: dict[Node, Formula] = {}
        self._selector = next(letter for letter in "ESPRΠ" if letter not in taken)

    def write(self, node: Node) -> Formula:
        if node.rank > 2:
            raise NotMatrix(f"a tensor of {node.rank} axes")
        if node not in self._known:
            self._known[node] = self._written(node)
        return self._known[node]

    def _written(self, node: Node) -> Formula:
        if isinstance(node, Leaf):
            return self._leaf(node)
        if isinstance(node, Structure):
            return self._structure(node)
        if isinstance(node, Contract):
            return _Graph(node, self).formula()
        if isinstance(node, Plus):
            return self._plus(node)
        if isinstance(node, Map):
            return self._map(node)
        if isinstance(node, Reshape):
            return self._reshape(node)
        assert isinstance(node, Function)
        return self._function(node)

    def _leaf(self, node: Leaf) -> Formula:
        symbol: Formula = d.Tensor(node.name)
        if node.adjoint:
            if self._target is None:
                raise NotMatrix("an adjoint of nothing")
            symbol = d.Differential(self._target, ((symbol, 1),), True)
        is_row = node.rank == 1 and len(node.whole) > 1 and node.whole[-1] != 1
        return transposed(symbol) if is_row else symbol

    def _plus(self, node: Plus) -> Formula:
        terms = [self._term(term, node.rank) for term in node.terms]
        # What is negative does not begin the sum, if something else can.
        first = next((k for k, t in enumerate(terms) if not isinstance(t, Negative)), 0)
        return Sum((terms[first], *terms[:first], *terms[first + 1 :]))

    def _term(self, node: Node, rank: int) -> Formula:
        """In a sum, a number stands for itself in every entry."""
        if rank and isinstance(node, Contract) and not node.factors:
            return signed(node.coefficient, [])
        return self.write(node)

    def _map(self, node: Map) -> Formula:
        exponent = _exponent(node)
        if exponent is not None:
            return self.power(node.operands[0][0], exponent)
        put: dict[Formula, Formula] = {}
        for place, (operand, labels) in enumerate(node.operands):
            put[PLACES[place]] = self._spread(operand, labels, node.shape)
        return replace(node.formula, put)

    def power(self, base: Node, exponent: Formula) -> Formula:
        shown = self.write(base)
        if exponent == ONE:
            return shown
        if not base.rank:
            if exponent == number(ONE.value / 2):  # type: ignore[attr-defined]
                return _root(shown)
            negative = isinstance(exponent, Number) and exponent.value < 0
            if negative and isinstance(exponent, Number):
                return Quotient(ONE, self.power(base, number(-exponent.value)))
            if isinstance(shown, Power) and isinstance(shown.base, d.Norm):
                return Power(shown.base, times(shown.exponent, exponent))  # (‖x‖²)^{3/2} = ‖x‖³
            return Power(shown, exponent)
        if exponent == number(ONE.value / 2):  # type: ignore[attr-defined]
            return Call("sqrt", (shown,))
        return d.EntryPower(shown, exponent)

    def _spread(self, operand: Node, labels: Labels, shape: Shape) -> Formula:
        """An operand with the axes of the result: turned, or repeated by a vector of ones."""
        shown = self.write(operand)
        if not labels or labels == tuple(range(len(shape))):
            return shown
        if labels == (1, 0):
            return transposed(shown)
        return (
            Product((shown, transposed(d.Ones(shape[1]))))
            if labels == (0,)
            else Product((d.Ones(shape[0]), transposed(shown)))
        )

    def _structure(self, node: Structure) -> Formula:
        """The symbol of a constant structure; `meaning` says what it is."""
        if node.rank > 2:
            raise NotMatrix("a structure of three axes")
        if node.kind == "identity":
            return d.Identity(node.shape[0])
        if node.kind == "unit":
            return d.Subscripted(d.Tensor(Name("e")), (number(node.parameters[0] + 1),))
        if node.kind == "triangle":
            kind = "lower" if node.parameters[0] else "upper"
            half = "½ " if node.parameters[2] else ""
            return d.Subscripted(d.Ones(node.shape[0]), (d.Words(half + kind),))
        below: Formula = d.Words(self._label(node))
        if node.kind == "one_hot" and node.of is not None:
            below = d.Tensor(node.of)
        return d.Subscripted(d.Tensor(Name(self._selector)), (below,))

    def _label(self, node: Structure) -> str:
        if node.kind == "strided":
            start, step = node.parameters
            last = start + step * (node.shape[0] - 1)
            return f"{start + 1}:{last + 1}" + (f":{step}" if step != 1 else "")
        if node.kind == "one_hot":
            places = node.parameters[0]
            shown = ",".join(str(place + 1) for place in places[:6])
            return shown + (",…" if len(places) > 6 else "")
        return node.kind.replace("_", " ")

    def meaning(self, node: Structure) -> str:
        """A sentence on the structure's symbol, "" where everybody knows it."""
        letter = self._selector
        if node.kind == "unit":
            place = node.parameters[0] + 1
            return f"e{str(place).translate(_LOWERED)} is the unit vector whose entry {place} is 1"
        if node.kind == "strided":
            text = self._label(node)
            return f"{letter}_{text} picks the entries {text} (counted from 1)"
        if node.kind == "one_hot":
            which = node.of.text if node.of is not None else self._label(node)
            return f"row i of {letter}_{which} has its 1 at the i-th entry of {which}: a gather"
        if node.kind == "triangle":
            side = "on and below" if node.parameters[0] else "on and above"
            weight = "½ on the diagonal, " if node.parameters[2] else ""
            return f"𝟏_{'lower' if node.parameters[0] else 'upper'}: ones {side} the diagonal" + (
                f" ({weight.strip(', ')})" if weight else ""
            )
        return ""

    def _reshape(self, node: Reshape) -> Formula:
        operand = node.operand
        if operand.rank > 2:
            raise NotMatrix("a tensor of more than two axes reshaped")
        if node.rank == 1 and operand.rank == 2:  # row by row, where vec goes by columns
            return Call("vec", (transposed(self.write(operand)),))
        return Call("reshape", (self.write(operand),))

    def _function(self, node: Function) -> Formula:
        parts = tuple(self.write(operand) for operand in node.operands)
        if node.function == "inverse":
            return Power(parts[0], MINUS)
        if node.function == "logdet":
            return Call("log", (Call("det", parts),))
        return Call(_NAMES.get(node.function, node.function), parts)


_NAMES = {"cross_entropy": "CE", "log_softmax": "logsoftmax", "cholesky": "chol"}


def _exponent(node: Map) -> Formula | None:
    formula = node.formula
    if isinstance(formula, Power) and formula.base == PLACES[0] and not formula.exponent.free:
        return formula.exponent
    return None


def _root(shown: Formula) -> Formula:
    """√(‖x‖²) is ‖x‖."""
    if isinstance(shown, Power) and isinstance(shown.base, d.Norm) and shown.exponent == number(2):
        return shown.base
    return Call("sqrt", (shown,))


# -- contractions as graphs ---------------------------------------------------------------------


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


class _Graph:
    """One contraction, its labels summed away one by one."""

    def __init__(self, node: Contract, writer: MatrixWriter) -> None:
        self._rank, self._coefficient = node.rank, node.coefficient
        self._sizes = node.sizes
        self._scalars: list[Formula] = []
        self._below: list[Formula] = []
        self._weights: dict[int, list[Formula]] = {}
        self._edges: list[_Edge] = []
        self._norm(node, writer)

    def _norm(self, node: Contract, writer: MatrixWriter) -> None:
        """Place the factors; what is summed by itself becomes a norm or a sum at once."""
        for part, labels in node.factors:
            alone = all(
                label >= node.rank and sum(label in ls for _, ls in node.factors) == 1
                for label in labels
            )
            if labels and alone and isinstance(part, Map) and _exponent(part) == number(2):
                norm = d.Norm(writer.write(part.operands[0][0]))
                self._scalars.append(Power(norm, number(2)))
            else:
                self._place(part, labels, writer)

    def _place(self, part: Node, labels: Labels, writer: MatrixWriter) -> None:
        if not labels:
            exponent = _exponent(part) if isinstance(part, Map) else None
            if isinstance(exponent, Number) and exponent.value < 0 and isinstance(part, Map):
                self._below.append(writer.power(part.operands[0][0], number(-exponent.value)))
            else:
                self._scalars.append(writer.write(part))
        elif len(labels) == 1:
            self._weights.setdefault(labels[0], []).append(writer.write(part))
        elif len(labels) == 2:
            shown = writer.write(part)
            if labels[0] == labels[1]:
                diagonal: Formula = Call("diag", (shown,))
                if labels[0] >= self._rank and not self._used(labels[0]):
                    diagonal = shown
                    self._edges.append(_Edge(labels[0], labels[0], shown))
                else:
                    self._weights.setdefault(labels[0], []).append(diagonal)
            else:
                self._edges.append(_Edge(*labels, shown))
        else:
            raise NotMatrix(f"a tensor of {len(labels)} axes")

    def _used(self, label: int) -> bool:
        return label in self._weights or any(label in (e.row, e.column) for e in self._edges)

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
                return Negative(_product([scale.operand, *body]))
            return _product([scale, *body])
        return signed(self._coefficient, above)

    def _cost(self, label: int) -> tuple[int, int, int]:
        count = len(self._at(label))
        weighted = 0 if label in self._weights else 1
        # The last axis first: xᵀ(Ay) and not (Aᵀx)ᵀy.
        return (2 if count == 1 and weighted else count, weighted, -label)

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
            alone = all(len(self._at(k)) == 2 and k not in self._weights for k in key)
            if both_summed and alone and len(self._between(key)) == 2:
                # Σ A_ij B_ij = tr(AᵀB), Σ A_ij B_ji = tr(AB)
                turned = first.formula if edge.row != first.row else transposed(first.formula)
                inner = _product([turned, edge.formula])
                self._scalars.append(_trace(inner))
                self._edges = [e for e in self._edges if e not in (first, edge)]
                self._merge()
                return
            merged[key] = _Edge(
                first.row, first.column, pointwise([first.formula, edge.seen_from(first.row)])
            )
        self._edges = list(merged.values())

    def _between(self, key: frozenset[int]) -> list[_Edge]:
        return [e for e in self._edges if frozenset((e.row, e.column)) == key]

    def _eliminate(self, label: int) -> None:
        edges = self._at(label)
        weights = self._weights.pop(label, [])
        if not edges:
            self._scalars.append(_inner(weights, self._sizes[label]))
            return
        for edge in edges:
            self._edges.remove(edge)
        if len(edges) == 1 and edges[0].row == edges[0].column:
            if weights:
                raise NotMatrix("a weighted trace")
            self._scalars.append(_trace(edges[0].formula))
        elif len(edges) == 1:
            other = edges[0].other(label)
            vector = pointwise(weights) if weights else d.Ones(self._sizes[label])
            product = _product([edges[0].seen_from(other), vector])
            self._weights.setdefault(other, []).append(product)
        elif len(edges) == 2:
            first, second = edges
            row, column = first.other(label), second.other(label)
            between = [_diag(weights)] if weights else []
            product = _product([first.seen_from(row), *between, second.seen_from(label)])
            if row == column and row < self._rank:
                self._weights.setdefault(row, []).append(Call("diag", (product,)))
            else:
                self._edges.append(_Edge(row, column, product))
        else:
            raise NotMatrix("a label that three matrices share")

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
        found = [edge.seen_from(0)]
        if rows:
            found.insert(0, _diag(rows))
        if columns:
            found.append(_diag(columns))
        return found


def _held(scalar: Formula) -> Formula:
    """A product that is a number, in brackets among other factors."""
    return d.Bracketed(scalar) if isinstance(scalar, Product) else scalar


def _outer_factors(weights: Sequence[Formula]) -> list[Formula]:
    if len(weights) == 1 and isinstance(weights[0], Product):
        return list(weights[0].factors)
    return [pointwise(weights)]


def _inner(weights: Sequence[Formula], size: int) -> Formula:
    """Σ u v = uᵀv"""
    if len(weights) == 1:
        return _product([transposed(d.Ones(size)), weights[0]])
    first, *rest = weights
    if len(rest) == 1 and rest[0] == first:
        return Power(d.Norm(first), number(2))
    # The simpler one is turned: xᵀ(Ax) and not (Ax)ᵀx.
    second = pointwise(rest)
    if first.size > second.size or isinstance(second, d.Tensor):
        first, second = (second, first) if second.size < first.size else (first, second)
    return _product([transposed(first), second])


def _diag(weights: Sequence[Formula]) -> Formula:
    return Call("diag", (pointwise(weights),))


def _trace(inner: Formula) -> Formula:
    return Call("tr", (inner,))


def pointwise(parts: Sequence[Formula]) -> Formula:
    """Entry by entry; reciprocals stand behind ⊘."""
    if len(parts) == 1:
        return parts[0]
    above: list[Formula] = []
    below: list[Formula] = []
    for part in parts:
        if isinstance(part, d.Pointwise):
            above += part.factors
            below += part.divisors
        elif isinstance(part, d.EntryPower) and part.exponent == MINUS:
            below.append(part.base)
        else:
            above.append(part)
    return d.Pointwise(tuple(above) or (ONE,), tuple(below))


def transposed(node: Formula) -> Formula:
    """nodeᵀ, with (AB)ᵀ = BᵀAᵀ and (Aᵀ)ᵀ = A."""
    if isinstance(node, d.Transposed):
        return node.operand
    if isinstance(node, Product):
        scalars = [f for f in node.factors if isinstance(f, (Number, Quotient))]
        others = [f for f in node.factors if f not in scalars]
        return Product((*scalars, *(transposed(f) for f in reversed(others))))
    if isinstance(node, Negative):
        return Negative(transposed(node.operand))
    if isinstance(node, d.Identity) or _is_diagonal(node):
        return node
    return d.Transposed(node)


def _is_diagonal(node: Formula) -> bool:
    return isinstance(node, Call) and node.function == "diag"


def _product(parts: Sequence[Formula]) -> Formula:
    flat: list[Formula] = []
    for part in parts:
        flat += part.factors if isinstance(part, Product) else [part]
    kept = [part for part in flat if part != ONE and not isinstance(part, d.Identity)]
    if not kept:
        return flat[-1] if flat else ONE
    return kept[0] if len(kept) == 1 else Product(tuple(kept))


def signed(
    coefficient: Formula, above: Sequence[Formula], below: Sequence[Formula] = ()
) -> Formula:
    """coefficient · above / below, the sign in front."""
    negative = False
    if isinstance(coefficient, Negative):
        negative, coefficient = True, coefficient.operand
    elif isinstance(coefficient, Number) and coefficient.value < 0:
        negative, coefficient = True, Number(-coefficient.value, coefficient.decimal)
    if below:
        top, bottom = coefficient, list(below)
        if (
            isinstance(coefficient, Number)
            and coefficient.value.denominator != 1
            and not coefficient.decimal
        ):
            top, bottom = (
                number(coefficient.value.numerator),
                [
                    number(coefficient.value.denominator),
                    *below,
                ],
            )
        body: Formula = Quotient(_product([top, *above]), _product(bottom))
    else:
        body = _product([coefficient, *above])
    return Negative(body) if negative else body


__all__ = ["MatrixWriter", "NotMatrix", "signed", "transposed"]
