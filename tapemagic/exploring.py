"""`--explore` on a cell: the explorer is made when the cell has run, and linked to the kernel."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

from tapemagic.deriving import Explained, keeping
from tapemagic.explorer import ranges
from tapemagic.explorer.opening import view
from tapemagic.explorer.program import NotExplorable
from tapemagic.explorer.purity import effect
from tapemagic.explorer.view import View
from tapemagic.intent import asks_a_tape
from tapemagic.keys import is_plain_name
from tapemagic.options import GradError, OptionError, Options
from tapemagic.result import Result
from tapemagic.running import Cell, Shell
from tapemagic.session import Session

_HISTORY = re.compile(r"_+|_+i*|_i?\d+|_[iod]h")


class Exploring:
    """Around the run of one cell: what is explained in it is kept until the explorer is made."""

    def __init__(self, shell: Shell, cell: Cell, options: Options, body: str) -> None:
        for name, text in options.explore or ():
            if not ranges.is_range(text):
                raise OptionError(f"--explore {name}={text}: {ranges.UNREADABLE}")
        if options.explore and not options.wrt and not asks_a_tape(body, shell.user_ns):
            # The names of the ranges are names to differentiate by.
            options = replace(options, wrt=tuple(name for name, _ in options.explore))
        self.options, self._shell, self._cell = options, shell, cell
        self._before = {k: v for k, v in shell.user_ns.items() if not _is_history(k, v)}
        self._explained: list[Explained] = []
        self._stack = ExitStack()

    def __enter__(self) -> None:
        self._explained = self._stack.enter_context(keeping())

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def attach(self, result: Result, session: Session) -> None:
        """Give the result its explorer, or a note why there is none."""
        from tapemagic.rerunning import Rerun

        names = frozenset(name for name in self.options.wrt if session.is_old(name))
        again = Rerun(self._shell, self._cell, self.options, self._needed(), names)
        try:
            result.view = view(result, self._explained, self.options, again, self._harm())
        except NotExplorable as reason:
            result.notes = (*result.notes, f"no sliders: {reason}")
        except GradError:
            raise
        except Exception as error:  # noqa: BLE001 - an error of ours must not cost the values
            words = f"no sliders: tapemagic failed ({type(error).__name__}: {error})"
            result.notes = (*result.notes, words)
        finally:
            self._explained, self._before = [], {}
        if result.view is not None:
            self._link(result.view)

    def _needed(self) -> dict[str, Any]:
        """Of the namespace as it was, what another run can look up: the rest is free to go."""
        options = self.options
        texts = (*options.wrt, *options.of, *options.at.values(), options.seed or "")
        trees = [self._cell.tree, *(ast.parse(text) for text in texts)]
        used = {node.id for t in trees for node in ast.walk(t) if isinstance(node, ast.Name)}
        known = {*used, "__builtins__", "__name__"}
        return {name: value for name, value in self._before.items() if name in known}

    def _harm(self) -> str:
        """Why the cell is not to run again; "" if it may."""
        options = self.options
        if not options.wrt or not all(map(is_plain_name, options.wrt)):
            return "the sources have no names of their own in it"
        if options.tape or options.persistent:
            return "it keeps its tape"
        return effect(self._cell.tree, self._before)

    def _link(self, view: View) -> None:
        """In a kernel, the page gets its end of the wire; the earlier run of the cell loses its."""
        loop = getattr(getattr(self._shell, "kernel", None), "io_loop", None)
        # Idle is when the loop gets its turn: comm messages may come while a cell runs.
        soon = _at_once if loop is None else loop.add_callback
        view.opener = partial(_opened, _place(self._shell) or self._cell.text, soon)
        if loop is not None:
            _once(self._shell, lambda: view.widget)  # the page waits for it


def _once(shell: Shell, action: Callable[[], Any]) -> None:
    """When the cell is over: what it shows is on its way by then."""

    def act() -> None:
        shell.events.unregister("post_execute", act)
        action()

    shell.events.register("post_execute", act)  # post_run_cell is not heard of a silent cell


def _is_history(name: str, value: Any) -> bool:
    """What holds on to earlier results: a chain of them would never end."""
    return isinstance(value, Result) or name in ("In", "Out") or bool(_HISTORY.fullmatch(name))


def _opened(place: str, soon: Callable[[Callable[[], None]], None], view: View) -> Any:
    from tapemagic.explorer.widget import opened

    return opened(view, place, soon)


def _at_once(action: Callable[[], None]) -> None:
    action()


def _place(shell: Shell) -> str:
    """Which cell of the notebook runs, as the front end names it."""
    try:
        return str(shell.parent_header.get("metadata", {}).get("cellId") or "")
    except AttributeError:
        return ""
