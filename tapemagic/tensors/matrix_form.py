"""Tensors of rank 0 to 2 as a textbook writes them: products, transposes, traces, diag, ∘."""

from __future__ import annotations

from collections.abc import Sequence

from tapemagic import document as d
from tapemagic.formula import (
    ONE,
    ZERO,
    Call,
    Formula,
    Power,
    Product,
    Sum,
    Symbol,
    number,
    postorder,
    replace,
)
from tapemagic.tensors.algebra import contract, unscaled
from tapemagic.tensors.contraction_graph import Graph, NotMatrix, power_of
from tapemagic.tensors.cumulating import chosen_part
from tapemagic.tensors.lettering import Lettering
from tapemagic.tensors.matrix_products import (
    LOGARITHMS,
    MINUS,
    NAMES,
    added,
    raised,
    signed,
    transposed,
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
    core,
)
from tapemagic.tensors.stacking import Cell, Grid, stacked
from tapemagic.tensors.structures import entries


class MatrixWriter:
    """Writes tensors of rank 0 to 2, a vector as a column. `letters` name what has no name;
    `target` is how the differentiated thing is written, for the adjoints ∂target/∂name; in
    `numerator` layout these are the transpose of what they are here."""

    def __init__(
        self, letters: Lettering, target: Formula | None = None, numerator: bool = False
    ) -> None:
        self._target, self._numerator = target, numerator
        self._known: dict[Node, Formula] = {}
        self._letters = letters

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
            return self.symbol(node)
        blocks = stacked(node) if node.rank and isinstance(node, (Contract, Plus)) else None
        if blocks is not None:
            return self._stacked(*blocks)
        if isinstance(node, Contract):
            return ZERO if node.coefficient == ZERO else Graph(node, self).formula()
        if isinstance(node, Plus):
            return self._plus(node)
        if isinstance(node, Map):
            return self._map(node)
        if isinstance(node, Reshape):
            return self._reshape(node)
        assert isinstance(node, Function)
        return self._function(node)

    def _leaf(self, node: Leaf) -> Formula:
        symbol: Formula = d.Tensor(node.name) if node.shape else Symbol(node.name)
        if node.adjoint:
            if self._target is None:
                raise NotMatrix("an adjoint of nothing")
            symbol = d.Differential(self._target, ((symbol, 1),), True)
        return transposed(symbol) if self.turns(node) else symbol

    def turns(self, leaf: Leaf) -> bool:
        """Whether what has this name is written as the transpose of the column or matrix here."""
        is_row = leaf.rank == 1 and len(leaf.whole) > 1 and leaf.whole[-1] != 1
        leads = leaf.rank > len(core(leaf.whole))  # a Jacobian is the same in both layouts
        return is_row != (self._numerator and leaf.adjoint and leaf.rank > 0 and not leads)

    def _plus(self, node: Plus) -> Formula:
        if any(_is_identity(term) for term in node.terms):  # I + 1 would be read as 2I
            return added([self.write(term) for term in node.terms])
        return added([self._term(term, node.rank) for term in node.terms])

    def _term(self, node: Node, rank: int) -> Formula:
        """In a sum, a number stands for itself in every entry."""
        if rank and isinstance(node, Contract) and not node.factors:
            return signed(node.coefficient, [])
        return self.write(node)

    def _stacked(self, grid: Grid, rest: Sequence[Node]) -> Formula:
        """Blocks in rows and columns, and what is added to them."""
        whole = d.Matrix(tuple(tuple(self._cell(cell) for cell in row) for row in grid))
        terms = [self._term(term, term.rank) for term in rest]
        return Sum((whole, *terms)) if terms else whole

    def _cell(self, cell: Cell) -> Formula:
        if cell.node is None:
            return ZERO
        shown = self.write(cell.node)
        return transposed(shown) if cell.axes == (1,) else shown

    def entry(self, node: Node, places: Sequence[int]) -> Formula:
        """The entry at these places (from 0)."""
        if isinstance(node, Leaf):
            symbol = Symbol(node.name, _in_whole(node, places))
            if not node.adjoint:
                return symbol
            assert self._target is not None
            return d.Differential(self._target, ((symbol, 1),), True)
        if isinstance(node, Structure):
            return number(float(entries(node)[tuple(places)]))
        if isinstance(node, Plus):
            return added([self._chosen(term, range(term.rank), places) for term in node.terms])
        if isinstance(node, Map):
            put: dict[Formula, Formula] = {
                PLACES[k]: self._chosen(part, labels, places)
                for k, (part, labels) in enumerate(node.operands)
            }
            exponent = power_of(node)
            base = put[PLACES[0]]
            return replace(node.formula, put) if exponent is None else raised(base, exponent)
        return d.Subscripted(self.write(node), tuple(number(place + 1) for place in places))

    def _chosen(self, node: Node, labels: Sequence[int], places: Sequence[int]) -> Formula:
        """The entry of an operand that has these of the axes."""
        units = [
            (Structure((size,), "unit", (places[label],)), (label,))
            for size, label in zip(node.shape, labels)
        ]
        return self.write(contract([(node, labels), *units], (), {}))

    def _map(self, node: Map) -> Formula:
        exponent = power_of(node)
        if exponent is not None:
            return self.power(node.operands[0][0], exponent)
        put: dict[Formula, Formula] = {}
        for place, (operand, labels) in enumerate(node.operands):
            put[PLACES[place]] = self._spread(operand, labels, node.shape)
        return replace(_with_entry_powers(node), put)

    def power(self, base: Node, exponent: Formula) -> Formula:
        shown = self.write(base)
        if exponent == ONE:
            return shown
        if not base.rank:
            return raised(shown, exponent)
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

    def symbol(self, node: Structure) -> Formula:
        """The symbol of a constant structure."""
        if node.rank > 2:
            raise NotMatrix("a structure of three axes")
        return self._letters.matrix(node)

    def _reshape(self, node: Reshape) -> Formula:
        operand = node.operand
        if operand.rank > 2:
            raise NotMatrix("a tensor of more than two axes reshaped")
        if node.rank == 1 and operand.rank == 2:  # row by row, where vec goes by columns
            return Call("vec", (transposed(self.write(operand)),))
        shape = d.Words("×".join(str(size) for size in node.shape))
        return Call("reshape", (self.write(operand), shape))

    def _function(self, node: Function) -> Formula:
        vectors = self._letters.vectors(node)
        if vectors is not None:
            return vectors
        if node.function in ("first_largest", "prod_of_others"):
            raise NotMatrix("a choice among entries")
        running = _running(node)
        if running is not None:
            return Call("cumprod", (self.write(running),))
        parts = tuple(self.write(operand) for operand in node.operands)
        if node.function == "inverse":
            return Power(parts[0], MINUS)
        if node.function in LOGARITHMS:
            return LOGARITHMS[node.function](Call("det", parts))
        name = NAMES.get(node.function, node.function)
        if node.rank != 1 or node.operands[0].rank != 2:
            return Call(name, parts)
        return d.Column(f"row{name}" if name in ("max", "min", "prod") else name, parts)


