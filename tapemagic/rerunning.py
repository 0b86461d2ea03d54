"""A cell run again at another point, in a copy of the namespace, with its output kept back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import CodeType
from typing import Any

import numpy as np
import tensorflow as tf
from IPython.utils.capture import capture_output

from tapemagic import running
from tapemagic.deriving import Explained, keeping
from tapemagic.options import Options
from tapemagic.patience import TooLong, within
from tapemagic.result import Result
from tapemagic.running import Cell, Shell
from tapemagic.session import Session
from tapemagic.sources import is_variable, unwrapped

SECONDS = 1.0  # that the cell may take somewhere else: a loop may never end there
Values = Mapping[str, Any]  # a number or an array for each source, by name


@dataclass
class Rerun:
    """The cell as it ran, and the namespace as it was `before`; `old` are the sources whose value
    came from there."""

    shell: Shell
    cell: Cell
    options: Options
    before: dict[str, Any]
    old: frozenset[str] = frozenset()

    def result(self, values: Values) -> tuple[Result, list[Explained]]:
        """The cell's result where its sources have these values. Raises what the cell raises."""
        new = values.keys() - self.old
        at = {name: repr(np.asarray(values[name]).tolist()) for name in new}
        options = replace(self.options, at=at, persistent=False, tape=None, out=None, explore=None)
        scratch = self._scratch(values)
        for name in self.old.intersection(values):
            scratch[name] = _Mover(values).moved(name, scratch[name])
        with capture_output(), keeping() as explained:
            session = Session(options, scratch, self.cell.text, self.cell.filename)
            with session:
                session.before()
                last = self._run(scratch, session)
                return session.finish(last), explained

    def gradient(self, values: Values, target: str) -> tuple[float, dict[str, Any]]:
        """The target (summed, if it is a tensor) and its first derivative by each source, from a
        tape alone: nothing is recorded."""
        with tf.GradientTape() as tape:
            found, mover = self._target(values, target, tape)
            total = tf.reduce_sum(found)
        slopes = tape.gradient(total, mover.moved_to, unconnected_gradients="zero")
        # NumPy refuses bfloat16.
        dense = {
            k: np.asarray(tf.cast(tf.convert_to_tensor(v), tf.float64)) for k, v in slopes.items()
        }
        return float(total), {name: np.zeros(np.shape(v)) for name, v in values.items()} | dense

    def value(self, values: Values, target: str) -> float:
        """The target alone."""
        return float(tf.reduce_sum(tf.cast(self._target(values, target)[0], tf.float64)))

    def _target(self, values: Values, target: str, tape: Any = None) -> tuple[Any, _Mover]:
        scratch = self._scratch(values)
        mover = _Mover(values, tape)
        for name in self.old.intersection(values):
            scratch[name] = mover.moved(name, scratch[name])
        with capture_output():
            last = self._run(scratch, mover)
        own = last is not None and " ".join(last.source.split()) == target
        # The text of the magic line, or a name of the cell: the user's own words.
        found = last.value if own and last is not None else eval(target, scratch)  # noqa: S307
        return found, mover

    def _run(self, scratch: dict[str, Any], watcher: Session | _Mover) -> Any:
        """The cell's last expression. Raises `TimeoutError` where it does not end: a loop at a
        point that it was not written for."""
        shell = _Scratch(self.shell, scratch)
        try:
            return within(SECONDS, lambda: running.run(shell, self.cell, watcher), again=0.2)
        except TooLong:
            raise TimeoutError(f"it takes longer than {SECONDS:g} s") from None

    def _scratch(self, values: Values) -> dict[str, Any]:
        """A copy of the namespace, with a copy of each variable that is to be moved; a source
        that the cell makes is not there yet."""
        made = values.keys() - self.old
        scratch = {name: value for name, value in self.before.items() if name not in made}
        for name in self.old:
            if is_variable(scratch.get(name)):
                scratch[name] = tf.Variable(tf.identity(unwrapped(scratch[name])))
        return scratch


class _Scratch:
    """The shell, with another namespace."""

    def __init__(self, shell: Shell, namespace: dict[str, Any]) -> None:
        self._shell = shell
        self.user_ns = self.user_global_ns = namespace

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shell, name)


class _Mover:
    """Gives each source its new value when the cell first binds it."""

    wants_reads = False

    def __init__(self, values: Values, tape: Any = None) -> None:
        self._left, self._tape = dict(values), tape
        self.moved_to: dict[str, Any] = {}

    def bound(self, name: str, value: Any, code: CodeType | None = None, offset: int = 0) -> Any:
        return self.moved(name, value) if name in self._left else value

    def moved(self, name: str, value: Any) -> Any:
        new = tf.constant(self._left.pop(name), unwrapped(value).dtype)
        if is_variable(value):
            unwrapped(value).assign(new)
            new = value
        elif self._tape is not None:
            self._tape.watch(new)
        self.moved_to[name] = unwrapped(new)
        return new

    def read(self, name: str) -> None:
        """Nothing is looked up here."""
