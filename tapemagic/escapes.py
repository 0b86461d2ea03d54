"""Where values left TensorFlow, and where they came back in as constants.

An escape is seen while recording (`float(x)`, `x.numpy()`); NumPy reads a tensor's memory
unseen, so calls into NumPy with a tensor's name among the arguments count as well. Names carry
a value from the line where it left to the line where a constant comes in.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property, lru_cache

from tapemagic import codes, origins
from tapemagic.trace import Line, Trace

_OUTSIDE = {"np", "numpy", "math", "scipy", "sp", "onp", "cmath", "statistics"}
_METHODS = {
    *("predict", "predict_on_batch", "evaluate"),
    *("convert_to_numpy", "get_weights", "numpy_function"),
}
_DETACHES = ("predict", "predict_on_batch", "get_weights")
_ADDS = {"append", "insert", "extend", "add", "update", "setdefault", "appendleft"}


@dataclass(frozen=True)
class Return:
    """`tensor` left at `left` by `method`; the constant `constant` came in at `back`."""

    tensor: int
    constant: int
    left: Line
    method: str
    back: Line | None


@dataclass(frozen=True)
class _Statement:
    """What one line reads and writes, by name; `calls` are names given to code outside, `owners`
    the functions and classes around it."""

    file: str
    node: ast.stmt
    reads: frozenset[str]
    writes: frozenset[str]
    calls: frozenset[str]
    owners: tuple[str, ...]


class _Program:
    """The statements of a file and of the files of the functions that it calls, and what their
    functions' parameters may stand for."""

    def __init__(self, files: Sequence[str]) -> None:
        self._trees = {file: tree for file in files if (tree := codes.tree(file)) is not None}
        self.files = frozenset(self._trees)
        self.statements = [
            statement
            for file, tree in self._trees.items()
            for statement in _statements(file, tree, _outside_names(file, tree))
        ]

    @cached_property
    def parameters(self) -> dict[str, set[str]]:
        """The names of the arguments by the parameter's name, over all calls."""
        found: dict[str, set[str]] = {}
        nodes = [node for tree in self._trees.values() for node in ast.walk(tree)]
        functions = {
            node.name: [a.arg for a in node.args.args]
            for node in nodes
            if isinstance(node, ast.FunctionDef)
        }
        for node in nodes:
            if isinstance(node, ast.Call):
                function = node.func
                name = function.id if isinstance(function, ast.Name) else ""
                names = functions.get(name) or functions.get(getattr(function, "attr", "")) or []
                names = names[1:] if names[:1] == ["self"] else names
                for parameter, argument in zip(names, node.args):
                    found.setdefault(parameter, set()).update(_names(argument))
        return found

    def at(self, file: str, number: int) -> _Statement | None:
        """The innermost statement that a line belongs to."""
        around = [
            s
            for s in self.statements
            if s.file == file and s.node.lineno <= number <= (s.node.end_lineno or 0)
        ]
        return max(around, key=lambda s: s.node.lineno, default=None)

    def calling(self, statement: _Statement) -> list[_Statement]:
        """The statement, and those that call the function it is in."""
        around = frozenset(statement.owners)
        direct = [s for s in self.statements if s.reads & around]
        made = {name for s in direct for name in s.writes}  # layer = Layer(), layer(x)
        return [statement, *direct, *(s for s in self.statements if s.reads & made)]

    def reached(self, names: frozenset[str]) -> frozenset[str]:
        """All names that get their value from these, by any number of lines."""
        known = set(names)
        while True:
            more = {
                written
                for statement in self.statements
                if statement.reads & known
                for written in statement.writes
            }
            if more <= known:
                return frozenset(known)
            known |= more


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


def _program(file: str) -> _Program:
    files, pending = [file], [file]
    while pending:
        for other in origins.of(pending.pop()).files:
            if other not in files:
                files.append(other)
                pending.append(other)
    return _read_program(tuple(files), tuple(str(origins.of(f)) for f in files))


@lru_cache(maxsize=16)
def _read_program(files: tuple[str, ...], known: tuple[str, ...]) -> _Program:
    return _Program(files)


