"""The explorer for people: by keyboard alone, by ear, on a phone and on a projector, with few
colours, and on paper."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import nbformat
import pytest
from lab import CONTRAST, chromium, environment

pytestmark = pytest.mark.browser

ONE, TWO, MANY = range(3)
CELLS = [
    "%load_ext tapemagic\nimport tensorflow as tf",
    "%%grad x -n 2 --explore x=(-3,3,.05)\nx = tf.constant(0.1)\ny = 2*x**3 + 5*x**2 + 3*x",
    "%%grad rate, weight_decay --explore\nrate = tf.Variable(0.1)\n"
    "weight_decay = tf.Variable(1e-5)\n"
    "validation_loss = 1e4*weight_decay*rate + 123456.789*rate**2",
    "%%grad w --explore\nw = tf.Variable([0.5, -1.0, 2.0])\n"
    "loss = tf.reduce_sum((w - [1.0, 2.0, -1.0])**2 * [1e-6, 10.0, 0.2])",
]
# What has the focus, as the shadow roots have it; and whether one sees that it has.
FOCUSED = """() => {
  let e = document.activeElement;
  while (e?.shadowRoot?.activeElement) e = e.shadowRoot.activeElement;
  if (!e?.closest('.explorer')) return null;
  const { outlineStyle, outlineWidth } = getComputedStyle(e);
  const name = e.getAttribute('aria-label') ?? e.labels?.[0]?.textContent ?? e.textContent;
  return [name.trim(), outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2];
}"""
BOXES = """(root, [part, within]) => [...root.querySelectorAll(part)]
  .filter(e => !within || e.closest(within))
  .map(e => e.getBoundingClientRect()).filter(box => box.width)
  .map(({ left, right, top, bottom }) => [left, right, top, bottom])"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("people")
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    kernel = {"name": "python3", "display_name": "Python 3"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, folder / "people.ipynb")
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--execute", "people.ipynb"]
    subprocess.run(command, cwd=folder, env=environment(folder), check=True, timeout=300)
    return f"file://{folder / 'people.html'}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


def _opened(browser: Any, exported: str, width: int = 1280, **how: Any) -> Any:
    page = browser.new_page(viewport={"width": width, "height": 900}, **how)
    page.goto(exported)
    page.locator(".explorer").nth(MANY).wait_for()
    return page


@pytest.fixture(scope="module")
def page(browser: Any, exported: str) -> Any:
    return _opened(browser, exported)


def _explorer(page: Any, which: int) -> Any:
    return page.locator(".explorer").nth(which)


def _boxes(explorer: Any, part: str, within: str = "") -> list[list[float]]:
    return explorer.evaluate(BOXES, [part, within])


def _focus(explorer: Any, role: str, name: str) -> Any:
    found = explorer.get_by_role(role, name=name, exact=True)
    found.focus()
    return found


# ---- by keyboard alone ---------------------------------------------------------------------------


def test_tab_goes_through_everything_and_out_again(page: Any) -> None:
    explorer = _explorer(page, ONE)
    for name in ("secant", "gradient descent"):
        _focus(explorer, "button", name)
        page.keyboard.press("Space")
    page.wait_for_timeout(900)  # until the picture is told in words
    page.evaluate("() => document.activeElement.blur()")
    explorer.locator("svg.panel").first.focus()
    page.keyboard.press("Shift+Tab")
    names, seen = [], True
    for _ in range(40):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused is None:
            break
        names.append(re.sub(r"\. .*", "", focused[0]))
        seen = seen and focused[1]
    second = ["x₂", "x₂, exact value", "play x₂", "reset x₂ to 1.6"]
    assert names[:9] == ["y against x", "x", "x, exact value", "play x", "reset x to 0.1", *second]
    assert names[9:14] == ["dy/dx", "d²y/dx²", "Taylor 2", "secant", "gradient descent"]
    zooms = ["zoom in", "zoom out", "show the whole range"]
    descent = ["learning rate η", "momentum", "step", "10 steps", "clear path"]
    assert names[14:] == [*zooms, *descent, "steps of the descent", "copy LaTeX"]
    assert seen
    for name in ("secant", "gradient descent"):
        explorer.get_by_role("button", name=name, exact=True).click()


