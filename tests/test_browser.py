"""The tour as a reader meets it: in JupyterLab and as an exported page, in a real browser."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from lab import CONTRAST, choose, chromium, environment, needs, serving

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[1]
TOUR = ROOT / "examples" / "tour.ipynb"
SLOW = 90_000  # ms; TensorFlow takes its time to load
SHOWN = ".jp-OutputArea-output .tapemagic"
TEX = re.compile(r"\$\$|\\(frac|begin|partial|dfrac|cdot)")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str, str]]:
    """A JupyterLab server: its folder, its address, its token."""
    folder = tmp_path_factory.mktemp("notebooks")
    shutil.copy(TOUR, folder / "tour.ipynb")
    foreign = _tour()
    foreign.cells[0].source += "\n\nFrom somebody else: never run here, hence not trusted."
    nbformat.write(foreign, folder / "foreign.ipynb")
    with serving(folder, tmp_path_factory.mktemp("home")) as (address, token):
        yield folder, address, token


@pytest.fixture(scope="module")
def opened(browser: Any, lab: tuple[Path, str, str]) -> Iterator[Callable[[str], Any]]:
    """A notebook opened by a reader of its own."""
    _, address, token = lab
    contexts = []

    def open_one(name: str) -> Any:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        contexts.append(context)
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=address)
        context.set_default_timeout(SLOW)
        page = context.new_page()
        page.goto(f"{address}/lab/workspaces/w{len(contexts)}/tree/{name}?token={token}")
        page.wait_for_function(
            "([shown, n]) => document.querySelectorAll(shown).length === n",
            arg=[SHOWN, _derivations(_tour())],
        )
        return page

    yield open_one
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def tour(opened: Callable[[str], Any]) -> Any:
    """The tour after Run All: every output comes from this kernel."""
    page = opened("tour.ipynb")
    # Kernel ▸ Restart and Run All would answer an extra dialog; clear what is stored instead.
    choose(page, "Edit", "Clear Outputs of All Cells")
    page.wait_for_selector(SHOWN, state="detached")
    page.wait_for_selector("#jp-main-statusbar >> text=/\\| Idle/")  # what is asked earlier is lost
    choose(page, "Run", "Run All Cells")
    last = f"[{sum(cell.cell_type == 'code' for cell in _tour().cells)}]:"
    page.wait_for_function(
        "n => [...document.querySelectorAll('.jp-InputPrompt')].some(p => p.textContent === n)",
        arg=last,
    )
    assert page.locator(SHOWN).count() == _derivations(_tour())
    return page


def _tour() -> Any:
    return nbformat.read(TOUR, as_version=4)


def _derivations(notebook: Any) -> int:
    outputs = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
    return sum("text/latex" in output.get("data", {}) for output in outputs)


def _check_formulas(page: Any, selector: str) -> None:
    """Formulas stand there in MathML, as large as a reader needs, and nothing is raw TeX."""
    boxes = page.eval_on_selector_all(
        f"{selector} math",
        "found => found.filter(m => !m.closest('details:not([open])'))"
        ".map(m => m.getBoundingClientRect()).map(b => [b.width, b.height])",
    )
    assert len(boxes) > 100
    assert all(width > 3 and height > 4 for width, height in boxes)
    for text in page.locator(selector).all_inner_texts():
        assert not TEX.search(text), text
        assert "checked" in text


def test_run_all_shows_derivations(tour: Any) -> None:
    _check_formulas(tour, SHOWN)
    errors = tour.locator(".jp-OutputArea-output[data-mime-type$=stderr]").all_inner_texts()
    told = [text for text in errors if "UsageError" in text]
    assert len(told) == sum("raises-exception" in c.metadata.get("tags", []) for c in _tour().cells)
    assert not any("Traceback" in text for text in errors)


def test_nothing_is_wider_than_the_page(tour: Any) -> None:
    wide = "e => e.scrollWidth - e.clientWidth"
    assert tour.evaluate(f"({wide})(document.documentElement)") <= 0
    outer = tour.locator(".jp-WindowedPanel-outer").first
    assert outer.evaluate(wide) <= 0
    for output in tour.locator(SHOWN).all():
        assert output.evaluate(wide) <= 1, output.inner_text()


def test_each_formula_is_readable_text_once(tour: Any) -> None:
    """The plain text for readers without MathML takes no room beside it."""
    visible = tour.locator(f"{SHOWN} .tapemagic-plain:visible")
    assert visible.count() == 0


def test_the_button_copies_the_latex(tour: Any) -> None:
    button = tour.locator(f"{SHOWN} button").first
    button.click()
    tour.wait_for_function("b => b.textContent === 'copied'", arg=button.element_handle())
    copied = tour.evaluate("navigator.clipboard.readText()")
    first = next(
        output.data["text/latex"]
        for cell in _tour().cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "text/latex" in output.get("data", {})
    )
    assert copied.strip() == first.strip()
    assert r"\frac" in copied
    assert copied.count(r"\begin{aligned}") == copied.count(r"\end{aligned}") > 0


def test_folds_open(tour: Any) -> None:
    folds = tour.locator(f"{SHOWN} details")
    for fold in folds.all():
        assert fold.get_attribute("open") is None
        fold.locator("summary").first.click()
        assert fold.get_attribute("open") is not None
        assert fold.locator(".tapemagic-rows").first.bounding_box()["height"] > 8


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_readable_in_both_themes(tour: Any, theme: str) -> None:
    tour.get_by_role("menuitem", name="Settings", exact=True).click()
    tour.get_by_text("Theme", exact=True).hover()
    tour.get_by_text(theme, exact=True).click()
    light = str(theme.endswith("Light")).lower()
    tour.wait_for_selector(f"body[data-jp-theme-light={light}]", state="attached")
    for part in ("math", ".tapemagic-label", ".tapemagic-title", ".tapemagic-note", "button"):
        for element in tour.locator(f"{SHOWN} {part}").all()[:20]:
            assert element.evaluate(CONTRAST) >= 4.5, part


def test_reopened_after_save(tour: Any, opened: Callable[[str], Any], lab: Any) -> None:
    tour.keyboard.press("Control+s")
    tour.wait_for_selector(".jp-mod-dirty", state="detached")
    page = opened("tour.ipynb")
    _check_formulas(page, SHOWN)
    saved = nbformat.read(lab[0] / "tour.ipynb", as_version=4)
    assert _derivations(saved) == _derivations(_tour())


def test_untrusted_is_still_readable(opened: Callable[[str], Any]) -> None:
    """Somebody else's notebook, before it runs: JupyterLab strips styles and MathML."""
    page = opened("foreign.ipynb")
    page.wait_for_selector(SHOWN)
    lines = page.locator(SHOWN).first.inner_text().splitlines()
    shown = [" ".join(line.split()) for line in lines]
    assert "y = x² = 3² = 9 (1) line 3" in shown
    assert "from (1) dy/dx = 2x = 2 · 3 = 6" in shown
    assert page.locator(f"{SHOWN} button:visible").count() == 0  # it could do nothing


