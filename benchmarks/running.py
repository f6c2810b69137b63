"""Runs at full width: running again after one change, a map of 1,000 items, 200 runs at once."""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from pydantic import Field

from app.engine.body import interface_of
from app.engine.context import NodeContext
from app.engine.graph import EdgeSpec, Graph, NodeSpec
from app.engine.node import Node, NodeConfig, NodeOutputs
from app.engine.runner import Runner
from app.engine.values import Text
from app.services.container import Services
from app.services.views import ExecutionView
from app.settings import load_settings

CHAIN, ROUNDS = 20, 15
ITEMS, CONCURRENCY, ITEM_S = 1_000, 16, 0.005
RUNS = 200


class Step(Node["Step.Config"]):
    """Waits, and passes its text on."""

    type, title, family, icon = "bench_step", "Step", "text", "bolt"

    class Config(NodeConfig):
        """Settings."""

        wait_s: float = Field(0.0, ge=0, le=10, description="Seconds to wait.")
        number: int = Field(0, description="Something to change.")

    class Outputs(NodeOutputs):
        """The text."""

        text: Text

    async def run(self, ctx: NodeContext, text: Text) -> Outputs:
        """Wait."""
        if self.config.wait_s:
            await asyncio.sleep(self.config.wait_s)
        return self.Outputs(text=Text(text=text.text))


def chain(length: int, last: int = 0) -> Graph:
    """A text and a chain of steps."""
    nodes = {"in": NodeSpec("in", "text_input", config={"default": "hello"})}
    for i in range(length):
        number = last if i == length - 1 else 0
        nodes[f"n{i}"] = NodeSpec(f"n{i}", "bench_step", config={"number": number})
    names = list(nodes)
    edges = [EdgeSpec(a, "text", b, "text") for a, b in pairwise(names)]
    return Graph(name="Chain", nodes=nodes, edges=edges, outputs={"text": (names[-1], "text")})


async def finished(services: Services, **what: Any) -> ExecutionView:
    """A run to its end."""
    run = await services.runs.wait(await services.runs.start(**what))
    assert run.status == "completed", run.error
    return run


async def again(services: Services) -> None:
    """Change the last of 20 nodes, run again; beside a run of that node alone in a fresh chain."""
    saved = await services.workflows.create(chain(CHAIN).dump())
    await finished(services, workflow_id=saved.workflow_id)
    whole, alone, executed = [], [], set()
    for number in range(1, ROUNDS + 1):
        started = time.perf_counter()
        graph = chain(CHAIN, number).dump()
        run = await finished(services, workflow_id=saved.workflow_id, graph=graph)
        whole.append(time.perf_counter() - started)
        executed.add(sum(not step.cached for step in run.steps))
        started = time.perf_counter()
        await finished(services, graph=chain(1, 1_000 + number).dump())
        alone.append(time.perf_counter() - started)
    print(
        f"run again after a change of the last of {CHAIN} nodes: {executed} executed, "
        f"p50 {median(whole) * 1e3:.1f} ms, p95 {quantiles(whole, n=20)[-1] * 1e3:.1f} ms; "
        f"a run of two nodes {median(alone) * 1e3:.1f} ms"
    )


async def many_items(services: Services) -> None:
    """A map over 1,000 items beside asyncio.gather behind a semaphore, in turns."""
    inner = Graph(
        nodes={
            "item": NodeSpec("item", "inlet", config={"name": "item", "value_type": "Text"}),
            "step": NodeSpec("step", "bench_step", config={"wait_s": ITEM_S}),
        },
        edges=[EdgeSpec("item", "value", "step", "text")],
        outputs={"text": ("step", "text")},
    )
    body = {
        "graph": inner.dump(),
        "interface": interface_of(inner, services.registry).model_dump(mode="json"),
    }
    rows = [f"item {i}" for i in range(ITEMS)]
    outer = Graph(
        nodes={
            "in": NodeSpec("in", "text_input", config={"default": "\n".join(rows)}),
            "cut": NodeSpec("cut", "split_text", config={"by": "lines"}),
            "map": NodeSpec("map", "map", config={"body": body, "concurrency": CONCURRENCY}),
        },
        edges=[EdgeSpec("in", "text", "cut", "text"), EdgeSpec("cut", "parts", "map", "items")],
        outputs={"texts": ("map", "text")},
    )

    async def bare() -> None:
        slots = asyncio.Semaphore(CONCURRENCY)

        async def one(row: str) -> str:
            async with slots:
                await asyncio.sleep(ITEM_S)
                return row

        assert len(await asyncio.gather(*map(one, rows))) == ITEMS

    async def engine() -> None:
        runner = Runner(services.registry, services.world)
        done = await runner.run(outer, {}, "bench", lambda event: None)
        assert len(done.outputs["texts"]["items"]) == ITEMS, done.problem

    async def whole() -> None:
        run = await finished(services, graph=outer.dump(), use_cache=False)
        assert len(run.outputs["texts"]["items"]) == ITEMS

    times = {name: [] for name in ("gather", "engine", "run, stored and watched")}
    for _ in range(3):
        for name, work in zip(times, (bare, engine, whole), strict=True):
            times[name].append(await timed(work))
    floor = median(times["gather"])
    for name, taken in times.items():
        print(
            f"map of {ITEMS:,} items of {ITEM_S * 1e3:.0f} ms, {CONCURRENCY} at once: {name:<24} "
            f"{median(taken):.2f} s, {median(taken) / floor:.2f}× gather, "
            f"{(median(taken) - floor) / ITEMS * 1e6:.0f} µs more per item"
        )


async def at_once(services: Services) -> None:
    """200 runs started together, beside the same runs one after the other."""
    saved = await services.workflows.create(chain(5).dump())
    what = {"workflow_id": saved.workflow_id, "use_cache": False}

    async def together() -> None:
        await asyncio.gather(*(finished(services, **what) for _ in range(RUNS)))

    async def in_turn() -> None:
        for _ in range(RUNS // 4):
            await finished(services, **what)

    one = await timed(in_turn) / (RUNS // 4)
    all_ = await timed(together)
    print(
        f"{RUNS} runs of 6 nodes at once: all completed in {all_:.2f} s, "
        f"{RUNS / all_:.0f} runs/s; one after the other {1 / one:.0f} runs/s"
    )


async def timed(work: Callable[[], Awaitable[None]]) -> float:
    """Seconds."""
    gc.collect()
    started = time.perf_counter()
    await work()
    return time.perf_counter() - started


async def measure(folder: Path) -> None:
    """Everything over one data folder."""
    services = await Services.open(
        load_settings(environ={}, data=folder / "data", demo=False), background=False
    )
    services.registry.register(Step)
    try:
        for part in (again, many_items, at_once):
            await part(services)
    finally:
        await services.close()


def main() -> None:
    """Measure in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder)))


if __name__ == "__main__":
    main()
