"""How a derivation is told: from the data of a `Derivative` to the lines of a `Document`.

Definitions first, as numbered equations; then for each derivative the chain rule by the
user's names, each factor "from (k)" with the values put in, the products, the closed form by
substitution, and the check. What is too long to be read stands one click away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tapemagic import numbers
from tapemagic.chain import Teller
from tapemagic.closed_form import ClosedForm
from tapemagic.diagnosis import Diagnosis
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
from tapemagic.extent import norm
from tapemagic.formula import Formula, Name, Product, Symbol
from tapemagic.substitution import (
    arranged,
    by_entries,
    counted,
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


_FIX = 12  # lines of a fix that are shown


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
    items += _substitution(derivative, heading)
    items += _in_tensors(derivative, heading, told)
    if _is_of_a_sum(derivative):
        items.append(Note(_OF_A_SUM))
    if derivative.weights is not None and items:
        items.append(Note(_weighted(derivative.target, derivative.weights)))
    if derivative.check.derived is False and items:
        # What does not give the tape's value is not shown as if it did.
        items = [Fold("what was derived, which is not what the tape returned", tuple(items))]
    if derivative.value is not None:
        items += [Note(f"no closed form, because {reason}") for reason in derivative.reasons]
    if type(derivative.value).__name__ == "IndexedSlices":
        rows = "the tape returned IndexedSlices, the rows that were looked up: shown is their sum"
        items.append(Note(rows))
    # On one of several ways, stop_gradient is mostly meant as it is.
    partly = derivative.value is not None
    items += [_diagnosis(d, partly and d.cause == "stopped") for d in derivative.diagnoses]
    if derivative.value is not None and not any(isinstance(i, Statement) for i in items):
        items.insert(0, _value(derivative, heading))
    items.append(_verdict(derivative))
    return Section(tuple(items), heading=heading)


_OF_A_SUM = (
    "of the sum of the gradient's entries, as the tape's is: the rows of the Hessian are added up, "
    "and --hessian keeps them apart"
)


def _weighted(target: str, weights: str) -> str:
    """Of what it is the derivative, where a seed weights the target's entries."""
    if not weights:
        return f"of a weighted sum: the seed weights the entries of {target}"
    return f"of the sum of {weights} ∘ {target}: the seed {weights} weights the entries of {target}"


def _is_of_a_sum(derivative: Derivative) -> bool:
    """Whether it is a scalar's second derivative by a tensor, whose gradient's entries were
    summed."""
    if derivative.order < 2 or derivative.along or not derivative.is_gradient:
        return False
    if len(set(derivative.sources)) > 1 or np.prod(np.shape(derivative.value)) <= 1:
        return False
    if derivative.derivation is not None:
        equations = derivative.derivation.equations
        source = equations.values[equations.sources[0][0]]
        summed = np.shape(derivative.value) == source.shape  # a Hessian has twice its axes
        return summed and not derivative.derivation.seed.shape
    return derivative.tensor is not None and not derivative.tensor.definitions.target.whole


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
    origins = None
    if value is not None and value.shape != tuple(getattr(derivative.value, "shape", ())):
        value = None  # of a large table, the rows that were used
    elif value is not None and printable(value):
        origins = _origins(derivative, heading, value)
    return [*chain, *teller.closed(heading, value, label, origins)]


_REMARKS = {"kink", "summed", "convention", "custom", "degenerate"}  # nothing is broken


def _diagnosis(diagnosis: Diagnosis, remark: bool = False) -> Note:
    """What the doctor says, with the line and the code to paste."""
    inside = f" of {diagnosis.function}" if diagnosis.function else ""
    where = f"line {diagnosis.line}{inside}, {diagnosis.text}: " if diagnosis.line else ""
    kind = "note" if diagnosis.cause in _REMARKS or remark else "warning"
    lines = diagnosis.fix.split("\n") if diagnosis.fix else []
    if len(lines) > _FIX:
        lines = [*lines[:_FIX], "…"]
    told = f"{where}{diagnosis.message} ({diagnosis.cause})"
    if lines:
        first, last = diagnosis.first, diagnosis.last
        replaced = f"line {first}" if first == last else f"lines {first} to {last}"
        told += f" In place of {replaced}{inside}:"
    return Note(told, kind, code="\n".join(lines))


def _value(derivative: Derivative, heading: Formula) -> Statement:
    return statement((heading, _answer(derivative, heading)))


def _answer(derivative: Derivative, heading: Formula) -> Formula:
    """What the tape returned."""
    value = derivative.check.tape
    assert value is not None
    return shown(value, _dtype(derivative), _origins(derivative, heading, value))


def _origins(derivative: Derivative, heading: Formula, value: Array) -> Array | None:
    """What the entries of an answer are the values of."""
    if not derivative.is_gradient or not isinstance(heading, Differential):
        return None
    return by_entries(heading, value.shape)


def _dtype(derivative: Derivative) -> str:
    dtype = getattr(derivative.value, "dtype", None)
    return str(getattr(dtype, "name", "float32"))


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


