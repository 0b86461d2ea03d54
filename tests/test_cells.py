"""The corpus in `cells`: each cell gives what a tape written by hand gives, explained."""

from __future__ import annotations

import ast
import linecache
import re
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pytest
from cells import CASES, Case, Shell, open_shell

tf = pytest.importorskip("tensorflow")

SECONDS = 15.0  # of the processor; more for one cell is a fault
GOOD = [case for case in CASES if case.error is None]
BAD = [case for case in CASES if case.error is not None]


@pytest.fixture(scope="module")
def module_shell() -> Iterator[Shell]:
    with open_shell() as shell:
        yield shell


@pytest.fixture
def shell(module_shell: Shell) -> Iterator[Shell]:
    module_shell.clean()
    yield module_shell
    module_shell.clean()


# ---- the truth: the same cell under tapes written by hand ---------------------------------------


class _Watching(ast.NodeTransformer):
    """After every assignment outside functions: `_watch()`."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return node

    visit_ClassDef = visit_Lambda = visit_FunctionDef  # type: ignore[assignment]

    def _after(self, node: ast.stmt) -> list[ast.stmt]:
        call = ast.Expr(ast.Call(ast.Name("_watch", ast.Load()), [], []))
        return [node, ast.copy_location(call, node)]

    visit_Assign = visit_AugAssign = visit_AnnAssign = _after  # type: ignore[assignment]


class Hand:
    """Runs a case's cell under as many persistent tapes as its order asks for."""

    def __init__(self, case: Case) -> None:
        from tapemagic.options import parse

        line, _, self.body = case.cell.partition("\n")
        self.case, self.options = case, parse(line.removeprefix("%%grad").strip())
        self.names: dict[str, Any] = {"tf": tf, "np": np, "_watch": self._watch}
        self.first: dict[str, Any] = {}
        self.seen: set[int] = set()
        order = max(self.options.order, 2 if self.options.kind == "hessian" else 1)
        only = not self.options.only
        self.tapes = [tf.GradientTape(True, watch_accessed_variables=only) for _ in range(order)]

    def _watch(self) -> None:
        for text in self.options.wrt:
            try:
                value = eval(text, self.names)
            except Exception:
                continue
            if text.isidentifier() and isinstance(value, (tf.Tensor, tf.Variable)):
                value = self.first.setdefault(text, value)
            for part in tf.nest.flatten(getattr(value, "trainable_variables", value)):
                part = getattr(part, "_value", part)
                if isinstance(part, (tf.Tensor, tf.Variable)) and id(part) not in self.seen:
                    self.seen.add(id(part))
                    self.first[f"keep {id(part)}"] = part
                    if part.dtype.is_floating or part.dtype.is_complex:
                        for tape in self.tapes:
                            tape.watch(part)

    def run(self) -> dict[str, Any]:
        """The values by key."""
        if self.case.setup:
            exec(self.case.setup, self.names)
        tree = ast.fix_missing_locations(_Watching().visit(ast.parse(self.body)))
        texts = list(self.options.of) or [re.match(r"d\d*(\(.+\)|.+?)/d", self.case.keys[0])[1]]  # type: ignore[index]
        with ExitStack() as stack:
            for tape in self.tapes:
                stack.enter_context(tape)
            self._watch()
            _registered("<by hand>", self.body)
            exec(compile(tree, "<by hand>", "exec"), self.names)
            targets = [eval(text, self.names) for text in texts]
            sources = self._sources()
            if self.options.kind != "gradient" or self.options.order == 1:
                stack.close()
                return self._first_order(texts, targets, sources)
            return self._higher(texts[0], targets[0], sources)

    def _sources(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for text in self.options.wrt or self._variables():
            value = self.first.get(text)
            self._expand(text, eval(text, self.names) if value is None else value, found)
        return found

    def _variables(self) -> list[str]:
        return [k for k, v in self.names.items() if isinstance(v, tf.Variable) and v.trainable]

    def _expand(self, text: str, value: Any, found: dict[str, Any]) -> None:
        if isinstance(value, dict):
            for key, part in value.items():
                self._expand(f"{text}[{key!r}]", part, found)
        elif isinstance(value, (list, tuple)):
            literal = text.startswith("[")
            parts = (
                re.findall(r"[^\[\], ]+", text)
                if literal
                else [f"{text}[{i}]" for i in range(len(value))]
            )
            for part, member in zip(parts, value):
                self._expand(part, member, found)
        elif hasattr(value, "trainable_variables"):
            for i, part in enumerate(value.trainable_variables):
                self._expand(f"{text}.trainable_variables[{i}]", part, found)
        else:
            found[text] = (
                getattr(value, "_value", value) if not isinstance(value, tf.Tensor) else value
            )

    def _first_order(self, texts: list[str], targets: list[Any], sources: dict[str, Any]) -> Any:
        tape, kind = self.tapes[0], self.options.kind
        unconnected = "zero" if self.options.zero else "none"
        found = {}
        for text, target in zip(map(_written, texts), targets):
            pairs = list(sources.items())
            if kind == "gradient":
                values = tape.gradient(
                    target, list(sources.values()), unconnected_gradients=unconnected
                )
                found |= {f"d{text}/d{s}": v for s, v in zip(sources, values)}
            elif kind == "hessian":
                for i, (s, a) in enumerate(pairs):
                    with self.tapes[1]:
                        slope = tape.gradient(target, a)
                        slope = slope if slope is not None else tf.zeros_like(a)
                    for r, b in pairs[i:]:
                        key = f"d2{text}/d{s}2" if s == r else f"d2{text}/d{s}d{r}"
                        found[key] = self.tapes[1].jacobian(slope, b)
            else:
                ask = getattr(tape, kind)
                found |= {
                    f"d{text}/d{s}": ask(target, v, unconnected_gradients=unconnected)
                    for s, v in pairs
                }
        return found

    def _higher(self, text: str, target: Any, sources: dict[str, Any]) -> dict[str, Any]:
        """Inside all tapes: the innermost first."""
        mixed = len(sources) > 1 and all(v.shape.rank == 0 for v in sources.values())
        level: dict[tuple[str, ...], Any] = {(): target}
        found = {}
        unconnected = "zero" if self.options.zero else "none"
        for tape in self.tapes:
            above: dict[tuple[str, ...], Any] = {}
            for choice, value in level.items():
                for source, leaf in sources.items():
                    names = list(sources)
                    if choice and not mixed and choice[-1] != source:
                        continue
                    if choice and names.index(source) < names.index(choice[-1]):
                        continue
                    above[(*choice, source)] = (
                        None
                        if value is None
                        else tape.gradient(value, leaf, unconnected_gradients=unconnected)
                    )
            level = above
            for choice, value in level.items():
                parts = [
                    f"d{s}{choice.count(s) if choice.count(s) > 1 else ''}"
                    for s in dict.fromkeys(choice)
                ]
                n = len(choice)
                found[f"d{n if n > 1 else ''}{text}/{''.join(parts)}"] = value
        return found


def _registered(filename: str, text: str) -> None:
    """Where AutoGraph finds the source of functions."""
    linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)


