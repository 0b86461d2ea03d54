"""The static picture for print: LaTeX's own `picture`, which needs no package and no file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from tapemagic import latex
from tapemagic.explorer.curve import Curve
from tapemagic.explorer.picture import Axis, Panel, axes, tick

_WIDTH, _HEIGHT = 270, 160  # of the frame, in points
_STEP = 3  # of the curve's points, every so many is enough on paper


def picture(panels: Sequence[Panel]) -> str:
    """The panels, one under the other."""
    return "\n\n".join("\n".join(_panel(panel)) for panel in panels)


def _panel(panel: Panel) -> Iterator[str]:
    across, up = axes(panel, (0, _WIDTH), (0, _HEIGHT))
    yield r"\noindent\setlength{\unitlength}{1pt}%"
    yield rf"\begin{{picture}}({_WIDTH + 60},{_HEIGHT + 55})(-50,-35)"
    yield rf"\put(0,0){{\line(1,0){{{_WIDTH}}}}}\put(0,0){{\line(0,1){{{_HEIGHT}}}}}"
    for value in across.ticks:
        x = float(across.place(value))
        yield rf"\put({x:.1f},-3){{\line(0,1){{6}}}}{_text(x, -12, tick(value))}"
    for value in up.ticks:
        y = float(up.place(value))
        yield rf"\put(-3,{y:.1f}){{\line(1,0){{6}}}}{_text(-8, y, tick(value), 'r')}"
    yield _text(_WIDTH / 2, -28, panel.source)
    yield _text(0, _HEIGHT + 12, panel.words, "l")
    if panel.tangent is not None:
        yield from _lines(panel.tangent, across, up, _STEP, "[3]")  # dotted
    yield r"\thicklines"  # until the picture's end
    yield from _lines(panel.curve, across, up, _STEP, "")
    x, y = float(across.place(panel.point[0])), float(up.place(panel.point[1]))
    if math.isfinite(y):
        yield rf"\put({x:.1f},{y:.1f}){{\circle*{{5}}}}"
    yield r"\end{picture}"


def _lines(curve: Curve, across: Axis, up: Axis, step: int, dots: str) -> Iterator[str]:
    """Pieces of the curve inside the frame; not from one path to another."""
    xs, ys = across.place(curve.x)[::step], up.place(curve.y)[::step]
    paths = curve.path[::step]
    inside = np.isfinite(ys) & (ys >= 0) & (ys <= _HEIGHT) & (paths >= 0)
    for i in range(len(xs) - 1):
        if inside[i] and inside[i + 1] and paths[i] == paths[i + 1]:
            (a, b), (c, d) = (xs[i], ys[i]), (xs[i + 1], ys[i + 1])
            middle = f"({(a + c) / 2:.1f},{(b + d) / 2:.1f})"
            yield rf"\qbezier{dots}({a:.1f},{b:.1f}){middle}({c:.1f},{d:.1f})"


def _text(x: float, y: float, words: str, side: str = "") -> str:
    place = f"[{side}]" if side else ""
    return rf"\put({x:.1f},{y:.1f}){{\makebox(0,0){place}{{\footnotesize ${latex.words(words)}$}}}}"
