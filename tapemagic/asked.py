"""From TensorFlow's objects to what the doctor is told of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import tensorflow as tf

from tapemagic.case import AskedSource, AskedTape
from tapemagic.log import TapeLife
from tapemagic.recording import tensor_id
from tapemagic.sources import is_variable, unwrapped
from tapemagic.trace import Line, Trace
from tapemagic.tracing import line


def asked_source(trace: Trace, text: str, value: Any) -> AskedSource:
    """A tensor or variable as a source of this trace."""
    plain = unwrapped(value)
    key = tensor_id(plain)
    key = -1 if key is None else key
    variable = is_variable(value)
    dtype = getattr(getattr(plain, "dtype", None), "name", "")
    shape = getattr(plain, "shape", tf.TensorShape(()))
    return AskedSource(
        text,
        key if variable else trace.canonical(key),
        variable,
        bool(getattr(plain, "trainable", False)),
        dtype,
        tuple(shape.as_list()) if shape.rank is not None else (),
        trace.variables.get(key, ()) if variable else (),
        trace.read(key) if variable else (trace.canonical(key),),
    )


def asked_tape(life: TapeLife, variables: Collection[int], trace: Trace) -> AskedTape:
    """A tape's life, as the trace has it; `variables` are those it watched by itself."""
    watched: dict[int, tuple[int, Line | None]] = dict.fromkeys(variables, (0, None))
    for key, at, place in life.watched:
        watched.setdefault(trace.canonical(key), (at, line(place)))
    stops = tuple((s.first, s.last, line(s.place), s.kind) for s in life.stops)
    return AskedTape(watched, life.accessed, line(life.place), stops, life.early)