def calls_outside(line: Line) -> bool:
    """Whether a function that a line hands to `py_function` calls NumPy and the like."""
    statement = _program(line.file).at(line.file, line.number)
    for node in ast.walk(statement.node) if statement is not None else ():
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "py_function":
            handed: ast.AST | None = node.args[0] if node.args else None
            if isinstance(handed, ast.Name):
                handed = codes.function(line.file, handed.id)
            inside = ast.walk(handed) if handed is not None else ()
            return any(isinstance(n, ast.Call) and _is_outside(n.func) for n in inside)
    return False


def returns(trace: Trace, extra: Mapping[int, Line | None]) -> list[Return]:
    """The constants that came in and the tensors whose values they carry.

    `extra` are tensors to look at although no operation reads them (a target), with a line.
    """
    entries = _entering(trace, extra)
    if not entries:
        return []
    found = [
        Return(escape.tensor, key, escape.line, escape.method, back)
        for escape in trace.escapes
        if escape.line is not None
        and escape.method != "bool"  # decides which way the code goes, and is no number
        and _is_floating(trace, escape.tensor)
        for key, (at, back) in entries.items()
        if at >= escape.at and back is not None and _carries(escape.line, back)
    ]
    seen = {one.constant for one in found}
    return [*found, *_unseen(trace, {k: v for k, v in entries.items() if k not in seen})]


def _entering(trace: Trace, extra: Mapping[int, Line | None]) -> dict[int, tuple[int, Line | None]]:
    """The floating constants that no operation made, with the place where they come in."""
    made = {key for operation in trace.operations for key in operation.outputs}
    bound = {b.tensor: b.line for b in trace.bindings if b.line is not None}
    found: dict[int, tuple[int, Line | None]] = {}
    for operation in trace.operations:
        for key in operation.inputs:
            if key not in made and key not in found and _is_floating(trace, key):
                found[key] = operation.at, bound.get(key) or operation.line
    for key, line in extra.items():
        if key not in made and key not in found and _is_floating(trace, key):
            found[key] = 2**62, bound.get(key) or line
    return found


def _is_floating(trace: Trace, key: int) -> bool:
    known = trace.tensors.get(key)
    return known is not None and known.dtype.startswith(("float", "bfloat", "complex"))


def _carries(left: Line, back: Line) -> bool:
    """Whether what left at one line may be what comes in at another."""
    program = _program(back.file)
    if left.file not in program.files:
        return False
    return _reaches(program, left.file, left.number, back.file, back.number)


@lru_cache(maxsize=4096)
def _reaches(program: _Program, file: str, left: int, other: str, back: int) -> bool:
    start, end = program.at(file, left), program.at(other, back)
    if start is None or end is None:
        return False
    return start is end or bool(program.reached(start.writes) & end.reads)


def _unseen(trace: Trace, entries: Mapping[int, tuple[int, Line | None]]) -> Iterator[Return]:
    """Values that NumPy read from memory: a call with a tensor's name, in a line on the way."""
    tensors: dict[str, list[tuple[int, int]]] = {}
    for binding in (*trace.bindings, *trace.local):
        found_at = binding.at, binding.tensor
        tensors.setdefault(binding.name.split(".")[-1], []).append(found_at)
    unused = _unused(trace)
    for key, (entered, back) in entries.items():
        if back is None:
            continue
        program = _program(back.file)
        end = program.at(back.file, back.number)
        for statement in program.statements if end is not None else ():
            if not statement.calls or end is None:
                continue
            if statement is end or program.reached(statement.writes) & end.reads:
                number = statement.node.lineno
                text = codes.line_text(statement.file, number)
                left = Line(number, text, statement.file)
                how = next((m for m in _DETACHES if f".{m}(" in text), "NumPy")
                names = _arguments(program, statement.calls)
                found = [_latest(tensors[name], entered) for name in names if name in tensors]
                places = program.calling(statement)
                found += [
                    tensor
                    for at, tensor, line in unused
                    if at <= entered and any(_is_at(line, place) for place in places)
                ]
                for tensor in dict.fromkeys(found):
                    if tensor is not None and tensor != key and _is_floating(trace, tensor):
                        yield Return(tensor, key, left, how, back)


def _is_at(line: Line, place: _Statement) -> bool:
    first, last = place.node.lineno, place.node.end_lineno or place.node.lineno
    return line.file == place.file and first <= line.number <= last


def _latest(bound: Sequence[tuple[int, int]], until: int) -> int | None:
    """What a name stood for right before a position."""
    before = [pair for pair in bound if pair[0] <= until]
    return max(before)[1] if before else None


