"""The canvas in a real browser: what a person does with the mouse and the keyboard."""

from __future__ import annotations

import json
import re

import pytest
from canvas_desk import Desk
from playwright.sync_api import BrowserContext, expect


def test_the_graph_is_shown_with_what_each_node_will_do(desk: Desk) -> None:
    desk.until(lambda: desk.page.locator(".rl-node").count() == 3)
    desk.until(lambda: desk.wires().count() == 3)
    desk.shows(desk.node("retrieve").locator(".rl-summary"), "top 5 by meaning")
    assert desk.node("generate").locator(".rl-port-name").all_inner_texts() == [
        "query", "answer", "chunks", "hint",
    ]  # fmt: skip
    box = desk.node("retrieve").locator(".rl-node").bounding_box()
    zoom = float(desk.page.locator(".rl-zoom").inner_text().split()[0]) / 100
    assert box is not None
    assert box["width"] / zoom == pytest.approx(240, abs=1)
    assert box["height"] / zoom % 8 == pytest.approx(0, abs=0.5)


def test_a_node_dragged_from_the_palette_lands_where_it_was_dropped(desk: Desk) -> None:
    desk.drop_from_palette("rerank", 400, 120)
    desk.node("rerank").wait_for()
    box = desk.node("rerank").bounding_box()
    canvas = desk.page.locator(".rl-canvas").bounding_box()
    assert box is not None
    assert canvas is not None
    assert abs(box["x"] - canvas["x"] - 400) < 60
    assert abs(box["y"] - canvas["y"] - 120) < 60
    x, y = desk.nodes()["rerank"]["position"]
    assert (x % 16, y % 16) == (0, 0)
    desk.node("rerank").locator(".rl-node.is-selected").wait_for()


def test_a_click_in_the_palette_adds_a_node_too(desk: Desk) -> None:
    desk.page.locator('[data-palette="merge"]').click()
    desk.node("merge").wait_for()
    desk.until(lambda: "merge" in desk.nodes())


@pytest.mark.parametrize("desk", ["&empty=true"], indirect=True)
def test_the_first_node_is_dropped_at_a_readable_size(desk: Desk) -> None:
    desk.page.locator(".rl-empty-hint").wait_for()
    desk.drop_from_palette("question", 300, 300)
    desk.node("question").wait_for()
    desk.shows(desk.page.locator(".rl-zoom"), "100 %")
    desk.gone(desk.page.locator(".rl-empty-hint"))


def test_connect_and_refuse_with_the_reason(desk: Desk) -> None:
    desk.drop_from_palette("rerank", 500, 100)
    desk.node("rerank").wait_for()
    desk.pull(desk.port("retrieve", "source", "chunks"), desk.port("rerank", "target", "chunks"))
    desk.until(lambda: "retrieve chunks>chunks rerank" in desk.edges())
    desk.until(lambda: desk.wires().count() == 4)

    desk.pull(desk.port("retrieve", "source", "chunks"), desk.port("rerank", "target", "query"))
    toast = desk.page.locator(".rl-toast")
    desk.shows(toast, "Chunks does not fit: “query” of “Rerank” takes Query.", exact=False)
    desk.until(lambda: desk.events("refused"))
    assert len(desk.edges()) == 4
    desk.until(lambda: desk.wires().count() == 4)


def test_ports_that_do_not_fit_are_dimmed_while_a_wire_is_drawn(desk: Desk) -> None:
    desk.page.mouse.move(0, 0)
    desk.pull(
        desk.port("question", "source", "query"),
        desk.port("generate", "target", "chunks"),
        hold=True,
    )
    desk.page.wait_for_selector(".rl-canvas.is-wiring")
    for side, name, word in (
        ("target", "query", "is-fit"),
        ("target", "chunks", "is-dim"),
        ("target", "hint", "is-dim"),
        ("source", "answer", "is-dim"),
    ):
        expect(desk.port("generate", side, name)).to_have_class(re.compile(word))
    hint = desk.page.locator(".rl-toast.is-live")
    desk.shows(hint, "Query does not fit: chunks takes Chunks.")
    desk.page.mouse.up()
    desk.gone(desk.page.locator(".is-dim, .is-fit"))
    assert len(desk.edges()) == 3


