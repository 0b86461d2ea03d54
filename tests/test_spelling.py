"""Names in every notation: mathematical where custom has it, never breaking the markup."""

from __future__ import annotations

import re
import unicodedata
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapemagic import latex, mathml, text
from tapemagic.formula import Name, Symbol
from tapemagic.spelling import spell, unused
from tapemagic.text import columns

identifiers = st.one_of(
    st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=6).filter(str.isidentifier),
)
expressions = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1)
indices = st.lists(st.integers(0, 11), max_size=3).map(tuple)

# What may stand outside of \text{…}: commands, digits, letters, harmless signs.
MATHEMATICS = re.compile(r"(\\[A-Za-z]+ ?|\\[#$%&_{}, ]|[A-Za-z0-9,.()+\-<>|' ]|[_^](?=\{)|\{|\})*")


def check_latex(source: str) -> None:
    outside = re.sub(r"\\(?:text|textbf)\{[^{}\\#$%&_^~]*\}", r"\\relax ", source)
    assert MATHEMATICS.fullmatch(outside), source
    depth = 0
    for sign in re.findall(r"(?<!\\)[{}]", outside):
        depth += 1 if sign == "{" else -1
        assert depth >= 0
    assert depth == 0
    assert not re.search(r"(?<!\\)[_^]\{\}", source)


@pytest.mark.parametrize(
    ("name", "index", "tex", "plain"),
    [
        (Name("x"), (), "x", "x"),
        (Name("theta"), (), r"\theta", "θ"),
        (Name("θ"), (), r"\theta", "θ"),
        (Name("Gamma"), (), r"\Gamma", "Γ"),
        (Name("lambda_"), (), r"\lambda", "λ"),
        (Name("x1"), (), "x_{1}", "x₁"),
        (Name("x_1"), (), "x_{1}", "x₁"),
        (Name("w12"), (), "w_{12}", "w₁₂"),
        (Name("w_hidden"), (), r"w_{\mathrm{hidden}}", "w_hidden"),
        (Name("x_hat"), (), r"x_{\mathrm{hat}}", "x_hat"),
        (Name("y_pred"), (), r"y_{\mathrm{pred}}", "y_pred"),
        (Name("loss"), (), r"\mathrm{loss}", "loss"),
        (Name("dy_dx"), (), r"{\text{dy}\_\text{dx}}", "dy_dx"),
        (Name("layer.kernel"), (), r"\mathrm{layer.kernel}", "layer.kernel"),
        (Name("params['w']"), (), r"{\text{params['w']}}", "params['w']"),
        (Name("x", 1), (), "x_{1}", "x₁"),
        (Name("x1", plain=True), (), r"\mathrm{x1}", "x1"),
        (Name("x1", 2), (), "x_{1}^{(2)}", "x⁽²⁾₁"),
        (Name("x", 1), (0, 0), "x_{11}^{(1)}", "x⁽¹⁾₁₁"),
        (Name("x"), (0, 1), "x_{12}", "x₁₂"),
        (Name("x"), (0, 11), "x_{1,12}", "x₁‚₁₂"),
        (Name("w_hidden"), (0, 1), r"w_{\mathrm{hidden},12}", "w_hidden₁₂"),
        (Name("x\u0302"), (), r"\hat{x}", "x\u0302"),
    ],
)
def test_spelling(name: Name, index: tuple[int, ...], tex: str, plain: str) -> None:
    assert latex.formula(Symbol(name, index)) == tex
    assert text.formula(Symbol(name, index)) == plain


@given(identifiers | expressions, st.integers(0, 3), indices)
def test_no_name_breaks_the_markup(name: str, version: int, index: tuple[int, ...]) -> None:
    symbol = Symbol(Name(name, version), index)
    check_latex(latex.formula(symbol))
    shown = "".join(ElementTree.fromstring(mathml.formula(symbol)).itertext())
    assert shown.startswith(spell(symbol.name, index).core.text.replace("\r", "\n"))
    assert "\n" not in text.formula(symbol)


@given(expressions)
def test_words_do_not_break_latex(words: str) -> None:
    check_latex(latex.words(words))
    check_latex(latex.words(words, r"\textbf"))


@given(st.lists(identifiers, min_size=2, max_size=2, unique=True))
def test_ascii_names_that_differ_look_different(names: list[str]) -> None:
    first, second = (unicodedata.normalize("NFKC", name) for name in names)
    # x_1 and x1 are the same x₁ to a mathematician, as lambda_ and λ are the same letter.
    alike = re.sub(r"_(?=[0-9])|lambda_$", "", first), re.sub(r"_(?=[0-9])|lambda_$", "", second)
    greek = any(ord(c) > 127 for c in first + second)
    if alike[0] != alike[1] and not greek and "_" not in first + second:
        assert latex.formula(Symbol(Name(first))) != latex.formula(Symbol(Name(second)))


def test_wide_and_combining_characters_are_measured_as_terminals_do() -> None:
    assert (columns("变量"), columns("x\u0302"), columns("x₁")) == (4, 1, 2)


def test_names_of_ours_look_like_none_of_the_users() -> None:
    taken: list[str] = []
    for _ in range(60):  # as if each name of ours were bound before the next is chosen
        stem = unused("uv", taken)
        ours = spell(Name(f"{stem}1"))
        assert all(ours != spell(Name(text)) for text in taken), stem
        assert ours.core.letter and ours.below, stem
        taken.append(f"{stem}1")
    assert unused("uv", ["u_1", "v2"]) not in "uv"
    assert unused("", ["ξ", *"wyzxpmntcjfgabehikqrsuvd"]) != "xi"
