"""The corpus in `patients`: the cause, the line, silence on the healthy, and every fix applied."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from cells import Shell, open_shell
from patients import PATIENTS, Patient

tf = pytest.importorskip("tensorflow")

SICK = [p for p in PATIENTS if p.cause is not None and not p.error]
HEALTHY = [p for p in PATIENTS if p.cause is None]
ERRORS = [p for p in PATIENTS if p.error]


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


def examined(shell: Shell, patient: Patient, cell: str) -> Any:
    """The result of the cell, and its derivatives in the order of the answers."""
    shell.clean()
    np.random.seed(3)
    tf.keras.utils.set_random_seed(3)
    if patient.before:
        shell.run(patient.before).raise_error()
    done = shell.run(cell)
    done.raise_error()
    result = done.result
    return result, [d for call in result.calls for d in call.derivatives]


@pytest.mark.parametrize("patient", SICK, ids=lambda patient: patient.name)
def test_cause_and_line(shell: Shell, patient: Patient) -> None:
    _, derivatives = examined(shell, patient, patient.cell)
    diagnosis = derivatives[patient.call].diagnosis
    assert diagnosis is not None
    assert diagnosis.cause == patient.cause, diagnosis
    assert diagnosis.line in patient.lines, diagnosis
    assert diagnosis.text == patient.cell.split("\n")[diagnosis.line - 1].strip()


@pytest.mark.parametrize("patient", HEALTHY, ids=lambda patient: patient.name)
def test_healthy(shell: Shell, patient: Patient) -> None:
    _, derivatives = examined(shell, patient, patient.cell)
    assert [str(d) for derivative in derivatives for d in derivative.diagnoses] == []


REPAIRABLE = [p for p in SICK if p.repairable]
SLOPELESS = {"custom", "convention", "summed", "kink"}  # nothing is broken


@pytest.mark.parametrize("patient", REPAIRABLE, ids=lambda patient: patient.name)
def test_fix(shell: Shell, patient: Patient) -> None:
    """The fix, pasted, gives a finite gradient that is not 0."""
    _, derivatives = examined(shell, patient, patient.cell)
    diagnosis = derivatives[patient.call].diagnosis
    assert diagnosis is not None
    if not diagnosis.fix and patient.cause in SLOPELESS:
        return
    cell = diagnosis.applied(patient.cell)
    _, repaired = examined(shell, patient, cell)
    value = repaired[patient.call].value
    assert value is not None, cell
    array = tf.convert_to_tensor(value).numpy()
    assert np.all(np.isfinite(array.astype(complex))), cell
    assert np.any(array), cell


@pytest.mark.parametrize("patient", ERRORS, ids=lambda patient: patient.name)
def test_error(shell: Shell, patient: Patient) -> None:
    """The user's own error, with our note: the cause, and a fix that does away with it."""
    shell.clean()
    if patient.before:
        shell.run(patient.before).raise_error()
    error = shell.run(patient.cell).error_in_exec
    assert type(error).__name__ == patient.error
    notes = [note for note in error.__notes__ if note.startswith("tapemagic")]
    assert len(notes) == 1
    assert notes[0].startswith(f"tapemagic ({patient.cause}): ")
