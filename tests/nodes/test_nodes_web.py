"""Requests of workflows, to a real server on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from graphs import Outcome, graph_of, problems, run
from nodes_world import SmallWorld

from app.engine.registry import Registry
from app.nodes import register_all
from app.nodes.web import HttpRequest
from app.services.web import WebService
from tests.services.web_server import WebServer

SECRET = "a-secret-value"


@pytest.fixture(scope="module")
def server() -> Iterator[WebServer]:
    server = WebServer()
    yield server
    server.close()


@pytest.fixture
def web(world: SmallWorld, server: WebServer) -> SmallWorld:
    environ = {"RAGLOOM_SECRET_TOKEN": SECRET}
    world.web = WebService([], [server.place], environ=environ)  # type: ignore[attr-defined]
    return world


async def ask(world: SmallWorld, given: Any = None, **config: Any) -> Outcome:
    graph = graph_of(
        {"in": ("inlet", {"name": "x"}), "ask": ("http_request", config)}, "in.value>ask.value"
    )
    return await run(world, graph, x="" if given is None else given)


def seen(got: Outcome) -> dict[str, Any]:
    return got.finished("ask").outputs["data"]["data"]


async def test_values_are_filled_in_and_encoded(web: SmallWorld, server: WebServer) -> None:
    got = await ask(
        web,
        {"type": "Json", "value": {"data": {"id": "a/b?c&d", "n": 3}}},
        url=f"{server.url}/items/{{{{ value.data.id }}}}",
        parameters={"q": "{{ value.data.id }}", "n": "{{ value.data.n }}", "fixed": "ü x"},
        headers={"X-Id": "id {{ value.data.n }}"},
    )
    assert seen(got)["path"] == "/items/a%2Fb%3Fc%26d?q=a%2Fb%3Fc%26d&n=3&fixed=%C3%BC+x"
    assert seen(got)["headers"]["x-id"] == "id 3"
    assert got.finished("ask").outputs["status"] == {"value": 200}


async def test_a_whole_address_may_come_in_and_is_checked_all_the_same(
    web: SmallWorld, server: WebServer
) -> None:
    assert seen(await ask(web, f"{server.url}/x?a=1", url="{{ value }}"))["path"] == "/x?a=1"
    failed = (await ask(web, "http://169.254.169.254/latest", url="{{ value }}")).failed["ask"]
    assert failed.code == "host_not_allowed"
    assert "http_allow" in failed.fix


async def test_a_body_is_json_that_cannot_be_broken_out_of(
    web: SmallWorld, server: WebServer
) -> None:
    config = {"method": "POST", "url": f"{server.url}/post"}
    nasty = '", "admin": true, "x": "'
    got = await ask(web, nasty, body='{"text": {{ value.text | tojson }}}', **config)
    assert json.loads(seen(got)["body"]) == {"text": nasty}
    assert seen(got)["headers"]["content-type"] == "application/json"
    failed = (await ask(web, '"', body='{"text": "{{ value.text }}"}', **config)).failed["ask"]
    assert failed.code == "bad_body"
    assert "tojson" in failed.fix
    plain = await ask(web, "a\nb", body="{{ value.text }}", content_type="text/plain", **config)
    assert seen(plain)["body"] == "a\nb"


async def test_a_secret_reaches_the_server_and_nobody_else(
    web: SmallWorld, server: WebServer
) -> None:
    headers = {"Authorization": "Bearer {{ secret.TOKEN }}"}
    got = await ask(web, "x", url=f"{server.url}/echo", headers=headers)
    assert server.requests[-1]["headers"]["authorization"] == f"Bearer {SECRET}"
    assert SECRET not in got.text()
    assert seen(got)["headers"]["authorization"] == "Bearer •••"
    # A value that only looks like a secret's name is no secret.
    got = await ask(
        web, "{{ secret.TOKEN }}", url=f"{server.url}/echo", headers={"X": "{{ value.text }}"}
    )
    assert server.requests[-1]["headers"]["x"] == "{{ secret.TOKEN }}"
    absent = await ask(web, url=f"{server.url}/echo", headers={"X": "{{ secret.ABSENT }}"})
    assert absent.failed["ask"].code == "unknown_secret"


@pytest.mark.parametrize(
    "config",
    [
        {"url": "https://x.test/{{ secret.TOKEN }}"},
        {"url": "https://x.test/", "parameters": {"key": "{{secret.TOKEN}}"}},
        {"url": "https://x.test/", "body": "{{ secret.TOKEN }}"},
        {"url": "https://x.test/", "body": "{{ secret['TOKEN'] }}"},
        {"url": "https://x.test/{{ nobody }}"},
        {"url": "https://x.test/", "headers": {"X": "{{ value.( }}"}},
        {"url": "https://x.test/", "inputs": [{"name": "secret"}]},
        {"url": "https://x.test/", "method": "TRACE"},
        {"url": "https://x.test/", "content_type": "a/b\r\nX: y"},
        {"url": "https://x.test/", "headers": {f"X-{n}": "x" for n in range(60)}},
    ],
)
def test_settings_that_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        HttpRequest.Config(**config)


async def test_answers_are_read_as_they_are_meant(web: SmallWorld, server: WebServer) -> None:
    latin = (await ask(web, url=f"{server.url}/latin")).finished("ask").outputs
    assert latin["text"] == {"text": "Grüße"}
    assert "data" not in latin
    wrong = await ask(web, url=f"{server.url}/latin", result="json")
    assert wrong.failed["ask"].code == "bad_json"
    text = (await ask(web, url=f"{server.url}/echo", result="text")).finished("ask").outputs
    assert "data" not in text
    assert text["headers"]["data"]["content-type"] == "application/json"


async def test_an_error_status_fails_unless_it_may_not(web: SmallWorld, server: WebServer) -> None:
    failed = (await ask(web, url=f"{server.url}/status?404")).failed["ask"]
    assert (failed.code, failed.found) == ("http_error", 404)
    assert "No such thing." in failed.message
    got = await ask(web, url=f"{server.url}/status?503", fail_on_error=False)
    assert got.finished("ask").outputs["status"] == {"value": 503}


async def test_large_and_slow_answers_fail(web: SmallWorld, server: WebServer) -> None:
    large = await ask(web, url=f"{server.url}/large", max_kb=10)
    assert large.failed["ask"].code == "response_too_large"
    slow = await ask(web, url=f"{server.url}/slow?9", timeout=1)
    assert slow.failed["ask"].code == "timeout"
    endless = await ask(web, "x" * 9_000, url=f"{server.url}/{{{{ value }}}}")
    assert endless.failed["ask"].code == "bad_url"


def test_validation_knows_which_hosts_may_be_asked(server: WebServer) -> None:
    registry = Registry()
    register_all(registry, WebService(["api.example.com"]))

    def codes(url: str) -> set[str]:
        graph = graph_of(
            {"in": "text_input", "ask": ("http_request", {"url": url})}, "in.text>ask.value"
        )
        return {p.code for p in problems(graph, registry)} - {"missing_output"}

    assert codes("https://api.example.com/x/{{ value.text }}") == set()
    assert codes("{{ value.text }}") == codes("https://{{ value.text }}/x") == set()
    assert codes("https://other.example.com/") == {"host_not_allowed"}
    assert codes("ftp://api.example.com/") == {"bad_url"}
    assert codes("") == {"no_address"}
    assert registry.get("http_request") is not HttpRequest
    assert HttpRequest.policy is None
