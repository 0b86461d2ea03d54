"""From the trace to named tensors: definitions, one a name, from the sources to the target.

What has no name is written inside what uses it until it grows too big; then it gets one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from tapemagic import rules
from tapemagic.equations import Leaf as Source
from tapemagic.equations import Names, NotDependent, NotDerivable, Slice
from tapemagic.formula import ONE, Call, Name
from tapemagic.numbers import recognise
from tapemagic.tensors.algebra import replaced, scaled
from tapemagic.tensors.complexes import Pair
from tapemagic.tensors.lifting import lifted
from tapemagic.tensors.nodes import (
    Array,
    Contract,
    Function,
    Leaf,
    Map,
    Node,
    Shape,
    Structure,
    constant,
    core,
    identity,
    postorder,
)
from tapemagic.tensors.operand import Context, NotLiftable, Operand
from tapemagic.tensors.pairing import Pairing
from tapemagic.tensors.recognition import at
from tapemagic.tensors.recorded import KEPT, Memory
from tapemagic.trace import Line, Operation, Trace

INLINE = 20  # nodes of an unnamed tensor that is still written inside another
SHARED = 4  # the same where it is used more than once
GATE = 2  # and of a function's values, where a layer multiplies by them or a loop goes on with them
_DEVICES = {"Identity", "Snapshot", "ReadVariableOp"}
_OF_PARTS = {"ComplexAbs", "Angle"}  # they take a real and an imaginary part, and each twice
_ASIDE = {"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"}  # they read no entries


@dataclass(frozen=True)
class Definition:
    """leaf = node. An `opaque` one has no formula: it is `operation`'s output number `place`."""

    leaf: Leaf
    node: Node
    line: Line | None = None
    operation: Operation | None = None
    place: int = 0
    arguments: tuple[tuple[int, Leaf], ...] = ()  # slots of an opaque operation that vary
    shapes: tuple[Shape, ...] = ()  # of all its outputs
    at: int = -1  # its position in the recording

    @property
    def opaque(self) -> bool:
        return self.operation is not None

    @cached_property
    def reads(self) -> frozenset[Leaf]:
        """The names in its formula."""
        return frozenset(part for part in postorder([self.node]) if isinstance(part, Leaf))


@dataclass(frozen=True)
class Layer:
    """A Keras layer made the definitions at the positions [first, last), of `arguments`;
    `depth` layers stand around it."""

    name: str
    depth: int
    first: int
    last: int
    arguments: tuple[Node | None, ...]  # None: nowhere written
    outputs: tuple[Leaf, ...]

    def holds(self, at: int) -> bool:
        """Whether what stands at this position is inside."""
        return self.first <= at < self.last


@dataclass(frozen=True)
class Definitions:
    """The straight-line program in whole tensors.

    `sources` has the versions of each source; `values` gives the recorded value of a leaf in
    float64, or None where it is not there any more. `reached`: whether the target reads a source
    at all, be it for nothing.
    """

    target: Leaf
    definitions: tuple[Definition, ...]
    sources: tuple[tuple[Leaf, ...], ...]
    constants: tuple[Leaf, ...]
    dtype: str
    look: Callable[[Leaf], Array | None] = field(repr=False)
    peek: Callable[[Leaf], Array | None] = field(repr=False)
    opaque: tuple[str, ...] = ()
    layers: tuple[Layer, ...] = ()
    reached: tuple[bool, ...] = ()

    def view(self, leaf: Leaf) -> Array | None:
        """The recorded value in its own memory, to look at: a large one is not copied."""
        return self.look(leaf) if math.prod(leaf.shape) <= KEPT else self.peek(leaf)

    @property
    def given(self) -> tuple[Leaf, ...]:
        """Sources and constants: what values can be chosen for."""
        return (*(leaf for group in self.sources for leaf in group), *self.constants)

    @property
    def largest(self) -> int:
        """The entries of the largest named tensor."""
        every = [*self.given, *(d.leaf for d in self.definitions)]
        return max((math.prod(leaf.shape) for leaf in every), default=1)

    def values(self) -> Mapping[Leaf, Array] | None:
        """The recorded values of all that is given; None where one is gone."""
        found = {leaf: self.look(leaf) for leaf in self.given}
        known = {leaf: value for leaf, value in found.items() if value is not None}
        return known if len(known) == len(found) else None


def define(
    trace: Trace, target: int, text: str, sources: Sequence[Source], names: Mapping[int, str]
) -> Definitions:
    """The definitions that lead from `sources` to `target`, which is called `text`.

    Raises `NotDerivable` with the reason where there are none.
    """
    trace = trace.abridged()
    part = Slice(trace, target, sources, names)
    if target not in part.active:
        raise NotDependent
    return _Writer(trace, part, target, text, sources, names).write()


