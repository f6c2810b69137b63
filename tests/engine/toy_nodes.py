"""Small nodes to build graphs of in tests, and a world that notes what they did."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Annotated

from pydantic import Field

from app.engine.context import NodeContext, World
from app.engine.graph import EdgeSpec, Graph, NodeSpec
from app.engine.node import Node, NodeConfig, NodeOutputs, SameAs
from app.engine.problems import NodeFailed
from app.engine.registry import Registry
from app.engine.runner import Runner
from app.engine.values import Flag, Json, Number, PortValue, Query, Text


class ToyWorld:
    """Counts runs of each node; holds the state outside the graph that `Lookup` depends on."""

    def __init__(self) -> None:
        self.runs: Counter[str] = Counter()
        self.state = "commit-1"
        #: What `Lookup` finds the state to be once it runs.
        self.moves_to = ""
        self.working = 0
        self.most_working = 0

    def ran(self) -> set[str]:
        """Nodes that ran since the last call."""
        names = set(self.runs)
        self.runs.clear()
        return names


class TextOut(NodeOutputs):
    text: Text


class Say(Node["Say.Config"]):
    """Say what the run was given."""

    type, title, family, icon = "say", "Say", "inputs", "chat"

    class Config(NodeConfig):
        key: str = Field("text", description="Key of the text in the input data.")
        default: str = Field("", description="Said when nothing was given.")

    class Outputs(NodeOutputs):
        text: Text = Field(description="What was said.")

    async def run(self, ctx: NodeContext) -> Outputs:
        ctx.world.runs[ctx.node_id] += 1
        return self.Outputs(
            text=Text(text=ctx.input_data.get(self.config.key, self.config.default))
        )

    @classmethod
    def reads(cls, config: Config) -> tuple[str, ...]:
        return (config.key,)


class Upper(Node["Upper.Config"]):
    """Repeat a text in capitals."""

    type, version, title, family, icon = "upper", 2, "Upper", "text", "upgrade"

    class Config(NodeConfig):
        times: int = Field(1, ge=1, le=9, description="How often, 1 to 9.")
        label: str = Field("", description="Changes nothing but the signature.")

    Outputs = TextOut

    async def run(self, text: Annotated[Text, "What to repeat."], ctx: NodeContext) -> TextOut:
        ctx.world.runs[ctx.node_id] += 1
        return TextOut(text=Text(text=text.text.upper() * self.config.times))

    @classmethod
    def migrate(cls, config: dict, from_version: int) -> dict:
        if "repeat" in config:
            config["times"] = int(config.pop("repeat"))
        return config


class Join(Node["Join.Config"]):
    """Join texts in the order of their wires."""

    type, title, family, icon = "join", "Join", "text", "join"

    class Config(NodeConfig):
        label: str = Field("", description="Changes nothing but the signature.")

    Outputs = TextOut

    async def run(self, texts: list[Text], ctx: NodeContext) -> TextOut:
        ctx.world.runs[ctx.node_id] += 1
        return TextOut(text=Text(text="+".join(t.text for t in texts)))


class Choose(Node[NodeConfig]):
    """Send any value to `yes` or `no` by a text: short goes to yes."""

    type, title, family, icon = "choose", "Choose", "logic", "fork"

    class Outputs(NodeOutputs):
        yes: Annotated[PortValue | None, SameAs("value")] = None
        no: Annotated[PortValue | None, SameAs("value")] = None

    async def run(self, value: PortValue, ctx: NodeContext) -> Outputs:
        ctx.world.runs[ctx.node_id] += 1
        short = isinstance(value, Text) and len(value.text) < 10
        return self.Outputs(yes=value) if short else self.Outputs(no=value)


class First(Node[NodeConfig]):
    """The first value that arrived."""

    type, title, family, icon = "first", "First", "logic", "merge"

    class Outputs(NodeOutputs):
        value: Annotated[PortValue, SameAs("values")]

    async def run(self, values: list[PortValue], ctx: NodeContext) -> Outputs:
        ctx.world.runs[ctx.node_id] += 1
        return self.Outputs(value=values[0])


class Hint(Node[NodeConfig]):
    """A text with an optional hint."""

    type, title, family, icon = "hint", "Hint", "text", "info"
    Outputs = TextOut

    async def run(self, text: Text, ctx: NodeContext, hint: Text | None = None) -> TextOut:
        ctx.world.runs[ctx.node_id] += 1
        return TextOut(text=Text(text=f"{text.text} ({hint.text if hint else 'no hint'})"))


class Measure(Node[NodeConfig]):
    """Length of a text."""

    type, title, family, icon = "measure", "Measure", "text", "ruler"

    class Outputs(NodeOutputs):
        length: Number
        long: Flag

    async def run(self, text: Text) -> Outputs:
        return self.Outputs(
            length=Number(value=len(text.text)), long=Flag(value=len(text.text) > 9)
        )


class Ask(Node[NodeConfig]):
    """A text as a query."""

    type, title, family, icon = "ask", "Ask", "text", "search"

    class Outputs(NodeOutputs):
        query: Query

    async def run(self, text: Text) -> Outputs:
        return self.Outputs(query=Query(text=text.text, original=text.text))


class Lookup(Node[NodeConfig]):
    """Depends on state outside the graph."""

    type, title, family, icon = "lookup", "Lookup", "retrieval", "book"
    Outputs = TextOut

    async def run(self, text: Text, ctx: NodeContext) -> TextOut:
        ctx.world.runs[ctx.node_id] += 1
        ctx.world.state, ctx.world.moves_to = ctx.world.moves_to or ctx.world.state, ""
        return TextOut(text=Text(text=f"{text.text}@{ctx.world.state}"))

    async def fingerprint(self, world: World) -> str:
        return world.state


class Store(Node[NodeConfig]):
    """Acts outside the graph; gives the same report for the same text."""

    type, title, family, icon = "store", "Store", "documents", "save"
    cacheable = False
    Outputs = TextOut

    async def run(self, text: Text, ctx: NodeContext) -> TextOut:
        ctx.world.runs[ctx.node_id] += 1
        return TextOut(text=Text(text=f"stored {len(text.text)}"))


class Work(Node["Work.Config"]):
    """Takes a while: on the event loop, or blocking a thread. May fail or misbehave."""

    type, title, family, icon = "work", "Work", "text", "timer"
    timeout_s = 20.0

    class Config(NodeConfig):
        seconds: float = Field(0.0, ge=0, description="How long.")
        blocking: bool = Field(False, description="Block a thread instead of waiting.")
        stubborn: bool = Field(False, description="Ignore being cancelled.")
        failures: int = Field(0, ge=0, description="Fail so many times first.")
        error: str = Field("plain", description="plain, node, group, cancel or timeout.")
        progress: bool = Field(False, description="Report from a thread.")

    Outputs = TextOut

    async def run(self, ctx: NodeContext, text: Text | None = None) -> TextOut:
        world, config = ctx.world, self.config
        world.runs[ctx.node_id] += 1
        world.working += 1
        world.most_working = max(world.most_working, world.working)
        try:
            if config.blocking:
                await asyncio.to_thread(time.sleep, config.seconds)
            elif config.stubborn:
                await _ignore_cancellation(config.seconds)
            elif config.seconds:
                await asyncio.sleep(config.seconds)
        finally:
            world.working -= 1
        if config.progress:
            await asyncio.to_thread(lambda: [ctx.progress(i, 3) for i in (1, 2, 3)])
            ctx.token("word ")
        if world.runs[ctx.node_id] <= config.failures:
            self._break()
        return TextOut(text=text or Text(text="done"))

    def _break(self) -> None:
        match self.config.error:
            case "node":
                raise NodeFailed("The shelf is empty.", fix="Fill it.", code="empty_shelf")
            case "cancel":
                raise asyncio.CancelledError
            case "group":
                raise ExceptionGroup("several", [NodeFailed("Inside a group.")])
            case "timeout":
                raise TimeoutError("the far end did not answer")
            case _:
                raise ValueError("wrong number of legs")


async def _ignore_cancellation(seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        try:
            await asyncio.sleep(left)
        except asyncio.CancelledError:
            continue


class Liar(Node["Liar.Config"]):
    """Returns what it did not declare."""

    type, title, family, icon = "liar", "Liar", "text", "warning"

    class Config(NodeConfig):
        how: str = Field("none", description="none, field or open.")

    class Outputs(NodeOutputs):
        text: Text | None = None
        any: PortValue | None = None

    async def run(self) -> Outputs:
        if self.config.how == "field":
            return self.Outputs.model_construct(text=Number(value=1), any=None)
        if self.config.how == "open":
            return self.Outputs(any=Json(data=[1]))
        return None


TOYS = (
    Say, Upper, Join, Choose, First, Hint, Measure, Ask, Lookup, Store, Work, Liar,
)  # fmt: skip


def toy_registry() -> Registry:
    registry = Registry()
    for cls in TOYS:
        registry.register(cls)
    return registry


def make_graph(
    nodes: dict[str, str | dict],
    wires: str = "",
    outputs: dict[str, tuple[str, str]] | None = None,
) -> Graph:
    """`nodes`: id -> type or fields; `wires`: "a.text>b.text c.text>d.texts"."""
    graph = Graph(outputs=outputs or {})
    for node_id, given in nodes.items():
        fields = {"type": given} if isinstance(given, str) else given
        if fields["type"] == "upper":
            fields = {"version": 2, **fields}
        graph.nodes[node_id] = NodeSpec(id=node_id, **fields)
    for wire in wires.split():
        source, target = wire.split(">")
        graph.edges.append(EdgeSpec(*source.split("."), *target.split(".")))
    return graph


class Events(list):
    """Events of a run, with what tests ask of them."""

    def of(self, kind: str) -> dict:
        return {e.node_id: e for e in self if e.kind == kind}

    def reasons(self) -> dict[str, str]:
        return {e.node_id: e.reason for e in self if e.kind in ("node_finished", "node_skipped")}

    def ended(self) -> dict[str, str]:
        """Node -> kind of its last event; fails when there is more than one."""
        kinds: dict[str, str] = {}
        for event in self:
            if event.kind in ("node_finished", "node_skipped", "node_failed"):
                assert event.node_id not in kinds
                kinds[event.node_id] = event.kind
        return kinds


class Bench:
    """A runner over the toys, and the events of its last run."""

    def __init__(self, cache=None, **options) -> None:
        self.world = ToyWorld()
        self.runner = Runner(toy_registry(), self.world, cache, **options)
        self.events = Events()

    async def run(self, graph, *, targets=None, scope="w", **input_data):
        self.events = Events()
        last = await self.runner.run(
            graph, input_data, "run-1", self.events.append, targets=targets, scope=scope
        )
        assert self.events[0].kind == "run_started"
        assert self.events[-1] == last
        assert set(self.events.ended()) == set(self.events[0].node_ids)
        return last
