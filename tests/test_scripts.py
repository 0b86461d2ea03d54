"""`differentiate` and `record`: the same results without a notebook."""

from __future__ import annotations

import pytest
import tensorflow as tf

import tapemagic


def f(x: tf.Tensor) -> tf.Tensor:
    y = x**2
    return y**2


def test_differentiate_names_what_the_function_names() -> None:
    result = tapemagic.differentiate(f, 3.0, order=2)
    assert list(result) == ["df/dx", "d2f/dx2"]
    assert float(result["df/dx"].value) == 108
    assert float(result["d2f/dx2"].value) == 108
    assert result["df/dx"].check.agrees is True
    assert "df/dx = df/dy · dy/dx" in repr(result)


def test_differentiate_by_several() -> None:
    result = tapemagic.differentiate(lambda a, b: a * b, 3.0, 2.0)
    assert {key: float(d.value) for key, d in result.items()} == {"dy/da": 2, "dy/db": 3}


def test_differentiate_leaves_the_profiler_alone() -> None:
    import sys

    before = sys.getprofile()
    tapemagic.differentiate(f, 1.0)
    assert sys.getprofile() is before


def test_differentiate_complains_in_one_line() -> None:
    with pytest.raises(ValueError, match="no tensor"):
        tapemagic.differentiate(lambda x: 3, 1.0)


def test_record_a_block() -> None:
    x = tf.constant(3.0)
    with tapemagic.record("x", of="z") as recorded:
        y = x**2
        z = y**2
    derivative = recorded.result["dz/dx"]
    assert float(derivative.value) == 108
    assert derivative.check.agrees is True
    assert "dz/dx = dz/dy · dy/dx" in repr(recorded.result)
    assert float(z) == 81


def test_record_without_names_takes_the_variables() -> None:
    w = tf.Variable(2.0)
    with tapemagic.record() as recorded:
        loss = w**3
    assert float(recorded.result["dloss/dw"].value) == 12
    assert float(loss) == 8


def test_record_lets_errors_through() -> None:
    with pytest.raises(ZeroDivisionError), tapemagic.record("x"):
        1 / 0  # noqa: B018


@pytest.mark.parametrize("large", [1e8, 1e9, 1e10, 1e11, 1e12])
def test_what_cancels_is_neither_an_alarm_nor_a_kink(large: float) -> None:
    point = tf.constant(0.7, tf.float64)
    result = tapemagic.differentiate(lambda x: (large + x * x) - large + tf.sin(x), point)
    (derivative,) = result.values()
    assert derivative.check.agrees is not False
    assert not derivative.check.kink and "kink" not in derivative.check.note
