"""Small nodes that hold workflows, ask people, spend money, or have ports of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from pydantic import Field
from toy_nodes import Bench, Events, TextOut, ToyWorld, toy_registry

from app.engine.body import Body, interface_of
from app.engine.context import NodeContext
from app.engine.graph import Graph
from app.engine.items import from_items, to_items
from app.engine.node import Node, NodeConfig, NodeOutputs, OpenOutputs, Port
from app.engine.registry import Registry
from app.engine.runner import Runner
from app.engine.values import PORT_TYPES, Json, PortValue, Text, Values


def port(name: str, type_name: Any = "Any", *, required: bool = False) -> Port:
    return Port(name, PORT_TYPES.get(type_name, PortValue), required)


class Inlet(Node["Inlet.Config"]):
    """A value of the node around."""

    type, title, family, icon = "inlet", "Inlet", "inputs", "input"

    class Config(NodeConfig):
        name: str = Field("value", description="Name of the input.")
        value_type: str = Field("Any", description="Its type.")
        required: bool = Field(True, description="Fail without it.")

    class Outputs(OpenOutputs):
        value: PortValue | None = None

    async def run(self, ctx: NodeContext) -> Outputs:
        text = ctx.input_data.get(self.config.name)
        return self.Outputs(value=None if text is None else Text(text=text))

    @classmethod
    def reads(cls, config: Config) -> tuple[str, ...]:
        return (config.name,)

    @classmethod
    def outputs_for(cls, config: Mapping[str, Any]) -> dict[str, Port]:
        return {"value": port("value", config.get("value_type"))}


def interface(config: Mapping[str, Any], side: str) -> dict[str, Port]:
    return {
        row["name"]: port(row["name"], row["type"], required=row.get("required", False))
        for row in config["body"]["interface"][side]
    }


class BodyConfig(NodeConfig):
    body: Body = Field(default_factory=Body, description="What runs inside.")


class Within(Node[BodyConfig]):
    """Runs its body once."""

    type, title, family, icon = "workflow", "Workflow", "logic", "box"
    has_body = True
    Config = BodyConfig

    class Outputs(OpenOutputs):
        pass

    async def run(self, ctx: NodeContext, **inputs: PortValue | None) -> Outputs:
        return self.Outputs(**await ctx.run_graph(self.config.body, inputs))

    @classmethod
    def inputs_for(cls, config: Mapping[str, Any]) -> dict[str, Port]:
        return interface(config, "inputs")

    @classmethod
    def outputs_for(cls, config: Mapping[str, Any]) -> dict[str, Port]:
        return interface(config, "outputs")


class Each(Node["Each.Config"]):
    """Runs its body for every item, all at once; failing items are left out."""

    type, title, family, icon = "each", "Each", "logic", "list"
    has_body = True

    class Config(BodyConfig):
        skip: bool = Field(False, description="Leave out failing items.")

    class Outputs(NodeOutputs):
        values: Values

    async def run(self, items: PortValue, ctx: NodeContext) -> Outputs:
        async def one(at: int, item: PortValue) -> PortValue | None:
            name = self.config.body.interface.inputs[0].name
            try:
                results = await ctx.run_graph(self.config.body, {name: item}, item=str(at))
            except Exception:
                if not self.config.skip:
                    raise
                return None
            return next(iter(results.values()))

        found = await asyncio.gather(*(one(at, i) for at, i in enumerate(to_items(items))))
        kept = from_items([value for value in found if value is not None])
        assert isinstance(kept, Values)
        return self.Outputs(values=kept)


class Listing(Node["Listing.Config"]):
    """A list of texts."""

    type, title, family, icon = "listing", "Listing", "inputs", "list"

    class Config(NodeConfig):
        texts: list[str] = Field(default_factory=list, description="The texts.")

    class Outputs(NodeOutputs):
        data: Json

    async def run(self) -> Outputs:
        return self.Outputs(data=Json(data=self.config.texts))


class Decide(Node[NodeConfig]):
    """Waits for a person."""

    type, title, family, icon = "decide", "Decide", "logic", "person"
    cacheable = False
    timeout_s = 1.0
    Outputs = TextOut

    async def run(self, ctx: NodeContext, text: Text | None = None) -> TextOut:
        decision = await ctx.approval("May it go on?", {"question": "yes or no"})
        return TextOut(text=Text(text=f"{decision['approved']} by {decision['by']}"))


class Spend(Node["Spend.Config"]):
    """Calls a model that costs something; may fail after that."""

    type, title, family, icon = "spend", "Spend", "generation", "money"

    class Config(NodeConfig):
        cost: float = Field(0.5, description="Dollars.")
        fail: bool = Field(False, description="Fail afterwards.")

    Outputs = TextOut

    async def run(self, ctx: NodeContext, text: Text | None = None) -> TextOut:
        ctx.world.runs[ctx.node_id] += 1
        ctx.use(prompt_tokens=10, completion_tokens=2, cost_usd=self.config.cost)
        if self.config.fail:
            raise ValueError("the model broke")
        return TextOut(text=text or Text(text="spent"))


class Shape(Node["Shape.Config"]):
    """Has the ports that its settings name; passes each input on in capitals."""

    type, title, family, icon = "shape", "Shape", "logic", "shapes"

    class Config(NodeConfig):
        names: list[str] = Field(default_factory=list, description="Names of its ports.")
        extra: bool = Field(False, description="Give an output that it does not have.")

    class Outputs(OpenOutputs):
        pass

    async def run(self, ctx: NodeContext, **inputs: PortValue | None) -> Outputs:
        ctx.world.runs[ctx.node_id] += 1
        given = {name: Text(text=v.text.upper()) for name, v in inputs.items() if v is not None}
        if self.config.extra:
            given["surprise"] = Text(text="!")
        return self.Outputs(**given)

    @classmethod
    def inputs_for(cls, config: Mapping[str, Any]) -> dict[str, Port]:
        return {name: port(name, "Text", required=True) for name in config["names"]}

    @classmethod
    def outputs_for(cls, config: Mapping[str, Any]) -> dict[str, Port]:
        return {name: port(name, "Text") for name in config["names"]}

    @classmethod
    def problems(cls, config: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
        if len(config["names"]) > 2:
            return [("crowded", "So many ports.", "Take fewer.", "warning")]
        return []


class Tone(Node["Tone.Config"]):
    """Says what it knows of the workflow's variables."""

    type, title, family, icon = "tone", "Tone", "text", "music"

    class Config(NodeConfig):
        template: str = Field("", description="Mentions variables, or does not.")

    Outputs = TextOut

    async def run(self, ctx: NodeContext) -> TextOut:
        ctx.world.runs[ctx.node_id] += 1
        return TextOut(text=Text(text=str(dict(ctx.variables))))


