"""The sources of a call to a tape, each under the name that the user wrote it by."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tapemagic import codes
from tapemagic.recording import tensor_id
from tapemagic.sources import unwrapped

_PLAIN = (ast.Name, ast.Attribute, ast.Subscript, ast.Call)


@dataclass(frozen=True)
class Member:
    """A source as the user wrote it (`text`), and a more readable name for it, if any."""

    text: str
    alias: str
    value: Any

    @property
    def id(self) -> int:
        key = tensor_id(unwrapped(self.value))
        return -1 if key is None else key


def flattened(text: str, value: Any, names: Mapping[int, str]) -> Iterator[Member]:
    """The members of what stands as sources, in the order of the tape's answers."""
    members = list(_members(text, value))
    flat = tf.nest.flatten(value)
    if len(members) != len(flat):  # a structure that only TensorFlow knows
        members = [(f"{_held(text)}[{i}]", part) for i, part in enumerate(flat)]
    for path, part in members:
        key = tensor_id(unwrapped(part))
        name = names.get(key, "") if key is not None else ""
        yield Member(path, name if name != path else "", part)


def _members(text: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        written = _written_values(text)
        for key in sorted(value):
            yield from _members(written.get(key, f"{_held(text)}[{key!r}]"), value[key])
    elif isinstance(value, (list, tuple)):
        for part, member in zip(_written_members(text, len(value)), value):
            yield from _members(part, member)
    else:
        yield text, value


def _written_members(text: str, count: int) -> list[str]:
    """The members' own texts where the user wrote a list, else text[0], text[1] …"""
    node = codes.expression(text)
    listed = node.elts if isinstance(node, (ast.List, ast.Tuple)) else []
    if len(listed) == count and not any(isinstance(part, ast.Starred) for part in listed):
        return [" ".join((ast.get_source_segment(text, part) or text).split()) for part in listed]
    return [f"{_held(text)}[{i}]" for i in range(count)]


def _written_values(text: str) -> dict[Any, str]:
    """The values' own texts where the user wrote a dict."""
    node = codes.expression(text)
    if not isinstance(node, ast.Dict):
        return {}
    return {
        key.value: ast.get_source_segment(text, value) or ""
        for key, value in zip(node.keys, node.values)
        if isinstance(key, ast.Constant)
    }


def _held(text: str) -> str:
    return text if isinstance(codes.expression(text), _PLAIN) else f"({text})"
