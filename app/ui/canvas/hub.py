"""One editor per workflow and process, so that two tabs show the same graph live."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from .editor import GraphEditor
from .presence import Presence
from .saving import Autosave

#: Make the editor and its autosave, from the stored workflow and its draft.
Opener = Callable[[], Awaitable[Autosave]]


class EditorHub:
    """Open editors by workflow id."""

    def __init__(self, keep: int = 32) -> None:
        """`keep`: how many editors nobody looks at are kept, for their undo history."""
        self._keep = keep
        self._open: dict[str, Autosave] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def open(self, workflow_id: str, opener: Opener) -> Autosave:
        """The workflow's editor with its autosave; made by `opener` the first time."""
        async with self._locks.setdefault(workflow_id, asyncio.Lock()):
            session = self._open.pop(workflow_id, None) or await opener()
            self._open[workflow_id] = session
        self._forget_old()
        return session

    def get(self, workflow_id: str) -> GraphEditor | None:
        """The editor of a workflow that is open."""
        session = self._open.get(workflow_id)
        return session.editor if session else None

    def presence(self, workflow_id: str) -> Presence | None:
        """Who looks at a workflow that is open."""
        session = self._open.get(workflow_id)
        return session.editor.presence if session else None

    def close(self, workflow_id: str) -> None:
        """Forget an editor: its workflow was deleted."""
        session = self._open.pop(workflow_id, None)
        if session is not None:
            session.close()

    def _forget_old(self) -> None:
        # One subscriber is the autosave itself; an editor with unsaved edits is never forgotten.
        idle = [
            id_
            for id_, session in self._open.items()
            if session.editor.viewers <= 1 and not session.editor.dirty
        ]
        for id_ in idle[: max(0, len(idle) - self._keep)]:
            self.close(id_)
