"""Tensors of any rank in index notation: ∂L/∂W_{kl} = Σ_i x_{ik} g_{il}.

Constant structures do not stand there as factors: a window writes x_{i+p}, a gather E_{t_i}.
Places count from 1, and an entry outside a tensor is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tapemagic import document as d
from tapemagic.formula import (
    ONE,
    Call,
    Constant,
    Formula,
    Name,
    Number,
    Power,
    Product,
    Quotient,
    Symbol,
    number,
    plus,
    replace,
    times,
)
from tapemagic.tensors.cumulating import chosen_part
from tapemagic.tensors.index_ranges import (
    multiplied_out,
    stays_inside,
    tells_range,
    triangle_over,
    vanishes,
)
from tapemagic.tensors.lettering import Lettering
from tapemagic.tensors.matrix_products import LOGARITHMS, NAMES, added, raised, signed
from tapemagic.tensors.nodes import (
    PLACES,
    Contract,
    Function,
    Labels,
    Leaf,
    Map,
    Node,
    Plus,
    Reshape,
    Structure,
)
from tapemagic.tensors.places import (
    bound,
    comparison,
    delta,
    flat,
    letters_in,
    regrouped,
    subscripted,
)

MINUS = number(-1)
_LETTERS = "ijklmnpqrstuvabcdefgho"
_KEEPS_AXIS = {"softmax", "log_softmax"}
_OVER_LAST = {*_KEEPS_AXIS, "logsumexp", "cross_entropy"}
_OVER_AXES = {"max": "max", "min": "min", "prod": "Π", "prod_with_zero": "Π"}


def letter(text: str) -> Symbol:
    """An index."""
    return Symbol(Name(text))


class IndexWriter:
    """Writes tensors entry by entry. `taken` are the user's names of one letter; `names` are
    letters for what else has no name; `target` is how the differentiated thing is written."""

    def __init__(
        self, names: Lettering, taken: Sequence[str] = (), target: Formula | None = None
    ) -> None:
        self._names, self._target = names, target
        free = [c for c in _LETTERS if c not in (*taken, *names.small)]
        self._letters = free + [f"{c}{k}" for k in range(1, 9) for c in free]

    def letters(self, count: int) -> tuple[Symbol, ...]:
        """The first letters."""
        return tuple(letter(text) for text in self._letters[:count])

    def entry(self, node: Node, at: Sequence[Formula]) -> Formula:
        """The entry of `node` at these places."""
        if isinstance(node, Leaf):
            return self._leaf(node, at)
        if isinstance(node, Structure):
            return self._structure(node, at)
        if isinstance(node, Contract):
            return self._contract(node, at)
        if isinstance(node, Plus):
            return added([self.entry(term, at) for term in node.terms])
        if isinstance(node, Map):
            return self._map(node, at)
        if isinstance(node, Reshape):
            return self.entry(node.operand, regrouped(node, at))
        assert isinstance(node, Function)
        return self._function(node, at)

    def _leaf(self, node: Leaf, at: Sequence[Formula]) -> Formula:
        if not node.adjoint:
            return subscripted(d.Tensor(node.name), at)
        assert self._target is not None
        lead = node.rank - sum(1 for size in node.whole if size != 1)
        above = subscripted(self._target, at[:lead])
        return d.Differential(above, ((subscripted(d.Tensor(node.name), at[lead:]), 1),), True)

    def _whole(self, node: Node, at: Sequence[Formula] = ()) -> Formula:
        """A tensor as the argument of a function: by its name, or by its generic entry and, as
        in (aᵢⱼ)ᵢⱼ, the letters of its places, none of which stands at the places `at`."""
        if isinstance(node, Leaf) and not node.adjoint:
            return d.Tensor(node.name)
        own = self._unused(node.rank, at)
        entry = self._beside([*at, *own]).entry(node, own)
        return d.Subscripted(d.Bracketed(entry), own) if own else entry

    def _beside(self, at: Sequence[Formula]) -> IndexWriter:
        """A writer whose own letters do not stand in `at`."""
        writer = IndexWriter(self._names, (), self._target)
        used = letters_in(at)
        writer._letters = [text for text in self._letters if text not in used]
        return writer

    def _map(self, node: Map, at: Sequence[Formula]) -> Formula:
        inner = self._beside(at)  # an operand without an axis must not sum over its letter
        put: dict[Formula, Formula] = {
            PLACES[k]: inner.entry(part, [at[label] for label in labels])
            for k, (part, labels) in enumerate(node.operands)
        }
        formula = node.formula
        if isinstance(formula, Power) and isinstance(formula.exponent, Number):
            return raised(put[PLACES[0]], formula.exponent)
        return flat(replace(formula, put))

    def _function(self, node: Function, at: Sequence[Formula]) -> Formula:
        if node.function in _OVER_LAST:
            own = node.rank if node.function in _KEEPS_AXIS else node.rank + 1
            rows, inner = (*at[: own - 1], letter("·")), self._beside(at)
            arguments = tuple(inner.entry(operand, rows) for operand in node.operands)
            return subscripted(
                Call(NAMES.get(node.function, node.function), arguments), at[own - 1 :]
            )
        vectors = self._names.vectors(node)
        if vectors is not None:
            return subscripted(vectors, at)
        if node.function in _OVER_AXES:
            return self._over_axes(node, at)
        if node.function in ("first_largest", "prod_of_others"):
            return self._among(node, at)
        parts = tuple(self._whole(operand, at) for operand in node.operands)
        if node.function == "inverse":
            return subscripted(Power(parts[0], MINUS), at)
        if node.function in LOGARITHMS:
            return subscripted(LOGARITHMS[node.function](Call("det", parts)), at)
        return subscripted(Call(NAMES.get(node.function, node.function), parts), at)

    def _over_axes(self, node: Function, at: Sequence[Formula]) -> Formula:
        """max over l of xₖₗ; Π over l ≤ k of xₗ, where a condition chooses entries."""
        letters = self._unused(node.parameters[0] if node.parameters else 1, at)
        return self._folded(_OVER_AXES[node.function], node, at, letters)

    def _folded(
        self, sign: str, node: Function, rows: Sequence[Formula], letters: Sequence[Symbol]
    ) -> Formula:
        every, part = (*rows, *letters), chosen_part(node)
        operand, at, below = node.operands[0], every, tuple[Formula, ...](letters)
        if part is not None:
            (condition, labels), (operand, own) = part
            below = self._condition(condition, [every[k] for k in labels], letters)
            at = tuple(every[k] for k in own)
        inner = self._beside(every).entry(operand, at)
        return Product((d.Subscripted(d.Words(sign), below), d.Bracketed(inner)))

    def _condition(
        self, structure: Structure, at: Sequence[Formula], letters: Sequence[Symbol]
    ) -> tuple[Formula, ...]:
        """What stands below a sign that goes over the letters where the structure is 1."""
        entry = self._structure(structure, at)
        if isinstance(entry, Call) and entry.function == "indicator":
            return (bound(entry.arguments[0], letters[0]),)
        if structure.kind in ("identity", "unit", "one_hot"):  # δ of what must be equal
            return (*letters, Call("equal", entry.children[1:]))
        return (*letters, entry)

    def _among(self, node: Function, at: Sequence[Formula]) -> Formula:
        """1 where the last places are those of the largest entry, or the product over others."""
        count = node.parameters[0]
        rows, own = at[: len(at) - count], at[len(at) - count :]
        letters = self._unused(count, at)
        here, there = (p[0] if count == 1 else d.Tuple_(tuple(p)) for p in (own, letters))
        if node.function == "first_largest":
            largest = self._folded("argmax", node, rows, letters)
            return Call("indicator", (Call("equal", (here, largest)),))
        inner = self._beside([*at, *letters]).entry(node.operands[0], (*rows, *letters))
        others = d.Subscripted(d.Words("Π"), (Call("not_equal", (there, here)),))
        return Product((others, d.Bracketed(inner)))

    def _unused(self, count: int, at: Sequence[Formula]) -> tuple[Symbol, ...]:
        """Letters that do not stand in `at`."""
        return self._beside(at).letters(count)

    def _contract(self, node: Contract, at: Sequence[Formula]) -> Formula:
        open_ = multiplied_out(node)
        if open_ is not None:
            return self.entry(open_, at)
        places: dict[int, Formula] = dict(enumerate(at))
        kept, eliminated = self._without_structures(node)
        inner = self._beside(at)
        fresh = iter(inner._letters)
        summed: list[Formula] = []
        for label in node.summed:
            if label not in eliminated:
                places[label] = own = letter(next(fresh))
                triangle = triangle_over(label, kept, places)
                if triangle is not None:
                    kept.remove(triangle)
                    at_ = [places[k] for k in triangle[1]]
                    summed.append(bound(comparison(triangle[0], at_), own))
                    continue
                told, size = tells_range(node.factors, label), number(node.sizes[label])
                summed.append(own if told else Call("less_equal", (own, size)))
        while waiting := [k for k in eliminated if k not in places]:
            for label in waiting:
                if all(other in places for other in eliminated[label].others):
                    places[label] = eliminated[label].build(places)
        inner._letters = list(fresh)
        above, below = [], []
        for part, labels in kept:
            shown = inner.entry(part, [places[k] for k in labels])
            if isinstance(shown, Quotient) and shown.numerator == ONE:
                below.append(shown.denominator)
            else:
                above.append(shown)
        if not summed:
            return signed(node.coefficient, above, below)
        body = signed(ONE, above, below)
        whole = d.BigSum(tuple(summed), body)
        return signed(node.coefficient, [whole])

    # -- constant structures ----------------------------------------------------------------

    def _without_structures(
        self, node: Contract
    ) -> tuple[list[tuple[Node, Labels]], dict[int, _Settled]]:
        """The factors that stay, and how each label that a structure settles follows."""
        found = [part for part in node.factors if isinstance(part[0], Structure)]
        windows_first = sorted(found, key=lambda part: part[0].kind != "window")  # type: ignore[attr-defined]
        best: tuple[list[tuple[Node, Labels]], dict[int, _Settled]] = list(node.factors), {}
        for order in (windows_first, found):
            kept, settled = self._settle(node, order)
            if len(settled) > len(best[1]):
                best = kept, settled
        return best

    def _settle(
        self, node: Contract, order: Sequence[tuple[Node, Labels]]
    ) -> tuple[list[tuple[Node, Labels]], dict[int, _Settled]]:
        """One structure after the other settles a summed label, where that leaves no circle."""
        kept = list(node.factors)
        settled: dict[int, _Settled] = {}
        for part, labels in order:
            assert isinstance(part, Structure)
            rest = [(other, ls) for other, ls in kept if (other, ls) != (part, labels)]
            for target, build in self._solutions(part, labels):
                others = tuple(k for k in labels if k != target)
                if target < node.rank or target in settled or _follows(target, others, settled):
                    continue
                # Outside a tensor's range its entry is 0: but some entry must be there to say so.
                outside = any(target in ls and vanishes(f, ls.index(target)) for f, ls in rest)
                if not (outside or stays_inside(part, labels, target)):
                    continue
                settled[target] = _Settled(others, build)
                kept.remove((part, labels))
                break
        return kept, settled

    def _solutions(self, part: Structure, labels: Labels) -> list[tuple[int, _Build]]:
        """Which label follows from the others, and how; places count from 1."""
        if part.kind == "unit":
            place = number(part.parameters[0] + 1)
            return [(labels[0], lambda places: place)]
        if part.kind == "one_hot":
            (*rows, j), name = labels, self._names.places(part)
            return [(j, lambda places: d.Subscripted(name, tuple(places[i] for i in rows)))]
        if part.kind == "strided":
            (i, j), (start, step) = labels, part.parameters
            forward = j, lambda places: plus(times(step, places[i]), start + 1 - step)
            back = i, lambda places: plus(places[j], -start)
            return [forward, back] if step == 1 else [forward]
        if part.kind == "window":
            (i, j, p), (stride, dilation, pad) = labels, part.parameters
            offset = 1 - stride - dilation - pad
            along = (
                j,
                lambda places: plus(times(stride, places[i]), times(dilation, places[p]), offset),
            )
            back = i, lambda places: plus(places[j], times(-dilation, places[p]), -offset)
            inside = p, lambda places: plus(places[j], times(-stride, places[i]), -offset)
            found = [along]
            if stride == 1:
                found.append(back)
            if dilation == 1:
                found.append(inside)
            return found
        return []

    def _structure(self, node: Structure, at: Sequence[Formula]) -> Formula:
        """A structure that stays: Kronecker's δ with what must be equal."""
        if node.kind == "identity":
            return delta(*at)
        if node.kind == "unit":
            return delta(at[0], number(node.parameters[0] + 1))
        if node.kind == "range":
            start, step = node.parameters
            return plus(times(step, at[0]), start - step)
        if node.kind == "one_hot":
            taken = d.Subscripted(self._names.places(node), tuple(at[:-1]))
            return delta(at[-1], taken)
        if node.kind == "strided":
            start, step = node.parameters
            return delta(at[1], plus(times(step, at[0]), start + 1 - step))
        if node.kind == "window":
            stride, dilation, pad = node.parameters
            offset = 1 - stride - dilation - pad
            place = plus(times(stride, at[0]), times(dilation, at[2]), offset)
            return delta(at[1], place)
        if node.kind == "triangle" and not node.parameters[2]:
            return Call("indicator", (comparison(node, at),))
        if node.kind in ("cosine", "sine"):
            (period,) = node.parameters
            turn = times(2, Constant("pi"), plus(at[0], -1), plus(at[1], -1))
            return Call(node.kind[:3], (Quotient(turn, number(period)),))
        if node.kind == "given" and node.parameters == ("ε",):
            return d.Subscripted(d.Tensor(Name("epsilon")), tuple(at))  # Levi-Civita's
        if (share := self._names.share(node)) is not None:
            return d.Subscripted(share, tuple(at))
        kind = node.parameters[0] if node.kind == "given" else node.kind.replace("_", " ")
        return d.Subscripted(d.Words(kind), tuple(at))


_Build = Callable[[Mapping[int, Formula]], Formula]


@dataclass(frozen=True)
class _Settled:
    """A label that a structure settles: `build` makes its place from those of `others`."""

    others: tuple[int, ...]
    build: _Build


def _follows(label: int, others: Sequence[int], settled: Mapping[int, _Settled]) -> bool:
    """Whether one of `others` is settled by way of the label."""
    return any(
        k == label or (k in settled and _follows(label, settled[k].others, settled)) for k in others
    )
