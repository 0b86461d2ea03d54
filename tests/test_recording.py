"""The recorder against the real TensorFlow: its private parts, names, lines, memory."""

from __future__ import annotations

import gc
import inspect
import linecache
import weakref
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python import pywrap_tfe
from tensorflow.python.eager import backprop, context, record
from tensorflow.python.framework import op_callbacks
from tensorflow.python.ops.resource_variable_ops import BaseResourceVariable

from tapemagic import tracing
from tapemagic.recording import Recorder
from tapemagic.trace import Trace


def recorded(run: Any) -> tuple[Trace, Any]:
    recorder = Recorder()
    recorder.start()
    try:
        found = run()
    finally:
        recorder.stop()
    assert recorder.unreadable == ""
    return recorder.trace(), found


def kinds(trace: Trace) -> list[str]:
    return [operation.kind for operation in trace.operations]


def test_private_signatures() -> None:
    """What recording relies on; where this fails, `recording` and `tracing` need a look."""

    def parameters(function: Any) -> list[str]:
        return list(inspect.signature(function).parameters)

    assert parameters(op_callbacks.add_op_callback) == ["callback_fn"]
    assert parameters(op_callbacks.remove_op_callback) == ["op_callback"]
    names = ["op_type", "output_tensors", "input_tensors", "backward_function"]
    assert parameters(record.record_operation)[:4] == names
    assert parameters(record.record_operation_backprop_only)[:4] == names
    assert parameters(backprop._gradient_function)[:6] == [
        *("op_name", "attr_tuple", "num_inputs", "inputs", "outputs", "out_grads")
    ]
    assert context.context()._thread_local_data.op_callbacks == []
    assert "_handle" in vars(tf.Variable(1.0))
    assert BaseResourceVariable.handle.fget.__code__.co_names == ("_handle",)
    assert "handle" in vars(BaseResourceVariable)
    drawn = pywrap_tfe.TFE_Py_UID()
    assert drawn < tf.constant(1.0)._id <= drawn + 2
    assert callable(pywrap_tfe.TFE_ClearScalarCache)
    assert isinstance(tf.constant(1.0)._id, int)
    assert tf.zeros((3, 4))._num_elements() == 12
    assert tf.zeros((3, 4))._shape_tuple() == (3, 4)
    assert tf.as_dtype(tf.zeros(3)._datatype_enum()) is tf.float32


def test_every_op_with_its_line() -> None:
    x = tf.constant(2.0)
    trace, y = recorded(lambda: tf.sin(x) * x)
    assert kinds(trace) == ["Sin", "Mul"]
    last = trace.operations[-1]
    assert last.outputs == (y._id,)
    assert last.line is not None
    assert last.line.text == "trace, y = recorded(lambda: tf.sin(x) * x)"
    assert float(trace.tensors[y._id].data) == pytest.approx(float(y))  # type: ignore[arg-type]


def helper(x: Any) -> Any:
    return tf.exp(x)  # the line of the helper


def test_equal_codes_of_different_files() -> None:
    # Code objects compare by value, without the file (in Python 3.10 without the lines too).
    texts = {"one.py": "y = 2.0\n", "two.py": "y = 2.0  # again\n"}
    for file, text in texts.items():
        linecache.cache[file] = len(text), None, [text], file
        found = tracing.line((compile(text, file, "exec"), 2))
        assert found is not None
        assert (found.file, found.text) == (file, text.strip())
        del linecache.cache[file]


def test_the_innermost_line_of_the_users() -> None:
    x = tf.constant(0.5)

    def run() -> Any:
        first = tf.exp(x)
        return [first, helper(x), tf.exp(x), helper(x)]

    trace, _ = recorded(run)
    texts = [operation.line.text for operation in trace.operations if operation.line]
    assert [text.startswith("return tf.exp(x)") for text in texts] == [False, True, False, True]


