"""The sources' entries, each with a slider that moves it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tapemagic import mathml
from tapemagic.explorer import ranges
from tapemagic.explorer.program import inputs_of, number_or_text
from tapemagic.explorer.ranges import Range
from tapemagic.explorer.subject import Subject
from tapemagic.formula import Symbol
from tapemagic.numbers import in_dtype
from tapemagic.options import GradError
from tapemagic.trace import Array

GRID = 241  # points that are looked at for where the target is finite


@dataclass(frozen=True)
class Slider:
    """One entry of a source, its recorded value and its range."""

    symbol: Symbol
    value: float
    dtype: str
    range: Range

    @property
    def text(self) -> str:
        """As Python writes it: x, w[0], W[0, 1]."""
        name, index = self.symbol.name.text, self.symbol.index
        return f"{name}[{', '.join(map(str, index))}]" if index else name

    def data(self) -> dict[str, Any]:
        """As JSON has it."""
        found = self.range
        return {
            "text": self.text,
            "group": self.symbol.name.text,
            "mathml": mathml.markup(self.symbol),
            "value": number_or_text(self.value),
            "min": found.low,
            "max": found.high,
            "step": found.step,
            "scale": found.scale,
            "dtype": self.dtype,
            "word": found.word,
        }


@dataclass(frozen=True)
class Sliders:
    """All of them; `shapes` are the sources', by name."""

    each: tuple[Slider, ...]
    shapes: Mapping[str, tuple[int, ...]]

    def __iter__(self) -> Iterator[Slider]:
        return iter(self.each)

    def __len__(self) -> int:
        return len(self.each)

    def __getitem__(self, place: int) -> Slider:
        return self.each[place]

    @property
    def point(self) -> list[float]:
        """The recorded point, entry by entry."""
        return [slider.value for slider in self.each]

    def named(self, point: Sequence[float]) -> dict[str, Array]:
        """A point by the names of the sources, in their shapes."""
        found = {name: np.zeros(shape) for name, shape in self.shapes.items()}
        for slider, entry in zip(self.each, point):
            found[slider.symbol.name.text][slider.symbol.index] = entry
        return found

    def ranging(self, each: Sequence[Slider]) -> Sliders:
        """The same with other ranges."""
        return replace(self, each=tuple(each))


def sliders(subject: Subject, asked: Sequence[tuple[str, str]]) -> Sliders:
    """A slider for each entry of the sources; raises `GradError` for a range of no source."""
    equations = subject.derivation.equations
    dtypes = {
        leaf.text: subject.trace.tensors[leaf.tensors[0]].dtype
        for leaf in subject.question.sources
        if leaf.tensors
    }
    found: list[Slider] = []
    texts = dict(asked)
    for symbol in inputs_of(equations):
        value = float(equations.values[symbol.name][symbol.index])
        dtype = dtypes.get(symbol.name.text, equations.dtype)
        plain = Slider(symbol, in_dtype(value, dtype), dtype, ranges.around(value))
        text = texts.get(plain.text, texts.get(symbol.name.text))
        if text is not None:
            plain = replace(plain, range=ranges.read(text, plain.text, value))
        found.append(plain)
    known = [*dict.fromkeys(s.symbol.name.text for s in found), *(s.text for s in found)]
    for name in texts:
        if name not in known:
            raise GradError(
                f"--explore {name}={texts[name]}: {name} is no source; there are sliders for "
                f"{', '.join(dict.fromkeys(known))}"
            )
    names = dict.fromkeys(slider.symbol.name for slider in found)
    return Sliders(tuple(found), {name.text: equations.values[name].shape for name in names})


def grid(slider: Slider, count: int = GRID) -> Array:
    """Points over a slider's range, in its scale, as its dtype holds them."""
    spaced = np.geomspace if slider.range.scale == "log" else np.linspace
    found = spaced(slider.range.low, slider.range.high, count)
    return np.array([in_dtype(float(x), slider.dtype) for x in found])


def stops(slider: Slider, count: int) -> Array:
    """About so many points over a slider's range, at round numbers; the recorded one is among
    them."""
    found, given = grid(slider, count), slider.range
    if given.scale == "linear":
        least = (given.high - given.low) / given.step / (1.5 * count)  # steps from one to the next
        power = 10.0 ** math.floor(math.log10(least))
        apart = given.step * next(n * power for n in (1, 2, 5, 10) if n * power >= least)
        found = np.arange(given.low, given.high - apart / 2, apart)
        found = np.array([*(float(f"{x:.12g}") for x in found), given.high])
    return np.unique(np.append(found, slider.value))
