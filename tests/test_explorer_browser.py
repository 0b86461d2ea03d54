"""The explorer as a reader meets it: in JupyterLab and as an exported page, in a real browser."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from lab import CONTRAST, choose, chromium, environment, number, serving

pytestmark = pytest.mark.browser

SLOW = 90_000  # ms; TensorFlow takes its time to load
ONE, TWO, BRANCH, KERNEL, ENTRY, BAD, LONG, NAMED = range(8)  # the explorers of the notebook
WIDGET = 9  # the cell that shows one by itself
CELLS = [
    "%load_ext tapemagic\nimport json\nimport tensorflow as tf",
    "%%grad x -n 2 --explore x=(-3,3,.05) -o one\nx = tf.constant(2.0)\ny = 2*x**3 + 5*x**2 + 3*x",
    "%%grad a, b --explore -o two\na = tf.Variable(1.0)\nb = tf.Variable(-1.0)\n"
    "z = 3*(a - 1)**2 + a*b + b**4",
    "%%grad t --explore t=(-2,2,.1) -o branch\nt = tf.constant(1.0)\n"
    "if t > 3:\n    s = t - 1\nelif t > 0:\n    s = t**2\nelse:\n    s = tf.sin(t)",
    "%%grad p q --explore p=(.5,2.5,.1) q=(0,2,.1) -o only\n"
    "p = tf.Variable(1.5)\nq = tf.Variable(0.5)\n"
    "r = tf.reduce_sum(tf.linalg.svd([[p, q], [q, p * p]], compute_uv=False) ** 3)",
    "%%grad x -n 3 --explore x=(.3,4)\n"
    "x = tf.Variable([1.5])\ns = tf.reduce_sum(tf.math.igamma(2.0, x) ** 2)",
    "%%grad c d --explore c=(3,-1) d=(-1,2)\nc = tf.Variable(1.0); d = tf.Variable(0.5)\n"
    "k = tf.math.log(c) * d + tf.math.igamma(2.0, 1 + d * d)\n"
    "if float(d) > 1.5:\n    raise ValueError('too far')",
    "%%grad u --explore u=(.2,.9)\nu = tf.constant(0.5)\nv = u\n"
    "for _ in range(17):\n    v = v * tf.sin(v + u)",
    "%%grad learning_rate_of_all_layers --explore\n"
    "learning_rate_of_all_layers = tf.Variable(0.01)\n"
    "total_regularised_loss = tf.exp(-learning_rate_of_all_layers)",
    "one.widget",
    # What TensorFlow says at the points that the kernel knows of.
    """\
x = tf.constant(one.widget.point)
with tf.GradientTape() as outer:
    outer.watch(x)
    with tf.GradientTape() as inner:
        inner.watch(x)
        y = 2*x**3 + 5*x**2 + 3*x
    slope = inner.gradient(y, x)
a, b = (tf.Variable(two.widget.point[name]) for name in "ab")
with tf.GradientTape() as tape:
    z = 3*(a - 1)**2 + a*b + b**4
p, q = (tf.Variable(only.widget.point[name]) for name in "pq")
with tf.GradientTape() as another:
    r = tf.reduce_sum(tf.linalg.svd([[p, q], [q, p * p]], compute_uv=False) ** 3)
