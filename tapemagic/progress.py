"""How far something long has come."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_AWAITED = 0.5  # seconds: what is done by then is not spoken of


class Progress:
    """Who is told; this one tells nobody."""

    def show(self, text: str, share: float) -> None:
        """What is going on, and how much of it is done, from 0 to 1."""

    def wipe(self) -> None:
        """It is over: nothing is to remain."""


class Terminal(Progress):
    """One line on a terminal."""

    def __init__(self) -> None:
        self._width = 0

    def show(self, text: str, share: float) -> None:
        if sys.stderr.isatty():
            line = f"{text}: {share:.0%}"
            self._write(line.ljust(self._width))
            self._width = len(line)

    def wipe(self) -> None:
        if self._width:
            self._write(" " * self._width)
            self._write("")
            self._width = 0

    def _write(self, line: str) -> None:
        sys.stderr.write(f"\r{line}")
        sys.stderr.flush()


@contextmanager
def told(progress: Progress, text: str, steps: int, long: bool) -> Iterator[Callable[[], None]]:
    """Around a work of so many steps: what it gives is called after each of them. What is known
    to be `long` is announced at once, all else when it turns out to be."""
    began, done = time.monotonic(), 0

    def step() -> None:
        nonlocal done
        done += 1
        if long or (done < steps and time.monotonic() - began > _AWAITED):
            progress.show(text, min(1.0, done / steps))  # some work is begun anew

    try:
        if long:
            progress.show(text, 0.0)
        yield step
    finally:
        progress.wipe()
