"""One check for every row: numbers, formulas, slopes, all against TensorFlow itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from rule_examples import Example
from tensorflow.python.framework import op_callbacks, op_def_registry

from tapemagic.calculus import derivative
from tapemagic.formula import Formula, Name, Sum, Symbol, number, times
from tapemagic.numeric import evaluate
from tapemagic.rules import Row

Arrays = list[Any]


def problems(row: Row, example: Example) -> list[str]:
    """What is wrong with the row at this example, in words; nothing if it is right."""
    check = _Check(row, example)
    found = check.numbers()
    if example.symbolic and any(check.moving):
        found += check.formulas() + check.slopes()
    return found


class _Check:
    def __init__(self, row: Row, example: Example) -> None:
        self.row, self.example = row, example
        self.inputs, self.lengths = _flattened(example.inputs)
        self.moving = [array.dtype == np.float64 for array in self.inputs]
        self.outputs, self.attributes = self._truth()
        self.weights = [np.random.default_rng(3).normal(size=y.shape) for y in self.outputs]
        self.smooth = [y.dtype.kind == "f" for y in self.outputs]

    def _truth(self) -> tuple[Arrays, dict[str, Any]]:
        seen: list[dict[str, Any]] = []

        def watch(kind: Any, inputs: Any, attributes: Any, outputs: Any, *rest: Any) -> None:
            kind = kind.decode() if isinstance(kind, bytes) else kind
            if kind == self.row.kind:
                names, values = attributes[::2], attributes[1::2]
                seen.append({_text(k): v for k, v in zip(names, values)})

        op_callbacks.add_op_callback(watch)
        try:
            outputs = self._raw([tf.constant(array) for array in self.inputs])
        finally:
            op_callbacks.remove_op_callback(watch)
        return [output.numpy() for output in outputs], seen[0] if seen else {}

    def _raw(self, tensors: list[tf.Tensor]) -> list[tf.Tensor]:
        return raw_op(self.row.kind, _regrouped(tensors, self.lengths), self.example.options)

    def _apply(self, inputs: Arrays) -> Arrays:
        return list(self.row.apply(inputs, self.attributes))

    def numbers(self) -> list[str]:
        results = self._apply(self.inputs)
        if len(results) < len(self.outputs):
            return ["too few outputs"]
        return [
            f"output {place}: {mine} instead of {truth}"
            for place, (mine, truth) in enumerate(zip(results, self.outputs))
            if not _close(mine, truth, self.example.tolerance)
        ]

    def _symbols(self) -> tuple[Arrays, dict[Symbol, float]]:
        arrays, values = [], {}
        for place, array in enumerate(self.inputs):
            if not self.moving[place]:
                arrays.append(array)
                continue
            named = np.empty(array.shape, dtype=object)
            for index in np.ndindex(array.shape):
                named[index] = Symbol(Name(f"x{place}"), index)
                values[named[index]] = float(array[index])
            arrays.append(named)
        return arrays, values

    def formulas(self) -> list[str]:
        inputs, values = self._symbols()
        found = []
        for mine, truth in zip(self._apply(inputs), self._apply(self.inputs)):
            if mine.dtype == object and not _close(evaluate(mine, values), truth, 1e-11):
                found.append(f"formulas give {evaluate(mine, values)} instead of {truth}")
            elif mine.shape != truth.shape:
                found.append(f"formulas have shape {mine.shape}")
        return found

    def _scalar(self, outputs: Arrays) -> Formula:
        terms = []
        for output, weight, smooth in zip(outputs, self.weights, self.smooth):
            if smooth:
                pairs = zip(np.asarray(output, object).ravel(), weight.ravel())
                terms += [
                    times(y if isinstance(y, Formula) else float(y), number(float(w)))
                    for y, w in pairs
                ]
        return Sum(tuple(terms))

    def slopes(self) -> list[str]:
        inputs, values = self._symbols()
        scalar, found = self._scalar(self._apply(inputs)), []
        wrt = self.example.wrt
        places = [p for p, moves in enumerate(self.moving) if moves and (not wrt or p in wrt)]
        tape = self._tape(places) if self.example.tape and any(self.smooth) else {}
        for place in places:
            slopes = [derivative(scalar, symbol) for symbol in inputs[place].ravel()]
            mine = evaluate(np.array(slopes, object).reshape(inputs[place].shape), values)
            if place in tape and not _close(mine, tape[place], self.example.tolerance):
                found.append(f"slope in input {place}: {mine}, the tape: {tape[place]}")
            if self.example.differences and any(self.smooth):
                quotient = differences(self._weighed, self.inputs, place)
                if not _close(mine, quotient, 1e-5):
                    found.append(f"slope in input {place}: {mine}, differences: {quotient}")
        return found

    def _weighed(self, inputs: Arrays) -> float:
        triples = zip(self._apply(inputs), self.weights, self.smooth)
        return sum(float(np.sum(y * w)) for y, w, smooth in triples if smooth)

    def _tape(self, places: list[int]) -> dict[int, Any]:
        tensors = [tf.constant(array) for array in self.inputs]
        with tf.GradientTape() as tape:
            tape.watch([tensors[place] for place in places])
            outputs = self._raw(tensors)
        targets = [y for y in outputs if y.dtype.is_floating]
        weights = [tf.constant(w) for w, smooth in zip(self.weights, self.smooth) if smooth]
        sources = [tensors[place] for place in places]
        slopes = tape.gradient(targets, sources, weights, tf.UnconnectedGradients.ZERO)
        return {p: tf.convert_to_tensor(slope).numpy() for p, slope in zip(places, slopes)}


def differences(function: Callable[[Arrays], float], inputs: Arrays, place: int) -> Any:
    """Central differences."""
    result, step = np.empty(inputs[place].shape), 1e-6
    for index in np.ndindex(result.shape):
        ends = []
        for sign in (1, -1):
            moved = [array.copy() for array in inputs]
            moved[place][index] += sign * step
            ends.append(function(moved))
        result[index] = (ends[0] - ends[1]) / (2 * step)
    return result


def raw_op(kind: str, inputs: list[Any], options: dict[str, Any]) -> list[tf.Tensor]:
    """The op itself, its outputs as a flat list."""
    definition = op_def_registry.get(kind)
    call = getattr(tf.raw_ops, kind)
    names = [argument.name for argument in definition.input_arg]
    known = list(inspect.signature(call).parameters)
    if not set(names) <= set(known):  # Python calls some inputs otherwise, in the same order
        names = known[: len(names)]
    result = call(**dict(zip(names, inputs)), **options)
    return tf.nest.flatten(result)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _flattened(inputs: tuple[Any, ...]) -> tuple[Arrays, list[int]]:
    flat, lengths = [], []
    for entry in inputs:
        lengths.append(len(entry) if isinstance(entry, list) else -1)
        flat += [np.asarray(a) for a in (entry if isinstance(entry, list) else [entry])]
    return flat, lengths


def _regrouped(flat: list[Any], lengths: list[int]) -> list[Any]:
    rest, groups = iter(flat), []
    for length in lengths:
        groups.append(next(rest) if length < 0 else [next(rest) for _ in range(length)])
    return groups


def _close(mine: Any, truth: Any, tolerance: float) -> bool:
    mine, truth = np.asarray(mine), np.asarray(truth)
    if mine.shape != truth.shape:
        return False
    return bool(np.allclose(mine, truth, rtol=tolerance, atol=tolerance, equal_nan=True))
