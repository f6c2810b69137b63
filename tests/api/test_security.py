"""Who gets in: keys, hosts, origins, links, cookies, sizes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import httpx
import pytest

from app.api.hosts import HostPolicy, same_origin
from app.main import create_app
from app.services.container import Services
from app.services.keys import leave_link_file

PAGE = "/"


@pytest.fixture
async def browser(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody without a key."""
    app = create_app(services.settings, services, ui=False)

    @app.get(PAGE)
    async def page() -> str:
        return "what the page holds"

    transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 1))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost:8080") as client,
    ):
        yield client


@pytest.mark.parametrize(
    ("host", "allowed", "header", "answered"),
    [
        ("127.0.0.1", (), "localhost:8080", True),
        ("127.0.0.1", (), "127.0.0.1:8080", True),
        ("127.0.0.1", (), "[::1]:8080", True),
        ("127.0.0.1", (), "LOCALHOST.", True),
        ("127.0.0.1", (), "evil.example", False),
        ("127.0.0.1", (), "127.0.0.1.evil.example", False),
        ("127.0.0.1", (), "192.168.0.7", False),
        ("127.0.0.1", (), "", False),
        ("127.0.0.1", (), "localhost:80 'x'", False),
        ("127.0.0.1", (), "localhost/@evil.example", False),
        ("127.0.0.1", (), "evil@localhost", False),
        ("127.0.0.1", ("rag.example",), "rag.example", True),
        ("0.0.0.0", (), "192.168.0.7:8080", True),
        ("0.0.0.0", (), "[fe80::1]:8080", True),
        ("0.0.0.0", (), "evil.example", False),
        ("0.0.0.0", ("Rag.Example",), "rag.example:443", True),
        ("192.168.0.7", (), "192.168.0.7", True),
        ("rag.example", (), "rag.example", True),
    ],
)
def test_hosts(host: str, allowed: tuple[str, ...], header: str, answered: bool) -> None:
    assert HostPolicy(host, allowed).allows(header) is answered


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("http://localhost:8080", "localhost:8080", True),
        ("https://rag.example", "rag.example", True),
        ("https://rag.example:443", "rag.example", True),
        ("http://[::1]:8080", "[::1]:8080", True),
        ("http://localhost:8081", "localhost:8080", False),
        ("http://evil.example", "localhost:8080", False),
        ("null", "localhost", False),
        ("file://", "localhost", False),
        ("http://localhost:port", "localhost", False),
        ("", "localhost", False),
    ],
)
def test_origins(origin: str, host: str, same: bool) -> None:
    assert same_origin(origin, host) is same


async def test_rest_needs_a_key(browser: httpx.AsyncClient) -> None:
    doors = (
        ("GET", "/api/v1/knowledge_bases"),
        ("POST", "/api/v1/workflows"),
        ("GET", "/api/v1/node_types"),
        ("DELETE", "/api/v1/workflow_executions/x"),
        ("PUT", "/api/v1/knowledge_bases/x/documents/y"),
    )
    headers = (
        {},
        *({"Authorization": said} for said in ("Bearer rl_wrong", "Basic abc", "Bearer ")),
    )
    for (method, path), header in product(doors, headers):
        refused = await browser.request(method, path, headers=header)
        assert refused.status_code == 401, (path, header)
        assert refused.json()["error"]["code"] == "unauthorized", (path, header)
        assert refused.headers["www-authenticate"].startswith("Bearer"), (path, header)


async def test_a_revoked_key_is_refused_at_once(
    browser: httpx.AsyncClient, services: Services
) -> None:
    key, secret = await services.keys.create("program")
    headers = {"Authorization": f"Bearer {secret}"}
    assert (await browser.get("/api/v1/models", headers=headers)).status_code == 200
    await services.keys.revoke(key.key_id)
    assert (await browser.get("/api/v1/models", headers=headers)).status_code == 401


