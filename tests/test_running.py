"""The body runs once, as if the magic were not there: same names, output, value, error."""

from __future__ import annotations

import contextlib
import pickle
import re
import sys
from collections.abc import Callable
from typing import Any

import pytest
from conftest import NotingSession, plain_text

# One plain line in the place of the magic's, so that line numbers and context agree.
PLAIN, MAGIC = "# the grad line", "%%grad x"

Outcome = tuple[dict[str, Any], str, str, str]
Compare = Callable[..., tuple[Outcome, Outcome]]


@pytest.fixture
def compare(new_shell: Any, noting: Any, capsys: pytest.CaptureFixture[str]) -> Compare:
    """Run a body under a plain line and under `%%grad x`, each in a shell of its own."""

    def run(body: str, head: str, setup: str) -> Outcome:
        shell = new_shell()
        shell.run_line_magic("load_ext", "tapemagic")
        if setup:
            shell.run_cell(setup)
        before = set(shell.user_ns)
        capsys.readouterr()
        done = shell.run_cell(f"{head}\n{body}", store_history=True)
        out, err = capsys.readouterr()
        new = {
            name: repr(value).split(" at 0x")[0]
            for name, value in shell.user_ns.items()
            if name not in before and not name.startswith("_i") and name not in ("_", "_1")
        }
        error = type(done.error_in_exec or done.error_before_exec).__name__
        shown = plain_text(out).replace(MAGIC, PLAIN).replace("Out[1]: 'the result'\n", "")
        return new, shown.replace("Out[1]: ", ""), plain_text(err), error

    def both(body: str, setup: str = "") -> tuple[Outcome, Outcome]:
        return run(body, PLAIN, setup), run(body, MAGIC, setup)

    return both


