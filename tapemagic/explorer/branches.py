"""Decisions: where Python looked at a tensor (`if x > 0:`), and what it saw.

A recorded path holds only where its decisions come out the same. A truth value has a formula,
which becomes a guard of the program. What left as a number (`float(x)`) may have decided
anything: such an escape is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tapemagic import text
from tapemagic.equations import Equations
from tapemagic.escapes import returns
from tapemagic.explorer.entries import equations_of
from tapemagic.explorer.program import NotExplorable
from tapemagic.formula import Call, Formula
from tapemagic.question import Question
from tapemagic.trace import Escaped, Line, Trace

SAID = 4  # conditions that are written out
_OPPOSITE = {
    "greater": "less_equal",
    "greater_equal": "less",
    "less": "greater_equal",
    "less_equal": "greater",
    "equal": "not_equal",
    "not_equal": "equal",
}


@dataclass(frozen=True)
class Decision:
    """A truth value that the path depends on, as the target of equations."""

    equations: Equations
    truth: bool
    line: Line | None

    @property
    def condition(self) -> str:
        """In words of mathematics: x > 0."""
        last = self.equations.by_name[self.equations.target].formulas.item()
        return text.formula(last if self.truth else _negated(last))


def decisions(trace: Trace, question: Question) -> tuple[list[Decision], list[Escaped]]:
    """What decided on the way to the target, and what may have.

    Also what came after the target's last op: it may have decided that there is no other one.
    """
    # Also off the tape: a comparison decides whether or not it was recorded.
    whole = replace(trace, operations=tuple(replace(o, off_tape=False) for o in trace.operations))
    depending = _depending(whole, question)
    found: list[Decision] = []
    unknown: list[Escaped] = []
    for escape in trace.escapes:
        if escape.tensor not in depending:
            continue
        is_truth = escape.method == "bool" or trace.tensors[escape.tensor].dtype == "bool"
        decision = _decision(whole, question, escape) if is_truth else None
        if decision is None:
            unknown.append(escape)
        else:
            found.append(decision)
    for back in returns(whole, {}):  # what NumPy read from memory
        if back.tensor in depending:
            unknown.append(Escaped(0, back.method, back.tensor, back.left))
    return found, unknown


def _decision(trace: Trace, question: Question, escape: Escaped) -> Decision | None:
    data = trace.tensors[escape.tensor].data
    if data is None or data.size != 1:
        return None
    leaves, names = question.sources, question.names or {}
    leaves = tuple(leaf for leaf in leaves if leaf.tensors)
    try:
        equations = equations_of(trace, escape.tensor, "decision", leaves, names)
    except NotExplorable:
        return None
    return None if equations.opaque else Decision(equations, bool(data.item()), escape.line)


def _depending(trace: Trace, question: Question) -> set[int]:
    """The tensors that depend on the sources."""
    found = {key for leaf in question.sources for key in leaf.tensors}
    for operation in trace.operations:
        if found.intersection(operation.inputs):
            found.update(operation.outputs)
    return found


def _negated(node: Formula) -> Formula:
    if isinstance(node, Call) and node.function in _OPPOSITE:
        return Call(_OPPOSITE[node.function], node.arguments)
    if isinstance(node, Call) and node.function == "logical_not":
        return node.arguments[0]
    return Call("logical_not", (node,))


def conditions(found: Sequence[Decision]) -> str:
    """All of them at once, each said once; of many the first."""
    said = list(dict.fromkeys(decision.condition for decision in found))
    more = [f"{len(said) - SAID} more"] if len(said) > SAID else []
    return ", ".join([*said[:SAID], *more])