def test_a_wire_dropped_on_nothing_offers_what_fits(desk: Desk) -> None:
    desk.drag(desk.middle(desk.port("retrieve", "source", "chunks")), desk.empty_spot())
    offered = desk.page.locator(".rl-quick-title")
    desk.until(
        lambda: offered.all_inner_texts() == ["Rerank", "Generate answer", "Validate", "Merge"]
    )
    desk.page.keyboard.type("rer")
    desk.page.keyboard.press("Enter")
    desk.until(lambda: "retrieve chunks>chunks rerank" in desk.edges())
    desk.until(lambda: desk.events("pane"))
    (event,) = desk.events("pane")
    assert event[1]["port"] == "chunks"
    assert event[2] == ["rerank", "generate", "validate", "merge"]


def test_a_wire_dropped_on_a_card_takes_the_port_that_fits(desk: Desk) -> None:
    desk.do(ops=[{"op": "disconnect", "edges": [["retrieve", "chunks", "generate", "chunks"]]}])
    desk.pull(desk.port("retrieve", "source", "chunks"), desk.title("generate"))
    desk.until(lambda: "retrieve chunks>chunks generate" in desk.edges())


def test_a_click_on_a_port_lists_what_fits_it(desk: Desk) -> None:
    desk.port("generate", "target", "query").click()
    offered = desk.page.locator(".rl-quick-title")
    offered.first.wait_for()
    assert "Question" in offered.all_inner_texts()
    assert "Retrieve" not in offered.all_inner_texts()
    desk.page.keyboard.press("Escape")
    desk.gone(offered)
    desk.port("retrieve", "source", "chunks").click()
    offered.first.wait_for()
    desk.page.keyboard.type("rer")
    desk.page.keyboard.press("Enter")
    desk.until(lambda: "retrieve chunks>chunks rerank" in desk.edges())
    places = {id_: node["position"] for id_, node in desk.nodes().items()}
    new = places.pop("rerank")
    assert all(abs(new[0] - x) > 240 or abs(new[1] - y) > 96 for x, y in places.values())


def test_tab_and_double_click_search_for_a_node(desk: Desk) -> None:
    desk.page.mouse.move(*desk.empty_spot())
    desk.page.keyboard.press("Tab")
    desk.page.locator(".rl-quick-input").wait_for()
    desk.page.keyboard.type("answer writ")
    desk.page.keyboard.press("Enter")
    desk.node("generate-2").wait_for()
    desk.gone(desk.page.locator(".rl-quick-input"))
    desk.page.mouse.dblclick(*desk.empty_spot())
    desk.page.locator(".rl-quick-input").wait_for()
    desk.page.keyboard.press("Escape")
    desk.gone(desk.page.locator(".rl-quick-input"))
    assert "generate-2" in desk.nodes()


def test_delete_undo_redo_from_the_keyboard(desk: Desk) -> None:
    desk.title("retrieve").click()
    desk.page.keyboard.press("Delete")
    desk.until(lambda: "retrieve" not in desk.nodes())
    desk.until(lambda: desk.wires().count() == 1)
    desk.page.keyboard.press("Control+z")  # focus went with the node: still answered
    desk.until(lambda: "retrieve" in desk.nodes())
    desk.node("retrieve").wait_for()
    desk.until(lambda: desk.wires().count() == 3)
    desk.page.keyboard.press("Control+Shift+z")
    desk.until(lambda: "retrieve" not in desk.nodes())
    desk.page.keyboard.press("Control+z")
    desk.until(lambda: "retrieve" in desk.nodes())


def test_a_wire_is_selected_and_deleted(desk: Desk) -> None:
    x1, y1 = desk.middle(desk.port("retrieve", "source", "chunks"))
    x2, y2 = desk.middle(desk.port("generate", "target", "chunks"))
    desk.page.mouse.click((x1 + x2) / 2, (y1 + y2) / 2)
    desk.until(lambda: desk.events("selection")[-1:] == [["selection", [], 1]])
    desk.page.keyboard.press("Delete")
    desk.until(lambda: "retrieve chunks>chunks generate" not in desk.edges())
    assert len(desk.edges()) == 2


