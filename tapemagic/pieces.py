"""A Jacobian in pieces that fit in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf


class Pieces:
    """One Jacobian: the target, `flat` but for the batch, in pieces of so many rows, all of one
    size: the last begins where rows have been already."""

    def __init__(self, method: str, target: Any, source: Any, at_once: int) -> None:
        self.method, self.target, self.source = method, target, source
        batch = tuple(target.shape[:1]) if method == "batch_jacobian" else ()
        self.flat = (*batch, -1)
        rows = int(np.prod(target.shape[len(batch) :], dtype=int))
        self.at_once = min(at_once, rows)
        self.starts = [
            min(first, rows - self.at_once) for first in range(0, max(rows, 1), max(at_once, 1))
        ]
        self._again = len(self.starts) * self.at_once - rows
        # A batch Jacobian is vectorised over the batch at least.
        self.one_by_one = self.at_once == 1 < rows and method == "jacobian"

    def joined(self, answers: list[Any]) -> Any:
        """The pieces' answers as one tensor: the target's shape, then the source's."""
        axis = len(self.flat) - 1
        if self._again:
            answers[-1] = answers[-1][:, self._again :] if axis else answers[-1][self._again :]
        whole = answers[0] if len(answers) == 1 else tf.concat(answers, axis)
        return tf.reshape(whole, (*self.target.shape, *whole.shape[axis + 1 :]))
