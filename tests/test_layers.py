"""Keras layers and models as blocks: right values, readable names, told layer by layer."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import sympy
from cells import Shell, open_shell

tf = pytest.importorskip("tensorflow")

SETUP = """
import tensorflow as tf
K = tf.keras
K.utils.set_random_seed(7)
X = tf.random.normal((6, 4)); t = tf.random.normal((6, 3))
images = tf.random.normal((2, 8, 8, 1)); labels = tf.constant([0, 2])

class Residual(K.layers.Layer):
    def __init__(self, units):
        super().__init__()
        self.inner = K.layers.Dense(units, activation="tanh")
        self.norm = K.layers.LayerNormalization()
    def call(self, x):
        return self.norm(x + self.inner(x))

class Scaled(K.layers.Layer):
    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1],), name="kernel", initializer="ones")
    def call(self, x):
        return x * self.kernel

class Net(K.Model):
    def __init__(self):
        super().__init__()
        self.first, self.second = Residual(4), Residual(4)
        self.last = K.layers.Dense(3)
    def call(self, x):
        return self.last(self.second(self.first(x)))
"""
MODELS = {
    "sequential": "K.Sequential([K.layers.Dense(5, activation='tanh'), K.layers.Dense(3)])",
    "silu": "K.Sequential([K.layers.Dense(30, activation='silu'), K.layers.Dense(3)])",
    "nested": "K.Sequential([K.Sequential([K.layers.Dense(5, activation='relu')]),"
    " K.layers.Dense(3)])",
    "subclassed": "Net()",
    "own weights": "K.Sequential([Scaled(), K.layers.Dense(3, activation='sigmoid')])",
    "batch norm": "K.Sequential([K.layers.Dense(5), K.layers.BatchNormalization(),"
    " K.layers.Dense(3)])",
}


@pytest.fixture(scope="module")
def module_shell() -> Iterator[Shell]:
    with open_shell() as shell:
        shell.run(SETUP).raise_error()
        yield shell


@pytest.fixture
def shell(module_shell: Shell) -> Iterator[Shell]:
    kept = dict(module_shell.names)
    yield module_shell
    for name in set(module_shell.names) - set(kept):
        del module_shell.names[name]


def run(shell: Shell, cell: str) -> Any:
    done = shell.run(cell)
    done.raise_error()
    return done.result


def by_hand(shell: Shell, seed: int, call: str = "model(X, training=True)") -> list[Any]:
    code = f"""
tf.random.set_seed({seed})
with tf.GradientTape() as _tape:
    _loss = tf.reduce_mean(({call} - t)**2)
