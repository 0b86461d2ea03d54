"""Fixes that exchange lines: watch, variables, assignments, the call itself."""

from __future__ import annotations

import ast
import re

from tapemagic import codes, origins
from tapemagic.rewriting import Fix, Source, function_name, held

_OF_LAYERS = {"kernel", "bias", "embeddings", "gamma", "beta", "recurrent_kernel"}
_SOURCES = ("source", "sources")


def watch(source: Source, number: int, name: str) -> Fix | None:
    """`tape.watch(name)` under the `with` of the tape at a line."""
    for node in codes.enclosing(source.file, number):
        if isinstance(node, ast.With):
            made = [i for i in node.items if "GradientTape" in source.text(i.context_expr)]
            made = made or list(node.items)
            named = [item for item in made if item.optional_vars is not None]
            if not named or node.lineno != number or node.body[0].lineno == number:
                continue
            first, last = source.span(node)
            tape = source.text(named[0].optional_vars)  # type: ignore[arg-type]
            body = source.indentation(node.body[0].lineno)
            header = "\n".join(source.lines[first - 1 : last])
            return Fix(f"{header}\n{body}{tape}.watch({name})", first, last)
    return None


def variable(source: Source, number: int, floating: bool = False, name: str = "") -> Fix | None:
    """The assignment (to a name) at a line, its value as a trainable variable."""
    node = source.binding(number, name)
    if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
        return None
    value = node.value
    text = source.text(value)
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        if value.func.attr == "Variable":
            return source.rewritten(number, lambda n: _trainable(source, n) if n is value else None)
        if value.func.attr == "constant" and len(value.args) == 1:
            text = ", ".join(source.text(part) for part in value.args)
            text += "".join(f", {k.arg}={source.text(k.value)}" for k in value.keywords)
    if floating:
        text = f"tf.cast({text}, tf.float32)"
    return source.rewritten(number, lambda n: f"tf.Variable({text})" if n is value else None)


def _trainable(source: Source, node: ast.AST) -> str | None:
    if not isinstance(node, ast.Call) or all(k.arg != "trainable" for k in node.keywords):
        return None
    parts = [source.text(a) for a in node.args]
    parts += [f"{k.arg}={source.text(k.value)}" for k in node.keywords if k.arg != "trainable"]
    return f"{source.text(node.func)}({', '.join(parts)})"


def _is_update(node: ast.stmt) -> bool:
    """w -= g or w = w - g."""
    if not isinstance(node, ast.Assign):
        return isinstance(node, ast.AugAssign)
    names = {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)}
    return any(isinstance(t, ast.Name) and t.id in names for t in node.targets)


def assign(source: Source, number: int, name: str) -> Fix | None:
    """`w = w - step` as `w.assign(w - step)`, so that the name keeps its variable."""
    node = source.binding(number, name)
    if node is None or sum(_is_update(n) for n in source.beside(node)) > 1:
        return None  # to mend one alone would not do
    if isinstance(node, ast.AugAssign) and isinstance(node.op, (ast.Add, ast.Sub)):
        method = "assign_add" if isinstance(node.op, ast.Add) else "assign_sub"
        code = f"{source.text(node.target)}.{method}({source.text(node.value)})"
        return source.replaced(number, code, node)
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = source.text(node.targets[0])
        if isinstance(node.value, ast.ListComp):
            return _assigned_each(source, node.value, number)
        if target == name and isinstance(node.value, ast.BinOp):  # a step, not a conversion
            return source.replaced(number, f"{target}.assign({source.text(node.value)})", node)
    return None


def _assigned_each(source: Source, made: ast.ListComp, number: int) -> Fix | None:
    """`ws = [w - g for w, g in zip(ws, gs)]` as a loop that assigns."""
    step, loop = made.elt, made.generators[0]
    turns = {n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name)}
    first = step.left if isinstance(step, ast.BinOp) else None
    if not isinstance(first, ast.Name) or first.id not in turns or len(made.generators) > 1:
        return None
    header = f"for {source.text(loop.target).strip('()')} in {source.text(loop.iter)}:"
    return source.replaced(number, f"{header}\n    {first.id}.assign({source.text(step)})")


def without_stop(source: Source, number: int) -> Fix | None:
    """The calls of stop_gradient at a line, by whatever name, replaced by what they are given."""
    names = {"stop_gradient", *origins.of(source.file).stops}

    def change(node: ast.AST) -> str | None:
        if isinstance(node, ast.Call) and function_name(node) in names and node.args:
            return held(source.within(node.args[0], change))
        return None

    return source.rewritten(number, change)


