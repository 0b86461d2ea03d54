"""The questions that tapes of the user's own answer, from the user's own code."""

from __future__ import annotations

import functools
import inspect
import math
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from types import CodeType, FrameType
from typing import Any

import numpy as np
import tensorflow as tf

from tapemagic import codes
from tapemagic.diagnosis import Diagnosis
from tapemagic.lives import TapeLives
from tapemagic.log import SMALL, Handle, Large, Place, TapeLife
from tapemagic.mistakes import attach, explained
from tapemagic.recording import EagerTensor, Recorder, is_user_code, tensor_id
from tapemagic.replicas import replica
from tapemagic.sources import names_in, unwrapped
from tapemagic.tapes import CellTape
from tapemagic.tracing import line

METHODS = ("gradient", "jacobian", "batch_jacobian")
FIRST = 4  # calls from one place in the code that are kept, and the latest, and the first bad one
_DEEPEST = 12  # calls of the user's that tell ways apart
# The user's calls that led to a question, itself first: the id of the code (its hash would take
# longer), and how far it has come.
Way = tuple[tuple[int, int], ...]
_ROOM = 2_000  # entries that a loop may write before its old steps are dropped
_WHOLE = 2**16  # entries of an answer that are looked at for nan, of a given tensor that is kept
_NUMBERS = (int, float, complex, np.ndarray, np.generic)
_MOST_ALIVE = 2**26  # entries of tensors that are held for a diagnosis


@dataclass(eq=False)
class OwnCall:
    """One question: what was asked of which tape, from where, and what came back.

    `start` and `at` are the positions in the log before and after; `names` has the tensors and
    variables of the frame by name, `scope` what else may hold variables; `alive` keeps what a
    derivation or a diagnosis may need and the tape was about to let go.
    """

    method: str
    life: TapeLife
    place: Place
    arguments: tuple[Any, ...]
    named: Mapping[str, Any]
    start: int
    watched: frozenset[int]
    codes: Sequence[CodeType]
    on: Sequence[Sequence[int]] = ()
    at: int = 0
    answer: Any = None
    error: BaseException | None = None
    names: list[tuple[str, Any]] = field(default_factory=list)
    scope: Mapping[str, Any] = field(default_factory=dict)
    alive: tuple[Any, ...] = ()
    way: Way = ()
    number: int = 0  # which of the calls by this way, from 1
    ill: bool = False

    @cached_property
    def variables(self) -> Mapping[int, str]:
        """The names of variables by id; found out when they are asked for, not in the cell."""
        code, _ = self.place
        return names_in(self.scope, codes.looped(code.co_filename) if code is not None else ())

    def argument(self, position: int, name: str) -> Any:
        """An argument by position or name; None if it was not given."""
        if position < len(self.arguments):
            return self.arguments[position]
        return self.named.get(name)


