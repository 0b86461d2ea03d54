"""Names for what layers hold and make, as textbooks give them: W₁ and b₁, h₁, W₂ …

The layers are numbered in the order in which they ran; names of the user's own come first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from tapemagic.spelling import unused
from tapemagic.trace import Binding, Block, Trace

_LETTERS = {
    "kernel": "W",
    "bias": "b",
    "recurrent_kernel": "U",
    "embeddings": "E",
    "gamma": "gamma",
    "beta": "beta",
    "moving_mean": "m",
    "moving_variance": "v",
    "depthwise_kernel": "D",
    "pointwise_kernel": "P",
    "alpha": "alpha",
}
_OUTPUTS = "hzasg"


def shorter(trace: Trace, long: Mapping[int, str]) -> dict[int, tuple[str, str]]:
    """Parameters of layers by their variable's id: a short name, and what it stands for.

    `long` has the names by which the user can reach variables; one that is a plain name is the
    user's own, and stays. Empty where a name of the user's would be mistaken for one of these.
    """
    found: dict[int, tuple[str, str]] = {}
    units = list(dict.fromkeys(_layer(block) for block in _units(trace.blocks)))
    own = _own(trace.blocks)
    for number, unit in enumerate(units, 1):
        for key, role in own.get(unit, ()):
            meaning = long.get(key) or f"{unit[0]}.{role}"
            if role in _LETTERS and not meaning.isidentifier():
                mark = str(number) if len(units) > 1 else ""
                found[key] = _LETTERS[role] + mark, meaning
    taken = {binding.name for binding in trace.bindings} | set(long.values())
    shorts = [short for short, _ in found.values()]
    clash = taken.intersection(shorts) or len(set(shorts)) < len(shorts)
    return {} if clash else found


def with_outputs(trace: Trace, taken: Collection[str] = ()) -> Trace:
    """The trace with a name for each output of a layer that the user gave none."""
    known = {binding.tensor for binding in trace.bindings}
    used = {*(binding.name for binding in trace.bindings), *taken}
    letter = unused(_OUTPUTS, used)
    units = _units(trace.blocks)
    bindings: list[Binding] = []
    for number, block in enumerate(units, 1):
        for place, key in enumerate(block.outputs):
            if key in known or key not in trace.tensors or key in block.inputs:
                continue
            known.add(key)
            mark = str(number) if len(units) > 1 or place else ""
            name = f"{letter}{mark}" + (f"_{place + 1}" if place else "")
            bindings.append(Binding(block.last, name, key))
    every = sorted((*trace.bindings, *bindings), key=lambda binding: binding.at)
    return replace(trace, bindings=tuple(every)) if bindings else trace


_Layer = tuple[str, tuple[tuple[int, str], ...]]


def _layer(block: Block) -> _Layer:
    """What tells layers apart."""
    return block.name, block.parameters


def _units(blocks: Sequence[Block]) -> list[Block]:
    """The calls that count: each that makes or holds something that no layer inside it does, in
    the order in which they ended."""
    made: set[int] = set()
    held: set[int] = set()
    found = []
    for block in sorted(blocks, key=lambda b: (b.last, -b.depth)):
        outputs = set(block.outputs) - set(block.inputs)
        parameters = {key for key, _ in block.parameters}
        if not outputs <= made or not parameters <= held:
            found.append(block)
        made |= outputs
        held |= parameters
    return found


def _own(blocks: Sequence[Block]) -> dict[_Layer, list[tuple[int, str]]]:
    """The parameters that a layer holds itself, not one inside it."""
    found: dict[_Layer, list[tuple[int, str]]] = {}
    held: set[int] = set()
    for block in sorted(blocks, key=lambda b: (b.last, -b.depth)):
        mine = [(key, role) for key, role in block.parameters if key not in held]
        held.update(key for key, _ in mine)
        if mine:
            found[_layer(block)] = mine
    return found
