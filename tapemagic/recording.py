"""Recording: every eager op that runs is written down, through TensorFlow's op callbacks.

The only module that knows these private parts of TensorFlow: `op_callbacks` (every op),
`record.record_operation` (ops whose derivative the tape is handed: custom gradients, compiled
functions), `backprop._gradient_function` (an op's registered derivative) and a variable's
`_handle`. A test watches their signatures; without them values still come, only no derivation.
"""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python import pywrap_tfe
from tensorflow.python.eager import context, record
from tensorflow.python.framework import op_callbacks
from tensorflow.python.framework.ops import EagerTensor as EagerTensor
from tensorflow.python.ops.gen_resource_variable_ops import read_variable_op
from tensorflow.python.ops.resource_variable_ops import BaseResourceVariable

from tapemagic import graphs
from tapemagic.log import SMALL, Escape, Handle, Log, Place, kept
from tapemagic.trace import Trace
from tapemagic.tracing import GATHERS, Given, Tracer

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
# A variable takes over the memory of its value, which may be TensorFlow's cached 3.0: with the
# cache emptied, a literal 3.0 in the cell is not mistaken for a read of the variable.
_SHARES = {"VarHandleOp", "AssignVariableOp"}
_MOST_KEPT = 2**22  # entries of the reads for compiled functions that are kept
_LATEST = 64  # of the reads after these
_WAYS = 3  # from one user function to one type of op, that are remembered
_EXITS = ("numpy", "__array__", "__float__", "__int__", "__complex__")


