"""What the magic line names, found in the user's namespace: sources, targets, readable names."""

from __future__ import annotations

import ast
import difflib
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tapemagic.options import GradError
from tapemagic.recording import tensor_id

# Looking at these has no effect on the user's state, so they may be looked at more than once.
_SAFE = (
    *(ast.Expression, ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.Slice),
    *(ast.List, ast.Tuple, ast.Dict, ast.Starred, ast.Load, ast.UnaryOp, ast.USub, ast.Index),
)


@dataclass(frozen=True)
class Source:
    """A tensor or variable to differentiate by: `text` for the key, `alias` more readable."""

    text: str
    value: Any
    alias: str = ""


def unwrapped(value: Any) -> Any:
    """TensorFlow's own variable inside one of Keras 3's; anything else as it is."""
    if isinstance(value, (tf.Tensor, tf.Variable)) or not hasattr(value, "trainable"):
        return value
    try:
        inner = value.value
    except Exception:  # noqa: BLE001 - a property of somebody's
        return value
    return inner if isinstance(inner, tf.Variable) else value


def is_variable(value: Any) -> bool:
    """Whether it is a variable of TensorFlow's or Keras's."""
    return isinstance(unwrapped(value), tf.Variable)


def is_differentiable(value: Any) -> bool:
    """An eager tensor or a variable of a dtype that TensorFlow differentiates."""
    value = unwrapped(value)
    if not isinstance(value, (tf.Tensor, tf.Variable)) or tensor_id(value) is None:
        return False
    return bool(value.dtype.is_floating or value.dtype.is_complex)


def is_safe(text: str) -> bool:
    """Whether the expression only looks things up."""
    try:
        return all(isinstance(node, _SAFE) for node in ast.walk(ast.parse(text, mode="eval")))
    except SyntaxError:
        return False


def evaluated(text: str, namespace: dict[str, Any], what: str) -> Any:
    """The value of an expression of the magic line, or one line that names the nearest name."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            # The user's own words, in the user's own namespace, as the cell itself.
            return eval(compile(text, f"<{what}>", "eval"), namespace)  # noqa: S307
    except NameError as error:
        name = getattr(error, "name", None) or str(error).split("'")[1]
        raise GradError(f"unknown name {name} in {what}{nearest(name, namespace)}") from error
    except Exception as error:
        raise GradError(f"{what} {text}: {type(error).__name__}: {error}") from error


def nearest(name: str, namespace: Mapping[str, Any]) -> str:
    """The end of a complaint about a name: the nearest one, or some tensors."""
    known = [key for key in namespace if not key.startswith("_")]
    tensors = [key for key in known if is_differentiable(namespace[key])]
    near = difflib.get_close_matches(name, known, 1)
    if near:
        return f": did you mean {near[0]}?"
    return f": the cell's tensors are {', '.join(tensors[-5:])}" if tensors else ""


def expanded(text: str, value: Any) -> list[Source]:
    """The tensors and variables in what a WRT expression gave, each with its key.

    Raises `GradError` for what is neither.
    """
    if isinstance(unwrapped(value), (tf.Tensor, tf.Variable, tf.IndexedSlices)):
        return [Source(text, value)]
    if isinstance(value, Mapping):
        return [s for k, v in value.items() for s in expanded(f"{text}[{k!r}]", v)]
    if isinstance(value, (list, tuple)):
        parts = _displayed(text, len(value))
        return [s for part, v in zip(parts, value) for s in expanded(part, v)]
    variables = getattr(value, "trainable_variables", None)
    if variables is not None:
        names = member_names(text, value)
        return [
            Source(f"{text}.trainable_variables[{i}]", v, names.get(_id(v), ""))
            for i, v in enumerate(variables)
        ]
    raise GradError(_not_a_tensor(text, value))


def _displayed(text: str, count: int) -> list[str]:
    """The members' own texts where the user wrote a list, else text[0], text[1] …"""
    tree = ast.parse(text, mode="eval").body
    listed = tree.elts if isinstance(tree, (ast.List, ast.Tuple)) else []
    if len(listed) == count and not any(isinstance(part, ast.Starred) for part in listed):
        return [ast.get_source_segment(text, part) or text for part in listed]
    return [f"{text}[{i}]" for i in range(count)]


