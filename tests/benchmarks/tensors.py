"""What tensors, layers and models cost: `python tests/benchmarks/tensors.py`. Ratios of medians
of interleaved runs, and how long the derivations take."""

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

SETUP = """
import tensorflow as tf
K = tf.keras
K.utils.set_random_seed(1)
net = K.Sequential([
    K.layers.Conv2D(32, 3, activation="relu"), K.layers.Conv2D(32, 3, activation="relu"),
    K.layers.MaxPool2D(), K.layers.BatchNormalization(),
    K.layers.Conv2D(64, 3, activation="relu"), K.layers.MaxPool2D(),
    K.layers.Flatten(), K.layers.Dropout(0.3),
    K.layers.Dense(128, activation="relu"), K.layers.Dense(10)])
images = tf.random.normal((256, 28, 28, 1))
labels = tf.random.uniform((256,), 0, 10, tf.int32)
optimizer = K.optimizers.Adam()
losses = K.losses.SparseCategoricalCrossentropy(from_logits=True)

def step():
    with tf.GradientTape() as tape:
        loss = losses(labels, net(images, training=True))
    slopes = tape.gradient(loss, net.trainable_variables)
    optimizer.apply_gradients(zip(slopes, net.trainable_variables))
    return loss

deep = K.Sequential([K.layers.Dense(16, activation="tanh") for _ in range(50)])
X = tf.random.normal((32, 16))
_ = deep(X), step()
"""
STEP = "loss = step()\n"
DEEP = "pred = deep(X)\nloss = tf.reduce_mean(pred**2)\n"
RUNS = 25


def plain(shell: Any, body: str) -> float:
    """The cell as it is."""
    code = compile(body, "<plain>", "exec")
    start = time.perf_counter()
    exec(code, shell.user_ns)
    return time.perf_counter() - start


def recorded(shell: Any, body: str) -> float:
    """The same cell while it is recorded, without the derivation."""
    cell = running.prepare(shell, "", body)
    session = Session(parse(""), shell.user_ns, cell.text, cell.filename)
    with session:
        session.before()
        start = time.perf_counter()
        running.run(shell, cell, session)
        return time.perf_counter() - start


def derived(shell: Any, line: str, body: str) -> tuple[float, float, float]:
    """The whole of `%%grad`, then its text and its HTML."""
    start = time.perf_counter()
    shell.run_cell_magic("grad", f"{line} -q -o result", body)
    done = time.perf_counter()
    repr(shell.user_ns["result"])
    told = time.perf_counter()
    shell.user_ns["result"]._repr_html_()
    return done - start, told - done, time.perf_counter() - told


def _interleaved(first: Callable[[], float], second: Callable[[], float]) -> None:
    first(), second()  # warm up
    pairs = [(first(), second()) for _ in range(RUNS)]
    a, b = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratios = statistics.median(pair[1] / pair[0] for pair in pairs)
    print(f"    {a * 1e3:9.2f} ms {b * 1e3:9.2f} ms   ratio {b / a:.3f}, of pairs {ratios:.3f}")


def main() -> None:
    shell = InteractiveShell.instance()
    shell.history_manager.enabled = False
    exec(SETUP, shell.user_ns)
    shell.run_line_magic("load_ext", "tapemagic")
    print(f"TensorFlow {tf.__version__}")
    print("a training step of a convolutional net: plain, recorded")
    _interleaved(lambda: plain(shell, STEP), lambda: recorded(shell, STEP))
    print("its derivation by 12 variables, and 50 layers by 100 variables: medians of 5")
    for line, body in (("", STEP), ("deep", DEEP)):
        whole = [plain(shell, body) for _ in range(5)]
        times = [derived(shell, line, body) for _ in range(5)]
        made, told, html = (statistics.median(column) for column in zip(*times, strict=True))
        cell = statistics.median(whole)
        print(f"    cell {cell:.3f} s, %%grad {made:.3f} s, text {told:.3f} s, HTML {html:.3f} s")


if __name__ == "__main__":
    main()