def _written(text: str) -> str:
    """An operation stands in brackets in a key."""
    simple = (ast.Name, ast.Attribute, ast.Subscript, ast.Call)
    return text if isinstance(ast.parse(text, mode="eval").body, simple) else f"({text})"


def by_hand(case: Case) -> dict[str, Any]:
    if not case.hand:
        return Hand(case).run()
    names: dict[str, Any] = {"tf": tf, "np": np}
    exec(case.hand, names)
    return dict(names["hand"])


def dense(value: Any) -> Any:
    """A tape's answer as an array of float64 or complex128."""
    if value is None:
        return None
    kind = np.complex128 if value.dtype.is_complex else np.float64
    return tf.convert_to_tensor(value).numpy().astype(kind)


# ---- every cell ---------------------------------------------------------------------------------


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Fails after that time, where the platform has alarms."""

    def late(*_: Any) -> None:
        raise TimeoutError(f"more than {seconds} s")

    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def result_of(shell: Shell, case: Case, capsys: Any) -> Any:
    if case.setup:
        shell.run(case.setup).raise_error()
    capsys.readouterr()
    start = time.process_time()
    with at_most(6 * SECONDS):
        done = shell.run(case.cell)
    took = time.process_time() - start
    out, err = capsys.readouterr()
    assert done.success, (out + err)[-2000:]
    assert took < SECONDS, f"{took:.1f} s"
    return done.result


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_cell(shell: Shell, case: Case, capsys: Any) -> None:
    result = result_of(shell, case, capsys)
    assert tuple(result) == case.keys
    truth = by_hand(case)
    problems = []
    for key, derivative in result.items():
        problems += [f"{key}: {text}" for text in _wrong(case, derivative, truth[key])]
    with at_most(6 * SECONDS):
        _show(result)
        if "rounded" not in case.flags:
            _steps_are_true(result)
    assert not problems, "\n".join(problems)


def _show(result: Any) -> None:
    """It prints."""
    for show in (repr, lambda r: r.latex, lambda r: r._repr_html_(), lambda r: r._repr_latex_()):
        assert show(result)
    for derivative in result.values():
        assert derivative.latex and repr(derivative)


def _steps_are_true(result: Any) -> None:
    for derivative in result.values():
        for step in derivative.steps:
            np.testing.assert_allclose(
                step.evaluate(),
                step.value,
                rtol=_TOLERANCE.get(_dtype(derivative), 2e-4),
                atol=1e-6,
                equal_nan=True,
            )


def _dtype(derivative: Any) -> str:
    form = (
        derivative.derivation.equations if derivative.derivation else derivative.tensor.definitions
    )
    return str(form.dtype)


_TOLERANCE = {"float64": 1e-9, "float16": 2e-2, "bfloat16": 1e-1}


def _wrong(case: Case, derivative: Any, truth: Any) -> Iterator[str]:
    value, expected = dense(derivative.value), dense(truth)
    yield from _wrong_value(case, derivative.order, value, expected)
    yield from (reason for reason in derivative.reasons if "tapemagic failed" in reason)
    yield from _wrong_check(case, derivative)
    finite = value is not None and bool(np.all(np.isfinite(value)))
    if not finite or case.flags & {"rounded", "contradicts"}:
        return
    by_tensor = derivative.tensor is not None and derivative.tensor.closed is not None
    by_equations = derivative.derivation is not None and derivative.order == 1
    if by_equations or derivative.closed_form is not None or by_tensor:
        own = np.asarray(derivative.evaluate())
        scale = np.max(np.abs(value), initial=0.0)
        rtol = _TOLERANCE.get(_dtype(derivative), 1e-4)
        if not np.allclose(own, np.real(value), rtol=rtol, atol=rtol * scale + 1e-12):
            yield f"evaluates to {own}, the tape said {value}"


def _wrong_value(case: Case, order: int, value: Any, expected: Any) -> Iterator[str]:
    if "none" in case.flags and value is not None:
        yield "is not None"
    if expected is None or value is None:
        same = value is expected
    elif value.shape != expected.shape:
        same = False
    elif order == 1 and "close" not in case.flags:
        same = np.array_equal(value, expected, equal_nan=True)
    else:
        same = np.allclose(value, expected, rtol=1e-5, atol=1e-7, equal_nan=True)
    if not same:
        yield f"the tape said {value}, by hand {expected}"


def _wrong_check(case: Case, derivative: Any) -> Iterator[str]:
    check, flags = derivative.check, case.flags
    if "replay failed" in check.note:
        yield check.note
    if "contradicts" not in flags and check.agrees is False:
        yield f"contradicts calculus: {check}"
    if "checked" in flags and check.agrees is not True and derivative.value is not None:
        yield f"is not checked: {check}, {derivative.reasons}"
    if "unchecked" in flags and check.agrees is not None:
        yield f"was to be unchecked: {check}"
    if "closed" in flags and derivative.expression is None:
        yield f"has no closed form: {derivative.reasons}"


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_failing_cell(shell: Shell, case: Case, capsys: Any) -> None:
    assert case.error is not None
    kind, words = case.error
    if case.setup:
        shell.run(case.setup).raise_error()
    capsys.readouterr()
    done = shell.run(case.cell)
    out, err = capsys.readouterr()
    error = done.error_before_exec or done.error_in_exec
    assert type(error).__name__ == kind, (error, out, err)
    assert words in str(error)
    if kind == "UsageError":
        assert len((out + err).strip().splitlines()) == 1
    else:
        assert "tapemagic" not in out + err
