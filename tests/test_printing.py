"""Formulas and documents in LaTeX, Unicode and HTML."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapemagic import document as d
from tapemagic import formula as f
from tapemagic import html, latex, mathml, text
from tapemagic.formula import Call, Formula, Name, Negative, Number, Power, Product, Quotient, Sum
from tapemagic.functions import FUNCTIONS
from tapemagic.text import columns


def symbol(name: str, *index: int) -> f.Symbol:
    return f.Symbol(Name(name), index)


def slope(of: Formula, by: Formula, times: int = 1, partial: bool = False) -> d.Differential:
    return d.Differential(of, ((by, times),), partial)


def matrix(value: float) -> d.Matrix:
    return d.Matrix(((f.Value(value), f.Value(value)), (f.Value(value), f.Value(value))))


n = f.number
x, y, z, loss = symbol("x"), symbol("y"), symbol("z"), symbol("loss")
W, dots = d.Tensor(Name("W")), d.Ellipsis_()
third, positive = Number(Fraction(1, 3)), Call("greater", (x, n(0)))
sin, root = Call("sin", (x,)), Call("sqrt", (x,))

FORMULAS: list[tuple[Formula, str, str]] = [
    (Product((n(2), x, y)), "2xy", "2xy"),
    (Product((n(2), n(3))), r"2 \cdot 3", "2 · 3"),
    (Product((n(2), Power(f.Value(3.0), n(2)))), r"2 \cdot 3^{2}", "2 · 3²"),
    (Product((n(2), Sum((x, n(1))))), "2(x + 1)", "2(x + 1)"),
    (Product((x, loss)), r"x \cdot \mathrm{loss}", "x · loss"),
    (Product((n(2), loss)), r"2\,\mathrm{loss}", "2 loss"),
    (Product((symbol("f"), Sum((x, n(1))))), r"f \cdot (x + 1)", "f · (x + 1)"),
    (Product((Product((y, y)), y)), "yyy", "yyy"),
    (Product((n(-2), x)), "-2x", "−2x"),
    (Product((x, n(-2))), r"x(-2)", "x(−2)"),
    (Product((f.Value(-2.0), f.Value(3.0))), r"(-2) \cdot 3", "(−2) · 3"),
    (Product((third, x)), r"\frac{1}{3}x", "(1/3)x"),
    (Power(n(-2), n(2)), "(-2)^{2}", "(−2)²"),
    (Power(f.Value(-2.0), n(2)), "(-2)^{2}", "(−2)²"),
    (Power(f.Value(1.5e-7), n(2)), r"(1.5 \cdot 10^{-7})^{2}", "(1.5 · 10⁻⁷)²"),
    (Power(Power(x, n(2)), n(3)), "(x^{2})^{3}", "(x²)³"),
    (Power(x, Sum((n(1), Negative(y)))), "x^{1 - y}", "x^(1 − y)"),
    (Power(x, Negative(n(1))), "x^{-1}", "x⁻¹"),
    (Sum((x, Negative(y), n(-3))), "x - y - 3", "x − y − 3"),
    (Sum((x, Negative(Sum((y, n(1)))))), "x - (y + 1)", "x − (y + 1)"),
    (Sum((x, Product((n(-2), y)))), "x - 2y", "x − 2y"),
    (Sum((x, f.Value(-2.0))), "x + (-2)", "x + (−2)"),
    (Negative(Negative(x)), "-(-x)", "−(−x)"),
    (Quotient(n(1), Product((n(2), root))), r"\frac{1}{2\sqrt{x}}", "1/(2√x)"),
    (Quotient(Sum((x, n(1))), y), r"\frac{x + 1}{y}", "(x + 1)/y"),
    (Quotient(x, Quotient(y, z)), r"\frac{x}{\frac{y}{z}}", "x/(y/z)"),
    (Quotient(Negative(x), y), r"\frac{-x}{y}", "(−x)/y"),
    (Power(sin, n(2)), r"\sin^{2}(x)", "sin²(x)"),
    (Power(sin, n(-1)), r"\sin(x)^{-1}", "sin(x)⁻¹"),
    (Power(root, n(2)), r"\left( \sqrt{x} \right)^{2}", "(√x)²"),
    (Call("exp", (Negative(Power(x, n(2))),)), "e^{-x^{2}}", "e^(−x²)"),
    (Call("exp", (Negative(x),)), "e^{-x}", "e⁻ˣ"),
    (Call("abs", (x,)), r"\left| x \right|", "|x|"),
    (Call("sqrt", (Sum((x, n(1))),)), r"\sqrt{x + 1}", "√(x + 1)"),
    (Call("indicator", (positive,)), r"\left[ x > 0 \right]", "[x > 0]"),
    (Call("sigmoid", (x,)), r"\sigma(x)", "σ(x)"),
    (Call("log1p", (x,)), r"\ln(1 + x)", "ln(1 + x)"),
    (Call("my_op", (x, y)), r"\operatorname{my\_op}(x, y)", "my_op(x, y)"),
    (slope(z, x), r"\frac{\mathrm{d}z}{\mathrm{d}x}", "dz/dx"),
    (slope(y, x, 2), r"\frac{\mathrm{d}^{2}y}{\mathrm{d}x^{2}}", "d²y/dx²"),
    (
        d.Differential(z, ((x, 1), (y, 1)), True),
        r"\frac{\partial^{2}z}{\partial x\,\partial y}",
        "∂²z/∂x∂y",
    ),
    (
        d.Differential(z, ((x, 1),), True, 2),
        r"\left.\frac{\partial z}{\partial x}\right|_{(2)}",
        "∂z/∂x|₍₂₎",
    ),
    (slope(Power(x, n(4)), x), r"\frac{\mathrm{d}}{\mathrm{d}x}\,x^{4}", "d/dx x⁴"),
    (
        slope(Sum((x, n(1))), x),
        r"\frac{\mathrm{d}}{\mathrm{d}x}\,(x + 1)",
        "d/dx (x + 1)",
    ),
    (
        Product((slope(z, y, 1, True), n(2), x)),
        r"\frac{\partial z}{\partial y} \cdot 2x",
        "∂z/∂y · 2x",
    ),
    (d.Cross((f.Value(18.0), f.Value(6.0))), r"18 \times 6", "18 × 6"),
    (d.Pointwise((W, Sum((x, y)))), r"W \circ (x + y)", "W ∘ (x + y)"),
    (d.Transposed(W), r"W^{\mathsf{T}}", "Wᵀ"),
    (
        matrix(8.0),
        r"\begin{bmatrix} 8 & 8 \\ 8 & 8 \end{bmatrix}",
        "[[8, 8], [8, 8]]",
    ),
    (Number(Fraction(1, 4), True), "0.25", "0.25"),
    (f.Value(3 + 2j), r"3 + 2\mathrm{i}", "3 + 2i"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("node", "tex", "plain"), FORMULAS)
def test_formulas(node: Formula, tex: str, plain: str) -> None:
    assert latex.formula(node) == tex
    assert text.formula(node) == plain
    ElementTree.fromstring(mathml.formula(node))


LONG = Sum(tuple(Product((symbol(f"w{i}"), Power(x, n(i)))) for i in range(2, 50)))
STEPS = tuple(d.Statement((symbol(f"u{i}"), Power(x, n(2))), ("=",)) for i in range(20))
ROWS = (
    d.Statement((y, Power(x, n(2))), ("=",), number=1, source=d.Source(2, 'y = "<b>" + x**2')),
    d.Statement((slope(z, x), Product((n(2), y)), f.Value(1 / 3)), ("=", "≈"), "100% <from> (1)_&"),
    d.Statement((W, matrix(1.0), d.Cross((f.Value(8.0), matrix(1.0)))), ("=", "=")),
    d.Statement((y, LONG), ("=",), number=12),
    d.Statement((d.Stack((matrix(1.0), dots, matrix(2.0))),), ()),
    d.Statement((y, d.Matrix(((x, dots, y), (dots, dots, dots), (z, dots, x)))), ("=",)),
    d.Statement((symbol("变量"), Call("where", (positive, x, sin))), ("=",)),
    d.Note("Tape and closed form agree — 108 ≈ 1.08·10², x₁ → ∂z/∂x; `--only`.", "check", True),
    d.Note("They do not: $5 & #1 {a}_b^c~\\ <script>alert(1)</script>", "check", False),
    d.Note("Long. " * 60, "warning"),
    d.Fold("20 more steps", STEPS),
    d.Fold("3 steps", STEPS[:3]),
)
DOCUMENT = d.Document((d.Section(ROWS, "Title & <b>", slope(z, x)), d.Section(ROWS[:2])))


def test_latex_is_balanced_and_aligned() -> None:
    source = latex.document(DOCUMENT)
    assert source.count("$$") % 2 == 0 and not re.search(r"(?<!\\)\$(?!\$)(?<!\$\$)", source)
    assert r"\begin{align}" not in source and "\n\n" not in source
    for block in source.split("$$")[1::2]:
        opened: list[str] = []
        for sign, end, name in re.findall(r"(?<!\\)([{}])|\\(begin|end)\{(\w+\*?)\}", block):
            if end == "begin":
                opened.append(name)
            elif end:
                assert opened.pop() == name
            elif sign == "{":
                opened.append("{")
            else:
                assert opened.pop() == "{"
        assert not opened
        assert block.count(r"\left") == block.count(r"\right")


def test_short_folds_are_opened_and_long_ones_named() -> None:
    source = latex.document(DOCUMENT)
    assert "20 more steps" in source and "u_{2}" in source and "u_{3}" not in source


def test_latex_lines_are_not_too_long() -> None:
    assert latex.document(d.Document((d.Section((ROWS[3],)),))).count("\\\\") >= 4


def test_terminal_lines_fit() -> None:
    shown = text.document(DOCUMENT)
    assert max(columns(line) for line in shown.splitlines()) <= 80
    assert "(1)  line 2" in shown and "⎡1  1⎤" in shown and "… 20 more steps" in shown


def test_terminal_matrices_stand_on_their_middle() -> None:
    only = d.Document((d.Section((d.Statement((W, matrix(8.0)), ("=",)),)),))
    assert text.document(only) == "W = ⎡8  8⎤\n    ⎣8  8⎦"


class Tags(HTMLParser):
    """Counts open tags; nothing may be left open or closed twice."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.text = ""
        self.attributes: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {key: value or "" for key, value in attrs}
        if tag != "wbr":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(fragment: str) -> Tags:
    tags = Tags()
    tags.feed(fragment)
    tags.close()
    assert not tags.open
    return tags


