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
        path = self._path(workflow_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_text(json.dumps({"revision": revision, "graph": graph}), encoding="utf-8")
        part.replace(path)

    def read(self, workflow_id: str) -> Draft | None:
        """The draft, or None where there is none that can be read."""
        try:
            data = json.loads(self._path(workflow_id).read_text(encoding="utf-8"))
            return Draft(data["graph"], int(data["revision"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def clear(self, workflow_id: str) -> None:
        """Forget the draft: its content is saved."""
        self._path(workflow_id).unlink(missing_ok=True)

    def _path(self, workflow_id: str) -> Path:
        return self.folder / f"{re.sub(r'[^A-Za-z0-9_-]', '_', workflow_id)}.json"
