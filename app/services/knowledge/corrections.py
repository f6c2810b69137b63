"""Correcting how a document was cut: every change is a commit, and the way back is one too."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from app.services.knowledge.chunk_changes import Passage, bad_edit, checked_text, replaced
from app.services.knowledge.chunk_edits import (
    EDIT_CONFLICTS,
    MOST_EDITS,
    Carried,
    Edit,
    apply,
    edit_of,
    joined,
    nearest,
)
from app.services.knowledge.search import chunk_value
from app.services.problems import in_own_words
from app.services.rows import chunk_view, commit_view
from app.services.runs.world import WorldKnowledge
from app.services.threads import call
from app.services.views import CorrectionView, DocumentCommitView, Page
from storage import tables
from storage.corrections import VersionMoved
from storage.errors import Conflict, NotFound
from storage.ids import chunk_id as id_of_chunk
from storage.knowledge import KnowledgeRepository

_ALL = 1_000_000
#: Times a change is tried again because another one of the same document was first.
_ATTEMPTS = 5

Settle = Literal["apply", "drop"]


@dataclass(frozen=True)
class _State:
    """A document on a branch, with its chunks as they are now."""

    base: tables.KnowledgeBase
    document: tables.Document
    commit: tables.Commit
    version: tables.DocumentVersion
    rows: list[tuple[tables.Chunk, bool]]
    passages: list[Passage]
    edits: list[Edit]

    @property
    def conflicts(self) -> list[Edit]:
        """Edits that could not be repeated when it was processed."""
        return list(self.version.meta.get(EDIT_CONFLICTS, ()))


@dataclass(frozen=True)
class _Change:
    """What to do: edits in turn, and the conflicts that stay."""

    passages: list[Passage]
    edits: list[Edit]
    conflicts: list[Edit]
    message: str
    #: Where the chunks that came of it are.
    touched: range


_Plan = Callable[[_State], _Change | None]


class CorrectionService:
    """Edit, split, merge and disable chunks of a document. `kb` is an id or a name."""

    def __init__(self, repository: KnowledgeRepository, knowledge: WorldKnowledge) -> None:
        self._repository = repository
        self._knowledge = knowledge

    async def change(
        self, kb: str, document_id: str, chunk_id: str, *, content: str | None = None,
        disabled: bool | None = None, ref: str = "main", author: str = "",
    ) -> CorrectionView:  # fmt: skip
        """Give a chunk another text, leave it out of every search, or take it in again.

        Raises NotFound, Conflict (the chunk was changed meanwhile), RagloomError “bad_edit”.
        """

        def plan(state: _State) -> _Change | None:
            index = self._index(state, chunk_id)
            edits: list[Edit] = []
            passage = state.passages[index]
            if content is not None and checked_text(content) != passage.chunk.content:
                edits.append(edit_of("replace", state.passages, index, text=checked_text(content)))
            if disabled is not None and disabled != passage.disabled:
                edits.append(edit_of("disable" if disabled else "enable", state.passages, index))
            if not edits:
                return None
            words = {"replace": "Edit", "disable": "Disable", "enable": "Enable"}
            message = f"{words[edits[-1]['op']]} chunk {index + 1} of {state.document.filename}"
            return _done(state, edits, index, message, range(index, index + 1))

        return await self._commit(kb, document_id, ref, author, plan, chunk_id)

    async def split(
        self, kb: str, document_id: str, chunk_id: str, at: int, *, ref: str = "main",
        author: str = "",
    ) -> CorrectionView:  # fmt: skip
        """Make two chunks of one, cut `at` characters into its text. Raises like `change`."""

        def plan(state: _State) -> _Change:
            index = self._index(state, chunk_id)
            message = f"Split chunk {index + 1} of {state.document.filename}"
            edit = edit_of("split", state.passages, index, at=at)
            return _done(state, [edit], index, message, range(index, index + 2))

        return await self._commit(kb, document_id, ref, author, plan, chunk_id)

    async def merge(
        self, kb: str, document_id: str, chunk_ids: Sequence[str], *, ref: str = "main",
        author: str = "",
    ) -> CorrectionView:  # fmt: skip
        """Make one chunk of neighbours. Raises like `change`."""

        def plan(state: _State) -> _Change:
            found = sorted({self._index(state, chunk_id) for chunk_id in chunk_ids})
            if len(found) < 2 or found != list(range(found[0], found[-1] + 1)):
                raise bad_edit(
                    "Only chunks that follow each other can be merged.",
                    "Give two or more ids of neighbours in “chunk_ids”.",
                )
            first = found[0]
            message = f"Merge chunks {first + 1} to {found[-1] + 1} of {state.document.filename}"
            edit = edit_of("merge", state.passages, first, len(found))
            return _done(state, [edit], first, message, range(first, first + 1))

        return await self._commit(kb, document_id, ref, author, plan, *chunk_ids)

    async def settle(
        self, kb: str, document_id: str, number: int, action: Settle, *,
        content: str | None = None, chunk_id: str | None = None, ref: str = "main",
        author: str = "",
    ) -> CorrectionView:  # fmt: skip
        """Do an edit again that did not fit any more, or drop it.

        `number` counts the document's `edit_conflicts` from 0. It is done to `chunk_id`, else to
        the chunk that holds most of its place. Raises like `change`.
        """

        def plan(state: _State) -> _Change:
            left = state.conflicts
            if not 0 <= number < len(left):
                raise NotFound("conflict", str(number))
            conflict = left.pop(number)
            name = state.document.filename
            if action == "drop":
                message = f"Drop an edit of {name} that did not fit any more"
                return _Change(state.passages, state.edits, left, message, range(0))
            index = nearest(state.passages, conflict)
            if chunk_id is not None:
                index = self._index(state, chunk_id)
            if index is None:
                raise bad_edit(
                    "No chunk stands at the place of this edit any more.", "Drop the edit."
                )
            edit, count = _again(state.passages, conflict, index, content)
            message = f"Repeat an edit in chunk {index + 1} of {name}"
            return _done(state, [edit], index, message, range(index, index + count), left)

        return await self._commit(kb, document_id, ref, author, plan, chunk_id or "")

    async def restore(
        self, kb: str, document_id: str, version_id: str, *, expected: str | None = None,
        ref: str = "main", author: str = "", message: str = "",
    ) -> CorrectionView:  # fmt: skip
        """Bring an earlier version of a document back: the way to undo any change of it.

        With `expected`, only while the document stands at that version. Raises NotFound, Conflict.
        """

        def work() -> CorrectionView:
            state = self._state(kb, document_id, ref)
            commit = self._repository.restore_version(
                state.base.id,
                ref,
                document_id,
                version_id,
                expected or state.version.id,
                author,
                message or f"Restore an earlier version of {state.document.filename}",
            )
            return CorrectionView(
                commit=commit_view(commit),
                document_id=document_id,
                version_id=version_id,
                previous_version_id=state.version.id,
            )

        with in_own_words():
            view = await call(work)
            await self._knowledge.touch(kb)
        return view

    async def history(
        self, kb: str, document_id: str, ref: str = "main", limit: int = 50, offset: int = 0
    ) -> Page[DocumentCommitView]:
        """Commits that touched a document, newest first, with the version that each left."""

        def read() -> Page[DocumentCommitView]:
            row = self._repository.find(kb)
            self._repository.document(row.id, document_id)
            found, total = self._repository.document_commits(
                row.id, ref, document_id, limit, offset
            )
            items = [
                DocumentCommitView(**commit_view(commit).model_dump(), version_id=version)
                for commit, version in found
            ]
            return Page(items=items, total=total)

        return await call(read)

    async def _commit(
        self, kb: str, document_id: str, ref: str, author: str, plan: _Plan, *chunk_ids: str
    ) -> CorrectionView:
        for attempt in range(_ATTEMPTS):
            state = await call(self._state, kb, document_id, ref)
            change = await call(plan, state)
            if change is None:
                index = await call(self._index, state, chunk_ids[0])
                return _view(
                    state, state.commit, state.version, range(index, index + 1), state.rows
                )
            if len(change.edits) > MOST_EDITS:
                raise bad_edit(
                    f"{state.document.filename} has {MOST_EDITS:,} corrections, which is the most.",
                    "Correct the file itself and upload it again.",
                )
            version = _successor(state.version)
            carried = Carried(change.passages, change.edits, change.conflicts)
            try:
                stored = await self._knowledge.versions.store(
                    state.base, ref, version, carried, over=state.version.id, author=author,
                    message=change.message,
                )  # fmt: skip
            except VersionMoved:
                if attempt + 1 == _ATTEMPTS:
                    raise
                continue
            first, count = change.touched.start, len(change.touched)
            rows, _ = await call(self._repository.chunk_window, version.id, max(count, 1), first)
            return _view(state, stored.commit, version, change.touched, rows)
        raise AssertionError("unreachable")

    def _state(self, kb: str, document_id: str, ref: str) -> _State:
        base = self._repository.find(kb)
        document = self._repository.document(base.id, document_id)
        commit = self._repository.head(base.id, ref)
        if commit is None:
            raise NotFound("branch", ref)
        version_id = self._repository.manifest(commit.id).get(document_id)
        if version_id is None:
            raise NotFound("document", document_id)
        version = self._repository.version(version_id)
        corrections = self._repository.corrections(version_id)
        rows, _ = self._repository.chunk_window(version_id, _ALL)
        passages = [
            Passage(
                chunk_value(cast(Any, row), document.filename, None, {}),
                disabled,
                corrections.sources.get(row.ordinal),
            )
            for row, disabled in rows
        ]
        return _State(base, document, commit, version, rows, passages, list(corrections.edits))

    def _index(self, state: _State, chunk_id: str) -> int:
        """Where a chunk is; one of an earlier version is what stands unchanged at its place."""
        for index, (row, _) in enumerate(state.rows):
            if row.id == chunk_id:
                return index
        old = self._repository.chunk(chunk_id)
        if old.document_id != state.document.id:
            raise NotFound("chunk", chunk_id)
        same = [
            index
            for index, (row, _) in enumerate(state.rows)
            if (row.start, row.end, row.content) == (old.start, old.end, old.content)
        ]
        if len(same) == 1:
            return same[0]
        raise Conflict(
            "This chunk was changed by somebody else, or cut anew, since it was loaded.",
            state.version.id,
            "Load the chunks of the document again and repeat the change on what is there now.",
        )


def _done(
    state: _State, edits: Sequence[Edit], index: int, message: str, touched: range,
    conflicts: list[Edit] | None = None,
) -> _Change:  # fmt: skip
    passages, made = state.passages, list(state.edits)
    for edit in edits:
        now = edit
        if edit["op"] in ("disable", "enable"):
            now = edit_of(edit["op"], passages, index)  # as its text is by now
        passages = apply(passages, now, index)
        before, made = made, joined(made, now)
        if now["op"] == "merge" and len(made) < len(before):
            # What was split last is whole again, with the white space it was split at.
            passages[index] = replaced(passages[index], before[-1]["was"])
    left = state.conflicts if conflicts is None else conflicts
    return _Change(passages, made, left, message, touched)


def _again(
    passages: Sequence[Passage], conflict: Edit, index: int, content: str | None
) -> tuple[Edit, int]:
    """A conflict as an edit of the chunk at `index`, and how many chunks come of it."""
    op = conflict["op"]
    if op == "replace":
        text = checked_text(conflict["text"] if content is None else content)
        return edit_of("replace", passages, index, text=text), 1
    if op == "split":
        at = conflict["at"]
        if conflict["start"] is not None and passages[index].chunk.start is not None:
            at += conflict["start"] - passages[index].chunk.start
        return edit_of("split", passages, index, at=at), 2
    if op == "merge":
        if index + 1 >= len(passages):
            raise bad_edit("There is no chunk behind this one to merge with.", "Drop the edit.")
        return edit_of("merge", passages, index, 2), 1
    return edit_of(op, passages, index), 1


def _successor(version: tables.DocumentVersion) -> tables.DocumentVersion:
    fields = {name: getattr(version, name) for name in tables.DocumentVersion.model_fields}
    return tables.DocumentVersion(**{**fields, "id": "", "created_at": time.time()})


def _view(
    state: _State, commit: tables.Commit, version: tables.DocumentVersion, touched: range,
    rows: Sequence[tuple[tables.Chunk, bool]],
) -> CorrectionView:  # fmt: skip
    wanted = {id_of_chunk(version.id, ordinal) for ordinal in touched}
    return CorrectionView(
        commit=commit_view(commit),
        document_id=state.document.id,
        version_id=version.id,
        previous_version_id=state.version.id,
        chunks=[
            chunk_view(row, state.document.filename, disabled=disabled)
            for row, disabled in rows
            if row.id in wanted
        ],
    )
