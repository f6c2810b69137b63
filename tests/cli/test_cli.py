"""Every command for real: directly on a data folder, and through the server that holds it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from app.cli import cli
from app.main import serve
from tests.api.conftest import ROOT, Server, start_server

NOTE = "# Backups\n\nBackups of the database run every night at three.\n"
ASK: dict[str, Any] = {
    "directed": True,
    "multigraph": True,
    "graph": {
        "format": "ragloom/1",
        "name": "Ask",
        "description": "",
        "outputs": {"answer": ["answer", "answer"]},
    },
    "nodes": [
        {"id": "question", "type": "question", "config": {}},
        {"id": "retrieve", "type": "retrieve", "config": {"knowledge_base": "Notes", "k": 3}},
        {"id": "generate", "type": "generate", "config": {}},
        {"id": "answer", "type": "answer_output", "config": {}},
    ],
    "edges": [
        {"source": "question", "target": "retrieve", "key": "query>query"},
        {"source": "question", "target": "generate", "key": "query>query"},
        {"source": "retrieve", "target": "generate", "key": "chunks>chunks"},
        {"source": "generate", "target": "answer", "key": "answer>answer"},
    ],
}


def ragloom(*arguments: object, **environment: str) -> Result:
    """A command in this process; what it prints is captured."""
    clean = {k: None for k in os.environ if k.startswith("RAGLOOM_")}
    return CliRunner().invoke(
        cli,
        [str(argument) for argument in arguments],
        env={**clean, "COLUMNS": "200", **environment},
        obj=serve,
        prog_name="ragloom",
    )


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "app", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Documents and a workflow file."""
    here = tmp_path_factory.mktemp("files")
    (here / "docs" / "deep").mkdir(parents=True)
    (here / "docs" / "backup.md").write_text(NOTE, "utf-8")
    (here / "docs" / "deep" / "cats.txt").write_text("Cats sleep most of the day.", "utf-8")
    (here / "docs" / ".hidden").write_text("not this", "utf-8")
    (here / "ask.json").write_text(json.dumps(ASK), "utf-8")
    return here


@pytest.fixture(scope="module", params=["directly", "through a server"])
def place(
    request: pytest.FixtureRequest, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Server | None]]:
    """A data folder with documents in it; with or without a server that holds it."""
    data = tmp_path_factory.mktemp("cli") / "data"
    server = start_server(data) if request.param == "through a server" else None
    done = ragloom("ingest", "Notes", folder / "docs", "--data", data)
    assert done.exit_code == 0, done.stderr
    assert "Made the knowledge base" in done.stderr
    assert "backup.md" in done.stderr
    assert "deep/cats.txt" in done.stderr
    assert ".hidden" not in done.stderr
    yield data, server
    if server is not None:
        assert server.stop() == 0
        assert server.process.stdout is not None
        server.process.stdout.close()


def test_documents_can_be_found(place: tuple[Path, Server | None]) -> None:
    done = ragloom("search", "Notes", "When do backups run?", "--data", place[0], "-k", 1)
    assert done.exit_code == 0, done.stderr
    assert "backup.md" in done.stdout
    assert "every night at three" in done.stdout
    found = ragloom(
        "search", "Notes", "backups", "--data", place[0], "--json", "--type", "keyword", "--rerank"
    )
    data = json.loads(found.stdout)
    assert data["results"][0]["document_name"] == "backup.md"
    assert "rerank" in data["results"][0]["scores"]
    assert data["metadata"]["search_type"] == "keyword"


def test_a_second_ingest_changes_nothing(place: tuple[Path, Server | None], folder: Path) -> None:
    done = ragloom("ingest", "Notes", folder / "docs", "--data", place[0], "--json")
    assert done.exit_code == 0, done.stderr
    assert {r["change"] for r in json.loads(done.stdout)} == {"unchanged"}


