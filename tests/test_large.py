"""Large tensors stay light: nothing is printed, copied or kept, and no Jacobian is begun that
would not fit."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cells import Shell, open_shell

tf = pytest.importorskip("tensorflow")

ROOT = Path(__file__).resolve().parents[1]
LIGHT = """
import gc, json, resource, sys, tracemalloc
import numpy as np
import tensorflow as tf
sys.path.insert(0, {tests!r})
from cells import open_shell
from tapemagic import memory

with open_shell() as shell:
    def run(cell):
        done = shell.run(cell)
        done.raise_error()
        return done.result

    run("import tensorflow as tf\\nx = tf.random.normal((10_000_000,))\\n"
        "table = tf.Variable(tf.random.normal((100_000, 100)))\\nids = tf.constant([1, 5, 7])\\n"
        "A = tf.random.normal((3200, 3200)); w = tf.Variable(tf.random.normal((3200, 3200)))")
    run("%%grad s -q\\ns = tf.constant([1.0, 2.0])\\nL = tf.reduce_sum(tf.sin(s))")
    found = {{}}
    for name, cell in {cells!r}.items():
        tracemalloc.start()
        result = run(cell)
        shown = len(repr(result)) + len(result._repr_html_()) + len(result.latex)
        kept, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        d = next(iter(result.values()))
        tape = d.check.tape
        found[name] = dict(
            kept=kept, peak=peak, shown=shown, writeable=bool(tape.flags.writeable),
            shape=list(tape.shape), dtype=tape.dtype.name, kind=type(d.value).__name__,
            form=d.tensor is not None and d.tensor.closed is not None, note=d.check.note,
        )
        del result, d, tape
        gc.collect()
    # At last, with 8 MB left to take.
    run("x = tf.random.normal((1500,))")
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 8 * 2**20, resource.RLIM_INFINITY))
    found["limit"] = memory.available()
    done = shell.run("%%grad x -J\\ny = tf.sin(x) * tf.reduce_sum(x)")
    found["told"] = str(done.error_in_exec)
    print("FOUND", json.dumps(found))
