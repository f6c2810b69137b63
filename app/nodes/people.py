"""Steps that wait for a person."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, field_validator

from app.engine.codec import decode, encode
from app.engine.context import NodeContext
from app.engine.items import plain
from app.engine.node import Node, NodeConfig, NodeOutputs, SameAs
from app.engine.problems import NodeFailed, RagloomError
from app.engine.values import Answer, AnswerSentence, Json, Number, PortValue, Text
from app.nodes.naming import names_of, reads_input
from app.nodes.prompts import read_sentences, strip_markers
from app.nodes.template import checked_template, render

_MAX_MESSAGE = 4_000
#: Largest value that is shown in full to whoever decides, in characters.
_MAX_SHOWN = 50_000


class Approval(Node["Approval.Config"]):
    """Wait for a person's approval.

    The run stands still here until somebody decides, be it seconds or weeks, also across a restart
    of the server. The value leaves through “approved” or through “rejected”, and the comment with
    it. Whoever decides may change an answer, text, number or data before it goes on, if you allow
    that.
    """

    type, version, title, family, icon = "approval", 1, "Approval", "logic", "how_to_reg"
    #: A decision counts once: it is asked for anew in every run.
    cacheable = False

    class Config(NodeConfig):
        """Settings of the question."""

        message: str = Field(
            "Please check this before it goes on.",
            min_length=1,
            max_length=_MAX_MESSAGE,
            description="What is asked: a template; {{ value.text }} stands for the text of a Text, "
            "{{ value.data }} for data.",
            json_schema_extra={"widget": "template"},
        )
        allow_edit: bool = Field(
            False,
            title="Allow changes",
            description="Whoever decides may change an answer, a text, a number or data.",
        )
        comment: bool = Field(True, description="Ask for a comment.")

        @field_validator("message")
        @classmethod
        def _readable(cls, source: str) -> str:
            return checked_template(source)

    class Outputs(NodeOutputs):
        """The value one way or the other, and what was said."""

        approved: Annotated[PortValue | None, SameAs("value")] = Field(
            None, description="The value, when it was approved; as it was changed."
        )
        rejected: Annotated[PortValue | None, SameAs("value")] = Field(
            None, description="The value, when it was rejected."
        )
        comment: Text = Field(description="The comment of whoever decided.")
        decision: Json = Field(description="approved, comment, and by whom it was decided.")

    async def run(
        self,
        value: Annotated[PortValue, "What is to be approved, and passed on."],
        ctx: NodeContext,
    ) -> Outputs:
        """Ask, wait, and pass on."""
        config = self.config
        message = await asyncio.to_thread(render, config.message, names_of(ctx, {"value": value}))
        data = encode(value)
        editable = config.allow_edit and isinstance(value, Answer | Text | Number | Json)
        form: dict[str, Any] = {
            "value_type": value.type_name,
            "value": data if len(str(data)) <= _MAX_SHOWN else None,
            "editable": editable,
            "comment": config.comment,
        }
        decision = await ctx.approval(message[:_MAX_MESSAGE], form)
        approved = decision.get("approved") is True
        changed = decision.get("value")
        if approved and changed is not None:
            value = _changed(value, changed, editable)
        said = str(decision.get("comment") or "")[:_MAX_MESSAGE]
        by = str(decision.get("by") or "")[:200]
        return self.Outputs(
            approved=value if approved else None,
            rejected=None if approved else value,
            comment=Text(text=said),
            decision=Json(data={"approved": approved, "comment": said, "by": by}),
        )

    @classmethod
    def reads(cls, config: Config) -> tuple[str, ...] | None:
        """The run's input, where the message names it."""
        return reads_input(config.message)

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        changes = ", may change it" if config.get("allow_edit") is True else ""
        return f"waits for a person{changes}"


def _changed(value: PortValue, data: Any, editable: bool) -> PortValue:
    """The value as it was edited: its plain data, or the data of the whole value."""
    if data in (plain(value), encode(value)):
        return value
    if not editable:
        raise NodeFailed(
            "The decision changes the value, which this approval does not allow.",
            code="bad_decision",
            fix="Decide again without a change, or allow changes in the settings.",
        )
    kind = type(value)
    field = next(iter(kind.model_fields))
    whole = isinstance(data, Mapping) and set(data) == {field} and kind is not Json
    if isinstance(value, Answer):
        words = data[field] if isinstance(data, Mapping) and whole else data
        if isinstance(words, str) and words.strip():
            return reworded(value, words.strip())
    try:
        return decode("value", data if whole else {field: data}, kind)
    except RagloomError as error:
        raise NodeFailed(
            f"The changed value is not {kind.type_name}: {error.message}",
            code="bad_decision",
            fix="Decide again with a value of that kind.",
        ) from error


def reworded(answer: Answer, text: str) -> Answer:
    """The answer in other words; passages that these cite with their numbers stay cited."""
    known = {one.number: one for one in answer.citations}
    read = read_sentences(text, max(known, default=0))
    cited = {number for sentence in read for number in sentence.numbers}
    marked = strip_markers(answer.text) != answer.text
    return answer.model_copy(
        update={
            "text": text if marked else strip_markers(text),
            "sentences": tuple(AnswerSentence(text=s.text, citations=s.numbers) for s in read),
            "citations": tuple(one for number, one in known.items() if number in cited),
            "abstained": False,
        }
    )
