"""Open editors and the history behind them: who edited, and versions that come back."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.engine.problems import RagloomError
from app.services.container import Services
from app.settings import load_settings
from app.ui.canvas.ops import Delete, SetConfig, SetInfo
from app.ui.canvas.presence import Author
from app.ui.pages.canvas.sessions import Sessions
from tests.crash.test_disk_full import little_room_for_files, little_room_for_rows

GRAPH: dict[str, Any] = {
    "directed": True,
    "multigraph": True,
    "graph": {"format": "ragloom/1", "name": "Echo", "outputs": {}},
    "nodes": [{"id": "text", "type": "text_input", "config": {}, "position": [0, 0]}],
    "edges": [],
}
ADA, BOB = Author("1", "Ada"), Author("2", "Bob")


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Services]:
    settings = load_settings(environ={}, data=tmp_path / "data", demo=False, port=0)
    services = await Services.open(settings)
    yield services
    await services.close()


async def test_a_revision_names_everybody_who_edited_since_the_last(opened: Services) -> None:
    sessions = Sessions(lambda: opened)
    made = await opened.workflows.create(GRAPH, author="tests")
    session = await sessions.open(made)
    for name, person in (("One", ADA), ("Two", BOB), ("Three", ADA)):
        session.editor.apply([SetInfo(name=name)], by=person)
    assert (await session.save_now()).status == "saved"
    session.editor.apply([SetInfo(name="Four")])
    await session.save_now()
    listed = (await opened.history.list(made.workflow_id)).items
    assert [revision.author for revision in listed] == ["page", "Ada, Bob", "tests"]
    session.close()


async def test_a_version_that_is_restored_shows_on_open_canvases(opened: Services) -> None:
    sessions = Sessions(lambda: opened)
    made = await opened.workflows.create(GRAPH)
    session = await sessions.open(made)
    session.editor.apply([SetInfo(name="Edited a moment ago")], by=ADA)
    # What was not saved yet becomes a revision of its own first.
    newest = await sessions.settle(made.workflow_id)
    assert newest == 2
    back = await opened.history.restore(made.workflow_id, 1, "Bob", newest)
    sessions.adopt(made.workflow_id, back.graph, back.number)
    assert session.editor.graph.name == "Echo"
    assert (session.state.status, session.editor.revision) == ("saved", 3)
    session.editor.apply([SetInfo(name="Goes on")], by=BOB)
    assert (await session.save_now()).revision == 4
    # Edits that cannot be saved are in the way of restoring: nothing of them is lost.
    theirs = copy.deepcopy(GRAPH)
    theirs["graph"]["name"] = "From elsewhere"
    session.editor.apply([SetInfo(name="Mine")], by=ADA)
    await opened.workflows.save(made.workflow_id, theirs, 4)
    with pytest.raises(RagloomError, match="not saved"):
        await sessions.settle(made.workflow_id)
    assert await sessions.settle("wf_not_open") is None
    session.close()


async def test_a_kill_right_after_a_save_makes_no_conflict(opened: Services) -> None:
    """The revision is stored; that it is, was not noted any more."""
    made = await opened.workflows.create(GRAPH)
    session = await Sessions(lambda: opened).open(made)
    session.editor.apply([SetInfo(name="One")])
    await session.save_now()
    session.editor.apply([SetInfo(name="Two")])
    await opened.workflows.save(made.workflow_id, session.editor.dump(), 2)
    session.close()

    again = await Sessions(lambda: opened).open(await opened.workflows.get(made.workflow_id))
    assert (again.state.status, again.editor.revision) == ("saved", 3)
    again.editor.undo()
    assert again.editor.graph.name == "One"
    assert again.editor.undo_label is not None
    assert (await again.save_now()).status == "saved"
    again.close()


async def test_on_a_full_disk_editing_goes_on_and_saving_says_why(
    opened: Services, caplog: pytest.LogCaptureFixture
) -> None:
    made = await opened.workflows.create(GRAPH)
    session = await Sessions(lambda: opened).open(made)
    seen: list[str] = []
    session.editor.subscribe(lambda change: seen.append(change.label))
    big = SetInfo(description="x" * 600_000)
    with little_room_for_files(500_000), little_room_for_rows(opened, 1):
        session.editor.apply([big])
        assert session.editor.graph.description == big.description
        assert len(seen) == 1
        state = await session.save_now()
        assert state.status == "failed"
        assert "no space left" in state.message
    assert "could not be written" in caplog.text
    assert (await session.save_now()).status == "saved"
    session.close()


async def test_what_is_saved_elsewhere_shows_where_nothing_is_in_the_way(opened: Services) -> None:
    sessions = Sessions(lambda: opened)
    made = await opened.workflows.create(GRAPH)
    session = await sessions.open(made)
    theirs = copy.deepcopy(GRAPH)
    theirs["graph"]["name"] = "From elsewhere"
    await opened.workflows.save(made.workflow_id, theirs, 1)
    assert session.editor.graph.name == "From elsewhere"
    assert (session.state.status, session.editor.revision) == ("saved", 2)
    session.editor.undo()
    assert session.editor.graph.name == "Echo"
    assert (await session.save_now()).revision == 3
    # Own edits are not replaced.
    session.editor.apply([SetInfo(name="Mine")])
    await opened.workflows.save(made.workflow_id, theirs, 3)
    assert session.editor.graph.name == "Mine"
    assert (await session.save_now()).status == "conflict"
    assert session.editor.graph.name == "Mine"
    session.close()


async def test_a_model_without_a_key_is_told_on_its_card(
    opened: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    graph = copy.deepcopy(GRAPH)
    config = {"model": "openai/gpt-4o-mini"}
    graph["nodes"].append({"id": "say", "type": "generate", "config": config, "position": [0, 0]})
    session = await Sessions(lambda: opened).open(await opened.workflows.create(graph))
    editor = session.editor

    def told() -> list[str]:
        card = editor.node_view("say") or {}
        return [p["fix"] for p in card["problems"] if p["code"] == "model_unavailable"]

    async with asyncio.timeout(60):
        while not told():
            await asyncio.sleep(0.01)
    assert "OPENAI_API_KEY" in told()[0]
    # Another model: what was found of the first one is over at once.
    editor.apply([SetConfig(node="say", config={"model": "extractive"})])
    assert told() == []
    editor.apply([SetConfig(node="say", config={"model": "openai/gpt-4o"})])
    async with asyncio.timeout(60):
        while not told():
            await asyncio.sleep(0.01)
    editor.apply([Delete(nodes=["say"])])
    assert all(problem.node != "say" for problem in editor.problems)
    session.close()


async def test_a_workflow_inside_that_goes_or_comes_back_is_told_on_open_canvases(
    opened: Services,
) -> None:
    inner = await opened.workflows.create(GRAPH)
    graph = copy.deepcopy(GRAPH)
    body = {"workflow": inner.workflow_id, "revision": inner.revision}
    graph["nodes"].append(
        {"id": "sub", "type": "workflow", "config": {"body": body}, "position": [0, 0]}
    )
    outer = await opened.workflows.create(graph)
    sessions = Sessions(lambda: opened)
    session = await sessions.open(outer)
    look = session.editor.subscribe(lambda _: None)

    async def told(missing: bool) -> None:
        async with asyncio.timeout(60):
            while any(p.code == "missing_workflow" for p in session.editor.problems) != missing:
                await asyncio.sleep(0.01)

    await opened.workflows.delete(inner.workflow_id)
    await told(True)
    await opened.workflows.bring_back(inner.workflow_id)
    await told(False)

    # However often others save something, it is told.
    other = await opened.workflows.create(GRAPH)
    await opened.workflows.delete(inner.workflow_id)
    async with asyncio.timeout(60):
        while all(p.code != "missing_workflow" for p in session.editor.problems):
            other = await opened.workflows.save(other.workflow_id, GRAPH, other.revision)
            await asyncio.sleep(0.01)
    await opened.workflows.bring_back(inner.workflow_id)
    await told(False)

    def looking() -> bool:
        return any(task.get_name() == "look around" for task in asyncio.all_tasks())

    # Nobody looks: it is seen when somebody comes again.
    look()
    async with asyncio.timeout(60):
        while looking():
            await asyncio.sleep(0.01)
    await opened.workflows.delete(inner.workflow_id)
    assert not looking()
    assert await sessions.open(outer) is session
    await told(True)
    session.close()
