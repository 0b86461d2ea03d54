"""A cell with tapes of its own: each call that one of them answered, explained."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from tapemagic import codes
from tapemagic.asked import asked_source, asked_tape
from tapemagic.blocks import shorter, with_outputs
from tapemagic.calls import FIRST, OwnCall
from tapemagic.case import Case
from tapemagic.check import Check
from tapemagic.dependence import Dependence
from tapemagic.deriving import Question, explain, leaf_of
from tapemagic.disconnection import nothing_asked
from tapemagic.doctor import diagnose
from tapemagic.keys import derivative_key
from tapemagic.recording import Recorder, tensor_id
from tapemagic.result import Call, Derivative
from tapemagic.settling import settled
from tapemagic.sources import is_variable, unwrapped
from tapemagic.tapes import measured
from tapemagic.tensors.forms import Shared
from tapemagic.trace import Binding, Line, Operation, TensorValue, Trace
from tapemagic.tracing import line

_PLAIN = (ast.Name, ast.Attribute, ast.Subscript, ast.Call)


@dataclass(frozen=True)
class _Source:
    """A source as the user wrote it (`text`), and a more readable name for it, if any."""

    text: str
    alias: str
    value: Any

    @property
    def id(self) -> int:
        key = tensor_id(unwrapped(self.value))
        return -1 if key is None else key


@dataclass(frozen=True)
class _Answered:
    """What an earlier call answered: the target and the sources of that derivative."""

    target: str
    sources: tuple[str, ...]


class Adopter:
    """Explains the user's own calls by what was recorded."""

    def __init__(
        self, recorder: Recorder, calls: Sequence[OwnCall], notation: str = "auto"
    ) -> None:
        self._notation = notation
        self._calls = calls
        self._answered: dict[int, _Answered] = {}
        self._lines: dict[int, Line | None] = {}
        self.aliases: dict[str, str] = {}
        names = frozenset(code for call in calls for code in call.codes)
        try:
            self._trace = settled(recorder.trace(names))
        except Exception as error:  # noqa: BLE001 - an error of ours must not cost the values
            recorder.unreadable = f"the recording cannot be read ({error})"
            self._trace = Trace((), {})

    def calls(self, counts: Mapping[Any, int]) -> list[Call]:
        """The kept calls in the order they were made; `counts` says how many came from where."""
        return [self._call(call, counts.get(call.way, 1)) for call in self._calls]

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
            flat = list(_flattened(sources, value, call.variables))
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
        self, call: OwnCall, text: str, sources: Sequence[_Source], derived: bool
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
        graphs: dict[int, Dependence] = {}
        shared = Shared()
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
                self._notation,
                meanings,
            )
            if derived:
                found = explain(trace, question, answer, measured(answer), None, shared)
                case = self._case(call, trace, question, source, found, graphs)
                found = replace(found, diagnoses=diagnose(case))
            else:
                check = Check(
                    measured(answer), None, None, None, "of a loop, the first and the last"
                )
                found = Derivative(key, text, (source.text,), answer, check, several=several)
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

    def _case(
        self,
        call: OwnCall,
        trace: Trace,
        question: Question,
        source: _Source,
        found: Derivative,
        graphs: dict[int, Dependence],
    ) -> Case:
        """What the doctor is told."""
        zero = call.argument(2 if call.method != "gradient" else 3, "unconnected_gradients")
        return Case(
            trace,
            question.target,
            question.text,
            asked_source(trace, source.text, source.value),
            asked_tape(call.life, call.watched, trace),
            line(call.place),
            call.method,
            found.check.tape,
            found.check,
            found.derivation,
            question.seed,
            str(getattr(zero, "value", zero)) == "zero",
            answers=dict(self._lines),
            graphs=graphs,
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
        return (*_summed(trace, keys, call), text)

    def _value_of(self, trace: Trace, key: int) -> int:
        """A variable as target is its value."""
        reads = trace.variables.get(key, ())
        return reads[-1] if reads else key

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


def _summed(trace: Trace, keys: Sequence[int], call: OwnCall) -> tuple[Trace, int]:
    """Σ targets, weighted by the output gradients, as further operations of the trace."""
    given = call.argument(2, "output_gradients") if call.method == "gradient" else None
    weights = tf.nest.flatten(given) if given is not None else [None] * len(keys)
    tensors: dict[int, TensorValue] = {}
    operations: list[Operation] = []
    fresh = iter(range(-(10**9), 0))

    def constant(array: Any, dtype: str) -> int:
        key = next(fresh)
        tensors[key] = TensorValue(np.shape(array), dtype, np.asarray(array))
        return key

    def made(kind: str, inputs: Sequence[int], value: Any, dtype: str, **attributes: Any) -> int:
        key = constant(value, dtype)
        operations.append(Operation(kind, tuple(inputs), (key,), attributes, None, at=call.start))
        return key

    totals = []
    for key, weight in zip(keys, weights):
        known = trace.tensors[key]
        data = known.data if known.data is not None else np.full(known.shape, np.nan)
        if weight is not None:
            factor = np.asarray(tf.convert_to_tensor(weight).numpy())
            data = data * factor
            key = made("Mul", (key, constant(factor, known.dtype)), data, known.dtype)
        if known.shape:
            axes = constant(np.arange(len(known.shape)), "int32")
            key = made("Sum", (key, axes), np.sum(data), known.dtype, keep_dims=False)
        totals.append(key)
        tensors.setdefault(key, known)
    value = np.sum([tensors[key].data for key in totals])
    total = made("AddN", totals, value, trace.tensors[keys[0]].dtype)
    joined = {**tensors}
    whole = replace(
        trace,
        operations=(*trace.operations, *operations),
        tensors=_Joined(joined, trace.tensors),
    )
    return whole, total


class _Joined(Mapping[int, TensorValue]):
    """The recorded tensors, and a few more."""

    def __init__(self, more: dict[int, TensorValue], recorded: Mapping[int, TensorValue]) -> None:
        self._more, self._recorded = more, recorded

    def __getitem__(self, key: int) -> TensorValue:
        return self._more[key] if key in self._more else self._recorded[key]

    def __iter__(self) -> Iterator[int]:
        return iter({**self._more, **dict.fromkeys(self._recorded)})

    def __len__(self) -> int:
        return len(self._more) + len(self._recorded)


def _argument(node: ast.Call | None, place: int, name: str, file: str) -> str:
    """An argument of the call as the user wrote it."""
    if node is None:
        return name
    if place < len(node.args) and not any(isinstance(a, ast.Starred) for a in node.args):
        return codes.written(node.args[place], file)
    named = {keyword.arg: keyword.value for keyword in node.keywords}
    return codes.written(named[name], file) if name in named else name


def _flattened(text: str, value: Any, names: Mapping[int, str]) -> Iterator[_Source]:
    """The members of what stands as sources, in the order of the tape's answers."""
    members = list(_members(text, value))
    flat = tf.nest.flatten(value)
    if len(members) != len(flat):  # a structure that only TensorFlow knows
        members = [(f"{_held(text)}[{i}]", part) for i, part in enumerate(flat)]
    for path, part in members:
        key = tensor_id(unwrapped(part))
        name = names.get(key, "") if key is not None else ""
        yield _Source(path, name if name != path else "", part)


def _members(text: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        written = _written_values(text)
        for key in sorted(value):
            yield from _members(written.get(key, f"{_held(text)}[{key!r}]"), value[key])
    elif isinstance(value, (list, tuple)):
        for part, member in zip(_written_members(text, len(value)), value):
            yield from _members(part, member)
    else:
        yield text, value


def _written_members(text: str, count: int) -> list[str]:
    """The members' own texts where the user wrote a list, else text[0], text[1] …"""
    node = _syntax(text)
    listed = node.elts if isinstance(node, (ast.List, ast.Tuple)) else []
    if len(listed) == count and not any(isinstance(part, ast.Starred) for part in listed):
        return [" ".join((ast.get_source_segment(text, part) or text).split()) for part in listed]
    return [f"{_held(text)}[{i}]" for i in range(count)]


def _written_values(text: str) -> dict[Any, str]:
    """The values' own texts where the user wrote a dict."""
    node = _syntax(text)
    if not isinstance(node, ast.Dict):
        return {}
    return {
        key.value: ast.get_source_segment(text, value) or ""
        for key, value in zip(node.keys, node.values)
        if isinstance(key, ast.Constant)
    }


def _held(text: str) -> str:
    return text if isinstance(_syntax(text), _PLAIN) else f"({text})"


def _syntax(text: str) -> ast.expr | None:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        return None


def _rank(value: Any) -> int:
    return len(getattr(unwrapped(value), "shape", None) or ())


def _id(value: Any) -> int:
    key = tensor_id(unwrapped(value))
    return -1 if key is None else key
