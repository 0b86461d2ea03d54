"""What is put together from parts, taken apart again: [a b; c d] from a sum of a·e₁e₁ᵀ and the
like, [X Z] from two blocks side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tapemagic.formula import ONE
from tapemagic.tensors.algebra import Label, contract, plus
from tapemagic.tensors.nodes import Contract, Labels, Node, Plus, Structure

MOST = 6  # blocks along an axis
_TERMS = 40  # of a sum that is taken apart


@dataclass(frozen=True)
class _Span:
    """Where a block lies along an axis; of a `single` place the block has no axis."""

    start: int
    stop: int
    single: bool


@dataclass(frozen=True)
class Cell:
    """A block (None: zeros), and which of the whole's axes it has."""

    node: Node | None
    axes: Labels


Grid = tuple[tuple[Cell, ...], ...]


def stacked(node: Node) -> tuple[Grid, list[Node]] | None:
    """A tensor of one or two axes as rows of blocks, and the terms that are no blocks; None
    where it is not put together from several."""
    terms = _terms(node)
    if any(_is_entry(term) for term in terms):
        terms = [part for term in terms for part in _by_entries(term)]
    placed, rest = [], []
    for term in terms:
        spans = tuple(_span(term, axis) for axis in range(node.rank))
        if any(spans):
            placed.append((term, spans))
        else:
            rest.append(term)
    if len(placed) < 2:
        return None
    for axes in (tuple(range(node.rank)), *((axis,) for axis in range(node.rank))):
        grid = _grid(node, placed, axes)
        if grid is not None:
            return grid, rest
    return None


def _grid(
    node: Node, placed: Sequence[tuple[Node, tuple[_Span | None, ...]]], axes: Labels
) -> Grid | None:
    """The blocks along these axes, if every term has its place there."""
    divisions = []
    for axis in range(node.rank):
        if axis not in axes:
            divisions.append([_Span(0, node.shape[axis], False)])
            continue
        spans = {own[axis] for _, own in placed}
        found = None if None in spans else _division(spans, node.shape[axis])  # type: ignore[arg-type]
        if found is None:
            return None
        divisions.append(found)
    parts: dict[tuple[_Span, ...], list[Node]] = {}
    for term, own in placed:
        spans_ = tuple(own[a] if a in axes else divisions[a][0] for a in range(node.rank))
        parts.setdefault(spans_, []).append(_block(term, axes))  # type: ignore[arg-type]
    if len(parts) < 2:
        return None
    cells = {
        spans: Cell(plus(blocks, blocks[0].shape), _kept(spans)) for spans, blocks in parts.items()
    }
    columns = divisions[1] if node.rank == 2 else [None]
    return tuple(
        tuple(
            cells.get(spans, Cell(None, _kept(spans)))
            for column in columns
            for spans in [(row,) if column is None else (row, column)]
        )
        for row in divisions[0]
    )


def _kept(spans: Sequence[_Span]) -> Labels:
    return tuple(axis for axis, span in enumerate(spans) if not span.single)


def _division(spans: set[_Span], size: int) -> list[_Span] | None:
    """The axis cut where the blocks are, the gaps too; None where they overlap."""
    found: list[_Span] = []
    for span in sorted(spans, key=lambda s: s.start):
        end = found[-1].stop if found else 0
        if span.start < end:
            return None
        found += [*_gap(end, span.start, spans), span]
    found += _gap(found[-1].stop, size, spans)
    return found if len(found) <= MOST else None


def _gap(start: int, stop: int, spans: set[_Span]) -> list[_Span]:
    if all(span.single for span in spans):
        return [_Span(place, place + 1, True) for place in range(start, stop)]
    return [_Span(start, stop, stop - start == 1)] if stop > start else []


def _terms(node: Node) -> list[Node]:
    """The terms of a sum, and of sums inside products as far as they are blocks."""
    if isinstance(node, Plus):
        return [part for term in node.terms for part in _terms(term)]
    if isinstance(node, Contract):
        for place, (part, labels) in enumerate(node.factors):
            inner = _terms(part) if any(k < node.rank for k in labels) else []
            if len(inner) < 2 or not any(_span(t, a) for t in inner for a in range(t.rank)):
                continue
            found: list[Node] = []
            for term in inner[:_TERMS]:
                factors = list(node.factors)
                factors[place] = (term, labels)
                out = tuple(range(node.rank))
                sizes: dict[Label, int] = dict(enumerate(node.shape))
                found += _terms(contract(factors, out, sizes, node.coefficient))
            return found if len(inner) <= _TERMS else [node]
    return [node]


