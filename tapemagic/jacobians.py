"""Derivatives with many entries: how much memory they take, asked before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tapemagic.memory import Shape, available, entries, room, written
from tapemagic.options import GradError

_LONG = 2**24  # entries whose computing is announced
_SMALL = 2**20  # bytes that are never refused
_PIECE = 2**24  # entries on the way that one step takes, if there need not be too many steps
_STEPS = 16  # of one Jacobian, unless memory asks for more: TensorFlow prepares each anew
_NAMES = {
    "jacobian": "the Jacobian",
    "batch_jacobian": "the batch Jacobian",
    "hessian": "the Hessian",
}


@dataclass(frozen=True)
class Plan:
    """What one question takes. `shapes` are those of its answers; each needs as many backward
    passes as it has `rows`, and where some of them run at once, each op on the way is there
    once a row: its `widest` tensor is what counts."""

    kind: str
    shapes: tuple[Shape, ...]
    rows: int
    widest: int
    itemsize: int

    @property
    def entries(self) -> int:
        """How many entries the answers have."""
        return sum(entries(shape) for shape in self.shapes)

    @property
    def result(self) -> int:
        """Bytes of the answers."""
        return self.entries * self.itemsize

    def needs(self, rows: int) -> int:
        """Bytes at the peak where so many rows run at once: the answers, the largest once more
        while it is put together, and what is on the way."""
        largest = max((entries(shape) for shape in self.shapes), default=0)
        return self.result + (largest + rows * self.widest) * self.itemsize

    @property
    def is_long(self) -> bool:
        """Whether it is sure to take a while."""
        return self.entries >= _LONG

    @property
    def text(self) -> str:
        """What is computed, in words."""
        return f"{_NAMES[self.kind]}, {self.entries:,} entries, {written(self.result)}"

    def at_once(self, instead: str) -> int:
        """How many rows to compute in one step: all, if they fit and do not take long. Raises
        `GradError`, which says what to do `instead`, where not even one would fit."""
        left = room()
        if self.result >= _SMALL and self.needs(1) > left:
            self._refuse(instead)
        steps = min(_STEPS, 1 + self.rows * self.widest // _PIECE)
        fitting = (left - self.needs(0)) // max(1, self.widest * self.itemsize)
        return max(1, min(-(-self.rows // steps), fitting))

    def _refuse(self, instead: str) -> None:
        shape = " + ".join(str(tuple(shape)) for shape in self.shapes[:3])
        more = " + …" if len(self.shapes) > 3 else ""
        raise GradError(
            f"{_NAMES[self.kind]} would not fit in memory: {shape}{more} makes "
            f"{self.entries:,} entries, {written(self.result)}, {written(self.needs(1))} while "
            f"it is computed, and {written(available())} are free; {instead}"
        )


def instead(kind: str, target: str, source: str) -> str:
    """What to ask for where the whole would be too large."""
    product = f"%%grad {source} --of {target} --seed v"
    if kind == "hessian":
        return (
            f"its product with a vector v of {source}'s shape needs none of it: "
            f"%%grad {source} --of {target} -n 2 --seed v"
        )
    rows = "" if kind == "batch_jacobian" else ", or --batch-jacobian if each row has its own"
    return (
        f"the gradient needs none of it, %%grad {source} --of {target}, nor does the product of "
        f"{target}'s weights v with it, {product}{rows}"
    )


def plan(kind: str, target: Shape, sources: Sequence[Shape], widest: int, itemsize: int) -> Plan:
    """The plan of a question about one target of this shape (of a Hessian: a scalar)."""
    if kind == "hessian":
        pairs = [(one, other) for i, one in enumerate(sources) for other in sources[i:]]
        shapes = tuple((*one, *other) for one, other in pairs)
        rows = max((entries(shape) for shape in sources), default=0)
    elif kind == "batch_jacobian":
        shapes = tuple((*target, *source[1:]) for source in sources)
        rows = entries(target[1:])
    else:
        shapes = tuple((*target, *source) for source in sources)
        rows = entries(target)
    return Plan(kind, shapes, rows, widest, itemsize)
