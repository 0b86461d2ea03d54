"""One `%%grad` cell from its options to its `Result`: tape and recorder around it, then the
questions to the tape, then the explanations."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from types import CodeType
from typing import Any

import tensorflow as tf

from tapemagic import exposition
from tapemagic.adopting import Adopter
from tapemagic.calls import OwnCalls
from tapemagic.closed_form import SECONDS_A_CELL, simplifying
from tapemagic.collector import no_full_rounds
from tapemagic.diagnosis import Diagnosis
from tapemagic.elsewhere import Elsewhere
from tapemagic.inquiry import Asked
from tapemagic.intent import asks_a_tape
from tapemagic.keys import bound_name, is_plain_name
from tapemagic.layers import Layers
from tapemagic.libraries import Libraries
from tapemagic.lives import TapeLives
from tapemagic.mistakes import attach, explained, is_about_none, raised_at
from tapemagic.options import GradError, Options
from tapemagic.progress import Progress
from tapemagic.questions import Explainer, aliases, answers
from tapemagic.recording import EagerTensor, Recorder, is_user_code, tensor_id
from tapemagic.replicas import Replicas, mirrored
from tapemagic.result import Call, Derivative, Result
from tapemagic.sources import expanded, is_differentiable, is_safe, unwrapped
from tapemagic.tapes import CellTape
from tapemagic.trace import Line
from tapemagic.wanted import Versions, Wanted

_DULL = ("builtins", "numpy", "types", "functools", "collections")
_NOT_ASKED = (
    "no tape of the cell's own has answered anything; name a source, %%grad x, and the cell runs "
    "under ours"
)


class Session:
    """One cell. A context manager: leaving it undoes all that entering did, on any error."""

    def __init__(
        self,
        options: Options,
        namespace: dict[str, Any],
        cell: str,
        filename: str,
        progress: Progress | None = None,
    ) -> None:
        self.options, self._namespace, self._progress = options, namespace, progress
        self._magic = Line(1, (cell.splitlines() or [""])[0], filename)
        self._recorder = Recorder()
        self.tape = CellTape(options.persistent, not options.only)
        self._lives = TapeLives(self._recorder)
        sources = (*options.wrt, *options.at)  # without WRT, --at may still name a variable
        self._plain = {t: Versions() for t in sources if is_plain_name(t)}
        texts = [t for t in options.wrt if t not in self._plain and is_safe(t)]
        self._looked_up = [compile(text, "<WRT>", "eval") for text in texts]
        self.wants_reads = bool(self._looked_up)
        self._replicas = Replicas(self._recorder)
        self._layers = Layers(self._recorder, namespace)
        self._libraries = Libraries(self._recorder)
        self._own_calls = OwnCalls(self._recorder, self._lives, self._adopt)
        self._bound: dict[str, None] = {}  # the names of tensors and variables, the latest last
        self._awaited = set(self._plain)  # those that the cell has not bound yet
        self._dull: set[type] = set()  # types of values that are no tensors and hold none
        self.bound = self._quick()
        self._watched: set[int] = set()
        self._elsewhere = Elsewhere(dict(options.at), namespace, self._recorder)
        self._target: Any = None
        self._adopted = self._failed = False
        self._undo = ExitStack()
        named = options.wrt or options.tape or options.persistent
        self._ours = bool(named) or not asks_a_tape(cell.partition("\n")[2], namespace)

    # -- around the cell -------------------------------------------------------------------

    def __enter__(self) -> Session:
        _Kept.failed = None
        with ExitStack() as undo:  # which goes on where one of them is interrupted
            undo.callback(self._elsewhere.undo)
            for name in self.options.at:
                self._elsewhere.start(name)
            undo.callback(self._recorder.stop)
            self._recorder.start()
            undo.callback(self._lives.stop)
            self._lives.start()
            undo.callback(self._own_calls.stop)
            self._own_calls.start()
            undo.callback(self._layers.stop)
            self._layers.start()
            undo.callback(self._libraries.stop)
            self._libraries.start()
            undo.callback(self._replicas.stop)
            self._replicas.start()
            undo.callback(self.tape.close)
            if self._ours:
                self.tape.__enter__()
            self._undo = undo.pop_all()
        return self

    def __exit__(self, kind: object = None, error: Any = None, tb: Any = None) -> None:
        self._undo.close()
        # Last, for it may take a while and be interrupted: by then nothing is patched any more.
        if isinstance(error, Exception) and not isinstance(error, GradError):
            with suppress(Exception), simplifying(SECONDS_A_CELL), no_full_rounds():
                attach(error, self._meaning(error))
        self._failed = error is not None and bool(self._own_calls.kept)
        if self._failed:
            _Kept.failed = self

    def _meaning(self, error: Exception) -> Diagnosis | None:
        """What an error means: one about tapes, or one that a None of theirs led to."""
        found = explained(error, raised_at(error.__traceback__, is_user_code))
        if found is not None or not is_about_none(error) or not self._own_calls.kept:
            return found
        calls = Adopter(self._recorder, self._own_calls.kept[-1:], self._namespace).calls({})
        ill = [d for call in calls for d in call.derivatives if d.value is None and d.diagnoses]
        return ill[0].diagnosis if ill else None

    def before(self) -> None:
        """Right before the body runs: what is there already is named and watched."""
        for name, value in list(self._namespace.items()):
            if not name.startswith("_") and isinstance(unwrapped(value), (tf.Tensor, tf.Variable)):
                self._recorder.bind(name, unwrapped(value))
        for name, versions in self._plain.items():
            versions.before = self._namespace.get(name)
            self._watch(versions.before)
        self._look_up()
        if self.options.tape:
            self._namespace[self.options.tape] = self.tape

    def _quick(self) -> Callable[..., Any]:
        """`bound`: on every binding at the cell's top level; returns the value to bind. A
        closure, for it is called as often as ops are: most values need to be noted only."""
        awaited, order, dull = self._awaited, self._bound, self._dull
        note, every = self._recorder.note, bool(self._looked_up)

        def bound(name: str, value: Any, code: CodeType | None = None, offset: int = 0) -> Any:
            kind = type(value)
            if name in awaited or every:
                return self._bound_with_care(name, value, code, offset)
            if kind is EagerTensor:
                order.pop(name, None)
                order[name] = None
                note(name, value, code, offset)
            elif kind not in dull:
                return self._bound_with_care(name, value, code, offset)
            return value

        return bound

    def _bound_with_care(self, name: str, value: Any, code: CodeType | None, offset: int) -> Any:
        versions = self._plain.get(name) if name in self._awaited else None
        if versions is not None:
            self._awaited.discard(name)
            old = unwrapped(versions.before)
            # A variable made of the old value remembers nothing of it: it is the source.
            versions.read_before = (
                is_differentiable(old)
                and not isinstance(value, tf.Variable)
                and self._recorder.used(tensor_id(old))
            )
            if name in self.options.at and not versions.read_before and is_differentiable(value):
                value = self._elsewhere.moved(name, value)
            versions.first = value
        plain = value if isinstance(value, EagerTensor) else unwrapped(value)
        if isinstance(plain, (tf.Tensor, tf.Variable)):
            self._bound.pop(name, None)
            self._bound[name] = None
        elif type(value).__module__ in _DULL:
            self._dull.add(type(value))
        self._recorder.bind(name, plain, code, offset)
        if versions is not None:  # later ones are no source
            self._watch(value)
        if self._looked_up:
            self._look_up({name: value})
        return value

    def named(self, name: str, value: Any) -> None:
        """A name that a function gave to a tensor inside."""
        self._recorder.bind(name, unwrapped(value))

    def _check_at(self) -> None:
        """A name under `--at` must be one that had a value to be replaced."""
        for name in self.options.at:
            versions = self._plain[name]
            self._elsewhere.check(
                name, versions.before if versions.first is None else versions.first
            )

    def read(self, name: str) -> None:
        """Before a top-level name is read, if `wants_reads`: containers may have changed."""
        self._look_up()

    def _look_up(self, new: dict[str, Any] | None = None) -> None:
        """Watch what the WRT expressions give by now, if they give anything yet."""
        for code in self._looked_up:
            try:
                self._watch(eval(code, self._namespace, new or {}))  # noqa: S307
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

    def is_old(self, name: str) -> bool:
        """Whether a source named on the magic line has its value from before the cell."""
        versions = self._plain.get(name, Versions())
        return versions.first is None or versions.read_before is True

    # -- after the cell ----------------------------------------------------------------------

    def displays(self, last: Any) -> bool:
        """Whether the value of the last expression is still to be shown: it is, unless it is
        the target, whose value stands in the derivation."""
        return self._target is None or last.value is not self._target

    def finish(self, last: Any) -> Result:
        """Ask the tape, explain its answers, bind them."""
        with simplifying(SECONDS_A_CELL), no_full_rounds():
            return self._finished(last)

    def _finished(self, last: Any) -> Result:
        own = self._own_calls
        self._check_at()
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
        adopter = Adopter(self._recorder, calls.kept, self._namespace, self.options.style)
        found = adopter.calls(calls.counts)
        derivatives = [d for call in found for d in call.derivatives]
        notes = [self._recorder.unreadable] if self._recorder.unreadable else []
        found, derivatives = self._chosen(found, derivatives)
        ignored = self.options.ignored_with_tapes
        if ignored and found:
            flags = ", ".join(ignored)
            notes.append(
                f"{flags}: no effect on what the cell's own tapes answer{_ours(found[-1])}"
            )
        if not calls.in_replicas:
            asked = (call.argument(1, "sources") for call in calls.kept)
            notes += [told for told in [mirrored(tf.nest.flatten(list(asked)))] if told]
        notes += calls.notes() or ([] if found else [_NOT_ASKED])
        result = Result(derivatives, exposition.calls, adopter.aliases, found, notes)
        if self.options.out:
            self._namespace[self.options.out] = result
        return result

    def _chosen(
        self, calls: list[Call], derivatives: list[Derivative]
    ) -> tuple[list[Call], list[Derivative]]:
        """The calls whose targets `--of` names; all without it."""
        texts = {"".join(text.split()) for text in self.options.of}
        if not texts or not calls:
            return calls, derivatives
        chosen = [call for call in calls if "".join(call.target.split()) in texts]
        if not chosen:
            named = ", ".join(dict.fromkeys(call.target for call in calls))
            raise GradError(
                f"--of {', '.join(self.options.of)}: the cell's tapes were asked for {named}"
            )
        return chosen, [derivative for call in chosen for derivative in call.derivatives]

    def ask(self, options: Options) -> Result:
        """`%grad`: the same tape, asked again; after a cell that failed, what its tapes had
        answered until then."""
        if self._failed:
            return self._explained()
        self._recorder.start()
        self._lives.start()
        try:
            return self._answer(options, None)
        finally:
            self._lives.stop()
            self._recorder.stop()

    def _answer(self, options: Options, last: Any) -> Result:
        with self.tape.recording_again():
            wanted = Wanted(
                options,
                self._namespace,
                tuple(self._bound),
                self._plain,
                self._recorder,
                self.tape.watched_variables,
            )
            targets = wanted.targets(last)
            seed = wanted.seed(targets)
        self.tape.close()
        self._recorder.stop()
        sources = wanted.sources()
        by = wanted.weights(seed, targets[0], sources)
        self._target = targets[0].value if last is not None else None
        # First all answers, then the trace: custom gradients remember what they answered.
        values = [s.value for s in sources]
        widest = self._recorder.widest()
        asked = Asked(self.tape, values, options.zero, by, widest, self._progress)
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
        result = Result(derivatives, exposition.whole, aliases(targets, sources), (), notes)
        self._bind(options, result)
        return result

    def _bind(self, options: Options, result: Result) -> None:
        for derivative in result.values():
            name = bound_name(derivative.target, derivative.sources)
            if name:
                self._namespace[name] = derivative.value
        if options.out:
            self._namespace[options.out] = result


def _ours(call: Call) -> str:
    """What to write for our tape to answer the question of a call."""
    named = [d for d in call.derivatives if all(map(is_plain_name, (d.target, *d.sources)))]
    if not named:
        return ""
    return f"; ours answers to %%grad {named[0].sources[0]} --of {named[0].target} with them"


class _Kept:
    """For `%grad`: the last persistent session, and the last cell, if it failed."""

    session: Session | None = None
    failed: Session | None = None


def again(options: Options, namespace: dict[str, Any]) -> Result:
    """`%grad`: ask the last persistent tape.

    Raises `GradError` if there is none, or if it has been deleted since.
    """
    plain = not options.wrt and not options.of
    session = (_Kept.failed if plain else None) or _Kept.session
    if session is None or session._namespace is not namespace:
        raise GradError("%grad asks a tape that was kept: run a cell under %%grad -p first")
    if options.at:
        raise GradError("--at runs a cell with another value: give it to %%grad, on top of a cell")
    return session.ask(options)
