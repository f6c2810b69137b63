"""Importing workflows over REST."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

IMPORT = "/api/v1/workflows/import"
EXPORTS = Path(__file__).resolve().parents[3] / "shared" / "data" / "workflow-exports"
DIFY = """
app: {name: Echo, mode: workflow}
workflow:
  graph:
    nodes:
      - {id: s, data: {type: start, title: Start, variables: [{variable: words, type: paragraph}]}}
      - {id: c, data: {type: code, title: Count, code: "1", variables:
          [{variable: x, value_selector: [s, words]}]}}
      - {id: e, data: {type: end, title: End, outputs:
          [{variable: said, value_selector: [s, words]}]}}
    edges: [{source: s, target: c}, {source: c, target: e}]
"""


async def test_a_file_of_another_system_becomes_a_workflow(client: httpx.AsyncClient) -> None:
    answer = await client.post(IMPORT, content=DIFY, headers={"Content-Type": "application/yaml"})
    assert answer.status_code == 201, answer.text
    body = answer.json()
    report = body["report"]
    assert set(report) == {"format", "mapped", "placeholders", "edges_in", "edges_out", "notes"}
    assert (report["format"], report["mapped"], report["placeholders"]) == ("dify", 2, 1)
    assert report["edges_in"] == 2
    made = (await client.get(f"/api/v1/workflows/{body['workflow_id']}")).json()
    assert made["name"] == body["name"] == "Echo"
    kinds = sorted(node["type"] for node in made["graph"]["nodes"])
    assert kinds == ["output", "placeholder", "question"]
    checked = await client.post(f"/api/v1/workflows/{body['workflow_id']}/validate")
    assert checked.json()["valid"] is True


async def test_a_file_may_come_as_a_form(client: httpx.AsyncClient) -> None:
    sent = await client.post(IMPORT, files={"file": ("echo.yml", DIFY, "application/x-yaml")})
    assert (sent.status_code, sent.json()["report"]["format"]) == (201, "dify")
    typed = await client.post(IMPORT, files={"text": (None, DIFY)})
    assert (typed.status_code, typed.json()["name"]) == (201, "Echo")
    empty = await client.post(IMPORT, files={"file": ("echo.yml", b"", "application/x-yaml")})
    assert (empty.status_code, empty.json()["error"]["code"]) == (422, "not_text")


async def test_our_own_files_and_lists_of_steps_are_imported_as_well(
    client: httpx.AsyncClient,
) -> None:
    made = (await client.post(IMPORT, content=DIFY)).json()
    own = (await client.get(f"/api/v1/workflows/{made['workflow_id']}")).json()["graph"]
    again = await client.post(IMPORT, json=own)
    assert again.status_code == 201
    assert again.json()["report"]["format"] == "ragloom"
    # A placeholder stays one, however often it is imported.
    assert again.json()["report"]["placeholders"] == 1
    steps = {"name": "Steps", "steps": [{"name": "find", "type": "knowledge_base_search",
             "config": {"knowledge_base_id": "x"}}]}  # fmt: skip
    seed = await client.post(IMPORT, json=steps)
    assert (seed.status_code, seed.json()["report"]["format"]) == (201, "seed")


async def test_what_cannot_be_read_is_refused_with_a_sentence(client: httpx.AsyncClient) -> None:
    for content, status, code in (
        ("", 422, "not_text"),
        ("just words", 422, "unknown_format"),
        ("[" * 5_000, 422, "too_deep"),
        ("a: &a [*a]", 413, "too_large"),
        ('{"app": {"mode": "chat"}, "model_config": {}}', 422, "no_workflow"),
        ("x" * 11_000_000, 413, "too_large"),
    ):
        answer = await client.post(IMPORT, content=content)
        case = (content[:60], answer.text)
        assert answer.status_code == status, case
        error = answer.json()["error"]
        assert error["code"] == code, case
        assert error["message"].endswith("."), case
        listed = (await client.get("/api/v1/workflows")).json()
        assert listed["total"] == 0, case


async def test_a_key_is_needed(client: httpx.AsyncClient) -> None:
    answer = await client.post(IMPORT, content=DIFY, headers={"Authorization": "Bearer nothing"})
    assert answer.status_code == 401


async def test_a_large_real_file_is_imported(client: httpx.AsyncClient) -> None:
    files = sorted(EXPORTS.glob("dify/Deep*.yml"))
    if not files:
        pytest.skip(f"the exports of other systems are not at {EXPORTS}")
    answer = await client.post(IMPORT, content=files[0].read_bytes())
    report: dict[str, Any] = answer.json()["report"]
    assert report["edges_out"] >= report["edges_in"] > 50
    assert json.dumps(report["notes"])
