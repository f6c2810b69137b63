"""Who else looks at a workflow: their names, colours, pointers, selections, what they edit.

One `Presence` per open workflow. What many pointers do is gathered and handed on at most every
`FLUSH_S`, so ten people cost each browser some twelve small messages a second.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: What others do is sent on this often, in seconds.
FLUSH_S = 0.08
#: Colours by number: `--person-0` … of the canvas.
COLOURS = 8
MAX_NAME, MAX_SELECTED = 40, 200


@dataclass(frozen=True, slots=True)
class Author:
    """A person, as steps of undo and notices name them."""

    id: str
    name: str

    def dump(self) -> dict[str, str]:
        """For the browser."""
        return {"id": self.id, "name": self.name}


@dataclass(slots=True)
class Viewer:
    """One open canvas: a person may have several."""

    id: str
    person: Author
    colour: int
    listener: Callable[[dict[str, Any]], None]
    pointer: tuple[float, float] | None = None
    selection: tuple[str, ...] = ()
    #: Node whose settings or title this person is changing.
    editing: str = ""

    def dump(self) -> dict[str, Any]:
        """What others see."""
        return {
            "id": self.id,
            "person": self.person.id,
            "name": self.person.name,
            "colour": self.colour,
            "pointer": list(self.pointer) if self.pointer else None,
            "selection": list(self.selection),
            "editing": self.editing,
        }


class Presence:
    """The viewers of one workflow. Listeners get {"people": [what changed], "gone": [ids]}."""

    def __init__(self) -> None:
        self._viewers: dict[str, Viewer] = {}
        self._changed: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def viewers(self) -> tuple[Viewer, ...]:
        """Everybody who looks."""
        return tuple(self._viewers.values())

    def author(self, viewer: str) -> Author | None:
        """The person at a canvas."""
        known = self._viewers.get(viewer)
        return known.person if known else None

    def join(
        self,
        viewer: str,
        person: str,
        name: str,
        listener: Callable[[dict[str, Any]], None],
    ) -> Viewer:
        """Somebody opened the workflow, or says another name; they hear of everybody else."""
        before = self._viewers.get(viewer)
        others = [v for v in self._viewers.values() if v.id != viewer]
        same = next((v for v in others if v.person.id == person), None)
        name = clean_name(name) or (same.person.name if same else self._free_name(others))
        colour = before.colour if before else same.colour if same else self._free_colour()
        joined = Viewer(viewer, Author(person, name), colour, listener)
        if before is not None:
            joined.selection, joined.pointer = before.selection, before.pointer
        self._viewers[viewer] = joined
        listener({"people": [v.dump() for v in others], "me": joined.dump(), "all": True})
        self._tell(viewer)
        return joined

    def leave(self, viewer: str) -> None:
        """A canvas was closed."""
        if self._viewers.pop(viewer, None) is None:
            return
        self._changed.discard(viewer)
        for other in self.viewers:
            other.listener({"people": [], "gone": [viewer]})

    def update(
        self,
        viewer: str,
        *,
        pointer: tuple[float, float] | str | None = "",
        selection: tuple[str, ...] | None = None,
        editing: str | None = None,
    ) -> None:
        """Something changed; only what is given. A `pointer` of None has left the canvas."""
        known = self._viewers.get(viewer)
        if known is None:
            return
        before = (known.pointer, known.selection, known.editing)
        if not isinstance(pointer, str):
            known.pointer = pointer
        if selection is not None:
            known.selection = selection[:MAX_SELECTED]
        if editing is not None:
            known.editing = editing
        if before != (known.pointer, known.selection, known.editing):
            self._tell(viewer)

    def _tell(self, viewer: str) -> None:
        self._changed.add(viewer)
        if self._timer is not None or len(self._viewers) < 2:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._flush()
        else:
            self._timer = loop.call_later(FLUSH_S, self._flush)

    def _flush(self) -> None:
        self._timer = None
        changed, self._changed = self._changed, set()
        told = {id_: self._viewers[id_].dump() for id_ in changed if id_ in self._viewers}
        for viewer in self.viewers:
            people = [view for id_, view in told.items() if id_ != viewer.id]
            if people:
                viewer.listener({"people": people, "gone": []})

    def _free_colour(self) -> int:
        used = [v.colour for v in self._viewers.values()]
        return min(range(COLOURS), key=lambda colour: (used.count(colour), colour))

    def _free_name(self, others: list[Viewer]) -> str:
        used = {v.person.name for v in others}
        n = 1
        while f"Guest {n}" in used:
            n += 1
        return f"Guest {n}"


def clean_name(name: str) -> str:
    """A name as it may be shown: one line, not too long, nothing invisible."""
    return re.sub(r"\s+", " ", "".join(c for c in name if c.isprintable())).strip()[:MAX_NAME]
