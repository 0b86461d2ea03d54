"""`--explore` on cells: ranges, branches, what may run again, what is shown, bad input."""

from __future__ import annotations

import base64
import json
import re
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tapemagic.explorer import ranges
from tapemagic.explorer.fragment import source
from tapemagic.explorer.purity import effect
from tapemagic.explorer.sliders import Slider, stops
from tapemagic.explorer.wishes import Line, Wish
from tapemagic.formula import Name, Symbol
from tapemagic.rerunning import Rerun

PAGE = Path(ranges.__file__).with_name("page")
S3 = "x = tf.constant(2.0)\ny = 2*x**3 + 5*x**2 + 3*x"
BRANCH = "x = tf.constant(2.0)\nif x > 0:\n    y = x**2\nelse:\n    y = 3 * tf.sin(x)"


@pytest.fixture
def cells(new_shell: Callable[[], Any]) -> Any:
    """Runs cells in a shell of its own."""
    shell = new_shell()
    shell.run_line_magic("load_ext", "tapemagic")
    shell.run_cell("import tensorflow as tf, numpy as np, math")
    return Cells(shell)


class Cells:
    def __init__(self, shell: Any) -> None:
        self.shell, self.namespace = shell, shell.user_ns

    def run(self, line: str, body: str) -> Any:
        """The result of a cell under `%%grad`."""
        self.namespace.pop("kept", None)
        ran = self.shell.run_cell(f"%%grad {line} -q -o kept\n{body}")
        assert ran.success, ran.error_in_exec
        return self.namespace["kept"]

    def payload(self, line: str, body: str) -> dict[str, Any]:
        """What the page gets, as it arrives there."""
        view = self.run(line, body).view
        found: dict[str, Any] = json.loads(json.dumps(view.payload, allow_nan=False))
        return found


# -- ranges --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value, low, high",
    [(2.0, -1, 5), (3.0, -2, 8), (0.0, -3, 3), (100.0, -50, 250), (0.1, -0.05, 0.25)],
)
def test_the_usual_range_is_round_and_around_the_value(
    value: float, low: float, high: float
) -> None:
    found = ranges.around(value)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert 60 <= (found.high - found.low) / found.step <= 240


@pytest.mark.parametrize("value", [1e-300, 1e300, -1e-12, float("nan"), float("inf"), 5e-324])
def test_any_value_has_a_range(value: float) -> None:
    found = ranges.around(value)
    assert found.low < found.high and found.step > 0
    assert np.isfinite([found.low, found.high, found.step]).all()


@pytest.mark.parametrize(
    "text, low, high, step, word",
    [
        ("(-3,3,.1)", -3, 3, 0.1, ""),
        ("(-3, 4)", -3, 4, 0.05, ""),
        ("[0, 10, 2]", 0, 10, 2, ""),
        ("(3,-3)", -3, 3, 0.05, "reversed"),
        ("(2,2)", -1, 5, 0.05, "empty"),
        ("(nan,3)", -1, 5, 0.05, "finite"),
        ("(0,1e999)", -1, 5, 0.05, "finite"),
        ("(-1e308,1e308)", -1, 5, 0.05, "wide"),
        ("(0,4,0)", 0, 4, 0.05, "step"),
        ("(0,4,-1)", 0, 4, 0.05, "step"),
        ("(0,4,9)", 0, 4, 0.05, "step"),
        ("(5,9)", 2, 9, 0.05, "outside"),
    ],
)
def test_ranges_as_ipywidgets_writes_them(
    text: str, low: float, high: float, step: float, word: str
) -> None:
    found = ranges.read(text, "x", 2.0)
    assert (found.low, found.high) == (low, high)
    assert found.step == pytest.approx(step, rel=0.7)
    assert word in found.word and bool(word) == bool(found.word)


def test_a_range_that_is_widened_has_steps_to_match() -> None:
    found = ranges.read("(0, 1e-12)", "x", 1.0)
    assert (found.low, found.high, found.step) == (0.0, 1.0, 0.01)
    assert found.word == "x = 1 lies outside (0, 1e-12): the range is widened to it."


@pytest.mark.parametrize(
    "text, among",
    [("(-3, 3)", 1.0), ("(0, 6)", 0.5), ("(-2, 2, 0.25)", 1.5), ("(0, 1, 1e-9)", 0.5)],
)
def test_a_table_has_the_round_numbers(text: str, among: float) -> None:
    given = ranges.read(text, "x", 0.77)
    found = stops(Slider(Symbol(Name("x")), 0.77, "float64", given), 41)
    assert 25 < len(found) < 65
    assert set(found) > {given.low, given.high, 0.77, among}


def test_a_wide_positive_range_is_logarithmic() -> None:
    assert ranges.read("(0.001, 1000)", "x", 2.0).scale == "log"
    assert ranges.read("(0.001, 1000, 0.5)", "x", 2.0).scale == "linear"
    assert ranges.read("(1, 100)", "x", 2.0).scale == "linear"


@pytest.mark.parametrize(
    "text", ["__import__('os').abort()", "x", "10", "'ab'", "(1, 2, 3, 4)", "(1j, 2)", "(True, 2)"]
)
def test_what_is_no_range_is_never_evaluated(cells: Cells, text: str) -> None:
    assert not ranges.is_range(text)
    ran = cells.shell.run_cell(f'%%grad x --explore "x={text}"\nx = tf.constant(2.0)\ny = x * x')
    assert not ran.success
    assert "write a range as (-3, 3) or (-3, 3, 0.1)" in str(ran.error_in_exec)
    assert "y" not in cells.namespace  # the cell has not run


# -- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line, body, words",
    [
        ("x --explore z=(0,4)", S3, "z is no source; there are sliders for x"),
        ("x --explore", "x = tf.constant(2)\ny = x * x", "TensorFlow differentiates floating"),
    ],
)
def test_one_clear_line(cells: Cells, line: str, body: str, words: str) -> None:
    ran = cells.shell.run_cell(f"%%grad {line}\n{body}")
    assert not ran.success and words in str(ran.error_in_exec)
    assert "\n" not in str(ran.error_in_exec)


