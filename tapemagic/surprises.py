"""Right values that are not what many expect: sums, choices at corners, conjugates, roundings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tapemagic import births, edges, remedies, stability
from tapemagic.case import Case
from tapemagic.check import MEET
from tapemagic.diagnosis import Diagnosis
from tapemagic.findings import finding, is_float, repaired
from tapemagic.nonfinite import DEGENERATE
from tapemagic.numbers import written
from tapemagic.numeric import Replay
from tapemagic.trace import Array, Operation

_KINKS = {
    *("Abs", "Relu", "Relu6", "LeakyRelu", "Maximum", "Minimum", "Max", "Min", "ClipByValue"),
    *("Elu", "Selu", "Sign", "TopKV2"),
}


_CANCELS = {"Sub", "AddV2", "Add", "Sum", "Mean", "AddN"}


_ROUGH = 1e-2  # relative error that is worth a word


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
    fix = repaired(case.call, lambda s, n: remedies.conjugated(s, n, case.method))
    yield finding("convention", case.call, message, fix)


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
    yield finding("custom", line, message, None)


def _kink(case: Case) -> Iterator[Diagnosis]:
    if not case.check.kink:
        return
    operations = births.between(case.trace, case.sources, case.target)
    at = next((op for op in operations if op.kind in _KINKS and _bends(case, op)), None)
    if at is None:
        return
    sides = case.check.note.split("one-sided slopes are ")[-1].split(";")[0]
    choice = MEET if MEET in case.check.note else "TensorFlow's answer is a choice between them"
    message = (
        f"{at.kind} has a corner exactly here: from the two sides the slopes are {sides}, and "
        f"{choice}."
    )
    yield finding("kink", at.line, message, None)


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
        "with the derivative of their sum. For each entry by itself ask for the Jacobian."
    )
    fix = repaired(case.call, lambda s, n: remedies.jacobian(s, n, case.method))
    yield finding("summed", case.call, message, fix)


def _degenerate(case: Case) -> Iterator[Diagnosis]:
    """Eigenvectors or singular vectors that belong to repeated values."""
    used = births.between(case.trace, case.sources, case.target)
    for operation in used:
        if operation.kind not in DEGENERATE or len(operation.outputs) < 2:
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
                "rotation among them would do, and TensorFlow's answer for them is no derivative."
            )
            fix = repaired(operation.line, edges.safe)
            yield finding("degenerate", operation.line, message, fix)
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
        f"{culprit.kind} subtracts numbers that are almost equal: most digits of {dtype} cancel, "
        f"and what is left is rounding{right}. Compute in float64, or rewrite the expression."
    )
    yield finding("precision", culprit.line, message, repaired(culprit.line, stability.wider))


def _cancels(case: Case, operations: Sequence[Operation]) -> Operation | None:
    keys = [key for op in operations for key in op.outputs]
    try:
        replay = Replay(case.trace, list(case.sources), keys)
        base = {}
        for key in case.sources:
            data = case.trace.array(key)
            if data is None or data.dtype.kind not in "fV":
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
    if _is_in_the_data(case, exact[case.target]):
        return None
    for operation in operations:
        before = max([_error(case, key, exact) or 0.0 for key in operation.inputs], default=0.0)
        after = max([_error(case, key, exact) or 0.0 for key in operation.outputs], default=0.0)
        if after > max(1e-4, 100 * before):
            return operation if operation.kind in _CANCELS else None
    return None


def _is_in_the_data(case: Case, exact: Array) -> bool:
    """Whether the last digit of the data decides: then no other way to compute helps."""
    trace = case.trace
    made = {key for operation in trace.operations for key in operation.outputs}
    given = {key for op in trace.operations for key in op.inputs if key not in made}
    moved: dict[int, Array] = {}
    for key in (*case.sources, *sorted(given)):
        value = trace.array(key)
        if value is not None and is_float(value) and (value.size > 1 or key in case.sources):
            wide = np.asarray(value, dtype=np.float64)
            signs = np.where(np.arange(wide.size) % 2, 1.0, -1.0).reshape(wide.shape)
            moved[key] = wide * (1 + float(np.finfo(np.float32).eps) * signs)
    try:
        after = Replay(trace, list(moved), [case.target]).run(moved)[case.target]
    except Exception:  # noqa: BLE001 - as above
        return False
    size = max(float(np.max(np.abs(exact), initial=0.0)), 1e-300)
    return float(np.max(np.abs(after - exact), initial=0.0)) > 10 * _ROUGH * size


def _error(case: Case, key: int, exact: dict[int, Array]) -> float | None:
    recorded, right = case.trace.array(key), exact.get(key)
    if recorded is None or right is None or recorded.dtype.kind not in "fV":
        return None
    recorded = np.asarray(recorded, dtype=np.float64)
    scale = float(np.max(np.abs(right), initial=0.0))
    if scale == 0.0 or not np.all(np.isfinite(right)):
        return None
    return float(np.max(np.abs(recorded - right), initial=0.0)) / scale