def test_the_picture_hears_keys(page: Any) -> None:
    explorer = _explorer(page, ONE)
    ticks = explorer.locator(".ticks text")
    whole = ticks.all_text_contents()
    panel = explorer.locator("svg.panel").first
    panel.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    assert explorer.locator(".keys").is_visible()
    assert "At x = 0.1, y is" in panel.get_attribute("aria-label")
    seen = [whole]
    for key in ("+", "ArrowLeft", "ArrowLeft", "ArrowLeft", "ArrowUp", "ArrowUp", "-"):
        page.keyboard.press(key)
        page.wait_for_timeout(60)
        seen.append(ticks.all_text_contents())
    assert seen[1] != seen[0] and seen[4] != seen[1] and seen[6] != seen[4] and seen[7] != seen[6]
    page.keyboard.press("0")
    page.wait_for_timeout(60)
    assert ticks.all_text_contents() == whole
    assert explorer.locator("input.number").input_value() == "0.1"
    page.keyboard.press("Tab")
    assert not explorer.locator(".keys").is_visible()
    assert "At x" not in panel.get_attribute("aria-label")  # which may move by now


# ---- by ear --------------------------------------------------------------------------------------


def _tree(page: Any) -> list[tuple[str, str, dict[str, Any]]]:
    """Role, name and properties of what a screen reader is told, in order."""
    session = page.context.new_cdp_session(page)
    session.send("Accessibility.enable")
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    session.detach()
    return [
        (
            node["role"]["value"],
            node.get("name", {}).get("value", ""),
            {one["name"]: one["value"].get("value") for one in node.get("properties", [])},
        )
        for node in nodes
        if not node["ignored"]
    ]


NAMED = {"button", "slider", "textbox", "radio", "radiogroup", "group", "image"}


def test_all_that_can_be_used_has_a_name(page: Any) -> None:
    for which in (ONE, TWO, MANY):
        explorer = _explorer(page, which)
        explorer.get_by_role("button", name="gradient descent").click()
    page.wait_for_timeout(900)
    tree = _tree(page)
    nameless = [role for role, name, _ in tree if role in NAMED and not name]
    assert nameless == []
    assert sum(role == "slider" for role, _, _ in tree) == 1 + 2 + 3 + 3 * 2
    two = _explorer(page, TWO)  # the tree that the browser tells us of lacks these words
    words = {
        name: two.get_by_role("slider", name=name).get_attribute("aria-valuetext")
        for name in ("learning rate η", "momentum", "weight_decay")
    }
    assert words["learning rate η"] == "0.1" and words["momentum"] == "none"
    assert words["weight_decay"].startswith("At rate = 0.1, weight_decay = 10 to the minus 5, ")
    # Numbers that change at every frame are no live regions: they would be told without an end.
    assert [name for role, name, _ in tree if role == "status" and name] == []
    pictures = [name for role, name, _ in tree if role == "image"]
    assert any(re.match(r"y against x\. x from \S+ \S+ to \S+, heights from", n) for n in pictures)
    assert any(
        "contours of validation_loss over rate and weight_decay. rate" in n for n in pictures
    )
    radios = [name for role, name, _ in tree if role == "radio"]
    assert radios[1:] == ["∂/∂w[1] −60", "∂/∂w[2] 1.2"]  # with the slope, as one sees it
    headings = {name for role, name, _ in tree if role == "heading"}
    assert "Definitions" in headings
    assert sum(role.startswith("MathML") for role, _, _ in tree) > 100
    for which in (ONE, TWO, MANY):
        _explorer(page, which).get_by_role("button", name="gradient descent").click()


def test_a_slider_says_its_value_at_once_and_all_of_it_to_who_comes(page: Any) -> None:
    explorer = _explorer(page, ONE)
    slider = _focus(explorer, "slider", "x")
    page.keyboard.press("Home")
    assert slider.get_attribute("aria-valuetext") == "minus 3"
    live = explorer.locator("[aria-live=polite].unseen")
    page.wait_for_timeout(900)
    assert live.inner_text().startswith("At x = minus 3, y is minus 18; the slope is 27, rising")
    assert slider.get_attribute("aria-valuetext") == "minus 3"
    page.keyboard.press("Tab")
    assert slider.get_attribute("aria-valuetext") == live.inner_text()
    play = _focus(explorer, "button", "play x")
    page.keyboard.press("Enter")
    assert explorer.get_by_role("button", name="pause x").count() == 1
    page.keyboard.press("Enter")
    assert play.get_attribute("title") == "play x"
    _focus(explorer, "button", "reset x to 0.1")
    page.keyboard.press("Enter")


