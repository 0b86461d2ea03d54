"""Where the picture ends, and words for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tapemagic.explorer.curve import Curve, along
from tapemagic.explorer.paths import Paths
from tapemagic.explorer.ranges import Range
from tapemagic.explorer.sliders import Slider, Sliders, grid
from tapemagic.numbers import written


def finite(paths: Paths) -> Sliders:
    """A range that nobody asked for ends where the target does: before log's 0."""
    found: list[Slider] = []
    for place, slider in enumerate(paths.sliders):
        x = grid(slider)
        curve = along(paths.programs, paths.sliders.point, place, x)
        bad = _undefined(curve)
        if bad.any() and not slider.range.given and not bad.all():
            here = int(np.argmin(np.abs(x - slider.value)))
            slider = replace(slider, range=_cut(slider.range, x, bad, here))
        found.append(slider)
    return paths.sliders.ranging(found)


def _cut(given: Range, x: Any, bad: Any, here: int) -> Range:
    below = [i for i in range(here) if bad[i]]
    above = [i for i in range(here + 1, len(x)) if bad[i]]
    low = _short(x[max(below) + 1]) if below else given.low
    high = _short(x[min(above) - 1]) if above else given.high
    return replace(given, low=low, high=high) if low < high else given


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def domain_words(sliders: Sliders, curves: Sequence[Curve]) -> list[str]:
    """Where the target, along each of the entries, is no number."""
    words = []
    for slider, curve in zip(sliders, curves):
        bad = curve.x[_undefined(curve)]
        if bad.size:
            first = written(float(f"{bad[0]:.4g}"), slider.dtype)
            words.append(
                f"The target is nan or infinite at {bad.size} of {curve.x.size} points of this "
                f"range, the first at {slider.text} = {first}."
            )
    return words


def _undefined(curve: Curve) -> Any:
    return ~np.isfinite(curve.y) & (curve.path >= 0)


def branch_words(paths: Paths) -> list[str]:
    """Under which condition the recorded path holds, where the picture ends with it."""
    if not paths.branches:
        return []
    for place, slider in enumerate(paths.sliders):
        free = along(paths.programs, paths.sliders.point, place, grid(slider)).path < 0
        if free.any():
            why = f": {paths.why}" if paths.why else ""
            return [
                f"The recorded path holds for {paths.pieces[0].condition}; beyond it the curve is "
                f"not shown{why}."
            ]
    return []
