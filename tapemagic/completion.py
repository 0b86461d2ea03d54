"""Tab on a `%%grad` or `%grad` line: options, their values, names of the cell and of the user."""

from __future__ import annotations

import re
import symtable
import sys
from collections.abc import Callable, Iterable, Mapping
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import IPython.core.completer as ipython

from .options import FLAGS, Row
from .running import Shell

_MAGIC = re.compile(r"\s*%%?grad(?=\s)")
_PATH = re.compile(r"(?<![\w.])[^\W\d]\w*(?:\.\w+)*\.?$|(?<![\w.])$")
_BINDING = re.compile(
    r"(?:^\s*|\bfor\s+|\bas\s+)([^\W\d]\w*(?:\s*,\s*\w+)*)(?=\s*(?:=(?!=)|in\b|:))"
)
_NO_SOURCES = (ModuleType, FunctionType, BuiltinFunctionType, MethodType, type)
_MATCHER = "tapemagic"


def candidates(before: str, body: str, names: Mapping[str, object]) -> tuple[int, list[str]]:
    """What may replace the text from the returned column to the cursor.

    `before` is the magic line up to the cursor, `body` the cell's code under it.
    """
    match = _MAGIC.match(before)
    if match is None:
        return len(before), []
    start, quoted = _word_start(before, match.end())
    if quoted:
        return len(before), []
    word = before[start:]
    option, equals, _ = word.partition("=")
    if equals and option in FLAGS:
        return _value(before, start + len(option) + 1, FLAGS[option], body, names)
    if word.startswith("-"):
        return start, [flag for flag in FLAGS if flag.startswith(word)]
    previous = before[match.end() : start].split()[-1:]
    row = FLAGS.get(previous[0]) if previous else None
    if row is not None and row.metavar:
        return _value(before, start, row, body, names)
    column, found = _names(before, start, body, names, any_kind=False)
    return column, found if word else [*found, *FLAGS]


def _word_start(before: str, start: int) -> tuple[int, bool]:
    """Where the word at the cursor begins, and whether the cursor stands in a string in it.

    Blanks inside brackets and quotes do not end a word; a quote that begins one holds code.
    """
    depth, quote, begin = 0, "", start
    for index in range(start, len(before)):
        char = before[index]
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth = max(depth - 1, 0)
        elif char.isspace() and not depth:
            begin = index + 1
    return begin, bool(quote) and not before[begin:].startswith(quote)


def _value(
    before: str, start: int, row: Row, body: str, names: Mapping[str, object]
) -> tuple[int, list[str]]:
    if row.choices:
        return start, [choice for choice in row.choices if choice.startswith(before[start:])]
    if row.names:
        return _names(before, start, body, names, any_kind=True)
    return len(before), []


def _names(
    before: str, start: int, body: str, names: Mapping[str, object], *, any_kind: bool
) -> tuple[int, list[str]]:
    match = _PATH.search(before, start)
    if match is None:  # after `ws[0].` or a number
        return len(before), []
    column = match.start()
    path, dot, stem = before[column:].rpartition(".")
    if dot:
        found = [f"{path}.{name}" for name in _attributes(path, names)]
    else:
        own = [name for name in names if any_kind or not isinstance(names[name], _NO_SOURCES)]
        found = list(dict.fromkeys([*bound_in(body), *own]))
    return column, [
        name
        for name in found
        if name.startswith(before[column:])
        and (stem.startswith("_") or not name.rpartition(".")[2].startswith("_"))
    ]


def _attributes(path: str, names: Mapping[str, object]) -> list[str]:
    first, *rest = path.split(".")
    try:
        value = names[first]
        for name in rest:
            value = getattr(value, name)
        return dir(value)
    except Exception:  # noqa: BLE001 - a property of the user's may raise anything
        return []


def bound_in(body: str) -> list[str]:
    """The names that the cell binds at top level, in order; also while it is no valid Python."""
    written = [
        name.strip()
        for line in body.splitlines()
        for m in _BINDING.finditer(line)
        for name in m[1].split(",")
    ]
    try:
        table = symtable.symtable(body, "<cell>", "exec")
    except (SyntaxError, ValueError):
        return list(dict.fromkeys(written))
    assigned = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned()}
    return list(dict.fromkeys([name for name in written if name in assigned] + sorted(assigned)))


# -- the two kinds of matchers that IPython has had --


def load(shell: Shell) -> None:
    """Offer completions on our magic lines, in place of all others there."""
    newer = hasattr(ipython, "CompletionContext")
    matcher: Any = _context_matcher(shell) if newer else _line_matcher(shell)
    matcher.__qualname__ = _MATCHER
    completer = shell.Completer
    (completer.custom_matchers if newer else completer.magic_arg_matchers).append(matcher)


def unload(shell: Shell) -> None:
    """Take the matcher away again."""
    for name in ("custom_matchers", "magic_arg_matchers"):
        matchers = getattr(shell.Completer, name)
        matchers[:] = [m for m in matchers if getattr(m, "__qualname__", "") != _MATCHER]


def _own_names(shell: Shell) -> dict[str, object]:
    hidden = shell.user_ns_hidden
    return {name: value for name, value in shell.user_ns.items() if name not in hidden}


def _at(shell: Shell, cell: str, number: int, column: int) -> tuple[int, list[str]]:
    """Candidates at a place of a cell; `%%grad` counts on the first line that is not blank."""
    lines = cell.split("\n")
    before = lines[number][:column]
    double = before.lstrip().startswith("%%")
    if double and any(line.strip() for line in lines[:number]):
        return column, []
    body = "\n".join(lines[number + 1 :]) if double else ""
    return candidates(before, body, _own_names(shell))


def _context_matcher(shell: Shell) -> Callable[[Any], Any]:
    """IPython 8.6 and later."""

    def complete(context: Any) -> Any:
        number, column = context.cursor_line, context.cursor_position
        start, found = _at(shell, context.full_text, number, column)
        before = context.full_text.split("\n")[number][:column]
        return {
            "completions": [ipython.SimpleCompletion(text=text, type="magic") for text in found],
            "matched_fragment": before[start:],
            "suppress": bool(found),
            "ordered": True,
        }

    matcher: Any = complete
    matcher.matcher_api_version = 2
    matcher.matcher_priority = 1000
    matcher.matcher_identifier = _MATCHER
    return complete


def _line_matcher(shell: Shell) -> Callable[[str], list[str]]:
    """IPython 7: a matcher for magic arguments is asked first and, if it answers, alone."""

    def matcher(line: str) -> list[str]:
        completer = shell.Completer
        before = completer.text_until_cursor
        cell, number = _asked_for(line)
        start, found = _at(shell, cell, number, len(before))
        # IPython replaces the fragment that its own splitter finds.
        fragment = len(before) - len(completer.splitter.split_line(line, len(before)))
        return list(_from(fragment, start, before, found))

    return matcher


def _from(fragment: int, start: int, before: str, found: Iterable[str]) -> Iterable[str]:
    for text in found:
        whole = before[:start] + text
        yield whole[fragment:]


def _asked_for(line: str) -> tuple[str, int]:
    """The whole cell and the cursor's line: IPython 7 keeps them in a frame above and no
    matcher is given them; without them the line stands for the cell."""
    frame = sys._getframe(2)
    cell, number = frame.f_locals.get("full_text"), frame.f_locals.get("cursor_line")
    if (
        isinstance(cell, str)
        and isinstance(number, int)
        and cell.split("\n")[number:][:1] == [line]
    ):
        return cell, number
    return line, 0
