"""The trace (Wengert list): every op that ran, in order, with names, lines and small values.

Pure data. Recording fills it in; a trace written by hand serves the tests as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

LARGE = 2**22  # entries of an answer that is neither copied nor checked
Array = np.ndarray[Any, Any]
VJP = Callable[[Sequence[Array]], Sequence[Array | None]]


@dataclass(frozen=True)
class Line:
    """Where an op came from: 1-based `number` in `file`, its `text`, the `function` it is in."""

    number: int
    text: str = ""
    file: str = ""
    function: str = ""


@dataclass(frozen=True)
class TensorValue:
    """A tensor of the trace. `data` is None where it was neither small nor named."""

    shape: tuple[int, ...]
    dtype: str
    data: Array | None = None


@dataclass(frozen=True)
class Answer:
    """What a derivative that the tape was handed said to it: one cotangent an output, one answer
    an input, the inputs themselves. `first`: of each only so many first entries were kept."""

    cotangents: Sequence[Array | None]
    gave: Sequence[Array | None]
    inputs: Sequence[Array | None] = ()
    first: int = 0


@dataclass(frozen=True)
class Operation:
    """One entry: an op of TensorFlow's type `kind` read `inputs` and made `outputs` (tensor ids).

    `vjp` is the tape's own derivative of the op at the recorded values: it maps one cotangent
    an output to one an input (None: not connected). `at` is its position in the recording;
    `off_tape`: the tape that is asked was not recording then.
    `given`: the tape was handed the derivative (a custom gradient, a compiled function); the
    entries before show how the outputs came about, if that was seen; `answered` is what that
    derivative said to the tape. `backward`: a tape made it while it answered. `inside` is its
    line in the compiled function that `line` called.
    """

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    line: Line | None = None
    vjp: VJP | None = None
    at: int = 0
    off_tape: bool = False
    given: bool = False
    answered: Answer | None = None
    backward: bool = False
    inside: Line | None = None


@dataclass(frozen=True)
class Binding:
    """`name` was bound to `tensor` when `at` operations had run."""

    at: int
    name: str
    tensor: int
    line: Line | None = None


@dataclass(frozen=True)
class Escaped:
    """A value left TensorFlow by `method` (float, numpy …) when `at` operations had run."""

    at: int
    method: str
    tensor: int
    line: Line | None = None


@dataclass(frozen=True)
class Block:
    """A Keras layer or model that ran: the operations at [first, last) are its own, `depth`
    layers stand around it. `inputs` and `outputs` are tensors, `parameters` the ids of its
    variables, each with its role in the layer: kernel, bias …"""

    name: str
    depth: int
    first: int
    last: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    parameters: tuple[tuple[int, str], ...] = ()

    def holds(self, at: int) -> bool:
        """Whether the operation at this position is inside."""
        return self.first <= at < self.last


@dataclass(frozen=True)
class Trace:
    """The operations in order, the tensors by id, the bindings of the user's names in order.

    A variable gives a new tensor at each read: those between two assignments count as one.
    `variables` has these reads, in order, by the variable's id; `aliases` maps each further
    read to the one that it counts as. `local` are names inside functions. `wholes` are the calls
    of library functions of many ops that a book writes as one.
    """

    operations: tuple[Operation, ...]
    tensors: Mapping[int, TensorValue]
    bindings: tuple[Binding, ...] = ()
    variables: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    aliases: Mapping[int, int] = field(default_factory=dict)
    escapes: tuple[Escaped, ...] = ()
    local: tuple[Binding, ...] = ()
    look: Callable[[int], Array | None] | None = None
    blocks: tuple[Block, ...] = ()
    wholes: tuple[Block, ...] = ()

    def canonical(self, tensor: int) -> int:
        """The id under which the operations know this tensor."""
        return self.aliases.get(tensor, tensor)

    def array(self, tensor: int) -> Array | None:
        """The value of a tensor, also of a large one as long as somebody keeps it."""
        known = self.tensors.get(tensor)
        if known is None or known.data is not None or self.look is None:
            return None if known is None else known.data
        return self.look(tensor)

    def seen(self, on: Sequence[Sequence[int]], until: int) -> Trace:
        """The trace as one tape saw it, up to the position `until`: what it did not record (it
        recorded the stretches `on`) is off the tape."""

        def off(at: int) -> bool:
            return not any(first <= at < last for first, last in on)

        operations = tuple(
            replace(op, off_tape=True) if off(op.at) else op
            for op in self.operations
            if op.at < until
        )
        return replace(
            self,
            operations=operations,
            bindings=tuple(b for b in self.bindings if b.at <= until),
            escapes=tuple(e for e in self.escapes if e.at <= until),
            local=tuple(b for b in self.local if b.at <= until),
            blocks=tuple(b for b in self.blocks if b.first < until and not off(b.first)),
        )

    def abridged(self) -> Trace:
        """The trace with each of the `wholes` as one operation, in place of those inside."""
        if not self.wholes:
            return self
        last = {key: whole for whole in self.wholes for key in whole.outputs}
        inside = {at for whole in self.wholes for at in range(whole.first, whole.last)}
        found = []
        for op in self.operations:
            whole = next((last[key] for key in op.outputs if key in last), None)
            if whole is not None:
                attributes = {"dtype": self.tensors[op.outputs[0]].dtype}
                one = Operation(whole.name, whole.inputs, whole.outputs, attributes)
                found.append(replace(one, line=op.line, at=op.at, off_tape=op.off_tape))
            elif op.at not in inside:
                found.append(op)
        return replace(self, operations=tuple(found))

    def inside(self) -> Trace:
        """The trace with the lines of compiled functions, in place of those that called them."""
        if not any(op.inside for op in self.operations):
            return self
        operations = (replace(op, line=op.inside or op.line) for op in self.operations)
        return replace(self, operations=tuple(operations))

    def read(self, variable: int) -> tuple[int, ...]:
        """What the tape saw of a variable: a tensor for each value that it had."""
        reads = self.variables.get(variable, ())
        if not reads:
            return ()
        used = {key for op in self.operations if not op.off_tape for key in op.inputs}
        return tuple(key for key in reads if key in used)
