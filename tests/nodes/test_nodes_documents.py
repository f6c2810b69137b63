"""From files to an index, and whole workflows through the engine."""

from __future__ import annotations

import pytest
from nodes_world import SmallWorld, chunk

from app.engine.events import Event, NodeProgress, NodeSkipped
from app.engine.graph import EdgeSpec, Graph, NodeSpec
from app.engine.problems import NodeFailed, RagloomError
from app.engine.registry import Registry
from app.engine.runner import Runner
from app.engine.values import Chunks, Document, Documents
from app.nodes.documents import Chunk, Extract, Files
from app.nodes.indexing import Index, QualityCheck
from app.nodes.inputs import FileInput

HANDBOOK = """# Handbook

## Feeding

Ducks are fed twice a day, at eight and at four.

| Food | Calories |
| --- | --- |
| Berries | 150 |

## Opening hours

The garden opens at nine and closes at six.
"""


def wire(source: str, target: str) -> EdgeSpec:
    (a, b), (c, d) = source.split("."), target.split(".")
    return EdgeSpec(a, b, c, d)


async def run(
    registry: Registry, world: SmallWorld, graph: Graph, **input_data: object
) -> tuple[dict[str, object], list[Event]]:
    events: list[Event] = []
    finished = await Runner(registry, world, None).run(graph, input_data, "run", events.append)
    assert finished.status == "completed", finished.problem
    return finished.outputs, events


async def test_files_become_an_index_that_answers(registry: Registry, world: SmallWorld) -> None:
    files = [
        world.files.put("handbook.md", HANDBOOK.encode()),
        world.files.put("note.txt", b"The keeper of the garden is called Ruth."),
    ]
    ingest = Graph(
        name="Ingestion",
        outputs={"report": ("index", "report")},
        nodes={
            n.id: n
            for n in (
                NodeSpec("files", "files"),
                NodeSpec("extract", "extract"),
                NodeSpec("chunk", "chunk", config={"chunk_size": 64, "chunk_overlap": 8}),
                NodeSpec("quality", "quality_check"),
                NodeSpec("index", "index", config={"knowledge_base": "kb"}),
            )
        },
        edges=[
            wire("files.documents", "extract.documents"),
            wire("extract.documents", "chunk.documents"),
            wire("chunk.chunks", "quality.chunks"),
            wire("extract.documents", "index.documents"),
            wire("quality.chunks", "index.chunks"),
        ],
    )
    outputs, events = await run(registry, world, ingest, files=files)
    report = outputs["report"]
    rows = [dict(zip(report["columns"], row, strict=True)) for row in report["rows"]]
    assert [(r["filename"], r["change"]) for r in rows] == [
        ("handbook.md", "added"),
        ("note.txt", "added"),
    ]
    progress = [e for e in events if isinstance(e, NodeProgress) and e.node_id == "index"]
    assert (progress[-1].done, progress[-1].total) == (sum(r["chunks"] for r in rows),) * 2

    outputs, events = await run(registry, world, answering(), question="Who is the keeper?")
    assert outputs["answer"]["text"] == "The keeper of the garden is called Ruth. [1]"
    assert outputs["verdict"]["passed"]
    assert {e.node_id for e in events if isinstance(e, NodeSkipped)} == {"again", "retry"}
    outputs, _ = await run(
        registry, world, answering(), question="How many calories are in berries?"
    )
    assert "150" in outputs["answer"]["text"]
    outputs, events = await run(registry, world, answering(), question="Who won the chess cup?")
    assert outputs["answer"]["abstained"]
    assert not any(isinstance(e, NodeSkipped) for e in events)


def answering() -> Graph:
    """Retrieve, rerank, answer, check; a failed verdict searches more widely once."""
    nodes = (
        NodeSpec("question", "question"),
        NodeSpec("prepare", "preprocess", config={"knowledge_base": "kb"}),
        NodeSpec("retrieve", "retrieve", config={"knowledge_base": "kb", "k": 4}),
        NodeSpec("rerank", "rerank", config={"top_k": 3}),
        NodeSpec("generate", "generate"),
        NodeSpec("validate", "validate"),
        NodeSpec("passed", "condition", config={"field": "passed", "operator": "is_true"}),
        NodeSpec("failed", "condition", config={"field": "passed", "operator": "is_false"}),
        NodeSpec("again", "retrieve", config={"knowledge_base": "kb", "k": 20}),
        NodeSpec("retry", "generate"),
        NodeSpec("merge", "merge"),
        NodeSpec("answer", "answer_output"),
    )
    return Graph(
        name="Answer",
        outputs={"answer": ("answer", "answer"), "verdict": ("validate", "verdict")},
        nodes={n.id: n for n in nodes},
        edges=[
            wire("question.query", "prepare.query"),
            wire("prepare.query", "retrieve.query"),
            wire("prepare.query", "rerank.query"),
            wire("retrieve.chunks", "rerank.chunks"),
            wire("prepare.query", "generate.query"),
            wire("rerank.chunks", "generate.chunks"),
            wire("generate.answer", "validate.answer"),
            wire("prepare.query", "validate.query"),
            wire("rerank.chunks", "validate.chunks"),
            wire("validate.answer", "passed.value"),
            wire("validate.verdict", "passed.subject"),
            wire("prepare.query", "failed.value"),
            wire("validate.verdict", "failed.subject"),
            wire("failed.yes", "again.query"),
            wire("failed.yes", "retry.query"),
            wire("again.chunks", "retry.chunks"),
            wire("passed.yes", "merge.values"),
            wire("retry.answer", "merge.values"),
            wire("merge.value", "answer.answer"),
        ],
    )


