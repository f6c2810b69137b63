"""The journal of unsaved edits: one small file per workflow, replaced at every edit.

A killed server loses nothing the browser has seen: the draft is on disk before the patch is sent.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Draft:
    """Edits that were not saved, and the revision they were made on."""

    graph: dict[str, Any]
    revision: int


class Drafts:
    """Drafts in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, workflow_id: str, graph: dict[str, Any], revision: int) -> None:
        """Keep the state after an edit. Atomic: a reader sees the old draft or the new one."""
        _replace(self._path(workflow_id), {"revision": revision, "graph": graph})

    def read(self, workflow_id: str) -> Draft | None:
        """The draft, or None where there is none that can be read."""
        data = _read(self._path(workflow_id))
        try:
            return Draft(data["graph"], int(data["revision"])) if data else None
        except (ValueError, KeyError, TypeError):
            return None

    def clear(self, workflow_id: str) -> None:
        """Forget the draft: its content is saved."""
        self._path(workflow_id).unlink(missing_ok=True)

    def write_history(self, workflow_id: str, history: dict[str, Any]) -> None:
        """Keep undo and redo (`GraphEditor.dump_history`) over a restart."""
        _replace(self._path(workflow_id, ".history"), history)

    def read_history(self, workflow_id: str) -> dict[str, Any] | None:
        """Undo and redo as last kept, for `GraphEditor.restore_history`."""
        return _read(self._path(workflow_id, ".history"))

    def forget(self, workflow_id: str) -> None:
        """Remove everything kept of a workflow: it was deleted."""
        self.clear(workflow_id)
        self._path(workflow_id, ".history").unlink(missing_ok=True)

    def _path(self, workflow_id: str, suffix: str = "") -> Path:
        return self.folder / f"{re.sub(r'[^A-Za-z0-9_-]', '_', workflow_id)}{suffix}.json"


def _replace(path: Path, data: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(data), encoding="utf-8")
    part.replace(path)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None
