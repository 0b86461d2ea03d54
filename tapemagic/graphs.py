"""Compiled functions opened up: the ops inside a `tf.function` call, as if they had run eagerly.

A call is one op with a counter in its name; its graph can be read. The ops that its outputs
need are evaluated by the rules at the recorded inputs, so that branches are taken and loops
unrolled as they were; each becomes an entry of the log under an id of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import count
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import op_def_registry, tensor_util

from tapemagic import rules
from tapemagic.tensor_lists import Held, applied
from tapemagic.trace import Array

_CALLED = re.compile(r"__(?:forward|inference)_(?P<name>.+)_\d+$")
_CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
_PASSES = {"Identity", "StopGradient", "ReadVariableOp"}
_ASSIGNS = ("Assign", "ResourceApply", "ResourceScatter", "ResourceSparse")
# Values that a branch may not have are among them: only the backward pass reads these.
_WITHOUT_NUMBERS = ("EmptyTensorList", "FakeParam", "Optional", "Placeholder", "Assert", "NoOp")
_NUMBERED = re.compile(r"_\d+$")  # a node that would bear an output's name
_MOST = 5_000  # ops that one call is opened up to


Place = tuple[str, int, str]  # file, line, function


class NotOpened(Exception):
    """Why a call stays one op."""


def function_name(kind: str | bytes) -> str | None:
    """The user's name for a compiled function, if that is what the op type is one of."""
    # Some of TensorFlow's Python wrappers pass an op type as bytes; these are no functions.
    found = _CALLED.match(kind) if isinstance(kind, str) else None
    return found["name"] if found else None


def definitions(name: str, known: dict[str, Any]) -> None:
    """Add the graph of a function, and of those that it calls, to `known`: some are gone as soon
    as they have run, such as what `vectorized_map` makes."""
    if name in known:
        return
    try:
        known[name] = context.context().get_function_def(name)
    except tf.errors.NotFoundError:
        return
    for node in known[name].node_def:
        for value in node.attr.values():
            for called in (value.func.name, *(f.name for f in value.list.func)):
                if called:
                    definitions(called, known)


