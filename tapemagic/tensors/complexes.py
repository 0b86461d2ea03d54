"""Complex tensors as pairs of real ones: z = a + bi, so that every operation on them is calculus in
real tensors.

For a real function of real sources TensorFlow's convention (the conjugate of the derivative by a
complex number) cancels on the way back, and the tape's answer is the real derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Union

import numpy as np

from tapemagic.formula import ONE, ZERO, Formula, call, number
from tapemagic.tensors.algebra import contract, mapped, plus, scaled
from tapemagic.tensors.lifting import lifted
from tapemagic.tensors.nodes import PLACES, Node, Structure, constant, core
from tapemagic.tensors.operand import Context, NotLiftable, Operand, kept
from tapemagic.tensors.structures import given

MINUS = number(-1)
_A, _B, _C, _D = PLACES[:4]


@dataclass(frozen=True)
class Pair:
    """Real and imaginary part."""

    real: Node
    imag: Node


Result = Sequence[Union[Node, Pair]]  # noqa: UP007 - evaluated
Pairs = Sequence["Pair | None"]
Rule = Callable[[Context, Pairs], Result]


def lifted_pairs(context: Context, pairs: Pairs) -> Result:
    """The outputs of an operation on complex tensors; `pairs` has the complex inputs (None for a
    real one). Raises `NotLiftable`."""
    rule = ROWS.get(context.kind)
    if rule is None:
        raise NotLiftable(f"{context.kind} of complex numbers has no rule")
    return rule(context, pairs)


def _only(pairs: Pairs) -> Pair:
    (pair,) = (pair for pair in pairs if pair is not None)
    return pair


def _both(pairs: Pairs) -> tuple[Pair, Pair]:
    first, second = pairs
    if first is None or second is None:
        raise NotLiftable("a complex number beside a real one")
    return first, second


# -- part by part -------------------------------------------------------------------------------


def _parts(context: Context, pairs: Pairs) -> list[Sequence[Node | None]]:
    """The operation on the real parts, and on the imaginary parts."""

    def on(chosen: Callable[[Pair], Node]) -> Context:
        inputs = [
            operand if pair is None else _real(operand, chosen(pair))
            for operand, pair in zip(context.inputs, pairs)
        ]
        return replace(context, inputs=tuple(inputs))

    return [lifted(on(lambda pair: pair.real)), lifted(on(lambda pair: pair.imag))]


def _real(operand: Operand, node: Node) -> Operand:
    return replace(operand, make=lambda: node, data=None)


def _linear(context: Context, pairs: Pairs) -> Result:
    reals, imags = _parts(context, pairs)
    found: list[Pair] = []
    for real, imag in zip(reals, imags):
        if real is None or imag is None:
            raise NotLiftable(f"{context.kind} of complex numbers has no rule")
        found.append(Pair(real, imag))
    return found


def _bilinear(context: Context, pairs: Pairs) -> Result:
    """(a + bi)(c + di), for any product."""
    first, second = _both(pairs)
    if context.attributes.get("adj_x"):
        first = _conjugate(first)
    if context.attributes.get("adj_y"):
        second = _conjugate(second)
    left, right = context.inputs

    def product(a: Node, b: Node) -> Node:
        (found,) = lifted(replace(context, inputs=(_real(left, a), _real(right, b))))
        if found is None:
            raise NotLiftable(f"{context.kind} of complex numbers has no rule")
        return found

    shape = core(context.output)
    straight, crossed = product(first.real, second.real), product(first.imag, second.imag)
    real = plus([straight, scaled(crossed, MINUS)], shape)
    mixed = [product(first.real, second.imag), product(first.imag, second.real)]
    return [Pair(real, plus(mixed, shape))]


def _conjugate(pair: Pair) -> Pair:
    return Pair(pair.real, scaled(pair.imag, MINUS))


def _complex(context: Context, pairs: Pairs) -> Result:
    real, imag = (_spread(operand, context) for operand in context.inputs)
    return [Pair(real, imag)]


def _spread(operand: Operand, context: Context) -> Node:
    """A real input, broadcast to the output."""
    (found,) = lifted(Context("BroadcastTo", (operand,), {}, context.outputs))
    assert found is not None
    return found


def _cast(context: Context, pairs: Pairs) -> Result:
    (pair,), (operand,) = pairs, context.inputs
    return [pair or Pair(operand.node, constant(ZERO, operand.node.shape))]


# -- entry by entry -----------------------------------------------------------------------------


def _entries(*formulas: Formula) -> Rule:
    """Functions of entries: of a and b, and of c and d of a second input, broadcast."""

    def rule(context: Context, pairs: Pairs) -> Result:
        operands = []
        for operand, pair in zip(context.inputs, pairs):
            ahead = len(context.output) - len(operand.shape)
            labels = [axis + ahead for axis in operand.axes]
            parts = (operand.node, operand.node) if pair is None else (pair.real, pair.imag)
            operands += [(part, labels) for part in parts]
        out, shape = kept(context.output), core(context.output)
        found = [mapped(formula, operands, out, shape) for formula in formulas]
        return found if len(found) == 1 else [Pair(*found)]

    return rule


def _power(context: Context, pairs: Pairs) -> Result:
    """A whole power by products."""
    base, exponent = context.inputs
    if exponent.data is None or np.any(exponent.data != exponent.data.flat[0]) or not pairs[0]:
        raise NotLiftable("a complex power that is not constant")
    value = complex(exponent.data.flat[0])
    if value not in (1, 2, 3, 4) or base.shape != context.output:
        raise NotLiftable("a complex power that is not whole")
    found: Pair = pairs[0]
    for _ in range(int(value.real) - 1):
        both = replace(context, inputs=(base, base), kind="Mul")
        (product,) = ROWS["Mul"](both, [found, pairs[0]])
        assert isinstance(product, Pair)
        found = product
    return [found]


# -- Fourier transforms -------------------------------------------------------------------------


def _turned(
    node: Node,
    operand: Operand,
    axis: int,
    kind: str,
    places: int,
    period: int,
    weight: bool = False,
) -> Node:
    """Σₙ cos(2πkn/period) xₙ along an axis, or with the sine; `weight` counts what a real
    transform leaves out twice."""
    old = list(operand.axes)
    size = operand.shape[axis]
    if size == 1 or places == 1:
        raise NotLiftable("a Fourier transform of one entry")
    out = ["new" if label == axis else label for label in old]
    wave = Structure((places, size), kind, (period,))
    factors = [(wave, ("new", axis)), (node, old)]
    if weight:
        twice = np.full(size, 2.0)
        twice[0] = 1
        twice[-1] = 1 if period % 2 == 0 else 2
        factors.insert(1, (given(twice, "weights"), (axis,)))
    return contract(factors, out, {})


def _transform(sign: int, axes: int) -> Rule:
    """Σ x e^{∓2πikn/N}, over the last axes; the way back is divided by N."""

    def rule(context: Context, pairs: Pairs) -> Result:
        found, operand = _only(pairs), context.inputs[0]
        rank = len(operand.shape)
        for axis in range(rank - axes, rank):
            size = operand.shape[axis]
            parts = (found.real, found.imag)
            a, b = (_turned(part, operand, axis, "cosine", size, size) for part in parts)
            c, d = (_turned(part, operand, axis, "sine", size, size) for part in parts)
            scale = ONE if sign > 0 else number(Fraction(1, size))
            real = plus([a, scaled(d, number(sign))], a.shape)
            imag = plus([b, scaled(c, number(-sign))], a.shape)
            found = Pair(scaled(real, scale), scaled(imag, scale))
        return [found]

    return rule


def _real_transform(context: Context, pairs: Pairs) -> Result:
    operand, period = context.inputs[0], context.inputs[1].number
    axis = len(operand.shape) - 1
    if operand.shape[axis] > period:
        raise NotLiftable("a Fourier transform of a part")
    places = context.output[axis]
    cosine = _turned(operand.node, operand, axis, "cosine", places, period)
    sine = _turned(operand.node, operand, axis, "sine", places, period)
    return [Pair(cosine, scaled(sine, MINUS))]


def _real_transform_back(context: Context, pairs: Pairs) -> Result:
    pair, operand, period = _only(pairs), context.inputs[0], context.inputs[1].number
    axis = len(operand.shape) - 1
    if operand.shape[axis] != period // 2 + 1:
        raise NotLiftable("a Fourier transform of a part")
    cosine = _turned(pair.real, operand, axis, "cosine", period, period, weight=True)
    sine = _turned(pair.imag, operand, axis, "sine", period, period, weight=True)
    share = number(Fraction(1, period))
    return [scaled(plus([cosine, scaled(sine, MINUS)], core(context.output)), share)]


_SQUARED = _A**2 + _B**2
_BELOW = _C**2 + _D**2
_TO_REAL: Mapping[str, Rule] = {
    "Real": _entries(_A),
    "Imag": _entries(_B),
    "ComplexAbs": _entries(call("sqrt", _SQUARED)),
    "Angle": _entries(call("atan2", _B, _A)),
}
ROWS: Mapping[str, Rule] = {
    **_TO_REAL,
    "Complex": _complex,
    "Cast": _cast,
    "Conj": lambda context, pairs: [_conjugate(_only(pairs))],
    "Mul": _entries(_A * _C - _B * _D, _A * _D + _B * _C),
    "Square": _entries(_A**2 - _B**2, 2 * _A * _B),
    "RealDiv": _entries((_A * _C + _B * _D) / _BELOW, (_B * _C - _A * _D) / _BELOW),
    "Reciprocal": _entries(_A / _SQUARED, -_B / _SQUARED),
    "Exp": _entries(call("exp", _A) * call("cos", _B), call("exp", _A) * call("sin", _B)),
    "Log": _entries(call("log", _SQUARED) / 2, call("atan2", _B, _A)),
    "Pow": _power,
    "FFT": _transform(1, 1),
    "IFFT": _transform(-1, 1),
    "FFT2D": _transform(1, 2),
    "IFFT2D": _transform(-1, 2),
    "RFFT": _real_transform,
    "IRFFT": _real_transform_back,
    **dict.fromkeys(("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"), _bilinear),
    "Einsum": _bilinear,
    **dict.fromkeys(
        "Neg AddV2 Add Sub AddN Identity Snapshot ReadVariableOp Reshape ExpandDims Squeeze"
        " Transpose Sum Mean Slice StridedSlice Pack ConcatV2 Unpack Split SplitV GatherV2 Pad"
        " Tile BroadcastTo ReverseV2 Roll".split(),
        _linear,
    ),
}
