"""The tour as a reader meets it: in JupyterLab and as an exported page, in a real browser."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import pytest

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[1]
TOUR = ROOT / "examples" / "tour.ipynb"
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SLOW = 90_000  # ms; TensorFlow takes its time to load
SHOWN = ".jp-OutputArea-output .tapemagic"
TEX = re.compile(r"\$\$|\\(frac|begin|partial|dfrac|cdot)")
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},  # all cells are there at once
}
# The least contrast between text and ground that WCAG calls readable.
CONTRAST = """element => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  let opacity = 1, ground = [255, 255, 255];
  for (let up = element; up; up = up.parentElement) opacity *= +getComputedStyle(up).opacity;
  for (let up = element; up; up = up.parentElement) {
    const found = rgb(getComputedStyle(up).backgroundColor);
    if (found.length < 4 || found[3] > 0) { ground = found; break; }
  }
  const ink = rgb(getComputedStyle(element).color)
    .slice(0, 3).map((v, i) => v * opacity + ground[i] * (1 - opacity));
  const [a, b] = [light(ink), light(ground)].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
}"""


def _needs(*programs: str) -> None:
    missing = [program for program in programs if not shutil.which(program)]
    if missing and os.environ.get("CI") != "true":
        pytest.skip(f"needs {', '.join(missing)}")
    assert not missing, f"needs {', '.join(missing)}"


def _environment(home: Path) -> dict[str, str]:
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "HOME": str(home),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    _needs(CHROMIUM)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


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


@contextmanager
def serving(folder: Path, home: Path) -> Iterator[tuple[str, str]]:
    """JupyterLab on a free port; its address and token."""
    for name, settings in SETTINGS.items():
        file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": port,
        "ServerApp.port_retries": 0,
        "ServerApp.root_dir": folder,
        "IdentityProvider.token": token,
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    with (home / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", *arguments],
            env=_environment(home),
            stdout=log,
            stderr=log,
        )
        try:
            _wait_for(port, server, home / "log")
            yield f"http://127.0.0.1:{port}", token
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        assert server.poll() is None, log.read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start: {log.read_text()}")


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
    _choose(page, "Edit", "Clear Outputs of All Cells")
    page.wait_for_selector(SHOWN, state="detached")
    page.wait_for_selector("#jp-main-statusbar >> text=/\\| Idle/")  # what is asked earlier is lost
    _choose(page, "Run", "Run All Cells")
    last = f"[{sum(cell.cell_type == 'code' for cell in _tour().cells)}]:"
    page.wait_for_function(
        "n => [...document.querySelectorAll('.jp-InputPrompt')].some(p => p.textContent === n)",
        arg=last,
    )
    assert page.locator(SHOWN).count() == _derivations(_tour())
    return page


def _choose(page: Any, menu: str, item: str) -> None:
    page.get_by_role("menuitem", name=menu, exact=True).click()
    page.get_by_role("menuitem", name=item).first.click()


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
        env=_environment(folder),
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
    _needs("pandoc")
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
