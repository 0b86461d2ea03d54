"""Whether a cell is about to ask a tape of its own, or to train by a library.

Our tape would only be in the way then: it makes compiled functions build their derivatives,
which some (with a data set's iterator inside) cannot. Read from the code that the cell calls.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Iterator, Mapping
from typing import Any

from tapemagic.recording import is_user_code

_ASKS = {"gradient", "jacobian", "batch_jacobian", "fit", "train_on_batch", "train_step"}
_DEPTH = 5  # calls into functions that are followed


def asks_a_tape(body: str, namespace: Mapping[str, Any]) -> bool:
    """Whether the cell, or a function of the user's that it calls, asks a tape."""
    try:
        tree = ast.parse(body)
    except SyntaxError:  # magics, shell commands
        return any(f".{name}(" in body for name in _ASKS)
    functions = {
        n.name: n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.ClassDef))
    }
    used: set[str] = set()
    pending: list[ast.AST] = [n for n in tree.body if getattr(n, "name", None) not in functions]
    while pending:
        for name in _names(pending.pop()):
            if name not in used:
                used.add(name)
                if name in functions:
                    pending.append(functions[name])
    if used & _ASKS:
        return True
    seen: set[int] = set()
    return any(_asks(namespace[name], _DEPTH, seen) for name in used if name in namespace)


def _names(node: ast.AST) -> Iterator[str]:
    """What a statement looks up or calls, also by attribute."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            yield part.id
        elif isinstance(part, ast.Attribute) and not _is_numpy(part.value):
            yield part.attr


def _is_numpy(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in ("np", "numpy")


def _asks(value: Any, depth: int, seen: set[int]) -> bool:
    if id(value) in seen or depth == 0:
        return False
    seen.add(id(value))
    value = getattr(value, "python_function", value)  # a tf.function
    if isinstance(value, types.MethodType):
        value = value.__func__
    if isinstance(value, types.FunctionType):
        if not is_user_code(value.__code__):
            return False
        names = set(_in_code(value.__code__))
        if names & _ASKS:
            return True
        inner = [value.__globals__[name] for name in names if name in value.__globals__]
        inner += [cell.cell_contents for cell in value.__closure__ or () if _is_full(cell)]
        return any(_asks(one, depth - 1, seen) for one in inner)
    owner = value if isinstance(value, type) else type(value)
    if owner.__module__ != "__main__":
        return False
    return any(_asks(one, depth - 1, seen) for one in vars(owner).values())


def _in_code(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _in_code(constant)


def _is_full(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - empty until its function has run
    except ValueError:
        return False
    return True
