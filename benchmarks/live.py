"""From the engine's event to the badge in the page, with ten people looking on."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median, quantiles

import uvicorn
from playwright.sync_api import BrowserContext, Page, sync_playwright

from app.engine.events import NodeFinished
from app.main import create_app
from app.services.container import Services
from app.settings import load_settings
from benchmarks.canvas import CHROMIUM, FLAGS
from benchmarks.running import Step, chain

VIEWERS, NODES, WAIT_S = 10, 20, 0.25
#: Notes when the status of each card became done, in milliseconds since the epoch.
WATCH = """() => { window.seen = {};
  const look = () => { for (const card of document.querySelectorAll('.vue-flow__node[data-id]'))
    if (!(card.dataset.id in window.seen) && card.querySelector('[data-state="done"]'))
      window.seen[card.dataset.id] = performance.timeOrigin + performance.now() };
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true,
    attributes: true, attributeFilter: ['data-state'] }); look() }"""


async def serve(data: Path) -> None:
    """A server that knows the slow step, and runs the workflow whose id it reads."""
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    settings = load_settings(environ={}, data=data, demo=False, port=port)
    services = await Services.open(settings)
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
    await asyncio.to_thread(sys.stdin.readline)
    run_id = await services.runs.start(workflow_id=workflow, trigger="page", use_cache=False)
    finished = {}
    async for event in services.runs.watch(run_id):
        if isinstance(event, NodeFinished):
            finished[event.node_id] = event.at * 1000
    print(json.dumps(finished), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    server.should_exit = True
    await serving
    await services.close()


def measure(folder: Path) -> None:
    """Let ten pages follow a run that somebody else starts, and compare clocks."""
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.live", str(folder / "data")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        link, address, workflow = json.loads(child.stdout.readline())
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            context = browser.new_context(viewport={"width": 1280, "height": 800})
            first = context.new_page()
            first.goto(link)
            first.wait_for_function("window.did_handshake")
            first.close()
            pages = [_viewer(context, f"{address}/workflows/{workflow}") for _ in range(VIEWERS)]
            child.stdin.write("run\n")
            child.stdin.flush()
            finished = json.loads(child.stdout.readline())
            pages[-1].wait_for_timeout(1_000)
            late = [
                at - finished[node]
                for page in pages
                for node, at in page.evaluate("window.seen").items()
            ]
            browser.close()
        child.communicate("end\n", timeout=30)
    finally:
        child.kill()
    assert len(late) >= VIEWERS * NODES, f"only {len(late)} badges were seen"
    print(
        f"event to badge, {VIEWERS} viewers, {len(late)} badges: p50 {median(late):.0f} ms, "
        f"p95 {quantiles(late, n=20)[-1]:.0f} ms"
    )


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
        asyncio.run(serve(Path(sys.argv[1])))
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder))


if __name__ == "__main__":
    main()
