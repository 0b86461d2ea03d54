"""Sums, means and extremes over groups of rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tapemagic.formula import ONE, Formula, call, number
from tapemagic.tensors import whole
from tapemagic.tensors.algebra import Label, applied, contract, rearranged
from tapemagic.tensors.nodes import PLACES, Array, Node, core
from tapemagic.tensors.operand import Context, NotLiftable, Operand, Rule
from tapemagic.tensors.scattering import gather, hot, labelled, named, over, places_of
from tapemagic.tensors.structures import given

LOWEST = number(-math.inf)


def _groups(context: Context) -> tuple[Operand, Array, list[Label], list[Label], int]:
    operand, ids = context.inputs[:2]
    groups = context.output[0]
    places = places_of(ids)
    return operand, places, named(operand.shape, "x"), ["group"], groups


def _segment_sum(mean: bool, root: bool = False) -> Rule:
    def rule(context: Context) -> Sequence[Node]:
        operand, places, old, new, groups = _groups(context)
        count = places.ndim
        factors = [
            *hot(places, groups, old[:count], new[0], context.inputs[1].name),
            labelled(operand, old),
        ]
        out = [*new, *old[count:]]
        if mean or root:
            inside = places[(places >= 0) & (places < groups)]
            counts = np.maximum(np.bincount(inside, minlength=groups), 1)
            share = 1 / (np.sqrt(counts) if root else counts)
            factors.insert(0, (given(share.reshape(core(share.shape)), "share"), new[: groups > 1]))
        return (over(factors, out, context.output),)

    return rule


def _segment_fold(name: str, neutral: Formula) -> Rule:
    """Over each group alone: what is outside of it counts as the neutral element."""

    def rule(context: Context) -> Sequence[Node]:
        operand, places, old, new, groups = _groups(context)
        if places.ndim != 1 or set(range(groups)) - set(places.tolist()):
            raise NotLiftable("groups along several axes, or an empty one")
        if 1 in (groups, len(places)):
            raise NotLiftable("a single group or row")
        rest = [label for label, size in zip(old[1:], operand.shape[1:]) if size != 1]
        shape = (groups, *core(operand.shape[1:]), len(places))
        out = [*new, *rest, old[0]]
        member = contract(hot(places, groups, old[:1], new[0]), out, dict(zip(out, shape)))
        spread = rearranged(*labelled(operand, old), out, shape)
        chosen = applied(call("where", PLACES[0], PLACES[1], neutral), [member, spread], shape)
        return (whole.make(name, shape[:-1], chosen, parameters=(1,)),)

    return rule


def _sparse_segments(mean: bool, root: bool = False) -> Rule:
    """Of rows that are gathered first."""
    fold = _segment_sum(mean, root)

    def rule(context: Context) -> Sequence[Node | None]:
        operand, indices, ids = context.inputs[:3]
        shape = (*indices.shape, *operand.shape[1:])
        (rows,) = gather(Context("Gather", (operand, indices), {}, (shape,)))
        gathered = Operand(shape, lambda: rows)
        return fold(Context(context.kind, (gathered, ids), {}, context.outputs))

    return rule


ROWS: dict[str, Rule] = {
    "SegmentSum": _segment_sum(mean=False),
    "SegmentMean": _segment_sum(mean=True),
    "UnsortedSegmentSum": _segment_sum(mean=False),
    **dict.fromkeys(("SegmentMax", "UnsortedSegmentMax"), _segment_fold("max", LOWEST)),
    **dict.fromkeys(("SegmentMin", "UnsortedSegmentMin"), _segment_fold("min", number(math.inf))),
    **dict.fromkeys(("SegmentProd", "UnsortedSegmentProd"), _segment_fold("prod", ONE)),
    "SparseSegmentSum": _sparse_segments(mean=False),
    "SparseSegmentSumWithNumSegments": _sparse_segments(mean=False),
    "SparseSegmentMean": _sparse_segments(mean=True),
    "SparseSegmentMeanWithNumSegments": _sparse_segments(mean=True),
    "SparseSegmentSqrtN": _sparse_segments(mean=False, root=True),
    "SparseSegmentSqrtNWithNumSegments": _sparse_segments(mean=False, root=True),
}
