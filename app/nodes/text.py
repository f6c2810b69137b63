"""Working on questions and texts before they are used."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, field_validator

from app.engine.context import NodeContext, World
from app.engine.node import Node, NodeConfig, NodeOutputs, Port
from app.engine.values import Answer, Chunks, Entity, Json, PortValue, Query, Text
from app.nodes.asking import Passages, in_template
from app.nodes.ports import MAX_PORTS, TAKEN, InputSpec, check_names, entries, spec_ports
from app.nodes.template import MAX_SOURCE, checked_template, render
from app.retrieval import entities, glossary, spelling

#: Inputs that every prompt has, and their names in its template.
_PROMPT_NAMES = ("query", "question", "chunks", "text", "texts", "answer", "data")
DEFAULT_TEMPLATE = """\
Answer the question from the passages below and from nothing else.

{% for chunk in chunks %}
[{{ loop.index }}] {{ chunk.document_name }}{% if chunk.place %}, {{ chunk.place }}{% endif %}

{{ chunk.content }}

{% endfor %}
Question: {{ question }}
"""


class Preprocess(Node["Preprocess.Config"]):
    """Tidy up a question before searching.

    Acronyms are spelt out as the documents themselves define them, and misspelt words are
    corrected, but never a word that the documents use. What was changed travels with the question.
    """

    type, version, title, family, icon = "preprocess", 1, "Preprocess", "text", "auto_fix_high"

    class Config(NodeConfig):
        """Settings of the steps."""

        knowledge_base: str = Field(
            "",
            max_length=200,
            description="Knowledge base whose acronyms and words are known. Without one, no "
            "acronym is spelt out.",
            json_schema_extra={"widget": "knowledge_base"},
        )
        ref: str = Field(
            "main",
            min_length=1,
            max_length=200,
            title="Branch or commit",
            description="Branch or commit of the knowledge base.",
            json_schema_extra={"widget": "ref"},
        )
        normalise: bool = Field(
            True,
            title="Tidy characters",
            description="Straighten spaces, quotation marks and unusual characters.",
        )
        expand_acronyms: bool = Field(
            True,
            title="Expand acronyms",
            description="Spell out acronyms that the documents define, once in the question.",
        )
        correct_spelling: bool = Field(
            True, description="Correct misspelt English words; words of the documents are right."
        )
        extract_entities: bool = Field(
            True, description="Find names, numbers, dates, addresses and quoted terms."
        )
        detect_language: bool = Field(True, description="Find out the question's language.")

    class Outputs(NodeOutputs):
        """The question, tidied."""

        query: Query = Field(description="The question with what was found out about it.")

    async def run(
        self, query: Annotated[Query, "The question as it was asked."], ctx: NodeContext
    ) -> Outputs:
        """Do the steps that are switched on, in the order of the settings."""
        config = self.config
        changed: dict[str, Any] = {}
        text = normalise(query.text) if config.normalise else query.text
        acronyms: Mapping[str, str] = {}
        vocabulary: Mapping[str, int] = {}
        if config.knowledge_base:
            knowledge = ctx.world.knowledge
            if config.expand_acronyms:
                acronyms = await knowledge.glossary(config.knowledge_base, config.ref)
            if config.correct_spelling:
                vocabulary = await knowledge.vocabulary(config.knowledge_base, config.ref)
        if config.detect_language:
            changed["language"] = await asyncio.to_thread(_language, text)
        if config.correct_spelling and changed.get("language", "en") in ("en", None):
            text, corrections = await asyncio.to_thread(
                spelling.correct, text, vocabulary=vocabulary, protected=list(acronyms)
            )
            changed["corrections"] = {**query.corrections, **corrections}
        if config.extract_entities:
            changed["entities"] = tuple(
                Entity(text=e.text, kind=e.kind) for e in entities.find_entities(text)
            )
        if config.expand_acronyms and acronyms:
            text, expansions = glossary.expand(text, dict(acronyms))
            changed["expansions"] = {**query.expansions, **expansions}
        return self.Outputs(query=query.model_copy(update={"text": text, **changed}))

    async def fingerprint(self, world: World) -> str:
        """Commit of the knowledge base that lends its words."""
        if not self.config.knowledge_base:
            return ""
        return ":".join(await world.knowledge.resolve(self.config.knowledge_base, self.config.ref))

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        steps = {
            "normalise": "tidy",
            "expand_acronyms": "acronyms",
            "correct_spelling": "spelling",
            "extract_entities": "entities",
            "detect_language": "language",
        }
        on = [word for key, word in steps.items() if config.get(key, True)]
        return ", ".join(on) if on else "nothing switched on"


class Prompt(Node["Prompt.Config"]):
    """Write a prompt from a template.

    The template is Jinja2: {{ question }}, {{ text }}, {{ answer }} and {{ data }} stand for what
    is wired in; {% for chunk in chunks %} … {% endfor %} goes through the passages, each with
    number, content, document_name, page, place (“page 3”, “slide 3”), headings and score.
    """

    type, version, title, family, icon = "prompt", 1, "Prompt", "text", "edit_note"

    class Config(NodeConfig):
        """Settings of the prompt."""

        template: str = Field(
            DEFAULT_TEMPLATE,
            min_length=1,
            max_length=MAX_SOURCE,
            description="Jinja2 template. Variables: question, query, chunks, text, texts, "
            "answer, data.",
            json_schema_extra={"widget": "template"},
        )
        inputs: list[InputSpec] = Field(
            [],
            max_length=MAX_PORTS,
            title="Further inputs",
            description="Inputs with names of your own, of any type: {{ name }}.",
        )

        @field_validator("inputs")
        @classmethod
        def _distinct(cls, inputs: list[InputSpec]) -> list[InputSpec]:
            check_names((given.name for given in inputs), (*TAKEN, *_PROMPT_NAMES))
            return inputs

        @field_validator("template")
        @classmethod
        def _readable(cls, source: str) -> str:
            return checked_template(source)

    class Outputs(NodeOutputs):
        """The prompt."""

        prompt: Text = Field(description="The template with everything filled in.")

    async def run(
        self,
        ctx: NodeContext,
        query: Annotated[Query | None, "The question: {{ question }}."] = None,
        chunks: Annotated[Chunks | None, "Passages: {% for chunk in chunks %}."] = None,
        texts: Annotated[list[Text] | None, "Texts: {{ text }}, or {{ texts[1] }}."] = None,
        answer: Annotated[Answer | None, "An earlier answer: {{ answer }}."] = None,
        data: Annotated[Json | None, "Any data: {{ data.field }}."] = None,
        **more: PortValue | list[PortValue] | None,
    ) -> Outputs:
        """Fill in the template."""
        variables: dict[str, Any] = {
            spec.name: in_template(value)
            for spec in self.config.inputs
            if (value := more.get(spec.name)) is not None
        }
        variables["variables"] = dict(ctx.variables)
        if query is not None:
            variables |= {"question": query.original, "query": query.text}
        if chunks is not None:
            variables["chunks"] = Passages(chunks.items)
        if texts:
            variables |= {"text": texts[0].text, "texts": [t.text for t in texts]}
        if answer is not None:
            variables["answer"] = answer.text
        if data is not None:
            variables["data"] = data.data
        text = await asyncio.to_thread(render, self.config.template, variables)
        return self.Outputs(prompt=Text(text=text))

    @classmethod
    def inputs_for(cls, config: Mapping[str, Any]) -> dict[str, Port]:
        """The usual inputs, and those with names of their own."""
        return {**cls.input_ports(), **spec_ports(entries(config, "inputs"), "{{ name }}.")}

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        template = config.get("template", DEFAULT_TEMPLATE)
        names = [
            n
            for n in ("question", "chunks", "text", "answer", "data")
            if re.search(rf"\b{n}\b", template)
        ]
        return "from " + ", ".join(names) if names else "a fixed text"


def normalise(text: str) -> str:
    """Compose characters (NFKC), straighten quotes and dashes, drop control characters."""
    text = unicodedata.normalize("NFKC", text)
    text = text.translate(_STRAIGHT)
    text = "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf"))
    text = re.sub(r"\s+", " ", text).strip()
    return re.sub(r"([?!])\1{2,}", r"\1", text)


_STRAIGHT = str.maketrans(
    {"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "‐": "-", "‑": "-", "−": "-"}
)


def _language(text: str) -> str | None:
    from app.documents.language import detect_language

    return detect_language(text)
