"""Choosing a way through the graph, and bringing ways together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from app.engine.context import NodeContext
from app.engine.node import Node, NodeConfig, NodeOutputs, OpenOutputs, Port, SameAs
from app.engine.problems import NodeFailed
from app.engine.values import PortValue, Values
from app.nodes.comparing import UNARY, WORDS, Operator, compare, look_up, same
from app.nodes.merging import SCORE_HELP, best, concatenate, listed
from app.nodes.naming import MAX_EXPRESSION, checked, held, names_of, reads_input, worked_out
from app.nodes.ports import Item, check_names, entries, make_port, text_of

_EXPRESSION: dict[str, Any] = {"widget": "expression"}
OTHERWISE = "otherwise"


class Condition(Node["Condition.Config"]):
    """Send a value one way or the other.

    The condition looks at a field of what is wired to “subject” (or of the value itself), such as
    `passed` of a verdict, `confidence` of an answer or `items` of passages; or it is an expression
    of your own, such as `value.confidence > 0.5 and not value.abstained`. The value leaves through
    “yes” or through “no”; the other branch is skipped.
    """

    type, version, title, family, icon = "condition", 1, "Condition", "logic", "call_split"

    class Config(NodeConfig):
        """Settings of the condition."""

        field: str = Field(
            "",
            max_length=200,
            description="Field to look at, with dots into its parts: passed, items.0.score, "
            "items.length. Empty looks at the whole value.",
        )
        operator: Operator = Field("is_true", description="How to compare.")
        value: str | float | bool | list[str | float] | None = Field(
            None, description="What to compare with; is true/false/empty need nothing."
        )
        match_case: bool = Field(
            False, description="Capital and small letters differ when texts are compared."
        )
        expression: str = Field(
            "",
            max_length=MAX_EXPRESSION,
            description="Instead of field, operator and value: an expression over “value” and "
            "“subject”.",
            json_schema_extra=_EXPRESSION,
        )

        @model_validator(mode="after")
        def _readable(self) -> Self:
            checked(self.expression, ("value", "subject"))
            return self

    class Outputs(NodeOutputs):
        """One of the two holds the value."""

        yes: Annotated[PortValue | None, SameAs("value")] = Field(
            None, description="The value, when the condition holds."
        )
        no: Annotated[PortValue | None, SameAs("value")] = Field(
            None, description="The value, when the condition does not hold."
        )

    async def run(
        self,
        value: Annotated[PortValue, "What is passed on."],
        ctx: NodeContext,
        subject: Annotated[PortValue | None, "What to look at; the value itself if absent."] = None,
    ) -> Outputs:
        """Compare, and pass on."""
        config = self.config
        if config.expression.strip():
            names = names_of(
                ctx, {"value": value, "subject": value if subject is None else subject}
            )
            holds = compare(held(await worked_out(config.expression, names)), "is_true", None)
        else:
            found = look_up(subject if subject is not None else value, config.field)
            holds = compare(found, config.operator, config.value, match_case=config.match_case)
        return self.Outputs(yes=value) if holds else self.Outputs(no=value)

    @classmethod
    def reads(cls, config: Config) -> tuple[str, ...] | None:
        """The run's input, where the expression names it."""
        return reads_input(config.expression)

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        if expression := text_of(config, "expression").strip():
            return f"if {' '.join(expression.split())[:70]}"
        operator = config.get("operator", "is_true")
        field = config.get("field") or "the value"
        tail = "" if operator in UNARY else f" {config.get('value')}"
        return f"if {field} {WORDS.get(operator, operator)}{tail}"


class Case(Item):
    """One way out of a switch."""

    name: str = Field(
        min_length=1, max_length=60, pattern=r"^[^>]+$", description="Name of the output."
    )
    equals: str | float | bool | None = Field(
        None, description="Take this way when the field is this; texts are compared without case."
    )
    expression: str = Field(
        "",
        max_length=MAX_EXPRESSION,
        description="Instead of “equals”: take this way when the expression over “value” and "
        "“subject” holds.",
        json_schema_extra=_EXPRESSION,
    )


