"""The corpus in `patients`: the cause, the line, silence on the healthy, and every fix applied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from cells import Shell, open_shell
from patients import PATIENTS, Patient
from ward import WARD

from tapemagic import calls, mistakes, session
from tapemagic.diagnosis import Diagnosis

tf = pytest.importorskip("tensorflow")

EVERY = (*PATIENTS, *WARD)
SICK = [p for p in EVERY if p.cause is not None and not p.error]
HEALTHY = [p for p in EVERY if p.cause is None]
ERRORS = [p for p in EVERY if p.error]


@pytest.fixture(scope="module")
def module_shell() -> Iterator[Shell]:
    with open_shell() as shell:
        shell.ip.run_cell("import math\nkeras = tf.keras").raise_error()
        shell._base = dict(shell.ip.user_ns)
        yield shell


@pytest.fixture
def shell(module_shell: Shell) -> Iterator[Shell]:
    module_shell.clean()
    yield module_shell
    module_shell.clean()


def examined(shell: Shell, before: str, cell: str) -> Any:
    """The result of the cell, and its derivatives in the order of the answers."""
    shell.clean()
    np.random.seed(3)
    tf.keras.utils.set_random_seed(3)
    if before:
        shell.run(before).raise_error()
    done = shell.run(cell)
    done.raise_error()
    result = done.result
    return result, [d for call in result.calls for d in call.derivatives]


SLOPELESS = {"custom", "convention", "summed", "kink"}  # nothing is broken


@pytest.mark.parametrize("patient", SICK, ids=lambda patient: patient.name)
def test_ill(shell: Shell, patient: Patient) -> None:
    """The cause and the line; and the fix, pasted, gives a finite gradient that is not 0."""
    _, derivatives = examined(shell, patient.before, patient.cell)
    diagnosis = derivatives[patient.call].diagnosis
    assert diagnosis is not None
    assert diagnosis.cause == patient.cause, diagnosis
    assert diagnosis.line in patient.lines, diagnosis
    before, cell = patient.before, patient.cell
    place = before if patient.in_before else cell
    assert diagnosis.text == place.split("\n")[diagnosis.line - 1].strip()
    if not patient.repairable or (not diagnosis.fix and patient.cause in SLOPELESS):
        return
    if patient.in_before:
        before = diagnosis.applied(before)
    else:
        cell = diagnosis.applied(cell)
    _, repaired = examined(shell, before, cell)
    value = repaired[patient.call].value
    assert value is not None, cell
    array = tf.convert_to_tensor(value).numpy()
    assert np.all(np.isfinite(array.astype(complex))), cell
    assert np.any(array) != patient.zero, cell


@pytest.mark.parametrize("patient", HEALTHY, ids=lambda patient: patient.name)
def test_healthy(shell: Shell, patient: Patient) -> None:
    _, derivatives = examined(shell, patient.before, patient.cell)
    assert [str(d) for derivative in derivatives for d in derivative.diagnoses] == []


@pytest.mark.parametrize("patient", ERRORS, ids=lambda patient: patient.name)
def test_error(shell: Shell, monkeypatch: Any, patient: Patient) -> None:
    """The user's own error, with our note: the cause, and a fix that does away with it."""
    told: list[Diagnosis] = []

    def attach(error: BaseException, diagnosis: Diagnosis | None) -> None:
        told.extend([diagnosis] if diagnosis is not None else [])
        mistakes.attach(error, diagnosis)

    monkeypatch.setattr(calls, "attach", attach)
    monkeypatch.setattr(session, "attach", attach)
    shell.clean()
    if patient.before:
        shell.run(patient.before).raise_error()
    error = shell.run(patient.cell).error_in_exec
    assert type(error).__name__ == patient.error
    notes = [note for note in error.__notes__ if note.startswith("tapemagic")]
    assert len(notes) == 1
    assert notes[0].startswith(f"tapemagic ({patient.cause}): ")
    if not told[0].fix:
        return
    cell = told[0].applied(patient.cell)
    _, repaired = examined(shell, patient.before, cell)
    assert all(derivative.value is not None for derivative in repaired), cell


def test_every_cause_has_its_patients() -> None:
    counts = Counter(patient.cause for patient in EVERY)
    assert {cause for cause in counts if counts[cause] < 2} == set()
    assert len(counts) == 26  # 25 causes, and the healthy


def test_a_fix_mends_all_that_a_loop_replaces(shell: Shell) -> None:
    """To mend w alone would only shift the complaint to b."""
    cell = (
        "%%grad\nw = tf.Variable(0.5)\nb = tf.Variable(0.1)\nfor step in range(3):\n"
        "    with tf.GradientTape() as tape:\n        loss = (w * 3.0 + b - 1.0) ** 2\n"
        "    dw, db = tape.gradient(loss, [w, b])\n    if dw is None or db is None:\n"
        "        break\n    w = w - 0.01 * dw\n    b = b - 0.01 * db"
    )
    _, derivatives = examined(shell, "", cell)
    _, repaired = examined(shell, "", derivatives[-2].diagnosis.applied(cell))
    assert len(repaired) == 6
    assert all(derivative.value is not None for derivative in repaired)


def test_no_word_on_errors_that_are_not_about_tapes(shell: Shell) -> None:
    """What lacks a shape outside the tape's own code is none of the doctor's business."""
    error = shell.run(
        "%%grad\nx = tf.Variable([0.3])\nwith tf.GradientTape() as tape:\n"
        "    y = keras.losses.sparse_categorical_crossentropy([1], x, from_logits=True)\n"
        "g = tape.gradient(y, x)"
    ).error_in_exec
    assert isinstance(error, AttributeError)
    assert not getattr(error, "__notes__", [])


def test_a_fault_of_the_doctor_costs_no_derivation(shell: Shell, monkeypatch: Any) -> None:
    from tapemagic import disconnection

    def fails(*_: Any) -> Any:
        raise KeyError("planted")

    monkeypatch.setattr(disconnection, "lost", fails)
    cell = "%%grad\nx = tf.Variable(2.0)\nwith tf.GradientTape() as t:\n    y = x**2\n"
    _, (derivative,) = examined(shell, "", cell + "g = t.gradient(y, x)")
    assert derivative.diagnoses == ()
    assert derivative.check.agrees is True
