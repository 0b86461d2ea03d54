"""A Python name as it is written on a blackboard: x₁₂, θ, y_pred, w⁽¹⁾.

`spell` takes a name apart once, without any markup; each printer puts the parts together.
Names that follow no mathematical custom (`_x`, `params['w']`, `dy_dx`) stay as the code has
them, upright, so that two different names never look the same.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from tapemagic.formula import Name

_GREEK = """
    alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho
    final_sigma sigma tau upsilon phi chi psi omega
""".split()
GREEK = {word: chr(0x3B1 + i) for i, word in enumerate(_GREEK) if word != "final_sigma"}
GREEK |= {word.capitalize(): letter.upper() for word, letter in GREEK.items()}
_KEYWORD = {"lambda_": "lambda", "lamda": "lambda"}

_WORD_AND_DIGITS = re.compile(r"([^\W\d_]+)([0-9]*)")


@dataclass(frozen=True)
class Piece:
    """A run of characters; `letter` if it is one letter, to be set in italics."""

    text: str
    letter: bool = False


@dataclass(frozen=True)
class Spelling:
    """The core on the line, with what hangs below and above it."""

    core: Piece
    below: tuple[Piece, ...] = ()
    above: str = ""


_LETTERS = "wyzxpmntcjfgabehikqrsuvd"
_ALPHABET = "xi zeta eta phi psi omega rho tau kappa mu nu chi alpha beta gamma delta theta".split()


def unused(preferred: str, taken: Iterable[str]) -> str:
    """What numbered names of ours may begin with so that none looks like one that is `taken`: a
    preferred letter, another one, a Greek one, a letter with another below."""
    seen = {_stem(text) for text in taken}
    pairs = (f"{letter}_{below}" for letter in preferred for below in _LETTERS)
    every = itertools.chain(preferred, _LETTERS, _ALPHABET, pairs)
    return next(text for text in every if _stem(text) not in seen)


def _stem(text: str) -> str:
    """A name without its number: x of x1 and x_1."""
    text = text.rstrip("0123456789").rstrip("_")
    return GREEK.get(text, text)


def spell(name: Name, index: tuple[int, ...] = ()) -> Spelling:
    """The parts of `name`, or of its entry `index` (from 0; shown from 1)."""
    plain = Spelling(Piece(name.text)) if name.plain else _spell(name.text)
    below, above = plain.below, ""
    if name.version:
        if plain.core.letter and not below and not index and not name.apart:
            below = (Piece(str(name.version)),)
        else:
            above = str(name.version)
    if index:
        joined = "" if all(i <= 8 for i in index) else ","
        below = (*below, Piece(joined.join(str(i + 1) for i in index)))
    return Spelling(plain.core, below, above)


def _spell(text: str) -> Spelling:
    if not text.isidentifier():
        return Spelling(Piece(unicodedata.normalize("NFC", text)))
    text = unicodedata.normalize("NFKC", text)  # as Python itself reads identifiers
    head, *rest = _KEYWORD.get(text, text).split("_")
    match = _WORD_AND_DIGITS.fullmatch(head) or _marked_letter(head)
    if not match or not all(rest):
        return Spelling(Piece(text))
    core = _piece(match[1])
    numeric = all(re.fullmatch("[0-9]+", part) for part in rest)
    if rest and not core.letter and not numeric:
        return Spelling(Piece(text))
    below = [Piece(match[2])] if match[2] else []
    return Spelling(core, (*below, *(_piece(part) for part in rest)))


def _marked_letter(head: str) -> re.Match[str] | None:
    """A letter under combining marks, such as x̂, and digits."""
    match = re.fullmatch(r"(.+?)([0-9]*)", head, re.DOTALL)
    return match if match and _is_letter(match[1]) else None


def _piece(text: str) -> Piece:
    text = GREEK.get(text, text)
    return Piece(text, _is_letter(text))


def _is_letter(text: str) -> bool:
    """One letter, which may carry combining marks."""
    return text[:1].isalpha() and all(unicodedata.combining(mark) for mark in text[1:])
