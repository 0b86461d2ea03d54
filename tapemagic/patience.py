"""A limit to how long Python code may run that does not end by itself."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class TooLong(BaseException):
    """Time is up. No `Exception`: SymPy, and the code of others, catches those inside."""


def within(seconds: float, work: Callable[[], T], again: float = 0.02) -> T:
    """work(), or `TooLong`, raised in this thread by a watching one.

    It is raised `again` and again (seconds), for a generator that is just being closed swallows
    it; and none may arrive late, in somebody else's code, hence the lock and the loop at the end.
    """
    thread, lock, done = threading.get_ident(), threading.Lock(), threading.Event()
    over: list[bool] = []

    def watch() -> None:
        done.wait(seconds)
        while not over:
            with lock:
                if not over:
                    _raise_in(thread)
            done.wait(again)

    hook = sys.unraisablehook
    sys.unraisablehook = lambda event: None if event.exc_type is TooLong else hook(event)
    try:  # on a busy machine time may be up before `start` returns
        threading.Thread(target=watch, daemon=True).start()
        return work()
    finally:
        over.append(True)  # one call in C: whatever comes in here, the watcher ends
        try:
            _calm(lock, done)
        finally:
            sys.unraisablehook = hook


def _calm(lock: threading.Lock, done: threading.Event) -> None:
    """Wait until nothing more is under way to this thread."""
    while True:
        try:
            with lock:
                done.set()
            # One that is still under way comes at the next jump back. Taking it back instead
            # leaves Python 3.11 with a flag that hangs it under a profiler.
            for _ in range(100):
                pass
            return
        except TooLong:
            continue


def _raise_in(thread: int) -> None:
    """Raise `TooLong` in another thread between two bytecodes."""
    what = ctypes.py_object(TooLong)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), what)
