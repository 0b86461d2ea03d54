"""tapemagic: `%%grad` shows the derivation of the derivative that TensorFlow computed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__version__ = "0.1.0"

# Imported on first use: loading the extension must cost neither TensorFlow nor SymPy.
_LAZY = {
    "Result": "tapemagic.result",
    "Derivative": "tapemagic.result",
    "differentiate": "tapemagic.scripts",
    "record": "tapemagic.scripts",
}
__all__ = [
    "Derivative",
    "Result",
    "__version__",
    "differentiate",
    "load_ipython_extension",
    "record",
    "unload_ipython_extension",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(ipython: InteractiveShell) -> None:
    """`%load_ext tapemagic`."""
    from .collector import no_full_rounds

    with no_full_rounds():
        from .magic import load

        load(ipython)


def unload_ipython_extension(ipython: InteractiveShell) -> None:
    """`%unload_ext tapemagic`."""
    from .magic import unload

    unload(ipython)
