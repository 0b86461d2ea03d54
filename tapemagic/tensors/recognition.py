"""What people write step by step and textbooks write as one function: softmax, log-sum-exp …

Each rule is an identity: it holds for all values, and the derivative of one side is that of the
other. (Shifting the logits, as stable code does, changes neither.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tapemagic.formula import ONE, Call, Formula, Power, call, number, times
from tapemagic.tensors.algebra import (
    Label,
    contract,
    plus,
    rearranged,
    rebuilt,
    replaced,
    scaled,
    to_power,
    unscaled,
)
from tapemagic.tensors.nodes import (
    PLACES,
    Contract,
    Function,
    Labels,
    Map,
    Node,
    Plus,
    Reshape,
    Shape,
    Structure,
    constant,
    postorder,
)
from tapemagic.tensors.unmerging import apart, summed_apart
from tapemagic.tensors.vectorising import over_all
from tapemagic.tensors.whole import exponential, make, softmax

MINUS = number(-1)
Rule = Callable[[Node], "Node | None"]


def recognised(node: Node) -> Node:
    """`node` with every part written as the function that it is."""
    done: dict[Node, Node] = {}
    for part in postorder([node]):
        children = [done[child] for child in part.children]
        same = all(a is b for a, b in zip(children, part.children))
        new = part if same else rebuilt(part, children)
        done[part] = at(new)
    return done[node]


def at(node: Node) -> Node:
    """The same for the node itself, whose parts have been looked at."""
    for rule in RULES.get(type(node), ()):
        found = rule(node)
        if found is not None:
            return at(found)
    return node


def _applies(node: Node, function: str) -> Node | None:
    """The x of function(x)."""
    if isinstance(node, Map) and node.formula == Call(function, (PLACES[0],)):
        return node.operands[0][0]
    return None


def _without_shift(logits: Node) -> Node:
    """softmax(x − m) = softmax(x) for an m that is the same along the last axis."""
    if not isinstance(logits, Plus):
        return logits
    last = logits.rank - 1
    kept = [term for term in logits.terms if not _constant_along(term, last)]
    return plus(kept, logits.shape) if kept else logits


def _constant_along(node: Node, axis: int) -> bool:
    return isinstance(node, Contract) and not any(axis in labels for _, labels in node.factors)


# -- products -----------------------------------------------------------------------------------


def _softmax(node: Node) -> Node | None:
    """exp(z) ∘ 1/Σ exp(z)"""
    assert isinstance(node, Contract)
    for place, (part, labels) in enumerate(node.factors):
        logits = _applies(part, "exp")
        if logits is None or not labels:
            continue
        for other, (below, axes) in enumerate(node.factors):
            if other != place and axes == labels[:-1] and _sums_exp(below) == logits:
                whole = softmax(_without_shift(logits))
                return _with(node, (place, other), whole, labels)
            turned = _moved_last(labels, axes) if other != place else None
            if turned is not None and logits.rank == len(labels):
                order, moved = turned
                again = rearranged(logits, range(logits.rank), order, _shape(logits, order))
                if _sums_exp(below) == again:
                    whole = softmax(_without_shift(again))
                    return _with(node, (place, other), whole, moved)
    return None


def _moved_last(labels: Labels, axes: Labels) -> tuple[Labels, Labels] | None:
    """How to turn `labels` so that the one that `axes` lacks stands last."""
    missing = [k for k, label in enumerate(labels) if label not in axes]
    if len(missing) != 1 or missing[0] == len(labels) - 1 or len(axes) != len(labels) - 1:
        return None
    try:
        order = (*(labels.index(label) for label in axes), missing[0])
    except ValueError:
        return None
    return order, tuple(labels[k] for k in order)


def _shape(node: Node, order: Labels) -> Shape:
    return tuple(node.shape[k] for k in order)


def _sums_exp(node: Node) -> Node | None:
    """The z of (Σ exp z)⁻¹, summed over its last axis."""
    if not (isinstance(node, Map) and node.formula == Power(PLACES[0], MINUS)):
        return None
    return _sum_of_exp(node.operands[0][0])


def _sum_of_exp(node: Node) -> Node | None:
    if not isinstance(node, Contract) or node.coefficient != ONE or len(node.factors) != 1:
        return None
    part, labels = node.factors[0]
    logits = _applies(part, "exp")
    if logits is None or len(node.summed) != 1 or len(labels) != node.rank + 1:
        return None
    order = tuple(labels.index(k) for k in (*range(node.rank), *node.summed))
    return rearranged(logits, range(logits.rank), order, _shape(logits, order))


def _with(node: Contract, gone: tuple[int, int], new: Node, labels: Labels) -> Node:
    factors = [(new, labels)] + [f for k, f in enumerate(node.factors) if k not in gone]
    out = tuple(range(node.rank))
    return contract(factors, out, dict(enumerate(node.shape)), node.coefficient)


def _sums_to_one(node: Node) -> Node | None:
    """Σⱼ softmax(z)ⱼ = 1, where nothing else depends on j"""
    assert isinstance(node, Contract)
    for place, (part, labels) in enumerate(node.factors):
        if not (isinstance(part, Function) and part.function == "softmax"):
            continue
        last = labels[-1]
        if last >= node.rank and sum(ls.count(last) for _, ls in node.factors) == 1:
            sizes: dict[Label, int] = {k: n for k, n in node.sizes.items() if k != last}
            unit = constant(ONE, part.shape[:-1])
            factors = [f for k, f in enumerate(node.factors) if k != place]
            factors.insert(place, (unit, labels[:-1]))
            return contract(factors, tuple(range(node.rank)), sizes, node.coefficient)
    return None


def _masked_root(node: Node) -> Node | None:
    """Cholesky's root is lower triangular already."""
    assert isinstance(node, Contract)
    for place, (mask, labels) in enumerate(node.factors):
        if not (isinstance(mask, Structure) and mask.kind == "triangle"):
            continue
        for part, axes in node.factors:
            root = isinstance(part, Function) and part.function == "cholesky"
            if root and axes[-2:] == labels and mask.parameters == (True, 0, False):
                factors = [f for k, f in enumerate(node.factors) if k != place]
                out = tuple(range(node.rank))
                return contract(factors, out, dict(enumerate(node.shape)), node.coefficient)
    return None


