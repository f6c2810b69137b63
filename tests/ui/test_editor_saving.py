"""Saving: revisions by compare and set, conflicts, the journal, one editor for several tabs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import canvas_toys as toys

from app.engine.graph import Graph
from app.engine.problems import RagloomError
from app.ui.canvas.drafts import Draft, Drafts
from app.ui.canvas.editor import GraphEditor
from app.ui.canvas.hub import EditorHub
from app.ui.canvas.saving import Autosave, SaveState

RENAME = {"op": "rename", "node": "retrieve", "title": "Look it up"}


class Shelf:
    """Stores revisions the way the workflow service does."""

    def __init__(self) -> None:
        self.revisions: list[dict[str, Any]] = [toys.answering().dump()]
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken = False

    async def save(self, graph: dict[str, Any], base: int) -> int:
        await self.gate.wait()
        if self.broken:
            raise RagloomError("The disk is full.", fix="Make room.")
        if base != len(self.revisions):
            raise RagloomError("Somebody else saved.", code="conflict")
        if graph != self.revisions[-1]:
            self.revisions.append(graph)
        return len(self.revisions)


def opened(shelf: Shelf, **options: Any) -> Autosave:
    editor = GraphEditor(toys.answering(), toys.registry(), revision=1)
    return Autosave(editor, shelf.save, delay_s=0.02, **options)


async def until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_pause_saves_a_revision() -> None:
    shelf, states = Shelf(), list[SaveState]()
    autosave = opened(shelf, on_state=states.append)
    for title in ("a", "b", "c"):
        autosave.editor.apply([{**RENAME, "title": title}])
    await until(lambda: autosave.state.status == "saved")
    assert len(shelf.revisions) == 2
    assert autosave.editor.revision == 2
    assert [s.status for s in states] == ["unsaved"] * 3 + ["saving", "saved"]
    assert not autosave.editor.dirty


async def test_an_edit_during_a_save_is_saved_next() -> None:
    shelf = Shelf()
    autosave = opened(shelf)
    shelf.gate.clear()
    autosave.editor.apply([RENAME])
    await until(lambda: autosave.state.status == "saving")
    autosave.editor.apply([{**RENAME, "title": "Later"}])
    shelf.gate.set()
    await until(lambda: len(shelf.revisions) == 3 and autosave.state.status == "saved")
    assert Graph.parse(shelf.revisions[-1]).nodes["retrieve"].title == "Later"


async def test_newer_work_of_others_is_never_overwritten() -> None:
    shelf = Shelf()
    autosave = opened(shelf)
    theirs = toys.answering()
    theirs.name = "theirs"
    shelf.revisions.append(theirs.dump())
    autosave.editor.apply([RENAME])
    await until(lambda: autosave.state.status == "conflict")
    autosave.editor.apply([{**RENAME, "title": "More"}])
    await autosave.save_now()
    assert len(shelf.revisions) == 2
    assert autosave.state.fix

    autosave.take_theirs(theirs, 2)
    assert autosave.editor.graph.name == "theirs"
    assert autosave.state.status == "saved"
    autosave.editor.undo()
    assert autosave.editor.graph.nodes["retrieve"].title == "More"
    await until(lambda: len(shelf.revisions) == 3)


async def test_keeping_mine_is_a_revision_on_top_of_theirs() -> None:
    shelf = Shelf()
    autosave = opened(shelf)
    shelf.revisions.append({**toys.answering().dump(), "note": 1})
    autosave.editor.apply([RENAME])
    await until(lambda: autosave.state.status == "conflict")
    await autosave.keep_mine(2)
    assert autosave.state == SaveState("saved", 3)
    assert Graph.parse(shelf.revisions[2]).nodes["retrieve"].title == "Look it up"


async def test_a_failed_save_says_why_and_is_tried_again() -> None:
    shelf = Shelf()
    autosave = opened(shelf)
    shelf.broken = True
    autosave.editor.apply([RENAME])
    await until(lambda: autosave.state.status == "failed")
    assert autosave.state.message == "Not saved: The disk is full."
    assert autosave.state.fix == "Make room."
    shelf.broken = False
    assert (await autosave.save_now()).status == "saved"


async def test_an_empty_graph_is_not_saved_unless_the_nodes_were_deleted() -> None:
    shelf = Shelf()
    autosave = opened(shelf)
    autosave.editor._graph = Graph()  # what a lost connection or a bug might leave
    assert (await autosave.save_now()).status == "failed"
    assert len(shelf.revisions) == 1
    autosave.editor._graph = toys.answering()
    autosave.editor.apply([{"op": "delete", "nodes": ["question", "retrieve", "generate"]}])
    assert (await autosave.save_now()).status == "saved"


def test_a_draft_survives_and_is_forgotten_once_saved(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path / "drafts")
    assert drafts.read("w1") is None
    graph = toys.answering().dump()
    drafts.write("w1", graph, 4)
    drafts.write("w1", graph, 5)
    assert Drafts(tmp_path / "drafts").read("w1") == Draft(graph, 5)
    assert [path.name for path in (tmp_path / "drafts").iterdir()] == ["w1.json"]
    drafts.clear("w1")
    assert drafts.read("w1") is None
    drafts.clear("w1")


def test_a_damaged_draft_is_no_draft(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path)
    (tmp_path / "w1.json").write_text('{"graph": ')
    assert drafts.read("w1") is None


def test_undo_and_redo_survive_a_restart(tmp_path: Path) -> None:
    editor, drafts = GraphEditor(toys.answering(), toys.registry()), Drafts(tmp_path)
    for title in ("one", "two", "three"):
        editor.apply([{**RENAME, "title": title}, {"op": "delete", "nodes": ["question"]}])
    editor.undo()
    drafts.write_history("w1", editor.dump_history())

    again = GraphEditor(Graph.parse(editor.dump()), toys.registry())
    assert again.restore_history(Drafts(tmp_path).read_history("w1"))
    assert again.undo_label == editor.undo_label
    for step in ("redo", "undo", "undo", "undo"):
        getattr(editor, step)()
        getattr(again, step)()
        assert again.dump() == editor.dump()
    assert again.dump() == toys.answering().dump()
    assert again.undo_label is None


def test_a_history_of_another_graph_begins_with_what_lies_between() -> None:
    editor = GraphEditor(toys.answering(), toys.registry())
    editor.apply([RENAME])
    other = toys.answering()
    other.name = "Changed elsewhere"
    again = GraphEditor(other, toys.registry())
    assert again.restore_history(editor.dump_history())
    assert (again.undo_label, again.redo_label) == ("Changes made elsewhere", None)
    again.undo()
    assert again.dump() == editor.dump()
    again.undo()
    assert again.dump() == toys.answering().dump()


def test_a_damaged_history_is_left_alone(tmp_path: Path) -> None:
    editor = GraphEditor(toys.answering(), toys.registry())
    editor.apply([RENAME])
    history = editor.dump_history()
    other = GraphEditor(toys.answering(), toys.registry())
    assert not other.restore_history({**history, "nodes": []})
    assert not other.restore_history({"past": 3})
    assert not other.restore_history(None)
    assert other.undo_label is None
    drafts = Drafts(tmp_path)
    drafts.write_history("w1", history)
    drafts.forget("w1")
    assert drafts.read_history("w1") is None


async def test_two_tabs_share_one_editor_and_idle_ones_are_forgotten() -> None:
    hub, opens = EditorHub(keep=1), 0

    async def opener() -> Autosave:
        nonlocal opens
        opens += 1
        await asyncio.sleep(0)
        return opened(Shelf())

    one, two = await asyncio.gather(hub.open("w1", opener), hub.open("w1", opener))
    assert one is two
    assert opens == 1
    one.editor.apply([RENAME])
    await hub.open("w2", opener)
    await hub.open("w3", opener)
    assert hub.get("w1") is one.editor  # it has unsaved edits
    assert hub.get("w2") is None
    hub.close("w1")
    assert hub.get("w1") is None
