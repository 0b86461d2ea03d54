"""Our sliders against `interact` with matplotlib, in one JupyterLab, in headless Chromium.

`python tests/benchmarks/sliders.py` prints how long after the cell's end each explorer has its
first frame, all cells run at once and one alone; then for each program and order, for both sides:
the time from a key press to the frame that shows it, by the frame's own time, until its drawing
begins, and until it is painted (median, 95th percentile); the frames that changed per second while
dragging and while a key is held (the key
repeats as fast as the browser takes it, at most at 60 Hz); how long after the last event all is
still; and the layout shift. Then ours again while the kernel is busy. Needs matplotlib.
With an argument such as "S3, order 2" it measures only the rows that begin so.
"""

from __future__ import annotations

import json
import math
import random
import statistics
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
from websocket import create_connection

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lab import choose, chromium, free_port, serving

STEPS = 100  # single key presses
RUNS = 7  # of each cell, for its first frame
HOLD = 2.0  # seconds of dragging, and of holding a key
ORDERS = (1, 2, 3)
PROGRAMS = {
    "S3": ("2.0", "y", "y = 2*x**3 + 5*x**2 + 3*x"),
    "S10": ("3.0", "z", "y = x**2\nz = y**2"),
    "chain of 51 ops": ("0.5", "y", "y = x\nfor k in range(17):\n    y = y * tf.sin(y + x)"),
}
SETUP = """\
%load_ext tapemagic
%matplotlib inline
import time
import matplotlib.pyplot as plt, numpy as np, tensorflow as tf
from ipywidgets import FloatSlider, interact
ends = []
get_ipython().events.register("post_run_cell", lambda result: ends.append(time.time()))"""
BY_HAND = """\
def f(x):
    {body}
    return {target}

def derivatives(x, order):
    if order == 0:
        return [f(x)]
    with tf.GradientTape() as tape:
        tape.watch(x)
        lower = derivatives(x, order - 1)
    return [*lower, tape.gradient(lower[-1], x)]

xs = np.linspace(-3, 3, 200, dtype="float32")
ys = f(tf.constant(xs)).numpy()

@interact(x=FloatSlider(min=-3, max=3, step=0.05, value={start}))
def show(x):
    value, slope, *higher = (float(d) for d in derivatives(tf.constant(x), {order}))
    plt.plot(xs, ys)
    plt.plot(xs, value + slope * (xs - x))
    plt.plot([x], [value], "o")
    plt.ylim(ys.min(), ys.max())
    plt.show()
    print(value, slope, *higher)"""
OURS = "%%grad x -n {order} --explore x=(-3,3,.05)\nx = tf.constant({start})\n{body}"

