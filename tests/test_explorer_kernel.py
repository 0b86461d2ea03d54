"""The explorer in a real kernel: what stays behind, a busy kernel, exported notebooks."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter, LatexExporter

ROOT = Path(__file__).parents[1]
CELL = "%%grad x --explore\nx = tf.constant(2.0)\ny = 2*x**3 + 5*x**2 + 3*x"
FAR = "%%grad x --explore -o kept\nx = tf.constant(2.0)\n"
FAR += "if x > -100:\n    y = x**2\nelse:\n    y = -x"


@pytest.fixture(scope="module")
def started(kernel: Any) -> Any:
    kernel.execute("%load_ext tapemagic\nimport tensorflow as tf, time")
    kernel.get_shell_msg(timeout=120)
    drained(kernel)
    return kernel


def drained(kernel: Any, timeout: float = 0.5) -> list[Any]:
    """What comes in on IOPub until it is quiet."""
    found = []
    while True:
        try:
            found.append(kernel.get_iopub_msg(timeout=timeout))
        except Exception:  # noqa: BLE001 - queue.Empty
            return found


def run(kernel: Any, code: str, cell: str = "") -> list[Any]:
    """Run a cell of the notebook and give what it published, until the kernel is idle."""
    message = kernel.session.msg(
        "execute_request",
        {"code": code, "silent": False, "store_history": True, "stop_on_error": False},
        metadata={"cellId": cell} if cell else {},
    )
    kernel.shell_channel.send(message)
    found = []
    while True:
        found.append(kernel.get_iopub_msg(timeout=120))
        mine = found[-1]["parent_header"].get("msg_id") == message["header"]["msg_id"]
        if mine and found[-1]["content"].get("execution_state") == "idle":
            return found


def of_type(messages: list[Any], kind: str) -> list[Any]:
    return [message["content"] for message in messages if message["msg_type"] == kind]


def printed(messages: list[Any]) -> str:
    return "".join(c["text"] for c in of_type(messages, "stream"))


def test_running_a_cell_twenty_times_leaves_one_widget(started: Any) -> None:
    count = (
        "import gc, ipywidgets\nfrom tapemagic.explorer.view import View\n"
        "from tapemagic.explorer.widget import Explorer\n_ = gc.collect()\n"
        "print(*[sum(isinstance(o, kind) for o in gc.get_objects()) for kind in (View, Explorer)],"
        " len(ipywidgets.widgets.widget._instances))"
    )
    run(started, CELL + ";", "twenty")
    before = [int(n) for n in printed(run(started, count)).split()]
    opened, closed = [], []
    for _ in range(20):
        messages = run(started, CELL + ";", "twenty")
        opened += [c["comm_id"] for c in of_type(messages, "comm_open")]
        closed += [c["comm_id"] for c in of_type(messages, "comm_close")]
    after = [int(n) for n in printed(run(started, count)).split()]
    assert after == before
    explorers = [one for one in opened if one in closed]
    assert len(explorers) >= 19


def test_the_output_is_one_bundle_and_the_model_is_opened_beside_it(started: Any) -> None:
    messages = run(started, CELL, "bundle")
    (result,) = of_type(messages, "execute_result")
    assert set(result["data"]) == {"text/plain", "text/html", "text/latex"}
    states = [c["data"]["state"] for c in of_type(messages, "comm_open")]
    (state,) = [s for s in states if "payload" in s]
    assert state["point"] == [2.0] and state["payload"]["id"] in result["data"]["text/html"]
    assert "export default" in state["_esm"]
    kinds = [message["msg_type"] for message in messages]
    assert kinds.index("execute_result") < kinds.index("comm_open")  # the picture comes first


def test_nothing_stays_registered_also_of_a_silent_cell(started: Any) -> None:
    count = "print(*[len(e) for e in get_ipython().events.callbacks.values()])"
    before = printed(run(started, count))
    started.execute(CELL, silent=True)
    drained(started, 2.0)
    assert printed(run(started, count)) == before


def _comm(messages: list[Any]) -> str:
    opened = of_type(messages, "comm_open")
    return str(next(c["comm_id"] for c in opened if "payload" in c["data"]["state"]))


def _tell(kernel: Any, comm: str, data: Any, subshell: str | None = None) -> None:
    message = kernel.session.msg("comm_msg", {"comm_id": comm, "data": data})
    if subshell is not None:
        message["header"]["subshell_id"] = subshell
    kernel.shell_channel.send(message)


def test_the_page_moves_the_point_and_asks_for_a_path(started: Any) -> None:
    comm = _comm(run(started, FAR, "path"))
    _tell(started, comm, {"method": "update", "state": {"point": [3.0]}, "buffer_paths": []})
    assert printed(run(started, "print(kept.widget.point, kept.widget.value)")) == "3.0 9.0\n"
    _tell(started, comm, {"method": "custom", "content": {"need": [-200.0]}})
    piece = _answer(started, comm)["piece"]
    assert piece["condition"].startswith("x ≤") and piece["program"]["guards"]
    assert printed(run(started, "print(float(x), len(kept.view.paths.pieces))")) == "2.0 2\n"


def _answer(kernel: Any, comm: str) -> Any:
    while True:
        message = kernel.get_iopub_msg(timeout=60)
        if message["msg_type"] == "comm_msg" and message["content"]["comm_id"] == comm:
            data = message["content"]["data"]
            if data.get("method") == "custom":
                return data["content"]


def test_beside_a_running_cell_nothing_is_run(started: Any) -> None:
    """JupyterLab sends what widgets say to a subshell, whose thread answers at once."""
    comm = _comm(run(started, FAR, "busy"))
    started.control_channel.send(started.session.msg("create_subshell_request", {}))
    reply = started.get_control_msg(timeout=30)["content"]
    if "subshell_id" not in reply:
        pytest.skip("this ipykernel has no subshells")
    drained(started)
    started.execute(
        "a = tf.Variable(1.0)\nfor _ in range(200):\n    a.assign_add(tf.sin(a))\n"
        "    time.sleep(0.01)\nprint('done')"
    )
    time.sleep(0.5)
    move = {"method": "update", "state": {"point": [5.0]}, "buffer_paths": []}
    for x in (-201.0, -202.0, -203.0):
        _tell(started, comm, move, reply["subshell_id"])
        _tell(started, comm, {"method": "custom", "content": {"need": [x]}}, reply["subshell_id"])
    seen, piece, done = [], None, False
    until = time.monotonic() + 60
    while (piece is None or not done) and time.monotonic() < until:
        message = started.get_iopub_msg(timeout=60)
        content = message["content"]
        if message["msg_type"] == "stream" and "done" in content["text"]:
            done = True
            seen.append("done")
        if message["msg_type"] == "comm_msg" and content["data"].get("method") == "custom":
            piece = content["data"]["content"]["piece"]
            seen.append("piece")
    assert seen == ["done", "piece"]
    drained(started)
    told = printed(run(started, "print(kept.widget.point, len(kept.view.paths.pieces))"))
    assert told == "5.0 2\n"


@pytest.fixture(scope="module")
def executed() -> Any:
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    sources = ["%load_ext tapemagic\nimport tensorflow as tf", CELL]
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in sources]
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return notebook


def test_exported_pages_are_live(executed: Any) -> None:
    page, _ = HTMLExporter().from_notebook_node(executed)
    identity = re.search(r'<div class="tapemagic-explorer" id="(tapemagic-\w+)">', page)
    assert identity is not None
    call = f'mount(document.getElementById("{identity[1]}"), '
    script, payload = page.partition(call)[::2]
    assert "<script>" in script and "</script>" not in script.rpartition("<script>")[2]
    data = json.JSONDecoder().raw_decode(payload)[0]
    assert data["program"]["ops"] and data["sources"][0]["value"] == 2.0
    assert '<script type="application/vnd.jupyter.widget-view+json">' not in page


def test_exported_latex_has_the_derivation(executed: Any) -> None:
    text, _ = LatexExporter().from_notebook_node(executed)
    assert r"\frac{\mathrm{d}y}{\mathrm{d}x}" in text.replace(" ", "")
