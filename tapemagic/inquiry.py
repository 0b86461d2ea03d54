"""What is asked of the tape under a cell: gradients of any order, Jacobians, Hessians."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tapemagic.jacobians import Plan, plan
from tapemagic.options import GradError
from tapemagic.pieces import Pieces
from tapemagic.progress import Progress, told
from tapemagic.sources import unwrapped
from tapemagic.tapes import CellTape
from tapemagic.trace import LARGE, Array
from tapemagic.tracing import view


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
        self,
        tape: CellTape,
        sources: Sequence[Any],
        zero: bool,
        seed: Seed,
        widest: int = 0,
        progress: Progress | None = None,
    ) -> None:
        self._tape, self._sources, self._seed = tape, [unwrapped(s) for s in sources], seed
        self._widest, self._progress = widest, progress or Progress()
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
        with self._answering():
            return getattr(tf.GradientTape, method)(self._tape, *args, **kwargs)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        with self._tape.asked_by_us():
            try:
                yield
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
        pairs = {(i,): (target, source) for i, source in enumerate(self._sources)}
        return self._computed(kind, pairs, self._plan(kind, target), advice)

    def _plan(self, kind: str, target: Any) -> Plan:
        shapes = [tuple(source.shape) for source in self._sources]
        return plan(kind, tuple(target.shape), shapes, self._widest, target.dtype.size)

    def _computed(
        self,
        kind: str,
        pairs: Mapping[Any, tuple[Any, Any]],
        planned: Plan,
        advice: str,
    ) -> dict[tuple[int, ...], Any]:
        """The Jacobian of each target by its source, some rows at a time."""
        at_once = planned.at_once(advice)
        method = "batch_jacobian" if kind == "batch_jacobian" else "jacobian"
        blocks = {
            key: Pieces(method, target, source, at_once)
            for key, (target, source) in pairs.items()
            if target is not None
        }
        steps = sum(len(block.starts) for block in blocks.values())
        found: dict[tuple[int, ...], Any] = dict.fromkeys(pairs)
        with told(self._progress, planned.text, steps, planned.is_long) as step:
            for key, block in blocks.items():
                found[key] = self._block(block, step)
        return found

    def _block(self, block: Pieces, step: Callable[[], None]) -> Any:
        """One Jacobian, the rows of a piece all at once (some ops cannot) or one by one."""
        if not block.one_by_one:
            try:
                return self._joined(block, self._compiled(block), step)
            except GradError:
                if block.method == "batch_jacobian":
                    raise
        return self._joined(block, lambda first: self._rows(block, first, False), step)

    def _joined(self, block: Pieces, rows: Callable[[Any], Any], step: Callable[[], None]) -> Any:
        answers: list[Any] = []
        for first in block.starts:
            with self._answering():
                answers.append(rows(tf.constant(first)))
            if answers[-1] is None:
                return None
            step()
        return block.joined(answers)

    def _rows(self, block: Pieces, first: Any, vectorised: bool) -> Any:
        with self._tape.recording_again():
            piece = tf.reshape(block.target, block.flat)[..., first : first + block.at_once]
        piece.set_shape((*block.flat[:-1], block.at_once))
        method = getattr(tf.GradientTape, block.method)
        return method(self._tape, piece, block.source, self._unconnected, None, vectorised)

    def _compiled(self, block: Pieces) -> Callable[[Any], Any]:
        """The rows from a given one on. Made once: eagerly TensorFlow would prepare each piece
        anew, and warn the user of it."""
        made: list[Any] = []

        def rows(first: Any) -> Any:
            if not made:
                function = tf.function(lambda at: self._rows(block, at, True), autograph=False)
                made.append(function.get_concrete_function(tf.TensorSpec((), tf.int32)))
            return made[0](first)

        return rows

    def hessians(self, target: Any, advice: str) -> dict[tuple[int, ...], Any]:
        """The blocks ∂²target/∂source∂source, and the gradients that they are Jacobians of;
        raises as `jacobians` does."""
        planned = self._plan("hessian", target)
        positions = list(range(len(self._sources)))
        with self._tape.recording_again():
            slopes = self._gradient(target, positions, self._seed.value, again=False)
            slopes = [s if s is None else tf.convert_to_tensor(s) for s in slopes]
        pairs = {(i, j): (slopes[i], self._sources[j]) for i in positions for j in positions[i:]}
        found: dict[tuple[int, ...], Any] = {(i,): slopes[i] for i in positions}
        return found | self._computed("hessian", pairs, planned, advice)


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
