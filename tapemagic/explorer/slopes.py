"""Derivatives of straight-line code, by a forward sweep over its registers.

The sweep writes further registers, which are shared with what is there, so that each order
adds a number of operations linear in that of the order below: no expression swell. The slopes
are those of `functions` and `calculus`, hence TensorFlow's at kinks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tapemagic.explorer.registers import Registers
from tapemagic.formula import Name, Symbol
from tapemagic.functions import FUNCTIONS


def slopes(registers: Registers, wanted: Sequence[int], by: Mapping[int, int]) -> list[int]:
    """d wanted/dt as registers, where the inputs `by` have these registers as d input/dt."""
    dots = dict(by)
    for node in registers.needed(wanted):
        if node in dots:
            continue
        name, *parts = registers.op(node)
        if name in ("input", "constant") or not any(part in dots for part in parts):
            continue
        dot = _slope(registers, node, name, parts, dots)
        if dot != registers.zero:
            dots[node] = dot
    return [dots.get(node, registers.zero) for node in wanted]


def _slope(
    r: Registers, node: int, name: str, parts: Sequence[int], dots: Mapping[int, int]
) -> int:
    own = [dots.get(part, r.zero) for part in parts]
    if name in ("add", "sub", "neg"):
        return r.emit(name, *own)
    if name == "mul":
        left, right = r.emit("mul", own[0], parts[1]), r.emit("mul", parts[0], own[1])
        return r.emit("add", left, right)
    if name == "div":
        above = r.emit("sub", own[0], r.emit("mul", node, own[1]))
        return r.emit("div", above, parts[1])
    if name == "pow":
        return _power(r, node, parts, own)
    if name == "where":
        # One branch counts: an infinite slope in the other one must not turn into 0 · ∞ = nan.
        return own[1] if own[1] == own[2] else r.emit("where", parts[0], own[1], own[2])
    symbols = [Symbol(Name(f"argument {i}")) for i in range(len(parts))]
    where = dict(zip(symbols, parts))
    total = r.zero
    for partial, dot in zip(FUNCTIONS[name].partials(*symbols), own):
        if dot != r.zero:
            total = r.emit("add", total, r.emit("mul", dot, r.formula(partial, where)))
    return total


def _power(r: Registers, node: int, parts: Sequence[int], own: Sequence[int]) -> int:
    base, exponent = parts
    lower = r.emit("pow", base, r.emit("sub", exponent, r.one))
    by_base = r.emit("mul", own[0], r.emit("mul", exponent, lower))
    if own[1] == r.zero:
        return by_base
    # TensorFlow's slope in the exponent is 0 where the base is not positive.
    fixed = r.value(base)
    logarithm = r.emit("log" if fixed is not None and fixed > 0 else "log_or_zero", base)
    return r.emit("add", by_base, r.emit("mul", own[1], r.emit("mul", node, logarithm)))
