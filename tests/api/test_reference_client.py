"""The client classes of the reference platform, word for word, against a real server."""

from __future__ import annotations

import json
import re
import typing
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.api.conftest import Server

#: It may be the first to start the server.
pytestmark = pytest.mark.timeout(400)
REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference"
TEXT = """# Deployment guide

## Authentication

Authentication in Node.js is implemented with a middleware that checks a signed token (JWT).
Every token expires after fifteen minutes and is renewed with a refresh token.

## Roll back

A deployment can be rolled back within thirty days. After that the old release is removed.
"""


@pytest.fixture(scope="session")
def reference() -> str:
    files = sorted(REFERENCE.glob("000_*.txt")) if REFERENCE.is_dir() else []
    if not files:
        pytest.skip(f"the reference is not at {REFERENCE}")
    return files[0].read_text("utf-8")


@pytest.fixture(scope="session")
def names(reference: str) -> dict[str, Any]:
    """The two classes, exactly as they are written there."""
    space: dict[str, Any] = {"requests": requests, "json": json}
    space |= {name: getattr(typing, name) for name in ("Any", "Dict", "List")}
    for name in ("RAGFlowAPIClient", "RAGFlowWorkflowAPI"):
        found = re.search(rf"^class {name}.*?(?=^# Example)", reference, re.S | re.M)
        assert found, name
        exec(found[0], space)
    return space


def qa_workflow(reference: str, kb_id: str) -> dict[str, Any]:
    found = re.search(r"^qa_workflow_definition = \{.*?^\}", reference, re.S | re.M)
    assert found
    space: dict[str, Any] = {"kb_id": kb_id}
    exec(found[0], space)
    definition: dict[str, Any] = space["qa_workflow_definition"]
    return definition


@pytest.fixture
def api(names: dict[str, Any], server: Server) -> Any:
    return names["RAGFlowAPIClient"](base_url=server.url, api_key=server.key)


def test_everything_the_reference_describes(
    names: dict[str, Any], api: Any, reference: str, tmp_path: Path
) -> None:
    made = api.create_knowledge_base(
        name="Technical Documentation",
        description="Knowledge base for technical documentation and guides",
        config={"chunk_size": 500, "chunk_overlap": 50, "search_engine": "elasticsearch"},
    )
    kb_id = made["knowledge_base_id"]
    assert any("elasticsearch" in warning for warning in made["warnings"])

    guide, notes = tmp_path / "guide.md", tmp_path / "notes.txt"
    guide.write_text(TEXT, "utf-8")
    notes.write_text("The coffee machine on the second floor is cleaned on Fridays.", "utf-8")
    uploaded = api.upload_documents(
        kb_id=kb_id,
        file_paths=[str(guide), str(notes)],
        processing_config={
            "extraction_strategy": "comprehensive",
            "chunking_strategy": "semantic",
            "quality_control": True,
        },
    )
    assert [r["status"] for r in uploaded["results"]] == ["success", "success"]
    assert [r["filename"] for r in uploaded["results"]] == ["guide.md", "notes.txt"]
    one = api.upload_documents(kb_id=kb_id, file_paths=[str(notes)])
    assert one["chunks_created"] == one["results"][0]["chunks_created"] == 1
    assert one["processing_time"] >= 0
    assert one["error_message"] is None

    found = api.search_knowledge_base(
        kb_id=kb_id,
        query="How to implement authentication in Node.js?",
        search_config={"search_type": "hybrid", "k": 10, "include_metadata": True},
    )
    best = found["results"][0]
    assert "Authentication in Node.js" in best["content"]
    assert best["document_name"] == "guide.md"
    assert set(best) == {
        "chunk_id",
        "document_id",
        "document_name",
        "content",
        "score",
        "scores",
        "page",
        "metadata",
    }
    assert found["metadata"]["search_type"] == "hybrid"

    stats = api.get_knowledge_base_stats(kb_id)
    assert stats["document_count"] == 2
    assert stats["chunk_count"] >= 2
    assert stats["index_size"] > 0
    assert stats["last_updated"]

    workflows = names["RAGFlowWorkflowAPI"](api)
    definition = qa_workflow(reference, kb_id)
    del definition["steps"][2]["config"]["llm_model"]
    workflow_id = workflows.create_workflow(definition)["workflow_id"]
    executed = workflows.execute_workflow(
        workflow_id, {"question": "Within how many days can a deployment be rolled back?"}
    )
    assert executed["status"] == "completed"
    outputs = executed["outputs"]
    assert set(outputs) == {"answer", "confidence", "citations", "retrieval_context"}
    assert "thirty days" in outputs["answer"]
    assert 0 <= outputs["confidence"] <= 1
    assert outputs["citations"][0]["document_name"] == "guide.md"
    assert any("thirty days" in chunk["content"] for chunk in outputs["retrieval_context"])

    monitored = workflows.monitor_workflow_execution(executed["execution_id"])
    assert monitored["status"] == "completed"
    assert monitored["outputs"] == outputs
    assert monitored["input_data"]["question"].startswith("Within")
    assert {"node_id", "name", "type", "status", "started_at", "duration_ms"} <= set(
        monitored["steps"][0]
    )
    assert all(step["status"] == "completed" for step in monitored["steps"])


def test_models_that_need_a_key_are_refused_with_the_way_out(
    names: dict[str, Any], api: Any, reference: str
) -> None:
    refused = api.session.post(
        f"{api.base_url}/api/v1/knowledge_bases",
        json={"name": "Ada", "config": {"embedding_model": "text-embedding-ada-002"}},
    )
    assert refused.status_code == 422
    error = refused.json()["error"]
    assert error["code"] == "model_unavailable"
    assert "OPENAI_API_KEY" in error["message"]
    assert "bge-small-en-v1.5" in error["message"] or "default" in error["message"]

    refused = api.session.post(
        f"{api.base_url}/api/v1/workflows", json=qa_workflow(reference, "kb_1")
    )
    assert refused.status_code == 422
    error = refused.json()["error"]
    assert error["code"] == "model_unavailable"
    assert "OPENAI_API_KEY" in error["message"]
    assert "extractive" in error["message"]
