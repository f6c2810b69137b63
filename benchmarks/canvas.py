"""500 nodes and 800 edges in Chromium: loading, frames while dragging, a batch of statuses; and what
edits cost in time and memory. `CANVAS_NODES` is another number of nodes, from 50 on."""

from __future__ import annotations

import gc
import os
import socket
import statistics
import subprocess
import sys
import time
import tracemalloc
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from app.engine.context import NodeContext
from app.engine.graph import EdgeSpec, Graph, NodeSpec
from app.engine.node import Node, NodeConfig, NodeOutputs
from app.engine.registry import Registry
from app.engine.values import Chunks, Query

NODES, COLUMNS = int(os.environ.get("CANVAS_NODES", "500")), 25
EDGES = NODES * 8 // 5
#: Cards that change state in one message, and edits over which memory is watched.
BATCH, OPERATIONS = 100, 1_000
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
#: Frame times while something happens: how long each took to be drawn, in milliseconds.
RECORD = """() => { window.frames_ = []; window.recording = true; let last = performance.now();
  const tick = (now) => { window.frames_.push(now - last); last = now;
    if (window.recording) requestAnimationFrame(tick) };
  requestAnimationFrame((now) => { last = now; requestAnimationFrame(tick) }) }"""


class Step(Node[NodeConfig]):
    """Two inputs, two outputs."""

    type, title, family, icon = "step", "Step", "retrieval", "sort"

    class Outputs(NodeOutputs):
        """Outputs."""

        query: Query
        chunks: Chunks

    async def run(
        self, ctx: NodeContext, query: Query | None = None, chunks: Chunks | None = None
    ) -> NodeOutputs:
        """Not run here."""
        raise AssertionError

    @classmethod
    def summary(cls, config: Any) -> str:
        """Say something of usual length."""
        return "top 5 by cross-encoder"


def registry() -> Registry:
    """The one node type."""
    known = Registry()
    known.register(Step)
    return known


def big() -> Graph:
    """Rows of chains with wires across."""
    names = [f"n{i}" for i in range(NODES)]
    graph = Graph(
        name="big",
        nodes={
            name: NodeSpec(
                name, "step", title=f"Step {i}",
                position=((i % COLUMNS) * 320.0, (i // COLUMNS) * 208.0),
            )
            for i, name in enumerate(names)
        },
    )  # fmt: skip
    chains = [
        EdgeSpec(names[i], "chunks", names[i + 1], "chunks")
        for i in range(NODES - 1)
        if (i + 1) % COLUMNS
    ]
    across = [EdgeSpec(names[i], "query", names[i + COLUMNS + 1], "query")
              for i in range(NODES - COLUMNS - 1) if (i + 1) % COLUMNS]  # fmt: skip
    assert len(chains) + len(across) >= EDGES
    graph.edges = (chains + across)[:EDGES]
    return graph


def serve(port: int) -> None:
    """A page with the canvas and nothing else."""
    from nicegui import app, ui

    from app.ui.canvas.editor import GraphEditor
    from app.ui.canvas.flow import FlowCanvas

    editor = GraphEditor(big(), registry())
    canvases: list[FlowCanvas] = []

    @ui.page("/")
    def page() -> None:
        canvases.append(FlowCanvas(editor).style("width:100vw;height:100vh"))

    @app.post("/statuses/{state}/{count}")
    async def statuses(state: str, count: int) -> None:
        status = {"state": state, "duration_ms": 12, "items": {"chunks": 5}}
        with canvases[-1]:
            canvases[-1].set_statuses({f"n{i}": status for i in range(count)})

    ui.run(
        host="127.0.0.1", port=port, show=False, reload=False,
        reconnect_timeout=30, show_welcome_message=False,
        tailwind=False,  # as in the app: its runtime scans every change of the page
    )  # fmt: skip


def edits() -> None:
    """What Python takes for one edit of a large graph: apply, validate, diff."""
    from app.ui.canvas.editor import GraphEditor

    editor = GraphEditor(big(), registry())
    for label, op in (
        ("move", lambda i: {"op": "move_nodes", "positions": {"n7": [i, i]}}),
        ("rename", lambda i: {"op": "rename", "node": "n7", "title": f"Title {i}"}),
        ("settings", lambda i: {"op": "set_config", "node": "n7", "config": {"k": i}}),
    ):
        times = []
        for i in range(20):
            start = time.perf_counter()
            editor.apply([op(i)])
            times.append((time.perf_counter() - start) * 1000)
        print(f"one edit in Python ({label}): {statistics.median(times):.1f} ms")


def memory() -> None:
    """Memory of the editor over many edits: with each thousand it must stay where it was."""
    from app.ui.canvas.editor import GraphEditor

    editor = GraphEditor(big(), registry())
    tracemalloc.start()
    held = []
    for i in range(4 * OPERATIONS):
        node = f"n{i % NODES}"
        x = float(i % 977)
        op: dict[str, Any] = {"op": "move_nodes", "positions": {node: [x, x]}}
        if i % 3 == 1:
            op = {"op": "rename", "node": node, "title": f"Title {i}"}
        if i % 3 == 2:
            op = {"op": "set_config", "node": node, "config": {"note": f"{i} " * 40}}
        editor.apply([op])
        if i % OPERATIONS == OPERATIONS - 1:
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0] / 2**20)
    tracemalloc.stop()
    sizes = " · ".join(f"{size:.1f}" for size in held)
    print(f"editor's memory after each {OPERATIONS:,} operations: {sizes} MB")


