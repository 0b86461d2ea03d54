"""Letters for what has no name of its own: constant structures and the vectors of
decompositions. A sentence says what each stands for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tapemagic import document as d
from tapemagic.formula import Formula, Name, number
from tapemagic.tensors.matrix_products import transposed
from tapemagic.tensors.nodes import Function, Node, Structure, postorder
from tapemagic.tensors.structures import entries

_LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_SHOWN = 12  # places of a selection that are listed
_VECTORS = {
    "left_singular_vectors": "UPWQ",
    "right_singular_vectors": "VQRY",
    "eigenvectors": "VQRY",
}


class Lettering:
    """Chooses letters: none of the user's, which are `taken`, none twice. In `nodes` stand the
    structures whose places or shares need a small letter, which must be no index then."""

    def __init__(self, taken: Sequence[str] = (), nodes: Iterable[Node] = ()) -> None:
        self._taken = {text.rstrip("0123456789_") for text in taken}  # e1 is written e₁
        self._selector = self._first("ESPRΠ")
        self._waves = {"cosine": self._first("CΓKQ"), "sine": self._first("SΣTZ")}
        self._unit = self._first("ebiuδ")
        self._of: dict[object, str] = {}
        self._small: dict[Structure, str] = {}
        for node in postorder(nodes):
            if isinstance(node, Structure) and (wanted := _small_letters(node)):
                self._small[node] = self._first(wanted)

    def _first(self, wanted: str) -> str:
        """The first that is free; with a prime where all are the user's."""
        texts = (letter + "′" * primes for primes in range(9) for letter in wanted)
        found = next(text for text in texts if text not in self._taken)
        self._taken.add(found)
        return found

    def _own(self, key: object, wanted: str) -> str:
        """The letter of that one thing."""
        if key not in self._of:
            self._of[key] = self._first(wanted)
        return self._of[key]

    @property
    def small(self) -> tuple[str, ...]:
        """The letters that must be no index."""
        return tuple(self._small.values())

    # -- symbols -------------------------------------------------------------------------------

    def vectors(self, node: Function) -> Formula | None:
        """The matrix of singular vectors or eigenvectors; None for another function."""
        if node.function not in _VECTORS:
            return None
        return _tensor(self._own((node.function, node.operands), _VECTORS[node.function]))

    def places(self, node: Structure) -> Formula:
        """The places that a selection takes: by the user's name, or by a letter."""
        if node.of is not None:
            return d.Tensor(node.of)
        return _tensor(self._small.get(node) or self._own(node, "ρκντ"))

    def share(self, node: Structure) -> Formula | None:
        """The vector of one over the numbers of entries; None for another structure."""
        if _kind(node) not in _SHARES:
            return None
        return _tensor(self._small.get(node) or self._own(node, "χξζη"))

    def matrix(self, node: Structure) -> Formula:
        """What stands for the structure among matrices."""
        if node.kind == "identity":
            return d.Identity(node.shape[0])
        if node.kind == "unit":
            return d.Subscripted(_tensor(self._unit), (number(node.parameters[0] + 1),))
        if node.kind == "triangle":
            return d.Subscripted(d.Ones(node.shape[0]), (d.Words(_triangle(node)),))
        if node.kind in self._waves:
            wave = d.Subscripted(_tensor(self._waves[node.kind]), (number(node.parameters[0]),))
            return transposed(wave) if node.shape[0] > node.shape[1] else wave  # one shape a name
        if node.kind == "one_hot" and node.of is None:
            return _tensor(self._own(("matrix", node), "SPRΠ"))
        if node.kind == "range":
            return _tensor(self._small.get(node) or self._own(node, "νη"))
        below: Formula = d.Words(_label(node))
        if node.kind == "one_hot":
            below = self.places(node)
        return self.share(node) or d.Subscripted(_tensor(self._selector), (below,))

    # -- what they mean ------------------------------------------------------------------------

    def in_matrices(self, node: Structure) -> str:
        """A sentence on the structure's symbol among matrices, "" where everybody knows it."""
        shown = self._selector + "_" + _label(node)
        if node.kind == "unit":
            place = node.parameters[0] + 1
            unit = self._unit + str(place).translate(_LOWERED)
            return f"{unit} is the unit vector whose entry {place} is 1"
        if node.kind == "strided":
            return f"{shown} picks the entries {_label(node)} (counted from 1)"
        if node.kind == "one_hot" and node.of is not None:
            rows = f"row i of {self._selector}_{node.of.text}"
            return f"{rows} has its 1 at the i-th entry of {node.of.text}: a gather"
        if node.kind == "one_hot":
            what = "permutation" if _permutes(node) else "selection"
            rows = f"the rows of {_text(self.matrix(node))}"
            return f"{rows} have their 1 in the columns {_listed(node)}: a {what}"
        if node.kind == "range":
            first, second, *_, last = (f"{int(n)}".replace("-", "−") for n in entries(node))
            return f"{_text(self.matrix(node))} has the entries {first}, {second}, …, {last}"
        if node.kind in self._waves:
            wave, (period,) = node.kind[:3].replace("sine", "sin"), node.parameters
            symbol = f"{self._waves[node.kind]}{str(period).translate(_LOWERED)}"
            return f"{symbol} has the entries {wave}(2πkn/{period}), k and n from 0"
        if node.kind == "triangle":
            weight = " (½ on the diagonal)" if node.parameters[2] else ""
            return f"𝟏_{_triangle(node)}: ones {_side(node)}{weight}"
        return self._meaning(node, shown)

    def of_units(self, nodes: Sequence[Structure]) -> str:
        """One sentence on several unit vectors."""
        places = sorted({node.parameters[0] + 1 for node in nodes})
        units = [self._unit + str(place).translate(_LOWERED) for place in places]
        shown = units if len(units) < 4 else [*units[:2], "…", units[-1]]
        return f"{', '.join(shown)} are unit vectors: entry k of {self._unit}ₖ is 1"

    def by_index(self, node: Structure) -> tuple[Formula, str]:
        """The structure's symbol in index notation, and a sentence on it."""
        if node.kind == "one_hot":
            places = self.places(node)
            if node.of is not None:
                told = f"as a place, {_text(places)} counts from 0, as in the code: 0 is the first"
                return places, told
            what = ", a permutation" if _permutes(node) else ""
            return places, f"{_text(places)} = ({_listed(node)}){what}"
        return self.share(node) or d.Words(_label(node)), self._meaning(node, _label(node))

    def _meaning(self, node: Structure, shown: str) -> str:
        share = self.share(node)
        return _MEANINGS.get(_kind(node), "").format(shown if share is None else _text(share))