def plain_binding(source: Source, number: int) -> Fix | None:
    """`v.assign(e)` as `v = e`: a tensor keeps the way to what it was computed from."""
    node = source.statement(number)
    call = node.value if isinstance(node, (ast.Expr, ast.Assign, ast.Return)) else None
    if isinstance(node, ast.Assign) and function_name(node.value) == "Variable":
        inner = node.value.args[0] if isinstance(node.value, ast.Call) else None
        return (
            None
            if inner is None
            else source.rewritten(number, lambda n: source.text(inner) if n is node.value else None)
        )
    if not isinstance(node, ast.Expr) or not isinstance(call, ast.Call) or not call.args:
        return None
    function = call.func
    if not isinstance(function, ast.Attribute):
        return None
    owner, value = source.text(function.value), source.text(call.args[0])
    if owner.split(".")[-1] in _OF_LAYERS or "variables" in owner or "weights" in owner:
        return None  # a layer's weights cannot be replaced by tensors
    whole = "\n".join(source.lines)
    if (
        f"{owner}.read_value" in whole
        or f"{owner}.value" in whole
        or _is_loop_s(source, node, owner)
    ):
        return None
    if function.attr == "scatter_nd_update" and len(call.args) == 2:
        rows = f"{value}, {source.text(call.args[1])}"
        return source.replaced(number, f"{owner} = tf.tensor_scatter_nd_update({owner}, {rows})")
    if isinstance(function.value, ast.Subscript):
        whole, index = source.text(function.value.value), source.text(function.value.slice)
        return source.replaced(
            number, f"{whole} = tf.tensor_scatter_nd_update({whole}, [[{index}]], [{value}])"
        )
    new = {
        "assign": value,
        "assign_add": f"{owner} + ({value})",
        "assign_sub": f"{owner} - ({value})",
    }
    if function.attr not in new:
        return None
    return source.replaced(number, f"{owner} = {new[function.attr]}")


def _is_loop_s(source: Source, node: ast.stmt, name: str) -> bool:
    """Whether a name is the variable of a loop around a statement."""
    loops = [n for n in codes.enclosing(source.file, node.lineno) if isinstance(n, ast.For)]
    return any(re.search(rf"\b{re.escape(name)}\b", source.text(loop.target)) for loop in loops)


def watched_after(source: Source, number: int, block: int, name: str) -> Fix | None:
    """`tape.watch(name)` right after the statement at a line, inside the tape's block."""
    node = source.statement(number)
    header = codes.statement_at(source.file, block)
    if node is None or not isinstance(header, ast.With):
        return None
    named = [item for item in header.items if item.optional_vars is not None]
    if not named:
        return None
    first, last = source.span(node)
    tape = source.text(named[0].optional_vars)  # type: ignore[arg-type]
    kept = "\n".join(source.lines[first - 1 : last])
    return Fix(f"{kept}\n{source.indentation(first)}{tape}.watch({name})", first, last)


def kept_before(source: Source, number: int, name: str, new: str) -> Fix | None:
    """`new = name` above the statement at a line, which binds the name to something else."""
    node = source.statement(number)
    if node is None:
        return None
    first, last = source.span(node)
    kept = "\n".join(source.lines[first - 1 : last])
    return Fix(f"{source.indentation(first)}{new} = {name}\n{kept}", first, last)


def other_source(source: Source, number: int, method: str, old: str, new: str) -> Fix | None:
    """Another source in the call of `method` at a line."""

    def change(node: ast.AST) -> str | None:
        if function_name(node) != method or not isinstance(node, ast.Call):
            return None
        parts = [source.text(a) for a in node.args]
        if len(parts) > 1:
            parts[1] = parts[1].replace(old, new)
        named = []
        for k in node.keywords:
            text = source.text(k.value)
            named.append(f"{k.arg}={text.replace(old, new) if k.arg in _SOURCES else text}")
        return f"{source.text(node.func)}({', '.join([*parts, *named])})"

    return source.rewritten(number, change)


def swapped(source: Source, number: int, method: str) -> Fix | None:
    """Target and source of the call at a line, exchanged."""

    def change(node: ast.AST) -> str | None:
        if function_name(node) != method or not isinstance(node, ast.Call) or len(node.args) < 2:
            return None
        parts = [source.text(a) for a in node.args]
        parts[:2] = parts[1::-1]
        named = [f"{k.arg}={source.text(k.value)}" for k in node.keywords]
        return f"{source.text(node.func)}({', '.join([*parts, *named])})"

    return source.rewritten(number, change)


def keyword(source: Source, number: int, method: str, name: str, value: str) -> Fix | None:
    """A keyword added to the call of `method` at a line."""

    def change(node: ast.AST) -> str | None:
        if function_name(node) != method or not isinstance(node, ast.Call):
            return None
        text = source.text(node).rstrip()
        empty = not node.args and not node.keywords
        return f"{text[:-1].rstrip().rstrip(',')}{'' if empty else ', '}{name}={value})"

    return source.rewritten(number, change)


def conjugated(source: Source, number: int, method: str) -> Fix | None:
    """tf.math.conj around the call."""
    return source.rewritten(
        number, lambda n: f"tf.math.conj({source.text(n)})" if function_name(n) == method else None
    )


def jacobian(source: Source, number: int, method: str) -> Fix | None:
    """`tape.jacobian` in place of `tape.gradient`."""

    def change(node: ast.AST) -> str | None:
        if function_name(node) != method or not isinstance(node, ast.Call):
            return None
        assert isinstance(node.func, ast.Attribute)
        inside = ", ".join(source.text(a) for a in node.args)
        named = "".join(f", {k.arg}={source.text(k.value)}" for k in node.keywords)
        return f"{source.text(node.func.value)}.jacobian({inside}{named})"

    return source.rewritten(number, change)
