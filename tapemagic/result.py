"""What comes back: a `Result`, a mapping from a derivative's name to a `Derivative`."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from tapemagic.check import Check
from tapemagic.closed_form import ClosedForm
from tapemagic.collector import no_full_rounds
from tapemagic.derivation import Derivation, symbol_values
from tapemagic.diagnosis import Diagnosis
from tapemagic.document import Document, Note, Section
from tapemagic.formula import Formula, Name, Symbol
from tapemagic.steps import Step, steps
from tapemagic.style import PLAIN, Style
from tapemagic.tensors.nodes import Leaf
from tapemagic.tensors.steps import TensorStep, tensor_steps
from tapemagic.tensors.sweep import TensorForm
from tapemagic.trace import Array, Line

T = TypeVar("T")


@dataclass(frozen=True)
class Derivative:
    """One derivative: the tape's value, and how it comes about.

    `value` is what the tape returned: a tensor, `IndexedSlices` or `None`. `target` and
    `sources` are as the user wrote them; `order` counts `sources`. `derivation` and
    `closed_form` are None where there is none; `reasons` then say why. `several`: one of several
    partial derivatives, written with ∂. `inner`: the target is itself the answer of an earlier
    call, the derivative of this name by these sources. `tensor` is the derivative in whole
    tensors, where there are any. `meanings` says what short names stand for: W1 for
    model.layers[0].kernel. `along`: it is the second derivative's product with this vector.
    `weights` is the name of the seed that weights the target's entries ("" without a name).
    """

    key: str
    target: str
    sources: tuple[str, ...]
    value: Any
    check: Check
    derivation: Derivation | None = None
    closed_form: ClosedForm | None = None
    reasons: tuple[str, ...] = ()
    several: bool = False
    diagnoses: tuple[Diagnosis, ...] = ()
    inner: tuple[str, tuple[str, ...]] | None = None
    tensor: TensorForm | None = None
    meanings: Mapping[str, str] = field(default_factory=dict)
    along: str = ""
    weights: str | None = None
    style: Style = PLAIN

    @property
    def order(self) -> int:
        """How often the target is differentiated."""
        return len(self.sources)

    @property
    def is_gradient(self) -> bool:
        """Whether the target's entries are summed, as in a gradient."""
        form = self.derivation or self.tensor
        return form is not None and form.lead == 0

    @property
    def diagnosis(self) -> Diagnosis | None:
        """The decisive diagnosis, or None."""
        return self.diagnoses[0] if self.diagnoses else None

    @cached_property
    def expression(self) -> Any:
        """The closed form in SymPy: an expression for a scalar, a matrix for a tensor of rank 1
        (one column) or 2, an N-dimensional array above; None where there is no closed form."""
        if self.closed_form is None:
            return self._matrix_expression()
        import sympy

        from tapemagic.symbolic import to_sympy

        formulas = self.closed_form.formulas
        try:
            parts = [to_sympy(node) for node in formulas.flat]
        except KeyError:
            return None
        # SymPy evaluates x/y in the branch where y = 0, and can do nothing with what comes out.
        if any(part.has(sympy.zoo, sympy.nan) for part in parts):
            return None
        if formulas.ndim == 0:
            return parts[0]
        if formulas.ndim <= 2:
            rows = formulas.shape[0]
            columns = formulas.shape[1] if formulas.ndim == 2 else 1
            return sympy.ImmutableMatrix(rows, columns, parts)
        return sympy.ImmutableDenseNDimArray(parts, formulas.shape)

    def _matrix_expression(self) -> Any:
        from tapemagic.tensors.matrix_sympy import matrix_expression

        return None if self.tensor is None else matrix_expression(self.tensor)

    def evaluate(self, **values: Any) -> Any:
        """The closed form in NumPy float64, without the tape: at the recorded point, or with
        other values of sources and named constants (numbers, or arrays of the same shape).

        Returns a float for a scalar, else an array. Where only the equations exist, they are
        followed. Raises `ValueError` where there is neither, or for an unknown name.
        """
        by_components = self.derivation is not None and (
            self.order == 1 or self.closed_form is not None
        )
        if self.closed_form is None and self.derivation is None and self._is_followed:
            return self._evaluated_whole(values)
        if self.derivation is None or not by_components:
            raise ValueError(f"{self.key} has no closed form: {'; '.join(self.reasons)}")
        equations = self.derivation.equations
        chosen = self._chosen(values)
        if self.closed_form is not None:
            known = symbol_values({**equations.values, **chosen})
            found = self.closed_form.evaluate(known)
        else:
            found = self.derivation.evaluate(chosen)
        return float(found) if np.ndim(found) == 0 else found

    @property
    def _is_followed(self) -> bool:
        """Whether the form in whole tensors can be computed again with other values."""
        if self.tensor is None:
            return False
        followed = self.tensor.sweep is not None and not self.tensor.definitions.opaque
        return self.tensor.closed is not None or followed

    def _evaluated_whole(self, values: Mapping[str, Any]) -> Any:
        """The closed form in whole tensors, in the shape of the tape's answer."""
        assert self.tensor is not None
        chosen: dict[Leaf, Array] = {}
        given = {leaf: leaf.whole for leaf in self.tensor.definitions.given}
        for leaf, array in self._matched(values, given, lambda leaf: leaf.name.text):
            chosen[leaf] = array
        found = self.tensor.evaluate(chosen)
        if found is None:
            raise ValueError(f"{self.key} needs a value that is not kept any more")
        shape = getattr(self.value, "shape", None)
        if shape is not None and np.prod(tuple(shape), dtype=int) == found.size:
            found = found.reshape(tuple(shape))
        return float(found) if np.ndim(found) == 0 else found

    def _chosen(self, values: Mapping[str, Any]) -> dict[Name, Array]:
        assert self.derivation is not None
        equations = self.derivation.equations
        settable = [n for group in equations.sources for n in group] + list(equations.constants)
        given = {name: equations.values[name].shape for name in settable}
        return dict(self._matched(values, given, lambda name: name.text))

    def _matched(
        self,
        values: Mapping[str, Any],
        given: Mapping[T, tuple[int, ...]],
        text_of: Callable[[T], str],
    ) -> Iterator[tuple[T, Array]]:
        """The chosen values by what they stand for, in its shape."""
        for text, value in values.items():
            names = [
                name for name in given if text in (text_of(name), self.meanings.get(text_of(name)))
            ]
            if not names:
                known = sorted({text_of(name) for name in given})
                near = difflib.get_close_matches(text, known, 1) or known[:1]
                hint = f": did you mean {near[0]}?" if near else ""
                raise ValueError(f"{self.key} does not depend on {text!r}{hint}")
            for name in names:
                array = np.asarray(value)
                array = array if array.dtype == bool else array.astype(np.float64)
                if array.shape != given[name]:
                    array = np.broadcast_to(array, given[name])
                yield name, array

    @cached_property
    def steps(self) -> tuple[Step | TensorStep, ...]:
        """The derivation as data, each step able to re-evaluate itself."""
        if self.derivation is None:
            return () if self.tensor is None else tensor_steps(self.tensor)
        return steps(self.derivation, self.closed_form)

    @property
    def latex(self) -> str:
        """This derivative's part of the derivation, as LaTeX."""
        from tapemagic import exposition, latex

        return latex.document(exposition.single(self))

    def __repr__(self) -> str:
        return f"<Derivative {self.key} = {_short(self)}>"


