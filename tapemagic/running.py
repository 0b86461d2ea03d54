"""Run the body of a `%%grad` cell exactly once, as IPython would run it without the magic."""

from __future__ import annotations

import ast
import asyncio
import inspect
import io
import sys
import tokenize
from collections.abc import Callable, Coroutine, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType
from typing import Any, Protocol, TypeAlias

from IPython.display import display

from .options import GradError

Shell: TypeAlias = Any  # an IPython `InteractiveShell`, which is only half typed


class Observer(Protocol):
    """Who is told of the names: a `Session`."""

    @property
    def wants_reads(self) -> bool: ...

    def bound(
        self, name: str, value: object, code: CodeType | None = None, offset: int = 0
    ) -> object: ...

    def read(self, name: str) -> None: ...


@dataclass(frozen=True)
class LastExpression:
    """The cell's last expression statement, once it has been evaluated."""

    source: str  # as the user wrote it
    value: object
    silenced: bool  # by a trailing semicolon


@dataclass(frozen=True)
class Cell:
    """A cell ready to run; its line numbers are those of the visible cell."""

    text: str  # the visible cell, the %%grad line included
    filename: str
    tree: ast.Module
    source: str  # of the last expression, "" where there is none
    silenced: bool


def prepare(shell: Shell, line: str, body: str) -> Cell:
    """Transform and parse the body; its lines are registered for tracebacks and `inspect`."""
    text, first = _visible(shell, line, body)
    python = shell.transform_cell(body)
    # IPython drops the blank lines on top; they must count all the same.
    blank = len(body.splitlines()) - len(body.lstrip().splitlines()) if body.strip() else 0
    # As comments: what reads the source (inspect, stack_data, executing) must find Python.
    above = [f"# {row}" if row.strip() else "" for row in text.splitlines()[: first + blank]]
    registered = "\n".join([*above, python])
    filename = shell.compile.cache(registered, _execution_count(shell), raw_code=text)
    tree = shell.compile.ast_parse("\n" * len(above) + python, filename=filename)
    if not tree.body:
        raise GradError("the cell under %%grad is empty: put the computation below that line")
    source = _last_source(tree, registered, text)
    return Cell(text, filename, shell.transform_ast(tree), source, _silenced(python))


def run(shell: Shell, cell: Cell, session: Observer) -> LastExpression | None:
    """Run the body; the session hears of every top-level binding."""
    # Identities, not values: what the cell drops must be free to go.
    known = {name: id(value) for name, value in shell.user_ns.items()}
    scopes = any(isinstance(n, ast.Name) and n.id in _SCOPES for n in ast.walk(cell.tree))
    names = observed(shell.user_ns, session, cell.filename, known, scopes)
    value = _run_nodes(shell, cell, names)
    # What functions (`global x`), other magics and `globals()` have bound.
    for name, new in list(shell.user_ns.items()):
        if not name.startswith("_") and known.get(name) != id(new):
            shell.user_ns[name] = session.bound(name, new)
    if value is _NOTHING:
        return None
    source = cell.source or _assigned(cell.tree.body[-1]) or ""
    return LastExpression(source, value, cell.silenced)


def show(value: object) -> None:
    """Display a value as the cell would have, but not as `Out[n]`: that is the derivation."""
    if value is not None:
        display(value)  # type: ignore[no-untyped-call]


# -- the visible cell --


def _visible(shell: Shell, line: str, body: str) -> tuple[str, int]:
    """The cell as the user sees it, and how many of its lines precede the body."""
    raw = str(getattr(getattr(_running(shell), "info", None), "raw_cell", ""))
    seen = [text.strip() for text in raw.splitlines()]
    below = [text.strip() for text in body.splitlines()]
    first = len(seen) - len(below)
    if first > 0 and below and seen[first:] == below:
        return raw, first
    return f"%%grad {line}".rstrip() + f"\n{body}", 1  # called by hand, not on top of a cell


def _running(shell: Shell) -> Any:
    return getattr(shell.displayhook, "exec_result", None)


def _execution_count(shell: Shell) -> int:
    # IPython 9 counts on before it runs the cell: the running cell's own number comes first.
    return int(getattr(_running(shell), "execution_count", None) or shell.execution_count)


def _last_source(tree: ast.Module, registered: str, text: str) -> str:
    last = tree.body[-1]
    if not isinstance(last, ast.Expr):
        return ""
    source = ast.get_source_segment(registered, last.value) or ast.unparse(last.value)
    # A magic or a shell command was transformed: give the user's own line instead.
    if "get_ipython()" in source and len(registered.splitlines()) == len(text.splitlines()):
        return "\n".join(text.splitlines()[last.lineno - 1 : last.end_lineno]).strip(" \t;")
    return source


def _silenced(source: str) -> bool:
    """Is the last token a semicolon, comments aside?"""
    skip = (tokenize.ENDMARKER, tokenize.NL, tokenize.NEWLINE, tokenize.COMMENT, tokenize.DEDENT)
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        return False
    kept = [token.string for token in tokens if token.type not in skip]
    return bool(kept) and kept[-1] == ";"


# -- the user's namespace, as the body's locals --


_SCOPES = ("locals", "vars")


