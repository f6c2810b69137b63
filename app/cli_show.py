"""What commands show: steps as they end, answers with their sources, bars while files come in."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from app.engine.events import (
    Event,
    NodeFailedEvent,
    NodeFinished,
    NodeSkipped,
)
from app.services.problems import Report
from app.services.views import TaskView

#: Results go to stdout, everything about how they come to be to stderr.
out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)

_STAGES = ("extract", "chunk", "quality", "embed", "index")
_STATE = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "error": "[red]✗[/]"}


def as_json(data: Any) -> None:
    """Print data for another program."""
    sys.stdout.write(json.dumps(data, ensure_ascii=False, indent=2) + "\n")


def problem(report: Report) -> None:
    """Print what went wrong and what to do."""
    err.print(f"[red]Error:[/] {escape(report.message)}")
    if report.fix:
        err.print(escape(report.fix))
    for detail in report.details[1:20]:
        if "message" in detail:
            place = f"{detail['node']}: " if detail.get("node") else ""
            err.print(f"  [red]·[/] {escape(place + str(detail['message']))}")


def step(event: Event) -> None:
    """Print the end of a step."""
    match event:
        case NodeFinished():
            note = " [dim]reused[/]" if event.cached else ""
            err.print(f"{_STATE['ok']} {escape(event.node_id)} {event.duration_ms:.0f} ms{note}")
        case NodeFailedEvent():
            err.print(f"{_STATE['error']} {escape(event.node_id)}: {escape(event.problem.message)}")
        case NodeSkipped():
            err.print(f"[dim]– {escape(event.node_id)}: {escape(event.reason)}[/]")


def execution(run: Mapping[str, Any]) -> None:
    """Print the outputs of a run; an answer as text with its sources."""
    outputs = dict(run["outputs"])
    citations = outputs.pop("citations", None) or []
    for name, value in outputs.items():
        if name in ("confidence", "abstained", "retrieval_context", "verdict"):
            continue
        if isinstance(value, str):
            out.print(escape(value))
        elif value is not None:
            out.print(f"{escape(name)}: {escape(json.dumps(value, ensure_ascii=False))}")
    for citation in citations:
        page = f", page {citation['page']}" if citation.get("page") else ""
        where = f"\\[{citation['number']}] {escape(citation['document_name'])}{page}"
        out.print(f"{where}: [dim]{escape(_short(citation['quote']))}[/]")
    error = run.get("error")
    if error:
        err.print(f"[red]{escape(run['status'])}:[/] {escape(error['message'])}")
        if error.get("fix"):
            err.print(escape(error["fix"]))


def search_results(found: Mapping[str, Any]) -> None:
    """Print passages, best first."""
    for number, result in enumerate(found["results"], 1):
        page = f", page {result['page']}" if result.get("page") else ""
        score = "" if result["score"] is None else f" [dim]{result['score']:.3f}[/]"
        out.print(f"[bold]{number}. {escape(result['document_name'])}{page}[/]{score}")
        out.print(f"   {escape(_short(result['content'], 300))}")
    if not found["results"]:
        err.print("Nothing was found.")


def finding(name: str, state: str, message: str, fix: str) -> None:
    """Print a line of the doctor's report."""
    out.print(f"{_STATE[state]} {name}: {escape(message)}")
    if fix and state != "ok":
        out.print(f"    {escape(fix)}")


class FileBars:
    """A bar for each file on its way in, and a line for each that has arrived."""

    def __init__(self, total: int) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[stage]}"),
            console=err,
            transient=True,
        )
        self._total = total
        self._all = self._progress.add_task("[bold]All files", total=total, stage=f"0/{total}")
        self._bars: dict[str, TaskID] = {}
        self._ended: set[str] = set()

    def __enter__(self) -> FileBars:
        if err.is_terminal:
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if err.is_terminal:
            self._progress.stop()

    def show(self, task: TaskView) -> None:
        """Move the bar of a file, or end it."""
        key = task.document_id or task.filename
        if key in self._ended:
            return
        if task.status == "running" and key not in self._bars:
            name = escape(_short(task.filename, 40))
            self._bars[key] = self._progress.add_task(name, total=1.0, stage="")
        if key in self._bars:
            self._progress.update(self._bars[key], completed=_fraction(task), stage=_stage(task))
        if task.status in ("success", "error", "cancelled"):
            self._ended.add(key)
            if key in self._bars:
                self._progress.remove_task(self._bars.pop(key))
            count = len(self._ended)
            self._progress.update(self._all, completed=count, stage=f"{count}/{self._total}")
            self._progress.console.print(_ended(task))


def _fraction(task: TaskView) -> float:
    place = next((i for i, s in enumerate(_STAGES) if task.stage.startswith(s)), 0)
    inside = min(1.0, task.done / task.total) if task.total else 0.0
    return (place + inside) / len(_STAGES)


def _stage(task: TaskView) -> str:
    return f"{task.stage} {task.done}/{task.total}" if task.total else task.stage


def _ended(task: TaskView) -> str:
    name = escape(task.filename)
    if task.status == "success":
        note = "unchanged" if task.change == "unchanged" else f"{task.chunks_created} chunks"
        return f"{_STATE['ok']} {name} [dim]{note}, {task.processing_time:.1f} s[/]"
    if task.status == "cancelled":
        return f"[yellow]–[/] {name} [dim]cancelled[/]"
    return f"{_STATE['error']} {name}: {escape(task.error_message or 'It failed.')}"


def _short(text: str, limit: int = 160) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
