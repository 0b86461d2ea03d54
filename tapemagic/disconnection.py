"""Why no derivative came, or not all of it: where the way from source to target is cut."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from tapemagic import codes, remedies, stand_ins
from tapemagic.case import Case
from tapemagic.check import Check, hidden_slope
from tapemagic.dependence import Cut, Dependence, Edge, cuts
from tapemagic.diagnosis import Diagnosis
from tapemagic.escapes import returns
from tapemagic.findings import finding, repaired
from tapemagic.numbers import written
from tapemagic.rewriting import Fix, Source
from tapemagic.trace import Array, Line

_STEPS = {
    "Floor": "floor",
    "Ceil": "ceil",
    "Round": "round",
    "Rint": "round",
    "FloorDiv": "//",
    "ArgMax": "argmax",
    "ArgMin": "argmin",
}


REPLICAS = "strategy.run"  # the kind of stretch that a tape misses because others run it


def none(case: Case) -> Iterator[Diagnosis]:
    """Why the tape answered None."""
    if not _is_floating(case.source.dtype) and not case.source.dtype.startswith("complex"):
        yield _integer_source(case)
        return
    graph = _graph(case)
    way = graph.way(case.sources, case.target)
    if way is None:
        yield from _no_way(case, graph)
        return
    found = list(_on_the_way(case, way))
    unseen = _not_watched(case, way)
    if unseen is not None:
        found.insert(0, unseen)
    if not found:
        found = [_unknown(case, way)]
    if len({diagnosis.cause for diagnosis in found} - {"higher_order"}) > 1:
        # To mend one of several cuts is not enough, and half a fix misleads.
        found = [replace(diagnosis, fix="", first=0, last=0) for diagnosis in found]
    yield from found


def lost(case: Case) -> Iterator[Diagnosis]:
    """Ways that are cut although others go through: the value is not all of the slope."""
    if case.source.dtype.startswith("complex"):
        return
    graph = _graph(case)
    for cut in graph.lost(case.source.seen or case.sources, case.target)[:3]:
        if cut.cause == "state" or cut.line is not None:
            yield _told(case, cut, partly=True)


def _graph(case: Case) -> Dependence:
    if case.target not in case.graphs:
        stops = [(first, last) for first, last, _, kind in case.tape.stops if kind != REPLICAS]
        graph = Dependence(case.trace, case.target, case.call, stops)
        case.graphs[case.target] = graph
    return case.graphs[case.target]


def _is_floating(dtype: str) -> bool:
    return dtype.startswith(("float", "bfloat"))


# -- the source ----------------------------------------------------------------------------------


def _made(case: Case, key: int | None = None) -> Line | None:
    """Where a source came to be: its binding, else the op that made it."""
    key = case.source.key if key is None else key
    keys = {key, *(case.source.reads if case.source.is_variable else ())}
    bound = [b for b in case.trace.bindings if b.tensor in keys and b.line is not None]
    named = [b for b in bound if b.name.split(".")[-1] == case.source.text.split(".")[-1]]
    if named or bound:
        return (named or bound)[0].line
    made = [op for op in case.trace.operations if key in op.outputs and op.line is not None]
    return made[-1].line if made else None


def _integer_source(case: Case) -> Diagnosis:
    line = _made(case) or case.call
    text, dtype = case.source.text, case.source.dtype
    fix = None if _as_index(case, {case.source.key}) else repaired(line, stand_ins.as_float)
    return finding(
        "integer",
        line,
        f"{text} is {dtype}: integers have no slope, and the tape follows floating tensors only. "
        f"Make it a floating tensor.",
        fix,
    )


def _as_index(case: Case, keys: set[int]) -> bool:
    """Whether integers serve as places: those must stay integers."""
    return any(
        "Gather" in op.kind or op.kind in ("OneHot", "ScatterNd", "StridedSlice")
        for op in case.trace.operations
        if keys.intersection(op.inputs)
    )


def _not_watched(case: Case, way: list[Edge]) -> Diagnosis | None:
    source, tape = case.source, case.tape
    if source.is_variable:
        known = tape.watched.get(source.key)
        if known is not None or (source.trainable and tape.accessed):
            return None
        line = _made(case) or tape.block or case.call
        if not source.trainable:
            why = f"{source.text} is a variable with trainable=False, which tapes do not watch."
            fix = repaired(line, lambda s, n: remedies.variable(s, n))
        else:
            line = tape.block or line
            why = (
                f"the tape was made with watch_accessed_variables=False, and {source.text} was "
                "not given to watch()."
            )
            fix = None
        return finding("not_watched", line, why + _hidden(case), fix or _watch(case))
    known = tape.watched.get(source.key)
    if known is None:
        return _unwatched_tensor(case)
    first = min((e.operation.at for e in way[:1] if e.operation is not None), default=0)
    if known[0] > first:
        fix = _watch(case)
        message = (
            f"tape.watch({source.text}) came after {source.text} had been used: what ran before "
            "is not followed."
        )
        return finding("not_watched", known[1] or case.call, message + _hidden(case), fix)
    return None


def _unwatched_tensor(case: Case) -> Diagnosis:
    source = case.source
    line = _made(case)
    made = [op for op in case.trace.operations if source.key in op.outputs]
    same = {
        b.tensor for b in case.trace.bindings if b.name == source.text and b.tensor != source.key
    }
    before = [t for t in same if t in case.tape.watched]
    variables = [key for key, reads in case.trace.variables.items() if same & set(reads)]
    fix = None
    whole = _variable_s_name(case)
    if whole is not None:
        why = (
            f"{source.text} is a copy of the value of the variable {whole}, a tensor of its own: "
            f"the tape watches {whole}. Ask for the derivative by that."
        )
        fix = _source_instead(case, whole)
        return finding("not_watched", line or case.call, why + _hidden(case), fix)
    if variables and line is not None:
        why = (
            f"at line {line.number} the name {source.text} was bound to a new tensor: it no longer "
            "holds the variable, and tapes watch variables by themselves, tensors only if told to."
        )
        fix = repaired(line, lambda s, n: remedies.assign(s, n, source.text))
    elif before and line is not None:
        why = (
            f"{source.text} was made anew at line {line.number}, after the tape had been told to "
            f"watch another tensor of that name."
        )
    else:
        kind = "a tensor that was computed" if made else "a constant"
        why = f"{source.text} is {kind}, and tapes watch by themselves only variables."
    at = line or case.tape.block or case.call
    return finding("not_watched", at, why + _hidden(case), fix or _watch(case))


def _variable_s_name(case: Case) -> str | None:
    """The name of the variable whose value the source is, if it is one as it was read."""
    if case.source.key not in _reads(case):
        return None
    names = [b.name for b in case.trace.bindings if b.tensor == case.source.key]
    return next((name for name in names if name != case.source.text), None)


def _watch(case: Case) -> Fix | None:
    """tape.watch(x) under the block's header; where that cannot be, a variable in its place."""
    block, text = case.tape.block, case.source.text
    simple = text.replace(".", "_").isidentifier()
    line = _made(case)
    here = block is not None and line is not None and line.file == block.file
    if here and codes.is_inside(block.file, line.number, block.number):  # type: ignore[union-attr]
        return _watched_after(case, line)  # type: ignore[arg-type]
    if block is not None and simple:
        fix = repaired(block, lambda s, n: remedies.watch(s, n, text))
        if fix is not None:
            return fix
    return repaired(line, lambda s, n: remedies.variable(s, n)) if line is not None else None


