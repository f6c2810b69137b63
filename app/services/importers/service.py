"""Importing a workflow: read, built, kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from app.services.importers.build import ImportReport
from app.services.importers.read import import_file
from app.services.threads import call

if TYPE_CHECKING:
    from app.services.container import Services


class Imported(BaseModel):
    """A workflow that was imported, and what became of its nodes and wires."""

    workflow_id: str = Field(description="Id of the new workflow.")
    name: str = Field("", description="Its name.")
    report: ImportReport


async def import_workflow(
    services: Services, data: bytes | str, author: str = "", called: str = ""
) -> Imported:
    """Keep the workflow of a file of any known system; `called` names one that has no name.

    Raises InvalidWorkflow, with a sentence, for what cannot be read.
    """
    limit = services.settings.max_workflow_mb * 1024 * 1024
    graph, report = await call(
        lambda: import_file(data, services.registry, max_bytes=limit, called=called)
    )
    view = await services.workflows.create(graph.dump(), author=author)
    return Imported(workflow_id=view.workflow_id, name=view.name, report=report)
