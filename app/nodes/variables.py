"""Values worked out from others, and values that the whole workflow shares."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from app.engine.context import NodeContext
from app.engine.node import Node, NodeConfig, OpenOutputs, Port
from app.engine.problems import NodeFailed
from app.engine.values import PortValue
from app.nodes.naming import MAX_EXPRESSION, checked, names_of, reads_input, worked_out
from app.nodes.ports import (
    MAX_PORTS,
    NAME,
    TAKEN,
    InputSpec,
    Item,
    PlainType,
    check_names,
    entries,
    make_port,
    plain_value,
    spec_ports,
    text_of,
)

_INPUTS = [InputSpec(name="value")]
_HELP = "A value that expressions can name."


class Result(Item):
    """One value to work out."""

    name: str = Field(pattern=NAME, description="Name of the output.")
    expression: str = Field(
        min_length=1,
        max_length=MAX_EXPRESSION,
        description="How it is worked out, such as value | length.",
        json_schema_extra={"widget": "expression"},
    )
    value_type: PlainType = Field("Json", title="Type", description="What the output gives.")


class Compute(Node["Compute.Config"]):
    """Work out values with expressions.

    Each result is an expression over the inputs and over the results above it, such as
    `chunks.items | map(attribute="document_name") | unique | list` or `answer.confidence > 0.7`,
    and an output of its own.
    """

    type, version, title, family, icon = "compute", 1, "Compute", "logic", "calculate"

    class Config(NodeConfig):
        """Settings of the values."""

        inputs: list[InputSpec] = Field(
            _INPUTS, max_length=MAX_PORTS, description="The inputs, by name."
        )
        results: list[Result] = Field(
            [Result(name="result", expression="value")],
            min_length=1,
            max_length=MAX_PORTS,
            description="What is worked out, in this order.",
        )

        @model_validator(mode="after")
        def _sound(self) -> Self:
            check_names((given.name for given in self.inputs), TAKEN)
            check_names((result.name for result in self.results), TAKEN)
            names = [given.name for given in self.inputs]
            for result in self.results:
                checked(result.expression, names)
                names.append(result.name)
            return self

    class Outputs(OpenOutputs):
        """The results."""

    async def run(self, ctx: NodeContext, **inputs: PortValue | list[PortValue] | None) -> Outputs:
        """Work them out."""
        given = {spec.name: inputs.get(spec.name) for spec in self.config.inputs}
        names = names_of(ctx, given)
        found: dict[str, PortValue] = {}
        for result in self.config.results:
            data = await worked_out(result.expression, names)
            names[result.name] = data
            what = f"The expression “{result.name}”"
            found[result.name] = plain_value(data, result.value_type, what)
        return self.Outputs(**found)

    @classmethod
    def inputs_for(cls, config: Mapping[str, Any]) -> dict[str, Port]:
        """The inputs by name."""
        return spec_ports(entries(config, "inputs", _INPUTS), _HELP)

    @classmethod
    def outputs_for(cls, config: Mapping[str, Any]) -> dict[str, Port]:
        """One output for each result."""
        default = cls.Config.model_fields["results"].default
        return {
            name: make_port(
                name, row.get("value_type", "Json"), required=True, help="What was worked out."
            )
            for row in entries(config, "results", default)
            if (name := text_of(row, "name")) and ">" not in name
        }

    @classmethod
    def reads(cls, config: Config) -> tuple[str, ...] | None:
        """The run's input, where an expression names it."""
        return reads_input(*(result.expression for result in config.results))

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        default = cls.Config.model_fields["results"].default
        said = [
            f"{text_of(row, 'name')} = {' '.join(text_of(row, 'expression').split())}"
            for row in entries(config, "results", default)
        ]
        text = ", ".join(said) or "nothing yet"
        return text if len(text) < 76 else f"{text[:75]}…"


class Variable(Node["Variable.Config"]):
    """A value that the whole workflow shares.

    It is set once, among the variables of the workflow, and used wherever this node or the name
    `variables` in an expression stands.
    """

    type, version, title, family, icon = "variable", 1, "Variable", "inputs", "tag"

    class Config(NodeConfig):
        """Settings of the variable."""

        name: str = Field("name", pattern=NAME, description="Name of the variable.")
        value_type: PlainType = Field("Text", title="Type", description="What the output gives.")
        default: Annotated[str | float | bool | list[Any] | dict[str, Any] | None, Field()] = Field(
            None, description="Used where the workflow has no variable of that name."
        )

        @field_validator("default")
        @classmethod
        def _small(cls, value: Any) -> Any:
            if len(json.dumps(value, default=str)) > 100_000:
                raise ValueError("it is longer than 100,000 characters")
            return value

    class Outputs(OpenOutputs):
        """The value."""

    async def run(self, ctx: NodeContext) -> Outputs:
        """Read it."""
        config = self.config
        data = ctx.variables.get(config.name, config.default)
        if data is None:
            raise NodeFailed(
                f"The workflow has no variable “{config.name}”.",
                code="unknown_variable",
                fix="Add it to the variables of the workflow, or give this node a default.",
                found=config.name,
                expected=sorted(ctx.variables),
            )
        what = f"The variable “{config.name}”"
        return self.Outputs(value=plain_value(data, config.value_type, what))

    @classmethod
    def outputs_for(cls, config: Mapping[str, Any]) -> dict[str, Port]:
        """The type follows from the settings."""
        kind = config.get("value_type", "Text")
        return {"value": make_port("value", kind, required=True, help="The value.")}

    @classmethod
    def reads(cls, config: Config) -> tuple[str, ...]:
        """Nothing of what the run was given."""
        return ()

    @classmethod
    def reads_variables(cls, config: Config) -> tuple[str, ...]:
        """The variable it names."""
        return (config.name,)

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        return f"“{text_of(config, 'name', 'name').replace('_', ' ')[:40]}” of the workflow"
