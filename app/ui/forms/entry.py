"""A text field whose names complete while one types: expressions, templates, code."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from nicegui.elements.mixins.value_element import ValueElement
from nicegui.events import GenericEventArguments, ValueChangeEventArguments

#: {"text": what is written, "help": what it is, "value": what it holds now}
Offer = dict[str, str]
#: (source, place of the cursor) -> what may stand there.
Offers = Callable[[str, int], Sequence[Offer] | Awaitable[Sequence[Offer]]]
#: More than this nobody reads.
_MOST = 40


class CodeEntry(ValueElement[str], component="entry.js"):
    """Plain text in a mono font with a list of completions; keys and mouse both reach it."""

    VALUE_PROP = "value"
    LOOPBACK = None

    def __init__(
        self,
        value: str,
        label: str,
        on_change: Callable[[ValueChangeEventArguments[str]], Any],
        *,
        offer: Offers | None = None,
        rows: int = 1,
        placeholder: str = "",
        read_only: bool = False,
    ) -> None:
        super().__init__(value=value, on_value_change=on_change)
        self._offer = offer
        self._props["label"] = label
        self._props["rows"] = rows
        self._props["placeholder"] = placeholder
        self._props["readonly"] = read_only
        self._props["completes"] = offer is not None
        self.on("complete", self._complete)

    def invalid(self, on: bool) -> None:
        """Mark it as wrong, or not."""
        if self._props.get("invalid", False) != on:
            self._props["invalid"] = on

    async def _complete(self, event: GenericEventArguments) -> None:
        asked = event.args if isinstance(event.args, dict) else {}
        source, at = str(asked.get("source", "")), asked.get("at")
        if self._offer is None or not isinstance(at, int):
            return
        found = self._offer(source, max(0, min(at, len(source))))
        if inspect.isawaitable(found):
            found = await found
        offers = [{k: str(o.get(k, ""))[:200] for k in ("text", "help", "value")} for o in found]
        self.run_method("show", asked.get("turn", 0), offers[:_MOST])
