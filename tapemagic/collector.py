"""Python's garbage collector, kept from its full rounds while an explanation is made.

With TensorFlow loaded one such round takes longer than a small derivation, and what we make is
freed without it.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_YOUNG = 10_000  # new objects after which the young ones are looked through
_NEVER = 2**30


@contextmanager
def no_full_rounds() -> Iterator[None]:
    """Inside, only young objects are looked through. For our own code, never around the user's."""
    before = gc.get_threshold()
    if before[0]:
        gc.set_threshold(max(before[0], _YOUNG), before[1], _NEVER)
    try:
        yield
    finally:
        gc.set_threshold(*before)
