"""Axes that a reshape merges and another takes apart again: between the two there was one matrix
product, as `tf.tensordot` computes it, where a textbook sums over each axis by itself."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from tapemagic.tensors.algebra import Label, contract, fresh, mapped, plus, reshaped
from tapemagic.tensors.nodes import Contract, Labels, Map, Node, Plus, Reshape, Shape

Groups = list[tuple[Labels, Labels]]


def groups(old: Shape, new: Shape) -> Groups:
    """The axes of two shapes of as many entries, in the smallest groups that hold the same."""
    found: Groups = []
    i = j = 0
    while i < len(old) and j < len(new):
        first, second = i, j
        i, j = i + 1, j + 1
        while (left := math.prod(old[first:i])) != (right := math.prod(new[second:j])):
            i, j = (i + 1, j) if left < right else (i, j + 1)
        found.append((tuple(range(first, i)), tuple(range(second, j))))
    return found


def apart(node: Node) -> Node | None:
    """A reshape that takes an axis apart, by way of what was merged; None where nothing was."""
    assert isinstance(node, Reshape)
    inner = node.operand
    for old, new in groups(inner.shape, node.shape):
        if len(old) == 1 and len(new) > 1:
            split = _split(inner, old[0], tuple(node.shape[k] for k in new))
            if split is not None:
                return reshaped(split, node.shape)
    return None


def summed_apart(node: Node) -> Node | None:
    """A sum over a merged axis as a sum over each of its axes."""
    assert isinstance(node, Contract)
    for label in node.summed:
        for sizes in _merged(node, label):
            split = _split_label(node, label, sizes)
            if split is not None:
                return split
    return None


def _merged(node: Contract, label: int) -> Iterator[Shape]:
    """The sizes of the axes that a factor has merged into this one."""
    for part, labels in node.factors:
        if isinstance(part, Reshape) and label in labels:
            for old, new in groups(part.operand.shape, part.shape):
                if new == (labels.index(label),) and len(old) > 1:
                    yield tuple(part.operand.shape[k] for k in old)


def _split(node: Node, axis: int, sizes: Shape) -> Node | None:
    """The axis as several of these sizes; None where it was not merged from such."""
    shape = (*node.shape[:axis], *sizes, *node.shape[axis + 1 :])
    if isinstance(node, Reshape):
        for old, new in groups(node.operand.shape, node.shape):
            if new == (axis,) and tuple(node.operand.shape[k] for k in old) == sizes:
                return reshaped(node.operand, shape)
    if isinstance(node, Plus):
        terms = [_split(term, axis, sizes) for term in node.terms]
        return None if None in terms else plus(terms, shape)  # type: ignore[arg-type]
    if isinstance(node, Contract):
        return _split_label(node, axis, sizes)
    if isinstance(node, Map):
        new_ = fresh(len(sizes))
        operands = _split_parts(node.operands, axis, sizes, new_)
        if operands is not None:
            out = _replaced(range(node.rank), axis, new_)
            return mapped(node.formula, operands, out, shape)
    return None


def _split_label(node: Contract, label: int, sizes: Shape) -> Node | None:
    new = fresh(len(sizes))
    factors = _split_parts(node.factors, label, sizes, new)
    if factors is None:
        return None
    out = _replaced(range(node.rank), label, new)
    known: dict[Label, int] = {k: size for k, size in node.sizes.items() if k != label}
    return contract(factors, out, {**known, **dict(zip(new, sizes))}, node.coefficient)


def _split_parts(
    parts: Sequence[tuple[Node, Labels]], label: int, sizes: Shape, new: Sequence[Label]
) -> list[tuple[Node, Sequence[Label]]] | None:
    """Factors or operands with the labels `new` for the one."""
    found: list[tuple[Node, Sequence[Label]]] = []
    for part, labels in parts:
        if label not in labels:
            found.append((part, labels))
            continue
        split = _split(part, labels.index(label), sizes) if labels.count(label) == 1 else None
        if split is None:
            return None
        found.append((split, _replaced(labels, label, new)))
    return found


def _replaced(labels: Sequence[Label], label: Label, new: Sequence[Label]) -> list[Label]:
    return [k for old in labels for k in (new if old == label else [old])]
