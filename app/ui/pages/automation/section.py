"""What the lists of the automation page share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from nicegui import ui

from app.services.container import Services
from app.services.problems import speaks_for_itself
from app.ui import parts
from app.ui.pages.canvas.runbar import RunInput


class Section:
    """A list of one workflow; dialogs and notes are drawn in a room of their own."""

    def __init__(
        self,
        services: Services,
        workflow_id: str,
        inputs: list[RunInput],
        refresh: Callable[[], Awaitable[None]],
    ) -> None:
        self.services, self.workflow_id, self.inputs = services, workflow_id, inputs
        self._refresh = refresh
        self.list = parts.div("rl-list")
        # Rows are drawn anew while a dialog is open.
        self.room = parts.div()

    async def do(self, work: Awaitable[Any]) -> bool:
        """Do something and show what became of it; whether it went well."""
        try:
            await work
        except Exception as error:
            self.failed(error)
            if not speaks_for_itself(error):
                raise  # nobody expected it: the log shall have it
            return False
        finally:
            await self._refresh()
        return True

    def failed(self, error: Exception) -> None:
        """Say what went wrong, in the words of somebody who looks at the page."""
        with self.room:
            if getattr(error, "code", "") == "not_found":
                parts.toast(
                    "It was deleted meanwhile. Add a new one if it is needed.", tone="danger"
                )
            else:
                parts.failed(error)

    def run_href(self, run_id: str) -> str:
        """The canvas with a run on it."""
        return f"/workflows/{quote(self.workflow_id)}?run={quote(run_id)}"

    def runs_href(self, trigger: str) -> str:
        """All runs that were started this way."""
        return f"/runs?workflow={quote(self.workflow_id)}&trigger={trigger}"

    def switch(self, what: str, on: bool) -> ui.switch:
        """Whether something starts the workflow; its name does not change with its state."""
        switch = ui.switch(value=on)
        switch.props["aria-label"] = f"{what} is on"
        return switch


def nothing(icon: str, title: str, hint: str) -> None:
    """An empty list, and what would be in it."""
    with parts.div("rl-row").style("padding: 16px"):
        ui.icon(icon).classes("rl-muted")
        with parts.div():
            parts.label(title)
            parts.label(hint, "rl-muted rl-small")
