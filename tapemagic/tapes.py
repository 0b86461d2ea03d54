"""The tape under a cell."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from tapemagic.sources import is_differentiable, unwrapped

EXPIRED = (
    "A non-persistent GradientTape can only be used to compute one set of gradients (or jacobians)"
)


class CellTape(tf.GradientTape):
    """The tape that a cell runs under.

    It is persistent underneath, for one tape answers all orders when it is re-entered; to the
    user, who sees it under `--tape NAME`, it is what `-p` says.
    """

    def __init__(self, persistent: bool, watch_accessed: bool) -> None:
        super().__init__(persistent=True, watch_accessed_variables=watch_accessed)
        self._kept, self._asked, self.ours = persistent, False, 0

    def gradient(self, *args: Any, **kwargs: Any) -> Any:
        self._ask()
        with self.asked_by_us():
            return super().gradient(*args, **kwargs)

    def jacobian(self, *args: Any, **kwargs: Any) -> Any:
        self._ask()
        with self.asked_by_us():
            return super().jacobian(*args, **kwargs)

    def batch_jacobian(self, *args: Any, **kwargs: Any) -> Any:
        self._ask()
        with self.asked_by_us():
            return super().batch_jacobian(*args, **kwargs)

    @contextmanager
    def asked_by_us(self) -> Iterator[None]:
        """Questions in here do not use the tape up."""
        self.ours += 1
        try:
            yield
        finally:
            self.ours -= 1

    def _ask(self) -> None:
        """One question of the user's; what TensorFlow asks meanwhile belongs to it."""
        if self.ours:
            return
        if self._asked and not self._kept:
            error = RuntimeError(EXPIRED)
            if hasattr(error, "add_note"):
                error.add_note("tapemagic: this tape answers once; %%grad -p keeps it for more.")
            raise error
        self._asked = True
        if self._recording and not self._kept:
            self._pop_tape()  # as a non-persistent tape does

    def close(self) -> None:
        """Stop recording, whatever state the cell left it in."""
        if self._recording:
            self._pop_tape()

    def drop(self) -> None:
        """Let go of all that was recorded: tapes of the user's own answer in this cell."""
        self.close()
        self._tape = None

    @contextmanager
    def recording_again(self) -> Iterator[None]:
        """Record what runs inside, on top of what is there."""
        if self._recording:
            yield
            return
        self._push_tape()
        try:
            with _quiet():
                yield
        finally:
            self.close()

    def watch_if_possible(self, value: Any) -> None:
        """Watch a tensor or variable of a dtype that can be watched; let all else be."""
        value = unwrapped(value)
        if is_differentiable(value) and getattr(self, "_tape", None) is not None:
            self.watch(value)


@contextmanager
def _quiet() -> Iterator[None]:
    """A persistent tape asked inside its own context logs a warning: here it is what we want."""
    logger = tf.get_logger()

    def unwarned(record: logging.LogRecord) -> bool:
        return "inside its context" not in str(record.msg)

    logger.addFilter(unwarned)
    try:
        yield
    finally:
        logger.removeFilter(unwarned)
