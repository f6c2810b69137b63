"""Importing a workflow: choose, drop or paste a file, read what became of it, open it."""

from __future__ import annotations

from pathlib import PurePosixPath

from nicegui import events, ui

from app.engine.problems import RagloomError
from app.services.container import Services
from app.services.importers.detect import NAMES
from app.services.importers.service import Imported, import_workflow
from app.ui import parts, text
from app.ui.person import person_name

_HINT = "Ragloom, RAGFlow, Dify, Langflow or Flowise; JSON or YAML, up to {limit} MB."

#: Which files the browser did not send, and why: their size, or their kind.
_REJECTED = (
    "(all) => emit(all.map(({file, failedPropValidation}) => "
    "({name: file.name, size: file.size, why: failedPropValidation})))"
)


async def import_file(services: Services) -> None:
    """Ask for a workflow file, show the report, and open what it became."""
    with parts.dialog("Import a workflow", wide=True) as box:
        await _Import(services, box).ask()
    await parts.ask(box)


class _Import:
    """The dialog: first the question, then the report."""

    def __init__(self, services: Services, box: ui.dialog) -> None:
        self._services, self._box = services, box
        self._room = parts.div("rl-col")

    async def ask(self) -> None:
        """Show the ways to give a file."""
        limit = self._services.settings.max_workflow_mb
        self._room.clear()
        with self._room:
            parts.label(
                "Nodes that have an equal here become it. Any other becomes a placeholder that "
                "keeps its settings, and a report says which. Keys and passwords stay behind.",
                "rl-muted rl-prose",
            )
            upload = ui.upload(
                auto_upload=True,
                max_file_size=limit * 1_048_576,
                on_upload=self._take,
            )
            upload.on("rejected", self._refuse, js_handler=_REJECTED)
            upload.props('accept=".json,.yaml,.yml"').mark("import-file")
            parts.drop_zone(
                "Choose a workflow file, or drop it here", _HINT.format(limit=limit), upload
            )
            self._pasted = (
                ui.textarea(placeholder="Or paste its text here")
                # One more than fits: what is cut off there is refused, not read without its end.
                .props(f'rows=4 input-style="max-height: 30vh" maxlength={limit * 1_048_576 + 1}')
                .classes("rl-mono-field")
                .mark("import-text")
            )
            self._pasted.props["aria-label"] = "Text of a workflow file"
            self._said = parts.div()
            with parts.div("rl-dialog-actions"):
                parts.bare("Close", lambda: self._box.submit(None))
                self._go = parts.primary("Import the text", self._paste).mark("import-paste")
                self._go.bind_enabled_from(self._pasted, "value", bool)

    def _refuse(self, event: events.GenericEventArguments) -> None:
        file = event.args[0]
        limit = self._services.settings.max_workflow_mb
        self._said.clear()
        if file["why"] == "max-file-size":
            size = f"{file['size'] / 1_048_576:.1f} MB, and at most {limit} MB are read."
            words = f"“{file['name']}” is too large: {size}"
            fix = (
                "A workflow file holds nodes and settings only; put data into documents. Whoever "
                "runs this server can raise the limit (max_workflow_mb)."
            )
        else:
            words = f"“{file['name']}” is neither a JSON nor a YAML file."
            fix = "Export the workflow where it was made, and choose the file that gives."
        with self._said, parts.notice("danger", words, fix):
            pass

    async def _take(self, event: events.UploadEventArguments) -> None:
        await self._import(await event.file.read(), PurePosixPath(event.file.name).stem)

    async def _paste(self) -> None:
        await self._import(self._pasted.value or "")

    async def _import(self, data: bytes | str, called: str = "") -> None:
        self._said.clear()
        try:
            made = await import_workflow(
                self._services, data, author=await person_name(), called=called.replace("_", " ")
            )
        except RagloomError as error:
            with self._said:
                parts.error_notice(error)
            return
        if made.report.format == "ragloom" and not made.report.notes:
            # Our own file, as it was: there is nothing to tell.
            self._open(f"/workflows/{made.workflow_id}")
        else:
            self._report(made)

    def _report(self, made: Imported) -> None:
        report = made.report
        self._room.clear()
        with self._room, parts.div("rl-col").mark("import-report"):
            with parts.div("rl-row rl-wrap"):
                parts.label(made.name, "rl-strong rl-ellipsis")
                parts.badge(NAMES.get(report.format, report.format), "accent", "file_open")
            with parts.div("rl-row rl-wrap"):
                parts.badge(f"{text.count(report.mapped, 'node')} taken over", "ok", "check")
                if report.placeholders:
                    said = text.count(report.placeholders, "placeholder")
                    parts.badge(f"{said} to replace", "warn", "help_center")
                parts.badge(
                    f"{text.count(report.edges_in, 'wire')} there, {report.edges_out} here",
                    icon="timeline",
                )
            if report.notes:
                parts.label("What changed, and what is left to do", "rl-strong rl-small")
            with ui.element("ul").classes("rl-prose rl-report"):
                for note in report.notes:
                    parts.tag("li", note)
            with parts.div("rl-dialog-actions"):
                parts.bare("Import another", self.ask)
                address = f"/workflows/{made.workflow_id}"
                parts.primary("Open the workflow", lambda: self._open(address)).props(
                    "autofocus"
                ).mark("import-open")

    def _open(self, address: str) -> None:
        self._box.submit(True)
        ui.navigate.to(address)
