"""What explaining a cell with tapes of its own costs: `python tests/benchmarks/adopting.py`.

Ratios of interleaved runs against the plain cell, in seconds of this thread's processor, and the
memory that training loops leave.
"""

from __future__ import annotations

import gc
import os
import statistics
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import tensorflow as tf
from IPython.core.interactiveshell import InteractiveShell

from tapemagic import running
from tapemagic.options import parse
from tapemagic.session import Session

CELLS = {
    "1,000 small ops in a loop": """
x = tf.Variable(0.5)
with tf.GradientTape() as tape:
    y = x * 1.0
    for i in range(500):
        y = y * tf.sin(y)
dy = tape.gradient(y, x)
""",
    "1,000 small ops in a function": """
x = tf.Variable(0.5)
def f(y):
    for i in range(500):
        y = y * tf.sin(y)
    return y
with tf.GradientTape() as tape:
    y = f(x)
dy = tape.gradient(y, x)
""",
}
TRAINING = """
w = tf.Variable([0.1, 0.2]); b = tf.Variable(0.0)
X = tf.constant([[0.5, 1.0], [1.5, -1.0], [-0.5, 0.2]]); t = tf.constant([1.0, 0.0, 1.0])
def step():
    with tf.GradientTape() as tape:
        p = tf.sigmoid(tf.linalg.matvec(X, w) + b)
        loss = tf.reduce_mean((p - t)**2)
    dw, db = tape.gradient(loss, [w, b])
    w.assign_sub(0.1*dw); b.assign_sub(0.1*db)
    return float(loss)
for i in range({steps}):
    l = step()
"""


def plain(shell: Any, body: str) -> float:
    """The cell by itself."""
    code = compile(body, "<plain>", "exec")
    start = time.thread_time()
    exec(code, shell.user_ns)
    return time.thread_time() - start


def under(shell: Any, body: str) -> tuple[float, float]:
    """The cell under `%%grad`: the run, and the explanation after it."""
    cell = running.prepare(shell, "", body)
    session = Session(parse(""), shell.user_ns, cell.text, cell.filename)
    with session:
        session.before()
        start = time.thread_time()
        last = running.run(shell, cell, session)
        ran = time.thread_time() - start
        start = time.thread_time()
        session.finish(last)
        return ran, time.thread_time() - start


def compare(shell: Any, name: str, body: str, runs: int) -> None:
    """Print the medians, the ratio of the runs, and what the explanation took."""
    plain(shell, body), under(shell, body)
    pairs = [(plain(shell, body), *under(shell, body)) for _ in range(runs)]
    a, b, after = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(pair[1] / pair[0] for pair in pairs)
    print(
        f"{name}:\n    plain {a * 1e3:8.2f} ms   under %%grad {b * 1e3:8.2f} ms   "
        f"ratio {ratio:.3f}   explanation {after * 1e3:8.1f} ms"
    )


def memory(shell: Any, steps: int) -> int:
    """Bytes that Python holds more at the end of a training loop than before it, at the most."""
    body = TRAINING.format(steps=steps)
    cell = running.prepare(shell, "", body)
    session = Session(parse(""), shell.user_ns, cell.text, cell.filename)
    gc.collect()
    tracemalloc.start()
    with session:
        session.before()
        running.run(shell, cell, session)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


def main() -> None:
    """Print all measurements."""
    shell = InteractiveShell.instance()
    shell.history_manager.enabled = False
    shell.run_line_magic("load_ext", "tapemagic")
    shell.user_ns.update(tf=tf)
    for name, body in CELLS.items():
        compare(shell, name, body, 15)
    compare(shell, "1,000 training steps", TRAINING.format(steps=1000), 3)
    memory(shell, 100)
    for steps in (100, 1000, 3000):
        print(f"{steps} steps: {memory(shell, steps) / 1e6:.2f} MB held at the most")


if __name__ == "__main__":
    main()
