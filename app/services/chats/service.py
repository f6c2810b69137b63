"""Chats: a conversation with a workflow, kept, rated, and open to others through a link."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.engine.events import NodeWaiting, TokenEvent
from app.engine.graph import Graph
from app.engine.problems import RagloomError
from app.services.chats.views import (
    ChatLinkView,
    ChatView,
    MessageView,
    RatedAnswer,
    chat_view,
    checked_origins,
    conversation,
    message_view,
    outcome,
    question_name,
    rated_answer,
)
from app.services.clock import iso
from app.services.problems import explain
from app.services.threads import call
from app.services.views import Page

if TYPE_CHECKING:
    from app.services.runs.service import RunService
    from app.services.workflows.service import WorkflowService
    from storage.chat_tables import ChatLink
    from storage.chats import ChatRepository

log = logging.getLogger(__name__)

#: Id of the last event of an answer.
LAST_EVENT = "end"
MAX_QUESTION_CHARS = 4_000
MAX_COMMENT_CHARS = 2_000
MAX_MESSAGES = 400
#: Questions one visitor of a link may ask in a minute.
_PER_MINUTE = 20
_MAX_VISITORS = 10_000
_UNDER_WAY = ("queued", "running", "waiting")
_LOOK_AGAIN_S = 1.0
_STOPPED = {
    "code": "server_stopped",
    "message": "The server was stopped while it answered.",
    "fix": "Ask again.",
}
#: Why there is no answer, as people with a link are told it; the others read the error itself.
_NO_ANSWER = {
    "code": "no_answer",
    "message": "There is no answer right now.",
    "fix": "Ask again later, or tell whoever sent you the link.",
}
_SAID_TO_ALL = ("busy", "run_timeout", "server_stopped", "query_too_long")


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who talks with which workflow; a person who came through a link has `link_id`."""

    workflow_id: str
    name: str
    link_id: str | None = None