class Heap(Node["Heap.Config"]):
    """Gives a lot."""

    type, title, family, icon = "heap", "Heap", "text", "weight"

    class Config(NodeConfig):
        how: str = Field("text", description="text, shared, endless or tokens.")
        size: int = Field(2_000_000, description="How much.")

    class Outputs(NodeOutputs):
        data: Json

    async def run(self, ctx: NodeContext) -> Outputs:
        data: Any = "x" * self.config.size
        if self.config.how == "shared":
            data = ["x" * 1_000] * (self.config.size // 1_000)
        elif self.config.how == "endless":
            data = []
            data.append(data)
        elif self.config.how == "tokens":
            for _ in range(self.config.size // 1_000):
                ctx.token("x" * 1_000)
            data = None
        return self.Outputs(data=Json(data=data))


BODIES = (Inlet, Within, Each, Listing, Decide, Spend, Shape, Tone, Heap)


def full_registry() -> Registry:
    registry = toy_registry()
    for cls in BODIES:
        registry.register(cls)
    return registry


REGISTRY = full_registry()


class BodyBench(Bench):
    """A bench over all toys."""

    def __init__(self, cache: Any = None, **options: Any) -> None:
        self.world = ToyWorld()
        self.runner = Runner(REGISTRY, self.world, cache, **options)

    async def go(self, graph: Any, options: Any = None, *, gate: Any = None, **input_data: Any):
        """Run, and check what is promised of the events of every run."""
        self.events = Events()
        last = await self.runner.run(
            graph, input_data, "run-1", self.events.append, options=options, gate=gate, scope="w"
        )
        assert self.events[0].kind == "run_started"
        assert self.events[-1] == last
        own = {n for n in self.events.ended() if "/" not in n}
        assert own == set(self.events[0].node_ids)
        return last


def body_of(graph: Graph) -> dict[str, Any]:
    """Settings of a node that holds a graph."""
    held = Body(graph=graph.dump(), interface=interface_of(graph, REGISTRY))
    return {"body": held.model_dump(mode="json")}
