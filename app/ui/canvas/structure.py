"""Sticky notes and groups: presentation that is kept in the workflow file's "graph" object.

`graph.extra["notes"]` is a list of {id, x, y, width, height, text, colour}, `graph.extra["groups"]`
of {id, title, nodes: [node ids], notes: [note ids], colour}. Whatever else an entry holds is kept;
what cannot be read is kept too, and not drawn. A node or a note is in one group at most.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from app.engine.graph import Graph, copy_json

#: JSON data of a note or a group.
Entry = dict[str, Any]

COLOURS = ("amber", "blue", "green", "rose", "violet", "grey")
NOTE_WIDTH, NOTE_HEIGHT = 240, 160
NOTE_SIZES = (96, 2400)
#: Longest text of a note, longest title, most notes and most groups in one workflow.
MAX_TEXT, MAX_TITLE, MAX_ENTRIES = 10_000, 200, 500


def notes_of(graph: Graph) -> dict[str, Entry]:
    """The notes that can be drawn, by id; every value within its limits."""
    found: dict[str, Entry] = {}
    for entry in _entries(graph, "notes"):
        found.setdefault(
            entry["id"],
            {
                "id": entry["id"],
                "x": _number(entry.get("x"), 0.0),
                "y": _number(entry.get("y"), 0.0),
                "width": _size(entry.get("width"), NOTE_WIDTH),
                "height": _size(entry.get("height"), NOTE_HEIGHT),
                "text": str(entry.get("text") or "")[:MAX_TEXT],
                "colour": _colour(entry, "amber"),
            },
        )
    return found


def groups_of(graph: Graph) -> dict[str, Entry]:
    """The groups that have something in them, by id."""
    notes = {entry["id"] for entry in _entries(graph, "notes")}
    found: dict[str, Entry] = {}
    taken: set[str] = set()
    for entry in _entries(graph, "groups"):
        nodes = [i for i in members(entry, "nodes") if i in graph.nodes and i not in taken]
        taken.update(nodes)
        inside = [i for i in members(entry, "notes") if i in notes]
        if nodes or inside:
            found.setdefault(
                entry["id"],
                {
                    "id": entry["id"],
                    "title": str(entry.get("title") or "")[:MAX_TITLE],
                    "nodes": nodes,
                    "notes": inside,
                    "colour": _colour(entry, "blue"),
                },
            )
    return found


def members(entry: Mapping[str, Any], key: str) -> list[str]:
    """Ids in a group's "nodes" or "notes", whatever else stands there."""
    ids = entry.get(key)
    return [i for i in ids if isinstance(i, str)] if isinstance(ids, list | tuple) else []


def changed(graph: Graph, key: str, changes: Mapping[str, Entry | None]) -> Graph:
    """The graph with notes or groups changed, added, or (None) taken away.

    A change is laid over the entry as it stands in the file, so keys of others stay.
    """
    raw = graph.extra.get(key)
    entries = raw if isinstance(raw, list) else []
    todo = dict(changes)
    kept: list[Any] = []
    for entry in entries:
        id_ = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(id_, str) or id_ not in todo:
            kept.append(entry)
            continue
        change = todo.pop(id_)
        if change is not None:
            kept.append({**entry, **change})
    kept += [copy_json(entry) for entry in todo.values() if entry is not None]
    extra = {name: value for name, value in graph.extra.items() if name != key}
    if kept or not isinstance(raw, list | None):
        extra[key] = kept if kept else raw
    return replace(graph, extra=extra)


def without_members(graph: Graph, nodes: Collection[str], notes: Collection[str] = ()) -> Graph:
    """The graph with nodes and notes taken out of their groups; empty groups go."""
    changes: dict[str, Entry | None] = {}
    for entry in _entries(graph, "groups"):
        inside, pinned = members(entry, "nodes"), members(entry, "notes")
        left = [i for i in inside if i not in nodes]
        stay = [i for i in pinned if i not in notes]
        if (left, stay) != (inside, pinned):
            kept = {"nodes": left, **({"notes": stay} if pinned else {})}
            changes[entry["id"]] = kept if left or stay else None
    return changed(graph, "groups", changes) if changes else graph


def in_place_of(graph: Graph, old: Collection[str], new: Iterable[str]) -> Graph:
    """Put nodes into the group that holds all the nodes whose place they take, if one does."""
    for group in groups_of(graph).values():
        if old and set(old) <= set(group["nodes"]):
            added = [i for i in new if i not in group["nodes"]]
            return changed(graph, "groups", {group["id"]: {"nodes": [*group["nodes"], *added]}})
    return graph


def copies(
    source: Graph,
    target: Graph,
    nodes: Mapping[str, str],
    notes: Iterable[str],
    shift: tuple[float, float],
) -> tuple[Graph, tuple[str, ...]]:
    """Copy notes from one graph into another, and the groups all of whose members are copied.

    `nodes` maps ids of copied nodes to their new ids. Returns the ids of the new notes.
    """
    known = notes_of(source)
    names: dict[str, str] = {}
    for id_ in dict.fromkeys(notes):
        if id_ in known and len(_entries(target, "notes")) < MAX_ENTRIES:
            names[id_] = new_entry_id(target, "notes", "note")
            note = known[id_]
            place = {"x": note["x"] + shift[0], "y": note["y"] + shift[1]}
            target = changed(target, "notes", {names[id_]: {**note, **place, "id": names[id_]}})
    for group in groups_of(source).values():
        whole = all(i in nodes for i in group["nodes"]) and all(i in names for i in group["notes"])
        if whole and len(_entries(target, "groups")) < MAX_ENTRIES:
            id_ = new_entry_id(target, "groups", "group")
            inside = {"nodes": [nodes[i] for i in group["nodes"]]}
            pinned = {"notes": [names[i] for i in group["notes"]]}
            target = changed(target, "groups", {id_: {**group, "id": id_, **inside, **pinned}})
    return target, tuple(names.values())


def new_entry_id(graph: Graph, key: str, stem: str) -> str:
    """An id no note (or group) has: `note`, `note-2`, …"""
    taken = {entry["id"] for entry in _entries(graph, key)}
    if stem not in taken:
        return stem
    n = 2
    while f"{stem}-{n}" in taken:
        n += 1
    return f"{stem}-{n}"


def count(graph: Graph, key: str) -> int:
    """How many notes or groups there are."""
    return len(_entries(graph, key))


def _entries(graph: Graph, key: str) -> list[Entry]:
    raw = graph.extra.get(key)
    if not isinstance(raw, list):
        return []
    return [e for e in raw if isinstance(e, dict) and isinstance(e.get("id"), str) and e["id"]]


def _number(value: Any, default: float) -> float:
    usable = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if usable and math.isfinite(value) and abs(value) < 1e7 else default


def _size(value: Any, default: float) -> float:
    low, high = NOTE_SIZES
    return min(high, max(low, _number(value, default)))


def _colour(entry: Entry, default: str) -> str:
    colour = entry.get("colour")
    return colour if colour in COLOURS else default
