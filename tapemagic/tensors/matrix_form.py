"""Tensors of rank 0 to 2 as a textbook writes them: products, transposes, traces, diag, ∘."""

from __future__ import annotations

from collections.abc import Sequence

from tapemagic import document as d
from tapemagic.formula import (
    ONE,
    ZERO,
    Call,
    Formula,
    Name,
    Power,
    Product,
    Sum,
    Symbol,
    number,
    replace,
)
from tapemagic.tensors.algebra import contract, unscaled
from tapemagic.tensors.contraction_graph import Graph, NotMatrix, power_of
from tapemagic.tensors.matrix_products import MINUS, NAMES, added, raised, signed, transposed
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

_LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


class _Letters:
    """Letters for what we name ourselves: none of the user's, none twice."""

    def __init__(self, taken: Sequence[str]) -> None:
        self._taken = {text.rstrip("0123456789_") for text in taken}  # e1 is written e₁

    def first(self, wanted: str) -> str:
        """The first that is free; with a prime where all are the user's."""
        texts = (letter + "′" * primes for primes in range(9) for letter in wanted)
        found = next(text for text in texts if text not in self._taken)
        self._taken.add(found)
        return found


class MatrixWriter:
    """Writes tensors of rank 0 to 2, a vector as a column. `taken` are the user's names;
    `target` is how the differentiated thing is written, for the adjoints ∂target/∂name; in
    `numerator` layout these are the transpose of what they are here."""

    def __init__(
        self, taken: Sequence[str] = (), target: Formula | None = None, numerator: bool = False
    ) -> None:
        self._target, self._numerator = target, numerator
        self._known: dict[Node, Formula] = {}
        free = _Letters(taken)
        self._selector = free.first("ESPRΠ")
        self._waves = {"cosine": free.first("CΓKQ"), "sine": free.first("SΣTZ")}
        self._unit = free.first("ebiuδ")

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
        return replace(node.formula, put)

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
        """The symbol of a constant structure; `meaning` says what it is."""
        if node.rank > 2:
            raise NotMatrix("a structure of three axes")
        if node.kind == "identity":
            return d.Identity(node.shape[0])
        if node.kind == "unit":
            return d.Subscripted(d.Tensor(Name(self._unit)), (number(node.parameters[0] + 1),))
        if node.kind == "triangle":
            return d.Subscripted(d.Ones(node.shape[0]), (d.Words(_triangle(node)),))
        if node.kind in self._waves:
            letter = d.Tensor(Name(self._waves[node.kind]))
            wave = d.Subscripted(letter, (number(node.parameters[0]),))
            return transposed(wave) if node.shape[0] > node.shape[1] else wave  # one shape a name
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
        return str(node.parameters[0]) if node.kind == "given" else node.kind.replace("_", " ")

    def meaning(self, node: Structure) -> str:
        """A sentence on the structure's symbol, "" where everybody knows it."""
        letter = self._selector
        if node.kind == "unit":
            place = node.parameters[0] + 1
            unit = self._unit + str(place).translate(_LOWERED)
            return f"{unit} is the unit vector whose entry {place} is 1"
        if node.kind == "strided":
            text = self._label(node)
            return f"{letter}_{text} picks the entries {text} (counted from 1)"
        if node.kind == "one_hot":
            which = node.of.text if node.of is not None else self._label(node)
            return f"row i of {letter}_{which} has its 1 at the i-th entry of {which}: a gather"
        if node.kind in self._waves:
            wave, (period,) = node.kind[:3].replace("sine", "sin"), node.parameters
            symbol = f"{self._waves[node.kind]}{str(period).translate(_LOWERED)}"
            return f"{symbol} has the entries {wave}(2πkn/{period}), k and n from 0"
        if node.kind == "given":
            letter = self._selector
            return _GIVEN.get(node.parameters[0], "").format(f"{letter}_{node.parameters[0]}")
        if node.kind == "triangle":
            weight = " (½ on the diagonal)" if node.parameters[2] else ""
            return f"𝟏_{_triangle(node)}: ones {_side(node)}{weight}"
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
        return Call(NAMES.get(node.function, node.function), parts)


def _is_identity(node: Node) -> bool:
    part = unscaled(node)[1]
    return isinstance(part, Structure) and part.kind == "identity"


def _in_whole(leaf: Leaf, places: Sequence[int]) -> tuple[int, ...]:
    """The places in a row or a column as those of a matrix: E₁₂ of E ∈ ℝ^{1×3}."""
    if leaf.rank != 1 or len(leaf.whole) != 2 or len(places) != 1:
        return tuple(places)
    return (0, places[0]) if leaf.whole[0] == 1 else (places[0], 0)


def _triangle(node: Structure) -> str:
    """Which triangle: with the diagonal, without it, or up to another diagonal."""
    lower, offset, half = node.parameters
    name = ("½ " if half else "") + ("lower" if lower else "upper")
    if offset == -1:
        return f"strictly {name}"
    return f"{name} {offset:+d}".replace("-", "−") if offset else name


def _side(node: Structure) -> str:
    """The same in words."""
    lower, offset, _ = node.parameters
    where = "below" if lower else "above"
    if offset in (0, -1):
        return f"{where} the diagonal" if offset else f"on and {where} the diagonal"
    beyond = "above" if lower == (offset > 0) else "below"
    count = f"{abs(offset)} place" + ("s" if abs(offset) > 1 else "")
    return f"on and {where} the diagonal that lies {count} {beyond} the main one"


_GIVEN = {
    "above": "{} has ones beside the diagonal, above it",
    "below": "{} has ones beside the diagonal, below it",
    "weights": "{} counts twice what a real Fourier transform leaves out",
}


__all__ = ["MatrixWriter", "NotMatrix"]
