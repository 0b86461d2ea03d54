"""Convolutions: contractions with a window structure for each spatial axis.

[i, j, p] = 1 where place p of the window at i lies on entry j: y_i = Σ_{j,p} [i,j,p] x_j w_p
is the convolution x_{i+p} w_p, and its pullbacks are contractions with the same structure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from tapemagic.formula import ONE, ZERO, Formula, call, number
from tapemagic.tensors.algebra import Factor, Label, applied, contract, reshaped
from tapemagic.tensors.nodes import PLACES, Array, Node, Shape, Structure, constant, core
from tapemagic.tensors.operand import Attributes, Context, Rule, text
from tapemagic.tensors.structures import given

BATCH, CHANNEL = "batch", "channel"


@dataclass(frozen=True)
class _Axis:
    """One spatial axis: entries, places of the window, positions of the window."""

    size: int
    places: int
    count: int
    stride: int
    dilation: int
    pad: int

    @property
    def entries(self) -> Array:
        """[i, j, p] = 1 where place p of the window at i lies on j."""
        i, j, p = np.ogrid[: self.count, : self.size, : self.places]
        return np.asarray(j == i * self.stride + p * self.dilation - self.pad)

    @property
    def inside(self) -> Array:
        """[i, p] = 1 where place p of the window at i lies on an entry at all."""
        return np.asarray(self.entries.any(axis=1))

    def factor(self, i: Label, j: Label, p: Label) -> list[Factor]:
        """The structure, axes of one entry left out."""
        sizes = (self.count, self.size, self.places)
        labels = [label for label, size in zip((i, j, p), sizes) if size != 1]
        if len(labels) == 3:
            kind = "window", (self.stride, self.dilation, self.pad)
            return [(Structure(sizes, *kind), labels)]
        entries = self.entries.reshape(core(sizes)).astype(float)
        if entries.all():
            return []
        return [(given(entries, "window"), labels)]


class Grid:
    """The spatial axes of a convolution: labels of image and output, a structure for each."""

    def __init__(
        self, image: Shape, window: Sequence[int], output: Shape, attributes: Attributes
    ) -> None:
        layout = text(attributes.get("data_format") or "NHWC")
        self.first = layout.startswith("NC")
        spatial = range(2, len(image)) if self.first else range(1, len(image) - 1)
        strides = list(attributes.get("strides") or [1] * len(image))
        dilations = list(attributes.get("dilations") or [1] * len(image))
        explicit = list(attributes.get("explicit_paddings") or [])
        self.axes: list[_Axis] = []
        for axis, places in zip(spatial, window):
            stride, dilation = int(strides[axis]), int(dilations[axis])
            needed = (output[axis] - 1) * stride + (places - 1) * dilation + 1
            pad = 0
            if text(attributes["padding"]) == "SAME":
                pad = max(0, needed - image[axis]) // 2
            elif text(attributes["padding"]) == "EXPLICIT":
                pad = int(explicit[2 * axis])
            self.axes.append(_Axis(image[axis], places, output[axis], stride, dilation, pad))
        count = len(self.axes)
        self.window = [("p", k) for k in range(count)]
        self._i = [("i", k) for k in range(count)]
        self._j = [("j", k) for k in range(count)]
        self.factors: list[Factor] = []
        for k, along in enumerate(self.axes):
            if along.places == 1 and along.stride == 1 and along.count == along.size:
                self._j[k] = self._i[k]  # a window of one place: the same entry
            else:
                self.factors += along.factor(self._i[k], self._j[k], self.window[k])

    def image(self, channel: Sequence[Label] = (CHANNEL,)) -> list[Label]:
        """The labels of the image."""
        return self._whole(self._j, channel)

    def output(self, channel: Sequence[Label] = (CHANNEL,)) -> list[Label]:
        """The labels of what comes out."""
        return self._whole(self._i, channel)

    def _whole(self, spatial: Sequence[Label], channel: Sequence[Label]) -> list[Label]:
        return [BATCH, *channel, *spatial] if self.first else [BATCH, *spatial, *channel]

    @property
    def padded(self) -> bool:
        """Whether windows reach over the edge."""
        return any(not axis.inside.all() for axis in self.axes)

    def shares(self) -> list[Factor]:
        """1/count of the entries under each window."""
        found: list[Factor] = []
        for axis, label in zip(self.axes, self._i):
            counts = axis.inside.sum(axis=1)
            if len(set(counts.tolist())) == 1:
                found.append((constant(number(Fraction(1, int(counts[0])))), ()))
            else:
                found.append((given(1 / counts, "share"), (label,)))
        return found

    def patches(self, node: Node, shape: Shape, output: Shape, outside: Formula) -> Node:
        """What lies under each window, [output, places of the window]."""
        labels = [*self.output(), *self.window]
        sizes = (*output, *(axis.places for axis in self.axes))
        factors = [factor(node, shape, self.image()), *self.factors]
        found = result(factors, labels, sizes)
        if not self.padded or outside == ZERO:
            return found
        masks: list[Factor] = []
        for axis, i, p in zip(self.axes, self._i, self.window):
            if not axis.inside.all():
                own = [k for k, size in ((i, axis.count), (p, axis.places)) if size != 1]
                entries = axis.inside.astype(float)
                masks.append((given(entries.reshape(core(entries.shape)), "inside"), own))
        inside = result(masks, labels, sizes)
        return applied(call("where", PLACES[0], PLACES[1], outside), [inside, found], core(sizes))


def factor(node: Node, shape: Shape, labels: Sequence[Label]) -> Factor:
    """`node` of that shape with its labels, axes of one entry left out."""
    return node, tuple(label for label, size in zip(labels, shape) if size != 1)


def result(
    factors: Sequence[Factor], labels: Sequence[Label], shape: Shape, coefficient: Formula = ONE
) -> Node:
    """The contraction with these labels as axes, in that shape."""
    sizes = {label: size for label, size in zip(labels, shape) if size != 1}
    return contract(factors, tuple(sizes), sizes, coefficient)


class _Convolution:
    """Labels of image, kernel and output; channels in groups are two axes each."""

    def __init__(
        self, image: Shape, kernel: Shape, output: Shape, attributes: Attributes, depthwise: bool
    ) -> None:
        self.grid = Grid(image, kernel[:-2], output, attributes)
        channel = 1 if self.grid.first else len(image) - 1
        into, out = image[channel], output[channel]
        self.groups = 1 if depthwise else into // kernel[-2]
        self._channel, self._depthwise = channel, depthwise
        self._split_image = (self.groups, into // self.groups)
        self._split_kernel = (self.groups, out // self.groups)
        if depthwise:
            self._split_output = (kernel[-2], kernel[-1])
        else:
            self._split_output = self._split_kernel
        self.shapes = image, kernel, output

    def image(self, node: Node) -> Factor:
        """The image and its labels."""
        return self._channels(
            node, self.shapes[0], self.grid.image, ("group", "in"), self._split_image
        )

    def output(self, node: Node) -> Factor:
        """What came out, or its cotangent."""
        names = ("in", "out") if self._depthwise else ("group", "out")
        return self._channels(node, self.shapes[2], self.grid.output, names, self._split_output)

    def _channels(
        self,
        node: Node,
        shape: Shape,
        whole_: object,
        names: tuple[str, str],
        split: tuple[int, int],
    ) -> Factor:
        assert callable(whole_)
        wide = (*shape[: self._channel], *split, *shape[self._channel + 1 :])
        return factor(reshaped(node, core(wide)), wide, whole_(names))

    def kernel(self, node: Node) -> Factor:
        """The kernel and its labels."""
        kernel = self.shapes[1]
        if self._depthwise:
            return factor(node, kernel, [*self.grid.window, "in", "out"])
        wide = (*kernel[:-1], *self._split_kernel)
        return factor(reshaped(node, core(wide)), wide, [*self.grid.window, "in", "group", "out"])

    def made(self, factors: Sequence[Factor], like: Factor, shape: Shape) -> Node:
        """The contraction of factors with the axes of `like`, in that shape."""
        node, labels = like
        found = contract([*factors], tuple(labels), dict(zip(labels, node.shape)))
        return reshaped(found, core(shape))


_IMAGE, _KERNEL, _OUTPUT = range(3)  # of a convolution; also the places of an op's inputs


def _convolution(wanted: int, depthwise: bool = False) -> Rule:
    """One of the three by the two others: a convolution, or its way back to one of them."""

    def rule(context: Context) -> Sequence[Node]:
        image, kernel, output = (
            context.output if k == wanted else context.inputs[k].shape for k in range(3)
        )
        made = _Convolution(image, kernel, output, context.attributes, depthwise)
        placed = (made.image, made.kernel, made.output)
        given = [k for k in (_IMAGE, _OUTPUT, _KERNEL) if k != wanted]
        first, second = (placed[k](context.inputs[k].node) for k in given)
        like = placed[wanted](constant(ONE, core(context.output)))
        return (made.made([first, *made.grid.factors, second], like, context.output),)

    return rule


ROWS: dict[str, Rule] = {
    "Conv2D": _convolution(_OUTPUT),
    "Conv3D": _convolution(_OUTPUT),
    "DepthwiseConv2dNative": _convolution(_OUTPUT, depthwise=True),
    "Conv2DBackpropInput": _convolution(_IMAGE),
    "Conv3DBackpropInputV2": _convolution(_IMAGE),
    "DepthwiseConv2dNativeBackpropInput": _convolution(_IMAGE, depthwise=True),
    "Conv2DBackpropFilter": _convolution(_KERNEL),
    "Conv3DBackpropFilterV2": _convolution(_KERNEL),
    "DepthwiseConv2dNativeBackpropFilter": _convolution(_KERNEL, depthwise=True),
}
