"""The magic line, read into `Options`: plain Python, one table row an option.

Parser, help text and Tab completion all read `TABLE`, so that they cannot drift apart.
"""

from __future__ import annotations

import ast
import difflib
import keyword
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tapemagic.style import Style


class GradError(Exception):
    """Shown as one line, without a traceback; the cell's status is an error all the same."""


class OptionError(GradError):
    """The magic line cannot be understood."""


@dataclass(frozen=True)
class Options:
    """What one magic line asks for. Expressions are kept as the user wrote them."""

    wrt: tuple[str, ...] = ()
    of: tuple[str, ...] = ()
    order: int = 1
    kind: str = "gradient"  # or jacobian, batch_jacobian, hessian
    persistent: bool = False
    tape: str | None = None
    only: bool = False
    zero: bool = False
    seed: str | None = None
    sum: bool = False
    at: Mapping[str, str] = field(default_factory=dict)
    explore: tuple[tuple[str, str], ...] | None = None  # (name, range text); None: no sliders
    steps: str = "chain"
    notation: str = "auto"
    layout: str = "denominator"
    out: str | None = None
    quiet: bool = False

    @property
    def style(self) -> Style:
        """How what comes out is to be written."""
        return Style(self.steps, self.notation, self.layout)

    @property
    def ignored_with_tapes(self) -> tuple[str, ...]:
        """The options given that only our own tape can follow."""
        given = {
            "--order": self.order > 1,
            f"--{self.kind.replace('_', '-')}": self.kind != "gradient",
            "--zero": self.zero,
            "--seed": self.seed,
            "--sum": self.sum,
        }
        return tuple(flag for flag, value in given.items() if value)


@dataclass(frozen=True)
class Row:
    """One option. Without a metavar it is a switch, which sets `dest` to `const`."""

    flags: tuple[str, ...]
    dest: str
    metavar: str
    help: str
    const: object = True
    choices: tuple[str, ...] = ()
    names: bool = False  # does Tab offer the user's names for the value?


def _choice(flag: str, choices: tuple[str, ...], what: str) -> Row:
    return Row((flag,), flag[2:], "|".join(choices), what, choices=choices)


TABLE: tuple[Row, ...] = (
    Row(("--of",), "of", "EXPR", "what to differentiate (repeatable, or a comma list)", names=True),
    Row(("-n", "--order"), "order", "N", "order of the derivative"),
    Row(("--hessian",), "kind", "", "the Hessian instead of the gradient", "hessian"),
    Row(("-J", "--jacobian"), "kind", "", "the Jacobian instead of the gradient", "jacobian"),
    Row(("--batch-jacobian",), "kind", "", "one Jacobian per row of the batch", "batch_jacobian"),
    Row(("-p", "--persistent"), "persistent", "", "keep the tape, as `tape`, for %grad to ask"),
    Row(("--tape",), "tape", "NAME", "the tape under that name, in the cell and after it"),
    Row(("--only",), "only", "", "watch WRT alone (watch_accessed_variables=False)"),
    Row(("--zero",), "zero", "", "0 instead of None (unconnected_gradients='zero')"),
    Row(("--seed",), "seed", "EXPR", "the incoming gradient (output_gradients)", names=True),
    Row(("--sum",), "sum", "", "several targets: the derivative of their sum"),
    Row(
        ("--at",), "at", "X=VALUE", "evaluate with that value of a source (repeatable)", names=True
    ),
    Row(("--explore",), "explore", "[X=RANGE …]", "sliders, ranges as in x=(-3,3,.1)", names=True),
    _choice("--steps", ("result", "chain", "full"), "how much of the derivation (chain)"),
    _choice("--notation", ("auto", "matrix", "index", "components"), "how tensors are written"),
    _choice("--layout", ("denominator", "numerator"), "layout of matrix derivatives"),
    Row(("-o", "--out"), "out", "NAME", "also bind the result object to NAME"),
    Row(("-q", "--quiet"), "quiet", "", "run and bind, show nothing"),
)
FLAGS: dict[str, Row] = {flag: row for row in TABLE for flag in row.flags}
_OPEN, _CLOSE = "([{", ")]}"


def words(line: str) -> list[str]:
    """Split at blanks that stand outside brackets and quotes; commas and `=` bind words."""
    found: list[str] = []
    for word in split(line, None):
        joins = found and (word[0] in ",=" or found[-1][-1] in ",=")
        if joins and not _is_option(word) and found[-1] not in FLAGS:
            found[-1] += word
        else:
            found.append(word)
    return found


