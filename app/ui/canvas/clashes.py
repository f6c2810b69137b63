"""Two people at the same field: the last change stands, and who made the other one is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from app.engine.graph import Graph

from . import ops
from .presence import Author
from .structure import notes_of

#: Changes closer together than this, in seconds, are told.
NEAR_S = 30.0
_MOST = 2_000


@dataclass(frozen=True, slots=True)
class Clash:
    """What one person changed is no longer so, because of another."""

    node: str
    field: str
    by: Author
    against: Author
    text: str


#: How a policy is called in a sentence.
_POLICIES = {
    "timeout_s": "the time limit",
    "retries": "the retries",
    "on_error": "what follows a failure",
    "pinned": "the pinned output",
}


@dataclass(frozen=True, slots=True)
class _Field:
    """What an edit changed, and what it is called in a sentence."""

    #: Empty where it is of the workflow as a whole.
    node: str
    field: str
    words: str
    #: Whether its author had not seen what it replaced.
    unseen: bool = False


class Clashes:
    """Remembers who changed which field last."""

    def __init__(
        self, words: Callable[[str, str], str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`words` says what a node, or with its name a setting of it, is called on the screen."""
        self._words, self._clock = words, clock
        self._last: dict[tuple[str, str], tuple[Author, float]] = {}

    def seen(
        self, done: Sequence[ops.Op], before: Graph, after: Graph, by: Author | None
    ) -> list[Clash]:
        """Take in an edit; return whom it concerns besides its author."""
        if by is None:
            return []
        now = self._clock()
        found: list[Clash] = []
        for op in done:
            for edit in self._fields(op, before, after):
                found += self._clash(edit, by, now)
                self._last[edit.node, edit.field] = (by, now)
            if isinstance(op, ops.Delete):
                found += self._deleted(set(op.nodes), by, now)
        for key in list(self._last)[: max(0, len(self._last) - _MOST)]:
            del self._last[key]
        return found

    def _clash(self, edit: _Field, by: Author, now: float) -> Iterable[Clash]:
        known = self._last.pop((edit.node, edit.field), None)
        if known is None or known[0].id == by.id:
            return ()
        if now - known[1] > NEAR_S and not edit.unseen:
            return ()
        text = f"{by.name} changed {edit.words} just after you. Undo brings yours back."
        return (Clash(edit.node, edit.field, by, known[0], text),)

    def _deleted(self, nodes: set[str], by: Author, now: float) -> list[Clash]:
        told: dict[tuple[str, str], Clash] = {}
        for (node, _), (author, at) in list(self._last.items()):
            if node in nodes and author.id != by.id and now - at <= NEAR_S:
                text = f"{by.name} deleted “{self._words(node, '')}”, which you had just changed."
                told.setdefault((node, author.id), Clash(node, "", by, author, text))
            if node in nodes:
                del self._last[node, _]
        return list(told.values())

    def _fields(self, op: ops.Op, before: Graph, after: Graph) -> list[_Field]:
        found: list[_Field] = []
        match op:
            case ops.Rename():
                spec = before.nodes.get(op.node)
                unseen = bool(op.was is not None and spec and spec.title and spec.title != op.was)
                words = f"the title of “{self._words(op.node, '')}”"
                found = [_Field(op.node, "title", words, unseen)]
            case ops.EditNote() if op.text is not None:
                note = notes_of(before).get(op.note, {})
                unseen = op.was is not None and note.get("text") != op.was
                found = [_Field(f"note {op.note}", "text", "the text of a note", unseen)]
            case ops.SetGroup() if op.title is not None:
                found = [_Field(f"group {op.group}", "title", "the title of a group")]
            case ops.SetInfo():
                changed = [f for f in ("name", "description") if getattr(op, f) is not None]
                found = [_Field("", f, f"the {f} of this workflow") for f in changed]
            case ops.SetVariable() | ops.RemoveVariable():
                found = [_Field("", f"variable {op.name}", f"the variable “{op.name}”")]
            case ops.SetConfig() | ops.SetPolicy():
                found = self._settings(op, before, after)
        return found

    def _settings(
        self, op: ops.SetConfig | ops.SetPolicy, before: Graph, after: Graph
    ) -> list[_Field]:
        old, new = before.nodes.get(op.node), after.nodes.get(op.node)
        if old is None or new is None:
            return []
        of = f"of “{self._words(op.node, '')}”"
        if isinstance(op, ops.SetConfig):
            names = {*old.config, *new.config}
            changed = sorted(f for f in names if old.config.get(f) != new.config.get(f))
            return [_Field(op.node, f, f"“{self._words(op.node, f)}” {of}") for f in changed]
        return [
            _Field(op.node, f"when it runs: {f}", f"{words} {of}")
            for f, words in _POLICIES.items()
            if getattr(old, f) != getattr(new, f)
        ]
