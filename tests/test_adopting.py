"""Cells with tapes of their own: every answer is the user's, explained; nothing else changes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from cells import Shell, open_shell
from tape_cells import CELLS, S5, SEEDS, TapeCell

tf = pytest.importorskip("tensorflow")

METHODS = ("gradient", "jacobian", "batch_jacobian")
FIRST = 4
EVERY = [*CELLS, *SEEDS.values()]


@pytest.fixture(scope="module")
def module_shell() -> Iterator[Shell]:
    with open_shell() as shell:
        shell.ip.run_cell("import math\nkeras = tf.keras").raise_error()
        shell._base = dict(shell.ip.user_ns)
        yield shell


@pytest.fixture
def shell(module_shell: Shell) -> Iterator[Shell]:
    _clean(module_shell)
    yield module_shell
    _clean(module_shell)


def _clean(shell: Shell) -> None:
    for value in shell.names.values():
        if isinstance(value, tf.GradientTape) and value._recording:
            value._pop_tape()  # a cell left it open
    shell.clean()


class Spy:
    """What the user's tapes answer in a plain run: (site, method, line, values) each."""

    def __init__(self) -> None:
        self.answers: list[tuple[Any, str, int, list[Any]]] = []
        self.originals = {name: getattr(tf.GradientTape, name) for name in METHODS}

    def __enter__(self) -> Spy:
        for name in METHODS:
            setattr(tf.GradientTape, name, self._spied(name))
        return self

    def __exit__(self, *_: object) -> None:
        for name, original in self.originals.items():
            setattr(tf.GradientTape, name, original)

    def _spied(self, name: str) -> Any:
        original = self.originals[name]

        def asked(tape: Any, *args: Any, **kwargs: Any) -> Any:
            frame = sys._getframe(1)
            site = _way(frame)
            line = frame.f_lineno
            found = original(tape, *args, **kwargs)
            is_user = "site-packages" not in frame.f_code.co_filename
            if is_user and tf.executing_eagerly():
                self.answers.append((site, name, line, _values(found)))
            return found

        return asked

    @property
    def kept(self) -> list[tuple[Any, str, int, list[Any]]]:
        """Those that must be kept: the first four and the last from each place."""
        found = []
        for at, answer in enumerate(self.answers):
            same = [k for k, other in enumerate(self.answers) if other[0] == answer[0]]
            if at in (*same[:FIRST], same[-1]):
                found.append(answer)
        return found


def _way(frame: Any) -> tuple[Any, ...]:
    """The lines of the cell and its functions that led here."""
    found = []
    while frame is not None:
        if (
            "site-packages" not in frame.f_code.co_filename
            and "/lib/" not in frame.f_code.co_filename
        ):
            found.append((frame.f_code.co_name, frame.f_code.co_firstlineno, frame.f_lasti))
        frame = frame.f_back
    return tuple(found)


def _values(answer: Any) -> list[Any]:
    return [None if part is None else _array(part) for part in tf.nest.flatten(answer)]


def _array(part: Any) -> Any:
    return tf.convert_to_tensor(part).numpy()


def _prepare(shell: Shell, cell: TapeCell) -> None:
    _clean(shell)
    np.random.seed(3)
    tf.keras.utils.set_random_seed(3)
    for text in cell.before.split("\n###\n"):
        if text.strip():
            shell.run(text).raise_error()
    np.random.seed(4)
    tf.keras.utils.set_random_seed(4)


def run_plain(shell: Shell, cell: TapeCell) -> Spy:
    """The cell as it stands, its first line a comment."""
    _prepare(shell, cell)
    with Spy() as spy:
        shell.run(f"# {cell.cell}").raise_error()
    return spy


def run(shell: Shell, cell: TapeCell) -> Any:
    _prepare(shell, cell)
    result = shell.run(cell.cell)
    result.raise_error()
    return result.result if result.result is not None else shell.names.get("_")


