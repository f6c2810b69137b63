"""The server as a process: start, stop, one data folder, OpenAPI without a network."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.conftest import ROOT, Server, start_server
from tests.services.openai_server import openai_server

#: Each may start a server, and imports take long on a busy machine.
pytestmark = pytest.mark.timeout(400)
PATIENCE_S = 300
HEAVY = ("torch", "litellm", "chromadb", "sentence_transformers", "onnxruntime", "tantivy")


def test_a_start_imports_nothing_heavy_before_it_answers_and_asks_nothing_of_the_network(
    tmp_path: Path,
) -> None:
    script = f"""
import os, signal, sys, threading, time, urllib.request
from pathlib import Path

asked = []

def hook(event, arguments):
    if event == "socket.getaddrinfo":
        asked.append(str(arguments[0]))
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        asked.append(str(arguments[1][0]))

sys.addaudithook(hook)
from app.main import serve
from app.settings import load_settings

def stop_when_ready(link):
    url = link.split("/start")[0] + "/ready"
    try:
        for _ in range(500):
            try:
                urllib.request.urlopen(url).read()
                print("ready", flush=True)
                break
            except urllib.error.HTTPError:
                time.sleep(0.5)
    finally:
        os.kill(os.getpid(), signal.SIGINT)

def say(line):
    if line.startswith("Open "):
        print([name for name in {HEAVY!r} if name in sys.modules], flush=True)
        threading.Thread(target=stop_when_ready, args=(line.split()[1],)).start()

serve(load_settings(data=Path({str(tmp_path / "data")!r}), port=0, demo=False), say)
print([place for place in asked if place not in ("127.0.0.1", "localhost", "::1")])
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.stdout.split() == ["[]", "ready", "[]"], done.stdout + done.stderr[-2_000:]


def test_help_is_quick_to_import() -> None:
    script = (
        "import sys, app.main, app.cli; print('nicegui' in sys.modules, 'fastapi' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False"]


def client(server: Server, **options: Any) -> httpx.Client:
    """A client that is as patient as the machine is slow, and keeps no connection that rests."""
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(base_url=server.url, trust_env=False, timeout=60, limits=limits, **options)


def test_health_and_readiness(server: Server) -> None:
    with client(server) as asking:
        health, ready = asking.get("/health"), asking.get("/ready")
    assert (health.status_code, health.json()["status"]) == (200, "ok")
    assert ready.status_code in (200, 503)
    assert ready.json()["status"] in ("ready", "starting")


def test_the_link_opens_the_pages_of_the_real_server(server: Server) -> None:
    with client(server) as browser:
        assert browser.get("/").status_code == 401
        opened = browser.get(server.link, follow_redirects=True)
        assert opened.status_code == 200
        assert "Ragloom" in opened.text
        assert "token=" not in str(opened.url)


def test_key_and_link_are_printed_once(server: Server) -> None:
    assert sum("token=" in line for line in server.lines) == 1
    assert sum(server.key in line for line in server.lines) == 1
    assert (server.data / "api_key").stat().st_mode & 0o777 == 0o600


def test_the_api_page_works_without_a_network(server: Server) -> None:
    with client(server) as asking:
        page = asking.get("/docs").text
        assert "http://" not in page
        assert "https://" not in page
        assert "//cdn" not in page
        schema = asking.get("/openapi.json").json()
        for path in (
            "/api/v1/knowledge_bases",
            "/api/v1/knowledge_bases/{kb}/documents",
            "/api/v1/knowledge_bases/{kb}/search",
            "/api/v1/workflows/{workflow_id}/execute",
            "/api/v1/workflow_executions/{execution_id}",
        ):
            assert path in schema["paths"]
        for name in ("swagger-ui.css", "swagger-ui-bundle.js", "start.js"):
            if name in page:
                assert asking.get(f"/docs/{name}").status_code == 200
        assert asking.get("/docs/../main.py").status_code in (401, 404)


