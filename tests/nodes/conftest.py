"""A world for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from nodes_world import SmallWorld, embedder
from openai_server import OpenAIServer

from app.engine.registry import Registry
from app.nodes import register_all


@pytest.fixture
def world(tmp_path: Path) -> SmallWorld:
    return SmallWorld(tmp_path)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    """A provider of language models that replies what a test says."""
    server = OpenAIServer()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("OPENAI_API_BASE", server.url)
    yield server
    server.close()


@pytest.fixture(scope="session")
def registry() -> Registry:
    registry = Registry()
    register_all(registry)
    return registry


@pytest.fixture
async def filled(world: SmallWorld) -> SmallWorld:
    """Six passages about a workshop."""
    from nodes_world import chunk

    texts = [
        "Ragloom keeps documents in a knowledge base (KB). Every change is a commit.",
        "Hybrid search joins semantic and keyword search. The weight is adjustable from 0 to 1.",
        "| Node | Output |\n| --- | --- |\n| Retrieve | Chunks |\n| Generate | Answer |",
        "Reciprocal rank fusion (RRF) joins rankings by rank alone; its constant is 60.",
        "A cross-encoder reads the question and a passage together. It is slower than an embedder.",
        "The workshop opened in 1994 in Ghent. It employs 12 people.",
    ]
    for number, text in enumerate(texts):
        item = chunk(number, text, page=number + 1, metadata={"part": number % 2})
        world.knowledge.chunks[item.chunk_id] = item
        world.knowledge.stored[item.chunk_id] = embedder().embed([text], "passage")[0]
    return world
