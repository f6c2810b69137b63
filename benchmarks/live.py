"""From the engine's event to the badge in the page, with one and with ten people looking on.

People look on from machines of their own. So nine of the ten are sockets that take in everything
their page would get and draw nothing; the tenth is a browser. Ten browsers on this machine are
measured, too: they compete for the processor with the run, the server and one another.
"""

from __future__ import annotations

import ast
import asyncio
import json
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import defaultdict
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlencode

import aiohttp
import socketio
import uvicorn
from playwright.sync_api import BrowserContext, Page, sync_playwright

from app.engine.events import NodeFinished
from app.main import collect_rarely, create_app, run, settle
from app.services.container import Services
from app.settings import load_settings
from benchmarks.canvas import CHROMIUM, FLAGS
from benchmarks.running import Step, chain

#: Who looks on: browsers here, and people on machines of their own.
VIEWERS = ((1, 0), (1, 9), (10, 0))
NODES, WAIT_S = 20, 0.25
#: The first of them is the first that the server runs at all.
RUNS = 3
#: Notes each time that a card becomes done, in milliseconds since the epoch.
WATCH = """() => { window.seen = [];
  const done = new Set();
  const look = () => { for (const card of document.querySelectorAll('.vue-flow__node[data-id]')) {
    const id = card.dataset.id;
    if (!card.querySelector('[data-state="done"]')) done.delete(id);
    else if (!done.has(id)) {
      done.add(id); window.seen.push([id, performance.timeOrigin + performance.now()]) } } };
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true,
    attributes: true, attributeFilter: ['data-state'] }); look() }"""


async def serve(data: Path) -> None:
    """A server that knows the slow step, and runs the workflow whose id it reads."""
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    settings = load_settings(environ={}, data=data, demo=False, port=port)
    collect_rarely()
    services = await Services.open(settings)
    await settle(services)
    services.registry.register(Step)
    graph = chain(NODES)
    for spec in graph.nodes.values():
        if spec.type == "bench_step":
            spec.config["wait_s"] = WAIT_S
    workflow = (await services.workflows.create(graph.dump())).workflow_id
    config = uvicorn.Config(create_app(settings, services), log_level="warning")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    token = services.keys.open_link_token()
    address = f"http://127.0.0.1:{port}"
    print(json.dumps([f"{address}/start?token={token}", address, workflow]), flush=True)
    while await asyncio.to_thread(sys.stdin.readline) == "run\n":
        run_id = await services.runs.start(workflow_id=workflow, trigger="page", use_cache=False)
        finished = [
            (event.node_id, event.at * 1000)
            async for event in services.runs.watch(run_id)
            if isinstance(event, NodeFinished)
        ]
        print(json.dumps(finished), flush=True)
    server.should_exit = True
    await serving
    await services.close()


class Listeners:
    """People on other machines: the sockets of their pages, and when each heard of a node's end."""

    def __init__(self, cookies: dict[str, str], page: str, count: int) -> None:
        self.heard: list[tuple[str, float]] = []
        self._cookies, self._page, self._count = cookies, page, count
        self._joined, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._listen()))

    def __enter__(self) -> Listeners:
        self._thread.start()
        assert self._joined.wait(60), "the sockets were not let in"
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    async def _listen(self) -> None:
        jar = aiohttp.CookieJar(unsafe=True)  # the address is a number
        async with aiohttp.ClientSession(cookies=self._cookies, cookie_jar=jar) as http:
            sockets = [await self._join(http) for _ in range(self._count)]
            self._joined.set()
            await asyncio.to_thread(self._over.wait)
            for one in sockets:
                await one.disconnect()

    async def _join(self, http: aiohttp.ClientSession) -> socketio.AsyncClient:
        html = await (await http.get(self._page)).text()
        found = re.search(r"query: (\{.*?\}),\s*extraHeaders", html, re.DOTALL)
        assert found is not None, "the page does not say how to connect"
        query = ast.literal_eval(found[1])
        query = {k: str(v).lower() if isinstance(v, bool) else v for k, v in query.items()}
        query |= {"document_id": str(uuid.uuid4()), "tab_id": str(uuid.uuid4()), "old_tab_id": ""}
        client = socketio.AsyncClient(http_session=http)
        client.on("run_javascript", self._hear)
        address = f"{self._page}?{urlencode(query)}"
        await client.connect(
            address, transports=["websocket"], socketio_path="/_nicegui_ws/socket.io"
        )
        if str(query.get("implicit_handshake")).lower() != "true":
            assert await client.call("handshake", query)
        return client

    def _hear(self, message: dict[str, str]) -> None:
        if "set_statuses" in message["code"]:
            at = time.time() * 1000
            ends = re.findall(r'"([^"]+)": ?\{"state": ?"done"', message["code"])
            self.heard += [(node, at) for node in ends]


def measure(folder: Path, browsers: int, listeners: int) -> None:
    """Let people follow a run that somebody else starts, and compare clocks."""
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.live", str(folder / "data")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        link, address, workflow = json.loads(child.stdout.readline())
        page_of = f"{address}/workflows/{workflow}"
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            context = browser.new_context(viewport={"width": 1280, "height": 800})
            first = context.new_page()
            first.goto(link)
            first.wait_for_function("window.did_handshake")
            first.close()
            cookies = {str(c["name"]): str(c["value"]) for c in context.cookies()}
            pages = [_viewer(context, page_of) for _ in range(browsers)]
            with Listeners(cookies, page_of, listeners) as far:
                finished = []
                for _ in range(RUNS):
                    pages[-1].wait_for_timeout(1_000)
                    child.stdin.write("run\n")
                    child.stdin.flush()
                    finished += json.loads(child.stdout.readline())
                pages[-1].wait_for_timeout(1_000)
            seen = [item for page in pages for item in page.evaluate("window.seen")]
            browser.close()
        child.communicate("end\n", timeout=30)
    finally:
        child.kill()
    what = f"{browsers + listeners} people, {browsers} of them with a browser on this machine"
    print(f"event to badge, {what}: {_late(seen, finished, browsers)}", flush=True)
    if listeners:
        print(f"event to socket of the others: {_late(far.heard, finished, listeners)}", flush=True)


def _late(seen: list[tuple[str, float]], finished: list[tuple[str, float]], people: int) -> str:
    """How long after each end of a node it was seen; whoever sees it does before the next run."""
    ends: defaultdict[str, list[float]] = defaultdict(list)
    for node, at in finished:
        ends[node].append(at)
    late = [at - max(end for end in ends[node] if end <= at) for node, at in seen]
    # The first node ends at once: of a repeated run, a busy page may never show it unfinished.
    assert len(late) >= people * RUNS * (NODES - 1), f"only {len(late)} were seen"
    return f"p50 {median(late):.0f} ms, p95 {quantiles(late, n=20)[-1]:.0f} ms ({len(late)})"


def _viewer(context: BrowserContext, address: str) -> Page:
    page = context.new_page()
    page.goto(address)
    page.wait_for_function("window.did_handshake")
    page.wait_for_selector(".vue-flow__node")
    page.evaluate(WATCH)
    return page


def main() -> None:
    """With a folder: serve over it. Without: measure in one that is removed afterwards."""
    if len(sys.argv) > 1:
        run(serve(Path(sys.argv[1])))
        return
    for browsers, listeners in VIEWERS:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), browsers, listeners)


if __name__ == "__main__":
    main()
