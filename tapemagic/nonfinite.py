"""The first op, forward or backward, that made a nan or an inf."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tapemagic import births, edges, stability
from tapemagic.births import Visit, is_finite
from tapemagic.case import Case
from tapemagic.diagnosis import Diagnosis
from tapemagic.findings import Repair, finding, is_float, repaired, together
from tapemagic.numbers import written
from tapemagic.trace import Array, Operation

DEGENERATE = {"SelfAdjointEigV2", "Svd", "Eig", "Qr"}
_LARGEST = 700.0  # e⁷⁰⁰ is still a float64
_EXPONENTIAL = {"Exp", "Expm1", "Cosh", "Sinh"}
_EDGED = {"Log", "Sqrt"}
_SELECTS = {"Select", "SelectV2"}
_DIVIDES = {"RealDiv", "Div", "DivNoNan"}
_GROWS = {"Exp", "Cosh", "Sinh", "Expm1", "Mul", "Pow", "Square", "Sum", "MatMul", "BatchMatMulV2"}


def not_finite(case: Case) -> Iterator[Diagnosis]:
    """The first op, forward or backward, that made it."""
    trace = case.trace
    operations = births.between(trace, case.sources, case.target)
    given = births.bad_data(trace, operations)
    if given is not None:
        operation, key = given
        yield _bad_data(case, operation, key)
        return
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
            yield finding("overflow", line, message, None)


def _bad_data(case: Case, reader: Operation, key: int) -> Diagnosis:
    bound = [b for b in case.trace.bindings if b.tensor == key and b.line is not None]
    name = bound[0].name if bound else "a constant"
    message = f"{name} holds nan before anything is computed: {reader.kind} passes it on."
    if not bound or not name.isidentifier():
        return finding("domain", reader.line, message, None)
    repair = Repair(bound[0].line, edges.without_nan, (), (("name", name),))
    return finding("domain", bound[0].line, message, together([repair]))


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
        f"where computes both sides: {culprit.kind} (line {at}) is not finite, or its slope is "
        "not, in entries that where leaves out, and 0 times that is nan on the way back. Put a "
        "safe value into the argument before (the double where)."
    )
    fix = repaired(select.line, lambda s, n: edges.double_where(s, n, at))
    if fix is None and culprit.line is not None:
        fix = repaired(culprit.line, edges.safe)
    return finding("where", select.line or culprit.line, message, fix)


def _bad_value(case: Case, culprit: Operation) -> Diagnosis:
    values = [case.trace.array(key) for key in culprit.inputs]
    made = [case.trace.array(key) for key in culprit.outputs]
    given = births.infinite_data(case.trace, culprit)
    if given is not None and given[0] not in case.sources:
        return _masked(case, culprit, *given)
    grown = not any(m is not None and is_float(m) and np.any(np.isnan(m)) for m in made)
    cause = "overflow" if grown and _overflows(culprit, values) else "domain"
    if culprit.kind in DEGENERATE:
        cause = "degenerate"
    gave = next((_bad_entry(m) for m in made if m is not None), "nan")
    message = f"{culprit.kind} makes {gave} of {_entries(values, made)}: " + (
        "the result is larger than the dtype can hold."
        if cause == "overflow"
        else "it is not defined there, and nan or inf go through all that follows."
    )
    first = _repair(cause, culprit, values)
    fix = together([*_further(case, culprit), first]) or together([first])
    return finding(cause, culprit.line, message, fix)


def _masked(case: Case, culprit: Operation, key: int, reader: Operation) -> Diagnosis:
    """An infinite constant, of which an op further on makes nan."""
    bound = [b for b in case.trace.bindings if b.tensor == key and b.line is not None]
    line = bound[0].line if bound else reader.line
    name = bound[0].name if bound else "a constant"
    at = culprit.line.number if culprit.line else 0
    message = (
        f"{name} holds an infinity, and {culprit.kind} (line {at}) makes nan of it: a softmax of "
        "nothing but −∞, ∞ − ∞ and 0 · ∞ have no value. A large number such as −1e9 masks as well."
    )
    return finding("domain", line, message, together([Repair(line, edges.finite)]))


def _further(case: Case, culprit: Operation) -> list[Repair]:
    """Logarithms and roots besides that get a 0: to mend the culprit alone would not do."""
    found = []
    operations = births.between(case.trace, case.sources, case.target)
    for operation in operations[::-1]:
        if operation is culprit or operation.line == culprit.line or operation.kind not in _EDGED:
            continue
        value = case.trace.array(operation.inputs[0])
        repair = Repair(operation.line, edges.safe)
        if value is not None and np.any(value == 0) and together([repair]) is not None:
            found.append(repair)
    return found


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
    if operation.kind in DEGENERATE:
        message = (
            f"{operation.kind} has repeated (or zero) values: their vectors are not unique, and "
            "the derivative divides by the difference of two equal ones."
        )
        return finding("degenerate", operation.line, message, repaired(operation.line, edges.safe))
    gave = next((s for s in visit.gave.values() if s is not None and not is_finite(s)), None)
    cause = "domain"
    if operation.kind in _GROWS - {"Pow"} and not any(
        v is not None and np.any(v == 0) for v in values
    ):
        cause = "overflow"
    where = _entries(values, [gave])
    message = (
        f"the value of {operation.kind} is fine, its slope is not: at {where} the "
        f"derivative is {_bad_entry(gave) if gave is not None else 'not finite'}."
    )
    return finding(cause, operation.line, message, together([_repair(cause, operation, values)]))


def _repair(cause: str, culprit: Operation, values: Sequence[Array | None]) -> Repair:
    if cause == "overflow":
        wider = Repair(culprit.line, stability.wider)
        if culprit.kind not in _EXPONENTIAL:
            return wider
        clipped = Repair(culprit.line, stability.stable, (), (("clipped", True),))
        stable = Repair(culprit.line, stability.stable)
        beyond = any(v is not None and is_float(v) and np.max(np.abs(v)) > _LARGEST for v in values)
        order = (stable, clipped, wider) if beyond else (stable, wider, clipped)
        return next((one for one in order if together([one]) is not None), wider)
    if culprit.kind == "Mean" and values[0] is not None and not values[0].size:
        return Repair(culprit.line, edges.of_any)
    known = [np.asarray(v, dtype=float) for v in values if v is not None and is_float(v)]
    below = bool(known) and bool(np.any(known[0] < 0))
    nowhere = culprit.kind in _DIVIDES and len(known) > 1 and not np.any(known[1])
    return Repair(culprit.line, edges.safe, (), (("below", below), ("nowhere", nowhere)))


def _bad_entry(value: Array) -> str:
    bad = value[~np.isfinite(value)] if value.dtype.kind in "fc" else value
    if bad.size == 0:
        return "nan"
    one = complex(bad.flat[0]) if value.dtype.kind == "c" else float(bad.flat[0])
    return "nan" if one != one else "inf" if isinstance(one, complex) or one > 0 else "−inf"


def _entries(values: Sequence[Array | None], made: Sequence[Array | None]) -> str:
    """The input entries that the bad ones came from, where entries belong together."""
    bad = next((m for m in made if m is not None and not is_finite(m)), None)
    told: list[object] = []
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
