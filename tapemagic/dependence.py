"""What depends on what, by every way that was recorded: also those that the tape cannot follow.

Edges lead from the inputs of an operation to its outputs, from an assigned value to the reads
of the variable, from a value that left TensorFlow to the constant that came back. An edge that
carries no derivative is a `Cut` with its cause.
"""

from __future__ import annotations

import heapq
import itertools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tapemagic import origins
from tapemagic.escapes import calls_outside, returns
from tapemagic.trace import Line, Operation, Trace

# Their outputs do not depend on the values of their inputs.
_SHAPES = {
    *("Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike", "BroadcastGradientArgs"),
    *("VariableShape", "VarIsInitializedOp", "VarHandleOp", "IteratorGetNext"),
}
_STEPS = {
    *("Floor", "Ceil", "Round", "Rint", "FloorDiv", "TruncateDiv", "Multinomial"),
    *("StatelessMultinomial", "RandomPoissonV2", "Bucketize", "InTopKV2"),
}
_PYTHON = {"PyFunc", "PyFuncStateless"}
_ASSIGNS = ("Assign", "ResourceStridedSliceAssign", "ResourceScatter", "ResourceApply")


@dataclass(frozen=True)
class Cut:
    """An edge without a derivative: the `cause`, the op type or method, the line, and where the
    value comes back in, as the constant `constant`. `at` is the position in the recording;
    `further` are the other lines of the same stretch."""

    cause: str
    kind: str
    line: Line | None
    at: int = 0
    back: Line | None = None
    tensor: int = -1
    further: tuple[Line, ...] = ()
    constant: int = -1


@dataclass(frozen=True)
class Edge:
    """From one tensor to another; `cut` is None where the derivative gets through."""

    start: int
    end: int
    cut: Cut | None
    operation: Operation | None = None


