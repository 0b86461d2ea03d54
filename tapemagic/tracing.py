"""From the recorder's log to the `Trace`: compiled functions opened up, the reads of a
variable joined, each op with its line and its own derivative."""

from __future__ import annotations

import contextlib
import inspect
import io
import itertools
import linecache
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from types import CodeType, FunctionType
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import backprop

from tapemagic import codes, graphs
from tapemagic.log import SMALL, Handle, Large, LayerCall, Log, Place, kept
from tapemagic.trace import (
    VJP,
    Answer,
    Array,
    Binding,
    Block,
    Escaped,
    Line,
    Operation,
    TensorValue,
    Trace,
)

_RUNS_PYTHON = {
    "EagerPyFunc",
    "PyFunc",
    "PyFuncStateless",
}  # a derivative would run user code again
GATHERS = {"ResourceGather": "Gather", "ResourceGatherNd": "GatherNd"}  # of a variable itself
ANSWERED = 2**12  # entries up to which what a custom gradient was asked and said is kept whole
_LEAVES_ALONE = {*GATHERS, "VariableShape", "VarIsInitializedOp"}


class Tracer:
    """Makes the trace of a log."""

    def __init__(self, log: Log, is_user_s: Callable[[str], bool]) -> None:
        self._log, self._tensors = log, log.settle()
        self._is_user_s = is_user_s
        self._inside: dict[int, graphs.Place] = {}  # where compiled functions made their tensors
        self._synthetic: dict[int, Array] = {}
        self._decided: list[tuple[int, int, Place]] = []  # truth values inside compiled functions

    def trace(self, functions: Collection[CodeType] = ()) -> Trace:
        """All that was recorded, as data; a tensor is converted when it is looked at.

        What `functions` stored under local names is named so.
        """
        log, synthetic = self._opened()
        self._synthetic = synthetic
        reads = _Reads(log, self._tensors)
        bindings = [
            Binding(at, name, tensor, _line(code, offset) if code is not None else None)
            for at, name, named, code, offset in self._log.bindings
            for tensor in reads.of.get(named._id, (reads.alias.get(named._id, named._id),))
        ]
        stored = _stored(self._log, reads)
        bindings += [binding for code, binding in stored if code in functions]
        bindings.sort(key=lambda binding: binding.at)
        operations = tuple(self._operations(log, reads.alias))
        values = _Values(self._tensors, synthetic)
        look = values.look
        escapes = tuple(
            Escaped(e.at, e.method, reads.alias.get(e.tensor, e.tensor), line(e.place))
            for e in self._log.escapes
        )
        escapes += tuple(Escaped(at, "bool", key, line(place)) for at, key, place in self._decided)
        local = tuple(binding for _, binding in stored)
        blocks = tuple(_block(call, reads.alias) for call in self._log.layers)
        wholes = tuple(_block(call, reads.alias) for call in self._log.wholes)
        return Trace(
            operations,
            values,
            tuple(bindings),
            reads.of,
            reads.alias,
            escapes,
            local,
            look,
            blocks,
            wholes,
        )

    def _opened(self) -> tuple[list[tuple[Any, ...]], dict[int, Array]]:
        """The log with compiled functions opened up: their ops stand before the call itself.

        Each entry gets its place in the original log, and whether it comes from inside.
        """
        log: list[tuple[Any, ...]] = []
        synthetic: dict[int, Array] = {}
        ids = itertools.count(-2, -1)
        for at, (kind, inputs, attrs, outputs, *place) in enumerate(self._log.raw):
            if isinstance(kind, bytes):  # as some of TensorFlow's Python wrappers pass it
                kind = kind.decode()
            taken, made = [t._id for t in inputs], [t._id for t in outputs]
            if graphs.function_name(kind):
                opened = graphs.Opened(ids, self._array, self._log.functions, self._is_user_s)
                reads = self._log.function_reads.get(at, {})
                with contextlib.suppress(Exception):  # else the call stays one op
                    opened.call(kind, [reads.get(key, key) for key in taken], self._returned(made))
                    log += [(*inner, *place, at, True) for inner in opened.log]
                    self._decided += [(at, key, (place[0], place[1])) for key in opened.decided]
                    synthetic.update(opened.values)
                    self._inside.update(opened.places)
            log.append((kind, taken, attrs, made, *place, at, False))
        return log, synthetic

    def _array(self, key: int) -> Array:
        return np.asarray(_alive("the call", self._tensors, [key])[0].numpy())

    def _returned(self, made: list[int]) -> list[int]:
        """A call's own outputs: further ones are only for the backward pass."""
        all_given = self._log.given
        given = next((g for g in all_given if g.outputs and g.outputs[0] == made[0]), None)
        return made[: len(given.outputs)] if given else made

    def _operations(
        self, log: Sequence[tuple[Any, ...]], alias: dict[int, int]
    ) -> Iterator[Operation]:
        given = {entry.outputs[0]: entry for entry in self._log.given}
        opened = {made[0] for *_, made, _, _, _, inside in log if inside and made}
        answers = [range(call.start, call.at) for call in self._log.calls]
        for kind, taken, attrs, made, code, offset, at, inside in log:
            if made and made[0] in alias:
                continue
            pairs = zip(attrs[::2], attrs[1::2]) if attrs else ()
            attributes = {name: value for name, value in pairs if value is not None}
            vjp = self._registered_vjp(kind, taken, attrs, made)
            where = _line(code, offset) if code is not None else None
            reads = self._log.function_reads.get(at, {}) if kind in GATHERS else {}
            inputs = tuple(alias.get(key, key) for key in (reads.get(key, key) for key in taken))
            handed = made and made[0] in given and not inside and kind != "ReadVariableOp"
            called = graphs.function_name(kind)
            if not called or not (handed or (made and made[0] in opened)):
                name = GATHERS[kind] if reads else called or kind
                backward = any(at in answer for answer in answers)
                yield Operation(
                    name,
                    inputs,
                    tuple(made),
                    attributes,
                    where,
                    vjp,
                    at,
                    backward=backward,
                    inside=_inside(self._inside.get(made[0])) if inside and made else None,
                )
            if handed:
                reads = self._log.function_reads.get(at, {})
                canonical = {**alias, **{h: alias.get(r, r) for h, r in reads.items()}}
                yield given[made[0]].operation(self._tensors, canonical, where, at)

    def _registered_vjp(
        self, kind: str, taken: list[int], attrs: Any, made: list[int]
    ) -> VJP | None:
        """The op's registered derivative, at the recorded values; the op is not run again."""
        if kind in _RUNS_PYTHON:
            return None
        tensors, synthetic = self._tensors, self._synthetic
        pairs = dict(zip(attrs[::2], attrs[1::2])) if attrs else {}

        def vjp(cotangents: Sequence[Array]) -> Sequence[Array | None]:
            inside = {key: _constant(synthetic[key], pairs) for key in (*taken, *made) if key < -1}
            known = {key: tensors[key] for key in (*taken, *made) if key not in inside}
            known.update(inside)
            inputs, outputs = _alive(kind, known, taken), _alive(kind, known, made)
            seeds = [tf.constant(c, dtype=t.dtype) for c, t in zip(cotangents, outputs)]
            found = backprop._gradient_function(
                kind, attrs, len(inputs), inputs, outputs, seeds, [], ""
            )
            return _arrays(_listed(found))

        return vjp