"""
CELLS = {
    "square": "%%grad x\nL = tf.reduce_sum(x**2)",
    "silu": "%%grad x\nL = tf.reduce_sum(tf.nn.silu(x))",
    "matrix": "%%grad\nwith tf.GradientTape() as g:\n    L = tf.reduce_sum(tf.tanh(w * A))\n"
    "slope = g.gradient(L, w)",
    "embedding": "%%grad table\nL = tf.reduce_sum(tf.nn.embedding_lookup(table, ids)**2)",
}


def child(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def light() -> dict[str, Any]:
    out = child(LIGHT.format(tests=str(ROOT / "tests"), cells=CELLS))
    found: dict[str, Any] = json.loads(out.split("FOUND ")[1].splitlines()[0])
    return found


@pytest.mark.parametrize("name", CELLS)
def test_ten_million_entries_are_neither_copied_nor_kept(light: dict[str, Any], name: str) -> None:
    found = light[name]
    assert found["peak"] < 25e6, found  # one copy in float32 would be 40 MB
    assert found["kept"] < 5e6, found
    assert found["shown"] < 150_000, found
    assert found["form"], found


def test_a_large_answer_is_a_view(light: dict[str, Any]) -> None:
    for name, shape in (("square", [10_000_000]), ("matrix", [3200, 3200])):
        assert light[name]["shape"] == shape
        assert light[name]["dtype"] == "float32"
        assert light[name]["writeable"] is False
        assert "too many" in light[name]["note"]


def test_indexed_slices_of_a_large_table_stay_sparse(light: dict[str, Any]) -> None:
    found = light["embedding"]
    assert found["kind"] == "IndexedSlices"
    assert found["shape"] == [3, 100]
    assert "not made whole" in found["note"]


@pytest.fixture(scope="module")
def shell() -> Any:
    with open_shell() as opened:
        opened.run("import tensorflow as tf")
        yield opened


def failed(shell: Shell, cell: str) -> str:
    done = shell.run(cell)
    assert done.error_in_exec is not None
    text = str(done.error_in_exec)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("line", "body", "words"),
    [
        ("big -J", "y = big**2", ["(500000, 500000)", "--seed v", "GiB"]),
        ("big --hessian", "L = tf.reduce_sum(big**3)", ["the Hessian", "-n 2 --seed v"]),
        (
            "rows --batch-jacobian",
            "y = tf.tile(rows, (1, 4))",
            ["the batch Jacobian", "(4, 400000, 100000)"],
        ),
    ],
)
def test_what_would_not_fit_is_not_begun(
    shell: Shell, line: str, body: str, words: list[str]
) -> None:
    shell.run("big = tf.random.normal((500_000,)); rows = tf.random.normal((4, 100_000))")
    told = failed(shell, f"%%grad {line}\n{body}")
    assert all(word in told for word in ["would not fit in memory", "are free", *words]), told


def test_the_limit_is_what_the_process_may_take(light: dict[str, Any]) -> None:
    assert light["limit"] <= 8 * 2**20
    assert "would not fit" in light["told"]
    assert "2,250,000 entries" in light["told"]


def test_as_many_rows_come_at_once_as_fit() -> None:
    from tapemagic.jacobians import plan
    from tapemagic.memory import room
    from tapemagic.options import GradError

    wide = plan("jacobian", (1000,), [(1000,)], room() // 40, 4)
    assert wide.needs(1000) > room() > wide.needs(wide.at_once("…")) > room() // 2
    assert plan("jacobian", (1000,), [(1000,)], room() // 5, 4).at_once("…") == 1
    assert plan("jacobian", (1000,), [(1000,)], 1000, 4).at_once("…") == 1000
    with pytest.raises(GradError, match="do that"):
        plan("jacobian", (10**6,), [(10**6,)], 10**6, 4).at_once("do that")


PIECES = [
    ("x -J", "y = tf.tanh(tf.linalg.matvec(A, x)) * x[0]", "dy/dx", "jacobian(y, x)"),
    ("X -J", "Y = tf.einsum('ij,jk->kij', tf.sin(X), X[:3])", "dY/dX", "jacobian(Y, X)"),
    ("X --batch-jacobian", "Y = tf.cumsum(X**2, 1)", "dY/dX", "batch_jacobian(Y, X)"),
    ("x --hessian", "y = tf.reduce_sum(tf.sin(x))**3", "d2y/dx2", "jacobian(g, x)"),
]


@pytest.mark.parametrize("piece", [8, 1])  # 1: row by row
@pytest.mark.parametrize(("line", "body", "key", "question"), PIECES)
def test_pieces_make_the_whole(
    shell: Shell,
    monkeypatch: pytest.MonkeyPatch,
    line: str,
    body: str,
    key: str,
    question: str,
    piece: int,
) -> None:
    from tapemagic import jacobians

    shell.run(
        "A = tf.random.normal((5, 5)); x = tf.random.normal((5,)); X = tf.random.normal((4, 3))"
    )
    inside = f"{body}\ng = t.gradient(y, x)" if question == "jacobian(g, x)" else body
    tape = "with tf.GradientTape(persistent=True) as t:\n t.watch([x, X])\n "
    shell.run(f"{tape}{inside.replace(chr(10), chr(10) + ' ')}\nwhole = t.{question}")
    monkeypatch.setattr(jacobians, "_PIECE", piece)
    done = shell.run(f"%%grad {line}\n{body}")
    done.raise_error()
    np.testing.assert_allclose(done.result[key].value, shell.names["whole"], rtol=1e-6, atol=1e-6)
    assert done.result[key].check.agrees is True


def test_pieces_of_what_is_not_connected(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    from tapemagic import jacobians

    monkeypatch.setattr(jacobians, "_PIECE", 8)
    shell.run("x = tf.random.normal((5,)); z = tf.random.normal((5,))")
    assert shell.run("%%grad z x -J\ny = x**2").result["dy/dz"].value is None
    zeros = shell.run("%%grad z x -J --zero\ny = x**2").result["dy/dz"].value
    assert zeros.shape == (5, 5) and not np.any(zeros)


LONG = "%%grad x -J -q -o found\ny = tf.sin(x)"


def test_a_long_jacobian_tells_in_a_notebook_how_far_it_is(kernel: Any) -> None:
    said: list[tuple[str, str, str]] = []

    def heard(message: dict[str, Any]) -> None:
        if message["msg_type"] in ("display_data", "update_display_data"):
            content = message["content"]
            bar = content["data"]["text/html"]
            said.append((message["msg_type"], content["data"]["text/plain"], bar))
            assert content["transient"]["display_id"]

    setup = "%load_ext tapemagic\nimport tensorflow as tf\nx = tf.linspace(0.0, 1.0, {})"
    for size, code in ((6000, LONG), (10, LONG.replace("sin", "cos"))):
        kernel.execute_interactive(setup.format(size), timeout=120)
        reply = kernel.execute_interactive(code, timeout=300, output_hook=heard)
        assert reply["content"]["status"] == "ok"
    kinds, words, bars = zip(*said)
    assert kinds == ("display_data", *["update_display_data"] * (len(said) - 1))
    shares = [text.rpartition(" ")[2] for text in words[:-1]]
    assert shares == ["0%", "33%", "67%", "100%"]
    assert words[0].startswith("the Jacobian, 36,000,000 entries, 137 MiB")
    assert '<progress value="0.333"' in bars[1]
    assert words[-1] == bars[-1] == ""


def test_a_long_jacobian_tells_on_a_terminal_how_far_it_is() -> None:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    code = f"""
import sys; sys.path.insert(0, {str(ROOT / "tests")!r})
import tensorflow as tf
from cells import open_shell
with open_shell() as shell:
    shell.names["x"] = tf.linspace(0.0, 1.0, 6000)
    sys.stderr.write("begin")
    shell.run({LONG!r}).raise_error()
    sys.stderr.write("end")
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, stderr=theirs, timeout=300, check=True
    )
    assert done.returncode == 0
    os.close(theirs)
    told = b""
    with contextlib.suppress(OSError):  # no more to read
        while part := os.read(ours, 65536):
            told += part
    os.close(ours)
    lines = told.decode().partition("begin")[2].partition("end")[0].split("\r")
    assert [line.strip().rpartition(" ")[2] for line in lines] == [
        *["", "0%", "33%", "67%", "100%"],
        *["", ""],
    ]


