"""Tables of chats with workflows. Times are seconds since the epoch (UTC)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Column, Index
from sqlmodel import Field, SQLModel


def _json(*, nullable: bool = False) -> Any:
    return Column(JSON, nullable=nullable)


class ChatLink(SQLModel, table=True):
    """A way into the chat of a workflow for people without a key. Its token is derived from the id."""

    __tablename__ = "chat_link"
    id: str = Field(primary_key=True)
    workflow_id: str = Field(index=True)
    name: str = ""
    greeting: str = ""
    #: Origins whose pages may show the chat in a frame: ["https://example.org"].
    origins: list[str] = Field(default_factory=list, sa_column=_json())
    created_at: float
    revoked_at: float | None = None


class Chat(SQLModel, table=True):
    """One conversation of one person with one workflow."""

    __tablename__ = "chat"
    __table_args__ = (Index("chat_by_visitor", "workflow_id", "visitor", "updated_at"),)
    id: str = Field(primary_key=True)
    workflow_id: str
    link_id: str | None = Field(default=None, index=True)
    #: Who talks: "page", "key:…", or the hash of what a visitor's browser keeps.
    visitor: str
    title: str = ""
    created_at: float
    updated_at: float


class ChatMessage(SQLModel, table=True):
    """A question or an answer of a chat."""

    __tablename__ = "chat_message"
    __table_args__ = (Index("chat_message_in_order", "chat_id", "ordinal", unique=True),)
    id: str = Field(primary_key=True)
    chat_id: str = Field(foreign_key="chat.id")
    ordinal: int
    #: user or assistant
    role: str
    #: done, running, waiting, failed or cancelled
    status: str = "done"
    text: str = ""
    #: The whole value of an answer with its citations.
    answer: dict[str, Any] | None = Field(default=None, sa_column=_json(nullable=True))
    error: dict[str, Any] | None = Field(default=None, sa_column=_json(nullable=True))
    run_id: str | None = Field(default=None, index=True)
    #: 1 helpful, -1 not helpful
    rating: int | None = None
    comment: str = ""
    created_at: float