@dataclass(frozen=True)
class Call:
    """A question that the user's own tape was asked, and its answers.

    `method` is "gradient", "jacobian" or "batch_jacobian"; `line` the 1-based line in the cell,
    or in the file of the function that it stands in; `target` and `sources` as the user wrote
    them; `error` what the call raised. `number` of `count` calls from this place: of a loop,
    the first four are kept, the last, and the first whose answer was bad.
    """

    method: str
    where: Line
    target: str
    sources: str
    derivatives: tuple[Derivative, ...]
    error: BaseException | None
    text: str
    number: int = 1
    count: int = 1

    @property
    def line(self) -> int:
        """The 1-based line of the call."""
        return self.where.number

    def __repr__(self) -> str:
        return f"<Call {self.text}, line {self.line}>"


class Result(Mapping[str, Derivative]):
    """The derivatives of a cell, by name, in the cell's order.

    Keys look up with or without spaces: result["d(a+b)/dx"] is result["d(a + b)/dx"].
    `calls` lists the calls of the user's own tapes.
    """

    def __init__(
        self,
        derivatives: Sequence[Derivative],
        document: Callable[[Result], Document],
        aliases: Mapping[str, str] | None = None,
        calls: Sequence[Any] = (),
        notes: Sequence[str] = (),
    ) -> None:
        self._derivatives = {derivative.key: derivative for derivative in derivatives}
        self._compact = {_compact(key): key for key in self._derivatives}
        for other, key in (aliases or {}).items():
            self._compact.setdefault(_compact(other), key)
        self._make_document = document
        self.calls = tuple(calls)
        self.notes = tuple(notes)
        self.view: Any = None  # the explorer, under --explore

    def __getitem__(self, key: str) -> Derivative:
        found = self._compact.get(_compact(str(key)))
        if found is None:
            near = difflib.get_close_matches(str(key), list(self._derivatives), 1, 0.3)
            hint = f": did you mean {near[0]!r}?" if near else ""
            raise KeyError(f"no derivative {key!r}{hint}")
        return self._derivatives[found]

    def __iter__(self) -> Iterator[str]:
        return iter(self._derivatives)

    def __len__(self) -> int:
        return len(self._derivatives)

    @cached_property
    @no_full_rounds()
    def document(self) -> Document:
        """The whole derivation, before any markup."""
        try:
            return self._make_document(self)
        except Exception as error:  # noqa: BLE001 - an error of ours must not cost the user the values
            return self._plain(f"tapemagic could not tell it ({type(error).__name__}: {error})")

    def _plain(self, reason: str) -> Document:
        """The values alone."""
        notes = [Note(f"{key} = {_short(one)}") for key, one in self.items()]
        return Document((Section((*notes, Note(reason, "warning"))),))

    @property
    def widget(self) -> Any:
        """The explorer's widget, with the traitlets `point`, `value` and `derivative`; None
        without `--explore`."""
        return None if self.view is None else self.view.widget

    @cached_property
    @no_full_rounds()
    def latex(self) -> str:
        """The whole derivation as LaTeX, `aligned` within `$$`."""
        from tapemagic import latex

        return latex.document(self.document)

    @no_full_rounds()
    def __repr__(self) -> str:
        from tapemagic import text

        if self.view is not None:
            return str(self.view.text())
        return text.document(self.document)

    def _repr_latex_(self) -> str:
        return self.latex if self.view is None else str(self.view.latex())

    @no_full_rounds()
    def _repr_html_(self) -> str:
        from tapemagic import html

        if self.view is not None:
            return str(self.view.html())
        return html.document(self.document, self.latex)


def _compact(key: str) -> str:
    return "".join(key.split())


def _short(derivative: Derivative) -> str:
    value = derivative.check.tape
    if derivative.value is None or value is None:
        return "None"
    if value.ndim:
        return f"tensor of shape {value.shape}"
    return f"{complex(value):.7g}" if np.iscomplexobj(value) else f"{float(value):.7g}"


__all__ = ["Call", "Derivative", "Formula", "Result", "Symbol"]