class _Writer:
    """Goes through the operations once, in order."""

    def __init__(
        self,
        trace: Trace,
        part: Slice,
        target: int,
        text: str,
        sources: Sequence[Source],
        names: Mapping[int, str],
    ) -> None:
        self._trace, self._slice, self._sources, self._target = trace, part, sources, target
        own = {key: source.name for source in sources for key in source.tensors}
        self._names = Names(trace, part.reach, {**names, **own})
        named = self._names.of.get(target)
        self._alias = named if named is not None and named.text == text else self._names.next(text)
        self._written: dict[int, Node] = {}
        self._definitions: dict[Leaf, Definition] = {}
        self._constants: dict[Leaf, int] = {}
        self._keys: dict[Leaf, int] = {}
        self._opaque: dict[str, None] = {}
        self._roots: set[Leaf] = set()  # Cholesky's, which are lower triangular
        self._pairing = Pairing(trace, self._names, self._leaf)
        self._taken: set[Name] = set()
        self._varying = self._vary()
        self._at = -1
        self._uses = self._counted()
        self._apart = self._multiplied() | self._states()

    def _vary(self) -> set[int]:
        """The tensors whose entries depend on the sources: a shape does not."""
        found = set(self._slice.sources)
        for operation in self._slice.operations:
            if operation.kind not in _ASIDE and found.intersection(operation.inputs):
                found.update(self._slice.active.intersection(operation.outputs))
        return found

    def _counted(self) -> Counter[int]:
        """How often each tensor is read; by what splits it, once for each part that is read."""
        operations = [op for op in self._slice.operations if op.kind not in _ASIDE]
        read = {key for op in operations for key in op.inputs}
        found: Counter[int] = Counter()
        for op in operations:
            times = 2 if op.kind in _OF_PARTS else max(1, len(read.intersection(op.outputs)))
            found.update(dict.fromkeys(op.inputs, times))
        return found

    def _multiplied(self) -> set[int]:
        """What layers multiply entry by entry."""
        return {
            key
            for op in self._slice.operations
            if op.kind == "Mul" and len({self._shape(key) for key in op.inputs}) == 1
            if any(block.holds(op.at) for block in self._trace.blocks)
            for key in op.inputs
        }

    def _states(self) -> set[int]:
        """What a loop makes again and again of what it made the last time."""
        found: set[int] = set()
        known: dict[int, dict[object, int]] = {}  # of each tensor, what it is made of, by place
        for op in self._slice.operations:
            made = {place: key for k in op.inputs for place, key in known.get(k, {}).items()}
            row = rules.row(op.kind)
            line = op.inside or op.line
            if line and row is not None and row.elementwise and len(op.inputs) == 1:
                place = op.kind, line
                found.update({made[place], op.outputs[0]} if place in made else ())
                made[place] = op.outputs[0]
            known.update(dict.fromkeys(op.outputs, made))
        return found

    def write(self) -> Definitions:
        if any(self._pairing.is_complex(key) for key in (self._target, *self._slice.sources)):
            raise NotDerivable("by or of complex numbers nothing is derived")
        for source in self._sources:
            for key in source.tensors:
                self._written[key] = self._leaf(self._names.of[key], key)
        for operation in self._slice.operations:
            if any(k in self._varying and not self._knows(k) for k in operation.outputs):
                self._write(operation)
        target = self._end()
        used = self._reached(target)
        kept = tuple(d for leaf, d in self._definitions.items() if leaf in used)
        every = (*self._constants, *self._pairing.constants)
        constants = tuple(leaf for leaf in every if leaf in used)
        sources = tuple(
            tuple(self._leaf(self._names.of[k], k) for k in s.tensors) for s in self._sources
        )
        keys = {leaf: self._keys[leaf] for leaf in used | {t for g in sources for t in g}}
        opaque = tuple(dict.fromkeys(d.operation.kind for d in kept if d.operation is not None))
        dtype = self._trace.tensors[self._target].dtype
        memory = Memory(self._trace, keys, self._pairing.parts)
        read = {
            key
            for operation in self._slice.operations
            if operation.kind not in _ASIDE and not operation.off_tape
            for key in operation.inputs
        }
        reached = tuple(bool(read.intersection(source.tensors)) for source in self._sources)
        return Definitions(
            target,
            kept,
            sources,
            constants,
            dtype,
            memory.look,
            memory.peek,
            opaque,
            self._layers(kept),
            reached,
        )

    def _layers(self, kept: Sequence[Definition]) -> tuple[Layer, ...]:
        leaves = {self._keys[definition.leaf]: definition.leaf for definition in kept}
        found = []
        for block in self._trace.blocks:
            if any(block.holds(definition.at) for definition in kept):
                arguments = tuple(self._argument(key) for key in block.inputs)
                outputs = tuple(leaves[key] for key in block.outputs if key in leaves)
                span = block.depth, block.first, block.last
                found.append(Layer(block.name, *span, arguments, outputs))
        return tuple(found)

    def _argument(self, key: int) -> Node | None:
        """What a layer was called with, as it is written; a constant may not be."""
        name = self._names.of.get(key)
        return self._written.get(key) or (None if name is None else self._leaf(name, key))

    def _reached(self, target: Leaf) -> set[Leaf]:
        """The leaves that the target is made of, through the definitions."""
        used: set[Leaf] = set()
        pending = [target]
        while pending:
            leaf = pending.pop()
            if leaf in used:
                continue
            used.add(leaf)
            definition = self._definitions.get(leaf)
            if definition is not None:
                pending += [n for n in postorder([definition.node]) if isinstance(n, Leaf)]
                pending += [argument for _, argument in definition.arguments]
        return used

    def _end(self) -> Leaf:
        """The target has a definition of its own, under the name that was asked for."""
        leaf = self._leaf(self._alias, self._target)
        if leaf not in self._definitions:
            self._define(self._alias, self._written[self._target], self._target, None)
        return leaf

    def _knows(self, key: int) -> bool:
        return key in self._written or key in self._pairing.of

    def _write(self, operation: Operation) -> None:
        self._at = operation.at
        if any(self._pairing.is_complex(key) for key in (*operation.inputs, *operation.outputs)):
            self._write_parts(operation)
            return
        shapes = tuple(self._shape(key) for key in operation.outputs)
        inputs = tuple(self._operand(key) for key in operation.inputs)
        context = Context(operation.kind, inputs, operation.attributes, shapes)
        try:
            if operation.given:
                raise NotLiftable(f"{operation.kind} has a derivative of its own")
            nodes = [node and at(self._unmasked(node)) for node in lifted(context)]
        except NotLiftable:
            nodes = [None] * len(operation.outputs)
        for place, key in enumerate(operation.outputs):
            if key not in self._varying or key in self._written:
                continue
            node = nodes[place] if place < len(nodes) else None
            if node is None:
                self._keep_opaque(operation, place, key)
            else:
                self._keep(key, node, operation)

    def _unmasked(self, node: Node) -> Node:
        """The node without the masks that a solver puts on a root: its other half is 0 anyway."""
        if not self._roots:
            return node

        def root(part: Node) -> Node | None:
            if not isinstance(part, Contract) or part.coefficient != ONE or part.summed:
                return None
            inside = [leaf for leaf, _ in part.factors if leaf in self._roots]
            axes = tuple(range(part.rank))
            half = Structure(part.shape[-2:], "triangle", (True, 0, False))
            whole = [(half, axes[-2:]), *((leaf, axes) for leaf in inside)]
            return inside[0] if set(part.factors) == set(whole) else None

        return replaced(node, root)

    def _write_parts(self, operation: Operation) -> None:
        """An operation on complex tensors, in their real and imaginary parts."""
        shapes = tuple(self._shape(key) for key in operation.outputs)
        inputs = tuple(self._operand(key) for key in operation.inputs)
        context = Context(operation.kind, inputs, operation.attributes, shapes)
        for key, found in zip(operation.outputs, self._pairing.lifted(operation, context)):
            if key not in self._varying or self._knows(key):
                continue
            if self._pairing.is_complex(key):
                assert isinstance(found, Pair)
                limit = SHARED if self._uses[key] > 1 else INLINE
                for leaf, node in self._pairing.keep(key, found, limit).items():
                    self._definitions[leaf] = Definition(leaf, node, operation.line, at=self._at)
            else:
                self._keep(key, at(found.real if isinstance(found, Pair) else found), operation)

    def _keep(self, key: int, node: Node, operation: Operation) -> None:
        limit = SHARED if self._uses[key] > 1 else INLINE
        if key in self._apart and isinstance(node, Map) and isinstance(node.formula, Call):
            limit = GATE
        name = self._alias if key == self._target else self._names.of.get(key)
        if name is None and node.size > limit and operation.kind not in _DEVICES:
            name = self._names.fresh()
        if name is None or name in self._taken:
            self._written[key] = node
        else:
            self._written[key] = self._define(name, node, key, operation.line)

    def _define(self, name: Name, node: Node, key: int, line: Line | None) -> Leaf:
        leaf = self._leaf(name, key)
        self._taken.add(name)
        if isinstance(node, Function) and node.function == "cholesky":
            self._roots.add(leaf)
        self._definitions[leaf] = Definition(leaf, node, line, at=self._at)
        return leaf

    def _keep_opaque(self, operation: Operation, place: int, key: int) -> None:
        used = self._uses[key] or key == self._target
        if not used:
            return
        name = self._alias if key == self._target else self._names.of.get(key)
        leaf = self._leaf(name or self._names.fresh(), key)
        arguments = tuple(
            (slot, self._as_leaf(k))
            for slot, k in enumerate(operation.inputs)
            if k in self._varying and self._is_floating(k) and self._is_floating(key)
        )
        shapes = tuple(self._shape(k) for k in operation.outputs)
        self._definitions[leaf] = Definition(
            leaf, leaf, operation.line, operation, place, arguments, shapes, self._at
        )
        self._written[key] = leaf

    def _as_leaf(self, key: int) -> Leaf:
        node = self._node(key)
        if isinstance(node, Leaf) and node.whole == self._shape(key):
            return node
        leaf = self._define(self._names.fresh(), node, key, None)
        self._written[key] = leaf
        return leaf

    def _operand(self, key: int) -> Operand:
        data = None if key in self._varying else self._trace.array(key)
        name = self._names.of.get(key)
        recorded = self._trace.array
        return Operand(self._shape(key), lambda: self._node(key), data, name, lambda: recorded(key))

    def _node(self, key: int) -> Node:
        if key not in self._written:
            self._written[key] = self._constant(key)
        return self._written[key]

    def _constant(self, key: int) -> Node:
        """What does not depend on the sources: by name, by an expression of names, or a number."""
        known = self._trace.tensors[key]
        if known.dtype.startswith(("complex", "string", "resource", "variant")):
            raise NotDerivable(f"values of dtype {known.dtype} are not derived")
        name = self._names.of.get(key)
        data = known.data
        if name is None:
            node = self._in_names(key)
            if node is not None:
                return node
            if data is not None and data.size and np.all(data == data.flat[0]):
                return constant(recognise(float(data.flat[0]), known.dtype), core(known.shape))
            if data is not None and _is_unit(data):
                return Structure(core(known.shape), "unit", (int(np.argmax(data)),))
            steps = None if data is None else _range(data)
            if steps is not None:
                return Structure(core(known.shape), "range", steps)
            if data is not None and _is_scaled_identity(data):
                factor = recognise(float(data.flat[0]), known.dtype)
                return scaled(identity(len(data)), factor)
            name = self._names.fresh()
        leaf = self._leaf(name, key)
        self._constants[leaf] = key
        return leaf

    def _in_names(self, key: int) -> Node | None:
        """A short expression of named constants is written in their names."""
        operation = self._slice.producer.get(key)
        if operation is None or operation.given or key not in self._slice.named:
            return None
        inputs = tuple(self._operand(k) for k in operation.inputs)
        shapes = tuple(self._shape(k) for k in operation.outputs)
        before = dict(self._constants)
        try:
            context = Context(operation.kind, inputs, operation.attributes, shapes)
            node = lifted(context)[operation.outputs.index(key)]
        except (NotLiftable, NotDerivable, IndexError):
            node = None
        if node is None or node.size > INLINE:
            self._constants = before
            return None
        return node

    def _leaf(self, name: Name, key: int) -> Leaf:
        shape = self._shape(key)
        leaf = Leaf(core(shape), name, shape)
        self._keys[leaf] = key
        return leaf

    def _is_floating(self, key: int) -> bool:
        return self._trace.tensors[key].dtype.startswith(("float", "bfloat"))

    def _shape(self, key: int) -> Shape:
        known = self._trace.tensors.get(key)
        if known is None:
            raise NotDerivable("a tensor that was not recorded")
        return tuple(known.shape)


def _is_unit(data: Array) -> bool:
    """Whether it has a single 1 along its only axis, and zeros."""
    one = data.dtype.kind in "fV" and core(data.shape) == (data.size,)
    return bool(one and np.count_nonzero(data) == 1 and np.max(data) == 1)


def _range(data: Array) -> tuple[int, int] | None:
    """First entry and step of three or more whole numbers at one distance along the only axis."""
    if data.dtype.kind not in "fViu" or data.size < 3 or core(data.shape) != (data.size,):
        return None
    flat = data.astype(np.float64).ravel()
    steps = np.diff(flat)
    whole = np.all(np.isfinite(flat)) and np.array_equal(flat, np.round(flat))
    return (int(flat[0]), int(steps[0])) if whole and np.all(steps == steps[0]) else None


def _is_scaled_identity(data: Array) -> bool:
    """Whether it is c · I, of two rows and more."""
    if data.ndim != 2 or data.dtype.kind not in "fV" or not 1 < len(data) == data.shape[1]:
        return False
    first = data[0, 0]
    return bool(first) and np.array_equal(data, first * np.eye(len(data), dtype=data.dtype))
