"""`%%grad` and `%grad`: a thin shell around options, running and the session."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import nullcontext
from traceback import extract_tb
from types import TracebackType
from typing import Any
from weakref import WeakKeyDictionary

from IPython.core.error import UsageError
from IPython.core.magic import no_var_expand

from . import completion, running
from .bar import Bar
from .collector import no_full_rounds
from .options import GradError, Options, parse, usage
from .progress import Terminal
from .running import Shell

NAMES = (("cell", "grad"), ("line", "grad"), ("line", "%grad"))


def make_session(*arguments: Any) -> Any:
    """A session; it imports TensorFlow, hence not before the first `%%grad` runs."""
    with no_full_rounds():
        from .session import Session

    return Session(*arguments)


def _grad_cell(shell: Shell, line: str, body: str) -> object:
    options, silenced = _read(line)
    if not body.strip():
        raise GradError("the cell under %%grad is empty: put the computation below that line")
    cell = _shown_as_plain(shell, None, lambda: running.prepare(shell, line, body))
    explored = None
    if options.explore is not None:
        from .exploring import Exploring

        explored = Exploring(shell, cell, options, body)
        options = explored.options
    progress = Bar() if getattr(shell, "kernel", None) is not None else Terminal()
    session = make_session(options, shell.user_ns, cell.text, cell.filename, progress)
    with session, explored or nullcontext():
        session.before()
        last = _shown_as_plain(shell, cell.filename, lambda: running.run(shell, cell, session))
        result = session.finish(last)
    if explored is not None:
        explored.attach(result, session)
    silenced = silenced or cell.silenced or options.quiet
    if last is not None and not silenced and session.displays(last):
        running.show(last.value)
    return None if silenced else result


def _grad_line(shell: Shell, line: str) -> object:
    options, silenced = _read(line)
    if options.explore is not None:
        raise GradError("--explore stands on top of a cell: %%grad x --explore")
    session = sys.modules.get(f"{__package__}.session")
    if session is None:
        raise GradError("%grad asks a tape that was kept: run a cell under %%grad -p first")
    result = session.again(options, shell.user_ns)
    return None if silenced or options.quiet else result


def _read(line: str) -> tuple[Options, bool]:
    """The options, and whether a semicolon ends the line, as it may to silence `%grad x;`."""
    text = line.rstrip()
    return parse(text.rstrip(";")), text.endswith(";")


def _misplaced(line: str) -> None:
    raise UsageError("%%grad must be the first line of its cell (comments go below it)")


# -- errors of the body, shown as a plain cell shows them --


def _shown_as_plain(shell: Shell, filename: str | None, action: Callable[[], Any]) -> Any:
    try:
        return action()
    except GradError:
        raise
    except BaseException as error:
        ran = _reached(error.__traceback__, filename)
        try:
            if getattr(error, "_render_traceback_", None) is None:
                error._render_traceback_ = _Rendering(shell, error)  # type: ignore[attr-defined]
            asked = ran and not isinstance(error, SyntaxError) and not _has_group(error)
        except Exception:  # noqa: BLE001 - a class of the user's may refuse new attributes
            asked = False
        if not asked:
            _show_once(shell, error, ran)
        raise


class _Rendering:
    """IPython asks an exception for this before it renders by itself, later on for `%tb` too."""

    def __init__(self, shell: Shell, error: BaseException) -> None:
        self.shell, self.error = shell, error

    def __call__(self) -> list[str]:
        error, tb = self.error, _cleaned(self.error)
        shown: list[str] = self.shell.InteractiveTB.structured_traceback(type(error), error, tb)
        # The line of the magic is registered as a comment.
        return _with_notes([part.replace("# %%grad", "%%grad") for part in shown], error)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(None), ()  # the exception must still pickle


def _show_once(shell: Shell, error: BaseException, ran: bool) -> None:
    """IPython asks neither syntax errors nor exception groups: stand in for it this one time."""
    original = shell.showtraceback

    def showtraceback(exc_tuple: Any = None, *args: Any, **kwargs: Any) -> None:
        restore()
        if shell._get_exc_info(exc_tuple)[1] is not error:
            original(exc_tuple, *args, **kwargs)
        elif not ran and isinstance(error, IndentationError):
            shell.showindentationerror()
        elif not ran:
            shell.showsyntaxerror()
        else:
            tb = _cleaned(error)
            if isinstance(error, SyntaxError):
                # As `showsyntaxerror` does, which would look for the frames by itself.
                stb = shell.SyntaxTB.structured_traceback(type(error), error, extract_tb(tb))
                shell._showtraceback(type(error), error, _with_notes(stb, error))
            else:
                original((type(error), error, tb), *args, **kwargs)

    def restore(*_: object) -> None:
        if shell.__dict__.get("showtraceback") is showtraceback:
            del shell.__dict__["showtraceback"]
            shell.events.unregister("post_run_cell", restore)

    shell.__dict__["showtraceback"] = showtraceback
    shell.events.register("post_run_cell", restore)


def _with_notes(shown: list[str], error: BaseException) -> list[str]:
    """IPython 7 knows no notes."""
    notes = [str(note) for note in getattr(error, "__notes__", None) or ()]
    text = "\n".join(shown)
    return shown + [note for note in notes if note not in text]


def _cleaned(error: BaseException) -> TracebackType | None:
    """The user's traceback, from now on also the error's own: debuggers read it there."""
    tb = _without_magic(error.__traceback__)
    BaseException.with_traceback(error, tb)
    if getattr(sys, "last_value", None) is error:
        sys.last_traceback = tb
    return tb


def _without_magic(tb: TracebackType | None) -> TracebackType | None:
    """The traceback without the call of `%%grad`: the cell's own frame follows IPython's."""
    own = os.path.join(os.path.dirname(__file__), "")
    hidden = (own, os.path.dirname(asyncio.__file__))
    entries: list[TracebackType] = []
    inside = False
    while tb is not None:
        path = tb.tb_frame.f_code.co_filename
        if path == __file__ and not inside:
            _drop_call(entries)
            inside = True
        elif not (inside and path.startswith(hidden)):
            inside = False
            if not path.startswith(own):  # the tape that `--tape` gives raises on its own
                entries.append(tb)
        tb = tb.tb_next
    kept: TracebackType | None = None
    for entry in reversed(entries):
        kept = TracebackType(kept, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return kept


def _drop_call(entries: list[TracebackType]) -> None:
    """Drop `run_cell_magic`, what it called, and the generated line that called it."""
    names = [entry.tb_frame.f_code.co_name for entry in entries]
    if "run_cell_magic" in names:
        last = len(names) - 1 - names[::-1].index("run_cell_magic")
        del entries[max(last - 1, 0) :]


def _reached(tb: TracebackType | None, filename: str | None) -> bool:
    """Did the body run, or did it fail to compile?"""
    while tb is not None and tb.tb_frame.f_code.co_filename != filename:
        tb = tb.tb_next
    return tb is not None


def _has_group(error: BaseException | None) -> bool:
    """Where one is in the chain, IPython leaves the printing to Python."""
    while error is not None:
        if any(base.__name__ == "BaseExceptionGroup" for base in type(error).__mro__):
            return True
        error = error.__context__
    return False


# -- loading and unloading --

_loaded: WeakKeyDictionary[Shell, dict[tuple[str, str], Any]] = WeakKeyDictionary()


def load(shell: Shell) -> None:
    """Register the magics and the completer; a second time changes nothing."""
    if shell in _loaded:
        return
    magics = shell.magics_manager.magics
    _loaded[shell] = {key: magics[key[0]].get(key[1]) for key in NAMES}
    ask = _magic(shell)
    shell.register_magic_function(ask, "line_cell", "grad")
    # In the middle of a cell IPython reads `%%grad` as a line magic of this name.
    shell.register_magic_function(_misplaced, "line", "%grad")
    completion.load(shell)


def unload(shell: Shell) -> None:
    """Leave the shell as it was before."""
    for (kind, name), before in _loaded.pop(shell, {}).items():
        magics = shell.magics_manager.magics[kind]
        magics.pop(name, None)
        if before is not None:
            magics[name] = before
    completion.unload(shell)


def _magic(shell: Shell) -> Callable[..., object]:
    def grad(line: str, cell: str | None = None) -> object:
        try:
            return _grad_line(shell, line) if cell is None else _grad_cell(shell, line, cell)
        except GradError as error:
            # A subclass of UsageError would be shown with its traceback.
            raise UsageError(" ".join(str(error).split())) from None

    grad.__doc__ = usage()
    marked: Callable[..., object] = no_var_expand(grad)
    return marked
