"""Every notebook in examples/ runs in a real kernel, and what it stores is what it computes."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
EXPECTED = "raises-exception"
# How far SymPy comes in its time depends on what else the machine does.
UNHURRIED = """\
from tapemagic import closed_form
closed_form.SECONDS = closed_form.SECONDS_A_CELL = 60.0"""


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: str(path.stem))
def notebooks(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """A notebook as stored, and as a fresh kernel leaves it."""
    stored = nbformat.read(request.param, as_version=4)
    fresh = nbformat.read(request.param, as_version=4)
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        patch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
        client = NotebookClient(fresh, timeout=300, kernel_name="python3")
        with client.setup_kernel():
            client.kc.execute(UNHURRIED, silent=True)
            for index, cell in enumerate(fresh.cells):
                client.execute_cell(cell, index)
    return stored, fresh


def test_there_is_a_tour() -> None:
    assert "tour" in [path.stem for path in NOTEBOOKS]


def test_runs_without_errors(notebooks: tuple[Any, Any]) -> None:
    _, fresh = notebooks
    for cell in _code(fresh):
        failed = any(output.output_type == "error" for output in cell.outputs)
        failed = failed or "UsageError" in _shown(cell)
        assert failed == (EXPECTED in cell.metadata.get("tags", [])), cell.source


def test_stored_outputs_are_fresh(notebooks: tuple[Any, Any]) -> None:
    stored, fresh = notebooks
    for before, after in zip(_code(stored), _code(fresh), strict=True):
        assert _shown(before) == _shown(after), before.source
        assert before.execution_count == after.execution_count


def test_stored_page_is_complete(notebooks: tuple[Any, Any]) -> None:
    stored, _ = notebooks
    derived = [output for cell in _code(stored) for output in cell.outputs if _derives(output)]
    assert len(derived) > 3
    for output in derived:
        assert "<math" in output.data["text/html"]
        assert output.data["text/latex"].count(r"\begin") == output.data["text/latex"].count(
            r"\end"
        )
        told = output.data["text/plain"]
        diagnosed = re.search(r"^(⚠ )?line \d+", told, re.MULTILINE)
        assert "do not agree" not in told or diagnosed, told


def test_nothing_of_the_machine_is_stored(notebooks: tuple[Any, Any]) -> None:
    stored, _ = notebooks
    assert stored.metadata.kernelspec.name == "python3"
    text = nbformat.writes(stored)
    assert not re.search(r"(?<![\w.<])/(?:home|root|tmp|usr|work|Users)/", text)
    for noise in ("absl", "cudart", "oneDNN", "site-packages", " at 0x"):
        assert noise not in text


def _code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _derives(output: Any) -> bool:
    return "text/latex" in output.get("data", {}) and "text/html" in output.data


def _shown(cell: Any) -> str:
    """What a terminal would show, without TensorFlow's own log lines."""
    parts = []
    for output in cell.outputs:
        if output.output_type == "stream":
            lines = output.text.splitlines(keepends=True)
            parts += [line for line in lines if output.name == "stdout" or "UsageError" in line]
        elif output.output_type == "error":
            parts.append(f"{output.ename}: {output.evalue}")
        else:
            parts.append(output.data.get("text/plain", ""))
    return "".join(parts)
