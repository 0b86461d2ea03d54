"""The complex tensors of a program: which pair of real ones each is, and what its parts are called,
z_re and z_im."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tapemagic.equations import Names, NotDerivable
from tapemagic.formula import Name
from tapemagic.numbers import recognise
from tapemagic.tensors.complexes import Pair, Result, lifted_pairs
from tapemagic.tensors.nodes import Contract, Leaf, Node, constant, core
from tapemagic.tensors.operand import Context, NotLiftable
from tapemagic.tensors.recognition import at
from tapemagic.tensors.recorded import part_of
from tapemagic.trace import Operation, Trace


class Pairing:
    """`leaf` makes the leaf of a name and a tensor's key."""

    def __init__(self, trace: Trace, names: Names, leaf: Callable[[Name, int], Leaf]) -> None:
        self._trace, self._names, self._leaf = trace, names, leaf
        self.of: dict[int, Pair] = {}
        self.parts: dict[Leaf, str] = {}  # which part of a complex value a leaf is
        self.constants: dict[Leaf, int] = {}

    def is_complex(self, key: int) -> bool:
        return self._trace.tensors[key].dtype.startswith("complex")

    def lifted(self, operation: Operation, context: Context) -> Result:
        """The outputs of an operation. Raises `NotDerivable`."""
        pairs = [self._pair(key) if self.is_complex(key) else None for key in operation.inputs]
        try:
            if operation.given:
                raise NotLiftable(f"{operation.kind} has a derivative of its own")
            return lifted_pairs(context, pairs)
        except NotLiftable as reason:
            raise NotDerivable(str(reason)) from reason

    def keep(self, key: int, pair: Pair, limit: int) -> dict[Leaf, Node]:
        """Its parts that get names of their own, where they are long or the user named it."""
        name = self._names.of.get(key)
        parts: list[Node] = []
        named: dict[Leaf, Node] = {}
        for which, node in (("re", at(pair.real)), ("im", at(pair.imag))):
            plain = isinstance(node, Leaf) or (isinstance(node, Contract) and not node.factors)
            if name is None and not plain and node.size > limit:
                name = self._names.fresh()
            if name is None or plain:
                parts.append(node)
                continue
            leaf = self._part(name, which, key)
            named[leaf] = node
            parts.append(leaf)
        self.of[key] = Pair(*parts)
        return named

    def _part(self, name: Name, which: str, key: int) -> Leaf:
        taken = {other.text for other in self._names.of.values()}
        text = f"{name.text}_{which}"
        while text in taken:
            text += "_"
        leaf = self._leaf(Name(text, name.version, True), key)
        self.parts[leaf] = which
        return leaf

    def _pair(self, key: int) -> Pair:
        if key not in self.of:
            self.of[key] = self._constant(key)
        return self.of[key]

    def _constant(self, key: int) -> Pair:
        """A complex constant: parts that are the same everywhere as numbers, others by name."""
        known, name = self._trace.tensors[key], self._names.of.get(key)
        parts: list[Node] = []
        dtype = "float32" if known.dtype == "complex64" else "float64"
        data = self._trace.array(key)
        for which in ("re", "im"):
            part = None if data is None else part_of(np.asarray(data), which)
            if part is not None and part.size and np.all(part == part.flat[0]):
                parts.append(constant(recognise(float(part.flat[0]), dtype), core(known.shape)))
                continue
            name = name or self._names.fresh()
            leaf = self._part(name, which, key)
            self.constants[leaf] = key
            parts.append(leaf)
        return Pair(*parts)
