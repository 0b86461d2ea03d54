"""Tensors in numbers: NumPy float64 alone, each node once."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping, Sequence
from functools import lru_cache

import numpy as np
import opt_einsum

from tapemagic.formula import ONE, Formula, Power, Symbol
from tapemagic.meaning import compiled, meaning
from tapemagic.tensors import structures, whole
from tapemagic.tensors.nodes import (
    PLACES,
    Array,
    Contract,
    Function,
    Labels,
    Leaf,
    Map,
    Node,
    Plus,
    Reshape,
    Shape,
    Structure,
    core,
    postorder,
)
from tapemagic.trace import LARGE

LARGEST = LARGE  # entries of an array on the way


class TooLarge(Exception):
    """An array on the way would not fit; the message says how large."""


def evaluate(
    roots: Sequence[Node],
    values: Mapping[Leaf, Array],
    known: dict[Node, Array] | None = None,
    rounding: float = 0.0,
) -> list[Array]:
    """The value of each root; `values` of its leaves in their whole shape. What is `known` for
    these values is not computed again, and what is computed becomes known. With a `rounding`
    each result is off by that share, up and down in turn, as in a dtype of that precision.

    Raises `KeyError` for a leaf without a value and `TooLarge`.
    """
    known = {} if known is None else known
    with np.errstate(all="ignore"):
        for node in postorder(roots):
            if node in known:
                continue
            size = math.prod(node.shape)
            if size > LARGEST:
                raise TooLarge(f"an array of {size:.2g} entries")
            known[node] = _value(node, known, values)
            if rounding and not _is_exact(node):
                known[node] = known[node] * (1 + rounding * _in_turn(known[node].shape, len(known)))
    return [known[root] for root in roots]


_EXACT = {"max", "min", "topk", "first_largest"}


def _is_exact(node: Node) -> bool:
    """Whether it only chooses or moves what is there: a comparison with it stays true."""
    if isinstance(node, Contract):
        return len(node.factors) < 2 and node.coefficient == ONE and not node.summed
    if isinstance(node, Map):
        return not isinstance(node.formula, Power) and len(node.operands) > 1
    if isinstance(node, Function):
        return node.function in _EXACT
    return not isinstance(node, Plus)


def _in_turn(shape: Shape, start: int) -> Array:
    return np.where(np.arange(start, start + math.prod(shape)) % 2, -1.0, 1.0).reshape(shape)


_STEP = 1e4  # multiplications that NumPy could do while Python gets to the next node


def cost(roots: Sequence[Node], known: Container[Node] = ()) -> float:
    """About how many multiplications it takes to evaluate them; infinitely many where an array
    on the way would not fit."""
    total = 0.0
    for node in postorder(roots):
        if node in known:
            continue
        total += _STEP + math.prod(node.shape)
        if isinstance(node, Contract) and node.factors:
            shapes = [part.shape for part, _ in node.factors]
            _, path = opt_einsum.contract_path(_equation(node), *shapes, shapes=True)
            total += float(path.opt_cost)
            if len(shapes) > 1 and path.largest_intermediate > LARGEST:
                return math.inf
        elif isinstance(node, Function):
            total += 10 * math.prod(node.shape) * max(node.shape, default=1)
    return total


def _value(node: Node, known: Mapping[Node, Array], values: Mapping[Leaf, Array]) -> Array:
    if isinstance(node, Leaf):
        value = np.asarray(values[node])
        plain = value if value.dtype == bool else value.astype(np.float64)
        return plain.reshape(node.shape)
    if isinstance(node, Structure):
        return structures.entries(node)
    if isinstance(node, Contract):
        return _contracted(node, [known[part] for part in node.children])
    if isinstance(node, Plus):
        return np.asarray(sum(known[term] for term in node.terms))
    if isinstance(node, Map):
        arrays = [_aligned(known[part], ls, node.rank) for part, ls in node.operands]
        run = compiled(node.formula, {place: i for i, place in enumerate(PLACES)})
        found = np.asarray(run(arrays), dtype=np.float64)
        return np.array(np.broadcast_to(found, node.shape))
    if isinstance(node, Reshape):
        return known[node.operand].reshape(node.shape)
    assert isinstance(node, Function)
    found = whole.row(node.function).numpy(
        *(known[part] for part in node.operands), *node.parameters
    )
    return np.asarray(found).reshape(core(np.shape(found)))


def _aligned(array: Array, labels: Labels, rank: int) -> Array:
    """The array with its axes where `labels` say, so that it broadcasts."""
    order = np.argsort(labels)
    shape = [1] * rank
    for axis in order:
        shape[labels[axis]] = array.shape[axis]
    return np.transpose(array, order).reshape(shape)


def _equation(node: Contract) -> str:
    """The contraction as einsum writes it, without the axes that are broadcast."""
    letters = {label: opt_einsum.get_symbol(label) for label in node.sizes}
    terms = ["".join(letters[k] for k in labels) for _, labels in node.factors]
    kept = "".join(letters[k] for k in _kept(node))
    return f"{','.join(terms)}->{kept}"


def _kept(node: Contract) -> list[int]:
    has = {label for _, labels in node.factors for label in labels}
    return [label for label in range(node.rank) if label in has]


def _contracted(node: Contract, arrays: Sequence[Array]) -> Array:
    scale = number(node.coefficient)
    if not arrays:
        return np.full(node.shape, scale)
    by = _contraction(_equation(node), *(array.shape for array in arrays))
    found = by(*(array.astype(np.float64) for array in arrays))
    kept = _kept(node)
    shape = [node.shape[k] if k in kept else 1 for k in range(node.rank)]
    return np.array(np.broadcast_to(scale * np.reshape(found, shape), node.shape))


@lru_cache(maxsize=1024)
def _contraction(equation: str, *shapes: tuple[int, ...]) -> Callable[..., Array]:
    """In the cheapest order, which takes longer to find than a small product itself."""
    found: Callable[..., Array] = opt_einsum.contract_expression(equation, *shapes)
    return found


def number(formula: Formula, values: Mapping[Symbol, float] | None = None) -> float:
    """A coefficient as a float."""
    return float(meaning([formula], values or {})[0])
