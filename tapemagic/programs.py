"""What the user's lines read, write and hand to code outside TensorFlow, by name.

A function's own names are told from the cell's: `x` of a helper is `file:helper/x`. An attribute
is `.w`, whatever it is one of.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property, lru_cache

from tapemagic import codes, origins

_OUTSIDE = {"np", "numpy", "math", "scipy", "sp", "onp", "cmath", "statistics"}
_METHODS = {
    *("predict", "predict_on_batch", "evaluate"),
    *("convert_to_numpy", "get_weights", "numpy_function"),
}
_ADDS = {"append", "insert", "extend", "add", "update", "setdefault", "appendleft"}
_SIZES = {"shape", "ndim", "dtype", "size"}
_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True)
class Statement:
    """What one line reads and writes; `calls` are names given to code outside, `owners` the
    functions and classes around it, `handed` what it gives to functions' parameters."""

    file: str
    node: ast.stmt
    reads: frozenset[str]
    writes: frozenset[str]
    calls: frozenset[str]
    owners: tuple[str, ...]
    handed: tuple[tuple[str, tuple[frozenset[str], ...]], ...] = ()


class Program:
    """The statements of a file and of the files of the functions that it calls, and what their
    functions' parameters may stand for."""

    def __init__(self, files: Sequence[str]) -> None:
        trees = {file: tree for file in files if (tree := codes.tree(file)) is not None}
        self.files = frozenset(trees)
        self._functions = {
            name: (file, function)
            for file, tree in trees.items()
            for node in ast.walk(tree)
            for name, function in [_defined(node)]
            if function is not None
        }
        self.statements = [
            statement for file, tree in trees.items() for statement in _Reader(file, tree).read()
        ]
        self._reached: dict[frozenset[str], frozenset[str]] = {}
        self._calling: dict[tuple[str, ...], list[Statement]] = {}

    @cached_property
    def parameters(self) -> dict[str, set[str]]:
        """The names of the arguments by the parameter's name, over all calls."""
        found: dict[str, set[str]] = {}
        for statement in self.statements:
            for function, arguments in statement.handed:
                if function not in self._functions:
                    continue
                file, node = self._functions[function]
                names = [a.arg for a in node.args.args]
                names = names[1:] if names[:1] == ["self"] else names
                for name, argument in zip(names, arguments):
                    found.setdefault(_own(file, function, name), set()).update(argument)
        return found

    @cached_property
    def _ways(self) -> dict[str, set[str]]:
        """What is written where a name is read; parameters, by what they are given."""
        found: dict[str, set[str]] = {}
        for statement in self.statements:
            for name in statement.reads:
                found.setdefault(name, set()).update(statement.writes)
        for parameter, names in self.parameters.items():
            for name in names:
                found.setdefault(name, set()).add(parameter)
        return found

    def at(self, file: str, number: int) -> Statement | None:
        """The innermost statement that a line belongs to."""
        around = [
            s
            for s in self.statements
            if s.file == file and s.node.lineno <= number <= (s.node.end_lineno or 0)
        ]
        return max(around, key=lambda s: s.node.lineno, default=None)

    def calling(self, statement: Statement) -> list[Statement]:
        """The statement, and those that call the function it is in."""
        if statement.owners not in self._calling:
            around = _called(statement.owners)
            direct = [s for s in self.statements if s.reads & around]
            made = {name for s in direct for name in s.writes}  # layer = Layer(), layer(x)
            further = [s for s in self.statements if s.reads & made]
            self._calling[statement.owners] = [*direct, *further]
        return [statement, *self._calling[statement.owners]]

    def reached(self, names: frozenset[str]) -> frozenset[str]:
        """All names that get their value from these, by any number of lines."""
        if names not in self._reached:
            self._reached[names] = _closure(names, self._ways)
        return self._reached[names]

    def stand_for(self, names: Set[str]) -> frozenset[str]:
        """The names, and what they stand for where they are a function's parameters."""
        return _closure(names, self.parameters)


def _closure(names: Set[str], ways: Mapping[str, Set[str]]) -> frozenset[str]:
    """The names, and all that the ways lead to from them."""
    known, pending = set(names), list(names)
    while pending:
        new = ways.get(pending.pop(), frozenset()) - known
        known |= new
        pending += new
    return frozenset(known)


def program(file: str) -> Program:
    """The program around a file."""
    files, pending = [file], [file]
    while pending:
        for other in origins.of(pending.pop()).files:
            if other not in files:
                files.append(other)
                pending.append(other)
    return _program(tuple(files), tuple(str(origins.of(f)) for f in files))


@lru_cache(maxsize=16)
def _program(files: tuple[str, ...], known: tuple[str, ...]) -> Program:
    return Program(files)


def plain(name: str) -> str:
    """x of `x`, of `file:helper/x` and of `.x`."""
    return name.rsplit("/", 1)[-1].removeprefix(".")


def _own(file: str, function: str, name: str) -> str:
    return f"{file}:{function}/{name}"


def _called(owners: Sequence[str]) -> frozenset[str]:
    """How functions and classes are read where they are called: f(…) and m.f(…)."""
    return frozenset({*owners, *(f".{name}" for name in owners)})


