"""What is asked of a cell's tape, and its answers explained: targets × sources × orders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tapemagic import codes, origins
from tapemagic.asked import Circumstances
from tapemagic.blocks import shorter, with_outputs
from tapemagic.deriving import explain
from tapemagic.diagnosis import Diagnosis
from tapemagic.doctor import diagnose
from tapemagic.inquiry import Asked, Seed, measured
from tapemagic.jacobians import instead
from tapemagic.keys import derivative_key
from tapemagic.linear import higher_order
from tapemagic.log import OPEN, TapeLife
from tapemagic.options import Options
from tapemagic.question import Along, Question, leaf_of
from tapemagic.recording import Recorder, is_user_code, tensor_id
from tapemagic.result import Derivative
from tapemagic.settling import settled
from tapemagic.sources import Source, is_variable, names_in, unwrapped
from tapemagic.tensors.forms import Shared
from tapemagic.trace import Line, Trace


@dataclass(frozen=True)
class Target:
    """What is differentiated: `text` for the key."""

    text: str
    value: Any


def _scalars(sources: Sequence[Source]) -> bool:
    return all(tuple(unwrapped(source.value).shape) == () for source in sources)


def answers(
    options: Options, target: Target, sources: Sequence[Source], asked: Asked
) -> dict[tuple[int, ...], Any]:
    """What the tape says, by the positions of the sources in turn."""
    if options.kind != "gradient":
        advice = instead(options.kind, target.text, " ".join(options.wrt))
        ask = {
            "hessian": asked.hessians,
            "jacobian": asked.jacobians,
            "batch_jacobian": asked.batch_jacobians,
        }
        return ask[options.kind](target.value, advice)
    mixed = _scalars(sources) and len(sources) > 1
    return asked.gradients(target.value, options.order, mixed)


class Explainer:
    """Explains answers by what was recorded."""

    def __init__(
        self,
        options: Options,
        sources: Sequence[Source],
        seed: Seed,
        recorder: Recorder,
        life: TapeLife,
        namespace: dict[str, Any],
        call: Line | None = None,
    ) -> None:
        tape = life.tape()
        variables = tape.watched_variables() if tape is not None else ()
        watched = frozenset(_id(variable) for variable in variables)
        self._asked = Circumstances(life, watched, call, options.zero)
        self._kind, self._sources = options.kind, sources
        if call is not None:
            origins.remember(call.file, namespace, is_user_code)
        try:
            self._trace = settled(recorder.trace().seen(life.on, OPEN))
        except Exception as error:  # noqa: BLE001 - an error of ours must not cost the values
            recorder.unreadable = f"the recording cannot be read ({error})"
            self._trace = Trace((), {})
        self._shared, self._style = Shared(), options.style
        self._several = len(sources) > 1 or not _scalars(sources)
        self._seed = None if seed.value is None else np.asarray(seed.value, dtype=np.float64)
        self._by = seed
        own = names_in(namespace, codes.looped(call.file) if call is not None else ())
        names = {**own, **{_id(s.value): s.alias or s.text for s in sources}}
        names.update({key: text for key, text in own.items() if text.isidentifier()})
        short = shorter(self._trace, names)
        self._meanings = dict(short.values())
        self._leaves = tuple(
            leaf_of(self._trace, _id(s.value), s.alias or s.text, is_variable(s.value), called)
            for s in sources
            for called in [short.get(_id(s.value), (_called(names, s),))[0]]
        )
        self._meanings.update({n: s.alias for s in sources if (n := _called(names, s))})
        names.update({key: called for key, (called, _) in short.items()})
        reads = self._trace.variables
        self._names = {tensor: text for key, text in names.items() for tensor in reads.get(key, ())}
        self._trace = with_outputs(self._trace, names.values())

    def derivatives(
        self, target: Target, answers: dict[tuple[int, ...], Any]
    ) -> Iterator[Derivative]:
        """One `Derivative` an answer, each built on that of one order less."""
        found: dict[tuple[int, ...], Derivative] = {}
        for order, value in answers.items():
            is_block = self._kind == "hessian" and len(order) == 2
            question = Question(
                derivative_key(target.text, [self._sources[i].text for i in order]),
                self._trace.canonical(_id(target.value)),
                target.text,
                self._leaves,
                order,
                "gradient" if self._kind == "hessian" and not is_block else self._kind,
                self._seed if self._by.order == 1 else None,
                self._names,
                self._several,
                self._style,
                self._meanings,
                self._along if len(order) == self._by.order == 2 else None,
                seed_name=self._by.text if self._by.text.isidentifier() else "",
            )
            lower = found.get(order[:-1])
            one = explain(self._trace, question, value, measured(value), lower, self._shared)
            found[order] = replace(one, diagnoses=self._diagnoses(question, one, lower))
            if is_block or self._kind != "hessian":
                yield found[order]

    @property
    def _along(self) -> Along:
        """The vector of a Hessian-vector product, under the name that the user gave it."""
        assert self._seed is not None
        return Along(self._by.text if self._by.text.isidentifier() else "v", self._seed)

    def _diagnoses(
        self, question: Question, found: Derivative, lower: Derivative | None
    ) -> tuple[Diagnosis, ...]:
        if len(question.order) > 1:
            return higher_order(
                found.target, found.sources[-1], self._asked.call, found.check, lower
            )
        source = self._sources[question.order[0]]
        case = self._asked.case(self._trace, question, source.text, source.value, found)
        return diagnose(case)


def _called(names: Mapping[int, str], source: Source) -> str:
    """The user's own plain name for a variable, where the source is written as a member."""
    name = names.get(_id(source.value), "")
    return name if source.alias and name.isidentifier() else ""


def aliases(targets: Sequence[Target], sources: Sequence[Source]) -> dict[str, str]:
    """More readable keys, and mixed partials in the other order."""
    found: dict[str, str] = {}
    for target in targets:
        for source in sources:
            if source.alias:
                key = derivative_key(target.text, [source.text])
                found[derivative_key(target.text, [source.alias])] = key
        for one in sources[:8]:
            for other in sources[:8]:
                key = derivative_key(target.text, [one.text, other.text])
                found.setdefault(derivative_key(target.text, [other.text, one.text]), key)
    return found


def _id(value: Any) -> int:
    key = tensor_id(unwrapped(value))
    return -1 if key is None else key
