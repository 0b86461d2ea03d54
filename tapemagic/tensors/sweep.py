"""Each name's adjoint in symbols: by its users' adjoints, and in the sources alone."""

from __future__ import annotations

import math
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from tapemagic.equations import NotDerivable
from tapemagic.formula import ZERO, Name, number
from tapemagic.spelling import unused
from tapemagic.tensors.algebra import contract, is_zero, plus, replaced
from tapemagic.tensors.definitions import Definitions
from tapemagic.tensors.evaluation import cost, evaluate
from tapemagic.tensors.following import adjoint_leaf, backward
from tapemagic.tensors.nodes import (
    Array,
    Leaf,
    Node,
    Plus,
    Shape,
    constant,
    core,
    ones,
    postorder,
)
from tapemagic.tensors.pullback import cotangents, gradient, identity_seed
from tapemagic.tensors.recognition import at, recognised

LARGEST = 260  # nodes of a closed form
READABLE = 60  # nodes of one that keeps the names of what lies between
BEHIND = 800  # and of the one in the sources alone, if such a one is read in its stead


@dataclass(frozen=True)
class AdjointForm:
    """∂target/∂leaf: `node` by the adjoints of what uses it (None: measured by the tape, through
    operations without a rule), `closed` in the sources alone. The target's axes come first."""

    leaf: Leaf
    node: Node | None
    closed: Node | None = None
    named: Node | None = None


@dataclass(frozen=True)
class Sweep:
    """One reverse sweep for all sources: the adjoints from the target down."""

    definitions: Definitions
    jacobian: bool
    adjoints: Mapping[Leaf, AdjointForm]
    start: Node

    @property
    def front(self) -> Shape:
        """The axes of the target that stay."""
        return self.definitions.target.shape if self.jacobian else ()

    @cached_property
    def expanded(self) -> Mapping[Leaf, Node]:
        """Each name in the sources alone, as far as that stays readable."""
        return expand(self.definitions)

    @cached_property
    def work(self) -> float:
        """About how many multiplications it takes to follow it in numbers."""
        nodes = [part.node for part in self.definitions.definitions]
        nodes += [a.node for a in self.adjoints.values() if a.node is not None]
        return cost(nodes)

    @cached_property
    def values(self) -> Mapping[Leaf, Array]:
        """The adjoints in numbers at the recorded point, those behind an opaque operation by
        the tape's own derivative of it. Raises `LookupError` where a value is gone."""
        return self.followed()

    def followed(self, chosen: Mapping[Leaf, Array] | None = None) -> Mapping[Leaf, Array]:
        """The same with values `chosen` in place of the recorded ones."""
        nodes = {leaf: adjoint.node for leaf, adjoint in self.adjoints.items()}
        return backward(self.definitions, nodes, self.front, chosen)


@dataclass(eq=False)
class Memo:
    """What the forms of one target have in common, in numbers at the recorded point."""

    arrays: dict[Node, Array] = field(default_factory=dict)
    at_rest: dict[Leaf, Array] | None = None  # the definitions
    definitions_cost: float | None = None


