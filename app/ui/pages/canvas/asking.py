"""Questions of a run to a person: the card that shows them and takes the answer."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nicegui import ui

from app.ui import parts, viewers
from app.ui.timeline import is_inner, outer_of

Decide = Callable[[str, dict[str, Any]], Awaitable[None]]


#: The one field of values that are edited as what they hold.
_FIELDS = ("text", "value", "data")


def editable(form: Mapping[str, Any]) -> bool:
    """Whether the value may be changed."""
    return form.get("value") is not None and bool(form.get("editable"))


def held(value: Any) -> Any:
    """What a Text, Number or Json holds: its text, number, data; other values as they are."""
    if isinstance(value, Mapping) and len(value) == 1:
        name = next(iter(value))
        return value[name] if name in _FIELDS else value
    return value


def as_text(value: Any) -> str:
    """A value as the text to edit: plain where it is one, an answer with its numbers, else JSON."""
    if _is_answer(value):
        return " ".join(map(_numbered, value["sentences"])) or str(value["text"])
    inside = held(value)
    if isinstance(inside, str) and value != {"data": inside}:
        return inside
    return json.dumps(inside, ensure_ascii=False, indent=2)


def from_text(text: str, before: Any) -> Any:
    """What the edited value holds, of the kind that was shown. Raises ValueError for no JSON."""
    inside = str(before["text"]) if _is_answer(before) else held(before)
    return text if isinstance(inside, str) and before != {"data": inside} else json.loads(text)


def _is_answer(value: Any) -> bool:
    return isinstance(value, Mapping) and "sentences" in value and "text" in value


def _numbered(sentence: Mapping[str, Any]) -> str:
    return "".join((sentence["text"].strip(), *(f" [{n}]" for n in sentence["citations"])))


def where(step: str, titles: Mapping[str, str]) -> str:
    """The node a question is of: “Boss”, inside another “Boss · Letters, item 3”.

    Nodes of the same title are told apart by their ids.
    """
    outer = outer_of(step)
    title = titles.get(outer, outer)
    if sum(other == title for node, other in titles.items() if not is_inner(node)) > 1:
        title = f"{title} ({outer})"
    if not is_inner(step):
        return title
    around, _, inner = step.partition("/")
    item = f", item {around[len(outer) + 1 : -1]}" if around != outer else ""
    return f"{titles.get(step, inner)} · {title}{item}"


class Asks:
    """The open questions of a run; what is typed into one stays while others come and go."""

    def __init__(self, decide: Decide, on_show: Callable[[str], Any] | None = None) -> None:
        """`on_show` brings a node into view, on a page that has a canvas."""
        self._decide, self._on_show = decide, on_show
        #: By run, step and what is asked.
        self._cards: dict[tuple[str, ...], ui.element] = {}
        self._room = parts.div("rl-asks rl-hidden")

    def show(
        self, run_id: str, asks: Mapping[str, Mapping[str, Any]], titles: Mapping[str, str]
    ) -> None:
        """Show the questions: step -> {"message", "form"}."""
        now = {(run_id, step, str(ask.get("message"))): ask for step, ask in asks.items()}
        for key in self._cards.keys() - now.keys():
            self._cards.pop(key).delete()
        self._room.classes(remove="rl-hidden") if asks else self._room.classes(add="rl-hidden")
        with self._room:
            for key, ask in now.items():
                if key not in self._cards:
                    self._cards[key] = self._card(key[1], ask, where(key[1], titles))

    def _card(self, step: str, ask: Mapping[str, Any], title: str) -> ui.element:
        form = ask.get("form") or {}
        before = form.get("value")
        with parts.div("rl-ask").props('role="group"').mark("ask") as card:
            card.props["aria-label"] = f"{title} asks"
            with parts.div("rl-row"):
                ui.icon("front_hand").classes("rl-warn")
                parts.label(f"{title} waits for you", "rl-strong rl-small rl-grow rl-wrap-text")
                if (on_show := self._on_show) is not None:
                    parts.icon_button(
                        "my_location", f"Show {title}", lambda: on_show(outer_of(step))
                    ).mark("ask-node")
            parts.label(str(ask.get("message") or "May this go on?"), "rl-prose rl-pre")
            entry: ui.textarea | None = None
            if editable(form):
                entry = ui.textarea(value=as_text(before))
                if not _is_answer(before) and not isinstance(held(before), str):
                    entry.classes("rl-mono-field")
                entry.props('input-style="max-height: 30vh; overflow: auto"')
                entry.props["aria-label"] = "Value"
                entry.mark("ask-value")
            elif before is not None:
                with parts.div("rl-ask-value"):
                    viewers.show(before)
            comment = ui.input(placeholder="Comment (optional)").mark("ask-comment")
            comment.props["aria-label"] = "Comment"
            comment.set_visibility(form.get("comment") is not False)
            with parts.div("rl-row"):
                yes = parts.primary("Approve", icon="check").mark("approve")
                no = parts.quiet("Reject", icon="close").mark("reject")

        async def answer(approved: bool) -> None:
            decision: dict[str, Any] = {"approved": approved, "comment": comment.value or ""}
            if approved and entry is not None and (entry.value or "") != as_text(before):
                try:
                    decision["value"] = from_text(entry.value or "", before)
                except ValueError as error:
                    entry.error = f"This is no JSON: {error}"
                    return
            yes.set_enabled(False)
            no.set_enabled(False)
            await self._decide(step, decision)
            if not yes.is_deleted:
                yes.set_enabled(True)
                no.set_enabled(True)

        yes.on_click(lambda: answer(True))
        no.on_click(lambda: answer(False))
        return card