def _tensor(letter: str) -> d.Tensor:
    return d.Tensor(Name(letter))


def _text(symbol: Formula) -> str:
    assert isinstance(symbol, d.Tensor)
    return symbol.name.text


def _kind(node: Structure) -> str:
    """What it is called in the table of meanings."""
    return str(node.parameters[0]) if node.kind == "given" else node.kind


def _small_letters(node: Structure) -> str:
    """Small letters for what has places or shares."""
    if node.kind == "one_hot" and node.of is None:
        return "pqrst"
    if node.kind == "range":
        return "nmν"
    return "cvqh" if _kind(node) in _SHARES else ""


def _permutes(node: Structure) -> bool:
    """Whether a selection takes every entry once."""
    places = node.parameters[0]
    return len(places) == node.shape[-1] == len(set(places))


def _listed(node: Structure) -> str:
    """The places, counted from 1, the rows of several apart."""
    rows, count = [], node.shape[-2] if node.rank > 1 else 1
    places = [str(place + 1) for place in node.parameters[0][:_SHOWN]]
    for start in range(0, len(places), count):
        rows.append(", ".join(places[start : start + count]))
    return "; ".join(rows) + (", …" if len(node.parameters[0]) > _SHOWN else "")


def _label(node: Structure) -> str:
    if node.kind == "strided":
        start, step = node.parameters
        last = start + step * (node.shape[0] - 1)
        return f"{start + 1}:{last + 1}" + (f":{step}" if step != 1 else "")
    return _kind(node).replace("_", " ")


def _triangle(node: Structure) -> str:
    """Which triangle: with the diagonal, without it, or up to another diagonal."""
    lower, offset, half = node.parameters
    name = ("½ " if half else "") + ("lower" if lower else "upper")
    if offset == -1:
        return f"strictly {name}"
    return f"{name} {offset:+d}".replace("-", "−") if offset else name


def _side(node: Structure) -> str:
    """The same in words."""
    lower, offset, _ = node.parameters
    where = "below" if lower else "above"
    if offset in (0, -1):
        return f"{where} the diagonal" if offset else f"on and {where} the diagonal"
    beyond = "above" if lower == (offset > 0) else "below"
    count = f"{abs(offset)} place" + ("s" if abs(offset) > 1 else "")
    return f"on and {where} the diagonal that lies {count} {beyond} the main one"


_SHARES = {"share", "root share"}
_MEANINGS = {
    "above": "{} has ones beside the diagonal, above it",
    "below": "{} has ones beside the diagonal, below it",
    "weights": "{} counts twice what a real Fourier transform leaves out",
    "share": "{} is one over the number of entries that are averaged",
    "root share": "{} is one over the root of the number of entries that are added",
    "rest": "{} is 0 at what is replaced, 1 elsewhere",
    "inside": "{} is 1 where there is an entry, 0 beyond the edge",
    "off the diagonal": "{} is 0 on the diagonals that are set, 1 elsewhere",
    "band": "{} is 1 in the band around the diagonal, 0 elsewhere",
    "window": "{} is 1 where the window lies on the entry, else 0",
    "modulo": "{} repeats the entries: a tile",
    "mirrored": "{} reflects the entries at the edges: a padding",
}


__all__ = ["Lettering"]
