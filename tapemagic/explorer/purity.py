"""Whether a cell may run again, elsewhere: only if all that it does is known to be computing.

What is called must be known to have no effect outside: TensorFlow's and NumPy's functions
(but no random draws, no files), plain built-ins, the user's own functions that keep to the same.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from collections.abc import Iterator, Mapping
from typing import Any

_MODULES = ("tensorflow", "numpy", "math", "cmath")
_DRAWS = {"random", "dropout", "shuffle", "seed", "set_seed", "random_shuffle"}
_OUTSIDE = {
    *("io", "data", "saved_model", "train", "summary", "debugging", "config", "distribute"),
    *("save", "savez", "savetxt", "tofile", "load", "loadtxt", "memmap", "py_function", "keras"),
    *(
        "numpy_function",
        "print",
        "compat",
        "experimental",
        "profiler",
        "raw_ops",
        "lookup",
        "seterr",
    ),
}
_KERAS = {"activations", "losses", "ops", "backend"}  # of keras: functions without a state
_BUILTINS = set(
    "print float int bool complex abs min max sum len range zip enumerate reversed sorted round "
    "list tuple dict set str repr format isinstance map filter any all pow divmod slice iter next "
    "super type ValueError".split()
)
_METHODS = set(
    "numpy item tolist copy astype reshape get_shape set_shape as_list watch gradient jacobian "
    "batch_jacobian items keys values get format join split strip append extend read_value sum "
    "mean dot ref_count eval count index stop_recording".split()
)
_ASSIGN = {"assign", "assign_add", "assign_sub"}
_DEPTH = 5  # functions that call functions


def effect(tree: ast.AST, namespace: Mapping[str, Any]) -> str:
    """What a cell may do besides computing, in words; "" for nothing."""
    return next(_Reader(namespace, _DEPTH).effects(tree), "")


class _Reader:
    def __init__(self, namespace: Mapping[str, Any], depth: int) -> None:
        self._namespace, self._depth = namespace, depth
        self._own: set[str] = set()
        self._modules: set[str] = set()
        self._functions: set[str] = set()

    def effects(self, tree: ast.AST) -> Iterator[str]:
        """One sentence for each thing that is not known to be harmless."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self._own.add(node.id)
            elif isinstance(node, ast.arg):
                self._own.add(node.arg)
            elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                self._functions.add(node.name)
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                yield from self._imported(node)
        for node in ast.walk(tree):
            yield from self._effects(node)

    def _imported(self, node: ast.Import | ast.ImportFrom) -> Iterator[str]:
        for alias in node.names:
            module = node.module if isinstance(node, ast.ImportFrom) else alias.name
            if (module or "").split(".")[0] not in _MODULES:
                yield f"line {node.lineno} imports {module}"
            self._modules.add((alias.asname or alias.name).split(".")[0])

    def _effects(self, node: ast.AST) -> Iterator[str]:
        line = getattr(node, "lineno", 0)
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            yield f"line {line} changes {', '.join(node.names)} outside of a function"
        elif isinstance(node, (ast.Await, ast.Yield, ast.YieldFrom, ast.AsyncFor, ast.AsyncWith)):
            yield f"line {line} waits for something"
        elif isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            yield f"line {line} changes {ast.unparse(node)}"
        elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            if _root(node) not in self._own:
                yield f"line {line} changes {ast.unparse(node)}"
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            yield from self._in_place(node)
        elif isinstance(node, ast.Call):
            yield from self._call(node)

    def _in_place(self, node: ast.AugAssign) -> Iterator[str]:
        """`history += [y]` changes a list that was there before the cell; numbers are replaced."""
        assert isinstance(node.target, ast.Name)
        known = self._namespace.get(node.target.id)
        if isinstance(known, (list, dict, set, bytearray)) or type(known).__module__ == "numpy":
            yield f"line {node.lineno} changes {node.target.id}"

    def _call(self, node: ast.Call) -> Iterator[str]:
        function, line = node.func, node.lineno
        shown = ast.unparse(function)
        root = _root(function)
        if isinstance(function, ast.Name):
            yield from self._named(function.id, line)
        elif self._is_module(root):
            parts = set(shown.split(".")[1:])
            if parts & _DRAWS:
                yield f"line {line} draws random numbers ({shown})"
            elif parts & _OUTSIDE and not parts & _KERAS:
                yield f"line {line} calls {shown}"
        elif isinstance(function, ast.Attribute) and function.attr in _ASSIGN | {
            "append",
            "extend",
        }:
            if root not in self._own:
                yield f"line {line} changes {root or shown}, which was there before"
        elif not (isinstance(function, ast.Attribute) and function.attr in _METHODS):
            yield f"line {line} calls {shown}, which may do more than compute"

    def _is_module(self, root: str) -> bool:
        known = self._namespace.get(root)
        if root in self._modules:
            return True
        name = known.__name__ if isinstance(known, types.ModuleType) else ""
        return name.split(".")[0] in _MODULES

    def _named(self, name: str, line: int) -> Iterator[str]:
        known = self._namespace.get(name)
        known = getattr(known, "python_function", known)  # of a tf.function
        if name in self._functions or (name in self._own and name not in self._namespace):
            return
        if name in _BUILTINS and name not in self._namespace:
            return
        if isinstance(known, types.FunctionType) and known.__module__ == "__main__" and self._depth:
            yield from self._function(known, name, line)
        elif getattr(known, "__module__", "").split(".")[0] not in _MODULES:
            yield f"line {line} calls {name}, which may do more than compute"

    def _function(self, function: types.FunctionType, name: str, line: int) -> Iterator[str]:
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        except (OSError, SyntaxError, TypeError):
            yield f"line {line} calls {name}, whose code is not known"
            return
        inner = _Reader(function.__globals__, self._depth - 1)
        for found in inner.effects(tree):
            yield f"{name}, called in line {line}: {found}"


def _root(node: ast.AST) -> str:
    """x of x.y[0].z(…)"""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""