def _watched_after(case: Case, line: Line) -> Fix | None:
    return repaired(
        line, lambda s, n: remedies.watched_after(s, n, case.tape.block, case.source.text)
    )


def higher_order(
    target: str, source: str, call: Line | None, check: Check, lower: object
) -> tuple[Diagnosis, ...]:
    """A derivative of higher order that is None: of a lower one that does not depend on the
    source."""
    known = check.symbolic if check.symbolic is not None else check.finite_difference
    vanishes = known is not None and not np.any(np.abs(known) > 1e-6)
    if check.tape is not None or lower is None or not vanishes:
        return ()
    message = (
        f"the derivative of {target} of one order less does not depend on {source}: the next one "
        "is 0, which the tape expresses by None; ask with --zero to get 0."
    )
    return (finding("higher_order", call, message, None),)


def nothing_asked(call: Line, method: str, sources: str) -> Diagnosis:
    """The list of sources was empty, as a layer's variables are before it is built."""
    file = Source(call.file)
    made = codes.last_assignment(call.file, sources, call.number)
    message = (
        f"{sources} was an empty list: a layer has no variables before it is built, and a list "
        "taken then stays empty. List them after the first call."
    )
    if made is None:
        return finding("not_watched", call, message, None)
    value = file.text(made.value)
    line = Line(made.lineno, codes.line_text(call.file, made.lineno), call.file)
    fix = remedies.argument(file, call.number, method, 1, sources, value)
    return finding("not_watched", line, message, fix)


