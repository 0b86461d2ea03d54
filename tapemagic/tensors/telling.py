"""How a derivation in whole tensors is told: spaces, definitions, adjoints, the closed form."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from tapemagic import document as d
from tapemagic import numbers
from tapemagic.equations import entries
from tapemagic.extent import extent
from tapemagic.formula import Call, Formula, Name, Product, Sum
from tapemagic.formula import postorder as parts
from tapemagic.style import Style
from tapemagic.substitution import abridged, counted, folded, shown
from tapemagic.tensors.algebra import plus
from tapemagic.tensors.by_layers import LayerTeller, Part, alone, grouped, outside
from tapemagic.tensors.definitions import Definition, Definitions, Layer
from tapemagic.tensors.following import adjoint_leaf
from tapemagic.tensors.index_form import IndexWriter
from tapemagic.tensors.lettering import Lettering
from tapemagic.tensors.matrix_form import MatrixWriter, NotMatrix
from tapemagic.tensors.matrix_products import LEGEND, transposed
from tapemagic.tensors.nodes import Array, Function, Leaf, Node, Plus, Structure, core, postorder
from tapemagic.tensors.shapes import with_shapes
from tapemagic.tensors.sweep import AdjointForm, TensorForm
from tapemagic.tensors.whole import decomposed

LONG = 45  # nodes of a closed form that still stands open
LONG_BY_INDEX = 24  # the same in index notation
NAMED = 16  # from so many nodes on, a closed form keeps the names of what is in between
ONCE = 2  # adjoints between target and sources: more are told once for all of these
_SUM = 150  # nodes of a sum that is written whole
_TERMS = 4  # and terms of one that is not
_SMALL = 9  # entries of a value that is written out
_NO_INDEX = "an axis of one entry has no index"


class Teller:
    """Tells one form; all its lines in one notation."""

    def __init__(
        self,
        form: TensorForm,
        style: Style,
        several: bool,
        meanings: Mapping[str, str] | None = None,
        like: Teller | None = None,
    ) -> None:
        self._form, self._style, self._several = form, style, several
        self._meanings = meanings or {}
        self._definitions = form.definitions
        target = d.Tensor(form.definitions.target.name)
        same = like if like is not None and like.tells(form.definitions) else None
        taken = [] if same else [leaf.name.text for leaf in _all_leaves(form.definitions)]
        single = [text for text in taken if len(text) == 1]
        nodes = [part.node for part in form.definitions.definitions]
        self._letters: Lettering = same._letters if same else Lettering(taken, nodes)
        self._matrix: MatrixWriter = (
            same._matrix if same else MatrixWriter(self._letters, target, style.numerator)
        )
        self._index: IndexWriter = (
            same._index if same else IndexWriter(self._letters, single, target)
        )
        self._fits: dict[Node, bool] = same._fits if same else {}
        self._in_matrices = self._chosen()

    def tells(self, definitions: Definitions) -> bool:
        """Whether these are the ones that it tells."""
        return self._definitions is definitions

    def _chosen(self) -> bool:
        notation = self._style.notation
        return notation == "matrix" or (notation == "auto" and self._all_in_matrices())

    # -- what stands on the lines --------------------------------------------------------------

    def spaces(self) -> list[d.Item]:
        """Each source and constant with its space, and what a short name stands for."""
        return folded(
            self._definitions.given, lambda _, leaf: [self._space(leaf)], "sources and constants"
        )

    def _space(self, leaf: Leaf) -> d.Item:
        space, value = d.Space(leaf.whole), self._definitions.view(leaf)
        dtype = self._definitions.dtype
        sides: list[Formula] = [d.Tensor(leaf.name)]
        relations: list[str] = []
        meaning = self._meanings.get(leaf.name.text)
        if meaning is not None:
            sides.append(d.Words(meaning))
            relations.append("=")
        small = value is not None and math.prod(leaf.whole) <= _SMALL
        if value is not None and small:
            sides.append(shown(value.reshape(leaf.whole), dtype, entries(leaf.name, leaf.whole)))
            relations.append("≈" if _rounded(value, dtype) else "=")
        if leaf.whole or len(sides) == 1:
            sides.append(space if small else _with_size(space, value))
            relations.append("∈")
        return d.Statement(tuple(sides), tuple(relations))

    def definitions(self) -> list[d.Item]:
        """The numbered definitions."""
        parts = self._definitions.definitions
        if self._definitions.layers:
            return LayerTeller(self._definition, self._argument).items(self._grouped())
        return folded(parts, lambda k, part: [self._definition(part, k + 1)], "definitions")

    def _grouped(self) -> tuple[Part, ...]:
        parts = list(enumerate(self._definitions.definitions, 1))
        return grouped(parts, self._definitions.layers)

    def _argument(self, node: Node | None) -> Formula:
        if isinstance(node, Leaf):
            return d.Tensor(node.name)
        return d.Words("⋯")

    def _definition(self, part: Definition, number: int, layer: Layer | None = None) -> d.Item:
        source = d.Source(part.line.number, part.line.text) if part.line is not None else None
        space = d.Space(part.leaf.whole)
        if part.operation is not None:
            arguments = tuple(d.Tensor(leaf.name) for _, leaf in part.arguments)
            left: Formula = d.Tensor(part.leaf.name)
            right: Formula = Call(part.operation.kind, arguments)
        else:
            left, right = self._equation(part.leaf, part.node)
        sides, relations = [left, right], ["="]
        call = None if layer is None else LayerTeller(self._definition, self._argument).call(layer)
        if call is not None:
            places = left.below if isinstance(left, d.Subscripted) else ()
            sides.insert(1, d.Subscripted(call, places) if places else call)
            relations.append("=")
        if part.leaf.whole and self._in_matrices:
            sides.append(space)
            relations.append("∈")
        elif not part.leaf.shape:
            value = self._recorded(part.leaf)
            if value is not None:
                own = entries(part.leaf.name, ())
                sides.append(shown(value.reshape(()), self._definitions.dtype, own))
                relations.append("≈" if _rounded(value, self._definitions.dtype) else "=")
        return d.Statement(tuple(sides), tuple(relations), "", number, source)

    def _recorded(self, leaf: Leaf) -> Array | None:
        value = self._definitions.look(leaf)
        return None if value is None or value.size != 1 else value

    def chain(self) -> list[d.Item]:
        """The adjoints from the target down to the source."""
        path = [a for a in self._form.path if a.leaf != self._definitions.target]
        if self._form.in_adjoints is not None:  # the last line, which `closed` tells
            path = path[:-1]
        if self._shares:
            path = [a for a in path if a.leaf in self._form.source]
            return [self._adjoint(a, "" if k else "chain rule") for k, a in enumerate(path)]
        if len(path) < 2 and not any(a.node is None for a in path):
            return []
        return folded(path, lambda k, a: [self._adjoint(a, "" if k else "chain rule")], "adjoints")

    @property
    def _shares(self) -> bool:
        """Whether so many adjoints lie on the way to several sources that they are told once."""
        return len(self._definitions.sources) > 1 and len(self._between) > ONCE

    @property
    def _between(self) -> list[AdjointForm]:
        if self._form.sweep is None:
            return []
        ends = {leaf for group in self._definitions.sources for leaf in group}
        ends.add(self._definitions.target)
        return [a for a in self._form.sweep.adjoints.values() if a.leaf not in ends]

    def adjoints(self) -> list[d.Item]:
        """The adjoints on the way from the target to all sources, if they are told once."""
        if not self._shares:
            return []
        parts = outside(self._between, self._grouped())

        def tell(k: int, part: tuple[str, tuple[AdjointForm, ...]]) -> list[d.Item]:
            name, adjoints = part
            label = "" if k else "chain rule"
            told = abridged(adjoints, lambda _, a: [self._adjoint(a, label)])
            if not name or alone(self._grouped()):
                return told
            count = counted(len(adjoints), "adjoint", "adjoints")
            return [d.Fold(f"inside {name}: {count}", tuple(told))]

        return folded(parts, tell, "adjoints")

    def _adjoint(self, adjoint: AdjointForm, label: str) -> d.Item:
        leaf = self._of(adjoint.leaf)
        if adjoint.node is None:
            left, _ = self._equation(leaf, leaf)
            return d.Statement((left, d.Words("from the tape")), ("=",), label)
        left, right = self._summed(leaf, adjoint.node)
        return d.Statement((left, *self._sides(right)), ("=",) * len(self._sides(right)), label)

    def _of(self, leaf: Leaf) -> Leaf:
        """The symbol of its adjoint."""
        return adjoint_leaf(leaf, self._form.sweep.front if self._form.sweep else ())

    def _summed(self, leaf: Leaf, node: Node) -> tuple[Formula, Formula]:
        """The equation; of a long sum, over all steps of a loop, the first terms and the last."""
        if not isinstance(node, Plus) or len(node.terms) <= _TERMS or node.size <= _SUM:
            return self._equation(leaf, node)
        first, last = plus(node.terms[: _TERMS - 1], node.shape), node.terms[-1]
        left, right = self._equation(leaf, first)
        more = d.Words(f"⋯ ({len(node.terms) - _TERMS} more)")
        return left, Sum((right, more, self._equation(leaf, last)[1]))

    def _sides(self, right: Formula) -> tuple[Formula, ...]:
        """A right-hand side, and once more with the shapes under its factors if asked for."""
        if not (self._style.full and self._in_matrices):
            return (right,)
        every = _all_leaves(self._definitions)
        shapes = {leaf.name: leaf.shape if len(leaf.shape) != 1 else _pair(leaf) for leaf in every}
        shaped = with_shapes(right, shapes)
        return (right,) if shaped is None else (right, shaped)

    def closed(
        self, heading: Formula, value: Array | None, label: str, origins: Array | None = None
    ) -> list[d.Item]:
        """The closed form and its value, whose entries are those of `origins`; what is long
        stands one click away."""
        node = self._form.closed
        if node is not None:
            node = self._with_names(node)
            left, right = self._closed_sides(heading, node)
        elif self._form.in_adjoints is not None:
            node = self._form.in_adjoints
            left, right = self._summed(self._of(self._form.source[0]), node)
        else:
            return []
        sides = [left, *self._sides(right)]
        relations = ["="] * (len(sides) - 1)
        if value is not None:
            dtype = self._definitions.dtype
            if value.size <= _SMALL:
                origins = None if origins is None else self._laid_out(origins)
                sides.append(shown(self._laid_out(value), dtype, origins))
                relations.append("≈" if _rounded(value, dtype) else "=")
            elif self._in_matrices:
                sides.append(_with_size(d.Space(value.shape), value))
                relations.append("∈")
        told = d.Statement(tuple(sides), tuple(relations), label)
        notes: list[d.Item] = [told]
        notes += self._layout()
        long = LONG if self._in_matrices else LONG_BY_INDEX
        if self._form.closed is not None and node.size > long:
            summary = f"a closed form of {node.size} parts"
            summary = f"{label}: {summary}" if label else f"{summary}: nothing between has a name"
            return [d.Fold(summary, tuple(notes))]
        return notes

    def beside(self, heading: Formula, told: Collection[Name]) -> list[d.Item]:
        """The closed form in one line, beside components that say it all, with what they have
        not `told`: literal arrays, of which they only show the entries."""
        node = self._form.closed
        if node is None or node.size > LONG:
            return []
        node = self._with_names(node)
        left, right = self._closed_sides(heading, node)
        if isinstance(right, d.Matrix):  # as the components are
            return []
        label = "in matrix form" if self._in_matrices else "in index form"
        used = {part for part in postorder([node]) if isinstance(part, Leaf)}
        new = [leaf for leaf in self._definitions.given if leaf in used and leaf.name not in told]
        spaces = [self._space(leaf) for leaf in new]
        told_ = d.Statement((left, right), ("=",), label)
        return [told_, *self._layout(), *spaces, *self._meanings_in([node])]

    def legend(self) -> list[d.Item]:
        """What the symbols of constant structures mean."""
        nodes = [part.node for part in self._definitions.definitions if not part.opaque]
        nodes += [a.node for a in self._form.path if a.node is not None]
        nodes += [self._form.closed] if self._form.closed is not None else []
        return self._meanings_in(nodes)

    def _meanings_in(self, nodes: list[Node]) -> list[d.Item]:
        written = set(parts([self._written(node) for node in nodes]))
        said: dict[d.Item, None] = {}
        meanings: dict[Node, str] = {
            node: text
            for node in postorder(nodes)
            if isinstance(node, Structure) and (text := self._meaning(node, written))
        }
        units = [n for n in meanings if isinstance(n, Structure) and n.kind == "unit"]
        if self._in_matrices and len(set(map(meanings.get, units))) > 1:
            meanings |= dict.fromkeys(units, self._letters.of_units(units))
        for node in postorder(nodes):
            if node in meanings:
                said[d.Note(meanings[node])] = None
            elif isinstance(node, Function) and self._letters.vectors(node) in written:
                whole = decomposed(node)
                sides = self._written(node.operands[0]), self._written(whole)
                said[d.Statement(sides, ("=",), "where")] = None
        for function, text in LEGEND.items():
            calls = (part for part in written if isinstance(part, Call))
            if d.Words(function) in written or any(c.function == function for c in calls):
                said[d.Note(text)] = None
        every = [node for node in postorder(nodes) if isinstance(node, Leaf)]
        if not self._in_matrices and any(1 in leaf.whole for leaf in every):
            said[d.Note(_NO_INDEX)] = None
        return list(said)

    def _meaning(self, node: Structure, written: Collection[Formula]) -> str:
        """A sentence on the structure's symbol, if that is written."""
        if node.rank <= 2:
            symbol = self._matrix.symbol(node)
            if symbol in written or transposed(symbol) in written:
                return self._letters.in_matrices(node)
        symbol, text = self._letters.by_index(node)
        return text if symbol in written else ""

    def _written(self, node: Node) -> Formula:
        """In matrices, or its generic entry."""
        if self._in_matrices and self._can_write(node):
            return self._matrix.write(node)
        return self._index.entry(node, self._index.letters(node.rank))

    # -- one notation --------------------------------------------------------------------------

    def _all_in_matrices(self) -> bool:
        nodes = [part.node for part in self._definitions.definitions if not part.opaque]
        nodes += [a.node for a in self._form.path if a.node is not None]
        nodes += [self._form.closed] if self._form.closed is not None else []
        return all(self._can_write(node) for node in nodes)

    def _can_write(self, node: Node) -> bool:
        """Whether it can be written in matrices."""
        if node not in self._fits:
            try:
                self._matrix.write(node)
                self._fits[node] = True
            except NotMatrix:
                self._fits[node] = False
        return self._fits[node]

    def _equation(self, leaf: Leaf, node: Node) -> tuple[Formula, Formula]:
        if self._in_matrices:
            try:
                turned = self._matrix.turns(leaf)
                right = self._matrix.write(node)
                if leaf.adjoint:
                    left = d.Differential(
                        d.Tensor(self._definitions.target.name), ((d.Tensor(leaf.name), 1),), True
                    )
                    return left, transposed(right) if turned else right
                left_ = d.Tensor(leaf.name)
                return left_, transposed(right) if turned else right
            except NotMatrix:
                pass
        at = self._index.letters(node.rank)
        return self._index.entry(leaf, at), self._index.entry(node, at)

    def _closed_sides(self, heading: Formula, node: Node) -> tuple[Formula, Formula]:
        if self._in_matrices:
            try:
                right = self._matrix.write(node)
                row = not self._form.lead and _is_row(self._form.source[0])
                if row != self._transposes:
                    right = transposed(right)
                return heading, right
            except NotMatrix:
                pass
        at = self._index.letters(node.rank)
        return self._indexed(heading, at), self._index.entry(node, at)

    def _indexed(self, heading: Formula, at: Sequence[Formula]) -> Formula:
        """∂y/∂x with the places of its entry: the target's first, then the sources'."""
        if not isinstance(heading, d.Differential) or not at:
            return heading
        source = self._form.source[0]
        lead = self._form.lead if self._form.batch else len(at) - source.rank
        above, below = at[:lead], at[lead:]
        if self._form.batch:
            below = (at[0], *below)
        wrt = [(symbol, 1) for symbol, times in heading.wrt for _ in range(times)]
        if len(wrt) > 2 or (len(wrt) == 2 and not above and self._form.source[0].rank):
            return heading  # the sum over the places of the first is not to be written here
        symbol, times = wrt[-1]
        wrt[-1] = (d.Subscripted(symbol, tuple(below)) if below else symbol, times)
        target = heading.target
        if above and len(wrt) == 1:
            target = d.Subscripted(target, tuple(above))
        elif above:
            first, count = wrt[0]
            wrt[0] = (d.Subscripted(first, tuple(above)), count)
        return d.Differential(target, tuple(wrt), heading.partial)

    def _with_names(self, node: Node) -> Node:
        """Long forms keep the names of what stands in between."""
        named = self._form.named
        return named if named is not None and named.size < node.size > NAMED else node

    @property
    def _transposes(self) -> bool:
        """Whether the layout is not the tape's; a Jacobian is the same in both."""
        form = self._form.closed if self._form.closed is not None else self._form.in_adjoints
        whole = form is not None and form.rank > 0
        return self._style.numerator and whole and not self._form.lead

    def _layout(self) -> list[d.Item]:
        if not (self._transposes and self._in_matrices):
            return []
        return [d.Note("numerator layout: the tape's own answer is the transpose")]

    def _laid_out(self, value: Array) -> Array:
        """As the formula beside it stands: in rows and columns."""
        if self._in_matrices and value.ndim > 2:
            value = value.reshape(core(value.shape))
        if self._transposes and value.ndim == 1:
            return value.reshape(1, -1)
        return value.T if self._transposes and value.ndim == 2 else value


def _pair(leaf: Leaf) -> tuple[int, int]:
    """Rows and columns of a vector."""
    return (1, leaf.shape[0]) if _is_row(leaf) else (leaf.shape[0], 1)


def _is_row(leaf: Leaf) -> bool:
    """Whether a tensor of one axis lies: its shape is (1, n)."""
    return leaf.rank == 1 and len(leaf.whole) > 1 and leaf.whole[-1] != 1


def _all_leaves(definitions: Definitions) -> list[Leaf]:
    return [*definitions.given, *(part.leaf for part in definitions.definitions)]


def _with_size(space: Formula, value: Array | None) -> Formula:
    """The space, and how large the entries are."""
    if value is None or not value.size or value.dtype.kind not in "fiu":
        return space
    norm, low, high = (
        str(numbers.written(float(f"{float(x):.3g}"), "float64")) for x in extent(value)
    )
    entries = f"all entries {low}" if low == high else f"entries from {low} to {high}"
    return Product((space, d.Words(f" of norm {norm}, {entries}")))


def _rounded(value: Array, dtype: str) -> bool:
    return any(not numbers.written(float(v), dtype).exact for v in np.asarray(value).flat)
