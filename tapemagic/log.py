"""The log: what is written down while a cell runs, by position, and what of it is dropped again.

A position counts the entries before it. All that remembers one is in the log itself, so that a
training loop's old steps can be taken out of its middle.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

import tensorflow as tf

SMALL = 64  # tensors of up to so many entries keep their values
OPEN = 2**62  # the end of an interval that has not ended
Place = tuple["CodeType | None", int]  # code, and the offset of an instruction in it
Entry = tuple[Any, ...]  # op type, inputs, attributes, outputs, code, offset in it


class Large:
    """What is remembered of a tensor that is not ours to keep alive."""

    __slots__ = ("_dtype", "_id", "reference", "shape")

    def __init__(self, tensor: Any) -> None:
        self._id, self.shape = tensor._id, tensor._shape_tuple()
        self._dtype = tensor._datatype_enum()  # its number: the object takes long to make
        self.reference = weakref.ref(tensor)

    @property
    def dtype(self) -> tf.DType:
        """The dtype, as a tensor has it."""
        return tf.as_dtype(self._dtype)


class Handle:
    """A variable's handle, by its id."""

    __slots__ = ("_id",)

    def __init__(self, key: int) -> None:
        self._id = key


def kept(tensors: Sequence[Any]) -> tuple[Any, ...]:
    """The small ones themselves, of the others what is remembered."""
    return tuple(t if t._num_elements() <= SMALL else Large(t) for t in tensors)


@dataclass(eq=False)
class Stop:
    """A stretch that a tape did not see: `kind` is "stop_recording" or "reset"."""

    kind: str
    first: int
    last: int
    place: Place


@dataclass(eq=False)
class TapeLife:
    """What one tape did: `on` are the stretches [first, last) that it recorded, `watched` the
    tensors it was told to watch (id, position, place). `early`: it recorded before we did."""

    tape: weakref.ref[Any]
    persistent: bool
    accessed: bool
    place: Place = (None, 0)
    early: bool = False
    on: list[list[int]] = field(default_factory=list)
    watched: list[tuple[int, int, Place]] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)

    @property
    def alive(self) -> bool:
        """Whether the tape can still be asked."""
        return getattr(self.tape(), "_tape", None) is not None


@dataclass(frozen=True)
class Escape:
    """A value left TensorFlow by `method` (float, numpy …): tensor id, position, place."""

    at: int
    method: str
    tensor: int
    place: Place


@dataclass(eq=False)
class LayerCall:
    """A Keras layer ran: the stretch [first, last) of the log is its own. `depth` counts the
    layers around it; `inputs` and `outputs` are ids of tensors, `parameters` the ids of its
    variables, each with its role."""

    name: str
    depth: int
    inputs: tuple[int, ...]
    first: int
    last: int
    outputs: tuple[int, ...] = ()
    parameters: tuple[tuple[int, str], ...] = ()


class Log:
    """What a recorder writes down. `raw` has an entry an op, with the tensors themselves;
    `bindings` are (position, name, tensor, code, offset) with the line where it was bound;
    `function_reads` has the variables' values at each call of a compiled function; `calls`
    are questions to tapes, each with the positions `start` and `at` around its answer;
    `layers` are the calls of layers, in the order in which they began, `wholes` those of
    TensorFlow's functions of many ops."""

    def __init__(self) -> None:
        self.raw: list[Entry] = []
        self.tensors: dict[int, Any] = {}
        self.bindings: list[tuple[int, str, Any, CodeType | None, int]] = []
        self.given: list[Any] = []
        self.function_reads: dict[int, dict[int, int]] = {}
        self.functions: dict[str, Any] = {}  # the graphs of compiled functions that were called
        self.escapes: list[Escape] = []
        self.lives: list[TapeLife] = []
        self.calls: list[Any] = []
        self.layers: list[LayerCall] = []
        self.wholes: list[LayerCall] = []
        self.large: dict[int, Large] = {}  # what is not kept itself, by id
        self._settled = self._named = 0  # how much of `raw` and `bindings` is in `tensors`

    def kept(self, tensors: Sequence[Any]) -> tuple[Any, ...]:
        """As `kept` gives them; most have been met before, as the output of an op."""
        known, found = self.large, []
        for tensor in tensors:
            if tensor._num_elements() <= SMALL:
                found.append(tensor)
            else:
                key = tensor._id
                found.append(known.get(key) or known.setdefault(key, Large(tensor)))
        return tuple(found)

    def settle(self) -> dict[int, Any]:
        """The tensors by id, up to what has been written down by now."""
        tensors = self.tensors
        for _, inputs, _, outputs, _, _ in self.raw[self._settled :]:
            for tensor in inputs:
                tensors.setdefault(tensor._id, tensor)
            for tensor in outputs:
                tensors[tensor._id] = tensor
        for _, _, tensor, _, _ in self.bindings[self._named :]:
            if not isinstance(tensor, Handle):
                tensors.setdefault(tensor._id, tensor)
        self._settled, self._named = len(self.raw), len(self.bindings)
        return tensors

    def drop(self, first: int, last: int) -> None:
        """Take the entries [first, last) out, and all that belongs to them."""
        count = last - first

        def moved(at: int) -> int:
            return at if at <= first else max(first, at - count) if at < OPEN else at

        def inside(at: int) -> bool:
            return first <= at < last

        del self.raw[first:last]
        # Of each name the last binding stays: what it stands for may still be used.
        lost = {b[1]: (first, *b[1:]) for b in self.bindings if inside(b[0])}
        before = [b for b in self.bindings if b[0] < first]
        after = [(moved(b[0]), *b[1:]) for b in self.bindings if b[0] >= last]
        self.bindings = [*before, *lost.values(), *after]
        self.given = [g for g in self.given if not inside(g.at)]
        for given in self.given:
            given.at = moved(given.at)
        reads = self.function_reads
        self.function_reads = {moved(at): reads[at] for at in reads if not inside(at)}
        self.escapes = [
            Escape(moved(e.at), e.method, e.tensor, e.place)
            for e in self.escapes
            if not inside(e.at)
        ]
        for life in self.lives:
            life.on = [[moved(a), moved(b)] for a, b in life.on]
            life.watched = [(key, moved(at), place) for key, at, place in life.watched]
            for stop in life.stops:
                stop.first, stop.last = moved(stop.first), moved(stop.last)
        for calls in (self.layers, self.wholes):
            calls[:] = [c for c in calls if not (inside(c.first) and c.last <= last)]
        for layer in (*self.layers, *self.wholes):
            layer.first, layer.last = moved(layer.first), moved(layer.last)
        for call in self.calls:
            call.start, call.at = moved(call.start), moved(call.at)
        self._settled, self._named, self.tensors = 0, 0, {}
        if self.large:
            left = (tensor for entry in self.raw for tensor in (*entry[1], *entry[3]))
            self.large = {tensor._id: tensor for tensor in left if isinstance(tensor, Large)}
        for given in self.given:
            self.tensors.update(given.tensors)
