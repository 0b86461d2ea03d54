"""Fixes that move lines: into the tape's block, out of one, from a data set into its loop."""

from __future__ import annotations

import ast
import itertools
import re

from tapemagic import codes
from tapemagic.rewriting import Fix, Source, combined, function_name, held


def moved_into(source: Source, number: int, tape: int) -> Fix | None:
    """The statement at a line moved into the block of the `with` at the line `tape`; a whole loop,
    if the line is in one, or the call of the function that it is in."""
    block = next((n for n in codes.enclosing(source.file, tape) if isinstance(n, ast.With)), None)
    node = _beside(source, number, block) if block is not None else None
    if node is None or block is None:
        return None
    first, last = node.lineno, node.end_lineno or node.lineno
    own = source.indentation(first)
    top, end = block.lineno, block.end_lineno or block.lineno
    body = source.indentation(block.body[0].lineno)
    moved = [body + line.removeprefix(own) for line in source.lines[first - 1 : last]]
    if last < top:  # from above the block to its beginning, below its watches
        made = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and _is_stored(n)}
        watches = itertools.takewhile(lambda n: _is_watch(n) and not _names(n) & made, block.body)
        under = max((n.end_lineno or 0 for n in watches), default=source.span(block)[1])
        between = source.lines[last:under]
        if any(re.search(rf"\b{name}\b", line) for name in made for line in between):
            return None
        return Fix("\n".join([*between, *moved]), first, under)
    if first > end:  # from below the block to its end
        between = source.lines[end : first - 1]
        return Fix("\n".join([*moved, *between]), end + 1, last)
    return None


def _beside(source: Source, number: int, block: ast.stmt) -> ast.stmt | None:
    """The statement beside a block, or beside the loops around it, that a line belongs to, or that
    calls the function around the line."""
    suite: list[ast.stmt] = []
    for around in codes.enclosing(source.file, block.lineno):
        if isinstance(around, (ast.FunctionDef, ast.ClassDef)):
            break
        suite += [node for node in codes.suite_of(source.file, around) if node is not around]
    for node in codes.enclosing(source.file, number):
        if node in suite and not isinstance(node, ast.FunctionDef):
            return node
        if isinstance(node, ast.FunctionDef):
            calls = [s for s in suite if _calls(s, node.name)]
            return calls[0] if len(calls) == 1 else None
    return None


def called_at(source: Source, number: int, tape: int) -> int:
    """The line that has to move for a line to run in a block: itself, or that of the call of the
    function that it is in."""
    block = next((n for n in codes.enclosing(source.file, tape) if isinstance(n, ast.With)), None)
    node = _beside(source, number, block) if block is not None else None
    around = next((n for n in codes.enclosing(source.file, number) if _is_function(n)), None)
    if node is None or not isinstance(around, ast.FunctionDef) or around.lineno <= tape <= number:
        return number
    calls = [n for n in ast.walk(node) if function_name(n) == around.name]
    return calls[0].lineno if calls else number  # type: ignore[attr-defined]


def _is_function(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef)


def _calls(node: ast.stmt, name: str) -> bool:
    plain = not isinstance(node, (ast.FunctionDef, ast.ClassDef))
    return plain and any(function_name(part) == name for part in ast.walk(node))


def _names(node: ast.stmt) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _is_watch(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and function_name(node.value) == "watch"


def _is_stored(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def mapped_later(source: Source, number: int, loop: int) -> Fix | None:
    """`ds.map(f)` as `ds`, and f called first thing in the loop over it."""
    made, around = source.statement(number), source.statement(loop)
    if made is None or not isinstance(around, ast.For):
        return None
    calls = [n for n in ast.walk(made) if function_name(n) == "map" and isinstance(n, ast.Call)]
    if len(calls) != 1 or not calls[0].args or not isinstance(calls[0].func, ast.Attribute):
        return None
    call, owner = calls[0], calls[0].func.value
    function = held(source.text(call.args[0]))
    item = source.text(around.target)
    last = source.span(around)[1]
    body = source.indentation(around.body[0].lineno)
    header = [*source.lines[last - 1 : last], f"{body}{item} = {function}({item})"]
    return combined(
        source,
        [
            source.rewritten(number, lambda n: source.text(owner) if n is call else None),
            Fix("\n".join(header), last, last),
        ],
    )


def without_line(source: Source, number: int) -> Fix | None:
    """A block's header dropped and its body moved out, or a call dropped."""
    node = _block_at(source, number) or source.statement(number)
    if node is None:
        return None
    if not isinstance(node, ast.With):
        calls = [n for n in source.beside(node) if isinstance(n, ast.Expr)]
        return source.replaced(number, "pass", calls[0]) if len(calls) == 1 else None
    if len(node.items) > 1:
        return None
    first, last = node.lineno, node.end_lineno or node.lineno
    outer, start = source.indentation(first), node.body[0]
    lines = source.lines[start.lineno - 1 : last]
    if start.lineno == (node.items[-1].context_expr.end_lineno or first):  # with …: y = x
        rest = lines[0].encode()[start.col_offset :].decode()
        return Fix("\n".join([outer + rest, *lines[1:]]), first, last)
    inner = source.indentation(start.lineno)
    return Fix("\n".join(outer + line.removeprefix(inner) for line in lines), first, last)


def _block_at(source: Source, number: int) -> ast.With | None:
    """The block that stops a tape at a line, its body on the same line or below."""
    every = ast.walk(codes.tree(source.file) or ast.Pass())
    found = (n for n in every if isinstance(n, ast.With) and n.lineno == number)
    return next((n for n in found if "stop_recording" in source.text(n.items[0])), None)