# -- no way at all -------------------------------------------------------------------------------


def _no_way(case: Case, graph: Dependence) -> Iterator[Diagnosis]:
    source = case.source
    other = _in_its_place(case, graph)
    if other is not None and not _swapped(case, graph):
        yield other
        return
    if case.target in case.answers or _made_of_answers(case):
        yield _linear(case)
        return
    line = case.call
    if source.is_variable and not source.reads:
        why = f"{source.text} was not read at all while the cell ran"
    else:
        why = f"{case.target_text} was computed without {source.text}"
    note = ""
    if _swapped(case, graph):
        note = f" It is the other way round: {source.text} depends on {case.target_text}."
    yield finding(
        "unconnected",
        line,
        f"{why}: no operation leads from the one to the other, in the branches that were taken. "
        f"If that is meant, the derivative is 0, and None is the tape's way to say so.{note}",
        _swap(case) if note else None,
    )


def _in_its_place(case: Case, graph: Dependence) -> Diagnosis | None:
    """The target depends on what the source was made from, or on its namesake."""
    key, text = case.source.key, case.source.text
    if case.source.is_variable:
        return _namesake(case, graph)
    above = graph.ancestors(case.target)
    made = graph.ancestors(key) - {key}
    common = made & above
    producer = next((op for op in case.trace.operations if key in op.outputs), None)
    if producer is not None and common:
        line = _made(case) or producer.line or case.call
        parts = {k: v for k, v in _named(case).items() if k in common}
        origin = next(iter(parts.values()), "what it was made from")
        message = (
            f"{text} is a new tensor, made from {origin} by {producer.kind}; {case.target_text} "
            f"was computed from {origin}, not from it. Ask for the derivative by {origin}."
        )
        seen = {k for k in common if k in case.tape.watched or k in _reads(case)}
        followed = any(parts.get(k) == origin for k in seen)
        fix = _source_instead(case, origin) if followed else None
        return finding("not_watched", line, message, fix)
    return _namesake(case, graph)


def _reads(case: Case) -> set[int]:
    """What was read of any variable."""
    return {key for reads in case.trace.variables.values() for key in reads}


def _namesake(case: Case, graph: Dependence) -> Diagnosis | None:
    key, text = case.source.key, case.source.text
    own = {key, *case.source.reads}
    same = {b.tensor for b in case.trace.bindings if b.name == text} - own
    above = graph.ancestors(case.target)
    if not same & above:
        return None
    line = _made(case) or case.call
    message = (
        f"the name {text} holds another tensor by now than when {case.target_text} was computed "
        "from it. Keep the first one under a name of its own, and ask for that."
    )
    return finding("not_watched", line, message, None)


def _named(case: Case) -> dict[int, str]:
    return {b.tensor: b.name for b in case.trace.bindings if not b.name.startswith("_")}


def _source_instead(case: Case, origin: str) -> Fix | None:
    if case.call is None or not origin.replace(".", "_").isidentifier():
        return None
    text = case.source.text
    return repaired(case.call, lambda s, n: remedies.argument(s, n, case.method, 1, text, origin))


def _swapped(case: Case, graph: Dependence) -> bool:
    return graph.way((case.target,), case.source.key) is not None


def _swap(case: Case) -> Fix | None:
    if case.call is None:
        return None
    return repaired(case.call, lambda s, n: remedies.swapped(s, n, case.method))


def _made_of_answers(case: Case) -> bool:
    """Whether the target is an answer of another tape, passed on by ops of a single input."""
    key = case.target
    for operation in reversed(case.trace.operations):
        if key in operation.outputs:
            if len(operation.inputs) == 0:
                return False
            key = operation.inputs[0]
            if key in case.answers:
                return True
    return False


