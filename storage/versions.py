"""The transactions that add to the history of a knowledge base: commits and branches."""

from __future__ import annotations

import itertools
import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlmodel import Session

from storage import commits, manifests
from storage import corrections as corrected
from storage.ancestry import COMMIT_PREFIX, Ancestry
from storage.corrections import Corrections, check_unmoved
from storage.errors import Conflict, ModelsMoved, NotFound
from storage.ids import chunk_id, text_hash, version_id
from storage.tables import (
    Chunk,
    Commit,
    DocumentVersion,
    Ref,
    Vector,
)
from storage.version_rows import NewChunk, add_version

if TYPE_CHECKING:
    import numpy as np

Change = Literal["added", "updated", "unchanged"]
_UNCHANGED: Change = "unchanged"

_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")
#: In the summary of a commit: the commit whose content it brought back.
RESTORED = "restored"
#: Documents that are looked up one by one in a manifest; of more it is read as a whole.
_FEW = 64


class History(Ancestry):
    """Adds commits and branches; part of `KnowledgeRepository`."""

    def create_branch(
        self,
        kb_id: str,
        name: str,
        from_ref: str = "main",
        models: Mapping[str, Any] | None = None,
        reembedding: Mapping[str, Any] | None = None,
    ) -> Ref:
        """Start a branch at a branch or commit. Costs one row, plus one line of the index log for
        each version there that no branch held any more. `models` are for what comes later; else
        those of the branch it starts at. `reembedding` is what is noted of its embedding anew."""
        if not _BRANCH.fullmatch(name) or COMMIT_PREFIX.fullmatch(name):
            raise Conflict(
                f"'{name}' cannot name a branch.",
                fix="Use letters, digits and . _ / -, beginning with a letter or digit, and not "
                "only hexadecimal digits.",
            )
        start = self.resolve(kb_id, from_ref)
        with self._db.write() as session:
            commits.lock_base(session, kb_id)
            if session.get(Ref, (kb_id, name)) is not None:
                raise Conflict(
                    f"There is a branch '{name}' already.", name, fix="Choose another name."
                )
            now = time.time()
            for version in sorted(self._held_by_no_branch(session, kb_id, start)):
                commits.log_line(session, kb_id, "add", version, now)
            origin = session.get(Ref, (kb_id, from_ref))
            if models is None and origin is not None:
                models = origin.models
            ref = Ref(
                knowledge_base_id=kb_id,
                name=name,
                commit_id=start.id,
                updated_at=now,
                models=None if models is None else dict(models),
                reembedding=None if reembedding is None else dict(reembedding),
            )
            session.add(ref)
        return ref

    def commit_document(
        self,
        kb_id: str,
        ref: str,
        version: DocumentVersion,
        chunks: Sequence[Chunk | NewChunk],
        vectors: Mapping[str, np.ndarray],
        model: str,
        author: str = "",
        message: str = "",
        *,
        corrections: Corrections | None = None,
        over: str | None = None,
        exact: bool = False,
        others: Mapping[str, Mapping[str, np.ndarray]] | None = None,
        models: Mapping[str, Any] | None = None,
        within: Callable[[Session, str, int], None] | None = None,
    ) -> tuple[Commit, Change]:
        """Make `version` the state of its document on a branch, in one transaction.

        `vectors` holds the unit embeddings (float32, one dimension) that are new, by text hash;
        `others` those of other models, by model, where the version has one for each language.
        Ids of the version and its chunks follow from their content and are filled in here. Calling
        it again with the same version changes nothing. Raises VectorsMissing when a chunk has
        neither a new nor a stored vector.

        `over` is the version whose edits `corrections` hold: VersionMoved where the branch holds
        other edits, or with `exact` any other version. `models` is what `models_of` gave when the
        chunks were embedded: ModelsMoved where it gives something else by now.

        `within` is called with the session, the change and the number of chunks at the end of the
        transaction: what it writes is committed along, what it raises undoes everything.
        """
        identify(kb_id, version, chunks, corrections or Corrections())
        rows = vector_rows(model, vectors)
        for other, more in (others or {}).items():
            rows += vector_rows(other, more)
        with self._db.write() as session:
            commits.lock_base(session, kb_id)
            head = commits.require_head(session, kb_id, ref)
            before = manifests.lookup(session, head.manifest_id, version.document_id)
            commit, change = head, _UNCHANGED
            if before != version.id:
                check_unmoved(session, version.document_id, before, over, exact=exact)
                if models is not None and models != commits.models_of(session, kb_id, ref):
                    raise ModelsMoved(ref)
                self._keep_version(session, version, chunks, rows, corrections)
                edit = Edit(version.document_id, before, version.id)
                commit = self._advance(session, kb_id, ref, head, [edit], author, message)
                change = edit.change
            if within is not None:
                within(session, change, len(chunks))
            return commit, change

    def restore_version(
        self,
        kb_id: str,
        ref: str,
        document_id: str,
        version_id: str,
        expected: str,
        author: str = "",
        message: str = "",
    ) -> Commit:
        """Make an earlier version of a document its state again, if it stands at `expected` now.

        Raises NotFound, VersionMoved.
        """  # fmt: skip
        with self._db.write() as session:
            commits.lock_base(session, kb_id)
            head = commits.require_head(session, kb_id, ref)
            before = manifests.lookup(session, head.manifest_id, document_id)
            wanted = session.get(DocumentVersion, version_id)
            if wanted is None or wanted.document_id != document_id:
                raise NotFound("document version", version_id)
            check_unmoved(session, document_id, before, expected, exact=True)
            if before == version_id:
                return head
            edit = Edit(document_id, before, version_id)
            return self._advance(session, kb_id, ref, head, [edit], author, message)

    def remove_document(
        self, kb_id: str, ref: str, document_id: str, author: str = "", message: str = ""
    ) -> Commit:
        """Take a document off a branch; its history stays. Raises NotFound when it is not there."""
        with self._db.write() as session:
            commits.lock_base(session, kb_id)
            head = commits.require_head(session, kb_id, ref)
            before = manifests.lookup(session, head.manifest_id, document_id)
            if before is None:
                raise NotFound("document", document_id)
            edit = Edit(document_id, before, None)
            return self._advance(session, kb_id, ref, head, [edit], author, message)

    def _held_by_no_branch(self, session: Session, kb_id: str, commit: Commit) -> set[str]:
        heads = commits.head_manifests(session, kb_id)
        if commit.manifest_id in heads:
            return set()
        versions = set(manifests.load(self._db, session, commit.manifest_id).values())
        for manifest_id in heads:
            versions -= set(manifests.load(self._db, session, manifest_id).values())
        return versions

    def _keep_version(
        self,
        session: Session,
        version: DocumentVersion,
        chunks: Sequence[Chunk | NewChunk],
        vectors: list[dict[str, object]],
        kept: Corrections | None,
    ) -> None:
        if vectors:
            self._db.insert_missing(session, Vector, vectors)
        fresh = {(row["model"], row["text_hash"]) for row in vectors}
        if add_version(self._db, session, version, chunks, fresh) and kept is not None:
            corrected.keep(session, version, kept)

    def _advance(
        self,
        session: Session,
        kb_id: str,
        ref: str,
        head: Commit,
        edits: Sequence[Edit],
        author: str,
        message: str,
        *,
        merged: Commit | None = None,
        restored: Commit | None = None,
    ) -> Commit:
        """Write what edits change: buckets, a manifest, a commit, the branch, the log.

        `merged` is the other parent of a merge, `restored` the commit whose content comes back.
        """
        manifest_id = manifests.replace(
            self._db, session, head.manifest_id, {edit.document_id: edit.after for edit in edits}
        )
        summary: defaultdict[str, list[str]] = defaultdict(list)
        for edit in edits:
            summary[edit.kind].append(edit.document_id)
        if restored is not None:
            summary[RESTORED].append(restored.id)
        parents = [head] if merged is None else [head, merged]
        commit = commits.new_commit(
            kb_id, parents, manifest_id, summary=dict(summary), author=author, message=message
        )
        commits.move_head(session, ref, commit)
        others = [
            manifests.load(self._db, session, other)
            if len(edits) > _FEW
            else {e.document_id: manifests.lookup(session, other, e.document_id) for e in edits}
            for other in commits.head_manifests(session, kb_id, but=ref)
        ]
        for edit in edits:
            elsewhere = {other.get(edit.document_id) for other in others}
            if edit.before is not None and edit.before not in elsewhere:
                commits.log_line(session, kb_id, "remove", edit.before, commit.created_at)
            if edit.after is not None and edit.after not in elsewhere:
                commits.log_line(session, kb_id, "add", edit.after, commit.created_at)
        return commit


