"""How a derivation is to be written, as the magic line asks for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Style:
    """`steps` is "result", "chain" or "full"; `notation` "auto", "matrix", "index" or
    "components"; `layout` "denominator" (the tape's own) or "numerator", which transposes."""

    steps: str = "chain"
    notation: str = "auto"
    layout: str = "denominator"

    @property
    def numerator(self) -> bool:
        """Whether derivatives are transposed."""
        return self.layout == "numerator"

    @property
    def full(self) -> bool:
        """Whether each rule is named, and under each factor stands its shape."""
        return self.steps == "full"


PLAIN = Style()
