"""Why no derivative came, or not all of it: where the way from source to target is cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tapemagic import missing, remedies
from tapemagic.case import Case
from tapemagic.dependence import Cut, Edge
from tapemagic.diagnosis import Diagnosis
from tapemagic.findings import Told, finding, found_with, repaired
from tapemagic.linear import constant, is_made_of_answers
from tapemagic.rewriting import Fix
from tapemagic.severed import on_the_way, read_outside, told
from tapemagic.slopes import hidden, is_all, moves
from tapemagic.unwatched import in_its_place, integer_source, not_watched


def none(case: Case) -> Iterator[Diagnosis]:
    """Why the tape answered None."""
    if not case.source.dtype.startswith(("float", "bfloat", "complex")):
        yield integer_source(case)
        return
    way = case.graph.way((*case.sources, case.source.key), case.target)
    if way is None:
        yield from _no_way(case)
        return
    found: list[Told] = list(on_the_way(case, way))
    unseen = not_watched(case, way)
    if unseen is not None:
        found.insert(0, unseen)
    if not found:
        early = read_outside(case, way)
        yield from found_with([early]) if early is not None else [_unknown(case, way)]
        return
    yield from found_with(found)


def zero(case: Case) -> Iterator[Diagnosis]:
    """Why a 0 stands for None: a compiled branch answers so where no derivative gets through."""
    way = case.graph.way((*case.sources, case.source.key), case.target)
    if way is not None:
        yield from found_with(list(on_the_way(case, way)))


def lost(case: Case) -> Iterator[Diagnosis]:
    """Ways that are cut although others go through: the value is not all of the slope."""
    if case.source.dtype.startswith("complex"):
        return
    every = missing.lost(case.graph, case.source.seen or case.sources, case.target)
    known = [cut for cut in every[:3] if cut.cause == "state" or cut.line is not None]
    known = [cut for cut in known if cut.constant < 0 or moves(case, _alike(case, cut, every))]
    if known and is_all(case):  # z - stop_gradient(max(z)) under a softmax: nothing is missing
        return
    yield from found_with([told(case, cut, partly=True) for cut in known])


def _alike(case: Case, cut: Cut, cuts: Sequence[Cut]) -> list[int]:
    """The constants that one value came back in as: in c + log(sum(exp(z − c))) there are two."""
    same = [one.constant for one in cuts if (one.line, one.tensor) == (cut.line, cut.tensor)]
    values = {key: np.asarray(case.trace.array(key)) for key in same}
    return [key for key in same if np.array_equal(values[key], values[cut.constant])]


def _no_way(case: Case) -> Iterator[Diagnosis]:
    source = case.source
    other = in_its_place(case)
    if other is not None and not _swapped(case):
        yield other
        return
    if case.target in case.answers or is_made_of_answers(case):
        yield constant(case)
        return
    line = case.call
    if source.is_variable and not source.reads:
        why = f"{source.text} was not read at all while the cell ran"
    else:
        why = f"{case.target_text} was computed without {source.text}"
    note = _depends_on(case)
    if _swapped(case):
        note = f" It is the other way round: {source.text} depends on {case.target_text}."
    yield finding(
        "unconnected",
        line,
        f"{why}: no operation leads from the one to the other, in the branches that were taken. "
        f"If that is meant, the derivative is 0, and None is the tape's way to say so.{note}",
        _swap(case) if _swapped(case) else _zeros(case),
    )


def _zeros(case: Case) -> Fix | None:
    """Zeros asked for; TensorFlow cannot make them for Keras's variables, which have no name."""
    if not case.source.text.isidentifier():
        return None
    return repaired(
        case.call,
        lambda s, n: remedies.keyword(s, n, case.method, "unconnected_gradients", "'zero'"),
    )


def _depends_on(case: Case) -> str:
    """The variables that the target was computed from."""
    above = case.graph.ancestors(case.target)
    names = {b.tensor: b.name for b in case.trace.bindings}
    read = [key for key, reads in case.trace.variables.items() if above.intersection(reads)]
    found = [names[key] for key in read if key in names]
    return f" It depends on {', '.join(found[:4])}." if found else ""


def _swapped(case: Case) -> bool:
    return case.graph.way((case.target,), case.source.key) is not None


def _swap(case: Case) -> Fix | None:
    if case.call is None:
        return None
    return repaired(case.call, lambda s, n: remedies.swapped(s, n, case.method))


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
            return finding("stopped", operation.line, message + hidden(case), None)
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
