"""Rules of softmax and its losses, over the last axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tapemagic.formula import Formula, Quotient, call
from tapemagic.rules.elementwise import difference, total
from tapemagic.rules.reductions import Entries, added, multiplied
from tapemagic.rules.rule import Array, Attributes, Row, alike, filled, integers


def _exp_total(xs: Entries) -> Formula:
    return total(*(call("exp", x) for x in xs))


def softmax(array: Array) -> Array:
    """exp(xᵢ) / Σⱼ exp(xⱼ)"""
    if array.dtype != object:
        with np.errstate(all="ignore"):
            powers = np.exp(array - np.max(array, axis=-1, keepdims=True))
            return np.asarray(powers / np.sum(powers, axis=-1, keepdims=True))
    return _per_row(array, lambda xs: [Quotient(call("exp", x), _exp_total(xs)) for x in xs])


def log_softmax(array: Array) -> Array:
    """xᵢ - ln Σⱼ exp(xⱼ)"""
    if array.dtype != object:
        with np.errstate(all="ignore"):
            shifted = array - np.max(array, axis=-1, keepdims=True)
            powers = np.sum(np.exp(shifted), axis=-1, keepdims=True)
            return np.asarray(shifted - np.log(powers))
    return _per_row(array, lambda xs: [difference(x, call("log", _exp_total(xs))) for x in xs])


def _per_row(array: Array, build: Callable[[Entries], Entries]) -> Array:
    result = np.empty(array.shape, dtype=object)
    for index in np.ndindex(array.shape[:-1]):
        for place, entry in enumerate(build(list(array[index]))):
            result[index][place] = entry
    return result


def _cross_entropy(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    # TensorFlow's gradient, softmax - labels, takes it for granted that labels sum to 1.
    logits, labels = (np.array(a) for a in np.broadcast_arrays(*alike(inputs)))
    if logits.dtype != object:
        with np.errstate(all="ignore"):
            terms = np.where(labels == 0, 0.0, -labels * log_softmax(logits))
        return np.sum(terms, axis=-1), softmax(logits) - labels
    losses = np.empty(logits.shape[:-1], dtype=object)
    for index in np.ndindex(losses.shape):
        xs, shares = list(logits[index]), labels[index]
        log = call("log", _exp_total(xs))
        losses[index] = added([multiplied((p, difference(log, x))) for p, x in zip(shares, xs)])
    return losses, _entrywise(difference, softmax(logits), labels)


def _sparse_cross_entropy(inputs: Sequence[Array], attributes: Attributes) -> tuple[Array, ...]:
    logits, places = inputs[0], integers(inputs[1])
    labels = filled(logits.shape, 0, logits)
    one = filled((), 1, logits)[()]
    for index, place in zip(np.ndindex(logits.shape[:-1]), places):
        labels[index][place] = one
    return _cross_entropy((logits, labels), attributes)


def _entrywise(build: Callable[..., Formula], *arrays: Array) -> Array:
    result = np.empty(arrays[0].shape, dtype=object)
    for index in np.ndindex(result.shape):
        result[index] = build(*(array[index] for array in arrays))
    return result


# fmt: off
ROWS = (
    Row("Softmax",    "softmax",     lambda inputs, attributes: (softmax(inputs[0]),)),
    Row("LogSoftmax", "log-softmax", lambda inputs, attributes: (log_softmax(inputs[0]),)),
    Row("SoftmaxCrossEntropyWithLogits",       "cross-entropy", _cross_entropy),
    Row("SparseSoftmaxCrossEntropyWithLogits", "cross-entropy", _sparse_cross_entropy),
)
# fmt: on