told = [one.widget.point, one.widget.value, one.widget.derivative]
print(json.dumps({
    "one": [float(v) for v in (x, y, slope, outer.gradient(slope, x))],
    "two": [float(v) for v in (a, b, z, *tape.gradient(z, [a, b]))],
    "only": [float(v) for v in (p, q, r, *another.gradient(r, [p, q]))],
    "told": told,
}))""",
]
SHIFTS = """() => {
  window.shifts = [];
  // JupyterLab's own status bar says which mode a cell is in.
  const ours = ({ node }) => !node?.parentElement?.closest('#jp-main-statusbar');
  new PerformanceObserver(list => {
    for (const { value, sources } of list.getEntries())
      if (!sources.length || sources.some(ours)) window.shifts.push(value);
  }).observe({ type: 'layout-shift' });
}"""
# Frame by frame, where the first explorer's derivation begins and ends.
PLACES = """() => {
  window.places = [];
  const look = () => {
    const shadow = document.querySelector('.tapemagic-explorer > div')?.shadowRoot;
    const math = shadow?.querySelectorAll('.formulas math');
    const at = k => math.item(k).getBoundingClientRect();
    if (math?.length) window.places.push([at(0).x, at(0).y, at(math.length - 1).y]);
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""
TYPED = [
    "globalThis.hacked = 1",
    "2; globalThis.hacked = 1",
    "__import__('builtins').setattr(__import__('builtins'), 'hacked', 1)",
    "(() => globalThis.hacked = 1)()",
    "<img src=x onerror='globalThis.hacked = 1'>",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("notebooks")
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in CELLS],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(notebook, made / "sliders.ipynb")
    return made


@pytest.fixture(scope="module")
def address(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(folder, tmp_path_factory.mktemp("home")) as (server, token):
        yield f"{server}/lab/workspaces/NAME/tree/sliders.ipynb?token={token}"


def _open(browser: Any, address: str, name: str) -> Any:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(SLOW)
    page.goto(address.replace("NAME", name))
    page.wait_for_selector("#jp-main-statusbar >> text=/\\| Idle/")
    return page


@pytest.fixture(scope="module")
def page(browser: Any, address: str) -> Any:
    """The notebook after Run All."""
    opened = _open(browser, address, "first")
    choose(opened, "Run", "Run All Cells")
    _ran(opened, len(CELLS))
    return opened


@pytest.fixture(scope="module")
def exported(page: Any, browser: Any, folder: Path) -> Any:
    """The saved notebook as one HTML file, opened without network; no kernel knows of it."""
    _save(page)
    command = [sys.executable, "-m", "nbconvert", "--to", "html", str(folder / "sliders.ipynb")]
    done = subprocess.run(
        command, env=environment(folder), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.route(re.compile("^https?:"), lambda route: route.abort())
    opened.goto(f"file://{folder / 'sliders.html'}")
    return opened


def _ran(page: Any, number: int) -> None:
    """Wait until some cell shows this number."""
    page.wait_for_function(
        "n => [...document.querySelectorAll('.jp-InputPrompt')].some(p => p.textContent === n)",
        arg=f"[{number}]:",
    )


DIRTY = ".lm-TabBar-tab.jp-mod-dirty"  # a cell may be dirty too


def _save(page: Any) -> None:
    page.keyboard.press("Control+s")
    page.wait_for_selector(DIRTY, state="detached")


def _explorer(page: Any, which: int) -> Any:
    found = page.locator(".tapemagic-explorer").nth(which)
    found.locator(".explorer").wait_for()
    return found


def _shown(explorer: Any) -> list[float]:
    """The sliders' entries, then the target and its slopes."""
    explorer.page.wait_for_timeout(60)
    boxes = [number(box.input_value()) for box in explorer.locator("input.number").all()]
    return boxes + [number(t) for t in explorer.locator(".item .digits:visible").all_inner_texts()]


def _tangent(explorer: Any) -> tuple[float, float]:
    """Its slope, and its value at the point, read off the drawing by the ticks."""
    return tuple(
        explorer.locator("svg.panel").first.evaluate(
            """panel => {
              const number = text => Number(text.replace('−', '-'));
              const of = (end, at) => [...panel.querySelectorAll('.ticks text:not(.name)')]
                .filter(t => (t.getAttribute('text-anchor') === 'end') === end)
                .map(t => [number(t.textContent), Number(t.getAttribute(at)) - (end ? 5 : 0)]);
              const scale = ticks => {
                const [a, b] = [ticks[0], ticks.at(-1)];
                return pixel => a[0] + (pixel - a[1]) * (b[0] - a[0]) / (b[1] - a[1]);
              };
              const [x, y] = [scale(of(false, 'x')), scale(of(true, 'y'))];
              const data = panel.querySelector('path.tangent').getAttribute('d');
              const ends = data.match(/-?[0-9.]+/g).map(Number);
              const slope = (y(ends[3]) - y(ends[1])) / (x(ends[2]) - x(ends[0]));
              const at = x(Number(panel.querySelector('.dot').getAttribute('cx')));
              return [slope, y(ends[1]) + slope * (at - x(ends[0]))];
            }"""
        )
    )


def _until(explorer: Any, part: str, condition: str) -> None:
    """Wait until `condition`, in JavaScript, holds of the element `e` of the explorer."""
    element = explorer.locator(part).first.element_handle()
    explorer.page.wait_for_function(f"e => {condition}", arg=element)


def _tensorflow(page: Any) -> dict[str, list[float]]:
    """What the last cell prints when it is run now."""
    page.wait_for_timeout(300)  # the kernel learns the point a little later
    cell = page.locator(".jp-CodeCell").last
    before = cell.locator(".jp-InputPrompt").inner_text()
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    page.wait_for_function(
        "([cell, old]) => /[0-9]/.test(cell.textContent) && cell.textContent !== old",
        arg=[cell.locator(".jp-InputPrompt").element_handle(), before],
    )
    return json.loads(cell.locator(".jp-OutputArea-output").inner_text())


def _polynomial(x: float) -> list[float]:
    return [x, 2 * x**3 + 5 * x**2 + 3 * x, 6 * x**2 + 10 * x + 3, 12 * x + 10]


# ---- in JupyterLab -------------------------------------------------------------------------------


def test_keys_move_everything(page: Any) -> None:
    explorer = _explorer(page, ONE)
    page.evaluate(SHIFTS)
    explorer.locator("input[type=range]").first.focus()
    active = page.locator(".jp-Cell.jp-mod-active").first.element_handle()
    for key in ["Home", "End", "PageDown", "ArrowLeft", "ArrowDown", "ArrowRight", "ArrowUp"]:
        page.keyboard.press(key)
        shown = _shown(explorer)
        assert shown == pytest.approx(_polynomial(shown[0]), rel=1e-5)
    assert -3 < shown[0] < 3
    assert page.evaluate("window.shifts") == []
    told = _tensorflow(page)
    assert shown == pytest.approx(told["one"], rel=1e-5)
    assert told["told"] == pytest.approx(told["one"][:3], rel=1e-6)
    slope, value = _tangent(explorer)
    assert slope == pytest.approx(told["one"][2], rel=0.02, abs=0.2)
    assert value == pytest.approx(told["one"][1], rel=0.02, abs=0.5)
    assert page.evaluate("cell => cell.isConnected", active)  # the keys moved no cell


def test_drag_moves_the_point_and_the_formulas(page: Any) -> None:
    explorer = _explorer(page, ONE)
    dot = explorer.locator("svg.panel .dot").first
    dot.scroll_into_view_if_needed()
    box = dot.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    before = _shown(explorer)[0]
    page.evaluate(SHIFTS)
    page.mouse.move(x, y)
    page.mouse.down()
    for k in range(30):
        page.mouse.move(x - 4 * k, y)
    page.mouse.up()
    shown = _shown(explorer)
    assert shown[0] < before - 0.5
    assert shown == pytest.approx(_polynomial(shown[0]), rel=1e-5)
    page.wait_for_timeout(400)  # rows out of sight follow when the point rests
    texts = explorer.locator(".formulas .slot").all_text_contents()
    numbers = [number(text.strip("()")) for text in texts if text]
    for value in shown:  # the point, the value and both slopes stand in the derivation
        assert any(told == pytest.approx(value, rel=1e-5) for told in numbers), value
    assert sum(page.evaluate("window.shifts")) == 0


def test_what_is_typed_is_never_run(page: Any) -> None:
    explorer = _explorer(page, ONE)
    box = explorer.locator("input.number")
    box.fill("pi/2")
    box.press("Enter")
    shown = _shown(explorer)
    assert shown == pytest.approx(_polynomial(1.5707964), rel=1e-5)
    for text in TYPED:
        box.fill(text)
        box.press("Enter")
        assert box.get_attribute("aria-invalid") == "true"
        assert "is no number" in explorer.locator(".message").inner_text()
        assert explorer.locator(".item .digits").first.inner_text().startswith("24.8")
    assert page.evaluate("window.hacked") is None
    box.fill("1e39")
    box.press("Enter")
    assert explorer.locator(".message").inner_text() == "That is more than float32 holds."
    assert _shown(explorer) == pytest.approx(_polynomial(1.5707964), rel=1e-5)
    box.fill("1/4")
    box.press("Enter")
    assert box.get_attribute("aria-invalid") is None
    assert explorer.locator(".message").inner_text() == ""
    assert _shown(explorer) == pytest.approx(_polynomial(0.25), rel=1e-5)


def test_curves_on_request(page: Any) -> None:
    explorer = _explorer(page, ONE)
    for name in ["dy/dx", "d²y/dx²", "Taylor 2", "secant"]:
        explorer.get_by_role("button", name=name, exact=True).click()
    assert explorer.locator("svg.panel").count() == 3
    assert len(explorer.locator("path.taylor").get_attribute("d")) > 100
    second = explorer.get_by_role("slider", name="x₂")
    second.focus()
    page.keyboard.press("End")
    x = _shown(explorer)[0]
    value = _polynomial(x)[1]
    secant = number(explorer.locator(".item.secant .digits").inner_text())
    assert secant == pytest.approx((_polynomial(3.0)[1] - value) / (3.0 - x), rel=1e-5)
    for name in ["dy/dx", "d²y/dx²", "Taylor 2", "secant"]:
        explorer.get_by_role("button", name=name, exact=True).click()
    assert explorer.locator("svg.panel").count() == 1


def test_two_sources(page: Any) -> None:
    explorer = _explorer(page, TWO)
    sliders = explorer.locator(".control input[type=range]")
    for which, keys in enumerate([["ArrowRight"] * 5, ["PageUp", "ArrowLeft"]]):
        sliders.nth(which).focus()
        for key in keys:
            page.keyboard.press(key)
    panel = explorer.locator("svg.panel").first
    panel.scroll_into_view_if_needed()
    box = panel.locator(".dot").bounding_box()
    x, y = box["x"] + 9, box["y"] + 9
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y - 30, steps=5)
    page.mouse.up()
    shown = _shown(explorer)
    assert shown == pytest.approx(_tensorflow(page)["two"], rel=1e-5, abs=1e-5)
    assert explorer.locator("path.contour").count() >= 5
    # The arrow points uphill: along the gradient, on axes of equal scale.
    arrow = [float(v) for v in re.findall(r"-?[\d.]+", panel.locator(".arrow").get_attribute("d"))]
    assert arrow[3] * shown[3] <= 0 or abs(shown[4]) < 1e-3
    assert arrow[2] * shown[3] >= 0


def test_branches(page: Any) -> None:
    explorer = _explorer(page, BRANCH)
    assert explorer.locator(".kink").count() == 1  # the slope jumps from 1 to 0
    formulas = explorer.locator(".formulas")
    recorded = formulas.inner_text()
    slider = explorer.locator("input[type=range]").first
    slider.focus()
    page.keyboard.press("Home")
    _until(explorer, ".message", "!/not run/.test(e.textContent)")
    point, value, slope = _shown(explorer)
    assert (point, value, slope) == pytest.approx((-2, -0.9092974, -0.4161468), rel=1e-5)
    assert "sin" in formulas.inner_text()
    page.keyboard.press("End")
    assert _shown(explorer) == [2, 4, 4]
    assert "sin" not in formulas.inner_text()
    explorer.get_by_role("button", name="reset t").click()
    assert formulas.inner_text() == recorded
    box = explorer.locator("input.number")
    box.fill("6")  # where no run has been: the page asks the kernel
    box.press("Enter")
    _until(explorer, ".item .digits", "e.textContent === '5'")
    assert _shown(explorer) == [6, 5, 1]
    assert explorer.locator(".message").inner_text() == ""


def test_the_kernel_computes_what_the_page_cannot(page: Any) -> None:
    explorer = _explorer(page, KERNEL)
    before = _shown(explorer)
    caption = explorer.locator(".formulas .caption")
    assert "At the recorded point, " in caption.inner_text()
    sliders = explorer.locator(".control input[type=range]")
    sliders.first.focus()
    page.evaluate(SHIFTS)
    for key in ["ArrowRight"] * 8 + ["PageDown"] + ["ArrowRight"] * 3:
        page.keyboard.press(key)
    sliders.nth(1).focus()
    page.keyboard.press("ArrowRight")
    _refined(explorer)
    shown = _shown(explorer)
    assert shown[:2] != before[:2]
    assert page.evaluate("window.shifts") == []
    assert shown == pytest.approx(_tensorflow(page)["only"], rel=1e-4)
    _drag(explorer, 60, -40)
    _refined(explorer)
    dragged = _shown(explorer)
    assert dragged[0] > shown[0] and dragged[1] > shown[1]
    assert dragged == pytest.approx(_tensorflow(page)["only"], rel=1e-4)
    panel = explorer.locator("svg.panel").first
    assert panel.locator("path.contour").count() >= 5
    arrow = [float(v) for v in re.findall(r"-?[\d.]+", panel.locator(".arrow").get_attribute("d"))]
    assert arrow[2] * dragged[3] > 0 > arrow[3] * dragged[4]
    for slice_ in explorer.locator(".slice .curves > path:first-child").all():
        assert len(slice_.get_attribute("d")) > 100
    explorer.get_by_role("button", name="zoom out").click()  # to where no point was computed
    explorer.get_by_role("button", name="zoom out").click()
    _refined(explorer)
    assert _corners(explorer) == 0
    explorer.get_by_role("button", name="show the whole range").click()
    _refined(explorer)
    assert explorer.locator(".message").inner_text() == ""
    assert caption.is_visible()  # what follows tells of another point
    assert explorer.locator(".formulas [data-recorded]").first.is_visible()


def _refined(explorer: Any) -> None:
    """Wait until the kernel has told all that there is to see."""
    _until(explorer, ".plane-view .hint", "/33 × 33/.test(e.textContent)")
    explorer.page.wait_for_timeout(600)


def _corners(explorer: Any) -> int:
    """How many corners of the plane are grey, as what nobody computed."""
    return explorer.locator("image").evaluate(
        """async image => {
          const drawn = new Image();
          drawn.src = image.getAttribute('href');
          await drawn.decode();
          const { width, height } = drawn;
          const brush = new OffscreenCanvas(width, height).getContext('2d');
          brush.drawImage(drawn, 0, 0);
          const { data } = brush.getImageData(0, 0, width, height);
          const at = (x, y) => data[4 * (y * width + x)];
          return [at(0, 0), at(width - 1, 0), at(0, height - 1), at(width - 1, height - 1)]
            .filter(red => red > 100).length;
        }"""
    )


def _drag(explorer: Any, dx: float, dy: float) -> None:
    panel = explorer.locator("svg.panel").first
    panel.scroll_into_view_if_needed()
    box = panel.locator(".dot").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    explorer.page.mouse.move(x, y)
    explorer.page.mouse.down()
    explorer.page.mouse.move(x + dx, y + dy, steps=12)
    explorer.page.mouse.up()


def _type(explorer: Any, *values: str) -> None:
    for box, value in zip(explorer.locator("input.number").all(), values):
        box.fill(value)
        box.press("Enter")


def test_a_descent_waits_for_the_kernel(page: Any) -> None:
    explorer = _explorer(page, KERNEL)
    _type(explorer, "1.5", "0.5")
    _refined(explorer)
    explorer.get_by_role("button", name="gradient descent").click()
    explorer.get_by_role("slider", name="learning rate").focus()
    page.keyboard.press("Home")
    for _ in range(20):  # to 0.001
        page.keyboard.press("ArrowRight")
    point = _tensorflow(page)["only"]
    explorer.get_by_role("button", name="step", exact=True).click()
    _until(explorer, ".words", "/Step 1: the target fell/.test(e.textContent)")
    _refined(explorer)
    after = _shown(explorer)
    expected = [x - 0.001 * slope for x, slope in zip(point[:2], point[3:])]
    assert after[:2] == pytest.approx(expected, rel=1e-5)
    assert after == pytest.approx(_tensorflow(page)["only"], rel=1e-4)
    explorer.get_by_role("button", name="10 steps").click()
    _until(explorer, ".words", "/Step 11: the target fell/.test(e.textContent)")
    assert explorer.locator("path.descent").first.get_attribute("d").count("L") == 11
    explorer.get_by_role("slider", name="learning rate").focus()
    page.keyboard.press("End")
    explorer.get_by_role("button", name="10 steps").click()
    _until(explorer, ".words", "/diverged/.test(e.textContent)")
    explorer.get_by_role("button", name="reset p").click()  # and it is still alive
    explorer.get_by_role("button", name="reset q").click()
    _until(explorer, ".item .digits", "e.textContent === '17.5781'")
    explorer.get_by_role("button", name="gradient descent").click()


def _igamma(x: float) -> list[float]:
    """P(2, x)² and its slope."""
    whole = 1 - (1 + x) * math.exp(-x)
    return [whole**2, 2 * whole * x * math.exp(-x)]


def test_secant_and_taylor_polynomials_from_the_kernel(page: Any) -> None:
    explorer = _explorer(page, ENTRY)
    _type(explorer, "2.25")
    _until(explorer, ".item .digits", f"Math.abs(e.textContent - {_igamma(2.25)[0]}) < 1e-5")
    assert _shown(explorer)[:3] == pytest.approx([2.25, *_igamma(2.25)], rel=1e-4)
    for name in ["d²s/dx[0]²", "Taylor 3", "secant"]:
        explorer.get_by_role("button", name=name, exact=True).click()
    assert len(explorer.locator("path.taylor").get_attribute("d")) > 100
    assert len(explorer.locator("path.curve.order-2").get_attribute("d")) > 100
    _type(explorer, "2.25", "3.0123")  # the second is the secant's: no point of the curve
    slope = (_igamma(3.0123)[0] - _igamma(2.25)[0]) / (3.0123 - 2.25)
    page.wait_for_timeout(500)
    secant = number(explorer.locator(".item.secant .digits").inner_text())
    assert secant == pytest.approx(slope, rel=2e-5)
    for name in ["d²s/dx[0]²", "Taylor 3", "secant"]:
        explorer.get_by_role("button", name=name, exact=True).click()


def test_bad_input_to_the_kernel_has_a_word(page: Any) -> None:
    explorer = _explorer(page, BAD)
    assert "c=(3,-1) is reversed: read as (-1, 3)" in explorer.locator(".limits").inner_text()
    message = explorer.locator(".message")
    _type(explorer, "1", "1.75")
    word = "The cell raises there ValueError: too far."
    _until(explorer, ".message", f"e.textContent === '{word}'")
    assert explorer.locator(".item .digits").first.inner_text() == "nan"
    _type(explorer, "-0.5", "0.5")
    _until(explorer, ".message", "e.textContent === ''")
    assert _shown(explorer)[0] == -0.5
    assert explorer.locator(".item .digits").first.inner_text() == "nan"
    _type(explorer, "1e39")
    assert "more than float32 holds" in message.inner_text()
    _type(explorer, "2", "0.5")
    value = math.log(2) / 2 + 1 - 2.25 * math.exp(-1.25)
    _until(explorer, ".item .digits", f"Math.abs(e.textContent - {value}) < 1e-5")
    assert message.inner_text() == ""
    assert explorer.locator("path.contour").count() >= 5


def test_gradient_descent(page: Any) -> None:
    explorer = _explorer(page, TWO)
    for box, start in zip(explorer.locator("input.number").all(), ["1.5", "0.5"]):
        box.fill(start)
        box.press("Enter")
    point = _shown(explorer)
    explorer.get_by_role("button", name="gradient descent").click()
    explorer.get_by_role("button", name="step", exact=True).click()
    after = _shown(explorer)
    expected = [x - 0.1 * slope for x, slope in zip(point[:2], point[3:5])]
    assert after[:2] == pytest.approx(expected, rel=1e-5)
    assert "fell" in explorer.locator(".words").inner_text()
    assert len(explorer.locator("tbody tr").nth(1).locator("td").all()) == 5
    rate = explorer.get_by_role("slider", name="learning rate")
    rate.focus()
    page.keyboard.press("End")
    explorer.get_by_role("button", name="10 steps").click()
    assert "diverge" in explorer.locator(".words").inner_text()
    explorer.get_by_role("button", name="gradient descent").click()


def test_the_widget_shown_by_itself(page: Any) -> None:
    """The same model: what moves one moves the other."""
    widget = page.locator(".jp-CodeCell").nth(WIDGET).locator(".explorer")
    widget.locator("input[type=range]").first.focus()
    page.keyboard.press("Home")
    below = _explorer(page, ONE)
    _until(below, "input.number", "e.value === '−3'")
    assert _shown(below) == pytest.approx(_polynomial(-3.0))
    below.locator("input[type=range]").first.focus()
    page.keyboard.press("End")
    box = widget.locator("input.number").element_handle()
    page.wait_for_function("e => e.value === '3'", arg=box)


def test_words_for_those_who_listen(page: Any) -> None:
    explorer = _explorer(page, ONE)
    slider = explorer.locator("input[type=range]").first
    slider.focus()
    page.keyboard.press("End")
    _until(explorer, "[aria-live]", "/slope is 87, rising/.test(e.textContent)")
    assert slider.get_attribute("aria-valuetext") == "3"
    for button in explorer.locator("button").all():
        assert button.get_attribute("aria-label") or button.inner_text().strip()


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
def test_readable_in_both_themes(page: Any, theme: str) -> None:
    page.get_by_role("menuitem", name="Settings", exact=True).click()
    page.get_by_text("Theme", exact=True).hover()
    page.get_by_text(theme, exact=True).click()
    light = str(theme.endswith("Light")).lower()
    page.wait_for_selector(f"body[data-jp-theme-light={light}]", state="attached")
    explorer = _explorer(page, ONE)
    _until(explorer, ".explorer", f"e.matches('.dark') !== {light}")
    for part in (".item .digits", ".button", ".check", ".slot", ".name"):
        for element in explorer.locator(f"{part}:visible").all()[:8]:
            assert element.evaluate(CONTRAST) >= 4.5, part


def test_run_again_leaves_nothing_behind(page: Any) -> None:
    cell = page.locator(".jp-CodeCell").nth(1)
    last = page.locator(".jp-CodeCell .jp-InputPrompt").last.inner_text()
    cell.locator(".cm-content").click()
    for _ in range(20):
        page.keyboard.press("Control+Enter")
    _ran(page, int(last.strip("[]:")) + 20)
    _explorer(page, BRANCH)
    page.wait_for_function(
        "() => globalThis[Symbol.for('tapemagic')].models.size === 8"
        " && document.querySelectorAll('.tapemagic-explorer').length === 8"
    )
    explorer = _explorer(page, ONE)
    explorer.locator("input[type=range]").first.focus()
    page.keyboard.press("Home")
    assert _shown(explorer) == pytest.approx(_polynomial(-3.0))
    assert _tensorflow(page)["told"][0] == -3


def test_nothing_is_drawn_again_when_the_widget_was_told(page: Any) -> None:
    explorer = _explorer(page, ONE)
    explorer.locator("input[type=range]").first.focus()
    page.keyboard.press("Home")
    page.wait_for_timeout(500)
    page.keyboard.press("ArrowRight")
    _until(explorer, "input.number", "e.value === '−2.95'")
    explorer.locator(".stage").evaluate("""stage => {
      window.drawn = 0;
      const watched = { subtree: true, attributes: true };
      new MutationObserver(() => window.drawn++).observe(stage, watched);
    }""")
    page.wait_for_timeout(1000)  # the kernel learns the point a little later, the reader too
    assert page.evaluate("window.drawn") == 0
    page.keyboard.press("ArrowRight")
    _until(explorer, "input.number", "e.value === '−2.9'")
    assert page.evaluate("window.drawn") > 0


def test_keys_of_the_notebook(page: Any) -> None:
    """Letters and arrows stay in the explorer; a command reaches the notebook from within it."""
    cells = page.locator(".jp-Cell").count()
    explorer = _explorer(page, ONE)
    box = explorer.locator("input.number")
    for element in (explorer.locator("input[type=range]").first, box):
        element.focus()
        for key in ("d", "d", "a", "ArrowDown", "ArrowUp", "Control+a", "Control+z"):
            page.keyboard.press(key)
    assert page.locator(".jp-Cell").count() == cells
    assert page.locator(".jp-Cell.jp-mod-selected").count() == 1
    box.press("Escape")
    page.locator(".jp-CodeCell").last.locator(".jp-InputArea-editor").click()
    page.keyboard.press("Control+End")
    page.keyboard.type(" ")
    page.wait_for_selector(DIRTY)
    page.keyboard.press("Backspace")
    explorer.locator("input[type=range]").first.focus()
    _save(page)


def test_opened_again(page: Any, browser: Any, address: str) -> None:
    _save(page)
    again = _open(browser, address, "second")
    explorer = _explorer(again, ONE)
    explorer.locator("input[type=range]").first.focus()
    again.keyboard.press("End")
    assert _shown(explorer) == pytest.approx(_polynomial(3.0))
    again.close()


# ---- exported ------------------------------------------------------------------------------------


def test_exported_page_lives(exported: Any) -> None:
    explorer = _explorer(exported, ONE)
    exported.evaluate(SHIFTS)
    other = _shown(_explorer(exported, TWO))
    explorer.locator("input[type=range]").first.focus()
    exported.keyboard.press("Home")
    for _ in range(7):
        exported.keyboard.press("ArrowRight")
        shown = _shown(explorer)
        assert shown == pytest.approx(_polynomial(shown[0]), rel=1e-5)
    assert shown[0] == pytest.approx(-2.65)
    assert _shown(_explorer(exported, TWO)) == other
    assert exported.evaluate("window.shifts") == []
    _explorer(exported, BRANCH).locator("input[type=range]").first.focus()
    exported.keyboard.press("Home")
    assert _shown(_explorer(exported, BRANCH))[0] == -2


def test_long_names_have_room(exported: Any) -> None:
    explorer = _explorer(exported, NAMED)
    value, slope = (item.bounding_box() for item in explorer.locator(".item:visible").all())
    number = explorer.locator(".item .digits").first.bounding_box()
    assert number["x"] + number["width"] <= value["x"] + value["width"]
    assert slope["y"] >= value["y"] + value["height"] or slope["x"] >= value["x"] + value["width"]


def test_a_derivation_of_another_point_is_dimmed(exported: Any) -> None:
    explorer = _explorer(exported, BRANCH)
    for text, opacity in [("6", "0.6"), ("1", "1")]:  # no run has been beyond 3
        _type(explorer, text)
        _until(explorer, ".formulas", f"getComputedStyle(e).opacity === '{opacity}'")


def test_with_no_kernel_the_nearest_stored_point_is_shown(exported: Any) -> None:
    only = _explorer(exported, KERNEL)
    assert only.locator("path.contour").count() >= 5
    only.locator("input[type=range]").first.focus()
    before = _shown(only)
    for _ in range(3):
        exported.keyboard.press("ArrowRight")
    _nearest(only, before[0] + 0.3, before[1])
    _drag(only, -50, -30)
    word = only.locator(".message").inner_text()
    assert "the nearest point" in word and "run the cell" in word
    point = _shown(only)
    _nearest(only, *point[:2])
    only.get_by_role("button", name="gradient descent").click()
    only.get_by_role("button", name="10 steps").click()
    assert _shown(only)[2:] == point[2:]  # no step that nobody computed
    assert only.locator(".message").inner_text().endswith("run the cell to move it.")
    only.get_by_role("button", name="gradient descent").click()
    only.get_by_role("button", name="reset p").click()
    only.get_by_role("button", name="reset q").click()
    assert _shown(only)[2] == pytest.approx(17.5781, rel=1e-5)
    assert only.locator(".message").inner_text() == ""


def _nearest(only: Any, p: float, q: float) -> None:
    """The point that the message names is near (p, q), and the values shown are those there."""
    told = re.findall(r"[pq] = (−?[\d.]*\d)", only.locator(".message").inner_text())
    a, b = map(number, told)
    assert (a, b) == pytest.approx((p, q), abs=0.15)
    singular = np.linalg.svd(np.array([[a, b], [b, a * a]]), compute_uv=False)
    assert _shown(only)[2] == pytest.approx(np.sum(singular**3), rel=1e-4)


def test_play_zoom_and_reset(exported: Any) -> None:
    explorer = _explorer(exported, ONE)
    explorer.get_by_role("button", name="play x").click()
    _until(explorer, ".explorer", "e.querySelector('input.number').value !== '−2.65'")
    explorer.get_by_role("button", name="pause x").click()
    stopped = _shown(explorer)
    exported.wait_for_timeout(150)
    assert _shown(explorer) == stopped
    ticks = explorer.locator(".ticks text")
    before = ticks.all_text_contents()
    explorer.get_by_role("button", name="zoom in").click()
    exported.wait_for_timeout(60)
    assert ticks.all_text_contents() != before
    panel = explorer.locator("svg.panel").first
    box = panel.bounding_box()
    exported.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 40)
    exported.mouse.down()
    exported.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 60, steps=4)
    exported.mouse.up()
    assert _shown(explorer) == stopped  # the view was moved, not the point
    explorer.get_by_role("button", name="show the whole range").click()
    exported.wait_for_timeout(60)
    assert ticks.all_text_contents() == before
    explorer.get_by_role("button", name="reset x").click()
    assert _shown(explorer) == pytest.approx(_polynomial(2.0))


def test_rows_out_of_sight_follow_when_the_point_rests(exported: Any) -> None:
    explorer = _explorer(exported, LONG)
    slots = explorer.locator(".formulas .slot")
    recorded = slots.all_text_contents()
    explorer.locator("input[type=range]").focus()
    exported.keyboard.press("End")
    exported.wait_for_timeout(600)
    moved = slots.all_text_contents()
    assert explorer.locator(".formulas details:not([open])").count() > 0
    assert all(a != b for a, b in zip(recorded, moved, strict=True))
    for fold in explorer.locator(".formulas summary").all():
        fold.click()
    slots.last.scroll_into_view_if_needed()
    exported.wait_for_timeout(300)
    assert slots.all_text_contents() == moved


@pytest.mark.parametrize("width", [1280, 390])
def test_the_derivation_stands_still_from_the_first_frame_on(exported: Any, width: int) -> None:
    page = exported.context.new_page()
    page.set_viewport_size({"width": width, "height": 900})
    page.add_init_script(f"({PLACES})()")
    page.goto(exported.url)
    page.wait_for_function("() => window.places.length > 30")
    places = page.evaluate("window.places")
    assert all(place == pytest.approx(places[-1], abs=0.5) for place in places)
    page.close()


def test_on_a_phone(exported: Any) -> None:
    exported.set_viewport_size({"width": 360, "height": 700})
    exported.evaluate("() => document.querySelectorAll('.jp-InputArea').forEach(e => e.remove())")
    exported.wait_for_timeout(200)
    for which in (ONE, TWO, BRANCH):
        explorer = _explorer(exported, which)
        assert explorer.bounding_box()["width"] <= 360
        for part in ("svg.panel", ".control", ".readout", ".switches"):
            for element in explorer.locator(part).all():
                box = element.bounding_box()
                assert box["x"] + box["width"] <= 361, part
    exported.set_viewport_size({"width": 1280, "height": 900})


def test_a_finger_drags_the_point_and_scrolls_past_the_picture(exported: Any) -> None:
    context = exported.context.browser.new_context(
        has_touch=True, is_mobile=True, viewport={"width": 390, "height": 800}, offline=True
    )
    page = context.new_page()
    page.goto(exported.url)
    touches = context.new_cdp_session(page)

    def swipe(x: float, y: float, dx: float, dy: float) -> float:
        """How far the page is scrolled by it."""
        before = page.evaluate("scrollY")
        for k in range(13):
            place = {"x": x + dx * k / 12, "y": y + dy * k / 12}
            kind = "touchMove" if k else "touchStart"
            touches.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [place]})
            page.wait_for_timeout(16)
        touches.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        page.wait_for_timeout(300)
        return float(page.evaluate("scrollY") - before)

    for which in (ONE, TWO):
        explorer = _explorer(page, which)
        explorer.evaluate("e => { e.scrollIntoView(); scrollBy(0, -60); }")
        box = explorer.locator(".dot").first.bounding_box()
        before = _shown(explorer)
        assert swipe(box["x"] + 9, box["y"] + 9, -50, 40) == 0
        dragged = _shown(explorer)
        assert dragged[0] < before[0]
        panel = explorer.locator("svg.panel").first.bounding_box()
        assert swipe(panel["x"] + 330, panel["y"] + panel["height"] - 60, 0, -120) > 60
        assert _shown(explorer) == dragged
    shown = _shown(_explorer(page, ONE))
    assert shown == pytest.approx(_polynomial(shown[0]), rel=1e-5)
    context.close()


def test_who_hears_keys_first_is_told_which_are_not_for_him(exported: Any) -> None:
    """As Notebook 7 listens: at the document, before the explorer."""
    exported.evaluate("""() => {
      window.heard = [];
      document.addEventListener('keydown', event => {
        if (!event.target.closest('[data-lm-suppress-shortcuts]')) window.heard.push(event.key);
      }, true);
    }""")
    _explorer(exported, ONE).locator("input[type=range]").first.focus()
    for key in ("ArrowRight", "d", "Control+a", "Control+s", "ArrowLeft"):
        exported.keyboard.press(key)
    assert exported.evaluate("window.heard.filter(key => key !== 'Control')") == ["s"]
