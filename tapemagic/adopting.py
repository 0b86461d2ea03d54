"""A cell with tapes of its own: each call that one of them answered, explained."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from tapemagic import codes, origins
from tapemagic.asked import Circumstances
from tapemagic.blocks import shorter, with_outputs
from tapemagic.calls import FIRST, OwnCall
from tapemagic.check import Check
from tapemagic.deriving import explain
from tapemagic.doctor import diagnose
from tapemagic.inquiry import measured
from tapemagic.keys import derivative_key
from tapemagic.members import Member, flattened
from tapemagic.question import Question, leaf_of
from tapemagic.recording import Recorder, is_user_code, tensor_id
from tapemagic.result import Call, Derivative
from tapemagic.settling import settled
from tapemagic.sources import is_variable, unwrapped
from tapemagic.style import PLAIN, Style
from tapemagic.tensors.forms import Shared
from tapemagic.totals import summed
from tapemagic.trace import Binding, Line, Trace
from tapemagic.tracing import line
from tapemagic.unwatched import nothing_asked


@dataclass(frozen=True)
class _Answered:
    """What an earlier call answered: the target and the sources of that derivative."""

    target: str
    sources: tuple[str, ...]


class Adopter:
    """Explains the user's own calls by what was recorded."""

    def __init__(
        self,
        recorder: Recorder,
        calls: Sequence[OwnCall],
        namespace: Mapping[str, Any],
        style: Style = PLAIN,
    ) -> None:
        self._recorder = recorder
        self._style = style
        self._calls = calls
        self._answered: dict[int, _Answered] = {}
        self._lines: dict[int, Line | None] = {}
        self.aliases: dict[str, str] = {}
        names = frozenset(code for call in calls for code in call.codes)
        # Equal codes are one in a set, and may come from several files.
        for file in {code.co_filename for call in calls for code in call.codes}:
            origins.remember(file, namespace, is_user_code)
        try:
            self._trace = settled(recorder.trace(names))
        except Exception as error:  # noqa: BLE001 - an error of ours must not cost the values
            recorder.unreadable = f"the recording cannot be read ({error})"
            self._trace = Trace((), {})

    def calls(self, counts: Mapping[Any, int]) -> list[Call]:
        """The kept calls in the order they were made; `counts` says how many came from where."""
        found = []
        for call in self._calls:
            try:
                found.append(self._call(call, counts.get(call.way, 1)))
            except Exception as error:  # noqa: BLE001 - nor must this one cost the other calls
                self._recorder.unreadable = f"tape.{call.method} is not explained ({error!r})"
        return found

    def _call(self, call: OwnCall, count: int) -> Call:
        code, offset = call.place
        assert code is not None
        node = codes.call_at(code, offset, call.method)
        target = _argument(node, 0, "target", code.co_filename)
        name = "source" if call.method == "batch_jacobian" else "sources"
        sources = _argument(node, 1, name, code.co_filename)
        derivatives: tuple[Derivative, ...] = ()
        derived = count <= FIRST + 1 or call.number in (1, count) or call.ill
        if call.error is None:
            value = call.argument(1, name)
            flat = list(flattened(sources, value, call.variables))
            derivatives = tuple(self._derivatives(call, target, flat, derived))
            if not flat:
                derivatives = (_empty(call, target, sources),)
        text = codes.written(node, code.co_filename) if node is not None else f"tape.{call.method}"
        return Call(
            call.method,
            line(call.place) or Line(0),
            target,
            sources,
            derivatives,
            call.error,
            text,
            call.number,
            count,
        )

    def _derivatives(
        self, call: OwnCall, text: str, sources: Sequence[Member], derived: bool
    ) -> Iterator[Derivative]:
        trace = self._seen(call)
        trace, target, text = self._target(trace, call, text)
        texts = {**call.variables, **{s.id: s.alias or s.text for s in sources}}
        short = shorter(trace, texts)
        texts.update({key: called for key, (called, _) in short.items()})
        meanings = dict(short.values())
        trace = with_outputs(trace, texts.values())
        leaves = tuple(
            leaf_of(trace, s.id, s.alias or s.text, is_variable(s.value), called)
            for s in sources
            for called in [short.get(s.id, ("",))[0]]
        )
        answers = tf.nest.flatten(call.answer)
        several = len(sources) > 1 or any(_rank(source.value) for source in sources)
        names = {
            tensor: name for key, name in texts.items() for tensor in trace.variables.get(key, ())
        }
        lower = self._answered.get(target)
        asked = self._circumstances(call)
        shared = Shared()
        weights = self._written_seed(call)
        for i, (source, answer) in enumerate(zip(sources, answers)):
            base = lower or _Answered(text, ())
            wrt = (*base.sources, source.text)
            key = derivative_key(base.target, wrt)
            seed, method = self._seed(call), call.method
            question = Question(
                key,
                target,
                text,
                leaves,
                (i,),
                method,
                seed,
                names,
                several,
                self._style,
                meanings,
                seed_name=weights if weights.isidentifier() else "",
            )
            if derived:
                found = explain(trace, question, answer, measured(answer), None, shared)
                case = asked.case(trace, question, source.text, source.value, found)
                found = replace(found, diagnoses=diagnose(case))
            else:
                check = Check(
                    measured(answer), None, None, None, "of a loop, the first and the last"
                )
                found = Derivative(
                    key, text, (source.text,), answer, check, several=several, style=self._style
                )
            if lower is not None:
                found = replace(found, inner=(lower.target, lower.sources))
                self.aliases[derivative_key(text, [source.text])] = key
            if source.alias:
                wrt = (*base.sources, source.alias)
                self.aliases[derivative_key(base.target, wrt)] = key
            answered = tensor_id(answer)
            if answered is not None:
                self._lines[answered] = line(call.place)
                self._answered[answered] = _Answered(base.target, (*base.sources, source.text))
            yield found

    def _circumstances(self, call: OwnCall) -> Circumstances:
        """How tape and question stood."""
        zero = call.argument(2 if call.method != "gradient" else 3, "unconnected_gradients")
        return Circumstances(
            call.life,
            call.watched,
            line(call.place),
            str(getattr(zero, "value", zero)) == "zero",
            dict(self._lines),
        )

    def _seen(self, call: OwnCall) -> Trace:
        """The trace as the call's tape saw it, with the names of the function it stands in."""
        trace = self._trace.seen(call.on, call.start)
        named = [
            Binding(call.start, name, tensor)
            for name, held in call.names
            for tensor in trace.variables.get(held._id, (trace.canonical(held._id),))
        ]
        return replace(trace, bindings=(*trace.bindings, *named))

    def _target(self, trace: Trace, call: OwnCall, text: str) -> tuple[Trace, int, str]:
        """The one tensor that is differentiated: of several targets, the tape takes the sum."""
        parts = [p for p in tf.nest.flatten(call.argument(0, "target")) if p is not None]
        keys = [trace.canonical(_id(part)) for part in parts]
        if len(parts) == 1:
            return trace, self._value_of(trace, keys[0]), text
        if not parts or any(key not in trace.tensors for key in keys):
            return trace, -1, text
        tree = ast.parse(text, mode="eval").body if text else None
        if isinstance(tree, (ast.List, ast.Tuple)):
            text = "+".join(ast.unparse(part) for part in tree.elts)
        return (*summed(trace, keys, call), text)

    def _value_of(self, trace: Trace, key: int) -> int:
        """A variable as target is its value."""
        reads = trace.variables.get(key, ())
        return reads[-1] if reads else key

    def _written_seed(self, call: OwnCall) -> str:
        code, offset = call.place
        if code is None:
            return ""
        node = codes.call_at(code, offset, call.method)
        return _argument(node, 2, "output_gradients", code.co_filename)

    def _seed(self, call: OwnCall) -> Any:
        given = call.argument(2, "output_gradients") if call.method == "gradient" else None
        parts = tf.nest.flatten(given)
        targets = tf.nest.flatten(call.argument(0, "target"))
        if given is None or len(targets) != 1 or parts[0] is None:
            return None
        return np.asarray(tf.convert_to_tensor(parts[0]).numpy(), dtype=np.float64)


def _empty(call: OwnCall, target: str, sources: str) -> Derivative:
    """The answer to a question about no source at all: an empty list."""
    key = derivative_key(target, [sources])
    check = Check(None, None, None, None, "the list of sources is empty")
    diagnosis = nothing_asked(line(call.place) or Line(0), call.method, sources)
    return Derivative(key, target, (sources,), None, check, diagnoses=(diagnosis,))


def _argument(node: ast.Call | None, place: int, name: str, file: str) -> str:
    """An argument of the call as the user wrote it."""
    if node is None:
        return name
    if place < len(node.args) and not any(isinstance(a, ast.Starred) for a in node.args):
        return codes.written(node.args[place], file)
    named = {keyword.arg: keyword.value for keyword in node.keywords}
    return codes.written(named[name], file) if name in named else name


def _rank(value: Any) -> int:
    return len(getattr(unwrapped(value), "shape", None) or ())


def _id(value: Any) -> int:
    key = tensor_id(unwrapped(value))
    return -1 if key is None else key