def test_dragging_moves_on_the_grid_and_is_one_step(desk: Desk) -> None:
    before = desk.nodes()["generate"]["position"]
    x, y = desk.middle(desk.title("generate"))
    desk.drag((x, y), (x + 90, y + 130))
    desk.until(lambda: desk.nodes()["generate"]["position"] != before)
    after = desk.nodes()["generate"]["position"]
    assert after[0] % 16 == after[1] % 16 == 0
    desk.page.keyboard.press("Control+z")
    desk.until(lambda: desk.nodes()["generate"]["position"] == before)

    def is_back() -> bool:
        back = desk.middle(desk.title("generate"))
        return abs(back[0] - x) < 3 and abs(back[1] - y) < 3

    desk.until(is_back)


def test_copy_and_paste_through_the_clipboard(desk: Desk) -> None:
    desk.page.keyboard.press("Control+a")
    desk.until(lambda: desk.page.locator(".rl-node.is-selected").count() == 3)
    assert json.loads(desk.copied())["graph"]["format"] == "ragloom/1"
    desk.page.mouse.move(*desk.empty_spot())
    desk.page.keyboard.press("Control+v")
    desk.until(lambda: len(desk.nodes()) == 6)
    assert "retrieve-2 chunks>chunks generate-2" in desk.edges()
    assert desk.nodes()["retrieve-2"]["config"] == {"k": 5}
    desk.page.evaluate("navigator.clipboard.writeText('only words')")
    desk.page.keyboard.press("Control+v")
    desk.shows(desk.page.locator(".rl-toast"), "holds no nodes", exact=False)


def test_the_bar_over_a_node_duplicates_disables_and_runs(desk: Desk) -> None:
    desk.title("retrieve").hover()
    bar = desk.node("retrieve").locator(".rl-bar")
    bar.get_by_label("Run to here").click()
    desk.until(lambda: desk.events("node") == [["node", "run_to", "retrieve"]])
    bar.get_by_label("Disable").click()
    desk.until(lambda: desk.nodes()["retrieve"].get("disabled"))
    desk.node("retrieve").locator('[data-state="disabled"]').wait_for()
    bar.get_by_label("Duplicate").click()
    desk.node("retrieve-2").wait_for()


def test_shortcuts_leave_text_fields_alone(desk: Desk) -> None:
    desk.title("retrieve").click()
    field = desk.page.locator("input[data-field]")
    field.click()
    desk.page.keyboard.type("d1?")
    desk.page.keyboard.press("Backspace")
    desk.page.keyboard.press("Delete")
    desk.page.keyboard.press("Control+a")
    expect(field).to_have_value("d1")
    assert "retrieve" in desk.nodes()
    assert not desk.nodes()["retrieve"].get("disabled")
    assert desk.events("command") == []


def test_rename_on_the_card(desk: Desk) -> None:
    desk.title("retrieve").click()
    desk.page.keyboard.press("F2")
    desk.node("retrieve").locator(".rl-title-input").wait_for()
    desk.page.keyboard.type("Look <b>it</b> up")
    desk.page.keyboard.press("Enter")
    desk.until(lambda: desk.nodes()["retrieve"]["title"] == "Look <b>it</b> up")
    desk.shows(desk.title("retrieve"), "Look <b>it</b> up")


def test_what_is_typed_into_a_title_survives_the_card_being_drawn_anew(desk: Desk) -> None:
    desk.title("retrieve").click()
    desk.page.keyboard.press("F2")  # keys follow at once, as fingers do
    desk.page.keyboard.type("Look ")
    desk.do(ops=[{"op": "set_config", "node": "retrieve", "config": {"k": 7}}])
    desk.shows(desk.node("retrieve").locator(".rl-summary"), "top 7 by meaning")
    desk.page.keyboard.type("it up")
    desk.page.keyboard.press("Enter")
    desk.until(lambda: desk.nodes()["retrieve"]["title"] == "Look it up")


