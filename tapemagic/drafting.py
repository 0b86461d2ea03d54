"""Several changes to a file, one after the other, as one fix: each sees what those before it made,
and the lines that they moved are found again."""

from __future__ import annotations

import difflib
import itertools
import linecache
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tapemagic import origins
from tapemagic.rewriting import Fix, Source

_numbers = itertools.count()


@dataclass(frozen=True)
class Step:
    """`make` gets the file and these line numbers, wherever the lines are by then."""

    numbers: tuple[int, ...]
    make: Callable[..., Fix | None]


def in_turn(file: str, steps: Sequence[Step]) -> Fix | None:
    """All steps as one fix. None if there is nothing to change, or if a step fails whose line no
    other has changed."""
    before = Source(file).lines
    lines, where = list(before), {n: n for step in steps for n in step.numbers}
    changed: set[int] = set()
    drafts: list[str] = []
    try:
        for step in steps:
            source = _draft(file, lines, drafts)
            numbers = [where[n] for n in step.numbers]
            fix = step.make(source, *numbers) if all(numbers) else None
            if fix is None or not source.still_parses(fix):
                if step.numbers[0] in changed:
                    continue
                return None
            after = [*lines[: fix.first - 1], *fix.code.split("\n"), *lines[fix.last :]]
            changed |= {n for n, now in where.items() if fix.first <= now <= fix.last}
            where = {n: _moved(lines, after, now) for n, now in where.items()}
            lines = after
    finally:
        for name in drafts:
            linecache.cache.pop(name, None)
    return _difference(file, before, lines)


def _draft(file: str, lines: Sequence[str], drafts: list[str]) -> Source:
    """The file as it is by now, under a name of its own."""
    name = origins.draft(file, next(_numbers))
    drafts.append(name)
    text = [f"{line}\n" for line in lines]
    linecache.cache[name] = (sum(map(len, text)), None, text, name)
    return Source(name)


def _moved(before: Sequence[str], after: Sequence[str], number: int) -> int:
    """Where a line is now (0: gone)."""
    if not number:
        return 0
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for tag, start, end, other, last in matcher.get_opcodes():
        if start < number <= end:
            if tag == "equal" or (tag == "replace" and end - start == last - other):
                return other + number - start
            same = [i for i, line in enumerate(after) if line.strip() == before[number - 1].strip()]
            if len(same) == 1:
                return same[0] + 1
            return other + 1 if tag == "replace" else 0
    return 0


def _difference(file: str, before: Sequence[str], after: Sequence[str]) -> Fix | None:
    """The statements from the first line that differs to the last one."""
    if list(before) == list(after):
        return None
    most = min(len(before), len(after))
    top = next((i for i in range(most) if before[i] != after[i]), most)
    most -= top
    bottom = next((i for i in range(most) if before[-1 - i] != after[-1 - i]), most)
    first, last = top + 1, len(before) - bottom
    if first > last or top == len(after) - bottom:  # lines only put in, or only taken out
        first = max(first - 1, 1)
        last = max(last, first)
    source = Source(file)
    spans = [source.span(node) for n in (first, last) if (node := source.statement(n)) is not None]
    first = min([first, *(span[0] for span in spans)])
    last = max([last, *(span[1] for span in spans if span[0] <= last)])
    return Fix("\n".join(after[first - 1 : len(after) - (len(before) - last)]), first, last)