_slopes = _tape.gradient(_loss, model.trainable_variables)
"""
    run(shell, code)
    return list(shell.names["_slopes"])


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_models_have_the_tapes_values_and_derivations(shell: Shell, model: str) -> None:
    run(shell, f"model = {model}\n_ = model(X)")
    expected = by_hand(shell, 3)
    result = run(
        shell,
        "%%grad model\ntf.random.set_seed(3)\npred = model(X, training=True)\n"
        "loss = tf.reduce_mean((pred - t)**2)",
    )
    keys = [f"dloss/dmodel.trainable_variables[{i}]" for i in range(len(expected))]
    assert list(result) == keys
    for key, value in zip(keys, expected, strict=True):
        derivative = result[key]
        np.testing.assert_allclose(derivative.value, value, rtol=1e-5, atol=1e-6)
        assert derivative.check.agrees is True, (key, derivative.check)
        assert derivative.tensor is not None
        assert derivative.tensor.definitions.layers
        again = derivative.evaluate()
        np.testing.assert_allclose(again, value, rtol=1e-3, atol=1e-5)
    names = [definition.leaf.name.text for definition in derivative.tensor.definitions.definitions]
    assert "h1" in names
    assert "pred" in names


def test_layers_read_as_in_a_textbook(shell: Shell) -> None:
    run(shell, f"model = {MODELS['sequential']}\n_ = model(X)")
    result = run(shell, "%%grad model\npred = model(X)\nloss = tf.reduce_mean((pred - t)**2)")
    shown = repr(result)
    assert "W₁ = model.layers[0].kernel" in shown
    assert re.search(r"h₁ = dense\w*\(X\) = tanh\(XW₁ \+ 𝟏b₁ᵀ\)", shown), shown
    assert re.search(r"pred = dense\w*\(h₁\) = h₁W₂ \+ 𝟏b₂ᵀ", shown), shown
    assert "∂loss/∂h₁ = ∂loss/∂pred · W₂ᵀ" in shown
    assert "∂loss/∂W₁ = Xᵀ(∂loss/∂h₁ ∘ (1 − h₁^(∘2)))" in shown
    assert "∂loss/∂W₂ = h₁ᵀ · ∂loss/∂pred" in shown
    assert result["dloss/dmodel.layers[1].kernel"] is result["dloss/dmodel.trainable_variables[2]"]
    # The short names and the long ones both set a value.
    first = result["dloss/dmodel.layers[0].kernel"]
    moved = np.array(shell.names["model"].layers[0].kernel) + 0.5
    np.testing.assert_allclose(
        first.evaluate(W1=moved), first.evaluate(**{"model.layers[0].kernel": moved})
    )
    assert not np.allclose(first.evaluate(W1=moved), first.evaluate())


def test_names_of_the_users_own_come_first(shell: Shell) -> None:
    run(shell, "layer = K.layers.Dense(3)\n_ = layer(X)\nW = layer.kernel\nb1 = tf.constant(1.)")
    shown = repr(run(shell, "%%grad layer\nh = layer(X)\nL = tf.reduce_sum(h**2) * b1"))
    assert "h = layer(X) = XW + 𝟏bᵀ" in shown
    assert "∂L/∂W" in shown
    assert "b = layer.bias" in shown


def test_a_name_that_is_taken_keeps_the_long_ones(shell: Shell) -> None:
    run(shell, f"model = {MODELS['sequential']}\n_ = model(X)\nW1 = tf.constant(2.0)")
    shown = repr(run(shell, "%%grad model\nL = W1 * tf.reduce_sum(model(X)**2)"))
    assert "∂L/∂model.layers[0].kernel" in shown
    assert "W₁ = model" not in shown


def test_a_block_opens_on_a_click(shell: Shell) -> None:
    run(shell, f"model = {MODELS['subclassed']}\n_ = model(X)")
    result = run(shell, "%%grad model\npred = model(X)\nloss = tf.reduce_mean((pred - t)**2)")
    html = result._repr_html_()
    folds = re.findall(r"<summary>([^<]*)</summary>", html)
    assert any(fold.startswith("inside model: 3 layers") for fold in folds), folds
    assert any(fold.startswith("inside layer_normalization") for fold in folds), folds
    assert "model(X)" in repr(result)


def test_a_deep_model_is_short_to_read(shell: Shell) -> None:
    run(
        shell,
        "model = K.Sequential([K.layers.Dense(4, activation='tanh') for _ in range(50)])\n"
        "_ = model(X)\nt4 = tf.random.normal((6, 4))",
    )
    run(shell, "%%grad model -q -o result\npred = model(X)\nloss = tf.reduce_mean((pred - t4)**2)")
    result = shell.names["result"]
    assert len(result) == 100
    assert all(d.check.agrees for d in result.values())
    sweeps = {id(d.tensor.sweep) for d in result.values()}
    assert len(sweeps) == 1  # one for all variables
    shown = repr(result)
    assert "inside model: 50 layers, 50 equations" in shown
    assert shown.count("∂loss/∂h₂₅ =") == 0  # folded
    assert shown.count("∂loss/∂h₄₉ =") == 1  # told once, not a hundred times
    for number in (1, 25, 50):
        assert f"∂loss/∂W{_below(number)} = " in shown
    assert len(shown.splitlines()) < 1500
    assert len(result._repr_html_()) < 1_500_000


def _below(number: int) -> str:
    return "".join(chr(ord("₀") + int(digit)) for digit in str(number))


def test_a_training_step_of_the_users_own(shell: Shell) -> None:
    run(
        shell,
        "net = K.Sequential([K.layers.Conv2D(4, 3, activation='relu'), K.layers.MaxPool2D(),"
        " K.layers.Flatten(), K.layers.Dropout(0.3), K.layers.Dense(3)])\n_ = net(images)\n"
        "opt = K.optimizers.SGD(0.1)\n"
        "def step():\n"
        "    with tf.GradientTape() as tape:\n"
        "        logits = net(images, training=True)\n"
        "        loss = tf.reduce_mean(K.losses.sparse_categorical_crossentropy("
        "labels, logits, from_logits=True))\n"
        "    slopes = tape.gradient(loss, net.trainable_variables)\n"
        "    opt.apply_gradients(zip(slopes, net.trainable_variables))\n"
        "    return slopes",
    )
    result = run(shell, "%%grad\nslopes = step()")
    assert len(result) == 4
    for derivative, value in zip(result.values(), shell.names["slopes"], strict=True):
        np.testing.assert_array_equal(derivative.value, value)
        assert derivative.check.agrees is True, derivative.check
    assert "logits = net(images)" in repr(result) or "net" in repr(result)


def test_layers_that_fail_or_are_only_built_leave_no_trace(shell: Shell) -> None:
    layer = sys.modules["keras.src.layers.layer"].Layer
    before, finders = layer.__call__, list(sys.meta_path)
    done = shell.run(
        "%%grad X\nfailing = K.layers.Dense(3)\ninputs = K.Input((4,))\n"
        "graph = K.Model(inputs, failing(inputs))\n"
        "try:\n    failing(tf.zeros((2, 9)))\nexcept ValueError:\n    pass\n"
        "L = tf.reduce_sum(graph(X)**2)"
    )
    done.raise_error()
    assert layer.__call__ is before
    assert sys.meta_path == finders
    derivative = done.result["dL/dX"]
    assert derivative.check.agrees is True
    names = [layer.name for layer in derivative.tensor.definitions.layers]
    assert names.count("failing") == 1
    broken = shell.run("%%grad X\nL = K.layers.Dense(2)(tf.zeros((2, 3)), 1, 2, 3)")
    assert isinstance(broken.error_in_exec, (TypeError, ValueError))
    assert layer.__call__ is before


# -- custom gradients, compiled functions, loops ---------------------------------------------------


def test_silu_is_seen_through_at_any_size(shell: Shell) -> None:
    for size in (30, 500, 200_000):
        run(shell, f"z = tf.random.normal(({size},))")
        derivative = run(shell, "%%grad z\nL = tf.reduce_sum(tf.nn.silu(z))")["dL/dz"]
        assert derivative.tensor.definitions.opaque == ()
        assert derivative.check.agrees is True
        assert derivative.reasons == ()


def test_a_custom_gradient_against_calculus_is_remarked_at_any_size(shell: Shell) -> None:
    for size in (3, 100_000):
        run(
            shell,
            f"z = tf.random.normal(({size},)) + 3.0\n"
            "@tf.custom_gradient\ndef odd(x):\n    return x*x, lambda dy: dy*3*x",
        )
        derivative = run(shell, "%%grad z\nL = tf.reduce_sum(odd(z))")["dL/dz"]
        np.testing.assert_allclose(derivative.value, 3 * shell.names["z"], rtol=1e-6)
        assert [d.cause for d in derivative.diagnoses] == ["custom"]
        assert "overrides calculus" in derivative.check.note


BODIES = {
    "cond": "tf.cond(tf.reduce_sum(a) > 0, lambda: a**2, lambda: tf.sin(a))",
    "while": "tf.while_loop(lambda i, b: i < 3, lambda i, b: (i + 1, tf.sin(b) * a), [0, a])[1]",
    "map": "tf.map_fn(lambda r: r * tf.reduce_sum(r**2), a)",
    "scan": "tf.scan(lambda s, r: tf.tanh(s) + r, a)",
    "vectorized": "tf.vectorized_map(lambda r: tf.reduce_sum(r**2) * r, a)",
    "matmul": "tf.tanh(a @ tf.transpose(a))",
}


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_control_flow(shell: Shell, body: str, compiled: bool) -> None:
    for shape in ((2, 2), (9, 12)):
        run(shell, f"a0 = tf.random.normal({shape}) + 0.1")
        head = "@tf.function\n" if compiled else ""
        run(shell, f"{head}def f(a):\n    return {body}")
        run(
            shell,
            "with tf.GradientTape() as _tape:\n    _tape.watch(a0)\n    _L = tf.reduce_sum(f(a0))\n"
            "_slope = _tape.gradient(_L, a0)",
        )
        derivative = run(shell, "%%grad a0\nL = tf.reduce_sum(f(a0))")["dL/da0"]
        np.testing.assert_allclose(derivative.value, shell.names["_slope"], rtol=1e-5, atol=1e-6)
        assert derivative.check.agrees is not False, derivative.check
        known = derivative.derivation is not None or derivative.tensor is not None
        assert known or derivative.reasons
        if derivative.tensor is not None:
            assert "f" not in derivative.tensor.definitions.opaque


GRAPHS = {
    "if": ("if x > 1.0:\n        y = x**2\n    else:\n        y = tf.sin(x)\n    return y", "2*x"),
    "return": ("if x > 1.0:\n        return x**2\n    return tf.sin(x)", "2*x"),
    "elif": (
        "if x > 5.0:\n        return x**2\n    elif x > 1.0:\n        return tf.exp(x)\n"
        "    else:\n        return x",
        "exp(x)",
    ),
    "rows": (
        "y = 0.0\n    for c in tf.constant([1.0, 2.0, 3.0]):\n        y = y*x + c\n    return y",
        "2*x + 2",
    ),
    "array": (
        "a = tf.TensorArray(tf.float32, size=3)\n    for i in tf.range(3):\n"
        "        a = a.write(i, x * tf.cast(i, tf.float32))\n"
        "    return tf.reduce_sum(a.stack()**2)",
        "10*x",
    ),
    "growing": (
        "a = tf.TensorArray(tf.float32, size=0, dynamic_size=True)\n    for i in tf.range(3):\n"
        "        a = a.write(i, x**2)\n    return tf.reduce_sum(a.stack())",
        "6*x",
    ),
    "unstacked": (
        "a = tf.TensorArray(tf.float32, size=2).unstack(tf.stack([x, x**2]))\n"
        "    return a.read(0) * a.read(1) * tf.cast(a.size(), tf.float32)",
        "6*x**2",
    ),
    "map": (
        "return tf.reduce_sum(tf.map_fn(lambda t: t**2 * x, tf.constant([1.0, 2.0])))",
        "5",
    ),
    "case": (
        "return tf.case([(x > 3.0, lambda: x), (x > 1.0, lambda: x**3)], default=lambda: -x)",
        "3*x**2",
    ),
}


def test_many_steps_stay_light(shell: Shell) -> None:
    run(
        shell,
        "K.utils.set_random_seed(1)\nm = K.Sequential([K.layers.LSTM(4), K.layers.Dense(1)])\n"
        "long = tf.random.normal((2, 64, 3))\n_ = m(long)",
    )
    result = run(shell, "%%grad m\nL = tf.reduce_mean(m(long)**2)")
    agreed = [derivative.check.agrees for derivative in result.values()]
    assert agreed == [True] * 5
    html = result._repr_html_()
    assert "more, in the steps of the result" in html
    assert "⋯ (" in html  # of the sum over all steps
    assert len(html) < 3e6


GATED = {  # how its step reads, and its derivatives by kernel, recurrent kernel and bias
    "K.layers.LSTMCell(5)": (
        "h, c",
        "out, (_, c1) = cell(x, [h, c])",
        ["xW + hU + 𝟏bᵀ", "σ(u₁ E_{6:10}ᵀ)", "c1 = u₃ ∘ c + u₂ ∘ u₄", "out = u₅ ∘ tanh(c1)"],
        ["∂L/∂W = xᵀ · ∂L/∂u₁", "∂L/∂U = hᵀ · ∂L/∂u₁", "∂L/∂b = (∂L/∂u₁)ᵀ 𝟏"],
    ),
    "K.layers.GRUCell(5)": (
        "h",
        "out, _ = cell(x, [h])",
        ["tanh(u₁ E_{11:15}ᵀ + u₄ ∘ (u₂ E_{11:15}ᵀ))", "out = u₃ ∘ h + (1 − u₃) ∘ u₅"],
        ["∂L/∂W = xᵀ · ∂L/∂u₁", "∂L/∂U = hᵀ · ∂L/∂u₂"],
    ),
}


@pytest.mark.parametrize("layer", GATED)
def test_a_step_of_gates_reads_as_in_a_textbook(shell: Shell, layer: str) -> None:
    states, body, definitions, forms = GATED[layer]
    run(
        shell,
        f"cell = {layer}\nx = tf.random.normal((4, 3))\nh, c, goal = tf.random.normal((3, 4, 5))\n"
        f"_ = cell(x, [{states}])",
    )
    body += "\nL = tf.reduce_sum((out - goal)**2)"
    result = run(shell, f"%%grad cell\n{body}")
    shown = repr(result)
    for text in (f"out = cell(x, {states})", *definitions, *forms):
        assert text in shown, text
    assert "no closed form" not in shown
    for derivative in result.values():
        assert derivative.check.agrees is True
        again = derivative.evaluate()
        np.testing.assert_allclose(again, derivative.value, rtol=1e-3, atol=1e-5)
    # What varies or not, the layer was called with all of it.
    assert f"out = cell(x, {states})" in repr(run(shell, f"%%grad cell.kernel\n{body}"))


def test_a_step_of_gates_by_hand(shell: Shell) -> None:
    run(
        shell,
        "W = tf.Variable(tf.random.normal((8, 20))); b = tf.Variable(tf.zeros((20,)))\n"
        "x = tf.random.normal((4, 3)); h, c = tf.random.normal((2, 4, 5))",
    )
    result = run(
        shell,
        "%%grad W, b\ni, f, g, o = tf.split(tf.concat([x, h], 1) @ W + b, 4, axis=1)\n"
        "c1 = tf.sigmoid(f)*c + tf.sigmoid(i)*tf.tanh(g)\nh1 = tf.sigmoid(o)*tf.tanh(c1)\n"
        "L = tf.reduce_sum(h1**2)",
    )
    shown = repr(result)
    assert "u₁ = [x  h] W + 𝟏bᵀ" in shown and "i = u₁ E_{1:5}ᵀ" in shown
    assert "∂L/∂u₁ = [∂L/∂i  ∂L/∂f  ∂L/∂g  ∂L/∂o]" in shown
    assert "∂L/∂b = (∂L/∂u₁)ᵀ 𝟏" in shown and "no closed form" not in shown
    for derivative in result.values():
        np.testing.assert_allclose(derivative.evaluate(), derivative.value, 1e-3, 1e-5)


COMPILED = [(name, "tf.function") for name in GRAPHS]
# XLA refuses the gradient of loops.
COMPILED += [(name, "tf.function(jit_compile=True)") for name in ("if", "return", "elif", "case")]


@pytest.mark.parametrize("name, decorator", COMPILED)
def test_compiled_python_is_opened(shell: Shell, name: str, decorator: str) -> None:
    body, slope = GRAPHS[name]
    cell = f"@{decorator}\ndef f(x):\n    {body}\nx = tf.constant(2.0)\ny = f(x)"
    derivative = run(shell, f"%%grad x\n{cell}")["dy/dx"]
    assert derivative.closed_form is not None, derivative.reasons
    assert derivative.check.agrees is True
    assert sympy.simplify(derivative.expression - sympy.sympify(slope)) == 0


def test_a_compiled_model_is_opened(shell: Shell) -> None:
    run(shell, f"model = {MODELS['silu']}\n_ = model(X)\ncompiled = tf.function(model)")
    expected = by_hand(shell, 1, "compiled(X)")
    result = run(shell, "%%grad model\npred = compiled(X)\nloss = tf.reduce_mean((pred - t)**2)")
    for derivative, value in zip(result.values(), expected, strict=True):
        np.testing.assert_allclose(derivative.value, value, rtol=1e-5, atol=1e-6)
        assert derivative.check.agrees is True
        assert derivative.tensor is not None
        assert derivative.tensor.definitions.opaque == ()