# ---- by eye --------------------------------------------------------------------------------------


def test_begins_with_the_recorded_point(page: Any) -> None:
    """0.1 is no number of float32: what is shown first is what the tape was asked for."""
    for which in (ONE, TWO):
        explorer = _explorer(page, which)
        assert "tape" in explorer.locator(".check > .stack > :last-child").inner_text()
        assert explorer.locator(".formulas.moved").count() == 0


@pytest.mark.parametrize("width", [390, 768, 1280, 1920])
def test_nothing_is_cut_off_and_nothing_overlaps(browser: Any, exported: str, width: int) -> None:
    page = _opened(browser, exported, width)
    for which in (ONE, TWO, MANY):
        explorer = _explorer(page, which)
        explorer.get_by_role("button", name="gradient descent").click()
        page.wait_for_timeout(100)
        [outer] = explorer.evaluate_all("found => found.map(e => e.getBoundingClientRect())")
        for part in (".item", ".control > *", ".bar > *", ".button", ".icon", ".panel text"):
            for left, right, _, _ in _boxes(explorer, part):
                assert left >= outer["left"] - 1 and right <= outer["right"] + 1, part
        items = _boxes(explorer, ".item > *")
        for a in items:
            for b in items:
                apart = (
                    a is b or a[1] <= b[0] + 1 or b[1] <= a[0] + 1 or a[3] <= b[2] or b[3] <= a[2]
                )
                assert apart, (a, b)
        for panel in explorer.locator("svg.panel").all():
            frame = panel.bounding_box()
            for left, *_ in panel.evaluate(BOXES, [".ticks text", ""]):
                assert left >= frame["x"] - 1
    page.close()


def test_rows_are_level_and_share_their_columns(page: Any) -> None:
    for which in (ONE, TWO, MANY):
        explorer = _explorer(page, which)
        rows = explorer.locator(".control").all()
        for row in rows:
            middles = [
                (top + bottom) / 2
                for _, _, top, bottom in row.evaluate(BOXES, ["label, input, button", ""])
            ]
            assert max(middles) - min(middles) < 0.6
        for part in ("input[type=range]", "input.number"):
            places = _boxes(explorer, part, ".controls")
            assert len({(round(left), round(right)) for left, right, _, _ in places}) == 1
    tracks = _boxes(_explorer(page, MANY), ".track")
    assert len(tracks) == 3 and len({(left, right) for left, right, _, _ in tracks}) == 1


def test_larger_where_there_is_room(browser: Any, exported: str) -> None:
    """On a projector that shows nothing but the notebook."""
    sizes = []
    for width in (1280, 1920):
        page = _opened(browser, exported, width)
        tick = _explorer(page, ONE).locator(".ticks text").first
        panel = _explorer(page, ONE).locator("svg.panel").first
        size = float(tick.evaluate("e => parseFloat(getComputedStyle(e).fontSize)"))
        sizes.append((size, panel.bounding_box()["width"]))
        page.close()
    assert sizes[1][0] > 1.2 * sizes[0][0] and sizes[1][1] > 1.2 * sizes[0][1]


def test_numbers_keep_their_room_when_they_grow(browser: Any, exported: str) -> None:
    page = _opened(browser, exported, 1280)
    slots = _explorer(page, ONE).locator(".formulas .slot:visible")
    rooms = "found => found.map(e => parseFloat(e.style.width)).filter(Boolean)"
    page.wait_for_timeout(200)
    before = slots.evaluate_all(rooms)
    struts = _explorer(page, ONE).locator(".formulas .strut").count()
    page.set_viewport_size({"width": 1920, "height": 900})
    page.wait_for_timeout(300)
    after = slots.evaluate_all(rooms)
    assert len(after) >= len(before) > 0
    assert _explorer(page, ONE).locator(".formulas .strut").count() == struts > 0
    assert all(large > 1.15 * small for small, large in zip(before, after))
    page.close()


