"""What a person does in the first minutes, in a real browser before a real server."""

from __future__ import annotations

import json
import re
from pathlib import Path

from e2e_desk import Desk, Server, until
from playwright.sync_api import expect


def test_the_demo_answers_and_its_citations_lead_to_the_passage(desk: Desk) -> None:
    page = desk.page
    desk.open("/")
    page.locator(".rl-card", has_text="Ask the handbook").first.click()
    page.wait_for_url("**/workflows/*")
    desk.settled()
    page.wait_for_selector(".rl-node")
    desk.still()

    # The graph is shown readable, and beside what floats over it.
    zoom = page.get_by_role("button", name="Zoom to 100 percent")

    def percent() -> int:
        return int(zoom.inner_text().split()[0])

    assert percent() >= 80
    expect(page.locator(".rl-inspector")).to_be_hidden()
    page.get_by_role("button", name="Run").last.click()
    answer = desk.answered()
    cite = answer.locator("a.rl-cite").first
    expect(cite).to_have_text("1")
    desk.still()
    bar = page.locator(".rl-runbar").bounding_box()
    assert bar is not None
    for node in page.locator(".vue-flow__node").all():
        box = node.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= bar["y"]

    # The inspector comes with a node and goes with it; the chosen node stays in sight, as large.
    before = percent()
    desk.node("answer").locator(".rl-title").click()
    expect(page.locator(".rl-inspector")).to_be_visible()
    desk.still()
    stage, chosen = page.locator(".rl-stage").bounding_box(), desk.node("answer").bounding_box()
    assert stage is not None
    assert chosen is not None
    assert chosen["x"] + chosen["width"] <= stage["x"] + stage["width"]
    assert percent() == before
    page.keyboard.press("Escape")
    expect(page.locator(".rl-inspector")).to_be_hidden()
    expect(desk.node("question")).to_be_in_viewport(ratio=1)

    # Hovering a number lights the sentence, the number and the node that found the passage.
    lit = [answer.locator(".rl-sentence.rl-lit"), page.locator(".vue-flow__node.rl-lit")]

    def lights() -> bool:
        page.mouse.move(5, 5)  # also where the answer was drawn anew under the mouse
        cite.hover()
        return [each.count() for each in lit] == [1, 1]

    until(lights)
    page.mouse.move(5, 5)
    expect(answer.locator(".rl-lit")).to_have_count(0)

    cite.click()
    page.wait_for_url("**/documents/*")
    desk.settled()
    expect(page.locator(".rl-doc-right .rl-chunk.rl-on")).to_have_count(1)
    expect(page.locator(".rl-doc-left .rl-on").first).to_be_in_viewport()


def test_a_workflow_is_drawn_run_undone_exported_and_imported(desk: Desk, tmp_path: Path) -> None:
    workflow = desk.new_workflow()
    for kind, x, y in (
        ("question", 40, 160),
        ("retrieve", 250, 300),
        ("generate", 470, 160),
        ("answer_output", 470, 420),
    ):
        desk.drop(kind, x, y)
        desk.node(kind).wait_for()
    desk.page.get_by_role("button", name="Fit everything").click()
    desk.still()

    # A wire that does not fit is refused with the reason.
    desk.pull(
        desk.port("question", "source", "query"), desk.port("answer_output", "target", "answer")
    )
    refusal = desk.page.locator(".rl-toast-place .rl-toast")
    expect(refusal).to_contain_text(re.compile("Query.*Answer"))
    expect(desk.page.locator(".vue-flow__edge")).to_have_count(0)

    wires = (
        ("question", "query", "retrieve", "query"),
        ("question", "query", "generate", "query"),
        ("retrieve", "chunks", "generate", "chunks"),
        ("generate", "answer", "answer_output", "answer"),
    )
    for count, (source, out, target, into) in enumerate(wires, 1):
        desk.pull(desk.port(source, "source", out), desk.port(target, "target", into))
        expect(desk.page.locator(".vue-flow__edge")).to_have_count(count)

    # The missing knowledge base is a problem on the list; choosing one settles it.
    desk.node("retrieve").click()
    desk.page.get_by_role("combobox", name="Knowledge base").click()
    desk.page.locator(".q-menu").get_by_text("Ragloom handbook").click()
    desk.page.get_by_role("textbox", name="Question").fill("How does hybrid search work?")
    desk.page.keyboard.press("Control+Enter")
    expect(desk.answered().locator("a.rl-cite").first).to_be_visible()

    # Delete a node, take it back, and it is all there after a reload.
    desk.page.get_by_role("button", name="Hide the answer").click()
    desk.node("generate").locator(".rl-title").click()
    desk.page.keyboard.press("Delete")
    expect(desk.node("generate")).to_have_count(0)
    expect(desk.page.locator(".vue-flow__edge")).to_have_count(1)
    desk.page.keyboard.press("Control+z")
    expect(desk.node("generate")).to_have_count(1)
    expect(desk.page.locator(".vue-flow__edge")).to_have_count(4)
    desk.saved()
    desk.page.reload()
    desk.settled()
    expect(desk.page.locator(".vue-flow__edge")).to_have_count(4)
    # The last run is still shown on the nodes.
    expect(desk.node("generate").locator(".rl-status")).to_have_attribute(
        "data-state", re.compile("done|cached")
    )

    with desk.page.expect_download() as started:
        desk.page.get_by_role("button", name="Export as JSON").click()
    file = tmp_path / "workflow.json"
    started.value.save_as(file)
    exported = json.loads(file.read_text())
    assert exported == desk.graph(workflow)

    desk.open("/")
    desk.page.get_by_role("button", name="Import").click()
    with desk.page.expect_file_chooser() as chooser:
        desk.page.get_by_text("Choose a workflow file").click()
    chooser.value.set_files(file)
    desk.page.wait_for_url("**/workflows/*")
    imported = desk.page.url.rsplit("/", 1)[1]
    assert imported != workflow
    assert desk.graph(imported) == exported