def _block(call: LayerCall, alias: Mapping[int, int]) -> Block:
    inputs, outputs = (
        tuple(alias.get(k, k) for k in dict.fromkeys(keys)) for keys in (call.inputs, call.outputs)
    )
    span = call.first, call.last
    return Block(call.name, call.depth, *span, inputs, outputs, call.parameters)


def _stored(log: Log, reads: _Reads) -> list[tuple[CodeType, Binding]]:
    """The names that functions gave to their values: what runs of ops at one instruction made
    last, if it is stored under a name right after."""
    found: list[tuple[CodeType, Binding]] = []
    raw = log.raw
    for at, (_, _, _, outputs, code, offset) in enumerate(raw):
        if code is None or not outputs or not code.co_flags & inspect.CO_NEWLOCALS:
            continue
        ends = at + 1 == len(raw) or raw[at + 1][4:6] != (code, offset)
        if ends or codes.is_operator(code, offset):
            name = codes.stored_name(code, offset)
            if name is not None:
                key = reads.alias.get(outputs[0]._id, outputs[0]._id)
                found.append((code, Binding(at + 1, name, key, line((code, offset)))))
    return found


class Given:
    """An op whose derivative the tape was handed; remembers what that derivative answered."""

    def __init__(
        self, at: int, name: str, outputs: Sequence[Any], inputs: Sequence[Any], backward: Any
    ) -> None:
        self.at, self.name = at, name
        self.outputs, self.inputs = [t._id for t in outputs], [t._id for t in inputs]
        self.tensors = {tensor._id: tensor for tensor in kept([*outputs, *inputs])}
        self._backward, self._answer = backward, None  # type: Any, Any
        self._read = kept(inputs)
        self._first: Answer | None = None

    def __call__(self, *cotangents: Any) -> Any:
        found = self._backward(*cotangents)
        parts = [t for t in (*cotangents, *_listed(found)) if t is not None]
        if max((t.shape.num_elements() or 0 for t in parts), default=0) <= ANSWERED:
            self._answer = (cotangents, found, [_still_there(tensor) for tensor in self._read])
        else:
            with contextlib.suppress(Exception):  # sparse answers, no buffers: nothing is compared
                read = [_still_there(tensor) for tensor in self._read]
                asked, told, taken = (
                    [_first(t) for t in some] for some in (cotangents, _listed(found), read)
                )
                self._first = Answer(asked, told, taken, SMALL)
        return found

    def operation(
        self, tensors: dict[int, Any], alias: dict[int, int], line: Line | None, at: int
    ) -> Operation:
        """The op under the name that the tape has for it."""

        def vjp(cotangents: Sequence[Array]) -> Sequence[Array | None]:
            # A custom gradient is the user's code: it is not called again if its answer to the
            # tape settles the matter (one scalar output, so the derivative is a plain factor).
            scale = self._factor(cotangents)
            if scale is not None:
                known = _arrays(_listed(self._answer[1]))
                return [None if g is None else np.asarray(g * scale) for g in known]
            library = graphs.function_name(self.name) is not None or _is_librarys(self._backward)
            if not library and self._answer is not None:
                return self._known(cotangents)
            outputs = [tensors[key] for key in self.outputs]  # of which only dtypes are asked
            seeds = [
                tf.constant(c, dtype=t.dtype) if t.dtype.is_floating else None
                for c, t in zip(cotangents, outputs)
            ]
            with contextlib.redirect_stdout(io.StringIO()):
                return _arrays(_listed(self._backward(*seeds)))

        taken = tuple(alias.get(key, key) for key in self.inputs)
        made = tuple(self.outputs)
        function, answered = graphs.function_name(self.name), self._recorded()
        library = function is not None or _is_librarys(self._backward)
        attributes = {"compiled": function is not None, "library": library}
        name = function or self.name
        return Operation(name, taken, made, attributes, line, vjp, at, False, True, answered)

    def _known(self, cotangents: Sequence[Array]) -> Sequence[Array | None]:
        """The answer that the tape got, if it asked the same. Raises `LookupError`."""
        for wanted, asked in zip(cotangents, _arrays(self._answer[0])):
            known = np.zeros(np.shape(wanted)) if asked is None else asked
            if known.dtype.kind == "f" and not np.allclose(known, wanted, rtol=1e-4, atol=1e-7):
                raise LookupError("a custom gradient is not called again")
        return _arrays(_listed(self._answer[1]))

    def _recorded(self) -> Answer | None:
        """What the tape asked and was told."""
        if self._answer is None:
            return self._first
        with contextlib.suppress(Exception):
            asked, told, read = self._answer
            inputs = [None if isinstance(t, Large) else view(t) for t in read]
            return Answer(_arrays(asked), _arrays(_listed(told)), inputs)
        return None

    def _factor(self, cotangents: Sequence[Array]) -> float | None:
        """What to multiply the answer that the tape got by, if only one scalar was asked for."""
        if self._answer is None:
            return None
        pairs = [(c, a) for c, a in zip(cotangents, self._answer[0]) if np.any(c)]
        others = [a for c, a in zip(cotangents, self._answer[0]) if not np.any(c)]
        if len(pairs) != 1 or any(a is not None and _is_nonzero(a) for a in others):
            return None
        wanted, asked = pairs[0]
        if np.ndim(wanted) or asked is None or not np.isfinite(asked) or float(asked) == 0.0:
            return None
        return float(wanted) / float(asked)