@dataclass(frozen=True)
class TensorForm:
    """The derivative by one source in whole tensors.

    `closed` has `lead` axes of what was differentiated, then the source's own; None where
    there is none, for a `reason`. `sweep` is None for a derivative of a derivative. In a
    `batch` the first of the `lead` axes is the source's first one too.
    """

    definitions: Definitions
    source: tuple[Leaf, ...]
    closed: Node | None
    sweep: Sweep | None = None
    lead: int = 0
    reason: str = ""
    batch: bool = False
    memo: weakref.ref[Memo] | None = field(default=None, repr=False, compare=False)

    @property
    def shared(self) -> Memo | None:
        """What it has in common with the others, as long as the target is being explained."""
        return None if self.memo is None else self.memo()

    @property
    def is_zero(self) -> bool:
        """Whether the derivative is 0 whatever the values."""
        return self.closed is not None and is_zero(self.closed)

    def evaluate(self, chosen: Mapping[Leaf, Array]) -> Array | None:
        """The closed form in float64 with these values in place of the recorded ones (without
        one, the sweep is followed, if all in it has a formula); None where there is no form, or
        a value is gone. Raises `TooLarge`."""
        if self.closed is None:
            return None if self.definitions.opaque else self.followed(chosen)
        values = {}
        for node in postorder([self.closed]):
            if isinstance(node, Leaf):
                value = chosen.get(node)
                value = self.definitions.look(node) if value is None else value
                if value is None:
                    return None
                values[node] = value
        known = None if chosen else self.shared
        return evaluate([self.closed], values, None if known is None else known.arrays)[0]

    def followed(self, chosen: Mapping[Leaf, Array] | None = None) -> Array | None:
        """The derivative by following the sweep in numbers; None where a value is gone."""
        if self.sweep is None:
            return None
        try:
            known = self.sweep.followed(chosen) if chosen else self.sweep.values
        except LookupError:
            return None
        found = [known[leaf] for leaf in self.source if leaf in known]
        if not found and self.is_zero:
            return np.zeros((*self.sweep.front, *self.source[0].shape))
        return np.asarray(sum(found)) if found else None

    @property
    def named(self) -> Node | None:
        """The derivative with the names in between, where it has but one version."""
        if self.sweep is None or len(self.source) != 1 or self.source[0] not in self.sweep.adjoints:
            return None
        known = self.sweep.adjoints[self.source[0]]
        if self.closed is not None and self.closed is not known.closed and not self.batch:
            return replaced(self.closed, {n: leaf for leaf, n in self.sweep.expanded.items()})
        return known.named

    @property
    def in_adjoints(self) -> Node | None:
        """The derivative by the adjoints of what uses the source, each of which has its own
        formula, where written in the sources alone it is too long to read."""
        if self.closed is not None or self.sweep is None or self.definitions.opaque:
            return None
        known = [self.sweep.adjoints.get(leaf) for leaf in self.source]
        return known[0].node if len(known) == 1 and known[0] is not None else None

    @cached_property
    def path(self) -> tuple[AdjointForm, ...]:
        """The adjoints that lead from the target to this source, in the order of the sweep."""
        if self.sweep is None:
            return ()
        needed: set[Leaf] = set(self.source)
        found = []
        for leaf, adjoint in reversed(list(self.sweep.adjoints.items())):
            if leaf not in needed:
                continue
            found.append(adjoint)
            if adjoint.node is not None:
                for part in postorder([adjoint.node]):
                    if isinstance(part, Leaf) and part.adjoint:
                        needed.update(k for k in self.sweep.adjoints if k.name == part.name)
            else:
                needed.update(
                    d.leaf
                    for d in self.definitions.definitions
                    if any(argument == leaf for _, argument in d.arguments)
                )
        return tuple(found[::-1])


def expand(definitions: Definitions) -> dict[Leaf, Node]:
    """Each defined name in the sources and constants alone, as far as it stays readable."""
    found: dict[Leaf, Node] = {}
    given = set(definitions.given)
    for definition in definitions.definitions:
        inside = [n for n in postorder([definition.node]) if isinstance(n, Leaf)]
        if definition.opaque or any(n not in found and n not in given for n in inside):
            continue
        node = recognised(replaced(definition.node, found))
        if node.size <= LARGEST:
            found[definition.leaf] = node
    return found


def sweep(
    definitions: Definitions,
    jacobian: bool = False,
    seed: Array | None = None,
    seed_name: str = "",
    closed: bool = True,
) -> Sweep:
    """The adjoint of every name between the target and any of the sources. `seed` weights the
    target's entries (default: ones); in the formulas it stands under `seed_name`. To follow it in
    numbers no `closed` forms are needed."""
    target = definitions.target
    definitions, start = _started(definitions, jacobian, seed, seed_name)
    front = target.shape if jacobian else ()
    sources = [leaf for group in definitions.sources for leaf in group]
    reached = _reaching(definitions, sources)
    terms: dict[Leaf, list[Node]] = {target: [start]}
    measured: set[Leaf] = set()
    found: dict[Leaf, AdjointForm] = {}
    names = {d.node: d.leaf for d in definitions.definitions if not d.opaque}
    for definition in reversed(definitions.definitions):
        leaf = definition.leaf
        if leaf not in reached or not (leaf in terms or leaf in measured) or leaf in sources:
            continue
        found[leaf] = _added(leaf, front, terms, measured, names)
        if definition.opaque:
            measured.update(argument for _, argument in definition.arguments)
            continue
        own = start if leaf == target else adjoint_leaf(leaf, front)
        inside = [n for n in postorder([definition.node]) if isinstance(n, Leaf) and n in reached]
        for child, shares in cotangents(definition.node, own, len(front), inside).items():
            terms.setdefault(child, []).extend(shares)
    for leaf in sources:
        if leaf in terms or leaf in measured:
            found[leaf] = _added(leaf, front, terms, measured, names)
    if closed:
        found = _closed(definitions, found, front)
    return Sweep(definitions, jacobian, found, start)