def test_statuses_tick_count_and_go_stale(desk: Desk) -> None:
    desk.do(
        method="set_statuses",
        args=[
            {
                "question": {"state": "done", "duration_ms": 0.2},
                "retrieve": {"state": "done", "duration_ms": 420, "items": {"chunks": 5}},
                "generate": {"state": "running", "elapsed_ms": 3000},
            }
        ],
    )
    line = desk.node("retrieve").locator(".rl-status")
    desk.page.wait_for_selector('[data-state="running"]')
    desk.shows(line, "check\nDone in 0.42 s")
    desk.until(lambda: desk.page.locator(".rl-wire-count").all_text_contents() == ["5"])
    desk.until(lambda: desk.page.locator(".rl-wire.is-flowing").count() == 2)
    running = desk.node("generate").locator(".rl-status-text")
    first = running.inner_text()
    assert re.fullmatch(r"Running \d+\.\d s", first)
    assert float(first.split()[1]) >= 3
    desk.until(lambda: running.inner_text() != first)

    failed = {"state": "failed", "error": "The model is not there. Install it."}
    desk.do(method="set_statuses", args=[{"generate": failed}])
    desk.page.wait_for_selector('[data-state="failed"]')
    desk.shows(running, "The model is not there.")
    desk.gone(desk.page.locator(".rl-wire.is-flowing"))

    desk.do(ops=[{"op": "set_config", "node": "retrieve", "config": {"k": 9}}])
    line.locator(".rl-status-stale").wait_for()
    assert desk.node("question").locator(".rl-status-stale").count() == 0

    desk.open()  # a reload shows the same
    assert desk.page.locator('[data-state="failed"]').count() == 0


def test_two_tabs_show_the_same_graph(desk: Desk, context: BrowserContext) -> None:
    other = Desk(context.new_page(), desk.url, desk.name)
    desk.title("retrieve").click()
    desk.page.keyboard.press("Delete")
    desk.until(lambda: other.page.locator(".rl-node").count() == 2)
    other.page.bring_to_front()
    other.page.keyboard.press("Control+z")
    desk.until(lambda: desk.page.locator(".rl-node").count() == 3)
    other.page.close()
    assert other.errors == []


def test_a_reload_shows_what_python_holds(desk: Desk) -> None:
    desk.drop_from_palette("merge", 500, 100)
    desk.node("merge").wait_for()
    desk.open()
    desk.until(lambda: desk.page.locator(".rl-node").count() == 4)
    desk.page.keyboard.press("Control+z")
    desk.until(lambda: "merge" not in desk.nodes())


def test_tidy_and_fit(desk: Desk) -> None:
    desk.do(ops=[{"op": "move_nodes", "positions": {"question": [900, 900], "generate": [0, 0]}}])
    desk.page.get_by_label("Tidy up").click()
    desk.until(
        lambda: (
            desk.nodes()["question"]["position"][0]
            < desk.nodes()["retrieve"]["position"][0]
            < desk.nodes()["generate"]["position"][0]
        )
    )
    canvas = desk.page.locator(".rl-canvas").bounding_box()
    assert canvas is not None

    def in_sight(id_: str) -> bool:
        x, y = desk.middle(desk.node(id_))
        across = canvas["x"] < x < canvas["x"] + canvas["width"]
        return across and canvas["y"] < y < canvas["y"] + canvas["height"]

    desk.until(lambda: all(in_sight(id_) for id_ in desk.nodes()))
    desk.page.keyboard.press("Control+z")
    desk.until(lambda: desk.nodes()["question"]["position"] == [900, 900])


def test_arrows_walk_along_the_wires_and_commands_reach_the_page(desk: Desk) -> None:
    desk.title("question").click()
    desk.page.keyboard.press("ArrowRight")
    desk.until(lambda: desk.selected() == ["retrieve"])
    desk.page.keyboard.press("ArrowRight")
    desk.until(lambda: desk.selected() == ["generate"])
    desk.page.keyboard.press("Enter")
    desk.until(lambda: desk.events("node") == [["node", "open", "generate"]])
    for key in ("Control+s", "Control+Enter", "?"):
        desk.page.keyboard.press(key)
    desk.until(lambda: desk.events("command") == [["command", c] for c in ("save", "run", "help")])


