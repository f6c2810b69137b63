"""A stored workflow as the pipeline of a knowledge base: checked, pinned, run, and told apart."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from app.engine.graph import EdgeSpec, Graph, NodeSpec
from app.engine.problems import InvalidWorkflow, RagloomError
from app.services.container import Services
from app.services.ingestion.kb_pipeline import check_pipeline, graph_for, identity_of
from app.services.ingestion.pipeline import ingestion_graph, stage_of
from app.services.ingestion.processing import KnowledgeConfig, Processing
from storage import tables
from tests.services.conftest import Fill, opened

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Services]:
    async with opened(tmp_path_factory.mktemp("shared") / "data") as services:
        yield services


@pytest_asyncio.fixture(loop_scope="module")
async def kb(services: Services) -> str:
    return (await services.knowledge.create(f"Docs {uuid.uuid4()}")).knowledge_base_id


def row(**config: Any) -> tables.KnowledgeBase:
    """A knowledge base that is not stored."""
    full = KnowledgeConfig(**config).model_dump()
    return tables.KnowledgeBase(id="kb1", name="Docs", config=full, created_at=0, updated_at=0)


class OneWorkflow:
    """Stored workflows: one, at revision 3."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def graph(
        self, workflow_id: str, revision: int | None = None
    ) -> tuple[dict[str, Any], int]:
        if (workflow_id, revision) != ("wf", 3):
            raise RagloomError(f"There is no {workflow_id}.", code="not_found")
        return self._graph.dump(), 3


def drawn(chunk_size: int = 64) -> Graph:
    graph = ingestion_graph("other", "draft", Processing())
    graph.nodes["chunk"].config |= {"chunk_size": chunk_size, "chunk_overlap": 0}
    return graph


async def test_the_standard_pipeline_has_the_settings_of_the_upload() -> None:
    graph = await graph_for(row(), "main", Processing(chunk_size=123), 7.0)
    assert graph == ingestion_graph("kb1", "main", Processing(chunk_size=123), timeout_s=7.0)
    assert identity_of(row(), Processing()) == Processing().identity()


async def test_a_stored_workflow_is_bound_to_the_upload() -> None:
    graph = drawn()
    graph.nodes["files"].config = {"name": "papers"}
    graph.nodes["aside"] = NodeSpec("aside", "output", config={"name": "aside"})
    graph.edges.append(EdgeSpec("quality", "dropped", "aside", "value"))
    base = row(pipeline={"workflow_id": "wf", "revision": 3})
    bound = await graph_for(base, "next", Processing(), 9.0, OneWorkflow(graph))
    assert bound.nodes["files"].config == {"name": "files"}
    index = bound.nodes["index"]
    assert (index.config["knowledge_base"], index.config["ref"]) == ("kb1", "next")
    assert index.timeout_s == 9.0
    assert bound.nodes["chunk"].config["chunk_size"] == 64
    assert "aside" not in bound.nodes
    assert bound.outputs == {"report": ("index", "report")}
    assert graph.nodes["files"].config == {"name": "papers"}, "the stored one stays as it is"


async def test_what_an_upload_asks_for_goes_before_the_workflow() -> None:
    base = row(pipeline={"workflow_id": "wf", "revision": 3}, chunk_size=300)
    usual, asked = Processing(chunk_size=300), Processing(chunk_size=200)
    bound = await graph_for(base, "main", usual, None, OneWorkflow(drawn()))
    assert bound.nodes["chunk"].config["chunk_size"] == 64
    bound = await graph_for(base, "main", asked, None, OneWorkflow(drawn()))
    assert bound.nodes["chunk"].config["chunk_size"] == 200
    assert identity_of(base, asked) != identity_of(base, usual)


async def test_versions_tell_pipelines_and_revisions_apart() -> None:
    third = row(pipeline={"workflow_id": "wf", "revision": 3})
    fourth = row(pipeline={"workflow_id": "wf", "revision": 4})
    told = [str(identity_of(base, Processing())) for base in (row(), third, fourth)]
    assert len(set(told)) == 3
    assert identity_of(third, Processing()) == identity_of(third, Processing())


