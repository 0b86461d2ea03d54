"""What every tape does while a cell runs: when it records, what it watches, when it stops."""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from tapemagic.log import OPEN, Place, Stop, TapeLife
from tapemagic.recording import Recorder, tensor_id
from tapemagic.sources import unwrapped


class TapeLives:
    """Between `start` and `stop`, writes the lives of all tapes into the recorder's log."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder, self._log = recorder, recorder.log
        self._of: weakref.WeakKeyDictionary[Any, TapeLife] = weakref.WeakKeyDictionary()
        self._undo: list[Callable[[], None]] = []

    def start(self) -> None:
        """Follow the tapes from here on; `stop` undoes it."""
        for name in ("_push_tape", "_pop_tape", "watch", "stop_recording", "reset"):
            original = getattr(tf.GradientTape, name)
            made = functools.wraps(original)(getattr(self, f"_{name.strip('_')}")(original))
            setattr(tf.GradientTape, name, made)
            self._undo.append(functools.partial(setattr, tf.GradientTape, name, original))

    def stop(self) -> None:
        """Put the methods back."""
        while self._undo:
            self._undo.pop()()

    def of(self, tape: Any) -> TapeLife:
        """The life of a tape; one that we meet only now has recorded since before the cell."""
        life = self._of.get(tape)
        if life is None:
            life = self._born(tape, (None, 0))
            life.early = True
            if tape._recording:
                life.on.append([0, OPEN])
        return life

    def _born(self, tape: Any, place: Place) -> TapeLife:
        accessed = getattr(tape, "_watch_accessed_variables", True)
        life = TapeLife(weakref.ref(tape), bool(tape._persistent), bool(accessed), place)
        self._of[tape] = life
        self._log.lives.append(life)
        return life

    def _here(self) -> Place:
        return self._recorder.place(sys._getframe(2))

    # -- the methods -------------------------------------------------------------------------

    def _push_tape(self, original: Any) -> Any:
        def push(tape: Any) -> Any:
            found = original(tape)
            life = self._of.get(tape) or self._born(tape, self._here())
            life.on.append([len(self._log.raw), OPEN])
            return found

        return push

    def _pop_tape(self, original: Any) -> Any:
        def pop(tape: Any) -> Any:
            found = original(tape)
            life = self.of(tape)
            if life.on and life.on[-1][1] == OPEN:
                life.on[-1][1] = len(self._log.raw)
            return found

        return pop

    def _watch(self, original: Any) -> Any:
        def watch(tape: Any, tensor: Any) -> Any:
            found = original(tape, tensor)
            at, place = len(self._log.raw), self._here()
            for part in tf.nest.flatten(tensor, expand_composites=True):
                key = tensor_id(unwrapped(part))
                if key is not None:
                    self.of(tape).watched.append((key, at, place))
            return found

        return watch

    def _stop_recording(self, original: Any) -> Any:
        @contextmanager
        def stopped(tape: Any) -> Iterator[None]:
            first, place = len(self._log.raw), self._recorder.place(sys._getframe(2))
            try:
                with original(tape):
                    yield
            finally:
                stop = Stop("stop_recording", first, len(self._log.raw), place)
                self.of(tape).stops.append(stop)

        return stopped

    def _reset(self, original: Any) -> Any:
        def reset(tape: Any) -> Any:
            found = original(tape)
            life, now = self.of(tape), len(self._log.raw)
            life.stops.append(Stop("reset", 0, now, self._here()))
            life.on = [[now, OPEN]]
            life.watched.clear()
            return found

        return reset
