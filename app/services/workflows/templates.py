"""Workflows to begin with: files that come with the product, copied for whoever uses one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import Any

from app.engine.graph import copy_json
from app.engine.problems import RagloomError

#: The one that answers questions from a knowledge base: what a first visitor gets.
FIRST = "cited-answers"
#: Key of the file's “graph” object that says what only templates have.
KEY = "template"
#: Nodes that read or fill a knowledge base.
_SETTING = "knowledge_base"


@dataclass(frozen=True, slots=True)
class Slot:
    """A knowledge base that a template asks for, and the nodes that get it."""

    label: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """A workflow to begin with."""

    id: str
    name: str
    description: str
    tags: tuple[str, ...]
    #: What it needs besides documents (a web service, a language model); empty for nothing.
    needs: str
    #: Whether its run asks for files.
    files: bool
    slots: tuple[Slot, ...]
    #: `input_data` to try it with.
    sample: Mapping[str, Any]
    graph: Mapping[str, Any] = field(repr=False)

    @property
    def steps(self) -> int:
        """How many nodes it has."""
        return len(self.graph["nodes"])

    def about(self) -> str:
        """What its sticky note says, without the title."""
        notes = self.graph["graph"].get("notes") or [{"text": ""}]
        return str(notes[0]["text"]).partition("\n\n")[2]

    def matches(self, text: str, tag: str = "") -> bool:
        """Whether every word of `text` is found in it, and it has the tag."""
        said = " ".join((self.name, self.description, *self.tags)).casefold()
        return (not tag or tag in self.tags) and all(w in said for w in text.casefold().split())


@lru_cache(maxsize=1)
def templates() -> tuple[Template, ...]:
    """All templates, the one to begin with first. Reads the files once."""
    folder = resources.files("app") / "templates"
    found = [
        _read(file.name.removesuffix(".json"), json.loads(file.read_text("utf-8")))
        for file in folder.iterdir()
        if file.name.endswith(".json")
    ]
    found.sort(key=lambda pair: pair[0])
    return tuple(template for _, template in found)


def get(template_id: str) -> Template:
    """A template by its id. Raises RagloomError “not_found”."""
    for template in templates():
        if template.id == template_id:
            return template
    raise RagloomError(
        f"There is no template “{template_id[:60]}”.",
        code="not_found",
        fix="Choose one from the gallery.",
    )


def tags(least: int = 1) -> list[str]:
    """Every tag that at least so many templates have, the most frequent first."""
    count: dict[str, int] = {}
    for template in templates():
        for tag in template.tags:
            count[tag] = count.get(tag, 0) + 1
    return sorted((t for t in count if count[t] >= least), key=lambda tag: (-count[tag], tag))


def copy_of(
    template: Template,
    knowledge_bases: Sequence[str] = (),
    name: str = "",
    *,
    sample: bool = True,
) -> dict[str, Any]:
    """A workflow file made from a template, bound to the knowledge base named for each slot.

    With fewer knowledge bases than slots the last one serves the rest. Without `sample` the
    question is left open: the template's own belongs to the demonstration's documents.
    """
    graph: dict[str, Any] = copy_json(dict(template.graph))
    if not sample:
        for node in graph["nodes"]:
            if node["type"] == "question":
                node["config"].pop("default", None)
    head = graph["graph"]
    head.pop(KEY, None)
    if name:
        head["name"] = name
    nodes = {node["id"]: node for node in graph["nodes"]}
    for number, slot in enumerate(template.slots):
        if not knowledge_bases:
            break
        chosen = knowledge_bases[min(number, len(knowledge_bases) - 1)]
        for node_id in slot.nodes:
            _bind(nodes[node_id], chosen)
    return graph


def _bind(node: dict[str, Any], knowledge_base: str) -> None:
    inner = (node["config"].get("body") or {}).get("graph")
    if inner is None:
        node["config"][_SETTING] = knowledge_base
        return
    for held in inner["nodes"]:
        if held["type"] in ("retrieve", "index", "preprocess"):
            _bind(held, knowledge_base)


def _read(template_id: str, graph: dict[str, Any]) -> tuple[int, Template]:
    head = graph["graph"]
    meta = head[KEY]
    template = Template(
        id=template_id,
        name=head["name"],
        description=head["description"],
        tags=tuple(meta["tags"]),
        needs=meta.get("needs", ""),
        files=bool(meta.get("files")),
        slots=tuple(
            Slot(slot["label"], tuple(slot["nodes"])) for slot in meta.get("knowledge_bases", ())
        ),
        sample=meta["sample"],
        graph=graph,
    )
    return int(meta["order"]), template