class Recorder:
    """Writes down what runs between `start` and `stop`, in this thread; `trace` reads it out."""

    def __init__(self) -> None:
        self.log = Log()
        # Where the user's frame was found lately for an op of that type: how deep, in what code.
        self._places: dict[str, tuple[tuple[int, CodeType], ...]] = {}
        self._touched: list[tuple[int, Any]] = []
        self._memory: dict[int, object] = {}  # where a variable's numbers are, until it is assigned
        self._hearing: Any = None
        self._muted: list[bool] = []
        self._kept_entries = 0
        self._first_reads: list[Any] = []
        self._last_reads: deque[Any] = deque(maxlen=_LATEST)
        self._asked_at: list[Any] = []
        self._undo: list[Callable[[], None]] = []
        self.unreadable = ""  # why nothing could be recorded, if so

    def trace(self, functions: Collection[CodeType] = ()) -> Trace:
        """All that was recorded, as data; the local names of `functions` name values too."""
        return Tracer(self.log).trace(functions)

    # -- start and stop --------------------------------------------------------------------

    def start(self) -> None:
        """Begin to record. Leaves a plain reason in `unreadable` if TensorFlow will not let us."""
        try:
            callback = self._hearing = self._callback()
            op_callbacks.add_op_callback(callback)
            self._undo.append(lambda: op_callbacks.remove_op_callback(callback))
            for name in ("record_operation", "record_operation_backprop_only"):
                self._wrap_record(name)
            self._watch_handles()
            self._watch_escapes()
            pywrap_tfe.TFE_ClearScalarCache()
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
        before = vars(BaseResourceVariable).get("_handle")  # of a cell around this one

        def handle(variable: Any) -> Any:
            found = before.fget(variable) if before else variable.__dict__["_handle"]
            if threading.get_ident() == thread:
                touched.append((found._id, variable))
            return found

        def set_handle(variable: Any, value: Any) -> None:
            variable.__dict__["_handle"] = value

        BaseResourceVariable._handle = property(handle, set_handle)

        def restore() -> None:
            if before is None:
                del BaseResourceVariable._handle
            else:
                BaseResourceVariable._handle = before

        self._undo.append(restore)

    def _watch_escapes(self) -> None:
        """Values that leave for Python or NumPy: `float(x)`, `x.numpy()` …; a log of its own."""
        thread = threading.get_ident()

        def watched(name: str, original: Any) -> Any:
            @functools.wraps(original)
            def leaving(tensor: Any, *args: Any, **kwargs: Any) -> Any:
                if tensor.dtype.is_floating and threading.get_ident() == thread:
                    place = self.place(sys._getframe(1))
                    at = len(self.log.raw)
                    self.log.escapes.append(Escape(at, name.strip("_"), tensor._id, place))
                return original(tensor, *args, **kwargs)

            return leaving

        for name in _EXITS:
            owner = next(base for base in EagerTensor.__mro__ if name in vars(base))
            original = vars(owner)[name]
            setattr(owner, name, watched(name, original))
            self._undo.append(functools.partial(setattr, owner, name, original))

    # -- while the cell runs: every microsecond here is paid per op ---------------------------

    def _callback(self) -> Callable[..., None]:
        """What TensorFlow calls after each op. A closure: names are looked up once, not per op."""
        write, touched = self.log.raw.append, self._touched
        muted, asked_at = self._muted, self._asked_at
        places, frame_at = self._places, sys._getframe

        def on_op(
            op_type: str,
            inputs: Sequence[Any],
            attrs: Any,
            outputs: Sequence[Any],
            op_name: str | None = None,
            graph: Any = None,
        ) -> None:
            if muted or graph is not None:
                return
            if asked_at and op_type[:2] != "__":  # the backward ops of a question
                inputs, outputs = kept(inputs), kept(outputs)
                write((op_type, inputs, attrs, outputs, *asked_at))
                touched.clear()
                return
            # Some callers go on to change the lists that they pass: TensorArray does.
            inputs, outputs = tuple(inputs), tuple(outputs)
            try:
                for tensor in (*inputs, *outputs):
                    if tensor._num_elements() > SMALL:
                        inputs, outputs = kept(inputs), kept(outputs)
                        break
            except AttributeError:  # an op inside a graph that came without one
                return
            if touched:
                self._reads_in_c(op_type, inputs)
            for depth, code in places.get(op_type, ()):
                try:
                    frame = frame_at(depth)
                    if frame.f_code is code:  # the same way as one of the last times
                        write((op_type, inputs, attrs, outputs, code, frame.f_lasti))
                        return
                except ValueError:  # the stack is not so deep
                    pass
            if _is_special(op_type):
                self._on_special(op_type, inputs)
            place = asked_at or self._place(op_type, frame_at(1))
            write((op_type, inputs, attrs, outputs, *place))

        return on_op

    def _place(self, op_type: str, frame: FrameType | None) -> tuple[CodeType | None, int]:
        """The innermost frame of the user's: its code, and how far it has come."""
        depth = 1
        while frame is not None:
            code = frame.f_code
            if is_user_code(code):
                if not _is_special(op_type):  # else the callback must not take the short way
                    others = self._places.get(op_type, ())[: _WAYS - 1]
                    self._places[op_type] = (depth, code), *others
                return code, frame.f_lasti
            frame, depth = frame.f_back, depth + 1
        return None, 0

    def place(self, frame: FrameType | None) -> Place:
        """The innermost place of the user's at or above this frame."""
        while frame is not None:
            if is_user_code(frame.f_code):
                return frame.f_code, frame.f_lasti
            frame = frame.f_back
        return None, 0

    def is_taped(self) -> bool:
        """Whether any tape is recording now."""
        return bool(record.could_possibly_record())

    @contextmanager
    def asked(self, place: Place, needed: bool) -> Iterator[None]:
        """Around the answer of a tape: its ops belong to the line that asked. Where no further
        tape can depend on them, they are not `needed`."""
        before = self._asked_at[:], self._muted[:]
        self._asked_at[:] = place
        self._muted[:] = [] if needed else [True]
        try:
            yield
        finally:
            self._asked_at[:], self._muted[:] = before
            self._touched.clear()

    def _reads_in_c(self, op_type: str, inputs: Sequence[Any]) -> None:
        """Which of the unreported inputs are variables, read in C, and which are constants: a
        read shares the variable's memory."""
        try:
            if op_type != "ReadVariableOp":  # which takes the handle itself
                self._reads_of(op_type, self._touched[:], inputs)
        except Exception as error:  # noqa: BLE001 - the user's op has run, and is not to fail
            self.unreadable = f"a read of a variable could not be followed ({error})"
        self._touched.clear()

    def _reads_of(
        self, op_type: str, touches: Sequence[tuple[int, Any]], inputs: Sequence[Any]
    ) -> None:
        touched = dict(touches)
        own = [tensor._id for tensor in inputs if tensor._id in touched]
        if own:  # a variable's own ops take the handle itself
            if op_type != "ReadVariableOp":
                for handle in own:
                    self._memory.pop(handle, None)
            return
        known = self.log.settle()
        new = [t for t in inputs if t._id not in known and isinstance(t, EagerTensor)]
        if not new:
            return
        sizes = {variable.shape.num_elements() for variable in touched.values()}
        new = [tensor for tensor in new if tensor._num_elements() in sizes]
        if not new:
            return
        places = {handle: self._memory_of(handle, touched[handle]) for handle in touched}
        reads = [(t, place) for t in new for place in [_address(t)] if place in places.values()]
        # Two variables may share their memory (both begin as 2.0): the turns tell them apart.
        turns = _turns([handle for handle, _ in touches], len(reads))
        in_turn = [places.get(handle) for handle in turns] == [place for _, place in reads]
        for turn, (tensor, place) in enumerate(reads):
            first = next(handle for handle in places if places[handle] == place)
            self._read(turns[turn] if in_turn else first, tensor)
        if not reads and len(touched) == 1:
            self._read_copy(*touches[-1], new)

    def _memory_of(self, handle: int, variable: Any) -> object:
        if handle not in self._memory:
            self._memory[handle] = _address(self._own_read(variable))
        return self._memory[handle]

    def _own_read(self, variable: Any) -> Any:
        """A read for us, which leaves no trace."""
        self._muted.append(True)
        try:
            with record.stop_recording():
                return read_variable_op(variable.handle, variable.dtype)
        finally:
            self._muted.pop()

    def _read_copy(self, handle: int, variable: Any, new: Sequence[Any]) -> None:
        """A variable that was assigned to in part gives a copy to each read."""
        same = [t for t in new if t.shape == variable.shape and t.dtype == variable.dtype]
        if len(same) != 1:
            return
        read, other = self._own_read(variable), self._own_read(variable)
        if _address(read) != _address(other) and np.array_equal(same[0]._numpy(), read._numpy()):
            self._read(handle, same[0])

    def _read(self, handle: int, tensor: Any) -> None:
        self.log.raw.append(("ReadVariableOp", (Handle(handle),), None, kept([tensor]), None, 0))

    def _on_special(self, op_type: str, inputs: Sequence[Any]) -> None:
        if op_type in _SHARES:
            pywrap_tfe.TFE_ClearScalarCache()
        else:
            self._read_captures(inputs)

    def _read_captures(self, inputs: Sequence[Any]) -> None:
        """The variables that a compiled function reads, as they are at this call."""
        reads: dict[int, int] = {}
        self._memory.clear()  # a compiled function may assign to what it captured
        try:
            with record.stop_recording():
                for handle in inputs:
                    if handle.dtype == tf.resource and getattr(handle, "_handle_data", None):
                        dtype = tf.as_dtype(handle._handle_data.shape_and_type[0].dtype)
                        read = tf.raw_ops.ReadVariableOp(resource=handle, dtype=dtype)
                        self._read(handle._id, read)
                        reads[handle._id] = read._id
                        self._keep(read)
        except Exception as error:  # noqa: BLE001 - as above
            self.unreadable = f"a read of a variable could not be followed ({error})"
        self.log.function_reads[len(self.log.raw)] = reads

    def _keep(self, read: Any) -> None:
        """Our own reads would be gone at once: the first ones are kept, and the latest."""
        size = read._num_elements()
        if size > _MOST_KEPT:
            return
        self._kept_entries += size
        if self._kept_entries <= _MOST_KEPT:
            self._first_reads.append(read)
        else:
            self._last_reads.append(read)

    def _on_given(self, op_type: str, outputs: Any, inputs: Any, backward: Any) -> Any:
        if not outputs or not all(isinstance(t, EagerTensor) for t in (*outputs, *inputs)):
            return backward
        given = Given(len(self.log.raw), op_type, outputs, inputs, backward)
        for key, tensor in given.tensors.items():
            self.log.tensors.setdefault(key, tensor)
        self.log.given.append(given)
        return given

    def bind(self, name: str, value: Any, code: CodeType | None = None, offset: int = 0) -> None:
        """`name` now stands for the eager tensor or variable `value`."""
        key = tensor_id(value)
        if key is None:
            return
        if isinstance(value, EagerTensor):
            self.log.bind(
                name, value if value._num_elements() <= SMALL else kept([value])[0], code, offset
            )
        else:
            self._touched.clear()  # asking for a variable's id has touched it
            self.log.bind(name, Handle(key), code, offset)

    def widest(self) -> int:
        """The entries of the largest tensor that an op made."""
        sizes = (t.shape.num_elements() or 0 for entry in self.log.raw for t in entry[3])
        return max(sizes, default=0)

    def hears(self) -> bool:
        """Whether ops of this thread are reported: of replicas' threads they are."""
        heard = getattr(context.context(), "op_callbacks", ())
        return any(one is self._hearing for one in heard)

    def untouched(self) -> None:
        """The variables' handles were asked for by us."""
        self._touched.clear()

    def used(self, key: int | None) -> bool:
        """Whether an op has read the tensor with this id so far."""
        return any(key == tensor._id for entry in self.log.raw for tensor in entry[1])


