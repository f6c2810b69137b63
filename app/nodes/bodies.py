"""Workflows inside workflows: their inlets, running one as a step, and trying one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, model_validator

from app.engine.context import NodeContext
from app.engine.node import Node, NodeConfig, OpenOutputs, Port
from app.engine.problems import NodeFailed, RagloomError
from app.engine.values import PORT_TYPES, Json, PortValue
from app.nodes.interface import (
    HOURS,
    BodyConfig,
    body_inputs,
    body_outputs,
    body_words,
    of_interface,
    read_given,
    said,
    single,
    without_body,
)
from app.nodes.ports import MAX_PORTS, make_port, plain_value


class Inlet(Node["Inlet.Config"]):
    """A value that a workflow inside another one is handed.

    The node around it gets an input of this name. When the workflow runs by itself, the value
    comes from the run bar, or from `input_data` under that name.
    """

    type, version, title, family, icon = "inlet", 1, "Inlet", "inputs", "input"

    class Config(NodeConfig):
        """Settings of the inlet."""

        name: str = Field(
            "value",
            min_length=1,
            max_length=64,
            pattern=r"^[^>]+$",
            description="Name of the input on the node around this workflow.",
        )
        value_type: str = Field(
            "Any",
            min_length=1,
            max_length=64,
            title="Type",
            description="What may be wired to it: Any, Text, Number, Flag, Json, Table, Query, "
            "Documents, Chunks, Answer, Verdict or Values.",
        )
        required: bool = Field(True, description="Fail when there is no value.")

    class Outputs(OpenOutputs):
        """The value."""

        value: PortValue | None = Field(None, description="What was handed in.")

    async def run(self, ctx: NodeContext) -> Outputs:
        """Read the value from the run's input; inside another workflow it is handed over."""
        name = self.config.name
        data = ctx.input_data.get(name)
        wanted = ctx.types.get(self.config.value_type, PortValue)
        if data is None:
            if not self.config.required:
                return self.Outputs()
            raise NodeFailed(
                f"There is no value “{name}”.",
                code="missing_input",
                fix=f"Type it into the run bar, or send it as input_data.{name}.",
            )
        return self.Outputs(value=read_given(name, data, wanted, ctx))

    @classmethod
    def reads(cls, config: Config) -> tuple[str, ...]:
        """Keys of `input_data` it looks at."""
        return (config.name,)

    @classmethod
    def outputs_for(cls, config: Mapping[str, Any]) -> dict[str, Port]:
        """The type follows from the settings."""
        return {
            "value": make_port(
                "value",
                config.get("value_type"),
                required=config.get("required") is not False,
                help="What was handed in.",
            )
        }

    @classmethod
    def problems(cls, config: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
        """The type has to exist."""
        name = config.get("value_type", "Any")
        if name in PORT_TYPES:
            return []
        return [
            (
                "unknown_type_name",
                f"“{str(name)[:60]}” is not one of the usual types of values.",
                f"Use one of: {', '.join(PORT_TYPES)}, unless a package brings it.",
                "warning",
            )
        ]

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        kind = str(config.get("value_type") or "Any")[:20]
        what = "any value" if kind == "Any" else kind
        return f"“{str(config.get('name') or 'value')[:40]}”, {what}"


class SubWorkflow(Node["SubWorkflow.Config"]):
    """Run a workflow as one step.

    Its inlets and input nodes become the inputs of this node, its named results the outputs. A
    stored workflow is pinned to a revision, so that later changes of it change nothing here until
    you choose them.
    """

    type, version, title, family, icon = "workflow", 1, "Workflow", "logic", "account_tree"
    has_body = True
    timeout_s = HOURS

    class Config(BodyConfig):
        """Settings of the step."""

    class Outputs(OpenOutputs):
        """The results of the workflow."""

    async def run(self, ctx: NodeContext, **inputs: PortValue | list[PortValue] | None) -> Outputs:
        """Run it."""
        results = await ctx.run_graph(self.config.body, single(inputs))
        return self.Outputs(**of_interface(self.config.body, results))

    @classmethod
    def inputs_for(cls, config: Mapping[str, Any]) -> dict[str, Port]:
        """What the workflow takes."""
        return body_inputs(config)

    @classmethod
    def outputs_for(cls, config: Mapping[str, Any]) -> dict[str, Port]:
        """What the workflow gives."""
        return body_outputs(config)

    @classmethod
    def problems(cls, config: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
        """There has to be a workflow."""
        return without_body(config, cls.title)

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        return body_words(config)


class Attempt(Node["Attempt.Config"]):
    """Try a workflow, and go on when it fails.

    When it succeeds, its results leave as usual and “error” stays empty. When it fails, the error
    leaves through “error”, where another branch may begin, and each result gets its fallback value,
    if you gave one; the others are skipped. Bring both ways together with “Merge”.
    """

    type, version, title, family, icon = "attempt", 1, "Try", "logic", "health_and_safety"
    has_body = True
    timeout_s = HOURS

    class Config(BodyConfig):
        """Settings of the try."""

        tries: int = Field(
            1, ge=1, le=10, description="How often it is tried before it counts as failed."
        )
        wait: float = Field(
            1.0,
            ge=0,
            le=300,
            title="Wait between tries (seconds)",
            description="Pause before the next try, in seconds.",
        )
        fallback: dict[str, Any] = Field(
            {},
            max_length=MAX_PORTS,
            description="Result -> value that stands in for it after a failure: text, a number, "
            "yes or no, or data.",
        )

        @model_validator(mode="after")
        def _known(self) -> Self:
            names = [output.name for output in self.body.interface.outputs]
            odd = next((name for name in self.fallback if name not in names), None)
            if odd is not None:
                raise ValueError(
                    f"the workflow has no result “{odd}”; its results: {', '.join(names) or 'none'}"
                )
            return self

    class Outputs(OpenOutputs):
        """The results, or the error."""

        error: Json | None = Field(
            None, description="What went wrong: code, message and fix; empty when all went well."
        )

    async def run(self, ctx: NodeContext, **inputs: PortValue | list[PortValue] | None) -> Outputs:
        """Try it."""
        config = self.config
        given = single(inputs)
        error: RagloomError | None = None
        for number in range(1, config.tries + 1):
            item = str(number) if config.tries > 1 else ""
            try:
                results = await ctx.run_graph(config.body, given, item=item)
            except RagloomError as raised:
                error = raised
            else:
                return self.Outputs(**of_interface(config.body, results))
            if number < config.tries:
                ctx.progress(number, config.tries, f"Try {number} failed")
                await asyncio.sleep(config.wait)
        assert error is not None
        types = {output.name: output.type for output in config.body.interface.outputs}
        stand_ins = {
            name: _fallback(name, data, types[name], ctx) for name, data in config.fallback.items()
        }
        return self.Outputs(error=Json(data=said(error)), **stand_ins)

    @classmethod
    def inputs_for(cls, config: Mapping[str, Any]) -> dict[str, Port]:
        """What the workflow takes."""
        return body_inputs(config)

    @classmethod
    def outputs_for(cls, config: Mapping[str, Any]) -> dict[str, Port]:
        """What the workflow gives, and the error."""
        return {**body_outputs(config), **cls.output_ports()}

    @classmethod
    def problems(cls, config: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
        """There has to be a workflow."""
        return without_body(config, cls.title)

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        tries = config.get("tries", 1)
        times = "once" if tries == 1 else f"{tries} times"
        return f"{body_words(config)}, tried {times}"


def _fallback(name: str, data: Any, type_name: str, ctx: NodeContext) -> PortValue:
    wanted = ctx.types.get(type_name, PortValue)
    if type_name in ("Text", "Number", "Flag", "Json"):
        return plain_value(data, type_name, f"The fallback of “{name}”")
    return read_given(name, data, wanted, ctx)
