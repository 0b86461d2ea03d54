"""Tab, in the completer and through a real kernel."""

from __future__ import annotations

from typing import Any

import pytest
from IPython.core.completer import provisionalcompleter

from tapemagic.completion import bound_in, candidates

BODY = "\nyab = 3\nfor kk in range(3):\n    q, r = 1, 2"


class Layer:
    kernel = 1
    bias = 2
    _hidden = 3


NAMES = {"layer": Layer(), "xx": 3.0, "_z": 1, "function": bound_in, "module": pytest}


@pytest.mark.parametrize(
    ("line", "column", "found"),
    [
        ("%%grad --or", 7, ["--order"]),
        ("%grad --or", 6, ["--order"]),
        ("%%grad x --he", 9, ["--hessian"]),
        ("%%grad --steps ", 15, ["result", "chain", "full"]),
        ("%%grad --steps=ch", 15, ["chain"]),
        ("%%grad --notation m", 18, ["matrix"]),
        ("%%grad ya", 7, ["yab"]),
        ("%%grad xx, ya", 11, ["yab"]),
        ("%%grad [xx, ya", 12, ["yab"]),
        ("%%grad xx --of k", 15, ["kk"]),
        ("%%grad --of=fu", 12, ["function"]),
        ("%%grad fu", 7, []),
        ("%%grad mo", 7, []),
        ("%%grad layer.", 7, ["layer.bias", "layer.kernel"]),
        ("%%grad --seed layer.k", 14, ["layer.kernel"]),
        ("%%grad layer._hid", 7, ["layer._hidden"]),
        ("%%grad --at x", 12, ["xx"]),
        ('%%grad --of "yab + l', 19, ["layer"]),
        ("%%grad params['x", 16, []),
        ("%%grad nothing.here", 7, []),
        ("%%grad layer[0].x", 17, []),
        ("%%grad --of 1x", 14, []),
        ("%%grad -n ", 10, []),
        ("%%gradient --or", 15, []),
        ("%%grad", 6, []),
        ("xx --or", 7, []),
    ],
)
def test_candidates(line: str, column: int, found: list[str]) -> None:
    assert candidates(line, BODY, NAMES) == (column, found)


def test_an_empty_word_offers_names_first_and_then_options() -> None:
    column, found = candidates("%%grad ", BODY, NAMES)
    assert column == 7
    assert found[:6] == ["yab", "kk", "q", "r", "layer", "xx"]
    assert "--of" in found
    assert "_z" not in found


def test_names_of_a_cell_that_is_no_python_yet() -> None:
    assert bound_in("a = 1\nb, c = 2, 3\nwith open(f) as d:\n  e: float = 1\nf(") == list("abcde")
    assert bound_in("%time a = 1\ndef f(p):\n  inner = 1\nb = 2")[-1] == "b"
    assert bound_in("def f(p):\n  inner = 1\nb = 2") == ["b", "f"]


def _completed(shell: Any, text: str, offset: int | None = None) -> list[tuple[int, int, str]]:
    end = len(text) if offset is None else offset
    with provisionalcompleter():
        return [(c.start, c.end, c.text) for c in shell.Completer.completions(text, end)]


@pytest.mark.parametrize("jedi", [True, False])
def test_the_shell_completes_our_lines_alone(shell: Any, jedi: bool) -> None:
    shell.Completer.use_jedi = jedi
    shell.run_cell("class L: kernel = 1\nlayer = L()")
    assert _completed(shell, "%%grad --or") == [(7, 11, "--order")]
    assert _completed(shell, "x\n%grad --or") == [(8, 12, "--order")]
    assert _completed(shell, "\n%%grad --or") == [(8, 12, "--order")]
    assert _completed(shell, "%%grad ya" + BODY, 9) == [(7, 9, "yab")]
    assert _completed(shell, "%%grad layer.ke") == [(7, 15, "layer.kernel")]
    assert _completed(shell, "%%grad --steps=ch") == [(15, 17, "chain")]
    start, end, found = _completed(shell, "%%grad --of 3-lay")[0]  # IPython 7 splits elsewhere
    assert "%%grad --of 3-lay"[:start] + found == "%%grad --of 3-layer"
    assert end == 17
    ours = {"--order", "--of"}
    for text in ("%%time --or", "x\n%%grad --or", "%%grad x\n--or", "a = --o"):
        assert not ours & {found for _, _, found in _completed(shell, text)}
    assert shell.complete(None, "%%grad --or", 11) == ("--or", ["--order"])


def test_unloading_removes_it(shell: Any) -> None:
    shell.run_line_magic("reload_ext", "tapemagic")
    assert _completed(shell, "%%grad --or") == [(7, 11, "--order")]
    shell.run_line_magic("unload_ext", "tapemagic")
    assert "--order" not in [text for _, _, text in _completed(shell, "%%grad --or")]


def test_the_kernel_completes(kernel: Any) -> None:
    kernel.execute_interactive("%load_ext tapemagic\nxlong = 1", timeout=30)
    for code, cursor, start, found in [
        ("%%grad --or", 11, 7, "--order"),
        ("%%grad --notation com\nx = 1", 21, 18, "components"),
        ("%%grad xl\nxlonger = 1", 9, 7, "xlonger"),
        ("a = 1\n%grad xlo", 15, 12, "xlong"),
    ]:
        reply = kernel.complete(code, cursor, reply=True, timeout=30)["content"]
        assert found in reply["matches"]
        assert (reply["cursor_start"], reply["cursor_end"]) == (start, cursor)
