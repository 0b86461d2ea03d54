"""Definitions and adjoints told by layers: what a layer makes is a line, what is inside it
stands one click away."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tapemagic import document as d
from tapemagic.formula import Call, Formula
from tapemagic.substitution import abridged
from tapemagic.tensors.definitions import Definition, Layer
from tapemagic.tensors.nodes import Leaf, Node
from tapemagic.tensors.sweep import AdjointForm

OPEN = 4  # definitions of a model that still stand open
ALONE = 10  # and those of a layer, where there is no other
_Numbered = tuple[int, Definition]


@dataclass(frozen=True)
class Group:
    """A layer, and in order what it defines and the layers inside it."""

    layer: Layer
    parts: tuple[Part, ...]

    @property
    def definitions(self) -> list[_Numbered]:
        """All definitions inside, with their numbers."""
        return list(_flat(self.parts))


Part = Group | _Numbered


def _flat(parts: Sequence[Part]) -> Iterator[_Numbered]:
    for part in parts:
        if isinstance(part, Group):
            yield from _flat(part.parts)
        else:
            yield part


def grouped(parts: Sequence[_Numbered], layers: Sequence[Layer]) -> tuple[Part, ...]:
    """Numbered definitions by the layers that made them, the outer ones first."""
    found: list[Part] = []
    at = 0
    while at < len(parts):
        around = [layer for layer in layers if layer.holds(parts[at][1].at)]
        if not around:
            found.append(parts[at])
            at += 1
            continue
        layer = min(around, key=lambda one: one.depth)
        end = at
        while end < len(parts) and layer.holds(parts[end][1].at):
            end += 1
        inside = [one for one in layers if one.depth > layer.depth and layer.holds(one.first)]
        found.append(Group(layer, grouped(parts[at:end], inside)))
        at = end
    return tuple(found)


def alone(parts: Sequence[Part]) -> bool:
    """Whether a single layer ran, of not too many equations: these are what there is to read."""
    groups = [part for part in parts if isinstance(part, Group)]
    return (
        len(groups) == 1
        and len(groups[0].definitions) <= ALONE
        and not any(isinstance(part, Group) for part in groups[0].parts)
    )


class LayerTeller:
    """Tells groups. `tell` makes a definition's line, with the layer whose only one it is;
    `write` an argument of a layer."""

    def __init__(
        self,
        tell: Callable[[Definition, int, Layer | None], d.Item],
        write: Callable[[Node | None], Formula],
    ) -> None:
        self._tell, self._write = tell, write

    def items(self, parts: Sequence[Part]) -> list[d.Item]:
        """The lines of some parts."""
        openly = alone(parts)
        return [item for part in parts for item in self._part(part, openly)]

    def _part(self, part: Part, openly: bool = False) -> list[d.Item]:
        if not isinstance(part, Group):
            number, definition = part
            return [self._tell(definition, number, None)]
        inside = part.definitions
        if len(inside) == 1:
            number, definition = inside[0]
            return [self._tell(definition, number, _innermost(part))]
        layers = [one for one in part.parts if isinstance(one, Group)]
        if layers and (len(inside) <= OPEN or len(part.parts) == 1):
            return self.items(part.parts)
        count = f"{len(layers)} layers, " if len(layers) > 1 else ""
        summary = f"inside {part.layer.name}: {count}{len(inside)} equations"
        told = abridged(part.parts, lambda _, one: self._part(one))
        return [*self._header(part), *(told if openly else [d.Fold(summary, tuple(told))])]

    def _header(self, group: Group) -> list[d.Item]:
        """output = layer(input)"""
        made = {definition.leaf for _, definition in group.definitions}
        outputs = [leaf for leaf in group.layer.outputs if leaf in made]
        if not outputs:
            return []
        left, right = d.Tensor(outputs[0].name), self.call(group.layer)
        space = d.Space(outputs[0].whole)
        if right is None:
            return [d.Statement((left, space), ("∈",))]
        return [d.Statement((left, right, space), ("=", "∈"))]

    def call(self, layer: Layer) -> Formula | None:
        """dense(X)"""
        arguments = tuple(self._write(node) for node in layer.arguments)
        return Call(layer.name, arguments) if arguments else None


def _innermost(group: Group) -> Layer:
    """The layer next to the only definition."""
    while isinstance(group.parts[0], Group):
        group = group.parts[0]
    return group.layer


def outside(
    adjoints: Sequence[AdjointForm], parts: Sequence[Part]
) -> list[tuple[str, tuple[AdjointForm, ...]]]:
    """The adjoints in order, those of names inside a layer together under the layer's name (""
    for one that stands by itself)."""
    home: dict[Leaf, str] = {}
    for group in _leaf_groups(parts):
        for _, definition in group.definitions:
            if definition.leaf not in group.layer.outputs and len(group.definitions) > 1:
                home[definition.leaf] = group.layer.name
    found: list[tuple[str, tuple[AdjointForm, ...]]] = []
    for adjoint in adjoints:
        name = home.get(adjoint.leaf, "")
        if name and found and found[-1][0] == name:
            found[-1] = name, (*found[-1][1], adjoint)
        else:
            found.append((name, (adjoint,)))
    return found


def _leaf_groups(parts: Sequence[Part]) -> Iterator[Group]:
    for part in parts:
        if isinstance(part, Group):
            if any(isinstance(one, Group) for one in part.parts):
                yield from _leaf_groups(part.parts)
            else:
                yield part