def test_neighbouring_lines_differ_without_their_colours(page: Any) -> None:
    explorer = _explorer(page, ONE)
    looks = explorer.locator("svg.panel .curves > .curve").evaluate_all(
        "found => found.map(e => getComputedStyle(e))"
        ".map(({ strokeWidth, strokeDasharray }) => [strokeWidth, strokeDasharray])"
    )
    assert len(looks) == 4
    for k, (width, dashes) in enumerate(looks):
        for other_width, other_dashes in looks[:k]:
            ratio = float(width.removesuffix("px")) / float(other_width.removesuffix("px"))
            assert dashes != other_dashes or not 0.7 < ratio < 1.4


LINES = ["curve", "tangent", "order-1", "order-2", "order-3", "taylor", "secant", "path", "line"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_lines_and_texts_stand_out(browser: Any, exported: str, scheme: str) -> None:
    """By WCAG 3 to 1 for lines, 4.5 to 1 for texts, those in the drawing too."""
    page = _opened(browser, exported, color_scheme=scheme)
    if scheme == "dark":  # as a dark theme has it
        page.evaluate("""() => {
          document.documentElement.style.setProperty('--jp-layout-color0', '#111');
          document.documentElement.style.setProperty('--jp-content-font-color1', '#fff');
          document.body.classList.add('dark');
        }""")
    explorer = _explorer(page, ONE)
    page.wait_for_function(
        "([e, dark]) => e.matches('.dark') === dark",
        arg=[explorer.element_handle(), scheme == "dark"],
    )
    for name in [*LINES, "ink", "quiet", "good", "bad"]:
        probe = explorer.evaluate_handle(
            "(root, name) => root.appendChild(Object.assign(document.createElement('i'),"
            " { style: `color: var(--${name})` }))",
            name,
        )
        least = 3 if name in LINES else 4.5
        assert probe.evaluate(CONTRAST) >= least, name
    page.close()


def test_few_colours(browser: Any, exported: str) -> None:
    """What is on is seen, and a matrix keeps its brackets, which else were a determinant's."""
    page = _opened(browser, exported, forced_colors="active", color_scheme="dark")
    explorer = _explorer(page, ONE)
    button = explorer.get_by_role("button", name="dy/dx", exact=True)
    ground = "e => getComputedStyle(e).backgroundColor"
    before = button.evaluate(ground)
    button.click()
    assert button.evaluate(ground) != before
    line = explorer.locator("path.curve.curve").first.evaluate("e => getComputedStyle(e).stroke")
    assert line == "rgb(255, 255, 255)"
    many = _explorer(page, MANY)
    matrix = many.locator(".tapemagic-matrix").first
    assert "gradient" in matrix.evaluate("e => getComputedStyle(e).backgroundImage")
    fill = many.locator(".fill").first.evaluate(ground)
    assert fill != many.locator(".track").first.evaluate(ground)
    page.close()


def test_play_without_motion(browser: Any, exported: str) -> None:
    page = _opened(browser, exported, reduced_motion="reduce")
    explorer = _explorer(page, ONE)
    box = explorer.locator("input.number")
    explorer.get_by_role("button", name="play x").click()
    values = set()
    for _ in range(24):
        page.wait_for_timeout(50)
        values.add(box.input_value())
    explorer.get_by_role("button", name="pause x").click()
    assert 2 <= len(values) <= 4
    page.close()


def test_on_paper(browser: Any, exported: str) -> None:
    page = _opened(browser, exported, color_scheme="dark")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 718, "height": 1000})  # of A4, within its margins
    explorer = _explorer(page, TWO)
    assert not explorer.locator(".controls").is_visible()
    assert not explorer.locator(".switches").is_visible()
    assert not explorer.locator(".tapemagic-copy").is_visible()
    for left, right, _, _ in _boxes(explorer, "svg.panel"):
        assert left >= 0 and right <= 718
    stroke = explorer.locator("path.tangent").first.evaluate("e => getComputedStyle(e).stroke")
    assert stroke == "rgb(200, 78, 0)"  # that on white
    page.close()