def test_a_workflow_file_runs(place: tuple[Path, Server | None], folder: Path) -> None:
    question = "question=When do backups of the database run?"
    done = ragloom("run", folder / "ask.json", "-i", question, "--data", place[0])
    assert done.exit_code == 0, done.stderr
    assert "every night at three" in done.stdout
    assert "[1] backup.md" in done.stdout
    assert "retrieve" in done.stderr
    again = ragloom("run", folder / "ask.json", "-i", question, "--data", place[0], "--json")
    run = json.loads(again.stdout)
    assert run["status"] == "completed"
    assert run["trigger"] == "cli"
    assert all(step["cached"] for step in run["steps"])
    fresh = ragloom(
        "run", folder / "ask.json", "-i", question, "--data", place[0], "--json", "--fresh"
    )
    assert not any(step["cached"] for step in json.loads(fresh.stdout)["steps"])


def test_workflows_are_imported_listed_run_and_exported(
    place: tuple[Path, Server | None], folder: Path, tmp_path: Path
) -> None:
    data = place[0]
    imported = ragloom("workflows", "import", folder / "ask.json", "--data", data)
    assert imported.exit_code == 0, imported.stderr
    workflow_id = imported.stdout.strip()
    assert workflow_id in ragloom("workflows", "list", "--data", data).stdout
    for name in ("Ask", "ask", workflow_id):
        ran = ragloom("run", name, "-i", "question=When do backups run?", "--data", data, "--json")
        assert ran.exit_code == 0, ran.stderr
        assert json.loads(ran.stdout)["workflow_id"] == workflow_id
    target = tmp_path / "exported.json"
    assert ragloom("workflows", "export", "Ask", target, "--data", data).exit_code == 0
    exported = json.loads(target.read_text("utf-8"))
    assert exported["graph"]["name"] == "Ask"
    assert [n["id"] for n in exported["nodes"]] == [n["id"] for n in ASK["nodes"]]
    assert json.loads(ragloom("workflows", "export", "Ask", "--data", data).stdout) == exported
    picture = tmp_path / "ask.svg"
    assert ragloom("workflows", "export", "Ask", picture, "--data", data).exit_code == 0
    assert picture.read_text("utf-8").startswith("<svg")
    chart = ragloom("workflows", "export", "Ask", "--format", "mermaid", "--data", data).stdout
    assert "flowchart LR" in chart


def test_jobs_are_listed_shown_and_tried_again(
    place: tuple[Path, Server | None], tmp_path: Path
) -> None:
    data = place[0]
    with zipfile.ZipFile(tmp_path / "pack.zip", "w") as pack:
        pack.writestr("in/long.txt", " ".join(f"Sentence number {n}." for n in range(100)))
        pack.writestr("in/broken.pdf", b"%PDF-1.7 rubbish")
    taken = ragloom(
        "ingest", "Packed", tmp_path / "pack.zip", "--config", "chunk_size=40",
        "--config", "chunk_overlap=0", "--data", data, "--json",
    )  # fmt: skip
    assert taken.exit_code == 1, taken.stderr
    results = {r["filename"]: r for r in json.loads(taken.stdout)}
    assert results["pack.zip/in/long.txt"]["chunks_created"] > 5
    assert results["pack.zip/in/broken.pdf"]["error"]["code"] == "damaged"
    listed = ragloom("jobs", "list", "--kb", "Packed", "--data", data, "--json")
    [job] = json.loads(listed.stdout)
    assert (job["status"], job["progress"]["failed"]) == ("completed", 1)
    shown = ragloom("jobs", "list", "--data", data)
    assert f"{job['job_id']}  completed" in shown.stdout
    assert "1 of 2 files · 1 failed" in shown.stdout
    whole = ragloom("jobs", "show", job["job_id"], "--data", data)
    assert "error  pack.zip/in/broken.pdf: The PDF is cut off" in whole.stdout
    again = ragloom("jobs", "retry", job["job_id"], "--data", data)
    assert again.exit_code == 1
    assert "1 of 2 files are in; these are not" in again.stderr
    over = ragloom("jobs", "resume", job["job_id"], "--data", data)
    assert over.exit_code == 1
    assert "cannot be resumed" in over.stderr


