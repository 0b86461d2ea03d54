"""Under `%%grad` the cell runs exactly once, and nothing is left behind."""

# Cells keep the lines that people write.

from __future__ import annotations

import gc
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cells import Shell, open_shell
from conftest import plain_text

import tapemagic

tf = pytest.importorskip("tensorflow")

# As long as the magic's line and a comment, so that line numbers agree.
PLAIN = "# the grad line"
NO_ERROR = "NoneType: None"
OUT = re.compile(r"Out\[\d+\]: ?")
OURS = {"res", "dy_dx", "d2y_dx2", "dy_dw", "tape"}


@pytest.fixture(scope="module")
def module_shell() -> Iterator[Shell]:
    with open_shell() as shell:
        yield shell


@pytest.fixture
def shell(module_shell: Shell) -> Iterator[Shell]:
    module_shell.clean()
    yield module_shell
    module_shell.clean()


# ---- the same as without the magic --------------------------------------------------------------

X = "x = tf.constant(2.0)\n"
BODIES = {
    "prints": X + "print('one')\nimport sys\nprint('two', file=sys.stderr)\ny = x**2\nprint(y.numpy())",
    "appends": "seen = []\n" + X + "for i in range(3):\n    seen.append(i)\n    y = x**i\nlen(seen)",
    "assigns": "w = tf.Variable(1.0)\n" + X + "y = w*x\nw.assign_add(1.0)\nafter = w.numpy()\nafter",
    "assigns in a loop": "w = tf.Variable(1.0)\n" + X + "for _ in range(3):\n    y = w*x\n    w.assign(w*2)\nw.numpy()",
    "eager random numbers": "tf.random.set_seed(3)\n" + X + "y = x*tf.random.normal([])\nn = tf.random.uniform([2]).numpy()\nn",
    "a generator": "g = tf.random.Generator.from_seed(5)\n" + X + "y = x*g.normal([])\nstate = g.state.numpy().tolist()\nstate",
    "the global generator": "tf.random.get_global_generator().reset_from_seed(4)\n" + X
    + "y = x*tf.random.get_global_generator().normal([])\nstate = tf.random.get_global_generator().state.numpy().tolist()",
    "python's random": "import random\nrandom.seed(2)\n" + X + "y = x*random.random()\nnext_one = random.random()\nnext_one",
    "numpy's random": "np.random.seed(2)\n" + X + "y = x*np.random.rand()\nnext_one = float(np.random.rand())\nnext_one",
    "numpy's generator": "r = np.random.default_rng(2)\n" + X + "y = x*r.random()\nnext_one = r.random()\nnext_one",
    "keras's seed": "tf.keras.utils.set_random_seed(4)\n" + X
    + "k = tf.keras.layers.Dense(1)(tf.ones((1, 2))).numpy().tolist()\ny = x*k[0][0]\ny2 = tf.random.normal([]).numpy()",
    "a counter": "calls = 0\ndef f(a):\n    global calls\n    calls += 1\n    return a*a\n" + X + "y = f(f(x))\ncalls",
    "an iterator": "it = iter(range(9))\n" + X + "y = x*next(it) + x*next(it)\nnext(it)",
    "traces": "traced = []\n@tf.function\ndef f(a):\n    traced.append(1)\n    return a*a\n" + X
    + "y = f(x) + f(x*2)\nlen(traced), f.experimental_get_tracing_count()",
    "traces by shape": "traced = []\n@tf.function\ndef f(a):\n    traced.append(str(a.shape))\n    return tf.reduce_sum(a*a)\n" + X
    + "y = f(x) + f(tf.stack([x, x]))\ntraced",
    "prints while tracing": "@tf.function\ndef f(a):\n    print('tracing', a.shape)\n    return a*a\n" + X + "y = f(x)\ny = f(y)",
    "tf.print": X + "import sys\ntf.print('from TensorFlow', output_stream=sys.stdout)\ny = x*x",
    "a state in a function": "c = tf.Variable(0, trainable=False)\n@tf.function\ndef f(a):\n    c.assign_add(1)\n    return a*a\n"
    + X + "y = f(x) + f(x)\nc.numpy()",
    "py_function": "runs = []\n" + X + "y = tf.py_function(lambda a: runs.append(1) or a*a, [x], tf.float32)*x\nlen(runs)",
    "custom gradient, not asked": "calls = []\n@tf.custom_gradient\ndef f(a):\n    def grad(u):\n        calls.append('back')\n"
    "        return u*2*a\n    calls.append('there')\n    return a*a, grad\n" + X + "z = f(x)\ny = x**2\nlist(calls)",
    "a dataset": X + "y = 0.0\nfor v in tf.data.Dataset.range(3):\n    y = y + x*float(v)\ny",
    "names that go": X + "k = 3\ny = x*k\ndel k\n'k' in globals()",
    "shadowed builtins": X + "sum = 3\ny = x*sum\nprint(len('abc'))\ndel sum",
    "imports": X + "import math as m\nfrom math import pi\ny = x*m.cos(pi)",
    "warnings": "import warnings\n" + X + "with warnings.catch_warnings(record=True) as w_:\n    warnings.simplefilter('always')\n"
    "    warnings.warn('mind')\n    y = x*2\nlen(w_)",
    "settings": X + "was = tf.config.functions_run_eagerly(), tf.executing_eagerly()\ny = x**2\nwas",
    "training": "tf.keras.utils.set_random_seed(1)\nmodel = tf.keras.Sequential([tf.keras.layers.Dense(1)])\n"
    "model.compile('sgd', 'mse')\nh = model.fit(tf.ones((4, 2)), tf.ones((4, 1)), epochs=2, verbose=0).history['loss']\n" + X
    + "y = x**2*h[0]\nmodel.predict(tf.ones((1, 2)), verbose=0).tolist()",
    "optimizer": "w = tf.Variable(2.0)\nopt = tf.keras.optimizers.Adam(0.1)\n" + X
    + "with tf.GradientTape() as t:\n    y = w**2*x\nopt.apply_gradients([(t.gradient(y, w), w)])\n(w.numpy(), int(opt.iterations.numpy()))",
    "an own tape": X + "with tf.GradientTape() as t:\n    t.watch(x)\n    y = x**3\ng = t.gradient(y, x).numpy()\n"
    "try:\n    t.gradient(y, x)\nexcept RuntimeError as e:\n    why = str(e)[:30]\nwhy",
    "who watches": X + "with tf.GradientTape() as t:\n    w = tf.Variable(1.0)\n    y = w*x\n[v.shape.rank for v in t.watched_variables()]",
    "in a thread": "import threading\nout = []\nth = threading.Thread(target=lambda: out.append(float(tf.constant(2.0)*3)))\n"
    "th.start(); th.join()\n" + X + "y = x*out[0]\nout",
    "ids and types": X + "y = x*x\n[type(v).__name__ for v in (x, y, tf.Variable(1.0))]",
    "variable's handle": "w = tf.Variable(1.0)\n" + X + "y = w*x\nh = w._handle is w.handle\nh",
    "an error": X + "y = x**2\nprint('so far')\n1/0\nlate = 1",
    "an error in TensorFlow": X + "y = x**2\ntf.ones((2,)) + tf.ones((3,))",
    "an error in a tf.function": "@tf.function\ndef f(a):\n    raise ValueError('traced')\n" + X + "y = f(x)",
    "an interrupt": X + "y = x**2\nraise KeyboardInterrupt",
    "a syntax error": X + "y = = 3",
    "exit from a function": "def f():\n    raise SystemError('odd')\n" + X + "f()",
}  # fmt: skip