def test_problems_are_on_the_card(desk: Desk) -> None:
    desk.do(ops=[{"op": "disconnect", "edges": [["retrieve", "chunks", "generate", "chunks"]]}])
    badge = desk.node("generate").locator(".rl-badge-button")
    badge.wait_for()
    badge.hover()
    desk.shows(desk.page.locator(".rl-tip"), "chunks", exact=False)
    badge.click()
    desk.until(lambda: desk.events("node") == [["node", "problems", "generate"]])


@pytest.mark.parametrize("desk", ["&read_only=true"], indirect=True)
def test_a_past_run_can_be_looked_at_but_not_edited(desk: Desk) -> None:
    desk.title("retrieve").click()
    desk.until(lambda: desk.events("selection"))
    desk.page.keyboard.press("Delete")
    desk.page.keyboard.press("Tab")
    x, y = desk.middle(desk.title("retrieve"))
    desk.drag((x, y), (x + 100, y + 100))
    # What is edited by then would be there once the selection has been told.
    desk.title("question").click()
    desk.until(lambda: desk.selected() == ["question"])
    assert desk.page.locator(".rl-bar, .rl-quick").count() == 0
    assert desk.nodes()["retrieve"]["position"] == [336.0, 0.0]


def test_from_afar_the_titles_are_large_and_nothing_moves(desk: Desk) -> None:
    def facts() -> tuple[float, float]:
        zoom = desk.page.evaluate(
            "new DOMMatrix(getComputedStyle(document.querySelector('.vue-flow__transformationpane'))"
            ".transform).a"
        )
        box = desk.node("generate").bounding_box()
        assert box is not None
        return zoom, box["height"] / zoom

    _, height = facts()
    for _ in range(6):
        desk.page.keyboard.press("-")
        desk.settled()
    desk.page.wait_for_selector(".rl-canvas.is-far")
    desk.settled()
    zoom, far_height = facts()
    assert zoom < 0.5
    assert far_height == pytest.approx(height, abs=1)

    def size() -> float:
        return float(
            desk.title("retrieve").evaluate("e => parseFloat(getComputedStyle(e).fontSize)")
        )

    desk.until(lambda: size() >= 24)


def test_dark_mode_follows_the_page(desk: Desk) -> None:
    def shade(selector: str) -> float:
        colour = desk.page.locator(selector).first.evaluate(
            """el => { const c = document.createElement('canvas').getContext('2d');
                       c.fillStyle = getComputedStyle(el).backgroundColor; c.fillRect(0, 0, 1, 1);
                       return [...c.getImageData(0, 0, 1, 1).data] }"""
        )
        return float(sum(colour[:3]) / 3)

    assert shade(".rl-canvas") > 230
    assert shade(".rl-node") > 230
    desk.page.evaluate("document.documentElement.dataset.theme = 'dark'")
    desk.page.wait_for_selector(".rl-canvas.is-dark")
    desk.until(lambda: shade(".rl-canvas") < 40)
    desk.until(lambda: shade(".rl-node") < 60)
    fill = desk.page.locator(".vue-flow__minimap-mask").evaluate("e => getComputedStyle(e).fill")
    assert fill not in ("", "rgb(240, 240, 240)", "rgba(240, 240, 240, 0.6)")


def test_awkward_ids_work(desk: Desk) -> None:
    awkward = 'a "quoted" \\ id | with > everything'
    graph = {
        "directed": True,
        "multigraph": True,
        "graph": {"format": "ragloom/1", "name": "", "description": "", "outputs": {}},
        "nodes": [
            {"id": awkward, "type": "question", "config": {}, "position": [0, 0]},
            {"id": "retrieve", "type": "retrieve", "config": {}, "position": [336, 0]},
        ],
        "edges": [],
    }
    desk.do(ops=[{"op": "replace_graph", "graph": graph}])
    desk.until(lambda: desk.page.locator(".rl-node").count() == 2)
    source = desk.page.locator('.vue-flow__handle.source[data-handleid="query"]')
    desk.pull(source, desk.port("retrieve", "target", "query"))
    desk.until(lambda: len(desk.edges()) == 1)
    desk.until(lambda: desk.wires().count() == 1)
