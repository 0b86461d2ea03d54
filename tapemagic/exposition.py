"""How a derivation is told: from the data of `result` to the lines of a `Document`.

Definitions first, as numbered equations; then for each derivative the chain rule by the
user's names, each factor "from equation (k)" with the values put in, the product, the closed
form by substitution, and the check.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from typing import Any

import numpy as np

from tapemagic import numbers
from tapemagic.closed_form import ClosedForm
from tapemagic.derivation import Adjoint, Derivation, Partial
from tapemagic.document import (
    Cross,
    Differential,
    Document,
    Fold,
    Item,
    Matrix,
    Note,
    Pointwise,
    Section,
    Source,
    Stack,
    Statement,
    Tensor,
    Transposed,
    Words,
)
from tapemagic.equations import Equation, Equations
from tapemagic.formula import (
    Formula,
    Name,
    Power,
    Product,
    Sum,
    Symbol,
    Value,
    replace,
)
from tapemagic.result import Derivative, Result
from tapemagic.trace import Array

SHOWN = 9  # equations or partials that are shown before the rest is folded
ENTRIES = 36  # entries of an array that are written out


def whole(result: Result, steps: str = "chain") -> Document:
    """The whole result: definitions that are shared are told once."""
    sections: list[Section] = []
    told: object = None
    for derivative in result.values():
        equations = derivative.derivation.equations if derivative.derivation else None
        if equations is not None and equations is not told and steps != "result":
            if _lines(equations) != (_lines(told) if isinstance(told, Equations) else None):
                sections.append(_definitions(equations))
            told = equations
        sections.append(_section(derivative, steps))
    if result.notes:
        sections.append(Section(tuple(Note(text) for text in result.notes)))
    return Document(tuple(sections))


def single(derivative: Derivative, steps: str = "chain") -> Document:
    """One derivative by itself."""
    sections = [_section(derivative, steps)]
    if derivative.derivation is not None and steps != "result":
        sections.insert(0, _definitions(derivative.derivation.equations))
    return Document(tuple(sections))


# -- definitions -------------------------------------------------------------------------------


def _lines(equations: Equations) -> tuple[object, ...]:
    return tuple((e.name, tuple(e.formulas.flat)) for e in equations.equations)


def _definitions(equations: Equations) -> Section:
    items: list[Item] = [
        _given(name, equations) for group in equations.sources for name in group
    ]
    items += [_given(name, equations) for name in equations.constants]
    numbered = [_definition(e, k, equations) for k, e in enumerate(equations.equations, 1)]
    items += _folded(numbered, "more definitions")
    return Section(tuple(items), "Definitions")


def _given(name: Name, equations: Equations) -> Statement:
    value = equations.values[name]
    return Statement((Tensor(name), shown(value, equations.dtype)), (_relation(value, equations.dtype),))


def _definition(equation: Equation, number: int, equations: Equations) -> Statement:
    value = shown(equation.value, equation.dtype)
    sides: list[Formula] = [Tensor(equation.name)]
    if equation.compact is not None:
        sides.append(equation.compact)
    if _printable(equation.formulas):
        sides.append(arranged(equation.formulas))
        sides += _with_values(equation.formulas, equations, plain=True)
    sides.append(value)
    line = equation.line
    source = Source(line.number, line.text) if line is not None else None
    relations = _relations(sides, equation.value, equation.dtype)
    return Statement(_distinct(sides), relations[: len(_distinct(sides)) - 1], "", number, source)


def _folded(items: Sequence[Item], what: str) -> list[Item]:
    if len(items) <= SHOWN:
        return list(items)
    head, tail = SHOWN // 2, SHOWN // 3
    middle = tuple(items[head : len(items) - tail])
    return [*items[:head], Fold(f"{len(middle)} {what}", middle), *items[len(items) - tail :]]


# -- one derivative ----------------------------------------------------------------------------


def _section(derivative: Derivative, steps: str) -> Section:
    items: list[Item] = []
    heading = _differential(derivative)
    if derivative.derivation is not None and steps != "result" and derivative.order == 1:
        items += _chain(derivative, derivative.derivation, steps)
    items += _substitution(derivative, heading, steps)
    items += [Note(f"no closed form, because {reason}") for reason in derivative.reasons]
    items += [Note(d.message, "warning") for d in derivative.diagnoses]
    items.append(_verdict(derivative))
    return Section(tuple(items), heading=heading)


def _differential(derivative: Derivative) -> Formula:
    derivation = derivative.derivation
    target = derivation.equations.target if derivation else Name(derivative.target)
    versions = derivation.equations.sources if derivation else ()
    names = {group[0].text: group[0] for group in versions}
    counts = Counter(names.get(text, Name(text)) for text in derivative.sources)
    wrt = tuple((Tensor(name), count) for name, count in counts.items())
    return Differential(Tensor(target), wrt, _is_partial(derivative))


def _is_partial(derivative: Derivative) -> bool:
    """d where there is one scalar source, ∂ otherwise."""
    return derivative.several


def _chain(derivative: Derivative, derivation: Derivation, steps: str) -> list[Item]:
    """The chain rule, each factor, and the products, up to the derivative's value."""
    teller = _Teller(derivation, steps, derivative.several)
    partials = derivation.partials
    if not partials:
        return []
    items: list[Item] = []
    if len(partials) > 1 or derivation.lead or derivation.seed.ndim:
        items += _folded(teller.rules(), "more uses of the chain rule")
    items += _folded([s for p in partials for s in teller.partial(p)], "more partial derivatives")
    if len(partials) > 1 or derivation.seed.ndim:
        items += _folded(teller.products(), "more products")
    return items