def _root_inverses(node: Node) -> Node | None:
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
                return _with(node, (place, other), inverted, (*labels[:-2], labels[-1], axes[-1]))
    return None


def _rooted(node: Node) -> Node | None:
    """The A of chol(A)⁻¹."""
    if isinstance(node, Function) and node.function == "inverse":
        root = node.operands[0]
        if isinstance(root, Function) and root.function == "cholesky":
            return root.operands[0]
    return None


def _log_of_root(node: Node) -> Node | None:
    """Σ ln diag chol(A) = ½ ln det A"""
    assert isinstance(node, Contract)
    if len(node.factors) != 1 or len(node.summed) != 1:
        return None
    part, labels = node.factors[0]
    diagonal = _applies(part, "log")
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


def _chosen_only(node: Node) -> Node | None:
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
            out = tuple(range(node.rank))
            return contract(factors, out, dict(enumerate(node.shape)), node.coefficient)
    return None


def _cut_wave(node: Node) -> Node | None:
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
                return _with(node, (place, other), shorter, own)
    return None


_FIRST = "strided", (0, 1)


# -- sums ---------------------------------------------------------------------------------------


def _logsumexp_shifted(node: Node) -> Node | None:
    """logsumexp(x − m) + m = logsumexp(x)"""
    assert isinstance(node, Plus)
    for place, term in enumerate(node.terms):
        if not (isinstance(term, Function) and term.function == "logsumexp"):
            continue
        shifted, labels = _unturned(term.operands[0])
        if not isinstance(shifted, Plus):
            continue
        axes = tuple(range(node.rank))
        for other, shift in enumerate(node.terms):
            if other == place:
                continue
            spread = rearranged(shift, axes, labels, shifted.shape)
            if scaled(spread, MINUS) in shifted.terms:
                logits = plus([shifted, spread], shifted.shape)
                turned = rearranged(logits, labels, range(term.rank + 1), term.operands[0].shape)
                found = make("logsumexp", node.shape, turned)
                rest = [t for k, t in enumerate(node.terms) if k not in (place, other)]
                return plus([found, *rest], node.shape)
    return None


def _unturned(node: Node) -> tuple[Node, Labels]:
    """The X of Xᵀ, and where its axes stand in `node`."""
    if isinstance(node, Contract) and len(node.factors) == 1 and node.coefficient == ONE:
        part, labels = node.factors[0]
        if sorted(labels) == list(range(node.rank)):
            return part, labels
    return node, tuple(range(node.rank))


def _log_softmax(node: Node) -> Node | None:
    """x − logsumexp(x) = log softmax(x)"""
    assert isinstance(node, Plus)
    present = set(node.terms)
    for other, rest in enumerate(node.terms):
        if not (isinstance(rest, Contract) and len(rest.factors) == 1 and not rest.summed):
            continue
        log, labels = rest.factors[0]
        if not (isinstance(log, Function) and log.function == "logsumexp"):
            continue
        (logits,) = log.operands
        subtracted = labels == tuple(range(node.rank - 1)) and times(-1) == rest.coefficient
        if subtracted and logits in present and logits.shape == node.shape:
            found = make("log_softmax", node.shape, logits)
            place = node.terms.index(logits)
            kept = [t for k, t in enumerate(node.terms) if k not in (place, other)]
            return plus([found, *kept], node.shape)
    return None