def outcome(shell: Shell, head: str, body: str, capfd: Any) -> dict[str, Any]:
    """Run and describe what can be seen: names, output, the last value, the error."""
    shell.clean()
    capfd.readouterr()
    done = shell.run(f"{head}\n{body}")
    sys.stdout.flush()
    out, err = capfd.readouterr()
    error = done.error_before_exec or done.error_in_exec
    names = {
        name: _described(value)
        for name, value in shell.names.items()
        if name not in shell._base and name not in OURS and not name.startswith("_")
    }
    return {
        "names": names,
        "out": plain_text(out).replace("%%grad x -q -o res", PLAIN),
        "err": plain_text(err),
        "error": re.sub(r"<ipython-input-\S+>", "<cell>", f"{type(error).__name__}: {error}"),
        "value": None if head.startswith("%%") or error else _described(done.result),
        "done": done,
    }


def _described(value: Any) -> str:
    if isinstance(value, (tf.Tensor, tf.Variable)):
        return f"{type(value).__name__} {value.numpy()!r}"
    if callable(value) or type(value).__module__ not in ("builtins", "numpy"):
        return type(value).__name__
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_like_the_plain_cell(shell: Shell, body: str, capfd: Any) -> None:
    before = state(shell)
    plain = outcome(shell, PLAIN, body, capfd)
    magic = outcome(shell, "%%grad x -q -o res", body, capfd)
    assert magic["error"] == plain["error"]
    assert magic["names"] == plain["names"]
    # `-q` shows nothing, not even the last value.
    assert magic["out"] == (
        plain["out"] if plain["error"] != NO_ERROR else OUT.split(plain["out"])[0]
    )
    assert magic["err"] == plain["err"]
    shell.clean()
    assert state(shell) == before


