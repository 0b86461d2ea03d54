"""How large the entries of an array are, whatever its size: never a copy of the whole."""

from __future__ import annotations

import math

import numpy as np

from tapemagic.trace import Array

_PIECE = 2**16


def extent(array: Array) -> tuple[float, float, float]:
    """Norm, smallest and largest entry of an array of real numbers, in float64."""
    flat = array.reshape(-1)
    square, low, high = 0.0, math.inf, -math.inf
    for start in range(0, flat.size, _PIECE):
        piece = np.asarray(flat[start : start + _PIECE], dtype=np.float64)
        square += float(np.sum(np.square(piece)))
        low, high = min(low, float(np.min(piece))), max(high, float(np.max(piece)))
    return math.sqrt(square), low, high


def norm(array: Array) -> float:
    """The Euclidean norm, of complex entries too."""
    if np.iscomplexobj(array):
        return math.hypot(extent(array.real)[0], extent(array.imag)[0])
    return extent(array)[0]
