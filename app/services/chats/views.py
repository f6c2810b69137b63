"""What a chat shows, and what a workflow is told of it and says in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from app.engine.graph import Graph
from app.engine.problems import RagloomError
from app.services.clock import iso
from app.services.runs.outputs import type_of
from app.services.views import ExecutionView, View

if TYPE_CHECKING:
    from storage.chat_tables import Chat, ChatMessage

MAX_ORIGINS = 20
#: What a workflow is told of the conversation so far: messages, and characters of each.
_HISTORY, _HISTORY_CHARS = 20, 4_000
_INPUTS = (("question", "question", "question"), ("text_input", "text", "text"))

Status = Literal["done", "running", "waiting", "failed", "cancelled"]


class MessageView(View):
    """A question or an answer."""

    message_id: str
    role: Literal["user", "assistant"]
    status: Status
    text: str
    #: Sentences, citations, confidence and abstention of an answer.
    answer: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    execution_id: str | None = None
    rating: int | None = None
    comment: str = ""
    created_at: str


class ChatView(View):
    """A conversation; in a list without its messages."""

    chat_id: str
    workflow_id: str
    title: str
    created_at: str
    updated_at: str
    messages: list[MessageView] = []


class ChatLinkView(View):
    """A way into a chat for people without a key."""

    link_id: str
    workflow_id: str
    name: str
    greeting: str
    origins: list[str]
    #: Path of the chat page, and of the script that puts it into other pages.
    path: str
    created_at: str


class RatedAnswer(View):
    """A question, what was answered, and what a person thought of it: a case to evaluate with."""

    question: str
    answer: str
    rating: int
    comment: str = ""
    citations: list[dict[str, Any]] = []
    abstained: bool = False
    execution_id: str | None = None
    created_at: str


def question_name(graph: Graph) -> str:
    """Name of the input that takes a question. Raises RagloomError where a graph has none."""
    for kind, key, usual in _INPUTS:
        for node in graph.nodes.values():
            if node.type == kind and not node.disabled:
                return str(node.config.get("name") or key or usual)
    raise RagloomError(
        "This workflow takes no question.",
        code="no_question",
        fix="Add a Question node to it, and wire it to what answers.",
    )


def sample_question(graph: Graph) -> str:
    """The question a workflow's own input node holds, to begin a chat with."""
    nodes = (n for kind, *_ in _INPUTS for n in graph.nodes.values() if n.type == kind)
    return next((str(n.config["default"]) for n in nodes if n.config.get("default")), "")


def conversation(messages: Sequence[MessageView]) -> list[dict[str, str]]:
    """The last turns as a workflow reads them: [{"role", "content"}], oldest first."""
    said = [m for m in messages if m.status == "done" and m.text]
    return [{"role": m.role, "content": m.text[:_HISTORY_CHARS]} for m in said[-_HISTORY:]]


def outcome(run: ExecutionView) -> dict[str, Any]:
    """What a finished run says as an answer: status, text, whole answer, error."""
    if run.status == "completed":
        by_type: dict[str | None, Any] = {}
        for value in run.outputs.values():
            by_type.setdefault(type_of(value), value)
        answer = by_type.get("Answer")
        text = answer["text"] if answer else _words(by_type, run.outputs)
        return {"status": "done", "text": text, "answer": answer}
    if run.status == "cancelled":
        return {"status": "cancelled"}
    error = run.error or {"code": "failed", "message": "No answer came.", "fix": "Ask again."}
    return {"status": "failed", "error": error}


def _words(by_type: Mapping[str | None, Any], outputs: Mapping[str, Any]) -> str:
    for name, field in (("Text", "text"), ("Query", "text"), ("Number", "value")):
        if name in by_type:
            return str(by_type[name][field])
    if not any(value is not None for value in outputs.values()):
        return "The workflow ended without an answer."
    import json

    return json.dumps(outputs, ensure_ascii=False, indent=1)[:20_000]


def checked_origins(origins: Sequence[str]) -> list[str]:
    """Origins in their plain form. Raises RagloomError for anything else."""
    if len(origins) > MAX_ORIGINS:
        raise RagloomError(
            f"At most {MAX_ORIGINS} sites can be named.", code="too_many", fix="Name fewer."
        )
    checked = []
    for origin in origins:
        try:
            parts = urlsplit(origin.strip())
            port = f":{parts.port}" if parts.port else ""
        except ValueError:
            parts = urlsplit("")
            port = ""
        plain = parts.path in ("", "/") and not parts.query and not parts.fragment
        host = parts.hostname or ""
        safe = host.replace("-", "").replace(".", "").isalnum() and host.isascii()
        if parts.scheme not in ("http", "https") or not safe or not plain or parts.username:
            raise RagloomError(
                f"“{origin[:100]}” is not the address of a site.",
                code="invalid_origin",
                fix="Write it like https://www.example.org, without a path.",
            )
        checked.append(f"{parts.scheme}://{host}{port}")
    return list(dict.fromkeys(checked))


def chat_view(chat: Chat, messages: Sequence[ChatMessage] = ()) -> ChatView:
    """A conversation of the database, with messages where they are given."""
    return ChatView(
        chat_id=chat.id,
        workflow_id=chat.workflow_id,
        title=chat.title,
        created_at=iso(chat.created_at),
        updated_at=iso(chat.updated_at),
        messages=[message_view(message) for message in messages],
    )


def message_view(message: ChatMessage) -> MessageView:
    """A message of the database."""
    return MessageView.model_validate(
        {
            "message_id": message.id,
            "role": message.role,
            "status": message.status,
            "text": message.text,
            "answer": message.answer,
            "error": message.error,
            "execution_id": message.run_id,
            "rating": message.rating,
            "comment": message.comment,
            "created_at": iso(message.created_at),
        }
    )


def rated_answer(question: ChatMessage, answer: ChatMessage) -> RatedAnswer:
    """A rated answer with its question."""
    value = answer.answer or {}
    return RatedAnswer(
        question=question.text,
        answer=answer.text,
        rating=answer.rating or 0,
        comment=answer.comment,
        citations=value.get("citations", []),
        abstained=bool(value.get("abstained")),
        execution_id=answer.run_id,
        created_at=iso(answer.created_at),
    )
