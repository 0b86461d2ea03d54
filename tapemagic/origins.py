"""What the global names of a file stand for, where only running tells: NumPy's functions by
whatever name they were imported, and helpers from earlier cells."""

from __future__ import annotations

import ast
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from tapemagic import codes

_OUTSIDE = {"numpy", "scipy", "math", "cmath", "statistics", "sklearn", "pandas"}
_MOST = 16  # files that are remembered
_DRAFT = " <draft>"


@dataclass
class Origins:
    """`functions` are names of functions that leave TensorFlow, with their own name there;
    `modules` names of such modules, `libraries` of all others; `stops` names of stop_gradient;
    `files` the files of the user's functions that are called."""

    functions: dict[str, str] = field(default_factory=dict)
    modules: set[str] = field(default_factory=set)
    libraries: set[str] = field(default_factory=set)
    stops: set[str] = field(default_factory=set)
    files: list[str] = field(default_factory=list)


_known: OrderedDict[str, Origins] = OrderedDict()


def of(file: str) -> Origins:
    """What is remembered of a file, or of the file that a draft was made from."""
    return _known.get(file.split(_DRAFT)[0], Origins())


def draft(file: str, number: int) -> str:
    """The name of a draft of a file, which inherits what is known of it."""
    return f"{file.split(_DRAFT)[0]}{_DRAFT} {number}"


def remember(file: str, namespace: Mapping[str, Any], is_user: Callable[[CodeType], bool]) -> None:
    """Look up the names that a file reads; also in the files of the functions that it calls."""
    pending, seen = [(file, namespace)], {file}
    while pending:
        name, names = pending.pop()
        found = _known[name] = Origins()
        _known.move_to_end(name)
        for text, value in _looked_up(name, names):
            with suppress(Exception):  # an object of the user's may answer anything with an error
                for function in _noted(found, text, value):
                    inside = function.__code__.co_filename
                    if not is_user(function.__code__) or inside == name or not codes.tree(inside):
                        continue
                    found.files.append(inside)
                    if inside not in seen:
                        seen.add(inside)
                        pending.append((inside, function.__globals__))
    while len(_known) > _MOST:
        _known.popitem(last=False)


def _noted(found: Origins, name: str, value: Any) -> Iterator[FunctionType]:
    """Note what a name stands for; the user's functions that are behind it."""
    if isinstance(value, ModuleType):
        outside = value.__name__.split(".")[0] in _OUTSIDE
        (found.modules if outside else found.libraries).add(name)
        return
    if getattr(value, "__name__", "") == "stop_gradient":
        found.stops.add(name)
        return
    yield from _functions(value)
    module = str(getattr(value, "__module__", None) or "")
    if callable(value) and _leaves(value, module):
        found.functions[name] = str(getattr(value, "__name__", name))


def _looked_up(file: str, names: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    module = codes.tree(file) or ast.Module([], [])
    read = {n.id for n in ast.walk(module) if isinstance(n, ast.Name)}
    for name in sorted(read):
        if name in names:
            yield name, names[name]


def _leaves(value: Any, module: str) -> bool:
    if type(value).__name__ in ("ufunc", "vectorize"):
        return True
    return module.split(".")[0] in _OUTSIDE and not isinstance(value, type)


def _functions(value: Any) -> Iterator[FunctionType]:
    """The functions of the user's behind a name: itself, a class's or an object's methods."""
    value = getattr(value, "__wrapped__", value)
    if isinstance(value, MethodType):
        value = value.__func__
    if isinstance(value, FunctionType):
        yield value
        return
    owner = value if isinstance(value, type) else type(value)
    if owner.__module__ == "__main__":
        for part in vars(owner).values():
            if isinstance(part, FunctionType):
                yield part