def test_html_is_whole_and_escaped() -> None:
    source = latex.document(DOCUMENT)
    tags = parsed(html.document(DOCUMENT, source))
    assert "script" not in tags.seen and "b" not in tags.seen
    assert "<script>alert(1)</script>" in tags.text
    assert tags.attributes["data-latex"] == source
    assert {"details", "summary", "math", "button"} <= tags.seen


@given(st.text(), st.text(), st.text())
def test_any_words_are_safe_in_html(label: str, note: str, source: str) -> None:
    row = d.Statement((x,), (), label, source=d.Source(1, note))
    doc = d.Document((d.Section((row, d.Note(note), d.Fold(label, ())), label),))
    allowed = parsed(html.document(DOCUMENT, "x")).seen
    assert parsed(html.document(doc, source)).seen <= allowed


def test_without_style_the_formulas_are_plain_text() -> None:
    """What JupyterLab leaves of an untrusted notebook's output: no style, no MathML."""
    fragment = html.document(DOCUMENT, "x")
    fragment = re.sub(r"<style>.*?</style>", "", fragment, flags=re.DOTALL)
    visible = re.sub(r"<(span|button)[^>]* hidden.*?</\1>", "", fragment, flags=re.DOTALL)
    assert "y = x² (1) line 2" in " ".join(parsed(visible).text.split())


