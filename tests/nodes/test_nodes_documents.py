"""From files to an index, and whole workflows through the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from nodes_world import SmallWorld, chunk

from app.documents.tokens import default_tokenizer
from app.engine.events import Event, NodeProgress, NodeSkipped
from app.engine.graph import EdgeSpec, Graph, NodeSpec
from app.engine.problems import NodeFailed, RagloomError
from app.engine.registry import Registry
from app.engine.runner import Runner
from app.engine.values import Block, Chunks, Document, Documents
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


def blocks_of(*texts: str) -> Documents:
    blocks = tuple(Block(kind="paragraph", text=text) for text in texts)
    document = Document(document_id="d1", filename="a.txt", blob="b", size=1, blocks=blocks)
    return Documents(items=(document,))


async def test_chunks_split_by_language_where_asked(world: SmallWorld) -> None:
    documents = blocks_of(
        "Read this manual carefully before you use the pump for the first time.",
        "Lesen Sie diese Anleitung sorgfältig, bevor Sie die Pumpe zum ersten Mal verwenden.",
    )
    both = await Chunk(Chunk.Config()).run(documents, world.context())
    assert len(both.chunks.items) == 1
    split = await Chunk(Chunk.Config(split_languages=True)).run(documents, world.context())
    assert [c.language for c in split.chunks.items] == ["en", "de"]


async def test_semantic_chunks_ask_the_world_for_embeddings(world: SmallWorld) -> None:
    cats = "Cats purr and nap in the sun. A cat likes warm places. Kittens play with string. "
    money = "The bank raised its interest rate. Loans cost more now. Inflation is falling."
    config = Chunk.Config(strategy="semantic", chunk_size=64, chunk_overlap=0)
    out = await Chunk(config).run(blocks_of(cats + money), world.context())
    assert any(c.content.startswith("The bank") for c in out.chunks.items)
    again = await Chunk(config).run(blocks_of(cats + money), world.context())
    assert again == out
    assert await Chunk(config).fingerprint(world) == "embed:default"
    assert await Chunk(Chunk.Config()).fingerprint(world) == ""


class Waiting:
    """Models that never answer, and tell when they are asked."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def tokenizer(self, model: str = "default") -> Any:
        return default_tokenizer()

    async def embed(self, texts: Sequence[str], *, kind: str, model: str = "default") -> Any:
        self.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()


async def test_cancelling_ends_the_wait_for_the_embedder(world: SmallWorld) -> None:
    waiting = world.models = Waiting()  # type: ignore[assignment]
    node = Chunk(Chunk.Config(strategy="semantic"))
    run = asyncio.create_task(node.run(blocks_of("One. Two. Three. Four."), world.context()))
    await waiting.asked.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await waiting.cancelled.wait()


async def test_what_the_check_found_is_kept_with_the_document(world: SmallWorld) -> None:
    same = {"document_id": "d1", "document_name": "a.txt"}
    chunks = Chunks(
        items=(
            chunk(0, "Ducks swim in lakes.", start=0, end=20, **same),
            chunk(1, "***", start=22, end=25, **same),
            chunk(
                2, "Ã©tÃ© Ã  la plage", start=27, end=45, embed_text="H\nÃ©tÃ© Ã  la plage", **same
            ),
        )
    )
    checked = await QualityCheck(QualityCheck.Config()).run(chunks, world.context())
    mended = checked.chunks.items[-1]
    assert (mended.content, mended.embed_text) == ("été à la plage", "H\nété à la plage")
    assert mended.metadata["source_text"] == "Ã©tÃ© Ã  la plage"
    assert (mended.start, mended.end) == (27, 45)
    report = checked.report.data["d1"]
    assert (report["checked"], report["kept"]) == (3, 2)
    assert report["counts"] == {"min_length": 1, "encoding": 1}
    assert {key: value for key, value in report["findings"][0].items() if key != "reason"} == {
        "validator": "min_length",
        "action": "drop",
        "start": 22,
        "count": 1,
    }
    stored: list[Document] = []
    index = world.knowledge.index

    async def watched(kb: str, document: Document, *args: Any, **fields: Any) -> Any:
        stored.append(document)
        return await index(kb, document, *args, **fields)

    world.knowledge.index = watched  # type: ignore[method-assign]
    node = Index(Index.Config(knowledge_base="kb"))
    await node.run(blocks_of("x"), checked.chunks, world.context(), quality=checked.report)
    assert stored[0].metadata["quality"] == report


async def test_checks_that_are_not_there_are_named(world: SmallWorld) -> None:
    node = QualityCheck(QualityCheck.Config(validators={"nope": "flag"}))
    with pytest.raises(NodeFailed, match="unknown validator “nope”"):
        await node.run(Chunks(items=(chunk(0, "x"),)), world.context())


def test_older_settings_of_the_check_are_read() -> None:
    assert QualityCheck.migrate({"min_chunk_size": 5}, 1) == {"min_chunk_length": 5}