def split(text: str, separator: str | None) -> list[str]:
    """The non-empty parts of `text` between separators (None: blanks) at bracket depth 0."""
    parts, start = [], 0
    for index in (*_top_level(text, separator), len(text)):
        parts.append(text[start:index].strip())
        start = index + 1
    return [part for part in parts if part]


def _top_level(text: str, separator: str | None) -> Iterator[int]:
    stack, quote, escaped = [], "", False
    for index, char in enumerate(text):
        if quote:
            quote = "" if char == quote and not escaped else quote
            escaped = char == "\\" and not escaped
        elif char in "'\"":
            quote = char
        elif char in _OPEN:
            stack.append(char)
        elif char in _CLOSE:
            if not stack or _OPEN.index(stack.pop()) != _CLOSE.index(char):
                raise OptionError(f"{char} without its opening bracket in `{text.strip()}`")
        elif not stack and (char.isspace() if separator is None else char == separator):
            yield index
    if quote or stack:
        raise OptionError(f"{quote or stack[-1]} is never closed in `{text.strip()}`")


def parse(line: str) -> Options:
    """Read a magic line; raise `OptionError` with one line that names the nearest valid thing."""
    given: dict[str, object] = {}
    wrt: list[str] = []
    queue = words(line)
    while queue:
        word = queue.pop(0)
        if not _is_option(word) and "explore" in given and "=" in word:
            given["explore"] += _ranges([word])  # type: ignore[operator]
            continue
        if not _is_option(word):
            wrt += [_expression(_unquoted(part), "WRT") for part in split(_unquoted(word), ",")]
            continue
        row, flag, value = _option(word, queue)
        if row.dest == "explore":
            queue[:0] = [] if value is None else [value]
            given["explore"] = _ranges(queue)
        elif row.metavar:
            _set(given, row, flag, _value(row, flag, value, queue))
        else:
            _switch(given, row, flag, value)
    return _checked(given, tuple(dict.fromkeys(wrt)))


def _is_option(word: str) -> bool:
    return len(word) > 1 and word[0] == "-" and (word[1].isalpha() or word[1] == "-")


def _option(word: str, queue: list[str]) -> tuple[Row, str, str | None]:
    """The row of an option word, the flag as written, and the value that stands in the word."""
    flag, equals, value = word.partition("=")
    if flag in FLAGS:
        return FLAGS[flag], flag, value if equals else None
    short = word[:2]
    if word[1] == "-" or short not in FLAGS or f"-{flag}" in FLAGS:
        raise OptionError(f"unknown option {flag}: {_nearest(flag)}")
    if FLAGS[short].metavar:
        return FLAGS[short], short, word[2:].removeprefix("=")
    queue.insert(0, f"-{word[2:]}")  # -pJ: the rest of the cluster is read next
    return FLAGS[short], short, None


def _nearest(flag: str) -> str:
    known = f"-{flag}" if f"-{flag}" in FLAGS else None
    close = [known] if known else difflib.get_close_matches(flag, FLAGS, 1, 0.6)
    return f"did you mean {close[0]}?" if close else "%%grad? shows them all"


def _value(row: Row, flag: str, value: str | None, queue: list[str]) -> str:
    if value is None and queue and not _is_option(queue[0]):
        value = queue.pop(0)
    if not value or not _unquoted(value):
        raise OptionError(f"{flag} needs a value: {flag} {row.metavar}")
    return _unquoted(value)


def _switch(given: dict[str, object], row: Row, flag: str, value: str | None) -> None:
    if value is not None:
        raise OptionError(f"{flag} takes no value: leave out ={value}")
    if given.get(row.dest, row.const) != row.const:
        other = str(given[row.dest]).replace("_", "-")
        raise OptionError(f"{flag} contradicts --{other}: choose one of them")
    given[row.dest] = row.const


