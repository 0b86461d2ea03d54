"""What the user's code says at an instruction: the call in its own words, the name that a value
gets, the statement around a line."""

from __future__ import annotations

import ast
import bisect
import dis
import linecache
from collections.abc import Callable, Collection, Iterator
from functools import lru_cache, wraps
from types import CodeType
from typing import TypeVar

_STORES = ("STORE_FAST", "STORE_NAME", "STORE_GLOBAL", "STORE_DEREF")
_PASSED = {"CACHE", "EXTENDED_ARG", "NOP", "COPY", "DUP_TOP", "TO_BOOL"}  # between value and store
_MOST = 4096  # answers that are remembered of one function

T = TypeVar("T")


def remembered(function: Callable[..., T]) -> Callable[..., T]:
    """Like `lru_cache`, but by which code it is: codes that compare equal may come from other
    files, and in Python 3.10 stand on other lines."""
    kept: dict[tuple[object, ...], tuple[CodeType, T]] = {}

    @wraps(function)
    def answer(code: CodeType, *args: object) -> T:
        key = id(code), *args
        found = kept.get(key)
        if found is None:
            if len(kept) >= _MOST:
                kept.clear()
            found = kept[key] = code, function(code, *args)  # held, so that its id stays its own
        return found[1]

    return answer


@remembered
def stored_name(code: CodeType, offset: int) -> str | None:
    """The name that the value of the instruction at `offset` is stored under right away."""
    place = _instructions(code)
    at = _index(code, offset)
    after = [one for one in place[at + 1 : at + 12] if one.opname not in _PASSED][:2]
    if after and after[0].opname.startswith(_STORES):
        name = after[0].argval
        return str(name[0] if isinstance(name, tuple) else name)
    if len(after) == 2 and after[0].opname.startswith("LOAD_") and after[1].opname == "STORE_ATTR":
        return f"{after[0].argval}.{after[1].argval}"
    return None


@remembered
def is_operator(code: CodeType, offset: int) -> bool:
    """Whether the instruction there is an operator (+, @ …), which runs one op each time."""
    name = _instructions(code)[_index(code, offset)].opname
    return name.startswith(("BINARY_", "UNARY_", "INPLACE_"))


def _index(code: CodeType, offset: int) -> int:
    """The instruction at an offset, or whose inline cache the offset lies in: a call of a Python
    function leaves it there."""
    offsets = [one.offset for one in _instructions(code)]
    return max(bisect.bisect_right(offsets, offset) - 1, 0)


@remembered
def _instructions(code: CodeType) -> tuple[dis.Instruction, ...]:
    return tuple(dis.get_instructions(code))


def call_at(code: CodeType, offset: int, method: str) -> ast.Call | None:
    """The call of `.method(…)` that the instruction at `offset` makes, as syntax."""
    where = _position(code, offset)
    calls = [
        node
        for node in ast.walk(tree(code.co_filename) or ast.Module([], []))
        if isinstance(node, ast.Call)
    ]
    if where is not None:
        for node in calls:
            if where == (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset):
                return node
    number = line_number(code, offset)
    near = [
        node
        for node in calls
        if isinstance(node.func, ast.Attribute)
        and node.func.attr == method
        and node.lineno <= number <= (node.end_lineno or node.lineno)
    ]
    return near[0] if len({ast.dump(node) for node in near}) == 1 else None


def _position(code: CodeType, offset: int) -> tuple[int | None, ...] | None:
    if not hasattr(code, "co_positions"):  # Python 3.10
        return None
    found = list(code.co_positions())
    where = found[offset // 2] if offset // 2 < len(found) else (None,)
    return None if None in where else tuple(where)


def line_number(code: CodeType, offset: int) -> int:
    """The 1-based line of the instruction at `offset`."""
    number = code.co_firstlineno
    for first, last, line in code.co_lines():
        if first <= offset < last and line is not None:
            number = line
    return number


def written(node: ast.AST, file: str) -> str:
    """The expression as the user wrote it, on one line."""
    text = "".join(linecache.getlines(file))
    found = ast.get_source_segment(text, node) or ast.unparse(node)
    return " ".join(found.split())


def tree(file: str) -> ast.Module | None:
    """The syntax of a file or a cell; None where there is no source."""
    return _parsed("".join(linecache.getlines(file)))


@lru_cache(maxsize=64)
def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text) if text else None
    except SyntaxError:
        return None


def expression(text: str) -> ast.expr | None:
    """An expression's syntax; None for what is none."""
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        return None


def statement_at(file: str, number: int) -> ast.stmt | None:
    """The innermost statement that the line belongs to."""
    module = tree(file)
    return None if module is None else next(iter(_around(module, number)), None)