async def test_a_workflow_that_is_gone_is_named() -> None:
    base = row(pipeline={"workflow_id": "wf", "revision": 9})
    with pytest.raises(RagloomError) as caught:
        await graph_for(base, "main", Processing(), None, OneWorkflow(drawn()))
    assert caught.value.code == "pipeline_missing"
    assert "Docs" in caught.value.message
    assert caught.value.fix


def without(graph: Graph, *nodes: str) -> Graph:
    for node in nodes:
        del graph.nodes[node]
    graph.edges = [e for e in graph.edges if not {e.source, e.target} & set(nodes)]
    graph.outputs = {}
    return graph


def twice(node: str) -> Graph:
    graph = drawn()
    graph.nodes["again"] = NodeSpec("again", graph.nodes[node].type)
    return graph


def asks() -> Graph:
    graph = drawn()
    graph.nodes["ask"] = NodeSpec("ask", "approval", title="Look first")
    graph.edges = [e for e in graph.edges if (e.source, e.target) != ("quality", "index")]
    graph.edges += [
        EdgeSpec("quality", "chunks", "ask", "value"),
        EdgeSpec("ask", "approved", "index", "chunks"),
    ]
    return graph


@pytest.mark.parametrize(
    ("graph", "code"),
    [
        (without(drawn(), "files"), "no_files_node"),
        (without(drawn(), "index"), "no_index_node"),
        (twice("files"), "too_many_nodes"),
        (twice("index"), "too_many_nodes"),
        (without(drawn(), "extract"), "index_not_reached"),
        (without(drawn(), "chunk"), "unconnected_input"),
        (asks(), "needs_a_person"),
    ],
)
async def test_why_a_workflow_cannot_serve(services: Services, graph: Graph, code: str) -> None:
    found = {p.code: p for p in check_pipeline(graph, services.registry)}
    assert code in found, found
    assert found[code].message
    assert found[code].fix


async def test_a_sound_workflow_has_no_problem(services: Services) -> None:
    assert check_pipeline(drawn(), services.registry) == []


async def test_stages_follow_the_types_of_nodes() -> None:
    from app.engine.events import NodeProgress, NodeStarted, TokenEvent

    graph = drawn()
    graph.nodes = {f"my-{key}": node for key, node in graph.nodes.items()}
    assert stage_of(NodeStarted(run_id="r", node_id="my-chunk"), graph) == ("chunk", 0, 0)
    done = NodeProgress(run_id="r", node_id="my-index", done=3, total=3)
    assert stage_of(done, graph) == ("index", 3, 3)
    half = NodeProgress(run_id="r", node_id="my-index", done=1, total=3)
    assert stage_of(half, graph) == ("embed", 1, 3)
    assert stage_of(NodeStarted(run_id="r", node_id="my-files"), graph) is None
    assert stage_of(NodeStarted(run_id="r", node_id="my-chunk/inner"), graph) is None
    assert stage_of(TokenEvent(run_id="r", node_id="my-chunk", text="x"), graph) is None


_LONG = "\n\n".join(f"Paragraph {n} tells of the mill at Aldham and its wheel." for n in range(30))


async def test_a_drawn_pipeline_does_what_the_standard_one_does(
    services: Services, kb: str, fill: Fill
) -> None:
    await fill(kb, {"mill.txt": _LONG})
    before = await services.knowledge.chunks(kb, await only_document(services, kb))
    drawn = await services.pipelines.draw(kb, author="ann")
    assert await services.pipelines.used(kb) is None, "drawing changes nothing yet"
    assert len({tuple(n["position"]) for n in drawn.graph["nodes"]}) == drawn.node_count
    used = await services.pipelines.use(kb, drawn.workflow_id)
    pinned = {"workflow_id": drawn.workflow_id, "revision": drawn.revision}
    assert used.config["pipeline"] == pinned
    assert await services.pipelines.users_of(drawn.workflow_id) == {kb: drawn.revision}
    job = await fill(kb, {"mill.txt": _LONG})
    assert job.results[0].change == "updated", "another pipeline makes another version"
    after = await services.knowledge.chunks(kb, await only_document(services, kb))
    assert [c.content for c in after.items] == [c.content for c in before.items]
    job = await fill(kb, {"mill.txt": _LONG})
    assert job.results[0].change == "unchanged"