def _same_determinant(node: Node) -> Node | None:
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


def _softplus(node: Node) -> Node | None:
    """max(z, 0) + ln(1 + exp(−|z|)), as stable code for ln(1 + eᶻ) has it"""
    assert isinstance(node, Plus)
    for place, term in enumerate(node.terms):
        logits = _positive_part(term)
        if logits is None:
            continue
        for other, log in enumerate(node.terms):
            inner = _applies(log, "log1p")
            exponent = None if inner is None else _applies(inner, "exp")
            if exponent is not None and _is_minus_size(exponent, logits):
                axes = tuple(range(node.rank))
                found = Map(node.shape, Call("softplus", (PLACES[0],)), ((logits, axes),))
                kept = [t for k, t in enumerate(node.terms) if k not in (place, other)]
                return plus([found, *kept], node.shape)
    return None


def _positive_part(node: Node) -> Node | None:
    """The z of "z where z ≥ 0, else 0"."""
    chosen = _where_not_negative(node)
    return chosen[0] if chosen and chosen[1] == number(0) and chosen[0] == chosen[2] else None


def _is_minus_size(node: Node, logits: Node) -> bool:
    """ "−z where z ≥ 0, else z" """
    chosen = _where_not_negative(node)
    return bool(
        chosen
        and chosen[2] == logits
        and chosen[0] == scaled(logits, MINUS)
        and chosen[1] == logits
    )


def _where_not_negative(node: Node) -> tuple[Node, Node | Formula, Node] | None:
    """(a, b, z) of "a where z ≥ 0, else b"."""
    if not isinstance(node, Map):
        return None
    formula = node.formula
    every = tuple(range(node.rank))
    if not isinstance(formula, Call) or formula.function != "where":
        return None
    if any(labels != every for _, labels in node.operands):
        return None
    nodes: Mapping[Formula, Node] = {PLACES[k]: part for k, (part, _) in enumerate(node.operands)}
    condition, yes, no = (nodes.get(argument, argument) for argument in formula.arguments)
    tested = Call("greater_equal", (PLACES[0], number(0)))
    if not (isinstance(condition, Map) and condition.formula == tested) or not isinstance(
        yes, Node
    ):
        return None
    return yes, no, condition.operands[0][0]


def _factored(node: Node) -> Node | None:
    """A u + A v = A (u + v)"""
    assert isinstance(node, Plus)
    seen: dict[object, list[tuple[int, int]]] = {}
    for place, term in enumerate(node.terms):
        for which, (key, _) in enumerate(_contexts(term)):
            seen.setdefault(key, []).append((place, which))
    shared = [places for places in seen.values() if len({p for p, _ in places}) > 1]
    if not shared:
        return None
    best = max(shared, key=len)
    members = list(dict(best).items())
    chosen = [_contexts(node.terms[place])[which][1] for place, which in members]
    labels, around = chosen[0].labels, chosen[0].around
    inner = at(plus([c.turned(labels) for c in chosen], chosen[0].part.shape))
    out = tuple(range(node.rank))
    joined = contract([(inner, labels), *around], out, dict(zip(out, node.shape)))
    first, gone = members[0][0], dict(members)
    terms = [joined if k == first else term for k, term in enumerate(node.terms)]
    return plus([t for k, t in enumerate(terms) if k == first or k not in gone], node.shape)


@dataclass(frozen=True)
class _Context:
    """A factor of a product, with what stands around it."""

    part: Node
    labels: Labels
    coefficient: Formula
    around: tuple[tuple[Node, Labels], ...]

    def turned(self, labels: Labels) -> Node:
        """The factor (and the number in front of the product) with its axes in that order."""
        shape = tuple(self.part.shape[self.labels.index(k)] for k in labels)
        return scaled(rearranged(self.part, self.labels, labels, shape), self.coefficient)


