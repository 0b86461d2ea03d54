"""MirroredStrategy on two logical CPUs, in a process of its own: the cell's own results are as
without us, replica 0 is explained, and what is left out is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

ROOT = Path(__file__).resolve().parents[1]
SETUP = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
X = tf.constant([[1., 2.], [3., 4.], [5., 6.], [7., 8.]])
y = tf.constant([[1.], [2.], [3.], [4.]])
with strategy.scope():
    w = tf.Variable([[1.0], [2.0]])
    tf.keras.utils.set_random_seed(5)
    model = tf.keras.Sequential([tf.keras.layers.Dense(3, activation="tanh"),
                                 tf.keras.layers.Dense(1)])
    model.build((None, 2))
    start = [v.numpy() for v in model.trainable_variables]
    opt = tf.keras.optimizers.SGD(0.1)
data = strategy.experimental_distribute_dataset(
    tf.data.Dataset.from_tensor_slices((X, y)).batch(4))
"""
STEP = """
def step(batch):
    x, t = batch
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum((x @ w - t)**2) / 4
    return loss, tape.gradient(loss, w)
for batch in data:
    losses, slopes = strategy.run(step, args=(batch,))
    total = strategy.reduce("SUM", losses, axis=None)
parts = [part.numpy().tolist() for part in strategy.experimental_local_results(slopes)]
print("cell", float(total), parts)
"""
TRAIN = """
def step(batch):
    x, t = batch
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum((model(x) - t)**2) / 4
    slopes = tape.gradient(loss, model.trainable_variables)
    opt.apply_gradients(zip(slopes, model.trainable_variables))
    return loss
with strategy.scope():
    for batch in data:
        losses = strategy.run(step, args=(batch,))
print("cell", [v.numpy().tolist() for v in model.trainable_variables])
"""
AROUND = """
def part(batch):
    x, t = batch
    return tf.reduce_sum((x @ w - t)**2) / 4
for batch in data:
    losses = strategy.run(part, args=(batch,))
loss = strategy.reduce("SUM", losses, axis=None)
"""
COMPILED = AROUND.replace("def part", "@tf.function\ndef part")
CELLS = {
    "step": f"%%grad\n{STEP}",
    "train": f"%%grad\n{TRAIN}",
    "around": f"%%grad w\n{AROUND}",
    "compiled": f"%%grad w\n{COMPILED}",
}
PROGRAM = """
import contextlib, io, json, sys
sys.path.insert(0, {tests!r})
import numpy as np
import tensorflow as tf
from cells import open_shell

with open_shell() as shell:
    def run(cell):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            done = shell.run(cell)
        done.raise_error()
        said = [line for line in out.getvalue().splitlines() if line.startswith("cell")]
        return done.result, said

    run({setup!r})
    places = [tf.distribute.Strategy, tf.GradientTape, tf.keras.layers.Layer]
    def patched():
        return [getattr(p, n) for p in places for n in ("run", "gradient", "__call__")
                if hasattr(p, n)]
    before = patched()
    found = {{}}
    for name, cell in {cells!r}.items():
        run("for v, s in zip(model.trainable_variables, start): v.assign(s)")
        plain = run(cell.partition("\\n")[2])[1] if "print" in cell else None
        run("for v, s in zip(model.trainable_variables, start): v.assign(s)")
        result, said = run(cell)
        assert patched() == before, name
        found[name] = dict(
            plain=plain, said=said, shown=repr(result), notes=list(result.notes),
            calls=len(result.calls),
            values={{k: None if d.value is None else np.array(d.value).tolist()
                    for k, d in result.items()}},
            agrees=[d.check.agrees for d in result.values()],
            causes=[d.diagnosis.cause if d.diagnosis else "" for d in result.values()],
        )
    after = run("%%grad u\\nu = tf.constant(3.0)\\nz = u**2")[0]
    found["after"] = float(after["dz/du"].value)
    print("FOUND", json.dumps(found))
"""


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    code = PROGRAM.format(tests=str(ROOT / "tests"), setup=SETUP, cells=CELLS)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answer: dict[str, Any] = json.loads(done.stdout.split("FOUND ")[1].splitlines()[0])
    return answer


@pytest.mark.parametrize("name", ["step", "train"])
def test_the_cell_does_what_it_does_without_us(found: dict[str, Any], name: str) -> None:
    assert found[name]["said"] == found[name]["plain"]


def test_replica_0_is_explained(found: dict[str, Any]) -> None:
    step = found["step"]
    assert step["calls"] == 1
    np.testing.assert_allclose(step["values"]["dloss/dw"], [[15.5], [22.0]])
    assert step["agrees"] == [True]
    assert any("replica 0 is shown" in note for note in step["notes"])
    assert "(1/2)xᵀ(xw − t)" in step["shown"]


def test_a_model_under_a_strategy_is_told_by_layers(found: dict[str, Any]) -> None:
    train = found["train"]
    assert len(train["values"]) == 4
    assert train["agrees"] == [True] * 4
    assert "h₁ = dense(x) = tanh(xW₁ + 𝟏b₁ᵀ)" in train["shown"]
    assert any("replica 0 is shown" in note for note in train["notes"])


def test_a_tape_around_the_replicas_sees_nothing_of_them(found: dict[str, Any]) -> None:
    around = found["around"]
    assert around["values"] == {"dloss/dw": None}
    assert around["causes"] == ["outside_tape"]
    assert "strategy.run" in around["shown"]


def test_a_compiled_step_has_the_value_of_the_first_copy(found: dict[str, Any]) -> None:
    compiled = found["compiled"]
    np.testing.assert_allclose(compiled["values"]["dloss/dw"], [[15.5], [22.0]])
    assert any("copy of replica 0" in note for note in compiled["notes"])


def test_nothing_stays_patched(found: dict[str, Any]) -> None:
    assert found["after"] == 6.0
