"""From TensorFlow's objects to what the doctor is told of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from tapemagic.case import AskedSource, AskedTape, Case
from tapemagic.dependence import Dependence
from tapemagic.log import TapeLife
from tapemagic.question import Question
from tapemagic.recording import tensor_id
from tapemagic.result import Derivative
from tapemagic.sources import is_variable, unwrapped
from tapemagic.trace import Line, Trace
from tapemagic.tracing import line


@dataclass(frozen=True)
class Circumstances:
    """What the derivatives of one question share: the tape's life, what it watched, the line that
    asked, whether for zeros; `answers` are earlier answers of tapes, by tensor id."""

    life: TapeLife
    watched: Collection[int]
    call: Line | None
    zero: bool = False
    answers: Mapping[int, Line | None] = field(default_factory=dict)
    graphs: dict[int, Dependence] = field(default_factory=dict)

    def case(
        self, trace: Trace, question: Question, text: str, source: Any, found: Derivative
    ) -> Case:
        """What the doctor is told of one derivative by a source, as the user wrote it."""
        return Case(
            trace.inside(),
            question.target,
            question.text,
            asked_source(trace, text, source),
            asked_tape(self.life, self.watched, trace),
            self.call,
            question.kind,
            found.check.tape,
            found.check,
            found.derivation,
            question.seed,
            self.zero,
            self.answers,
            self.graphs,
        )


def asked_source(trace: Trace, text: str, value: Any) -> AskedSource:
    """A tensor or variable as a source of this trace."""
    plain = unwrapped(value)
    key = tensor_id(plain)
    key = -1 if key is None else key
    variable = is_variable(value)
    dtype = getattr(getattr(plain, "dtype", None), "name", "")
    shape = getattr(plain, "shape", tf.TensorShape(()))
    return AskedSource(
        text,
        key if variable else trace.canonical(key),
        variable,
        bool(getattr(plain, "trainable", False)),
        dtype,
        tuple(shape.as_list()) if shape.rank is not None else (),
        trace.variables.get(key, ()) if variable else (),
        trace.read(key) if variable else (trace.canonical(key),),
    )


def asked_tape(life: TapeLife, variables: Collection[int], trace: Trace) -> AskedTape:
    """A tape's life, as the trace has it; `variables` are those it watched by itself."""
    watched: dict[int, tuple[int, Line | None]] = dict.fromkeys(variables, (0, None))
    for key, at, place in life.watched:
        watched.setdefault(trace.canonical(key), (at, line(place)))
    stops = tuple((s.first, s.last, line(s.place), s.kind) for s in life.stops)
    return AskedTape(watched, life.accessed, line(life.place), stops, life.early)
