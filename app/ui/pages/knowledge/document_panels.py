"""What is known of a document beside its chunks: quality, conflicts, history, details."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from nicegui import ui

from app.documents.media import page_word
from app.services.container import Services
from app.services.threads import call
from app.services.views import DocumentCommitView, DocumentView
from app.ui import parts, text, viewers
from app.ui.pages.common import MoreList
from app.ui.pages.knowledge.processing_form import ACTIONS, TITLES
from app.ui.viewers.texts import show_diff

_WORDS = {"flag": "Flagged", "flagged": "Flagged", "drop": "Left out", "dropped": "Left out",
          "repair": "Repaired", "repaired": "Repaired"}  # fmt: skip
_TONES = {"Flagged": "warn", "Left out": "danger", "Repaired": "ok"}
_EDITS = {"replace": "Text changed", "split": "Chunk split", "merge": "Chunks merged",
          "disable": "Chunk disabled", "enable": "Chunk enabled"}  # fmt: skip
#: Facts of a version that have a place of their own.
_ELSEWHERE = {"quality", "edit_conflicts", "edits"}
_NAMES = {"author": "Author", "created": "Created", "modified": "Changed", "subject": "Subject",
          "keywords": "Keywords", "sender": "From", "recipients": "To", "sent": "Sent"}  # fmt: skip
_TIMES = ("created", "modified", "sent")


def quality(document: DocumentView, go: Callable[[int], Awaitable[None]]) -> None:
    """The report of the quality check; each finding leads to its chunk."""
    report = document.metadata.get("quality")
    if not isinstance(report, Mapping):
        parts.label("Chunks of this document were not checked.", "rl-muted")
        return
    checked, kept = int(report.get("checked", 0)), int(report.get("kept", 0))
    parts.label(f"{text.count(checked, 'chunk')} checked, {kept} kept.")
    counts = report.get("counts") or {}
    if counts:
        with parts.div("rl-row rl-wrap rl-gap-4"):
            for name, number in counts.items():
                parts.badge(f"{text.words(str(name))} · {number}")
    findings = list(report.get("findings") or ())
    if not findings:
        parts.label("Nothing is wrong with them.", "rl-muted")
        return
    with parts.div("rl-list"):
        for finding in findings:
            _finding(finding, go)


def _finding(finding: Mapping[str, Any], go: Callable[[int], Awaitable[None]]) -> None:
    start = finding.get("start")
    row = ui.element("button" if isinstance(start, int) else "div").classes("rl-doc-finding")
    with row:
        with parts.div("rl-row rl-wrap rl-gap-4"):
            word = _WORDS.get(str(finding.get("action")), text.words(str(finding.get("action"))))
            parts.badge(word, _TONES.get(word, ""))
            parts.label(text.words(str(finding.get("validator", ""))), "rl-strong")
            if (count := finding.get("count") or 1) > 1:
                parts.label(f"{count} times", "rl-muted rl-small")
        parts.label(str(finding.get("reason", "")), "rl-muted rl-small")
    if isinstance(start, int):
        row.props["type"] = "button"
        row.on("click", lambda: go(start))


def conflicts(
    document: DocumentView,
    apply: Callable[[int], Awaitable[None]],
    drop: Callable[[int], Awaitable[None]],
) -> None:
    """Corrections that did not fit when the document was processed again."""
    found = list(document.metadata.get("edit_conflicts") or ())
    if not found:
        parts.label("Every correction fits.", "rl-muted")
        return
    parts.label(
        "The document was processed again, and these corrections no longer find their text. "
        "Make each again where it was, or drop it.", "rl-muted",
    )  # fmt: skip
    for position, conflict in enumerate(found):
        with parts.div("rl-card rl-col"):
            with parts.div("rl-row rl-wrap rl-gap-4"):
                parts.label(_EDITS.get(conflict["op"], conflict["op"]), "rl-strong")
            parts.label(str(conflict.get("reason", "")), "rl-warn-text rl-small")
            was = conflict.get("was") or "\n\n".join(
                str(part.get("was", "")) for part in conflict.get("parts", ())
            )
            if conflict["op"] == "replace":
                with parts.div("rl-diff"):
                    show_diff(viewers.diff(was, str(conflict.get("text", ""))), beside=False)
            else:
                parts.label(was, "rl-chunk-text rl-folded")
            with parts.div("rl-row rl-wrap rl-gap-4"):
                parts.quiet("Apply again", lambda n=position: apply(n))
                parts.bare("Drop", lambda n=position: drop(n))


async def history(
    services: Services,
    kb: str,
    document: DocumentView,
    restore: Callable[[str, str], Awaitable[None]],
) -> None:
    """Commits that touched the document, with the way back to each state."""

    async def load(limit: int, offset: int) -> tuple[list[DocumentCommitView], int]:
        page = await services.corrections.history(
            kb, document.document_id, limit=limit, offset=offset
        )
        return page.items, page.total

    shown: set[str | None] = set()

    def row(commit: DocumentCommitView) -> None:
        now = commit.version_id == document.version_id
        fresh = commit.version_id not in shown
        shown.add(commit.version_id)
        with parts.div("rl-doc-commit"):
            with parts.div("rl-col rl-gap-4 rl-grow"):
                parts.label(commit.message or "Change", "rl-wrap-text")
                with parts.div("rl-row rl-wrap rl-gap-4"):
                    parts.label(commit.commit_id[:8], "rl-mono rl-muted rl-small")
                    parts.label(commit.author, "rl-muted rl-small")
                    parts.moment(commit.created_at)
            if now:
                # A state may come back: it is told where it is the newest.
                if fresh:
                    parts.badge("As it is now", "ok")
            elif commit.version_id:
                version, when = commit.version_id, text.ago(commit.created_at)
                parts.bare("Restore", lambda: restore(version, when))

    with parts.div("rl-list"):
        listing = MoreList(load, row)
    await listing.reset()


def details(document: DocumentView) -> None:
    """Facts of the file, and the settings it was made with."""
    meta = document.metadata
    facts: dict[str, Any] = {"File": document.filename, "Title": document.title}
    facts |= {name: _fact(meta[key]) for key, name in _NAMES.items() if meta.get(key)}
    facts |= {_NAMES[key]: partial(parts.exact, str(meta[key])) for key in _TIMES if meta.get(key)}
    facts |= {
        "Kind": document.media_type,
        "Size": text.size(document.size),
        text.words(page_word(document.filename)) + "s": document.pages,
        "Language": text.language(document.language),
        "Chunks": document.chunk_count,
        "Corrections": meta.get("edits"),
        "Embedding model": document.embedding_model,
        "Added": partial(parts.exact, document.created_at),
        "Processed": partial(parts.exact, document.updated_at),
        "Document id": document.document_id,
    }
    viewers.facts({key: value for key, value in facts.items() if value})
    more = {k: v for k, v in meta.items() if k not in _ELSEWHERE and k not in _NAMES and v}
    if more:
        parts.label("Other facts of the file", "rl-strong")
        viewers.facts({text.words(str(key)): _fact(value) for key, value in more.items()})
    parts.label("Settings it was made with", "rl-strong")
    shown = {
        TITLES.get(k, text.words(k)): _actions(v) if k == "validators" else _fact(v)
        for k, v in document.processing.items()
        if k != "pipeline"
    }
    viewers.facts({key: value for key, value in shown.items() if value not in ("", None)})


def _actions(value: Any) -> str:
    """What is done with what each check finds."""
    if not isinstance(value, Mapping):
        return _fact(value)
    return ", ".join(
        f"{text.words(str(name)).lower()}: {ACTIONS.get(str(action), str(action)).lower()}"
        for name, action in value.items()
    )


def _fact(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {part}" for key, part in value.items())
    return str(value)


async def settings_of(services: Services, document: DocumentView) -> dict[str, Any]:
    """The settings that a document was made with, as a form takes them."""

    def read() -> dict[str, Any]:
        from app.services.ingestion.processing import Processing, stored_processing

        known = {k: v for k, v in document.processing.items() if k != "pipeline"}
        try:
            return stored_processing(known).model_dump()
        except ValueError:
            # Made by a workflow or an older server: what is still known of them.
            return {k: v for k, v in known.items() if k in Processing.model_fields}

    return await call(read)
