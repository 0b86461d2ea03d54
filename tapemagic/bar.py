"""In a notebook, a bar under the cell while something long is computed."""

from __future__ import annotations

import html
from typing import Any

from IPython.display import DisplayHandle

from .progress import Progress


class Bar(Progress):
    """An output of its own, which is empty afterwards: a front end keeps its place."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, text: str, share: float) -> None:
        words = f"{text}: {share:.0%}"
        self._put(
            {
                "text/plain": words,
                "text/html": f'<label><progress value="{share:.3f}"></progress> '
                f"{html.escape(words)}</label>",
            }
        )

    def wipe(self) -> None:
        if self._handle is not None:
            self._put({"text/plain": "", "text/html": ""})
            self._handle = None

    def _put(self, data: dict[str, str]) -> None:
        if self._handle is None:
            self._handle = DisplayHandle()  # type: ignore[no-untyped-call]
            self._handle.display(data, raw=True)
        else:
            self._handle.update(data, raw=True)
