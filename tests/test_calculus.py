"""Derivatives in textbook form, the rules named, functions against mpmath; replaying traces."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from test_formula import POINT, _assume_regular, formulas

from tapemagic import patience
from tapemagic.calculus import applications, derivative
from tapemagic.formula import (
    ONE,
    ZERO,
    Call,
    Formula,
    Name,
    Negative,
    Number,
    Power,
    Product,
    Quotient,
    Sum,
    Symbol,
    call,
    number,
)
from tapemagic.functions import CONDITIONS, FUNCTIONS
from tapemagic.numeric import NotReplayable, Replay, evaluate
from tapemagic.trace import Operation, TensorValue, Trace

pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

x, a = Symbol(Name("x")), Symbol(Name("a"))
n = number


def _exp_of_minus_square() -> Formula:
    return call("exp", Negative(Power(x, n(2))))


_CUBIC = Sum((Product((n(2), Power(x, n(3)))), Product((n(5), Power(x, n(2)))), Product((n(3), x))))
_TEXTBOOK: list[tuple[Formula, Formula]] = [
    (_CUBIC, Sum((Product((n(6), Power(x, n(2)))), Product((n(10), x)), n(3)))),
    (Product((x, x, x)), Product((n(3), Power(x, n(2))))),
    (
        Product((x, _exp_of_minus_square())),
        _exp_of_minus_square() - 2 * x**2 * _exp_of_minus_square(),
    ),
    (Quotient(ONE, x), Negative(Quotient(ONE, Power(x, n(2))))),
    (Quotient(x, Sum((ONE, x))), Quotient(ONE, Power(Sum((ONE, x)), n(2)))),
    (Quotient(x, a), Quotient(ONE, a)),
    (Power(n(2), x), Product((Power(n(2), x), call("log", 2)))),
    (Power(x, n(-2)), Negative(Quotient(n(2), Power(x, n(3))))),
    (Power(x, a), Product((a, Power(x, Sum((a, Negative(ONE))))))),
    (Power(Sum((Power(x, n(2)), ONE)), n(3)), 6 * x * Power(Sum((Power(x, n(2)), ONE)), n(2))),
    (call("sin", Product((n(2), x))), 2 * call("cos", Product((n(2), x)))),
    (call("sqrt", x), Quotient(ONE, Product((n(2), call("sqrt", x))))),
    (call("log", Power(x, n(2))), Quotient(n(2), x)),
    (call("stop_gradient", x), ZERO),
    (call("floor", x), ZERO),
    (a, ZERO),
    (x, ONE),
    (call("where", call("greater", x, 0), Product((n(3), x)), n(1)),
     call("where", call("greater", x, 0), n(3), n(0))),
]  # fmt: skip


@pytest.mark.parametrize("node, expected", _TEXTBOOK)
def test_textbook_form(node: Formula, expected: Formula) -> None:
    assert derivative(node, x) == expected


def test_rules_are_named_innermost_first() -> None:
    steps = applications(Product((x, _exp_of_minus_square())), x)
    assert [step.rule for step in steps] == [
        "power rule",
        "constant multiple rule",
        "exponential rule, chain rule",
        "product rule",
    ]


@pytest.mark.parametrize(
    "node, rule",
    [
        (x, "variable itself"),
        (Sum((x, ONE)), "sum rule"),
        (Product((a, x)), "constant multiple rule"),
        (Quotient(x, a), "constant multiple rule"),
        (Quotient(a, x), "quotient rule"),
        (Power(x, a), "power rule"),
        (Power(Sum((x, ONE)), a), "power rule, chain rule"),
        (Power(a, x), "exponential rule"),
        (Power(a, Negative(x)), "exponential rule, chain rule"),
        (Power(x, x), "general power rule"),
        (call("sin", x), "sine rule"),
        (call("sin", Negative(x)), "sine rule, chain rule"),
    ],
)
def test_rule_names(node: Formula, rule: str) -> None:
    assert applications(node, x)[-1].rule == rule


@given(formulas)
def test_each_application_is_true(node: Formula) -> None:
    _assume_regular(node)
    step = 1e-6
    for applied in applications(node, x):
        ends = [float(evaluate(applied.node, {**POINT, x: POINT[x] + s})) for s in (step, -step)]
        mine = float(evaluate(applied.derivative, POINT))
        assume(all(map(math.isfinite, (*ends, mine))))
        allowed = 1e-4 * max(1.0, abs(mine), *(abs(end) for end in ends))
        assert abs(mine - (ends[0] - ends[1]) / (2 * step)) < allowed


def test_derivatives_stay_linear() -> None:
    node: Formula = x
    for _ in range(300):
        node = call("sin", Sum((node, Product((node, node)))))
    assert np.isfinite(evaluate(derivative(node, x), {x: 0.3}))


_POINTS: dict[str, tuple[float, ...]] = {
    "acosh": (1.6,),
    "leaky_relu": (-0.6, 0.3),
    "polygamma": (2.0, 0.3),
    "zeta": (2.5, 0.3),
    "clip": (0.9, 0.3, 0.8),
    "betainc": (0.6, 0.3, 0.8),
    "max_share": (0.8, 0.3, 0.8, 0.8),
    "min_share": (0.3, 0.3, 0.8),
}
_PAIRS = "atan2 maximum minimum max min floor_div floor_mod xlogy xlog1py xdivy div_no_nan"
_PAIRS += " mul_no_nan igamma igammac igamma_slope"


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in CONDITIONS])
def test_functions_mean_the_same_to_sympy(name: str) -> None:
    import sympy

    row = FUNCTIONS[name]
    values = _POINTS.get(name, (0.6, 0.3) if name in _PAIRS.split() else (0.6,))
    if name in ("where", "indicator"):
        rest = (0.3, 0.8) if name == "where" else ()
        built = row.sympy(sympy.Gt(sympy.Symbol("t"), 0), *map(sympy.Float, rest)).subs("t", 1)
        mine = row.numpy(np.True_, *rest)
    else:
        built = row.sympy(*map(sympy.Float, values))
        mine = row.numpy(*map(np.float64, values))
    if not built.atoms(sympy.core.function.AppliedUndef):
        assert math.isclose(float(built.evalf()), float(mine), rel_tol=1e-12, abs_tol=1e-14)


@pytest.mark.parametrize("name", sorted(CONDITIONS))
def test_conditions_mean_the_same_to_sympy(name: str) -> None:
    import sympy

    row, pairs = FUNCTIONS[name], [(1, 0), (0, 1), (1, 1)]
    for pair in pairs:
        if name == "logical_not":
            assert bool(row.sympy(sympy.sympify(bool(pair[0])))) == row.numpy(pair[0])
        elif name.startswith("logical"):
            built = row.sympy(*(sympy.sympify(bool(entry)) for entry in pair))
            assert bool(built) == row.numpy(*pair)
        elif name.startswith("is_"):
            assert bool(row.sympy(sympy.Integer(pair[0]))) == row.numpy(np.float64(pair[0]))
        else:
            assert bool(row.sympy(*map(sympy.Integer, pair))) == row.numpy(*pair)


@pytest.mark.parametrize(
    "name, value, expected",
    [("sigmoid", -1000.0, 0.0), ("sigmoid", 1000.0, 1.0), ("softplus", 1000.0, 1000.0),
     ("lgamma", 0.0, math.inf), ("erfinv", 1.0, math.inf), ("ndtri", 0.5, 0.0)],
)  # fmt: skip
def test_edges(name: str, value: float, expected: float) -> None:
    assert float(FUNCTIONS[name].numpy(np.float64(value))) == expected


def test_evaluate_over_a_grid() -> None:
    grid = np.linspace(-1, 1, 5)
    values = evaluate([Power(x, n(2)), n(3)], {x: grid})
    assert values.shape == (2, 5)
    assert np.array_equal(values, [grid**2, np.full(5, 3.0)])


def test_evaluate_knows_no_exceptions() -> None:
    with np.errstate(all="raise"):
        assert evaluate(Quotient(ONE, x), {x: 0.0}) == math.inf
        assert np.isnan(evaluate(call("log", x), {x: -1.0}))


# Replay


def _trace(*operations: Operation, **values: Any) -> Trace:
    data = {int(name[1:]): np.asarray(value) for name, value in values.items()}
    ids = {tensor for op in operations for tensor in (*op.inputs, *op.outputs)}
    tensors = {tensor: TensorValue((), "float32", data.get(tensor)) for tensor in ids}
    return Trace(operations, tensors)


def test_replay_runs_what_depends_on_the_leaf() -> None:
    trace = _trace(
        Operation("Square", (0,), (1,)),
        Operation("RandomUniform", (), (2,)),
        Operation("Mul", (1, 2), (3,)),
        Operation("NoSuchOp", (3,), (4,)),
        t0=np.float32(3), t1=np.float32(9), t2=np.float32(0.5),
    )  # fmt: skip
    assert Replay(trace, {0: np.array(4.0)}, [3]).run({0: np.array(4.0)})[3] == 8
    assert Replay(trace, {1: np.array(4.0)}, [3]).run({1: np.array(4.0)})[3] == 2
    assert Replay(trace, {}, [3]).run({})[3] == 4.5
    with pytest.raises(NotReplayable) as caught:
        Replay(trace, {0: np.array(4.0)}, [4]).run({0: np.array(4.0)})
    assert caught.value.kind == "NoSuchOp"


def test_numbers_are_exact() -> None:
    assert derivative(Product((Number(n(0.1).value, True), x)), x) == n(0.1)  # type: ignore[attr-defined]
    assert isinstance(derivative(Call("sin", (x,)), x), Call)


def test_no_time_limit_outlives_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a thread may start so late that time is up before the work begins."""
    start = threading.Thread.start

    def late(thread: threading.Thread) -> None:
        start(thread)
        time.sleep(0.2)

    monkeypatch.setattr(threading.Thread, "start", late)
    hook = sys.unraisablehook
    with pytest.raises(patience.TooLong):
        patience.within(0.01, lambda: 1)
    monkeypatch.undo()
    until = time.perf_counter() + 0.2
    while time.perf_counter() < until:  # what is still raised, is raised here
        pass
    assert sys.unraisablehook is hook


def test_a_profiler_after_a_time_limit() -> None:
    """Taking back an exception that was on its way hangs Python 3.11 in a profiled generator."""
    program = (
        "import sys; from tapemagic.patience import within\n"
        "within(9.0, lambda: 1); within(0.1, lambda: 1)\n"
        "sys.setprofile(lambda *_: None); print(sum(k for k in range(3)))"
    )
    run = [sys.executable, "-c", program]
    done = subprocess.run(run, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "3\n"
