"""Recording: every eager op that runs is written down, through TensorFlow's op callbacks.

The only module that knows these private parts of TensorFlow: `op_callbacks` (every op),
`record.record_operation` (ops whose derivative the tape is handed: custom gradients, compiled
functions), `backprop._gradient_function` (an op's registered derivative) and a variable's
`_handle`. A test watches their signatures; without them values still come, only no derivation.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import linecache
import os
import sys
import sysconfig
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from types import CodeType
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import backprop, record
from tensorflow.python.framework import op_callbacks
from tensorflow.python.ops.resource_variable_ops import BaseResourceVariable

from tapemagic import graphs
from tapemagic.trace import VJP, Array, Binding, Line, Operation, TensorValue, Trace

SMALL = 64  # tensors of up to so many entries keep their values
_RUNS_PYTHON = {"EagerPyFunc", "PyFunc", "PyFuncStateless"}  # a derivative would run user code again
_LEAVES_ALONE = {"ResourceGather", "ResourceGatherNd", "VariableShape", "VarIsInitializedOp"}
_LIBRARIES = tuple(
    os.path.join(path, "")
    for path in {
        os.path.dirname(__file__),
        sysconfig.get_paths()["stdlib"],
        sysconfig.get_paths()["purelib"],
        sysconfig.get_paths()["platlib"],
        os.path.dirname(os.path.dirname(tf.__file__)),
    }
)


class _Large:
    """What is remembered of a tensor that is not ours to keep alive."""

    __slots__ = ("dtype", "reference", "shape")

    def __init__(self, tensor: Any) -> None:
        self.shape, self.dtype, self.reference = tensor.shape, tensor.dtype, weakref.ref(tensor)


class Recorder:
    """Writes down what runs between `start` and `stop`, in this thread; `trace` reads it out."""

    def __init__(self) -> None:
        self._log: list[tuple[Any, ...]] = []
        self._tensors: dict[int, Any] = {}
        self._bindings: list[tuple[int, str, int, int | None]] = []
        self._given: list[_Given] = []
        self._is_user: dict[CodeType, bool] = {}
        self._function_reads: dict[int, dict[int, int]] = {}
        self._touched: list[tuple[int, Any]] = []
        self._undo: list[Callable[[], None]] = []
        self.unreadable = ""  # why nothing could be recorded, if so
        self._off_tape: list[tuple[int, int]] = []  # ranges of the log the tape did not see

    # -- start and stop --------------------------------------------------------------------

    def start(self) -> None:
        """Begin to record. Leaves a plain reason in `unreadable` if TensorFlow will not let us."""
        try:
            op_callbacks.add_op_callback(self._on_op)
            self._undo.append(lambda: op_callbacks.remove_op_callback(self._on_op))
            for name in ("record_operation", "record_operation_backprop_only"):
                self._wrap_record(name)
            self._watch_handles()
        except Exception as error:  # private parts may change with any release
            self.stop()
            self.unreadable = f"this TensorFlow does not report its ops ({error})"

    def stop(self) -> None:
        """Undo all that `start` did, whatever happens in between."""
        while self._undo:
            self._undo.pop()()

    def _wrap_record(self, name: str) -> None:
        original = getattr(record, name)

        def recording(
            op_type: str,
            output_tensors: Any,
            input_tensors: Any,
            backward_function: Any,
            *rest: Any,
            **named: Any,
        ) -> Any:
            backward = self._on_given(op_type, output_tensors, input_tensors, backward_function)
            return original(op_type, output_tensors, input_tensors, backward, *rest, **named)

        setattr(record, name, recording)
        self._undo.append(lambda: setattr(record, name, original))

    def _watch_handles(self) -> None:
        """Variables passed straight to an op are read in C, unreported: `tf.sin(w)`, `w * w`.
        They are asked for their handle then, which tells which input was which variable."""
        touched, thread = self._touched, threading.get_ident()

        def handle(variable: Any) -> Any:
            found = variable.__dict__["_handle"]
            if threading.get_ident() == thread:
                touched.append((found._id, variable))
            return found

        def set_handle(variable: Any, value: Any) -> None:
            variable.__dict__["_handle"] = value

        BaseResourceVariable._handle = property(handle, set_handle)

        def restore() -> None:
            del BaseResourceVariable._handle

        self._undo.append(restore)

    # -- while the cell runs: every microsecond here is paid per op ---------------------------

    def _on_op(
        self,
        op_type: str,
        inputs: Sequence[Any],
        attrs: Any,
        outputs: Sequence[Any],
        op_name: str | None = None,
        graph: Any = None,
    ) -> None:
        if graph is not None:
            return
        tensors = self._tensors
        try:
            taken = [tensor._id for tensor in inputs]
            made = [tensor._id for tensor in outputs]
            new = [key for key in taken if key not in tensors]
            for key, tensor in zip(taken, inputs) if new else ():
                if key not in tensors:
                    tensors[key] = tensor if tensor._num_elements() <= SMALL else _Large(tensor)
            for key, tensor in zip(made, outputs):
                tensors[key] = tensor if tensor._num_elements() <= SMALL else _Large(tensor)
        except AttributeError:  # not eager tensors: an op inside a graph that came without one
            return
        if op_type[:2] == "__" and graphs.function_name(op_type):
            self._read_captures(inputs)
        if self._touched:
            if new and not any(handle in taken for handle, _ in self._touched):
                self._reads_in_c(new)  # a variable's own ops take the handle itself
            self._touched.clear()
        frame, is_user = sys._getframe(1), self._is_user
        while frame is not None:
            code = frame.f_code
            user = is_user.get(code)
            if user is None:
                user = is_user[code] = _is_user_code(code)
            if user:
                self._log.append((op_type, taken, attrs, made, code, frame.f_lineno))
                return
            frame = frame.f_back  # type: ignore[assignment]
        self._log.append((op_type, taken, attrs, made, None, 0))

    def _reads_in_c(self, new: list[int]) -> None:
        """Match the unreported inputs, last first, with the variables touched last: a read in C
        touches a trainable variable three times, another one twice."""
        touched, reads = list(self._touched), []
        for key in reversed(new):
            tensor = self._tensors[key]
            handle, variable = touched[-1] if touched else (-1, None)
            times = 3 if getattr(variable, "_trainable", True) else 2
            run = [touch[0] for touch in touched[-times:]]
            if run != [handle] * times:
                continue
            if tensor.dtype != variable.dtype or tuple(tensor.shape) != tuple(variable.shape):
                continue
            del touched[-times:]
            reads.append(("ReadVariableOp", [handle], None, [key], None, 0))
        self._log.extend(reversed(reads))

    def _read_captures(self, inputs: Sequence[Any]) -> None:
        """The variables that a compiled function reads, as they are at this call."""
        reads: dict[int, int] = {}
        with record.stop_recording():
            for handle in inputs:
                if handle.dtype == tf.resource and getattr(handle, "_handle_data", None):
                    dtype = tf.as_dtype(handle._handle_data.shape_and_type[0].dtype)
                    read = tf.raw_ops.ReadVariableOp(resource=handle, dtype=dtype)
                    self._tensors[read._id] = (
                        read if read._num_elements() <= SMALL else _Large(read)
                    )
                    self._log.append(("ReadVariableOp", [handle._id], None, [read._id], None, 0))
                    reads[handle._id] = read._id
        self._function_reads[len(self._log)] = reads

    def _on_given(self, op_type: str, outputs: Any, inputs: Any, backward: Any) -> Any:
        made = [getattr(tensor, "_id", None) for tensor in outputs]
        taken = [getattr(tensor, "_id", None) for tensor in inputs]
        if not made or not all(key in self._tensors for key in made) or None in taken:
            return backward
        given = _Given(op_type, made, taken, backward)
        for key, tensor in zip(taken, inputs):
            self._tensors.setdefault(key, tensor if tensor._num_elements() <= SMALL else _Large(tensor))
        self._given.append(given)
        return given

    def bind(self, name: str, value: Any, line: int | None = None) -> None:
        """`name` now stands for the eager tensor or variable `value`."""
        key = tensor_id(value)
        if key is None:
            return
        if key not in self._tensors and isinstance(value, tf.Tensor):
            self._tensors[key] = value if value._num_elements() <= SMALL else _Large(value)
        self._bindings.append((len(self._log), name, key, line))
        self._touched.clear()  # asking for the id has touched it

    def pause(self, paused: bool) -> None:
        """The tape stopped (or took up) recording: what runs meanwhile has no derivative."""
        if paused:
            self._off_tape.append((len(self._log), sys.maxsize))
        elif self._off_tape:
            self._off_tape[-1] = (self._off_tape[-1][0], len(self._log))

    def forget(self) -> None:
        """The tape was reset: all that ran before has no derivative."""
        self._off_tape = [(0, len(self._log))]

    def used(self, key: int) -> bool:
        """Whether an op has read the tensor with this id so far."""
        return any(key in entry[1] for entry in self._log)

    # -- afterwards ------------------------------------------------------------------------

    def trace(self) -> Trace:
        """All that was recorded, as data; a tensor is converted when it is looked at."""
        log, synthetic = self._opened()
        reads = _Reads([entry for entry in log if not graphs.function_name(entry[0])])
        bindings = [
            Binding(at, name, tensor, line)
            for at, name, key, line in self._bindings
            for tensor in reads.of.get(key, (reads.alias.get(key, key),))
        ]
        operations = tuple(self._operations(log, reads.alias))
        values = _Values(self._tensors, synthetic)
        return Trace(operations, values, tuple(bindings), reads.of, reads.alias)

    def _opened(self) -> tuple[list[tuple[Any, ...]], dict[int, Array]]:
        """The log with compiled functions opened up: their ops stand before the call itself.

        Each entry gets its place in the original log, and whether it comes from inside.
        """
        log: list[tuple[Any, ...]] = []
        synthetic: dict[int, Array] = {}
        ids = itertools.count(-2, -1)
        for at, entry in enumerate(self._log):
            kind, taken, attrs, made, *place = entry
            if isinstance(kind, bytes):  # as some of TensorFlow's Python wrappers pass it
                kind = kind.decode()
                entry = (kind, taken, attrs, made, *place)
            if graphs.function_name(kind):
                opened = graphs.Opened(ids, self._array)
                reads = self._function_reads.get(at, {})
                with contextlib.suppress(Exception):  # else the call stays one op
                    opened.call(kind, [reads.get(key, key) for key in taken], self._returned(made))
                    log += [(*inner, *place, at, True) for inner in opened.log]
                    synthetic.update(opened.values)
            log.append((*entry, at, False))
        return log, synthetic

    def _array(self, key: int) -> Array:
        return np.asarray(_alive("the call", self._tensors, [key])[0])

    def _returned(self, made: list[int]) -> list[int]:
        """A call's own outputs: further ones are only for the backward pass."""
        given = next((g for g in self._given if g.outputs and g.outputs[0] == made[0]), None)
        return made[: len(given.outputs)] if given else made

    def _operations(
        self, log: Sequence[tuple[Any, ...]], alias: dict[int, int]
    ) -> Iterator[Operation]:
        given = {entry.outputs[0]: entry for entry in self._given}
        opened = {made[0] for *_, made, _, _, _, inside in log if inside and made}
        for kind, taken, attrs, made, code, number, at, inside in log:
            if made and made[0] in alias:
                continue
            attributes = dict(zip(attrs[::2], attrs[1::2])) if attrs else {}
            off = any(first <= at < last for first, last in self._off_tape)
            vjp = self._registered_vjp(kind, taken, attrs, made)
            line = _line(code, number) if code is not None else None
            inputs = tuple(alias.get(key, key) for key in taken)
            handed = made and made[0] in given and not inside and kind != "ReadVariableOp"
            called = graphs.function_name(kind)
            if not called or not (handed or made and made[0] in opened):
                yield Operation(called or kind, inputs, tuple(made), attributes, line, vjp, off)
            if handed:
                reads = self._function_reads.get(at, {})
                canonical = {**alias, **{h: alias.get(r, r) for h, r in reads.items()}}
                yield given[made[0]].operation(self._tensors, canonical, line)

    def _registered_vjp(
        self, kind: str, taken: list[int], attrs: Any, made: list[int]
    ) -> VJP | None:
        """The op's registered derivative, at the recorded values; the op is not run again."""
        if kind in _RUNS_PYTHON:
            return None
        tensors = self._tensors

        def vjp(cotangents: Sequence[Array]) -> Sequence[Array | None]:
            inputs, outputs = _alive(kind, tensors, taken), _alive(kind, tensors, made)
            seeds = [tf.constant(c, dtype=t.dtype) for c, t in zip(cotangents, outputs)]
            found = backprop._gradient_function(
                kind, attrs, len(inputs), inputs, outputs, seeds, [], ""
            )
            return _arrays(found)

        return vjp