class Dependence:
    """The graph of one trace, as the tape saw it; `target` is looked at even if nothing made it."""

    def __init__(
        self, trace: Trace, target: int, call: Line | None, stops: Collection[tuple[int, int]] = ()
    ) -> None:
        self.trace, self._stops = trace, stops
        self._kinds: dict[int, str] = {}
        self.into: dict[int, list[Edge]] = {}
        self.out: dict[int, list[Edge]] = {}
        ways = (
            self._by_operations(),
            self._by_state(),
            self._by_pipeline(),
            self._by_escape(target, call),
        )
        for edge in itertools.chain(*ways):
            self.into.setdefault(edge.end, []).append(edge)
            self.out.setdefault(edge.start, []).append(edge)

    # -- the edges ---------------------------------------------------------------------------

    def _by_operations(self) -> Iterator[Edge]:
        for operation in self.trace.operations:
            if operation.kind in _SHAPES or operation.kind.startswith(_ASSIGNS):
                continue
            for start in dict.fromkeys(operation.inputs):
                for end in operation.outputs:
                    yield Edge(start, end, self._cut(operation, start, end), operation)

    def _cut(self, operation: Operation, start: int, end: int) -> Cut | None:
        cause = self._cause(operation, start, end)
        if cause is None:
            return None
        return Cut(cause, operation.kind, operation.line, operation.at, tensor=start)

    def _cause(self, operation: Operation, start: int, end: int) -> str | None:
        before, after = self.kind(start), self.kind(end)
        if before == "other":  # a resource, a string
            return None
        if before == "whole":
            return None  # no derivative comes so far: the cut was before
        if operation.kind in _PYTHON or (operation.kind == "EagerPyFunc" and _by_numpy(operation)):
            return "left_tensorflow"
        if after == "whole":
            return "integer" if operation.kind == "Cast" else "nondifferentiable"
        if operation.kind in _STEPS:
            return "nondifferentiable"
        if operation.kind in ("StopGradient", "PreventGradient"):
            return "stopped" if _by_the_user(operation.line) else None
        if operation.off_tape:
            stopped = any(first <= operation.at < last for first, last in self._stops)
            return "stopped" if stopped else "outside_tape"
        return None

    def kind(self, key: int) -> str:
        """Whether a tensor holds floating numbers, whole ones, or something other."""
        if key not in self._kinds:
            self._kinds[key] = self._kind_of(key)
        return self._kinds[key]

    def _kind_of(self, key: int) -> str:
        known = self.trace.tensors.get(key)
        if known is None:
            return "other"
        if known.dtype.startswith(("float", "bfloat", "complex")):
            return "floating"
        return "whole" if known.dtype.startswith(("int", "uint", "bool")) else "other"

    def _by_state(self) -> Iterator[Edge]:
        """From what is assigned to a variable to what is read of it later."""
        reads: dict[int, list[tuple[int, int]]] = {}
        for operation in self.trace.operations:
            if operation.kind == "ReadVariableOp" and operation.inputs:
                found = operation.inputs[0], (operation.at, operation.outputs[0])
                reads.setdefault(found[0], []).append(found[1])
        for operation in self.trace.operations:
            if operation.kind.startswith(_ASSIGNS) and operation.inputs:
                handle, *values = operation.inputs
                cut = Cut("state", operation.kind, operation.line, operation.at)
                for at, read in reads.get(handle, ()):
                    if at >= operation.at:
                        for value in values:
                            yield Edge(value, read, cut, operation)

    def _by_pipeline(self) -> Iterator[Edge]:
        """From what a data set's function captured to what an iterator gave."""
        captured: dict[int, list[tuple[int, Cut]]] = {}  # by data set, then by iterator
        for operation in self.trace.operations:
            kind, inputs = operation.kind, operation.inputs
            before = [pair for key in inputs for pair in captured.get(key, ())]
            if kind.startswith("IteratorGetNext"):
                for start, cut in before:
                    for end in operation.outputs:
                        yield Edge(start, end, replace(cut, back=operation.line), operation)
            elif kind == "MakeIterator" and len(inputs) == 2:
                captured[inputs[1]] = [*captured.get(inputs[0], ())]
            elif "Dataset" in kind:
                cut = Cut("outside_tape", kind, operation.line, operation.at)
                before += [(key, cut) for key in inputs[1:]]
                captured.update((key, before) for key in operation.outputs)

    def _by_escape(self, target: int, call: Line | None) -> Iterator[Edge]:
        for found in returns(self.trace, {target: call}):
            cut = Cut("left_tensorflow", found.method, found.left, 0, found.back, found.tensor)
            yield Edge(found.tensor, found.constant, replace(cut, constant=found.constant))

    # -- questions ---------------------------------------------------------------------------

    def ancestors(self, target: int) -> set[int]:
        """All tensors that the target depends on, by whatever way."""
        known, pending = {target}, [target]
        while pending:
            for edge in self.into.get(pending.pop(), ()):
                if edge.start not in known:
                    known.add(edge.start)
                    pending.append(edge.start)
        return known

    def way(self, sources: Collection[int], target: int) -> list[Edge] | None:
        """The way from a source to the target with the fewest cuts; None where there is none."""
        best: dict[int, int] = {target: 0}
        step: dict[int, Edge] = {}
        heap = [(0, target)]
        while heap:
            cost, key = heapq.heappop(heap)
            if cost > best.get(key, cost):
                continue
            if key in sources:
                return _along(step, key, target)
            for edge in self.into.get(key, ()):
                # An assigned value, a rounded one: prefer whatever way the user means to go.
                more = cost + (0 if edge.cut is None else 100) + 1
                if more < best.get(edge.start, 2**62):
                    best[edge.start], step[edge.start] = more, edge
                    heapq.heappush(heap, (more, edge.start))
        return None

    def cuts_between(self, sources: Collection[int], target: int) -> list[Cut]:
        """The cuts on all ways, whatever else is cut on them."""
        below = self.ancestors(target)
        known, pending = set(sources), list(sources)
        found = []
        while pending:
            for edge in self.out.get(pending.pop(), ()):
                if edge.end not in below:
                    continue
                if edge.cut is not None:
                    found.append(edge.cut)
                if edge.end not in known:
                    known.add(edge.end)
                    pending.append(edge.end)
        return sorted(dict.fromkeys(found), key=lambda cut: cut.at)


def _along(step: Mapping[int, Edge], key: int, target: int) -> list[Edge]:
    found: list[Edge] = []
    while key != target:
        found.append(step[key])
        key = step[key].end
    return found


def cuts(way: Sequence[Edge]) -> list[Cut]:
    """The cuts on a way, each stretch outside the tape once."""
    found: list[Cut] = []
    for edge in way:
        if edge.cut is None:
            continue
        if found and found[-1].cause == edge.cut.cause == "outside_tape":
            lines = (*found[-1].further, *((edge.cut.line,) if edge.cut.line else ()))
            found[-1] = replace(found[-1], further=lines)
            continue
        found.append(edge.cut)
    return found


def _by_numpy(operation: Operation) -> bool:
    """Whether the Python function of a `py_function` leaves TensorFlow itself: else the tape
    follows it."""
    return operation.line is not None and calls_outside(operation.line)


def _by_the_user(line: Line | None) -> bool:
    """Libraries stop gradients where they know why; only the user's own words count."""
    if line is None:
        return False
    names = ("stop_gradient", *origins.of(line.file).stops)
    return any(re.search(rf"\b{re.escape(name)}\b", line.text) for name in names)
