"""Taking a branch over into `main`, going back to an earlier commit, and deleting a branch: nothing
of them is lost.

The first two are commits on `main`, so that history tells what was where; each can be taken back.
Each is one transaction: whoever reads meets either what was there before, or all of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from sqlmodel import Session, col, select

from storage import commits, manifests
from storage.errors import Conflict
from storage.job_rows import OPEN_JOBS
from storage.model_use import ModelUse
from storage.tables import (
    Commit,
    Document,
    DocumentVersion,
    Job,
    KnowledgeBase,
    Ref,
    VersionEdits,
)
from storage.versions import RESTORED, Edit
from storage.workflows import NEWEST_GRAPHS

MAIN = "main"
#: Whose version of a document wins where both sides changed it.
Side = Literal["branch", "main"]
#: Names of documents that an error lists.
_LISTED = 5


class Move(NamedTuple):
    """Where `main` was, and where it is now; the same commit where nothing had to be changed."""

    before: Commit
    after: Commit


class MergeConflict(Conflict):
    """Documents were changed on both sides."""

    code = "merge_conflict"

    def __init__(self, branch: str, filenames: list[str]) -> None:
        listed = ", ".join(filenames[:_LISTED])
        more = f" and {len(filenames) - _LISTED} more" if len(filenames) > _LISTED else ""
        super().__init__(
            f"Changed on “{branch}” and on main: {listed}{more}.",
            fix="Say whose version to take: prefer “branch” or “main”. The other one stays in the "
            "history.",
        )
        self.filenames = filenames


class Merging(ModelUse):
    """Merges into `main`; part of `KnowledgeRepository`."""

    def adopt(
        self,
        kb_id: str,
        branch: str,
        author: str = "",
        message: str = "",
        *,
        prefer: Side | None = None,
        reembedding: Mapping[str, Any] | None = None,
    ) -> Move:
        """Merge a branch into `main` in one commit, and have `main` use the branch's models.

        Where it has such, `reembedding` is noted: that `main` is to be embedded by them.

        Each document is what it is on the side that changed it since the branch began. Being
        embedded anew is no change: of a document that was replaced on `main` meanwhile, the newer
        text wins. Raises NotFound, MergeConflict where both changed one and nobody is preferred.
        """
        with self._db.write() as session:
            commits.lock_base(session, kb_id)
            ours = commits.require_head(session, kb_id, MAIN)
            theirs = commits.require_head(session, kb_id, branch)
            commit = ours
            past = self._past(session, kb_id, ours.id)
            if theirs.id not in past:
                origin = next(id for id in self._past(session, kb_id, theirs.id) if id in past)
                edits = self._merged(session, origin, ours, theirs, branch, prefer)
                commit = self._advance(
                    session, kb_id, MAIN, ours, edits, author, message, merged=theirs
                )
            models = session.get_one(Ref, (kb_id, branch)).models
            if models is not None:
                self._settle(session, kb_id, models)
                main = session.get_one(Ref, (kb_id, MAIN))
                main.reembedding = {**(reembedding or {}), "models": models}
            return Move(ours, commit)

    def taken_over(self, kb_id: str, branches: Sequence[Ref]) -> set[str]:
        """Names of those branches of which `main` holds all, and whose models are used."""
        with self._db.read() as session:
            ours = commits.require_head(session, kb_id, MAIN)
            used = commits.models_of(session, kb_id, MAIN)
            config = session.get_one(KnowledgeBase, kb_id).config
            alike = [ref for ref in branches if commits.chosen_models(ref.models, config) == used]
            past = self._past(session, kb_id, ours.id) if alike else {}
            return {ref.name for ref in alike if ref.commit_id in past}

    def delete_branch(self, kb_id: str, name: str, check: Callable[[], None] = lambda: None) -> Ref:
        """Take a branch away; its commits, versions and vectors stay, so that one that starts at
        its last commit holds all of it again.

        `check` is called when no workflow can be saved any more until the branch is gone, and on
        SQLite nothing be written at all, so it has to be quick; what it raises keeps the branch.
        Raises NotFound, and Conflict for `main` or while files are on their way to it.
        """
        if name == MAIN:
            raise Conflict(
                "main is what search, workflows and pages use; it cannot be deleted.",
                fix="Name a copy. What main holds goes with its documents, or with the whole "
                "knowledge base.",
            )
        with self._db.write() as session:
            commits.lock_base(session, kb_id)
            head = commits.require_head(session, kb_id, name)
            under_way = select(Job.id).where(
                col(Job.knowledge_base_id) == kb_id,
                col(Job.branch) == name,
                col(Job.status).in_(OPEN_JOBS),
            )
            if session.exec(under_way.limit(1)).first() is not None:
                raise Conflict(
                    f"Files are on their way to “{name}”.",
                    fix="Wait for them, or cancel their jobs first.",
                )
            self._db.hold(session, NEWEST_GRAPHS, alone=True)
            check()
            ref = session.get_one(Ref, (kb_id, name))
            gone = Ref(**ref.model_dump())
            session.delete(ref)
            session.flush()
            now = time.time()
            for version in sorted(self._held_by_no_branch(session, kb_id, head)):
                commits.log_line(session, kb_id, "remove", version, now)
        return gone

    def go_back(
        self,
        kb_id: str,
        to: Commit,
        author: str = "",
        message: str = "",
        *,
        models: Mapping[str, Any] | None = None,
    ) -> Move:
        """Make `main` hold what it held at an earlier commit, in a new commit; and use `models`.

        That it is to be embedded by others is forgotten.
        """
        with self._db.write() as session:
            commits.lock_base(session, kb_id)
            head = commits.require_head(session, kb_id, MAIN)
            now = manifests.load(self._db, session, head.manifest_id)
            then = manifests.load(self._db, session, to.manifest_id)
            edits = [
                Edit(document, now.get(document), then.get(document))
                for document in sorted({*now, *then})
                if now.get(document) != then.get(document)
            ]
            if models is not None:
                self._settle(session, kb_id, models)
            session.get_one(Ref, (kb_id, MAIN)).reembedding = None
            if not edits:
                return Move(head, head)
            after = self._advance(session, kb_id, MAIN, head, edits, author, message, restored=to)
            return Move(head, after)

    def _settle(self, session: Session, kb_id: str, models: Mapping[str, Any]) -> None:
        """The models of `main` are those of the knowledge base."""
        base = session.get_one(KnowledgeBase, kb_id)
        base.config = {**base.config, **models}
        session.get_one(Ref, (kb_id, MAIN)).models = None

    def _past(self, session: Session, kb_id: str, commit_id: str) -> dict[str, None]:
        """A commit and those that its content comes from, newest first.

        What was gone back from is no part of it: it can be taken over once more.
        """
        rows = session.exec(
            select(Commit.id, Commit.parents, Commit.summary, Commit.created_at).where(
                col(Commit.knowledge_base_id) == kb_id
            )
        )
        known = {id: (said.get(RESTORED) or parents, at) for id, parents, said, at in rows}
        return dict.fromkeys(commits.walk(commit_id, known))

    def _merged(
        self,
        session: Session,
        origin: str,
        ours: Commit,
        theirs: Commit,
        branch: str,
        prefer: Side | None,
    ) -> list[Edit]:
        manifest_ids = (session.get_one(Commit, origin).manifest_id, ours.manifest_id)
        before, here = (manifests.load(self._db, session, id) for id in manifest_ids)
        there = manifests.load(self._db, session, theirs.manifest_id)
        edits, both = [], []
        for document in sorted({*before, *here, *there}):
            was, mine, other = before.get(document), here.get(document), there.get(document)
            if other in (mine, was):
                continue
            if mine == was:
                edits.append(Edit(document, mine, other))
            else:
                both.append((document, was, mine, other))
        meant = self._meant(session, {id for _, *ids in both for id in ids if id is not None})
        clashes = []
        for document, was, mine, other in both:
            origin_text, my_text, other_text = (meant.get(id or "") for id in (was, mine, other))
            if other_text == origin_text:
                continue  # The branch only embedded it anew: what came to main is newer.
            if my_text in (origin_text, other_text) or prefer == "branch":
                edits.append(Edit(document, mine, other))
            elif prefer is None:
                clashes.append(document)
        if clashes:
            raise MergeConflict(branch, self._filenames(session, clashes))
        return edits

    def _meant(self, session: Session, version_ids: Iterable[str]) -> dict[str, Any]:
        """What versions are, whatever they are embedded by: file, processing and corrections."""
        ids = list(version_ids)
        query = select(
            DocumentVersion.id, DocumentVersion.content_hash, DocumentVersion.processing
        ).where(self._db.among(DocumentVersion.id, ids))
        edits = dict(
            session.exec(
                select(VersionEdits.version_id, VersionEdits.edits).where(
                    self._db.among(VersionEdits.version_id, ids)
                )
            ).all()
        )
        return {
            id: (content, processing, edits.get(id, []))
            for id, content, processing in session.exec(query)
        }

    def _filenames(self, session: Session, documents: list[str]) -> list[str]:
        query = select(Document.filename).where(self._db.among(Document.id, documents))
        return sorted(session.exec(query).all())