def _started(
    definitions: Definitions, jacobian: bool, seed: Array | None, name: str
) -> tuple[Definitions, Node]:
    """What the sweep starts with: the weights of the target's entries."""
    target = definitions.target
    if jacobian:
        return definitions, identity_seed(target)
    if seed is None:
        return definitions, ones(target.shape)
    array = np.asarray(seed, dtype=np.float64).reshape(target.whole)
    if array.size and np.all(array == array.flat[0]):
        return definitions, constant(number(float(array.flat[0])), target.shape)
    return with_constant(definitions, name or "g", array)


def with_constant(definitions: Definitions, name: str, value: Array) -> tuple[Definitions, Leaf]:
    """The definitions with one more constant, under a name that is not taken."""
    texts = {leaf.name.text for leaf in (*definitions.given, definitions.target)}
    name = name if name not in texts else unused("gwcp", texts)
    leaf = Leaf(core(value.shape), Name(name), value.shape)

    def look(wanted: Leaf) -> Array | None:
        return value if wanted == leaf else definitions.look(wanted)

    def peek(wanted: Leaf) -> Array | None:
        return value if wanted == leaf else definitions.peek(wanted)

    constants = (*definitions.constants, leaf)
    return replace(definitions, constants=constants, look=look, peek=peek), leaf


def _added(
    leaf: Leaf,
    front: Shape,
    terms: Mapping[Leaf, Sequence[Node]],
    measured: set[Leaf],
    names: Mapping[Node, Leaf],
) -> AdjointForm:
    """The sum over its uses, with what has a name written by its name: 1 − h² and not
    1 − tanh(…)²."""
    if leaf in measured:
        return AdjointForm(leaf, None)
    node = at(plus(terms[leaf], front + leaf.shape))
    return AdjointForm(leaf, replaced(node, names))


def _reaching(definitions: Definitions, sources: Sequence[Leaf]) -> set[Leaf]:
    reached = set(sources)
    for d in definitions.definitions:
        parts: Sequence[Node] = [a for _, a in d.arguments] if d.opaque else [*postorder([d.node])]
        if any(part in reached for part in parts):
            reached.add(d.leaf)
    return reached


def _closed(
    definitions: Definitions, adjoints: dict[Leaf, AdjointForm], front: Shape
) -> dict[Leaf, AdjointForm]:
    """The adjoints in the sources alone, as far as they stay readable."""
    whole: Mapping[Any, Node] = expand(definitions)
    given = set(definitions.given)
    sources = {leaf for group in definitions.sources for leaf in group}
    closed: dict[Node, Node] = {}
    named: dict[Node, Node] = {}
    found = dict(adjoints)
    for leaf, adjoint in adjoints.items():
        if adjoint.node is None or adjoint.node.size > BEHIND:
            continue
        symbol = adjoint_leaf(leaf, front)
        by_names = recognised(replaced(adjoint.node, named))
        if by_names.size <= LARGEST and not _has_adjoint(by_names):
            named[symbol] = by_names
            found[leaf] = AdjointForm(leaf, adjoint.node, named=by_names)
        node = replaced(adjoint.node, lambda part: closed.get(part) or whole.get(part))
        if any(isinstance(n, Leaf) and n not in given for n in postorder([node])):
            continue
        short = named.get(symbol)
        read = leaf in sources and short is not None and short.size <= READABLE
        if node.size <= (BEHIND if read else LARGEST):
            node = recognised(node)
            closed[symbol] = node
            found[leaf] = AdjointForm(leaf, adjoint.node, node, named.get(symbol))
    return found