def _unused(trace: Trace) -> list[tuple[int, int, Line]]:
    """What operations made for no other operation to read: np.abs(y - t) reads the difference."""
    used = {key for operation in trace.operations for key in operation.inputs}
    return [
        (operation.at, key, operation.line)
        for operation in trace.operations
        for key in operation.outputs
        if key not in used and operation.line is not None
    ]


def _arguments(program: _Program, names: frozenset[str]) -> set[str]:
    """The names, and what they stand for where they are a function's parameters."""
    known, pending = set(names), list(names)
    while pending:
        for name in program.parameters.get(pending.pop(), ()):
            if name not in known:
                known.add(name)
                pending.append(name)
    return known


# -- reading the code ----------------------------------------------------------------------------


def _name_of(function: ast.expr) -> str:
    """f of f(…) and of m.f(…)."""
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _root_of(function: ast.expr) -> str:
    """m of m.f(…)."""
    while isinstance(function, ast.Attribute):
        function = function.value
    return function.id if isinstance(function, ast.Name) else ""


def _statements(
    file: str, node: ast.AST, outside: Set[str], owners: tuple[str, ...] = ()
) -> Iterator[_Statement]:
    for child in ast.iter_child_nodes(node):
        inner = owners
        if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
            inner = (*owners, child.name)
        if isinstance(child, ast.stmt) and not isinstance(child, (ast.FunctionDef, ast.ClassDef)):
            yield _read(file, child, outside, owners)
        yield from _statements(file, child, outside, inner)


def _read(file: str, node: ast.stmt, outside: Set[str], owners: tuple[str, ...]) -> _Statement:
    own = [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.stmt)]
    parts = [part for child in own for part in ast.walk(child)]
    reads = {p.id for p in parts if isinstance(p, ast.Name) and isinstance(p.ctx, ast.Load)}
    reads |= {p.attr for p in parts if isinstance(p, ast.Attribute)}
    writes = {p.id for p in parts if isinstance(p, ast.Name) and isinstance(p.ctx, ast.Store)}
    for part in parts:
        stored = isinstance(getattr(part, "ctx", None), ast.Store)
        if stored and isinstance(part, (ast.Attribute, ast.Subscript)):
            writes |= {part.attr} if isinstance(part, ast.Attribute) else _names(part.value)
        function = part.func if isinstance(part, ast.Call) else None
        if isinstance(function, ast.Attribute) and function.attr in _ADDS:
            writes |= _names(function.value)
    if isinstance(node, ast.AugAssign):
        reads |= writes
    if isinstance(node, ast.Return):
        writes |= set(owners)  # what a function returns, it carries; a class, by its methods
    calls: set[str] = set()
    for part in parts:
        if isinstance(part, ast.Call) and (
            _is_outside(part.func) or outside & {_name_of(part.func), _root_of(part.func)}
        ):
            inside = part.func if isinstance(part.func, ast.Attribute) else None
            calls |= {n for a in _call_arguments(part) for n in _values(a)}
            calls |= _values(inside.value) if inside and inside.attr in _METHODS else set()
    return _Statement(file, node, frozenset(reads), frozenset(writes), frozenset(calls), owners)


def _call_arguments(node: ast.Call) -> Sequence[ast.expr]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if name.endswith("_like"):
        return []  # of a prototype only the shape counts
    named = [k.value for k in node.keywords if k.arg not in ("size", "shape", "dtype")]
    return [*node.args, *named]


def _values(node: ast.AST) -> set[str]:
    """The names whose values count in an expression: not those asked for their shape alone."""
    if isinstance(node, ast.Attribute) and node.attr in ("shape", "ndim", "dtype", "size"):
        return set()
    if isinstance(node, ast.Call):
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if name in ("len", "size", "shape", "rank", "range") or name.endswith("_like"):
            return set()
    if isinstance(node, ast.Name):
        return {node.id}
    own = {node.attr} if isinstance(node, ast.Attribute) else set()
    return own.union(*(_values(child) for child in ast.iter_child_nodes(node)))


def _is_outside(function: ast.expr) -> bool:
    """Whether a call leaves for NumPy, Python's math or a model's `predict`."""
    if isinstance(function, ast.Attribute) and function.attr in _METHODS:
        return True
    return _root_of(function) in _OUTSIDE


def _names(node: ast.AST) -> set[str]:
    found = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    return found | {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}