class _Given:
    """An op whose derivative the tape was handed; remembers what that derivative answered."""

    def __init__(self, name: str, outputs: list[int], inputs: list[int], backward: Any) -> None:
        self.name, self.outputs, self.inputs = name, outputs, inputs
        self._backward, self._answer = backward, None  # type: Any, Any

    def __call__(self, *cotangents: Any) -> Any:
        found = self._backward(*cotangents)
        self._answer = (cotangents, found)
        return found

    def operation(
        self, tensors: dict[int, Any], alias: dict[int, int], line: Line | None
    ) -> Operation:
        """The op under the name that the tape has for it."""

        def vjp(cotangents: Sequence[Array]) -> Sequence[Array | None]:
            # A custom gradient is the user's code: it is not called again if its answer to the
            # tape settles the matter (one scalar output, so the derivative is a plain factor).
            scale = self._factor(cotangents)
            if scale is not None:
                known = _arrays(_listed(self._answer[1]))
                return [None if g is None else np.asarray(g * scale) for g in known]
            outputs = _alive(self.name, tensors, self.outputs)
            seeds = [
                tf.constant(c, dtype=t.dtype) if t.dtype.is_floating else None
                for c, t in zip(cotangents, outputs)
            ]
            with contextlib.redirect_stdout(io.StringIO()):
                return _arrays(_listed(self._backward(*seeds)))

        taken = tuple(alias.get(key, key) for key in self.inputs)
        made = tuple(self.outputs)
        name = graphs.function_name(self.name) or self.name
        return Operation(name, taken, made, {}, line, vjp, given=True)


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


