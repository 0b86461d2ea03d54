"""Pooling: means and maxima over the entries that lie under each window."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tapemagic.formula import number
from tapemagic.tensors import whole
from tapemagic.tensors.algebra import Factor, plus, rearranged
from tapemagic.tensors.nodes import Node, Shape
from tapemagic.tensors.operand import Attributes, Context, NotLiftable, Rule, text
from tapemagic.tensors.windows import CHANNEL, Grid, factor, result


def _pool_grid(image: Shape, output: Shape, attributes: Attributes) -> Grid:
    window = [int(size) for size in attributes["ksize"]]
    first = text(attributes.get("data_format") or "NHWC").startswith("NC")
    if window[0] != 1 or window[1 if first else -1] != 1:
        raise NotLiftable("pooling over the batch or the channels")
    return Grid(image, window[2:] if first else window[1:-1], output, attributes)


def _average_pool(context: Context) -> Sequence[Node]:
    (image,) = context.inputs
    grid = _pool_grid(image.shape, context.output, context.attributes)
    factors = [*grid.shares(), factor(image.node, image.shape, grid.image()), *grid.factors]
    return (result(factors, grid.output(), context.output),)


def _average_pool_back(context: Context) -> Sequence[Node]:
    cotangent = context.inputs[1]
    grid = _pool_grid(context.output, cotangent.shape, context.attributes)
    factors = [
        *grid.shares(),
        factor(cotangent.node, cotangent.shape, grid.output()),
        *grid.factors,
    ]
    return (result(factors, grid.image(), context.output),)


def _patches(grid: Grid, node: Node, shape: Shape, output: Shape) -> tuple[Node, int]:
    own = sum(1 for axis in grid.axes if axis.places != 1)
    return grid.patches(node, shape, output, number(-math.inf)), own


def _max_pool(context: Context) -> Sequence[Node]:
    """The first of the largest entries gets the whole cotangent, as in TensorFlow."""
    image = context.inputs[0]
    attributes = _with_windows(context)
    grid = _pool_grid(image.shape, context.output, attributes)
    patches, own = _patches(grid, image.node, image.shape, context.output)
    if not own:
        return (patches,)
    shape = patches.shape[: patches.rank - own]
    return (whole.make("max", shape, patches, parameters=(own, True)),)


def _with_windows(context: Context) -> Attributes:
    """MaxPoolV2 has the window and the strides among its inputs."""
    if not context.kind.endswith("V2"):
        return context.attributes
    ksize, strides = (operand.numbers for operand in context.inputs[-2:])
    return {**context.attributes, "ksize": ksize, "strides": strides}


def _max_pool_back(again: bool = False) -> Rule:
    """From the output's axes to the image's, and `again` back: the derivative of that."""

    def rule(context: Context) -> Sequence[Node]:
        image, pooled, cotangent = context.inputs[:3]
        grid = _pool_grid(image.shape, pooled.shape, _with_windows(context))
        ends = (grid.image(), grid.output()) if again else (grid.output(), grid.image())
        factors = [factor(cotangent.node, cotangent.shape, ends[0]), *grid.factors]
        factors += _chosen(grid, image.node, image.shape, pooled.shape)
        return (result(factors, ends[1], context.output),)

    return rule


def _chosen(grid: Grid, node: Node, shape: Shape, output: Shape) -> list[Factor]:
    """1 at the first of the largest entries under each window."""
    patches, own = _patches(grid, node, shape, output)
    if not own:
        return []
    labels = [*grid.output(), *grid.window]
    sizes = (*output, *(axis.places for axis in grid.axes))
    return [factor(whole.first_largest(patches, own), sizes, labels)]


def _dilation(context: Context) -> Sequence[Node]:
    """max over p of x_{i+p} + w_p"""
    image, kernel = context.inputs
    attributes = {**context.attributes, "dilations": context.attributes["rates"]}
    grid = Grid(image.shape, kernel.shape[:-1], context.output, attributes)
    patches, own = _patches(grid, image.node, image.shape, context.output)
    if not own:
        raise NotLiftable("a window of one entry")
    sizes = (*context.output, *(axis.places for axis in grid.axes))
    labels = [k for k, size in zip([*grid.output(), *grid.window], sizes) if size != 1]
    weights = factor(kernel.node, kernel.shape, [*grid.window, CHANNEL])
    spread = rearranged(*weights, labels, patches.shape)
    shifted = plus([patches, spread], patches.shape)
    shape = patches.shape[: patches.rank - own]
    return (whole.make("max", shape, shifted, parameters=(own, True)),)


ROWS: dict[str, Rule] = {
    "AvgPool": _average_pool,
    "AvgPool3D": _average_pool,
    "AvgPoolGrad": _average_pool_back,
    "AvgPool3DGrad": _average_pool_back,
    **dict.fromkeys(("MaxPool", "MaxPoolV2", "MaxPool3D"), _max_pool),
    **dict.fromkeys(("MaxPoolGrad", "MaxPoolGradV2", "MaxPool3DGrad"), _max_pool_back()),
    **dict.fromkeys(("MaxPoolGradGrad", "MaxPool3DGradGrad"), _max_pool_back(again=True)),
    "Dilation2D": _dilation,
}
