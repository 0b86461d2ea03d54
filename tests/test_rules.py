"""Every row against TensorFlow: numbers, formulas, slopes; and what TensorFlow does at kinks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from rule_check import problems, raw_op
from rule_examples import EXAMPLES, Example

from tapemagic import rules
from tapemagic.calculus import derivative
from tapemagic.formula import Formula, Name, Power, Symbol, call, number
from tapemagic.functions import FUNCTIONS
from tapemagic.numeric import evaluate


def _label(example: Example) -> str:
    return example.kind


@pytest.mark.parametrize("example", EXAMPLES, ids=_label)
def test_row(example: Example) -> None:
    row = rules.row(example.kind)
    assert row is not None
    assert problems(row, example) == []


@pytest.mark.parametrize("kind", rules.ROWS)
def test_every_row_has_an_example(kind: str) -> None:
    assert any(example.kind == kind for example in EXAMPLES)


def test_a_wrong_slope_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = replace(FUNCTIONS["cos"], partials=lambda x: (call("sin", x),))
    monkeypatch.setitem(FUNCTIONS, "cos", wrong)
    assert problems(rules.ROWS["Cos"], Example("Cos", (np.array([0.5]),)))


def test_a_wrong_primal_is_caught() -> None:
    wrong = replace(rules.ROWS["MatMul"], kind="MatMul", apply=rules.ROWS["Mul"].apply)
    square = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert problems(wrong, Example("MatMul", (square, square)))


k0 = np.array([0], dtype=np.int32)
_KINKS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("Relu", (np.array([0.0]),), {}),
    ("Relu6", (np.array([0.0, 6.0]),), {}),
    ("LeakyRelu", (np.array([0.0]),), {"alpha": 0.3}),
    ("Elu", (np.array([0.0]),), {}),
    ("Selu", (np.array([0.0]),), {}),
    ("Abs", (np.array([0.0]),), {}),
    ("Sign", (np.array([0.0]),), {}),
    ("Softsign", (np.array([0.0]),), {}),
    ("Sqrt", (np.array([0.0]),), {}),
    ("Maximum", (np.array([1.0]), np.array([1.0])), {}),
    ("Minimum", (np.array([1.0]), np.array([1.0])), {}),
    ("Max", (np.array([2.0, 1.0, 2.0, 2.0]), k0), {}),
    ("Min", (np.array([1.0, 1.0, 2.0]), k0), {}),
    ("ClipByValue", (np.array([0.0, 1.0, 2.0]), np.array(0.0), np.array(1.0)), {}),
    ("Pow", (np.array([0.0, 0.0, -2.0]), np.array([2.0, 1.0, 3.0])), {}),
    ("Xlogy", (np.array([0.0, 2.0]), np.array([0.0, 1.0])), {}),
    ("Xlog1py", (np.array([0.0]), np.array([-1.0])), {}),
    ("Xdivy", (np.array([0.0]), np.array([0.0])), {}),
    ("DivNoNan", (np.array([2.0]), np.array([0.0])), {}),
    ("MulNoNan", (np.array([2.0]), np.array([0.0])), {}),
    ("Prod", (np.array([0.0, 2.0, 0.0, 3.0]), k0), {}),
    ("Prod", (np.array([0.0, 2.0, 3.0]), k0), {}),
    ("FloorMod", (np.array([4.0]), np.array([2.0])), {}),
    ("BesselI1e", (np.array([0.0]),), {}),
    ("BesselJ1", (np.array([0.0]),), {}),
    ("Spence", (np.array([1.0]),), {}),
    ("SelectV2", (np.array([True, False]), np.array([1.0, 1.0]), np.array([1.0, 1.0])), {}),
]


@pytest.mark.parametrize("kind, inputs, options", _KINKS)
def test_kinks_follow_tensorflow(
    kind: str, inputs: tuple[Any, ...], options: dict[str, Any]
) -> None:
    row = rules.ROWS[kind]
    assert problems(row, Example(kind, inputs, options, differences=False)) == []


def test_not_symbolic_says_why() -> None:
    x = np.array([Symbol(Name("x"), (place,)) for place in range(2)], dtype=object)
    with pytest.raises(rules.NotSymbolic, match="depends on the values"):
        rules.ROWS["ArgMax"].apply((x, np.array(0)), {})


def test_formulas_stay_as_written() -> None:
    x = np.array(Symbol(Name("x")), dtype=object)
    two = np.array(2.0)
    cube = rules.ROWS["Pow"].apply((x, np.array(3.0)), {})[0]
    assert rules.ROWS["Mul"].apply((two, cube), {})[0][()].factors == (
        number(2),
        Power(x[()], number(3)),
    )
    once = rules.ROWS["AddV2"].apply((x, two), {})[0]
    twice = rules.ROWS["AddV2"].apply((once, x), {})[0]
    assert twice[()].terms == (x[()], number(2), x[()])


def test_float32_constants_keep_their_digits() -> None:
    x = np.array(Symbol(Name("x")), dtype=object)
    product = rules.ROWS["Mul"].apply((np.float32(0.1), x), {})[0][()]
    assert product.factors[0] == number(0.1)


def test_where_ignores_the_other_branch() -> None:
    x = Symbol(Name("x"))
    root: Formula = call("where", call("greater", x, 0), call("sqrt", x), 0)
    assert evaluate(derivative(root, x), {x: 0.0}) == 0


def test_unknown_op() -> None:
    assert rules.row("NoSuchOp") is None


def test_raw_op_reads_lists() -> None:
    (total,) = raw_op("AddN", [[tf.constant(1.0), tf.constant(2.0)]], {})
    assert total.numpy() == 3
