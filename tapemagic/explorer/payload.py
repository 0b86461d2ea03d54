"""Everything that a page needs to explore a cell with no kernel, as one JSON object."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tapemagic import exposition, html, latex, mathml, remarks
from tapemagic.document import Document
from tapemagic.explorer.branches import Decision, conditions
from tapemagic.explorer.program import Compiler, Program
from tapemagic.explorer.sliders import Sliders
from tapemagic.explorer.slots import Slots
from tapemagic.explorer.subject import Subject
from tapemagic.explorer.table import Table
from tapemagic.formula import Symbol
from tapemagic.result import Result

_PLAIN = re.compile(r'<span class="tapemagic-plain">[^<]*</span>')


@dataclass(frozen=True)
class Piece:
    """A path through the cell's code: its program, its derivation, the condition it holds under."""

    program: Program
    html: str
    slots: tuple[Mapping[str, Any], ...]
    condition: str

    def data(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "program": self.program.data(),
            # Who reads this has MathML: plain text beside each formula would double its weight.
            "derivation": _PLAIN.sub("", self.html),
            "slots": list(self.slots),
            "condition": self.condition,
        }


def piece(subject: Subject, decided: Sequence[Decision]) -> Piece:
    """The path that a result was recorded on; raises `NotExplorable`."""
    told = exposition.whole(Result(subject.derivatives, lambda _: Document(())))
    compiler = Compiler(subject.derivation, subject.order)
    for decision in decided:
        compiler.guard(decision.equations, decision.truth)
    slots = Slots(compiler)
    document = slots.document(told)
    program, at = compiler.program()
    shown = tuple(
        {"register": at[register], "dtype": dtype}
        for register, dtype in zip(slots.registers, slots.dtypes)
    )
    return Piece(program, html.document(document, latex.document(told)), shown, conditions(decided))


def target_text(subject: Subject) -> str:
    """What the curve shows: of a tensor the sum of its entries, as the tape differentiates it."""
    equations = subject.derivation.equations
    text = equations.target.text
    return f"sum of {text}" if equations.values[equations.target].shape else text


def payload(
    identity: str,
    subject: Subject,
    shown: Sliders,
    pieces: Sequence[Piece],
    table: Table | None,
    kernel: Mapping[str, Any] | None,
    limits: str,
    told: str,
) -> dict[str, Any]:
    """The object of the contract with the page (`page/index.js`); `told` is the derivation where
    there are no pieces, `kernel` the answer to begin with where the kernel gives them."""
    target = subject.derivation.equations.target
    text = target_text(subject)
    branches = any(one.program.guards for one in pieces)
    # With branches the page reads the pieces alone.
    first = pieces[0].data() if pieces and not branches else None
    check = subject.first.check
    verdict = remarks.verdict(subject.first).text
    return {
        "version": 1,
        "id": identity,
        "target": {
            "text": text,
            "mathml": ("" if text == target.text else "<mo>Σ</mo>") + mathml.markup(Symbol(target)),
        },
        "sources": [slider.data() for slider in shown],
        "order": subject.order,
        "program": first["program"] if first else None,
        "table": None if table is None else table.data(),
        "kernel": kernel,
        "pieces": [one.data() for one in pieces] if branches else [],
        "derivation": first["derivation"] if first else _PLAIN.sub("", told),
        "slots": first["slots"] if first else [],
        "check": {"agrees": check.agrees, "text": verdict},
        "limits": limits,
    }