@dataclass(frozen=True)
class Edit:
    """One document's step from a version (None: absent) to another."""

    document_id: str
    before: str | None
    after: str | None

    @property
    def kind(self) -> str:
        """Where a commit's summary lists it."""
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"

    @property
    def change(self) -> Change:
        """What became of the document."""
        return "added" if self.before is None else "updated"


def identify(
    kb_id: str, version: DocumentVersion, chunks: Sequence[Chunk | NewChunk], kept: Corrections
) -> None:
    """Fill in the ids of a version and its chunks, which follow from their content."""
    version.id = version_id(version.document_id, version.content_hash, version.config_hash)
    version.knowledge_base_id = kb_id
    version.chunk_count = len(chunks)
    free = (n for n in itertools.count() if n not in kept.disabled)
    for ordinal, chunk in (*zip(free, chunks, strict=False), *kept.disabled.items()):
        chunk.id = chunk_id(version.id, ordinal)
        chunk.version_id = version.id
        chunk.document_id = version.document_id
        chunk.ordinal = ordinal
        chunk.text_hash = text_hash(chunk.content if chunk.embed_text is None else chunk.embed_text)


def vector_rows(model: str, vectors: Mapping[str, np.ndarray]) -> list[dict[str, object]]:
    """Rows of unit vectors, given by text hash."""
    # Sorted, so that two PostgreSQL transactions take their rows in the same order.
    return [
        {
            "model": model,
            "text_hash": key,
            "dim": int(vectors[key].shape[0]),
            "data": vectors[key].astype("<f4", copy=False).tobytes(),
        }
        for key in sorted(vectors)
    ]
