"""The chat of a workflow in a browser: in the workshop, through a link, and inside another site."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e_desk import Server, until
from playwright.sync_api import Browser, BrowserContext, Route, expect


def api(server: Server, path: str, body: Any) -> Any:
    with server.client() as client:
        answer = client.post(path, json=body)
    answer.raise_for_status()
    return answer.json()


@pytest.fixture(scope="module")
def workflow(server: Server) -> str:
    found = server.get("/workflows?text=Ask the handbook")["items"]
    return str(found[0]["workflow_id"])


@pytest.fixture(scope="module")
def other_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Another site: its address and the folder it serves."""
    folder = tmp_path_factory.mktemp("site")
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        thread = threading.Thread(target=serving.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}", folder
        serving.shutdown()
        thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None: ...


def test_a_person_talks_rates_and_shares(
    context: BrowserContext, server: Server, workflow: str
) -> None:
    page = context.new_page()
    page.goto(f"{server.url}/workflows/{workflow}/chat")
    page.locator(".rc-sample").click()
    answer = page.locator(".rc-assistant").last
    expect(answer.locator(".rc-actions")).to_be_visible()
    expect(answer.locator(".rc-text-body")).to_contain_text("Hybrid")
    answer.locator(".rc-cite").first.click()
    source = answer.locator(".rc-source").first
    expect(source).to_be_focused()
    href = source.locator("a").get_attribute("href")
    assert href is not None
    assert href.startswith("/knowledge/")
    answer.get_by_label("Not helpful").click()
    answer.get_by_label("What would have been right?").fill("More detail")
    answer.get_by_role("button", name="Save").click()
    expect(answer.get_by_text("Thank you.")).to_be_visible()
    [case] = server.get(f"/workflows/{workflow}/evaluation_set")["items"]
    assert (case["rating"], case["comment"]) == (-1, "More detail")

    page.reload()
    expect(page.locator(".rc-assistant .rc-text-body").last).to_contain_text("Hybrid")
    page.get_by_role("button", name="Share").click()
    page.get_by_role("button", name="Make the link").click()
    expect(page.locator(".rl-dialog code")).to_have_count(1)
    expect(page.locator(".rl-dialog code")).to_contain_text("/c/link_")
    # A tag for other pages is offered where one of them may show the chat.
    page.get_by_text("New link").click()
    page.get_by_role("textbox", name="Sites that may show it").fill("https://www.example.org")
    page.get_by_role("button", name="Make the link").click()
    expect(page.locator(".rl-dialog code", has_text="embed.js")).to_have_count(1)
    expect(page.get_by_text("May be shown inside: https://www.example.org")).to_be_visible()
    page.close()


def test_an_answer_goes_on_when_the_connection_breaks_off(
    context: BrowserContext, server: Server, workflow: str
) -> None:
    page = context.new_page()
    page.goto(f"{server.url}/workflows/{workflow}/chat")
    asked: list[str | None] = []

    def cut(route: Route) -> None:
        whole = route.fetch()
        events = whole.text().split("\n\n")
        assert events[1].splitlines()[1] == "event: token"
        route.fulfill(response=whole, body="\n\n".join([*events[:2], ""]))

    def again(route: Route) -> None:
        asked.append(route.request.headers.get("last-event-id"))
        if len(asked) == 1:
            route.abort()
        else:
            route.continue_()

    page.route("**/messages", cut, times=1)
    page.route("**/messages/*/events", again)
    # Asked here alone: an answer that is reused comes without single words.
    page.get_by_label("Question").fill("What does hybrid search fuse, and how?")
    page.keyboard.press("Enter")
    answer = page.locator(".rc-assistant").last
    expect(answer.locator(".rc-actions")).to_be_visible(timeout=30_000)
    expect(answer.locator(".rc-text-body")).to_contain_text("ybrid")
    assert len(asked) == 2
    assert asked[0]
    assert asked[0] == asked[1]
    page.close()