def test_what_is_not_there_is_said_in_the_form_of_the_api(server: Server) -> None:
    with client(server, headers=server.headers) as asking:
        nothing = asking.get("/api/v1/nothing")
        assert (nothing.status_code, nothing.json()["error"]["code"]) == (404, "not_found")
        wrong = asking.delete("/api/v1/models")
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_allowed")
        asked = asking.options("/api/v1/workflows")
        assert (asked.status_code, asked.json()["error"]["code"]) == (405, "method_not_allowed")
        assert asked.headers["allow"] == "GET, POST"
        assert asking.head("/api/v1/workflows").status_code == 405
        # The pages lie behind every other address; programs are never answered with one.
        for path in ("/api", "/api/", "/hooks", "/hooks/a/b", "/c/", "/c/a/b"):
            for method in ("GET", "POST"):
                nothing = asking.request(method, path)
                assert (nothing.status_code, nothing.json()["error"]["code"]) == (404, "not_found")
        for path in (
            "/hooks/a",
            "/hooks/a%2Fb",
            "/docs/none.js",
            "/c/a/chats/b",
            "/health",
            "/metrics",
            "/docs",
        ):
            wrong = asking.patch(path)
            assert wrong.json()["error"]["code"] in ("not_found", "method_not_allowed"), path
        traced = asking.request("TRACE", "/api/v1/workflows")
        assert (traced.status_code, traced.headers["allow"]) == (405, "GET, POST")
        scripts = asking.get("/_chat/wf_none/chats")
        assert (scripts.status_code, scripts.json()["error"]["code"]) == (401, "unauthorized")


def test_a_client_that_sends_too_much_gets_to_read_why(server: Server) -> None:
    with client(server, headers=server.headers) as asking:
        for _ in range(3):
            refused = asking.post("/api/v1/workflows", content=b"x" * 30_000_000)
            assert refused.status_code == 413
            assert "max_workflow_mb" in refused.json()["error"]["message"]
            pieces = iter([b"x" * 1_000_000] * 30)
            refused = asking.post("/api/v1/workflows", content=pieces)
            assert refused.status_code == 413
        assert asking.get("/api/v1/workflows").status_code == 200


def test_an_upload_that_is_broken_off_is_one_line_in_the_log_and_leaves_nothing(
    server: Server,
) -> None:
    with client(server) as browser:
        made = browser.post(
            "/api/v1/knowledge_bases", json={"name": "Half"}, headers=server.headers
        ).json()["knowledge_base_id"]
        opened = browser.post("/login", data={"api_key": server.key})
        cookie = {"Cookie": opened.headers["set-cookie"].partition(";")[0]}
        page = browser.get(f"/knowledge/{made}", headers=cookie).text
        place = re.search(r"/_nicegui/client/[^/]+/upload/\d+", page)
        assert place is not None, page[:500]
        rest = f"/api/v1/knowledge_bases/{made}/documents"
        for path, sent in ((rest, server.headers), (place[0], cookie)):
            before = len(server.lines)
            _half_an_upload(server.url, path, sent)
            lines = _lines_that_tell(server, before, path)
            assert len(lines) == 1, lines
            said = f"POST {path}: the client went away before its request was whole"
            assert lines[0].endswith(said)
        stats = browser.get(f"/api/v1/knowledge_bases/{made}/stats", headers=server.headers).json()
        assert (stats["document_count"], stats["pending_documents"]) == (0, 0)
    for _ in range(300):
        if not (left := list(server.data.rglob("upload-*"))):
            break
        time.sleep(0.1)
    assert not left


def _half_an_upload(url: str, path: str, headers: dict[str, str]) -> None:
    """The first megabyte of ten, and then the tab is closed."""
    host, _, port = url.removeprefix("http://").partition(":")
    head = {
        "Host": f"{host}:{port}",
        "Origin": url,
        "Content-Type": "multipart/form-data; boundary=rim",
        "Content-Length": "10000000",
        **headers,
    }
    part = (
        b'--rim\r\nContent-Disposition: form-data; name="files"; filename="half.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\n"
    )
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items())]
    with socket.create_connection((host, int(port)), timeout=60) as tab:
        tab.sendall("\r\n".join([*lines, "", ""]).encode() + part + b"half " * 200_000)


