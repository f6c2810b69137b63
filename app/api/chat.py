"""Chats with a workflow: over REST with a key, from the pages, and for whoever has a link.

The three doors share their routes; they differ in who is let in and under which address.
"""

# Annotations are read as they stand: routes below name types of the function around them.

import re
from collections.abc import AsyncIterator, Callable
from html import escape
from importlib import resources
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, HTTPException, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.deps import Key, Limit, Offset, Svc, part, wants_events
from app.api.problems import Door
from app.api.sse import Sent, event_stream, last_event_id
from app.engine.graph import Graph
from app.services.chats.service import (
    LAST_EVENT,
    MAX_COMMENT_CHARS,
    MAX_QUESTION_CHARS,
    Visitor,
)
from app.services.chats.views import (
    MAX_ORIGINS,
    ChatLinkView,
    ChatView,
    MessageView,
    RatedAnswer,
    sample_question,
)
from app.services.problems import explain
from app.services.views import Page

router = APIRouter(tags=["Chat"], route_class=Door)
#: For the pages, which have a session, and for people with a link.
open_router = APIRouter(include_in_schema=False, route_class=Door)

_BROWSER = re.compile(r"[A-Za-z0-9_-]{16,64}")
_PLACE = re.compile(r"\[(TITLE|BASE|GREETING|SAMPLE|SITE)\]")
_ASSETS = {"chat.js": "text/javascript", "chat.css": "text/css", "embed.js": "text/javascript"}


class Question(BaseModel):
    """What to ask."""

    model_config = ConfigDict(extra="forbid")
    text: str = Field(min_length=1, max_length=MAX_QUESTION_CHARS)


class Rating(BaseModel):
    """What a person thinks of an answer."""

    model_config = ConfigDict(extra="forbid")
    rating: Literal[1, -1] | None = Field(
        description="1: it helped, -1: it did not; null takes it back."
    )
    comment: str = Field("", max_length=MAX_COMMENT_CHARS)


class LinkBody(BaseModel):
    """A link to make."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field("", max_length=200, description="Title of the chat page.")
    greeting: str = Field("", max_length=1_000, description="What the empty chat says.")
    origins: list[str] = Field(
        [],
        max_length=MAX_ORIGINS,
        description="Sites that may show the chat inside their pages: https://www.example.org",
    )


class Said(BaseModel):
    """Data of one event of a stream."""

    model_config = ConfigDict(extra="allow")


# ---- who is let in ----
async def _with_key(workflow_id: str, key: Key) -> Visitor:
    return Visitor(workflow_id, f"key:{key.key_id}")


async def _from_page(workflow_id: str) -> Visitor:
    return Visitor(workflow_id, "page")


async def _with_link(
    token: str, services: Svc, x_visitor: Annotated[str, Header()] = ""
) -> Visitor:
    link = await services.chats.link_of(token)
    browser = x_visitor if _BROWSER.fullmatch(x_visitor) else "unnamed"
    return services.chats.visitor_of(link, browser)


def _conversations(target: APIRouter, prefix: str, who: Callable[..., Any]) -> None:
    """Add the routes of conversations under an address."""
    Who = Annotated[Visitor, Depends(who)]

    @target.post(f"{prefix}/chats", status_code=201)
    async def create_chat(services: Svc, visitor: Who) -> ChatView:
        """Begin a conversation with a workflow."""
        return await services.chats.create(visitor)

    @target.get(f"{prefix}/chats")
    async def list_chats(
        services: Svc, visitor: Who, limit: Limit = 50, offset: Offset = 0
    ) -> Page[ChatView]:
        """List conversations, newest first, without their messages."""
        return await services.chats.list(visitor, limit, offset)

    @target.get(f"{prefix}/chats/{{chat_id}}")
    async def get_chat(chat_id: str, services: Svc, visitor: Who) -> ChatView:
        """A conversation with its messages."""
        return await services.chats.get(visitor, chat_id)

    @target.delete(f"{prefix}/chats/{{chat_id}}", status_code=204)
    async def delete_chat(chat_id: str, services: Svc, visitor: Who) -> None:
        """Forget a conversation."""
        await services.chats.delete(visitor, chat_id)


def _messages(target: APIRouter, prefix: str, who: Callable[..., Any]) -> None:
    """Add the routes of what is said in them."""
    Who = Annotated[Visitor, Depends(who)]

    @target.post(f"{prefix}/chats/{{chat_id}}/messages", response_model=MessageView)
    async def ask(
        chat_id: str, body: Question, request: Request, services: Svc, visitor: Who
    ) -> Any:
        """Ask; the reply is the answer.

        With `Accept: text/event-stream` it comes as events: `begin`, `token` …, `message`.
        """
        begun = await services.chats.ask(visitor, chat_id, body.text)
        follow = services.chats.follow(visitor, chat_id, begun.message_id)
        if wants_events(request):
            return event_stream(_events(begun, follow))
        async for name, data, _ in follow:
            if name == "message":
                return data
        return begun

    @target.get(f"{prefix}/chats/{{chat_id}}/messages/{{message_id}}/events")
    async def follow_message(
        chat_id: str, message_id: str, request: Request, services: Svc, visitor: Who
    ) -> Response:
        """Events of an answer that is on its way; of one that is there, only `message`.

        With the header `Last-Event-ID`, only those that came after that one; 204 after the last.
        """
        # What does not exist has to be said before the stream begins.
        await services.chats.message(visitor, chat_id, message_id)
        last_id = last_event_id(request)
        follow = services.chats.follow(visitor, chat_id, message_id, last_id)
        return event_stream(None if last_id == LAST_EVENT else _events(None, follow))

    @target.post(f"{prefix}/chats/{{chat_id}}/messages/{{message_id}}/stop")
    async def stop(chat_id: str, message_id: str, services: Svc, visitor: Who) -> MessageView:
        """Stop answering."""
        return await services.chats.stop(visitor, chat_id, message_id)

    @target.put(f"{prefix}/chats/{{chat_id}}/messages/{{message_id}}/rating")
    async def rate(
        chat_id: str, message_id: str, body: Rating, services: Svc, visitor: Who
    ) -> MessageView:
        """Say whether an answer helped; rated answers are the workflow's evaluation set."""
        return await services.chats.rate(visitor, chat_id, message_id, body.rating, body.comment)


