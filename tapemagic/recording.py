"""Recording: every eager op that runs is written down, through TensorFlow's op callbacks.

The only module that knows these private parts of TensorFlow: `op_callbacks` (every op),
`record.record_operation` (ops whose derivative the tape is handed: custom gradients, compiled
functions), `backprop._gradient_function` (an op's registered derivative) and a variable's
`_handle`. A test watches their signatures; without them values still come, only no derivation.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import sys
import sysconfig
import threading
from bisect import bisect
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import CodeType, FrameType
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python import pywrap_tfe
from tensorflow.python.eager import context, record
from tensorflow.python.framework import op_callbacks, tensor_util
from tensorflow.python.framework.ops import EagerTensor as EagerTensor
from tensorflow.python.ops.gen_resource_variable_ops import read_variable_op
from tensorflow.python.ops.resource_variable_ops import BaseResourceVariable

from tapemagic import graphs
from tapemagic.log import SMALL, Escape, Handle, Log, Place
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
_DIRECT = 12  # calls; by a longer way, through a layer, code of the user's may lie in between
_FUNCTIONS = 256  # compiled ones whose graphs are kept
_ANSWERS = 4096
_SHAPES_ONLY = {"shape", "ndim", "size", "ones_like", "zeros_like", "empty_like", "full_like"}
_EXITS = ("numpy", "__array__", "__float__", "__int__", "__complex__", "__bool__", "__index__")
_FOLDS = tensor_util.constant_value.__code__  # a graph takes what it captures for a constant


# A variable was asked for its handle by code in a frame, when a number was drawn: the tensor that
# TensorFlow makes next has a higher one as its id.
Touch = tuple[int, Any, FrameType]
# A property in the place of every variable's `_handle` tells these lists, one a recorder.
_listening: list[list[Touch]] = []
_HANDLE = BaseResourceVariable.handle  # by way of this Python code asks: none of our business


def _asked_for_handle(variable: Any) -> Any:
    touch = pywrap_tfe.TFE_Py_UID(), variable, sys._getframe(1)
    for touched in _listening:
        touched.append(touch)
    return variable.__dict__["_handle"]


def _handle(variable: Any) -> Any:
    return variable.__dict__["_handle"]


def _set_handle(variable: Any, value: Any) -> None:
    variable.__dict__["_handle"] = value


class Recorder:
    """Writes down what runs between `start` and `stop`, in this thread; `trace` reads it out."""

    def __init__(self) -> None:
        self.log = Log()
        # Where the user's frame was found lately for an op of that type: how deep, in what code,
        # and the library's code that it calls.
        self._places: dict[str, tuple[tuple[int, CodeType, CodeType], ...]] = {}
        self._touched: list[Touch] = []
        self._kept_entries = 0
        self._first_reads: list[Any] = []
        self._last_reads: deque[Any] = deque(maxlen=_LATEST)
        self._asked_at: list[Any] = []
        self._callback: Callable[..., None] | None = None
        self._undo: list[Callable[[], None]] = []
        self.note = self._made_note()
        self.unreadable = ""  # why nothing could be recorded, if so

    def trace(self, functions: Collection[CodeType] = ()) -> Trace:
        """All that was recorded, as data; the local names of `functions` name values too."""
        return Tracer(self.log, _user_files.__getitem__).trace(functions)

    # -- start and stop --------------------------------------------------------------------

    def start(self) -> None:
        """Begin to record. Leaves a plain reason in `unreadable` if TensorFlow will not let us."""
        try:
            self._callback = callback = self._made_callback()
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
        They are asked for their handle then, by the very frame that goes on to run the op."""
        if not _listening:
            BaseResourceVariable._handle = property(_asked_for_handle, _set_handle)
            BaseResourceVariable.handle = property(_handle)
        _listening.append(self._touched)

        def restore() -> None:
            _listening[:] = [touched for touched in _listening if touched is not self._touched]
            self._touched.clear()
            if not _listening:
                del BaseResourceVariable._handle
                BaseResourceVariable.handle = _HANDLE

        self._undo.append(restore)

    def _watch_escapes(self) -> None:
        """Values that leave for Python or NumPy: `float(x)`, `x.numpy()`, `if x > 0:` …; a log
        of its own."""
        thread = threading.get_ident()

        def watched(name: str, original: Any) -> Any:
            @functools.wraps(original)
            def leaving(tensor: Any, *args: Any, **kwargs: Any) -> Any:
                frame = sys._getframe(1)
                if threading.get_ident() == thread and not _is_folding(frame):
                    place = self.place(frame)
                    at = len(self.log.raw)
                    self.log.escapes.append(Escape(at, name.strip("_"), tensor._id, place))
                return original(tensor, *args, **kwargs)

            return leaving

        for name in _EXITS:
            owner = next(base for base in EagerTensor.__mro__ if name in vars(base))
            original = vars(owner)[name]
            setattr(owner, name, watched(name, original))
            self._undo.append(functools.partial(setattr, owner, name, original))
        self._watch_numpy()

    def _watch_numpy(self) -> None:
        """NumPy's functions read a tensor's memory unseen, but ask its type first whether it has
        its own version of them."""
        if hasattr(EagerTensor, "__array_function__"):
            return
        thread = threading.get_ident()

        def __array_function__(
            tensor: Any, function: Any, types: Any, args: Any, kwargs: Any
        ) -> Any:
            if function.__name__ not in _SHAPES_ONLY and threading.get_ident() == thread:
                place, at = self.place(sys._getframe(1)), len(self.log.raw)
                for part in tf.nest.flatten((args, kwargs)):
                    if isinstance(part, EagerTensor) and part.dtype.is_floating:
                        self.log.escapes.append(Escape(at, "NumPy", part._id, place))
            return function._implementation(*args, **kwargs)

        EagerTensor.__array_function__ = __array_function__
        self._undo.append(functools.partial(delattr, EagerTensor, "__array_function__"))

    # -- while the cell runs: every microsecond here is paid per op ---------------------------

    def _made_callback(self) -> Callable[..., None]:
        """What TensorFlow calls after each op. A closure: names are looked up once, not per op."""
        log, touched, asked_at = self.log, self._touched, self._asked_at
        write, places = log.raw.append, self._places
        frame_at, size, special = sys._getframe, EagerTensor._num_elements, _special

        def on_op(
            op_type: str,
            inputs: Sequence[Any],
            attrs: Any,
            outputs: Sequence[Any],
            op_name: str | None = None,
            graph: Any = None,
        ) -> None:
            if graph is not None:
                return
            if touched:
                self._reads_in_c(inputs, frame_at(1))
            # Some callers go on to change the lists that they pass: TensorArray does.
            inputs, outputs = tuple(inputs), tuple(outputs)
            try:
                for tensor in (*inputs, *outputs):
                    if size(tensor) > SMALL:
                        inputs, outputs = log.kept(inputs), log.kept(outputs)
                        break
            except TypeError:  # an op inside a graph that came without one
                return
            if asked_at and op_type[:2] != "__":  # the backward ops of a question
                write((op_type, inputs, attrs, outputs, *asked_at))
                return
            for depth, code, called in places.get(op_type, ()):
                try:
                    frame = frame_at(depth)
                    # The same way as one of the last times?
                    if frame.f_code is code and frame_at(depth - 1).f_code is called:
                        write((op_type, inputs, attrs, outputs, code, frame.f_lasti))
                        return
                except ValueError:  # the stack is not so deep
                    pass
            if special[op_type]:
                self._on_special(op_type, inputs)
            place = asked_at or self._place(op_type, frame_at(1))
            write((op_type, inputs, attrs, outputs, *place))

        return on_op

    def _place(self, op_type: str, frame: FrameType | None) -> tuple[CodeType | None, int]:
        """The innermost frame of the user's: its code, and how far it has come."""
        depth, called, is_users = 1, None, _user_files
        while frame is not None:
            code = frame.f_code
            if is_users[code.co_filename]:
                # What is special must not take the callback's short way.
                if called is not None and depth <= _DIRECT and not _special[op_type]:
                    others = self._places.get(op_type, ())[: _WAYS - 1]
                    self._places[op_type] = (depth, code, called), *others
                return code, frame.f_lasti
            frame, depth, called = frame.f_back, depth + 1, code
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
        tape can depend on them, they are not `needed`, and TensorFlow does not report them."""
        local, before = context.context()._thread_local_data, self._asked_at[:]
        callbacks = local.op_callbacks
        if not needed:
            local.op_callbacks = [other for other in callbacks if other is not self._callback]
        self._asked_at[:] = place
        try:
            yield
        finally:
            local.op_callbacks = callbacks
            self._asked_at[:] = before

    def silent(self) -> AbstractContextManager[None]:
        """Ops in here are not written down."""
        return self.asked((None, 0), needed=False)

    def _reads_in_c(self, inputs: Sequence[Any], frame: FrameType) -> None:
        """Which of the unreported inputs are variables, read in C, and which are constants."""
        touches = [touch for touch in self._touched if touch[2] is frame]
        self._touched.clear()
        try:
            for variable, found in _made_after(touches, inputs):
                for read in self._reads_among(found, variable):
                    self._read(variable.__dict__["_handle"]._id, read)
        except Exception as error:  # noqa: BLE001 - the user's op has run, and is not to fail
            self.unreadable = f"a read of a variable could not be followed ({error})"

    def _reads_among(self, found: list[Any], variable: Any) -> list[Any]:
        """The reads: TensorFlow also asks for the dtype that a constant needs, and makes that."""
        if len(found) > 1:
            alike = variable.dtype, variable.shape
            found = [tensor for tensor in found if (tensor.dtype, tensor.shape) == alike]
        if len(found) < 2:
            return found
        with self.silent(), record.stop_recording():
            now = read_variable_op(variable.__dict__["_handle"], variable.dtype)
        shared = [tensor for tensor in found if _address(tensor) == _address(now)]
        # A variable that was assigned to in part gives a copy to each read.
        return shared or [t for t in found if np.array_equal(t._numpy(), now._numpy())]

    def _read(self, handle: int, tensor: Any) -> None:
        read = self.log.kept([tensor])
        self.log.raw.append(("ReadVariableOp", (Handle(handle),), None, read, None, 0))

    def _on_special(self, op_type: str, inputs: Sequence[Any]) -> None:
        if op_type in _SHARES:
            pywrap_tfe.TFE_ClearScalarCache()
            return
        # `vectorized_map` makes a new function each time: a loop is not to keep them all.
        if len(self.log.functions) < _FUNCTIONS and graphs.function_name(op_type) is not None:
            with contextlib.suppress(Exception):  # without its graph a call stays one op
                graphs.definitions(op_type, self.log.functions)
        self._read_captures(inputs)

    def _read_captures(self, inputs: Sequence[Any]) -> None:
        """The variables that a compiled function reads, as they are at this call."""
        reads: dict[int, int] = {}
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
        """`name` now stands for `value`, which may be an eager tensor or a variable."""
        key = tensor_id(value)
        if isinstance(value, EagerTensor):
            self.note(name, value, code, offset)
        elif key is not None:
            self.log.bindings.append((len(self.log.raw), name, Handle(key), code, offset))

    def _made_note(self) -> Callable[[str, Any, CodeType | None, int], None]:
        """`bind` for what is an eager tensor; a closure, as the callback is."""
        log, size = self.log, EagerTensor._num_elements

        def note(name: str, value: Any, code: CodeType | None, offset: int) -> None:
            held = value if size(value) <= SMALL else log.kept([value])[0]
            log.bindings.append((len(log.raw), name, held, code, offset))

        return note

    def widest(self) -> int:
        """The entries of the largest tensor that an op made."""
        sizes = (math.prod(t.shape) for entry in self.log.raw for t in entry[3])
        return max(sizes, default=0)

    def hears(self) -> bool:
        """Whether ops of this thread are reported: of replicas' threads they are."""
        heard = getattr(context.context(), "op_callbacks", ())
        return any(one is self._callback for one in heard)

    def untouched(self) -> None:
        """The variables' handles were asked for by us."""
        self._touched.clear()

    def used(self, key: int | None) -> bool:
        """Whether an op has read the tensor with this id so far."""
        return any(key == tensor._id for entry in self.log.raw for tensor in entry[1])


