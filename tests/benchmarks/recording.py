"""What recording costs: `python tests/benchmarks/recording.py`. Interleaved runs, medians.

In seconds of the processor, which other programs disturb less than the clock: this thread's for
small ops, all threads' for products of matrices.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import tensorflow as tf
from IPython.core.interactiveshell import InteractiveShell

from tapemagic import running
from tapemagic.options import parse
from tapemagic.session import Session

MEDIUM = "x = 0.5 * tf.ones((10, 10))\nfor i in range(500):\n    x = x * tf.sin(x)\n"
SMALL = "x = tf.constant(0.5)\nfor i in range(500):\n    x = x * tf.sin(x)\n"
TOP = "x = tf.constant(0.5)\n" + "x = x * tf.sin(x)\n" * 500
LARGE = "x = M\nfor i in range(8):\n    x = tf.matmul(x, M)\n"
RUNS = {"small": 21, "large": 9}


_clock = [time.thread_time]


def interleaved(first: Callable[[], float], second: Callable[[], float], runs: int) -> None:
    """Print both medians and their ratio, the two alternating within one run."""
    first(), second()  # warm up
    pairs = [(first(), second()) for _ in range(runs)]
    a, b = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratios = statistics.median(pair[1] / pair[0] for pair in pairs)
    print(f"    {a * 1e3:9.2f} ms {b * 1e3:9.2f} ms   ratio {b / a:.3f}, of pairs {ratios:.3f}")


def by_hand(shell: Any, body: str) -> float:
    """The cell as somebody writes it with a tape, then the gradient."""
    code = compile("with tf.GradientTape() as tape:\n" + _indented(body), "<by hand>", "exec")
    start = _clock[0]()
    exec(code, shell.user_ns)
    return _clock[0]() - start


def recorded(shell: Any, body: str, ask: bool = False) -> float:
    """The same cell under our tape and recorder: what `%%grad x` does around the body."""
    cell = running.prepare(shell, "x", body)
    session = Session(parse("x"), shell.user_ns, cell.text, cell.filename)
    with session:
        session.before()
        start = _clock[0]()
        running.run(shell, cell, session)
        if ask:
            session.tape.close()
            session._recorder.stop()
            session.tape.gradient(shell.user_ns["x"], session._plain["x"].first)
        return _clock[0]() - start


def whole(shell: Any, body: str) -> float:
    """All of `%%grad x -q`: the run, the gradient, the derivation and its check."""
    start = _clock[0]()
    shell.run_cell_magic("grad", "x -q", body)
    return _clock[0]() - start


def with_gradient(shell: Any, body: str) -> float:
    """Tape and gradient as somebody writes them."""
    first, _, rest = body.partition("\n")
    code = f"{first}\nx0 = x\nwith tf.GradientTape() as tape:\n    tape.watch(x)\n{_indented(rest)}"
    code += "\ndx = tape.gradient(x, x0)"
    compiled = compile(code, "<by hand>", "exec")
    start = _clock[0]()
    exec(compiled, shell.user_ns)
    return _clock[0]() - start


def _indented(body: str) -> str:
    return "\n".join(f"    {line}" for line in body.splitlines())


def main() -> None:
    shell = InteractiveShell.instance()
    shell.history_manager.enabled = False
    shell.run_line_magic("load_ext", "tapemagic")
    shell.user_ns.update(tf=tf, M=tf.random.normal((1000, 1000), seed=1) / 40)
    for name, body, runs in (
        ("1,000 small ops in a loop", SMALL, RUNS["small"]),
        ("1,000 small ops, line by line", TOP, RUNS["small"]),
        ("1,000 ops on 100 entries", MEDIUM, RUNS["small"]),
        ("8 products of 1000×1000", LARGE, RUNS["large"]),
    ):
        _clock[0] = time.process_time if body is LARGE else time.thread_time
        watched = body.replace("\n", "\ntape.watch(x)\n", 1)
        print(f"{name}: the run of the cell, tape by hand against %%grad")
        interleaved(lambda w=watched: by_hand(shell, w), lambda b=body: recorded(shell, b), runs)
        print(f"{name}: the run and one gradient")
        interleaved(
            lambda b=body: with_gradient(shell, b), lambda b=body: recorded(shell, b, True), runs
        )
    _clock[0] = time.thread_time
    print("1,000 small ops: tape and gradient by hand against the whole of %%grad")
    interleaved(lambda: with_gradient(shell, SMALL), lambda: whole(shell, SMALL), 5)
    print("8 products of 1000×1000: the same")
    _clock[0] = time.process_time
    interleaved(lambda: with_gradient(shell, LARGE), lambda: whole(shell, LARGE), 5)


if __name__ == "__main__":
    main()