BODIES = {
    "assignments": "a = 1\nb = c = a + 1\n(d, *e), f = (1, 2, 3), 4\na += 5",
    "loops": "for i in range(3):\n    s = i\nelse:\n    t = 1\nwhile s > 0: s -= 1",
    "with and try": (
        "import contextlib\nwith contextlib.nullcontext(3) as n: m = n\n"
        "try: 1/0\nexcept ZeroDivisionError as error: seen = str(error)"
    ),
    "walrus": "if (n := 10) > 5: pass\nys = [last := y for y in range(3)]",
    "del": "a = 1\nb = 2\ndel a\nprint('a' in globals())",
    "import": "import math as m\nfrom math import pi, sin as sine\nfrom string import *",
    "def and class": (
        "class A:\n    x = 1\n    def f(self): return self.x\ndef g(): return A().f()\ng()"
    ),
    "comprehension": "k = 2\nsq = [i * k for i in range(3)]\nd = {i: k for i in sq if i != k}",
    "annotation": "x: float = 1.\ny: int\nz: 'undefined' = 2\n__annotations__",
    "global": "def f():\n    global made\n    made = 3\nf()\nmade + 1",
    "locals": (
        "q = 1\nlocals()['r'] = 2\n"
        "print(locals() is globals(), vars() is globals(), 'q' in dir())\n"
        "exec('s = q + r')\nexec('t = 4', globals())\nexec('u = 5', locals())\neval('s + t')"
    ),
    "format": "v = 3\nprint('{v}'.format(**locals()), f'{v}', '%(v)s' % vars())",
    "dataclass": (
        "from dataclasses import dataclass\nimport pickle\n@dataclass\nclass P:\n    x: int = 1\n"
        "def f(): return P\nf()(3), P.__module__"
    ),
    "builtins": "n = len(sorted(set('abca')))\nprint(n)\nmax(n, 2)",
    "shadowed builtin": "len = lambda x: 42\nlen([])",
    "output": "print('a')\nimport sys\nprint('b', file=sys.stderr)\n'value'",
    "none": "print(1)\nNone",
    "silenced": "z = 3\nz;",
    "silenced, comment": "z = 3\nz ; # comment",
    "two on a line": "z = 3; z",
    "line magic": "import time\n%xmode Plain\n3",
    "magic's value": "a = 1\nr = %env HOME\nget_ipython().ev('a + 1')",
    "shell": "files = !echo hi\nfiles[0]\n!echo there",
    "future": "from __future__ import annotations\ndef f(a: b): ...\nf.__annotations__",
    "await": (
        "import asyncio\nasync def f():\n    await asyncio.sleep(0)\n    return 3\nv = await f()\nv"
    ),
    "lambda closure": "k = 3\nh = lambda: k\nk = 4\nh()",
    "blank lines": "\n\n\na = 1\n\na",
    "timeit": "z = 1\n%timeit -n1 -r1 -q z",
    "time": "%time q = 7\nq",
    "multiline": "v = [1,\n     2]\nv[\n0]",
    "help-like string": "s = '''\n%%grad x\n!ls\n'''\ns",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_like_the_plain_cell(compare: Compare, body: str) -> None:
    plain, magic = compare(body)
    if "%time q" in body:
        plain, magic = (plain[0], plain[3]), (magic[0], magic[3])  # type: ignore[assignment]
    assert magic == plain


ERRORS = {
    "first line": "1/0",
    "in a function": "def f(n):\n    return 1 / n\n\nf(0)",
    "after output": "print('before')\nundefined_name",
    "last expression": "a = 1\na.missing",
    "key": "{}['x']",
    "raised from": "try:\n    1/0\nexcept ZeroDivisionError as e:\n    raise KeyError('k') from e",
    "while handling": "try:\n    1/0\nexcept ZeroDivisionError:\n    [][3]",
    "in a library": "import json\njson.loads('{')",
    "in asyncio": "import asyncio\nasyncio.run(3)",
    "in a class": "class A:\n    x = undefined_name",
    "in a comprehension": "[1 / k for k in (1, 0)]",
    "in del": "del nothing_here",
    "syntax": "x = = 3",
    "syntax further down": "print(1)\n\nfor i in range(3) print(i)",
    "unclosed": "x = (1,\ny = 2",
    "indentation": "x = 1\n    y = 2",
    "return": "print(1)\nreturn 3",
    "syntax at run time": "eval('1 +')",
    "syntax in a function": "def f():\n    exec('x = = 3')\nf()",
    "exit": "import sys\nsys.exit(3)",
    "interrupt": "raise KeyboardInterrupt",
    "bare exception": "raise BaseException('b')",
    "group": "raise ExceptionGroup('g', [ValueError(1)])",
    "assert": "a = 3\nassert a == 4, 'not four'",
    "blank lines": "\n\n\n1/0",
    "magic not there": "%nosuchmagic 3",
    "await": "async def f(): 1/0\nawait f()",
    "own rendering": (
        "class E(Exception):\n    def _render_traceback_(self): return ['mine']\nraise E('e')"
    ),
    "own slots": (
        "class E(Exception):\n    def __setattr__(self, *a): raise TypeError\nraise E('e')"
    ),
}
MODES = [(mode, name) for mode in ("Context", "Plain", "Minimal", "Verbose") for name in ERRORS]


@pytest.mark.filterwarnings("ignore:To exit")
@pytest.mark.parametrize(("mode", "name"), MODES)
def test_errors_like_the_plain_cell(compare: Compare, mode: str, name: str) -> None:
    plain, magic = compare(ERRORS[name], f"%xmode {mode}")
    assert magic == plain
    assert plain[3] != "NoneType"
    assert "tapemagic" not in magic[1] + magic[2]


def test_a_planted_difference_is_seen(compare: Compare, noting: type[NotingSession]) -> None:
    noting.replace["a"] = 2
    plain, magic = compare("a = 1\na")
    assert magic != plain


# -- what the session hears --


def _made() -> NotingSession:
    return NotingSession.last_made


def test_every_top_level_binding_is_told_with_its_line(shell: Any) -> None:
    shell.run_cell("%%grad\n\nx = 1\nfor i in (7, 8):\n    x = x + i\n(y, z) = 2, 3\ny += 1\n"
                   "if (w := 5): pass\ndef f(): pass\nimport math\nx")  # fmt: skip
    told = [(name, line) for name, _, line in _made().bindings]
    assert told == [("x", 3), ("i", 4), ("x", 5), ("i", 4), ("x", 5), ("y", 6), ("z", 6), ("y", 7),
                    ("w", 8), ("f", 9), ("math", 10)]  # fmt: skip
    assert _made().events == ["enter", "before", "finish", "exit"]
    assert (_made().last.source, _made().last.value, _made().last.silenced) == ("x", 16, False)


def test_lines_count_from_the_top_of_the_visible_cell(shell: Any) -> None:
    shell.run_cell("\n\n%%grad\n\n\nx = 1")
    assert _made().bindings == [("x", 1, 6)]
    assert _made().cell == "\n\n%%grad\n\n\nx = 1"
    shell.run_cell("%%time\n%%grad\nx = 1")
    assert _made().bindings == [("x", 1, 3)]
    shell.run_cell_magic("grad", "x", "x = 1\n")
    assert _made().bindings == [("x", 1, 2)]
    assert _made().cell == "%%grad x\nx = 1\n"


def test_bindings_past_the_namespace_are_told_before_the_end(shell: Any) -> None:
    shell.run_cell("old = 0\nsame = 1")
    shell.run_cell("%%grad\ndef f():\n    global a, old\n    a = 1; old = 5\nf()\n"
                   "globals()['b'] = 2\n[c := i for i in range(4)]\n"
                   "get_ipython().run_cell_magic('capture', '', 'd = 4')")  # fmt: skip
    assert _made().names[0] == "f"
    assert sorted(_made().names[1:]) == ["a", "b", "c", "d", "old"]


def test_the_session_may_bind_another_value(shell: Any, noting: type[NotingSession]) -> None:
    noting.replace["x"] = 10
    shell.run_cell("%%grad\nx = 1\ny = x + 1")
    assert (shell.user_ns["x"], shell.user_ns["y"]) == (10, 11)


def test_reads_are_told_only_when_wanted(shell: Any, noting: type[NotingSession]) -> None:
    shell.run_cell("a = 1")
    shell.run_cell("%%grad\nb = a + len('x')\nb")
    assert _made().reads == []
    noting.wants_reads = True
    shell.run_cell("%%grad\nb = a + len('x')\nlocals()\nb")
    assert _made().reads == ["a", "b"]


def test_values_that_the_cell_drops_are_free_to_go(shell: Any) -> None:
    NotingSession.bound, kept = (lambda self, name, value, *place: value), NotingSession.bound
    try:
        done = shell.run_cell("%%grad\nimport weakref\nclass A: pass\na = A()\nr = weakref.ref(a)\n"
                              "a = A()\ngone = r() is None")  # fmt: skip
    finally:
        NotingSession.bound = kept  # type: ignore[method-assign]
    assert done.success
    assert shell.user_ns["gone"]


@pytest.mark.parametrize(
    ("body", "source"),
    [
        ("a = 1\na  +  1  # c", "a  +  1"),
        ("(2)", "2"),
        ("f = max\nf(1,\n  2)", "f(1,\n  2)"),
        ("%time 3", "%time 3"),
        ("'é', 'ü'", "'é', 'ü'"),
        ("1;", "1"),
        ("   4", "4"),
    ],
)
def test_the_last_expression_as_written(shell: Any, body: str, source: str) -> None:
    shell.run_cell(f"%%grad\n{body}")
    assert _made().last.source == source


def test_other_interactivity(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    shell.ast_node_interactivity = "all"
    shell.run_cell("%%grad\n1\nfor i in range(2): i + 10\n'last'")
    assert capsys.readouterr().out.split("Out[")[0].split() == ["1", "10", "11", "'last'"]
    shell.ast_node_interactivity = "last_expr_or_assign"
    shell.run_cell("%%grad\ny = 4")
    assert (_made().last.source, _made().last.value) == ("y", 4)
    shell.ast_node_interactivity = "none"
    shell.run_cell("%%grad\n5")
    assert _made().last is None


def test_nested_cell_magics(shell: Any, capsys: Any) -> None:
    shell.run_cell("%%grad\n%%capture got\nprint(5); q = 1")
    assert (shell.user_ns["got"].stdout, shell.user_ns["q"]) == ("5\n", 1)
    capsys.readouterr()
    for cell in ("%%grad\n%%time\nq = 1\n1/0", "%%time\n%%grad\nq = 1\n1/0"):
        shell.run_cell(cell)
        shown = plain_text(capsys.readouterr().out)
        assert "ZeroDivisionError" in shown
        assert "_grad_cell" not in shown and "'grad'" not in shown


# -- what the magic returns and shows --


def test_the_result_is_returned_and_silenced(shell: Any, capsys: Any) -> None:
    done = shell.run_cell("%%grad\nx = 1\nx", store_history=True)
    assert done.result == "the result" == shell.user_ns["_"] == shell.user_ns["Out"][1]
    assert capsys.readouterr().out == "1\nOut[1]: 'the result'\n"
    quiet = (
        "%%grad\nx = 1; # c",
        "%%grad -q\nx = 1\nx",
        "%%grad x;\nx = 2\nx",
        "%%grad\nx\nx;\n\n# c",
    )
    for cell in quiet:
        assert shell.run_cell(cell, store_history=True).result is None
        assert capsys.readouterr().out == ""
        assert _made().events[-2:] == ["finish", "exit"]


def test_the_target_is_not_shown_twice(shell: Any, noting: Any, capsys: Any) -> None:
    noting.shows_last = False
    shell.run_cell("%%grad\n3", store_history=True)
    assert capsys.readouterr().out == "Out[1]: 'the result'\n"


def test_our_errors_are_one_line(shell: Any, monkeypatch: Any, capsys: Any) -> None:
    from tapemagic.options import GradError

    def finish(self: Any, last: Any) -> None:
        raise GradError("no target:\n name one")

    for cell, message in [
        ("%%grad --ordr 2\nx = 1", "unknown option --ordr: did you mean --order?"),
        ("%%grad x\n\n\n", "the cell under %%grad is empty: put the computation below that line"),
        ("%%grad x\n# only this", "the cell under %%grad is empty: put the computation below"),
        ("%%grad x", "%%grad is a cell magic, but the cell body is empty"),
        ("a = 1\n%%grad x\nb = 2", "%%grad must be the first line of its cell"),
        ("# comment\n%%grad x\nb = 2", "%%grad must be the first line of its cell"),
        ("%grad x", "run a cell under %%grad -p first"),
        ("%%grad x\nx = 1", "no target: name one"),
    ]:
        with monkeypatch.context() as patch:
            patch.setattr(NotingSession, "finish", finish)
            patch.delitem(sys.modules, "tapemagic.session", raising=False)
            done = shell.run_cell(cell)
        out, err = capsys.readouterr()
        shown = plain_text(out + err).strip()
        assert message in shown and "\n" not in shown
        assert done.error_in_exec is not None
        assert "b" not in shell.user_ns


def test_braces_and_dollars_are_left_alone(shell: Any) -> None:
    shell.user_ns["v"] = "w"
    shell.run_cell("%%grad --of {v}\nx = 1")
    assert _made().options.of == ("{v}",)


def test_line_magic_asks_the_session(shell: Any, monkeypatch: Any) -> None:
    asked: list[Any] = []

    class Module:
        @staticmethod
        def again(options: Any, namespace: dict[str, Any]) -> str:
            asked.append((options.wrt, options.of, namespace is shell.user_ns))
            return "again"

    monkeypatch.setitem(sys.modules, "tapemagic.session", Module)
    assert shell.run_cell("%grad y --of z").result == "again"
    assert shell.run_cell("%grad y --of z;").result is None
    assert shell.run_cell("r = %grad y --of z").result is None
    assert (asked[0], shell.user_ns["r"]) == ((("y",), ("z",), True), "again")


# -- errors: notes, pickling, post mortem --


@pytest.mark.parametrize(
    "body", ["1/0", "raise ExceptionGroup('g', [ValueError(1)])", "eval('1+')"]
)
def test_notes_are_shown(shell: Any, noting: Any, body: str, capsys: Any) -> None:
    noting.note = "because of this"
    shell.run_cell(f"%%grad\n{body}")
    out, err = capsys.readouterr()
    assert (out + err).count("because of this") == 1


def test_the_error_afterwards(shell: Any, capsys: Any) -> None:
    done = shell.run_cell("%%grad\ndef f(): 1/0\nf()")
    shown = plain_text(capsys.readouterr().out)
    assert isinstance(done.error_in_exec, ZeroDivisionError)
    assert sys.last_value is done.error_in_exec
    assert _made().events == ["enter", "before", "exit ZeroDivisionError"]
    shell.run_line_magic("tb", "")
    assert plain_text(capsys.readouterr().out) == shown
    assert isinstance(pickle.loads(pickle.dumps(done.error_in_exec)), ZeroDivisionError)
    shell.user_ns["old"] = done.error_in_exec
    shell.run_cell("raise old")
    again = plain_text(capsys.readouterr().out)
    assert "raise old" in again and "def f(): 1/0" in again and "tapemagic" not in again


@pytest.mark.parametrize("cell", ["%%grad\nx = = 3", "%%grad\neval('1+')"])
def test_showtraceback_is_only_lent(shell: Any, cell: str) -> None:
    callbacks = len(shell.events.callbacks["post_run_cell"])
    shell.run_cell(cell)
    assert "showtraceback" not in vars(shell)
    with contextlib.suppress(SyntaxError):
        shell.run_cell_magic("grad", "", cell.partition("\n")[2])
    shell.run_cell("1")
    assert "showtraceback" not in vars(shell)
    assert len(shell.events.callbacks["post_run_cell"]) == callbacks


def test_the_debugger_sees_the_users_frames(shell: Any, monkeypatch: Any, capsys: Any) -> None:
    import io

    shell.run_cell("%%grad\ndef f(n):\n    return 1 / n\nm = 0\nf(m)")
    capsys.readouterr()
    monkeypatch.setattr("sys.stdin", io.StringIO("p n\nup\np m\nw\nq\n"))
    try:
        shell.InteractiveTB.pdb = shell.debugger_cls(stdin=sys.stdin)
        shell.InteractiveTB.pdb.use_rawinput = 0
        shell.run_line_magic("debug", "")
    except TypeError:
        pytest.skip("this debugger takes no other input")
    out = plain_text(capsys.readouterr().out)
    assert "return 1 / n" in out and "f(m)" in out
    assert "_grad_cell" not in out


# -- sources: inspect and tf.function --


def test_inspect_finds_functions_of_the_cell(shell: Any) -> None:
    shell.run_cell("\n%%grad\n\nimport inspect\ndef f(a):\n    # why\n    return a\n"
                   "found = inspect.getsource(f); at = f.__code__.co_firstlineno")  # fmt: skip
    assert shell.user_ns["found"] == "def f(a):\n    # why\n    return a\n"
    assert shell.user_ns["at"] == 5


def test_autograph_reads_the_cell(shell: Any, capsys: Any) -> None:
    pytest.importorskip("tensorflow")
    done = shell.run_cell(
        "%%grad x\nimport tensorflow as tf\n@tf.function\ndef f(x):\n"
        "    if tf.reduce_sum(x) > 0:\n        return x\n    else:\n        return -x\n"
        "x = tf.constant([1., -3.])\ny = f(x)\nfloat(y[1])"
    )
    assert done.success
    assert _made().last.value == 3.0


# -- loading --


def _state(shell: Any) -> tuple[Any, ...]:
    magics = shell.magics_manager.magics
    completer = shell.Completer
    return (
        sorted(magics["line"]), sorted(magics["cell"]), len(completer.custom_matchers),
        len(completer.magic_arg_matchers), {k: len(v) for k, v in shell.events.callbacks.items()},
    )  # fmt: skip


def test_loading_and_unloading(new_shell: Any, noting: Any) -> None:
    shell = new_shell()
    clean = _state(shell)
    shell.run_line_magic("load_ext", "tapemagic")
    loaded = _state(shell)
    import tapemagic

    tapemagic.load_ipython_extension(shell)
    shell.run_line_magic("reload_ext", "tapemagic")
    assert _state(shell) == loaded != clean
    assert shell.run_cell("%%grad\n1").result == "the result"
    shell.run_line_magic("unload_ext", "tapemagic")
    assert _state(shell) == clean
    shell.register_magic_function(lambda line: "theirs", "line", "grad")
    shell.run_line_magic("load_ext", "tapemagic")
    shell.run_line_magic("unload_ext", "tapemagic")
    assert shell.run_line_magic("grad", "") == "theirs"


def test_help(shell: Any, capsys: Any) -> None:
    for cell in ("%%grad?", "%grad?"):
        shell.run_cell(cell)
        out = capsys.readouterr().out
        assert "--of EXPR" in out and "%%grad x --explore" in out and "ipython" not in out.lower()


# -- a real kernel --

STAND_IN = """
%load_ext tapemagic
import tapemagic.magic
from conftest import NotingSession
tapemagic.magic.make_session = NotingSession
"""


def _executed(kernel: Any, code: str) -> tuple[dict[str, Any], list[tuple[str, Any]]]:
    messages: list[tuple[str, Any]] = []

    def hook(message: dict[str, Any]) -> None:
        messages.append((message["msg_type"], message["content"]))

    reply = kernel.execute_interactive(code, timeout=60, output_hook=hook)["content"]
    return reply, [m for m in messages if m[0] not in ("status", "execute_input")]


def test_in_a_kernel(kernel: Any) -> None:
    assert _executed(kernel, STAND_IN)[0]["status"] == "ok"
    reply, shown = _executed(kernel, "%%grad\nprint('hi')\nx = 1\nx + 1")
    kinds = [kind for kind, _ in shown]
    assert reply["status"] == "ok"
    assert kinds == ["stream", "display_data", "execute_result"]
    assert shown[1][1]["data"]["text/plain"] == "2"
    assert shown[2][1]["data"]["text/plain"] == "'the result'"
    assert shown[2][1]["execution_count"] == reply["execution_count"]


@pytest.mark.parametrize("body", ["def f(): 1/0\n\nf()", "x = = 3", "print(1)\nraise KeyError(3)",
                                  "await nothing", "raise KeyboardInterrupt"])  # fmt: skip
def test_errors_in_a_kernel(kernel: Any, body: str) -> None:
    _executed(kernel, STAND_IN)

    def outcome(head: str) -> tuple[str, str, str, str]:
        reply, shown = _executed(kernel, f"{head}\n{body}")
        assert shown[-1][0] == "error"
        text = plain_text("\n".join(shown[-1][1]["traceback"])).replace(MAGIC, PLAIN)
        text = text.replace(f"In[{reply['execution_count']}]", "In[n]")
        value = re.sub(r"\d+\.py", "<cell>", reply["evalue"])
        return reply["status"], reply["ename"], value, _without_path(text)

    assert outcome(MAGIC) == outcome(PLAIN)


def _without_path(text: str) -> str:
    return re.sub(r"/\S*ipykernel_\d+/\d+\.py", "<cell>", text)


def test_our_errors_stop_run_all(kernel: Any) -> None:
    _executed(kernel, STAND_IN)
    for code in ("%%grad --ordr\nx", "x = 1\n%%grad x\ny = 1", "%grad q"):
        reply, shown = _executed(kernel, code)
        assert reply["status"] == "error"
        assert all("Traceback" not in str(content) for _, content in shown)


def test_await_in_a_kernel(kernel: Any) -> None:
    _executed(kernel, STAND_IN)
    reply, shown = _executed(kernel, "%%grad\nimport asyncio\nawait asyncio.sleep(0.01, 'slept')")
    assert reply["status"] == "ok"
    assert shown[0][1]["data"]["text/plain"] == "'slept'"
    assert _executed(kernel, "await asyncio.sleep(0.01, 'still')")[1][0][1]["data"]
