"""Nodes that reach stored workflows and web servers, through the services as they are wired."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from app.services.container import Services
from app.settings import Settings, load_settings
from tests.services.web_server import WebServer


@pytest.fixture(scope="module")
def server() -> Iterator[WebServer]:
    server = WebServer()
    yield server
    server.close()


@pytest.fixture
def settings(data_folder: Any, server: WebServer) -> Settings:
    """Settings that allow one server on this machine."""
    return load_settings(
        environ={}, data=data_folder, demo=False, port=0, http_allow_private=[server.place]
    )


@pytest_asyncio.fixture
async def opened(settings: Settings) -> AsyncIterator[Services]:
    services = await Services.open(settings, background=False)
    try:
        yield services
    finally:
        await services.close()


def file(
    name: str, nodes: list[dict[str, Any]], edges: list[str], **outputs: Any
) -> dict[str, Any]:
    wires = []
    for edge in edges:
        source, target = edge.split(">")
        (a, out), (b, into) = source.split("."), target.split(".")
        wires.append({"source": a, "target": b, "key": f"{out}>{into}"})
    return {
        "directed": True,
        "multigraph": True,
        "graph": {"format": "ragloom/1", "name": name, "outputs": outputs},
        "nodes": nodes,
        "edges": wires,
    }


def said(sign: str) -> dict[str, Any]:
    results = [{"name": "out", "expression": f"'{sign}: ' if value.text else ''",
                "value_type": "Text"}]  # fmt: skip
    return file(
        "Inner",
        [{"id": "in", "type": "inlet", "config": {"name": "word", "value_type": "Text"}},
         {"id": "say", "type": "compute", "config": {"results": results}}],
        ["in.value>say.value"],
        out=["say", "out"],
    )  # fmt: skip


async def test_a_stored_workflow_runs_inside_another_at_its_revision(opened: Services) -> None:
    inner = await opened.workflows.create(said("first"))
    await opened.workflows.save(inner.workflow_id, said("second"), inner.revision)
    interface = {
        "inputs": [{"name": "word", "type": "Text"}],
        "outputs": [{"name": "out", "type": "Text"}],
    }

    def outer(revision: int | None) -> dict[str, Any]:
        body = {"workflow": inner.workflow_id, "revision": revision, "interface": interface}
        return file(
            "Outer",
            [{"id": "in", "type": "text_input"},
             {"id": "run", "type": "workflow", "config": {"body": body}}],
            ["in.text>run.word"],
            out=["run", "out"],
        )  # fmt: skip

    for revision, sign in ((inner.revision, "first: "), (None, "second: ")):
        run_id = await opened.runs.start(graph=outer(revision), input_data={"text": "x"})
        ended = await opened.runs.wait(run_id, 60)
        assert ended.status == "completed", ended.error
        assert ended.outputs == {"out": {"text": sign}}
    run_id = await opened.runs.start(graph=outer(99), input_data={"text": "x"})
    ended = await opened.runs.wait(run_id, 60)
    assert ended.status == "failed"


async def test_requests_go_where_the_settings_allow(opened: Services, server: WebServer) -> None:
    def asking(url: str) -> dict[str, Any]:
        config = {"url": url, "inputs": []}
        return file(
            "Ask", [{"id": "ask", "type": "http_request", "config": config}], [],
            status=["ask", "status"],
        )  # fmt: skip

    run_id = await opened.runs.start(graph=asking(f"{server.url}/echo"))
    ended = await opened.runs.wait(run_id, 60)
    assert ended.outputs == {"status": {"value": 200}}, ended.error
    found = await opened.workflows.validate(asking("http://127.0.0.1:9/"))
    assert "host_not_allowed" in {problem.code for problem in found}