def _is_entry(term: Node) -> bool:
    """Whether it is one entry of a matrix."""
    spans = [_span(term, axis) for axis in range(term.rank)]
    return term.rank == 2 and all(span is not None and span.single for span in spans)


def _by_entries(term: Node) -> list[Node]:
    """A small diagonal matrix, or one row or column of a matrix, entry by entry."""
    whole = _alone(term) if isinstance(term, Structure) else term
    if not isinstance(whole, Contract) or max(term.shape) > MOST or _is_entry(term):
        return [term]
    diagonal = any(_is_identity(part) and set(ls) == {0, 1} for part, ls in whole.factors)
    along = {axis for axis in (0, 1) if _span(term, axis) is None}
    if diagonal:
        chosen = [[(0, k), (1, k)] for k in range(term.shape[0])]
    elif len(along) == 1:
        (axis,) = along
        chosen = [[(axis, k)] for k in range(term.shape[axis])]
    else:
        return [term]
    return [_entries(whole, places) for places in chosen]


def _is_identity(node: Node) -> bool:
    return isinstance(node, Structure) and node.kind == "identity"


def _entries(whole: Contract, places: Sequence[tuple[int, int]]) -> Node:
    """The matrix with zeros but at these places along its axes."""
    out, shape = (0, 1), whole.shape
    units = [Structure((shape[axis],), "unit", (place,)) for axis, place in places]
    inner = {axis: f"old {axis}" for axis, _ in places}
    factors = [(part, [inner.get(k, k) for k in ls]) for part, ls in whole.factors]
    picked = [(unit, [inner[axis]]) for unit, (axis, _) in zip(units, places)]
    put = [(unit, [axis]) for unit, (axis, _) in zip(units, places)]
    sizes: dict[Label, int] = dict(enumerate(shape))
    return contract([*factors, *picked, *put], out, sizes, whole.coefficient)


def _placing(term: Node, axis: int) -> tuple[int, Structure, Labels] | None:
    """The factor that alone has the axis, and puts what else there is into its place."""
    if isinstance(term, Structure):
        term = _alone(term)
    if not isinstance(term, Contract):
        return None
    having = [(k, part, ls) for k, (part, ls) in enumerate(term.factors) if axis in ls]
    if len(having) != 1:
        return None
    place, part, labels = having[0]
    if not isinstance(part, Structure):
        return None
    if part.kind == "unit":
        return place, part, labels
    inner = labels[0]
    put = part.kind == "strided" and part.parameters[1] == 1 and labels[1:] == (axis,)
    return (place, part, labels) if put and inner >= term.rank else None


def _alone(node: Node) -> Contract:
    every = tuple(range(node.rank))
    return Contract(node.shape, ONE, ((node, every),))


def _span(term: Node, axis: int) -> _Span | None:
    found = _placing(term, axis)
    if found is None:
        return None
    _, part, _ = found
    start = part.parameters[0]
    if part.kind == "unit":
        return _Span(start, start + 1, True)
    return _Span(start, start + part.shape[0], False)


def _block(term: Node, axes: Labels) -> Node:
    """What the term puts into its place along these axes."""
    if isinstance(term, Structure):
        term = _alone(term)
    assert isinstance(term, Contract)
    gone: dict[int, int | None] = {}
    used: set[int] = set()
    for axis in axes:
        found = _placing(term, axis)
        assert found is not None
        place, part, labels = found
        used.add(place)
        gone[axis] = None if part.kind == "unit" else labels[0]
    out = [gone.get(axis, axis) for axis in range(term.rank)]
    kept = [label for label in out if label is not None]
    sizes: dict[Label, int] = {label: term.sizes[label] for label in kept}
    factors = [f for k, f in enumerate(term.factors) if k not in used]
    return contract(factors, kept, sizes, term.coefficient)


__all__ = ["Cell", "Grid", "stacked"]
