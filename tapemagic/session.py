"""One `%%grad` cell from its options to its `Result`: tape and recorder around it, then the
questions to the tape, then the explanations."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import CodeType
from typing import Any

import tensorflow as tf

from tapemagic import exposition
from tapemagic.adopting import Adopter
from tapemagic.calls import OwnCalls
from tapemagic.closed_form import SECONDS_A_CELL, simplifying
from tapemagic.diagnosis import Diagnosis
from tapemagic.intent import asks_a_tape
from tapemagic.keys import bound_name, is_plain_name
from tapemagic.layers import Layers
from tapemagic.lives import TapeLives
from tapemagic.mistakes import attach, explained, is_about_none, raised_at
from tapemagic.options import GradError, Options
from tapemagic.questions import Explainer, Target, aliases, answers
from tapemagic.recording import EagerTensor, Recorder, is_user_code, tensor_id
from tapemagic.replicas import Replicas, mirrored
from tapemagic.result import Result
from tapemagic.sources import (
    Source,
    evaluated,
    expanded,
    is_differentiable,
    is_safe,
    is_variable,
    names_in,
    unwrapped,
)
from tapemagic.tapes import Asked, CellTape, Seed
from tapemagic.tensors.telling import Style
from tapemagic.trace import Line

_NOT_ASKED = (
    "no tape of the cell's own has answered anything; name a source, %%grad x, and the cell runs "
    "under ours"
)


@dataclass
class _Versions:
    """A WRT name: its value before the cell, the first one that the cell bound, and whether
    the old one had been read by then (None: not bound yet)."""

    before: Any = None
    first: Any = None
    read_before: bool | None = None


class Session:
    """One cell. A context manager: leaving it undoes all that entering did, on any error."""

    def __init__(
        self, options: Options, namespace: dict[str, Any], cell: str, filename: str
    ) -> None:
        self.options, self._namespace = options, namespace
        self._magic = Line(1, (cell.splitlines() or [""])[0], filename)
        self._recorder = Recorder()
        self.tape = CellTape(options.persistent, not options.only)
        self._lives = TapeLives(self._recorder)
        sources = (*options.wrt, *options.at)  # without WRT, --at may still name a variable
        self._plain = {t: _Versions() for t in sources if is_plain_name(t)}
        self._looked_up = [t for t in options.wrt if t not in self._plain and is_safe(t)]
        self.wants_reads = bool(self._looked_up)
        self._replicas = Replicas(self._recorder)
        self._layers = Layers(self._recorder, namespace)
        self._own_calls = OwnCalls(self._recorder, self._lives, self._adopt)
        self._bound: dict[str, None] = {}
        self._watched: set[int] = set()
        self._undo: list[Any] = []
        self._target: Any = None
        self._adopted = False
        named = options.wrt or options.tape or options.persistent
        self._ours = bool(named) or not asks_a_tape(cell.partition("\n")[2], namespace)

    # -- around the cell -------------------------------------------------------------------

    def __enter__(self) -> Session:
        try:
            self._recorder.start()
            self._lives.start()
            self._own_calls.start()
            self._layers.start()
            self._replicas.start()
            if self._ours:
                self.tape.__enter__()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, kind: object = None, error: Any = None, tb: Any = None) -> None:
        self.tape.close()
        self._replicas.stop()
        self._layers.stop()
        self._own_calls.stop()
        self._lives.stop()
        self._recorder.stop()
        while self._undo:
            self._undo.pop()()
        # Last, for it may take a while and be interrupted: by then nothing is patched any more.
        if isinstance(error, Exception) and not isinstance(error, GradError):
            with suppress(Exception), simplifying(SECONDS_A_CELL):
                attach(error, self._meaning(error))

    def _meaning(self, error: Exception) -> Diagnosis | None:
        """What an error means: one about tapes, or one that a None of theirs led to."""
        found = explained(error, raised_at(error.__traceback__, is_user_code))
        if found is not None or not is_about_none(error) or not self._own_calls.kept:
            return found
        calls = Adopter(self._recorder, self._own_calls.kept[-1:]).calls({})
        ill = [d for call in calls for d in call.derivatives if d.value is None and d.diagnoses]
        return ill[0].diagnosis if ill else None

    def before(self) -> None:
        """Right before the body runs: what is there already is named and watched."""
        for name, value in list(self._namespace.items()):
            if not name.startswith("_") and isinstance(unwrapped(value), (tf.Tensor, tf.Variable)):
                self._recorder.bind(name, unwrapped(value))
        for name, versions in self._plain.items():
            self._start_at(name)
            versions.before = self._namespace.get(name)
            self._watch(versions.before)
        self._look_up()
        if self.options.tape:
            self._namespace[self.options.tape] = self.tape

    def _start_at(self, name: str) -> None:
        """`--at` for a value that is there before the cell; undone unless the cell rebinds it."""
        if name not in self.options.at or name not in self._namespace:
            return
        old = self._namespace[name]
        if is_variable(old):
            variable = unwrapped(old)
            kept = tf.identity(variable)
            variable.assign(self._at(name, variable))
            changed = tf.identity(variable)
            self._undo.append(partial(_assign_back, variable, kept, changed))
        elif is_differentiable(old):
            new = self._at(name, old)
            self._namespace[name] = new
            self._recorder.bind(name, new)
            self._undo.append(partial(_bind_back, self._namespace, name, old, new))

    def _at(self, name: str, like: Any) -> tf.Tensor:
        value = evaluated(self.options.at[name], self._namespace, "--at")
        try:
            found = tf.cast(tf.convert_to_tensor(value), like.dtype)
            return tf.broadcast_to(found, like.shape)
        except Exception as error:
            first = str(error).splitlines()[0]
            raise GradError(f"--at {name}: {first}") from error

    def bound(self, name: str, value: Any, code: CodeType | None = None, offset: int = 0) -> Any:
        """On every binding at the cell's top level; returns the value to bind."""
        versions = self._plain.get(name)
        if versions is not None and versions.read_before is None:
            old = unwrapped(versions.before)
            versions.read_before = is_differentiable(old) and self._recorder.used(tensor_id(old))
            if name in self.options.at and not versions.read_before and is_differentiable(value):
                value = self._moved(name, value)
            versions.first = value
        self._bound.pop(name, None)
        self._bound[name] = None
        plain = value if isinstance(value, EagerTensor) else unwrapped(value)
        self._recorder.bind(name, plain, code, offset)
        if versions is not None and versions.first is value:  # later ones are no source
            self._watch(value)
        if self._looked_up:
            self._look_up({name: value})
        return value

    def named(self, name: str, value: Any) -> None:
        """A name that a function gave to a tensor inside."""
        self._recorder.bind(name, unwrapped(value))

    def _moved(self, name: str, value: Any) -> Any:
        if is_variable(value):
            unwrapped(value).assign(self._at(name, unwrapped(value)))
            return value
        return self._at(name, value)

    def read(self, name: str) -> None:
        """Before a top-level name is read, if `wants_reads`: containers may have changed."""
        self._look_up()

    def _look_up(self, new: dict[str, Any] | None = None) -> None:
        """Watch what the WRT expressions give by now, if they give anything yet."""
        for text in self._looked_up:
            try:
                self._watch(eval(text, {**self._namespace, **(new or {})}))  # noqa: S307
            except Exception:  # noqa: BLE001, S112 - not there yet
                continue

    def _watch(self, value: Any) -> None:
        try:
            found = expanded("_", value) if value is not None else []
        except GradError:
            return
        for source in found:
            key = tensor_id(unwrapped(source.value))
            if key is not None and key not in self._watched:
                self._watched.add(key)
                self.tape.watch_if_possible(source.value)

    # -- after the cell ----------------------------------------------------------------------

    def displays(self, last: Any) -> bool:
        """Whether the value of the last expression is still to be shown: it is, unless it is
        the target, whose value stands in the derivation."""
        return self._target is None or last.value is not self._target

    def finish(self, last: Any) -> Result:
        """Ask the tape, explain its answers, bind them."""
        with simplifying(SECONDS_A_CELL):
            return self._finished(last)

    def _finished(self, last: Any) -> Result:
        own = self._own_calls
        if self._adopted or not self._ours or (own.in_graphs and not self.options.wrt):
            return self._explained()
        if own.library and not self.options.wrt:
            with suppress(GradError):  # a cell that trains by a library need not have a target
                return self._asked(last)
            return self._explained()
        return self._asked(last)

    def _asked(self, last: Any) -> Result:
        """What our own tape answers; kept for `%grad` if it is persistent."""
        result = self._answer(self.options, last)
        if self.options.persistent:
            self._namespace[self.options.tape or "tape"] = self.tape
            _Kept.session = self
        return result

    def _adopt(self) -> None:
        """A tape of the user's is asked for the first time: if no source is named for ours, it
        is that tape's cell, and ours would only hold on to memory."""
        if self.options.wrt:
            return
        self._adopted = True
        if not self.options.tape and not self.options.persistent:
            self.tape.drop()

    def _explained(self) -> Result:
        """The answers of the user's own tapes."""
        self._recorder.stop()
        calls = self._own_calls
        adopter = Adopter(self._recorder, calls.kept, self.options.notation)
        found = adopter.calls(calls.counts)
        derivatives = [d for call in found for d in call.derivatives]
        notes = [self._recorder.unreadable] if self._recorder.unreadable else []
        ignored = self.options.ignored_with_tapes
        if ignored and found:
            notes.append(f"{', '.join(ignored)}: no effect on what the cell's own tapes answer")
        if not calls.in_replicas:
            asked = (call.argument(1, "sources") for call in calls.kept)
            notes += [told for told in [mirrored(tf.nest.flatten(list(asked)))] if told]
        notes += calls.notes() or ([] if found else [_NOT_ASKED])
        document = partial(exposition.calls, steps=self.options.steps, style=_style(self.options))
        result = Result(derivatives, document, adopter.aliases, found, notes)
        if self.options.out:
            self._namespace[self.options.out] = result
        return result

    def ask(self, options: Options) -> Result:
        """`%grad`: the same tape, asked again."""
        self._recorder.start()
        self._lives.start()
        try:
            return self._answer(options, None)
        finally:
            self._lives.stop()
            self._recorder.stop()

    def _answer(self, options: Options, last: Any) -> Result:
        with self.tape.recording_again():
            targets = self._targets(options, last)
            seed = self._seed(options, targets)
        self.tape.close()
        self._recorder.stop()
        sources = self._sources(options)
        by = self._weights(options, seed, targets[0], sources)
        self._target = targets[0].value if last is not None else None
        # First all answers, then the trace: custom gradients remember what they answered.
        values = [s.value for s in sources]
        asked = Asked(self.tape, values, options.zero, by, self._recorder.widest())
        answered = [answers(options, target, sources, asked) for target in targets]
        life = self._lives.of(self.tape)
        explainer = Explainer(
            options, sources, by, self._recorder, life, self._namespace, self._magic
        )
        derivatives = [
            derivative
            for target, answer in zip(targets, answered)
            for derivative in explainer.derivatives(target, answer)
        ]
        notes = [self._recorder.unreadable] if self._recorder.unreadable else []
        notes += [told for told in [mirrored(values)] if told]
        document = partial(exposition.whole, steps=options.steps, style=_style(options))
        result = Result(derivatives, document, aliases(targets, sources), (), notes)
        self._bind(options, result)
        return result

    def _bind(self, options: Options, result: Result) -> None:
        for derivative in result.values():
            name = bound_name(derivative.target, derivative.sources)
            if name:
                self._namespace[name] = derivative.value
        if options.out:
            self._namespace[options.out] = result

    # -- targets and sources -----------------------------------------------------------------

    def _targets(self, options: Options, last: Any) -> list[Target]:
        if options.of:
            targets = [self._named_target(text) for text in options.of]
        else:
            targets = [self._default_target(options, last)]
        if options.sum and len(targets) > 1:
            total = tf.add_n([tf.reduce_sum(target.value) for target in targets])
            targets = [Target("+".join(target.text for target in targets), total)]
        return targets

    def _named_target(self, text: str) -> Target:
        value = evaluated(text, self._namespace, "--of")
        if is_variable(value):
            raise GradError(
                f"{text} is a variable, not something computed: name what the cell computes"
            )
        if not is_differentiable(value):
            raise GradError(
                f"{text} is {_described(value)}: a floating tensor is needed{self._hint()}"
            )
        return Target(text, value)

    def _default_target(self, options: Options, last: Any) -> Target:
        if last is not None and is_differentiable(last.value) and not is_variable(last.value):
            return Target(" ".join(last.source.split()), last.value)
        for name in reversed(self._bound):
            value = self._namespace.get(name)
            versions = self._plain.get(name, _Versions())
            source = versions.before if versions.read_before else versions.first
            is_source = name in self._plain and value is source
            if is_differentiable(value) and not is_variable(value) and not is_source:
                return Target(name, value)
        if options.wrt:
            self._sources(options)  # an integer source is the better complaint
        raise GradError(
            f"nothing to differentiate: the cell computed no floating tensor{self._hint()}"
        )

    def _hint(self) -> str:
        made = [
            name
            for name in self._bound
            if is_differentiable(self._namespace.get(name)) and name not in self._plain
        ]
        return f"; did you mean --of {made[-1]}?" if made else ""

    def _seed(self, options: Options, targets: Sequence[Target]) -> Any:
        if options.seed is None:
            return None
        value = evaluated(options.seed, self._namespace, "--seed")
        target = targets[0]
        try:
            seed = tf.cast(tf.convert_to_tensor(value), target.value.dtype)
        except Exception as error:
            raise GradError(f"--seed {options.seed}: {str(error).splitlines()[0]}") from error
        return seed

    def _weights(
        self, options: Options, seed: Any, target: Target, sources: Sequence[Source]
    ) -> Seed:
        """What the seed weights: the target, or its first derivative if it is as large as that."""
        if seed is None or seed.shape == target.value.shape:
            return Seed(seed)
        second = options.kind == "gradient" and options.order == 2 and len(sources) == 1
        if second and seed.shape == unwrapped(sources[0].value).shape:
            return Seed(seed, 2, options.seed or "")
        other = f", and {sources[0].text} {tuple(sources[0].value.shape)}" if second else ""
        raise GradError(
            f"--seed has shape {tuple(seed.shape)}, but {target.text} has shape "
            f"{tuple(target.value.shape)}{other}"
        )

    def _sources(self, options: Options) -> list[Source]:
        if not options.wrt:
            return self._variables()
        found: list[Source] = []
        for text in options.wrt:
            versions = self._plain.get(text) or _Versions()
            if versions.read_before:
                value = versions.before
            elif versions.first is not None:
                value = versions.first
            else:
                value = evaluated(text, self._namespace, "WRT")
            found += expanded(text, value)
        if not found:
            raise GradError(f"{', '.join(options.wrt)} has no trainable variables yet")
        for source in found:
            if not is_differentiable(source.value):
                dtype = unwrapped(source.value).dtype.name
                raise GradError(
                    f"{source.text} is of dtype {dtype}: TensorFlow differentiates floating "
                    f"dtypes only; write {source.text} = tf.constant(…, dtype=tf.float32)"
                )
        return found

    def _variables(self) -> list[Source]:
        """Every trainable variable that the cell read, under its name in the namespace."""
        names = names_in(self._namespace)
        found = []
        for i, variable in enumerate(self.tape.watched_variables()):
            fallback = variable.name.split(":")[0].replace("/", ".") or f"variable{i}"
            found.append(Source(names.get(tensor_id(variable) or 0, fallback), variable))
        if not found:
            tensors = [
                name
                for name, value in self._namespace.items()
                if not name.startswith("_")
                and is_differentiable(value)
                and self._recorder.used(tensor_id(value))
            ]
            hint = f"; did you mean %%grad {tensors[0]}?" if tensors else ""
            raise GradError(
                f"nothing to differentiate with respect to: the cell read no variable{hint}"
            )
        return found


def _style(options: Options) -> Style:
    return Style(options.notation, options.layout == "numerator")


def _described(value: Any) -> str:
    dtype = getattr(getattr(value, "dtype", None), "name", None)
    kind = type(value).__name__
    return (
        f"of dtype {dtype}"
        if dtype and isinstance(value, tf.Tensor)
        else f"of type {kind}, no tensor"
    )


def _assign_back(variable: Any, kept: Any, changed: Any) -> None:
    if bool(tf.reduce_all(tf.equal(variable, changed))):
        variable.assign(kept)


def _bind_back(namespace: dict[str, Any], name: str, old: Any, new: Any) -> None:
    if namespace.get(name) is new:
        namespace[name] = old


class _Kept:
    """The last persistent session, for `%grad`."""

    session: Session | None = None


def again(options: Options, namespace: dict[str, Any]) -> Result:
    """`%grad`: ask the last persistent tape.

    Raises `GradError` if there is none, or if it has been deleted since.
    """
    session = _Kept.session
    if session is None or session._namespace is not namespace:
        raise GradError("%grad asks a tape that was kept: run a cell under %%grad -p first")
    return session.ask(options)