def test_settings_mark_what_depends_on_them_and_a_past_run_opens_as_it_was(desk: Desk) -> None:
    workflow = desk.open_workflow("Ask the handbook")
    desk.page.get_by_role("button", name="Run").last.click()
    desk.answered()
    run = until(lambda: _newest_run(desk.server, workflow))

    desk.node("retrieve").locator(".rl-title").click()
    field = desk.page.get_by_role("spinbutton", name="Passages to find (k)")
    expect(field).to_have_value("8")
    stale = desk.node("retrieve").locator(".rl-status-stale")
    field.fill("3")
    expect(stale).to_be_visible()
    field.fill("8")  # taken back: the result follows from the settings again
    expect(stale).to_have_count(0)
    field.fill("3")
    expect(stale).to_be_visible()
    expect(desk.node("question").locator(".rl-status-stale")).to_have_count(0)
    desk.saved()
    desk.page.get_by_role("tab", name="Data").click()
    expect(desk.page.get_by_text("Settings changed since").first).to_be_visible()

    desk.open(f"/workflows/{workflow}?run={run}")
    expect(desk.page.get_by_text("Current version")).to_be_visible()
    expect(desk.page.locator(".rl-runbar .rl-answer")).to_be_visible()
    desk.node("retrieve").locator(".rl-title").click()
    expect(desk.page.get_by_role("spinbutton", name="Passages to find (k)")).to_have_value("8")
    desk.page.get_by_role("tab", name="Data").click()
    expect(desk.page.locator(".rl-inspector .rl-chunk")).to_have_count(8)
    desk.page.get_by_text("Current version").click()
    desk.page.wait_for_url(f"**/workflows/{workflow}")


def test_the_tour_stands_beside_what_it_speaks_of_and_passes_by_what_is_not_there(
    desk: Desk,
) -> None:
    desk.open_workflow("Ask the handbook")
    desk.page.locator("header").get_by_label("More").click()
    desk.page.locator(".q-menu").get_by_text("Show me around").click()
    card, ring = desk.page.locator(".rl-tour"), desk.page.locator(".rl-tour-ring")
    forward = card.locator(".rl-tour-next")
    expect(card).to_contain_text("A workflow, step by step")
    expect(ring).to_be_visible()
    forward.click()
    expect(card).to_contain_text("Press Run.")
    forward.click()
    # There is no answer to point at, as nothing has run.
    expect(card).to_contain_text("Look inside a step")
    desk.node("retrieve").locator(".rl-title").click()
    # What was asked for was done: the tour goes on by itself, to the panel that this opens.
    expect(card).to_contain_text("Change a setting")
    expect(ring).to_be_visible()
    desk.page.keyboard.press("Escape")
    expect(card).to_have_count(0)


def _newest_run(server: Server, workflow: str) -> str | None:
    runs = server.get("/workflow_executions?limit=5")["items"]
    return next((r["execution_id"] for r in runs if r["workflow_id"] == workflow), None)