# When a slider was moved, and the first task after each frame that showed something new: the
# rendering of a frame is one task, from its callbacks to its painting. While frames follow each
# other without a pause, Chromium lets other tasks wait: then the next frame ends the last.
WATCH = """root => {
  const page = root.querySelector('.tapemagic-explorer');
  const watched = { inputs: [], began: [], shown: [], painted: [], shift: 0, over: false };
  const channel = new MessageChannel();
  let inFrame = false, changed = 0, began = 0;
  const ended = () => {
    inFrame = false;
    if (!changed) return;
    watched.began.push(began);
    watched.shown.push(changed);
    watched.painted.push(performance.now());
    changed = 0;
  };
  channel.port1.onmessage = ended;
  let waiting = false;
  const frame = time => {
    if (watched.over) return;
    ended();
    inFrame = true;
    began = time;
    if (waiting) changed = performance.now();
    waiting = false;
    channel.port2.postMessage(0);
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  const seen = () => {
    if (inFrame) changed = performance.now();
    else waiting = true;
  };
  const images = records => records.flatMap(record => [...record.addedNodes])
    .map(node => node.localName === 'img' ? node : node.querySelector?.('img')).filter(Boolean);
  const observer = new MutationObserver(records => {
    if (page) return seen();
    for (const image of images(records)) image.decode().then(seen, () => {});
  });
  observer.observe(page ? page.firstElementChild.shadowRoot.querySelector('.stage') : root,
    { subtree: true, childList: true, attributes: true });
  const note = event => watched.inputs.push(event.timeStamp);
  const kinds = ['keydown', 'pointermove'];
  for (const kind of kinds) addEventListener(kind, note, true);
  const shifts = new PerformanceObserver(list => {
    for (const entry of list.getEntries()) watched.shift += entry.value;
  });
  shifts.observe({ type: 'layout-shift' });
  watched.stop = () => {
    watched.over = true;
    observer.disconnect();
    shifts.disconnect();
    for (const kind of kinds) removeEventListener(kind, note, true);
    const { inputs, began, shown, painted, shift } = watched;
    return [inputs, began, shown, painted, shift];
  };
  window.watched = watched;
}"""
FIRST = """() => {
  window.firstShown = [];
  const look = () => {
    const pages = document.querySelectorAll('.tapemagic-explorer');
    const live = [...pages].filter(page => page.firstElementChild?.shadowRoot).length;
    while (window.firstShown.length < live) window.firstShown.push(Date.now() / 1000);
    requestAnimationFrame(look);
  };
  look();
}"""

ALONE = """cell => {
  const old = cell.querySelector('.tapemagic-explorer');
  window.alone = 0;
  const look = () => {
    const page = cell.querySelector('.tapemagic-explorer');
    const live = page && page !== old && page.firstElementChild?.shadowRoot;
    if (live) window.alone = Date.now() / 1000;
    else requestAnimationFrame(look);
  };
  look();
}"""


@dataclass
class Measured:
    """One slider: milliseconds, frames per second, layout shift."""

    begins: list[float]
    waits: list[float]
    paints: list[float]
    dragged: float
    held: float
    repeats: float
    settled: float
    shift: float

    def __str__(self) -> str:
        """A row of the table."""
        return (
            f"{_spread(self.begins)}  {_spread(self.waits)}  {_spread(self.paints)}"
            f"   {self.dragged:4.0f} /{self.held:4.0f}"
            f" (of {self.repeats:2.0f})   {self.settled:6.1f}   {self.shift:.4f}"
        )


def _spread(times: list[float]) -> str:
    ordered = sorted(times) or [float("inf")]
    p95 = ordered[int(0.95 * (len(ordered) - 1))]
    return f"{statistics.median(ordered):6.1f} ({p95:5.1f})"


def cells() -> list[tuple[str, str]]:
    """(name, source) of each cell: by hand and ours in turn."""
    found = [("", SETUP)]
    for name, (start, target, body) in PROGRAMS.items():
        for order in ORDERS:
            inner = body.replace("\n", "\n    ")
            values = {"start": start, "target": target, "order": order}
            label = f"{name}, order {order}"
            found.append((f"{label}: by hand", BY_HAND.format(body=inner, **values)))
            found.append((f"{label}: ours", OURS.format(body=body, **values)))
    return [*found, ("", "print([float(f'{end:.3f}') for end in ends])")]


def watch(page: Any, cell: Any) -> None:
    """Begin to take down what happens in this cell's outputs."""
    cell.locator(".jp-Cell-outputArea").first.evaluate(WATCH)


def stop(page: Any) -> tuple[list[float], list[float], list[float], list[float], float]:
    """Moments in ms: inputs; of the frames that changed, their own time, when they were drawn and
    painted; and the layout shift."""
    page.wait_for_timeout(700)
    return tuple(page.evaluate("window.watched.stop()"))


def slider_of(cell: Any) -> Any:
    """The thing to press keys on and to drag."""
    ours = cell.locator(".tapemagic-explorer input[type=range]")
    return ours.first if ours.count() else cell.locator(".noUi-handle").first


