"""The check: tape = closed form = central difference?

Three independent numbers: what the tape returned, the closed form (or, without one, the
equations) evaluated in NumPy float64, and a central difference on a replay of the recorded
ops in float64. The tolerance follows from the dtype's precision and from how much the result
moves when the recorded values are moved by that much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import numpy as np

from tapemagic.numeric import NotReplayable, Replay
from tapemagic.trace import Array, Operation, Trace

EPSILON = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}
_STOPS = {"StopGradient", "PreventGradient"}
_WORK = 60_000  # replayed ops that one check may cost
Function = Callable[[Sequence[Array]], Array]


@dataclass(frozen=True)
class Check:
    """`tape`, `symbolic` and `finite_difference` as float64 arrays, None where there is none.

    A large `tape` is a read-only view of the tensor's own memory; of `IndexedSlices` of a large
    table, the rows.

    `agrees`: True or False, None where there was nothing to compare. `note` says what was
    compared, or why not; `kink` that the one-sided differences disagree; `derived` whether the
    closed form by itself gives the tape's value.
    """

    tape: Array | None
    symbolic: Array | None
    finite_difference: Array | None
    agrees: bool | None
    note: str = ""
    kink: bool = False
    derived: bool | None = None


@dataclass(frozen=True)
class Difference:
    """A central difference with an estimate of its own error; `low`, `high`: the one-sided ones.
    `hidden` gives a further error, for the function's value need not show what cancelled in it;
    it takes long, and is asked where there is doubt."""

    value: Array
    error: Array
    low: Array
    high: Array
    kink: bool
    hidden: Callable[[], float] | None = None


def target_function(
    trace: Trace, target: int, leaves: Sequence[Sequence[int]], weights: Array | None
) -> Function:
    """The recorded program as a function of its sources' shifts, in float64.

    The result is Σ weights · target, or the target itself where `weights` is None.
    """
    made: set[int] = set()
    kept = []
    for operation in trace.operations:
        # What the tape was handed as one op has run as its parts: these are replayed.
        is_whole = operation.given and made.intersection(operation.outputs)
        # Off the tape, nothing moves: to it, what came out is a constant. So is what was stopped.
        if not is_whole and not operation.off_tape and operation.kind not in _STOPS:
            kept.append(operation)
        made.update(operation.outputs)
    flat = [key for keys in leaves for key in keys]
    program = Replay(Trace(tuple(kept), trace.tensors), flat, [target])

    def run(shifts: Sequence[Array]) -> Array:
        moved = {}
        for keys, shift in zip(leaves, shifts):
            for key in keys:
                data = trace.tensors[key].data
                if data is None:
                    raise NotReplayable("a source too large to keep")
                moved[key] = np.asarray(data, dtype=np.float64) + shift
        with np.errstate(all="ignore"):
            found = np.asarray(program.run(moved)[target], dtype=np.float64)
            return found if weights is None else np.asarray(np.sum(weights * found))

    return run


def finite_difference(
    run: Function,
    points: Sequence[Array],
    order: Sequence[int],
    operations: int,
    entrywise: bool = False,
    along: Array | None = None,
) -> Difference:
    """∂ⁿ run/∂source… for the sources numbered in `order`, the last one entry by entry.

    Lower orders are taken along (1, …, 1), as a gradient of a gradient is, or the first one
    `along` a vector; or `entrywise` too, as in a Hessian. Nested central differences with step
    ε^{1/(n+2)}; the error is estimated from the doubled step. Raises `NotReplayable` where an op
    cannot be replayed or the work would be too much.
    """
    free = list(order) if entrywise else [order[-1]]
    shapes = [points[source].shape for source in free]
    shape = tuple(size for one in shapes for size in one)
    if 0 in shape:
        raise NotReplayable("there is nothing to move in an empty tensor")
    evaluations = 2 ** len(order) * 2 * max(1, int(np.prod(shape)))
    if evaluations * operations > _WORK:
        raise NotReplayable("replaying so many ops would take too long")
    base = np.asarray(run([np.zeros(p.shape) for p in points]))
    small, large, low, high = (np.zeros(base.shape + shape) for _ in range(4))
    kink, steps = False, []
    twice = entrywise and len(order) == 2 and order[0] == order[1]
    half = len(shape) // 2
    for index in np.ndindex(*shape):
        if twice and index[:half] > index[half:]:  # by i and j is by j and i
            place, other = (..., *index), (..., *index[half:], *index[:half])
            small[place], large[place] = small[other], large[other]
            continue
        directions = _directions(points, order, shapes, index)
        if along is not None:
            directions[0] = along
        step = _step(points, order, directions)
        steps.append(step)
        near = dict(_around(run, points, order, directions, step))
        far = dict(_around(run, points, order, directions, 2 * step))
        place = (..., *index)
        small[place] = _central(near, step, len(order))
        large[place] = _central(far, 2 * step, len(order))
        if len(order) == 1:
            low[place], high[place], bent = _one_sided(near, far, base, step)
            kink = kink or bent
    power = min(steps) ** len(order)
    rounding = 2.0**-50 * np.max(np.abs(base), initial=0.0) / power
    value, error = (4 * small - large) / 3, np.abs(small - large) / 3 + rounding
    hidden = partial(_hidden_noise, run, points, power)
    return Difference(value, error, low, high, kink, hidden)


def _hidden_noise(run: Function, points: Sequence[Array], power: float) -> float:
    """The rounding of what is larger than the value and cancels in it, `power` being stepⁿ: the
    quotients of six steps would lie on a parabola, and do not."""
    largest = max((float(np.max(np.abs(p), initial=0.0)) for p in points), default=1.0)
    step = 2.0 ** (-52 / 3) * min(max(largest, 1e-3), 1e6)

    def quotient(times: float) -> Array:
        ahead, back = ([sign * times * step * np.ones(p.shape) for p in points] for sign in (1, -1))
        return np.asarray((run(ahead) - run(back)) / (2 * times * step))

    one, two = quotient(1.0), quotient(2.0)
    off = (
        times * step * np.abs(quotient(times) - one - (two - one) / 3 * (times**2 - 1))
        for times in (0.7, 1.3, 1.6, 16.0)  # the last is far enough to see a coarse grid
    )
    return float(np.max([np.max(one_, initial=0.0) for one_ in off])) / power


def _directions(
    points: Sequence[Array],
    order: Sequence[int],
    shapes: Sequence[tuple[int, ...]],
    index: tuple[int, ...],
) -> list[Array]:
    """One direction an order: (1, …, 1), or for the last `len(shapes)` of them one entry."""
    found = [np.ones(points[source].shape) for source in order]
    for back, shape in zip(range(len(order) - len(shapes), len(order)), shapes):
        own, index = index[: len(shape)], index[len(shape) :]
        found[back] = np.zeros(shape)
        found[back][own] = 1.0
    return found


def _step(points: Sequence[Array], order: Sequence[int], directions: Sequence[Array]) -> float:
    """A step for entries of the size that the directions touch."""
    sizes = [np.max(np.abs(points[s] * d), initial=0.0) for s, d in zip(order, directions)]
    scale = min((float(size) for size in sizes if size), default=1.0)
    return float(2.0 ** (-52 / (len(order) + 2)) * min(max(scale, 1e-3), 1e6))


def _around(
    run: Function,
    points: Sequence[Array],
    order: Sequence[int],
    directions: Sequence[Array],
    step: float,
) -> Iterator[tuple[tuple[float, ...], Array]]:
    """The function at all corners ± step along each of the directions."""
    for signs in product((1.0, -1.0), repeat=len(order)):
        shifts = [np.zeros(p.shape) for p in points]
        for source, direction, sign in zip(order, directions, signs):
            shifts[source] = shifts[source] + sign * step * direction
        yield signs, run(shifts)


def _central(corners: Mapping[tuple[float, ...], Array], step: float, order: int) -> Array:
    total = sum(np.prod(signs) * value for signs, value in corners.items())
    return np.asarray(total / (2 * step) ** order)


def _one_sided(
    near: Mapping[tuple[float, ...], Array],
    far: Mapping[tuple[float, ...], Array],
    base: Array,
    step: float,
) -> tuple[Array, Array, bool]:
    """Both one-sided slopes, and whether they stay apart as the step shrinks.

    The gap between them is halved with the step where the function is smooth.
    """
    before, after = (base - near[(-1.0,)]) / step, (near[(1.0,)] - base) / step
    wide = np.max(np.abs(far[(1.0,)] - 2 * base + far[(-1.0,)]), initial=0.0) / (2 * step)
    gap = np.max(np.abs(after - before), initial=0.0)
    size = np.max(np.abs([before, after]), initial=0.0)
    rounding = 16 * np.finfo(float).eps * np.max(np.abs(base), initial=0.0) / step
    kink = gap > 1e-3 * max(size, 1e-12) and gap > 0.75 * wide and gap > rounding
    return np.minimum(before, after), np.maximum(before, after), bool(kink)


@dataclass(frozen=True)
class Precision:
    """What rounding can do to a derivative: `dtype`, the number of `operations`, the `spread`
    of the derivative when recorded values move by the dtype's precision, and the `scale` of
    what may have cancelled on the way (target / sourceⁿ). `custom` names the custom gradients
    that were taken as given."""

    dtype: str
    operations: int
    spread: Array | float = 0.0
    scale: float = 0.0
    custom: str = ""

    def tolerance(self, tape: Array) -> Array:
        """What two correct answers may differ by, if the problem is well conditioned."""
        epsilon = EPSILON.get(self.dtype, 2.0**-23)
        largest = float(np.max(np.abs(tape), initial=0.0))
        growth = 40 * epsilon * max(1.0, float(np.sqrt(self.operations)))
        size = np.maximum(np.abs(tape), largest / 4)  # what cancels was as large as its like
        return np.asarray(growth * size + 16 * epsilon * self.scale + 1e-30)


def compare(
    tape: Array | None,
    symbolic: Array | None,
    chain: Array | None,
    difference: Difference | str,
    precision: Precision,
) -> Check:
    """The verdict. `symbolic` is the closed form's value, `chain` that of the products that are
    shown; `difference` may be the reason why there is none."""
    fd = None if isinstance(difference, str) else difference.value
    if tape is None:
        return Check(None, symbolic, fd, None, "the tape returned None")
    if not np.all(np.isfinite(tape)):
        return Check(tape, symbolic, fd, None, "the tape's value is not finite")
    notes = []
    if symbolic is not None and not np.all(np.isfinite(symbolic)):
        symbolic, notes = None, ["the closed form overflows in float64"]
    strict = precision.tolerance(tape)
    loose = strict + 16 * np.asarray(precision.spread)
    good: list[bool | None] = []
    if symbolic is not None:
        good.append(_verdict(symbolic, tape, strict, loose))
        if good[-1] is None:
            notes.append("so sensitive to rounding that the closed form cannot decide")
    if chain is not None and np.all(np.isfinite(chain)):
        by_chain = _verdict(chain, tape, strict, loose)
        good = [False] if by_chain is False else good or [by_chain]
    derived, kink = (good[0] if good else None), False
    if isinstance(difference, str):
        notes.append(f"no finite difference: {difference}")
    else:
        verdict, note, kink = _against_difference(tape, difference, strict, loose, derived)
        good.append(verdict)
        if note:
            notes.append(note)
    known = [verdict for verdict in good if verdict is not None]
    agrees = all(known) if known else None
    if agrees is False and derived is not False and precision.custom:
        notes.append(f"the custom gradient of {precision.custom} overrides calculus")
    return Check(tape, symbolic, fd, agrees, "; ".join(notes), kink, derived)


def _verdict(other: Array, tape: Array, strict: Array, loose: Array) -> bool | None:
    """True within the tolerance; None where only a wide one, for a bad condition, would do."""
    off = np.abs(other - tape)
    if np.all(off <= strict):
        return True
    if not np.all(off <= loose):
        return False
    return True if np.all(loose <= 1e-2 * np.max(np.abs(tape), initial=0.0)) else None


def _is_noise(difference: Difference) -> bool:
    """Whether what looks like a kink is the rounding of what cancelled."""
    gap = float(np.max(difference.high - difference.low, initial=0.0))
    return difference.hidden is not None and gap <= 8 * difference.hidden()


MEET = "several corners meet here: TensorFlow's slopes at each need not give one between these"


def _against_difference(
    tape: Array, difference: Difference, strict: Array, loose: Array, derived: bool | None
) -> tuple[bool | None, str, bool]:
    fd = difference.value
    if not np.all(np.isfinite(fd)):
        return None, "no finite difference: the function is not finite on both sides", False
    if difference.kink and not _is_noise(difference):
        slack = strict + 1e-3 * np.maximum(np.abs(tape), 1.0)
        inside = (difference.low - slack <= tape) & (tape <= difference.high + slack)
        widest = int(np.argmax(difference.high - difference.low))
        low, high = float(difference.low.flat[widest]), float(difference.high.flat[widest])
        note = f"a kink: the one-sided slopes are {low:.6g} and {high:.6g}"
        bent = difference.high - difference.low > slack
        if derived and not np.all(inside) and np.all(inside | bent):
            return None, f"{note}; {MEET}", True
        return bool(np.all(inside)), note, True
    error = difference.error
    if np.any(np.abs(fd - tape) > strict + 8 * error) and difference.hidden is not None:
        error = error + difference.hidden()
    if np.any(error > 0.05 * np.maximum(np.abs(tape), 1e-9) + 10 * strict):
        return None, "the finite difference is too inaccurate here to decide", False
    return _verdict(fd, tape, strict + 8 * error, loose + 8 * error), "", False


def hidden_slope(trace: Trace, target: int, sources: Sequence[int]) -> Array | None:
    """The difference quotient of the recorded program, also along ways that the tape did not
    follow: off the tape, behind `stop_gradient`, through assigned variables. None where the
    program cannot be replayed."""
    data = [trace.array(key) for key in sources]
    if not data or target not in trace.tensors or any(d is None for d in data):
        return None
    operations = [
        replace(op, off_tape=False, kind="Identity" if op.kind in _STOPS else op.kind)
        for op in trace.operations
    ]
    operations = _through_state(operations)
    points = [np.asarray(data[0], dtype=np.float64)]
    shape = trace.tensors[target].shape
    try:
        whole = replace(trace, operations=tuple(operations))
        run = target_function(whole, target, [list(sources)], np.ones(shape))
        found = finite_difference(run, points, [0], len(operations))
    except Exception:  # noqa: BLE001 - what cannot be replayed decides nothing
        return None
    sure = np.all(found.error <= 0.05 * np.maximum(np.abs(found.value), 1e-6))
    return found.value if sure and np.all(np.isfinite(found.value)) else None


def _through_state(operations: Sequence[Operation]) -> list[Operation]:
    """With each read of a variable as a copy of what was assigned to it last."""
    stored: dict[int, int] = {}
    found = []
    for operation in operations:
        if operation.kind == "AssignVariableOp" and len(operation.inputs) == 2:
            stored[operation.inputs[0]] = operation.inputs[1]
        elif operation.kind == "ReadVariableOp" and operation.inputs[0] in stored:
            value = (stored[operation.inputs[0]],)
            found.append(replace(operation, kind="Identity", inputs=value, attributes={}))
            continue
        found.append(operation)
    return found
