"""How a derivation is told: from the data of a `Derivative` to the lines of a `Document`.

Definitions first, as numbered equations; then for each derivative the chain rule by the
user's names, each factor "from (k)" with the values put in, the products, the closed form by
substitution, and the check. What is too long to be read stands one click away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from tapemagic import remarks
from tapemagic.chain import Teller
from tapemagic.components import by_substitution, origins, value_alone
from tapemagic.document import (
    Differential,
    Document,
    Fold,
    Item,
    Note,
    Section,
    Source,
    Statement,
    Tensor,
    Words,
)
from tapemagic.equations import Equation, Equations, entries
from tapemagic.formula import Formula, Name, Product, Symbol
from tapemagic.substitution import (
    arranged,
    folded,
    is_long,
    printable,
    shown,
    statement,
    with_values,
)
from tapemagic.tensors import telling as tensors
from tapemagic.tensors.sweep import Sweep, TensorForm
from tapemagic.trace import Array

if TYPE_CHECKING:
    from tapemagic.result import Call, Derivative, Result


@dataclass
class _Told:
    """What stands on the page already."""

    matrices: Collection[object]  # definitions that are told in whole tensors
    content: object = None  # of the definitions told last
    sweeps: list[Sweep] = field(default_factory=list)  # whose adjoints were told
    teller: tensors.Teller | None = None


def whole(result: Result) -> Document:
    """The whole result: definitions that are shared are told once."""
    sections: list[Section] = []
    told = _Told(_matrices(result.values()))
    for derivative in result.values():
        sections += _sections(derivative, told)
    if result.notes:
        sections.append(Section(tuple(Note(text) for text in result.notes)))
    return Document(tuple(sections))


def calls(result: Result) -> Document:
    """The calls of the user's own tapes, in their order; a loop's middle ones are folded."""
    sections: list[Section] = []
    told = _Told(_matrices(one for call in result.calls for one in call.derivatives))
    for call in result.calls:
        parts = _call(call, told)
        if call.count > 1 and 1 < call.number < call.count:
            folded_ = tuple(item for part in parts for item in part.items)
            sections.append(Section((Fold(f"call {call.number} of {call.count}", folded_),)))
        else:
            sections += parts
    if result.notes:
        sections.append(Section(tuple(Note(text) for text in result.notes)))
    return Document(tuple(sections))


def _call(call: Call, told: _Told) -> list[Section]:
    """One call's sections."""
    times = f", call {call.number} of {call.count}" if call.count > 1 else ""
    title = f"{call.text}, line {call.line}{times}"
    if call.error is not None:
        first = (str(call.error).splitlines() or [""])[0]
        note = Note(f"{type(call.error).__name__}: {first}", "warning")
        known = [str(n) for n in getattr(call.error, "__notes__", ()) if "tapemagic" in str(n)]
        told_of = [Note(" ".join(n.split("\n\n")[0].split())) for n in known]
        return [Section((note, *told_of), title)]
    sections: list[Section] = []
    for derivative in call.derivatives:
        sections += _sections(derivative, told)
    if not sections:
        sections = [Section((Note("no source was asked for: the list is empty", "warning"),))]
    if sections[0].heading is not None:
        return [Section((), title), *sections]
    return [replace(sections[0], title=title), *sections[1:]]


def single(derivative: Derivative) -> Document:
    """One derivative by itself."""
    return Document(tuple(_sections(derivative, _Told(_matrices([derivative])))))


def _sections(derivative: Derivative, told: _Told) -> list[Section]:
    """What it needs of definitions, and the derivative itself."""
    form = derivative.tensor
    if form is not None and form.closed is not None and _whole_content(form) in told.matrices:
        derivative = replace(derivative, derivation=None, closed_form=None)
    return [*_defined(derivative, told), _section(derivative, told)]


def _matrices(derivatives: Iterable[Derivative]) -> set[object]:
    """The definitions that some derivative needs in whole tensors: so they are told for all."""
    return {
        _whole_content(derivative.tensor)
        for derivative in derivatives
        if derivative.tensor is not None and derivative.derivation is None
    }


# -- definitions -------------------------------------------------------------------------------


def _defined(derivative: Derivative, told: _Told) -> list[Section]:
    """The definitions, unless they are those that were told last; and the adjoints that several
    derivatives share."""
    if derivative.style.steps == "result":
        return []
    if derivative.derivation is not None:
        equations = derivative.derivation.equations
        content: object = _content(equations)
        known, told.content = content == told.content, content
        return [] if known else [_definitions(equations, derivative.meanings)]
    if derivative.tensor is None:
        return []
    found = []
    sweep = derivative.tensor.sweep
    content = _whole_content(derivative.tensor)
    teller = _teller(derivative, told)
    if content != told.content:
        told.content = content
        items = (*teller.spaces(), *teller.definitions(), *teller.legend())
        found.append(Section(items, "Definitions"))
    if sweep is not None and not any(sweep is known for known in told.sweeps):
        told.sweeps.append(sweep)
        adjoints = tuple(teller.adjoints())
        found += [Section(adjoints, "Adjoints")] if adjoints else []
    return found


def _teller(derivative: Derivative, told: _Told) -> tensors.Teller:
    assert derivative.tensor is not None
    several, meanings = derivative.several, derivative.meanings
    told.teller = tensors.Teller(
        derivative.tensor, derivative.style, several, meanings, told.teller
    )
    return told.teller


def _whole_content(form: TensorForm) -> object:
    return tuple((part.leaf, part.node) for part in form.definitions.definitions)


def _content(equations: Equations) -> tuple[object, ...]:
    given = [equations.values[name] for group in equations.sources for name in group]
    given += [equations.values[name] for name in equations.constants]
    values = tuple(tuple(value.flat) for value in given)
    return values, tuple((e.name, tuple(e.formulas.flat)) for e in equations.equations)


