"""The tape under a cell, and what is asked of it: gradients of any order, Jacobians, Hessians."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tapemagic.jacobians import Plan, announced, plan
from tapemagic.options import GradError
from tapemagic.sources import is_differentiable, unwrapped
from tapemagic.trace import LARGE, Array
from tapemagic.tracing import view

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


@dataclass(frozen=True)
class Seed:
    """Weights for the entries of the target (`order` 1), or of its first derivative (`order` 2,
    which makes a Hessian-vector product); `text` is what the user wrote."""

    value: Any = None
    order: int = 1
    text: str = ""


class Asked:
    """Asks one tape for the derivatives of one target."""

    def __init__(
        self, tape: CellTape, sources: Sequence[Any], zero: bool, seed: Seed, widest: int = 0
    ) -> None:
        self._tape, self._sources, self._seed = tape, [unwrapped(s) for s in sources], seed
        self._widest = widest
        self._unconnected = tf.UnconnectedGradients.ZERO if zero else tf.UnconnectedGradients.NONE

    def gradients(self, target: Any, order: int, mixed: bool) -> dict[tuple[int, ...], Any]:
        """Value by the sources' positions, orders 1 to `order`, in the order of their keys.

        `mixed` partials are taken once for each choice of sources, in the sources' order.
        """
        found: dict[tuple[int, ...], Any] = {(): target}
        positions = range(len(self._sources))
        for level in range(1, order + 1):
            below = [choice for choice in found if len(choice) == level - 1]
            for choice in below:
                wanted = [i for i in positions if not choice or _follows(choice, i, mixed)]
                value = found[choice]
                seed = self._seed.value if level == self._seed.order else None
                answers = self._gradient(value, wanted, seed, again=level < order)
                for i, answer in zip(wanted, answers):
                    found[choice + (i,)] = answer  # noqa: RUF005 - mypy reads 3.10
        del found[()]
        return found

    def _gradient(self, target: Any, wanted: list[int], seed: Any, again: bool) -> list[Any]:
        if target is None:
            return [None] * len(wanted)
        sources = [self._sources[i] for i in wanted]
        with self._tape.recording_again() if again else nullcontext():
            return list(self._ask("gradient", target, sources, seed, self._unconnected))

    def _ask(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """What the tape answers, or its complaint in one line."""
        with self._tape.asked_by_us():
            try:
                return getattr(tf.GradientTape, method)(self._tape, *args, **kwargs)
            except Exception as error:
                first = (str(error).strip().splitlines() or [""])[0]
                kind = type(error).__name__
                raise GradError(f"the tape cannot answer: {kind}: {first}") from error

    def jacobians(self, target: Any, advice: str) -> dict[tuple[int, ...], Any]:
        """∂target/∂source, entry by entry: shape of the target, then of the source.

        Raises `GradError` with the `advice` what to do instead if they would not fit in memory.
        """
        return self._blocks("jacobian", target, advice)

    def batch_jacobians(self, target: Any, advice: str) -> dict[tuple[int, ...], Any]:
        """∂target[b]/∂source[b] for each b of the batch; raises as `jacobians` does."""
        return self._blocks("batch_jacobian", target, advice)

    def _blocks(self, kind: str, target: Any, advice: str) -> dict[tuple[int, ...], Any]:
        planned = self._plan(kind, target)
        parallel = planned.parallel(advice)
        with announced(planned):
            return {
                (i,): self._block(kind, target, source, parallel)
                for i, source in enumerate(self._sources)
            }

    def _plan(self, kind: str, target: Any) -> Plan:
        shapes = [tuple(source.shape) for source in self._sources]
        return plan(kind, tuple(target.shape), shapes, self._widest, target.dtype.size)

    def _block(self, method: str, target: Any, source: Any, parallel: bool) -> Any:
        """A Jacobian, its rows all at once (some ops cannot) or one by one."""
        if target is None:
            return None
        if parallel:
            try:
                return self._ask(method, target, source, self._unconnected)
            except GradError:
                if method == "batch_jacobian":
                    raise
        return self._ask(method, target, source, self._unconnected, experimental_use_pfor=False)

    def hessians(self, target: Any, advice: str) -> dict[tuple[int, ...], Any]:
        """The blocks ∂²target/∂source∂source, and the gradients that they are Jacobians of;
        raises as `jacobians` does."""
        planned = self._plan("hessian", target)
        parallel = planned.parallel(advice)
        positions = list(range(len(self._sources)))
        with self._tape.recording_again():
            slopes = self._gradient(target, positions, self._seed.value, again=False)
            slopes = [s if s is None else tf.convert_to_tensor(s) for s in slopes]
        found: dict[tuple[int, ...], Any] = {(i,): slopes[i] for i in positions}
        with announced(planned):
            for i in positions:
                for j in positions[i:]:
                    found[(i, j)] = self._block("jacobian", slopes[i], self._sources[j], parallel)
        return found


def _follows(choice: tuple[int, ...], i: int, mixed: bool) -> bool:
    return i >= choice[-1] if mixed else i == choice[-1]


def measured(value: Any) -> Array | None:
    """A tape's answer in float64 (complex stays complex); None for None.

    A large one is a read-only view of the tensor's own memory, in its own dtype; of
    `IndexedSlices` of a large table, the rows.
    """
    if value is None:
        return None
    if isinstance(value, tf.IndexedSlices):
        shape = value.dense_shape
        large = shape is None or int(np.prod(shape.numpy(), dtype=object)) > LARGE
        return measured(value.values if large else tf.convert_to_tensor(value))
    found = view(tf.convert_to_tensor(value))
    return found if np.iscomplexobj(found) or found.size > LARGE else found.astype(np.float64)
