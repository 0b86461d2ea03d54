"""What is asked of a trace: one derivative of a target by sources in turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tapemagic.equations import Leaf
from tapemagic.style import PLAIN, Style
from tapemagic.trace import Array, Trace


@dataclass(frozen=True)
class Along:
    """A vector by name, of the source's shape."""

    name: str
    value: Array


@dataclass(frozen=True)
class Question:
    """What is asked of the trace: d target/d sources[order[0]] d sources[order[1]] …

    `kind` is "gradient", "jacobian", "batch_jacobian" or "hessian". `seed` weights the target's
    entries (default ones), and is called `seed_name`. `names` has names that no binding gave, by
    tensor id. `several`: it is one of several partial derivatives, so that they are written with ∂.
    `style` is how it is written. `meanings` says what short names stand for. `along`: of a
    second derivative, only its product with this vector.
    """

    key: str
    target: int
    text: str
    sources: tuple[Leaf, ...]
    order: tuple[int, ...]
    kind: str = "gradient"
    seed: Array | None = None
    seed_name: str = field(default="", kw_only=True)
    names: Mapping[int, str] | None = None
    several: bool = False
    style: Style = PLAIN
    meanings: Mapping[str, str] = field(default_factory=dict)
    along: Along | None = None

    @property
    def entrywise(self) -> bool:
        """Whether the entries of what is differentiated are kept apart."""
        return self.kind != "gradient"


def leaf_of(trace: Trace, key: int, text: str, is_variable: bool, shown: str = "") -> Leaf:
    """The source with this tensor or variable id; a variable is what was read of it."""
    tensors = trace.read(key) if is_variable else (trace.canonical(key),)
    return Leaf(text, tensors, shown)
