"""Loading the extension costs neither TensorFlow nor SymPy; a bad magic line does not either."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("tensorflow", "sympy", "numpy", "ipywidgets")
LOAD = "shell.run_line_magic('load_ext', 'tapemagic')"
PROGRAMS = {
    "import": "import tapemagic",
    "load": LOAD,
    "help": f"{LOAD}; shell.run_cell('%%grad?')",
    "completion": f"{LOAD}; shell.Completer.complete(line_buffer='%grad --o')",
    "bad option": f"{LOAD}; shell.run_cell('%%grad --nothing\\nx = 1')",
    "no tape": f"{LOAD}; shell.run_cell('%grad x')",
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_loads_nothing_heavy(program: str) -> None:
    script = (
        "import sys\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "shell.history_manager.enabled = False\n"
        f"before = set(sys.modules)\n{program}\n"
        f"print('LOADED', sorted({set(HEAVY)!r} & (set(sys.modules) - before)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "LOADED []", done.stdout
