"""Lists of tensors inside a graph: what `map_fn`, `scan`, a `TensorArray` write and read.

A list is a tuple of tensors' ids, None where nothing was written yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from tapemagic.trace import Array

Tensors = tuple[int | None, ...]
Held = int | Tensors | None  # None: what only the backward pass reads


class Ops(Protocol):
    """Where the ops on the entries are evaluated."""

    def add(self, kind: str, inputs: Sequence[int], attributes: dict[str, Any]) -> list[int]: ...

    def constant(self, array: Array) -> int: ...

    def value(self, key: int) -> Array: ...


def applied(kind: str, ops: Ops, inputs: Sequence[Held]) -> Held:
    """What an op on a list makes; None where the list is not known."""
    row = _OPS.get(kind)
    return row(ops, *inputs) if row is not None else None


def _reserve(ops: Ops, shape: int, size: int) -> Tensors:
    return (None,) * int(ops.value(size))


def _from_tensor(ops: Ops, tensor: int, shape: int) -> Tensors:
    rows = len(ops.value(tensor))
    return tuple(ops.add("Unpack", [tensor], {"axis": 0, "num": rows}))


def _length(ops: Ops, entries: Tensors | None) -> int | None:
    return None if entries is None else ops.constant(np.asarray(len(entries), dtype=np.int32))


def _get(ops: Ops, entries: Tensors | None, place: int, shape: int) -> int | None:
    return None if entries is None else entries[int(ops.value(place))]


def _set(ops: Ops, entries: Tensors | None, place: int, entry: int) -> Tensors | None:
    if entries is None:
        return None
    at = int(ops.value(place))
    # `resize_if_index_out_of_bounds`: a TensorArray of dynamic size.
    entries = entries + (None,) * (at + 1 - len(entries))
    return (*entries[:at], entry, *entries[at + 1 :])


def _stack(ops: Ops, entries: Tensors | None, shape: int) -> int | None:
    if not entries:
        return None
    written = next((ops.value(key) for key in entries if key is not None), None)
    if written is None:
        return None
    filled = [ops.constant(np.zeros_like(written)) if key is None else key for key in entries]
    return ops.add("Pack", filled, {"axis": 0, "N": len(filled)})[0]


# Those that only the backward pass reads (TensorListPushBack …) have no row.
_OPS: Mapping[str, Callable[..., Held]] = {
    "TensorListFromTensor": _from_tensor,
    "TensorListGetItem": _get,
    "TensorListLength": _length,
    "TensorListReserve": _reserve,
    "TensorListSetItem": _set,
    "TensorListStack": _stack,
}
