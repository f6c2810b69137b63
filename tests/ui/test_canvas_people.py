"""Several people at one workflow: who is here, whose step it was, who is told what; and memory."""

from __future__ import annotations

import asyncio
from typing import Any

import canvas_toys as toys
import pytest

from app.ui.canvas.clashes import Clashes
from app.ui.canvas.editor import GraphEditor
from app.ui.canvas.history import History
from app.ui.canvas.presence import FLUSH_S, Author, Presence, clean_name

ANA, BEN = Author("a", "Ana"), Author("b", "Ben")


def config(k: int) -> dict[str, Any]:
    return {"op": "set_config", "node": "retrieve", "config": {"k": k}}


@pytest.fixture
def editor() -> GraphEditor:
    return GraphEditor(toys.answering(), toys.registry())


async def test_people_see_each_other_come_point_select_and_go() -> None:
    presence = Presence()
    told: dict[str, list[dict[str, Any]]] = {"1": [], "2": []}
    presence.join("1", "a", "Ana", told["1"].append)
    assert told["1"][0]["people"] == []
    presence.join("2", "b", "  Ben\n\u202e ", told["2"].append)
    assert told["2"][0]["people"][0]["name"] == "Ana"
    assert told["2"][0]["me"]["name"] == "Ben"
    for i in range(50):
        presence.update("1", pointer=(i, i))
    presence.update("1", selection=("retrieve",), editing="retrieve")
    await asyncio.sleep(FLUSH_S * 3)
    news = [person for message in told["2"][1:] for person in message["people"]]
    assert len(news) == 1  # fifty moves are one message
    assert news[0]["pointer"] == [49, 49]
    assert (news[0]["selection"], news[0]["editing"]) == (["retrieve"], "retrieve")
    assert told["1"][1]["people"][0]["name"] == "Ben"
    presence.leave("1")
    assert told["2"][-1]["gone"] == ["1"]
    assert [v.person.name for v in presence.viewers] == ["Ben"]


async def test_nobody_is_told_of_a_person_who_is_alone() -> None:
    presence = Presence()
    told: list[dict[str, Any]] = []
    presence.join("1", "a", "Ana", told.append)
    presence.update("1", pointer=(1, 1))
    await asyncio.sleep(FLUSH_S * 2)
    assert len(told) == 1


def test_names_and_colours_tell_people_apart() -> None:
    presence = Presence()
    one = presence.join("1", "a", "", lambda _: None)
    two = presence.join("2", "b", "", lambda _: None)
    tab = presence.join("3", "a", "", lambda _: None)
    assert (one.person.name, two.person.name, tab.person.name) == ("Guest 1", "Guest 2", "Guest 1")
    assert one.colour == tab.colour != two.colour
    named = presence.join("2", "b", "x" * 99, lambda _: None)
    assert len(named.person.name) == 40
    assert clean_name("\x00\u200b  ") == ""


def test_undo_says_whose_step_it_takes_back(editor: GraphEditor) -> None:
    change = editor.apply([config(7)], by=ANA)
    assert change.patch["history"]["undo_by"] == {"id": "a", "name": "Ana"}
    took = editor.undo(by=BEN)
    assert took.patch["took"] == {"id": "a", "name": "Ana", "label": "Change settings"}
    assert took.patch["by"] == {"id": "b", "name": "Ben"}
    assert took.patch["history"]["redo_by"]["name"] == "Ana"
    editor.redo(by=ANA)
    assert "took" not in editor.undo(by=ANA).patch
    kept = GraphEditor(editor.graph, toys.registry())
    assert kept.restore_history(editor.dump_history())
    assert kept.load_payload()["history"]["redo_by"]["name"] == "Ana"


def test_steps_of_two_people_are_not_one_step(editor: GraphEditor) -> None:
    editor.apply([config(7)], by=ANA)
    editor.apply([config(8)], by=BEN)
    editor.undo(by=BEN)
    assert editor.graph.nodes["retrieve"].config == {"k": 7}


