"""What commands show: steps as they end, answers with their sources, problems."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape

from app.documents.media import page_word, time_of
from app.engine.events import (
    Event,
    NodeFailedEvent,
    NodeFinished,
    NodeSkipped,
)
from app.services.problems import Report

#: Results go to stdout, everything about how they come to be to stderr.
out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)

STATE = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "error": "[red]✗[/]"}


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
            err.print(f"{STATE['ok']} {escape(event.node_id)} {event.duration_ms:.0f} ms{note}")
        case NodeFailedEvent():
            err.print(f"{STATE['error']} {escape(event.node_id)}: {escape(event.problem.message)}")
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
        page = _page(citation)
        where = f"\\[{citation['number']}] {escape(citation['document_name'])}{page}"
        out.print(f"{where}: [dim]{escape(short(citation['quote']))}[/]")
    error = run.get("error")
    if error:
        err.print(f"[red]{escape(run['status'])}:[/] {escape(error['message'])}")
        if error.get("fix"):
            err.print(escape(error["fix"]))


def _page(passage: Mapping[str, Any]) -> str:
    if time := time_of(passage) or time_of(passage.get("metadata")):
        return f", {time}"
    if not passage.get("page"):
        return ""
    return f", {page_word(passage['document_name'])} {passage['page']}"


def search_results(found: Mapping[str, Any]) -> None:
    """Print passages, best first."""
    for number, result in enumerate(found["results"], 1):
        page = _page(result)
        score = "" if result["score"] is None else f" [dim]{result['score']:.3f}[/]"
        out.print(f"[bold]{number}. {escape(result['document_name'])}{page}[/]{score}")
        out.print(f"   {escape(short(result['content'], 300))}")
    if not found["results"]:
        err.print("Nothing was found.")


def finding(name: str, state: str, message: str, fix: str) -> None:
    """Print a line of the doctor's report."""
    out.print(f"{STATE[state]} {name}: {escape(message)}")
    if fix and state != "ok":
        out.print(f"    {escape(fix)}")


def short(text: str, limit: int = 160) -> str:
    """The beginning of a text, in one line."""
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
