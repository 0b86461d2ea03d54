"""Constant tensors that linear operations stand for: which entries go where.

One row a kind: how to make the entries, and what the kind is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tapemagic.formula import number
from tapemagic.tensors.nodes import Array, Node, Shape, Structure, constant

Make = Callable[..., Array]


def _window(shape: Shape, stride: int, dilation: int, pad: int) -> Array:
    """[i, j, p] = 1 where place p of the window at i lies on j: a convolution along one axis."""
    i, j, p = np.ogrid[: shape[0], : shape[1], : shape[2]]
    return np.asarray(j == i * stride + p * dilation - pad)


def _strided(shape: Shape, start: int, step: int) -> Array:
    """[i, j] = 1 where j = start + step · i: a slice, or a part put in its place."""
    i, j = np.ogrid[: shape[0], : shape[1]]
    return np.asarray(j == start + step * i)


def _one_hot(shape: Shape, places: tuple[int, ...]) -> Array:
    """[i, …, j] = 1 where j is the place of i, …: a gather, or groups to be summed."""
    rows = np.array(places, dtype=np.int64).reshape(*shape[:-1], 1)
    return np.asarray(rows == np.arange(shape[-1]))


def _unit(shape: Shape, place: int) -> Array:
    """[j] = 1 at one place: an entry of a vector."""
    return np.asarray(np.arange(shape[0]) == place)


def _range(shape: Shape, start: int, step: int) -> Array:
    """[i] = start + step · i"""
    return np.asarray(start + step * np.arange(shape[0]))


def _triangle(shape: Shape, lower: bool, offset: int, half: bool) -> Array:
    """Ones on one side of the diagonal, and on it (½ there if `half`)."""
    rows, columns = shape
    found = np.tri(rows, columns, k=offset) if lower else np.tri(columns, rows, k=offset).T
    return np.asarray(found - np.eye(rows, columns) / 2 if half else found)


def _modulo(shape: Shape) -> Array:
    """[i, j] = 1 where j = i mod n: a tile."""
    i, j = np.ogrid[: shape[0], : shape[1]]
    return np.asarray(i % shape[1] == j)


def _mirrored(shape: Shape, pad: int, symmetric: int) -> Array:
    """[i, j] = 1 where padding by reflection takes j for i."""
    size = shape[1]
    rows = np.pad(
        np.arange(size), (pad, shape[0] - size - pad), "symmetric" if symmetric else "reflect"
    )
    return np.asarray(rows[:, None] == np.arange(size))


def _wave(of: Callable[[Array], Array]) -> Make:
    """[k, n] = cos(2πkn/period), or the sine: the Fourier transform's real and imaginary part."""

    def make(shape: Shape, period: int) -> Array:
        k, n = np.ogrid[: shape[0], : shape[1]]
        return of(2 * np.pi * (k * n % period) / period)

    return make


def _given(shape: Shape, *parameters: Any) -> Array:
    raise LookupError("a structure with entries of its own")


KINDS: dict[str, Make] = {
    "identity": lambda shape: np.eye(shape[0]),
    "window": _window,
    "strided": _strided,
    "one_hot": _one_hot,
    "unit": _unit,
    "range": _range,
    "triangle": _triangle,
    "modulo": _modulo,
    "mirrored": _mirrored,
    "cosine": _wave(np.cos),
    "sine": _wave(np.sin),
    "given": _given,
}


def given(array: Array, what: str) -> Node:
    """A constant with these entries (more than one along every axis); `what` says which."""
    if not array.shape:
        return constant(number(float(array)))
    return Structure(array.shape, "given", (what,), given=array)


def entries(structure: Structure) -> Array:
    """The entries in float64."""
    if structure.given is not None:
        return np.asarray(structure.given, dtype=np.float64)
    return KINDS[structure.kind](structure.shape, *structure.parameters).astype(np.float64)
