"""The derivation with slots: every number that a slider changes knows its register."""

from __future__ import annotations

from dataclasses import replace

from tapemagic import document as d
from tapemagic.explorer.program import Compiler
from tapemagic.formula import Formula, Value


def fixed(document: d.Document) -> d.Document:
    """The same document, all of it as `recorded`."""

    def item(one: d.Item) -> d.Item:
        if isinstance(one, d.Fold):
            return replace(one, items=tuple(item(part) for part in one.items))
        return replace(one, recorded=True)

    sections = (replace(s, items=tuple(item(one) for one in s.items)) for s in document.sections)
    return d.Document(tuple(sections))


class Slots:
    """Puts slots into a document; `registers` and `dtypes` are those of each slot in turn."""

    def __init__(self, compiler: Compiler) -> None:
        self._compiler = compiler
        self.registers: list[int] = []
        self.dtypes: list[str] = []
        self._stale = False

    def document(self, document: d.Document) -> d.Document:
        """The same document; what cannot move along is marked as `recorded`."""
        return d.Document(tuple(self._section(section) for section in document.sections))

    def _section(self, section: d.Section) -> d.Section:
        return replace(section, items=tuple(self._item(item) for item in section.items))

    def _item(self, item: d.Item) -> d.Item:
        if isinstance(item, d.Fold):
            return replace(item, items=tuple(self._item(part) for part in item.items))
        if isinstance(item, d.Note):
            return replace(item, recorded=True)
        self._stale = False
        sides = tuple(self._formula(side) for side in item.sides)
        return replace(item, sides=sides, recorded=self._stale)

    def _formula(self, node: Formula) -> Formula:
        if isinstance(node, Value):
            return self._value(node)
        children = tuple(self._formula(child) for child in node.children)
        same = all(a is b for a, b in zip(children, node.children))
        return node if same else node.rebuilt(children)

    def _value(self, node: Value) -> Formula:
        register = self._compiler.register(node.origin) if node.origin is not None else None
        if register is None or isinstance(node.value, complex):
            self._stale = True
            return node
        if not self._compiler.registers.moves(register):
            return node
        self.registers.append(register)
        self.dtypes.append(node.dtype)
        return d.Slot(node.value, node.dtype, node.origin, len(self.registers) - 1)
