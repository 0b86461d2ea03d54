"""TensorFlow's functions that are made of many ops, and that a book writes as one: each call is
a stretch of the log."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tapemagic.log import LayerCall
from tapemagic.recording import EagerTensor, Recorder
from tapemagic.replicas import replica

NAMES = ("expm", "pinv")  # of `tf.linalg`, of one matrix


class Libraries:
    """Between `start` and `stop`, writes these calls into the recorder's log."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder, self._log = recorder, recorder.log
        self._undo: list[Callable[[], None]] = []

    def start(self) -> None:
        """Follow the functions from here on; `stop` undoes it."""
        for name in NAMES:
            original = getattr(tf.linalg, name)
            setattr(tf.linalg, name, self._followed(name, original))
            self._undo.append(functools.partial(setattr, tf.linalg, name, original))

    def stop(self) -> None:
        """Put all back."""
        while self._undo:
            self._undo.pop()()

    def _followed(self, name: str, original: Any) -> Any:
        @functools.wraps(original)
        def called(*args: Any, **kwargs: Any) -> Any:
            heard = self._recorder.hears() and tf.executing_eagerly() and replica() == 0
            if not heard or len(args) != 1 or kwargs:
                return original(*args, **kwargs)
            matrix = tf.convert_to_tensor(args[0])  # as the function itself would begin
            first = len(self._log.raw)
            found = original(matrix)
            if isinstance(found, EagerTensor) and found.dtype.is_floating:
                span = first, len(self._log.raw)
                self._log.wholes.append(LayerCall(name, 0, (matrix._id,), *span, (found._id,)))
            return found

        return called