def _is_special(op_type: str) -> bool:
    """Whether the callback has more to do: an op takes variables' handles and no `ReadVariableOp`
    tells of it, or gives a variable its value."""
    special = op_type in GATHERS or op_type in _SHARES
    return special or graphs.function_name(op_type) is not None


def tensor_id(value: Any) -> int | None:
    """The process-wide id of an eager tensor, or of a variable's handle; None for all else.

    Keras variables wrap one of TensorFlow's.
    """
    if isinstance(value, EagerTensor):
        return int(value._id)
    if not isinstance(value, tf.Variable):  # a user's object may have a handle of its own
        return None
    try:
        key = value.handle._id
    except Exception:  # noqa: BLE001 - distributed variables have one handle a replica
        return None
    return key if isinstance(key, int) else None


def _turns(touched: Sequence[int], count: int) -> list[int]:
    """Which variable each of the last `count` reads in C was: each asks for the handle twice, and
    once more for every tape that records."""
    for each in range(12, 1, -1):
        last = touched[len(touched) - each * count :] if len(touched) >= each * count else ()
        turns = [last[i : i + each] for i in range(0, len(last), each)]
        if turns and all(len(set(turn)) == 1 for turn in turns):
            return [turn[0] for turn in turns]
    return []


def _address(tensor: Any) -> object:
    """Where the numbers of an eager tensor are; without a buffer (bfloat16), the numbers."""
    try:
        return np.asarray(memoryview(tensor)).ctypes.data
    except (TypeError, ValueError, BufferError):
        return tensor._numpy().tobytes()


def is_user_code(code: CodeType) -> bool:
    """Whether code is neither a library's nor Python's nor ours."""
    return _is_user_file(code.co_filename)


@lru_cache(maxsize=4096)
def _is_user_file(name: str) -> bool:
    return not name.startswith(_LIBRARIES) and not name.startswith("<frozen")
