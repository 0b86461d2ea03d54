"""Browsers that are not Chromium, by the protocols that they come with: Firefox by WebDriver
BiDi, WebKitGTK by WebDriver. Pages are files, and there is no network."""

from __future__ import annotations

import json
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab import environment, free_port, running

WIDTH, HEIGHT = 1280, 900
ARROW_LEFT, ARROW_RIGHT, HOME, END = "\ue012", "\ue014", "\ue011", "\ue010"
NO_NETWORK = {"network.proxy.type": 1} | {
    f"network.proxy.{kind}": value
    for scheme in ("http", "ssl")
    for kind, value in ((scheme, "127.0.0.1"), (f"{scheme}_port", 9))
}
SETTINGS = NO_NETWORK | {"datareporting.policy.dataSubmissionEnabled": False}


class Browser:
    """What both have in common: WebDriver's actions. `errors` is what the console holds."""

    programs: tuple[str, ...]
    errors: list[str]

    def act(self, actions: list[dict[str, Any]]) -> None:
        raise NotImplementedError

    def press(self, *keys: str) -> None:
        kinds = ("keyDown", "keyUp")
        actions = [{"type": kind, "value": key} for key in keys for kind in kinds]
        self.act([{"type": "key", "id": "keys", "actions": actions}])

    def drag(self, x: float, y: float, dx: float, dy: float, steps: int = 12) -> None:
        """By the mouse; by (0, 0) it is a click."""
        places = [(x + dx * k / steps, y + dy * k / steps) for k in range(steps + 1)]
        moves = [{"type": "pointerMove", "x": round(a), "y": round(b)} for a, b in places]
        down, up = ({"type": kind, "button": 0} for kind in ("pointerDown", "pointerUp"))
        self.act([{"type": "pointer", "id": "mouse", "actions": [moves[0], down, *moves, up]}])


class Firefox(Browser):
    programs = ("firefox-esr",)

    def __init__(self, port: int) -> None:
        from websocket import create_connection

        self.errors = []
        self._asked = 0
        self._socket = create_connection(
            f"ws://127.0.0.1:{port}/session", suppress_origin=True, timeout=60
        )
        self._ask("session.new", capabilities={})
        self._ask("session.subscribe", events=["log.entryAdded"])
        # A tab of its own has the focus, the first one has not.
        self._tab = self._ask("browsingContext.create", type="tab")["context"]
        size = {"width": WIDTH, "height": HEIGHT}
        self._ask("browsingContext.setViewport", context=self._tab, viewport=size)

    def _ask(self, method: str, **params: Any) -> Any:
        self._asked += 1
        self._socket.send(json.dumps({"id": self._asked, "method": method, "params": params}))
        while True:
            told = json.loads(self._socket.recv())
            if told.get("id") == self._asked:
                assert told["type"] == "success", told
                return told["result"]
            if told.get("method") == "log.entryAdded" and told["params"]["level"] == "error":
                self.errors.append(told["params"]["text"])

    def open(self, file: Path) -> None:
        self._ask("browsingContext.navigate", context=self._tab, url=file.as_uri(), wait="complete")

    def evaluate(self, function: str, *arguments: Any) -> Any:
        call = f"JSON.stringify(({function})(...{json.dumps(arguments)}) ?? null)"
        place = {"context": self._tab}
        told = self._ask("script.evaluate", expression=call, target=place, awaitPromise=False)
        assert told["type"] == "success", told
        return json.loads(told["result"]["value"])

    def act(self, actions: list[dict[str, Any]]) -> None:
        self._ask("input.performActions", context=self._tab, actions=actions)

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[Firefox]:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
            lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in SETTINGS.items()]
            (Path(home) / "user.js").write_text("\n".join(lines))
            port = free_port()
            options = ["--headless", "--no-remote", "--profile", home]
            command = [cls.programs[0], *options, f"--remote-debugging-port={port}"]
            with running(command, port, Path(home) / "log", environment(Path(home))):
                yield cls(port)


class WebKit(Browser):
    programs = ("WebKitWebDriver", "xvfb-run")

    def __init__(self, port: int) -> None:
        self.errors = []  # which this protocol does not tell
        self._at = f"http://127.0.0.1:{port}/session"
        (program,) = Path("/usr/lib").glob("*/webkit2gtk-4.1/MiniBrowser")
        options = {"binary": str(program), "args": ["--automation"]}
        wanted = {"alwaysMatch": {"webkitgtk:browserOptions": options}}
        self._at += "/" + self._ask("", {"capabilities": wanted})["sessionId"]
        self._ask("/window/rect", {"x": 0, "y": 0, "width": WIDTH, "height": HEIGHT})

    def _ask(self, path: str, content: dict[str, Any]) -> Any:
        data = json.dumps(content).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._at + path, data, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, file: Path) -> None:
        self._ask("/url", {"url": file.as_uri()})

    def evaluate(self, function: str, *arguments: Any) -> Any:
        script = f"return ({function})(...arguments)"
        return self._ask("/execute/sync", {"script": script, "args": list(arguments)})

    def act(self, actions: list[dict[str, Any]]) -> None:
        self._ask("/actions", {"actions": actions})

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[WebKit]:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
            port = free_port()
            screen = ["xvfb-run", "-a", "-s", f"-screen 0 {WIDTH}x{HEIGHT + 100}x24"]
            own = environment(Path(home)) | {"XDG_RUNTIME_DIR": home}
            command = [*screen, cls.programs[0], f"--port={port}"]
            with running(command, port, Path(home) / "log", own):
                yield cls(port)
