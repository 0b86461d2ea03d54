"""A diagnosis: why a derivative is None, nan, zero or not what was expected, where, and a fix."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Diagnosis:
    """One finding.

    `cause` is a word of the vocabulary in the README. `line` is 1-based in the cell, or in the
    file of the user's function; `text` is what stands there. `fix` is code in place of the
    lines `first` to `last` (0, 0: there is nothing to paste), indentation included. `function`
    is the function that the line is in, if it stands elsewhere than the call.
    """

    cause: str
    line: int
    text: str
    message: str
    fix: str = ""
    first: int = 0
    last: int = 0
    file: str = ""
    function: str = ""

    def applied(self, source: str) -> str:
        """The source of the cell (or file) with the fix in it."""
        if not self.fix or not self.first:
            raise ValueError(f"the diagnosis {self.cause} comes without a fix to paste")
        lines = source.split("\n")
        lines[self.first - 1 : self.last] = self.fix.split("\n")
        return "\n".join(lines)

    def __str__(self) -> str:
        return f"{self.cause}, line {self.line}: {self.message}"