def _linear(case: Case) -> Diagnosis:
    return finding(
        "higher_order",
        case.call,
        f"{case.target_text} is itself a derivative, and it came out as a constant: it does not "
        f"depend on {case.source.text}. The next derivative is 0, which the tape expresses by "
        "None; ask with unconnected_gradients='zero' to get 0.",
        repaired(
            case.call,
            lambda s, n: remedies.keyword(s, n, case.method, "unconnected_gradients", "'zero'"),
        ),
    )


# -- cuts ----------------------------------------------------------------------------------------


def _on_the_way(case: Case, way: list[Edge]) -> Iterator[Diagnosis]:
    for cut in cuts(way):
        yield _told(case, cut)
        if cut.cause == "outside_tape" and _inner(case, cut):
            yield finding(
                "higher_order",
                cut.line,
                f"{case.target_text} is a derivative that an inner tape gave outside the block of "
                "the outer one: persistent or not, a tape only follows what runs inside its block.",
                None,
            )


def _inner(case: Case, cut: Cut) -> bool:
    return case.target in case.answers


def _told(case: Case, cut: Cut, partly: bool = False) -> Diagnosis:
    tell = {
        "left_tensorflow": _left,
        "stopped": _stopped,
        "outside_tape": _outside,
        "state": _state,
        "integer": _integer,
        "nondifferentiable": _steps,
    }[cut.cause]
    message, line, fix = tell(case, cut)
    if partly:
        message += (
            " Another way gets through, so the answer is not None: it lacks this part"
            f"{_true_slope(case)}."
        )
    elif cut.cause in ("stopped", "outside_tape", "state"):
        message += _hidden(case)
    return finding(cut.cause, line, message, fix)


_Told = tuple[str, "Line | None", "Fix | None"]


def _left(case: Case, cut: Cut) -> _Told:
    where = f" and comes back as a constant at line {cut.back.number}" if cut.back else ""
    where = where if _elsewhere(cut) else ""
    name = _named(case).get(cut.tensor, "the value")
    if cut.kind in ("PyFunc", "PyFuncStateless", "EagerPyFunc"):
        what = f"here the value goes through Python code that TensorFlow cannot follow ({cut.kind})"
    else:
        how = "NumPy" if cut.kind in ("NumPy", "numpy", "array") else f"{cut.kind}()"
        what = f"{name} leaves TensorFlow here, by {how}{where}"
    message = (
        f"{what}: to the tape what comes back is a number like any other. Stay with TensorFlow's "
        "own functions."
    )
    same = cut.back is None or cut.line is None or cut.back.file != cut.line.file
    back = cut.line if same else cut.back
    number = back.number if back is not None else 0
    fix = repaired(cut.line, lambda s, n: stand_ins.in_tensorflow(s, n, number))
    return message, cut.line, fix


def _elsewhere(cut: Cut) -> bool:
    return cut.back is not None and cut.line is not None and cut.back.number != cut.line.number


def _stopped(case: Case, cut: Cut) -> _Told:
    if cut.kind in ("StopGradient", "PreventGradient"):
        fix = repaired(cut.line, lambda s, n: remedies.without_call(s, n, ("stop_gradient",)))
        return "stop_gradient says that this counts as a constant here.", cut.line, fix
    for first, last, line, kind in case.tape.stops:
        if first <= cut.at < last:
            what = (
                "the tape was told to forget all that it had recorded"
                if kind == "reset"
                else ("the tape had been told to stop recording")
            )
            where = f" (what was lost stands at line {cut.line.number})" if cut.line else ""
            fix = repaired(line, remedies.without_line)
            return f"{what}: {kind}(){where}.", line or cut.line, fix
    return "the tape was not recording here.", cut.line, None