class _Reader:
    """Reads the statements of one file."""

    def __init__(self, file: str, tree: ast.Module) -> None:
        self._file, self._tree = file, tree
        self._outside = _outside_names(file, tree)

    def read(self) -> Iterator[Statement]:
        yield from self._statements(self._tree, (), {})

    def _statements(
        self, node: ast.AST, owners: tuple[str, ...], scope: dict[str, str]
    ) -> Iterator[Statement]:
        for child in ast.iter_child_nodes(node):
            inner, names = owners, scope
            if isinstance(child, (*_FUNCTION, ast.ClassDef)):
                inner = (*owners, child.name)
            if isinstance(child, _FUNCTION):
                own = {name: _own(self._file, child.name, name) for name in _locals(child)}
                names = {**scope, **own}
            elif isinstance(child, ast.stmt) and not isinstance(child, ast.ClassDef):
                name, defined = _defined(child)
                if isinstance(defined, ast.Lambda):
                    own = {a.arg: _own(self._file, name, a.arg) for a in defined.args.args}
                    inner, names = (*owners, name), {**scope, **own}
                yield self._statement(child, inner, names)
            yield from self._statements(child, inner, names)

    def _statement(
        self, node: ast.stmt, owners: tuple[str, ...], scope: dict[str, str]
    ) -> Statement:
        own = [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.stmt)]
        parts = [part for child in own for part in ast.walk(child)]
        reads, writes = _reads(parts), _writes(parts)
        if isinstance(node, ast.AugAssign):
            reads |= writes
        calls: set[str] = set()
        handed = []
        for part in parts:
            if not isinstance(part, ast.Call):
                continue
            if self._leaves(part.func):
                inside = part.func if isinstance(part.func, ast.Attribute) else None
                calls |= {n for a in _call_arguments(part) for n in _values(a)}
                calls |= _values(inside.value) if inside and inside.attr in _METHODS else set()
            given = tuple(_scoped(names_in(argument), scope) for argument in part.args)
            handed.append((_name_of(part.func), given))
        # What a function returns, it carries; a class, by its methods.
        carried = _called(owners) if isinstance(node, ast.Return) else frozenset()
        return Statement(
            self._file,
            node,
            _scoped(reads, scope),
            _scoped(writes, scope) | carried,
            _scoped(calls, scope),
            owners,
            tuple(handed),
        )

    def _leaves(self, function: ast.expr) -> bool:
        return is_outside(function) or _root_of(function) in self._outside


def _defined(node: ast.AST) -> tuple[str, _Function | None]:
    """The function that a statement defines, and its name: def f(x), f = lambda x: …"""
    if isinstance(node, _FUNCTION):
        return node.name, node
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
        target = node.targets[0]
        return getattr(target, "id", ""), node.value
    return "", None


def _locals(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """The names that a function has for itself."""
    every = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    parts = list(ast.walk(function))
    shared = {n for p in parts if isinstance(p, (ast.Global, ast.Nonlocal)) for n in p.names}
    stored = {p.id for p in parts if isinstance(p, ast.Name) and isinstance(p.ctx, ast.Store)}
    return ({a.arg for a in every} | stored) - shared


def _scoped(names: Set[str], scope: dict[str, str]) -> frozenset[str]:
    return frozenset(scope.get(name, name) for name in names)


def _outside_names(file: str, tree: ast.Module) -> set[str]:
    """The names of functions that leave TensorFlow, and of modules of such functions."""
    known = origins.of(file)
    outside = codes.imported(file, (*_OUTSIDE, "numpy", "scipy"))
    outside |= {*known.functions, *known.modules}
    return outside | {  # f = np.vectorize(g), f = sympy.lambdify(…)
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
        if _name_of(node.value.func) in ("vectorize", "lambdify", "frompyfunc")
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _reads(parts: Sequence[ast.AST]) -> set[str]:
    names = {p.id for p in parts if isinstance(p, ast.Name) and isinstance(p.ctx, ast.Load)}
    return names | {f".{p.attr}" for p in parts if isinstance(p, ast.Attribute)}


def _writes(parts: Sequence[ast.AST]) -> set[str]:
    writes = {p.id for p in parts if isinstance(p, ast.Name) and isinstance(p.ctx, ast.Store)}
    for part in parts:
        stored = isinstance(getattr(part, "ctx", None), ast.Store)
        if stored and isinstance(part, ast.Attribute):
            writes.add(f".{part.attr}")
        elif stored and isinstance(part, ast.Subscript):
            writes |= names_in(part.value)
        function = part.func if isinstance(part, ast.Call) else None
        if isinstance(function, ast.Attribute) and function.attr in _ADDS:
            writes |= names_in(function.value)
    return writes


def _name_of(function: ast.expr) -> str:
    """f of f(…) and of m.f(…)."""
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _root_of(function: ast.expr) -> str:
    """m of m.f(…)."""
    while isinstance(function, ast.Attribute):
        function = function.value
    return function.id if isinstance(function, ast.Name) else ""


def is_outside(function: ast.expr) -> bool:
    """Whether a call leaves for NumPy, Python's math or a model's `predict`."""
    if isinstance(function, ast.Attribute) and function.attr in _METHODS:
        return True
    return _root_of(function) in _OUTSIDE


def _call_arguments(node: ast.Call) -> Sequence[ast.expr]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if name.endswith("_like"):
        return []  # of a prototype only the shape counts
    named = [k.value for k in node.keywords if k.arg not in ("size", "shape", "dtype")]
    return [*node.args, *named]


def _values(node: ast.AST) -> set[str]:
    """The names whose values count in an expression: not those asked for their shape alone."""
    if isinstance(node, ast.Attribute) and node.attr in _SIZES:
        return set()
    if isinstance(node, ast.Call):
        name = _name_of(node.func)
        if name in ("len", "size", "shape", "rank", "range") or name.endswith("_like"):
            return set()
    if isinstance(node, ast.Name):
        return {node.id}
    own = {f".{node.attr}"} if isinstance(node, ast.Attribute) else set()
    return own.union(*(_values(child) for child in ast.iter_child_nodes(node)))


def names_in(node: ast.AST) -> set[str]:
    """All names and attributes of an expression."""
    found = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    return found | {f".{part.attr}" for part in ast.walk(node) if isinstance(part, ast.Attribute)}
