"""`--at`: other values for the sources than the cell gives them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import tensorflow as tf

from tapemagic.options import GradError
from tapemagic.recording import Recorder
from tapemagic.sources import (
    described,
    evaluated,
    is_differentiable,
    is_variable,
    nearest,
    unwrapped,
)


class Elsewhere:
    """The values of `--at`, by name; what was there before the cell is put back by `undo`."""

    def __init__(
        self, values: dict[str, str], namespace: dict[str, Any], recorder: Recorder
    ) -> None:
        self._values, self._namespace, self._recorder = values, namespace, recorder
        self._undo: list[Callable[[], None]] = []

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def undo(self) -> None:
        """Put back what the cell has not bound or assigned anew."""
        while self._undo:
            self._undo.pop()()

    def start(self, name: str) -> None:
        """`--at` for a value that is there before the cell; undone unless the cell rebinds it."""
        old = self._namespace.get(name)
        if is_variable(old):
            variable = unwrapped(old)
            kept = tf.identity(variable)
            variable.assign(self._at(name, variable))
            changed = tf.identity(variable)
            self._undo.append(partial(_assign_back, variable, kept, changed))
        elif is_differentiable(old):
            new = self._at(name, old)
            self._namespace[name] = new
            self._undo.append(partial(_bind_back, self._namespace, name, old, new))

    def _at(self, name: str, like: Any) -> tf.Tensor:
        value = evaluated(self._values[name], self._namespace, "--at")
        try:
            found = tf.cast(tf.convert_to_tensor(value), like.dtype)
            return tf.broadcast_to(found, like.shape)
        except Exception as error:
            first = str(error).splitlines()[0]
            raise GradError(f"--at {name}: {first}") from error

    def moved(self, name: str, value: Any) -> Any:
        """What the cell has just bound to the name, with the other value."""
        with self._recorder.silent():
            if is_variable(value):
                unwrapped(value).assign(self._at(name, unwrapped(value)))
                return value
            return self._at(name, value)

    def check(self, name: str, value: Any) -> None:
        """Raises `GradError` unless the name had a value that could be replaced."""
        if value is None and self._namespace.get(name) is None:
            raise GradError(f"unknown name {name} in --at{nearest(name, self._namespace)}")
        if not is_differentiable(value):
            value = self._namespace.get(name) if value is None else value
            raise GradError(f"--at {name}: {name} is {described(value)}")


def _assign_back(variable: Any, kept: Any, changed: Any) -> None:
    if bool(tf.reduce_all(tf.equal(variable, changed))):
        variable.assign(kept)


def _bind_back(namespace: dict[str, Any], name: str, old: Any, new: Any) -> None:
    if namespace.get(name) is new:
        namespace[name] = old
