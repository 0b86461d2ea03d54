"""The magic line, read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tapemagic.options import FLAGS, TABLE, OptionError, Options, parse, split, usage, words

ROOT = Path(__file__).resolve().parents[1]

READ: list[tuple[str, dict[str, object]]] = [
    ("", {}),
    ("x", {"wrt": ("x",)}),
    ("x y", {"wrt": ("x", "y")}),
    ("x, y", {"wrt": ("x", "y")}),
    ("x , y", {"wrt": ("x", "y")}),
    ("x,y x", {"wrt": ("x", "y")}),
    ("layer.kernel", {"wrt": ("layer.kernel",)}),
    ("ws[0] params['w']", {"wrt": ("ws[0]", "params['w']")}),
    ("params['a b, c']", {"wrt": ("params['a b, c']",)}),
    ("[a, b]", {"wrt": ("[a, b]",)}),
    ("{'a': x}", {"wrt": ("{'a': x}",)}),
    (
        "model.trainable_variables --of loss -n 2",
        {"wrt": ("model.trainable_variables",), "of": ("loss",), "order": 2},
    ),
    ("--of loss model -p", {"wrt": ("model",), "of": ("loss",), "persistent": True}),
    ("--of a,b", {"of": ("a", "b")}),
    ("--of a, b", {"of": ("a", "b")}),
    ("--of=a,b x", {"of": ("a", "b"), "wrt": ("x",)}),
    ("--of a --of b", {"of": ("a", "b")}),
    ('--of "a + b"', {"of": ("a + b",)}),
    ("--of 'a + b' x", {"of": ("a + b",), "wrt": ("x",)}),
    ("--of f(x, y)", {"of": ("f(x, y)",)}),
    ("--of z[0, 1],y", {"of": ("z[0, 1]", "y")}),
    ("--at x=2.0 --at y=tf.constant(1.)", {"at": {"x": "2.0", "y": "tf.constant(1.)"}}),
    ("--at=x=2", {"at": {"x": "2"}}),
    ("--at x = 2.0 y", {"at": {"x": "2.0"}, "wrt": ("y",)}),
    ("--at x=2,y=[1., 2.]", {"at": {"x": "2", "y": "[1., 2.]"}}),
    ("--order=2", {"order": 2}),
    ("-n2", {"order": 2}),
    ("-n=2", {"order": 2}),
    ("-n 3 x", {"order": 3, "wrt": ("x",)}),
    ("-pJ", {"persistent": True, "kind": "jacobian"}),
    ("-pn2 x", {"persistent": True, "order": 2, "wrt": ("x",)}),
    ("--hessian", {"kind": "hessian", "order": 2}),
    ("--hessian -n 2", {"kind": "hessian", "order": 2}),
    ("--batch-jacobian", {"kind": "batch_jacobian"}),
    ("--explore", {"explore": ()}),
    ("--explore x", {"explore": (), "wrt": ("x",)}),
    ("--explore x=(-3,3,.1) y=(0, 1)", {"explore": (("x", "(-3,3,.1)"), ("y", "(0, 1)"))}),
    ("--explore -n 2 x=(0,1)", {"explore": (("x", "(0,1)"),), "order": 2}),
    ("--explore=x=(0,1) z", {"explore": (("x", "(0,1)"),), "wrt": ("z",)}),
    ('--seed "tf.ones(3)"', {"seed": "tf.ones(3)"}),
    ("--seed=[1.,2.]", {"seed": "[1.,2.]"}),
    ("--seed -1.0", {"seed": "-1.0"}),
    (
        "--tape t --only --zero --sum x",
        {"tape": "t", "only": True, "zero": True, "sum": True, "wrt": ("x",)},
    ),
    (
        "--steps full --notation=index --layout numerator",
        {"steps": "full", "notation": "index", "layout": "numerator"},
    ),
    ("-o res -q", {"out": "res", "quiet": True}),
    ("--out=res", {"out": "res"}),
    ("größe", {"wrt": ("größe",)}),
]


@pytest.mark.parametrize(("line", "expected"), READ)
def test_a_line_reads_as(line: str, expected: dict[str, object]) -> None:
    assert parse(line) == Options(**expected)  # type: ignore[arg-type]


REFUSED = [
    ("--ordr 2", "unknown option --ordr: did you mean --order?"),
    ("-order 2", "unknown option -order: did you mean --order?"),
    ("--jacobean", "unknown option --jacobean: did you mean --jacobian?"),
    ("--xyzzy", "unknown option --xyzzy: %%grad? shows them all"),
    ("-z", "unknown option -z"),
    ("-n zero", "-n zero: the order is a whole number, 1 or more"),
    ("-n 0", "-n 0: the order"),
    ("-n -1", "-n -1: the order"),
    ("-n 1.5", "-n 1.5: the order"),
    ("-n", "-n needs a value: -n N"),
    ("--of", "--of needs a value: --of EXPR"),
    ("--of -p", "--of needs a value: --of EXPR"),
    ("--of=", "--of needs a value"),
    ("--hessian --jacobian", "--jacobian contradicts --hessian"),
    ("-J --batch-jacobian", "--batch-jacobian contradicts --jacobian"),
    ("--hessian -n 3", "--hessian is of order 2: it contradicts --order 3"),
    ("-n 2 -n 3", "-n is given twice, as 2 and as 3"),
    ("--at x", "--at x: write it as --at x=2.0"),
    ("--at x==2", "--at x==2: write it"),
    ("--at w.kernel=2", "--at w.kernel=2: a name is needed before the ="),
    ("--only", "--only watches WRT alone"),
    ("--steps ful", "--steps ful: did you mean full?"),
    ("--steps zzz", "--steps zzz: one of result, chain, full"),
    ("--out 3x", "--out 3x: a Python name is needed here"),
    ("--tape class", "--tape class: a Python name"),
    ("x=3", "x=3 is an assignment: to evaluate there write --at x=3"),
    ("for", "for is a Python keyword"),
    ("x+", "x+ is no Python expression (WRT)"),
    ("a + b", 'quote one with blanks, as in --of "a + b"'),
    ("2", "2 is a constant, nothing to differentiate by; for order 2 write -n 2"),
    ("ws[0", "[ is never closed in `ws[0`"),
    ("ws[0)", ") without its opening bracket"),
    ("params['w]", "' is never closed"),
    ("--of f(", "( is never closed"),
    ("--sum=1", "--sum takes no value"),
    ("--zero= x", "--zero takes no value"),
    ("--seed )", ") without its opening bracket"),
    ("∂x", "∂x is no Python expression"),
]


@pytest.mark.parametrize(("line", "message"), REFUSED)
def test_a_line_is_refused_with_one_helpful_line(line: str, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse(line)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_option_of_the_table_can_be_read_and_stands_in_the_help() -> None:
    values = {"order": "2", "at": "x=1", "explore": "x=(0,1)"}
    text = usage()
    for row in TABLE:
        for flag in row.flags:
            value = values.get(row.dest, row.choices[0] if row.choices else "name")
            line = f"x {flag} {value}" if row.metavar else f"x {flag}"
            assert getattr(parse(line), row.dest) != getattr(Options(), row.dest) or row.choices
            assert flag in text
        assert row.help in text
    assert set(FLAGS) == {flag for row in TABLE for flag in row.flags}


def test_words_and_parts() -> None:
    assert words(" a  f(x, y)[1 ] 'p q' ") == ["a", "f(x, y)[1 ]", "'p q'"]
    assert words("a , b,c --of d , e") == ["a,b,c", "--of", "d,e"]
    assert split("a, (b, c), ", ",") == ["a", "(b, c)"]


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; import tapemagic; from IPython.core.interactiveshell import InteractiveShell;"
        "s = InteractiveShell.instance();"
        "s.run_line_magic('load_ext', 'tapemagic');"
        "print([m for m in ('tensorflow', 'sympy', 'numpy', 'keras') if m in sys.modules])"
    )
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
