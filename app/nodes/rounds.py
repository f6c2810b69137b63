"""Running a workflow again and again: for every item of a list, or until something holds."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from app.engine.context import NodeContext
from app.engine.items import from_items, to_items
from app.engine.node import Node, OpenOutputs, Port
from app.engine.problems import NodeFailed, RagloomError
from app.engine.values import Flag, Json, Number, PortValue, Values
from app.nodes.comparing import compare
from app.nodes.interface import (
    HOURS,
    BodyConfig,
    body_inputs,
    body_outputs,
    body_words,
    item_name,
    of_interface,
    said,
    single,
    without_body,
)
from app.nodes.naming import MAX_EXPRESSION, checked, held, names_of, worked_out
from app.nodes.ports import make_port, text_of


class Map(Node["Map.Config"]):
    """Run a workflow for every item of a list, several at a time.

    Passages, documents, rows of a table and lists fall into their items. The item goes to the inlet
    named under “Item”, the other inlets get the same value every time; an inlet “index” gets the
    item's number, from 0. Each result is a list in the order of the items.
    """

    type, version, title, family, icon = "map", 1, "Map", "logic", "dynamic_feed"
    has_body = True
    timeout_s = HOURS

    class Config(BodyConfig):
        """Settings of the map."""

        item: str = Field(
            "item",
            min_length=1,
            max_length=64,
            description="Inlet of the workflow inside that gets the item; where it has but one "
            "input, that one is taken.",
        )
        concurrency: int = Field(
            4, ge=1, le=64, title="At the same time", description="Items worked on at once."
        )
        on_failure: Literal["fail", "skip", "keep"] = Field(
            "fail",
            title="When an item fails",
            description="Fail the node, leave the item out of the results, or keep its error in "
            "its place.",
        )
        max_items: int = Field(
            1_000, ge=1, le=100_000, title="Most items", description="Fail above this many items."
        )

    class Outputs(OpenOutputs):
        """A list for each result of the workflow."""

        failed: Json = Field(description="The items that failed: index, message and fix of each.")

    async def run(self, ctx: NodeContext, **inputs: PortValue | list[PortValue] | None) -> Outputs:
        """Run it for every item."""
        config = self.config
        given = single(inputs)
        items = to_items(given.pop("items", None) or Values(), ctx.types)
        if len(items) > config.max_items:
            raise NodeFailed(
                f"The list has {len(items):,} items; at most {config.max_items:,} are allowed.",
                code="too_many_items",
                fix="Take fewer, or raise “Most items”.",
                found=len(items),
                expected=config.max_items,
            )
        work = _Mapping(config, ctx, given, items)
        await work.run()
        lists = {
            output.name: from_items(work.column(output.name))
            for output in config.body.interface.outputs
        }
        return self.Outputs(failed=Json(data=work.failures()), **lists)

    @classmethod
    def inputs_for(cls, config: Mapping[str, Any]) -> dict[str, Port]:
        """The list, and what else the workflow takes."""
        ports = {
            "items": make_port(
                "items",
                required=True,
                help="A list: passages, documents, a table, data, or values.",
            )
        }
        inner = body_inputs(config)
        item = item_name(text_of(config, "item", "item"), inner)
        return ports | {n: p for n, p in inner.items() if n not in (item, "index", "items")}

    @classmethod
    def outputs_for(cls, config: Mapping[str, Any]) -> dict[str, Port]:
        """A list for each result."""
        ports = {
            name: make_port(
                name, Values.type_name, required=True, help="This result of every item, in order."
            )
            for name in body_outputs(config)
        }
        return ports | {"failed": cls.output_ports()["failed"]}

    @classmethod
    def problems(cls, config: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
        """There has to be a workflow, and an inlet for the item."""
        if found := without_body(config, cls.title):
            return found
        inner = body_inputs(config)
        item = text_of(config, "item", "item")
        if item_name(item, inner) in inner:
            return []
        fix = f"Add an inlet “{item}” inside, or name one of: {', '.join(inner) or 'none yet'}."
        return [("no_item_inlet", f"The workflow inside has no input “{item}”.", fix, "error")]

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        return f"{body_words(config)}, {config.get('concurrency', 4)} at a time"


class Loop(Node["Loop.Config"]):
    """Run a workflow again and again until something holds.

    After each round the expression is looked at: it names the results of the round and “round”, its
    number from 1, such as `verdict.passed or round >= 3`. A result that has the name of an input
    takes its place in the next round; the other inputs stay the same.
    """

    type, version, title, family, icon = "loop", 1, "Loop", "logic", "loop"
    has_body = True
    timeout_s = HOURS

    class Config(BodyConfig):
        """Settings of the loop."""

        until: str = Field(
            "",
            max_length=MAX_EXPRESSION,
            description="Stop when this expression over the results and “round” holds.",
            json_schema_extra={"widget": "expression"},
        )
        max_rounds: int = Field(
            5, ge=1, le=200, title="Most rounds", description="Rounds after which it ends anyway."
        )
        at_limit: Literal["keep", "fail"] = Field(
            "keep",
            title="After the last round",
            description="Keep the results of the last round, or fail.",
        )

        @model_validator(mode="after")
        def _readable(self) -> Self:
            names = [output.name for output in self.body.interface.outputs]
            names += [given.name for given in self.body.interface.inputs]
            checked(self.until, [*names, "round"])
            return self

    class Outputs(OpenOutputs):
        """The results of the last round."""

        rounds: Number = Field(description="How many rounds it took.")
        reached: Flag = Field(description="Whether the expression held in the end.")

    async def run(self, ctx: NodeContext, **inputs: PortValue | list[PortValue] | None) -> Outputs:
        """Run it until the expression holds."""
        config = self.config
        given = single(inputs)
        results: dict[str, PortValue | None] = {}
        reached, number = False, 0
        while not reached and number < config.max_rounds:
            number += 1
            ctx.progress(number, config.max_rounds, f"Round {number}")
            results = of_interface(
                config.body, await ctx.run_graph(config.body, given, item=str(number))
            )
            names = names_of(ctx, {**given, **results, "round": number})
            reached = bool(config.until.strip()) and compare(
                held(await worked_out(config.until, names)), "is_true", None
            )
            given |= {
                name: value
                for name, value in results.items()
                if name in given and value is not None
            }
        if not reached and config.at_limit == "fail":
            raise NodeFailed(
                f"“{config.until.strip()[:100]}” did not hold after {number} rounds.",
                code="loop_limit",
                fix="Allow more rounds, or keep the results of the last one.",
                found=number,
            )
        ends = {"rounds": Number(value=number), "reached": Flag(value=reached)}
        return self.Outputs(**{**results, **ends})

    @classmethod
    def inputs_for(cls, config: Mapping[str, Any]) -> dict[str, Port]:
        """What the workflow takes."""
        return body_inputs(config)

    @classmethod
    def outputs_for(cls, config: Mapping[str, Any]) -> dict[str, Port]:
        """What the workflow gives, and how it ended."""
        return {**body_outputs(config), **cls.output_ports()}

    @classmethod
    def problems(cls, config: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
        """There has to be a workflow, and an end."""
        found = without_body(config, cls.title)
        if not text_of(config, "until").strip():
            rounds = config.get("max_rounds", 5)
            message = f"The loop has no condition to end by; it always runs {rounds} rounds."
            fix = "Write under “Until” what has to hold, such as round >= 3."
            found.append(("no_condition", message, fix, "warning"))
        return found

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        until = " ".join(text_of(config, "until").split())[:40]
        rounds = config.get("max_rounds", 5)
        return f"until {until}, at most {rounds} rounds" if until else f"{rounds} rounds"


class _Mapping:
    """One run of a map: workers that take the next item until none is left."""

    def __init__(
        self,
        config: Map.Config,
        ctx: NodeContext,
        given: Mapping[str, PortValue | None],
        items: list[PortValue],
    ) -> None:
        self._config = config
        self._ctx = ctx
        self._given = given
        self._items = items
        self._next = iter(range(len(items)))
        self._results: dict[int, dict[str, PortValue | None]] = {}
        self._errors: dict[int, RagloomError] = {}
        inner = [given.name for given in config.body.interface.inputs]
        self._item = item_name(config.item, inner)
        self._numbered = "index" in inner and self._item != "index"

    async def run(self) -> None:
        """Work through the items; the first failure ends it where items must not fail."""
        workers = min(self._config.concurrency, len(self._items))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(self._worker())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _worker(self) -> None:
        for number in self._next:
            given = {**self._given, self._item: self._items[number]}
            if self._numbered:
                given["index"] = Number(value=number)
            try:
                results = await self._ctx.run_graph(self._config.body, given, item=str(number))
            except RagloomError as error:
                if self._config.on_failure == "fail":
                    raise NodeFailed(
                        f"Item {number + 1} of {len(self._items)} failed: {error.message}",
                        code=error.code,
                        fix=error.fix,
                        found=number,
                    ) from error
                self._errors[number] = error
            else:
                self._results[number] = results
            done = len(self._results) + len(self._errors)
            self._ctx.progress(done, len(self._items))

    def column(self, name: str) -> list[PortValue]:
        """One result of every item, in order; failed items as the settings say."""
        found: list[PortValue] = []
        for number in range(len(self._items)):
            if number in self._errors:
                if self._config.on_failure == "keep":
                    found.append(Json(data={"error": said(self._errors[number])}))
                continue
            value = self._results[number].get(name)
            # A result that was skipped keeps its place, so that lists stay side by side.
            found.append(Json(data=None) if value is None else value)
        return found

    def failures(self) -> list[dict[str, Any]]:
        """What went wrong, by item."""
        return [{"index": n, **said(self._errors[n])} for n in sorted(self._errors)]