def test_an_answer_that_a_stopped_server_left_is_told_anew(
    context: BrowserContext, server: Server, workflow: str
) -> None:
    page = context.new_page()
    page.goto(f"{server.url}/workflows/{workflow}/chat")
    goes_on = False

    def stop(route: Route) -> None:
        whole = route.fetch()
        begin, token = whole.text().split("\n\n")[:2]
        left = begin.replace("event: begin", "event: message")
        assert '"status":"running"' in left
        route.fulfill(response=whole, body=f"{begin}\n\n{token}\n\n{left}\n\n")

    def again(route: Route) -> None:
        if goes_on:
            route.continue_()
            return
        first = not route.request.headers["last-event-id"].startswith("later-")
        token = json.dumps({"text": "Said once" if first else ""})
        body = f"id: later-1\nevent: token\ndata: {token}\n\n"
        route.fulfill(content_type="text/event-stream", body=body)

    page.route("**/messages", stop, times=1)
    page.route("**/messages/*/events", again)
    page.get_by_label("Question").fill("Hybrid search: what is fused by it, and in which way?")
    page.keyboard.press("Enter")
    answer = page.locator(".rc-assistant").last
    expect(answer.locator(".rc-text-body")).to_have_text("Said once", timeout=30_000)
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
    goes_on = True
    expect(answer.locator(".rc-actions")).to_be_visible(timeout=30_000)
    page.close()


def test_a_shared_chat_is_used_without_a_session_and_kept_for_its_browser(
    browser: Browser, server: Server, workflow: str
) -> None:
    link = api(server, f"/workflows/{workflow}/chat_links", {"greeting": "<i>Hello</i> there"})
    stranger = browser.new_context(viewport={"width": 400, "height": 700}, has_touch=True)
    page = stranger.new_page()
    page.goto(server.url + link["path"])
    expect(page.get_by_text("<i>Hello</i> there")).to_be_visible()

    # The list of conversations comes late, and takes nothing away.
    late: list[Route] = []

    def hold(route: Route) -> None:
        late.append(route)

    page.route("**/chats?limit=50", hold, times=1)
    page.reload()
    page.get_by_label("Question").fill("What does hybrid search do?")
    page.keyboard.press("Enter")
    expect(page.locator(".rc-user .rc-text-body")).to_have_text("What does hybrid search do?")
    until(lambda: page.evaluate("1") and late)  # lets in what the browser has asked for
    late[0].continue_()
    expect(page.locator(".rc-actions")).to_be_visible()
    assert page.locator(".rc-source a").count() == 0
    page.reload()
    expect(page.locator(".rc-user .rc-text-body")).to_have_text("What does hybrid search do?")
    # The list goes away by Escape and by a click beside it.
    toggle = page.get_by_role("button", name="Conversations")
    rows = page.locator("nav.rc-side .rc-row")
    toggle.click()
    expect(rows).to_have_count(1)
    page.keyboard.press("Escape")
    expect(rows).to_be_hidden()
    expect(toggle).to_be_focused()
    toggle.click()
    expect(rows).to_be_visible()
    page.locator(".rc-log").click(position={"x": 200, "y": 540})
    expect(rows).to_be_hidden()
    toggle.click()
    page.get_by_label("Delete “What does hybrid search do?”").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("No conversations yet.")).to_be_visible()
    stranger.close()


def test_another_site_shows_the_chat_only_where_it_is_named(
    browser: Browser, server: Server, workflow: str, other_site: tuple[str, Path]
) -> None:
    address, folder = other_site
    for name, origins in (("named", [address]), ("unnamed", [])):
        link = api(server, f"/workflows/{workflow}/chat_links", {"origins": origins})
        token = link["path"].rsplit("/", 1)[1]
        tag = f'<script src="{server.url}/c/_/embed.js" data-chat="{token}" async></script>'
        (folder / f"{name}.html").write_text(f"<!doctype html><title>Site</title>{tag}")
    visitor = browser.new_context()
    page = visitor.new_page()
    page.goto(f"{address}/named.html")
    page.get_by_role("button", name="Chat").click()
    frame = page.frame_locator("iframe")
    frame.get_by_label("Question").fill("What is a chunk?")
    frame.get_by_label("Question").press("Enter")
    expect(frame.locator(".rc-assistant .rc-actions")).to_be_visible()

    page.goto(f"{address}/unnamed.html")
    page.get_by_role("button", name="Chat").click()
    expect(page.frame_locator("iframe").locator("main")).to_contain_text(
        f"make a link that names {address} among the sites"
    )
    # A site that claims to be another one is shown nothing by the browser.
    token = page.locator("script").get_attribute("data-chat")
    lying = f"{server.url}/c/{token}?site={server.url}"
    (folder / "lying.html").write_text(f'<!doctype html><iframe src="{lying}"></iframe>')
    with page.expect_event("console", lambda m: "frame-ancestors" in m.text):
        page.goto(f"{address}/lying.html")
    assert page.frame_locator("iframe").get_by_label("Question").count() == 0
    visitor.close()
