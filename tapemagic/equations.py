"""From the trace to numbered equations: which values matter, what they are called.

The user's names are the equations. What has no name is written out inside them until it
grows too big; then it gets a name of its own (u₁, u₂ …), so that the equations stay linear
in the number of ops. What does not depend on the sources is a constant: its name if it has
one, else its number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from tapemagic import rules
from tapemagic.calculus import derivative
from tapemagic.document import Tensor, Words
from tapemagic.formula import ZERO, Call, Formula, Name, Product, Symbol, tidied
from tapemagic.numbers import recognise
from tapemagic.spelling import unused
from tapemagic.trace import Array, Line, Operation, TensorValue, Trace

INLINE = 24  # nodes of an unnamed value that are still written inside the next equation
SHARED = 4  # the same where the value is used more than once
NEAR = 4  # ops from a named constant to where its name is still worth showing
ENTRIES = 64  # tensors of up to so many entries are written in components
_DEVICES = {"Identity", "Snapshot", "ReadVariableOp"}


class NotDerivable(Exception):
    """Why there are no equations, in plain words."""


class NotDependent(NotDerivable):
    """The target does not depend on the sources in what was recorded."""

    def __init__(self) -> None:
        super().__init__("the target does not depend on the source in what was recorded")


@dataclass(frozen=True)
class Leaf:
    """A source: `tensors` are its tensor, or the reads of a variable, in versions. `shown` is a
    shorter name for it than its `text`, if any."""

    text: str
    tensors: tuple[int, ...]
    shown: str = ""

    @property
    def name(self) -> str:
        """What it is called in formulas."""
        return self.shown or self.text


@dataclass(frozen=True)
class Equation:
    """name = formulas, entry by entry; an `opaque` op has only its name and measured slopes.

    `formulas` is an object array of `Formula` in the tensor's shape. `value` holds what was
    recorded, in `dtype`. `slopes` maps the name of each input of an opaque op to the array
    ∂entry/∂input entry, shape of the output followed by that of the input, from the tape.
    `compact` is a shorter way to write the right-hand side: Σ x.
    """

    name: Name
    formulas: Array
    value: Array
    dtype: str
    line: Line | None = None
    rule: str = ""
    slopes: Mapping[Name, Array] = field(default_factory=dict)
    opaque: bool = False
    compact: Formula | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.formulas.shape)

    @cached_property
    def inputs(self) -> tuple[Name, ...]:
        """The names on the right-hand side, in order of appearance."""
        if self.opaque:
            return tuple(self.slopes)
        found = (symbol.name for node in self.formulas.flat for symbol in _in_order(node))
        return tuple(dict.fromkeys(found))

    def partial(self, wrt: Name, shape: tuple[int, ...]) -> Array | None:
        """∂entry/∂entry of `wrt` as formulas; None for an opaque op, whose slopes are numbers."""
        if self.opaque:
            return None
        if wrt not in self._partials:
            found = np.full(self.shape + shape, ZERO, dtype=object)
            for index in np.ndindex(*self.shape):
                entry = self.formulas[index]
                for symbol in entry.free:
                    if symbol.name == wrt:
                        found[index + symbol.index] = derivative(entry, symbol)
            self._partials[wrt] = found
        return self._partials[wrt]

    @cached_property
    def _partials(self) -> dict[Name, Array]:
        return {}


@dataclass(frozen=True)
class Equations:
    """The straight-line program from the sources to the target.

    `sources` are the versions of one source each (several where a variable was assigned in
    between), `constants` the named constants; `values` has the recorded value of all three.
    """

    target: Name
    equations: tuple[Equation, ...]
    sources: tuple[tuple[Name, ...], ...]
    constants: tuple[Name, ...]
    values: Mapping[Name, Array]
    dtype: str
    opaque: tuple[str, ...] = ()

    @cached_property
    def by_name(self) -> Mapping[Name, Equation]:
        """The equations by their left-hand side."""
        return {equation.name: equation for equation in self.equations}


def _in_order(node: Formula) -> Iterator[Symbol]:
    if isinstance(node, Symbol):
        yield node
    elif node.free:
        for child in node.children:
            yield from _in_order(child)


def entries(name: Name, shape: tuple[int, ...]) -> Array:
    """The symbols of a named tensor, as an object array of that shape."""
    found = np.empty(shape, dtype=object)
    for index in np.ndindex(*shape):
        found[index] = Symbol(name, index)
    return found


def derive_equations(
    trace: Trace,
    target: int,
    text: str,
    leaves: Sequence[Leaf],
    names: Mapping[int, str],
    most: int = ENTRIES,
) -> Equations:
    """The equations that lead from `leaves` to `target`, which is called `text`.

    `names` adds names that no binding gave (a layer's variables, by tensor id); a tensor may
    have up to `most` entries.
    Raises `NotDerivable` with the reason where there are none.
    """
    slice_ = Slice(trace, target, leaves, names)
    if target not in slice_.active:
        raise NotDependent
    return _Writer(trace, slice_, target, text, leaves, names, most).write()


def depend_on_each_other(trace: Trace, leaves: Sequence[Leaf]) -> bool:
    """Whether one of the leaves is computed from another."""
    sources = {key for leaf in leaves for key in leaf.tensors}
    active = set(sources)
    for operation in trace.operations:
        if active.intersection(operation.inputs):
            if sources.intersection(operation.outputs):
                return True
            active.update(operation.outputs)
    return len(sources) < sum(len(leaf.tensors) for leaf in leaves)


class Slice:
    """The operations between the leaves and the target, and the values that vary."""

    def __init__(
        self,
        trace: Trace,
        target: int,
        leaves: Sequence[Leaf],
        names: Collection[int] = (),
    ) -> None:
        self.producer: dict[int, Operation] = {}
        for operation in trace.operations:
            for made in operation.outputs:
                self._choose(made, operation)
        self.sources = {key for leaf in leaves for key in leaf.tensors}
        self.active: set[int] = set(self.sources)
        wanted = self._needed(target)
        self.reach = {target, *self.sources}
        self.operations = [op for op in trace.operations if id(op) in wanted]
        for operation in self.operations:
            self.reach.update(operation.inputs, operation.outputs)
        for operation in self.operations:
            if not operation.off_tape and self.active.intersection(operation.inputs):
                chosen = _chosen(trace, operation)
                self.active.update(set(operation.outputs) - self.sources - chosen)
        self.operations = [op for op in self.operations if self.active.intersection(op.inputs)]
        self.named = self._from_names(trace, names)
        self.uses = Counter(key for op in self.operations for key in set(op.inputs))

    def _choose(self, made: int, operation: Operation) -> None:
        self.producer[made] = operation

    def _from_names(self, trace: Trace, names: Collection[int]) -> set[int]:
        """The constants that came, by few ops, from small tensors with names."""
        named = self.reach.intersection([*names, *(b.tensor for b in trace.bindings)])
        depth = dict.fromkeys(named, 0)
        for operation in trace.operations:
            under = [depth[key] for key in operation.inputs if key in depth]
            if under and min(under) < NEAR and not operation.off_tape:
                for key in operation.outputs:
                    depth.setdefault(key, min(under) + 1)
        return set(depth)

    def _needed(self, target: int) -> set[int]:
        needed: set[int] = set()
        pending = [target]
        while pending:
            key = pending.pop()
            operation = self.producer.get(key)
            if key in self.sources or operation is None or id(operation) in needed:
                continue
            needed.add(id(operation))
            pending.extend(operation.inputs)
        return needed


def _chosen(trace: Trace, operation: Operation) -> set[int]:
    """What of an op's results is an index, found by comparing the entries: argmax, a random draw.
    No slope passes, and it is written as the number that it was, as a branch that was taken."""
    row = rules.row(operation.kind)
    if row is not None and row.elementwise:
        return set()
    return {key for key in operation.outputs if trace.tensors[key].dtype.startswith("int")}


class Names:
    """Names and versions: each text counts its bindings among the tensors that matter."""

    def __init__(self, trace: Trace, used: Iterable[int], extra: Mapping[int, str]) -> None:
        used = set(used)
        first: dict[int, tuple[int, str]] = {}
        for binding in trace.bindings:
            if binding.tensor in used and binding.tensor not in first:
                first[binding.tensor] = (binding.at, binding.name)
        for key, text in extra.items():
            if key in used:
                first[key] = (first.get(key, (0, ""))[0], text)
        self._taken = {b.name for b in trace.bindings} | set(extra.values())
        # The entries of a vector are x₁, x₂ already, and so may be another name of the user's.
        shaped = {text for key, (_, text) in first.items() if trace.tensors[key].shape}
        stems = {t: t.rstrip("0123456789").rstrip("_") for t in self._taken if t[-1:].isdigit()}
        apart = shaped.union(stems.values())
        self._plain = {text for text, stem in stems.items() if stem in shaped}
        self.of: dict[int, Name] = {}
        counts: Counter[str] = Counter()
        for key, (_, text) in sorted(first.items(), key=lambda item: item[1][0]):
            self.of[key] = Name(text, counts[text], text in apart, text in self._plain)
            counts[text] += 1
        self._stem = unused("uvsqrhkabcdefg", self._taken)
        self._count = 0

    def next(self, text: str) -> Name:
        """A further version of a name, for the target where its tensor has another name first."""
        versions = [name.version for name in self.of.values() if name.text == text]
        return Name(text, max(versions, default=-1) + 1, True, text in self._plain)

    def fresh(self) -> Name:
        self._count += 1
        return Name(f"{self._stem}{self._count}")


def _tidied(formulas: Array) -> Array:
    found = np.empty(formulas.shape, dtype=object)
    for index in np.ndindex(*formulas.shape):
        node = formulas[index]
        found[index] = tidied(node) if isinstance(node, Formula) else node
    return found


class _Writer:
    """Goes through the slice once, in order, and writes the equations."""

    def __init__(
        self,
        trace: Trace,
        slice_: Slice,
        target: int,
        text: str,
        leaves: Sequence[Leaf],
        names: Mapping[int, str],
        most: int,
    ) -> None:
        self._most = most
        self._trace, self._slice, self._leaves, self._target = trace, slice_, leaves, target
        own = {key: leaf.name for leaf in leaves for key in leaf.tensors}
        self._names = Names(trace, slice_.reach, {**names, **own})
        named = self._names.of.get(target)
        self._alias = named if named is not None and named.text == text else self._names.next(text)
        self._written: dict[int, Array] = {}  # tensor id → its formulas, as used further on
        self._equations: list[Equation] = []
        self._values: dict[Name, Array] = {}
        self._constants: dict[Name, None] = {}
        self._opaque: dict[str, None] = {}

    def write(self) -> Equations:
        for leaf in self._leaves:
            for key in leaf.tensors:
                self._written[key] = self._entries(self._names.of[key], key)
        for operation in self._slice.operations:
            if any(k in self._slice.active and k not in self._written for k in operation.outputs):
                self._write(operation)
        self._end()
        sources = tuple(tuple(self._names.of[k] for k in leaf.tensors) for leaf in self._leaves)
        return Equations(
            self._alias,
            tuple(self._equations),
            sources,
            tuple(self._constants),
            self._values,
            self._trace.tensors[self._target].dtype,
            tuple(self._opaque),
        )

    def _end(self) -> None:
        """The target is an equation of its own, under the name that was asked for."""
        if self._equations and self._equations[-1].name == self._alias:
            return
        if any(e.name == self._alias for e in self._equations):
            return
        self._add(self._alias, self._written[self._target], self._target, None, "")

    def _write(self, operation: Operation) -> None:
        row = None if operation.given else rules.row(operation.kind)
        try:
            if row is None:
                raise rules.NotSymbolic(operation.kind)
            results = row.apply([self._input(k) for k in operation.inputs], operation.attributes)
        except rules.NotSymbolic:
            self._write_opaque(operation)
            return
        for key, formulas in zip(operation.outputs, results):
            if key in self._slice.active and key not in self._written:
                self._keep(key, formulas, operation, row.rule)

    def _keep(self, key: int, formulas: Array, operation: Operation, rule: str) -> None:
        """Writes a result down: as an equation, or inside those that use it."""
        formulas = rules.as_formulas(np.asarray(formulas))
        if operation.backward:  # nobody wrote its + 0 and · 1
            formulas = _tidied(formulas)
        size = max((f.size for f in formulas.flat if isinstance(f, Formula)), default=0)
        limit = SHARED if self._slice.uses[key] > 1 else INLINE
        name = self._alias if key == self._target else self._names.of.get(key)
        if name is None and size > limit and operation.kind not in _DEVICES:
            name = self._names.fresh()
        if name is None:
            self._written[key] = formulas
        else:
            whole = (
                self._whole(operation) if operation.kind == "Sum" and not formulas.shape else None
            )
            self._add(name, formulas, key, operation.line, rule, whole)
            self._written[key] = entries(name, formulas.shape)

    def _whole(self, operation: Operation) -> Formula | None:
        """Σ x, where all of a named tensor is summed."""
        summed = self._input(operation.inputs[0])
        names = {f.name if isinstance(f, Symbol) else None for f in summed.flat}
        name = names.pop() if len(names) == 1 else None
        return Product((Words("Σ"), Tensor(name))) if name is not None and summed.size > 1 else None

    def _add(
        self,
        name: Name,
        formulas: Array,
        key: int,
        line: Line | None,
        rule: str,
        compact: Formula | None = None,
    ) -> None:
        known = self._tensor(key)
        if name in self._values:
            raise NotDerivable(f"two values would be called {name.text}")
        self._equations.append(
            Equation(name, formulas, _float(known.data), known.dtype, line, rule, compact=compact)
        )
        self._values[name] = _float(known.data)

    def _write_opaque(self, operation: Operation) -> None:
        """An op without a rule: a function with a name, its slopes measured by the tape."""
        inputs = [k for k in operation.inputs if k in self._slice.active]
        arguments = [self._as_symbols(key) for key in inputs]
        if operation.vjp is None:
            raise NotDerivable(f"the entries of {operation.kind} cannot be seen through")
        for position, key in enumerate(operation.outputs):
            if not self._slice.uses[key] and key != self._target:
                continue
            shape = self._tensor(key).shape
            slopes = _measured(operation, position, inputs, self._trace)
            function = Call(operation.kind, tuple(f for a in arguments for f in a.flat))
            formulas = np.full(shape, function, dtype=object)
            for index in np.ndindex(*shape):
                label = operation.kind if not shape else operation.kind + str(list(index))
                formulas[index] = Call(label, function.arguments)
            name = self._alias if key == self._target else self._names.of.get(key)
            name = name or self._names.fresh()
            self._add(name, formulas, key, operation.line, operation.kind)
            by_name = {
                next(iter(arguments[i].flat)).name: slope
                for i, slope in enumerate(slopes)
                if slope is not None and arguments[i].size
            }
            self._equations[-1] = replace(self._equations[-1], slopes=by_name, opaque=True)
            self._opaque[operation.kind] = None
            self._written[key] = entries(name, shape)

    def _as_symbols(self, key: int) -> Array:
        """The tensor as symbols: one that was written inline becomes an equation first."""
        formulas = self._input(key)
        plain = [f for f in formulas.flat if isinstance(f, Symbol)]
        whole = entries(plain[0].name, formulas.shape) if plain else None
        if whole is not None and all(a == b for a, b in zip(whole.flat, formulas.flat)):
            return formulas
        name = self._names.fresh()
        self._add(name, formulas, key, None, "")
        self._written[key] = entries(name, formulas.shape)
        return self._written[key]

    def _input(self, key: int) -> Array:
        if key not in self._written:
            self._written[key] = self._constant(key)
        return self._written[key]

    def _constant(self, key: int) -> Array:
        known = self._tensor(key)
        assert known.data is not None
        if known.data.dtype.kind not in "fV" and known.dtype != "bfloat16":
            return known.data
        name = self._names.of.get(key)
        if name is not None:
            self._constants[name] = None
            return self._entries(name, key)
        numbers = np.empty(known.shape, dtype=object)
        for index in np.ndindex(*known.shape):
            numbers[index] = recognise(float(known.data[index]), known.dtype)
        return self._in_names(key, numbers)

    def _in_names(self, key: int, numbers: Array) -> Array:
        """A short expression of named constants is written in their names: a² x, not 4x."""
        operation = self._slice.producer.get(key)
        row = rules.row(operation.kind) if operation is not None and not operation.given else None
        if operation is None or row is None or key not in self._slice.named:
            return numbers
        try:
            results = row.apply([self._input(k) for k in operation.inputs], operation.attributes)
        except (rules.NotSymbolic, NotDerivable):
            return numbers
        formulas = results[operation.outputs.index(key)]
        if formulas.dtype != object or not all(isinstance(f, Formula) for f in formulas.flat):
            return numbers
        return formulas if max((f.size for f in formulas.flat), default=0) <= INLINE else numbers

    def _entries(self, name: Name, key: int) -> Array:
        known = self._tensor(key)
        self._values[name] = _float(known.data)
        return entries(name, known.shape)

    def _tensor(self, key: int) -> TensorValue:
        known = self._trace.tensors[key]
        if known.dtype.startswith("complex"):
            raise NotDerivable("complex numbers are not derived, only their value is shown")
        size = int(np.prod(known.shape, dtype=np.int64))
        if size > self._most:
            raise NotDerivable(
                f"a tensor of shape {known.shape} has too many entries to be written out "
                f"(more than {self._most})"
            )
        if known.data is None:
            raise NotDerivable(
                f"a tensor of shape {known.shape} and dtype {known.dtype} was not kept"
            )
        return known


def _float(data: Array | None) -> Array:
    """In float64 as the dtype's digits say it: 0.1, not 0.10000000149 as float32 has it."""
    array = np.asarray(data)
    if array.dtype.kind == "f" and array.dtype.itemsize < 8:
        return np.array([float(str(v)) for v in array.flat]).reshape(array.shape)
    return array.astype(np.float64)


def _fits(answer: Array, trace: Trace, slot: int) -> bool:
    if np.shape(answer) != trace.tensors[slot].shape:
        raise NotDerivable(f"a derivative of shape {np.shape(answer)} came back for an input")
    return True


def _measured(
    operation: Operation, position: int, inputs: Sequence[int], trace: Trace
) -> list[Array | None]:
    """∂output/∂input for each of `inputs`, from one call of the tape's VJP per entry."""
    shapes = [trace.tensors[key].shape for key in operation.outputs]
    own = shapes[position]
    found: dict[int, Array] = {}
    assert operation.vjp is not None
    for index in np.ndindex(*own):
        cotangents = [np.zeros(shape) for shape in shapes]
        cotangents[position][index] = 1.0
        try:
            answers = operation.vjp(cotangents)
        except Exception as error:
            raise NotDerivable(
                f"{operation.kind} does not tell its derivative ({error})"
            ) from error
        for slot, answer in zip(operation.inputs, answers):
            if answer is not None and slot in inputs and _fits(answer, trace, slot):
                shape = own + trace.tensors[slot].shape
                whole = found.setdefault(slot, np.zeros(shape))
                whole[index] += np.asarray(answer, dtype=np.float64)
    return [found.get(key) for key in inputs]