def _definitions(equations: Equations, meanings: Mapping[str, str]) -> Section:
    given = [name for group in equations.sources for name in group] + list(equations.constants)

    def told(name: Name) -> Item:
        value = _measured(name, equations.values[name], equations.dtype)
        meaning = [Words(meanings[name.text])] if name.text in meanings else []
        return statement((Tensor(name), *meaning, value))

    items: list[Item] = [told(name) for name in given]
    items += folded(
        equations.equations, lambda k, e: [_definition(e, k + 1, equations)], "definitions"
    )
    return Section(tuple(items), "Definitions")


def _definition(equation: Equation, number: int, equations: Equations) -> Item:
    line = equation.line
    source = Source(line.number, line.text) if line is not None else None
    sides: list[Formula] = [Tensor(equation.name)]
    if equation.compact is not None:
        sides.append(equation.compact)
    if printable(equation.formulas) and not (equation.shape and is_long(equation.formulas)):
        sides.append(arranged(equation.formulas))
        sides += with_values(equation.formulas, equations, plain=True)
    elif printable(equation.formulas):
        first = next(np.ndindex(*equation.shape))
        entry = statement((Symbol(equation.name, first), equation.formulas.item(first)))
        sides.append(_measured(equation.name, equation.value, equation.dtype))
        whole_ = statement(sides, "", number, source)
        rest = _entries(equation)
        return Fold(f"({number}) written out", (whole_, entry, *rest)) if rest else whole_
    sides.append(_measured(equation.name, equation.value, equation.dtype))
    return statement(sides, "", number, source)


def _measured(name: Name, value: Array, dtype: str) -> Formula:
    return shown(value, dtype, entries(name, value.shape))


def _entries(equation: Equation) -> list[Statement]:
    places = list(np.ndindex(*equation.shape))[1:]
    return [statement((Symbol(equation.name, i), equation.formulas[i])) for i in places]


# -- one derivative ----------------------------------------------------------------------------


def _section(derivative: Derivative, told: _Told) -> Section:
    heading = _differential(derivative)
    items: list[Item] = []
    if (
        derivative.derivation is not None
        and derivative.style.steps != "result"
        and derivative.order == 1
    ):
        teller = Teller(derivative.derivation, derivative.style.full, derivative.several)
        items += teller.items()
    items += by_substitution(derivative, heading)
    items += _in_tensors(derivative, heading, told)
    items += remarks.of_what(derivative)
    if derivative.check.derived is False and items:
        # What does not give the tape's value is not shown as if it did.
        items = [Fold("what was derived, which is not what the tape returned", tuple(items))]
    if derivative.value is not None:
        items += [Note(f"no closed form, because {reason}") for reason in derivative.reasons]
    if type(derivative.value).__name__ == "IndexedSlices":
        rows = "the tape returned IndexedSlices, the rows that were looked up: shown is their sum"
        items.append(Note(rows))
    items += remarks.found_by_doctor(derivative)
    if derivative.value is not None and not any(isinstance(i, Statement) for i in items):
        items.insert(0, value_alone(derivative, heading))
    items.append(remarks.verdict(derivative))
    return Section(tuple(items), heading=heading)


def _in_tensors(derivative: Derivative, heading: Formula, told: _Told) -> list[Item]:
    """The chain and the closed form in whole tensors, or beside components its one line."""
    if derivative.tensor is None:
        return []
    teller = _teller(derivative, told)
    if derivative.derivation is not None and derivative.closed_form is not None:
        equations = derivative.derivation.equations
        names = {name for group in equations.sources for name in group}
        names.update(equations.constants, (e.name for e in equations.equations))
        return teller.beside(heading, names) if derivative.style.steps != "result" else []
    if derivative.derivation is not None:
        return []
    chain = teller.chain() if derivative.style.steps != "result" else []
    order = "by substitution" if derivative.order == 1 else f"order {derivative.order}"
    label = order if chain else ""
    if derivative.tensor.closed is None:  # its last line
        if derivative.style.steps == "result":
            return []
        label = "" if chain else "chain rule"
    value = derivative.check.tape
    of = None
    if value is not None and value.shape != tuple(getattr(derivative.value, "shape", ())):
        value = None  # of a large table, the rows that were used
    elif value is not None and printable(value):
        of = origins(derivative, heading, value)
    return [*chain, *teller.closed(heading, value, label, of)]


def _differential(derivative: Derivative) -> Formula:
    derivation = derivative.derivation
    target, versions = Name(derivative.target), list[tuple[Name, ...]]()
    if derivation is not None:
        target, versions = derivation.equations.target, list(derivation.equations.sources)
    elif derivative.tensor is not None:
        whole_ = derivative.tensor.definitions
        target = whole_.target.name
        versions = [tuple(leaf.name for leaf in group) for group in whole_.sources]
    names = {group[0].text: group[0] for group in versions}
    short = {long: name for name, long in derivative.meanings.items()}
    sources = tuple(short.get(text, text) for text in derivative.sources)
    if derivative.inner is not None:  # dy/dx by x: d²y/dx²
        target, sources = Name(derivative.inner[0]), (*derivative.inner[1], *sources)
    counts = Counter(names.get(text, Name(text)) for text in sources)
    wrt = tuple((Tensor(name), count) for name, count in counts.items())
    found = Differential(Tensor(target), wrt, derivative.several)
    # H·v, also where the user's own outer tape was asked for it; H is symmetric.
    product = derivative.along or (len(counts) == 1 and derivative.inner and derivative.weights)
    return Product((found, Tensor(Name(product)))) if product else found
