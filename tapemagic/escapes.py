"""Where values left TensorFlow, and where they came back in as constants.

An escape is seen while recording (`float(x)`, `x.numpy()`); NumPy reads a tensor's memory
unseen, so calls into NumPy with a tensor's name among the arguments count as well. Names carry
a value from the line where it left to the line where a constant comes in.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from tapemagic import codes
from tapemagic.programs import Program, Statement, is_outside, plain, program
from tapemagic.trace import Binding, Line, Trace

_DETACHES = ("predict", "predict_on_batch", "get_weights")


@dataclass(frozen=True)
class Return:
    """`tensor` left at `left` by `method`; the constant `constant` came in at `back`."""

    tensor: int
    constant: int
    left: Line
    method: str
    back: Line | None


def calls_outside(line: Line) -> bool:
    """Whether a function that a line hands to `py_function` calls NumPy and the like."""
    statement = program(line.file).at(line.file, line.number)
    for node in ast.walk(statement.node) if statement is not None else ():
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "py_function":
            handed: ast.AST | None = node.args[0] if node.args else None
            if isinstance(handed, ast.Name):
                handed = codes.function(line.file, handed.id)
            inside = ast.walk(handed) if handed is not None else ()
            return any(isinstance(n, ast.Call) and is_outside(n.func) for n in inside)
    return False


def returns(trace: Trace, extra: Mapping[int, Line | None]) -> list[Return]:
    """The constants that came in and the tensors whose values they carry.

    `extra` are tensors to look at although no operation reads them (a target), with a line.
    """
    entries = _entering(trace, extra)
    if not entries:
        return []
    names, programs = _Names(trace), _programs(trace)
    found = [
        Return(escape.tensor, key, escape.line, escape.method, back)
        for escape in trace.escapes
        if escape.line is not None
        and escape.method != "bool"  # decides which way the code goes, and is no number
        and _is_floating(trace, escape.tensor)
        for key, (at, back) in entries.items()
        if at >= escape.at and back is not None and _carries(escape.line, back, programs, names, at)
    ]
    seen = {one.constant for one in found}
    others = {k: v for k, v in entries.items() if k not in seen}
    return [*found, *_unseen(trace, others, programs, names)]


def _programs(trace: Trace) -> dict[str, Program]:
    """For each file the program that has most of its callers: a helper of an earlier cell takes
    and gives what a line of this one hands on."""
    files = dict.fromkeys(op.line.file for op in trace.operations if op.line is not None)
    every = sorted(map(program, files), key=lambda whole: len(whole.files))
    return {file: whole for whole in every for file in whole.files}


def _entering(trace: Trace, extra: Mapping[int, Line | None]) -> dict[int, tuple[int, Line | None]]:
    """The floating constants that no operation made, with the place where they come in."""
    made = {key for operation in trace.operations for key in operation.outputs}
    bound = {b.tensor: b.line for b in trace.bindings if b.line is not None}
    found: dict[int, tuple[int, Line | None]] = {}
    for operation in trace.operations:
        for key in operation.inputs:
            if key not in made and key not in found and _is_floating(trace, key):
                found[key] = operation.at, bound.get(key) or operation.line
    for key, line in extra.items():
        if key not in made and key not in found and _is_floating(trace, key):
            found[key] = 2**62, bound.get(key) or line
    return found


def _is_floating(trace: Trace, key: int) -> bool:
    known = trace.tensors.get(key)
    return known is not None and known.dtype.startswith(("float", "bfloat", "complex"))


def _carries(
    left: Line, back: Line, programs: Mapping[str, Program], names: _Names, until: int
) -> bool:
    """Whether what left at one line may be what comes in at another."""
    whole = programs.get(back.file) or program(back.file)
    if left.file not in whole.files:
        return False
    start, end = whole.at(left.file, left.number), whole.at(back.file, back.number)
    if start is None or end is None:
        return False
    return start is end or names.bring(_between(whole, start, end), start, until)


@lru_cache(maxsize=4096)
def _between(whole: Program, start: Statement, end: Statement) -> frozenset[str]:
    """The names at one statement whose values may come from another."""
    return whole.reached(start.writes) & end.reads


def _unseen(
    trace: Trace,
    entries: Mapping[int, tuple[int, Line | None]],
    programs: Mapping[str, Program],
    tensors: _Names,
) -> Iterator[Return]:
    """Values that NumPy read from memory: a call with a tensor's name, in a line on the way."""
    unused = _unused(trace)
    for key, (entered, back) in entries.items():
        whole = programs.get(back.file) or program(back.file) if back is not None else None
        end = whole.at(back.file, back.number) if whole and back else None
        if whole is None or end is None:
            continue
        for statement in whole.statements:
            if not statement.calls:
                continue
            between = _between(whole, statement, end)
            if statement is end or tensors.bring(between, statement, entered):
                number = statement.node.lineno
                text = codes.line_text(statement.file, number)
                left = Line(number, text, statement.file)
                how = next((m for m in _DETACHES if f".{m}(" in text), "NumPy")
                names = whole.stand_for(statement.calls)
                found = [tensors.latest(name, entered) for name in sorted(names)]
                places = whole.calling(statement)
                found += [
                    tensor
                    for at, tensor, line in unused
                    if at < entered and any(_is_at(line, place) for place in places)
                ]
                for tensor in dict.fromkeys(found):
                    if tensor is not None and tensor != key and _is_floating(trace, tensor):
                        yield Return(tensor, key, left, how, back)


