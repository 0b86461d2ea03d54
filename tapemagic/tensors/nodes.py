"""Tensors as expressions: every linear operation is a contraction over labelled axes.

The representation is the generalised Einstein notation of Laue, Mitterreiter and Giesen
("Computing Higher Order Derivatives of Matrix and Tensor Expressions", 2018): with it a
derivative of any order and rank is one more contraction. Axes of size 1 are left out of it: a
tensor of shape (5, 1) has one axis here, so that a column, a row and a vector meet freely.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tapemagic.formula import ONE, Call, Formula, Name, Symbol

Labels = tuple[int, ...]
Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Node:
    """A tensor. Compared by structure; `size` counts the nodes of the tree under it."""

    shape: Shape

    def __post_init__(self) -> None:
        children = self.children
        key = (type(self).__name__, self.shape, *self._content())
        self.__dict__["size"] = 1 + sum(child.size for child in children)
        self.__dict__["_key"] = key
        self.__dict__["_hash"] = hash(key)

    size: int = field(init=False, repr=False)

    @property
    def rank(self) -> int:
        """How many axes (of more than one entry)."""
        return len(self.shape)

    @property
    def children(self) -> tuple[Node, ...]:
        """The tensors that it is made of."""
        return ()

    def _content(self) -> tuple[object, ...]:
        return ()

    def __hash__(self) -> int:
        return self._hash  # type: ignore[attr-defined,no-any-return]

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Node) or hash(self) != hash(other):
            return False
        return self._key == other._key  # type: ignore[attr-defined,no-any-return]


@dataclass(frozen=True, eq=False)
class Leaf(Node):
    """A named tensor. `whole` is its shape with the axes of size 1. `adjoint`: it stands for the
    derivative of the target by what has this name; `lead` of its axes are then the target's."""

    name: Name
    whole: Shape
    adjoint: bool = False

    def _content(self) -> tuple[object, ...]:
        return (self.name, self.whole, self.adjoint)


@dataclass(frozen=True, eq=False)
class Structure(Node):
    """A constant tensor of zeros and ones (or the like) that an operation stands for.

    `kind` and `parameters` say which: ("identity", ()), ("window", (stride, dilation, pad)).
    `of` names the tensor of integers that it is made from, where there is one. `array` has its
    entries; it is made when it is needed, for it may be large.
    """

    kind: str
    parameters: tuple[Any, ...] = ()
    of: Name | None = None
    given: Array | None = field(default=None, compare=False)

    @property
    def is_zero_one(self) -> bool:
        """Whether it is its own square, entry by entry."""
        if self.kind == "triangle":
            return self.parameters[2:] == (False,)
        if self.given is not None:
            return bool(np.isin(self.given, (0, 1)).all())
        return self.kind not in ("cosine", "sine", "range")

    def _content(self) -> tuple[object, ...]:
        return (
            self.kind,
            self.parameters,
            self.of,
            self.given.tobytes() if self.given is not None else b"",
        )


@dataclass(frozen=True, eq=False)
class Contract(Node):
    """coefficient · Σ factors, entry by entry, over the labels that are not axes of the result.

    Labels 0 … rank − 1 are the axes of the result, in order; those above are summed. An axis
    that no factor has is a broadcast. Without factors it is a constant.
    """

    coefficient: Formula
    factors: tuple[tuple[Node, Labels], ...]

    @property
    def children(self) -> tuple[Node, ...]:
        return tuple(node for node, _ in self.factors)

    def _content(self) -> tuple[object, ...]:
        return (self.coefficient, self.factors)

    @property
    def sizes(self) -> Mapping[int, int]:
        """The size of each label."""
        found = dict(enumerate(self.shape))
        for node, labels in self.factors:
            found.update(zip(labels, node.shape))
        return found

    @property
    def summed(self) -> Labels:
        """The labels that are summed over, in order of appearance."""
        return tuple(label for label in self.sizes if label >= self.rank)


@dataclass(frozen=True, eq=False)
class Plus(Node):
    """The sum of terms of the same shape."""

    terms: tuple[Node, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        return self.terms

    def _content(self) -> tuple[object, ...]:
        return self.terms


@dataclass(frozen=True, eq=False)
class Map(Node):
    """A scalar function of entries: result[0, 1, …] = formula(operand[its labels], …).

    `formula` has `PLACES` as symbols. Every axis of the result belongs to an operand.
    """

    formula: Formula
    operands: tuple[tuple[Node, Labels], ...]

    @property
    def children(self) -> tuple[Node, ...]:
        return tuple(node for node, _ in self.operands)

    def _content(self) -> tuple[object, ...]:
        return (self.formula, self.operands)


@dataclass(frozen=True, eq=False)
class Reshape(Node):
    """The same entries in row-major order."""

    operand: Node

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.operand,)

    def _content(self) -> tuple[object, ...]:
        return (self.operand,)


@dataclass(frozen=True, eq=False)
class Function(Node):
    """A function of whole tensors, a row of `whole.FUNCTIONS`: inverse, softmax, max …

    It acts on the last axes and entry by entry on those before; `parameters` are plain data.
    """

    function: str
    operands: tuple[Node, ...]
    parameters: tuple[Any, ...] = ()

    @property
    def children(self) -> tuple[Node, ...]:
        return self.operands

    def _content(self) -> tuple[object, ...]:
        return (self.function, self.operands, self.parameters)


Array = np.ndarray[Any, Any]
PLACES = tuple(Symbol(Name("•", place)) for place in range(8))


def constant(value: Formula, shape: Shape = ()) -> Contract:
    """The tensor that has `value` in every entry."""
    return Contract(shape, value, ())


def ones(shape: Shape) -> Contract:
    """Ones everywhere."""
    return constant(ONE, shape)


def identity(size: int) -> Structure:
    """δᵢⱼ"""
    return Structure((size, size), "identity")


def core(shape: Sequence[int]) -> Shape:
    """A shape without its axes of size 1."""
    return tuple(size for size in shape if size != 1)


def argument(node: Node, function: str) -> Node | None:
    """The x of function(x), entry by entry."""
    if isinstance(node, Map) and node.formula == Call(function, (PLACES[0],)):
        return node.operands[0][0]
    return None


def postorder(roots: Iterable[Node]) -> Iterator[Node]:
    """Every distinct node once, children first."""
    seen: set[Node] = set()
    pending = [(root, False) for root in reversed(list(roots))]
    while pending:
        node, ready = pending.pop()
        if ready:
            yield node
        elif node not in seen:
            seen.add(node)
            pending.append((node, True))
            pending += [(child, False) for child in reversed(node.children)]


def leaves(roots: Iterable[Node]) -> tuple[Leaf, ...]:
    """The named tensors in `roots`, in order of appearance."""
    return tuple(node for node in postorder(roots) if isinstance(node, Leaf))
