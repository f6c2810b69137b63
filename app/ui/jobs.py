"""Files on their way into knowledge bases, shown in the top bar of every page."""

from __future__ import annotations

from nicegui import ui

from app.services.container import Services
from app.services.views import TaskView
from app.ui import live, parts

STAGES = ("extract", "chunk", "quality", "embed", "index")


def fraction(task: TaskView) -> float:
    """How far a file is over all stages, 0..1."""
    if task.status not in ("queued", "running"):
        return 1.0
    if task.status == "queued":
        return 0.0
    step = next((i for i, s in enumerate(STAGES) if task.stage.startswith(s)), 0)
    inside = task.done / task.total if task.total else 0.0
    return min(1.0, (step + min(1.0, inside)) / len(STAGES))


def words(task: TaskView) -> str:
    """Where a file is: “waiting”, “embed 12 of 80”, “done”."""
    if task.status == "queued":
        return "waiting"
    if task.status == "running":
        count = f" {task.done} of {task.total}" if task.total else ""
        return f"{task.stage or 'starting'}{count}"
    return {"success": "done", "error": "failed", "cancelled": "cancelled"}[task.status]


def build(services: Services) -> None:
    """Add the button; it is there only while something is on its way."""
    tasks: dict[str, TaskView] = {}
    with ui.button(color=None).classes("rl-quiet rl-hidden").mark("jobs") as button:
        ui.spinner(size="16px")
        summary = parts.tag("span", "", "rl-small").style("margin-left: 8px")
        with ui.menu():
            room = parts.div("rl-col").style("padding: 8px 12px; width: 320px; gap: 10px")

    def show() -> None:
        open_tasks = [t for t in tasks.values() if t.status in ("queued", "running")]
        if not open_tasks:
            tasks.clear()
            button.classes(add="rl-hidden")
            return
        button.classes(remove="rl-hidden")
        done = len(tasks) - len(open_tasks)
        summary.text = f"{done} of {len(tasks)} files" if len(tasks) > 1 else words(open_tasks[0])
        room.clear()
        with room:
            for task in sorted(open_tasks, key=lambda t: t.status == "queued")[:8]:
                with parts.div("rl-col rl-gap-4"):
                    with parts.div("rl-row"):
                        parts.label(task.filename, "rl-ellipsis rl-grow rl-small")
                        parts.label(words(task), "rl-muted rl-small")
                    ui.linear_progress(fraction(task), show_value=False, size="4px")
            if len(open_tasks) > 8:
                parts.label(f"and {len(open_tasks) - 8} more", "rl-muted rl-small")

    async def watch() -> None:
        async for task in services.ingest.watch():
            if task.document_id in tasks or task.status in ("queued", "running"):
                tasks[task.document_id] = task
                with button:
                    show()

    live.follow(watch, "jobs in the top bar")