async def test_a_session_of_the_pages_is_no_key(
    browser: httpx.AsyncClient, services: Services
) -> None:
    await browser.get("/", params={"token": services.keys.open_link_token()})
    assert (await browser.get("/")).status_code == 200
    assert (await browser.get("/api/v1/models")).status_code == 401


async def test_other_names_and_other_sites_are_refused(browser: httpx.AsyncClient) -> None:
    rebound = await browser.get("/health", headers={"Host": "evil.example"})
    assert rebound.status_code == 421
    assert rebound.json()["error"]["code"] == "host_not_allowed"
    for origin in ("http://evil.example", "null", "http://localhost:9999"):
        posted = await browser.post("/login", headers={"Origin": origin}, data={"api_key": "x"})
        assert posted.status_code == 403
        assert posted.json()["error"]["code"] == "origin_not_allowed"
    own = await browser.post(
        "/login", headers={"Origin": "http://localhost:8080"}, data={"api_key": "x"}
    )
    assert own.status_code == 401


async def test_pages_say_how_to_get_in(browser: httpx.AsyncClient) -> None:
    for path in ("/", "/workflows/x", "/_nicegui/x.js", "/_ragloom/original/a/b"):
        refused = await browser.get(path)
        assert refused.status_code == 401
        assert "ragloom link" in refused.text
        assert "what the page holds" not in refused.text
    for path in ("/health", "/docs", "/openapi.json"):
        assert (await browser.get(path)).status_code == 200


async def test_a_link_opens_the_pages_once(browser: httpx.AsyncClient, services: Services) -> None:
    token = services.keys.open_link_token()
    opened = await browser.get("/", params={"token": token, "run": "r 1"})
    assert opened.status_code == 303
    assert opened.headers["location"] == "/?run=r+1"
    cookie = opened.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Max-Age=2592000" in cookie
    assert (await browser.get("/")).text == '"what the page holds"'
    browser.cookies.clear()
    again = await browser.get("/", params={"token": token})
    assert again.status_code == 401
    assert "used before" in again.text


async def test_a_link_cannot_lead_elsewhere(browser: httpx.AsyncClient, services: Services) -> None:
    token = services.keys.open_link_token()
    opened = await browser.get(f"http://localhost:8080//evil.example/?token={token}")
    assert opened.status_code == 303
    assert opened.headers["location"] == "/evil.example/"


async def test_an_old_link_in_an_open_browser_just_opens(
    browser: httpx.AsyncClient, services: Services
) -> None:
    token = services.keys.open_link_token()
    await browser.get("/", params={"token": token})
    again = await browser.get("/", params={"token": token})
    assert (again.status_code, again.headers["location"]) == (303, "/")


async def test_a_link_left_in_the_data_folder_opens(
    browser: httpx.AsyncClient, services: Services
) -> None:
    token = leave_link_file(services.folder.path)
    assert (services.folder.path / "open_link").stat().st_mode & 0o777 == 0o600
    assert (await browser.get("/", params={"token": "guess"})).status_code == 401
    assert (await browser.get("/", params={"token": token})).status_code == 303
    browser.cookies.clear()
    assert (await browser.get("/", params={"token": token})).status_code == 401


async def test_an_api_key_opens_the_pages_too(
    browser: httpx.AsyncClient, services: Services
) -> None:
    _, secret = await services.keys.create("me")
    wrong = await browser.post("/login", data={"api_key": "rl_wrong"})
    assert wrong.status_code == 401
    assert "No such API key" in wrong.text
    right = await browser.post("/login", data={"api_key": f" {secret} "})
    assert (right.status_code, right.headers["location"]) == (303, "/")
    assert (await browser.get("/")).status_code == 200
    assert secret not in right.text


async def test_a_made_up_cookie_opens_nothing(browser: httpx.AsyncClient) -> None:
    for value in ("x", "a" * 43, "\"'; --"):
        page = await browser.get("/", headers={"Cookie": f"ragloom_x={value}; {value}"})
        assert page.status_code == 401


