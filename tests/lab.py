"""JupyterLab on a free port and a headless Chromium, for tests and benchmarks in a browser."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
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
SETTINGS = {"apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False}}
# All cells are rendered, also those out of view: only then has a page's text.
WHOLE = {"notebook-extension/tracker": {"windowingMode": "none"}}
# The least contrast between text and ground that WCAG calls readable.
CONTRAST = """element => {
  const brush = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const rgb = text => {  // whatever way the colour is written
    brush.clearRect(0, 0, 1, 1);
    brush.fillStyle = text;
    brush.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = brush.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  let opacity = 1, ground = [255, 255, 255];
  for (let up = element; up; up = up.parentElement) opacity *= +getComputedStyle(up).opacity;
  for (let up = element; up; up = up.parentElement) {
    const found = rgb(getComputedStyle(up).backgroundColor);
    if (found[3] > 0) { ground = found; break; }
  }
  const ink = rgb(getComputedStyle(element).color)
    .slice(0, 3).map((v, i) => v * opacity + ground[i] * (1 - opacity));
  const [a, b] = [light(ink), light(ground)].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
}"""


def needs(*programs: str) -> None:
    """Skip where a program is missing; in CI fail."""
    missing = [program for program in programs if not shutil.which(program)]
    if missing and os.environ.get("CI") != "true":
        pytest.skip(f"needs {', '.join(missing)}")
    assert not missing, f"needs {', '.join(missing)}"


def environment(home: Path) -> dict[str, str]:
    """For a server or converter that reads no settings but ours."""
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


@contextmanager
def chromium(*flags: str) -> Iterator[Any]:
    """A browser without a window."""
    needs(CHROMIUM)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
        yield started
        started.close()


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(folder: Path, home: Path, whole: bool = True) -> Iterator[tuple[str, str]]:
    """JupyterLab on a free port; its address and token. It renders the whole notebook, or, as its
    own settings have it, what is in view."""
    for name, settings in (SETTINGS | (WHOLE if whole else {})).items():
        file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings))
    port = free_port()
    token = secrets.token_hex(16)
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": port,
        "ServerApp.port_retries": 0,
        "ServerApp.root_dir": folder,
        "IdentityProvider.token": token,
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", *arguments]
    with running(command, port, home / "log", environment(home)):
        yield f"http://127.0.0.1:{port}", token


@contextmanager
def running(command: list[str], port: int, log: Path, env: dict[str, str]) -> Iterator[None]:
    """A program with what it starts, from when it listens at the port until it has ended."""
    with log.open("w") as out:
        server = subprocess.Popen(command, env=env, stdout=out, stderr=out, start_new_session=True)
    try:
        _wait_for(port, server, log)
        yield
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        assert server.poll() is None, log.read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    pytest.fail(f"{server.args} did not start: {log.read_text()}")


def number(text: str) -> float:
    """2.5, −3, 1.2·10⁻⁷"""
    plain = text.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹−", "-0123456789-"))
    return float(plain.replace("·10", "e"))


def choose(page: Any, menu: str, item: str) -> None:
    """An item of JupyterLab's menus."""
    page.get_by_role("menuitem", name=menu, exact=True).click()
    page.get_by_role("menuitem", name=item).first.click()