def _not_a_tensor(text: str, value: Any) -> str:
    kind = type(value).__name__
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{text} is a Python {kind}, no tensor: write {text} = tf.constant({float(value)!r})"
    if type(value).__module__ == "numpy":
        return f"{text} is a NumPy {kind}, no tensor: write {text} = tf.constant({text})"
    return f"{text} is a {kind}: a tensor, a variable, a layer or a list of them is needed"


def _id(variable: Any) -> int:
    key = tensor_id(unwrapped(variable))
    return -1 if key is None else key


def member_names(text: str, owner: Any, depth: int = 3) -> dict[int, str]:
    """Readable names of the variables of a layer, model or module: layer.kernel, by tensor id."""
    found: dict[int, str] = {}
    for path, variable in _members(text, owner, depth, set()):
        found.setdefault(_id(variable), path)
    return found


def _members(text: str, owner: Any, depth: int, seen: set[int]) -> Iterator[tuple[str, Any]]:
    if id(owner) in seen or depth < 0:
        return
    seen.add(id(owner))
    for name, value in _attributes(owner):
        path = f"{text}.{name}"
        if is_variable(value):
            yield path, value
        elif isinstance(value, (list, tuple)):
            for i, part in enumerate(value):
                if is_variable(part):
                    yield f"{path}[{i}]", part
                elif _holds_variables(part):
                    yield from _members(f"{path}[{i}]", part, depth - 1, seen)
        elif _holds_variables(value):
            yield from _members(path, value, depth - 1, seen)


def _attributes(owner: Any) -> Iterator[tuple[str, Any]]:
    """Public attributes that hold variables or parts; Keras keeps some under properties."""
    for name in ("layers", "kernel", "bias", "gamma", "beta", "embeddings"):
        if name not in vars(owner) and isinstance(getattr(type(owner), name, None), property):
            try:
                yield name, getattr(owner, name)
            except Exception:  # noqa: BLE001, S112 - not built yet
                continue
    for name, value in list(vars(owner).items()):
        if not name.startswith("_"):
            yield name, value


def _holds_variables(value: Any) -> bool:
    if isinstance(value, type) or not hasattr(type(value), "trainable_variables"):
        return False
    return hasattr(value, "__dict__")


def names_in(namespace: Mapping[str, Any], passing: Collection[str] = ()) -> dict[int, str]:
    """What the namespace calls its variables, members of layers and containers included; by a
    name that is only `passing`, a loop's, those that have no other."""
    found: dict[int, str] = {}
    items = [(k, v) for k, v in list(namespace.items()) if not k.startswith("_")]
    plain = [(name, value) for name, value in items if is_variable(value)]
    for name, value in plain:
        if name not in passing:
            found.setdefault(_id(value), name)
    for name, value in items:
        if _holds_variables(value):
            for key, path in member_names(name, value).items():
                found.setdefault(key, path)
        elif isinstance(value, (list, tuple, dict)) and len(value) <= 100:
            pairs: Iterable[tuple[Any, Any]] = (
                value.items() if isinstance(value, dict) else enumerate(value)
            )
            for key, part in pairs:
                if is_variable(part):
                    found.setdefault(_id(part), f"{name}[{key!r}]")
    for name, value in plain:
        found.setdefault(_id(value), name)
    return found


def described(value: Any) -> str:
    """What a value is that should have been a tensor, in words."""
    dtype = getattr(getattr(value, "dtype", None), "name", None)
    kind = type(value).__name__
    return (
        f"of dtype {dtype}"
        if dtype and isinstance(value, tf.Tensor)
        else f"of type {kind}, no tensor"
    )