def _outside(case: Case, cut: Cut) -> _Told:
    for first, last, line, kind in case.tape.stops:
        if kind == REPLICAS and first <= cut.at < last:
            message = (
                "strategy.run calls its function in a thread for each replica, where a tape around "
                "the call records nothing. Open the tape inside the function, and ask it there."
            )
            return message, line or cut.line, None
    block = case.tape.block
    if cut.line is None:
        return "this was computed while the tape was not recording.", case.call, None
    place = "outside the block of the tape"
    if block is not None and block.file == cut.line.file:
        before = cut.line.number < block.number
        place = f"{'before' if before else 'after'} the block of the tape (line {block.number})"
    message = f"this ran {place}, which therefore knows nothing of it. Move it into the block."
    fix = None
    if block is not None and block.file == cut.line.file:
        at = block.number
        fix = repaired(cut.line, lambda s, n: remedies.moved_into(s, n, at))
    return message, cut.line, fix


def _state(case: Case, cut: Cut) -> _Told:
    message = (
        "assigning to a variable stores numbers: what is read from it later does not remember what "
        "the numbers were computed from. Go on with a tensor in its place."
    )
    return message, cut.line, repaired(cut.line, remedies.plain_binding)


def _integer(case: Case, cut: Cut) -> _Told:
    message = (
        "here floating numbers become integers: what follows changes in jumps only, its slope is 0 "
        "wherever there is one, and the tape answers None. Leave out the cast."
    )
    made = {
        key
        for op in case.trace.operations
        if op.at == cut.at and cut.tensor in op.inputs
        for key in op.outputs
    }
    fix = None if _as_index(case, made) else repaired(cut.line, stand_ins.as_float)
    return message, cut.line, fix


def _steps(case: Case, cut: Cut) -> _Told:
    what = _STEPS.get(cut.kind, cut.kind)
    message = (
        f"{what} changes in jumps: its slope is 0 wherever there is one, so no derivative gets "
        "through. A smooth stand-in has one: softmax for argmax, a sigmoid for a comparison, a "
        "straight-through estimate for rounding."
    )
    return message, cut.line, repaired(cut.line, stand_ins.smooth)


# -- telling --------------------------------------------------------------------------------------


def _hidden(case: Case) -> str:
    """Whether there is a slope that the tape did not see: a difference on the replay decides."""
    slope = _replayed(case)
    if slope is None:
        return ""
    if not np.any(np.abs(slope) > 1e-9):
        return " (The true derivative is 0 here all the same.)"
    return f" There is a derivative ({_brief(slope)}); the tape did not see it."


def _brief(slope: Array) -> str:
    if slope.size == 1:
        return f"about {written(float(slope.flat[0]), 'float32')}"
    return f"of norm {written(float(np.linalg.norm(slope)), 'float32')}"


def _replayed(case: Case) -> Array | None:
    """The slope by a replay, where all of the way can be replayed: NumPy's part cannot."""
    if returns(case.trace, {case.target: case.call}):
        return None
    return hidden_slope(case.trace, case.target, case.sources)


def _true_slope(case: Case) -> str:
    slope = _replayed(case)
    return "" if slope is None else f" (the whole derivative is {_brief(slope)})"


def _unknown(case: Case, way: list[Edge]) -> Diagnosis:
    """Nothing is cut that we know of: the op whose own derivative says None."""
    for edge in way:
        operation = edge.operation
        if operation is None or operation.vjp is None:
            continue
        try:
            shapes = [case.trace.tensors[key].shape for key in operation.outputs]
            answers = operation.vjp([np.ones(shape) for shape in shapes])
        except LookupError as error:
            message = f"{operation.kind} does not tell its derivative ({error})."
            return finding("no_gradient", operation.line, message, None)
        except Exception:  # noqa: BLE001, S112 - a value that was not kept
            continue
        given = {k for k, answer in zip(operation.inputs, answers) if answer is not None}
        if edge.start not in given and operation.kind in ("StopGradient", "PreventGradient"):
            message = "stop_gradient says that this counts as a constant here."
            return finding("stopped", operation.line, message + _hidden(case), None)
        if edge.start not in given:
            message = f"{operation.kind} has no derivative by this input: TensorFlow says None."
            return finding("nondifferentiable", operation.line, message, None)
    if case.tape.early:
        message = (
            "the tape recorded since before this cell: what ran then was not recorded here, so "
            "where the way is cut cannot be told."
        )
        return finding("outside_tape", case.call, message, None)
    message = (
        f"no way from {case.source.text} to {case.target_text} is followed by the tape, though all "
        "ops on it were recorded and have derivatives; the cause is not known."
    )
    return finding("unconnected", case.call, message, None)