def test_branches_are_listed_and_deleted(place: tuple[Path, Server | None]) -> None:
    def kb(*more: object) -> Result:
        return ragloom("kb", "branch", "Notes", *more, "--data", place[0])

    listed = kb()
    assert listed.exit_code == 0, listed.stderr
    (line,) = listed.stdout.splitlines()
    assert line.startswith("main  ")
    assert line.endswith("in use")
    assert [branch["branch"] for branch in json.loads(kb("--json").stdout)] == ["main"]
    refused = kb("--delete", "main")
    assert refused.exit_code == 1
    assert "main is what search, workflows and pages use" in refused.stderr
    assert kb("--delete", "nowhere").exit_code == 4
    if place[1] is None:
        return  # a branch is made by embedding anew, which only a server offers
    with httpx.Client(base_url=f"{place[1].url}/api/v1", headers=place[1].headers) as client:
        found = client.get("/knowledge_bases/Notes").json()["knowledge_base_id"]
        body = {"embedding_model": "default", "branch": "try/it"}
        assert client.post(f"/knowledge_bases/{found}/reembed", json=body).status_code == 202
    gone = kb("--delete", "try/it")
    assert gone.exit_code == 0, gone.stderr
    assert "Deleted “try/it”; its last commit was " in gone.stderr
    assert len(kb().stdout.splitlines()) == 1


def test_what_goes_wrong_has_an_exit_code_of_its_own(
    place: tuple[Path, Server | None], folder: Path, tmp_path: Path
) -> None:
    data = place[0]
    failed = ragloom("run", folder / "ask.json", "--data", data)
    assert failed.exit_code == 1
    assert "question" in failed.stderr
    assert ragloom("run", "nothing of that name", "--data", data).exit_code == 4
    assert ragloom("search", "No such base", "x", "--data", data).exit_code == 4
    assert ragloom("search", "Notes", "x", "--type", "magic", "--data", data).exit_code == 2
    assert ragloom("run", folder / "ask.json", "-i", "no-value", "--data", data).exit_code == 2
    assert ragloom("ingest", "Notes", tmp_path / "absent", "--data", data).exit_code == 2
    junk = tmp_path / "junk.json"
    junk.write_text("{", "utf-8")
    for command in (("run", junk), ("workflows", "import", junk)):
        done = ragloom(*command, "--data", data)
        assert done.exit_code == 2
        assert "not a workflow file" in done.stderr
    steps = {
        "name": "Steps",
        "steps": [{"type": "answer_generation", "config": {"llm_model": "gpt-4"}}],
    }
    (tmp_path / "steps.json").write_text(json.dumps(steps), "utf-8")
    refused = ragloom("run", tmp_path / "steps.json", "--data", data)
    assert refused.exit_code == 6
    assert "extractive" in refused.stderr
    (tmp_path / "empty.md").write_text("", "utf-8")
    empty = ragloom("ingest", "Notes", tmp_path / "empty.md", "--data", data)
    assert empty.exit_code == 1
    assert "0 of 1 files are in" in empty.stderr
    assert "empty.md: empty.md is empty (0 bytes)" in empty.stderr
    wrong = ragloom("ingest", "Notes", tmp_path / "empty.md", "-c", "chunk_sice=3", "--data", data)
    assert wrong.exit_code == 2
    assert "chunk_size" in wrong.stderr
    assert ragloom("jobs", "pause", "job_x", "--data", data).exit_code == 4


