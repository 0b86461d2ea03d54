"""The exported page in Firefox and WebKit: it moves, its numbers are right, and nothing jumps."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from cells import Shell
from engines import ARROW_LEFT, ARROW_RIGHT, END, HOME, Browser, Firefox, WebKit
from lab import needs, number
from nbconvert import HTMLExporter

pytestmark = pytest.mark.browser

CELLS = [
    "%%grad x --explore x=(-3,2,.05) -n 2\nx = tf.constant(1.0)\n"
    "y = tf.sin(x) * tf.exp(-x**2 / 16) + x**3",
    "%%grad a b --explore a=(-2,2) b=(-1,3)\na = tf.Variable(-1.0)\nb = tf.Variable(1.5)\n"
    "loss = (1 - a)**2 + 5*(b - a**2)**2",
    "%%grad w --explore\nw = tf.Variable([1.0, -2.0, 0.5])\ns = tf.reduce_sum(w**3)",
]
ONE, TWO, MANY = range(3)
ROOT = "document.querySelectorAll('.tapemagic-explorer')[i].firstElementChild.shadowRoot"
SHOWN = f"""i => ['input.number', '.item .digits, .bar .digits']
  .flatMap(part => [...{ROOT}.querySelectorAll(part)])
  .filter(e => e.getClientRects().length)
  .map(e => e.tagName === 'INPUT' ? e.value : e.textContent)"""
FOCUS = f"""i => {{
  document.querySelectorAll('.tapemagic-explorer')[i].scrollIntoView();
  {ROOT}.querySelector('input[type=range]').focus();
}}"""
PLACE = f"""(i, part) => {{
  const box = {ROOT}.querySelector(part).getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
}}"""
# Where all rows stand.
LAYOUT = f"""i => [...{ROOT}.querySelectorAll('.stage, .controls, .check, .formulas, .live')]
  .map(e => e.getBoundingClientRect())
  .map(box => [box.y + scrollY, box.height].map(v => Math.round(10 * v)))"""
# Letters of a formula that are drawn over each other: texts on one line, by pairs of neighbours.
OVERLAPS = f"""i => {{
  const found = [];
  for (const formula of {ROOT}.querySelectorAll('.formulas math')) {{
    const texts = [...formula.querySelectorAll('mn, mi, mo, mtext:not(.strut)')]
      .filter(e => e.textContent.trim());
    const boxes = texts.map(e => {{
      const range = document.createRange();
      range.selectNodeContents(e);
      return range.getBoundingClientRect();
    }});
    boxes.slice(1).forEach((b, k) => {{
      const a = boxes[k];
      const level = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      const over = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      if (over > 2.4 && level > 0.6 * Math.min(a.height, b.height))
        found.push([texts[k].textContent, texts[k + 1].textContent, over]);
    }});
  }}
  return found;
}}"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("exported") / "sliders.html"
    shell = Shell()
    notebook = nbformat.v4.new_notebook()
    for cell in CELLS:
        bundle, _ = shell.ip.display_formatter.format(shell.run(cell).result)
        output = nbformat.v4.new_output("execute_result", bundle, execution_count=1)
        notebook.cells.append(nbformat.v4.new_code_cell(cell, execution_count=1, outputs=[output]))
    file.write_text(HTMLExporter().from_notebook_node(notebook)[0], encoding="utf-8")
    return file


# WebKitGTK's driver weighs as much as a desktop: it is asked where it is installed.
ENGINES = [Firefox, *([WebKit] if all(map(shutil.which, WebKit.programs)) else [])]


@pytest.fixture(scope="module", params=ENGINES)
def browser(request: pytest.FixtureRequest, exported: Path) -> Iterator[Browser]:
    needs(*request.param.programs)
    with request.param.started() as started:
        started.open(exported)
        yield started


def shown(browser: Browser, which: int) -> list[float]:
    """The sliders' entries, then the target and its slopes."""
    time.sleep(0.1)  # the frame that shows them
    return [number(text) for text in browser.evaluate(SHOWN, which)]


def curve(x: float) -> list[float]:
    bell, d = math.exp(-(x**2) / 16), -x / 8
    sine, cosine = math.sin(x), math.cos(x)
    slope = (cosine + sine * d) * bell + 3 * x**2
    bend = (-sine + 2 * cosine * d + sine * (d * d - 1 / 8)) * bell + 6 * x
    return [x, sine * bell + x**3, slope, bend]


def landscape(a: float, b: float) -> list[float]:
    valley = b - a**2
    return [a, b, (1 - a) ** 2 + 5 * valley**2, -2 * (1 - a) - 20 * a * valley, 10 * valley]


def near(values: list[float]) -> object:
    return pytest.approx(values, rel=1e-5, abs=1e-5)


def test_keys_move_everything_and_nothing_jumps(browser: Browser) -> None:
    browser.evaluate(FOCUS, ONE)
    assert shown(browser, ONE) == near(curve(1.0))
    layout = browser.evaluate(LAYOUT, ONE)
    for key in (HOME, ARROW_RIGHT, END, ARROW_LEFT, HOME, ARROW_RIGHT):
        browser.press(key)
        values = shown(browser, ONE)
        assert values == near(curve(values[0]))
        assert browser.evaluate(LAYOUT, ONE) == layout
        assert browser.evaluate(OVERLAPS, ONE) == []
    assert values[0] == -2.95


def test_drags_move_the_point(browser: Browser) -> None:
    browser.evaluate(FOCUS, ONE)
    before = shown(browser, ONE)
    browser.drag(*browser.evaluate(PLACE, ONE, ".dot"), 200, 0)
    values = shown(browser, ONE)
    assert values[0] > before[0] + 0.5
    assert values == near(curve(values[0]))
    browser.drag(*browser.evaluate(PLACE, ONE, "input[type=range]"), 90, 0)
    slid = shown(browser, ONE)
    assert slid[0] != values[0]
    assert slid == near(curve(slid[0]))


def test_two_sources_and_the_way_down(browser: Browser) -> None:
    browser.evaluate(FOCUS, TWO)
    assert shown(browser, TWO) == near(landscape(-1.0, 1.5))
    browser.drag(*browser.evaluate(PLACE, TWO, ".dot"), 60, -40)
    a, b, value, *slopes = shown(browser, TWO)
    assert a > -1
    assert b > 1.5
    assert [a, b, value, *slopes] == near(landscape(a, b))
    browser.drag(*browser.evaluate(PLACE, TWO, ".switches .descent"), 0, 0)
    browser.drag(*browser.evaluate(PLACE, TWO, ".descent-box .button"), 0, 0)  # one step
    down = [x - 0.1 * slope for x, slope in zip((a, b), slopes)]
    assert shown(browser, TWO) == pytest.approx(landscape(*down), rel=1e-3)
    assert browser.evaluate(OVERLAPS, TWO) == []


def test_many_sources(browser: Browser) -> None:
    browser.evaluate(FOCUS, MANY)
    browser.press(ARROW_RIGHT)
    first, *others = shown(browser, MANY)
    assert first > 1
    entries = [first, -2.0, 0.5]
    assert others[:3] == near([-2.0, 0.5, sum(w**3 for w in entries)])
    assert others[3:] == near([3 * w**2 for w in entries])


def test_nothing_went_wrong(browser: Browser) -> None:
    assert browser.errors == []
