"""A workflow tried on one document: every step runs, and nothing is written."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from app.engine.graph import Graph
from app.engine.options import RunOptions
from app.services.container import Services
from app.services.ingestion.index_preview import counts
from app.services.ingestion.trials import can_try, fills, trial
from app.services.views import ExecutionView
from tests.services.conftest import Fill, opened

pytestmark = pytest.mark.asyncio(loop_scope="module")

MILL = "\n\n".join(f"Paragraph {n} tells of the mill at Aldham and its wheel." for n in range(30))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Services]:
    async with opened(tmp_path_factory.mktemp("shared") / "data") as services:
        yield services


@pytest_asyncio.fixture(loop_scope="module")
async def kb(services: Services) -> str:
    return (await services.knowledge.create(f"Docs {uuid.uuid4()}")).knowledge_base_id


async def tried(services: Services, graph: Graph, text: str, kb: str = "") -> ExecutionView:
    blob, size = services.folder.blobs.put_stream([text.encode()])
    asked = trial(graph, {"filename": "mill.txt", "blob": blob, "size": size}, kb)
    run = await services.runs.start(
        graph=graph.dump(), input_data=asked.input_data, options=asked.options
    )
    ended = await services.runs.wait(run, 60)
    assert ended.status == "completed", ended.error
    return ended


def told(run: ExecutionView) -> dict[str, Any]:
    (step,) = [step for step in run.steps if step.type == "index"]
    table = step.outputs["report"]
    (row,) = table["rows"]
    return dict(zip(table["columns"], row, strict=True))


async def state(services: Services, kb: str) -> tuple[str, int, int]:
    stats = await services.knowledge.stats(kb)
    return stats.commit, stats.document_count, stats.chunk_count


async def test_a_new_document_would_be_added(services: Services, kb: str) -> None:
    graph = Graph.parse((await services.pipelines.draw(kb)).graph)
    before = await state(services, kb)
    # What another test has embedded already would be embedded no more.
    run = await tried(services, graph, MILL.replace("Aldham", kb))
    would = told(run)
    assert would["would be"] == "added"
    assert would["added"] == would["chunks"] == would["to embed"] > 0
    assert would["tokens"] > 300
    assert (would["same"], would["changed"], would["removed"]) == (0, 0, 0)
    assert await state(services, kb) == before
    assert (await services.knowledge.documents(kb)).total == 0, "not even the name is kept"
    kinds = {step.type: step.outputs for step in run.steps}
    assert kinds["extract"]["documents"]["items"][0]["blocks"]
    assert kinds["chunk"]["chunks"]["items"]


async def test_a_known_document_tells_what_would_change(
    services: Services, kb: str, fill: Fill
) -> None:
    await fill(kb, {"mill.txt": MILL})
    graph = Graph.parse((await services.pipelines.draw(kb)).graph)
    before = await state(services, kb)
    same = told(await tried(services, graph, MILL))
    assert (same["would be"], same["to embed"], same["tokens"]) == ("unchanged", 0, 0)
    assert same["same"] == same["chunks"]
    more = told(await tried(services, graph, MILL + "\n\nAnd the miller sleeps."))
    assert more["would be"] == "updated"
    assert more["same"] + more["changed"] + more["added"] == more["chunks"]
    assert more["changed"] + more["added"] >= 1
    assert 0 < more["to embed"] <= more["changed"] + more["added"]
    assert await state(services, kb) == before


async def test_a_workflow_without_a_knowledge_base_is_compared_with_the_one_given(
    services: Services, kb: str
) -> None:
    graph = Graph.parse((await services.pipelines.draw(kb)).graph)
    assert fills(graph) == (await services.knowledge.get(kb)).name
    del graph.nodes["index"].config["knowledge_base"]
    assert fills(graph) == ""
    assert told(await tried(services, graph, MILL, kb))["would be"] == "added"


async def test_a_trial_that_is_run_again_stays_a_trial(services: Services, kb: str) -> None:
    graph = Graph.parse((await services.pipelines.draw(kb)).graph)
    first = await tried(services, graph, MILL)
    before = await state(services, kb)
    again = await services.runs.rerun(first.execution_id, from_="chunk")
    ended = await services.runs.wait(again, 60)
    assert told(ended)["would be"] == "added"
    assert await state(services, kb) == before


async def test_a_run_of_the_same_graph_writes(services: Services, kb: str) -> None:
    graph = Graph.parse((await services.pipelines.draw(kb)).graph)
    blob, size = services.folder.blobs.put_stream([MILL.encode()])
    files = [{"filename": "mill.txt", "blob": blob, "size": size}]
    run = await services.runs.start(
        graph=graph.dump(), input_data={"files": files}, options=RunOptions()
    )
    assert told(await services.runs.wait(run, 60))["change"] == "added"
    assert (await services.knowledge.documents(kb)).total == 1


async def test_what_can_be_tried(services: Services, kb: str) -> None:
    graph = Graph.parse((await services.pipelines.draw(kb)).graph)
    assert can_try(graph)
    graph.nodes["index"].disabled = True
    assert not can_try(graph)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("", "abc", (0, 0, 3, 0)),
        ("abc", "abc", (3, 0, 0, 0)),
        ("abc", "aXc", (2, 1, 0, 0)),
        ("abc", "ac", (2, 0, 0, 1)),
        ("abc", "aXYZc", (2, 1, 2, 0)),
        ("abc", "", (0, 0, 0, 3)),
    ],
)
async def test_changes_are_counted_in_their_order(
    before: str, after: str, expected: tuple[int, int, int, int]
) -> None:
    assert counts([(c, None) for c in before], [(c, None) for c in after]) == expected
