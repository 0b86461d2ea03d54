"""What a derivation says, line by line, before any markup.

A `Document` is made of formulas and plain words only; `latex`, `text` and `html` print it.
The nodes here are formulas too (`Differential`, `Matrix`, `Pointwise` …), so that printers
treat ∂z/∂y · 2x like any other product. They are for showing, never for computing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

from tapemagic.formula import Call, Formula, Name, Value


@dataclass(frozen=True, eq=False)
class Tensor(Formula):
    """A named tensor (or scalar) as a whole: z, x₁, W."""

    name: Name


@dataclass(frozen=True, eq=False)
class Differential(Formula):
    """dⁿ target / d wrt…, e.g. ∂²z/∂x∂y.

    `wrt` lists each variable with how often it is differentiated by. `partial` chooses ∂
    over d. `equation` marks the partial *within* that equation, where other paths exist.
    A `target` that is no `Tensor` or `Symbol` stands behind the operator: d/dx (x⁴).
    """

    target: Formula
    wrt: tuple[tuple[Formula, int], ...]
    partial: bool = False
    equation: int | None = None


@dataclass(frozen=True, eq=False)
class Matrix(Formula):
    """Entries in rows; a vector is one column. Tensors of higher rank are lists of matrices."""

    rows: tuple[tuple[Formula, ...], ...]

    @property
    def children(self) -> tuple[Formula, ...]:
        return tuple(entry for row in self.rows for entry in row)

    def rebuilt(self, children: tuple[Formula, ...]) -> Formula:
        left = iter(children)
        return Matrix(tuple(tuple(next(left) for _ in row) for row in self.rows))


@dataclass(frozen=True, eq=False)
class Stack(Formula):
    """A tensor of rank 3 or more: its slices along the first axis."""

    slices: tuple[Formula, ...]

    _children = ("slices",)


@dataclass(frozen=True, eq=False)
class Pointwise(Formula):
    """The Hadamard product factors[0] ∘ factors[1] ∘ … ⊘ divisors."""

    factors: tuple[Formula, ...]
    divisors: tuple[Formula, ...] = ()

    _children = ("factors", "divisors")


@dataclass(frozen=True, eq=False)
class Cross(Formula):
    """A product of numbers or arrays written with an explicit ×, as on a blackboard: 18 × 6."""

    factors: tuple[Formula, ...]

    _children = ("factors",)


@dataclass(frozen=True, eq=False)
class Transposed(Formula):
    """operandᵀ"""

    operand: Formula

    _children = ("operand",)


@dataclass(frozen=True, eq=False)
class Subscripted(Formula):
    """An entry of something, its places written as letters: W_{kl}, softmax(Z)_{ik}."""

    operand: Formula
    below: tuple[Formula, ...]

    _children = ("operand", "below")


@dataclass(frozen=True, eq=False)
class Tuple_(Formula):
    """(k, l): several places at once."""

    places: tuple[Formula, ...]

    _children = ("places",)


@dataclass(frozen=True, eq=False)
class BigSum(Formula):
    """Σ over letters of what stands behind."""

    letters: tuple[Formula, ...]
    operand: Formula

    _children = ("letters", "operand")


@dataclass(frozen=True, eq=False)
class Column(Call):
    """A function of a matrix that has one entry for each row: diag(A), where diag(x) of a vector
    is a matrix; logsumexp(Z), where that of a vector is a number."""


@dataclass(frozen=True, eq=False)
class Norm(Formula):
    """‖operand‖, the Euclidean or Frobenius norm."""

    operand: Formula

    _children = ("operand",)


@dataclass(frozen=True, eq=False)
class EntryPower(Formula):
    """Every entry to a power: X^{∘2}."""

    base: Formula
    exponent: Formula

    _children = ("base", "exponent")


@dataclass(frozen=True, eq=False)
class Ones(Formula):
    """𝟏, the column of `entries` ones."""

    entries: int


@dataclass(frozen=True, eq=False)
class Identity(Formula):
    """I, the identity matrix with `entries` rows."""

    entries: int


@dataclass(frozen=True, eq=False)
class Bracketed(Formula):
    """(operand): a scalar among matrices."""

    operand: Formula

    _children = ("operand",)


@dataclass(frozen=True, eq=False)
class Underbraced(Formula):
    """A factor with its shape under it."""

    operand: Formula
    shape: tuple[int, ...]

    _children = ("operand",)


@dataclass(frozen=True, eq=False)
class Space(Formula):
    """ℝ^{5×3}: what a tensor of this shape is an element of; ℝ for ()."""

    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Ellipsis_(Formula):
    """… for what is left out."""


@dataclass(frozen=True, eq=False)
class Words(Formula):
    """Plain words inside a formula."""

    text: str


@dataclass(frozen=True, eq=False)
class Slot(Value):
    """A number that changes as a slider moves: the `place`-th of them."""

    place: int = 0


@dataclass(frozen=True)
class Source:
    """Where the user wrote it: 1-based `number`, the line's `text`."""

    number: int
    text: str


@dataclass(frozen=True)
class Statement:
    """side[0] relation[0] side[1] … with a `label` in front and an equation `number` behind.

    `relations` has one entry less than `sides`; each is "=", "≈" or "∈". `recorded`: it holds at
    the recorded point, where a slider can move away from that.
    """

    sides: tuple[Formula, ...]
    relations: tuple[str, ...]
    label: str = ""
    number: int | None = None
    source: Source | None = None
    recorded: bool = False


@dataclass(frozen=True)
class Note:
    """A sentence; `kind` is "note", "warning" or "check"; `agrees` makes a check's mark. `code`
    are lines of Python under it; `recorded` as in a `Statement`."""

    text: str
    kind: str = "note"
    agrees: bool | None = None
    code: str = ""
    recorded: bool = False


@dataclass(frozen=True)
class Fold:
    """Items that are one click away; `summary` stands for them."""

    summary: str
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Section:
    """A part of the document: a `title` (words), a heading formula or both, and its items."""

    items: tuple[Item, ...]
    title: str = ""
    heading: Formula | None = None


@dataclass(frozen=True)
class Document:
    """A derivation, ready to print."""

    sections: tuple[Section, ...]


Item = Union[Statement, Note, Fold]  # noqa: UP007 - evaluated, and Fold names it in quotes