class Switch(Node["Switch.Config"]):
    """Send a value one of several ways.

    Each case is an output with a condition: that the field equals something, or an expression. The
    value leaves through the first case that holds (or through all that do), and through
    “otherwise” when none does; the other ways are skipped.
    """

    type, version, title, family, icon = "switch", 1, "Switch", "logic", "alt_route"

    class Config(NodeConfig):
        """Settings of the switch."""

        field: str = Field(
            "",
            max_length=200,
            description="Field that “equals” looks at, with dots into its parts; empty looks at "
            "the whole value.",
        )
        cases: list[Case] = Field(
            [],
            max_length=40,
            description="The ways out, in the order in which they are tried.",
            json_schema_extra={"widget": "cases"},
        )
        take: Literal["first", "all"] = Field(
            "first", description="Take the first case that holds, or every case that does."
        )

        @model_validator(mode="after")
        def _sound(self) -> Self:
            check_names((case.name for case in self.cases), (OTHERWISE,))
            for case in self.cases:
                checked(case.expression, ("value", "subject"))
            return self

    class Outputs(OpenOutputs):
        """The value, at the case that holds."""

    async def run(
        self,
        value: Annotated[PortValue, "What is passed on."],
        ctx: NodeContext,
        subject: Annotated[PortValue | None, "What to look at; the value itself if absent."] = None,
    ) -> Outputs:
        """Find the case, and pass on."""
        looked_at = value if subject is None else subject
        names = names_of(ctx, {"value": value, "subject": looked_at})
        taken: dict[str, PortValue | None] = {}
        for case in self.config.cases:
            if case.expression.strip():
                holds = compare(held(await worked_out(case.expression, names)), "is_true", None)
            else:
                holds = same(look_up(looked_at, self.config.field), case.equals)
            if holds:
                taken[case.name] = value
                if self.config.take == "first":
                    break
        return self.Outputs(**(taken or {OTHERWISE: value}))

    @classmethod
    def outputs_for(cls, config: Mapping[str, Any]) -> dict[str, Port]:
        """One output for each case, and “otherwise”."""
        names = [text_of(row, "name") for row in entries(config, "cases")]
        ports = {
            name: make_port(name, same_as="value", help="The value, when this case holds.")
            for name in names
            if name and ">" not in name
        }
        ports[OTHERWISE] = make_port(
            OTHERWISE, same_as="value", help="The value, when no case holds."
        )
        return ports

    @classmethod
    def reads(cls, config: Config) -> tuple[str, ...] | None:
        """The run's input, where an expression names it."""
        return reads_input(*(case.expression for case in config.cases))

    @classmethod
    def problems(cls, config: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
        """A switch without cases goes one way only; a case needs a condition."""
        rows = entries(config, "cases")
        if not rows:
            fix = "Add a case for each way, or remove the switch."
            return [("no_cases", "The switch has no cases.", fix, "warning")]
        empty = [
            text_of(row, "name")
            for row in rows
            if row.get("equals") is None and not text_of(row, "expression").strip()
        ]
        if empty:
            message = f"The case “{empty[0]}” has no condition."
            fix = "Write what the field must equal, or an expression."
            return [("empty_case", message, fix, "warning")]
        return []

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        text = " · ".join(text_of(row, "name") for row in entries(config, "cases"))
        if not text:
            return "no cases yet"
        return text if len(text) < 70 else f"{text[:69]}…"


class Merge(Node["Merge.Config"]):
    """Bring branches together.

    Takes the first input that has a value (branches that were skipped have none), the best of them
    by confidence, score or an expression, all of them as a list, or one value joined from them:
    passages without repeats, texts one under the other, the rows of tables, the items of lists.
    """

    type, version, title, family, icon = "merge", 1, "Merge", "logic", "call_merge"

    class Config(NodeConfig):
        """Settings of the merge."""

        mode: Literal["first", "all", "concatenate", "best"] = Field(
            "first",
            description="“first” passes on the first input that has a value, “best” the one with "
            "the highest score; “all” makes a list of them; “concatenate” joins passages (one of "
            "each in turn), texts, tables or lists.",
        )
        score: str = Field(
            "",
            max_length=MAX_EXPRESSION,
            description=SCORE_HELP,
            json_schema_extra=_EXPRESSION,
        )
        separator: str = Field(
            "\n\n", max_length=200, description="Concatenate only: what stands between two texts."
        )

        @model_validator(mode="after")
        def _readable(self) -> Self:
            checked(self.score, ("value",))
            return self

    class Outputs(OpenOutputs):
        """The value."""

        value: Annotated[PortValue, SameAs("values")] = Field(
            description="The chosen value, or what the inputs make together."
        )

    async def run(
        self,
        values: Annotated[list[PortValue], "The branches, in the order of their wires."],
        ctx: NodeContext,
    ) -> Outputs:
        """Bring together."""
        if not values:
            raise NodeFailed(
                "None of the branches brought a value.",
                code="missing_input",
                fix="Wire at least one branch that always runs into the merge.",
            )
        match self.config.mode:
            case "first":
                return self.Outputs(value=values[0])
            case "best":
                return self.Outputs(value=await best(values, self.config.score, ctx))
            case "all":
                return self.Outputs(value=listed(values))
            case _:
                return self.Outputs(value=concatenate(values, self.config.separator))

    @classmethod
    def outputs_for(cls, config: Mapping[str, Any]) -> dict[str, Port]:
        """A list, where all are taken; else the type of the inputs."""
        if config.get("mode") != "all":
            return cls.output_ports()
        return {
            "value": make_port(
                "value", Values.type_name, required=True, help="The inputs, as a list."
            )
        }

    @classmethod
    def reads(cls, config: Config) -> tuple[str, ...] | None:
        """The run's input, where the expression names it."""
        return reads_input(config.score)

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        said = {
            "first": "the first that has a value",
            "best": "the best by score",
            "all": "all, as a list",
            "concatenate": "all, joined",
        }
        return said.get(str(config.get("mode", "first")), "the first that has a value")
