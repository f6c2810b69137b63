"""Saving by itself: every edit into the journal at once, a revision after a pause.

A revision is stored with the number of the one it grew from (compare and set). When somebody else
saved in between, nothing is overwritten: the state becomes "conflict" until a person chooses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from app.engine.graph import Graph

from .editor import Change, GraphEditor

#: Store the graph on top of a revision; return the new revision's number.
SaveCall = Callable[[dict[str, Any], int], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class SaveState:
    """What the page says beside the workflow's name."""

    status: Literal["saved", "unsaved", "saving", "conflict", "failed"]
    revision: int
    message: str = ""
    fix: str = ""


class Autosave:
    """Saves an editor's graph after each pause, and says how that goes."""

    def __init__(
        self,
        editor: GraphEditor,
        save: SaveCall,
        *,
        delay_s: float = 1.2,
        on_state: Callable[[SaveState], None] | None = None,
    ) -> None:
        """`save` raises an error with `code == "conflict"` when its base revision is not newest."""
        self.editor = editor
        self._save = save
        self._delay_s = delay_s
        self._listeners: list[Callable[[SaveState], None]] = [on_state] if on_state else []
        self._task: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self.state = SaveState("unsaved" if editor.dirty else "saved", editor.revision)
        self._unsubscribe = editor.subscribe(self._edited)

    def listen(self, callback: Callable[[SaveState], None]) -> Callable[[], None]:
        """Call `callback` with each new state, until the returned function is called."""
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback) if callback in self._listeners else None

    def close(self) -> None:
        """Stop saving."""
        self._unsubscribe()
        if self._task is not None:
            self._task.cancel()

    async def save_now(self) -> SaveState:
        """Save at once, if there is anything to save."""
        async with self._lock:
            if self.state.status == "conflict" or not self.editor.dirty:
                return self.state
            if not self.editor.may_save:
                return self._set(
                    "failed",
                    "An empty workflow was not saved over one with nodes.",
                    "Undo, or delete the nodes yourself.",
                )
            graph = self.editor.graph
            self._set("saving")
            try:
                revision = await self._save(graph.dump(), self.editor.revision)
            except Exception as error:
                if getattr(error, "code", "") == "conflict":
                    return self._set(
                        "conflict",
                        "This workflow was changed elsewhere.",
                        "Keep yours, or load theirs; yours stays in the undo history.",
                    )
                message = getattr(error, "message", str(error) or type(error).__name__)
                return self._set("failed", f"Not saved: {message}", getattr(error, "fix", ""))
            self.editor.mark_saved(graph, revision)
            if self.editor.dirty:  # edited while it was being saved
                self._schedule()
                return self._set("unsaved")
            return self._set("saved")

    async def keep_mine(self, newest_revision: int) -> SaveState:
        """Settle a conflict: save the own graph on top of the other one, as a new revision."""
        self.editor.mark_saved(self.editor.saved, newest_revision)
        self._set("unsaved")
        return await self.save_now()

    def take_theirs(self, graph: Graph, revision: int) -> SaveState:
        """Settle a conflict: load the other graph; undo brings the own one back."""
        self._set("unsaved")
        self.editor.adopt(graph, revision, label="Load their version")
        return self._set("unsaved" if self.editor.dirty else "saved")

    def _edited(self, change: Change) -> None:
        if not change.graph_changed or self.state.status == "conflict":
            return
        if self.editor.dirty:
            self._set("unsaved")
            self._schedule()
        else:
            self._set("saved")

    def _schedule(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._task = asyncio.get_running_loop().create_task(self._later())

    async def _later(self) -> None:
        await asyncio.sleep(self._delay_s)
        self._task = None  # from here on a new edit starts a new pause and does not cancel this
        await self.save_now()

    def _set(
        self,
        status: Literal["saved", "unsaved", "saving", "conflict", "failed"],
        message: str = "",
        fix: str = "",
    ) -> SaveState:
        self.state = SaveState(status, self.editor.revision, message, fix)
        for listener in tuple(self._listeners):
            listener(self.state)
        return self.state