def measured(page: Any, cell: Any, hand: Hand) -> Measured:
    """Keys one by one, a key held at 60 Hz, a drag."""
    slider = slider_of(cell)
    slider.scroll_into_view_if_needed()
    slider.focus()
    page.keyboard.press("Home")
    page.wait_for_timeout(1000)
    watch(page, cell)
    for _ in range(STEPS):
        before = page.evaluate("window.watched.shown.length")
        time.sleep(random.uniform(0, 0.05))  # anywhere between two frames
        page.keyboard.press("ArrowRight")
        try:
            page.wait_for_function("n => window.watched.shown.length > n", arg=before, timeout=3000)
        except Exception:  # noqa: BLE001 - a frame that never comes is what we measure
            break
    inputs, began, shown, painted, shift = stop(page)
    held = _frames(page, cell, _hold)
    dragged = _frames(page, cell, partial(_drag, hand))
    return Measured(
        _after(inputs, shown, began),
        _after(inputs, shown),
        _after(inputs, painted),
        dragged[0],
        held[0],
        held[1],
        max(held[2], dragged[2]),
        shift + held[3] + dragged[3],
    )


def _after(
    inputs: list[float], moments: list[float], times: list[float] | None = None
) -> list[float]:
    """From each input to the first of the moments after it, or to that one's time. An input may
    still be shown by a frame that has begun: that is at once."""
    known = dict(zip(moments, times or moments, strict=True)) | {math.inf: math.inf}
    firsts = [min((m for m in moments if m >= at), default=math.inf) for at in inputs]
    return [max(0.0, known[first] - at) for first, at in zip(firsts, inputs, strict=True)]


def _frames(page: Any, cell: Any, act: Any) -> tuple[float, float, float, float]:
    """Changed frames and inputs per second, ms from the last input to the last change, shift."""
    page.keyboard.press("Home")
    page.wait_for_timeout(800)
    watch(page, cell)
    act(page, slider_of(cell))
    inputs, _, shown, _, shift = stop(page)
    seconds = (inputs[-1] - inputs[0]) / 1000
    during = [s for s in shown if s <= inputs[-1] + 20]
    settled = max([0.0, *(s - inputs[-1] for s in shown)])
    return len(during) / seconds, len(inputs) / seconds, settled, shift


def _hold(page: Any, slider: Any) -> None:
    """The right arrow repeats at 60 Hz."""
    start = time.perf_counter()
    for k in range(int(60 * HOLD)):
        page.keyboard.down("ArrowRight")
        time.sleep(max(0.0, start + (k + 1) / 60 - time.perf_counter()))
    page.keyboard.up("ArrowRight")


def _drag(hand: Hand, page: Any, slider: Any) -> None:
    """Over the whole slider and back, a move in each 1/60 s."""
    box = slider.evaluate("e => (e.closest('.noUi-target') ?? e).getBoundingClientRect().toJSON()")
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 8, y)
    page.mouse.down()
    start = time.perf_counter()
    total = int(60 * HOLD)
    for k in range(total):
        hand.move(box["x"] + 8 + (box["width"] - 16) * k / total, y)
        time.sleep(max(0.0, start + (k + 1) / 60 - time.perf_counter()))
    page.mouse.up()


class Hand:
    """Moves the pressed mouse without waiting for the frame that answers, as Playwright does."""

    def __init__(self, port: int, address: str) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as listed:
            (page,) = [one for one in json.load(listed) if one["url"].startswith(address)]
        self._socket = create_connection(page["webSocketDebuggerUrl"], suppress_origin=True)

    def move(self, x: float, y: float) -> None:
        """To a place in the page, in CSS pixels."""
        move = {"type": "mouseMoved", "x": x, "y": y, "button": "left", "buttons": 1}
        call = {"id": 1, "method": "Input.dispatchMouseEvent", "params": move}
        self._socket.send(json.dumps(call))


