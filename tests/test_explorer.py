"""The explorer's Python half: programs, ranges, branches, what is shown, and the kernel's end."""

from __future__ import annotations

import inspect
import json
import math
import os
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import tapemagic
from tapemagic.deriving import keeping
from tapemagic.explorer import fragment
from tapemagic.explorer.branches import decisions
from tapemagic.explorer.payload import Piece, piece
from tapemagic.explorer.program import KERNEL_ONLY, Program
from tapemagic.explorer.registers import Registers
from tapemagic.explorer.slopes import slopes
from tapemagic.explorer.subject import subject
from tapemagic.functions import CONDITIONS, FUNCTIONS, INFIX

PAGE = Path(fragment.__file__).with_name("page")


# -- programs ----------------------------------------------------------------------------------


def compiled(function: Callable[..., Any], *arguments: Any, order: int = 1) -> Program:
    """The program of a function, with the decisions that it makes on the way."""
    return pieced(function, *arguments, order=order).program


def pieced(function: Callable[..., Any], *arguments: Any, order: int = 1) -> Piece:
    with keeping() as explained:
        result = tapemagic.differentiate(function, *arguments)
    chosen = subject(result, explained, order)
    decided, _ = decisions(chosen.trace, chosen.question)
    return piece(chosen, decided)


def by_tape(function: Callable[[Any], Any], x: float, order: int) -> list[float]:
    """The value and its derivatives, by nested tapes in float64."""

    def level(n: int, point: Any) -> list[Any]:
        if n == 0:
            return [function(point)]
        with tf.GradientTape() as tape:
            tape.watch(point)
            lower = level(n - 1, point)
        return [*lower, tape.gradient(lower[-1], point, unconnected_gradients="zero")]

    return [float(v) for v in level(order, tf.constant(x, tf.float64))]


def by_program(program: Program, x: float) -> list[float]:
    registers = program.code.run([x])
    return [float(registers[k]) for k in (program.value, *program.derivatives)]


_UNARY = [tf.sin, tf.cos, tf.exp, tf.tanh, tf.sigmoid, tf.nn.softplus, tf.square, tf.atan]
_UNARY += [
    tf.math.erf,
    tf.nn.relu,
    tf.abs,
    tf.nn.elu,
    lambda a: a**3,
    lambda a: 1 / (2.5 + tf.sin(a)),
]
_UNARY += [lambda a: tf.sqrt(a * a + 1), lambda a: tf.math.log(a * a + 2)]
_BINARY = [tf.add, tf.subtract, tf.multiply, tf.maximum, tf.minimum, tf.atan2]
_BINARY += [lambda a, b: a / (b * b + 1), lambda a, b: (a * a + 1) ** tf.sin(b)]
_BINARY += [lambda a, b: tf.where(a > b, a * b, tf.sin(a))]


