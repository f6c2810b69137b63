"""Talking to a workflow, and sharing the talk with people who have no key."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeVar

from nicegui import ui

from app.engine.graph import Graph
from app.engine.problems import RagloomError
from app.services.chats.views import ChatLinkView, sample_question
from app.services.container import Services
from app.services.views import WorkflowView
from app.ui import parts, text
from app.ui.expecting import Expecting
from app.ui.frame import Crumb, frame
from app.ui.pages.common import missing, workflow_choices


def register(get_services: Callable[[], Services]) -> None:
    """Add the page."""

    @ui.page("/workflows/{workflow_id}/chat", response_timeout=30)
    async def chat_page(workflow_id: str) -> None:
        services = get_services()
        with Expecting("not_found") as met:
            workflow = await services.workflows.get(workflow_id)
        if met.error:
            missing(services, "Workflows", met.error)
            return
        crumbs = [
            Crumb(workflow.name, f"/workflows/{workflow_id}", lambda: workflow_choices(services)),
            Crumb("Chat"),
        ]
        ui.add_head_html(
            '<link rel="stylesheet" href="/c/_/chat.css">'
            '<script type="module" src="/c/_/chat.js"></script>'
        )
        with frame(services, "Workflows", crumbs, full=True) as bar:
            graph = Graph.parse(workflow.graph)
            pinned = sum(node.pinned is not None for node in graph.nodes.values())
            if pinned:
                # Such a chat may give the same answer to every question.
                with (
                    bar.beside,
                    parts.badge(f"{text.count(pinned, 'node')} pinned", "warn", "push_pin"),
                ):
                    ui.tooltip("Pinned outputs are used for answers too. Unpin them on the canvas.")
            with bar.actions:
                sharing = Sharing(services, workflow)
                parts.bare(
                    "Canvas",
                    lambda: ui.navigate.to(f"/workflows/{workflow_id}"),
                    icon="account_tree",
                )
                parts.icon_button(
                    "fact_check", "Download the rated answers", lambda: _rated(services, workflow)
                ).mark("rated")
                parts.quiet("Share", sharing.open, icon="share").mark("share")
            room = parts.div("rc")
            room.props["data-chat"] = "true"
            room.props["data-base"] = f"/_chat/{workflow_id}"
            room.props["data-title"] = workflow.name
            room.props["data-greeting"] = workflow.description
            room.props["data-sample"] = sample_question(graph)
            room.props["data-documents"] = "/knowledge"


async def _rated(services: Services, workflow: WorkflowView) -> None:
    page = await services.chats.evaluation_set(workflow.workflow_id, limit=500)
    if not page.items:
        parts.toast("No answer was rated yet. Use the thumbs below the answers.")
        return
    lines = [json.dumps(item.model_dump(mode="json"), ensure_ascii=False) for item in page.items]
    ui.download.content("\n".join(lines) + "\n", "evaluation-set.jsonl", "application/jsonl")


_Entry = TypeVar("_Entry", ui.input, ui.textarea)


def _field(title: str, kind: type[_Entry], hint: str = "", value: str = "") -> _Entry:
    """A field with its title above it and what it means below."""
    with parts.div("rl-field"):
        parts.label(title, "rl-field-title")
        entry = kind(value=value)
        entry.props["aria-label"] = title
        if hint:
            parts.label(hint, "rl-field-help")
    return entry


class Sharing:
    """The dialog with the links that open the chat to others."""

    def __init__(self, services: Services, workflow: WorkflowView) -> None:
        self._services, self._workflow = services, workflow
        self._count = 0

    async def open(self) -> None:
        """Show the links, and make more."""
        with parts.dialog("Share this chat", wide=True) as dialog:
            parts.label(
                "Whoever has a link can ask this workflow, without a key and without seeing "
                "anything else. They read what the answers quote.",
                "rl-muted",
            )
            self._room = parts.div("rl-col")
            with ui.expansion("New link", icon="add_link", value=False).classes("rl-fold") as more:
                with parts.div("rl-form"):
                    name = _field("Title", ui.input, value=self._workflow.name)
                    name.props("maxlength=200")
                    greeting = _field("Greeting", ui.textarea, "What the chat says first.")
                    greeting.props("maxlength=1000 autogrow")
                    origins = _field(
                        "Sites that may show it", ui.textarea,
                        "One a line, such as https://www.example.org. Without one, only the link "
                        "itself shows the chat.",
                    )  # fmt: skip
                    origins.props("autogrow")

                async def make() -> None:
                    sites = [line.strip() for line in (origins.value or "").splitlines()]
                    try:
                        await self._services.chats.share(
                            self._workflow.workflow_id,
                            name=name.value or "",
                            greeting=greeting.value or "",
                            origins=[site for site in sites if site],
                        )
                    except RagloomError as error:
                        parts.failed(error)
                        return
                    more.value = False
                    await self._show()

                parts.primary("Make the link", make).mark("make-link")
            with parts.div("rl-dialog-actions"):
                parts.bare("Close", lambda: dialog.submit(None))
        await self._show()
        more.value = not self._count
        await parts.ask(dialog)

    async def _show(self) -> None:
        links = await self._services.chats.links(self._workflow.workflow_id)
        self._count = len(links)
        self._room.clear()
        with self._room:
            for link in links:
                self._row(link)

    def _row(self, link: ChatLinkView) -> None:
        with parts.div("rl-card rl-col rl-gap-4"):
            with parts.div("rl-row"):
                parts.label(link.name or self._workflow.name, "rl-strong rl-ellipsis rl-grow")
                parts.moment(link.created_at)
                parts.icon_button("link_off", "Close this link", lambda: self._close(link))
            # Shown whole: some mark the text instead of pressing the button.
            base = str(ui.context.client.request.base_url).rstrip("/")
            self._copied(
                f"{base}{link.path}", "Copy the link", f"location.origin + {json.dumps(link.path)}"
            )
            if not link.origins:
                hint = "No other site may show it; for that, make a link that names the site."
                parts.label(hint, "rl-muted rl-small")
                return
            token = link.path.rsplit("/", 1)[-1]
            # The address of this server is known best to the browser that looks at it.
            parts_ = ['<script src="', f'/c/_/embed.js" data-chat="{token}" async></script>']
            snippet = f"{json.dumps(parts_[0])} + location.origin + {json.dumps(parts_[1])}"
            self._copied(base.join(parts_), "Copy the tag for other pages", snippet)
            parts.label(f"May be shown inside: {', '.join(link.origins)}", "rl-muted rl-small")

    @staticmethod
    def _copied(shown: str, tip: str, expression: str) -> None:
        with parts.div("rl-row"):
            parts.tag("code", shown, "rl-mono rl-small rl-ellipsis rl-grow")
            button = parts.icon_button("content_copy", tip, lambda: parts.toast("Copied."))
            button.on("click", js_handler=f"() => ragloom.copy({expression})")

    async def _close(self, link: ChatLinkView) -> None:
        await self._services.chats.revoke(self._workflow.workflow_id, link.link_id)
        await self._show()
        parts.toast("The link is closed. Its conversations stay.")