class _Names:
    """What names stood for when: the cell's, those of functions, attributes."""

    def __init__(self, trace: Trace) -> None:
        self._made = {key for operation in trace.operations for key in operation.outputs}
        self._held: dict[str, list[tuple[int, int]]] = {}
        self._lines: dict[tuple[int, int], Line | None] = {}
        for binding in (*trace.bindings, *trace.local):
            for name in self._spellings(binding):
                held = binding.at, binding.tensor
                self._held.setdefault(name, []).append(held)
                self._lines[held] = binding.line

    def _spellings(self, binding: Binding) -> Iterator[str]:
        owner, _, name = binding.name.rpartition(".")
        line = binding.line
        if owner:
            yield f".{name}"
        elif line is not None and line.function and not line.function.startswith("<"):
            yield f"{line.file}:{line.function}/{name}"
        elif line is None and binding.at > 0:  # of the function that asks, whichever it is
            yield f"*/{name}"
        else:
            yield name

    def bring(self, names: Iterable[str], start: Statement, until: int) -> bool:
        """Whether a value that left at a statement may come by one of these names: not by what
        TensorFlow computed below it, of which the tape knows."""
        return any(not self._is_computed(name, start, until) for name in names)

    def _is_computed(self, name: str, start: Statement, until: int) -> bool:
        held = self._latest(name, until)
        line = self._lines[held] if held is not None else None
        if held is None or line is None or held[1] not in self._made:
            return False
        last = start.node.end_lineno or start.node.lineno
        return line.file == start.file and line.number > last

    def latest(self, name: str, until: int) -> int | None:
        """What a name stood for right before a position."""
        held = self._latest(name, until)
        return held[1] if held is not None else None

    def _latest(self, name: str, until: int) -> tuple[int, int] | None:
        found = list(self._held.get(name, ()))
        if "/" in name:
            found += self._held.get(f"*/{plain(name)}", ())
        return max((pair for pair in found if pair[0] <= until), default=None)


def _is_at(line: Line, place: Statement) -> bool:
    first, last = place.node.lineno, place.node.end_lineno or place.node.lineno
    return line.file == place.file and first <= line.number <= last


def _unused(trace: Trace) -> list[tuple[int, int, Line]]:
    """What operations made for no other operation to read: np.abs(y - t) reads the difference."""
    used = {key for operation in trace.operations for key in operation.inputs}
    return [
        (operation.at, key, operation.line)
        for operation in trace.operations
        for key in operation.outputs
        if key not in used and operation.line is not None
    ]
