"""How long a derivation takes, and what it keeps: `python tests/benchmarks/deriving.py`."""

from __future__ import annotations

import gc
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

S10 = "x = tf.constant(3.0)\\ny = x**2\\nz = y**2\\n"
FIRST = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
import tensorflow as tf
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.history_manager.enabled = False
shell.user_ns["tf"] = tf
with tf.GradientTape() as tape:
    v = tf.Variable(1.0)
    w = v * v
tape.gradient(w, v)
start, working = time.perf_counter(), time.thread_time()
shell.run_line_magic("load_ext", "tapemagic")
result = shell.run_cell_magic("grad", "x", "{S10}")
derived = time.perf_counter()
data, _ = shell.display_formatter.format(result)
shown, worked = time.perf_counter(), time.thread_time()
shell.display_formatter.format(shell.run_cell_magic("grad", "x", "{S10}"))
print(derived - start, shown - start, time.perf_counter() - shown, worked - working)
"""


def first_derivation() -> None:
    """S10 in a process where TensorFlow is loaded; each time in a new process, with our modules
    compiled already, as pip leaves them."""
    with tempfile.TemporaryDirectory() as compiled:
        found = {**os.environ, "PYTHONPYCACHEPREFIX": compiled}
        found.pop("PYTHONDONTWRITEBYTECODE", None)
        runs = []
        for _ in range(6):
            done = subprocess.run(
                [sys.executable, "-c", FIRST], capture_output=True, text=True, env=found
            )
            runs.append([float(word) for word in done.stdout.split()[-4:]])
    derived, shown, again, worked = (
        statistics.median(times) for times in zip(*runs[1:], strict=True)
    )
    print(
        f"S10, first time: derived {derived:.3f} s, shown {shown:.3f} s (of the processor"
        f" {worked:.3f} s); again {again:.3f} s"
    )


def chains() -> None:
    """x ← x·sin x, n ops: time per op should not grow."""
    shell = _shell()
    shell.run_cell_magic("grad", "x -q", _chain(10))
    for ops in (10, 30, 100, 300, 1000, 3000):
        start = time.perf_counter()
        result = shell.run_cell_magic("grad", "x", _chain(ops))
        derived = time.perf_counter()
        data, _ = shell.display_formatter.format(result)
        shown = time.perf_counter()
        print(
            f"{ops:5} ops: derived {derived - start:7.3f} s,"
            f" {(derived - start) / ops * 1e3:6.2f} ms an op;"
            f" shown {shown - derived:7.3f} s, {sum(map(len, data.values())) // 1000:6} kB;"
            f" agrees {[d.check.agrees for d in result.values()]}"
        )


def memory() -> None:
    """What stays alive after a cell with forty tensors of 4 MB and a scalar result."""
    shell = _shell()
    body = "x = tf.ones((1000, 1000))\nfor i in range(40):\n    x = x * 1.01\n"
    body += "loss = tf.reduce_sum(x)\n"
    for line in ("", "x -q --of loss", "x -q --of loss -o kept"):
        shell.run_cell_magic("grad", "x -q --of loss", body)  # what a first run allocates for good
        gc.collect()
        before = _resident()
        if line:
            shell.run_cell_magic("grad", line, body)
        else:
            shell.run_cell(body, silent=True)
        gc.collect()
        name = f"%%grad {line}" if line else "without the magic"
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{name:30} keeps {_resident() - before:7.1f} MB more (peak so far {peak:.0f} MB)")


def _chain(ops: int) -> str:
    return f"x = tf.constant(0.9)\nfor i in range({ops // 2}):\n    x = x * tf.sin(x)\n"


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def _shell() -> Any:
    import tensorflow as tf
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    shell.history_manager.enabled = False
    shell.run_line_magic("load_ext", "tapemagic")
    shell.user_ns["tf"] = tf
    return shell


if __name__ == "__main__":
    first_derivation()
    chains()
    memory()
