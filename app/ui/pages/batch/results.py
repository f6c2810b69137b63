"""One batch: how far it is, and what came of each row."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui

from app.services.container import Services
from app.services.runs.batches import BatchRowView, BatchView
from app.ui import downloads, live, parts, text, usage
from app.ui.pages.common import MoreList

STATUSES = {
    "queued": ("", "schedule", "Queued"),
    "running": ("accent", "sync", "Running"),
    "completed": ("ok", "check", "Completed"),
    "failed": ("danger", "error_outline", "Failed"),
    "cancelled": ("warn", "block", "Cancelled"),
}
#: Seconds between two drawings of the rows while they change.
_DRAW_S = 0.5
_STEP = 50


def progress(batch: BatchView) -> tuple[int, float]:
    """Rows that are over, and their share of all, 0..1."""
    over = sum(batch.counts.get(s, 0) for s in ("completed", "failed", "cancelled"))
    return over, over / batch.total if batch.total else 1.0


def in_words(batch: BatchView) -> str:
    """“12 of 40 rows, 1 failed”."""
    over, _ = progress(batch)
    words = f"{over:,} of {text.count(batch.total, 'row')}"
    for status in ("failed", "cancelled"):
        if batch.counts.get(status):
            words += f", {batch.counts[status]:,} {status}"
    return words


def cell(value: Any) -> str:
    """A result in one cell."""
    if isinstance(value, Mapping):
        value = next(
            (value[name] for name in ("text", "answer", "value", "data") if name in value), value
        )
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class Results:
    """Shows a batch while it goes and after."""

    def __init__(self, services: Services, batch: BatchView) -> None:
        self._services, self._batch = services, batch
        self._outputs: list[str] = []

    def build(self) -> None:
        """Draw it, and follow it."""
        with parts.div("rl-card"):
            with parts.div("rl-row rl-wrap"):
                self._state = parts.div()
                self._words = parts.label("", "rl-grow rl-batch-words").props("aria-live=polite")
                self._cancel = parts.quiet("Cancel", self._stop, icon="stop").mark("cancel-batch")
                self._again = parts.quiet("Run what is missing", self._retry, icon="replay").mark(
                    "retry-batch"
                )
                parts.quiet("CSV", self._download, icon="file_download").mark("batch-csv")
            self._bar = ui.linear_progress(0, show_value=False, size="6px")
        self._room = parts.div("rl-col")
        with self._room:
            self._list = MoreList(self._load, self._row, step=_STEP)
        self._list.room.classes("rl-list")
        self._head(self._batch)
        live.follow(self._watch, f"batch {self._batch.batch_id}")

    def _head(self, batch: BatchView) -> None:
        self._batch = batch
        self._state.clear()
        tone, icon, word = STATUSES[batch.status]
        with self._state:
            parts.badge(word, tone, icon)
        self._words.text = in_words(batch)
        self._bar.value = progress(batch)[1]
        runs = batch.status == "running"
        missing = any(batch.counts.get(s) for s in ("failed", "cancelled"))
        for button, on in ((self._cancel, runs), (self._again, missing and not runs)):
            button.classes(remove="rl-hidden") if on else button.classes(add="rl-hidden")

    async def _watch(self) -> None:
        drawn = 0.0
        batch_id = self._batch.batch_id
        async for batch in self._services.batches.watch(batch_id):
            if self._room.is_deleted:
                return
            self._head(batch)
            if time.monotonic() - drawn >= _DRAW_S:
                with self._room:
                    await self._list.reset()
                drawn = time.monotonic()
        with self._room:
            await self._list.reset()

    async def _load(self, limit: int, offset: int) -> tuple[Sequence[Any], int]:
        batch = await self._services.batches.get(self._batch.batch_id, limit, offset)
        return batch.rows, batch.total

    def _row(self, row: BatchRowView) -> None:
        run = row.execution_id
        href = f"/workflows/{self._batch.workflow_id}?run={run}" if run else ""
        with (
            parts.link(href, "rl-list-row rl-batch-row")
            if run
            else parts.div("rl-list-row rl-batch-row")
        ):
            parts.label(str(row.ordinal + 1), "rl-muted rl-small rl-num")
            tone, icon, word = STATUSES[row.status]
            with parts.div():
                parts.badge(word, tone, icon)
            asked = " · ".join(cell(v) for v in row.input_data.values())
            parts.label(asked[:300], "rl-clamp")
            self._result(row)
            parts.label(text.duration(row.duration_ms), "rl-small rl-num rl-muted")
            parts.label(usage.cost(row.usage), "rl-small rl-num rl-muted")

    def _result(self, row: BatchRowView) -> None:
        if row.error:
            title, hint = parts.error_words(row.error)
            with parts.label(title, "rl-danger rl-clamp rl-small"):
                if hint:
                    ui.tooltip(hint)
            return
        # Where something is said, figures and lists beside it are left to the table to download.
        words = [v for v in row.outputs.values() if isinstance(v, str) and v]
        said = " · ".join(words or [cell(v) for v in row.outputs.values()])
        parts.label(said[:400], "rl-clamp")

    async def _stop(self) -> None:
        self._head(await self._services.batches.cancel(self._batch.batch_id))
        with self._room:
            await self._list.reset()

    async def _retry(self) -> None:
        self._head(await self._services.batches.retry(self._batch.batch_id))
        live.follow(self._watch, f"batch {self._batch.batch_id}")

    async def _download(self) -> None:
        table = await self._services.batches.table(self._batch.batch_id)
        name = downloads.file_name(self._batch.workflow_name, "batch", ending="csv")
        ui.download.content(("\ufeff" + table).encode(), name, "text/csv")