@pytest.mark.parametrize(
    "line, body, words",
    [
        ("x --explore x=(3,-3)", S3, "reversed"),
        ("x --explore x=(1,1)", S3, "empty"),
        ("x --explore x=(-1,3)", "x = tf.constant(2.0)\ny = tf.math.log(x)", "nan or infinite"),
        ("x --explore", "x = tf.constant(float('nan'))\ny = x * x", "starts at 0"),
        ("w --explore", "w = tf.ones(9)\ny = tf.reduce_sum(w * w)", "sliders are for up to 8"),
        ("x --explore -J", "x = tf.constant([1., 2.])\ny = x * x", "leave out --jacobian"),
        ("x --explore", "x = tf.Variable(1.0)\nx.assign(2 * x)\ny = x * x", "assigned to"),
        ("x --explore", "x = tf.constant(2.0)\ny = tf.constant(3.0)\ny", "does not depend"),
    ],
)
def test_a_word_and_the_rest_works(cells: Cells, line: str, body: str, words: str) -> None:
    result = cells.run(line, body)
    shown = result._repr_html_()
    assert words in shown.replace("&#x27;", "'")
    assert len(result) == 1 or "w" in body


def test_a_range_that_nobody_asked_for_ends_where_the_target_does(cells: Cells) -> None:
    payload = cells.payload("x --explore", "x = tf.constant(2.0)\ny = tf.math.log(x)")
    (slider,) = payload["sources"]
    assert 0 < slider["min"] < 0.1 and slider["max"] == 5.0 and payload["limits"] == ""


def test_names_of_ranges_are_names_to_differentiate_by(cells: Cells) -> None:
    payload = cells.payload("--explore x=(0,4)", S3)
    assert [(s["text"], s["min"], s["max"]) for s in payload["sources"]] == [("x", 0.0, 4.0)]


# -- the payload ---------------------------------------------------------------------------------


