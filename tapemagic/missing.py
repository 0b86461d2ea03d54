"""Ways that are cut although others go through: the value lacks a part of the slope.

What is meant as it is counts for nothing: detached targets, old policies, straight-through
estimates.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from tapemagic.dependence import Cut, Dependence, Edge
from tapemagic.trace import Operation

_PENALTIES = {"Square", "Pow", "Sum", "Mean", "Mul", "Abs", "AddV2", "AddN", "L2Loss", "Sqrt"}
_DETACHES = {"predict", "predict_on_batch", "get_weights"}
_DISTANCES = {"Square", "Abs", "Pow"}
_LOGARITHMS = {"Log", "LogSoftmax", "SparseSoftmaxCrossEntropyWithLogits"}
_CHOOSES = {"GatherV2", "GatherNd", "StridedSlice", "Squeeze", "Reshape", "Sum", "Neg", "Mul"}
_HIDDEN = {"left_tensorflow", "stopped", "outside_tape", "state"}  # a slope that the tape misses


def lost(graph: Dependence, sources: Collection[int], target: int) -> list[Cut]:
    """Where a further way from a source to the target is cut, although others go through."""
    alive = _reached(graph, sources)
    below = _leading(graph, target)
    found = [
        edge.cut
        for key in alive
        for edge in graph.out.get(key, ())
        if edge.cut is not None and edge.end in below and _is_loss(graph, edge, edge.cut)
    ]
    return sorted(dict.fromkeys(found), key=lambda cut: (cut.at, cut.line is None))


def _is_loss(graph: Dependence, edge: Edge, cut: Cut) -> bool:
    """Whether a cut on one of several ways is a mistake, as far as one can tell: detached
    targets, old policies and straight-through estimates are meant as they are."""
    if cut.cause == "stopped":
        return not _is_straight_through(graph, edge) and not _is_aim(graph, edge.end)
    if cut.cause == "outside_tape":
        return cut.kind in _PENALTIES and _all_penalties(graph, edge.end)
    return cut.cause in _HIDDEN and cut.kind not in _DETACHES


def _is_straight_through(graph: Dependence, edge: Edge) -> bool:
    """x + stop_gradient(q − x): the slope that is stopped is there beside it."""
    taken = [e.operation for e in graph.into.get(edge.start, ()) if e.operation is not None]
    subtracted = {key for op in taken if op.kind in ("Sub", "AddV2", "Neg") for key in op.inputs}
    beside = {
        key
        for e in graph.out.get(edge.end, ())
        if e.operation is not None and e.operation.kind in ("AddV2", "Add", "Sub")
        for key in e.operation.inputs
    }
    return bool(subtracted & beside) or any(
        _is_the_same(graph, one, other) for one in subtracted for other in beside
    )


def _is_aim(graph: Dependence, key: int) -> bool:
    """Whether what is stopped is only what something else is led to: subtracted from a
    prediction before a square, or the weight of a logarithm, as in a policy gradient."""
    known, pending, found = {key}, [key], False
    while pending:
        for edge in graph.out.get(pending.pop(), ()):
            operation = edge.operation
            if operation is None or edge.end in known:
                continue
            beside = [other for other in operation.inputs if other not in known]
            moving = [other for other in beside if _is_variable(graph, other)]
            if moving and not _meets(graph, operation, moving[0]):
                return False
            found = found or bool(moving)
            known.add(edge.end)
            if not moving:
                pending.append(edge.end)
    return found


def _meets(graph: Dependence, operation: Operation, other: int) -> bool:
    """Whether an op sets what was stopped against another value, as losses do."""
    after = [e.operation for e in graph.out.get(operation.outputs[0], ()) if e.operation]
    if operation.kind == "Sub":
        return any(op.kind in _DISTANCES or _is_square(op) for op in after)
    if operation.kind == "SquaredDifference":
        return True
    made = {operation.kind for operation in _linear(graph, other)}
    return operation.kind == "Mul" and bool(made & _LOGARITHMS)


def _is_square(operation: Operation) -> bool:
    return operation.kind == "Mul" and len(set(operation.inputs)) == 1


def _linear(graph: Dependence, key: int) -> Iterator[Operation]:
    """What made a tensor, through ops that only choose, add and scale."""
    for edge in graph.into.get(key, ())[:1]:
        if edge.operation is not None:
            yield edge.operation
            if edge.operation.kind in _CHOOSES:
                yield from _linear(graph, edge.operation.inputs[0])


def _is_variable(graph: Dependence, key: int) -> bool:
    """Whether a tensor was computed from any variable."""
    read = {k for reads in graph.trace.variables.values() for k in reads}
    return graph.kind(key) == "floating" and not read.isdisjoint(graph.ancestors(key))


def _is_the_same(graph: Dependence, one: int, other: int) -> bool:
    """Whether two tensors are one expression, written and computed twice."""
    made = [
        next((e.operation for e in graph.into.get(key, ()) if e.operation is not None), None)
        for key in (one, other)
    ]
    first, second = (graph.trace.array(key) for key in (one, other))
    if made[0] is None or made[1] is None or first is None or second is None:
        return False
    alike = (made[0].kind, made[0].line) == (made[1].kind, made[1].line)
    return alike and np.array_equal(first, second)


def _all_penalties(graph: Dependence, key: int) -> bool:
    """Whether what was computed off the tape is simple arithmetic: a penalty on weights."""
    known, pending = {key}, [key]
    while pending:
        for edge in graph.out.get(pending.pop(), ()):
            off = edge.cut is not None and edge.cut.cause == "outside_tape"
            if off and edge.cut is not None and edge.cut.kind not in _PENALTIES:
                return False
            if off and edge.end not in known:
                known.add(edge.end)
                pending.append(edge.end)
    return True


def _reached(graph: Dependence, sources: Collection[int]) -> set[int]:
    known, pending = set(sources), list(sources)
    while pending:
        for edge in graph.out.get(pending.pop(), ()):
            if edge.cut is None and edge.end not in known and graph.kind(edge.end) != "whole":
                known.add(edge.end)
                pending.append(edge.end)
    return known


def _leading(graph: Dependence, target: int) -> set[int]:
    """What the target's slope depends on, were nothing hidden."""
    known, pending = {target}, [target]
    while pending:
        for edge in graph.into.get(pending.pop(), ()):
            through = edge.cut is None or edge.cut.cause == "outside_tape"
            if through and edge.start not in known and graph.kind(edge.start) == "floating":
                known.add(edge.start)
                pending.append(edge.start)
    return known
