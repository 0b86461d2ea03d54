"""Fixes that read a table between its entries: for NumPy's `interp`, and for places cast to
integers."""

from __future__ import annotations

import ast
from dataclasses import replace

from tapemagic import codes
from tapemagic.rewriting import Fix, Source, combined, function_name, held

_DEFINITION = """\
def interpolated(x, xp, fp):
    xp, fp = tf.cast(xp, x.dtype), tf.cast(fp, x.dtype)
    steps = xp[1:] - xp[:-1]
    inside = tf.clip_by_value(tf.expand_dims(x, -1) - xp[:-1], 0, steps)
    return fp[0] + tf.reduce_sum(inside * (fp[1:] - fp[:-1]) / steps, axis=-1)
"""


def defined(source: Source, fix: Fix) -> Fix:
    """A fix that calls `interpolated`, with its definition above it."""
    if "interpolated(" not in fix.code:
        return fix
    indent = source.indentation(fix.first)
    definition = "\n".join(f"{indent}{line}" for line in _DEFINITION.splitlines())
    return replace(fix, code=f"{definition}\n{fix.code}")


def between(source: Source, number: int) -> Fix | None:
    """`tf.gather(table, tf.cast(x, tf.int32))` as the line between the neighbours of x; the cast
    may have a line and a name of its own."""
    name = codes.assigned_name(source.file, number)

    def plain(node: ast.AST) -> str | None:
        if function_name(node) == "cast" and isinstance(node, ast.Call) and node.args:
            return held(source.text(node.args[0]))
        return None

    def read(node: ast.AST) -> str | None:
        if function_name(node) != "gather" or not isinstance(node, ast.Call):
            return None
        if len(node.args) != 2 or node.keywords:
            return None
        table, place = source.text(node.args[0]), source.within(node.args[1], plain)
        if name != place and place == source.text(node.args[1]):
            return None
        return f"interpolated({place}, tf.range(tf.size({table})), {table})"

    here = source.rewritten(number, read)
    if here is not None:
        return defined(source, here)
    below = [source.rewritten(n, read) for n in codes.statements_below(source.file, number)]
    read_below = [fix for fix in below if fix is not None]
    if len(read_below) != 1:
        return None
    return combined(source, [source.rewritten(number, plain), defined(source, read_below[0])])