def test_payload_of_one_source(cells: Cells) -> None:
    payload = cells.payload("x --explore x=(-3,3,.1) -n 2", S3)
    assert payload["order"] == 2 and payload["version"] == 1 and payload["pieces"] == []
    assert payload["target"]["text"] == "y" and payload["check"]["agrees"] is True
    (slider,) = payload["sources"]
    assert slider["value"] == 2.0 and slider["dtype"] == "float32" and slider["step"] == 0.1
    table = payload["table"]
    x = np.array(table["x"])
    np.testing.assert_allclose(table["y"], 2 * x**3 + 5 * x**2 + 3 * x, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(table["d"][0], 6 * x**2 + 10 * x + 3, rtol=1e-4, atol=1e-4)
    assert payload["derivation"].count("data-slot=") == len(payload["slots"]) > 5
    assert "tapemagic-plain" not in payload["derivation"].split("</style>")[1]


@pytest.mark.parametrize("body", ["x = tf.constant(2.0)\ny = x * x", BRANCH])
def test_the_page_takes_the_printed_derivation(cells: Cells, body: str) -> None:
    """Which is not there a second time."""
    view = cells.run("x --explore", body).view
    first = (view.payload["pieces"] or [view.payload])[0]
    slots = [f'data-slot="{k}"' for k in range(len(first["slots"]))]
    assert slots and all(view.html().count(slot) == 1 for slot in slots)


def test_a_source_starts_where_its_dtype_has_it(cells: Cells) -> None:
    payload = cells.payload("x --explore", "x = tf.constant(0.3)\ny = x * x")
    assert payload["sources"][0]["value"] == float(np.float32(0.3))  # where the page's point is


def test_payload_of_several_sources(cells: Cells) -> None:
    body = "a = tf.Variable(1.0)\nb = tf.Variable(-1.0)\nz = a**2 * b"
    payload = cells.payload("a b --explore b=(-2,2) -n 2", body)
    assert [s["text"] for s in payload["sources"]] == ["a", "b"]
    assert payload["sources"][1]["max"] == 2.0
    assert len(payload["program"]["hessian"]) == 2
    vector = cells.payload("w --explore", "w = tf.Variable([1.0, 2.0])\nz = w * w")
    assert [s["text"] for s in vector["sources"]] == ["w[0]", "w[1]"]
    assert vector["target"]["text"] == "sum of z"


def test_a_tape_of_ones_own_is_explored_too(cells: Cells) -> None:
    body = "x = tf.Variable(2.0)\nwith tf.GradientTape() as tape:\n    y = x**3\n"
    payload = cells.payload("--explore x=(0,3)", body + "g = tape.gradient(y, x)")
    assert payload["target"]["text"] == "y" and payload["sources"][0]["max"] == 3.0


@pytest.mark.parametrize("unnamed", [False, True])
def test_tensors_that_nobody_writes_out_are_followed_too(cells: Cells, unnamed: bool) -> None:
    data = np.linspace(-1, 1, 300).astype("float32")
    cells.namespace["data"] = data
    fit = "tf.tanh(w * X + b)" if unnamed else "fit"
    body = f"""w = tf.Variable(0.5); b = tf.Variable(-0.25)
X = tf.constant(data)
fit = tf.tanh(w * X + b)
loss = tf.reduce_mean(({fit} - tf.sin(2 * X)) ** 2) * tf.size(X, tf.float32)"""
    result = cells.run("w b --explore", body)
    view = result.view
    assert not view.limits and len(view.paths.pieces[0].html) < 60_000
    value, slopes = view.at([1.5, 0.75])
    fitted = np.tanh(1.5 * data + 0.75)
    off = fitted - np.sin(2 * data)
    expected = [np.sum(2 * off * (1 - fitted**2) * part) for part in (data, 1.0)]
    assert value == pytest.approx(np.sum(off**2), rel=1e-5)
    assert slopes == pytest.approx(expected, rel=1e-5)
    # The numbers of the derivation are the program's: w, b, loss, both derivatives.
    program = view.programs[0]
    registers = program.code.run([1.5, 0.75])
    shown = [float(registers[slot["register"]]) for slot in view.payload["slots"]]
    assert shown == pytest.approx([1.5, 0.75, value, *slopes])


def test_what_the_page_cannot_compute_comes_from_tensorflow(cells: Cells) -> None:
    body = "x = tf.constant(2.0)\ny = tf.math.igamma(3.0, x) * x"
    payload = cells.payload("x --explore -n 2", body)
    assert payload["program"] is None and "cannot compute igamma" in payload["limits"]
    assert len(payload["table"]["d"]) == 2 and len(payload["table"]["x"]) > 30


def test_the_table_runs_op_by_op_where_it_must(cells: Cells) -> None:
    body = "x = tf.constant(2.0)\ny = tf.reduce_sum(tf.stack([x, x * x]) * [[1.0, 2.0]]) + x"
    table = cells.payload("x --explore", body)["table"]
    x = np.array(table["x"])
    assert len(x) > 5
    np.testing.assert_allclose(table["y"], x + 2 * x**2 + x, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(table["d"][0], 2 + 4 * x, rtol=1e-5, atol=1e-5)


def test_a_table_cut_short_has_the_recorded_point(
    cells: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tapemagic.explorer.table.SECONDS", 0.0)
    body = "x = tf.constant(0.7)\nv = tf.sort(tf.stack([x, 0.0, x**2]))\ny = v[1] + 2*v[2]"
    payload = cells.payload("x --explore x=(-3,3)", body)
    assert payload["program"] is None and len(payload["table"]["x"]) < 9
    assert payload["sources"][0]["value"] in payload["table"]["x"]


# -- branches ------------------------------------------------------------------------------------


def holding(payload: dict[str, Any], x: float) -> list[str]:
    """The conditions of the pieces that hold at x, by their own guards."""
    from tapemagic.explorer.registers import Code

    found = []
    for piece in payload["pieces"]:
        program = piece["program"]
        ops = tuple((name, *at) for name, *at in program["ops"])
        registers = Code(program["inputs"], tuple(map(float, program["constants"])), ops).run([x])
        if all(bool(registers[k]) == bool(truth) for k, truth in program["guards"]):
            found.append(piece["condition"])
    return found


def test_branches_are_found_across_the_border(cells: Cells) -> None:
    result = cells.run("x --explore", BRANCH)
    payload = result.view.payload
    assert [piece["condition"] for piece in payload["pieces"]] == ["x > 0", "x ≤ 0"]
    assert holding(payload, 1.0) == ["x > 0"] and holding(payload, -1.0) == ["x ≤ 0"]
    assert "sin" in payload["pieces"][1]["derivation"] and payload["limits"] == ""
    assert result.view.at([-1.0]) == (pytest.approx(3 * np.sin(-1)), [pytest.approx(3 * np.cos(1))])
    assert min(payload["table"]["x"]) > 0  # the recorded ops are the cell's only there


@pytest.mark.parametrize(
    "body, conditions",
    [
        (
            "def f(t):\n    return t * t if t > 1 else -t\nx = tf.constant(2.0)\ny = f(x)",
            ["x > 1", "x ≤ 1"],
        ),
        (
            "@tf.function\ndef f(t):\n    if t > 0:\n        return t * t\n    return 3 * t\n"
            "x = tf.constant(2.0)\ny = f(x)",
            ["x > 0", "x ≤ 0"],
        ),
        (
            "x = tf.constant(0.5)\ny = x\nwhile y < 2:\n    y = y * 2 + 1",
            ["x < 2, y ≥ 2"],
        ),
        ("x = tf.constant(2.0)\ny = tf.cond(x > 0, lambda: x * x, lambda: -x)", ["x > 0", "x ≤ 0"]),
        (
            "x = tf.constant(2.0)\nif x > 0 and not x > 4:\n    y = x\nelse:\n    y = x * 3",
            ["x > 0, x ≤ 4", "x > 0, x > 4", "x ≤ 0"],
        ),
    ],
)
def test_every_python_decision_is_a_guard(cells: Cells, body: str, conditions: list[str]) -> None:
    payload = cells.payload("x --explore", body)
    found = {piece["condition"] for piece in payload["pieces"]}
    assert len(found) >= 2
    shown = {condition.replace("y", "x") for condition in found} | found
    assert any(condition in shown for condition in conditions)
    for x in np.linspace(-0.9, 4.9, 13):
        assert len(holding(payload, float(x))) <= 1


def test_running_again_leaves_the_namespace_alone(cells: Cells) -> None:
    cells.shell.run_cell("runs, log = 0, []")
    result = cells.run("x --explore", f"print('once')\nn = 3\n{BRANCH}\nlast = y * n")
    assert len(result.view.paths.pieces) == 2
    assert float(cells.namespace["x"]) == 2.0 and float(cells.namespace["last"]) == 12.0
    assert set(cells.namespace["kept"]) == {"dlast/dx"}


def test_a_variable_from_before_is_not_moved(cells: Cells) -> None:
    cells.shell.run_cell("v = tf.Variable(2.0)")
    body = "if v > 0:\n    y = v**2\nelse:\n    y = -v"
    payload = cells.payload("v --explore", body)
    assert len(payload["pieces"]) == 2 and holding(payload, -1.0) == ["v ≤ 0"]
    assert float(cells.namespace["v"]) == 2.0


def test_what_the_cell_does_not_use_is_free_to_go(cells: Cells) -> None:
    import gc
    import weakref

    cells.shell.run_cell("class Big: pass\nbig, factor = Big(), tf.constant(2.0)")
    held = weakref.ref(cells.namespace["big"])
    result = cells.run("x --explore", BRANCH.replace("x**2", "factor * x**2"))
    del cells.namespace["big"], cells.namespace["factor"]
    gc.collect()
    assert held() is None
    assert len(result.view.paths.pieces) == 2 and result.view.at([-1.0]) is not None


@pytest.mark.parametrize("made", ["tf.Variable(2.0)", "tf.constant([2.0])", "tf.Variable([2.0])"])
def test_sources_of_all_kinds_are_moved(cells: Cells, made: str) -> None:
    cells.shell.run_cell(f"x = {made}")
    shown = BRANCH.replace("tf.constant(2.0)", made)
    for body in (shown, shown.partition("\n")[2]):  # made in the cell, or before it
        result = cells.run("x --explore", body)
        assert len(result.view.paths.pieces) == 2
        assert result.view.at([-1.0]) == (
            pytest.approx(3 * np.sin(-1)),
            [pytest.approx(1.62, 1e-2)],
        )
        assert np.ravel(cells.namespace["x"].numpy()).tolist() == [2.0]


def test_output_of_further_runs_is_kept_back(
    cells: Cells, capsys: pytest.CaptureFixture[str]
) -> None:
    cells.run("x --explore", f"{BRANCH}\nprint('told', float(y))")
    assert capsys.readouterr().out.count("told") == 1


EFFECTS = [
    ("open('f', 'w').write('a')", "calls open"),
    ("history.append(y)", "changes history"),
    ("history[0] = y", "changes history[0]"),
    ("history += [y]", "changes history"),
    ("box.value = y", "changes box.value"),
    ("w.assign_add(y)", "changes w"),
    ("noise = tf.random.normal([])", "draws random numbers"),
    ("noise = np.random.rand()", "draws random numbers"),
    ("import os", "imports os"),
    ("tf.io.write_file('f', 'a')", "calls tf.io.write_file"),
    ("tf.print(y)", "calls tf.print"),
    ("np.save('f', 1)", "calls np.save"),
    ("layer(y)", "calls layer"),
    ("outside(y)", "outside, called in line"),
    ("exec('a = 1')", "calls exec"),
    ("def f():\n    global w\n    w = 1", "changes w outside"),
]


@pytest.mark.parametrize("statement, words", EFFECTS)
def test_what_has_an_effect_is_not_run_again(cells: Cells, statement: str, words: str) -> None:
    before = (
        "history, box = [0], type('Box', (), {})()\nw = tf.Variable(1.0)\n"
        "layer = tf.keras.layers.Dense(1)\ncount = [0]\n"
        "def outside(t):\n    count.append(t)\n    return t"
    )
    cells.shell.run_cell(before)
    import ast

    found = effect(ast.parse(f"{BRANCH}\n{statement}"), cells.namespace)
    assert words in found and found.endswith(found.strip())


HARMLESS = [
    "z = tf.reduce_sum(tf.stack([y, y])) + math.pi + np.float32(2)",
    "parts = []\nfor i in range(3):\n    parts.append(y * i)\nz = tf.add_n(parts)",
    "def g(t):\n    return tf.sin(t)\nz = g(y)",
    "with tf.GradientTape() as tape:\n    tape.watch(y)\n    z = y * y\ng = tape.gradient(z, y)",
    "v = tf.Variable(1.0)\nv.assign(y)\nprint(f'{v.numpy():.2f}')",
    "z = helper(y) if float(y) > 2 else y",
    "z = tf.keras.activations.relu(y)",
]


@pytest.mark.parametrize("statement", HARMLESS)
def test_what_computes_alone_may_run_again(cells: Cells, statement: str) -> None:
    import ast

    cells.shell.run_cell("def helper(t):\n    return [t * 2][0]")
    assert effect(ast.parse(f"{BRANCH}\n{statement}"), cells.namespace) == ""


def test_a_border_at_a_number_that_float32_rounds_is_no_end(cells: Cells) -> None:
    body = "a = tf.constant(1.0); b = tf.constant(0.3)\nm = max(a, b)**2 + min(a, 0.5)"
    view = cells.run("a b --explore a=(-2,2) b=(-2,2)", body).view
    assert view.limits == "" and len(view.programs) >= 3


def test_a_blocked_branch_is_said(cells: Cells) -> None:
    payload = cells.payload("x --explore", f"{BRANCH}\nw = open('/dev/null')")
    assert len(payload["pieces"]) == 1
    assert "holds for x > 0" in payload["limits"] and "calls open" in payload["limits"]


def test_decisions_by_numbers_are_found_out(cells: Cells) -> None:
    body = BRANCH.replace("if x > 0", "if float(x) > 0")
    payload = cells.payload("x --explore", body)
    assert payload["program"] is None and "by float" in payload["limits"]
    table = payload["table"]
    x = np.array(table["x"])
    np.testing.assert_allclose(table["y"], np.where(x > 0, x**2, 3 * np.sin(x)), 1e-5, 1e-5)
    np.testing.assert_allclose(table["d"][0], np.where(x > 0, 2 * x, 3 * np.cos(x)), 1e-5, 1e-5)


@pytest.mark.parametrize(
    "body",
    [
        "y = x * np.sin(x)",
        "y = x * len([t for t in (1, 2, 3) if t < x.numpy()])",
        "n = int(x)\ny = x\nfor _ in range(n):\n    y = y * x",
    ],
)
def test_what_is_not_recorded_is_found_out_too(cells: Cells, body: str) -> None:
    result = cells.run("x --explore", f"x = tf.constant(2.5)\n{body}")
    assert "does not hold everywhere" in result.view.limits
    cells.shell.run_cell(f"x = tf.constant(-0.7)\n{body}\nat_x = float(y)")
    table = result.view.table
    there = int(np.argmin(np.abs(table.x + 0.7)))
    assert table.y[there] == pytest.approx(cells.namespace["at_x"], abs=0.4)


def test_what_overflows_on_the_way_is_tensorflows(cells: Cells) -> None:
    body = "x = tf.constant(1.0)\ns = tf.exp(x) / (1 + tf.exp(x))"  # exp(100) is infinite
    view = cells.run("x --explore x=(-120,120)", body).view
    assert "Elsewhere the cell gives something else than the formula." in view.limits
    assert np.isnan(view.at([100.0])[0]) and view.at([-100.0])[0] == pytest.approx(0.0)


def test_a_formula_that_overflows_is_not_shown(cells: Cells) -> None:
    body = "x = tf.constant([1000.0, -1000.0])\ny = tf.nn.softmax(x)[0]"
    view = cells.run("x --explore", body).view
    assert view.programs == [] and "it gives nan where TensorFlow gave 1" in view.limits
    assert view.at([1000.0, -1000.0]) == (1.0, [0.0, 0.0])  # the kernel's answer
    one = "x = tf.constant(1000.0)\ny = tf.nn.softmax(tf.stack([x, 0.0]))[0]"
    payload = cells.payload("x --explore", one)
    assert payload["program"] is None and max(payload["table"]["y"]) == 1.0


def test_beyond_the_largest_number_of_the_dtype_is_infinity(cells: Cells) -> None:
    view = cells.run("x --explore x=(0,200)", "x = tf.constant(2.0)\ny = tf.exp(x)").view
    assert view.at([100.0]) == (np.inf, [np.inf])
    assert view.payload["program"]["most"] == float(np.finfo(np.float32).max)
    assert "infinite at 134 of 241" in view.limits
    half = "x = tf.constant(2.0, tf.float16)\ny = -tf.exp(x)"
    assert cells.run("x --explore x=(0,12)", half).view.at([11.5]) == (-np.inf, [-np.inf])
    double = "x = tf.constant(2.0, tf.float64)\ny = tf.exp(x)"
    assert cells.run("x --explore x=(0,200)", double).view.at([100.0])[0] < np.inf


def test_numbers_that_decide_nothing_are_let_go(cells: Cells) -> None:
    body = f"x = tf.constant(2.0)\nshown = float(x)\n{S3.splitlines()[1]}\nprint(y.numpy())"
    payload = cells.payload("x --explore", body)
    assert payload["limits"] == "" and payload["program"] is not None


# -- what is shown -------------------------------------------------------------------------------


def test_the_bundle_is_live_and_static_at_once(cells: Cells) -> None:
    result = cells.run("x --explore", S3)
    bundle, _ = cells.shell.display_formatter.format(result)
    assert set(bundle) == {"text/plain", "text/html", "text/latex"}
    html = bundle["text/html"]
    static, _, script = html.partition("<script>")
    assert "mount(document.getElementById(" in script and script.rstrip().endswith("</script>")
    assert "<math" in static and script.count("</script") == 1
    assert not re.search(r'(src|href)="https?:', html) and "import " not in script[:20]
    picture = re.search(r'src="data:image/svg\+xml;base64,([^"]+)" alt="([^"]+)"', static)
    assert picture is not None
    root = ET.fromstring(base64.b64decode(picture[1]))
    assert root.tag.endswith("svg") and picture[2] == "y at x = 2 is 42, the slope is 47"
    assert len(root.findall(".//{*}circle")) == 1 and len(root.findall(".//{*}path")) > 5
    assert result.view.identity in script
    assert "nbconvert --to html" in bundle["text/plain"]  # a terminal has no sliders


def test_the_ends_of_the_axis_are_not_cut_off(cells: Cells) -> None:
    body = "x = tf.constant(2.0)\ny = 1/(1 + x)"
    root = ET.fromstring(cells.run("x --explore x=(.001,1000)", body).view.svg)
    ticks = {text.text: float(text.attrib["x"]) for text in root.findall(".//{*}text")}
    assert ticks["1000"] + 4 * 4 < float(root.attrib["width"])  # half of four digits


def test_a_result_may_be_shown_twice_on_a_page(cells: Cells) -> None:
    result = cells.run("x --explore", S3)
    shown = [re.findall(r'id="(tapemagic-\w+)"', result._repr_html_()) for _ in range(2)]
    assert [len(places) for places in shown] == [1, 1] and shown[0] != shown[1]


def test_print_has_the_picture_too(cells: Cells) -> None:
    text = cells.run("x --explore", S3)._repr_latex_()
    assert text.index(r"\begin{picture}") < text.index(r"\begin{aligned}")
    assert text.count(r"\begin") == text.count(r"\end") and r"\circle*{5}" in text
    drawn = re.findall(r"\\qbezier(\[3\])?\(([\d.]+),([\d.]+)\)", text)
    assert len(drawn) > 60 and {bool(dots) for dots, *_ in drawn} == {True, False}


def test_the_line_magic_says_where_sliders_are(cells: Cells) -> None:
    cells.shell.run_cell(f"%%grad x -p\n{S3}")
    ran = cells.shell.run_cell("%grad x --explore")
    assert "stands on top of a cell" in str(ran.error_in_exec)


def test_nothing_that_is_named_can_end_the_script(cells: Cells) -> None:
    body = "x = tf.constant(2.0)\ny = x * x  # </script><script>alert(1)</script>"
    html = cells.run("x --explore", body)._repr_html_()
    script = html.partition("<script>")[2]
    assert script.count("</script") == 1 and "<script>alert" not in html


def test_the_joined_page_has_no_imports_left() -> None:
    # Without its indents it means the same: strings over several lines are styles alone.
    for file in PAGE.glob("*.js"):
        odd = [row for row in file.read_text().splitlines() if row.count("`") % 2]
        assert not odd or file.name == "style.js", file
    text = source()
    assert not re.search(r"^import ", text, re.MULTILINE)
    assert not re.search(r"^export (?!default)", text, re.MULTILINE)
    assert text.count("export default") == 1 and "</script" not in text
    assert not re.search(r"\beval\(|new Function\(|innerHTML\s*=\s*[^=]*input", text)


def test_several_targets_keep_their_derivations(cells: Cells) -> None:
    body = "x = tf.constant(2.0)\na = x * x\nb = tf.sin(x)"
    result = cells.run("x --explore --of a,b", body)
    assert set(result) == {"da/dx", "db/dx"}
    assert "db" in result._repr_html_().partition("</script>")[2]


# -- the kernel's end ----------------------------------------------------------------------------


def test_widget_follows_and_leads(cells: Cells) -> None:
    widget = cells.run("x --explore", S3).widget
    assert (widget.point, widget.value, widget.derivative) == (2.0, 42.0, 47.0)
    seen: list[float] = []
    widget.observe(lambda change: seen.append(change.new), "value")
    widget.point = 3
    assert (widget.value, widget.derivative) == (108.0, 87.0) and seen == [108.0]
    widget.set_state({"point": [1.0]})  # as the page writes it
    assert widget.point == 1.0 and widget.value == 10.0
    with pytest.raises(Exception, match="numbers for x"):
        widget.point = "import os"
    assert widget.get_state("point")["point"] == [1.0]


def test_widget_of_several_sources(cells: Cells) -> None:
    body = "a = tf.constant(1.0)\nw = tf.constant([2.0, 3.0])\nz = a * w[0] * w[1]"
    widget = cells.run("a w --explore", body).widget
    assert widget.point == {"a": 1.0, "w": [2.0, 3.0]} and widget.value == 6.0
    assert widget.derivative == {"a": 6.0, "w": [3.0, 2.0]}
    widget.point = {"a": 2.0, "w": np.array([1.0, 1.0])}
    assert widget.value == 2.0
    with pytest.raises(Exception, match="3 entries"):
        widget.point = [1.0]


def test_the_page_gets_the_path_that_it_needs(cells: Cells) -> None:
    body = "x = tf.constant(2.0)\nif x > -100:\n    y = x**2\nelse:\n    y = -x"
    widget = cells.run("x --explore", body).widget
    sent: list[Any] = []
    widget.send = lambda content, buffers=None: sent.append(content)
    assert widget.value == 4.0
    widget.point = -200.0
    assert widget.value is None and widget.derivative is None
    widget._told(widget, {"need": [-200.0]}, [])
    assert sent[0]["piece"]["condition"] == "x ≤ −100"
    assert widget._view.at([-200.0]) == (200.0, [-1.0])
    for nonsense in ({"need": "x"}, {"need": [1.0, 2.0]}, {}, "need", None):
        widget._told(widget, nonsense, [])
    assert len(sent) == 1


def test_an_error_there_is_said(cells: Cells) -> None:
    body = (
        "x = tf.constant(2.0)\nif x > -100:\n    y = x**2\nelse:\n    raise ValueError('too far')"
    )
    widget = cells.run("x --explore", body).widget
    sent: list[Any] = []
    widget.send = lambda content, buffers=None: sent.append(content)
    widget._told(widget, {"need": [-200.0]}, [])
    assert "ValueError: too far" in sent[0]["message"]


def test_a_loop_that_never_ends_there_is_stopped(cells: Cells) -> None:
    body = "x = tf.constant(2.0)\nif x > 0:\n    y = x * x\nelse:\n    while True:\n        pass"
    payload = cells.payload("x --explore", body)
    assert len(payload["pieces"]) == 1 and holding(payload, 2.0)
    assert "takes longer than" in payload["limits"]
    assert cells.run("x", S3)["dy/dx"].check.agrees  # nothing was left patched


def test_wishes_do_not_queue(cells: Cells) -> None:
    from tapemagic.explorer.widget import Explorer

    waiting: list[Any] = []
    body = "x = tf.constant(2.0)\nif x > -100:\n    y = x**2\nelse:\n    y = -x"
    widget = Explorer(cells.run("x --explore", body).view, waiting.append)
    sent: list[Any] = []
    widget.send = lambda content, buffers=None: sent.append(content)
    for x in range(-300, -200):
        widget._told(widget, {"need": [float(x)]}, [])
    assert len(waiting) == 1 and sent == []
    waiting[0]()
    assert len(sent) == 1
    widget.close()


# -- what only the kernel can compute ------------------------------------------------------------

SINGULAR = """a = tf.Variable(1.5); b = tf.Variable(0.5)
M = tf.stack([tf.stack([a, b]), tf.stack([b, a * a])])
s = tf.reduce_sum(tf.linalg.svd(M, compute_uv=False) ** 3)"""


def _by_hand(a: float, b: float) -> float:
    found = np.linalg.svd(np.array([[a, b], [b, a * a]]), compute_uv=False)
    return float(np.sum(found**3))


def _line(along: int, low: float, high: float, *also: float) -> dict[str, Any]:
    return {"along": along, "span": [low, high], "also": list(also)}


def test_the_kernel_answers_where_nothing_else_can(cells: Cells) -> None:
    result = cells.run("a b --explore b=(0,2)", SINGULAR)
    view, widget = result.view, result.widget
    payload = json.loads(json.dumps(view.payload, allow_nan=False))
    assert payload["program"] is None and payload["table"] is None
    assert "in the kernel" in payload["limits"] and payload["derivation"]
    known = payload["kernel"]
    assert [curve["along"] for curve in known["curves"]] == [0, 1]
    assert known["plane"]["side"] >= 5 and known["plane"]["ranges"][1] == [0, 2]
    sent: list[Any] = []
    widget.send = lambda content, buffers=None: sent.append(content["answer"])
    wish = {"point": [2.0, 0.25], "lines": [_line(1, 0, 2, 0.3)], "plane": None}
    widget._told(widget, {"wish": wish, "side": 0}, [])
    (answer,) = sent
    assert json.loads(json.dumps(answer["wish"])) == wish
    step = 1e-4
    slopes = [
        (_by_hand(2 + step, 0.25) - _by_hand(2 - step, 0.25)) / (2 * step),
        (_by_hand(2, 0.25 + step) - _by_hand(2, 0.25 - step)) / (2 * step),
    ]
    assert answer["value"] == pytest.approx(_by_hand(2.0, 0.25), rel=1e-5)
    assert answer["slopes"] == pytest.approx(slopes, rel=1e-4)
    (curve,) = answer["curves"]
    assert {0.0, 0.25, 0.3, 2.0} <= set(curve["x"])
    assert curve["columns"][0] == pytest.approx([_by_hand(2.0, b) for b in curve["x"]], rel=1e-4)
    widget.point = {"a": 2.0, "b": 0.25}
    assert widget.value == answer["value"]
    assert [widget.derivative[name] for name in "ab"] == answer["slopes"]
    for part in (
        {"point": [1.0]},
        {"point": [1.0, None]},
        {"point": "12"},
        {"lines": [_line(2, 0, 1)]},
        {"lines": [_line(1, 2, 0)]},
        {"lines": [{"along": 1}]},
        {"lines": [_line(0, 0, 1)] * 3},
        {"plane": [[0, 1]]},
        {"plane": [[0, 1], [0, float("nan")]]},
    ):
        widget._told(widget, {"wish": wish | part, "side": 0}, [])
    for nonsense in ({}, "wish", {"wish": wish}, {"wish": 1, "side": 0}):
        widget._told(widget, nonsense, [])
    assert len(sent) == 1


def test_the_kernel_weights_as_the_tape_does(cells: Cells) -> None:
    view = cells.run("a b --explore --seed -3.0", SINGULAR).view
    value, slopes = view.at([1.5, 0.5])
    assert value == pytest.approx(-3 * _by_hand(1.5, 0.5), rel=1e-5)
    assert slopes == pytest.approx([view.subject.first.value.numpy(), -33.75], rel=1e-4)


def test_what_is_huge_comes_from_tensorflow(cells: Cells) -> None:
    body = """X = tf.cast(tf.linspace(0.0, 1.0, 50_000), tf.float32)
a = tf.Variable(0.5); b = tf.Variable(1.0)
loss = tf.reduce_mean((tf.sin(a * X) * b - X) ** 2)"""
    view = cells.run("a b --explore", body).view
    assert view.answers is not None and "entries" in view.limits
    X = np.linspace(0, 1, 50_000)
    value, (by_a, by_b) = view.at([2.0, 0.5])
    off = 0.5 * np.sin(2 * X) - X
    assert value == pytest.approx(np.mean(off**2), rel=1e-4)
    assert by_a == pytest.approx(np.mean(2 * off * 0.5 * np.cos(2 * X) * X), rel=1e-4)
    assert by_b == pytest.approx(np.mean(2 * off * np.sin(2 * X)), rel=1e-4)
    table = cells.run("a --explore", body).view.table  # one source: computed beforehand
    off = np.sin(np.outer(table.x, X)) - X
    np.testing.assert_allclose(table.y, np.mean(off**2, axis=1), rtol=1e-3)


IGAMMA_IF = """x = tf.constant(2.0)
y = tf.math.igamma(3.0, x)
if y > 0.1:
    y = y * x"""


def test_a_decision_without_a_formula_is_followed_by_running_the_cell(cells: Cells) -> None:
    table = cells.run("x --explore x=(0.25,4)", IGAMMA_IF).view.table
    expected = []
    for x in table.x:
        cells.shell.run_cell(IGAMMA_IF.replace("2.0", repr(float(x))))
        expected.append(float(cells.namespace["y"]))
    assert min(expected) < 0.1 < max(expected) and 2.0 in table.x
    np.testing.assert_allclose(table.y, expected, rtol=1e-5)


@pytest.mark.parametrize(
    "decision, word",
    [
        ("y", "The cell decides by values (line 4): the path may not hold elsewhere"),
        ("float(y)", "line 4: a value leaves TensorFlow by float"),
    ],
)
def test_a_decision_without_a_formula_is_said(cells: Cells, decision: str, word: str) -> None:
    body = IGAMMA_IF.replace("if y", f"if {decision}") + "\nw = open('/dev/null')"
    assert word in cells.run("x --explore", body).view.limits


DATA = """X = tf.constant(np.linspace(-1, 1, 100), tf.float32)
w = tf.Variable(0.5); b = tf.Variable(0.0)
loss = tf.reduce_mean((w * X + b - 2 * X - 1) ** 2)
"""


def test_a_decision_over_data_has_a_formula(cells: Cells) -> None:
    payload = cells.payload("w b --explore", DATA + "if loss > 1.0:\n    loss = 2 * loss")
    assert len(payload["pieces"]) == 2 and payload["limits"] == ""


def test_two_sources_that_decide_by_numbers_run_the_cell_again(cells: Cells) -> None:
    body = (
        DATA
        + """if float(loss) > 1.0:
    loss = 2 * loss
if float(w) < -0.75:
    raise ValueError("too steep")"""
    )
    view = cells.run("w b --explore w=(-1,3)", body).view
    assert view.answers is not None and "by float" in view.limits
    x = np.linspace(-1, 1, 100)
    for w, b in ((0.5, 0.0), (1.5, 0.5), (2.0, 1.0)):
        off = w * x + b - 2 * x - 1
        times = 2 if np.mean(off**2) > 1 else 1
        value, slopes = view.at([w, b])
        assert value == pytest.approx(times * np.mean(off**2), rel=1e-5, abs=1e-6)
        expected = [times * np.mean(2 * off * x), times * np.mean(2 * off)]
        assert slopes == pytest.approx(expected, rel=1e-4, abs=1e-6)
    curve = view.curves[0]
    assert np.isnan(curve.y[curve.x < -0.75]).all() and np.isfinite(curve.y[curve.x > -0.75]).all()
    assert "infinite at" in view.limits  # of the cell that raises there
    sent: list[Any] = []
    view.widget.send = lambda content, buffers=None: sent.append(content)
    wish = {"point": [-0.9, 0.0], "lines": [_line(0, -1, 3)], "plane": None}
    view.widget._told(view.widget, {"wish": wish, "side": 0}, [])
    answer = sent[0]["answer"]
    assert answer["value"] == "nan" and "ValueError: too steep" in answer["word"]
    assert np.isfinite(float(answer["curves"][0]["columns"][0][-1]))
    view.widget.point = {"w": -0.9, "b": 0.0}
    assert view.widget.value is None and view.widget.derivative is None


def test_what_cannot_be_replayed_runs_again_with_its_cell(cells: Cells) -> None:
    body = """@tf.custom_gradient
def f(x):
    return x**2, lambda g: 5 * g
a = tf.Variable(1.5)
y = f(a) * tf.math.igamma(2.0, a)"""
    table = cells.run("a --explore a=(1,2)", body).view.table
    slope = 5 * (1 - (1 + table.x) * np.exp(-table.x)) + table.x**3 * np.exp(-table.x)
    np.testing.assert_allclose(table.d[0], slope, rtol=1e-5)


def test_what_draws_numbers_has_no_curve(cells: Cells) -> None:
    body = "x = tf.constant(2.0)\ny = x * float(tf.random.uniform([])) * tf.math.igamma(2.0, x)"
    view = cells.run("x --explore", f"{body}\nif float(y) > 0.01:\n    y = 2 * y").view
    assert view.table is not None and "single points" in view.limits
    ratio = view.table.y[-1] / view.at([2.0])[0]  # as recorded: with one number
    igamma = 1 - (1 + np.array([5.0, 2.0])) * np.exp([-5.0, -2.0])
    assert ratio == pytest.approx(2.5 * igamma[0] / igamma[1], rel=1e-4)


def test_answers_get_finer_while_the_point_rests(cells: Cells) -> None:
    answers = cells.run("a b --explore b=(0,2)", SINGULAR).view.answers
    asked: list[Any] = []
    compute = answers.compute

    def slow(point: Any) -> Any:
        asked.append(tuple(point))
        time.sleep(0.005)
        return compute(point)

    answers.compute = slow
    wish = Wish((2.0, 0.25), (Line(0, (1, 3)), Line(1, (0, 2))), ((1, 3), (0, 2)))
    found = [answers.answer(wish, least=9)]
    while not found[-1].finished:
        side = max(answer.plane[0] if answer.plane else 0 for answer in found)
        found.append(answers.answer(wish, side, 0.5))
    sizes = [len(answer.curves[1][0]) for answer in found]
    assert sizes == sorted(sizes) and 2 < sizes[0] < sizes[-1] == 65
    assert asked[0] == wish.point and len(set(asked)) == len(asked)  # nothing is computed twice
    sides = [answer.plane[0] for answer in found if answer.plane is not None]
    assert sides == sorted(set(sides)) and sides[-1] == 33  # and none is told twice
    _, columns = next(answer.plane for answer in reversed(found) if answer.plane)
    corners = [_by_hand(a, b) for b in (0, 2) for a in (1, 3)]
    assert columns[0][[0, 32, -33, -1]] == pytest.approx(corners, rel=1e-4)
    other = answers.answer(Wish((2.0, 0.7), wish.lines), 0, 0.0)
    assert len(other.curves[1][0]) == 66 and not other.finished  # the same line
    assert len(other.curves[0][0]) < 65


def test_a_slow_cell_gets_a_coarse_plane(cells: Cells) -> None:
    answers = cells.run("a b --explore b=(0,2)", SINGULAR).view.answers
    answers._spent = 0.2 * answers._count
    plane = ((1.0, 3.0), (0.0, 2.0))
    found = answers.answer(Wish((2.0, 0.25), (), plane), 0, 10.0)
    assert found.finished and found.plane[0] == 9


def test_a_single_entry_has_the_orders_asked_for(cells: Cells) -> None:
    body = "x = tf.Variable([1.5])\ns = tf.reduce_sum(tf.math.igamma(2.0, x))"
    view = cells.run("x -n 3 --explore x=(1,2)", body).view
    x = 1.5
    expected = [x, 1 - x, x - 2]  # times exp(-x)
    found = view.answers.at([x])
    assert found.slopes == pytest.approx([v * np.exp(-x) for v in expected], rel=1e-4)
    assert view.payload["order"] == 3 and len(view.payload["kernel"]["curves"][0]["columns"]) == 4


def test_the_cell_run_anew_has_the_orders_asked_for(cells: Cells) -> None:
    body = "x = tf.constant(1.5)\ny = x**3\nif float(y) > 3:\n    y = 2 * y"
    view = cells.run("x -n 2 --explore x=(1,2)", body).view
    table = view.table
    times = np.where(table.x**3 > 3, 2, 1)
    assert view.payload["order"] == 2
    np.testing.assert_allclose(table.d, [3 * times * table.x**2, 6 * times * table.x], rtol=1e-5)


def test_what_tensorflow_refuses_there_is_said(cells: Cells) -> None:
    body = """a = tf.Variable(2.0); b = tf.Variable(1.0)
s = tf.reduce_sum(tf.linalg.cholesky(tf.stack([tf.stack([a, b]), tf.stack([b, a])])))
s = s + tf.math.igamma(2.0, a)"""
    result = cells.run("a b --explore a=(1.5,3) b=(0,1)", body)
    widget, sent = result.widget, []
    widget.send = lambda content, buffers=None: sent.append(content)
    wish = {"point": [-1.0, 1.0], "lines": [], "plane": None}
    widget._told(widget, {"wish": wish, "side": 0}, [])
    assert not np.isfinite(float(sent[0]["answer"]["value"]))


def test_while_a_cell_runs_again_messages_can_come(cells: Cells) -> None:
    """A kernel tells the publisher of each, also the one that keeps the output back."""
    told: list[Any] = []
    publisher = cells.shell.display_pub
    publisher.set_parent = told.append
    with Rerun(cells.shell, None, None, {})._kept_back():
        assert cells.shell.display_pub is not publisher
        cells.shell.display_pub.set_parent("a message")
        print("nothing")
    assert told == ["a message"] and cells.shell.display_pub is publisher
    del publisher.set_parent
