"""What a program is written from, entry by entry, where nobody would print it.

A cell shows tensors of many entries as whole ones, and keeps no value of those without a name;
a page follows entries.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tapemagic.derivation import Derivation
from tapemagic.deriving import Explained, entrywise
from tapemagic.equations import Equations, Leaf, NotDerivable, Slice, derive_equations
from tapemagic.explorer.program import NotExplorable
from tapemagic.formula import Name
from tapemagic.numeric import NotReplayable, Replay
from tapemagic.trace import Array, Trace

WIDE = 1_024  # entries of one tensor that a page follows
MOST = 8_192  # of all together


def written_out(one: Explained) -> Derivation:
    """The derivation of something explained; raises `NotExplorable` with the reason."""
    if one.derivative.derivation is not None:
        return one.derivative.derivation
    leaves = [leaf for leaf in one.question.sources if leaf.tensors]
    try:
        return entrywise(_valued(one.trace, one.question.target, leaves), one.question, WIDE)
    except (NotDerivable, NotReplayable) as reason:
        raise NotExplorable(str(reason)) from reason


def equations_of(
    trace: Trace, target: int, text: str, leaves: Sequence[Leaf], names: Mapping[int, str]
) -> Equations:
    """The equations of any tensor; raises `NotExplorable` with the reason."""
    try:
        return derive_equations(trace, target, text, leaves, names)
    except NotDerivable:
        pass
    try:
        valued = _valued(trace, target, leaves)
        return derive_equations(valued, target, text, leaves, names, WIDE)
    except (NotDerivable, NotReplayable) as reason:
        raise NotExplorable(str(reason)) from reason


def unwritten(one: Explained) -> Derivation:
    """Only what it is about: the sources and the target, where nothing can be written out."""
    trace, question = one.trace, one.question
    values: dict[Name, Array] = {}
    for leaf in question.sources:
        data = trace.array(leaf.tensors[0]) if leaf.tensors else None
        if data is None or len(leaf.tensors) != 1:
            raise NotExplorable(f"{leaf.text} is not one tensor that was kept")
        values[Name(leaf.name)] = np.asarray(data, dtype=np.float64)
    sources = tuple((name,) for name in values)
    target = Name(question.text)
    known = trace.array(question.target)
    values[target] = np.asarray(np.nan if known is None else known, dtype=np.float64)
    dtype = trace.tensors[question.target].dtype
    equations = Equations(target, (), sources, (), values, dtype)
    source = sources[question.order[0]]
    seed = np.ones(values[target].shape) if question.seed is None else question.seed
    return Derivation(equations, seed, 0, (), source, np.zeros(values[source[0]].shape))


def _valued(trace: Trace, target: int, leaves: Sequence[Leaf]) -> Trace:
    """The trace with all values from the leaves to the target, computed anew where not kept."""
    between = Slice(trace, target, leaves)
    keys = {key for op in between.operations for key in (*op.inputs, *op.outputs)} & between.reach
    sizes = {key: math.prod(trace.tensors[key].shape) for key in keys}
    if sum(sizes.values()) > MOST or max(sizes.values(), default=0) > WIDE:
        raise NotExplorable(
            f"its tensors have {sum(sizes.values()):,} entries, more than a page can follow"
        )
    kept = _with(trace, {key: trace.array(key) for key in keys})
    missing = [key for key in keys if kept.tensors[key].data is None]
    return _with(kept, Replay(kept, (), missing).run({})) if missing else kept


def _with(trace: Trace, values: Mapping[int, Array | None]) -> Trace:
    tensors = dict(trace.tensors)
    for key, value in values.items():
        if value is not None and tensors[key].data is None:
            tensors[key] = replace(tensors[key], data=np.asarray(value))
    return replace(trace, tensors=tensors)
