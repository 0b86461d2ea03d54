"""A limit to how long somebody's code may run, in whatever thread it runs."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _TooLong(BaseException):
    """Not an `Exception`: the code that is stopped may catch those."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raises `TimeoutError` where the block, Python code that does not end by itself (a loop at
    a point that it was not written for), takes longer."""
    thread, lock, done = threading.get_ident(), threading.Lock(), False
    ended = threading.Event()

    def stop() -> None:
        wait = seconds
        while not ended.wait(wait):
            with lock:
                if not done:
                    _raise_in(thread, _TooLong)
            wait = 0.2  # once more: a callback may have swallowed it

    threading.Thread(target=stop, daemon=True).start()
    try:
        yield
    except _TooLong:
        raise TimeoutError(f"it takes longer than {seconds:g} s") from None
    finally:
        with lock:
            done = True
            _raise_in(thread, None)  # what was on its way is called back
        ended.set()


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Between two of its bytecodes, that thread finds this raised."""
    what = ctypes.py_object(error) if error is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), what)