class ChatService:
    """Conversations with workflows. A question is kept before it is answered."""

    def __init__(
        self, chats: ChatRepository, runs: RunService, workflows: WorkflowService, secret: str
    ) -> None:
        """`secret` signs links."""
        self._chats = chats
        self._runs = runs
        self._workflows = workflows
        self._secret = secret.encode()
        self._settling: dict[str, asyncio.Task[None]] = {}
        self._asked: dict[tuple[str | None, str], deque[float]] = {}

    async def open(self) -> None:
        """Go on with the answers that a stopped server left; runs are open by then."""
        await call(self._chats.forget_orphans)
        for message in await call(self._chats.unanswered):
            if message.run_id is None:
                await call(self._chats.update, message.id, status="failed", error=_STOPPED)
            else:
                self._expect(message.id, message.run_id)

    async def close(self) -> None:
        """Wait until the answers of runs that were stopped before this are written down."""
        settling = list(self._settling.values())
        if settling:
            await asyncio.wait(settling, timeout=2)
        for task in settling:
            task.cancel()

    # ---- conversations ----
    async def create(self, visitor: Visitor) -> ChatView:
        """Begin a conversation."""
        chat = await call(self._chats.create, visitor.workflow_id, visitor.name, visitor.link_id)
        return chat_view(chat)

    async def list(self, visitor: Visitor, limit: int = 50, offset: int = 0) -> Page[ChatView]:
        """Conversations of a visitor, newest first."""
        await self._workflows.get(visitor.workflow_id)
        items, total = await call(
            self._chats.list, visitor.workflow_id, visitor.name, limit, offset
        )
        return Page(items=[chat_view(chat) for chat in items], total=total)

    async def get(self, visitor: Visitor, chat_id: str) -> ChatView:
        """A conversation with its messages."""
        chat = await self._whole(visitor, chat_id)
        messages = [_told(visitor, message) for message in chat.messages]
        return chat.model_copy(update={"messages": messages})

    async def delete(self, visitor: Visitor, chat_id: str) -> None:
        """Forget a conversation."""
        await call(self._chats.delete, chat_id, visitor.workflow_id, visitor.name)

    async def ask(self, visitor: Visitor, chat_id: str, text: str) -> MessageView:
        """Keep a question and start the run that answers it; returns the answer to come."""
        text = text.strip()
        if not text:
            raise RagloomError("The question is empty.", code="empty_query", fix="Type a question.")
        if len(text) > MAX_QUESTION_CHARS:
            raise RagloomError(
                f"The question has {len(text):,} characters; {MAX_QUESTION_CHARS:,} are accepted.",
                code="query_too_long",
                fix="Shorten it.",
            )
        self._slow_down(visitor)
        before = await self._whole(visitor, chat_id)
        workflow = await self._workflows.get(visitor.workflow_id)
        name = question_name(Graph.parse(workflow.graph))
        question, answer = await call(self._chats.ask, chat_id, text, most=MAX_MESSAGES)
        try:
            run_id = await self._runs.start(
                workflow_id=visitor.workflow_id,
                input_data={name: question.text, "history": conversation(before.messages)},
                trigger="chat",
                revision=workflow.revision,
            )
        except Exception as error:
            failed = await call(
                self._chats.update, answer.id, status="failed", error=explain(error).data()
            )
            return _told(visitor, message_view(failed))
        answer = await call(self._chats.update, answer.id, run_id=run_id)
        self._expect(answer.id, run_id)
        return _told(visitor, message_view(answer))

    async def follow(
        self, visitor: Visitor, chat_id: str, message_id: str, last_id: str = ""
    ) -> AsyncIterator[tuple[str, dict[str, Any], str]]:
        """What happens to an answer, each with an id: (token | waiting, data, id) …, and last
        (message, MessageView, LAST_EVENT).

        With `last_id`, what comes after the one of that id, as far as it is known.
        """
        message = await self.message(visitor, chat_id, message_id)
        if message.status == "running" and message.execution_id:
            stream = await self._runs.follow(message.execution_id, last_id)
            if stream is not None:
                async for event_id, event in stream:
                    if isinstance(event, TokenEvent):
                        yield "token", {"text": event.text}, event_id
                    elif isinstance(event, NodeWaiting):
                        yield "waiting", {}, event_id
            settling = self._settling.get(message_id)
            if settling is not None:
                await asyncio.wait([settling])
        final = await self.message(visitor, chat_id, message_id)
        # A server that stops may leave an answer on its way.
        over = LAST_EVENT if final.status != "running" else ""
        yield "message", _told(visitor, final).model_dump(mode="json"), over

    async def stop(self, visitor: Visitor, chat_id: str, message_id: str) -> MessageView:
        """Stop answering."""
        message = await self.message(visitor, chat_id, message_id)
        if message.status == "running" and message.execution_id:
            await self._runs.cancel(message.execution_id)
            settling = self._settling.get(message_id)
            if settling is not None:
                await asyncio.wait([settling], timeout=2)
        return _told(visitor, await self.message(visitor, chat_id, message_id))

    async def rate(
        self, visitor: Visitor, chat_id: str, message_id: str, rating: int | None, comment: str = ""
    ) -> MessageView:
        """Note whether an answer helped (1), did not (-1), or take that back (None)."""
        message = await self.message(visitor, chat_id, message_id)
        if message.role != "assistant" or message.status != "done":
            raise RagloomError(
                "Only an answer can be rated.", code="not_an_answer", fix="Rate an answer."
            )
        rated = await call(
            self._chats.update, message_id, rating=rating, comment=comment[:MAX_COMMENT_CHARS]
        )
        return _told(visitor, message_view(rated))

    async def evaluation_set(
        self, workflow_id: str, limit: int = 100, offset: int = 0
    ) -> Page[RatedAnswer]:
        """Answers that people rated, newest first, with their questions."""
        await self._workflows.get(workflow_id)
        pairs, total = await call(self._chats.evaluation, workflow_id, limit, offset)
        return Page(
            items=[rated_answer(question, answer) for question, answer in pairs], total=total
        )

    # ---- links ----
    async def share(
        self, workflow_id: str, *, name: str = "", greeting: str = "", origins: Sequence[str] = ()
    ) -> ChatLinkView:
        """Make a link; pages of `origins` may show the chat in a frame."""
        link = await call(
            self._chats.create_link,
            workflow_id,
            name=name.strip()[:200],
            greeting=greeting.strip()[:1_000],
            origins=checked_origins(origins),
        )
        return self._link_view(link)

    async def links(self, workflow_id: str) -> Sequence[ChatLinkView]:
        """Links that work, newest first."""
        await self._workflows.get(workflow_id)
        return [self._link_view(link) for link in await call(self._chats.links, workflow_id)]

    async def revoke(self, workflow_id: str, link_id: str) -> None:
        """Close a link."""
        await call(self._chats.revoke_link, workflow_id, link_id)

    async def link_of(self, token: str) -> ChatLinkView:
        """The link that a token opens; NotFound also for a token that nobody made."""
        link_id, _, signature = token.partition(".")
        given = signature.encode("utf-8", "surrogatepass")  # of plain text, only ASCII is compared
        if not hmac.compare_digest(given, self._sign(link_id).encode()):
            raise RagloomError(
                "This chat link does not work (any more).",
                code="not_found",
                fix="Ask whoever sent it for a new one.",
            )
        return self._link_view(await call(self._chats.link, link_id))

    def visitor_of(self, link: ChatLinkView, browser: str) -> Visitor:
        """Who came through a link, by what their browser keeps; only its hash is stored."""
        name = hashlib.sha256(f"{link.link_id}:{browser}".encode()).hexdigest()[:32]
        return Visitor(link.workflow_id, name, link.link_id)

    # ---- inside ----
    def _expect(self, message_id: str, run_id: str) -> None:
        task = asyncio.create_task(self._settle(message_id, run_id), name=f"chat {message_id}")
        self._settling[message_id] = task
        task.add_done_callback(lambda _: self._settling.pop(message_id, None))

    async def _settle(self, message_id: str, run_id: str) -> None:
        """Write down how the run of an answer ended, whoever watches."""
        try:
            run = await self._runs.wait(run_id)
            while run.status in _UNDER_WAY:  # in another process, or waiting for a person
                await asyncio.sleep(_LOOK_AGAIN_S)
                run = await self._runs.wait(run_id)
            values = outcome(run)
            await call(self._chats.update, message_id, **values)
        except Exception as error:
            log.exception("The answer %s could not be kept", message_id)
            await call(self._chats.update, message_id, status="failed", error=explain(error).data())

    async def _whole(self, visitor: Visitor, chat_id: str) -> ChatView:
        chat, messages = await call(self._chats.get, chat_id, visitor.workflow_id, visitor.name)
        return chat_view(chat, messages)

    async def message(self, visitor: Visitor, chat_id: str, message_id: str) -> MessageView:
        """One message as it is kept, with what only builders are told."""
        chat = await self._whole(visitor, chat_id)
        found = next((m for m in chat.messages if m.message_id == message_id), None)
        if found is None:
            raise RagloomError(
                "There is no such message.", code="not_found", fix="Reload the chat."
            )
        return found

    def _slow_down(self, visitor: Visitor) -> None:
        if visitor.link_id is None:
            return
        now = time.monotonic()
        if len(self._asked) > _MAX_VISITORS:
            self._asked.clear()
        times = self._asked.setdefault((visitor.link_id, visitor.name), deque())
        while times and times[0] < now - 60:
            times.popleft()
        if len(times) >= _PER_MINUTE:
            raise RagloomError(
                f"More than {_PER_MINUTE} questions in a minute.", code="busy", fix="Wait a moment."
            )
        times.append(now)

    def _sign(self, link_id: str) -> str:
        return hmac.new(self._secret, f"chat:{link_id}".encode(), "sha256").hexdigest()[:40]

    def _link_view(self, link: ChatLink) -> ChatLinkView:
        return ChatLinkView(
            link_id=link.id,
            workflow_id=link.workflow_id,
            name=link.name,
            greeting=link.greeting,
            origins=link.origins,
            path=f"/c/{link.id}.{self._sign(link.id)}",
            created_at=iso(link.created_at),
        )


def _told(visitor: Visitor, message: MessageView) -> MessageView:
    """A message as a visitor reads it: strangers get nothing that only its builders can use."""
    if visitor.link_id is None:
        return message
    error = message.error
    if error is not None and error.get("code") not in _SAID_TO_ALL:
        error = _NO_ANSWER
    return message.model_copy(update={"execution_id": None, "error": error})
