"""The recorded values of named tensors, in float64."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from tapemagic.tensors.nodes import Array, Leaf
from tapemagic.trace import Trace

KEPT = 2**16  # entries of a source or constant that are kept for evaluating again


class Memory:
    """The recorded values: those of moderate size kept, the others looked up as long as somebody
    else keeps them."""

    def __init__(self, trace: Trace, keys: Mapping[Leaf, int], parts: Mapping[Leaf, str]) -> None:
        self._trace, self._keys, self._parts = trace, keys, parts
        self._kept: dict[Leaf, Array] = {}
        for leaf in keys:
            if math.prod(leaf.shape) <= KEPT:
                value = self.peek(leaf)
                if value is not None:
                    self._kept[leaf] = as_double(value)

    def look(self, leaf: Leaf) -> Array | None:
        """The value of a leaf."""
        if leaf in self._kept:
            return self._kept[leaf]
        value = self.peek(leaf)
        return None if value is None else as_double(value)

    def peek(self, leaf: Leaf) -> Array | None:
        """The value as it was recorded."""
        key = self._keys.get(leaf)
        value = None if key is None else self._trace.array(key)
        which = self._parts.get(leaf)
        return value if which is None or value is None else part_of(np.asarray(value), which)


def part_of(value: Array, which: str) -> Array:
    return np.asarray(value.real if which == "re" else value.imag)


def as_double(value: Array) -> Array:
    """float64 of what the dtype's digits say: 0.1, not 0.10000000149 as float32 has it."""
    array = np.asarray(value)
    if array.dtype.kind == "f" and array.dtype.itemsize < 8 and array.size <= 4096:
        return np.array([float(str(v)) for v in array.flat]).reshape(array.shape)
    return array if array.dtype == bool else array.astype(np.float64)
