"""Derivatives with many entries: how much memory they take, asked before anything is computed."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tapemagic.memory import Shape, available, entries, fits, written
from tapemagic.options import GradError

_LONG = 2**24  # entries whose computing is announced
_NAMES = {
    "jacobian": "the Jacobian",
    "batch_jacobian": "the batch Jacobian",
    "hessian": "the Hessian",
}


@dataclass(frozen=True)
class Plan:
    """What one question takes. `shapes` are those of its answers; each needs as many backward
    passes as it has `rows`, and if all of them run at once (`parallel`), each op on the way is
    there once a row: its `widest` tensor is what counts."""

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

    def needs(self, parallel: bool) -> int:
        """Bytes at the peak: the answers, the largest once more while it is put together."""
        largest = max((entries(shape) for shape in self.shapes), default=0)
        on_the_way = self.rows * self.widest if parallel else self.widest
        return self.result + (largest + on_the_way) * self.itemsize

    def parallel(self, instead: str) -> bool:
        """Whether all rows can run at once; if not, one by one. Raises `GradError`, which says
        what to do `instead`, where not even that would fit."""
        if self.result < 2**20 or fits(self.needs(parallel=True)):
            return True
        if fits(self.needs(parallel=False)):
            return False
        shape = " + ".join(str(tuple(shape)) for shape in self.shapes[:3])
        more = " + …" if len(self.shapes) > 3 else ""
        raise GradError(
            f"{_NAMES[self.kind]} would not fit in memory: {shape}{more} makes "
            f"{self.entries:,} entries, {written(self.result)}, "
            f"{written(self.needs(parallel=False))} while it is computed, and "
            f"{written(available())} are free; {instead}"
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


@contextmanager
def announced(plan: Plan) -> Iterator[None]:
    """A line in the terminal while something long is computed; it is wiped out afterwards."""
    if plan.entries < _LONG or not sys.stderr.isatty():
        yield
        return
    text = f"{_NAMES[plan.kind]}: {plan.entries:,} entries, {written(plan.result)} …"
    sys.stderr.write(f"\r{text}")
    sys.stderr.flush()
    try:
        yield
    finally:
        sys.stderr.write("\r" + " " * len(text) + "\r")
        sys.stderr.flush()


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