def main() -> None:
    """Run the notebook, measure each slider, print the table."""
    named = cells()
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for _, source in named],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    busy = "time.sleep(60 * globals().get('runs', 0))\nruns = 1"  # long when it is run again
    notebook.cells.append(nbformat.v4.new_code_cell(busy))
    folder, home = (Path(tempfile.mkdtemp()) for _ in range(2))
    nbformat.write(notebook, folder / "sliders.ipynb")
    port = free_port()
    with (
        serving(folder, home, whole=False) as (address, token),
        chromium(f"--remote-debugging-port={port}") as browser,
    ):
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(240_000)
        page.goto(f"{address}/lab/tree/sliders.ipynb?token={token}")
        page.wait_for_selector("#jp-main-statusbar >> text=/\\| Idle/")
        page.evaluate(FIRST)
        choose(page, "Run", "Run All Cells")
        last = f"[{len(named) + 1}]:"
        page.wait_for_function(
            "n => [...document.querySelectorAll('.jp-InputPrompt')].some(p => p.textContent === n)",
            arg=last,
        )
        page.wait_for_timeout(2000)
        report(page, named, Hand(port, address))


def run(page: Any, cell: Any) -> None:
    """This cell alone, until it and its output are done."""
    cell.locator(".jp-InputArea-editor").click()
    page.keyboard.press("Control+Enter")
    page.wait_for_timeout(100)
    page.wait_for_selector("#jp-main-statusbar >> text=/\\| Idle/")
    page.wait_for_timeout(1000)


def ended(page: Any, cell: Any) -> list[float]:
    """When each cell run so far ended, as the last cell tells."""
    run(page, cell)
    return eval(cell.locator(".jp-OutputArea-output").inner_text())


def alone(page: Any, cell: Any, last: Any) -> float:
    """From the cell's end to the first frame, in ms, when only this cell is run."""
    cell.evaluate(ALONE)
    run(page, cell)
    return 1000 * (page.evaluate("window.alone") - ended(page, last)[-1])


def report(page: Any, named: list[tuple[str, str]], hand: Hand) -> None:
    """Measure and print."""
    cell = page.locator(".jp-CodeCell")
    last = cell.nth(len(named) - 1)
    ends = eval(last.locator(".jp-OutputArea-output").inner_text())
    firsts = page.evaluate("window.firstShown")
    ours = [k for k, (name, _) in enumerate(named) if name.endswith("ours")]
    delays = [f"{1000 * (first - ends[k]):.0f}" for first, k in zip(firsts, ours)]
    print("from the cell's end to the explorer's first frame, in ms:")
    print(f"    all cells run at once: {', '.join(delays)}")
    print("    one cell run alone, median of", RUNS, end=": ", flush=True)
    wanted = tuple(sys.argv[1:] or [""])
    for k in [k for k in ours if named[k][0].startswith(wanted)]:
        delay = statistics.median(alone(page, cell.nth(k), last) for _ in range(RUNS))
        print(f"{delay:.0f}", end=" ", flush=True)
    print()
    columns = "frame (95 %)   drawn (95 %)   painted (95 %)   drag / keys      settled   shift"
    print(f"{'':34}   {columns}")
    for k, (name, _) in enumerate(named):
        if name and name.startswith(wanted):
            print(f"{name:34} {measured(page, cell.nth(k), hand)}", flush=True)
            # By hand, steps queue in the kernel, and go on to be shown beside what comes next.
            page.wait_for_selector("#jp-main-statusbar >> text=/\\| Idle/")
            page.wait_for_timeout(2000)
    cell.last.locator(".jp-InputArea-editor").click()
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#jp-main-statusbar >> text=/\\| Busy/")
    busy = ours[ORDERS[-1] - 1 :: len(ORDERS)]
    for k in [k for k in busy if named[k][0].startswith(wanted)]:
        print(
            f"{named[k][0]}, kernel busy".ljust(34), measured(page, cell.nth(k), hand), flush=True
        )


if __name__ == "__main__":
    main()
