"""Workflows: any form in, `ragloom/1` kept, conflicts refused, bad files explained."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.engine.problems import InvalidWorkflow, ModelUnavailable
from app.engine.registry import Registry
from app.nodes import register_all
from app.services.models import ModelService
from app.services.workflows.service import WorkflowService
from storage.blobs import Blobs
from storage.errors import Conflict, NotFound
from storage.runs import RunRepository
from storage.workflows import WorkflowRepository
from tests.services.running import database

STEPS: dict[str, Any] = {
    "name": "Question Answering Workflow",
    "description": "End-to-end Q&A workflow with retrieval and generation",
    "steps": [
        {
            "name": "query_processing",
            "type": "query_preprocessor",
            "config": {"expand_acronyms": True, "correct_spelling": True, "extract_entities": True},
        },
        {
            "name": "retrieval",
            "type": "knowledge_base_search",
            "config": {
                "knowledge_base_id": "kb_1",
                "search_type": "hybrid",
                "k": 5,
                "rerank": True,
            },
        },
        {
            "name": "generation",
            "type": "answer_generation",
            "config": {"max_tokens": 500, "temperature": 0.1, "include_citations": True},
        },
        {
            "name": "quality_check",
            "type": "answer_validation",
            "config": {
                "check_factuality": True,
                "check_relevance": True,
                "confidence_threshold": 0.7,
            },
        },
    ],
    "output_format": {
        "answer": "string",
        "confidence": "float",
        "citations": "array",
        "retrieval_context": "array",
    },
}
GRAPH: dict[str, Any] = {
    "directed": True,
    "multigraph": True,
    "graph": {"format": "ragloom/1", "name": "Ask", "outputs": {"asked": ["question", "query"]}},
    "nodes": [{"id": "question", "type": "question", "config": {"default": "Why?"}}],
    "edges": [],
}


@pytest.fixture
def workflows(tmp_path: Path) -> Iterator[WorkflowService]:
    db = database(tmp_path)
    registry = Registry()
    register_all(registry)
    runs = RunRepository(db, Blobs(tmp_path / "blobs"))
    models = ModelService(tmp_path / "models")
    yield WorkflowService(WorkflowRepository(db), runs, registry, models, max_bytes=1_000_000)
    db.close()


async def test_a_list_of_steps_becomes_a_graph_that_can_run(workflows: WorkflowService) -> None:
    view = await workflows.create(STEPS)
    assert view.graph is not None
    nodes = {node["id"]: node for node in view.graph["nodes"]}
    assert [n["type"] for n in view.graph["nodes"]] == [
        "question",
        "preprocess",
        "retrieve",
        "rerank",
        "generate",
        "validate",
        "answer_output",
    ]
    assert [p for p in await workflows.validate(view.workflow_id) if p.severity == "error"] == []
    assert nodes["query_processing"]["config"]["knowledge_base"] == "kb_1"
    assert nodes["retrieval"]["config"]["knowledge_base"] == "kb_1"
    assert nodes["retrieval_rerank"]["config"]["top_k"] == 5
    assert nodes["generation"]["config"]["model"] == "extractive"
    assert list(view.graph["graph"]["outputs"]) == list(STEPS["output_format"])
    assert len({tuple(n["position"]) for n in view.graph["nodes"]}) == len(nodes)


async def test_steps_that_only_search_give_what_they_found(workflows: WorkflowService) -> None:
    step = {"name": "look", "type": "knowledge_base_search", "config": {"knowledge_base_id": "kb"}}
    view = await workflows.create({"name": "Search", "steps": [step]})
    assert view.graph is not None
    assert [n["type"] for n in view.graph["nodes"]] == ["question", "retrieve", "output"]
    assert list(view.graph["graph"]["outputs"]) == ["result"]
    assert view.warnings == []
    assert [p for p in await workflows.validate(view.workflow_id) if p.severity == "error"] == []


async def test_a_model_without_a_key_is_refused_with_the_way_out(
    workflows: WorkflowService,
) -> None:
    steps = copy.deepcopy(STEPS)
    steps["steps"][2]["config"]["llm_model"] = "gpt-4"
    with pytest.raises(ModelUnavailable) as refused:
        await workflows.create(steps)
    assert "OPENAI_API_KEY" in str(refused.value)
    assert "extractive" in str(refused.value)
    assert (await workflows.list()).total == 0


@pytest.mark.parametrize(
    ("kind", "config", "told"),
    [
        ("enrich", {"add": ["questions"]}, "error"),
        ("generate", {}, "error"),
        ("ask_model", {}, "error"),
        ("chat_history", {"follow_ups": "model"}, "error"),
        ("chat_history", {"follow_ups": "complete"}, None),
        ("generate", {"on_error": "skip"}, "warning"),
        ("generate", {"on_error": {"fallback": {}}}, "warning"),
        ("generate", {"on_error": "continue"}, "error"),
        ("generate", {"disabled": True}, None),
    ],
)
async def test_validation_says_which_model_has_no_key(
    workflows: WorkflowService,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    config: dict[str, Any],
    told: str | None,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    about = {key: config[key] for key in ("on_error", "disabled") if key in config}
    settings = {key: value for key, value in config.items() if key not in about}

    async def said(model: str) -> list[tuple[str, str, str]]:
        node = {"id": "it", "type": kind, "config": {**settings, "model": model}, **about}
        graph = {
            "directed": True, "multigraph": True, "graph": {"format": "ragloom/1", "name": "Asks"},
            "nodes": [node], "edges": [],
        }  # fmt: skip
        found = await workflows.validate(graph)
        return [
            (p.severity, p.field or "", p.message) for p in found if p.code == "model_unavailable"
        ]

    needs = "The model “gpt-4o-mini” needs OPENAI_API_KEY, which is not set."
    found = await said("gpt-4o-mini")
    assert [(severity, field) for severity, field, _ in found] == (
        [(told, "model")] if told else []
    )
    assert all(message.endswith(needs) for *_, message in found)
    assert await said("ollama/llama3.1") == []
    monkeypatch.setenv("OPENAI_API_KEY", "sk-something")
    assert await said("gpt-4o-mini") == []


@pytest.mark.parametrize(
    ("inner", "outer", "told"),
    [("fail", "fail", "error"), ("skip", "fail", "warning"), ("fail", "skip", "warning"),
     ("continue", "continue", "error"), ("skip", "continue", "warning")],
)  # fmt: skip
async def test_a_model_of_a_workflow_inside_a_node_is_looked_at_too(
    workflows: WorkflowService, monkeypatch: pytest.MonkeyPatch, inner: str, outer: str, told: str
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def graph(*nodes: dict[str, Any]) -> dict[str, Any]:
        about = {"format": "ragloom/1", "name": "Asks"}
        return {
            "directed": True, "multigraph": True, "graph": about, "nodes": [*nodes], "edges": [],
        }  # fmt: skip

    model = {"model": "gpt-4o-mini"}
    asks = {"id": "a", "type": "ask_model", "config": model, "on_error": inner}
    body = {"body": {"graph": graph(asks)}}
    each = {"id": "each", "type": "map", "config": body, "on_error": outer}
    found = await workflows.validate(graph(each))
    unavailable = [p for p in found if p.code == "model_unavailable"]
    assert [(p.node, p.field, p.severity) for p in unavailable] == [("each", "body.graph", told)]


async def test_an_unknown_step_is_kept_and_reported(workflows: WorkflowService) -> None:
    steps = copy.deepcopy(STEPS)
    steps["steps"].insert(2, {"name": "magic", "type": "crystal_ball", "config": {"size": 3}})
    view = await workflows.create(steps)
    assert view.graph is not None
    kept = next(n for n in view.graph["nodes"] if n["id"] == "magic")
    assert (kept["type"], kept["config"]) == ("crystal_ball", {"size": 3})
    assert any("crystal_ball" in warning for warning in view.warnings)
    assert "unknown_type" in {p.code for p in await workflows.validate(view.workflow_id)}


@pytest.mark.parametrize(
    "broken",
    [
        {"steps": []},
        {"steps": "none"},
        {"name": "x", "steps": [{"config": {}}]},
        {"name": "x", "steps": [{"type": "answer_generation", "config": 3}]},
        {"name": "x", "steps": [{"type": "a"}] * 201},
    ],
)
async def test_a_broken_list_of_steps_says_where(
    workflows: WorkflowService, broken: dict[str, Any]
) -> None:
    with pytest.raises(InvalidWorkflow) as refused:
        await workflows.create(broken)
    assert refused.value.problems
    assert refused.value.fix


async def test_export_and_import_lose_nothing(workflows: WorkflowService) -> None:
    graph = copy.deepcopy(GRAPH)
    graph["nodes"][0] |= {"colour": "red", "position": [1.5, -2]}
    graph["nodes"].append({"id": "other", "type": "from_another_tool", "config": {"a": [1, None]}})
    graph["edges"].append({"source": "question", "target": "other", "key": "query>in", "note": "x"})
    graph["graph"]["author"] = "somebody"
    first = (await workflows.create(graph)).graph
    again = (await workflows.create(json.loads(json.dumps(first)))).graph
    assert first == again
    assert first is not None
    assert first["nodes"][0]["colour"] == "red"
    assert first["nodes"][1]["config"] == {"a": [1, None]}
    assert first["edges"][0]["note"] == "x"
    assert first["graph"]["author"] == "somebody"


async def test_saving_over_newer_work_is_refused(workflows: WorkflowService) -> None:
    view = await workflows.create(GRAPH)
    changed = copy.deepcopy(GRAPH)
    changed["graph"]["name"] = "Ask again"
    saved = await workflows.save(view.workflow_id, changed, 1, author="me")
    assert (saved.revision, saved.name) == (2, "Ask again")
    with pytest.raises(Conflict):
        await workflows.save(view.workflow_id, GRAPH, 1)
    # The same graph again is no new revision.
    assert (await workflows.save(view.workflow_id, changed, 2)).revision == 2
    old = await workflows.get(view.workflow_id, revision=1)
    assert old.graph is not None
    assert old.graph["graph"]["name"] == "Ask"
    assert await workflows.graph(view.workflow_id, 1) == (old.graph, 1)
    newest, number = await workflows.graph(view.workflow_id, None)
    assert (newest["graph"]["name"], number) == ("Ask again", 2)
    await workflows.delete(view.workflow_id)
    with pytest.raises(NotFound):
        await workflows.get(view.workflow_id)


async def test_lists_are_searched_and_paged(workflows: WorkflowService) -> None:
    for name in ("one", "two", "twelve"):
        await workflows.create(GRAPH | {"graph": GRAPH["graph"] | {"name": name}})
    page = await workflows.list(limit=1, offset=0, text="TW")
    assert page.total == 2
    assert [w.name for w in page.items] == ["twelve"]
    assert page.items[0].graph is None
    assert page.items[0].node_count == 1


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not_json"),
        (b"\xff\xfe\x00", "not_json"),
        (b"[" * 100_000, "not_json"),
        (b'{"a": NaN}', "not_json"),
        (b'{"a": 1', "not_json"),
        (b"x" * 1_000_001, "too_large"),
        (b"[1, 2]", None),
        (b"{}", None),
        (b'{"graph": {"format": "ragloom/9"}, "nodes": [], "edges": []}', "newer_format"),
    ],
)
async def test_junk_is_explained(workflows: WorkflowService, data: bytes, code: str | None) -> None:
    with pytest.raises(InvalidWorkflow) as refused:
        await workflows.parse(data)
    assert refused.value.message
    assert refused.value.fix
    codes = {refused.value.code, *(p.code for p in refused.value.problems)}
    assert code is None or code in codes


async def test_problems_of_a_graph_are_data(workflows: WorkflowService) -> None:
    graph = copy.deepcopy(GRAPH)
    graph["nodes"].append({"id": "loop", "type": "merge", "config": {}})
    graph["edges"].append({"source": "loop", "target": "loop", "key": "value>values"})
    codes = {p.code for p in await workflows.validate(graph)}
    assert "cycle" in codes
