"""Identities of matrices: Cholesky's root, determinants, a running product, waves, expm."""

from __future__ import annotations

from tapemagic.formula import ONE, Power, call, number, times
from tapemagic.tensors.algebra import (
    contract,
    merged_into,
    replaced,
    scaled,
    to_power,
    unscaled,
    with_factors,
)
from tapemagic.tensors.nodes import (
    PLACES,
    Contract,
    Function,
    Map,
    Node,
    Plus,
    Structure,
    argument,
    constant,
)
from tapemagic.tensors.whole import exponential, make

MINUS = number(-1)


def masked_root(node: Node) -> Node | None:
    """Cholesky's root is lower triangular already."""
    assert isinstance(node, Contract)
    for place, (mask, labels) in enumerate(node.factors):
        if not (isinstance(mask, Structure) and mask.kind == "triangle"):
            continue
        for part, axes in node.factors:
            root = isinstance(part, Function) and part.function == "cholesky"
            if root and axes[-2:] == labels and mask.parameters == (True, 0, False):
                return with_factors(node, [f for k, f in enumerate(node.factors) if k != place])
    return None


def root_inverses(node: Node) -> Node | None:
    """L⁻ᵀ L⁻¹ = A⁻¹ for A = L Lᵀ"""
    assert isinstance(node, Contract)
    for place, (part, labels) in enumerate(node.factors):
        matrix = _rooted(part)
        if matrix is None:
            continue
        for other in range(place + 1, len(node.factors)):
            twin, axes = node.factors[other]
            shared = labels[-2]
            used = sum(shared in ls for _, ls in node.factors)
            if twin == part and axes[-2] == shared and shared >= node.rank and used == 2:
                inverted = make("inverse", matrix.shape, matrix)
                return merged_into(
                    node, (place, other), inverted, (*labels[:-2], labels[-1], axes[-1])
                )
    return None


def _rooted(node: Node) -> Node | None:
    """The A of chol(A)⁻¹."""
    if isinstance(node, Function) and node.function == "inverse":
        root = node.operands[0]
        if isinstance(root, Function) and root.function == "cholesky":
            return root.operands[0]
    return None


def log_of_root(node: Node) -> Node | None:
    """Σ ln diag chol(A) = ½ ln det A"""
    assert isinstance(node, Contract)
    if len(node.factors) != 1 or len(node.summed) != 1:
        return None
    part, labels = node.factors[0]
    diagonal = argument(part, "log")
    if labels[-1] not in node.summed or not isinstance(diagonal, Contract):
        return None
    if len(diagonal.factors) != 1 or diagonal.coefficient != ONE or diagonal.summed:
        return None
    root, axes = diagonal.factors[0]
    if not (isinstance(root, Function) and root.function == "cholesky"):
        return None
    batch = tuple(range(diagonal.rank - 1))
    if axes != (*batch, diagonal.rank - 1, diagonal.rank - 1) or labels[:-1] != batch:
        return None
    half = times(node.coefficient, number(ONE.value / 2))  # type: ignore[attr-defined]
    return scaled(make("logdet", node.shape, root.operands[0]), half)


def chosen_only(node: Node) -> Node | None:
    """c ∘ "x⁻¹ where c, else 1" is c ∘ x⁻¹: the running product's slope."""
    assert isinstance(node, Contract)
    for place, (part, labels) in enumerate(node.factors):
        if not (isinstance(part, Map) and part.formula == Power(PLACES[0], MINUS)):
            continue
        chosen, axes = part.operands[0]
        if not isinstance(chosen, Map) or axes != tuple(range(part.rank)):
            continue
        formula, (condition, *others) = chosen.formula, chosen.operands
        if formula != call("where", PLACES[0], PLACES[1], 1) or len(others) != 1:
            continue
        if (condition[0], tuple(labels[k] for k in condition[1])) in node.factors:
            (operand, own), factors = others[0], list(node.factors)
            factors[place] = to_power(operand, MINUS), tuple(labels[k] for k in own)
            return with_factors(node, factors)
    return None


def cut_wave(node: Node) -> Node | None:
    """The first rows or columns of cos(2πkn/N), and of the sine, are such a matrix too."""
    assert isinstance(node, Contract)
    for place, (wave, labels) in enumerate(node.factors):
        if not (isinstance(wave, Structure) and wave.kind in ("cosine", "sine")):
            continue
        for other, (part, axes) in enumerate(node.factors):
            first = isinstance(part, Structure) and (part.kind, part.parameters) == _FIRST
            if not first or axes[1] not in labels or axes[1] < node.rank:
                continue
            if sum(axes[1] in ls for _, ls in node.factors) == 2:
                own = tuple(axes[0] if k == axes[1] else k for k in labels)
                sizes = tuple(node.sizes[k] for k in own)
                shorter = Structure(sizes, wave.kind, wave.parameters)
                return merged_into(node, (place, other), shorter, own)
    return None


_FIRST = "strided", (0, 1)


def same_determinant(node: Node) -> Node | None:
    """ln |det A| beside ln det A, which only a positive determinant has, is the same"""
    assert isinstance(node, Plus)
    logs = [part for term in node.terms if isinstance(part := unscaled(term)[1], Function)]
    positive = {log.operands for log in logs if log.function == "logdet"}
    plain: dict[Node, Node] = {
        log: make("logdet", log.shape, *log.operands)
        for log in logs
        if log.function == "logabsdet" and log.operands in positive
    }
    return replaced(node, plain) if plain else None


def log_of_determinant(node: Node) -> Node | None:
    """ln det A, and ln |det A|"""
    inside = argument(node, "log")
    size = None if inside is None else argument(inside, "abs")
    for found, name in ((inside, "logdet"), (size, "logabsdet")):
        if isinstance(found, Function) and found.function == "det":
            return make(name, node.shape, found.operands[0])
    return None


def along_identity(node: Node) -> Node | None:
    """The derivative of exp at A in the direction c I is c exp(A)."""
    assert isinstance(node, Function)
    scale = _of_identity(node.operands[1]) if node.function == "L_exp" else None
    if scale is None:
        return None
    axes = tuple(range(node.rank))
    factors = [(scale, axes[:-2]), (exponential(node.operands[0]), axes)]
    return contract(factors, axes, dict(enumerate(node.shape)))


def _of_identity(node: Node) -> Node | None:
    """c of c I, where I is the identity of the last two axes; None for any other."""
    if _is_identity(node):
        return constant(ONE)
    if not isinstance(node, Contract):
        return None
    own = {node.rank - 2, node.rank - 1}
    eyes = [f for f in node.factors if _is_identity(f[0]) and set(f[1]) == own]
    rest = [f for f in node.factors if f not in eyes]
    if len(eyes) != 1 or any(own.intersection(labels) for _, labels in rest):
        return None
    out = range(node.rank - 2)
    return contract(rest, out, dict(enumerate(node.shape[:-2])), node.coefficient)


def _is_identity(node: Node) -> bool:
    return isinstance(node, Structure) and node.kind == "identity"
