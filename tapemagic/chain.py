"""The chain rule, told: each use of it, each local partial, each product.

Where a value is used twice, the sum over the paths is a sum.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tapemagic.derivation import Adjoint, Derivation, Partial
from tapemagic.document import (
    Cross,
    Differential,
    Ellipsis_,
    Fold,
    Item,
    Pointwise,
    Statement,
    Tensor,
    Transposed,
    Words,
)
from tapemagic.formula import ZERO, Formula, Name, Product, Sum, Symbol
from tapemagic.substitution import (
    SHOWN,
    arranged,
    by_entries,
    computed,
    counted,
    folded,
    is_long,
    printable,
    statement,
    with_values,
)
from tapemagic.trace import Array

PATHS = 6  # summands that are written out


class Teller:
    """Tells the sweep of one derivation; `full` names every rule that was applied."""

    def __init__(self, derivation: Derivation, full: bool, is_partial: bool) -> None:
        self.d, self.equations, self.full = derivation, derivation.equations, full
        self.is_partial = is_partial
        self.inputs: dict[int, set[Name]] = {}
        for partial in derivation.partials:
            self.inputs.setdefault(partial.number, set()).add(partial.wrt)
        self.uses = {a.name: len(a.terms) for a in derivation.adjoints}

    def items(self) -> list[Item]:
        """The chain rule, each factor, and the products, up to the derivative's value."""
        partials = self.d.partials
        if not partials:
            return []
        told: list[Item] = []
        composed = len(partials) > 1 or bool(self.d.seed.ndim)
        if composed:
            told += self.rules()
        told += folded(partials, lambda _, p: self.partial(p), "partial derivatives")
        if composed:
            told += self.products()
        return told

    def totals(self, name: Name) -> Array:
        """d target/d each entry of `name`: what the numbers of an adjoint are."""
        return by_entries(self.total(name), self.equations.values[name].shape)

    def total(self, name: Name) -> Differential:
        """d target/d name, along all paths."""
        return Differential(Tensor(self.equations.target), ((Tensor(name), 1),), self.is_partial)

    def local(self, partial: Partial) -> Formula:
        """∂of/∂wrt within its equation; marked where it could be mistaken for the total."""
        several = len(self.inputs[partial.number]) > 1
        direct = partial.of == self.equations.target and self.uses.get(partial.wrt, 0) > 1
        mark = partial.number if direct or self._also_indirect(partial) else None
        curly = self.is_partial or several or mark is not None
        return Differential(Tensor(partial.of), ((Tensor(partial.wrt), 1),), curly, mark)

    def _also_indirect(self, partial: Partial) -> bool:
        """Whether `of` depends on `wrt` by a second path through another name."""
        return len(self.inputs[partial.number]) > 1 and self.uses.get(partial.wrt, 0) > 1

    def factors(self, adjoint: Adjoint, depth: int = 4) -> list[Formula]:
        """Each path's share in symbols; single paths are followed down to the target."""
        found: list[Formula] = []
        for term in adjoint.terms:
            chain: list[Formula] = [self.local(term.partial)]
            above = self.d.by_name[term.partial.of]
            while len(above.terms) == 1 and len(chain) < depth:
                chain.insert(0, self.local(above.terms[0].partial))
                above = self.d.by_name[above.terms[0].partial.of]
            if above.terms:
                chain.insert(0, self.total(above.name))
            found.append(Product(tuple(chain)) if len(chain) > 1 else chain[0])
        return found

    def rules(self) -> list[Item]:
        """The chain rule for the source, then for each name that several paths lead to."""
        used = [
            adjoint
            for adjoint in reversed(self.d.adjoints)
            if adjoint.terms and (adjoint.name in self.d.source or len(adjoint.terms) > 1)
        ]
        return folded(used, lambda k, a: self.rule(a, "chain rule" if k == 0 else ""), "uses of it")

    def rule(self, adjoint: Adjoint, label: str) -> list[Item]:
        """One use of the chain rule, unless it says nothing."""
        factors = self.factors(adjoint)
        right = _added(factors)
        left = self.total(adjoint.name)
        return [Statement((left, right), ("=",), label)] if right != left else []

    def partial(self, partial: Partial) -> list[Item]:
        """ "from (k)": the factor, with the values put in."""
        label = f"from ({partial.number})"
        formulas, value = partial.formulas, partial.value
        if partial.elementwise:
            label += ", entry by entry"
            value = _diagonal(value)
            formulas = None if formulas is None else _diagonal(formulas)
        if formulas is not None and (value.ndim > 2 or (value.ndim and is_long(formulas))):
            return self.entries(partial, label)
        sides = [self.local(partial)]
        if formulas is None:
            sides.append(Words("from the tape"))
        elif printable(formulas):
            sides += [arranged(formulas), *with_values(formulas, self.equations)]
        told = statement((*sides, computed(value, formulas)), label)
        return [*self.applied(partial), told] if self.full else [told]

    def entries(self, partial: Partial, label: str) -> list[Item]:
        """The entries of a partial that are not 0, one by one."""
        assert partial.formulas is not None
        rank = len(partial.equation.shape)
        told: list[Statement] = []
        for index in np.ndindex(*partial.formulas.shape):
            node = partial.formulas[index]
            if node == ZERO:
                continue
            own, by = Symbol(partial.of, index[:rank]), Symbol(partial.wrt, index[rank:])
            value = computed(np.asarray(partial.value[index]), node)
            left = Differential(own, ((by, 1),), True)
            told.append(statement((left, node, value), label if not told else ""))
        if len(told) <= SHOWN // 3:
            return list(told)
        rest = told[SHOWN // 3 :]
        summary = counted(len(rest), "more entry", "more entries")
        return [*told[: SHOWN // 3], Fold(summary, tuple(rest))]

    def applied(self, partial: Partial) -> list[Item]:
        """Every rule applied, named."""
        operator = ((Tensor(partial.wrt), 1),)
        return [
            Statement(
                (Differential(a.node, operator, self.is_partial), a.derivative), ("=",), a.rule
            )
            for a in partial.applications
        ]

    def products(self) -> list[Item]:
        """The values multiplied and added up, from the target down to the source."""
        used = [
            adjoint
            for adjoint in self.d.adjoints
            if adjoint.terms
            and (adjoint.name in self.d.source or not _direct(adjoint, self.equations.target))
        ]
        return folded(used, lambda k, a: [self.product(a, "" if k else "product")], "products")

    def product(self, adjoint: Adjoint, label: str) -> Item:
        """The adjoint of one name in numbers."""
        sides: list[Formula] = [self.total(adjoint.name)]
        many = len(adjoint.terms)
        told = [*range(PATHS - 2), many - 1] if many > PATHS else range(many)
        shares = [self.share(adjoint, i) for i in told]
        if many > PATHS:
            shares.insert(-1, Ellipsis_())
        if all(share is not None for share in shares):
            known = [share for share in shares if share is not None]
            sides.append(known[0] if len(known) == 1 else Sum(tuple(known)))
        origins = None if self.d.lead else self.totals(adjoint.name)
        sides.append(computed(adjoint.value, origins))
        return statement(sides, label)

    def share(self, adjoint: Adjoint, index: int) -> Formula | None:
        """adjoint × partial in numbers, in the form that fits the shapes; None if too big."""
        partial = adjoint.terms[index].partial
        above = self.d.by_name[partial.of].value
        if not printable(partial.value) or not printable(above) or self.d.lead:
            return None
        left, right = computed(above, self.totals(partial.of)), partial.formulas
        if self.d.by_name[partial.of].terms == () and above.ndim == 0 and above == 1:
            return computed(partial.value, right)
        if partial.elementwise:
            slopes = None if right is None else _diagonal(right)
            return Pointwise((left, computed(_diagonal(partial.value), slopes)))
        if above.ndim == 0:
            return Cross((left, computed(partial.value, right)))
        if above.ndim == 1 and partial.value.ndim == 2:
            return Cross((Transposed(computed(partial.value, right)), left))
        return None


def _added(terms: Sequence[Formula]) -> Formula:
    """Their sum, the middle left out where there are many."""
    if len(terms) > PATHS:
        terms = [*terms[: PATHS - 2], Ellipsis_(), terms[-1]]
    return terms[0] if len(terms) == 1 else Sum(tuple(terms))


def _direct(adjoint: Adjoint, target: Name) -> bool:
    return len(adjoint.terms) == 1 and adjoint.terms[0].partial.of == target


def _diagonal(array: Array) -> Array:
    shape = array.shape[: array.ndim // 2]
    size = int(np.prod(shape))
    diagonal: Array = np.diag(array.reshape(size, size)).reshape(shape)
    return diagonal