def _is_librarys(backward: Any) -> bool:
    """Whether a custom gradient is TensorFlow's own, such as silu's, and may be called again."""
    cells = getattr(backward, "__closure__", None) or ()
    every = [backward, *(cell.cell_contents for cell in cells)]
    codes = [f.__code__ for f in every if isinstance(f, FunctionType)]
    home = os.path.dirname(tf.__file__)
    return bool(codes) and all(code.co_filename.startswith(home) for code in codes)


def _is_nonzero(tensor: Any) -> bool:
    return not tensor.dtype.is_numpy_compatible or bool(np.any(tensor.numpy()))


class _Reads:
    """The reads of each variable: one tensor for all reads between two assignments."""

    def __init__(self, log: Sequence[tuple[Any, ...]], tensors: dict[int, Any]) -> None:
        self.of: dict[int, tuple[int, ...]] = {}
        self.alias: dict[int, int] = {}
        current: dict[int, int] = {}
        doubtful: set[int] = set()
        handles = {taken[0] for kind, taken, *_ in log if kind == "ReadVariableOp"}
        for kind, taken, _, made, *_ in log:
            if kind == "ReadVariableOp":
                handle = taken[0]
                if handle in doubtful:
                    doubtful.discard(handle)
                    if not _same(tensors, current.get(handle), made[0]):
                        current.pop(handle, None)
                if handle in current:
                    self.alias[made[0]] = current[handle]
                    if isinstance(_still_there(tensors.get(current[handle])), Large):
                        tensors[current[handle]] = tensors[made[0]]  # may be there for longer
                else:
                    current[handle] = made[0]
                    self.of[handle] = (*self.of.get(handle, ()), made[0])
            elif graphs.function_name(kind):  # it may have assigned to what it captured
                doubtful.update(handles.intersection(taken))
            elif kind not in _LEAVES_ALONE and taken and handles.intersection(taken):
                for handle in handles.intersection(taken):
                    current.pop(handle, None)