def _substitution(derivative: Derivative, heading: Formula) -> list[Item]:
    """The closed form, where it says more than the chain did."""
    closed, derivation = derivative.closed_form, derivative.derivation
    if closed is None or derivation is None or not printable(closed.formulas):
        return []
    if (
        derivative.order == 1
        and derivative.style.steps != "result"
        and _is_told(closed, derivation.partials)
    ):
        return []
    label = "by substitution" if derivative.order == 1 else f"order {derivative.order}"
    label = "" if derivative.style.steps == "result" else label
    if closed.formulas.shape and is_long(closed.formulas):
        return _by_entries(derivative, closed, label)
    equations = derivation.equations
    sides: list[Formula] = [heading]
    if closed.whole.ndim == 0 and derivative.style.steps != "result":
        sides.append(_operator(closed, derivative))
    sides += [arranged(closed.formulas), *with_values(closed.formulas, equations)]
    if derivative.check.tape is not None:
        sides.append(_answer(derivative, heading))
    told = statement(sides, label)
    if is_long(closed.formulas) and derivative.style.steps != "result":
        size = sum(node.size for node in closed.formulas.flat)
        return [Fold(f"by substitution: a closed form of {size} parts", (told,))]
    return [told]


def _is_told(closed: ClosedForm, partials: Sequence[Any]) -> bool:
    only = partials[0].formulas if len(partials) == 1 else None
    if only is None or only.shape != closed.formulas.shape:
        return False
    return all(a == b for a, b in zip(only.flat, closed.formulas.flat))


def _by_entries(derivative: Derivative, closed: ClosedForm, label: str) -> list[Item]:
    """A closed form that is too wide for a matrix, entry by entry."""
    assert derivative.derivation is not None
    equations = derivative.derivation.equations
    rank = closed.whole.ndim if derivative.derivation.lead else 0
    value = derivative.check.tape
    told: list[Item] = []
    for index in np.ndindex(*closed.formulas.shape):
        node = closed.formulas[index]
        of, at = index[:rank], list(index[rank:])
        wrt = []
        for group in closed.wrt:
            depth = equations.values[group[0]].ndim
            own, at = tuple(at[:depth]) if len(closed.wrt) == 1 or at else (), at[depth:]
            wrt.append((Symbol(group[0], own), 1))
        target = Symbol(equations.target, of) if of else Tensor(equations.target)
        left = Differential(target, tuple(wrt), True)
        sides: list[Formula] = [left, node]
        if value is not None and value.shape == closed.formulas.shape:
            sides.append(shown(np.asarray(value[index]), _dtype(derivative), left))
        told.append(statement(sides, label if not told else ""))
    return [told[0], Fold(counted(len(told) - 1, "more entry", "more entries"), tuple(told[1:]))]


def _operator(closed: ClosedForm, derivative: Derivative) -> Formula:
    """d/dx in front of what it acts on: the target, or the derivative of one order less."""
    operator = ((Tensor(closed.wrt[-1][0]), 1),)
    inner = closed.lower if closed.lower is not None else closed.whole
    return Differential(arranged(inner), operator, derivative.several)


# -- the verdict -------------------------------------------------------------------------------


def _verdict(derivative: Derivative) -> Note:
    check, value = derivative.check, derivative.value
    if value is None:
        why = "" if derivative.diagnoses else f": {_why_none(derivative)}"
        return Note(f"{derivative.key} is None{why}", "warning")
    dtype = _dtype(derivative)
    parts = [f"tape {_brief(check.tape, dtype)}"]
    # Where they differ, rounding to the tape's dtype may hide by how much: 1e-8 is 0 in float16.
    other = "float64" if check.agrees is False else dtype
    if check.symbolic is not None:
        form = derivative.tensor
        by_tensor = form is not None and (form.closed or form.in_adjoints) is not None
        has_form = derivative.closed_form is not None or by_tensor
        name = "closed form" if has_form else "derivation"
        parts.append(f"{name} {_brief(check.symbolic, other)}")
    if check.finite_difference is not None:
        parts.append(f"finite difference {_brief(check.finite_difference, other)}")
    note = f" ({check.note})" if check.note else ""
    if check.agrees is False:
        return Note("they do not agree: " + ", ".join(parts) + note, "warning", False)
    if check.agrees is None:
        return Note("not checked: " + ", ".join(parts) + note, "check", None)
    same = len({part.rsplit(" ", 1)[-1] for part in parts}) == 1 or len(parts) == 1
    joint = ", " if check.kink else " = " if same else " ≈ "
    return Note("checked: " + joint.join(parts) + note, "check", True)


def verdict(derivative: Derivative) -> str:
    """What the check says, in words."""
    return _verdict(derivative).text


def _why_none(derivative: Derivative) -> str:
    """The two opposite meanings of None, told apart by derivation and replay."""
    check = derivative.check
    known = check.symbolic if check.symbolic is not None else check.finite_difference
    if known is None:
        return "the tape found no path from source to target"
    if not np.any(np.abs(known) > 1e-6):
        return "the tape's way to say 0 where what it differentiates does not depend on the source"
    return f"the tape found no path, but the recorded ops have the slope {_brief(known, 'float64')}"


def _brief(array: Array | None, dtype: str) -> str:
    if array is None:
        return "None"
    if array.ndim == 0:
        return _digits(array[()], dtype)
    if array.size <= 4:
        return "[" + ", ".join(_digits(value, dtype) for value in array.flat) + "]"
    return f"of norm {_digits(norm(array), dtype)}"


def _digits(value: Any, dtype: str) -> str:
    plain = complex(value) if np.iscomplexobj(value) else float(value)
    return str(numbers.written(plain, dtype))
