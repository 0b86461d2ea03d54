"""The static picture: curve, point, tangent and axes as SVG, for readers without a script."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from tapemagic.explorer.curve import Curve
from tapemagic.numbers import written
from tapemagic.trace import Array

WIDTH, HEIGHT = 480, 300
_DIGIT = 8.5  # how wide one is
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 30, 44
# Apart for colour-blind readers as well, and on a bad projector.
_CURVE, _TANGENT, _INK, _GRID = "#0072b2", "#d55e00", "#222222", "#dddddd"


@dataclass(frozen=True)
class Panel:
    """The curve along one source, with the point and its tangent's slope."""

    curve: Curve
    source: str
    target: str
    point: tuple[float, float]
    slope: float
    log: bool = False

    @property
    def tangent(self) -> Curve | None:
        """The tangent over the same range."""
        (x0, y0), x = self.point, self.curve.x
        if not (math.isfinite(self.slope) and math.isfinite(y0)):
            return None
        return Curve(x, y0 + self.slope * (x - x0), np.zeros(x.shape))

    @property
    def words(self) -> str:
        """What there is to see, for those who cannot."""
        x, y = (written(float(f"{v:.6g}")) for v in self.point)
        slope = written(float(f"{self.slope:.6g}"))
        return f"{self.target} at {self.source} = {x} is {y}, the slope is {slope}"


def svg(panels: Sequence[Panel]) -> str:
    """The panels in rows of two, on a white ground."""
    columns = min(len(panels), 2)
    rows = math.ceil(len(panels) / max(columns, 1))
    width, height = WIDTH * columns, HEIGHT * rows
    parts = [
        f'<g transform="translate({WIDTH * (i % 2)},{HEIGHT * (i // 2)})">{_panel(panel)}</g>'
        for i, panel in enumerate(panels)
    ]
    words = escape(". ".join(panel.words for panel in panels))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="sans-serif" font-size="13" role="img">'
        f"<title>{words}</title>"
        f'<rect width="{width}" height="{height}" rx="6" fill="white"/>{"".join(parts)}</svg>'
    )


class Axis:
    """From values to places between `start` and `end`."""

    def __init__(self, low: float, high: float, start: float, end: float, log: bool = False):
        self.low, self.high, self.log = low, high, log
        self._start, self._end = start, end

    def place(self, value: float | Array) -> Array:
        """Where values stand."""
        values = np.asarray(value, dtype=np.float64)
        with np.errstate(all="ignore"):
            if self.log:
                share = np.log(values / self.low) / math.log(self.high / self.low)
            else:
                share = (values - self.low) / (self.high - self.low)
            return np.asarray(self._start + share * (self._end - self._start))

    @property
    def ticks(self) -> list[float]:
        """Round numbers, about five."""
        if self.log:
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            return [10.0**k for k in range(first, last + 1, max(1, (last - first) // 5))]
        rough = (self.high - self.low) / 5
        power = 10.0 ** math.floor(math.log10(rough))
        step = min((1, 2, 5, 10), key=lambda n: abs(n * power - rough)) * power
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [k * step for k in range(first, last + 1)]


def axes(panel: Panel, across: tuple[float, float], up: tuple[float, float]) -> tuple[Axis, Axis]:
    """The panel's axes between these places."""
    x = panel.curve.x
    low, high = _window(panel.curve.y, panel.point[1])
    return Axis(float(x[0]), float(x[-1]), *across, panel.log), Axis(low, high, *up)


def _panel(panel: Panel) -> str:
    x0, y0 = panel.point
    across, up = axes(panel, (_LEFT, WIDTH - _RIGHT), (HEIGHT - _BOTTOM, _TOP))
    parts = [_axes(across, up, panel)]
    inside = f'x="{_LEFT}" y="{_TOP}" width="{WIDTH - _RIGHT - _LEFT}" '
    inside += f'height="{HEIGHT - _BOTTOM - _TOP}"'
    lines = [_line(_path(panel.curve, across, up), _CURVE, 2.5)]
    if panel.tangent is not None:
        path = _path(panel.tangent, across, up)
        lines.insert(0, _line(path, _TANGENT, 2, ' stroke-dasharray="7 4"'))
    # A nested picture cuts off what leaves the frame, and needs no names that could clash.
    parts.append(f'<svg {inside} viewBox="{_viewbox()}">{"".join(lines)}</svg>')
    if math.isfinite(y0):
        cx, cy = float(across.place(x0)), float(up.place(y0))
        parts.append(f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="5" fill="{_INK}" stroke="white"/>')
    parts.append(_text(_LEFT, 18, panel.words, "start"))
    return "".join(parts)


def _viewbox() -> str:
    return f"{_LEFT} {_TOP} {WIDTH - _RIGHT - _LEFT} {HEIGHT - _BOTTOM - _TOP}"


def _window(y: Array, point: float) -> tuple[float, float]:
    """From where to where the picture goes: all of a tame curve, the middle of one with poles."""
    finite = np.append(y[np.isfinite(y)], [point] if math.isfinite(point) else [])
    if not finite.size:
        return -1.0, 1.0
    low, high = np.quantile(finite, [0.04, 0.96])
    spare = 1.5 * (high - low)
    low = min(max(float(finite.min()), low - spare), point if math.isfinite(point) else low)
    high = max(min(float(finite.max()), high + spare), point if math.isfinite(point) else high)
    if not high - low > 1e-12 * max(abs(low), abs(high), 1e-300):
        spread = abs(low) or 1.0
        return low - spread / 2, high + spread / 2
    margin = 0.06 * (high - low)
    return low - margin, high + margin


def _path(curve: Curve, across: Axis, up: Axis) -> str:
    """The curve as a polyline, broken where it jumps to another path or is not finite."""
    xs, ys = across.place(curve.x), np.clip(up.place(curve.y), -4 * HEIGHT, 5 * HEIGHT)
    found, before = [], -1
    for x, y, path in zip(xs, ys, curve.path):
        known = math.isfinite(y) and path >= 0
        if known:
            found.append(f"{'L' if path == before else 'M'}{x:.1f} {y:.1f}")
        before = path if known else -1
    return "".join(found)


def _line(path: str, colour: str, width: float, more: str = "") -> str:
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{more}/>'


def _axes(across: Axis, up: Axis, panel: Panel) -> str:
    bottom, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    parts = []
    for value in across.ticks:
        x = float(across.place(value))
        parts.append(_line(f"M{x:.1f} {_TOP}V{bottom}", _GRID, 1))
        words = tick(value)
        parts.append(_text(min(x, WIDTH - _DIGIT * len(words) / 2), bottom + 16, words))
    for value in up.ticks:
        y = float(up.place(value))
        parts.append(_line(f"M{_LEFT} {y:.1f}H{right}", _GRID, 1))
        parts.append(_text(_LEFT - 6, y + 4, tick(value), "end"))
    parts.append(_line(f"M{_LEFT} {_TOP}V{bottom}H{right}", _INK, 1.2))
    parts.append(_text((_LEFT + right) / 2, HEIGHT - 8, panel.source))
    return "".join(parts)


def tick(value: float) -> str:
    """A number at an axis."""
    return str(written(float(f"{value:.6g}") + 0.0))


def _text(x: float, y: float, words: str, anchor: str = "middle") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{_INK}">{escape(words)}</text>'
    )