def _set(given: dict[str, object], row: Row, flag: str, value: str) -> None:
    if row.dest == "of":
        parts = tuple(_expression(_unquoted(part), flag) for part in split(value, ","))
        given["of"] = (*given.get("of", ()), *parts)  # type: ignore[misc]
        return
    if row.dest == "at":
        pairs = dict(_pair(part, flag) for part in split(value, ","))
        for name in pairs:
            if not name.isidentifier():
                raise OptionError(f"{flag} {name}={pairs[name]}: a name is needed before the =")
        given["at"] = {**given.get("at", {}), **pairs}  # type: ignore[dict-item]
        return
    read: object = value
    if row.dest == "order":
        read = _order(flag, value)
    elif row.dest == "seed":
        read = _expression(value, flag)
    elif row.choices and value not in row.choices:
        close = difflib.get_close_matches(value, row.choices, 1, 0.5)
        hint = f"did you mean {close[0]}?" if close else f"one of {', '.join(row.choices)}"
        raise OptionError(f"{flag} {value}: {hint}")
    elif not row.choices and (not value.isidentifier() or keyword.iskeyword(value)):
        raise OptionError(f"{flag} {value}: a Python name is needed here")
    if given.get(row.dest, read) != read:
        raise OptionError(f"{flag} is given twice, as {given[row.dest]} and as {read}")
    given[row.dest] = read


def _order(flag: str, value: str) -> int:
    if not (value.isascii() and value.isdigit()) or int(value) < 1:
        raise OptionError(f"{flag} {value}: the order is a whole number, 1 or more")
    return int(value)


def _pair(text: str, flag: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (equals and name.strip() and value.strip()) or value.startswith("="):
        raise OptionError(f"{flag} {text}: write it as {flag} x=2.0")
    return _expression(name.strip(), flag), _expression(_unquoted(value.strip()), flag)


def _ranges(queue: list[str]) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    while queue and not _is_option(queue[0]) and "=" in queue[0]:
        word = _unquoted(queue.pop(0))
        found += [_pair(part, "--explore") for part in split(word, ",")]
    return tuple(found)


def _unquoted(text: str) -> str:
    whole = len(text) > 1 and text[0] in "'\"" and text.find(text[0], 1) == len(text) - 1
    return text[1:-1].strip() if whole else text


def _expression(text: str, where: str) -> str:
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError):
        raise OptionError(_no_expression(text, where)) from None
    if where == "WRT" and isinstance(tree.body, ast.Constant):
        order = f"; for order {text} write -n {text}" if text.isdigit() else ""
        raise OptionError(f"{text} is a constant, nothing to differentiate by{order}")
    return text


def _no_expression(text: str, where: str) -> str:
    name, equals, value = text.partition("=")
    if keyword.iskeyword(text):
        return f"{text} is a Python keyword, no expression ({where})"
    if equals and name.strip().isidentifier() and where == "WRT":
        return f"{text} is an assignment: to evaluate there write --at {name}={value}"
    if not any(char.isalnum() for char in text):
        return f'{text} alone is no expression: quote one with blanks, as in --of "a + b"'
    return f"{text} is no Python expression ({where})"


def _checked(given: dict[str, object], wrt: tuple[str, ...]) -> Options:
    if given.get("kind") == "hessian" and given.setdefault("order", 2) != 2:
        raise OptionError(f"--hessian is of order 2: it contradicts --order {given['order']}")
    if given.get("only") and not wrt:
        raise OptionError("--only watches WRT alone: name what to differentiate by, as in %%grad x")
    return Options(wrt=wrt, **given)  # type: ignore[arg-type]


EXAMPLES = """\
    %%grad x                          dz/dx of the cell's last value, with its derivation
    %%grad x y --of z                 the partial derivatives of z
    %%grad x --of loss -n 2           first and second derivative
    %%grad model --of loss            every trainable variable of a model or layer
    %%grad ws[0] params['w']          members of a list or dict
    %%grad x --of "a + b"             an expression with blanks stands in quotes
    %%grad x --at x=2.0               evaluated elsewhere
    %%grad x --explore x=(-3,3,.1)    with a slider
    %%grad                            explain the tapes that the cell itself uses
    %grad y --of z                    ask the last persistent tape (%%grad -p) again"""


def usage() -> str:
    """What `%%grad?` shows."""
    lines = []
    for row in TABLE:
        lines.append(("  " + ", ".join(row.flags) + f" {row.metavar}").rstrip())
        lines.append(f"        {row.help}")
    head = "Differentiate what the cell computes and show the derivation.\n\n"
    head += "  %%grad [WRT …] [options]    on top of a cell, which runs once, as if without it\n"
    head += "  %grad  [WRT …] [options]    another derivative from the last persistent tape\n\n"
    head += (
        "WRT: names or expressions (tensors, variables, lists or dicts of them, layers, models);\n"
    )
    head += "without WRT every trainable variable that the cell reads.\n\nOptions:\n"
    return head + "\n".join(lines) + "\n\nExamples:\n" + EXAMPLES + "\n"
