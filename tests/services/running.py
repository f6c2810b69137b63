"""Toy nodes that count how often they run, and services over a database of their own."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from app.engine.context import NodeContext
from app.engine.node import Node, NodeConfig, NodeOutputs
from app.engine.problems import NodeFailed
from app.engine.registry import Registry
from app.engine.values import Flag, PortValue, Text
from app.services.automation.schedules import ScheduleService
from app.services.automation.webhooks import WebhookService
from app.services.runs.batches import BatchService
from app.services.runs.durable import Durability
from app.services.runs.service import RunLimits, RunService
from app.services.views import ExecutionView
from app.services.workflows.service import WorkflowService
from storage.automation import TriggerRepository
from storage.batches import BatchRepository
from storage.blobs import Blobs
from storage.database import Database
from storage.runs import RunRepository
from storage.workflows import WorkflowRepository


class Say(Node["Say.Config"]):
    """Says a text, or what it was given under its name."""

    type, title, family, icon = "say", "Say", "text", "chat"
    ran: list[str] = []

    class Config(NodeConfig):
        text: str = "hello"
        reads: str = "who"
        fail: bool = False

    class Outputs(NodeOutputs):
        text: Text

    @classmethod
    def reads(cls, config: Config) -> tuple[str, ...]:
        return (config.reads,)

    async def run(self, ctx: NodeContext) -> Outputs:
        Say.ran.append(self.config.text)
        ctx.use(prompt_tokens=10, completion_tokens=5, cost_usd=0.25)
        if self.config.fail:
            raise NodeFailed("It lost its voice.", fix="Give it tea.")
        return self.Outputs(
            text=Text(text=str(ctx.input_data.get(self.config.reads, self.config.text)))
        )


class Shout(Node["Shout.Config"]):
    """Says it louder."""

    type, title, family, icon = "shout", "Shout", "text", "chat"
    ran: list[str] = []

    class Config(NodeConfig):
        mark: str = "!"
        fail: bool = False

    class Outputs(NodeOutputs):
        text: Text

    async def run(self, text: Text) -> Outputs:
        Shout.ran.append(text.text)
        if self.config.fail:
            raise NodeFailed("It lost its voice.", fix="Give it tea.")
        return self.Outputs(text=Text(text=text.text.upper() + self.config.mark))


class Pass(Node[NodeConfig]):
    """Passes anything on."""

    type, title, family, icon = "pass", "Pass", "text", "chat"
    ran: list[str] = []

    class Outputs(NodeOutputs):
        value: PortValue

    async def run(self, value: PortValue) -> Outputs:
        Pass.ran.append(value.type_name)
        return self.Outputs(value=value)


class Ask(Node[NodeConfig]):
    """Asks a person whether to go on."""

    type, title, family, icon = "ask", "Ask", "text", "chat"
    cacheable = False

    class Outputs(NodeOutputs):
        yes: Flag

    async def run(self, text: Text, ctx: NodeContext) -> Outputs:
        decision = await ctx.approval(f"Say “{text.text}”?", {"type": "object"})
        return self.Outputs(yes=Flag(value=decision["approved"]))


def chain(*nodes: tuple[str, str, dict[str, Any]], outputs: Any = None) -> dict[str, Any]:
    """A workflow of nodes (id, type, settings) one after the other."""
    into = {"shout": "text", "ask": "text", "pass": "value"}
    out = {"say": "text", "shout": "text", "ask": "yes", "pass": "value"}
    last_id, last_type, _ = nodes[-1]
    return {
        "directed": True,
        "multigraph": True,
        "graph": {
            "format": "ragloom/1",
            "name": "Loud",
            "outputs": outputs or {"end": [last_id, out[last_type]]},
        },
        "nodes": [{"id": i, "type": kind, "config": config} for i, kind, config in nodes],
        "edges": [
            {"source": a[0], "target": b[0], "key": f"{out[a[1]]}>{into[b[1]]}"}
            for a, b in itertools.pairwise(nodes)
        ],
    }


LOUD = chain(("say", "say", {}), ("shout", "shout", {}), ("more", "shout", {"mark": "?"}))


@cache
def migrated() -> bytes:
    """An empty database as the migrations leave it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        made = Database(f"sqlite:///{path}")
        made.upgrade()
        made.close()
        return path.read_bytes()


def database(folder: Path) -> Database:
    """The database of a folder; an empty one as the migrations leave it, which run only once."""
    path = folder / "test.db"
    if not path.exists():
        path.write_bytes(migrated())
    return Database(f"sqlite:///{path}")


class Place:
    """Real services over a real database, without knowledge bases or models."""

    def __init__(
        self,
        folder: Path,
        limits: RunLimits | None = None,
        nodes: Sequence[type[Node[Any]]] = (Say, Shout, Pass, Ask),
        *,
        owner: str = "",
    ) -> None:
        """With `owner`, other servers of other names may use the same database."""
        self.db = database(folder)
        self.repository = RunRepository(self.db, Blobs(folder / "blobs"), cap_bytes=1_000)
        self.registry = Registry()
        for node in nodes:
            self.registry.register(node)
        self.workflows = WorkflowService(
            WorkflowRepository(self.db), self.repository, self.registry
        )
        self.runs = RunService(
            self.repository,
            self.workflows,
            self.registry,
            None,  # type: ignore[arg-type]  # these nodes need no world
            limits,
            durability=Durability(self.repository, owner, shared=True) if owner else None,
        )
        triggers = TriggerRepository(self.db)
        self.schedules = ScheduleService(triggers, self.runs, self.workflows)
        self.webhooks = WebhookService(triggers, self.runs, self.workflows)
        self.batches = BatchService(BatchRepository(self.db), self.runs, self.workflows)

    async def open(self) -> None:
        """As a server starts."""
        await self.runs.open()
        await self.runs.recover()
        await self.batches.recover()

    async def close(self) -> None:
        """As a server stops."""
        await self.schedules.close()
        await self.batches.close()
        await self.runs.close()
        self.db.close()


async def until(holds: Callable[[], Any]) -> Any:
    """Wait until something is true, and return it."""
    async with asyncio.timeout(30):
        while True:
            value = holds()
            if asyncio.iscoroutine(value):
                value = await value
            if value:
                return value
            await asyncio.sleep(0.01)


ASKING = chain(("say", "say", {}), ("ask", "ask", {}), outputs={"yes": ["ask", "yes"]})


async def ran(place: Place, **what: Any) -> ExecutionView:
    return await place.runs.wait(await place.runs.start(**what))


def statuses(run: ExecutionView) -> dict[str, str]:
    return {step.node_id: step.status for step in run.steps}


async def waiting(place: Place, run_id: str) -> bool:
    return (await place.runs.get(run_id)).status == "waiting"
