"""What a way of writing formulas has to say: fractions, roots, signs, letters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar

from tapemagic.spelling import Spelling

T = TypeVar("T")


class Notation(ABC, Generic[T]):
    """`T` is what a notation builds: a string of markup, a block of text, a width."""

    linear: ClassVar[bool] = False  # fractions on one line need brackets

    @abstractmethod
    def row(self, parts: Sequence[T]) -> T: ...

    @abstractmethod
    def digits(self, text: str) -> T: ...

    @abstractmethod
    def spelled(self, spelling: Spelling) -> T: ...

    @abstractmethod
    def constant(self, text: str) -> T:
        """pi, e, inf, nan, i, reals, ones (the vector), identity (the matrix)"""

    @abstractmethod
    def operator(self, sign: str) -> T:
        """A sign between two things, with its space."""

    @abstractmethod
    def prefix(self, sign: str) -> T:
        """A sign in front of one thing."""

    @abstractmethod
    def gap(self) -> T: ...

    @abstractmethod
    def comma(self) -> T: ...

    @abstractmethod
    def function(self, name: str) -> T: ...

    @abstractmethod
    def applied(self, function: T, argument: T) -> T:
        """The argument has its brackets already."""

    @abstractmethod
    def fraction(self, above: T, below: T) -> T: ...

    @abstractmethod
    def power(self, base: T, exponent: T) -> T: ...

    @abstractmethod
    def root(self, body: T) -> T: ...

    @abstractmethod
    def overlined(self, body: T) -> T: ...

    @abstractmethod
    def transposed(self, body: T) -> T: ...

    @abstractmethod
    def subscripted(self, body: T, below: T) -> T: ...

    @abstractmethod
    def underbraced(self, body: T, below: T) -> T: ...

    @abstractmethod
    def summation(self, below: T) -> T:
        """The sign of a sum over letters, without what is summed."""

    @abstractmethod
    def fenced(self, body: T, left: str = "(", right: str = ")") -> T: ...

    @abstractmethod
    def at_equation(self, body: T, number: int) -> T: ...

    @abstractmethod
    def matrix(self, rows: Sequence[Sequence[T]]) -> T: ...

    @abstractmethod
    def cases(self, condition: T, yes: T, no: T) -> T: ...

    @abstractmethod
    def ellipsis(self, direction: str = "h") -> T:
        """Direction "h", "v" or "d"; "l" on the base line, in a list."""

    @abstractmethod
    def words(self, text: str) -> T: ...

    @abstractmethod
    def dee(self, partial: bool, order: int) -> T:
        """The d or ∂ of a derivative, with its order."""
