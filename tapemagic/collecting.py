"""Fixes for arrays of NumPy's that are filled entry by entry: a list that is stacked, an update."""

from __future__ import annotations

import ast

from tapemagic import codes
from tapemagic.rewriting import Fix, Source, combined, function_name

_EMPTY = {"zeros", "empty", "ones", "zeros_like", "empty_like", "full"}


def stacked(source: Source, number: int) -> Fix | None:
    """`a[i] = e` in a loop as `a.append(e)`, with `tf.stack(a)` wherever `a` is read below it."""
    node = source.statement(number)
    if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Subscript):
        return None
    target = node.targets[0]
    return _appended(source, number, node, target) or _scattered(source, number, node, target)


def stored(source: Source, number: int) -> list[int]:
    """The lines below that store entries into what the statement at a line binds."""
    name = codes.assigned_name(source.file, number)
    below = [source.statement(n) for n in codes.statements_below(source.file, number)]
    return [
        node.lineno
        for node in below
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript)
        if name and source.text(node.targets[0].value) == name
    ]


def updated(source: Source, number: int) -> Fix | None:
    """`a[i, j] = e`, where a is a tensor by now."""
    node = source.statement(number)
    if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Subscript):
        return None
    target = node.targets[0]
    index = target.slice.elts if isinstance(target.slice, ast.Tuple) else [target.slice]
    if not all(isinstance(part, (ast.Name, ast.Constant, ast.BinOp)) for part in index):
        return None
    name, place = source.text(target.value), ", ".join(source.text(part) for part in index)
    update = f"tf.tensor_scatter_nd_update({name}, [[{place}]], [{source.text(node.value)}])"
    return source.replaced(number, f"{name} = {update}")


def _scattered(source: Source, number: int, node: ast.Assign, target: ast.Subscript) -> Fix | None:
    """`a[i, j] = e` as a new tensor with that entry."""
    index = target.slice.elts if isinstance(target.slice, ast.Tuple) else [target.slice]
    single = all(isinstance(part, (ast.Name, ast.Constant, ast.BinOp)) for part in index)
    if not single or not isinstance(target.value, ast.Name):
        return None
    made = codes.last_assignment(source.file, target.value.id, number)
    if made is None or source.text(made.value).split(".")[0] not in ("np", "numpy"):
        return None  # a dict, a list
    name, place = target.value.id, ", ".join(source.text(part) for part in index)
    value = source.text(node.value)
    array = f"tf.cast({name}, tf.float32)"
    update = f"tf.tensor_scatter_nd_update({array}, [[{place}]], [{value}])"
    return source.replaced(number, f"{name} = {update}")


def _appended(source: Source, number: int, node: ast.Assign, target: ast.Subscript) -> Fix | None:
    loops = [n for n in codes.enclosing(source.file, number) if isinstance(n, ast.For)]
    if not isinstance(target.value, ast.Name) or not loops or len(loops) > 1:
        return None
    name, loop = target.value.id, loops[0]
    index = {n.id for n in ast.walk(target.slice) if isinstance(n, ast.Name)}
    turns = {n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name)}
    made = codes.last_assignment(source.file, name, loop.lineno)
    if not isinstance(target.slice, ast.Name) or not index & turns or made is None:
        return None
    if function_name(made.value) not in _EMPTY:
        return None
    end = loop.end_lineno or loop.lineno

    def read(part: ast.AST) -> str | None:
        loaded = isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)
        return f"tf.stack({name})" if loaded and part.id == name else None  # type: ignore[attr-defined]

    def passed(part: ast.AST) -> str | None:
        wrapped = function_name(part) in ("constant", "convert_to_tensor", "asarray", "array")
        first = part.args[:1] if isinstance(part, ast.Call) else []
        if wrapped and first and isinstance(first[0], ast.Name) and first[0].id == name:
            return f"tf.stack({name})"
        return read(part)

    below = codes.statements_below(source.file, end)
    return combined(
        source,
        [
            source.replaced(made.lineno, f"{name} = []"),
            source.replaced(number, f"{name}.append({source.text(node.value)})"),
            *(source.rewritten(n, passed) for n in below),
        ],
    )