VALUES = {
    "a number": ("y = x**2\n3", True),
    "text": ("y = x**2\n'text'", True),
    "a list": ("y = x**2\n[1, 2]", True),
    "an array": ("y = x**2\nnp.arange(3)", True),
    "None": ("y = x**2\nNone", False),
    "silenced": ("y = x**2\n3;", False),
    "the target": ("y = x**2\ny", False),
    "an integer tensor": ("y = x**2\ntf.constant(3)", True),
    "a variable": ("w = tf.Variable(1.0)\ny = x**2*w\nw", True),
}


@pytest.mark.parametrize("name", VALUES)
def test_the_last_value_is_shown_as_before(shell: Shell, name: str, capfd: Any) -> None:
    body, shows = VALUES[name]
    plain = outcome(shell, PLAIN, X + body, capfd)
    magic = outcome(shell, "%%grad x", X + body, capfd)
    value = OUT.sub("", plain["out"]).strip()
    if shows:
        assert value and magic["out"].startswith(value)
    elif name == "silenced":
        assert magic["out"] == ""
    else:
        assert OUT.match(magic["out"])
    if name != "silenced":
        assert "dy/dx" in magic["out"] or "d(" in magic["out"]


GRAD = """calls = []
@tf.custom_gradient
def f(a):
    def grad(up):
        calls.append(float(tf.reduce_sum(up)))
        return up*2*a
    return a*a, grad
x = tf.constant({})
y = tf.reduce_sum(f(x)*3)
"""


@pytest.mark.parametrize("at", ["2.0", "[2.0, 1.0]", "[[1.0, 2.0], [3.0, 4.0]]"])
def test_a_custom_gradient_is_called_once(shell: Shell, at: str) -> None:
    """As by a tape written by hand."""
    shell.run("%%grad x -q -o res\n" + GRAD.format(at)).raise_error()
    assert len(shell.names["calls"]) == 1
    repr(shell.names["res"]), shell.names["res"].latex, shell.names["res"]._repr_html_()
    for derivative in shell.names["res"].values():
        assert derivative.steps is not None
    assert len(shell.names["calls"]) == 1


def test_a_traced_function_is_not_traced_for_us(shell: Shell) -> None:
    body = (
        "traced = []\n@tf.function\ndef f(a):\n    traced.append(1)\n    return tf.sin(a)*a\n"
        "x = tf.constant([1.0, 2.0])\ny = tf.reduce_sum(f(x))"
    )
    shell.run("%%grad x -q -n 2\n" + body).raise_error()
    assert len(shell.names["traced"]) == 1


