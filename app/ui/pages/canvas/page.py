"""The canvas page: palette, canvas, inspector, drawer and run bar around one workflow."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from nicegui import ui

from app.engine.describe import node_types
from app.engine.graph import Graph
from app.services.container import Services
from app.services.views import ExecutionView, WorkflowView
from app.ui import live, parts
from app.ui.canvas.editor import GraphEditor
from app.ui.canvas.flow import FlowCanvas, MenuEntry
from app.ui.canvas.saving import Autosave
from app.ui.expecting import Expecting
from app.ui.frame import Crumb, Frame, frame
from app.ui.pages.canvas import palette
from app.ui.pages.canvas.drawer import Drawer, DrawerActions
from app.ui.pages.canvas.inspector import Inspector
from app.ui.pages.canvas.offers import actions_of, extend
from app.ui.pages.canvas.pickers import keep_file, picker_choices
from app.ui.pages.canvas.runbar import BarActions, RunBar, Way
from app.ui.pages.canvas.sessions import Sessions
from app.ui.pages.canvas.workbench import Workbench
from app.ui.pages.canvas.workflow_menu import WorkflowMenu
from app.ui.pages.common import missing, run_badge, workflow_choices

_LIVE = ("running", "waiting")
#: What the menu of a node offers besides the canvas' own.
NODE_MENU = (
    MenuEntry("run_from", "Run from here", "start", edits=False),
    MenuEntry("run_alone", "Run this node alone…", "science"),
    MenuEntry("edit_output", "Edit and pin the output…", "edit_note"),
    MenuEntry("download", "Download the output", "file_download", edits=False),
    MenuEntry("download_csv", "Download its rows as CSV", "table_rows", edits=False),
)


def register(get_services: Callable[[], Services], sessions: Sessions) -> None:
    """Add the page."""

    @ui.page("/workflows/{workflow_id}", response_timeout=30)
    async def canvas_page(workflow_id: str, run: str = "", pin: str = "") -> None:
        services = get_services()
        with Expecting("not_found") as met:
            past = await services.runs.get(run) if run else None
            pinned = await services.runs.get(pin) if pin and not run else None
            workflow = await _workflow(services, workflow_id, past)
        if met.error:
            missing(services, "Workflows", met.error)
            return
        crumb = Crumb(workflow.name, choices=lambda: workflow_choices(services))
        with frame(services, "Workflows", [crumb], full=True) as bar:
            if past is not None:
                editor = GraphEditor(Graph.parse(past.graph), services.registry)
                await _build(services, sessions, bar, workflow, editor, None, past)
            else:
                autosave = await sessions.open(workflow)
                bench = await _build(
                    services, sessions, bar, workflow, autosave.editor, autosave, None, pinned
                )
                if pinned is not None:
                    await bench.data.pin_run(pinned)
                    # Loaded again, the page must not pin again what was unpinned meanwhile.
                    ui.run_javascript("history.replaceState(null, '', location.pathname)")


async def _workflow(
    services: Services, workflow_id: str, past: ExecutionView | None
) -> WorkflowView:
    """The workflow; of a past run whose workflow is gone, what the run knows of it."""
    if past is None:
        return await services.workflows.get(workflow_id)
    with Expecting("not_found"):
        return await services.workflows.get(workflow_id)
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
    shown: ExecutionView | None = None,
) -> Workbench:
    """Fill the page with a `past` run to look at, or with the workflow, `shown` as that run had it."""
    read_only = past is not None
    choices = extend(await picker_choices(services), services)
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
                        stale=bench.find_stale,
                        menu=NODE_MENU,
                    ).classes("rl-stage-canvas")
                    _stage_tools(read_only)
                    if past is not None:
                        _banner(past, bench)
                    bench.bar = RunBar(_bar_actions(services, bench))
            with ui.element("section").classes("rl-drawer").props('aria-label="Run and problems"'):
                ui.element("div").props("data-rl-grip=drawer")
                bench.drawer = Drawer(
                    DrawerActions(
                        bench.show_node,
                        bench.inspect,
                        bench.running.history,
                        bench.running.resume,
                    )
                )
        with ui.element("aside").classes("rl-inspector").props('aria-label="Inspector"'):
            ui.element("div").props("data-rl-grip=inspector")
            bench.inspector = Inspector(
                services.registry,
                actions_of(bench),
                choices,
                bench.selecting.draw,
            )
    menu = WorkflowMenu(services, sessions, workflow, editor, autosave)
    menu.build(bar, read_only=read_only)
    if bar.finder is not None:
        bar.finder.here = bench.found
    await bench.open(past or shown)
    return bench


def _bar_actions(services: Services, bench: Workbench) -> BarActions:
    running = bench.running
    batch = f"/workflows/{bench.workflow.workflow_id}/batch"
    return BarActions(
        run=running.whole,
        stop=running.stop,
        step=running.step,
        go_on=running.go_on,
        leave=running.leave,
        select=bench.show_node,
        details=running.open_output,
        run_from=running.run_from,
        resume=running.resume,
        decide=running.decide,
        keep_file=partial(keep_file, services),
        ways=(
            Way("Try on a document…", "preview", bench.trying.ask, "Every step is shown, nothing is written", bench.trying.possible),
            Way("Run the selection", "select_all", running.selection,
                "The selected nodes; the rest from the run that is shown", lambda: bool(bench.chosen)),
            Way("Run step by step", "skip_next", running.steps, "One node at each press, nothing reused"),
            Way("Run in the background", "move_to_inbox", running.background, "Goes on without this page"),
            Way("Run without reusing", "refresh", running.fresh, "Every node works anew"),
            Way("Run many inputs", "table_rows", lambda: ui.navigate.to(batch), "A table in, a table out"),
            Way("Unpin every node", "push_pin", bench.data.unpin_all, "All of them run again", bench.has_pins),
        ),
    )  # fmt: skip


def _stage_tools(read_only: bool) -> None:
    with parts.div("rl-stage-tools rl-at-left"):
        if not read_only:
            _opener("add", "Nodes", "palette")
    with parts.div("rl-stage-tools rl-at-right"):
        _opener("tune", "Inspector", "inspector")


def _opener(icon: str, tip: str, panel: str) -> None:
    button = parts.icon_button(icon, f"{tip}: open the panel").classes(f"rl-opens-{panel}")
    button.on("click", js_handler=f"() => ragloom.panel('{panel}', 'open')")


def _banner(past: ExecutionView, bench: Workbench) -> None:
    room = parts.div("rl-stage-banner")

    def draw(run: ExecutionView) -> None:
        room.clear()
        with room:
            _banner_words(run, bench)

    async def follow() -> None:
        async for event in bench.services.runs.watch(past.execution_id):
            if event.kind in ("node_waiting", "node_finished", "run_finished"):
                now = await bench.services.runs.get(past.execution_id)
                if now.status != shown[-1]:
                    shown.append(now.status)
                    draw(now)

    draw(past)
    shown: list[str] = [past.status]
    if past.status in _LIVE:
        live.follow(follow, f"banner of {past.execution_id}")


def _banner_words(run: ExecutionView, bench: Workbench) -> None:
    home = f"/workflows/{run.workflow_id}"
    run_badge(run.status)
    words = "A run under way" if run.status in _LIVE else "A past run"
    parts.label(words, "rl-strong rl-wide-only")
    parts.moment(run.started_at)
    if bench.workflow.revision and run.status not in _LIVE:
        parts.quiet("Run again", bench.running.rerun, icon="replay").mark("rerun")
        parts.quiet(
            "Edit with its data",
            lambda: ui.navigate.to(f"{home}?pin={run.execution_id}"),
            icon="push_pin",
        ).mark("pin-run")
    parts.quiet("Current version", lambda: ui.navigate.to(home), icon="arrow_back")
