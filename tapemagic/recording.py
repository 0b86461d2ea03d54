"""Recording: every eager op that runs is written down, through TensorFlow's op callbacks.

The only module that knows these private parts of TensorFlow: `op_callbacks` (every op),
`record.record_operation` (ops whose derivative the tape is handed: custom gradients, compiled
functions), `backprop._gradient_function` (an op's registered derivative) and a variable's
`_handle`. A test watches their signatures; without them values still come, only no derivation.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import threading
from collections.abc import Callable, Sequence
from types import CodeType, FrameType
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import record
from tensorflow.python.framework import op_callbacks
from tensorflow.python.framework.ops import EagerTensor as EagerTensor
from tensorflow.python.ops.resource_variable_ops import BaseResourceVariable

from tapemagic import graphs
from tapemagic.trace import Trace
from tapemagic.tracing import SMALL, Given, Large, Log

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


class Recorder:
    """Writes down what runs between `start` and `stop`, in this thread; `trace` reads it out."""

    def __init__(self) -> None:
        self.log = Log()
        self._is_user: dict[CodeType, bool] = {}
        self._touched: list[tuple[int, Any]] = []
        self._undo: list[Callable[[], None]] = []
        self.unreadable = ""  # why nothing could be recorded, if so

    def trace(self) -> Trace:
        """All that was recorded, as data."""
        return self.log.trace()

    # -- start and stop --------------------------------------------------------------------

    def start(self) -> None:
        """Begin to record. Leaves a plain reason in `unreadable` if TensorFlow will not let us."""
        try:
            op_callbacks.add_op_callback(self._on_op)
            self._undo.append(lambda: op_callbacks.remove_op_callback(self._on_op))
            for name in ("record_operation", "record_operation_backprop_only"):
                self._wrap_record(name)
            self._watch_handles()
        except Exception as error:  # noqa: BLE001 - private parts may change with any release
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

        before = vars(BaseResourceVariable).get("_handle")
        BaseResourceVariable._handle = property(handle, set_handle)

        def restore() -> None:
            if before is None:
                del BaseResourceVariable._handle
            else:  # a cell within a cell
                BaseResourceVariable._handle = before

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
        log = self.log
        tensors = log.tensors
        try:
            taken = [tensor._id for tensor in inputs]
            made = [tensor._id for tensor in outputs]
            new = [key for key in taken if key not in tensors]
            for key, tensor in zip(taken, inputs) if new else ():
                if key not in tensors:
                    tensors[key] = tensor if tensor._num_elements() <= SMALL else Large(tensor)
            for key, tensor in zip(made, outputs):
                tensors[key] = tensor if tensor._num_elements() <= SMALL else Large(tensor)
        except AttributeError:  # not eager tensors: an op inside a graph that came without one
            return
        if op_type[:2] == "__" and graphs.function_name(op_type):
            self._read_captures(inputs)
        if self._touched:
            if new and not any(handle in taken for handle, _ in self._touched):
                self._reads_in_c(new, inputs)  # a variable's own ops take the handle itself
            self._touched.clear()
        frame: FrameType | None = sys._getframe(1)
        is_user = self._is_user
        while frame is not None:
            code = frame.f_code
            user = is_user.get(code)
            if user is None:
                user = is_user[code] = _is_user_code(code)
            if user:
                log.entries.append((op_type, taken, attrs, made, code, frame.f_lineno))
                return
            frame = frame.f_back
        log.entries.append((op_type, taken, attrs, made, None, 0))

    def _reads_in_c(self, new: list[int], inputs: Sequence[Any]) -> None:
        """Which of the unreported inputs are variables, read in C, and which are constants: a
        read shares the variable's memory."""
        unreported = {t._id: t for t in inputs if t._id in new}
        addresses: dict[object, int] = {}
        with record.stop_recording():
            for handle, variable in dict(self._touched).items():
                read = tf.raw_ops.ReadVariableOp(resource=variable.handle, dtype=variable.dtype)
                addresses[_address(read)] = handle
        for key, tensor in unreported.items():
            found = addresses.get(_address(tensor))
            if found is not None:
                self.log.entries.append(("ReadVariableOp", [found], None, [key], None, 0))

    def _read_captures(self, inputs: Sequence[Any]) -> None:
        """The variables that a compiled function reads, as they are at this call."""
        reads: dict[int, int] = {}
        with record.stop_recording():
            for handle in inputs:
                if handle.dtype == tf.resource and getattr(handle, "_handle_data", None):
                    dtype = tf.as_dtype(handle._handle_data.shape_and_type[0].dtype)
                    read = tf.raw_ops.ReadVariableOp(resource=handle, dtype=dtype)
                    self.log.tensors[read._id] = (
                        read if read._num_elements() <= SMALL else Large(read)
                    )
                    self.log.entries.append(
                        ("ReadVariableOp", [handle._id], None, [read._id], None, 0)
                    )
                    reads[handle._id] = read._id
        self.log.function_reads[len(self.log.entries)] = reads

    def _on_given(self, op_type: str, outputs: Any, inputs: Any, backward: Any) -> Any:
        made = [tensor._id for tensor in outputs if hasattr(tensor, "_id")]
        taken = [tensor._id for tensor in inputs if hasattr(tensor, "_id")]
        known = all(key in self.log.tensors for key in made)
        if not known or len(made) < len(outputs) or len(taken) < len(inputs) or not made:
            return backward
        given = Given(op_type, made, taken, backward)
        for key, tensor in zip(taken, inputs):
            kept = tensor if tensor._num_elements() <= SMALL else Large(tensor)
            self.log.tensors.setdefault(key, kept)
        self.log.given.append(given)
        return given

    def bind(self, name: str, value: Any, line: int | None = None) -> None:
        """`name` now stands for the eager tensor or variable `value`."""
        key = tensor_id(value)
        if key is None:
            return
        if isinstance(value, EagerTensor):
            if key not in self.log.tensors:
                self.log.tensors[key] = value if value._num_elements() <= SMALL else Large(value)
        else:
            self._touched.clear()  # asking for a variable's id has touched it
        self.log.bindings.append((len(self.log.entries), name, key, line))

    def pause(self, paused: bool) -> None:
        """The tape stopped (or took up) recording: what runs meanwhile has no derivative."""
        if paused:
            self.log.off_tape.append((len(self.log.entries), sys.maxsize))
        elif self.log.off_tape:
            self.log.off_tape[-1] = (self.log.off_tape[-1][0], len(self.log.entries))

    def forget(self) -> None:
        """The tape was reset: all that ran before has no derivative."""
        self.log.off_tape = [(0, len(self.log.entries))]

    def used(self, key: int | None) -> bool:
        """Whether an op has read the tensor with this id so far."""
        return any(key in entry[1] for entry in self.log.entries)


def tensor_id(value: Any) -> int | None:
    """The process-wide id of an eager tensor, or of a variable's handle; None for all else.

    Keras variables wrap one of TensorFlow's.
    """
    if isinstance(value, EagerTensor):
        return int(value._id)
    key = getattr(getattr(value, "handle", None), "_id", None)
    return key if isinstance(key, int) else None


def _address(tensor: Any) -> object:
    """Where the numbers of an eager tensor are; without a buffer (bfloat16), the numbers."""
    try:
        return np.asarray(memoryview(tensor)).ctypes.data
    except (TypeError, ValueError, BufferError):
        return tensor.numpy().tobytes()


def _is_user_code(code: CodeType) -> bool:
    name = code.co_filename
    return not name.startswith(_LIBRARIES) and not name.startswith("<frozen")