# ---- exported ------------------------------------------------------------------------------------


def _exported(kind: str, folder: Path) -> str:
    command = [sys.executable, "-m", "nbconvert", "--to", kind, "--output-dir", str(folder)]
    done = subprocess.run(
        [*command, str(TOUR)],
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    (found,) = folder.glob(f"tour.{'tex' if kind == 'latex' else kind}")
    return str(found)


@pytest.mark.parametrize("javascript", [True, False])
def test_exported_page_needs_no_network(browser: Any, tmp_path: Path, javascript: bool) -> None:
    context = browser.new_context(
        offline=True, java_script_enabled=javascript, viewport={"width": 1280, "height": 900}
    )
    page = context.new_page()
    # Scripts of others (MathJax) that the page asks for are not there.
    page.route(re.compile("^https?:"), lambda route: route.abort())
    page.goto(f"file://{_exported('html', tmp_path)}")
    page.wait_for_selector(".tapemagic math")
    assert page.locator(".tapemagic").count() == _derivations(_tour())
    _check_formulas(page, ".tapemagic")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    context.close()


def test_exported_latex_is_well_formed(tmp_path: Path) -> None:
    needs("pandoc")
    text = Path(_exported("latex", tmp_path)).read_text()
    stack: list[str] = []
    for which, name in re.findall(r"\\(begin|end)\{(\w+\*?)\}", text):
        if which == "begin":
            stack.append(name)
        else:
            assert stack.pop() == name
    assert stack == []
    assert text.count(r"\begin{aligned}") >= _derivations(_tour())
    assert not re.search(r"\\begin\{align\*?\}", text)
    if shutil.which("xelatex"):
        command = ["xelatex", "-interaction=nonstopmode", "-halt-on-error", "tour.tex"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout[-3000:]