def test_the_last_change_stands_and_the_other_person_is_told(editor: GraphEditor) -> None:
    editor.apply([config(7)], by=ANA)
    assert editor.apply([config(8)], by=ANA).clashes == ()
    change = editor.apply([config(9)], by=BEN)
    assert editor.graph.nodes["retrieve"].config == {"k": 9}
    (clash,) = change.clashes
    assert clash.against == ANA
    assert change.patch["clashes"] == [{"against": "a", "text": clash.text}]
    assert "Ben changed “K” of “Retrieve”" in clash.text
    other = {"op": "set_config", "node": "retrieve", "config": {"k": 9, "note": "x"}}
    assert editor.apply([other], by=ANA).clashes == ()  # another field
    gone = editor.apply([{"op": "delete", "nodes": ["retrieve"]}], by=ANA)
    assert [c.against for c in gone.clashes] == [BEN]


def test_what_was_changed_long_ago_is_no_clash() -> None:
    now = 0.0
    editor = GraphEditor(toys.answering(), toys.registry())
    editor._clashes = Clashes(editor._words, lambda: now)
    editor.apply([config(7)], by=ANA)
    now = 60.0
    assert editor.apply([config(8)], by=BEN).clashes == ()


def test_what_was_typed_over_something_unseen_is_a_clash_however_late() -> None:
    now = 0.0
    editor = GraphEditor(toys.answering(), toys.registry())
    editor._clashes = Clashes(editor._words, lambda: now)
    editor.apply([{"op": "add_note", "x": 0, "y": 0, "text": "Old"}], by=ANA)
    (note,) = editor.graph.extra["notes"]
    edit = {"op": "edit_note", "note": note["id"]}
    editor.apply([{**edit, "text": "Of Ana", "was": "Old"}], by=ANA)
    editor.apply([{"op": "rename", "node": "retrieve", "title": "Of Ana"}], by=ANA)
    now = 600.0
    (clash,) = editor.apply([{**edit, "text": "Of Ben", "was": "Old"}], by=BEN).clashes
    assert clash.text.startswith("Ben changed the text of a note just after you")
    now = 1200.0  # Ana has seen what Ben wrote
    assert editor.apply([{**edit, "text": "Both", "was": "Of Ben"}], by=ANA).clashes == ()
    rename = {"op": "rename", "node": "retrieve", "title": "Of Ben", "was": "Search"}
    assert [c.against for c in editor.apply([rename], by=BEN).clashes] == [ANA]


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (
            {"op": "set_policy", "node": "retrieve", "retries": 1},
            {"op": "set_policy", "node": "retrieve", "retries": 2},
            "the retries of “Retrieve”",
        ),
        (
            {"op": "set_info", "description": "One"},
            {"op": "set_info", "description": "Two"},
            "the description of this workflow",
        ),
        (
            {"op": "set_variable", "name": "city", "value": "Rome"},
            {"op": "set_variable", "name": "city", "value": "Oslo", "was": "city"},
            "the variable “city”",
        ),
    ],
)
def test_every_field_that_two_people_change_is_told(
    editor: GraphEditor, first: dict[str, Any], second: dict[str, Any], words: str
) -> None:
    assert editor.apply([first], by=ANA).clashes == ()
    (clash,) = editor.apply([second], by=BEN).clashes
    assert clash.text.startswith(f"Ben changed {words} just after you")


def test_history_is_bounded_by_what_it_holds() -> None:
    editor = GraphEditor(toys.answering(), toys.registry())
    editor._history = History(budget=200_000)
    for i in range(100):
        text = str(i) * 20_000
        editor.apply([{"op": "set_config", "node": "retrieve", "config": {"note": text}}], by=ANA)
        editor.apply([{"op": "rename", "node": "generate", "title": str(i)}])
    assert editor._history.size <= 200_000
    steps = 0
    while editor.undo_label:
        editor.undo()
        steps += 1
    assert 2 <= steps < 40
    assert editor.redo_label is not None