def test_at_a_terminal_the_password_of_an_encrypted_file_is_asked_for(
    place: tuple[Path, Server | None], shared_data: Path
) -> None:
    keyboard, terminal = pty.openpty()
    command = ["ingest", "Locked", shared_data / "hostile-docs" / "r6-user-password.pdf"]
    done = subprocess.Popen(
        [sys.executable, "-m", "app", *map(str, command), "--data", str(place[0])],
        cwd=ROOT,
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # no other terminal is asked
    )
    assert done.stderr is not None
    try:
        for typed, wanted in ((b"wrong\n", b"Password of r6"), (b"asdfzxcv\n", b"That is not it.")):
            said = b""
            while wanted not in said or not said.endswith(b"skip): "):
                more = os.read(done.stderr.fileno(), 1000)
                assert more, said
                said += more
            os.write(keyboard, typed)
        out, _ = done.communicate(timeout=300)
    finally:
        done.kill()
        done.communicate()
        for end in (keyboard, terminal):
            os.close(end)
    assert done.returncode == 0, (said, out)


def test_keys_are_made_used_listed_and_revoked(place: tuple[Path, Server | None]) -> None:
    data, server = place
    made = ragloom("keys", "create", "laptop", "--data", data)
    assert made.exit_code == 0, made.stderr
    secret = made.stdout.strip()
    assert secret.startswith("rl_")
    listed = ragloom("keys", "list", "--data", data)
    assert "laptop" in listed.stdout
    assert secret not in listed.stdout

    def status() -> int:
        assert server is not None
        headers = {"Authorization": f"Bearer {secret}"}
        url = f"{server.url}/api/v1/models"
        return httpx.get(url, headers=headers, trust_env=False).status_code

    assert server is None or status() == 200
    assert ragloom("keys", "revoke", "laptop", "--data", data).exit_code == 0
    assert server is None or status() == 401
    assert ragloom("keys", "revoke", "laptop", "--data", data).exit_code == 4
    entries = json.loads(ragloom("keys", "list", "--data", data, "--json").stdout)
    assert [e["revoked_at"] is not None for e in entries if e["name"] == "laptop"] == [True]


def test_a_fresh_link_opens_the_pages(place: tuple[Path, Server | None]) -> None:
    data, server = place
    done = ragloom("link", "--data", data)
    if server is None:
        assert done.exit_code == 1
        assert "ragloom serve" in done.stderr
        return
    assert done.exit_code == 0, done.stderr
    with httpx.Client(trust_env=False) as browser:
        assert browser.get(done.stdout.strip()).status_code == 303
        assert browser.get(f"{server.url}/").status_code == 200


def test_the_doctor_looks_at_everything(place: tuple[Path, Server | None]) -> None:
    done = ragloom("doctor", "--data", place[0], "--port", 0, "--json")
    findings = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert {"Python", "Data folder", "Disk space", "Port", "Embedding model"} <= set(findings)
    for name in ("Python", "Data folder", "Embedding model", "Reranking model", "Port"):
        assert findings[name]["state"] == "ok", findings[name]
    said = findings["Lock"]["message"]
    assert ("A server is running" in said) is (place[1] is not None)
    plain = ragloom("doctor", "--data", place[0], "--port", 0)
    assert "checksums match" in plain.stdout


def test_settings_come_from_variables_and_wrong_ones_are_refused(tmp_path: Path) -> None:
    data = tmp_path / "elsewhere"
    listed = ragloom("workflows", "list", RAGLOOM_DATA=str(data))
    assert listed.exit_code == 0, listed.stderr
    assert (data / "ragloom.db").exists()
    unknown = ragloom("workflows", "list", RAGLOOM_DATE="x")
    assert unknown.exit_code == 2
    assert "RAGLOOM_DATA" in unknown.stderr
    wrong = ragloom("serve", "--port", 99999)
    assert wrong.exit_code == 2
    assert "--port" in wrong.stderr


def test_help_and_version() -> None:
    shown = command("--help")
    assert shown.returncode == 0
    for name in ("serve", "run", "ingest", "jobs", "search", "keys", "doctor", "link", "workflows"):
        assert name in shown.stdout
        assert ragloom(name, "--help").exit_code == 0
    assert "Exit codes" in shown.stdout
    assert command("--version").returncode == 0
    assert command("nonsense").returncode == 2
    assert command("search", "Notes", "x", "--type", "magic").returncode == 2
