"""What every field of a form is handed: its setting, its value, and what it may offer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nicegui import ui

from app.services.hints import Fields
from app.ui.schema import FieldSpec


@dataclass
class Choices:
    """What pickers offer: knowledge bases, models by kind, chunkers, branches, workflows."""

    knowledge_bases: dict[str, str] = field(default_factory=dict)
    #: kind ("llm", "rerank", "embed") -> name -> words
    models: dict[str, dict[str, str]] = field(default_factory=dict)
    chunkers: list[str] = field(default_factory=list)
    #: Check of chunks -> what can happen to what it finds ("flag", "drop", "repair").
    validators: dict[str, tuple[str, ...]] = field(default_factory=dict)
    #: The branches of a knowledge base, by its name or id.
    branches: Callable[[str], Awaitable[list[str]]] | None = None
    #: Keep an uploaded file; returns its reference for a node's settings.
    keep_file: Callable[[str, bytes], Awaitable[dict[str, Any]]] | None = None
    #: Branches and commits of a knowledge base: what to write -> words for it.
    refs: Callable[[str], Awaitable[dict[str, str]]] | None = None
    #: Fields of the documents of a knowledge base (name or id) at a ref.
    fields: Callable[[str, str], Awaitable[Fields]] | None = None
    #: Knowledge bases as they are by now.
    bases: Callable[[], Awaitable[dict[str, str]]] | None = None
    #: Stored workflows: id -> name.
    workflows: Callable[[], Awaitable[dict[str, str]]] | None = None
    #: A stored workflow, at its newest or the given revision.
    workflow: Callable[[str, int | None], Awaitable[WorkflowFacts]] | None = None
    #: Keep the workflow inside a node as one of its own; returns its id.
    keep_workflow: Callable[[Mapping[str, Any]], Awaitable[str]] | None = None


@dataclass(frozen=True)
class WorkflowFacts:
    """A stored workflow, as a node that runs it needs to know it."""

    workflow_id: str
    name: str
    revision: int
    newest: int
    #: {"inputs": [{"name", "type", "required"}], "outputs": [{"name", "type"}]}
    interface: dict[str, Any]


#: Names an expression or a template may use -> a value to show and to try them with.
Names = Mapping[str, Any]


@dataclass
class FormContext:
    """What the fields of one form share."""

    choices: Choices
    #: The settings as they are by now.
    values: Callable[[], Mapping[str, Any]]
    #: Names for settings that are computed, for templates, and for settings that are expressions.
    names: Callable[[], Names] = dict
    template_names: Callable[[], Names] = dict
    code_names: Callable[[], Names] = dict
    read_only: bool = False
    #: Lead to a stored workflow.
    open_workflow: Callable[[str], Any] | None = None
    #: Put the nodes inside this one on the canvas in its place.
    expand: Callable[[], Any] | None = None
    #: Called with the name of a setting after it has changed.
    listeners: list[Callable[[str], Any]] = field(default_factory=list)

    def on_setting(self, listener: Callable[[str], Any]) -> None:
        """Call `listener(name)` whenever a setting has changed."""
        self.listeners.append(listener)


@dataclass
class Slot:
    """The place of one field: what it is, what it holds, and where a change goes."""

    spec: FieldSpec
    value: Any
    put: Callable[[Any], None]
    form: FormContext

    def named(self, element: ui.element) -> ui.element:
        """Give an element the field's name for screen readers."""
        element.props["aria-label"] = self.spec.title
        return element


Builder = Callable[[Slot], ui.element]


def default_words(spec: FieldSpec) -> str | None:
    """The default, as a hint in an empty field."""
    return f"{spec.default}" if spec.default not in (None, "") else None
