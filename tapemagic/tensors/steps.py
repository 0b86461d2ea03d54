"""The steps of a derivation in whole tensors, as data."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from tapemagic.formula import Name
from tapemagic.tensors.evaluation import evaluate
from tapemagic.tensors.following import adjoint_leaf
from tapemagic.tensors.nodes import Array, Leaf, Node
from tapemagic.tensors.sweep import TensorForm
from tapemagic.trace import Line


@dataclass(frozen=True)
class TensorStep:
    """One step. `kind` is "definition", "chain" or "substitution"; `of` (and for a derivative
    `wrt`) are its names, `node` its right-hand side (None: measured by the tape), `equation` the
    number of the definition, `line` the user's line, `rule` its name."""

    kind: str
    of: Name
    wrt: Name | None
    rule: str
    node: Node | None
    equation: int | None = None
    line: Line | None = None
    _values: Mapping[Leaf, Array] = field(default_factory=dict, repr=False)
    _measured: Array | None = field(default=None, repr=False)

    @property
    def value(self) -> Array:
        """The right-hand side in float64 at the recorded point."""
        return self.evaluate()

    def evaluate(self) -> Array:
        """The step computed again. Raises `LookupError` where a recorded value is gone."""
        if self.node is None:
            if self._measured is None:
                raise LookupError("the value is not kept any more")
            return self._measured
        return evaluate([self.node], self._values)[0]


def tensor_steps(form: TensorForm) -> tuple[TensorStep, ...]:
    """Definitions, the adjoints from the target down, the closed form."""
    definitions = form.definitions
    target = definitions.target.name
    leaves = [*definitions.given, *(d.leaf for d in definitions.definitions)]
    looked = {leaf: definitions.look(leaf) for leaf in leaves}
    known = {leaf: value for leaf, value in looked.items() if value is not None}
    adjoints: Mapping[Leaf, Array] = {}
    if form.sweep is not None:
        with suppress(LookupError):
            adjoints = form.sweep.values
            front = form.sweep.front
            known.update({adjoint_leaf(leaf, front): v for leaf, v in adjoints.items()})
    found = [
        TensorStep(
            "definition",
            d.leaf.name,
            None,
            d.operation.kind if d.operation is not None else "",
            None if d.opaque else d.node,
            number,
            d.line,
            known,
            known.get(d.leaf),
        )
        for number, d in enumerate(definitions.definitions, 1)
    ]
    for adjoint in form.path:
        if not adjoints:  # a custom gradient is not called again to measure what it says
            break
        found.append(
            TensorStep(
                "chain",
                target,
                adjoint.leaf.name,
                "chain rule",
                adjoint.node,
                _values=known,
                _measured=adjoints.get(adjoint.leaf),
            )
        )
    if form.closed is not None:
        wrt = form.source[0].name
        found.append(
            TensorStep("substitution", target, wrt, "substitution", form.closed, _values=known)
        )
    return tuple(found)