def _has_adjoint(node: Node) -> bool:
    return any(isinstance(part, Leaf) and part.adjoint for part in postorder([node]))


def form(found: Sweep, place: int) -> TensorForm:
    """The derivative by source number `place`."""
    definitions = found.definitions
    source = definitions.sources[place]
    parts = [found.adjoints[leaf].closed for leaf in source if leaf in found.adjoints]
    if any(part is None or part.size > READABLE for part in parts):
        parts = _shorter(parts, _at_once(found, source))
    lead = len(found.front)
    if not parts and definitions.reached[place]:  # by ways that cancel, or that are constant
        shape = (*(found.front), *source[0].shape)
        return TensorForm(definitions, source, constant(ZERO, shape), found, lead)
    if not parts:
        raise NotDerivable("the target does not depend on the source in what was recorded")
    known = [node for node in parts if node is not None]
    if len(known) == len(parts):
        closed = known[0] if len(known) == 1 else recognised(plus(known, known[0].shape))
        return TensorForm(definitions, source, closed, found, lead)
    reason = "written in the sources alone it would be too long to read"
    if definitions.opaque:
        reason = f"{', '.join(definitions.opaque)} has no formula here"
    return TensorForm(definitions, source, None, found, lead, reason)


def _at_once(found: Sweep, source: Sequence[Leaf]) -> list[Node | None]:
    """The derivative of the target written in the sources alone, where what lies between has
    cancelled there: ln det and not a sum over Cholesky's diagonal. Nothing if it is too long."""
    target = found.expanded.get(found.definitions.target)
    if target is None:
        return []
    lead, parts = len(found.front), []
    for leaf in source:
        node = gradient(target, found.start, lead, leaf)
        node = recognised(node) if node.size <= LARGEST else node
        if node.size > LARGEST:
            return []
        parts.append(node)
    return list(parts)


def _shorter(parts: list[Node | None], others: list[Node | None]) -> list[Node | None]:
    """By the sweep, unless at once it is much shorter, or there is nothing else."""
    sizes = [math.inf if part is None else part.size for part in parts]
    own = [part.size for part in others if part is not None]
    return others if own and sum(own) < 0.6 * sum(sizes) else parts


def along(lower: TensorForm, name: str, vector: Array) -> TensorForm:
    """The sum of a derivative's entries, weighted by those of a vector of this name: what its
    own derivative is the Hessian's product with the vector."""
    if lower.closed is None:
        return lower
    known, leaf = with_constant(lower.definitions, name, vector)
    axes = tuple(range(lower.closed.rank))
    product = contract([(lower.closed, axes), (leaf, axes)], (), {})
    return replace(lower, definitions=known, closed=recognised(product), sweep=None)


def again(lower: TensorForm, place: int, jacobian: bool) -> TensorForm:
    """The derivative of a closed form by a source: of the sum of its entries, as a tape takes
    it, or entry by entry."""
    definitions, below = lower.definitions, lower.closed
    source = definitions.sources[place]
    if below is None:
        return TensorForm(definitions, source, None, reason=lower.reason)
    seed = identity_seed(below) if jacobian else ones(below.shape)
    lead = below.rank if jacobian else 0
    parts = [gradient(below, seed, lead, leaf) for leaf in source]
    closed = recognised(plus(parts, parts[0].shape))
    if closed.size > LARGEST:
        reason = "it would be too long to read"
        return TensorForm(definitions, source, None, lead=lead, reason=reason)
    return TensorForm(definitions, source, closed, lead=lead)


def batched(found: TensorForm) -> TensorForm:
    """Of a Jacobian, the blocks whose target and source belong to the same entry of the batch."""
    if found.closed is None or not found.lead or not found.source[0].rank:
        return found
    front = tuple(range(found.lead))
    own = tuple(range(found.lead, found.closed.rank))
    labels = (*front, front[0], *own[1:])
    terms = found.closed.terms if isinstance(found.closed, Plus) else (found.closed,)
    blocks = [contract([(term, labels)], (*front, *own[1:]), {}) for term in terms]
    closed = recognised(plus(blocks, blocks[0].shape))
    return replace(found, closed=closed, sweep=None, batch=True)
