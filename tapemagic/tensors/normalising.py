"""Normalisation of batches, channels and neighbours, written out in means and variances."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from tapemagic.formula import ONE, Formula, number
from tapemagic.tensors.algebra import Factor, Label, contract, plus, scaled, to_power
from tapemagic.tensors.nodes import Node, Structure, constant, core
from tapemagic.tensors.operand import Attributes, Context, Operand, Rule, kept, text

MINUS, HALF = number(-1), number(Fraction(-1, 2))


def _decimal(value: float) -> Formula:
    """A number that TensorFlow keeps in float32: 0.001, not 0.0010000000475."""
    return number(float(str(np.float32(value))))


class _Batch:
    """x in its axes: which is the channel, what is averaged over."""

    def __init__(self, x: Operand, attributes: Attributes) -> None:
        self.rank = len(x.shape)
        first = text(attributes.get("data_format") or "NHWC").startswith("NC")
        self.channel = 1 if first else self.rank - 1
        self.axes: list[Label] = list(kept(x.shape))
        self.shape = core(x.shape)
        self.own: list[Label] = [k for k in self.axes if k == self.channel]
        self.count = int(np.prod(x.shape)) // x.shape[self.channel]
        self.sizes: dict[Label, int] = dict(zip(self.axes, self.shape))

    def mean(self, *factors: Factor) -> Node:
        """Over everything but the channels."""
        return self.total(*factors, coefficient=number(Fraction(1, self.count)))

    def total(self, *factors: Factor, coefficient: Formula = ONE) -> Node:
        """The sum over everything but the channels."""
        sizes = {k: self.sizes[k] for k in self.own}
        return contract(factors, tuple(self.own), sizes, coefficient)

    def product(self, *factors: Factor) -> Node:
        """Entry by entry."""
        return contract(factors, tuple(self.axes), self.sizes)

    def wide(self, node: Node) -> Factor:
        """With all axes."""
        return node, self.axes

    def narrow(self, node: Node) -> Factor:
        """With the channel's axis only."""
        return node, self.own

    def less(self, node: Node, mean: Node) -> Node:
        """node − mean, the mean the same for all entries of a channel."""
        spread = contract([self.narrow(mean)], tuple(self.axes), self.sizes)
        return plus([node, scaled(spread, MINUS)], self.shape)


def _moments(
    batch: _Batch, x: Node, mean: Operand, variance: Operand, attributes: Attributes
) -> tuple[Node, Node]:
    """x − mean, and 1/√(variance + ε)."""
    training = bool(attributes.get("is_training", True))
    centred = batch.less(x, batch.mean(batch.wide(x)) if training else mean.node)
    spread = variance.node
    if training:
        spread = batch.mean(batch.wide(to_power(centred, number(2))))
    epsilon = constant(_decimal(attributes["epsilon"]), spread.shape)
    return centred, to_power(plus([spread, epsilon], spread.shape), HALF)


def _batch_norm(context: Context) -> Sequence[Node | None]:
    x, scale, offset, mean, variance = context.inputs[:5]
    batch = _Batch(x, context.attributes)
    centred, inverted = _moments(batch, x.node, mean, variance, context.attributes)
    scaled_ = batch.product(batch.narrow(scale.node), batch.wide(centred), batch.narrow(inverted))
    shift = contract([batch.narrow(offset.node)], tuple(batch.axes), batch.sizes)
    return (plus([scaled_, shift], batch.shape), *[None] * (len(context.outputs) - 1))


def _batch_norm_back(context: Context) -> Sequence[Node | None]:
    """The cotangents of x, scale and offset, as an inner tape has them."""
    g, x, scale, mean, variance = context.inputs[:5]
    batch = _Batch(x, context.attributes)
    centred, inverted = _moments(batch, x.node, mean, variance, context.attributes)
    unit = batch.product(batch.wide(centred), batch.narrow(inverted))
    offset_back = batch.total(batch.wide(g.node))
    scale_back = batch.total(batch.wide(g.node), batch.wide(unit))
    inner = g.node
    if context.attributes.get("is_training", True):
        along = batch.mean(batch.wide(g.node), batch.wide(unit))
        shift = batch.product(batch.wide(unit), batch.narrow(along))
        inner = batch.less(g.node, batch.mean(batch.wide(g.node)))
        inner = plus([inner, scaled(shift, MINUS)], batch.shape)
    back = batch.product(batch.narrow(scale.node), batch.narrow(inverted), batch.wide(inner))
    rest = [None] * (len(context.outputs) - 3)
    return (back, scale_back, offset_back, *rest)


def _neighbours(context: Context) -> Sequence[Node]:
    """x / (bias + α Σ x²)^β, the sum over channels nearby."""
    (x,) = context.inputs
    size = x.shape[-1]
    values = {k: context.attributes.get(k, v) for k, v in _RESPONSE.items()}
    i, j = np.ogrid[:size, :size]
    near = (np.abs(i - j) <= int(values["depth_radius"])).astype(float)
    axes: list[Label] = list(x.axes)
    square = to_power(x.node, number(2))
    out = axes
    factors: list[Factor] = [(square, axes)]
    if size > 1:
        last = axes[-1]
        band = Structure((size, size), "given", ("near",), given=near)
        factors = [(square, [*axes[:-1], "near"]), (band, (last, "near"))]
    total = contract(factors, tuple(out), {}, _decimal(values["alpha"]))
    bias = constant(_decimal(values["bias"]), total.shape)
    below = to_power(plus([bias, total], total.shape), number(-_fraction(values["beta"])))
    return (contract([(x.node, axes), (below, axes)], tuple(axes), {}),)


def _fraction(value: float) -> Fraction:
    return Fraction(str(np.float32(value)))


_RESPONSE = {"depth_radius": 5, "bias": 1.0, "alpha": 1.0, "beta": 0.5}

ROWS: dict[str, Rule] = {
    **dict.fromkeys(("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"), _batch_norm),
    **dict.fromkeys(
        ("FusedBatchNormGrad", "FusedBatchNormGradV2", "FusedBatchNormGradV3"), _batch_norm_back
    ),
    "LRN": _neighbours,
}
