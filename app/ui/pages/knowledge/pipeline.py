"""On the page of a knowledge base: which workflow its files go through."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from urllib.parse import quote

from nicegui import ui

from app.engine.problems import RagloomError
from app.services.container import Services
from app.services.ingestion.kb_workflows import UsedPipeline
from app.ui import parts
from app.ui.person import person_name


async def build(services: Services, kb: str) -> None:
    """Say how files come in, and lead to the workflow that does it."""
    section = _Section(services, kb)
    await section.draw()


class _Section:
    def __init__(self, services: Services, kb: str) -> None:
        self._services, self._kb = services, kb
        self._room = parts.div("rl-col")

    async def draw(self) -> None:
        used = await self._services.pipelines.used(self._kb)
        if self._room.is_deleted:
            return
        self._room.clear()
        with self._room:
            if used is None:
                self._standard()
            elif used.newest is None:
                self._lost()
            else:
                self._own(used, used.newest)

    def _standard(self) -> None:
        parts.label(
            "Files go through the standard pipeline, with the settings below. Draw it to see its "
            "steps, to try it on a document, and to change it.",
            "rl-muted",
        )
        with parts.div("rl-row rl-wrap"):
            parts.quiet("Draw its pipeline", self._draw_it, icon="account_tree").mark(
                "draw-pipeline"
            )

    def _own(self, used: UsedPipeline, newest: int) -> None:
        open_it = f"/workflows/{quote(used.workflow_id)}"
        with parts.div("rl-row rl-wrap"):
            ui.icon("account_tree").classes("rl-accent").style("font-size: 20px")
            with parts.link(open_it, "rl-strong"):
                parts.tag("span", used.name)
            parts.label(f"version {used.revision}", "rl-muted rl-small")
            if newest != used.revision:
                parts.badge(f"Version {newest} is newer", "warn", "update")
        parts.label(
            "Files go through this workflow on their way in; its settings hold in place of those "
            "below. What is there already stays as it is until it is processed again.",
            "rl-muted",
        )
        pipelines = self._services.pipelines
        with parts.div("rl-row rl-wrap"):
            parts.quiet(
                "Open its pipeline", lambda: ui.navigate.to(open_it), icon="open_in_new"
            ).mark("open-pipeline")
            if newest != used.revision:
                use = partial(pipelines.use, self._kb, used.workflow_id)
                parts.quiet(f"Use version {newest}", lambda: self._do(use()), icon="update").mark(
                    "use-newest"
                )
            parts.bare(
                "Use the standard one", lambda: self._do(pipelines.use_standard(self._kb))
            ).mark("use-standard")

    def _lost(self) -> None:
        with parts.notice(
            "danger",
            "The workflow that files go through is not there any more.",
            "No file can come in before it is brought back or another one is used.",
        ):
            standard = self._services.pipelines.use_standard
            with parts.div("rl-row"):
                parts.quiet("Use the standard one", lambda: self._do(standard(self._kb)))

    async def _draw_it(self) -> None:
        try:
            drawn = await self._services.pipelines.draw(self._kb, await person_name())
        except RagloomError as error:
            parts.failed(error)
            return
        ui.navigate.to(f"/workflows/{drawn.workflow_id}")

    async def _do(self, change: Awaitable[object]) -> None:
        try:
            await change
        except RagloomError as error:
            parts.failed(error)
            return
        parts.toast("Saved. It applies to files that come in from now on.")
        await self.draw()
