"""Nodes that misbehave in every way there is, and one that waits until it is let go."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from app.engine.context import NodeContext
from app.engine.node import Node, NodeConfig, NodeOutputs
from app.engine.registry import Registry
from app.engine.values import Number, Text
from app.nodes import register_all

#: Folder of the files “go-…” that let waiting nodes go.
FOLDER = "BAD_NODES_FOLDER"
MB = 1024 * 1024


class Bad(Node["Bad.Config"]):
    """Misbehaves."""

    type, title, family, icon = "bad", "Bad", "text", "warning"
    cacheable = False

    class Config(NodeConfig):
        how: str = "raise"
        size_mb: int = 100
        seconds: float = 3.0

    class Outputs(NodeOutputs):
        text: Text

    async def run(self, ctx: NodeContext, text: Text | None = None) -> Outputs:
        return await getattr(self, f"_{self.config.how}")()

    async def _raise(self) -> Any:
        raise ValueError("wrong number of legs <img src=x onerror=hacked()>")

    async def _hang(self) -> Any:
        await asyncio.Event().wait()

    async def _hang_in_threads(self) -> Any:
        # More of them than a machine has threads for its own work.
        await asyncio.gather(*(asyncio.to_thread(time.sleep, 600) for _ in range(40)))

    async def _spin_in_a_thread(self) -> Any:
        await asyncio.to_thread(_spin)

    async def _block(self) -> Any:
        time.sleep(self.config.seconds)  # what it is here for
        return self.Outputs(text=Text(text="late"))

    async def _never_let_go(self) -> Any:
        _spin()

    async def _wrong(self) -> Any:
        return self.Outputs.model_construct(text=Number(value=1))

    async def _much(self) -> Any:
        return self.Outputs(text=Text(text="x" * self.config.size_mb * MB))

    async def _eat(self) -> Any:
        kept = []
        while True:
            kept.append(bytearray(MB))
            await asyncio.sleep(0)

    async def _eat_in_a_thread(self) -> Any:
        await asyncio.to_thread(_eat)

    async def _eat_at_once(self) -> Any:
        _eat()


def _spin() -> None:
    while True:
        pass


def _eat() -> None:
    kept = []
    while True:
        kept.append(bytearray(MB))
        time.sleep(0.001)


class Wait(Node["Wait.Config"]):
    """Passes its text on once the file “go-NAME” is there."""

    type, title, family, icon = "wait", "Wait", "text", "timer"
    cacheable = False

    class Config(NodeConfig):
        name: str = "all"

    class Outputs(NodeOutputs):
        text: Text

    async def run(self, ctx: NodeContext, text: Text) -> Outputs:
        folder = Path(os.environ[FOLDER])
        with (folder / f"began-{self.config.name}").open("a") as ledger:
            ledger.write("x")
        while not (folder / f"go-{self.config.name}").exists():
            await asyncio.sleep(0.02)
        return self.Outputs(text=text)


def register(registry: Registry, *more: Any) -> None:
    """The nodes there are, and these."""
    register_all(registry, *more)
    registry.register(Bad)
    registry.register(Wait)


def workflow(name: str, nodes: dict[str, dict[str, Any]], wires: str = "", **more: Any) -> Any:
    """A file; `wires`: “a.text>b.text …”."""
    edges = []
    for wire in wires.split():
        source, target = wire.split(">")
        (a, out), (b, into) = source.split("."), target.split(".")
        edges.append({"source": a, "target": b, "key": f"{out}>{into}"})
    return {
        "directed": True,
        "multigraph": True,
        "graph": {"format": "ragloom/1", "name": name, **more},
        "nodes": [{"id": id_, **node} for id_, node in nodes.items()],
        "edges": edges,
    }
