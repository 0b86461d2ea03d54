"""Patches of images, and images of another size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tapemagic.formula import ZERO
from tapemagic.tensors.algebra import Label, rearranged, reshaped
from tapemagic.tensors.nodes import Array, Node, core
from tapemagic.tensors.operand import Attributes, Context, Rule
from tapemagic.tensors.structures import given
from tapemagic.tensors.windows import BATCH, CHANNEL, Grid, factor, result


def _image_patches(context: Context) -> Sequence[Node]:
    """Each window laid out along the channels."""
    (image,) = context.inputs
    window = [int(size) for size in context.attributes["ksizes"]][1:-1]
    attributes = {**context.attributes, "dilations": context.attributes.get("rates")}
    grid = Grid(image.shape, window, context.output, attributes)
    output = (*context.output[:-1], image.shape[-1])
    found = grid.patches(image.node, image.shape, output, ZERO)
    labels = [*grid.output(), *grid.window]
    sizes: Mapping[Label, int] = dict(zip(labels, (*output, *window)))
    out = [k for k in (*labels[: len(window) + 1], *grid.window, CHANNEL) if sizes[k] != 1]
    own = [k for k in labels if sizes[k] != 1]
    turned = rearranged(found, own, out, tuple(sizes[k] for k in out))
    return (reshaped(turned, core(context.output)),)


def _resized(weights: str) -> Rule:
    """Each spatial axis times a matrix of weights."""

    def rule(context: Context) -> Sequence[Node]:
        image = context.inputs[0]
        labels: list[Label] = [BATCH, "j0", "j1", CHANNEL]
        factors = [factor(image.node, image.shape, labels)]
        for k, (old, new) in enumerate(zip(image.shape[1:3], context.output[1:3])):
            matrix = _weights(old, new, weights, context.attributes)
            shape = core(matrix.shape)
            own = [label for label, n in zip((f"i{k}", f"j{k}"), matrix.shape) if n != 1]
            factors.append((given(matrix.reshape(shape), f"{weights} weights"), own))
        return (result(factors, [BATCH, "i0", "i1", CHANNEL], context.output),)

    return rule


def _weights(old: int, new: int, kind: str, attributes: Attributes) -> Array:
    corners = bool(attributes.get("align_corners"))
    half = bool(attributes.get("half_pixel_centers"))
    scale = (old - 1) / (new - 1) if corners and new > 1 else old / new
    places = np.arange(new)
    at = (places + 0.5) * scale - 0.5 if half else places * scale
    found = np.zeros((new, old))
    if kind == "nearest":
        at = (places + 0.5) * scale if half else at
        nearest = np.floor(at + 0.5) if corners else np.floor(at)
        found[places, np.clip(nearest, 0, old - 1).astype(int)] = 1
        return found
    low = np.floor(at)
    share = at - low
    np.add.at(found, (places, np.clip(low, 0, old - 1).astype(int)), 1 - share)
    np.add.at(found, (places, np.clip(low + 1, 0, old - 1).astype(int)), share)
    return found


ROWS: dict[str, Rule] = {
    "ExtractImagePatches": _image_patches,
    "ExtractVolumePatches": _image_patches,
    "ResizeBilinear": _resized("bilinear"),
    "ResizeNearestNeighbor": _resized("nearest"),
}
