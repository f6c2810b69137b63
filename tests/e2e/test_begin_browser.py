"""From an empty house to the first answer, to a copy of a template, and from another system."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_desk import Desk, Server
from playwright.sync_api import expect

from tests import chromium

TEMPLATES = Path(__file__).parents[2] / "app" / "templates"
FACTS = (
    "# Tides\n\nThe harbour of Lowick has the highest tide at noon on Fridays.\n\n"
    "# Boats\n\nFishing boats leave Lowick two hours before the tide turns.\n"
)
DIFY = """
app: {name: "Support <b>desk</b>", mode: advanced-chat}
workflow:
  graph:
    nodes:
      - {id: s, position: {x: 0, y: 0}, data: {type: start, title: Start}}
      - {id: c, position: {x: 300, y: 0}, data: {type: tool, title: "<img src=x onerror=alert(1)>",
          api_key: abcdef}}
      - {id: a, position: {x: 600, y: 0}, data: {type: answer, title: Reply, answer: "{{#c.text#}}"}}
    edges: [{source: s, target: c}, {source: c, target: a}]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without the demonstration: nothing is there yet."""
    chromium.path()
    running = Server(tmp_path_factory.mktemp("begin") / "data", flags=("--no-demo",))
    running.start()
    yield running
    running.stop()


def test_three_clicks_lead_from_nothing_to_an_answer_from_ones_own_file(
    desk: Desk, tmp_path: Path
) -> None:
    page = desk.page
    file = tmp_path / "harbour_notes.md"
    file.write_text(FACTS)
    desk.open("/")
    expect(page.get_by_text("No workflow here yet")).to_be_visible()

    page.get_by_role("button", name="Ask my own files").first.click()  # one
    page.wait_for_url("**/begin")
    desk.settled()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose files, or drop them here").click()  # two
    chooser.value.set_files(file)

    # It is read, a workflow over it is made, and the cursor stands in the question.
    page.wait_for_url("**/workflows/*", timeout=60_000)
    desk.settled()
    page.wait_for_function("document.activeElement?.closest('.rl-runbar') !== null")
    page.keyboard.type("When is the highest tide at Lowick?")
    page.locator('[data-rl-key="run"]').click()  # three
    expect(desk.answered()).to_contain_text("noon on Fridays")
    expect(desk.answered().locator("a.rl-cite").first).to_be_visible()

    shelf = desk.server.get("/knowledge_bases")["items"]
    assert [kb["name"] for kb in shelf] == ["harbour notes"]
    graph = desk.graph(page.url.rsplit("/", 1)[1].partition("#")[0])
    assert graph["graph"]["name"] == "Ask harbour notes"
    (retrieve,) = [n for n in graph["nodes"] if n["type"] == "retrieve"]
    assert retrieve["config"]["knowledge_base"] == "harbour notes"


def test_a_template_of_the_gallery_becomes_a_copy_on_the_canvas(desk: Desk) -> None:
    page = desk.page
    desk.open("/")
    page.get_by_role("button", name="Templates").click()
    page.wait_for_url("**/templates")
    desk.settled()
    cards = page.locator(".rl-gallery .rl-card")
    every = len(list(TEMPLATES.glob("*.json")))
    expect(cards).to_have_count(every)
    page.get_by_role("button", name="branches").click()
    expect(cards).not_to_have_count(every)
    page.get_by_label("Find a template").fill("front door")
    expect(cards).to_have_count(1)
    expect(cards.locator(".rl-thumb rect")).to_have_count(9)
    cards.click()
    dialog = page.locator(".rl-dialog")
    picture = dialog.locator("img:visible")
    page.wait_for_function("image => image.naturalWidth > 0", arg=picture.element_handle())
    expect(dialog.get_by_text("Name the labels in")).to_be_visible()
    page.locator('[data-testid="use"], .rl-dialog button', has_text="Use this").click()
    page.wait_for_url("**/workflows/*")
    desk.settled()
    expect(page.locator(".vue-flow__node .rl-node")).to_have_count(9)
    graph = desk.graph(page.url.rsplit("/", 1)[1])
    chosen = {n["config"].get("knowledge_base") for n in graph["nodes"] if n["type"] == "retrieve"}
    shelf = desk.server.get("/knowledge_bases")["items"]
    assert chosen == {shelf[0]["name"]}
    assert graph["graph"]["notes"][0]["id"] == "about"


def test_a_file_of_another_system_is_pasted_reported_and_opened(desk: Desk, tmp_path: Path) -> None:
    page = desk.page
    desk.open("/")
    page.get_by_role("button", name="Import").click()
    dialog = page.locator(".rl-dialog")
    # A file that is no workflow is refused with a sentence, and the dialog stays.
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"a": 1}')
    with page.expect_file_chooser() as chooser:
        dialog.get_by_role("button", name="Choose a workflow file").click()
    chooser.value.set_files(wrong)
    expect(dialog.get_by_text("not a workflow that can be read here")).to_be_visible()

    # One that is too large says how large it is, and what may be.
    huge = tmp_path / "huge.json"
    huge.write_bytes(b" " * (10 * 1_048_576 + 200_000))
    with page.expect_file_chooser() as chooser:
        dialog.get_by_role("button", name="Choose a workflow file").click()
    chooser.value.set_files(huge)
    expect(dialog.get_by_text("10.2 MB, and at most 10 MB are read")).to_be_visible()
    expect(dialog.get_by_text("not a workflow that can be read here")).to_have_count(0)

    dialog.get_by_label("Text of a workflow file").fill(DIFY)
    dialog.get_by_role("button", name="Import the text").click()
    expect(dialog.get_by_text("2 nodes taken over")).to_be_visible()
    expect(dialog.get_by_text("1 placeholder to replace")).to_be_visible()
    expect(dialog.get_by_text("1 key or password was not imported")).to_be_visible()
    expect(dialog.get_by_text("Support <b>desk</b>")).to_be_visible()
    dialog.get_by_role("button", name="Open the workflow").click()
    page.wait_for_url("**/workflows/*")
    desk.settled()
    expect(page.locator(".vue-flow__node .rl-node")).to_have_count(3)
    title = page.locator(".rl-title", has_text="<img src=x onerror=alert(1)>")
    expect(title).to_be_visible()
    assert "abcdef" not in str(desk.graph(page.url.rsplit("/", 1)[1]))
