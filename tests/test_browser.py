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
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("notebooks")
    shutil.copy(TOUR, folder / "tour.ipynb")
    foreign = nbformat.read(TOUR, as_version=4)
    foreign.cells[0].source += "\n\nWritten by somebody else."
    nbformat.write(foreign, folder / "foreign.ipynb")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
            *(f"--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}"),
            *("--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"),
            *(f"--ServerApp.root_dir={folder}", "--LabApp.news_url=", "--LabApp.check_for_updates_class="
              "jupyterlab.NeverCheckForUpdate"),
        ],
        env=_environment(home),
        stdout=subprocess.DEVNULL,
        stderr=(home / "log").open("w"),
    )
    _wait_for(port, server, home / "log")
    yield folder, f"http://127.0.0.1:{port}", token
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
def open_notebook(browser: Any, lab: tuple[Path, str, str]) -> Iterator[Callable[..., Any]]:
    """A page with a notebook in it, in a workspace of its own."""
    _, address, token = lab
    contexts = []

    def opened(name: str, workspace: str) -> Any:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        contexts.append(context)
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=address)
        page = context.new_page()
        page.set_default_timeout(SLOW)
        page.goto(f"{address}/lab/workspaces/{workspace}/tree/{name}?token={token}")
        page.wait_for_selector(".jp-Notebook .jp-Cell")
        page.wait_for_selector(SHOWN, state="attached")
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def tour(open_notebook: Callable[..., Any]) -> Any:
    """The tour after Run All."""
    page = open_notebook("tour.ipynb", "run")
    page.wait_for_selector(".jp-NotebookPanel-toolbar")
    for cell in json.loads(TOUR.read_text())["cells"]:  # what fails on purpose stops Run All
        assert cell["cell_type"] in ("code", "markdown")
    page.get_by_role("menuitem", name="Edit", exact=True).click()
    page.get_by_text("Clear Outputs of All Cells").click()
    page.wait_for_selector(SHOWN, state="detached")
    _run_all(page)
    return page


def _run_all(page: Any) -> None:
    """Run All, and once more from below each cell that fails on purpose."""
    code = [c for c in nbformat.read(TOUR, as_version=4).cells if c.cell_type == "code"]
    page.locator(".jp-Notebook .jp-Cell").first.click()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    page.wait_for_function(_DONE, arg=len(code), timeout=2 * SLOW)
