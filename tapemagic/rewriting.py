"""Rewriting the user's own lines: code in place of code, with its layout kept."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tapemagic import codes

Edit = tuple[ast.stmt | ast.expr, str]  # what is replaced, and by what
Change = Callable[[ast.AST], "str | None"]  # an expression's new text; None: look inside it


@dataclass(frozen=True)
class Fix:
    """`code` in place of the lines `first` to `last` (1-based, both included)."""

    code: str
    first: int
    last: int


_DECORATED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class Source:
    """A file or cell as lines, for rewriting."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines = [line.rstrip("\n") for line in codes.lines(file)]

    def statement(self, number: int) -> ast.stmt | None:
        """The innermost statement at a line; a header only, for what has a body."""
        return codes.statement_at(self.file, number)

    def span(self, node: ast.stmt) -> tuple[int, int]:
        """First and last line; of a compound statement, those of its header."""
        body = getattr(node, "body", None)
        last = node.end_lineno or node.lineno
        if isinstance(body, list) and body:
            last = max(node.lineno, body[0].lineno - 1)
        return node.lineno, last

    def text(self, node: ast.AST) -> str:
        """The code of an expression."""
        return ast.get_source_segment("\n".join(self.lines), node) or ast.unparse(node)

    def indentation(self, number: int) -> str:
        line = self.lines[number - 1]
        return line[: len(line) - len(line.lstrip())]

    def rewritten(self, number: int, change: Change) -> Fix | None:
        """The statement at a line with expressions replaced: `change` gives an expression's new
        text, or None to look inside it."""
        node = self.statement(number)
        if node is None:
            return None
        beside = self.beside(node)
        spans = [self.span(n) for n in beside]
        edits = [e for n, (_, end) in zip(beside, spans) for e in self._edits(n, change, end)]
        if not edits:
            return None
        first, last = min(first for first, _ in spans), max(last for _, last in spans)
        return self._edited(first, last, edits)

    def beside(self, node: ast.stmt) -> list[ast.stmt]:
        """The statements on the same lines: a; b."""
        first, last = node.lineno, node.end_lineno or node.lineno
        suite = codes.suite_of(self.file, node)
        return [n for n in suite if n.lineno <= last and (n.end_lineno or 0) >= first] or [node]

    def binding(self, number: int, name: str) -> ast.stmt | None:
        """Of the statements at a line that which binds a name; the first one if none does."""
        node = self.statement(number)
        for one in self.beside(node) if node is not None else []:
            targets = one.targets if isinstance(one, ast.Assign) else [getattr(one, "target", None)]
            if any(target is not None and self.text(target) == name for target in targets):
                return one
        return node

    def _edits(self, node: ast.AST, change: Change, last: int) -> Sequence[tuple[ast.expr, str]]:
        found: list[tuple[ast.expr, str]] = []
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt) or getattr(child, "lineno", 0) > last:
                continue
            new = change(child) if isinstance(child, ast.expr) else None
            if new is not None and isinstance(child, ast.expr):
                found.append((child, new))
            else:
                found += self._edits(child, change, last)
        return found

    def _edited(
        self, first: int, last: int, edits: Sequence[tuple[ast.stmt | ast.expr, str]]
    ) -> Fix:
        text = [line.encode() for line in self.lines[first - 1 : last]]
        for node, new in sorted(edits, key=lambda e: (e[0].lineno, e[0].col_offset), reverse=True):
            top, bottom = node.lineno - first, (node.end_lineno or node.lineno) - first
            head = text[top][: node.col_offset]
            tail = text[bottom][node.end_col_offset or 0 :]
            text[top : bottom + 1] = [head + new.encode() + tail]
        return Fix(b"\n".join(text).decode(), first, last)

    def still_parses(self, fix: Fix) -> bool:
        """Whether the file is Python with the fix in it, and not what it was before."""
        lines = [*self.lines[: fix.first - 1], *fix.code.split("\n"), *self.lines[fix.last :]]
        try:
            ast.parse("\n".join(lines))
        except SyntaxError:
            return False
        return lines != self.lines

    def exchanged(self, node: ast.expr, new: str) -> Fix | None:
        """One expression, by another text."""
        return self.rewritten(node.lineno, lambda other: new if other is node else None)

    def replaced(self, number: int, code: str, node: ast.stmt | None = None) -> Fix | None:
        """The statement at a line (the first, or this one) by other code in its indentation."""
        node = node or self.statement(number)
        if node is None:
            return None
        first, last = self.span(node)
        begins = self.lines[first - 1].encode()[: node.col_offset].isspace() or not node.col_offset
        if len(self.beside(node)) > 1 or not (begins or isinstance(node, _DECORATED)):
            return None if "\n" in code else self._edited(first, last, [(node, code)])
        indent = self.indentation(first)
        return Fix("\n".join(indent + line for line in code.split("\n")), first, last)

    def within(self, node: ast.expr, change: Change) -> str:
        """An expression's text with parts of it replaced."""
        new = change(node)
        if new is not None:
            return new
        text = self.text(node).encode()
        if "\n" in text.decode():
            return ast.unparse(node)
        edits = self._edits(node, change, node.end_lineno or node.lineno)
        for part, replacement in sorted(edits, key=lambda e: e[0].col_offset, reverse=True):
            start = part.col_offset - node.col_offset
            end = (part.end_col_offset or 0) - node.col_offset
            text = text[:start] + replacement.encode() + text[end:]
        return text.decode()


def function_name(node: ast.AST) -> str:
    function = node.func if isinstance(node, ast.Call) else None
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


_OPERANDS = (ast.Name, ast.Attribute, ast.Subscript, ast.Call, ast.Constant, ast.List)


def held(text: str) -> str:
    """An expression's text as an operand: in parentheses, unless it holds together by itself."""
    node = codes.expression(text)
    plain = isinstance(node, _OPERANDS)
    enclosed = node is not None and node.col_offset > 0
    return text if plain or enclosed else f"({text})"


def combined(source: Source, fixes: Iterable[Fix | None]) -> Fix | None:
    """Several fixes as one, with the lines between them as they are."""
    some = sorted({fix for fix in fixes if fix is not None}, key=lambda fix: fix.first)
    if not some:
        return None
    code, at = [], some[0].first
    for fix in some:
        if fix.first < at:  # two fixes of the same lines: the first one counts
            continue
        code += [*source.lines[at - 1 : fix.first - 1], fix.code]
        at = fix.last + 1
    return Fix("\n".join(code), some[0].first, at - 1)


def everywhere(source: Source, first: int, last: int, change: Change) -> Fix | None:
    """All statements from one line to another, rewritten; also one that the lines are a part of."""
    module = codes.tree(source.file)
    if module is None:
        return None
    starts = {
        node.lineno
        for node in ast.walk(module)
        if isinstance(node, ast.stmt) and node.lineno <= last and source.span(node)[1] >= first
    }
    return combined(source, (source.rewritten(number, change) for number in sorted(starts)))
