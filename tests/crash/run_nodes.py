"""A node that counts how often it runs in a file, which a kill does not take back."""

from __future__ import annotations

import asyncio
import itertools
import os
from pathlib import Path
from typing import Any

from app.engine.context import NodeContext
from app.engine.node import Node, NodeConfig, NodeOutputs
from app.engine.registry import Registry
from app.engine.values import Flag, Text

#: Folder of the counts, and of the file that lets held nodes go.
FOLDER = "CRASH_TEST_FOLDER"


class Count(Node["Count.Config"]):
    """Notes that it ran; one that holds waits until it is let go."""

    type, title, family, icon = "count", "Count", "text", "chat"
    cacheable = False

    class Config(NodeConfig):
        hold: bool = False

    class Outputs(NodeOutputs):
        text: Text

    @classmethod
    def reads(cls, config: Config) -> tuple[str, ...]:
        return ("who",)

    async def run(self, ctx: NodeContext, text: Text | None = None) -> Outputs:
        folder, who = Path(os.environ[FOLDER]), ctx.input_data.get("who", "?")
        with (folder / "counts").open("a") as ledger:
            ledger.write(f"{who}:{ctx.node_id}\n")
            ledger.flush()
            os.fsync(ledger.fileno())
        while self.config.hold and not (folder / "go").exists():
            await asyncio.sleep(0.02)
        return self.Outputs(text=Text(text=(text.text if text else "") + ctx.node_id))


class Ask(Node[NodeConfig]):
    """Asks a person."""

    type, title, family, icon = "ask", "Ask", "text", "chat"
    cacheable = False

    class Outputs(NodeOutputs):
        yes: Flag

    async def run(self, text: Text, ctx: NodeContext) -> Outputs:
        return self.Outputs(yes=Flag(value=(await ctx.approval("Go on?", {}))["approved"]))


def register(registry: Registry, *_: Any) -> None:
    """These nodes and no others."""
    registry.register(Count)
    registry.register(Ask)


def counting(*names: str, hold: str = "") -> dict[str, Any]:
    """A chain of counting nodes, one of which holds."""
    return {
        "directed": True,
        "multigraph": True,
        "graph": {
            "format": "ragloom/1",
            "name": "Counting",
            "outputs": {"all": [names[-1], "text"]},
        },
        "nodes": [{"id": n, "type": "count", "config": {"hold": n == hold}} for n in names],
        "edges": [
            {"source": a, "target": b, "key": "text>text"} for a, b in itertools.pairwise(names)
        ],
    }


def asking() -> dict[str, Any]:
    """A counting node, then a question."""
    graph = counting("a")
    graph["nodes"].append({"id": "ask", "type": "ask", "config": {}})
    graph["edges"].append({"source": "a", "target": "ask", "key": "text>text"})
    graph["graph"]["outputs"] = {"yes": ["ask", "yes"]}
    return graph