def _contexts(term: Node) -> list[tuple[object, _Context]]:
    """Each factor of a product that could be put in brackets with others, and a key that is
    equal for two of them if the same stands around both."""
    if not isinstance(term, Contract) or len(term.factors) < 2:
        return []
    found: list[tuple[object, _Context]] = []
    for place, (part, labels) in enumerate(term.factors):
        if isinstance(part, Structure) and part.kind == "unit":
            continue  # A₁ + A₂ and not Aᵀ(e₁ + e₂)
        around = [f for k, f in enumerate(term.factors) if k != place]
        names: dict[int, int] = {label: label for label in range(term.rank)}
        for _, ls in around:
            for label in ls:
                names.setdefault(label, len(names))
        if not labels or len(set(labels)) < len(labels) or any(k not in names for k in labels):
            continue
        renamed = tuple((p, tuple(names[k] for k in ls)) for p, ls in around)
        own = tuple(names[k] for k in labels)
        context = _Context(part, own, term.coefficient, renamed)
        found.append(((renamed, tuple(sorted(own))), context))
    return found


# -- functions of entries -----------------------------------------------------------------------


def _log_of_sum(node: Node) -> Node | None:
    """ln Σ exp(z) = logsumexp(z)"""
    inside = _applies(node, "log")
    logits = _sum_of_exp(inside) if inside is not None else None
    return None if logits is None else make("logsumexp", node.shape, logits)


def _log_of_softmax(node: Node) -> Node | None:
    inside = _applies(node, "log")
    if isinstance(inside, Function) and inside.function == "softmax":
        return make("log_softmax", node.shape, inside.operands[0])
    if isinstance(inside, Function) and inside.function == "det":
        return make("logdet", node.shape, inside.operands[0])
    size = None if inside is None else _applies(inside, "abs")
    if isinstance(size, Function) and size.function == "det":
        return make("logabsdet", node.shape, size.operands[0])
    return None


def _sigmoid(node: Node) -> Node | None:
    """1/(1 + e⁻ᶻ) = σ(z)"""
    assert isinstance(node, Map)
    if node.formula != Power(PLACES[0], MINUS):
        return None
    below = node.operands[0][0]
    if not isinstance(below, Plus) or len(below.terms) != 2:
        return None
    for one, other in (below.terms, below.terms[::-1]):
        is_one = isinstance(one, Contract) and not one.factors and one.coefficient == ONE
        exponent = _applies(other, "exp") if is_one else None
        if exponent is not None and unscaled(exponent)[0] == times(-1):
            axes = tuple(range(node.rank))
            logits = scaled(exponent, MINUS)
            return Map(node.shape, Call("sigmoid", (PLACES[0],)), ((logits, axes),))
    return None


# -- products multiplied out --------------------------------------------------------------------

_MOST_TERMS = 12  # of a sum that is multiplied out to see whether something cancels
_MOST_NODES = 48  # of what that is tried on


def _cancelled(node: Node) -> Node | None:
    """Multiplied out, if that makes it shorter: (y/p − 1) ∘ p = y − p"""
    if node.size > _MOST_NODES or not 1 < _count(node) <= _MOST_TERMS:
        return None
    terms = _expanded(node)
    if not 1 < len(terms) <= _MOST_TERMS:
        return None
    found = plus(terms, node.shape)
    return found if found.size < 0.75 * node.size else None


def _count(node: Node) -> int:
    """How many terms there would be, multiplied out."""
    if isinstance(node, Plus):
        return sum(_count(term) for term in node.terms)
    if isinstance(node, Contract):
        return math.prod(_count(part) for part, _ in node.factors if isinstance(part, Plus))
    return 1


def _expanded(node: Node) -> list[Node]:
    """The terms of all products of sums in `node`."""
    if isinstance(node, Plus):
        return [part for term in node.terms for part in _expanded(term)]
    if not isinstance(node, Contract):
        return [node]
    out = tuple(range(node.rank))
    for place, (part, labels) in enumerate(node.factors):
        if isinstance(part, Plus) and len(part.terms) <= _MOST_TERMS:
            found: list[Node] = []
            for term in part.terms:
                factors = list(node.factors)
                factors[place] = (term, labels)
                one = contract(factors, out, dict(enumerate(node.shape)), node.coefficient)
                found += _expanded(one)
                if len(found) > _MOST_TERMS:
                    break
            return found
    return [node]


def _along_identity(node: Node) -> Node | None:
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


RULES: Mapping[type, tuple[Rule, ...]] = {
    Contract: (
        summed_apart,
        _cut_wave,
        _softmax,
        _sums_to_one,
        _masked_root,
        _root_inverses,
        _log_of_root,
        _chosen_only,
        _cancelled,
    ),
    Plus: (
        over_all,
        _logsumexp_shifted,
        _log_softmax,
        _same_determinant,
        _softplus,
        _factored,
        _cancelled,
    ),
    Map: (_log_of_sum, _log_of_softmax, _sigmoid),
    Reshape: (apart,),
    Function: (_along_identity,),
}
