"""Many inputs through one workflow: a table in, a table out."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from nicegui import ui

from app.engine.graph import Graph
from app.services.container import Services
from app.services.runs.batches import BatchView
from app.services.views import WorkflowView
from app.ui import parts, text
from app.ui.expecting import Expecting
from app.ui.frame import Crumb, frame
from app.ui.pages.batch.inputs import InputsForm
from app.ui.pages.batch.results import STATUSES, Results
from app.ui.pages.canvas.pickers import run_inputs
from app.ui.pages.common import missing, workflow_choices


def address(workflow_id: str, batch_id: str = "") -> str:
    """Where the batches of a workflow are, or one of them."""
    path = f"/workflows/{quote(workflow_id)}/batch"
    return f"{path}?batch={quote(batch_id)}" if batch_id else path


def register(get_services: Callable[[], Services]) -> None:
    """Add the page."""

    @ui.page("/workflows/{workflow_id}/batch", response_timeout=30)
    async def batch_page(workflow_id: str, batch: str = "") -> None:
        services = get_services()
        with Expecting("not_found") as met:
            workflow = await services.workflows.get(workflow_id)
            shown = await services.batches.get(batch, limit=0) if batch else None
        if met.error:
            missing(services, "Workflows", met.error)
            return
        crumbs = [
            Crumb(
                workflow.name,
                f"/workflows/{workflow_id}",
                choices=lambda: workflow_choices(services),
            ),
            Crumb("Many inputs", address(workflow_id)),
        ]
        with frame(services, "Workflows", crumbs):
            await _build(services, workflow, shown)


async def _build(services: Services, workflow: WorkflowView, shown: BatchView | None) -> None:
    inputs = [one for one in run_inputs(Graph.parse(workflow.graph)) if one.kind == "text"]
    with parts.div("rl-row rl-wrap"):
        with parts.div("rl-col rl-grow").style("gap: 0"):
            parts.tag("h1", "Many inputs", "rl-huge")
            parts.label(
                "Each row is one run of the workflow as it is saved now. Results stay here.",
                "rl-muted",
            )
        parts.quiet(
            "Open the workflow",
            lambda: ui.navigate.to(f"/workflows/{workflow.workflow_id}"),
            icon="account_tree",
        )

    async def begin(rows: list[dict[str, object]], concurrency: int) -> None:
        batch = await services.batches.start(workflow.workflow_id, rows, concurrency=concurrency)
        ui.navigate.to(address(workflow.workflow_id, batch.batch_id))

    if shown is not None:
        Results(services, shown).build()
        parts.quiet(
            "New table", lambda: ui.navigate.to(address(workflow.workflow_id)), icon="add"
        ).style("align-self: flex-start")
    elif inputs:
        InputsForm(inputs, begin).build()
    else:
        with parts.empty(
            "input",
            "This workflow asks for nothing",
            "A batch fills in the inputs of a workflow. Add a Question or a Text input node to it.",
        ):
            parts.primary(
                "Open the workflow",
                lambda: ui.navigate.to(f"/workflows/{workflow.workflow_id}"),
            )
    await _earlier(services, workflow, shown)


async def _earlier(services: Services, workflow: WorkflowView, shown: BatchView | None) -> None:
    page = await services.batches.list(workflow.workflow_id, limit=20)
    others = [b for b in page.items if shown is None or b.batch_id != shown.batch_id]
    if not others:
        return
    parts.label("Earlier batches", "rl-strong")
    with parts.div("rl-list"):
        for batch in others:
            href = address(workflow.workflow_id, batch.batch_id)
            with parts.link(href, "rl-list-row rl-batch-list"):
                tone, icon, word = STATUSES[batch.status]
                with parts.div():
                    parts.badge(word, tone, icon)
                parts.label(text.count(batch.total, "row"), "rl-ellipsis")
                failed = batch.counts.get("failed", 0)
                parts.label(f"{failed} failed" if failed else "", "rl-danger rl-small")
                with parts.div("rl-num"):
                    parts.moment(batch.created_at)
