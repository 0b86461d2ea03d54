"""Convolutions and pooling: contractions with a window structure for each spatial axis.

[i, j, p] = 1 where place p of the window at i lies on entry j: y_i = Σ_{j,p} [i,j,p] x_j w_p
is the convolution x_{i+p} w_p, and its pullbacks are contractions with the same structure.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from tapemagic.formula import ONE, Formula, number
from tapemagic.tensors import whole
from tapemagic.tensors.algebra import contract
from tapemagic.tensors.nodes import Node, Shape, Structure
from tapemagic.tensors.operand import Attributes, Context, NotLiftable, Operand, Rule, text


class _Grid:
    """The spatial axes of a convolution: labels and window structures for each."""

    def __init__(
        self, image: Shape, window: Sequence[int], output: Shape, attributes: Attributes
    ) -> None:
        if text(attributes.get("data_format") or "NHWC") not in ("NHWC", "NDHWC", "NWC"):
            raise NotLiftable("channels in front of the spatial axes")
        self.rank = len(image)
        strides = list(attributes.get("strides") or [1] * self.rank)
        dilations = list(attributes.get("dilations") or [1] * self.rank)
        padding = text(attributes["padding"])
        if padding not in ("SAME", "VALID"):
            raise NotLiftable("explicit paddings")
        self.factors: list[tuple[Node, Sequence[object]]] = []
        self.image: list[object] = ["batch"]
        self.window: list[object] = []
        self.output: list[object] = ["batch"]
        self.padded = False
        for axis, places in enumerate(window, 1):
            self._axis(
                axis, image[axis], places, output[axis], strides[axis], dilations[axis], padding
            )

    def _axis(
        self,
        axis: int,
        size: int,
        places: int,
        count: int,
        stride: int,
        dilation: int,
        padding: str,
    ) -> None:
        needed = (count - 1) * stride + (places - 1) * dilation + 1
        pad = max(0, needed - size) // 2 if padding == "SAME" else 0
        self.padded = self.padded or (padding == "SAME" and needed > size)
        i, j, p = ("i", axis), ("j", axis), ("p", axis)
        self.image.append(j)
        self.window.append(p)
        self.output.append(i)
        if places == 1 and stride == 1 and not pad:
            # A window of one place: the same entry.
            self.image[-1] = i
            return
        full = np.ogrid[:count, :size, :places]
        entries = full[1] == full[0] * stride + full[2] * dilation - pad
        sizes, labels = (count, size, places), (i, j, p)
        kept = [k for k in range(3) if sizes[k] != 1]
        if len(kept) == 3:
            window = Structure(sizes, "window", (stride, dilation, pad))
        else:  # some axis has one entry: what is left of the structure
            given = entries.reshape([sizes[k] for k in kept]).astype(float)
            if not kept:
                return
            window = Structure(
                tuple(sizes[k] for k in kept),
                "given",
                ("window", *sizes, stride, dilation, pad),
                given=given,
            )
        self.factors.append((window, tuple(labels[k] for k in kept)))


def _factor(node: Node, shape: Shape, labels: Sequence[object]) -> tuple[Node, Sequence[object]]:
    return node, tuple(label for label, size in zip(labels, shape) if size != 1)


def _result(
    factors: Sequence[tuple[Node, Sequence[object]]],
    labels: Sequence[object],
    shape: Shape,
    coefficient: Formula = ONE,
) -> Node:
    sizes = {label: size for label, size in zip(labels, shape) if size != 1}
    return contract(factors, tuple(sizes), sizes, coefficient)


def _convolution(context: Context) -> Sequence[Node]:
    image, kernel = context.inputs
    grid = _Grid(image.shape, kernel.shape[:-2], context.output, context.attributes)
    if kernel.shape[-2] != image.shape[-1]:
        raise NotLiftable("a convolution in groups of channels")
    factors = [
        _factor(image.node, image.shape, [*grid.image, "in"]),
        *grid.factors,
        _factor(kernel.node, kernel.shape, [*grid.window, "in", "out"]),
    ]
    return (_result(factors, [*grid.output, "out"], context.output),)


def _depthwise(context: Context) -> Sequence[Node]:
    image, kernel = context.inputs
    if kernel.shape[-1] != 1:
        raise NotLiftable("a depthwise convolution with several kernels a channel")
    grid = _Grid(image.shape, kernel.shape[:-2], context.output, context.attributes)
    factors = [
        _factor(image.node, image.shape, [*grid.image, "in"]),
        *grid.factors,
        _factor(kernel.node, kernel.shape, [*grid.window, "in", "one"]),
    ]
    return (_result(factors, [*grid.output, "in"], context.output),)


def _input_back(context: Context) -> Sequence[Node]:
    """The convolution transposed, as a layer or as the way back of an inner tape."""
    _, kernel, cotangent = context.inputs
    grid = _Grid(context.output, kernel.shape[:-2], cotangent.shape, context.attributes)
    factors = [
        _factor(cotangent.node, cotangent.shape, [*grid.output, "out"]),
        *grid.factors,
        _factor(kernel.node, kernel.shape, [*grid.window, "in", "out"]),
    ]
    return (_result(factors, [*grid.image, "in"], context.output),)


def _filter_back(context: Context) -> Sequence[Node]:
    image, _, cotangent = context.inputs
    grid = _Grid(image.shape, context.output[:-2], cotangent.shape, context.attributes)
    factors = [
        _factor(image.node, image.shape, [*grid.image, "in"]),
        *grid.factors,
        _factor(cotangent.node, cotangent.shape, [*grid.output, "out"]),
    ]
    return (_result(factors, [*grid.window, "in", "out"], context.output),)


def _pooled(context: Context) -> tuple[Operand, _Grid, int]:
    (image,) = context.inputs
    window = list(context.attributes["ksize"])[1:-1]
    grid = _Grid(image.shape, window, context.output, context.attributes)
    return image, grid, int(np.prod(window))


def _average_pool(context: Context) -> Sequence[Node]:
    image, grid, count = _pooled(context)
    if grid.padded:
        raise NotLiftable("an average over windows that reach over the edge")
    factors = [_factor(image.node, image.shape, [*grid.image, "in"]), *grid.factors]
    share = number(Fraction(1, count))
    return (_result(factors, [*grid.output, "in"], context.output, share),)


def _max_pool(context: Context) -> Sequence[Node]:
    image, grid, count = _pooled(context)
    if grid.padded:
        raise NotLiftable("a maximum over windows that reach over the edge")
    if count == 1:
        raise NotLiftable("a window of one entry")
    window = tuple(context.attributes["ksize"])[1:-1]
    labels = [*grid.output, "in", *grid.window]
    shape = (*context.output, *(int(size) for size in window))
    factors = [_factor(image.node, image.shape, [*grid.image, "in"]), *grid.factors]
    patches = _result(factors, labels, shape)
    own = sum(1 for size in window if size != 1)
    made = whole.make("max", patches.shape[: patches.rank - own], patches, parameters=(own,))
    return (made,)


ROWS: dict[str, Rule] = {
    "Conv2D": _convolution,
    "Conv3D": _convolution,
    "DepthwiseConv2dNative": _depthwise,
    "Conv2DBackpropInput": _input_back,
    "Conv2DBackpropFilter": _filter_back,
    "AvgPool": _average_pool,
    "AvgPool3D": _average_pool,
    "MaxPool": _max_pool,
    "MaxPool3D": _max_pool,
}
