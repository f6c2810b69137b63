"""Workflow files made to do harm: refused with a sentence, or kept as text."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.crash.bad_nodes import workflow

IMG = "<img src=x onerror=hacked()>"


def nested(depth: int, kind: str = "list") -> str:
    """JSON text that is so deep; written by hand, as Python's own writer refuses to."""
    opens, closes = ("[", "]") if kind == "list" else ('{"a":', "}")
    return opens * depth + "1" + closes * depth


def with_config(text: str) -> bytes:
    """A workflow file whose only node has this JSON text among its settings."""
    graph = workflow("Deep", {"text": {"type": "text_input", "config": {"default": "HERE"}}})
    return json.dumps(graph).replace('"HERE"', text).encode()


DOORS = (
    ("POST", "/api/v1/workflows"),
    ("POST", "/api/v1/workflows/import"),
    ("POST", "/api/v1/workflows/validate"),
    ("PUT", "/api/v1/workflows/{id}"),
)
HARMFUL = {
    "deep lists": with_config(nested(100_000)),
    "deep objects": with_config(nested(100_000, "object")),
    "just too deep": with_config(nested(500)),
    "more than ten MB": with_config(json.dumps("x" * 11_000_000)),
    "not text": b"\xff\xfe\x00\x01{}",
    "nothing": b"",
    "a number": b"1",
    "a number without end": with_config("9" * 5_000),
}


@pytest.fixture
async def made(client: httpx.AsyncClient) -> str:
    answer = await client.post("/api/v1/workflows", json=workflow("Good", {}))
    return str(answer.json()["workflow_id"])


async def test_what_cannot_be_read_is_refused(client: httpx.AsyncClient, made: str) -> None:
    for how, harmful in HARMFUL.items():
        for method, path in DOORS:
            answer = await client.request(
                method,
                path.format(id=made),
                content=harmful,
                headers={"Content-Type": "application/json"},
            )
            told = (how, path, answer.status_code, answer.text[:300])
            assert 400 <= answer.status_code < 500, told
            error = answer.json()["error"]
            assert error["code"], told
            assert error["message"].endswith((".", "!")), told
        body = b'{"workflow": ' + (harmful or b"1") + b"}"
        answer = await client.post("/api/v1/workflow_executions", content=body)
        assert 400 <= answer.status_code < 500, (how, answer.text[:300])
        assert (await client.get("/health")).status_code == 200
        assert (await client.get("/api/v1/workflows")).json()["total"] == 1


async def test_numbers_that_are_none_are_refused_or_left_out(client: httpx.AsyncClient) -> None:
    for number in ("NaN", "Infinity", "-Infinity", "1e999"):
        for path in ("/api/v1/workflows", "/api/v1/workflows/import"):
            answer = await client.post(path, content=with_config(number))
            assert answer.status_code == 201 or 400 <= answer.status_code < 500
    for view in (await client.get("/api/v1/workflows")).json()["items"]:
        found = await client.get(f"/api/v1/workflows/{view['workflow_id']}")
        assert "NaN" not in found.text
        assert "Infinity" not in found.text


async def test_names_of_prototypes_are_names(client: httpx.AsyncClient) -> None:
    graph = workflow(
        "__proto__",
        {
            "__proto__": {"type": "text_input", "config": {"name": "constructor"}},
            "constructor": {"type": "output", "config": {"name": "__proto__"}},
            "prototype": {"type": "text_input", "title": "toString"},
        },
        "__proto__.text>constructor.value",
        outputs={"__proto__": ["constructor", "value"], "hasOwnProperty": ["prototype", "text"]},
        variables={"__proto__": {"polluted": True}, "__class__": 1},
    )
    for path in ("/api/v1/workflows", "/api/v1/workflows/import"):
        answer = await client.post(path, json=graph)
        assert answer.status_code == 201, answer.text
        id_ = answer.json()["workflow_id"]
        stored = (await client.get(f"/api/v1/workflows/{id_}")).json()["graph"]
        assert {node["id"] for node in stored["nodes"]} == {
            "__proto__",
            "constructor",
            "prototype",
        }
        run = await client.post(
            f"/api/v1/workflows/{id_}/execute", json={"input_data": {"constructor": "text"}}
        )
        assert run.json()["status"] == "completed", run.text
        assert run.json()["outputs"]["__proto__"] == "text"


async def test_shapes_that_nobody_expects(client: httpx.AsyncClient) -> None:
    """Whatever stands where something else belongs is refused, or kept and reported."""
    good = workflow(
        "Shapes", {"a": {"type": "text_input"}, "b": {"type": "output"}}, "a.text>b.value"
    )
    odd: list[Any] = [None, 1, -1e308, True, "x", [], {}, [[]], {"a": {}}, IMG, "\x00", "\ud83d"]
    places = (
        ("graph", "name"), ("graph", "outputs"), ("graph", "notes"), ("graph", "groups"),
        ("graph", "variables"), ("graph",), ("nodes",), ("edges",), ("nodes", 0),
        ("nodes", 0, "config"), ("nodes", 0, "position"), ("nodes", 0, "title"),
        ("nodes", 0, "type"), ("nodes", 0, "id"), ("nodes", 0, "version"), ("nodes", 0, "pinned"),
        ("nodes", 0, "on_error"), ("nodes", 0, "timeout_s"), ("nodes", 0, "retries"),
        ("nodes", 0, "disabled"), ("edges", 0), ("edges", 0, "key"), ("edges", 0, "source"),
    )  # fmt: skip
    kept = 0
    for place in places:
        for value in odd:
            graph: Any = json.loads(json.dumps(good))
            target = graph
            for step in place[:-1]:
                target = target.setdefault(step, {}) if isinstance(target, dict) else target[step]
            target[place[-1]] = value
            body = json.dumps(graph).encode()
            for path in ("/api/v1/workflows", "/api/v1/workflows/import"):
                answer = await client.post(
                    path, content=body, headers={"Content-Type": "application/json"}
                )
                told = (place, value, answer.status_code, answer.text[:300])
                assert answer.status_code == 201 or 400 <= answer.status_code < 500, told
                if answer.status_code == 201:
                    kept += 1
                    id_ = answer.json()["workflow_id"]
                    for shown in ("", "/export?format=svg"):
                        found = await client.get(f"/api/v1/workflows/{id_}{shown}")
                        assert found.status_code == 200, (*told, shown, found.text[:300])
                        assert "<img" not in found.text or "svg" not in shown
    assert kept
