"""What an imported workflow had and this one cannot do yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from app.engine.context import NodeContext
from app.engine.node import Node, NodeConfig, OpenOutputs, Port
from app.engine.problems import NodeFailed
from app.engine.values import PortValue
from app.nodes.ports import MAX_PORTS, make_port

_PortName = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^>]+$")]


class Placeholder(Node["Placeholder.Config"]):
    """Stands for a step of another program that has no equal here.

    It keeps its settings and its wires, so that nothing of an imported workflow is lost, and says
    what to put in its place. A workflow cannot run through it.
    """

    type, version, title, family, icon = "placeholder", 1, "Placeholder", "logic", "help_center"
    cacheable = False

    class Config(NodeConfig):
        """What it stands for."""

        origin: str = Field(
            "", max_length=60, description="Program the workflow came from, such as “dify”."
        )
        kind: str = Field("", max_length=200, description="What the step is called there.")
        title: str = Field("", max_length=500, description="The title it had there.")
        data: dict[str, Any] = Field({}, description="Its settings there, unchanged.")
        inputs: list[_PortName] = Field(
            [], max_length=MAX_PORTS, description="Names of its inputs."
        )
        outputs: list[_PortName] = Field(
            [], max_length=MAX_PORTS, description="Names of its outputs."
        )
        advice: str = Field(
            "", max_length=2_000, description="What to put in its place, in a sentence."
        )

    class Outputs(OpenOutputs):
        """None: it cannot run."""

    async def run(self, ctx: NodeContext, **inputs: PortValue | list[PortValue] | None) -> Outputs:
        """Say what it stands for."""
        what, fix = _words(self.config.model_dump())
        raise NodeFailed(f"{what} cannot run here.", code="placeholder", fix=fix)

    @classmethod
    def inputs_for(cls, config: Mapping[str, Any]) -> dict[str, Port]:
        """The inputs it had."""
        return _ports(config.get("inputs"), "What it took before.")

    @classmethod
    def outputs_for(cls, config: Mapping[str, Any]) -> dict[str, Port]:
        """The outputs it had."""
        return _ports(config.get("outputs"), "What it gave before.")

    @classmethod
    def problems(cls, config: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
        """It is in the way of a run."""
        what, fix = _words(config)
        return [("placeholder", f"{what} has no equal here and cannot run.", fix, "warning")]

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        kind = str(config.get("kind") or "a step")[:40].replace("_", " ")
        origin = str(config.get("origin") or "")[:20]
        return f"stands for {kind}" + (f" of {origin}" if origin else "")


def _words(config: Mapping[str, Any]) -> tuple[str, str]:
    kind = str(config.get("kind") or "step")[:200]
    origin = str(config.get("origin") or "")
    what = f"The {origin} step “{kind}”" if origin else f"The step “{kind}”"
    advice = str(config.get("advice") or "").strip()
    return what, advice or "Put nodes in its place that do the same, and remove it."


def _ports(names: Any, help: str) -> dict[str, Port]:
    found = names if isinstance(names, list | tuple) else []
    return {
        name: make_port(name, help=help)
        for name in found[:MAX_PORTS]
        if isinstance(name, str) and name and ">" not in name and name not in ("self", "ctx")
    }
