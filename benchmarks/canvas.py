"""200 nodes and 300 edges in Chromium: time to load, frames while dragging, cost of an edit."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from app.engine.context import NodeContext
from app.engine.graph import EdgeSpec, Graph, NodeSpec
from app.engine.node import Node, NodeConfig, NodeOutputs
from app.engine.registry import Registry
from app.engine.values import Chunks, Query

NODES, EDGES, COLUMNS = 200, 300, 20
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
    graph.edges = (chains + across)[:EDGES]
    return graph


def serve(port: int) -> None:
    """A page with the canvas and nothing else."""
    from nicegui import ui

    from app.ui.canvas.editor import GraphEditor
    from app.ui.canvas.flow import FlowCanvas

    editor = GraphEditor(big(), registry())

    @ui.page("/")
    def page() -> None:
        FlowCanvas(editor).style("width:100vw;height:100vh")

    ui.run(
        host="127.0.0.1", port=port, show=False, reload=False,
        reconnect_timeout=30, show_welcome_message=False,
    )  # fmt: skip


def edits() -> None:
    """What Python takes for one edit of a large graph: apply, validate, diff."""
    from app.ui.canvas.editor import GraphEditor

    editor = GraphEditor(big(), registry())
    for label, op in (
        ("move", lambda i: {"op": "move_nodes", "positions": {"n7": [i, i]}}),
        ("rename", lambda i: {"op": "rename", "node": "n7", "title": f"Title {i}"}),
    ):
        times = []
        for i in range(20):
            start = time.perf_counter()
            editor.apply([op(i)])
            times.append((time.perf_counter() - start) * 1000)
        print(f"one edit in Python ({label}): {statistics.median(times):.1f} ms")


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
                "document.querySelectorAll('.rl-node').length === 200"
                " && document.querySelectorAll('.vue-flow__edge').length === 300"
            )
            loads.append(time.perf_counter() - start)
        page.wait_for_timeout(1000)
        print(f"{NODES} nodes and {EDGES} edges on the screen: first visit {loads[0]:.2f} s, "
              f"again {statistics.median(loads[1:]):.2f} s")  # fmt: skip
        box = page.locator('.vue-flow__node[data-id="n65"] .rl-head').bounding_box()
        assert box is not None
        at = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        print(f"dragging one node: {drag(page, at)}")
        print(f"panning: {drag(page, (30, 860))}")
        page.keyboard.press("Control+a")
        page.wait_for_timeout(300)
        box = page.locator('.vue-flow__node[data-id="n65"] .rl-head').bounding_box()
        assert box is not None
        at = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        print(f"dragging all {NODES}: {drag(page, at)}")
        browser.close()


def main() -> None:
    """Start a server, measure, stop it."""
    if not Path(CHROMIUM).exists():
        print("Chromium is not installed: skipped")
        return
    edits()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.canvas", str(port)], env=dict(os.environ)
    )
    try:
        url = f"http://127.0.0.1:{port}/"
        while True:
            try:
                urllib.request.urlopen(url).close()
                break
            except urllib.error.URLError:
                assert process.poll() is None, "the server did not start"
                time.sleep(0.1)
        measure(url)
    finally:
        process.terminate()
        process.wait(10)


if __name__ in {"__main__", "__mp_main__"}:
    if len(sys.argv) > 1:
        serve(int(sys.argv[1]))
    else:
        main()