leaves = st.sampled_from([x, y, loss, symbol("x", 0, 1), n(2), n(-3), third, f.Value(-2.5)])


def trees(inner: st.SearchStrategy[Formula]) -> st.SearchStrategy[Formula]:
    many = st.lists(inner, min_size=2, max_size=3).map(tuple)
    pair = st.tuples(inner, inner)
    return st.one_of(
        many.map(Sum),
        many.map(Product),
        inner.map(Negative),
        pair.map(lambda ab: Quotient(*ab)),
        pair.map(lambda ab: Power(*ab)),
        st.tuples(st.sampled_from(sorted(FUNCTIONS)), many).map(lambda fa: Call(*fa)),
        st.tuples(st.sampled_from(["sin", "exp", "sqrt", "abs", "conj"]), inner).map(
            lambda fa: Call(fa[0], (fa[1],))
        ),
    )


formulas = st.recursive(leaves, trees, max_leaves=12)


@given(formulas)
def test_every_formula_prints(node: Formula) -> None:
    ElementTree.fromstring(mathml.formula(node))
    source = latex.formula(node)
    assert len(re.findall(r"(?<!\\)\{", source)) == len(re.findall(r"(?<!\\)\}", source))
    assert not re.search(r"\^\{[^{}]*\}\s*\^", source)  # a double superscript is an error
    assert "\n" not in text.formula(node)