async def test_a_changed_pipeline_serves_once_it_is_used(
    services: Services, kb: str, fill: Fill
) -> None:
    drawn = await services.pipelines.draw(kb)
    await services.pipelines.use(kb, drawn.workflow_id)
    (first,) = (await fill(kb, {"mill.txt": _LONG})).results
    graph = drawn.graph
    chunk = next(n for n in graph["nodes"] if n["type"] == "chunk")
    chunk["config"] |= {"chunk_size": 32, "chunk_overlap": 0}
    saved = await services.workflows.save(drawn.workflow_id, graph, drawn.revision)
    (same,) = (await fill(kb, {"mill.txt": _LONG})).results
    assert same.change == "unchanged", "the pinned revision serves until another is chosen"
    used = await services.pipelines.used(kb)
    assert used is not None
    assert (used.revision, used.newest) == (drawn.revision, saved.revision)
    await services.pipelines.use(kb, drawn.workflow_id)
    (smaller,) = (await fill(kb, {"mill.txt": _LONG})).results
    assert smaller.change == "updated"
    assert smaller.chunks_created > first.chunks_created
    await services.pipelines.use_standard(kb)
    assert await services.pipelines.used(kb) is None
    (standard,) = (await fill(kb, {"mill.txt": _LONG})).results
    assert standard.chunks_created == first.chunks_created


async def test_documents_are_processed_again_by_the_pipeline_with_other_settings(
    services: Services, kb: str, fill: Fill
) -> None:
    drawn = await services.pipelines.draw(kb)
    await services.pipelines.use(kb, drawn.workflow_id)
    (first,) = (await fill(kb, {"mill.txt": _LONG})).results
    config = {"chunk_size": 24, "chunk_overlap": 0}
    job = await services.ingest.reprocess(kb, None, config)
    (again,) = (await services.ingest.wait(job.job_id, 60)).results
    assert again.change == "updated"
    assert again.chunks_created > first.chunks_created
    document = await services.knowledge.document(kb, await only_document(services, kb))
    assert document.processing["workflow_id"] == drawn.workflow_id
    assert document.processing["chunk_size"] == 24


async def test_a_workflow_that_cannot_serve_is_refused(services: Services, kb: str) -> None:
    graph = without(drawn(), "files").dump()
    view = await services.workflows.create(graph)
    with pytest.raises(InvalidWorkflow) as caught:
        await services.pipelines.use(kb, view.workflow_id)
    assert caught.value.code == "invalid_pipeline"
    assert "Files" in caught.value.message
    with pytest.raises(RagloomError) as missing:
        await services.knowledge.update(kb, config={"pipeline": {"workflow_id": "nowhere"}})
    assert missing.value.code == "not_found"
    assert await services.pipelines.used(kb) is None


async def test_a_file_that_the_pipeline_leaves_out_is_told(
    services: Services, kb: str, fill: Fill
) -> None:
    graph = drawn()
    graph.nodes["extract"].on_error = "skip"
    view = await services.workflows.create(graph.dump())
    await services.pipelines.use(kb, view.workflow_id)
    (result,) = (await fill(kb, {"broken.pdf": "%PDF-1.7 rubbish"})).results
    assert result.status == "error"
    assert result.error is not None
    assert result.error["code"] == "left_out"


async def only_document(services: Services, kb: str) -> str:
    page = await services.knowledge.documents(kb)
    (document,) = page.items
    return document.document_id
