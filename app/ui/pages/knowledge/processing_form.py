"""The form of how documents are processed: reading, cutting, checking, embedding."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from nicegui import ui
from pydantic import BaseModel

from app.engine.problems import RagloomError
from app.services.container import Services
from app.services.ingestion.processing import KnowledgeConfig, Processing, read_processing
from app.ui import parts, text
from app.ui.expecting import Expecting
from app.ui.forms import Choices, SchemaForm
from app.ui.pages.canvas.pickers import picker_choices

#: Section -> settings; of a section that only counts for some ways to cut, these ways.
_SECTIONS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("Reading", ("extraction_strategy", "ocr", "split_languages", "languages"), ()),
    ("Cutting", ("chunking_strategy", "chunk_size", "chunk_overlap", "heading_context",
                 "preserve_code_blocks"), ()),
    ("", ("parent_size",), ("parent_child", "page")),
    ("", ("breakpoint_percentile", "breakpoint_model"), ("semantic",)),
    ("Quality", ("quality_control", "min_chunk_length", "max_chunk_length"), ()),
    ("Embedding", ("embedding_model", "language_models", "embedding_batch_size"), ()),
)  # fmt: skip
#: What people call the settings.
TITLES = {
    "extraction_strategy": "How closely PDF files are read",
    "ocr": "Text recognition",
    "split_languages": "Tell languages apart within a document",
    "languages": "Languages expected",
    "chunking_strategy": "Where to cut",
    "chunk_size": "Size of a chunk, in tokens",
    "chunk_overlap": "Overlap, in tokens",
    "heading_context": "Embed headings with each chunk",
    "preserve_code_blocks": "Keep code blocks whole",
    "parent_size": "Size of a parent or page, in tokens",
    "breakpoint_percentile": "Percentile of a change of topic",
    "breakpoint_model": "Model that compares sentences",
    "quality_control": "Check chunks before they are indexed",
    "min_chunk_length": "Shortest chunk, in characters",
    "max_chunk_length": "Longest chunk, in characters",
    "embedding_model": "Embedding model",
    "language_models": "Embedding models of languages",
    "embedding_batch_size": "Texts sent to a provider at once",
    "validators": "Checks",
}
_WIDGETS = {
    "chunking_strategy": "chunker",
    "embedding_model": "embedding_model",
    "breakpoint_model": "embedding_model",
    "language_models": "mapping",
}
_OFF = "off"
#: What is done with what a check finds.
ACTIONS = {_OFF: "Off", "flag": "Flag", "drop": "Leave out", "repair": "Repair"}
_NAMED = re.compile(
    r"(?:\b\w*config\.)?\b(" + "|".join(sorted(TITLES, key=len, reverse=True)) + r")\b"
)


def in_words(said: str) -> str:
    """A sentence with settings and choices named as the form names them."""
    said = re.sub(r"^(parent_child|page|semantic|min_length|max_length): (.)", _counts_for, said)
    said = re.sub(r"“([a-z]+(?:_[a-z]+)*)”", lambda m: f"“{text.words(m[1])}”", said)
    return _NAMED.sub(lambda m: f"“{TITLES[m[1]]}”" if "_" in m[1] else m[0], said)


def _counts_for(match: re.Match[str]) -> str:
    return match[2].upper()


def told(error: object) -> None:
    """Say in place what is wrong with the settings."""
    title, fix = parts.error_words(error)
    with parts.notice("danger", in_words(title), in_words(fix)):
        pass


class ProcessingForm:
    """Fields for the settings of `model`; `values` holds them as they are by now."""

    def __init__(
        self,
        values: Mapping[str, Any],
        choices: Choices,
        *,
        model: type[BaseModel] = Processing,
        without: Sequence[str] = (),
    ) -> None:
        known = model.model_fields.keys() - set(without)
        self.values = {key: value for key, value in values.items() if key in known}
        self._choices = choices
        self._special: list[tuple[ui.element, tuple[str, ...]]] = []
        schema = model.model_json_schema()
        sections = [
            (title, shown, ways)
            for title, names, ways in _SECTIONS
            if (shown := [name for name in names if name in known])
        ]
        for title, shown, ways in sections:
            if title and len(sections) > 1:
                parts.tag("h2", title, "rl-strong rl-form-part")
            with parts.div() as room:
                self._section(schema, shown)
                if title == "Quality" and "validators" in known:
                    self._validators()
            if ways:
                self._special.append((room, ways))
        self._fit()

    def _section(self, schema: Mapping[str, Any], names: Sequence[str]) -> None:
        properties = {name: dict(schema["properties"][name]) for name in names}
        for name, part in properties.items():
            part["title"] = TITLES.get(name, text.words(name))
            part["description"] = in_words(part.get("description", ""))
            if name in _WIDGETS:
                part["widget"] = _WIDGETS[name]
        wanted = {"$defs": schema.get("$defs", {}), "properties": properties}
        mine = {name: self.values[name] for name in names if name in self.values}

        def changed(values: dict[str, Any]) -> None:
            for name in names:
                self.values.pop(name, None)
            self.values.update(values)
            self._fit()

        SchemaForm(wanted, mine, changed, choices=self._choices)

    def _fit(self) -> None:
        """Show what counts for the way to cut that is chosen."""
        way = self.values.get("chunking_strategy", "recursive")
        for room, ways in self._special:
            room.classes(remove="rl-hidden") if way in ways else room.classes(add="rl-hidden")

    def _validators(self) -> None:
        from app.documents.quality import DEFAULT_ACTIONS, repairable, validator_names

        chosen = dict(self.values.get("validators") or DEFAULT_ACTIONS)
        mendable = set(repairable())

        def put(name: str, action: str) -> None:
            chosen.pop(name, None)
            if action != _OFF:
                chosen[name] = action
            self.values["validators"] = dict(chosen)

        parts.label("Checks, and what is done with what they find", "rl-field-title")
        with parts.div("rl-checks"):
            for name in validator_names():
                offered = dict(ACTIONS)
                if name not in mendable:
                    del offered["repair"]
                parts.label(text.words(name))
                select = ui.select(
                    offered, value=chosen.get(name, _OFF),
                    on_change=lambda e, name=name: put(name, e.value),
                )  # fmt: skip
                select.props["aria-label"] = text.words(name)


async def ask_processing(
    services: Services, kb: str, used: Mapping[str, Any], title: str
) -> dict[str, Any] | None:
    """Ask how to process documents again, beginning with the settings they were made with."""
    choices = await picker_choices(services)
    base = (await services.knowledge.get(kb)).config
    known = Processing.model_fields
    values = {key: value for key, value in {**base, **used}.items() if key in known}
    with parts.dialog(title, wide=True) as box:
        parts.label(
            "What you corrected is kept where the text is still the same; the rest is listed on "
            "the document’s page.", "rl-muted",
        )  # fmt: skip
        with parts.div("rl-dialog-scroll"):
            form = ProcessingForm(values, choices)
        wrong = parts.div()

        def go() -> None:
            wrong.clear()
            try:
                read_processing(form.values, KnowledgeConfig(**base).processing())
            except RagloomError as error:
                with wrong:
                    told(error)
                return
            box.submit(form.values)

        with parts.div("rl-dialog-actions"):
            parts.bare("Cancel", lambda: box.submit(None))
            parts.primary("Process again", go).mark("process-again")
    answer = await parts.ask(box)
    return answer if isinstance(answer, dict) else None


async def said_in_place(room: ui.element, do: Callable[[], Awaitable[Any]]) -> bool:
    """Do something; what is wrong with it is said in place."""
    room.clear()
    with Expecting() as met:
        await do()
    if met.error:
        with room:
            told(met.error)
        return False
    return True