@pytest.mark.parametrize("cell", EVERY, ids=lambda cell: cell.name)
def test_cell(
    shell: Shell, cell: TapeCell, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    found: list[Any] = []
    _keep_results(monkeypatch, found)
    spy = run_plain(shell, cell)
    plain = capsys.readouterr()
    names = _names(shell)
    before = {name: getattr(tf.GradientTape, name) for name in dir(tf.GradientTape)}
    run(shell, cell)
    assert {name: getattr(tf.GradientTape, name) for name in dir(tf.GradientTape)} == before
    shown = capsys.readouterr()
    if not cell.cell.rstrip().endswith(";"):  # `run_cell` without history shows it all the same
        _same_output(plain.out, shown.out, bool(cell.library))
    assert _names(shell) == names
    if not found:  # a semicolon at the end
        return
    (result,) = found
    kept = [call for call in result.calls if call.error is None]
    expected = spy.kept
    assert [(c.method, c.line) for c in kept] == [(m, line) for _, m, line, _ in expected]
    for call, (_, _, _, values) in zip(kept, expected, strict=True):
        _same_values(call, values)
    for key in cell.keys:
        assert key in result, list(result)
    _explained(result, cell)
    assert not any("tapemagic" in note for note in result.notes), result.notes
    if (
        cell.library and "Forward" not in cell.cell
    ):  # a forward accumulator keeps what it once compiled
        assert any("library" in note for note in result.notes)


def _names(shell: Shell) -> set[str]:
    return {name for name in shell.names if not name.startswith("_")}


def _keep_results(monkeypatch: Any, found: list[Any]) -> None:
    from tapemagic.session import Session

    original = Session.finish

    def finish(self: Any, last: Any) -> Any:
        found.append(original(self, last))
        return found[-1]

    monkeypatch.setattr(Session, "finish", finish)


def _same_output(plain: str, shown: str, timed: bool) -> None:
    lines = [line for line in plain.splitlines() if line and not line.startswith("Out[")]
    if not timed:  # a progress bar tells the time
        for line in lines:
            assert line in shown


def _same_values(call: Any, values: list[Any]) -> None:
    answers = [d.value for d in call.derivatives]
    if not values:
        return
    assert len(answers) == len(values)
    for answer, value in zip(answers, values, strict=True):
        if value is None:
            assert answer is None
        else:
            np.testing.assert_array_equal(_array(answer), value)


# What the doctor has to say of cells that are as they are meant.
REMARKS = {"complex amplitude": {"convention"}, "custom gradient that clips": {"custom"}}


def _explained(result: Any, cell: TapeCell) -> None:
    if cell in CELLS:  # a false alarm is worse than silence
        said = [d for call in result.calls for e in call.derivatives for d in e.diagnoses]
        assert {d.cause for d in said} == REMARKS.get(cell.name, set()), [str(d) for d in said]
    shown = repr(result)
    assert "failed" not in shown
    for call in result.calls:
        told = call.count <= FIRST + 1 or call.number in (1, call.count)
        for derivative in call.derivatives:
            check = derivative.check
            assert check.agrees is not False or "overrides" in check.note, (derivative.key, check)
            if told and cell.derived and derivative.value is not None and np.any(check.tape):
                told = derivative.derivation or derivative.tensor
                assert told is not None, (derivative.key, derivative.reasons)


def test_s5_has_its_own_error(shell: Shell) -> None:
    error = shell.run(S5).error_in_exec
    assert isinstance(error, RuntimeError)
    assert any("persistent=True" in note for note in error.__notes__)


def test_other_objects_handles_are_left_alone(shell: Shell) -> None:
    shell.run(
        "class Door:\n    @property\n    def handle(self):\n        raise ValueError('locked')\n"
    ).raise_error()
    done = shell.run("%%grad\ndoor = Door()\nx = tf.Variable(2.0)\ny = x**2")
    done.raise_error()
    assert done.result["dy/dx"].value.numpy() == 4.0


def test_another_thread_is_not_ours(shell: Shell) -> None:
    done = shell.run(
        "%%grad\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "def slope(v):\n    x = tf.constant(v)\n    with tf.GradientTape() as tape:\n"
        "        tape.watch(x)\n        y = x**2\n    return float(tape.gradient(y, x))\n"
        "with ThreadPoolExecutor(2) as pool:\n    found = list(pool.map(slope, [1.0, 2.0, 3.0]))\n"
    )
    done.raise_error()
    assert shell.names["found"] == [2.0, 4.0, 6.0]
    assert any("thread" in note for note in done.result.notes)


def test_a_literal_of_the_variable_s_value(shell: Shell) -> None:
    for body in ("y = x**2 + 2.0 * x", "y = x / 2.0 + 2.0", "y = 2.0 * x**2.0"):
        cell = f"%%grad\nx = tf.Variable(2.0)\nwith tf.GradientTape() as t:\n    {body}\n"
        done = shell.run(cell + "dy = t.gradient(y, x)")
        done.raise_error()
        assert done.result["dy/dx"].check.agrees is True


def test_memory_does_not_grow_with_the_steps(shell: Shell) -> None:
    from tapemagic.session import Session

    kept = []
    original = Session.finish

    def finish(self: Any, last: Any) -> Any:
        kept.append(len(self._recorder.log.raw))
        return original(self, last)

    body = (
        "%%grad\nw = tf.Variable(1.0)\nfor i in range({}):\n    with tf.GradientTape() as tape:\n"
        "        loss = (w * 2.0 - 1.0) ** 2 + tf.sin(w)\n"
        "    w.assign_sub(0.01 * tape.gradient(loss, w))\n"
    )
    Session.finish = finish  # type: ignore[method-assign]
    try:
        for steps in (300, 1200):
            shell.run(body.format(steps)).raise_error()
    finally:
        Session.finish = original  # type: ignore[method-assign]
    assert kept[1] < 1.5 * kept[0]


ASKED = "%%grad\nx = tf.Variable(2.0)\nwith tf.GradientTape() as t:\n    y = x**2\n"


def test_a_fault_of_ours_does_not_cost_the_answer(shell: Shell, monkeypatch: Any) -> None:
    from tapemagic import calls

    def fails(*_: Any) -> Any:
        raise KeyError("planted")

    monkeypatch.setattr(calls, "names_in", fails)
    done = shell.run(ASKED + "dy = t.gradient(y, x)")
    done.raise_error()
    assert shell.names["dy"].numpy() == 4.0
    assert any("planted" in note for note in done.result.notes)


def test_a_call_that_cannot_be_explained_costs_no_other(shell: Shell, monkeypatch: Any) -> None:
    from tapemagic.adopting import Adopter

    explained = Adopter._call

    def fails(self: Any, call: Any, count: int) -> Any:
        if call.number == 1 and call.argument(0, "target") is shell.names["y"]:
            raise KeyError("planted")
        return explained(self, call, count)

    monkeypatch.setattr(Adopter, "_call", fails)
    cell = ASKED.replace("GradientTape()", "GradientTape(persistent=True)")
    done = shell.run(f"{cell}dy = t.gradient(y, x)\ndz = t.gradient(y * 2, x)")
    done.raise_error()
    assert shell.names["dy"].numpy() == 4.0 and len(done.result.calls) == 1
    assert any(
        "gradient is not explained" in note and "planted" in note for note in done.result.notes
    )


def test_an_interrupted_explanation_leaves_nothing_behind(shell: Shell, monkeypatch: Any) -> None:
    from tapemagic.session import Session

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    before = {name: getattr(tf.GradientTape, name) for name in METHODS}
    monkeypatch.setattr(Session, "_meaning", interrupted)
    assert shell.run(ASKED + "t.gradient(y, x) + None").error_in_exec is not None
    assert {name: getattr(tf.GradientTape, name) for name in METHODS} == before


def test_what_was_answered_before_a_failure(shell: Shell) -> None:
    """`%grad` after a cell that failed tells what its tapes had answered until then."""
    error = shell.run(ASKED + "dy = t.gradient(y, x)\n1 / 0").error_in_exec
    assert isinstance(error, ZeroDivisionError)
    assert not getattr(error, "__notes__", [])
    done = shell.run("%grad")
    done.raise_error()
    assert done.result["dy/dx"].value.numpy() == 4.0
    shell.run(ASKED + "dy = t.gradient(y, x)\nraise KeyboardInterrupt")
    assert shell.run("%grad").result["dy/dx"].value.numpy() == 4.0
    shell.run("%%grad x -q\nx = tf.constant(1.0)\ny = 2 * x").raise_error()
    assert shell.run("%grad").error_in_exec is not None  # of the cell that failed nothing is left


def test_options_that_only_our_tape_can_follow(shell: Shell) -> None:
    done = shell.run("%%grad -n 2" + ASKED.removeprefix("%%grad") + "dy = t.gradient(y, x)")
    done.raise_error()
    (note,) = done.result.notes
    assert note.startswith("--order: no effect")
    assert "%%grad x --of y" in note
    done = shell.run("%%grad x --of y -n 2" + ASKED.removeprefix("%%grad") + "t.gradient(y, x)")
    done.raise_error()
    assert done.result["d2y/dx2"].value.numpy() == 2.0


def test_of_chooses_among_the_calls(shell: Shell) -> None:
    body = (
        "x = tf.Variable(2.0)\nwith tf.GradientTape(persistent=True) as t:\n    y = x**2\n"
        "    z = y + x\ndy = t.gradient(y, x)\ndz = t.gradient(z, x)"
    )
    done = shell.run(f"%%grad --of z\n{body}")
    done.raise_error()
    assert list(done.result) == ["dz/dx"]
    assert [call.target for call in done.result.calls] == ["z"]
    error = shell.run(f"%%grad --of u\n{body}").error_in_exec
    assert "the cell's tapes were asked for y, z" in str(error)


def test_what_is_not_explained_is_named(shell: Shell) -> None:
    inside = "    with tf.GradientTape() as t:\n        y = x**2\n    return t.gradient(y, x)\n"
    done = shell.run(
        f"%%grad\nx = tf.Variable(2.0)\n@tf.function\ndef compiled_step():\n{inside}"
        "g = compiled_step()"
    )
    done.raise_error()
    assert any("compiled_step.python_function(" in note for note in done.result.notes)
    done = shell.run("%%grad\ng = compiled_step.python_function()")
    done.raise_error()
    assert done.result["dy/dx"].value.numpy() == 4.0


CHOSEN = (
    "y = p[:, tf.argmax(p[0])]",
    "y = tf.gather(p, tf.argmax(p, axis=1), axis=1)",
    "y = tf.reduce_sum(p * tf.one_hot(tf.argmax(p, axis=1), 3))",
    "y = tf.gather(p, tf.random.categorical(p, 1)[:, 0], axis=1)",
)


@pytest.mark.parametrize("body", CHOSEN)
def test_an_index_that_the_values_choose(shell: Shell, body: str) -> None:
    done = shell.run(
        "%%grad\nx = tf.Variable([[0.3, 0.4]])\nwith tf.GradientTape() as t:\n"
        "    p = tf.nn.softmax(x @ tf.constant([[1.0, 2.0, 3.0], [0.0, 1.0, -1.0]]))\n"
        f"    {body}\ndy = t.gradient(y, x)"
    )
    done.raise_error()
    derivative = done.result["dy/dx"]
    assert derivative.expression is not None and derivative.check.agrees is True


def test_corners_that_meet(shell: Shell) -> None:
    """The slope 0 at each of two corners does not lie between 0.2 and 3, nor is it wrong."""
    done = shell.run(
        "%%grad\nx = tf.Variable(0.0)\nwith tf.GradientTape() as t:\n"
        "    y = 3 * tf.nn.relu(x) - 0.2 * tf.nn.relu(-x)\ndy = t.gradient(y, x)"
    )
    done.raise_error()
    derivative = done.result["dy/dx"]
    assert derivative.value.numpy() == 0.0 and derivative.check.agrees is True
    assert "several corners meet" in derivative.diagnosis.message


def test_a_source_that_was_not_read_is_not_called_large(shell: Shell) -> None:
    shell.run(
        "x = tf.Variable([1.0, 3.0])\nwith tf.GradientTape() as t:\n    y = tf.reduce_sum(x**2)"
    ).raise_error()
    done = shell.run("%%grad\ndy = t.gradient(y, x)")
    done.raise_error()
    assert "not read while the cell was recorded" in done.result["dy/dx"].check.note


def test_python_code_in_an_op_is_not_run_again(shell: Shell) -> None:
    done = shell.run(
        "%%grad\nran = []\ndef root(v):\n    ran.append(1)\n    return tf.sqrt(v)\n"
        "x = tf.Variable([1.0, 4.0])\nwith tf.GradientTape() as t:\n"
        "    y = tf.reduce_sum(tf.py_function(root, inp=[x], Tout=tf.float32))\n"
        "dy = t.gradient(y, x)"
    )
    done.raise_error()
    assert shell.names["ran"] == [1]
    assert "the Python code in EagerPyFunc is not run again" in done.result["dy/dx"].check.note


IN_A_LIST = {
    "a Hessian by comprehensions": (
        "p = [tf.Variable(2.0), tf.Variable(3.0)]\n"
        "with tf.GradientTape(persistent=True) as t:\n"
        "    with tf.GradientTape() as s:\n        L = p[0]**2*p[1]**2 + p[1]\n"
        "    g = s.gradient(L, p)\n"
        "H = [[t.gradient(gi, pj) for pj in p] for gi in g]",
        ["dgi/dp[0] = 2 p[1]²", "dgi/dp[1] = 2 p[0]²"],
    ),
    "a loop over a dict": (
        "d = {'a': tf.Variable(2.0), 'b': tf.Variable(3.0)}\n"
        "with tf.GradientTape(persistent=True) as t:\n    L = tf.sin(d['a'])*d['b']**2\n"
        "for v in d.values():\n    g = t.gradient(L, v)",
        ["cos(d['a']) · d['b']²", "2 sin(d['a']) · d['b']"],
    ),
    "a loop over names": (
        "W, b = tf.Variable(2.0), tf.Variable(3.0)\n"
        "with tf.GradientTape(persistent=True) as t:\n    L = W**2*b**2\n"
        "for p in [W, b]:\n    g = t.gradient(L, p)",
        ["dL/dW = 2Wb²", "dL/db = 2W²b"],
    ),
}


@pytest.mark.parametrize("case", IN_A_LIST)
def test_a_loop_s_name_is_not_the_variable_s(shell: Shell, case: str) -> None:
    body, forms = IN_A_LIST[case]
    shell.clean()
    done = shell.run(f"%%grad\n{body}")
    done.raise_error()
    for form in forms:
        assert form in repr(done.result), form
    assert all(derivative.check.agrees for derivative in done.result.values())