def observed(
    namespace: dict[str, Any],
    session: Observer,
    filename: str,
    known: dict[str, int],
    scopes: bool = False,
) -> MutableMapping[str, Any]:
    """Write through to the namespace and tell the session.

    `known` keeps what it was told of; `scopes`: the body asks for `locals()` or `vars()`.

    A class of its own for each cell: closures, and C methods where possible, are the fastest.
    """
    bound, frame_above = session.bound, sys._getframe

    class Names(MutableMapping[str, Any]):
        # The dict's own method has no Python frame: every look-up of a builtin fails here first.
        __getitem__ = namespace.__getitem__
        __delitem__ = namespace.__delitem__
        __contains__ = namespace.__contains__

        def __setitem__(self, name: str, value: Any) -> None:
            frame = frame_above(1)
            value = bound(name, value, frame.f_code, frame.f_lasti)
            namespace[name] = value
            known[name] = id(value)

        def __iter__(self) -> Iterator[str]:
            return iter(namespace)

        def __len__(self) -> int:
            return len(namespace)

        def __repr__(self) -> str:
            return repr(namespace)

    if session.wants_reads or scopes:
        read = session.read if session.wants_reads else None
        setattr(Names, "__getitem__", _reading(namespace, read))  # noqa: B010
    return Names()


def _reading(
    namespace: dict[str, Any], read: Callable[[str], None] | None
) -> Callable[[Any, str], Any]:
    # At top level both are the namespace itself, a real dict.
    scopes: dict[str, Callable[..., Any]] = {
        "locals": lambda: namespace,
        "vars": lambda *of: vars(*of) if of else namespace,
    }

    def __getitem__(self: Any, name: str) -> Any:
        if name in scopes and name not in namespace:
            return scopes[name]
        value = namespace[name]  # a builtin fails here: it is no name of the user's
        if read is not None:
            read(name)
        return value

    return __getitem__


# -- running, statement by statement as IPython does --

_NOTHING = object()


def _run_nodes(shell: Shell, cell: Cell, names: Any) -> object:
    """The last expression's value, or `_NOTHING`.

    Each statement is compiled just before it runs: a `return` at top level then fails where it
    does in a plain cell, after the statements above it.
    """
    last: list[object] = []
    plan = _plan(cell.tree, shell.ast_node_interactivity)
    for index, (node, interactive) in enumerate(plan):
        if interactive:
            is_last = index == len(plan) - 1 and isinstance(node, ast.Expr)
            code = _compiled(shell, ast.Interactive([node]), cell.filename, "single")
            with _displayhook(last.append if is_last else _show_unless(cell.silenced)):
                _execute(shell, code, names)
        else:
            code = _compiled(shell, ast.Module([node], []), cell.filename, "exec")
            _execute(shell, code, names)
    return last[-1] if last else _NOTHING


def _plan(tree: ast.Module, interactivity: str) -> list[tuple[ast.stmt, bool]]:
    nodes = list(tree.body)
    if interactivity == "last_expr_or_assign":
        name = _assigned(nodes[-1])
        if name:
            shown = ast.copy_location(ast.Expr(ast.Name(name, ast.Load())), nodes[-1])
            nodes.append(ast.fix_missing_locations(shown))
        interactivity = "last_expr"
    if interactivity == "last_expr":
        interactivity = "last" if isinstance(nodes[-1], ast.Expr) else "none"
    first = {"all": 0, "last": len(nodes) - 1}.get(interactivity, len(nodes))
    return [(node, index >= first) for index, node in enumerate(nodes)]


def _assigned(node: ast.stmt) -> str | None:
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)) and len(targets) == 1:
        return targets[0].id if isinstance(targets[0], ast.Name) else None
    return None


def _compiled(shell: Shell, tree: ast.AST, filename: str, mode: str) -> CodeType:
    with shell.compile.extra_flags(ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if shell.autoawait else 0):
        code: CodeType = shell.compile(tree, filename, mode)
    rename = getattr(shell, "_update_code_co_name", None)  # IPython 7.3x: <cell line: n>
    return rename(code) if rename else code


def _execute(shell: Shell, code: CodeType, names: Any) -> None:
    __tracebackhide__ = "__ipython_bottom__"  # debuggers hide what lies above
    if inspect.CO_COROUTINE & code.co_flags:
        _drive(eval(code, shell.user_global_ns, names))  # noqa: S307
    else:
        exec(code, shell.user_global_ns, names)  # noqa: S102


def _drive(coroutine: Coroutine[Any, Any, object]) -> None:
    """Top-level `await`. In a kernel a loop is running already, and another thread would lose
    TensorFlow's tape: a second loop takes this thread for as long as the statement runs."""
    outer = asyncio._get_running_loop()
    loop = asyncio.new_event_loop()
    asyncio._set_running_loop(None)
    try:
        loop.run_until_complete(coroutine)
    finally:
        loop.close()
        asyncio._set_running_loop(outer)


@contextmanager
def _displayhook(hook: Callable[[object], None]) -> Iterator[None]:
    before, sys.displayhook = sys.displayhook, hook
    try:
        yield
    finally:
        sys.displayhook = before


def _show_unless(silenced: bool) -> Callable[[object], None]:
    return (lambda value: None) if silenced else show