async def _events(
    begun: MessageView | None, follow: AsyncIterator[tuple[str, dict[str, Any], str]]
) -> AsyncIterator[Sent]:
    if begun is not None:
        yield "begin", begun, ""
    async for name, data, event_id in follow:
        yield name, Said(**data), event_id


for _target, _prefix, _who in (
    (router, "/workflows/{workflow_id}", _with_key),
    (open_router, "/_chat/{workflow_id}", _from_page),
    (open_router, "/c/{token}", _with_link),
):
    _conversations(_target, _prefix, _who)
    _messages(_target, _prefix, _who)


# ---- links and what people thought ----
@router.get("/workflows/{workflow_id}/chat_links")
async def list_links(
    workflow_id: str, services: Svc, limit: Limit = 50, offset: Offset = 0
) -> Page[ChatLinkView]:
    """Links that let people chat without a key, newest first."""
    return part(await services.chats.links(workflow_id), limit, offset)


@router.post("/workflows/{workflow_id}/chat_links", status_code=201)
async def create_link(workflow_id: str, body: LinkBody, services: Svc) -> ChatLinkView:
    """Make a link that lets people chat without a key."""
    return await services.chats.share(
        workflow_id, name=body.name, greeting=body.greeting, origins=body.origins
    )


@router.delete("/workflows/{workflow_id}/chat_links/{link_id}", status_code=204)
async def revoke_link(workflow_id: str, link_id: str, services: Svc) -> None:
    """Close a link."""
    await services.chats.revoke(workflow_id, link_id)


@router.get("/workflows/{workflow_id}/evaluation_set")
async def evaluation_set(
    workflow_id: str, services: Svc, limit: Limit = 100, offset: Offset = 0
) -> Page[RatedAnswer]:
    """Questions with answers that people rated in chats, newest first."""
    return await services.chats.evaluation_set(workflow_id, limit, offset)


# ---- the page for people with a link ----
@open_router.get("/c/_/{name}")
async def asset(name: str) -> Response:
    """Script and style of the chat."""
    if name not in _ASSETS:
        raise HTTPException(404)
    headers = {"Cache-Control": "no-cache", "Cross-Origin-Resource-Policy": "cross-origin"}
    return Response(_text(name), media_type=_ASSETS[name], headers=headers)


@open_router.get("/c/{token}")
async def chat_page(token: str, services: Svc, request: Request) -> HTMLResponse:
    """The chat as a page of its own, which the sites it was shared with may put into theirs."""
    try:
        link = await services.chats.link_of(token)
        workflow = await services.workflows.get(link.workflow_id)
    except Exception as error:
        if explain(error).code != "not_found":
            raise
        return _page(_text("closed.html"), ["*"], status=404)
    site = _framed_by(request)
    if site is not None and site not in map(_without_default_port, link.origins):
        # A browser would leave the frame empty, and nobody would know why.
        return _page(_PLACE.sub(escape(site), _text("not_here.html")), ["*"], status=403)
    texts = {
        "TITLE": link.name or workflow.name,
        "BASE": f"/c/{token}",
        "GREETING": link.greeting,
        "SAMPLE": sample_question(Graph.parse(workflow.graph)),
    }
    html = _PLACE.sub(lambda place: escape(texts[place[1]], quote=True), _text("chat.html"))
    return _page(html, ["'self'", *link.origins])


def _framed_by(request: Request) -> str | None:
    """The site that shows the page in a frame, as far as is told; None where none other does.

    This only chooses the words: who may show the chat is for the browser to see to.
    """
    told = request.query_params.get("site", "") or request.headers.get("referer", "")
    found = re.match(r"https?://([a-z0-9.:-]{1,253})(?=/|$)", told.lower())
    framed = "site" in request.query_params or request.headers.get("sec-fetch-dest") == "iframe"
    if not framed or found is None or found[1] == request.url.netloc:
        return None
    return _without_default_port(found[0])


def _without_default_port(origin: str) -> str:
    port = ":443" if origin.startswith("https:") else ":80"
    return origin.removesuffix(port)


def _page(html: str, ancestors: list[str], *, status: int = 200) -> HTMLResponse:
    """A page of fixed words and texts that are escaped; `ancestors` may show it in a frame."""
    policy = (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        f"form-action 'none'; frame-ancestors {' '.join(ancestors)}"
    )
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store"}
    return HTMLResponse(html, status, headers=headers)


def _text(name: str) -> str:
    return resources.files("app.api").joinpath("chat_assets", name).read_text("utf-8")
