"""A cell run again at another point, in a copy of the namespace, with its output kept back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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
        with self._kept_back(), keeping() as explained:
            session = Session(options, scratch, self.cell.text, self.cell.filename)
            with session:
                session.before()
                last = self._run(scratch, session)
                return session.finish(last), explained

    def gradients(
        self, values: Values, target: str, order: int
    ) -> tuple[float, list[dict[str, Any]]]:
        """The target (summed, if it is a tensor) and its derivatives of order 1, 2 … by each
        source, from tapes alone: nothing is recorded."""
        total, slopes, _ = self._differentiated(values, target, order, [])
        # NumPy refuses bfloat16.
        dense = [
            {k: np.asarray(tf.cast(tf.convert_to_tensor(v), tf.float64)) for k, v in found.items()}
            for found in slopes
        ]
        none = {name: np.zeros(np.shape(value)) for name, value in values.items()}
        return float(total), [none | found for found in dense]

    def _differentiated(
        self, values: Values, target: str, order: int, tapes: list[Any]
    ) -> tuple[Any, list[dict[str, Any]], _Mover]:
        """By nested tapes, each of which watches the sources."""
        if order == 0:
            found, mover = self._target(values, target, tapes)
            return tf.reduce_sum(found), [], mover
        with tf.GradientTape() as tape:
            total, lower, mover = self._differentiated(values, target, order - 1, [*tapes, tape])
        by = mover.moved_to
        slopes = tape.gradient(lower[-1] if lower else total, by, unconnected_gradients="zero")
        return total, [*lower, slopes], mover

    def value(self, values: Values, target: str) -> float:
        """The target alone."""
        return float(tf.reduce_sum(tf.cast(self._target(values, target)[0], tf.float64)))

    def _target(self, values: Values, target: str, tapes: Sequence[Any] = ()) -> tuple[Any, _Mover]:
        scratch = self._scratch(values)
        mover = _Mover(values, tapes)
        for name in self.old.intersection(values):
            scratch[name] = mover.moved(name, scratch[name])
        with self._kept_back():
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

    @contextmanager
    def _kept_back(self) -> Iterator[None]:
        """No output. A kernel takes messages meanwhile, and tells the publisher of each."""
        told = getattr(self.shell.display_pub, "set_parent", None)
        with capture_output():
            if told is not None:
                self.shell.display_pub.set_parent = told
            yield

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

    def __init__(self, values: Values, tapes: Sequence[Any] = ()) -> None:
        self._left, self._tapes = dict(values), tapes
        self.moved_to: dict[str, Any] = {}

    def bound(self, name: str, value: Any, code: CodeType | None = None, offset: int = 0) -> Any:
        return self.moved(name, value) if name in self._left else value

    def moved(self, name: str, value: Any) -> Any:
        new = tf.constant(self._left.pop(name), unwrapped(value).dtype)
        if is_variable(value):
            unwrapped(value).assign(new)
            new = value
        else:
            for tape in self._tapes:
                tape.watch(new)
        self.moved_to[name] = unwrapped(new)
        return new

    def read(self, name: str) -> None:
        """Nothing is looked up here."""