def _is_nonzero(tensor: Any) -> bool:
    return not tensor.dtype.is_numpy_compatible or bool(np.any(np.asarray(tensor)))


class _Reads:
    """The reads of each variable: one tensor for all reads between two assignments."""

    def __init__(self, log: Sequence[tuple[Any, ...]]) -> None:
        self.of: dict[int, tuple[int, ...]] = {}
        self.alias: dict[int, int] = {}
        current: dict[int, int] = {}
        handles = {taken[0] for kind, taken, *_ in log if kind == "ReadVariableOp"}
        for kind, taken, _, made, *_ in log:
            if kind == "ReadVariableOp":
                handle = taken[0]
                if handle in current:
                    self.alias[made[0]] = current[handle]
                else:
                    current[handle] = made[0]
                    self.of[handle] = (*self.of.get(handle, ()), made[0])
            elif kind not in _LEAVES_ALONE and taken and handles.intersection(taken):
                for handle in handles.intersection(taken):
                    current.pop(handle, None)


class _Values(Mapping[int, TensorValue]):
    """The recorded tensors as values, each converted when it is asked for."""

    def __init__(self, tensors: dict[int, Any], synthetic: dict[int, Array]) -> None:
        self._tensors, self._synthetic = tensors, synthetic

    def __getitem__(self, key: int) -> TensorValue:
        if key in self._synthetic:
            array = self._synthetic[key]
            return TensorValue(array.shape, array.dtype.name, array)
        tensor = self._tensors[key]
        if isinstance(tensor, _Large):
            shape = tuple(tensor.shape.as_list()) if tensor.shape.rank is not None else ()
            return TensorValue(shape, tensor.dtype.name, None)
        known = tensor.dtype.is_numpy_compatible and tensor.dtype not in (tf.resource, tf.variant)
        data = np.asarray(tensor) if known else None
        return TensorValue(tuple(tensor.shape.as_list()), tensor.dtype.name, data)

    def __iter__(self) -> Iterator[int]:
        return itertools.chain(self._tensors, self._synthetic)

    def __len__(self) -> int:
        return len(self._tensors) + len(self._synthetic)


def tensor_id(value: Any) -> int | None:
    """The process-wide id of an eager tensor, or of a variable's handle; None for all else.

    Keras variables wrap one of TensorFlow's.
    """
    handle = getattr(value, "handle", None)
    key = getattr(value if handle is None else handle, "_id", None)
    return key if isinstance(key, int) else None


def _alive(kind: str, tensors: dict[int, Any], keys: Sequence[int]) -> list[Any]:
    found = [tensors[key] for key in keys]
    if any(isinstance(tensor, _Large) for tensor in found):
        raise LookupError(f"the tensors around {kind} are too large to be kept")
    return found


def _listed(found: Any) -> Sequence[Any]:
    return found if isinstance(found, (list, tuple)) else [found]


def _arrays(found: Sequence[Any]) -> list[Array | None]:
    return [None if g is None else np.asarray(tf.convert_to_tensor(g)) for g in found]


def _is_user_code(code: CodeType) -> bool:
    name = code.co_filename
    return not name.startswith(_LIBRARIES) and not name.startswith("<frozen")


@lru_cache(maxsize=4096)
def _line(code: CodeType, number: int) -> Line:
    text = linecache.getline(code.co_filename, number).strip()
    return Line(number, text, code.co_filename, code.co_name)