def test_the_hessian_vector_product(shell: Shell) -> None:
    shell.run(
        "A = tf.random.normal((30, 20)); x = tf.random.normal((20,)); v = tf.random.normal((20,))"
    )
    done = shell.run("%%grad x -n 2 --seed v\nL = tf.reduce_sum(tf.tanh(tf.linalg.matvec(A, x)))")
    done.raise_error()
    product = done.result["d2L/dx2"]
    whole = shell.run("%%grad x --hessian\nL = tf.reduce_sum(tf.tanh(tf.linalg.matvec(A, x)))")
    matrix = whole.result["d2L/dx2"].value.numpy()
    expected = matrix @ shell.names["v"].numpy()
    np.testing.assert_allclose(product.value, expected, rtol=1e-4, atol=1e-4)
    assert product.check.agrees is True
    np.testing.assert_allclose(product.evaluate(), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(product.evaluate(v=np.zeros(20)), np.zeros(20), atol=1e-12)
    assert "∂²L/∂x² · v" in repr(done.result) or "∂²L/∂x² v" in repr(done.result)
    told = failed(shell, "%%grad x -n 2 --seed A\nL = tf.reduce_sum(x**2)")
    assert "--seed has shape (30, 20)" in told
    assert "x (20,)" in told


def test_work_that_begins_anew_is_never_more_than_done() -> None:
    from tapemagic.progress import Progress, told

    class Heard(Progress):
        def __init__(self) -> None:
            self.shares: list[float | None] = []

        def show(self, text: str, share: float) -> None:
            self.shares.append(share)

        def wipe(self) -> None:
            self.shares.append(None)

    heard = Heard()
    with told(heard, "a work", steps=2, long=True) as step:
        for _ in range(3):
            step()
    assert heard.shares == [0.0, 0.5, 1.0, 1.0, None]
