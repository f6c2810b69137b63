"""Our canvas beside Langflow's: loading `CANVAS_NODES` nodes (500), and dragging one of them.

Start a Langflow of your own on this machine first (with automatic login), then::

    LANGFLOW_URL=http://127.0.0.1:7860 python -m benchmarks.beside_langflow
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from benchmarks.canvas import CHROMIUM, EDGES, FLAGS, NODES, drag, free_port, wait_for

COLUMNS, VISITS = 25, 4
#: Says that no node or edge has come for this long.
STILL_S = 1.5


class Langflow:
    """The other tool, over its REST."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._token = self._call("GET", "/api/v1/auto_login")["access_token"]

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Content-Type": "application/json"}
        if hasattr(self, "_token"):
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def big_flow(self) -> str:
        """A flow as large as ours, of its smallest component; gives its address."""
        kinds = self._call("GET", "/api/v1/all")
        component = next(k["ChatOutput"] for k in kinds.values() if "ChatOutput" in k)
        output, taken = component["outputs"][0], component["template"]["input_value"]
        nodes = [
            {
                "id": f"ChatOutput-{i:05d}",
                "type": "genericNode",
                "position": {"x": i % COLUMNS * 420, "y": i // COLUMNS * 300},
                "data": {
                    "id": f"ChatOutput-{i:05d}", "type": "ChatOutput", "node": component,
                    "showNode": True,
                },
            }
            for i in range(NODES)
        ]  # fmt: skip
        chains = [(i, i + 1) for i in range(NODES - 1) if (i + 1) % COLUMNS]
        across = [(i, i + COLUMNS + 1) for i in range(NODES - COLUMNS - 1) if (i + 1) % COLUMNS]
        edges = []
        for a, b in (chains + across)[:EDGES]:
            source = {
                "dataType": "ChatOutput", "id": nodes[a]["id"], "name": output["name"],
                "output_types": output["types"],
            }  # fmt: skip
            target = {
                "fieldName": "input_value", "id": nodes[b]["id"],
                "inputTypes": taken["input_types"], "type": taken["type"],
            }  # fmt: skip
            edges.append(
                {
                    "id": f"e{a}-{b}", "source": nodes[a]["id"], "target": nodes[b]["id"],
                    "sourceHandle": _handle(source), "targetHandle": _handle(target),
                    "data": {"sourceHandle": source, "targetHandle": target},
                }
            )  # fmt: skip
        view = {"x": 0, "y": 0, "zoom": 0.12}
        flow = {
            "name": f"big {time.time()}",
            "data": {"nodes": nodes, "edges": edges, "viewport": view},
        }
        return f"{self._url}/flow/{self._call('POST', '/api/v1/flows/', flow)['id']}"


def _handle(end: dict[str, Any]) -> str:
    return json.dumps(end, separators=(",", ":")).replace('"', "œ")


def look(browser: Browser, name: str, url: str, node: str, edge: str) -> None:
    """Load it a few times, then drag a node in the middle."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    loads, shown = [], (0, 0)
    for _ in range(VISITS):
        start = time.perf_counter()
        page.goto(url)
        shown, since = (0, 0), time.perf_counter()
        while not shown[0] or time.perf_counter() - since < STILL_S:
            now = tuple(page.evaluate(
                "names => names.map(n => document.querySelectorAll(n).length)", [node, edge]
            ))  # fmt: skip
            if now != shown:
                shown, since = now, time.perf_counter()
            if time.perf_counter() - start > 120:
                break
            page.wait_for_timeout(50)
        loads.append(since - start)
    again = statistics.median(loads[1:])
    print(f"{name}: first visit {loads[0]:.2f} s, again {again:.2f} s; "
          f"{shown[0]} nodes and {shown[1]} edges in the page")  # fmt: skip
    for element in page.locator(node).all():
        box = element.bounding_box()
        if box and 400 < box["x"] < 1000 and 250 < box["y"] < 600:
            print(f"{name}: dragging one node: {drag(page, (box['x'] + 12, box['y'] + 6))}")
            break
    page.close()


def main() -> None:
    """Both, one after the other, in one browser."""
    other = os.environ.get("LANGFLOW_URL", "").rstrip("/")
    if not other:
        print("LANGFLOW_URL is not set: skipped")
        return
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.canvas", str(port)])
    try:
        ours = f"http://127.0.0.1:{port}/"
        wait_for(ours, process)
        flow = Langflow(other).big_flow()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            look(browser, "Ragloom", ours, ".vue-flow__node", ".vue-flow__edge")
            look(browser, "Langflow", flow, ".react-flow__node", ".react-flow__edge")
            browser.close()
    finally:
        process.terminate()
        process.wait(10)


if __name__ == "__main__":
    main()