def _constant(array: Array, attributes: Mapping[str, Any]) -> Any:
    """A value from inside a compiled function, in the dtype that it had there."""
    wanted = attributes.get("T")
    floating = array.dtype.kind == "f" and wanted is not None and tf.as_dtype(wanted).is_floating
    return tf.constant(array, dtype=wanted if floating else None)


def _same(tensors: Mapping[int, Any], first: int | None, second: int) -> bool:
    """Whether two reads are known to have given the same."""
    one, other = (tensors.get(key, Handle(-1)) for key in (-1 if first is None else first, second))
    if isinstance(one, (Large, Handle)) or isinstance(other, (Large, Handle)):
        return False
    return bool(np.array_equal(one.numpy(), other.numpy()))


class _Values(Mapping[int, TensorValue]):
    """The recorded tensors as values, each converted when it is asked for."""

    def __init__(self, tensors: dict[int, Any], synthetic: dict[int, Array]) -> None:
        self._tensors, self._synthetic = tensors, synthetic

    def __getitem__(self, key: int) -> TensorValue:
        if key in self._synthetic:
            array = self._synthetic[key]
            return TensorValue(array.shape, array.dtype.name, array)
        tensor = self._tensors[key]
        if isinstance(tensor, Handle):
            return TensorValue((), "resource", None)
        if isinstance(tensor, Large):
            return TensorValue(tensor.shape, tensor.dtype.name, None)
        known = tensor.dtype.is_numpy_compatible and tensor.dtype not in (tf.resource, tf.variant)
        data = np.asarray(tensor.numpy()) if known else None
        return TensorValue(tuple(tensor.shape.as_list()), tensor.dtype.name, data)

    def look(self, key: int) -> Array | None:
        """The value, also of a large tensor that somebody else still keeps alive."""
        tensor = _still_there(self._tensors.get(key))
        return view(tensor) if isinstance(tensor, tf.Tensor) else self[key].data

    def __iter__(self) -> Iterator[int]:
        return itertools.chain(self._tensors, self._synthetic)

    def __len__(self) -> int:
        return len(self._tensors) + len(self._synthetic)


def _alive(kind: str, tensors: dict[int, Any], keys: Sequence[int]) -> list[Any]:
    found = [_still_there(tensors[key]) for key in keys]
    if any(isinstance(tensor, (Large, Handle)) for tensor in found):
        raise LookupError(f"the tensors around {kind} are too large to be kept")
    return found


def _still_there(tensor: Any) -> Any:
    """A large tensor itself, if somebody else keeps it alive."""
    alive = tensor.reference() if isinstance(tensor, Large) else None
    return tensor if alive is None else alive


def view(tensor: Any) -> Array:
    """A tensor's entries in its own memory, read-only; a copy where it has no buffer."""
    try:
        return np.asarray(memoryview(tensor))
    except (TypeError, ValueError, BufferError):
        return np.asarray(tensor.numpy())


def _first(tensor: Any) -> Array | None:
    """The first entries, copied; None where that would fetch all of them from elsewhere."""
    if tensor is None or isinstance(tensor, Large) or "CPU" not in tensor.device:
        return None
    return np.array(view(tensor).reshape(-1)[:SMALL])


def _listed(found: Any) -> Sequence[Any]:
    return found if isinstance(found, (list, tuple)) else [found]


def _arrays(found: Sequence[Any]) -> list[Array | None]:
    # numpy() and not asarray: bfloat16 has no buffer.
    return [None if g is None else tf.convert_to_tensor(g).numpy() for g in found]


def line(place: Place) -> Line | None:
    """The line of the instruction at this place; None where no code of the user's is known."""
    code, offset = place
    return None if code is None else _line(code, offset)


def _inside(place: graphs.Place | None) -> Line | None:
    if place is None:
        return None
    file, number, function = place
    return Line(number, linecache.getline(file, number).strip(), file, function)


@codes.remembered
def _line(code: CodeType, offset: int) -> Line:
    number = codes.line_number(code, offset)
    text = linecache.getline(code.co_filename, number).strip()
    return Line(number, text, code.co_filename, code.co_name)
