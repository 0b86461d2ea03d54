"""How much memory there is, and how much a derivative with many entries would take."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

Shape = tuple[int, ...]
_RESERVE = 0.9  # of what is free: the rest of the notebook lives on


def available() -> int:
    """Bytes that this process can still take: the least of what the machine, its control group
    and the process's own limits leave. Very many where nothing is known."""
    return min(_limits(), default=2**62)


def _limits() -> Iterator[int]:
    with suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        yield next(int(line.split()[1]) * 1024 for line in lines if line[:12] == "MemAvailable")
    with suppress(ImportError, OSError, ValueError):
        import resource  # not on Windows

        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        if soft != resource.RLIM_INFINITY:
            yield max(0, soft - used)
    with suppress(OSError, ValueError):  # a container; "max" where it sets no limit
        group = Path("/sys/fs/cgroup")
        most, taken = (int((group / f"memory.{k}").read_text()) for k in ("max", "current"))
        yield max(0, most - taken)
    with suppress(AttributeError, OSError, ValueError):
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def entries(*shapes: Shape) -> int:
    """How many entries a tensor has whose shape is these in turn."""
    return int(np.prod([size for shape in shapes for size in shape], dtype=object))


def room() -> int:
    """Bytes that one work may take."""
    return int(_RESERVE * available())


def written(amount: int) -> str:
    """Bytes as a person writes them: 3.7 GiB."""
    size, unit = float(amount), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.3g} {unit}"
