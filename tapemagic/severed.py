"""The cuts on a way: what each one means, and what mends it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tapemagic import codes, collecting, in_tensorflow, interpolating, moving, remedies, smoothing
from tapemagic.case import REPLICAS, Case
from tapemagic.dependence import Cut, Edge, cuts
from tapemagic.findings import Repair, Told, together
from tapemagic.rewriting import Source
from tapemagic.slopes import hidden, whole
from tapemagic.trace import Line
from tapemagic.unwatched import as_index

_STEPS = {
    "Floor": "floor",
    "Ceil": "ceil",
    "Round": "round",
    "Rint": "round",
    "FloorDiv": "//",
    "ArgMax": "argmax",
    "ArgMin": "argmin",
}
_EXITS = ("float()", "int()", ".numpy()", ".item()", ".tolist()")
_MOST = 4  # cuts that are told of
_PYTHON = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}


def on_the_way(case: Case, way: list[Edge]) -> Iterator[Told]:
    """What is to be told of the cuts on a way, in order; further ways may be cut in like manner."""
    sources = (*case.sources, case.source.key)
    every = case.graph.cuts_between(sources, case.target)
    outside = tuple(c.line for c in every if c.cause == "outside_tape" and c.line is not None)
    known = cuts(way)
    causes = {cut.cause for cut in known} & {"left_tensorflow", "stopped", "state"}
    lines = {cut.line for cut in known}
    for cut in known:
        yield told(case, replace(cut, further=outside) if cut.cause == "outside_tape" else cut)
        if cut.cause == "outside_tape" and case.target in case.answers:
            yield Told(
                "higher_order",
                cut.line,
                f"{case.target_text} is a derivative that an inner tape gave outside the block of "
                "the outer one: persistent or not, a tape only follows what runs inside its block.",
                counts=False,
            )
    for cut in every:
        if cut.cause in causes and cut.line not in lines and len(lines) < _MOST:
            lines.add(cut.line)
            one = told(case, cut)
            yield replace(one, counts=together(one.repairs) is not None)


def read_outside(case: Case, way: list[Edge]) -> Told | None:
    """A variable whose value was read while the tape was not recording: all that the tape has seen
    is a constant."""
    source = case.source
    if not source.is_variable or source.key in case.tape.watched:
        return None
    reads = {key for edge in way for key in (edge.start, edge.end)}.intersection(source.reads)
    bound = [b for b in case.trace.bindings if b.tensor in reads and b.line is not None]
    bound = [b for b in bound if b.name != source.text]
    line = bound[0].line if bound else None
    if line is None:
        return None
    cut = Cut("outside_tape", "ReadVariableOp", line)
    message, line, repairs = _outside(case, cut)
    name = bound[0].name
    return Told(
        "outside_tape",
        line,
        f"{name} is the value of {source.text} as it was read here: {message}",
        repairs,
    )


def told(case: Case, cut: Cut, partly: bool = False) -> Told:
    """What a cut means; `partly`: another way gets through."""
    tell = {
        "left_tensorflow": _left,
        "stopped": _stopped,
        "outside_tape": _outside,
        "state": _state,
        "integer": _integer,
        "nondifferentiable": _steps,
    }[cut.cause]
    message, line, repairs = tell(case, cut)
    if partly:
        message += (
            " Another way gets through, so the answer is not None: it lacks this part"
            f"{whole(case)}."
        )
    elif cut.cause in ("stopped", "outside_tape", "state"):
        message += hidden(case)
    return Told(cut.cause, line, message, repairs)


_Parts = tuple[str, "Line | None", tuple[Repair, ...]]


def _left(case: Case, cut: Cut) -> _Parts:
    where = f" and comes back as a constant at line {cut.back.number}" if cut.back else ""
    where = where if _elsewhere(cut) else ""
    names = {b.tensor: b.name for b in case.trace.bindings if not b.name.startswith("_")}
    name = names.get(cut.tensor, "the value")
    if cut.kind in _PYTHON:
        what = f"here the value goes through Python code that TensorFlow cannot follow ({cut.kind})"
    else:
        text = cut.line.text if cut.line is not None else ""
        said = [
            call for call in _EXITS if call[:-1] in text
        ]  # float(w) of a variable asks .numpy()
        how = "NumPy" if cut.kind in ("NumPy", "numpy", "array") else f"{cut.kind}()"
        how = said[0] if said and cut.kind in ("numpy", "array") else how
        what = f"{name} leaves TensorFlow here, by {how}{where}"
    message = (
        f"{what}: to the tape what comes back is a number like any other. Stay with TensorFlow's "
        "own functions."
    )
    line, back = cut.line, cut.back
    here = back is not None and line is not None and back.file == line.file
    numbers = (back.number,) if here and back is not None else ()
    return message, line, (Repair(line, in_tensorflow.rewritten, numbers), *_stores(line))


def _stores(line: Line | None) -> list[Repair]:
    """Entries that are stored into what left: a tensor takes none, and is made anew."""
    if line is None:
        return []
    numbers = collecting.stored(Source(line.file), line.number)
    lines = [Line(n, codes.line_text(line.file, n), line.file) for n in numbers]
    return [Repair(one, collecting.updated) for one in lines]


def _elsewhere(cut: Cut) -> bool:
    return cut.back is not None and cut.line is not None and cut.back.number != cut.line.number


def _stopped(case: Case, cut: Cut) -> _Parts:
    if cut.kind in ("StopGradient", "PreventGradient"):
        message = "stop_gradient says that this counts as a constant here."
        return message, cut.line, (Repair(cut.line, remedies.without_stop),)
    for first, last, line, kind in case.tape.stops:
        if first <= cut.at < last:
            what = (
                "the tape was told to forget all that it had recorded"
                if kind == "reset"
                else ("the tape had been told to stop recording")
            )
            where = f" (what was lost stands at line {cut.line.number})" if cut.line else ""
            repairs = (Repair(line, moving.without_line),)
            return f"{what}: {kind}(){where}.", line or cut.line, repairs
    return "the tape was not recording here.", cut.line, ()


def _outside(case: Case, cut: Cut) -> _Parts:
    for first, last, around, kind in case.tape.stops:
        if kind == REPLICAS and first <= cut.at < last:
            message = (
                "strategy.run calls its function in a thread for each replica, where a tape around "
                "the call records nothing. Open the tape inside the function, and ask it there."
            )
            return message, around or cut.line, ()
    block, line = case.tape.block, cut.line
    if line is None:
        return "this was computed while the tape was not recording.", case.call, ()
    if "Dataset" in cut.kind:
        return _in_pipeline(cut)
    place = "outside the block of the tape"
    here = block is not None and block.file == line.file
    if here and block is not None:
        line = _called_at(line, block)
        before = line.number < block.number
        place = f"{'before' if before else 'after'} the block of the tape (line {block.number})"
    message = f"this ran {place}, which therefore knows nothing of it. Move it into the block."
    if block is None or not here:
        return message, line, ()
    every = [_called_at(one, block) for one in (line, *cut.further) if one.file == line.file]
    numbers = sorted({one.number for one in every})
    above = [n for n in numbers if n < block.number]
    below = [n for n in numbers if n > block.number]
    lines = [Line(n, codes.line_text(line.file, n), line.file) for n in (*above[::-1], *below)]
    make = moving.moved_into
    return message, line, tuple(Repair(one, make, (block.number,)) for one in lines)


def _called_at(line: Line, block: Line) -> Line:
    """The line that has to move into a block: of what ran in a function, that which called it."""
    number = moving.called_at(Source(line.file), line.number, block.number)
    return Line(number, codes.line_text(line.file, number), line.file)


def _in_pipeline(cut: Cut) -> _Parts:
    message = (
        "the functions of a data set run in a graph of their own, before the tape sees their "
        "results: to it those are data like any other. Compute this in the tape's block, on what "
        "the data set gives."
    )
    here = cut.back is not None and cut.line is not None and cut.back.file == cut.line.file
    if cut.back is None or not here:
        return message, cut.line, ()
    return message, cut.line, (Repair(cut.line, moving.mapped_later, (cut.back.number,)),)


def _state(case: Case, cut: Cut) -> _Parts:
    message = (
        "assigning to a variable stores numbers: what is read from it later does not remember what "
        "the numbers were computed from. Go on with a tensor in its place."
    )
    return message, cut.line, (Repair(cut.line, remedies.plain_binding),)


def _integer(case: Case, cut: Cut) -> _Parts:
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
    if _are_places(case, made):
        return message, cut.line, (Repair(cut.line, interpolating.between),)
    repairs = () if as_index(case, made) else (Repair(cut.line, smoothing.as_float),)
    return message, cut.line, repairs


def _are_places(case: Case, keys: set[int]) -> bool:
    """Whether integers are only the places of entries that are looked up in a vector."""
    reading = [op for op in case.trace.operations if keys.intersection(op.inputs)]
    shapes = [case.trace.tensors[op.inputs[0]].shape for op in reading if op.kind == "GatherV2"]
    return bool(reading) and len(shapes) == len(reading) and all(len(s) == 1 for s in shapes)


def _steps(case: Case, cut: Cut) -> _Parts:
    what = _STEPS.get(cut.kind, cut.kind)
    message = (
        f"{what} changes in jumps: its slope is 0 wherever there is one, so no derivative gets "
        "through. A smooth stand-in has one: softmax for argmax, a sigmoid for a comparison, a "
        "straight-through estimate for rounding."
    )
    return message, cut.line, (Repair(cut.line, smoothing.smooth),)
