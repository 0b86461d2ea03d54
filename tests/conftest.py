"""Fixtures: a fresh IPython shell per test, a real kernel, and a session that only takes notes."""

from __future__ import annotations

import atexit
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# How long an example takes depends on what else the machine does.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

from tapemagic.codes import line_number  # noqa: E402 - from this checkout


class NotingSession:
    """Stands in for `tapemagic.session.Session` where no TensorFlow is needed."""

    wants_reads = False
    shows_last = True
    replace: ClassVar[dict[str, object]] = {}
    note: str | None = None
    last_made: NotingSession

    def __init__(
        self, options: Any, namespace: dict[str, Any], cell: str, filename: str, progress: Any
    ) -> None:
        self.options, self.namespace, self.cell, self.filename = options, namespace, cell, filename
        self.events: list[str] = []
        self.bindings: list[tuple[str, object, int | None]] = []
        self.reads: list[str] = []
        self.last: Any = None
        NotingSession.last_made = self

    def __enter__(self) -> NotingSession:
        self.events.append("enter")
        return self

    def __exit__(self, kind: Any, error: Any, tb: Any) -> None:
        self.events.append("exit" if kind is None else f"exit {kind.__name__}")
        if error is not None and self.note is not None:
            error.__notes__ = [*getattr(error, "__notes__", []), self.note]

    def before(self) -> None:
        self.events.append("before")

    def bound(self, name: str, value: object, code: Any = None, offset: int = 0) -> object:
        own = code is not None and code.co_filename == self.filename
        self.bindings.append((name, value, line_number(code, offset) if own else None))
        return self.replace.get(name, value)

    def read(self, name: str) -> None:
        self.reads.append(name)

    def finish(self, last: Any) -> str:
        self.events.append("finish")
        self.last = last
        return "the result"

    def displays(self, last: Any) -> bool:
        return self.shows_last

    @property
    def names(self) -> list[str]:
        return [name for name, _, _ in self.bindings]


def plain_text(text: str) -> str:
    """Without colours, and without the names that IPython 7 gives to cells."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    text = re.sub(r" at 0x[0-9a-f]+", "", text)
    return re.sub(r"<ipython-input-(\d+)-\w+>", r"<cell \1>", text)


@pytest.fixture
def new_shell() -> Iterator[Callable[[], Any]]:
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    def make() -> Any:
        InteractiveShell.clear_instance()
        # Each history starts a thread, each shell collects garbage when Python ends: of hundreds
        # of shells that takes minutes.
        shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
        atexit.unregister(shell.atexit_operations)
        return shell

    hooks = sys.displayhook, sys.excepthook
    yield make
    InteractiveShell.clear_instance()
    sys.displayhook, sys.excepthook = hooks


@pytest.fixture
def noting(monkeypatch: pytest.MonkeyPatch) -> type[NotingSession]:
    """`%%grad` makes sessions of this class, one for the test alone."""
    import tapemagic.magic

    class Session(NotingSession):
        replace: ClassVar[dict[str, object]] = {}

    monkeypatch.setattr(tapemagic.magic, "make_session", Session)
    return Session


@pytest.fixture
def shell(new_shell: Callable[[], Any], noting: type[NotingSession]) -> Any:
    """A shell with the extension loaded."""
    made = new_shell()
    made.run_line_magic("load_ext", "tapemagic")
    return made


@pytest.fixture(scope="module")
def kernel() -> Iterator[Any]:
    """The client of a real kernel, run by this interpreter, with the extension loaded."""
    from jupyter_client.manager import KernelManager

    manager = KernelManager()
    manager.kernel_cmd = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager.start_kernel(env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"})
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)
