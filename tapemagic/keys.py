"""How derivatives are called: "d2z/dxdy" as a key, d2z_dxdy as a name."""

from __future__ import annotations

import ast
import keyword
from collections.abc import Sequence
from itertools import groupby


def is_plain_name(text: str) -> bool:
    """Whether the expression is a mere name."""
    return text.isidentifier() and not keyword.iskeyword(text)


def derivative_key(target: str, sources: Sequence[str]) -> str:
    """dz/dx, d2z/dx2, d2z/dxdy, d(a+b)/dx: as written by hand."""
    order = str(len(sources)) if len(sources) > 1 else ""
    below = "".join(
        f"d{_grouped(source)}{count if count > 1 else ''}" for source, count in _powers(sources)
    )
    return f"d{order}{_grouped(target)}/{below}"


def bound_name(target: str, sources: Sequence[str]) -> str | None:
    """dz_dx, d2z_dxdy, if target and sources are plain names; else None."""
    if not all(is_plain_name(text) for text in (target, *sources)):
        return None
    return derivative_key(target, sources).replace("/", "_")


def _powers(sources: Sequence[str]) -> list[tuple[str, int]]:
    return [(source, len(list(group))) for source, group in groupby(sources)]


def _grouped(text: str) -> str:
    """In parentheses, unless it holds together by itself: a name, a call, a subscript."""
    try:
        node = ast.parse(text, mode="eval").body
    except SyntaxError:
        return f"({text})"
    plain = (ast.Name, ast.Attribute, ast.Subscript, ast.Call, ast.Constant)
    return text if isinstance(node, plain) else f"({text})"