def _around(node: ast.AST, number: int) -> Iterator[ast.stmt]:
    """The statements that hold the line, the innermost first."""
    for child in ast.iter_child_nodes(node):
        first, last = getattr(child, "lineno", 0), getattr(child, "end_lineno", 0) or 0
        if first <= number <= last or not first:
            yield from _around(child, number)
    if isinstance(node, ast.stmt) and node.lineno <= number <= (node.end_lineno or 0):
        yield node


def enclosing(file: str, number: int) -> list[ast.stmt]:
    """The statements around a line, the innermost first."""
    module = tree(file)
    return [] if module is None else list(_around(module, number))


def suite_of(file: str, node: ast.stmt) -> list[ast.stmt]:
    """The statements that a statement stands among."""
    for parent in ast.walk(tree(file) or ast.Module([], [])):
        for name in ("body", "orelse", "finalbody"):
            suite = getattr(parent, name, None)
            if isinstance(suite, list) and node in suite:
                return suite
    return []


def suite_lines(file: str, number: int) -> list[int]:
    """The lines on which the statements beside that of a line begin, its own among them."""
    node = statement_at(file, number)
    return [] if node is None else sorted({n.lineno for n in suite_of(file, node)})


def assigned_name(file: str, number: int) -> str:
    """The one name that the statement at a line binds; "" for any other."""
    node = statement_at(file, number)
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    target = targets[0] if len(targets) == 1 else None
    return target.id if isinstance(target, ast.Name) else ""


def line_text(file: str, number: int) -> str:
    """The text of a line, without indentation."""
    return linecache.getline(file, number).strip()


def lines(file: str) -> list[str]:
    """All lines of a file or a cell, with their ends."""
    return linecache.getlines(file)


def statements_below(file: str, number: int) -> list[int]:
    """The lines below a line on which statements begin."""
    nodes = ast.walk(tree(file) or ast.Module([], []))
    return sorted({n.lineno for n in nodes if isinstance(n, ast.stmt) and n.lineno > number})


def looped(file: str) -> set[str]:
    """The names that loops and comprehensions of a file bind, to one thing after another."""
    loops = (ast.For, ast.AsyncFor, ast.comprehension)
    return {
        part.id
        for node in ast.walk(tree(file) or ast.Module([], []))
        if isinstance(node, loops)
        for part in ast.walk(node.target)
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
    }


def last_assignment(file: str, name: str, before: int) -> ast.Assign | None:
    """The last `name = …` above a line."""
    found = [
        node
        for node in ast.walk(tree(file) or ast.Module([], []))
        if isinstance(node, ast.Assign)
        and node.lineno < before
        and any(isinstance(t, ast.Name) and t.id == name for t in node.targets)
    ]
    return max(found, key=lambda node: node.lineno, default=None)


def function_span(file: str, name: str) -> tuple[int, int] | None:
    """First and last line of the function `name` in a file."""
    node = function(file, name)
    return None if node is None else (node.lineno, node.end_lineno or node.lineno)


def function(file: str, name: str) -> ast.FunctionDef | None:
    """The function `name` of a file."""
    nodes = ast.walk(tree(file) or ast.Module([], []))
    return next((n for n in nodes if isinstance(n, ast.FunctionDef) and n.name == name), None)


def functions_around(file: str, numbers: list[int]) -> set[str]:
    """The innermost functions that the lines stand in ("" at top level)."""
    found = set()
    for number in numbers:
        inside = [n for n in enclosing(file, number) if isinstance(n, ast.FunctionDef)]
        found.add(f"{inside[0].name}:{inside[0].lineno}" if inside else "")
    return found


def is_inside(file: str, number: int, block: int) -> bool:
    """Whether a line belongs to the body of the compound statement that begins at `block`."""
    return any(node.lineno == block != number for node in enclosing(file, number))


def function_end(file: str, number: int) -> int:
    """The last line of the innermost function around a line; the line itself at top level."""
    around = function_around(file, number)
    return around[1] if around is not None else number


def function_around(file: str, number: int) -> tuple[int, int] | None:
    """First and last line of the innermost function around a line."""
    inside = [n for n in enclosing(file, number) if isinstance(n, ast.FunctionDef)]
    return (inside[0].lineno, inside[0].end_lineno or number) if inside else None


def function_name(file: str, number: int) -> str:
    """The innermost function around a line, with its class; "" at top level."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    return ".".join([n.name for n in enclosing(file, number) if isinstance(n, kinds)][::-1])


def true_name(file: str, name: str) -> str:
    """What a name was called where it was imported from: `from math import exp as e`."""
    for node in ast.walk(tree(file) or ast.Module([], [])):
        for alias in node.names if isinstance(node, ast.ImportFrom) else ():
            if alias.asname == name:
                return alias.name
    return name


def imported(file: str, modules: Collection[str]) -> set[str]:
    """The names that a file imports from these modules: `from numpy import tanh`."""
    return {
        alias.asname or alias.name
        for node in ast.walk(tree(file) or ast.Module([], []))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in modules
        for alias in node.names
    }
