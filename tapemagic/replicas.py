"""Replicas of a distribution strategy: each runs the user's function in a thread of its own, one
after the other. A tape around `strategy.run` records nothing of what runs there."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

from tapemagic.log import OPEN, Stop, TapeLife
from tapemagic.recording import Recorder
from tapemagic.sources import unwrapped


def replica() -> int:
    """Which replica this code runs in, from 0; 0 outside of all."""
    context = tf.distribute.get_replica_context()
    number = getattr(context, "_replica_id_in_sync_group", 0)  # the public one makes a tensor
    return number if isinstance(number, int) else 0


def mirrored(sources: Iterable[Any]) -> str:
    """What to say of sources of which each replica has a copy of its own; "" where none is."""
    if not any(
        isinstance(unwrapped(source), tf.distribute.DistributedValues) for source in sources
    ):
        return ""
    return (
        "each replica has a copy of its own of a mirrored variable: asked outside of strategy.run, "
        "a tape answers for the copy of replica 0, and for its part of the batch"
    )


class Replicas:
    """Between `start` and `stop`, writes into the lives of tapes what they miss."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder, self._log = recorder, recorder.log
        self._undo: list[Callable[[], None]] = []

    def start(self) -> None:
        """Follow `strategy.run` from here on; `stop` undoes it."""
        strategy = tf.distribute.Strategy
        owner = next(base for base in strategy.__mro__ if "run" in vars(base))
        original = vars(owner)["run"]

        @functools.wraps(original)
        def run(strategy: Any, fn: Any, *args: Any, **kwargs: Any) -> Any:
            if not tf.executing_eagerly() or not self._recorder.hears():
                return original(strategy, fn, *args, **kwargs)
            first, place = len(self._log.raw), self._recorder.place(sys._getframe(1))
            open_ = [life for life in self._log.lives if _is_open(life)]
            try:
                return original(strategy, fn, *args, **kwargs)
            finally:
                if _has_threads(strategy, fn):
                    for life in open_:
                        self._cut(life, Stop("strategy.run", first, len(self._log.raw), place))

        owner.run = run
        self._undo.append(lambda: setattr(owner, "run", original))

    def stop(self) -> None:
        """Put it back."""
        while self._undo:
            self._undo.pop()()

    def _cut(self, life: TapeLife, stop: Stop) -> None:
        if _is_open(life) and stop.first < stop.last:
            life.on[-1][1] = stop.first
            life.on.append([stop.last, OPEN])
            life.stops.append(stop)


def _is_open(life: TapeLife) -> bool:
    return bool(life.on) and life.on[-1][1] == OPEN


def _has_threads(strategy: Any, fn: Any) -> bool:
    """Whether the replicas ran in threads; a compiled function is one op in this thread."""
    mirrored = "Mirrored" in type(strategy.extended).__name__
    return mirrored and not hasattr(fn, "get_concrete_function")
