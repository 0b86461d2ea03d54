"""One check for every row of `lifting` and `whole`: the lifted op in numbers and its slopes,
against TensorFlow itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from rule_check import raw_op
from rule_examples import Example
from tensorflow.python.framework import op_callbacks

from tapemagic.formula import Name
from tapemagic.libraries import NAMES
from tapemagic.tensors.evaluation import evaluate
from tapemagic.tensors.lifting import lifted
from tapemagic.tensors.nodes import Leaf, Node, core, ones
from tapemagic.tensors.operand import Context, Operand
from tapemagic.tensors.pullback import cotangents
from tapemagic.tensors.recognition import recognised


@dataclass
class Lifted:
    """An op at a point: its outputs as tensor expressions of the leaves, and as numbers."""

    example: Example
    leaves: dict[int, Leaf]
    values: dict[Leaf, Any]
    nodes: list[Node | None]
    outputs: list[Any]


def lift(example: Example) -> Lifted:
    """Raises `NotLiftable`."""
    groups = [entry if isinstance(entry, list) else [entry] for entry in example.inputs]
    inputs = [np.asarray(array) for group in groups for array in group]
    outputs, attributes = _run(example, inputs)
    leaves = {
        place: Leaf(core(array.shape), Name(f"x{place}"), array.shape)
        for place, array in enumerate(inputs)
    }
    operands = tuple(
        Operand(
            array.shape,
            lambda place=place: leaves[place],  # type: ignore[misc]
            None if _moves(example, place, array) else array,
            leaves[place].name,
            lambda array=array: array,  # type: ignore[misc]
        )
        for place, array in enumerate(inputs)
    )
    shapes = tuple(output.shape for output in outputs)
    nodes = list(lifted(Context(example.kind, operands, attributes, shapes)))
    values = {leaf: inputs[place] for place, leaf in leaves.items()}
    moving = {p: leaf for p, leaf in leaves.items() if _moves(example, p, inputs[p])}
    return Lifted(example, moving, values, nodes, outputs)


def _moves(example: Example, place: int, array: Any) -> bool:
    return array.dtype.kind == "f" and (example.wrt is None or place in example.wrt)


def _run(example: Example, inputs: list[Any]) -> tuple[list[Any], dict[str, Any]]:
    if example.kind in NAMES:
        return [_raw(example, inputs)[0].numpy()], {"dtype": inputs[0].dtype.name}
    seen: list[dict[str, Any]] = []

    def watch(kind: Any, given: Any, attributes: Any, outputs: Any, *rest: Any) -> None:
        if (kind.decode() if isinstance(kind, bytes) else kind) == example.kind:
            names = [n.decode() if isinstance(n, bytes) else n for n in attributes[::2]]
            seen.append(dict(zip(names, attributes[1::2])))

    op_callbacks.add_op_callback(watch)
    try:
        outputs = _raw(example, [tf.constant(array) for array in inputs])
    finally:
        op_callbacks.remove_op_callback(watch)
    return [output.numpy() for output in outputs], seen[0]


def _raw(example: Example, tensors: list[Any]) -> list[Any]:
    rest, groups = iter(tensors), []
    for entry in example.inputs:
        groups.append([next(rest) for _ in entry] if isinstance(entry, list) else next(rest))
    if example.kind in NAMES:
        return [getattr(tf.linalg, example.kind)(*groups)]
    return raw_op(example.kind, groups, example.options)


def problems(made: Lifted) -> list[str]:
    """What is wrong with the lifted op, in words; nothing if it is right."""
    return _numbers(made) + (_slopes(made) if made.leaves else [])


def _numbers(made: Lifted) -> list[str]:
    found = []
    for place, (node, truth) in enumerate(zip(made.nodes, made.outputs)):
        if node is None:
            continue
        if node.shape != core(truth.shape):
            found.append(f"output {place} has shape {node.shape} instead of {truth.shape}")
            continue
        for what, form in (("lifted", node), ("recognised", recognised(node))):
            mine = evaluate([form], made.values)[0].reshape(truth.shape)
            if not close(mine, truth, made.example.tolerance):
                found.append(f"output {place}, {what}: {mine} instead of {truth}")
    return found


def close(mine: Any, truth: Any, tolerance: float) -> bool:
    return bool(np.allclose(mine, truth, rtol=tolerance, atol=tolerance, equal_nan=True))


def _slopes(made: Lifted) -> list[str]:
    example, found = made.example, []
    places = [p for p in made.leaves if example.wrt is None or p in example.wrt]
    if not example.tape or not places:
        return []
    outputs = [
        (k, node)
        for k, node in enumerate(made.nodes)
        if node is not None and made.outputs[k].dtype.kind == "f"
    ]
    rng = np.random.default_rng(5)
    for k, node in outputs:
        weight = rng.normal(size=made.outputs[k].shape)
        tape_slopes = _tape(made, places, k, weight)
        seed = Leaf(node.shape, Name("seed"), made.outputs[k].shape)
        back = cotangents(node, seed, 0, [made.leaves[p] for p in places])
        for place in places:
            leaf, truth = made.leaves[place], tape_slopes[place]
            parts = back.get(leaf, ())
            numbers = [evaluate([part], {**made.values, seed: weight})[0] for part in parts]
            mine = sum(numbers, np.zeros(leaf.shape)).reshape(truth.shape)
            if any(part.shape != leaf.shape for part in parts):
                found.append(f"slope in input {place} has shapes {[p.shape for p in parts]}")
            if not close(mine, truth, 10 * example.tolerance):
                found.append(f"slope of output {k} in input {place}: {mine}, the tape: {truth}")
    return found


def _tape(made: Lifted, places: list[int], output: int, weight: Any) -> dict[int, Any]:
    arrays = [
        np.asarray(a) for e in made.example.inputs for a in (e if isinstance(e, list) else [e])
    ]
    tensors = [tf.constant(array) for array in arrays]
    with tf.GradientTape() as tape:
        tape.watch([tensors[place] for place in places])
        target = _raw(made.example, tensors)[output]
    slopes = tape.gradient(
        target,
        [tensors[place] for place in places],
        tf.constant(weight, target.dtype),
        tf.UnconnectedGradients.ZERO,
    )
    return {p: tf.convert_to_tensor(slope).numpy() for p, slope in zip(places, slopes)}


__all__ = ["Lifted", "lift", "ones", "problems"]