class Opened:
    """The entries of one call: `log` in the recorder's own form, `values` by synthetic id."""

    def __init__(
        self,
        ids: count[int],
        arrays: Callable[[int], Array],
        functions: dict[str, Any],
        is_user_s: Callable[[str], bool],
    ) -> None:
        self.log: list[tuple[Any, ...]] = []
        self._functions, self._is_user_s = functions, is_user_s
        self.values: dict[int, Array] = {}
        self.places: dict[int, Place] = {}  # where a tensor was made, by synthetic id
        self.decided: list[int] = []  # the tensors whose truth chose a branch, or ended a loop
        self._ids, self._arrays = ids, arrays

    def call(self, kind: str, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        """Open the call that read `inputs` and made the tensors `outputs` (its first ones)."""
        results = self._run(kind, list(inputs), len(outputs))
        for result, made in zip(results, outputs):
            if isinstance(result, int):
                self.log.append(("Identity", [result], (), [made]))

    def value(self, key: int) -> Array:
        """What is known of a tensor, synthetic or recorded."""
        return self.values[key] if key in self.values else self._arrays(key)

    def _run(self, name: str, inputs: list[Held], wanted: int | None) -> list[Held]:
        """The ids of the first `wanted` outputs of a function (all, if None)."""
        definitions(name, self._functions)
        if name not in self._functions:
            raise NotOpened("its graph is gone")
        definition = self._functions[name]
        if any(node.op.startswith(_ASSIGNS) for node in definition.node_def):
            raise NotOpened("it assigns to a variable")
        arguments = {a.name: key for a, key in zip(definition.signature.input_arg, inputs)}
        nodes = {node.name: node for node in definition.node_def}
        frame = _Frame(self, nodes, arguments, _places(name, self._is_user_s))
        returned = [definition.ret[a.name] for a in definition.signature.output_arg]
        return [frame.get(reference) for reference in returned[:wanted]]

    def add(self, kind: str, inputs: Sequence[int], attributes: dict[str, Any]) -> list[int]:
        """One op, evaluated by its rule and entered."""
        row = rules.row(kind)
        if row is None:
            raise NotOpened(f"{kind} inside it has no rule")
        if len(self.log) > _MOST:
            raise NotOpened("it runs too many ops")
        with np.errstate(all="ignore"):
            results = row.apply([_exact(self.value(key)) for key in inputs], attributes)
        made = [self.constant(_typed(np.asarray(result), attributes)) for result in results]
        pairs = tuple(part for pair in attributes.items() for part in pair)
        self.log.append((kind, list(inputs), pairs, made))
        return made

    def constant(self, array: Array) -> int:
        """A value that no op made."""
        key = next(self._ids)
        self.values[key] = array
        return key

    def branch(self, node: Any, inputs: list[Held]) -> list[Held]:
        """The branch that was taken."""
        self.decided.append(_known(inputs[0]))
        chosen = int(bool(self.value(_known(inputs[0]))) if "If" in node.op else 0)
        if node.op == "Case" or node.op == "StatelessCase":
            names = [f.name for f in node.attr["branches"].list.func]
            index = int(self.value(_known(inputs[0])))
            name = names[index if 0 <= index < len(names) else -1]
        else:
            name = node.attr["then_branch" if chosen else "else_branch"].func.name
        return self._run(name, inputs[1:], None)

    def loop(self, node: Any, inputs: list[Held]) -> list[Held]:
        """The loop, unrolled as often as it ran."""
        state = inputs
        while True:
            goes_on = _known(self._run(node.attr["cond"].func.name, state, 1)[0])
            self.decided.append(goes_on)
            if not bool(self.value(goes_on)):
                return state
            state = self._run(node.attr["body"].func.name, state, None)


class _Frame:
    """One function body: evaluates what is asked for, once."""

    def __init__(
        self,
        opened: Opened,
        nodes: dict[str, Any],
        known: dict[str, Held],
        places: dict[str, Place],
    ) -> None:
        self._opened, self._nodes, self._places = opened, nodes, places
        self._arguments = known
        self._made: dict[str, list[Held]] = {}

    def get(self, reference: str) -> Held:
        """The id behind `node:output:index`; None for what is no tensor of numbers."""
        parts = reference.split(":")
        if parts[0] in self._arguments:
            return self._arguments[parts[0]]
        node = self._nodes[parts[0]]
        if parts[0] not in self._made:
            self._made[parts[0]] = self._evaluate(node)
        made = self._made[parts[0]]
        place = _offset(node, parts[1]) + int(parts[2]) if len(parts) == 3 else 0
        return made[place] if place < len(made) else None

    def _evaluate(self, node: Any) -> list[Held]:
        if node.op.startswith(_WITHOUT_NUMBERS):
            return [None] * 4
        if node.op.startswith("TensorList"):
            return [applied(node.op, self._opened, self._inputs(node)), None]
        if node.op == "Const":
            return [self._opened.constant(tensor_util.MakeNdarray(node.attr["value"].tensor))]
        inputs = self._inputs(node)
        if node.op in _CALLS:
            return self._opened._run(node.attr["f"].func.name, inputs, None)
        if node.op in ("If", "StatelessIf", "Case", "StatelessCase"):
            return self._opened.branch(node, inputs)
        if node.op in ("While", "StatelessWhile"):
            return self._opened.loop(node, inputs)
        if node.op in ("ReadVariableOp", "IdentityN"):  # IdentityN: of a custom gradient
            return inputs
        if node.op == "Identity" and not isinstance(inputs[0], int):
            return inputs  # a list passes
        attributes = {key: _plain(value) for key, value in node.attr.items() if key[0] != "_"}
        made = self._opened.add(node.op, [_known(key) for key in inputs], attributes)
        place = self._places.get(node.name) or self._places.get(_NUMBERED.sub("", node.name))
        if place is not None:
            self._opened.places.update(dict.fromkeys(made, place))
        return list(made)

    def _inputs(self, node: Any) -> list[Held]:
        return [self.get(name) for name in node.input if not name.startswith("^")]


@lru_cache(maxsize=256)  # a function may be called in every step of a loop
def _places(name: str, is_user_s: Callable[[str], bool]) -> dict[str, Place]:
    """Where a function's nodes were made, as its graph remembers; a function that is gone does
    not."""
    try:
        info = context.context().get_graph_debug_info(name)
    except Exception:  # noqa: BLE001 - private, and only lines are lost
        return {}
    found: dict[str, Place] = {}
    for node, trace in info.name_to_trace_id.items():
        for key in reversed(info.traces_by_id[trace].frame_id):  # the innermost first
            frame = info.frames_by_id[key]
            file = info.files[frame.file_index]
            if is_user_s(file):
                found[node] = file, frame.line, frame.func
                break
    return found


def _known(key: Held) -> int:
    if not isinstance(key, int):
        raise NotOpened("it keeps a list of tensors")
    return key


def _typed(array: Array, attributes: dict[str, Any]) -> Array:
    """What a cast to integers made, as integers: no slope gets through them."""
    target = tf.as_dtype(attributes["DstT"]) if "DstT" in attributes else tf.float64
    return array.astype(target.as_numpy_dtype) if target.is_integer else array


def _exact(array: Array) -> Array:
    return array.astype(np.float64) if array.dtype.kind in "fV" else array


def _offset(node: Any, output: str) -> int:
    """The position of an op's named output among all of them."""
    place = 0
    for argument in op_def_registry.get(node.op).output_arg:
        if argument.name == output:
            return place
        if argument.number_attr:
            place += node.attr[argument.number_attr].i
        elif argument.type_list_attr:
            place += len(node.attr[argument.type_list_attr].list.type)
        else:
            place += 1
    return place


def _plain(value: Any) -> Any:
    """An attribute as the op callback would give it."""
    field = value.WhichOneof("value")
    if field == "list":
        for part in ("i", "f", "b", "type", "s"):
            if getattr(value.list, part):
                return list(getattr(value.list, part))
        return []
    if field == "shape":
        return tf.TensorShape(value.shape)
    return getattr(value, field) if field else None