def test_dropped_documents_move_through_their_stages_and_can_be_searched(
    desk: Desk, tmp_path: Path
) -> None:
    desk.open("/knowledge")
    desk.page.get_by_role("button", name="New knowledge base").first.click()
    desk.page.get_by_placeholder("Name").fill("Lighthouses")
    desk.page.get_by_role("button", name="Create").click()
    desk.page.wait_for_url("**/knowledge/*")
    desk.settled()
    files = []
    for number in range(4):
        file = tmp_path / f"light-{number}.md"
        body = f"# Light {number}\n\nLighthouse {number} blinks every {number + 3} seconds.\n"
        file.write_text(body + "<img src=x onerror=\"document.title='owned'\">\n")
        files.append(file)
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7\nnot really")
    # The stages of a file are soon gone: they are seen by the page itself.
    desk.page.evaluate(
        """() => new MutationObserver(() => { window.staged ||= !!document.querySelector('.rl-stages') })
          .observe(document.body, { childList: true, subtree: true })"""
    )
    with desk.page.expect_file_chooser() as chooser:
        desk.page.get_by_text("Add documents").click()
    chooser.value.set_files([*files, broken])
    desk.page.wait_for_function("window.staged")
    expect(desk.page.locator(".rl-docs-row", has_text="Ready")).to_have_count(4)

    # The bad file does not block the rest, says why, and can be tried again.
    failed = desk.page.locator(".rl-docs-row", has_text="broken.pdf")
    expect(failed).to_contain_text("Failed")
    expect(failed.get_by_role("button", name="Try again")).to_be_visible()

    desk.page.get_by_role("tab", name="Search").click()
    desk.page.get_by_placeholder("Ask or search").fill("how often does lighthouse 2 blink")
    desk.page.keyboard.press("Enter")
    first = desk.page.locator(".rl-chunk").first
    expect(first).to_contain_text("blinks every")
    assert "owned" not in desk.page.title()
    assert desk.page.locator(".rl-chunk img").count() == 0


def test_everything_is_reached_by_keys(desk: Desk) -> None:
    desk.open("/")
    desk.page.keyboard.press("Control+k")
    desk.page.get_by_placeholder("Search nodes, workflows").fill("handbook.pdf")
    expect(desk.page.locator(".rl-finder-item", has_text="Ragloom handbook").first).to_be_visible()
    desk.page.keyboard.press("Escape")
    expect(desk.page.locator(".rl-finder")).to_have_count(0)
    desk.page.keyboard.press("?")
    expect(desk.page.get_by_text("Search everything").last).to_be_visible()


def test_nodes_are_found_by_keys_and_a_computed_setting_takes_what_is_typed(desk: Desk) -> None:
    page = desk.page
    desk.open_workflow("Ask the handbook")
    cards = page.locator(".vue-flow__node")
    before = cards.count()
    page.keyboard.press("Control+k")
    page.get_by_placeholder("Search nodes, workflows").fill("hybrid search in")
    expect(page.locator(".rl-finder-item").first).to_contain_text("Retrieve")
    page.keyboard.press("Enter")
    expect(page.locator(".rl-finder")).to_have_count(0)
    expect(page.locator(".vue-flow__node.selected")).to_contain_text("Retrieve")

    # Where the field is drawn anew, the cursor is in it: no key reaches the canvas.
    page.get_by_role("button", name="Passages to find (k): compute it").click()
    page.wait_for_function("document.activeElement?.matches('.rl-entry-area')")
    page.keyboard.press("Control+a")
    page.keyboard.type("3 + 1 ")
    expect(page.locator(".vue-flow__node.selected")).to_contain_text("ƒ 3 + 1 by hybrid search")
    page.get_by_role("button", name="Passages to find (k): compute it").click()
    page.wait_for_function(
        "document.activeElement?.matches('.rl-field input, .rl-field [tabindex]')"
    )
    expect(cards).to_have_count(before)


def test_variables_are_typed_into_the_inspector(desk: Desk) -> None:
    page = desk.page
    workflow = desk.open_workflow("Ask the handbook")
    page.get_by_role("button", name="Inspector: open the panel").click()
    page.get_by_role("button", name="Add a variable").click()
    page.wait_for_function("document.activeElement?.closest('.rl-variable-name') !== null")
    page.keyboard.type("2 many")
    expect(page.get_by_text("no digit first")).to_be_visible()
    page.get_by_role("textbox", name="Name of variable 1").fill("most")
    page.get_by_role("textbox", name="Value of variable 1").fill("six")
    expect(page.get_by_role("button", name="Undo")).to_have_attribute(
        "title", "Undo Set most (Ctrl+Z)"
    )
    until(lambda: desk.graph(workflow)["graph"].get("variables") == {"most": "six"})
    page.reload()
    desk.settled()
    assert desk.graph(workflow)["graph"]["variables"] == {"most": "six"}
    page.get_by_role("button", name="Remove most").click()
    expect(page.get_by_role("textbox", name="Name of variable 1")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("textbox", name="Value of variable 1")).to_have_value("six")


def test_narrow_screens_read_and_run(desk: Desk) -> None:
    desk.page.set_viewport_size({"width": 400, "height": 800})
    desk.open_workflow("Ask the handbook")
    desk.page.get_by_role("button", name="Run").last.click()
    expect(desk.answered()).to_be_visible()
    for path in ("/", "/knowledge", "/runs", "/settings"):
        desk.open(path)
        desk.fits()
