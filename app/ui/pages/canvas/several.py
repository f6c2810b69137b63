"""What is selected, where that is more than one node: how many of what, and what to do with them."""

from __future__ import annotations

from collections import Counter
from functools import partial

from nicegui import ui

from app.ui import parts, text
from app.ui.canvas.flow import Selection
from app.ui.canvas.structure import groups_of
from app.ui.pages.canvas.bench import Bench

#: More kinds than this are only counted.
_MOST_KINDS = 12
#: How things are lined up: the canvas' name for it, icon, words, and how many it takes.
_WAYS = (
    ("left", "align_horizontal_left", "Align left", 2),
    ("centre", "align_horizontal_center", "Align centres", 2),
    ("right", "align_horizontal_right", "Align right", 2),
    ("top", "align_vertical_top", "Align top", 2),
    ("middle", "align_vertical_center", "Align middles", 2),
    ("bottom", "align_vertical_bottom", "Align bottom", 2),
    ("across", "horizontal_distribute", "Space out across", 3),
    ("down", "vertical_distribute", "Space out downwards", 3),
)


def is_several(selection: Selection) -> bool:
    """Whether there is more to say than what one node, or the workflow, says of itself."""
    return len(selection.nodes) != 1 and len(selection.nodes) + len(selection.notes) > 1


class Several:
    """The kinds of what is selected, and the actions; `update` follows selection and graph."""

    def __init__(self, bench: Bench) -> None:
        """Draw it where the page is at, hidden."""
        self._bench = bench
        self._element = parts.div("rl-overview rl-several rl-hidden")
        self._shown: object = None

    def heading(self) -> tuple[str, str]:
        """Words and icon of what is selected."""
        selection = self._bench.canvas.selection
        if selection.group:
            group = groups_of(self._bench.editor.graph).get(selection.group, {})
            return str(group.get("title") or "Group"), "workspaces"
        counts = ((selection.nodes, "node"), (selection.notes, "note"))
        return ", ".join(text.count(len(ids), word) for ids, word in counts if ids), "select_all"

    def update(self, *, shown: bool) -> None:
        """Show what is selected now, or nothing."""
        if not shown:
            self._element.classes("rl-hidden")
            return
        self._element.classes(remove="rl-hidden")
        bench, selection = self._bench, self._bench.canvas.selection
        views = {id_: bench.editor.node_view(id_) or {} for id_ in selection.nodes}
        kinds = Counter(str(view.get("type", "")) for view in views.values())
        disabled = bool(views) and all(view.get("disabled") for view in views.values())
        state = (
            selection,
            kinds,
            disabled,
            bench.read_only,
            {i: v.get("title") for i, v in views.items()},
        )
        if state == self._shown:
            return
        self._shown = state
        self._element.clear()
        with self._element:
            if kinds:
                self._kinds(kinds, views)
            if not bench.read_only:
                self._actions(selection, disabled=disabled)
                self._line_up(len(selection.nodes) + len(selection.notes))

    def _kinds(self, kinds: Counter[str], views: dict[str, dict[str, object]]) -> None:
        bench = self._bench
        with parts.div("rl-col rl-gap-4"):
            parts.label("What is selected", "rl-strong rl-small")
            for kind, number in kinds.most_common(_MOST_KINDS):
                these = [id_ for id_, view in views.items() if view.get("type", "") == kind]
                cls = bench.services.registry.get(kind)
                row = parts.tag("button", "", "rl-end")
                row.props["title"] = "Select only this" if number == 1 else "Select only these"
                with row.on("click", partial(bench.canvas.select, these)):
                    icon = ui.icon(cls.icon if cls else "help_center").classes("rl-node-icon")
                    family = cls.family if cls else "outputs"
                    icon.style(f"color: var(--rl-family-{family}, var(--rl-muted))")
                    words = bench.title(these[0]) if number == 1 else cls.title if cls else kind
                    parts.tag("span", words, "rl-small rl-ellipsis rl-grow")
                    if number > 1:
                        parts.tag("span", f"{number}", "rl-muted rl-small")
            if len(kinds) > _MOST_KINDS:
                rest = text.count(len(kinds) - _MOST_KINDS, "more kind")
                parts.label(f"and {rest}", "rl-muted rl-small")

    def _actions(self, selection: Selection, *, disabled: bool) -> None:
        with parts.div("rl-col rl-gap-4"):
            parts.label("Do with all of it", "rl-strong rl-small")
            if selection.nodes:
                self._action("run_selection", "play_arrow", "Run the selection")
                words = "Enable" if disabled else "Disable"
                self._action("toggle_disabled", "block", words, "D")
            if selection.group:
                self._action("rename", "edit", "Rename the group", "F2")
                self._action("ungroup", "layers_clear", "Ungroup", "Ctrl Shift G")
            else:
                self._action("group", "workspaces", "Group", "Ctrl G")
            if selection.nodes:
                self._action("collapse", "unfold_less", "Collapse into a sub-workflow", "Ctrl E")
            if len(selection.nodes) > 1:
                self._action("tidy", "account_tree", "Tidy up")
            self._action("duplicate", "control_point_duplicate", "Duplicate", "Ctrl D")
            self._action("delete", "delete_outline", "Delete", "Del")

    def _action(self, command: str, icon: str, words: str, key: str = "") -> None:
        row = parts.tag("button", "", "rl-end").mark(f"selection-{command}")
        with row.on("click", partial(self._bench.canvas.perform, command)):
            ui.icon(icon).classes("rl-muted").style("font-size: 18px")
            parts.tag("span", words, "rl-small rl-grow")
            if key:
                parts.tag("kbd", key)

    def _line_up(self, number: int) -> None:
        with parts.div("rl-col rl-gap-4"):
            parts.label("Line up", "rl-strong rl-small")
            with parts.div("rl-row rl-wrap").style("gap: 0; margin-left: -8px"):
                for how, icon, words, least in _WAYS:
                    if number >= least:
                        parts.icon_button(icon, words, partial(self._bench.canvas.align, how))