def test_files_are_written_once(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    body = f"with open({str(path)!r}, 'a') as f:\n    f.write('line\\n')\nx = tf.constant(2.0)\ny = x**2"
    shell.run("%%grad x -q\n" + body).raise_error()
    assert path.read_text() == "line\n"


def test_our_names_and_no_others(shell: Shell) -> None:
    before = set(shell.names)
    shell.run("%%grad x -n 2 -q\nx = tf.constant(2.0)\ny = x**3").raise_error()
    assert set(shell.names) - before == {"x", "y", "dy_dx", "d2y_dx2"}
    shell.clean()
    shell.run("%%grad x -q -p -o res\nx = tf.constant(2.0)\ny = x**3").raise_error()
    assert set(shell.names) - before == {"x", "y", "dy_dx", "tape", "res"}


# ---- nothing is left behind ---------------------------------------------------------------------


EXITS = ("numpy", "__array__", "__float__", "__int__", "__array_function__", "__array_ufunc__")


def state(shell: Shell) -> dict[str, Any]:
    """What a cell under the magic must leave as it was."""
    from tensorflow.python.eager import context, record
    from tensorflow.python.framework.ops import EagerTensor
    from tensorflow.python.ops.resource_variable_ops import BaseResourceVariable

    return {
        "op callbacks": list(context.context().op_callbacks),
        "record_operation": record.record_operation,
        "record_operation_backprop_only": record.record_operation_backprop_only,
        "the handle": vars(BaseResourceVariable).get("_handle"),
        "gradient": tf.GradientTape.gradient,
        "jacobian": tf.GradientTape.jacobian,
        "batch_jacobian": tf.GradientTape.batch_jacobian,
        "enter": tf.GradientTape.__enter__,
        "tape": record.could_possibly_record(),
        "a tensor's ways out": {name: getattr(EagerTensor, name, None) for name in EXITS},
        "unraisablehook": sys.unraisablehook,
        "profile": sys.getprofile(),
        "trace": sys.gettrace(),
        "displayhook": sys.displayhook,
        "excepthook": sys.excepthook,
        "stdout": sys.stdout,
        "filters of TensorFlow's log": list(tf.get_logger().filters),
        "level of TensorFlow's log": tf.get_logger().level,
        "filters of the root log": list(logging.getLogger().filters),
        "showtraceback": "showtraceback" in vars(shell.ip),
        "events": {name: len(found) for name, found in shell.ip.events.callbacks.items()},
        "run_functions_eagerly": tf.config.functions_run_eagerly(),
        "transformers": len(shell.ip.input_transformers_cleanup),
        "asts": len(shell.ip.ast_transformers),
    }


WAYS_OUT = {
    "success": "%%grad x\nx = tf.constant(2.0)\ny = x**2",
    "order 3": "%%grad x -n 3\nx = tf.constant(2.0)\ny = tf.sin(x)**2",
    "Hessian": "%%grad x --hessian\nx = tf.constant([2.0, 1.0])\ny = tf.reduce_sum(x**3)",
    "Jacobian": "%%grad x -J\nx = tf.constant([2.0, 1.0])\ny = x**3",
    "persistent": "%%grad x -p\nx = tf.constant(2.0)\ny = x**2",
    "a variable": "%%grad\nw = tf.Variable(2.0)\ny = w*w",
    "exception": "%%grad x\nx = tf.constant(2.0)\n1/0",
    "exception in a function": "%%grad x\n@tf.function\ndef f(a): raise ValueError\nx = tf.constant(2.0)\nf(x)",
    "exception under an own tape": "%%grad x\nx = tf.constant(2.0)\nwith tf.GradientTape() as t:\n    1/0",
    "exception with the tape stopped": "%%grad x --tape t\nx = tf.constant(2.0)\nwith t.stop_recording():\n    1/0",
    "interrupt": "%%grad x\nx = tf.constant(2.0)\nraise KeyboardInterrupt",
    "exit": "%%grad x\nx = tf.constant(2.0)\nraise SystemExit(0)",
    "generator exit": "%%grad x\nraise GeneratorExit",
    "syntax error": "%%grad x\nx = = 2",
    "syntax error at run time": "%%grad x\neval('= 2')",
    "unknown option": "%%grad x --nope\nx = 2",
    "unknown source": "%%grad q\nx = tf.constant(2.0)\ny = x**2",
    "no target": "%%grad x\nx = tf.constant(2.0)",
    "no gradient": "%%grad x\nx = tf.constant([2.0, 1.0])\ny = tf.raw_ops.NthElement(input=x, n=0)*x[0]",
    "the tape used in the cell": "%%grad x --tape t\nx = tf.constant(2.0)\ny = x**2\nt.gradient(y, x)",
    "the tape asked twice": "%%grad x --tape t\nx = tf.constant(2.0)\ny = x**2\nt.gradient(y, x); t.gradient(y, x)",
    "the tape closed by hand": "%%grad x --tape t\nx = tf.constant(2.0)\ny = x**2\nt.__exit__(None, None, None)",
    "a filter of the user's": "%%grad x\nimport sys\nx = tf.constant(2.0)\ny = tf.nn.gelu(x)*tf.exp(x)*tf.sin(x)**3",
}


@pytest.mark.parametrize("name", WAYS_OUT)
def test_nothing_is_left_behind(shell: Shell, name: str, capfd: Any) -> None:
    before = state(shell)
    shell.run(WAYS_OUT[name])
    assert state(shell) == before
    shell.run("after = tf.constant(1.0) + 1")
    assert state(shell) == before
    # The next cell is none the worse for it.
    done = shell.run("%%grad x -q -o res\nx = tf.constant(3.0)\ny = x**2")
    done.raise_error()
    assert float(shell.names["dy_dx"]) == 6.0
    assert state(shell) == before


def test_a_real_interrupt(shell: Shell, capfd: Any) -> None:
    """Ctrl-C at any moment: while the cell runs, or while tapemagic works."""
    import signal
    import threading
    import time

    body = "%%grad x\nx = tf.constant(1.0)\ny = x\nfor i in range(4000):\n    y = tf.sin(y)*x + y/(1 + x*x)"
    before = state(shell)
    for wait in (0.02, 0.2, 0.5, 1.0, 2.0):
        timer = threading.Timer(wait, lambda: os.kill(os.getpid(), signal.SIGINT))
        timer.start()
        start = time.perf_counter()
        try:
            shell.run(body)
            timer.cancel()
            while timer.is_alive():
                time.sleep(0.01)
        except KeyboardInterrupt:
            pass
        timer.join()
        assert state(shell) == before, (wait, time.perf_counter() - start)


NUMPY = """
x = tf.Variable([1.0, 2.0])
with tf.GradientTape() as t:
    y = tf.reduce_sum(x ** 2)
dy = t.gradient(y, x)
found = [np.mean(y), np.stack([y, y]), np.dot(x, x), np.where(x > 1, x, 0), np.shape(dy), np.sin(dy)]
found += [np.ones(2) * dy, dy * np.ones(2), np.array([y, y]), np.linalg.norm(dy), np.clip(y, 0, 1)]
try:
    np.concatenate([dy, y])
except ValueError as error:
    found.append(str(error))
"""


def test_numpy_gives_what_it_gives(shell: Shell) -> None:
    """NumPy's functions see tensors as they are, while we watch which of them it is given."""
    shell.run(NUMPY).raise_error()
    plain = shell.names["found"]
    shell.run(f"%%grad{NUMPY}").raise_error()
    for one, other in zip(plain, shell.names["found"], strict=True):
        assert type(one) is type(other)
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


# ---- memory -------------------------------------------------------------------------------------


MEMORY = """
%%grad x -o res
import weakref
x = tf.constant(2.0)
big = x*tf.ones((10_000_000,))
huge = tf.exp(big/10)
refs = [weakref.ref(big), weakref.ref(huge)]
y = tf.reduce_sum(huge)
"""


@pytest.mark.parametrize("options", ["", "-n 2"])
def test_large_intermediates_are_freed(shell: Shell, options: str, capfd: Any) -> None:
    shell.run(MEMORY.strip().replace("x -o", f"x {options} -o")).raise_error()
    shell.run("del big, huge")
    gc.collect()
    assert [ref() is None for ref in shell.names["refs"]] == [True, True]
    assert shell.names["res"]["dy/dx"].value is not None
    assert repr(shell.names["res"])


def test_what_the_cell_drops_goes_at_once_but_for_the_tape(shell: Shell, capfd: Any) -> None:
    """A tensor that no derivative needs is not kept even while the cell runs."""
    shell.run(
        "%%grad x -q\nimport weakref, gc\nx = tf.constant(2.0)\nw = tf.zeros((10_000_000,)) + 1\n"
        "ref = weakref.ref(w)\ndel w\ngone = ref() is None\ny = x**2"
    ).raise_error()
    assert shell.names["gone"]


def test_nothing_grows_from_cell_to_cell(shell: Shell) -> None:
    cell = "%%grad x -q\nx = tf.constant(2.0)\ny = tf.reduce_sum(tf.ones((1000,))*x)**2"
    counts = []
    for _ in range(4):
        for _ in range(3):
            shell.run(cell).raise_error()
        shell.clean()
        gc.collect()
        counts.append(sum(isinstance(o, tf.Tensor) for o in gc.get_objects()))
    assert counts[-1] <= counts[1] + 2, counts


def test_loading_does_not_import_tensorflow() -> None:
    code = (
        "import sys; from IPython.core.interactiveshell import InteractiveShell as S\n"
        "s = S.instance(); s.run_line_magic('load_ext', 'tapemagic'); print('tensorflow' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(tapemagic.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip() == "False", done.stderr
