"""Where a slope dies: flat regions, rounding to 0, Python inside. Silent where it is 0 by right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from tapemagic import births, in_tensorflow, smoothing, stability
from tapemagic.births import Visit
from tapemagic.case import Case
from tapemagic.diagnosis import Diagnosis
from tapemagic.findings import finding, is_float, repaired
from tapemagic.rewriting import Fix, Source
from tapemagic.trace import Array, Operation

_FLAT = {
    "Relu": "relu is flat where its input is negative",
    "Relu6": "relu6 is flat below 0 and above 6",
    "ClipByValue": "what is clipped does not move",
    "Maximum": "the other side is the larger one",
    "Minimum": "the other side is the smaller one",
    "Sign": "sign is flat everywhere",
    "Sigmoid": "the sigmoid is saturated: it is so flat there that its slope rounds to 0",
    "Tanh": "tanh is saturated: it is so flat there that its slope rounds to 0",
    "Softmax": "the softmax is saturated: its slope rounds to 0",
    "Erf": "erf is saturated: its slope rounds to 0",
    "Erfc": "erfc is saturated: its slope rounds to 0",
    "Elu": "elu is saturated: its slope rounds to 0",
    "Selu": "selu is saturated: its slope rounds to 0",
    "Softplus": "softplus is saturated: its slope rounds to 0",
    "SelectV2": "where chose the other side for every entry",
    "Select": "where chose the other side for every entry",
}
_CORNERS = {"Relu", "Relu6", "ClipByValue", "Maximum", "Minimum", "Sign"}  # told elsewhere
_MULTIPLY = {"Mul", "MatMul", "Square", "Cast", "RealDiv", "Prod", "Exp", "Pow"}
_NEVER_ZERO = {"Exp", "Sigmoid", "Softplus"}
_PYTHON = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}


def zero(case: Case) -> Iterator[Diagnosis]:
    """Where the slope dies: flat regions, rounding to 0, Python inside. Silent where the
    mathematical derivative is 0."""
    visits = list(births.sweep(case.trace, case.sources, case.target, case.seed))
    every = list(births.zeroing(visits, case.sources))
    dead = (v for v in every if _is_flat(case, v.operation) or _is_backward(case, v.operation))
    visit = next(dead, every[0] if every else None)  # a square at 0 has slope 0 by right
    python = [op for op in case.trace.operations if op.kind in _PYTHON]
    reached = {key for op in python for key in op.outputs}
    if python and (visit is None or visit.operation.kind in _PYTHON or _needs(case, reached)):
        operation = visit.operation if visit and visit.operation.kind in _PYTHON else python[0]
        message = (
            f"here the value goes through Python code that TensorFlow cannot follow "
            f"({operation.kind}): with NumPy inside, the tape answers 0 in place of None. Stay "
            "with TensorFlow's own functions."
        )
        fix = repaired(operation.line, lambda s, n: in_tensorflow.rewritten(s, n, n))
        yield finding("left_tensorflow", operation.line, message, fix)
        return
    gone = _rounded_away(case)
    if visit is not None and _is_backward(case, visit.operation):
        yield _straight(case, visit.operation)
    elif visit is not None and _is_flat(case, visit.operation):
        make = _bent(case, visit)
        line = visit.operation.line
        fix = repaired(line, make) if make is not None else None
        yield finding("flat", line, _why_flat(case, visit), fix)
    elif gone is not None or (visit is not None and _underflows(case, visit)):
        operation = gone or visit.operation  # type: ignore[union-attr]
        message = (
            f"{operation.kind} gives 0 where mathematics does not: the result is smaller than the "
            "dtype can hold. Use a wider dtype, or logarithms."
        )
        fix = None if _is_beyond(case, operation) else repaired(operation.line, stability.wider)
        yield finding("underflow", operation.line, message, fix)


def _is_beyond(case: Case, operation: Operation) -> bool:
    """Whether float64 could not hold the result either."""
    value = case.trace.array(operation.inputs[0])
    if operation.kind != "Exp" or value is None:
        return False
    return not np.any(np.exp(np.asarray(value, dtype=np.float64)))


def _is_flat(case: Case, operation: Operation) -> bool:
    told_elsewhere = case.check.kink and operation.kind in _CORNERS
    return operation.kind in _FLAT and not told_elsewhere


def _rounded_away(case: Case) -> Operation | None:
    """The first op whose recorded result is 0 everywhere, though no factor is."""
    for operation in births.between(case.trace, case.sources, case.target):
        outputs = [case.trace.array(key) for key in operation.outputs]
        values = [case.trace.array(key) for key in operation.inputs]
        floats = [v for v in outputs if v is not None and is_float(v) and v.size]
        if not floats or any(np.any(v) for v in floats):
            continue
        if operation.kind in _NEVER_ZERO:
            return operation
        factors = [v for v in values if v is not None and is_float(v) and v.size]
        if operation.kind in ("Mul", "Square", "Prod", "Pow") and all(np.all(v) for v in factors):
            return operation
        if operation.kind == "MatMul" and 0.0 < _largest_product(factors) < _smallest(floats[0]):
            return operation
    return None


def _largest_product(factors: Sequence[Array]) -> float:
    return float(np.prod([np.max(np.abs(v.astype(np.float64))) for v in factors]))


def _smallest(value: Array) -> float:
    return float(np.finfo(value.dtype).tiny)


def _why_flat(case: Case, visit: Visit) -> str:
    if _is_alone(case, visit.operation):
        return "a softmax over one entry is 1, whatever the entry is. For one output use a sigmoid."
    if _is_summed(visit):
        return (
            "the outputs of a softmax add up to 1, whatever its input is: where all of them count "
            "the same, nothing is left to change. Weigh them, or take one of them."
        )
    kind = visit.operation.kind
    return f"{_FLAT[kind]}: no slope gets through {kind}."


def _is_alone(case: Case, operation: Operation) -> bool:
    shape = case.trace.tensors[operation.outputs[0]].shape
    return operation.kind == "Softmax" and shape[-1:] == (1,)


def _is_summed(visit: Visit) -> bool:
    weights = [np.asarray(value) for value in visit.received.values()]
    same = all(np.allclose(w, w[..., :1]) for w in weights if w.ndim)
    return visit.operation.kind == "Softmax" and same


def _bent(case: Case, visit: Visit) -> Callable[[Source, int], Fix | None] | None:
    if _is_alone(case, visit.operation):
        return smoothing.sigmoid
    return None if _is_summed(visit) else partial(smoothing.less_flat, kind=visit.operation.kind)


def _is_backward(case: Case, operation: Operation) -> bool:
    """Whether an op belongs to the answer of another tape."""
    lines = [line for line in case.answers.values() if line is not None]
    return operation.kind.endswith("Grad") or (
        operation.kind in _FLAT and operation.line is not None and operation.line in lines
    )


def _straight(case: Case, operation: Operation) -> Diagnosis:
    """The derivative of a slope that is constant but for jumps."""
    kind = operation.kind.removesuffix("Grad")
    forward = [
        op
        for op in case.trace.operations
        if op.kind == kind and {*op.inputs, *op.outputs} & {*operation.inputs}
    ]
    line = forward[0].line if forward else operation.line
    message = (
        f"the slope of what was computed here is constant but for jumps ({kind}), as that of relu, "
        "abs and max is: the derivative of that slope is 0 wherever there is one. Use a function "
        "that bends, such as tanh or softplus."
    )
    return finding("higher_order", line, message, repaired(line, smoothing.bending))


def _needs(case: Case, keys: set[int]) -> bool:
    needed = {case.target}
    for operation in reversed(case.trace.operations):
        if needed.intersection(operation.outputs):
            needed.update(operation.inputs)
    return bool(needed & keys)


def _underflows(case: Case, visit: Visit) -> bool:
    """Whether the op multiplies what is nowhere all 0, so that only rounding can make it 0."""
    operation = visit.operation
    values = [case.trace.array(key) for key in operation.inputs]
    outputs = [case.trace.array(key) for key in operation.outputs]
    if any(is_float(v) and v is not None and not v.size for v in (*values, *outputs)):
        return False
    if not all(not is_float(v) or bool(np.any(v)) for v in values):
        return False
    gone = any(is_float(v) and not np.any(v) for v in outputs)
    if operation.kind in ("Mul", "MatMul") and not gone and not _is_tiny(case, visit):
        return False  # the products cancel in a sum
    return operation.kind in _MULTIPLY or (gone and operation.kind == "Sigmoid")


def _is_tiny(case: Case, visit: Visit) -> bool:
    """Whether the products that make a share are too small for the dtype, one by one."""
    operation = visit.operation
    first, second = (case.trace.array(key) for key in operation.inputs[:2])
    if first is None or second is None or first.dtype.kind != "f":
        return True
    came = max(float(np.max(np.abs(value), initial=0.0)) for value in visit.received.values())
    factors = [second, first]  # a share of the one is a product with the other
    sizes = [
        came * float(np.max(np.abs(factor), initial=0.0))
        for key, factor in zip(operation.inputs, factors)
        if visit.gave.get(key) is not None
    ]
    return all(size < float(np.finfo(first.dtype).tiny) for size in sizes)
