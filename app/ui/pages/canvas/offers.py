"""What exists for the fields of the inspector, and what the inspector asks the page to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nicegui import ui

from app.engine.body import interface_of
from app.engine.graph import Graph
from app.services.container import Services
from app.services.hints import Fields, HintService
from app.ui.canvas.ops import SetDisabled
from app.ui.expecting import Expecting
from app.ui.forms import Choices, WorkflowFacts
from app.ui.pages.canvas.inspector_facts import Actions
from app.ui.person import person_name

if TYPE_CHECKING:
    from app.ui.pages.canvas.workbench import Workbench

#: Knowledge bases and workflows that a list offers.
_MOST = 200


def extend(choices: Choices, services: Services) -> Choices:
    """Add what is read when a field asks for it: refs, filter fields, workflows."""
    hints = HintService(services.repository)

    async def refs(kb: str) -> dict[str, str]:
        with Expecting("not_found"):
            return await hints.refs(kb)
        return {"main": "main"}

    async def fields(kb: str, ref: str) -> Fields:
        return await hints.fields(kb, ref)

    async def bases() -> dict[str, str]:
        page = await services.knowledge.list(limit=_MOST, offset=0)
        return {kb.name: kb.name for kb in page.items}

    async def workflows() -> dict[str, str]:
        page = await services.workflows.list(limit=_MOST, offset=0)
        return {w.workflow_id: w.name for w in page.items}

    async def workflow(workflow_id: str, revision: int | None) -> WorkflowFacts:
        newest = await services.workflows.get(workflow_id)
        view = newest
        if revision is not None and revision != newest.revision:
            view = await services.workflows.get(workflow_id, revision)
        interface = interface_of(Graph.parse(view.graph or {}), services.registry)
        return WorkflowFacts(
            workflow_id=workflow_id,
            name=newest.name,
            revision=view.revision,
            newest=newest.revision,
            interface=interface.model_dump(mode="json"),
        )

    async def keep_workflow(graph: Mapping[str, Any]) -> str:
        made = await services.workflows.create(graph, author=await person_name())
        return made.workflow_id

    choices.refs, choices.fields, choices.bases = refs, fields, bases
    choices.workflows, choices.workflow = workflows, workflow
    choices.keep_workflow = keep_workflow
    return choices


def actions_of(bench: Workbench) -> Actions:
    """What the inspector of a canvas page can do."""

    def set_disabled(node: str, disabled: bool) -> Any:
        bench.apply(SetDisabled(nodes=[node], disabled=disabled))

    return Actions(
        set_config=bench.selecting.set_config,
        rename=bench.selecting.rename,
        run_to=bench.running.run_to,
        set_policy=bench.selecting.set_policy,
        set_disabled=set_disabled,
        toggle_pinned=bench.data.toggle_pinned,
        edit_outputs=bench.data.edit_outputs,
        show_node=bench.show_node,
        expand=lambda: bench.canvas.perform("expand"),
        open_workflow=lambda workflow: ui.navigate.to(f"/workflows/{workflow}", new_tab=True),
    )