def _lines_that_tell(server: Server, start: int, path: str) -> list[str]:
    """What the log says from a line on, once it tells of a path."""
    for _ in range(600):
        found = server.lines[start:]
        if any(path in line for line in found):
            return found
        time.sleep(0.1)
    raise AssertionError(f"nothing about {path} in {server.lines[start:]}")


def test_a_second_server_on_the_data_folder_is_refused_with_the_way_out(server: Server) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", "serve", "--port=0", "--data", server.data],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 3
    assert str(server.process.pid) in done.stderr
    assert server.url in done.stderr.replace("\n", "")
    assert "--data" in done.stderr
    with client(server) as asking:
        assert asking.get("/health").status_code == 200


def test_a_taken_port_is_refused_with_the_way_out(server: Server, tmp_path: Path) -> None:
    port = server.url.rsplit(":", 1)[1]
    done = subprocess.run(
        [sys.executable, "-m", "app", "serve", f"--port={port}", "--data", tmp_path / "other"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 3
    assert "--port" in done.stderr


ASK = {
    "directed": True,
    "multigraph": True,
    "graph": {"format": "ragloom/1", "name": "Ask", "outputs": {"answer": ["say", "answer"]}},
    "nodes": [
        {"id": "ask", "type": "question", "version": 1, "config": {}},
        {"id": "find", "type": "retrieve", "version": 1, "config": {"knowledge_base": "Sea"}},
        {"id": "say", "type": "generate", "version": 1, "config": {"model": "openai/tiny"}},
    ],
    "edges": [
        {"source": "ask", "target": "find", "key": "query>query"},
        {"source": "ask", "target": "say", "key": "query>query"},
        {"source": "find", "target": "say", "key": "chunks>chunks"},
    ],
}


def test_sessions_and_keys_survive_a_restart_and_secrets_stay_out_of_logs_and_answers(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    secret, key = "sk-provider-0123456789abcdef", "a-key-of-my-own-0123456789"
    first = start_server(data, RAGLOOM_API_KEY=key)
    with openai_server() as url, client(first) as browser:
        assert browser.get(first.link).status_code == 303
        assert first.key == key
        assert not any("API key" in line or key in line for line in first.lines)
        assert first.stop() == 0
        second = start_server(data, "--log-level=debug", OPENAI_API_KEY=secret, OPENAI_API_BASE=url)
        try:
            assert browser.get(f"{second.url}/").status_code == 200
            assert not any("API key" in line for line in second.lines)
            assert json.loads((data / "lock").read_text())["url"] == second.url
            with client(second, headers={"Authorization": f"Bearer {key}"}) as asking:
                asking.post("/api/v1/knowledge_bases", json={"name": "Sea"})
                note = ("tide.md", b"The moonlit harbour has a high tide at nine.")
                asking.post("/api/v1/knowledge_bases/Sea/documents", files={"files": note})
                kept = asking.post("/api/v1/workflows", json=ASK).json()["workflow_id"]
                asked = {"input_data": {"question": "When is the tide high in the harbour?"}}
                said = [
                    asking.post(f"/api/v1/workflows/{kept}/execute", json=asked),
                    asking.get(f"/api/v1/workflows/{kept}/export"),
                    asking.get("/api/v1/workflow_executions"),
                    asking.get("/api/v1/models"),
                ]
                assert [answer.status_code for answer in said] == [200] * 4
                assert said[0].json()["outputs"]["answer"] == "The tide is high.", said[0].text
        finally:
            assert second.stop() == 0
    logged = "\n".join(line for line in second.lines if not line.startswith("Open "))
    assert "DEBUG" in logged
    for text in (logged, *(answer.text for answer in said)):
        assert secret not in text
        assert key not in text
    assert "moonlit harbour" not in logged