class _Teller:
    """Tells the sweep of one derivation."""

    def __init__(self, derivation: Derivation, steps: str, is_partial: bool) -> None:
        self.d, self.equations, self.full = derivation, derivation.equations, steps == "full"
        self.is_partial = is_partial
        self.dtype = self.equations.dtype
        self.uses = {a.name: len(a.terms) for a in derivation.adjoints}

    def total(self, name: Name) -> Formula:
        """d target/d name, along all paths."""
        return Differential(Tensor(self.equations.target), ((Tensor(name), 1),), self.is_partial)

    def local(self, partial: Partial) -> Formula:
        """∂of/∂wrt within its equation; marked where it could be mistaken for the total."""
        several = len({p.wrt for p in self.d.partials if p.number == partial.number}) > 1
        direct = partial.of == self.equations.target and self.uses.get(partial.wrt, 0) > 1
        mark = partial.number if direct or self._also_indirect(partial) else None
        curly = self.is_partial or several or mark is not None
        return Differential(Tensor(partial.of), ((Tensor(partial.wrt), 1),), curly, mark)

    def _also_indirect(self, partial: Partial) -> bool:
        """Whether `of` depends on `wrt` by a second path through another name."""
        same = [p.wrt for p in self.d.partials if p.number == partial.number]
        return len(same) > 1 and self.uses.get(partial.wrt, 0) > 1

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
        items: list[Item] = []
        for adjoint in reversed(self.d.adjoints):
            is_source = adjoint.name in self.d.source
            if not adjoint.terms or not (is_source or len(adjoint.terms) > 1):
                continue
            factors = self.factors(adjoint)
            right = factors[0] if len(factors) == 1 else Sum(tuple(factors))
            left = self.total(adjoint.name)
            if right != left:
                label = "chain rule" if not items else ""
                items.append(Statement((left, right), ("=",), label))
        return items

    def partial(self, partial: Partial) -> list[Item]:
        """"from (k)": the factor, with the values put in."""
        sides = [self.local(partial)]
        value = partial.value
        if partial.formulas is None:
            sides.append(Words("from the tape"))
        elif partial.elementwise:
            diagonal = _diagonal(partial.formulas)
            value = _diagonal(partial.value)
            if _printable(diagonal):
                sides += [arranged(diagonal), *_with_values(diagonal, self.equations)]
        elif _printable(partial.formulas):
            sides += [arranged(partial.formulas), *_with_values(partial.formulas, self.equations)]
        sides.append(shown(value, self.dtype))
        label = f"from ({partial.number})"
        if partial.elementwise and partial.equation.shape:
            label += ", entry by entry"
        distinct = _distinct(sides)
        statement = Statement(distinct, _relations(sides, value, self.dtype)[: len(distinct) - 1], label)
        return [*self.applied(partial), statement] if self.full else [statement]

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
        items: list[Item] = []
        for adjoint in self.d.adjoints:
            if not adjoint.terms:
                continue
            if adjoint.name not in self.d.source and _direct(adjoint, self.equations.target):
                continue
            sides = [self.total(adjoint.name)]
            shares = [self.share(adjoint, i) for i in range(len(adjoint.terms))]
            if all(share is not None for share in shares):
                known = tuple(share for share in shares if share is not None)
                sides.append(known[0] if len(known) == 1 else Sum(known))
            sides.append(shown(adjoint.value, self.dtype))
            distinct = _distinct(sides)
            relations = _relations(sides, adjoint.value, self.dtype)[: len(distinct) - 1]
            items.append(Statement(distinct, relations, "product" if not items else ""))
        return items

    def share(self, adjoint: Adjoint, index: int) -> Formula | None:
        """adjoint × partial in numbers, in the form that fits the shapes; None if too big."""
        partial = adjoint.terms[index].partial
        above = self.d.by_name[partial.of].value
        if not _printable(partial.value) or not _printable(above) or self.d.lead:
            return None
        left = shown(above, self.dtype)
        if self.d.by_name[partial.of].terms == () and above.ndim == 0 and above == 1:
            return shown(partial.value, self.dtype)
        if partial.elementwise:
            return Pointwise((left, shown(_diagonal(partial.value), self.dtype)))
        if above.ndim == 0:
            return Cross((left, shown(partial.value, self.dtype)))
        if above.ndim == 1 and partial.value.ndim == 2:
            return Cross((Transposed(shown(partial.value, self.dtype)), left))
        return None


