"""One graph from what a file of another system holds, and a report on what became of it."""

from __future__ import annotations

from pydantic import BaseModel, Field

from app.engine.graph import Graph
from app.engine.registry import Registry
from app.services.importers.builder import Builder
from app.services.importers.placeholders import said
from app.services.importers.source import Source

MAX_REMARKS = 40


class ImportReport(BaseModel):
    """What became of a workflow of another system."""

    format: str = Field(description="ragloom, seed, ragflow, dify, langflow or flowise.")
    mapped: int = Field(description="Nodes that became nodes, or settings of nodes, of this kind.")
    placeholders: int = Field(description="Nodes that have no equal here and keep their data.")
    edges_in: int = Field(description="Wires in the file.")
    edges_out: int = Field(description="Wires in the workflow.")
    notes: list[str] = Field(description="What changed and what is left to do, in sentences.")


def build(source: Source, registry: Registry) -> tuple[Graph, ImportReport]:
    """The graph of a workflow, and the report on what became of it."""
    builder = Builder(source, registry)
    for remark in source.remarks:
        builder.remark(remark)
    builder.build()
    graph = builder.graph
    if source.variables:
        graph.extra["variables"] = {
            name: builder.redactor.data(value) for name, value in source.variables.items()
        }
    notes = list(builder.remarks)
    for remark in builder.draft.remarks:
        if remark not in notes:
            notes.append(remark)
    notes += _sums(builder)
    if len(notes) > MAX_REMARKS:
        notes = [*notes[:MAX_REMARKS], f"… and {len(notes) - MAX_REMARKS} more remarks."]
    report = ImportReport(
        format=source.format,
        mapped=builder.mapped,
        placeholders=len(builder.placeholders),
        edges_in=source.wires,
        edges_out=builder.edges_out(),
        notes=notes,
    )
    graph.extra["imported_from"] = {"format": source.format, "notes": notes}
    return graph, report


def _sums(builder: Builder) -> list[str]:
    notes = []
    parts = sum(step.role == "part" for step in builder.source.steps.values())
    if parts:
        one = parts == 1
        notes.append(
            f"{parts} {'node was a setting' if one else 'nodes were settings'} of another, such as "
            f"a model or a memory; {'it and its wires are' if one else 'they and their wires are'} "
            "part of that node now."
        )
    if builder.placeholders:
        notes.append(said(builder.placeholders))
    if builder.unspoken:
        one = builder.unspoken == 1
        notes.append(
            f"{builder.unspoken} {'wire' if one else 'wires'} only said what runs first. A node "
            f"runs here as soon as its inputs are there, so {'it was' if one else 'they were'} "
            "left out."
        )
    if builder.redactor.removed:
        one = builder.redactor.removed == 1
        notes.append(
            f"{builder.redactor.removed} {'key or password was' if one else 'keys or passwords were'}"
            " not imported. Secrets are kept outside workflows."
        )
    return notes