def frames(page: Any) -> str:
    """Stop recording; frames per second and the slow end."""
    page.evaluate("window.recording = false")
    page.wait_for_timeout(50)
    taken = sorted(page.evaluate("window.frames_"))
    mean = statistics.fmean(taken)
    return f"{1000 / mean:.0f} fps (p95 {taken[int(len(taken) * 0.95)]:.0f} ms)"


def drag(page: Any, start: tuple[float, float], steps: int = 120) -> str:
    """Drag along a wave for two seconds."""
    x, y = start
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 6, y + 6)
    page.evaluate(RECORD)
    for i in range(steps):
        page.mouse.move(x + i * 2, y + (i % 40) * 3)
    result = frames(page)
    page.mouse.up()
    return result


#: Time from the message with statuses to the frame that shows them, by the page's own clock.
#: From the message until the last of the cards shows its state, and the longest time meanwhile that
#: the page was held and could not have answered a key.
WATCH = """([last, state]) => { window.batch_ = null
  const card = document.querySelector(`.vue-flow__node[data-id="${last}"] .rl-status`)
  const ping = new MessageChannel()
  window.socket.prependAny((event, message) => {
    if (!message?.code?.includes('set_statuses') || ping.begun) return
    ping.begun = true
    const start = performance.now()
    let before = start, held = 0, shown = 0
    ping.port1.onmessage = () => {
      const now = performance.now()
      held = Math.max(held, now - before)
      before = now
      if (!shown && card.dataset.state === state) shown = now - start
      if (now - start < (shown ? 300 : 5_000)) ping.port2.postMessage(0)
      else { window.socket.offAny(); window.batch_ = [shown, held] }
    }
    ping.port2.postMessage(0)
  }) }"""


def batches(page: Any, url: str) -> None:
    """Statuses of many cards at once, as a run sends them."""
    for count in (BATCH, NODES):
        taken = []
        for i in range(9):
            state = ("done", "cached", "failed", "waiting")[i % 4]
            page.evaluate(WATCH, [f"n{count - 1}", state])
            request = urllib.request.Request(f"{url}statuses/{state}/{count}", method="POST")
            urllib.request.urlopen(request).close()
            page.wait_for_function("window.batch_ !== null")
            taken.append(page.evaluate("window.batch_"))
        shown, held = (statistics.median(column) for column in zip(*taken[1:], strict=True))
        print(f"statuses of {count} cards in one message: the page is held for {held:.1f} ms at a "
              f"time, all are shown after {shown:.1f} ms")  # fmt: skip


def measure(url: str) -> None:
    """Load, drag a node, drag all, pan, update every status."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        loads = []
        for _ in range(4):
            start = time.perf_counter()
            page.goto(url)
            page.wait_for_function(
                "([nodes, edges]) => document.querySelectorAll('.rl-node').length === nodes"
                " && document.querySelectorAll('.vue-flow__edge').length === edges",
                arg=[NODES, EDGES],
            )
            loads.append(time.perf_counter() - start)
        page.wait_for_timeout(1000)
        print(f"{NODES} nodes and {EDGES} edges on the screen: first visit {loads[0]:.2f} s, "
              f"again {statistics.median(loads[1:]):.2f} s")  # fmt: skip
        box = page.locator('.vue-flow__node[data-id="n108"] .rl-head').bounding_box()
        assert box is not None
        at = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        print(f"dragging one node: {drag(page, at)}")
        print(f"panning: {drag(page, (30, 860))}")
        batches(page, url)
        page.keyboard.press("Control+a")
        page.wait_for_timeout(300)
        box = page.locator('.vue-flow__node[data-id="n108"] .rl-head').bounding_box()
        assert box is not None
        at = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        print(f"dragging all {NODES}: {drag(page, at)}")
        browser.close()


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Return once the server answers."""
    while True:
        try:
            urllib.request.urlopen(url).close()
            return
        except urllib.error.URLError:
            assert process.poll() is None, "the server did not start"
            time.sleep(0.1)


def main() -> None:
    """Start a server, measure, stop it."""
    if not Path(CHROMIUM).exists():
        print("Chromium is not installed: skipped")
        return
    edits()
    memory()
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.canvas", str(port)], env=dict(os.environ)
    )
    try:
        url = f"http://127.0.0.1:{port}/"
        wait_for(url, process)
        measure(url)
    finally:
        process.terminate()
        process.wait(10)


if __name__ in {"__main__", "__mp_main__"}:
    if len(sys.argv) > 1:
        serve(int(sys.argv[1]))
    else:
        main()