def _with_entry_powers(node: Map) -> Formula:
    """The function with its powers by tensors as powers of entries, which a number has none of."""
    numbers = {PLACES[k] for k, (_, labels) in enumerate(node.operands) if not labels}
    found: dict[Formula, Formula] = {}
    for part in postorder([node.formula]):
        if isinstance(part, Power) and part.exponent.free - numbers:
            if not part.base.free - numbers:
                raise NotMatrix("a number to the power of a tensor")
            found[part] = d.EntryPower(part.base, part.exponent)
    return replace(node.formula, found)


def _running(node: Function) -> Node | None:
    """The x of x₁, x₁x₂, x₁x₂x₃ …"""
    part = chosen_part(node)
    if part is None or not node.function.startswith("prod"):
        return None
    (condition, axes), (operand, own) = part
    lower = condition.kind == "triangle" and condition.parameters == (True, 0, False)
    return operand if lower and axes == (0, 1) and own == (1,) else None


def _is_identity(node: Node) -> bool:
    part = unscaled(node)[1]
    return isinstance(part, Structure) and part.kind == "identity"


def _in_whole(leaf: Leaf, places: Sequence[int]) -> tuple[int, ...]:
    """The places in a row or a column as those of a matrix: E₁₂ of E ∈ ℝ^{1×3}."""
    if leaf.rank != 1 or len(leaf.whole) != 2 or len(places) != 1:
        return tuple(places)
    return (0, places[0]) if leaf.whole[0] == 1 else (places[0], 0)


__all__ = ["MatrixWriter", "NotMatrix"]
