"""Everything that a page needs to explore a cell with no kernel, as one JSON object."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tapemagic import exposition, html, latex, mathml
from tapemagic.document import Document
from tapemagic.explorer import ranges
from tapemagic.explorer.branches import Decision, conditions
from tapemagic.explorer.program import Compiler, NotExplorable, Program, inputs_of, number_or_text
from tapemagic.explorer.ranges import Range
from tapemagic.explorer.slots import Slots
from tapemagic.explorer.subject import Subject
from tapemagic.explorer.table import Table
from tapemagic.formula import Symbol
from tapemagic.options import GradError
from tapemagic.result import Result
from tapemagic.trace import Array

_PLAIN = re.compile(r'<span class="tapemagic-plain">[^<]*</span>')
GRID = 241  # points that are looked at for where the target is finite


@dataclass(frozen=True)
class Slider:
    """One entry of a source, with its range."""

    symbol: Symbol
    value: float
    dtype: str
    range: Range

    @property
    def text(self) -> str:
        """As Python writes it: x, w[0], W[0, 1]."""
        name, index = self.symbol.name.text, self.symbol.index
        return f"{name}[{', '.join(map(str, index))}]" if index else name

    def data(self) -> dict[str, Any]:
        """As JSON has it."""
        found = self.range
        return {
            "text": self.text,
            "group": self.symbol.name.text,
            "mathml": mathml.markup(self.symbol),
            "value": number_or_text(self.value),
            "min": found.low,
            "max": found.high,
            "step": found.step,
            "scale": found.scale,
            "dtype": self.dtype,
            "word": found.word,
        }


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


def sliders(subject: Subject, asked: Sequence[tuple[str, str]]) -> list[Slider]:
    """A slider for each entry of the sources; raises `GradError` for a range of no source."""
    equations = subject.derivation.equations
    dtypes = {
        leaf.text: subject.trace.tensors[leaf.tensors[0]].dtype
        for leaf in subject.question.sources
        if leaf.tensors
    }
    found: list[Slider] = []
    texts = dict(asked)
    for symbol in inputs_of(equations):
        value = float(equations.values[symbol.name][symbol.index])
        dtype = dtypes.get(symbol.name.text, equations.dtype)
        plain = Slider(symbol, value, dtype, ranges.around(value))
        text = texts.get(plain.text, texts.get(symbol.name.text))
        if text is not None:
            plain = Slider(symbol, value, dtype, ranges.read(text, plain.text, value))
        found.append(plain)
    known = [*dict.fromkeys(s.symbol.name.text for s in found), *(s.text for s in found)]
    for name in texts:
        if name not in known:
            raise GradError(
                f"--explore {name}={texts[name]}: {name} is no source; there are sliders for "
                f"{', '.join(dict.fromkeys(known))}"
            )
    return found


def grid(slider: Slider, count: int = GRID) -> Array:
    """Points over a slider's range, in its scale."""
    low, high = slider.range.low, slider.range.high
    if slider.range.scale == "log":
        return np.geomspace(low, high, count)
    return np.linspace(low, high, count)


def target_text(subject: Subject) -> str:
    """What the curve shows: of a tensor the sum of its entries, as the tape differentiates it."""
    equations = subject.derivation.equations
    text = equations.target.text
    return f"sum of {text}" if equations.values[equations.target].shape else text


def payload(
    identity: str,
    subject: Subject,
    shown: Sequence[Slider],
    pieces: Sequence[Piece],
    table: Table | None,
    kernel: Sequence[Mapping[str, Any]],
    limits: str,
    told: str,
) -> dict[str, Any]:
    """The object of the contract with the page (`page/index.js`); `told` is the derivation where
    there are no pieces, `kernel` the answers to begin with where the kernel gives them."""
    target = subject.derivation.equations.target
    text = target_text(subject)
    branches = any(one.program.guards for one in pieces)
    # With branches the page reads the pieces alone.
    first = pieces[0].data() if pieces and not branches else None
    check = subject.first.check
    verdict = exposition.verdict(subject.first)
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
        "kernel": list(kernel),
        "pieces": [one.data() for one in pieces] if branches else [],
        "derivation": first["derivation"] if first else _PLAIN.sub("", told),
        "slots": first["slots"] if first else [],
        "check": {"agrees": check.agrees, "text": verdict},
        "limits": limits,
    }


__all__ = ["NotExplorable", "Piece", "Slider", "grid", "payload", "piece", "sliders"]
