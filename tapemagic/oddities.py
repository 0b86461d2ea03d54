"""Values that are not what was hoped for: nan and inf, zeros, kinks, sums, roundings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tapemagic import births, remedies
from tapemagic.births import Visit
from tapemagic.case import Case
from tapemagic.diagnosis import Diagnosis
from tapemagic.numbers import written
from tapemagic.numeric import Replay
from tapemagic.remedies import Fix, Source
from tapemagic.trace import Array, Line, Operation

_SELECTS = {"Select", "SelectV2"}
_GROWS = {"Exp", "Cosh", "Sinh", "Expm1", "Mul", "Pow", "Square", "Sum", "MatMul", "BatchMatMulV2"}
_DEGENERATE = {"SelfAdjointEigV2", "Svd", "Eig", "Qr"}
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
    "Elu": "elu is saturated: its slope rounds to 0",
    "Selu": "selu is saturated: its slope rounds to 0",
    "Softplus": "softplus is saturated: its slope rounds to 0",
    "SelectV2": "where chose the other side for every entry",
    "Select": "where chose the other side for every entry",
}
_KINKS = {
    *("Abs", "Relu", "Relu6", "LeakyRelu", "Maximum", "Minimum", "Max", "Min", "ClipByValue"),
    *("Elu", "Selu", "Sign", "TopKV2"),
}
_MULTIPLY = {"Mul", "MatMul", "Square", "Cast", "RealDiv", "Prod", "Exp", "Pow"}
_CANCELS = {"Sub", "AddV2", "Add", "Sum", "Mean", "AddN"}
_ROUGH = 1e-2  # relative error that is worth a word
_PYTHON = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}


# -- nan and inf ---------------------------------------------------------------------------------


def not_finite(case: Case) -> Iterator[Diagnosis]:
    """The first op, forward or backward, that made it."""
    trace = case.trace
    operations = births.between(trace, case.sources, case.target)
    target = trace.array(case.target)
    culprit = births.first_bad_value(trace, operations)
    visits = list(births.sweep(trace, case.sources, case.target, case.seed))
    backward = births.first_bad_cotangent(visits)
    masked = _selected_away(case, operations, backward.operation if backward else culprit)
    if masked is not None and (target is None or np.all(np.isfinite(target))):
        yield _where(case, masked, culprit or (backward.operation if backward else masked))
    elif culprit is not None:
        yield _bad_value(case, culprit)
    elif backward is not None:
        yield _bad_cotangent(case, backward)
    else:
        source = [trace.array(key) for key in case.sources]
        if any(value is not None and not np.all(np.isfinite(value)) for value in source):
            line = case.call
            message = f"{case.source.text} itself is not finite at this call: it was so before."
            yield _diagnosis("overflow", line, message, None)


def _selected_away(
    case: Case, operations: Sequence[Operation], culprit: Operation | None
) -> Operation | None:
    """The `where` behind the culprit that does not use its bad entries."""
    if culprit is None:
        return None
    below = set(culprit.outputs)
    for operation in operations:
        if below.intersection(operation.inputs):
            if operation.kind in _SELECTS:
                return operation
            below.update(operation.outputs)
    return None


def _where(case: Case, select: Operation, culprit: Operation) -> Diagnosis:
    at = culprit.line.number if culprit.line else 0
    message = (
        f"where computes both sides: {culprit.kind} (line {at}) is not finite or has no finite slope "
        "in entries that where leaves out, and 0 times that is nan on the way back. Put a safe "
        "value into the argument before (the double where)."
    )
    fix = _repaired(select.line, lambda s, n: remedies.double_where(s, n, at))
    if fix is None and culprit.line is not None:
        fix = _repaired(culprit.line, remedies.safe)
    return _diagnosis("where", select.line or culprit.line, message, fix)


def _bad_value(case: Case, culprit: Operation) -> Diagnosis:
    values = [case.trace.array(key) for key in culprit.inputs]
    made = [case.trace.array(key) for key in culprit.outputs]
    grown = not any(m is not None and _is_float(m) and np.any(np.isnan(m)) for m in made)
    cause = "overflow" if grown and _overflows(culprit, values) else "domain"
    if culprit.kind in _DEGENERATE:
        cause = "degenerate"
    gave = next((_bad_entry(m) for m in made if m is not None), "nan")
    message = f"{culprit.kind} makes {gave} of {_entries(values, made)}: " + (
        "the result is larger than the dtype can hold."
        if cause == "overflow"
        else "it is not defined there, and nan or inf go through all that follows."
    )
    return _diagnosis(cause, culprit.line, message, _repaired(culprit.line, _remedy(cause)))


def _overflows(culprit: Operation, values: Sequence[Array | None]) -> bool:
    if culprit.kind in ("Exp", "Cosh", "Sinh", "Expm1", "Cast", "Square", "Sum", "MatMul", "AddV2"):
        return True
    if culprit.kind == "Pow":  # inf of a base that is not 0
        base = values[0]
        return base is not None and not np.any(np.asarray(base, float) == 0)
    return culprit.kind in ("Mul", "Prod", "Sub")


def _bad_cotangent(case: Case, visit: Visit) -> Diagnosis:
    operation = visit.operation
    values = [case.trace.array(key) for key in operation.inputs]
    if operation.kind in _DEGENERATE:
        message = (
            f"{operation.kind} has repeated (or zero) values: their vectors are not unique, and the "
            "derivative divides by the difference of two equal ones."
        )
        return _diagnosis(
            "degenerate", operation.line, message, _repaired(operation.line, remedies.safe)
        )
    gave = next((s for s in visit.gave.values() if s is not None and not _finite(s)), None)
    cause = "domain"
    if operation.kind in _GROWS - {"Pow"} and not any(
        v is not None and np.any(v == 0) for v in values
    ):
        cause = "overflow"
    message = (
        f"the value of {operation.kind} is fine, its slope is not: at {_entries(values, [gave])} the "
        f"derivative is {_bad_entry(gave) if gave is not None else 'not finite'}."
    )
    return _diagnosis(cause, operation.line, message, _repaired(operation.line, _remedy(cause)))


def _remedy(cause: str) -> Callable[[Source, int], Fix | None]:
    return remedies.stable if cause == "overflow" else remedies.safe


def _bad_entry(value: Array) -> str:
    bad = value[~np.isfinite(value)] if value.dtype.kind in "fc" else value
    if bad.size == 0:
        return "nan"
    one = complex(bad.flat[0]) if value.dtype.kind == "c" else float(bad.flat[0])
    return "nan" if one != one else "inf" if isinstance(one, complex) or one > 0 else "−inf"


def _entries(values: Sequence[Array | None], made: Sequence[Array | None]) -> str:
    """The input entries that the bad ones came from, where entries belong together."""
    bad = next((m for m in made if m is not None and not _finite(m)), None)
    told = []
    for value in values:
        if value is None or value.dtype.kind not in "fiu":
            continue
        index = None
        if bad is not None and value.shape == bad.shape and value.ndim:
            index = tuple(np.argwhere(~np.isfinite(bad))[0])
        if value.ndim == 0 or index is not None:
            told.append(written(float(value[index] if index is not None else value), "float32"))
        else:
            small = value.size <= 4
            told.append(
                "[" + ", ".join(str(written(float(v), "float32")) for v in value.flat) + "]"
                if small
                else f"a tensor of shape {value.shape}"
            )
    return " and ".join(str(part) for part in told) or "its input"


def _is_float(value: Array | None) -> bool:
    return value is not None and value.dtype.kind == "f"


def _finite(value: Array) -> bool:
    return value.dtype.kind not in "fc" or bool(np.all(np.isfinite(value)))


# -- zeros ---------------------------------------------------------------------------------------


def zero(case: Case) -> Iterator[Diagnosis]:
    """Where the slope dies: flat regions, rounding to 0, Python inside. Silent where the
    mathematical derivative is 0."""
    visits = list(births.sweep(case.trace, case.sources, case.target, case.seed))
    visit = births.zeroing(visits)
    python = [op for op in case.trace.operations if op.kind in _PYTHON]
    reached = {key for op in python for key in op.outputs}
    if python and (visit is None or visit.operation.kind in _PYTHON or _needs(case, reached)):
        operation = visit.operation if visit and visit.operation.kind in _PYTHON else python[0]
        message = (
            f"here the value goes through Python code that TensorFlow cannot follow "
            f"({operation.kind}): with NumPy inside, the tape answers 0 in place of None. Stay with "
            "TensorFlow's functions."
        )
        fix = _repaired(operation.line, remedies.in_tensorflow)
        yield _diagnosis("left_tensorflow", operation.line, message, fix)
        return
    if visit is None:
        return
    operation = visit.operation
    if operation.kind in _FLAT and not _at_extremum(case, operation):
        message = f"{_FLAT[operation.kind]}: no slope gets through {operation.kind}."
        fix = _repaired(operation.line, remedies.less_flat)
        yield _diagnosis("flat", operation.line, message, fix)
    elif _underflows(case, visit):
        message = (
            f"{operation.kind} multiplies numbers that are not 0, and gets 0: the product is smaller "
            "than the dtype can hold. Use a wider dtype, or logarithms."
        )
        yield _diagnosis(
            "underflow", operation.line, message, _repaired(operation.line, remedies.wider)
        )


def _needs(case: Case, keys: set[int]) -> bool:
    needed = {case.target}
    for operation in reversed(case.trace.operations):
        if needed.intersection(operation.outputs):
            needed.update(operation.inputs)
    return bool(needed & keys)


def _at_extremum(case: Case, operation: Operation) -> bool:
    """relu and its like exactly at their corner: that is a kink, told elsewhere."""
    return case.check.kink


def _underflows(case: Case, visit: Visit) -> bool:
    """Whether the slope is 0 by rounding only: with the recorded values in float64 it is not."""
    operation = visit.operation
    values = [case.trace.array(key) for key in operation.inputs]
    outputs = [case.trace.array(key) for key in operation.outputs]
    if any(_is_float(v) and v is not None and not v.size for v in (*values, *outputs)):
        return False
    if not all(not _is_float(v) or bool(np.any(v)) for v in values):
        return False
    gone = any(_is_float(v) and not np.any(v) for v in outputs)
    return operation.kind in _MULTIPLY or (gone and operation.kind == "Sigmoid")


# -- surprises -----------------------------------------------------------------------------------


def surprising(case: Case) -> Iterator[Diagnosis]:
    """Right values that are not what many expect."""
    yield from _convention(case)
    yield from _custom(case)
    yield from _kink(case)
    yield from _summed(case)
    yield from _precision(case)
    yield from _degenerate(case)


def _convention(case: Case) -> Iterator[Diagnosis]:
    value = case.value
    if value is None or value.dtype.kind != "c" or not np.any(np.imag(value)):
        return
    message = (
        "TensorFlow's derivative by a complex number is the complex conjugate of the mathematical "
        "one (the direction of steepest ascent of the real part): conjugate it to compare with a "
        "textbook."
    )
    fix = _repaired(case.call, lambda s, n: remedies.conjugated(s, n, case.method))
    yield _diagnosis("convention", case.call, message, fix)


def _custom(case: Case) -> Iterator[Diagnosis]:
    if "overrides calculus" not in case.check.note:
        return
    given = [op for op in births.between(case.trace, case.sources, case.target) if op.given]
    line = given[0].line if given else case.call
    slope = case.check.finite_difference
    size = (
        "" if slope is None or slope.size != 1 else f" ({written(float(slope.flat[0]), 'float32')})"
    )
    message = (
        f"a custom gradient was taken as it is given: it is not the derivative of the value{size}."
    )
    yield _diagnosis("custom", line, message, None)


def _kink(case: Case) -> Iterator[Diagnosis]:
    if not case.check.kink:
        return
    operations = births.between(case.trace, case.sources, case.target)
    at = next((op for op in operations if op.kind in _KINKS and _bends(case, op)), None)
    if at is None:
        return
    sides = case.check.note.split("one-sided slopes are ")[-1].split(";")[0]
    message = (
        f"{at.kind} has a corner exactly here: from the two sides the slopes are {sides}, and "
        "TensorFlow's answer is a choice between them."
    )
    yield _diagnosis("kink", at.line, message, None)


def _bends(case: Case, operation: Operation) -> bool:
    """Whether an input of the op is at a corner of it."""
    values = [case.trace.array(key) for key in operation.inputs]
    first = values[0]
    if first is None or first.dtype.kind not in "fV":
        return False
    first = np.asarray(first, dtype=np.float64)
    if operation.kind in ("Max", "Min", "TopKV2"):
        return first.size > np.unique(first).size
    if operation.kind in ("Maximum", "Minimum") and values[1] is not None:
        return bool(np.any(first == np.asarray(values[1], dtype=np.float64)))
    if operation.kind == "ClipByValue":
        bounds = [np.asarray(v, dtype=np.float64) for v in values[1:] if v is not None]
        return any(bool(np.any(first == bound)) for bound in bounds)
    if operation.kind == "Relu6":
        return bool(np.any((first == 0) | (first == 6)))
    return bool(np.any(first == 0))


def _summed(case: Case) -> Iterator[Diagnosis]:
    """A target of several entries: their slopes were added, and that is no single derivative."""
    shape = case.trace.tensors[case.target].shape
    if case.method != "gradient" or case.seed is not None or int(np.prod(shape)) <= 1:
        return
    if not _mixes(case):
        return
    what = "a derivative" if case.target in case.answers else f"of shape {shape}"
    message = (
        f"{case.target_text} is {what}, and has {int(np.prod(shape))} entries: the tape answers "
        f"with the derivative of their sum. For each entry by itself ask tape.jacobian."
    )
    fix = _repaired(case.call, lambda s, n: remedies.jacobian(s, n, case.method))
    yield _diagnosis("summed", case.call, message, fix)


def _degenerate(case: Case) -> Iterator[Diagnosis]:
    """Eigenvectors or singular vectors that belong to repeated values."""
    used = births.between(case.trace, case.sources, case.target)
    for operation in used:
        if operation.kind not in _DEGENERATE or len(operation.outputs) < 2:
            continue
        values = case.trace.array(operation.outputs[0])
        vectors = set(operation.outputs[1:])
        if values is None or not any(vectors.intersection(other.inputs) for other in used):
            continue
        ordered = np.sort(np.asarray(np.real(values), dtype=np.float64), axis=-1)
        gaps = np.abs(np.diff(ordered, axis=-1))
        if gaps.size and np.min(gaps) <= 1e-6 * np.max(np.abs(ordered), initial=1.0):
            message = (
                f"{operation.kind} has repeated values here: their vectors are not unique, any "
                "rotation among them would do, and what TensorFlow answers for them is no derivative."
            )
            fix = _repaired(operation.line, remedies.safe)
            yield _diagnosis("degenerate", operation.line, message, fix)
            return


def _mixes(case: Case) -> bool:
    """Whether one entry of the source moves several entries of the target: asked of the replay."""
    trace = case.trace
    values = [trace.array(key) for key in case.sources]
    if not values or any(v is None or v.dtype.kind not in "fV" for v in values):
        return False
    moved_keys = list(case.sources)
    try:
        replay = Replay(trace, moved_keys, [case.target])
        base = {k: np.asarray(v, dtype=np.float64) for k, v in zip(moved_keys, values)}
        before = replay.run(base)[case.target]
        size = base[moved_keys[0]].size
        for place in sorted({0, size // 2, size - 1}):
            after = {k: v.copy() for k, v in base.items()}
            for value in after.values():
                step = 1e-3 * max(1.0, abs(float(value.flat[place])))
                value.flat[place] += step
            changed = replay.run(after)[case.target] != before
            if int(np.sum(changed)) > 1:
                return True
    except Exception:  # noqa: BLE001 - what cannot be replayed decides nothing
        return False
    return False


def _precision(case: Case) -> Iterator[Diagnosis]:
    """Cancellation: the recorded values are far from those that float64 gives."""
    value, check = case.value, case.check
    dtype = case.trace.tensors[case.target].dtype
    if value is None or dtype not in ("float32", "float16", "bfloat16"):
        return
    operations = births.between(case.trace, case.sources, case.target)
    if not operations or len(operations) > 500:
        return
    culprit = _cancels(case, operations)
    if culprit is None:
        return
    better = check.finite_difference
    right = (
        ""
        if better is None or better.size != 1
        else f" (float64 says {written(float(better.flat[0]), 'float32')})"
    )
    message = (
        f"{culprit.kind} subtracts numbers that are almost equal: most digits of {dtype} cancel, and "
        f"what is left is rounding{right}. Compute in float64, or rewrite the expression."
    )
    yield _diagnosis("precision", culprit.line, message, _repaired(culprit.line, remedies.wider))


def _cancels(case: Case, operations: Sequence[Operation]) -> Operation | None:
    keys = [key for op in operations for key in op.outputs]
    try:
        replay = Replay(case.trace, list(case.sources), keys)
        base = {}
        for key in case.sources:
            data = case.trace.array(key)
            if data is None:
                return None
            base[key] = np.asarray(data, dtype=np.float64)
        exact = replay.run(base)
    except Exception:  # noqa: BLE001 - as above
        return None
    wrong = _error(case, case.target, exact) or 0.0
    better = case.check.finite_difference
    off = 0.0
    if better is not None and case.value is not None and better.shape == case.value.shape:
        off = float(np.max(np.abs(case.value - better), initial=0.0))
        off /= max(float(np.max(np.abs(better), initial=0.0)), 1e-12)
    if wrong < _ROUGH and (off < _ROUGH or case.check.agrees is not False):
        return None
    for operation in operations:
        before = max([_error(case, key, exact) or 0.0 for key in operation.inputs], default=0.0)
        after = max([_error(case, key, exact) or 0.0 for key in operation.outputs], default=0.0)
        if after > max(1e-4, 100 * before):
            return operation if operation.kind in _CANCELS else None
    return None


def _error(case: Case, key: int, exact: dict[int, Array]) -> float | None:
    recorded, right = case.trace.array(key), exact.get(key)
    if recorded is None or right is None or recorded.dtype.kind not in "fV":
        return None
    recorded = np.asarray(recorded, dtype=np.float64)
    scale = float(np.max(np.abs(right), initial=0.0))
    if scale == 0.0 or not np.all(np.isfinite(right)):
        return None
    return float(np.max(np.abs(recorded - right), initial=0.0)) / scale


# -- telling -------------------------------------------------------------------------------------


def _repaired(line: Line | None, make: Callable[[Source, int], Fix | None]) -> Fix | None:
    return make(Source(line.file), line.number) if line is not None and line.file else None


def _diagnosis(cause: str, line: Line | None, message: str, fix: Fix | None) -> Diagnosis:
    where = line or Line(0)
    if fix is None:
        return Diagnosis(cause, where.number, where.text, message, file=where.file)
    return Diagnosis(
        cause, where.number, where.text, message, fix.code, fix.first, fix.last, where.file
    )