class OwnCalls:
    """Between `start` and `stop`, keeps the calls; `first` is told before the first one."""

    def __init__(self, recorder: Recorder, lives: TapeLives, first: Callable[[], None]) -> None:
        self._recorder, self._log, self._lives, self._first = recorder, recorder.log, lives, first
        self.counts: dict[Way, int] = {}
        self._codes: dict[int, CodeType] = {}  # those that a way has the ids of
        self.library = 0
        self.in_graphs: list[tuple[str, str]] = []  # the compiled function, and how to see inside
        self.in_threads: list[str] = []
        self.in_replicas = 0
        self._at: dict[Way, list[OwnCall]] = {}
        self._originals: dict[str, Any] = {}
        self._base: FrameType | None = None  # nothing of the cell's lies beyond
        self._inside = threading.local()  # a question that asks others is one question
        self._loop: int | None = None  # from where a loop's old steps may be dropped
        self._written = 0

    @property
    def count(self) -> int:
        """How many questions of the user's were answered."""
        return sum(self.counts.values())

    @property
    def kept(self) -> list[OwnCall]:
        """The calls that are kept, in the order they were made."""
        return [call for call in self._log.calls if isinstance(call, OwnCall)]

    def notes(self) -> list[str]:
        """What was asked and is not explained, in a line each."""
        found = []
        if self.library:
            times = "once" if self.library == 1 else f"{self.library} times"
            found.append(f"a library asked tapes of its own {times}: that is not explained here")
        if self.in_threads:
            where = ", ".join(dict.fromkeys(self.in_threads))
            found.append(
                f"a tape was asked in another thread ({where}): what is recorded belongs to the "
                "cell's own; call the function in the cell itself to see it explained"
            )
        if self.in_replicas:
            found.append(
                "strategy.run called its function once for each replica, on its own part of the "
                "batch: replica 0 is shown. The derivatives of the others come about in the same "
                "way; strategy.reduce, all_reduce or the optimizer adds them up"
            )
        for name, remedy in dict(self.in_graphs).items():
            found.append(
                f"{name} is compiled (tf.function): the tape in it is asked while the graph is "
                "made, and answers with a place in the graph, not with a value, so nothing is "
                f"explained; {remedy} to see it"
            )
        return found

    def start(self) -> None:
        """Watch the three methods, for all tapes; `stop` undoes it."""
        self._base = sys._getframe(2)  # where the session is entered
        for name in METHODS:
            self._originals[name] = getattr(tf.GradientTape, name)
            setattr(tf.GradientTape, name, self._listening(name, self._originals[name]))

    def stop(self) -> None:
        """Put the methods back."""
        self._base = None
        while self._originals:
            setattr(tf.GradientTape, *self._originals.popitem())

    def _listening(self, method: str, original: Any) -> Any:
        @functools.wraps(original)
        def asked(tape: Any, *args: Any, **kwargs: Any) -> Any:
            frame = sys._getframe(1)
            if isinstance(tape, CellTape) or getattr(self._inside, "asked", False):
                return original(tape, *args, **kwargs)
            frame = _caller(frame)
            if not is_user_code(frame.f_code):
                self.library += 1
                return original(tape, *args, **kwargs)
            if not tf.executing_eagerly():
                self.in_graphs.append(_compiled(frame))
                return original(tape, *args, **kwargs)
            if not self._recorder.hears():
                self.in_threads.append(frame.f_code.co_name)
                return original(tape, *args, **kwargs)
            if replica() > 0:  # the first one speaks for all
                self.in_replicas += 1
                return original(tape, *args, **kwargs)
            try:
                if not self.counts:
                    self._first()
                call = self._before(method, tape, frame, args, kwargs)
                needed = self._matters(call)
            except Exception as error:  # noqa: BLE001 - a fault of ours must not cost the answer
                self._recorder.unreadable = f"a question could not be noted ({error})"
                return original(tape, *args, **kwargs)
            self._inside.asked = True
            try:
                with self._recorder.asked(call.place, needed):
                    call.answer = original(tape, *args, **kwargs)
            except BaseException as error:
                call.error = error
                with suppress(Exception):  # the user's error comes first
                    attach(error, self._explained(call, error))
                raise
            finally:
                self._inside.asked = False
                with suppress(Exception):  # as above
                    self._after(call)
            return call.answer

        return asked

    def _matters(self, call: OwnCall) -> bool:
        """Whether another tape may depend on the ops of the answer."""
        lives = self._log.lives
        kept = {id(c.life) for c in self._log.calls}
        lives[:] = [life for life in lives if life.alive or id(life) in kept or life is call.life]
        others = any(life.alive and life is not call.life for life in lives)
        return others or call.life.persistent or self._recorder.is_taped()

    def _explained(self, call: OwnCall, error: BaseException) -> Diagnosis | None:
        """What an error of the tape's means; the op that it is about is in the log."""
        kinds = [entry[0] for entry in self._log.raw]
        about = next((kind for kind in kinds if isinstance(kind, str) and kind in str(error)), "")
        at = self._log.raw[kinds.index(about)][4:6] if about else (None, 0)
        target = tf.nest.flatten(call.argument(0, "target"))
        numeric = any(isinstance(part, _NUMBERS) for part in target)
        left = self._log.escapes[-1].place if self._log.escapes else (None, 0)
        here, block = line(call.place), line(call.life.place)
        return explained(error, here, block, line(at), numeric, line(left))

    # -- around one call ---------------------------------------------------------------------

    def _before(
        self,
        method: str,
        tape: Any,
        frame: FrameType,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> OwnCall:
        place = frame.f_code, frame.f_lasti
        calling = self._calling(frame)
        codes, way = [self._codes[key] for key, _ in calling], calling[:_DEEPEST]
        number = self.counts[way] = self.counts.get(way, 0) + 1
        life, now = self._lives.of(tape), len(self._log.raw)
        variables = tape.watched_variables() if tape._tape is not None else ()
        watched = frozenset(tensor_id(unwrapped(variable)) or -1 for variable in variables)
        call = OwnCall(method, life, place, args, kwargs, now, watched, codes)
        call.on = tuple((first, min(last, now)) for first, last in life.on)
        call.number = number
        call.way = way
        earlier = self._at.get(way)
        if frame.f_code.co_flags & inspect.CO_NEWLOCALS:  # the cell's own names are known
            call.names = _tensors(frame)
        call.scope = _scope(frame) if earlier is None or number <= FIRST else earlier[0].scope
        call.alive = self._alive(call.on[0][0] if call.on else now)
        return call

    def _calling(self, frame: FrameType | None) -> Way:
        """From where in the user's code, and by which calls: a helper asked on six lines is asked
        six times, a loop asks again and again."""
        found, codes = [], self._codes
        while frame is not None and frame is not self._base:
            code = frame.f_code
            if is_user_code(code):
                codes.setdefault(id(code), code)
                found.append((id(code), frame.f_lasti))
            frame = frame.f_back
        return tuple(found)

    def _alive(self, first: int) -> tuple[Any, ...]:
        """What is large and still there, because the tape holds it."""
        found: list[Any] = []
        size = 0
        for _, inputs, _, outputs, _, _ in self._log.raw[first:] if self._log.large else ():
            for large in (*inputs, *outputs):
                tensor = large.reference() if isinstance(large, Large) else None
                if tensor is not None:
                    size += tensor._num_elements()
                    if size > _MOST_ALIVE:
                        return tuple(found)
                    found.append(tensor)
        return tuple(found)

    def _given(self, call: OwnCall) -> tuple[Any, ...]:
        """Of what is alive, what a derivation starts from, if it is of moderate size: the values
        of variables, what is watched, and all that does not depend on these."""
        moving = {key for key, _, _ in call.life.watched}
        starts = set(moving)
        for kind, inputs, _, outputs, _, _ in self._log.raw[call.on[0][0] if call.on else 0 :]:
            if kind == "ReadVariableOp":
                read = {t._id for t in outputs if t.dtype.is_floating}
                starts |= read
                moving |= read
            elif any(tensor._id in moving for tensor in inputs):
                moving.update(tensor._id for tensor in outputs)
        return tuple(
            tensor
            for tensor in call.alive
            if tensor._num_elements() <= _WHOLE
            and (tensor._id in starts or tensor._id not in moving)
        )

    def _after(self, call: OwnCall) -> None:
        call.at = len(self._log.raw)
        call.ill = call.error is None and _is_ill(call.answer)
        if not call.ill:
            call.alive = self._given(call)
        here = self._at.setdefault(call.way, [])
        if len(here) > FIRST and not (here[-1].ill and not any(c.ill for c in here[:-1])):
            self._log.calls.remove(here.pop())
        if call.number == FIRST + 1 and self._loop is None:
            self._loop = here[-1].at
        here.append(call)
        self._log.calls.append(call)
        if self._loop is not None and len(self._log.raw) - self._written > _ROOM:
            self._drop_old_steps(self._loop)
            self._written = len(self._log.raw)

    def _drop_old_steps(self, first: int) -> None:
        """A training loop's steps between the kept calls: nobody will ask for them again."""
        log, now = self._log, len(self._log.raw)
        needed = [(c.on[0][0], c.at) for c in self.kept if c.on and c.at > first]
        needed += [(life.on[0][0], life.on[-1][1]) for life in log.lives if life.alive and life.on]
        for start, end in _gaps(sorted(needed), first, now):
            log.drop(start, end)


def _caller(frame: FrameType) -> FrameType:
    """Who asks; AutoGraph calls on behalf of the code that it was made from."""
    while "tensorflow/python/autograph" in frame.f_code.co_filename and frame.f_back is not None:
        frame = frame.f_back
    return frame


def _compiled(frame: FrameType) -> tuple[str, str]:
    """The name of the compiled function, and what to call in its place."""
    name = frame.f_code.co_name.removeprefix("tf__")  # as AutoGraph calls what it makes of it
    if hasattr(frame.f_locals.get("self"), "compile"):
        return name, "use compile(run_eagerly=True)"
    return name, f"call {name}.python_function(…), or {name} without tf.function,"


def _gaps(needed: Sequence[tuple[int, int]], first: int, last: int) -> list[tuple[int, int]]:
    """What [first, last) has outside of the needed intervals, the last ones first."""
    found, at = [], first
    for start, end in needed:
        if start > at:
            found.append((at, min(start, last)))
        at = max(at, end)
        if at >= last:
            break
    if at < last:
        found.append((at, last))
    return found[::-1]


def _scope(frame: FrameType) -> dict[str, Any]:
    """What may hold variables among the names at a frame."""
    every = {**frame.f_globals, **frame.f_locals}
    return {
        name: value for name, value in every.items() if not isinstance(value, (EagerTensor, type))
    }


def _tensors(frame: FrameType) -> list[tuple[str, Any]]:
    """The names of the frame: a small tensor itself, of others what is remembered."""
    found: list[tuple[str, Any]] = []
    for name, value in frame.f_locals.items():
        if isinstance(value, EagerTensor):
            found.append((name, value if value._num_elements() <= SMALL else Large(value)))
        elif isinstance(value, tf.Variable):
            key = tensor_id(value)
            if key is not None:
                found.append((name, Handle(key)))
    return found


def _is_ill(answer: Any) -> bool:
    """Whether some of it is None, not finite, or all of it is zero."""
    plain = type(answer) is list and all(type(part) is EagerTensor for part in answer)
    parts = answer if plain else tf.nest.flatten(answer)
    return not parts or any(part is None or _is_bad(part) for part in parts)


def _is_bad(part: Any) -> bool:
    if type(part) is not EagerTensor:
        part = getattr(part, "values", None)  # of `IndexedSlices`
    if part is None or part._num_elements() > _WHOLE:
        return False
    try:
        array = part._numpy()
    except Exception:  # noqa: BLE001 - a dtype that NumPy does not have
        return False
    if array.dtype.kind in "iub":
        return False
    if array.size <= SMALL:  # in a training step nothing of NumPy's is at hand
        return not 0.0 < sum(map(abs, array.ravel().tolist())) < math.inf
    return not np.all(np.isfinite(array)) or not np.any(array)
