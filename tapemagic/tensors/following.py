"""Definitions and adjoints followed in numbers, in float64: forward, then backward."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tapemagic.tensors.definitions import Definition, Definitions
from tapemagic.tensors.evaluation import evaluate
from tapemagic.tensors.nodes import Array, Leaf, Node, Shape


def adjoint_leaf(leaf: Leaf, front: Shape) -> Leaf:
    """The symbol ∂target/∂leaf; the target's axes `front` come first."""
    return Leaf(front + leaf.shape, leaf.name, leaf.whole, True)


def forward(
    definitions: Definitions,
    chosen: Mapping[Leaf, Array] | None = None,
    at_rest: Mapping[Leaf, Array] | None = None,
) -> dict[Leaf, Array]:
    """All names in float64, from the recorded values of what is given (and of what an opaque
    operation made) or those `chosen` in their place; what depends on none of these is taken from
    the values `at_rest`, where they are known. Raises `LookupError` where one is gone."""
    moved = set(chosen or ())
    known: dict[Leaf, Array] = {}
    opaque = [d.leaf for d in definitions.definitions if d.opaque]
    for leaf in (*definitions.given, *opaque):
        value = chosen.get(leaf) if chosen else None
        value = definitions.look(leaf) if value is None else value
        if value is None:
            raise LookupError(leaf.name.text)
        known[leaf] = value
    for d in definitions.definitions:
        if d.opaque:
            continue
        if at_rest is None or not moved.isdisjoint(d.reads):
            known[d.leaf] = evaluate([d.node], known)[0]
            moved.add(d.leaf)
        else:
            known[d.leaf] = at_rest[d.leaf]
    return known


def backward(
    definitions: Definitions,
    nodes: Mapping[Leaf, Node | None],
    front: Shape,
    chosen: Mapping[Leaf, Array] | None = None,
) -> dict[Leaf, Array]:
    """The adjoints in numbers, with values `chosen` in place of the recorded ones: by their
    `nodes`, or where there is none by the tape's derivative of the operation behind. The target's
    axes `front` come first. Raises `LookupError` where a value is gone."""
    values = forward(definitions, chosen)
    adjoints: dict[Leaf, Array] = {}
    known: dict[Leaf, Array] = dict(values)
    by_leaf = {d.leaf: d for d in definitions.definitions}
    measured: dict[Leaf, Array] = {}
    for leaf, node in nodes.items():
        if node is not None:
            value = evaluate([node], known)[0]
        else:
            value = measured.get(leaf, np.zeros(front + leaf.shape))
        adjoints[leaf] = value
        known[adjoint_leaf(leaf, front)] = value
        d = by_leaf.get(leaf)
        if d is not None and d.operation is not None:
            if front:
                raise LookupError("a Jacobian through an operation without a rule")
            for argument, share in _by_tape(d, value):
                measured[argument] = measured.get(argument, 0) + share
    return adjoints


def _by_tape(d: Definition, value: Array) -> list[tuple[Leaf, Array]]:
    """What the tape's own derivative of an opaque operation gives its arguments."""
    assert d.operation is not None
    if d.operation.vjp is None:
        raise LookupError(f"{d.operation.kind} runs Python code")
    cotangents_ = [
        value.reshape(d.leaf.whole) if k == d.place else np.zeros(shape)
        for k, shape in enumerate(d.shapes)
    ]
    answers = d.operation.vjp(cotangents_)
    found = []
    for slot, argument in d.arguments:
        answer = answers[slot] if slot < len(answers) else None
        if answer is not None:
            found.append((argument, np.asarray(answer, dtype=np.float64).reshape(argument.shape)))
    return found
