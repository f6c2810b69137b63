"""Chats with workflows: who asked what, what was answered, and what people thought of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, func
from sqlmodel import Session, col, select

from storage.chat_tables import Chat, ChatLink, ChatMessage
from storage.database import Database
from storage.errors import Conflict, NotFound
from storage.ids import new_id
from storage.tables import Workflow

_TITLE = 80

_Chats = list[Chat]
_Messages = list[ChatMessage]


class ChatRepository:
    """Chats, messages and links in SQL."""

    def __init__(self, db: Database) -> None:
        self._db = db

    # ---- chats ----
    def create(
        self, workflow_id: str, visitor: str, link_id: str | None = None, *, keep: int = 200
    ) -> Chat:
        """Begin a chat; of a visitor's chats with this workflow the newest `keep` stay."""
        now = time.time()
        chat = Chat(
            id=new_id("chat"),
            workflow_id=workflow_id,
            link_id=link_id,
            visitor=visitor,
            created_at=now,
            updated_at=now,
        )
        with self._db.write() as session:
            _workflow(session, workflow_id)
            session.add(chat)
            session.flush()
            mine = _of(workflow_id, visitor)
            old = session.exec(
                select(Chat.id).where(*mine).order_by(*_NEWEST).offset(keep).limit(1_000)
            ).all()
            self._remove(session, old)
        return chat

    def list(
        self, workflow_id: str, visitor: str, limit: int = 50, offset: int = 0
    ) -> tuple[_Chats, int]:
        """Chats of a visitor with a workflow that hold a message, newest first; and how many."""
        query = select(Chat).where(*_of(workflow_id, visitor), col(Chat.title) != "")
        with self._db.read() as session:
            total = session.exec(select(func.count()).select_from(query.subquery())).one()
            page = query.order_by(*_NEWEST).limit(limit).offset(offset)
            return list(session.exec(page).all()), total

    def get(self, chat_id: str, workflow_id: str, visitor: str) -> tuple[Chat, _Messages]:
        """A chat with its messages in order; NotFound also where it is somebody else's."""
        messages = (
            select(ChatMessage)
            .where(col(ChatMessage.chat_id) == chat_id)
            .order_by(col(ChatMessage.ordinal))
        )
        with self._db.read() as session:
            chat = _mine(session, chat_id, workflow_id, visitor)
            return chat, list(session.exec(messages).all())

    def delete(self, chat_id: str, workflow_id: str, visitor: str) -> None:
        """Remove a chat and its messages."""
        with self._db.write() as session:
            _mine(session, chat_id, workflow_id, visitor)
            self._remove(session, [chat_id])

    def ask(self, chat_id: str, text: str, *, most: int) -> tuple[ChatMessage, ChatMessage]:
        """Add a question and the answer to come, in one transaction.

        Raises Conflict where an answer is still on its way, or the chat has `most` messages.
        """
        now = time.time()
        with self._db.write() as session:
            chat = session.get(Chat, chat_id, with_for_update=True)
            if chat is None:
                raise NotFound("chat", chat_id)
            mine = col(ChatMessage.chat_id) == chat_id
            last = session.exec(
                select(ChatMessage).where(mine).order_by(col(ChatMessage.ordinal).desc()).limit(1)
            ).first()
            if last is not None and last.status == "running":
                raise Conflict("The last question of this chat is still being answered.")
            ordinal = last.ordinal + 1 if last else 0
            if ordinal + 2 > most:
                raise Conflict(f"This chat is full: it holds {most} messages.")
            question, answer = (
                ChatMessage(
                    id=new_id("msg"),
                    chat_id=chat_id,
                    ordinal=ordinal + place,
                    role=role,
                    status=status,
                    text=said,
                    created_at=now,
                )
                for place, (role, status, said) in enumerate(
                    (("user", "done", text), ("assistant", "running", ""))
                )
            )
            session.add_all([question, answer])
            chat.title = chat.title or " ".join(text.split())[:_TITLE]
            chat.updated_at = now
        return question, answer

    def update(self, message_id: str, **values: Any) -> ChatMessage:
        """Write down what became of a message."""
        with self._db.write() as session:
            message = session.get(ChatMessage, message_id)
            if message is None:
                raise NotFound("message", message_id)
            for name, value in values.items():
                setattr(message, name, value)
        return message

    def evaluation(
        self, workflow_id: str, limit: int, offset: int
    ) -> tuple[Sequence[tuple[ChatMessage, ChatMessage]], int]:
        """(question, answer) pairs that people rated, newest first; and how many."""
        answers = (
            select(ChatMessage)
            .join(Chat, col(Chat.id) == col(ChatMessage.chat_id))
            .where(col(Chat.workflow_id) == workflow_id, col(ChatMessage.rating).is_not(None))
        )
        page = answers.order_by(col(ChatMessage.created_at).desc(), col(ChatMessage.id))
        with self._db.read() as session:
            total = session.exec(select(func.count()).select_from(answers.subquery())).one()
            rated = session.exec(page.limit(limit).offset(offset)).all()
            pairs = []
            for answer in rated:
                question = session.exec(
                    select(ChatMessage).where(
                        col(ChatMessage.chat_id) == answer.chat_id,
                        col(ChatMessage.ordinal) == answer.ordinal - 1,
                    )
                ).one()
                pairs.append((question, answer))
        return pairs, total

    def unanswered(self) -> Sequence[ChatMessage]:
        """Answers that are on their way, or were when a process died."""
        query = select(ChatMessage).where(col(ChatMessage.status) == "running")
        with self._db.read() as session:
            return session.exec(query).all()

    def forget_orphans(self) -> int:
        """Remove chats and links of workflows that are gone; returns how many chats."""
        gone = col(Chat.workflow_id).not_in(select(Workflow.id))
        with self._db.write() as session:
            ids = session.exec(select(Chat.id).where(gone)).all()
            self._remove(session, ids)
            session.exec(
                delete(ChatLink).where(col(ChatLink.workflow_id).not_in(select(Workflow.id)))
            )
        return len(ids)

    # ---- links ----
    def create_link(
        self, workflow_id: str, *, name: str, greeting: str, origins: Sequence[str]
    ) -> ChatLink:
        """Make a way in."""
        link = ChatLink(
            id=new_id("link"),
            workflow_id=workflow_id,
            name=name,
            greeting=greeting,
            origins=list(origins),
            created_at=time.time(),
        )
        with self._db.write() as session:
            _workflow(session, workflow_id)
            session.add(link)
        return link

    def links(self, workflow_id: str) -> Sequence[ChatLink]:
        """Links that work, newest first."""
        query = select(ChatLink).where(
            col(ChatLink.workflow_id) == workflow_id, col(ChatLink.revoked_at).is_(None)
        )
        with self._db.read() as session:
            return session.exec(query.order_by(col(ChatLink.created_at).desc())).all()

    def link(self, link_id: str) -> ChatLink:
        """A link that works; raises NotFound."""
        with self._db.read() as session:
            link = session.get(ChatLink, link_id)
            if link is None or link.revoked_at is not None:
                raise NotFound("chat link", link_id)
            _workflow(session, link.workflow_id)
        return link

    def revoke_link(self, workflow_id: str, link_id: str) -> None:
        """Close a link; its chats stay."""
        with self._db.write() as session:
            link = session.get(ChatLink, link_id)
            if link is None or link.workflow_id != workflow_id:
                raise NotFound("chat link", link_id)
            link.revoked_at = link.revoked_at or time.time()

    def _remove(self, session: Session, ids: Sequence[str]) -> None:
        if ids:
            session.exec(delete(ChatMessage).where(self._db.among(ChatMessage.chat_id, ids)))
            session.exec(delete(Chat).where(self._db.among(Chat.id, ids)))


_NEWEST = (col(Chat.updated_at).desc(), col(Chat.id))


def _of(workflow_id: str, visitor: str) -> tuple[Any, Any]:
    return col(Chat.workflow_id) == workflow_id, col(Chat.visitor) == visitor


def _workflow(session: Session, workflow_id: str) -> None:
    workflow = session.get(Workflow, workflow_id)
    if workflow is None or workflow.deleted_at is not None:
        raise NotFound("workflow", workflow_id)


def _mine(session: Session, chat_id: str, workflow_id: str, visitor: str) -> Chat:
    chat = session.get(Chat, chat_id)
    if chat is None or chat.workflow_id != workflow_id or chat.visitor != visitor:
        raise NotFound("chat", chat_id)
    return chat
