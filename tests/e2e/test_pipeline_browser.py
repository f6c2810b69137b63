"""The pipeline of a knowledge base: drawn, changed, tried on one document, used, and felt."""

from __future__ import annotations

from typing import Any

import httpx
from e2e_desk import Desk, Server, until
from playwright.sync_api import expect

MILL = "# Mill\n\n" + "\n\n".join(
    f"Paragraph {n} tells of the mill at Aldham, of its wheel and of the miller's cat." for n in range(24)
)  # fmt: skip


def uploaded(client: httpx.Client, kb: str, name: str, text: str) -> dict[str, Any]:
    """The result of an upload that has ended."""
    answer = client.post(f"/knowledge_bases/{kb}/documents", files={"files": (name, text)})
    answer.raise_for_status()
    result: dict[str, Any] = answer.json()["results"][0]
    assert result["status"] == "success", result
    return result


def try_on(desk: Desk, filename: str) -> None:
    """Try what is on the canvas on a document of the knowledge base."""
    page = desk.page
    page.get_by_label("Other ways to start").click()
    page.get_by_text("Try on a document…").click()
    page.locator(".rl-pick-row", has_text=filename).click()
    page.get_by_text("Tried, nothing was written").wait_for()


def told(desk: Desk) -> dict[str, str]:
    """What the index says it would do."""
    facts = desk.page.locator(".rl-inspector .rl-port", has_text="report").locator(".rl-facts")
    # In one go, for it is drawn anew after each trial.
    pairs = facts.first.evaluate(
        """facts => [...facts.querySelectorAll('dt')].map(
          (name, n) => [name.innerText, facts.querySelectorAll('dd')[n].innerText])"""
    )
    return dict(pairs)


def test_a_pipeline_is_drawn_changed_tried_used_and_felt(desk: Desk, server: Server) -> None:
    page = desk.page
    with server.client() as client:
        made = client.post("/knowledge_bases", json={"name": "Mills"})
        kb = made.json()["knowledge_base_id"]
        before = uploaded(client, kb, "mill.md", MILL)["chunks_created"]
        # Those that failed stand first in lists; however many, they hide none to try it on.
        broken = [("files", (f"{n}.pdf", b"%PDF-1.7 nothing")) for n in range(9)]
        told_of = client.post(f"/knowledge_bases/{kb}/documents", files=broken).json()["results"]
        assert {result["status"] for result in told_of} == {"error"}

        # From the knowledge base to the workflow.
        desk.open(f"/knowledge/{kb}")
        page.get_by_role("tab", name="Settings").click()
        page.get_by_role("button", name="Draw its pipeline").click()
        page.wait_for_url("**/workflows/*")
        desk.settled()
        workflow = page.url.rsplit("/", 1)[1].partition("#")[0]
        desk.node("chunk").wait_for()
        expect(page.locator(".rl-pipeline")).to_be_hidden()

        # As it is drawn, nothing would change.
        try_on(desk, "mill.md")
        desk.node("index").click()
        page.locator(".rl-inspector").get_by_role("tab", name="Data").click()
        until(lambda: told(desk).get("would be") == "unchanged")

        # Smaller chunks: the trial says what they would come to, and writes nothing.
        page.keyboard.press("Escape")
        desk.node("chunk").dispatch_event("click")
        page.locator(".rl-inspector").get_by_role("tab", name="Config").click()
        size = page.locator(".rl-inspector").get_by_role("spinbutton", name="Chunk size (tokens)")
        overlap = page.locator(".rl-inspector").get_by_role("spinbutton", name="Overlap (tokens)")
        overlap.fill("0")
        size.fill("48")
        size.press("Tab")
        until(lambda: _chunking(desk, workflow) == (48, 0))
        desk.saved()
        try_on(desk, "mill.md")
        desk.node("index").dispatch_event("click")
        page.locator(".rl-inspector").get_by_role("tab", name="Data").click()
        until(lambda: told(desk).get("would be") == "updated")
        would = told(desk)
        assert int(would["chunks"]) > before
        assert int(would["tokens"].replace(",", "")) > 0
        assert client.get(f"/knowledge_bases/{kb}/stats").json()["chunk_count"] == before

        # Into use.
        page.get_by_label("More").first.click()
        page.get_by_text("Use as pipeline of a knowledge base…").click()
        page.locator(".rl-dialog").get_by_role("button", name="Use it").click()
        expect(page.locator(".rl-pipeline")).to_contain_text("Pipeline of Mills")
        config = client.get(f"/knowledge_bases/{kb}").json()["config"]
        assert config["pipeline"]["workflow_id"] == workflow

        # Uploads feel it, and the way back leads here.
        after = uploaded(client, kb, "other.md", MILL.replace("Aldham", "Lowick"))
        assert after["chunks_created"] == int(would["chunks"])
        desk.open(f"/knowledge/{kb}")
        page.get_by_role("tab", name="Settings").click()
        page.get_by_role("button", name="Open its pipeline").click()
        page.wait_for_url(f"**/workflows/{workflow}")


def test_changes_of_a_pipeline_count_once_they_are_used(desk: Desk, server: Server) -> None:
    page = desk.page
    with server.client() as client:
        every = client.get("/knowledge_bases", params={"limit": 200}).json()["items"]
        (kb,) = [one["knowledge_base_id"] for one in every if one["name"] == "Mills"]
        pinned = client.get(f"/knowledge_bases/{kb}").json()["config"]["pipeline"]
        workflow = pinned["workflow_id"]
        desk.open(f"/workflows/{workflow}")
        desk.node("chunk").wait_for()
        expect(page.locator(".rl-pipeline")).to_contain_text("Pipeline of Mills")
        expect(page.get_by_text("Use these changes")).to_be_hidden()
        desk.node("chunk").dispatch_event("click")
        page.locator(".rl-inspector").get_by_role("tab", name="Config").click()
        size = page.locator(".rl-inspector").get_by_role("spinbutton", name="Chunk size (tokens)")
        size.fill("64")
        size.press("Tab")
        page.get_by_text("Use these changes").click()
        expect(page.get_by_text("Use these changes")).to_be_hidden()

        def used() -> bool:
            now = client.get(f"/knowledge_bases/{kb}").json()["config"]["pipeline"]
            assert now["workflow_id"] == workflow
            return bool(now["revision"] > pinned["revision"])

        until(used)


def test_why_a_workflow_cannot_be_a_pipeline_is_told(desk: Desk, server: Server) -> None:
    page = desk.page
    with server.client() as client:
        client.post("/knowledge_bases", json={"name": "To be filled"}).raise_for_status()
    desk.new_workflow()
    page.get_by_label("More").first.click()
    page.get_by_text("Use as pipeline of a knowledge base…").click()
    page.locator(".rl-dialog").get_by_role("button", name="Use it").click()
    box = page.locator(".rl-dialog", has_text="cannot be a pipeline yet")
    expect(box).to_contain_text("no “Files” node")
    expect(box).to_contain_text("no “Embed and index” node")


def _chunking(desk: Desk, workflow: str) -> tuple[Any, Any]:
    (node,) = [n for n in desk.graph(workflow)["nodes"] if n["id"] == "chunk"]
    return node["config"]["chunk_size"], node["config"]["chunk_overlap"]
