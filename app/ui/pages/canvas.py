"""The canvas page: palette, canvas, inspector, drawer and run bar around one workflow."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from nicegui import ui

from app.engine.describe import node_types
from app.engine.graph import Graph
from app.services.container import Services
from app.services.views import ExecutionView, WorkflowView
from app.ui import parts
from app.ui.canvas.editor import GraphEditor
from app.ui.canvas.flow import FlowCanvas
from app.ui.canvas.saving import Autosave
from app.ui.frame import Crumb, Frame, frame
from app.ui.pages import palette
from app.ui.pages.common import missing, run_badge, workflow_choices
from app.ui.pages.drawer import Drawer
from app.ui.pages.inspector import Actions, Inspector
from app.ui.pages.pickers import keep_file, picker_choices
from app.ui.pages.runbar import RunBar
from app.ui.pages.sessions import Sessions
from app.ui.pages.workbench import Workbench
from app.ui.pages.workflow_menu import WorkflowMenu


def register(get_services: Callable[[], Services], sessions: Sessions) -> None:
    """Add the page."""

    @ui.page("/workflows/{workflow_id}", response_timeout=30)
    async def canvas_page(workflow_id: str, run: str = "") -> None:
        services = get_services()
        try:
            past = await services.runs.get(run) if run else None
            workflow = await _workflow(services, workflow_id, past)
        except Exception as error:
            if parts.code_of(error) != "not_found":
                raise
            missing(services, "Workflows", error)
            return
        crumb = Crumb(workflow.name, choices=lambda: workflow_choices(services))
        with frame(services, "Workflows", [crumb], full=True) as bar:
            if past is not None:
                editor = GraphEditor(Graph.parse(past.graph), services.registry)
                await _build(services, sessions, bar, workflow, editor, None, past)
            else:
                autosave = await sessions.open(workflow)
                await _build(services, sessions, bar, workflow, autosave.editor, autosave, None)


async def _workflow(
    services: Services, workflow_id: str, past: ExecutionView | None
) -> WorkflowView:
    """The workflow; of a past run whose workflow is gone, what the run knows of it."""
    try:
        return await services.workflows.get(workflow_id)
    except Exception as error:
        if past is None or parts.code_of(error) != "not_found":
            raise
        return WorkflowView(
            workflow_id=workflow_id, name=past.workflow_name or "Deleted workflow", revision=0,
            created_at=past.started_at, updated_at=past.started_at,
        )  # fmt: skip


async def _build(
    services: Services,
    sessions: Sessions,
    bar: Frame,
    workflow: WorkflowView,
    editor: GraphEditor,
    autosave: Autosave | None,
    past: ExecutionView | None,
) -> None:
    read_only = past is not None
    choices = await picker_choices(services)
    bench = Workbench(services, workflow, editor, autosave)
    with parts.div("rl-work") as bench.root:
        with parts.div("rl-work-left"):
            with parts.div("rl-work-top"):
                if not read_only:
                    with ui.element("aside").classes("rl-palette").props('aria-label="Nodes"'):
                        palette.build(
                            node_types(services.registry),
                            bench.add_node,
                        )
                        ui.element("div").props("data-rl-grip=palette")
                with parts.div("rl-stage" + (" rl-past" if read_only else "")):
                    bench.canvas = FlowCanvas(
                        editor,
                        read_only=read_only,
                        on_selection=bench.selecting.selected,
                        on_node_action=bench.node_action,
                        on_command=bench.command,
                        on_change=bench.changed,
                    ).classes("rl-stage-canvas")
                    _stage_tools(read_only)
                    if past is not None:
                        _banner(past)
                    bench.bar = RunBar(
                        bench.running.run,
                        bench.running.stop,
                        bench.show_node,
                        bench.running.open_output,
                        partial(keep_file, services),
                    )
            with ui.element("section").classes("rl-drawer").props('aria-label="Run and problems"'):
                ui.element("div").props("data-rl-grip=drawer")
                bench.drawer = Drawer(bench.show_node, bench.running.history)
        with ui.element("aside").classes("rl-inspector").props('aria-label="Inspector"'):
            ui.element("div").props("data-rl-grip=inspector")
            bench.inspector = Inspector(
                services.registry,
                Actions(
                    bench.selecting.set_config,
                    bench.selecting.rename,
                    bench.running.run_to,
                    bench.selecting.set_policy,
                ),
                choices,
                bench.selecting.overview,
            )
    menu = WorkflowMenu(services, sessions, workflow, editor, autosave)
    menu.build(bar, read_only=read_only)
    await bench.open(past)


def _stage_tools(read_only: bool) -> None:
    with parts.div("rl-stage-tools rl-at-left"):
        if not read_only:
            _opener("add", "Nodes", "palette")
    with parts.div("rl-stage-tools rl-at-right"):
        _opener("tune", "Inspector", "inspector")


def _opener(icon: str, tip: str, panel: str) -> None:
    button = parts.icon_button(icon, f"{tip}: open the panel").classes(f"rl-opens-{panel}")
    button.on("click", js_handler=f"() => ragloom.panel('{panel}', 'open')")


def _banner(past: ExecutionView) -> None:
    with parts.div("rl-stage-banner"):
        run_badge(past.status)
        parts.label("A past run", "rl-strong rl-wide-only")
        parts.moment(past.started_at)
        parts.quiet(
            "Back to the current version",
            lambda: ui.navigate.to(f"/workflows/{past.workflow_id}"),
        )
