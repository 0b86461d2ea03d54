"""What a lifting rule is given: an operation's inputs as nodes, or as plain numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tapemagic.formula import Name
from tapemagic.tensors.nodes import Array, Node, Shape

Attributes = Mapping[str, Any]


class NotLiftable(Exception):
    """The operation has no form as a tensor expression here; the message says why."""


@dataclass(frozen=True)
class Operand:
    """An input of an operation. `shape` has all axes; `node` those of more than one entry.
    `data` are the recorded numbers of what is constant, `name` is its name; `recorded` also has
    the numbers of what varies, for the choice between two ways of writing."""

    shape: Shape
    make: Callable[[], Node]
    data: Array | None = None
    name: Name | None = None
    recorded: Callable[[], Array | None] = lambda: None

    @property
    def node(self) -> Node:
        """The tensor, made when it is asked for."""
        return self.make()

    @property
    def axes(self) -> tuple[int, ...]:
        """The places of the node's axes among those of `shape`."""
        return tuple(axis for axis, size in enumerate(self.shape) if size != 1)

    @property
    def has_zero(self) -> bool:
        """Whether an entry was 0 when it was recorded."""
        values = self.recorded()
        return values is not None and not np.all(values)

    @property
    def numbers(self) -> list[int]:
        """A constant of integers, flat."""
        if self.data is None:
            raise NotLiftable("an axis, a shape or an index that was not recorded")
        return [int(value) for value in np.asarray(self.data).ravel()]

    @property
    def number(self) -> int:
        """One integer."""
        return self.numbers[0]


@dataclass(frozen=True)
class Context:
    """An operation to be lifted: `outputs` are the shapes of what it made."""

    kind: str
    inputs: tuple[Operand, ...]
    attributes: Attributes
    outputs: tuple[Shape, ...]

    @property
    def output(self) -> Shape:
        """The shape of the first output."""
        return self.outputs[0]


Rule = Callable[[Context], "Sequence[Node | None]"]


def kept(shape: Shape) -> tuple[int, ...]:
    """The axes of more than one entry."""
    return tuple(axis for axis, size in enumerate(shape) if size != 1)


def text(value: Any) -> str:
    """An attribute that TensorFlow gives as bytes or as a string."""
    return value.decode() if isinstance(value, bytes) else str(value)
