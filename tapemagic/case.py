"""What the doctor is told of one derivative: the trace, and how tape and source stood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tapemagic.check import Check
from tapemagic.dependence import Dependence
from tapemagic.derivation import Derivation
from tapemagic.trace import Array, Line, Trace

REPLICAS = "strategy.run"  # the kind of stretch that a tape misses because others run it


@dataclass(frozen=True)
class AskedSource:
    """The source: `key` is its tensor's or variable's id, `reads` all that was read of a
    variable, `seen` what the tape saw of it; `text` as the user wrote it."""

    text: str
    key: int
    is_variable: bool
    trainable: bool
    dtype: str
    shape: tuple[int, ...]
    reads: tuple[int, ...]
    seen: tuple[int, ...]


@dataclass(frozen=True)
class AskedTape:
    """The tape: what it watched (tensor or variable id → position and line), where its block
    begins, and the stretches that it stopped for (first, last, line, kind)."""

    watched: Mapping[int, tuple[int, Line | None]]
    accessed: bool
    block: Line | None
    stops: Sequence[tuple[int, int, Line | None, str]] = ()
    early: bool = False


@dataclass(frozen=True)
class Case:
    """One derivative. `answers` are earlier answers of tapes, by tensor id, with the line of
    that call; `target` is the tensor's id; `value` the answer as an array, None for None.
    `graphs` keeps what the cases of one call share, by target."""

    trace: Trace
    target: int
    target_text: str
    source: AskedSource
    tape: AskedTape
    call: Line | None
    method: str
    value: Array | None
    check: Check
    derivation: Derivation | None
    seed: Array | None = None
    zero: bool = False
    answers: Mapping[int, Line | None] = field(default_factory=dict)
    graphs: dict[int, Dependence] = field(default_factory=dict)

    @property
    def graph(self) -> Dependence:
        """What depends on what, as the tape saw it."""
        if self.target not in self.graphs:
            stops = [(first, last) for first, last, _, kind in self.tape.stops if kind != REPLICAS]
            self.graphs[self.target] = Dependence(self.trace, self.target, self.call, stops)
        return self.graphs[self.target]

    @property
    def sources(self) -> tuple[int, ...]:
        """The tensors that stand for the source."""
        return self.source.reads if self.source.is_variable else (self.source.key,)