def _direct(adjoint: Adjoint, target: Name) -> bool:
    return len(adjoint.terms) == 1 and adjoint.terms[0].partial.of == target


def _diagonal(array: Array) -> Array:
    shape = array.shape[: array.ndim // 2]
    size = int(np.prod(shape))
    return np.asarray(np.diag(array.reshape(size, size))).reshape(shape)


def _substitution(derivative: Derivative, heading: Formula, steps: str) -> list[Item]:
    closed, derivation = derivative.closed_form, derivative.derivation
    if closed is None or derivation is None:
        return []
    equations = derivation.equations
    if not _printable(closed.formulas):
        return []
    sides: list[Formula] = [heading]
    if closed.whole.ndim == 0 and steps != "result":
        sides.append(_operator(closed, derivative, equations))
    sides.append(arranged(closed.formulas))
    sides += _with_values(closed.formulas, equations)
    value = _float(derivative.value)
    if value is not None:
        sides.append(shown(value, equations.dtype))
    told = derivation.partials
    if derivative.order == 1 and steps != "result" and len(told) == 1:
        only = told[0].formulas
        if only is not None and only.shape == closed.formulas.shape:
            if all(a == b for a, b in zip(only.flat, closed.formulas.flat)):
                return []
    distinct = _distinct(sides)
    relations = _relations(sides, value, equations.dtype)[: len(distinct) - 1]
    label = "by substitution" if derivative.order == 1 else f"order {derivative.order}"
    return [Statement(distinct, relations, "" if steps == "result" else label)]


def _operator(closed: ClosedForm, derivative: Derivative, equations: Equations) -> Formula:
    """d/dx in front of what it acts on: the target, or the derivative of one order less."""
    wrt = closed.wrt
    operator = ((Tensor(Name(wrt[-1][0].text)), 1),)
    inner = closed.lower if closed.lower is not None else closed.whole
    return Differential(arranged(inner), operator, _is_partial(derivative))


def _verdict(derivative: Derivative) -> Note:
    check, value = derivative.check, derivative.value
    if value is None:
        return Note(f"{derivative.key} is None: the tape found no path from source to target", "warning")
    dtype = str(getattr(getattr(value, "dtype", None), "name", "float32"))
    parts = [f"tape {_brief(_float(value), dtype)}"]
    if check.symbolic is not None:
        name = "closed form" if derivative.closed_form is not None else "derivation"
        parts.append(f"{name} {_brief(check.symbolic, dtype)}")
    if check.finite_difference is not None:
        parts.append(f"finite difference {_brief(check.finite_difference, dtype)}")
    note = f" ({check.note})" if check.note else ""
    if check.agrees:
        return Note("checked: " + " = ".join(parts) + note, "check", True)
    if check.agrees is None:
        return Note("not checked: " + ", ".join(parts) + note, "check", None)
    return Note("they do not agree: " + ", ".join(parts) + note, "warning", False)


def _brief(array: Array | None, dtype: str) -> str:
    if array is None:
        return "None"
    if array.ndim == 0:
        return _digits(array[()], dtype)
    if array.size <= 4:
        return "[" + ", ".join(_digits(value, dtype) for value in array.flat) + "]"
    return f"of norm {_digits(np.linalg.norm(array), dtype)}"


def _digits(value: Any, dtype: str) -> str:
    number = complex(value) if np.iscomplexobj(value) else float(value)
    return str(numbers.written(number, dtype))


# -- numbers and arrays ------------------------------------------------------------------------


def _float(value: object) -> Array | None:
    if value is None:
        return None
    array = np.asarray(value)
    return array if np.iscomplexobj(array) else array.astype(np.float64)


def arranged(array: Array) -> Formula:
    """An array of formulas as rows and columns."""
    if array.ndim == 0:
        return array[()]  # type: ignore[no-any-return]
    if array.ndim == 1:
        return Matrix(tuple((entry,) for entry in array))
    if array.ndim == 2:
        return Matrix(tuple(tuple(row) for row in array))
    return Stack(tuple(arranged(part) for part in array))


def shown(value: Array, dtype: str) -> Formula:
    """A measured value, or its shape and norm where it is too large to print."""
    if not _printable(value):
        shape = " × ".join(map(str, value.shape))
        return Words(f"{shape} entries, norm {numbers.written(float(np.linalg.norm(value)), dtype)}")
    entries = np.empty(value.shape, dtype=object)
    for index in np.ndindex(*value.shape):
        entries[index] = Value(float(np.real(value[index])), dtype)
    return arranged(entries)


def _printable(array: Array) -> bool:
    return array.size <= ENTRIES


def _with_values(formulas: Array, equations: Equations, plain: bool = False) -> list[Formula]:
    """The formulas with the values put in; nothing where there is nothing to put in.

    A partial also shows where a value comes from: 2y = 2 · 3²; a definition (`plain`) does not.
    """
    if not any(node.free for node in formulas.flat) or formulas.size > 9:
        return []
    fill = _value if plain else _put
    put = {s: fill(s, equations) for node in formulas.flat for s in node.free}
    filled = np.empty(formulas.shape, dtype=object)
    for index in np.ndindex(*formulas.shape):
        filled[index] = replace(formulas[index], put)
    return [arranged(filled)]


def _put(symbol: Symbol, equations: Equations) -> Formula:
    """A symbol's value; a plain power of a source shows where it comes from: 2y = 2 · 3²."""
    equation = equations.by_name.get(symbol.name)
    if equation is not None and equation.shape == ():
        formula = equation.formulas[()]
        if isinstance(formula, Power) and isinstance(formula.base, Symbol):
            if any(formula.base.name in group for group in equations.sources):
                return replace(formula, {formula.base: _value(formula.base, equations)})
    return _value(symbol, equations)


def _value(symbol: Symbol, equations: Equations) -> Formula:
    equation = equations.by_name.get(symbol.name)
    dtype = equation.dtype if equation is not None else equations.dtype
    return Value(float(equations.values[symbol.name][symbol.index]), dtype)


def _distinct(sides: Sequence[Formula]) -> tuple[Formula, ...]:
    """The sides without repetitions of what has just been said."""
    kept: list[Formula] = []
    for side in sides:
        if not kept or _as_read(side) != _as_read(kept[-1]):
            kept.append(side)
    return tuple(kept)


def _as_read(node: Formula) -> Formula:
    """A value that is shown exactly reads like the number itself."""
    if isinstance(node, Value) and numbers.written(node.value, node.dtype).exact:
        return numbers.recognise(node.value, node.dtype)
    if isinstance(node, Matrix):
        return Matrix(tuple(tuple(_as_read(entry) for entry in row) for row in node.rows))
    if isinstance(node, Stack):
        return Stack(tuple(_as_read(part) for part in node.slices))
    return node.rebuilt(tuple(_as_read(child) for child in node.children))


def _relation(value: Array | None, dtype: str) -> str:
    if value is None or not _printable(value):
        return "="
    exact = all(numbers.written(float(np.real(v)), dtype).exact for v in np.asarray(value).flat)
    return "=" if exact else "≈"


def _relations(sides: Sequence[Formula], value: Array | None, dtype: str) -> tuple[str, ...]:
    """"=" between formulas; "≈" before numbers that are shown rounded."""
    distinct = _distinct(sides)
    found = ["="] * (len(distinct) - 1)
    for i, side in enumerate(distinct[1:]):
        if _has_rounded(side):
            found[i] = "≈"
    return tuple(found)


def _has_rounded(node: Formula) -> bool:
    if isinstance(node, Value):
        return not numbers.written(node.value, node.dtype).exact
    return any(_has_rounded(child) for child in node.children)