@st.composite
def functions(draw: Any) -> Callable[[Any], Any]:
    """Straight-line programs that reuse what they have made."""
    length = draw(st.integers(1, 7))
    steps = [
        (
            draw(st.sampled_from([*_UNARY, *_BINARY])),
            draw(st.integers(0, i)),
            draw(st.integers(0, i)),
        )
        for i in range(length)
    ]

    def function(x: Any) -> Any:
        made = [x]
        for operation, i, j in steps:
            made.append(operation(made[i], made[j]) if operation in _BINARY else operation(made[i]))
        return made[-1] + 0.5 * made[len(made) // 2]

    return function


# Multiples of 0.37 meet no kink of the functions above but 0, which is tried by itself below.
@settings(max_examples=30, deadline=None, derandomize=True)
@given(functions(), st.integers(-6, 6).filter(bool), st.integers(-6, 6).filter(bool))
def test_program_is_the_tape_elsewhere_too(
    function: Callable[[Any], Any], recorded: int, moved: int
) -> None:
    program = compiled(function, tf.constant(0.37 * recorded, tf.float64), order=3)
    for x in (0.37 * recorded, 0.37 * moved):
        expected = by_tape(function, x, 3)
        size = max(map(abs, expected))
        np.testing.assert_allclose(by_program(program, x), expected, 1e-9, 1e-11 * (1 + size))
        step = 1e-5
        low, high = by_program(program, x - step), by_program(program, x + step)
        for order in range(3):
            difference = (high[order] - low[order]) / (2 * step)
            assert difference == pytest.approx(expected[order + 1], rel=1e-3, abs=1e-4 * (1 + size))


KINKS = [
    (tf.abs, [0.0]),
    (tf.nn.relu, [0.0]),
    (tf.nn.relu6, [0.0, 6.0]),
    (lambda x: tf.maximum(x, 0.0), [0.0]),
    (lambda x: tf.maximum(tf.constant(0.0, tf.float64), x), [0.0]),
    (lambda x: tf.minimum(x, x * x), [0.0, 1.0]),
    (lambda x: tf.clip_by_value(x, -1.0, 2.0), [-1.0, 2.0]),
    (lambda x: tf.where(x > 0, tf.sqrt(tf.maximum(x, 0.0)), 0.0), [0.0, -1.0]),
    (lambda x: tf.math.xlogy(x, x), [0.0]),
    (lambda x: tf.constant(2.0, tf.float64) ** x, [0.0]),
    (lambda x: tf.sign(x) * x + tf.floor(x), [0.0, 1.0]),
]


@pytest.mark.parametrize("function, places", KINKS)
def test_kinks_are_tensorflows(function: Any, places: list[float]) -> None:
    program = compiled(function, tf.constant(0.5, tf.float64))
    for x in places:
        assert by_program(program, x) == pytest.approx(by_tape(function, x, 1), nan_ok=True)


@pytest.mark.parametrize("order, most", [(1, 14), (2, 28), (3, 60)])
def test_programs_grow_with_the_ops_alone(order: int, most: int) -> None:
    def chain(count: int) -> Any:
        def function(x: Any) -> Any:
            for _ in range(count):
                x = x * tf.sin(x)
            return x

        return function

    short, long = (len(compiled(chain(n), 2.0, order=order).code.ops) for n in (50, 300))
    assert long < 6.5 * short
    assert short < most * 50
    expected = by_tape(chain(50), 1.3, min(order, 2))
    program = compiled(chain(50), tf.constant(1.9, tf.float64), order=order)
    np.testing.assert_allclose(by_program(program, 1.3)[: len(expected)], expected, 1e-9)


def test_a_wrong_slope_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests above can fail: with sin′ = sin they do."""
    from dataclasses import replace

    from tapemagic.formula import call

    wrong = replace(FUNCTIONS["sin"], partials=lambda x: (call("sin", x),))
    monkeypatch.setitem(FUNCTIONS, "sin", wrong)
    program = compiled(tf.sin, tf.constant(0.5, tf.float64))
    assert by_program(program, 0.5)[1] != pytest.approx(by_tape(tf.sin, 0.5, 1)[1])


def test_several_sources_have_gradient_and_hessian() -> None:
    def function(a: Any, b: Any) -> Any:
        return a**2 * tf.sin(b) + a * b

    program = compiled(function, 1.0, 2.0, order=2)
    a, b = 0.5, -1.5
    registers = program.code.run([a, b])
    assert [float(registers[k]) for k in program.gradient] == pytest.approx(
        [2 * a * math.sin(b) + b, a**2 * math.cos(b) + a]
    )
    mixed = 2 * a * math.cos(b) + 1
    expected = [[2 * math.sin(b), mixed], [mixed, -(a**2) * math.sin(b)]]
    assert program.hessian is not None
    found = [[float(registers[k]) for k in row] for row in program.hessian]
    np.testing.assert_allclose(found, expected, 1e-12)


def test_vectors_have_an_input_an_entry() -> None:
    weights = tf.constant([1.0, 2.0, 3.0])
    program = compiled(lambda w: tf.reduce_sum(w**2) * w[0], weights)
    registers = program.code.run([2.0, 1.0, 1.0])
    assert float(registers[program.value]) == 12.0
    assert [float(registers[k]) for k in program.gradient] == [14.0, 4.0, 4.0]


def test_many_points_run_at_once() -> None:
    program = compiled(lambda x: tf.sin(x) * x, 2.0)
    x = np.linspace(-3, 3, 50)
    np.testing.assert_allclose(program.code.run([x])[program.value], np.sin(x) * x)


# -- every number that moves has its register ---------------------------------------------------


def f_of_x(x: Any) -> Any:
    y = 2 * x**3 + 5 * x**2 + 3 * x
    return tf.sin(y) * y / (x - 5.0)


def of_two(a: Any, b: Any) -> Any:
    u = a * b
    v = u + tf.exp(-a)
    return v * u


@pytest.mark.parametrize(
    "function, arguments",
    [(f_of_x, (2.0,)), (of_two, (2.0, -1.0)), (lambda w: w[0] * w[1] ** 2, ([1.0, -2.0],))],
)
def test_slots_show_what_the_derivation_shows(function: Any, arguments: Any) -> None:
    tensors = [tf.constant(a) for a in arguments]
    told = pieced(function, *tensors, order=2)
    root = ET.fromstring(f"<div>{_xml(told.html)}</div>")
    numbers = {e.get("data-slot"): e for e in root.iter() if e.get("data-slot") is not None}
    assert len(numbers) == len(told.slots) > 5
    registers = told.program.code.run(np.ravel(arguments))
    for key, element in numbers.items():
        text = (element.text or "").strip("()").replace("−", "-")
        shown, _, exponent = text.partition("·10")
        value = float(registers[told.slots[int(str(key))]["register"]])
        scale = 10.0 ** int(exponent.translate(_PLAIN_DIGITS) or 0)
        assert float(shown) * scale == pytest.approx(value, rel=1e-5, abs=1e-9), text
        if value < 0 and element.get("data-fence"):
            assert (element.text or "").startswith("(")
    assert "data-recorded" in told.html  # the check holds at the recorded point alone


_PLAIN_DIGITS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def _xml(html: str) -> str:
    """Our HTML as XML: attributes without a value, elements that never close."""
    return (
        html.replace(" data-recorded", ' data-recorded=""')
        .replace("<wbr>", "")
        .replace("&nbsp;", " ")
    )


# -- the real JavaScript -------------------------------------------------------------------------

_RUN = """
import { readFileSync } from "node:fs";
import { Program, OPERATION_NAMES } from "PAGE/program.js";
const jobs = JSON.parse(readFileSync(0, "utf8"));
const text = (v) => (Number.isFinite(v) ? v : String(v));
const results = jobs.map(({ program, points }) => {
  const made = new Program(program);
  return points.map((point) => Array.from(made.at(point), text));
});
console.log(JSON.stringify({ names: OPERATION_NAMES, results }));
"""
_JS_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def in_javascript(jobs: list[dict[str, Any]]) -> tuple[list[str], list[Any]]:
    """All registers of each program at each of its points, by the page's own interpreter."""
    node = shutil.which("node")
    if node is None:
        assert os.environ.get("CI") != "true", "needs node"
        pytest.skip("needs node")
    script = _RUN.replace("PAGE", PAGE.as_uri())
    ran = subprocess.run(
        [node, "--input-type=module", "-e", script],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    return found["names"], found["results"]


def _numbers(row: list[Any]) -> list[float]:
    return [_JS_NUMBERS.get(v, v) if isinstance(v, str) else v for v in row]


def test_javascript_agrees_on_every_function() -> None:
    rng = np.random.default_rng(3)
    jobs, expected, names = [], [], []
    for name, row in FUNCTIONS.items():
        if name in KERNEL_ONLY:
            continue
        count = _arity(name, row.partials)
        points = _points(name, count, rng)
        registers = Registers(count)
        node = registers.emit(name, *range(count))
        wanted = [node]
        if name not in ("polygamma", "max_share", "min_share"):
            wanted += [slopes(registers, [node], {i: registers.one})[0] for i in range(count)]
        code, at = registers.code(wanted)
        if KERNEL_ONLY.intersection(op[0] for op in code.ops):
            continue
        program = Program(code, at[node], (), (), None, ())
        jobs.append({"program": program.data(), "points": points})
        expected.append([[float(v) for v in code.run(point)] for point in points])
        names.append(name)
    known, results = in_javascript(jobs)
    assert set(FUNCTIONS) - set(known) == KERNEL_ONLY
    for name, mine, its in zip(names, expected, results):
        for one, other in zip(mine, its):
            np.testing.assert_allclose(_numbers(other), one, 1e-12, 1e-300, err_msg=name)
    assert len(names) > 60


def _arity(name: str, partials: Any) -> int:
    if name in ("max", "min", "max_share", "min_share"):
        return 3
    if name in CONDITIONS or name in INFIX:
        return 1 if name == "logical_not" or name.startswith("is_") else 2
    kinds = [p.kind for p in inspect.signature(partials).parameters.values()]
    return 1 if inspect.Parameter.VAR_POSITIONAL in kinds else len(kinds)


def _points(name: str, count: int, rng: np.random.Generator) -> list[list[float]]:
    special = [-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.5, 6.0]
    points = [[float(rng.choice(special)) for _ in range(count)] for _ in range(12)]
    points += rng.uniform(-3, 3, (12, count)).tolist()
    points += rng.uniform(0.05, 0.95, (6, count)).tolist()
    if name == "polygamma":
        points = [[float(rng.integers(0, 4)), float(x)] for x in rng.uniform(0.3, 8, 8)]
    return points


def test_javascript_agrees_on_programs() -> None:
    def branchy(x: Any) -> Any:
        y = tf.where(x > 0.5, tf.sin(x) * x, x**2)
        for _ in range(10):
            y = y * tf.sin(y) + tf.sigmoid(x - y)
        return tf.math.erf(y) + tf.math.lgamma(x * x + 1.5) + tf.nn.softplus(-x)

    def chain(x: Any) -> Any:
        for _ in range(50):
            x = x * tf.sin(x)
        return x

    jobs, expected = [], []
    for function in (f_of_x, branchy, chain):
        program = compiled(function, tf.constant(1.25, tf.float64), order=3)
        points = np.random.default_rng(5).uniform(-3, 3, (40, 1)).tolist()
        places = [program.value, *program.derivatives]
        jobs.append({"program": program.data(), "points": points})
        expected.append([[float(program.code.run(p)[k]) for k in places] for p in points])
    _, results = in_javascript(jobs)
    for job, mine, its in zip(jobs, expected, results):
        places = [job["program"]["value"], *job["program"]["derivatives"]]
        for one, other in zip(mine, its):
            found = _numbers([other[k] for k in places])
            np.testing.assert_allclose(found, one, 1e-12, 1e-12 * max(map(abs, one)))