async def test_files_come_from_the_run_or_the_settings(world: SmallWorld) -> None:
    ref = world.files.put("a.txt", b"hello")
    node = Files(Files.Config(files=[ref]))
    (document,) = (await node.run(world.context())).documents.items
    assert (document.filename, document.blob, document.size) == ("a.txt", ref["blob"], 5)
    other = {"filename": "b.txt", "blob": "b" * 64, "document_id": "d1", "metadata": {"year": 2024}}
    (document,) = (await node.run(world.context(files=[other]))).documents.items
    assert (document.document_id, document.metadata) == ("d1", {"year": 2024})
    with pytest.raises(NodeFailed, match="There are no files"):
        await Files(Files.Config()).run(world.context())
    with pytest.raises(NodeFailed, match="does not name uploaded files"):
        await node.run(world.context(files=[{"name": "x"}]))


async def test_one_file_of_a_run_is_read_at_once(world: SmallWorld) -> None:
    ref = world.files.put("handbook.md", HANDBOOK.encode())
    out = await FileInput(FileInput.Config()).run(world.context(file=ref))
    assert "Ducks are fed twice a day" in out.text.text
    assert out.documents.items[0].blocks
    with pytest.raises(NodeFailed, match="no file"):
        await FileInput(FileInput.Config()).run(world.context())


async def test_a_broken_file_stops_the_run_or_is_left_out(world: SmallWorld) -> None:
    refs = [world.files.put("good.txt", b"All is well."), world.files.put("bad.pdf", b"%PDF-1.4 x")]
    files = (await Files(Files.Config(files=refs)).run(world.context())).documents
    with pytest.raises(RagloomError):
        await Extract(Extract.Config()).run(files, world.context())
    out = await Extract(Extract.Config(on_error="skip")).run(files, world.context())
    assert [d.filename for d in out.documents.items] == ["good.txt"]
    assert out.failures.columns == ("filename", "message", "fix")
    assert out.failures.rows[0][0] == "bad.pdf"


async def test_chunks_know_where_they_come_from(world: SmallWorld) -> None:
    ref = world.files.put("handbook.md", HANDBOOK.encode())
    read = (await FileInput(FileInput.Config()).run(world.context(file=ref))).documents
    config = Chunk.Config(chunk_size=32, chunk_overlap=0)
    chunks = (await Chunk(config).run(read, world.context())).chunks.items
    assert len(chunks) > 1
    assert all(c.document_name == "handbook.md" for c in chunks)
    assert any(c.headings[-1:] == ("Opening hours",) for c in chunks)
    text = "\n\n".join(block.text for block in read.items[0].blocks)
    assert all(text[c.start : c.end] == c.content for c in chunks)
    assert len({c.chunk_id for c in chunks}) == len(chunks)


async def test_bad_chunk_settings_are_refused(world: SmallWorld) -> None:
    with pytest.raises(ValueError, match="must be smaller"):
        Chunk.Config(chunk_size=50, chunk_overlap=50)
    ref = world.files.put("a.txt", b"hello there")
    read = (await FileInput(FileInput.Config()).run(world.context(file=ref))).documents
    with pytest.raises(NodeFailed, match="nonsense"):
        await Chunk(Chunk.Config(strategy="nonsense")).run(read, world.context())


async def test_the_quality_check_lists_what_it_left_out(world: SmallWorld) -> None:
    same = {"document_id": "d", "document_name": "d.md"}
    chunks = Chunks(
        items=(
            chunk(0, "Ducks swim in lakes.", **same),
            chunk(1, "***", **same),
            chunk(2, "Ducks swim in lakes!", **same),
            chunk(3, "Ducks swim in lakes."),
            chunk(4, "\ufffd\ufffd\ufffd\ufffd damaged", **same),
        )
    )
    out = await QualityCheck(QualityCheck.Config()).run(chunks, world.context())
    assert [c.chunk_id for c in out.chunks.items] == ["c0", "c3"]
    assert len(out.dropped.rows) == 3
    assert all(row[2] for row in out.dropped.rows)
    off = await QualityCheck(QualityCheck.Config(enabled=False)).run(chunks, world.context())
    assert off.chunks == chunks
    short = QualityCheck(QualityCheck.Config(min_chunk_length=1_000))
    assert (await short.run(chunks, world.context())).chunks.items == ()


async def test_chunks_without_their_document_are_not_indexed(world: SmallWorld) -> None:
    node = Index(Index.Config(knowledge_base="kb"))
    documents = Documents(items=(Document(document_id="d9", filename="x", blob="b", size=1),))
    with pytest.raises(NodeFailed, match="without its document"):
        await node.run(documents, Chunks(items=(chunk(0, "x"),)), world.context())
    with pytest.raises(NodeFailed, match="No knowledge base"):
        await Index(Index.Config()).run(documents, Chunks(), world.context())
    empty = await node.run(documents, Chunks(), world.context())
    assert empty.report.rows[0][:4] == ("d9", "x", "added", 0)