def test_reads_of_a_variable_count_as_one_until_it_is_assigned() -> None:
    w = tf.Variable(3.0)

    def run() -> Any:
        y = w * w + tf.sin(w)  # reads in Python and in C
        w.assign_add(1.0)
        return y + w

    trace, _ = recorded(run)
    handle = w.handle._id
    before, after = trace.variables[handle]
    assert float(trace.tensors[before].data) == 3.0  # type: ignore[arg-type]
    assert float(trace.tensors[after].data) == 4.0  # type: ignore[arg-type]
    product = next(op for op in trace.operations if op.kind == "Mul")
    assert product.inputs == (before, before)
    assert next(op for op in trace.operations if op.kind == "Sin").inputs == (before,)


def test_a_constant_of_the_same_value_is_no_read() -> None:
    w = tf.Variable(2.0)
    trace, _ = recorded(lambda: (tf.pow(w, 2.0), tf.pow(2.0, w)))
    (read,) = trace.variables[w.handle._id]
    powers = [op.inputs for op in trace.operations if op.kind == "Pow"]
    assert [inputs.index(read) for inputs in powers] == [0, 1]
    assert all(inputs.count(read) == 1 for inputs in powers)


@pytest.mark.parametrize("value", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("before", [True, False])
def test_a_literal_of_the_variable_s_value(value: float, before: bool) -> None:
    made = [tf.Variable(value)] if before else []

    def run() -> Any:
        w = made[0] if made else tf.Variable(value)
        made[:] = [w]
        return [w**value, value * w, tf.pow(w, value), tf.pow(value, w), tf.maximum(w, value), w]

    trace, _ = recorded(run)
    (read,) = trace.variables[made[0].handle._id]
    inputs = [op.inputs for op in trace.operations if op.kind in ("Pow", "Mul", "Maximum")]
    assert [key.index(read) for key in inputs] == [0, 1, 0, 1, 0]
    assert all(key.count(read) == 1 for key in inputs)


def test_compiled_functions_are_opened() -> None:
    w = tf.Variable(2.0)

    @tf.function
    def f(x: Any) -> Any:
        for _ in tf.range(3):
            x = x * w
        return tf.sin(x) if x > 0 else tf.cos(x)

    x = tf.constant(0.5)

    def run() -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        return tape.gradient(y, x)

    trace, _ = recorded(run)
    inside = [op.kind for op in trace.operations if op.kind in ("Mul", "Sin", "Cos")]
    assert inside[:4] == ["Mul", "Mul", "Mul", "Sin"]


def test_nothing_stays_behind() -> None:
    before, handle = record.record_operation, vars(BaseResourceVariable)["handle"]
    recorder = Recorder()
    recorder.start()
    recorder.stop()
    assert record.record_operation is before
    assert "_handle" not in vars(BaseResourceVariable)
    assert vars(BaseResourceVariable)["handle"] is handle
    assert not context.context().op_callbacks


def test_recorders_nest() -> None:
    w = tf.Variable(1.0)
    outer, inner = Recorder(), Recorder()
    outer.start()
    inner.start()
    tf.sin(w)
    inner.stop()
    tf.cos(w)
    outer.stop()
    assert kinds(inner.trace()) == ["ReadVariableOp", "Sin"]
    assert kinds(outer.trace()) == ["ReadVariableOp", "Sin", "Cos"]
    assert "_handle" not in vars(BaseResourceVariable)


def test_what_is_large_is_not_kept_alive() -> None:
    recorder = Recorder()
    recorder.start()
    try:
        large = tf.ones((1000, 1000)) * 2.0
        small = tf.reduce_sum(large)
    finally:
        recorder.stop()
    alive = weakref.ref(large)
    del large
    gc.collect()
    assert alive() is None
    trace = recorder.trace()
    assert float(trace.tensors[small._id].data) == 2e6  # type: ignore[arg-type]
    product = next(op for op in trace.operations if op.kind == "Mul")
    assert trace.tensors[product.outputs[0]].data is None
    assert trace.tensors[product.outputs[0]].shape == (1000, 1000)


@pytest.mark.parametrize("tapes", [0, 1, 2, 3])
def test_two_variables_that_share_their_memory(tapes: int) -> None:
    """Both begin as the same cached 2.0; so is the constant."""
    one, other = tf.Variable(2.0), tf.Variable(2.0)

    def run() -> Any:
        with ExitStack() as stack:
            for _ in range(tapes):
                stack.enter_context(tf.GradientTape(persistent=True))
            tf.maximum(one, other)
            tf.maximum(other, one)
            one * other
            other**2.0
            tf.stack([other, one, other])
            return tf.where(one > 0, one, other)

    trace, _ = recorded(run)
    a, b = (trace.variables[v.handle._id][0] for v in (one, other))
    inputs = {op.kind: op.inputs for op in trace.operations if op.kind != "Maximum"}
    maxima = [op.inputs for op in trace.operations if op.kind == "Maximum"]
    assert maxima == [(a, b), (b, a)]
    assert inputs["Mul"] == (a, b)
    assert inputs["Pow"][0] == b
    assert inputs["Pow"][1] not in (a, b)
    assert inputs["Pack"] == (b, a, b)
    assert inputs["SelectV2"][1:] == (a, b)


def test_a_failed_op_leaves_no_read() -> None:
    """It asked the variable for its handle; the constant made next is not the variable."""
    w, x = tf.Variable(2.0), tf.Variable([2.0])

    def run() -> Any:
        with pytest.raises(Exception, match=r"ndims|rank"):
            tf.linalg.matmul(w, w)
        return tf.sin(tf.constant(2.0)), tf.sin(w), tf.sin(tf.constant([2.0])), tf.sin(x)

    trace, _ = recorded(run)
    reads = [trace.variables[v.handle._id][0] for v in (w, x)]
    sines = [op.inputs[0] for op in trace.operations if op.kind == "Sin"]
    assert [key in reads for key in sines] == [False, True, False, True]


def test_variables_read_in_a_custom_gradient() -> None:
    """Also while an inner tape answers: an outer one follows it."""
    w, x = tf.Variable(3.0), tf.Variable(0.5)

    @tf.custom_gradient
    def scaled(t: Any) -> Any:
        return t * 1.0, lambda dy: tf.maximum(dy * 2.0, w) * t

    def run() -> Any:
        with tf.GradientTape():
            with tf.GradientTape() as inner:
                y = scaled(x)
            return inner.gradient(y, x)

    trace, _ = recorded(run)
    (read,) = trace.variables[w.handle._id]
    assert next(op for op in trace.operations if op.kind == "Maximum").inputs[1] == read


def test_a_variable_assigned_in_part_is_still_followed() -> None:
    v = tf.Variable([1.0, 2.0])

    def run() -> Any:
        v[0].assign(5.0)
        return tf.reduce_sum(v)

    trace, _ = recorded(run)
    total = next(op for op in trace.operations if op.kind == "Sum")
    assert total.inputs[0] == trace.variables[v.handle._id][-1]


def test_escapes_are_seen() -> None:
    x = tf.constant(2.0)
    before = type(x).numpy, type(x).__float__
    trace, _ = recorded(lambda: (float(x), x.numpy(), np.float64(x)))
    assert (type(x).numpy, type(x).__float__) == before
    assert [escape.method for escape in trace.escapes] == ["float", "numpy", "float"]
    assert all(escape.tensor == x._id for escape in trace.escapes)


def test_graphs_of_functions_that_are_made_anew_do_not_pile_up() -> None:
    recorder = Recorder()
    recorder.start()
    try:
        for k in range(300):
            tf.function(lambda a, k=k: a + k)(tf.constant(1.0))
    finally:
        recorder.stop()
    assert len(recorder.log.functions) == 256


def test_the_innermost_function_is_found_each_time() -> None:
    """An op in one function, then in another that it calls, as deep under the first."""
    w, x = tf.Variable(1.0), tf.constant(2.0)

    def inner(a: Any) -> Any:
        return a + 1.0

    def outer(a: Any) -> Any:
        b = w + a
        return inner(a) * b

    trace, _ = recorded(lambda: outer(x))
    lines = [op.line for op in trace.operations if op.kind == "AddV2"]
    assert [line.function for line in lines if line] == ["outer", "inner"]


def test_a_large_variable_s_value_is_there_while_any_read_of_it_is() -> None:
    w = tf.Variable(tf.ones(100))

    def run() -> Any:
        tf.reduce_sum(w)
        return w.value()

    trace, read = recorded(run)
    (first,) = trace.variables[w.handle._id]
    assert read is not None and trace.array(first) is not None