async def test_headers_keep_browsers_careful(browser: httpx.AsyncClient) -> None:
    for path in ("/", "/health", "/api/v1/models", "/docs"):
        headers = (await browser.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "SAMEORIGIN"
        assert "frame-ancestors 'self'" in headers["content-security-policy"]
        assert "object-src 'none'" in headers["content-security-policy"]


async def test_a_declared_size_past_the_limit_is_refused_before_it_is_sent(
    browser: httpx.AsyncClient, services: Services
) -> None:
    _, secret = await services.keys.create("program")
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b"x" * 1_000

    for path, size in (
        ("/api/v1/workflows", 20_000_000),
        ("/api/v1/knowledge_bases/x/documents", 2_000_000_000),
    ):
        refused = await browser.post(
            path,
            content=body(),
            headers={"Authorization": f"Bearer {secret}", "Content-Length": str(size)},
        )
        assert refused.status_code == 413
        assert refused.json()["error"]["code"] == "too_large"
    assert sent <= 2


async def test_a_file_past_the_limit_is_refused_by_the_server(data_folder: Any) -> None:
    from app.settings import load_settings

    settings = load_settings(environ={}, data=data_folder, demo=False, max_upload_mb=1)
    services = await Services.open(settings, background=False)
    try:
        app = create_app(settings, services, ui=False)
        _, secret = await services.keys.create("program")
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(
            transport=transport,
            base_url="http://localhost",
            headers={"Authorization": f"Bearer {secret}"},
        ) as client:
            kb = await services.knowledge.create("Small")
            place = f"/api/v1/knowledge_bases/{kb.knowledge_base_id}/documents"
            big = ("files", ("big.txt", b"word " * 300_000))
            alone = await client.post(place, files=[big])
            assert alone.status_code == 413
            assert "1 MB" in alone.json()["error"]["message"]
            assert "max_upload_mb" in alone.json()["error"]["message"]
            both = await client.post(place, files=[big, ("files", ("a.txt", b"A word."))])
            assert both.status_code == 200
            assert [r["status"] for r in both.json()["results"]] == ["error", "success"]
            assert list((services.folder.path / "uploads").iterdir()) == []
    finally:
        await services.close()


async def test_websockets_pass_the_same_checks(services: Services) -> None:
    app = create_app(services.settings, services, ui=False)
    sent: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "scheme": "ws",
        "path": "/_nicegui_ws/socket.io/",
        "raw_path": b"/_nicegui_ws/socket.io/",
        "query_string": b"",
        "root_path": "",
        "subprotocols": [],
    }
    for header in ({"x": "y"}, {"origin": "http://evil.example"}, {"host": "evil.example"}):
        headers = {"host": "localhost", **header}
        said = [(name.encode(), value.encode()) for name, value in headers.items()]
        await app({**scope, "headers": said}, receive, send)
        assert sent == [{"type": "websocket.close", "code": 1008}], header
        sent.clear()


async def test_metrics_are_for_this_machine_or_a_key(services: Services) -> None:
    app = create_app(services.settings, services, ui=False)
    _, secret = await services.keys.create("prometheus")

    def caller(address: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=app, client=(address, 1))
        return httpx.AsyncClient(transport=transport, base_url="http://localhost")

    async with (
        app.router.lifespan_context(app),
        caller("127.0.0.1") as here,
        caller("192.168.0.7") as there,
    ):
        assert (await here.get("/metrics")).status_code == 200
        assert (await there.get("/metrics")).status_code == 401
        headers = {"Authorization": f"Bearer {secret}"}
        await there.get("/api/v1/models", headers=headers)
        page = await there.get("/metrics", headers=headers)
        assert page.status_code == 200
        assert 'ragloom_http_requests_total{method="GET"' in page.text
        assert "ragloom_runs_active 0.0" in page.text