def polynomials(inner: st.SearchStrategy[Formula]) -> st.SearchStrategy[Formula]:
    many = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.one_of(
        many.map(Sum),
        many.map(Product),
        inner.map(Negative),
        inner.map(lambda base: Power(base, n(2))),
        st.tuples(inner, inner).map(lambda ab: Quotient(*ab)),
    )


NUMBERS = st.sampled_from([n(2), n(3), n(-3), f.Value(-2.5), f.Value(0.5), Number(Fraction(1, 3))])


def evaluated(node: Formula) -> Fraction:
    values = [evaluated(child) for child in node.children]
    if isinstance(node, Number | f.Value):
        return Fraction(node.value)
    if isinstance(node, Sum):
        return sum(values, Fraction(0))
    if isinstance(node, Negative):
        return -values[0]
    if isinstance(node, Quotient):
        return values[0] / values[1]
    product = Fraction(1)
    for value in values if isinstance(node, Product) else [values[0], values[0]]:
        product *= value
    return product


@given(st.recursive(NUMBERS, polynomials, max_leaves=8))
def test_what_is_read_is_what_was_meant(node: Formula) -> None:
    """Brackets are where they must be: Python reads the printed line as the same number."""
    try:
        meant = evaluated(node)
    except ZeroDivisionError:
        return
    line = text.formula(node).replace("²", "**2").replace("·", "*").replace("−", "-")
    line = re.sub(r"\)\s*(?=[\d(])|(?<=\d)\s*(?=\()", lambda m: m[0].rstrip() + "*", line)
    line = re.sub(r"\d+(\.\d+)?", lambda m: f"Fraction('{m[0]}')", line.replace("**2", "**@"))
    assert eval(line.replace("**@", "**2"), {"Fraction": Fraction}) == meant


def has_mathjax() -> bool:
    """Whether Node finds both; NODE_PATH says where they are installed."""
    script = "require.resolve('katex'); require.resolve('mathjax-full/package.json')"
    node = shutil.which("node")
    return (
        node is not None
        and not subprocess.run([node, "-e", script], capture_output=True).returncode
    )


@pytest.mark.skipif(not (os.environ.get("CI") or has_mathjax()), reason="no MathJax at hand")
def test_mathjax_and_katex_read_everything() -> None:
    sources = [latex.formula(node) for node, _, _ in FORMULAS]
    sources += [latex.formula(Call(name, (x, y))) for name in FUNCTIONS]
    sources += latex.document(DOCUMENT).split("$$")[1::2]
    command = ["node", str(Path(__file__).with_name("tex_check.js"))]
    run = subprocess.run(
        command, input=json.dumps(sources), capture_output=True, text=True, check=True
    )
    assert run.stdout.endswith(" 0 bad\n"), run.stdout