def _is_special(op_type: str | bytes) -> bool:
    """Whether the callback has more to do: an op takes variables' handles and no `ReadVariableOp`
    tells of it, or gives a variable its value."""
    # Some of TensorFlow's Python wrappers pass an op type as bytes.
    name = op_type.decode() if isinstance(op_type, bytes) else op_type
    special = name in GATHERS or name in _SHARES
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


def _made_after(touches: Sequence[Touch], inputs: Sequence[Any]) -> Iterator[tuple[Any, list[Any]]]:
    """For each variable, what TensorFlow made right after it had asked for the handle: the reads,
    or a constant whose dtype it wanted to know."""
    drawn = [number for number, _, _ in touches]
    first: dict[int, Any] = {}
    for tensor in inputs:
        at = bisect(drawn, tensor._id) - 1
        if at >= 0 and (at not in first or tensor._id < first[at]._id):
            first[at] = tensor
    for variable in {id(variable): variable for _, variable, _ in touches}.values():
        yield variable, [first[at] for at in first if touches[at][1] is variable]


def _is_folding(frame: FrameType) -> bool:
    """Whether TensorFlow itself looks a tensor's value up while it makes a graph; eagerly it
    decides by it (`tf.cond` of TensorFlow 2.16)."""
    above = frame.f_back
    made = frame.f_code is _FOLDS and not context.executing_eagerly()
    return made and (above is None or not is_user_code(above.f_code))


def _address(tensor: Any) -> object:
    """Where the numbers of an eager tensor are; without a buffer (bfloat16), the numbers."""
    try:
        return np.asarray(memoryview(tensor)).ctypes.data
    except (TypeError, ValueError, BufferError):
        return tensor._numpy().tobytes()


def is_user_code(code: CodeType) -> bool:
    """Whether code is neither a library's nor Python's nor ours."""
    return _user_files[code.co_filename]


class _Remembered(dict[Any, bool]):
    """A question's answers, at a dictionary's speed: it is asked for each op, or each frame above
    it. Names of cells and of functions are new for ever, so that old ones are forgotten."""

    def __init__(self, question: Callable[[Any], bool]) -> None:
        self._question = question

    def __missing__(self, key: Any) -> bool:
        if len(self) > _ANSWERS:
            self.clear()
        found = self[key] = self._question(key)
        return found


_user_files = _Remembered(
    lambda name: not name.startswith(_LIBRARIES) and not name.startswith("<frozen")
)
_special = _Remembered(_is_special)
