"""Two people at one workflow, and fingers instead of a mouse, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from canvas_desk import Desk
from playwright.sync_api import Browser, CDPSession, Locator, Page, TimeoutError

from tests.patience import keep_toasts, told


@pytest.fixture
def ben(browser: Browser, desk: Desk) -> Iterator[Desk]:
    """Somebody else, in a browser of their own."""
    context = browser.new_context(viewport={"width": 1360, "height": 800})
    keep_toasts(context)
    made = Desk(context.new_page(), desk.url, desk.name)
    yield made
    context.close()
    assert made.errors == []


def config(k: int) -> dict[str, Any]:
    return {"op": "set_config", "node": "retrieve", "config": {"k": k}}


def test_people_see_each_other_point_select_and_edit(desk: Desk, ben: Desk) -> None:
    told(desk.page, "joined")
    ben.page.get_by_label("Change your name").click()
    ben.page.keyboard.type("Ben <i>")
    ben.page.keyboard.press("Enter")
    face = desk.page.locator(".rl-face")
    desk.until(lambda: face.get_attribute("aria-label") == "Ben <i>")
    ben.title("retrieve").click()
    desk.shows(desk.node("retrieve").locator(".rl-others"), "Ben <i>")
    desk.shows(desk.page.locator(".rl-cursor span"), "Ben <i>")
    ben.page.mouse.move(*ben.empty_spot())
    cursor = desk.page.locator(".rl-cursor")

    def pointed() -> bool:
        box = cursor.bounding_box()
        x, y = ben.empty_spot()
        return box is not None and abs(box["x"] - x) < 4 and abs(box["y"] - y) < 4

    desk.until(pointed)
    ben.page.keyboard.press("F2")
    desk.shows(desk.node("retrieve").locator(".rl-others"), "Ben <i> is editing")
    ben.page.keyboard.press("Escape")
    desk.shows(desk.node("retrieve").locator(".rl-others"), "Ben <i>")
    ben.page.close()
    desk.gone(cursor)
    told(desk.page, "Ben <i> left.")


def test_a_clash_and_a_step_taken_back_are_told(desk: Desk, ben: Desk) -> None:
    desk.page.locator(".rl-face").wait_for()
    desk.title("retrieve").click()
    desk.page.keyboard.press("F2")
    desk.page.keyboard.type("Mine")
    desk.page.keyboard.press("Enter")
    ben.shows(ben.title("retrieve"), "Mine")
    ben.title("retrieve").click()
    ben.page.keyboard.press("F2")
    ben.page.keyboard.type("Yours")
    ben.page.keyboard.press("Enter")
    desk.shows(desk.title("retrieve"), "Yours")
    told(desk.page, "changed the title of “Mine”")
    undo = desk.page.get_by_label("Undo", exact=True)
    desk.until(lambda: "a step of" in (undo.get_attribute("title") or ""))
    undo.click()
    desk.shows(desk.title("retrieve"), "Mine")
    told(desk.page, "You took back a step of")
    told(ben.page, "took back your step: Rename")


class Finger:
    """One finger on the glass."""

    def __init__(self, session: CDPSession) -> None:
        self.session = session

    def _send(self, kind: str, at: tuple[float, float] | None) -> None:
        points = [{"x": at[0], "y": at[1], "id": 1}] if at else []
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self._send("touchStart", start)
        for i in range(1, 9):
            x = start[0] + (end[0] - start[0]) * i / 8
            self._send("touchMove", (x, start[1] + (end[1] - start[1]) * i / 8))
        self._send("touchEnd", None)

    def press(self, at: tuple[float, float]) -> None:
        self._send("touchStart", at)

    def lift(self) -> None:
        self._send("touchEnd", None)


def tap_twice(page: Page, at: tuple[float, float], until: Locator) -> None:
    """Tap, quickly enough: on a busy machine two taps may come too far apart to be one."""
    for _ in range(3):
        page.touchscreen.tap(*at)
        page.touchscreen.tap(*at)
        with suppress(TimeoutError):
            until.wait_for(timeout=3_000)
            return
    raise AssertionError("two taps were never taken for one")


@pytest.fixture
def tablet(browser: Browser, server: str, request: pytest.FixtureRequest) -> Iterator[Desk]:
    context = browser.new_context(viewport={"width": 1180, "height": 820}, has_touch=True)
    made = Desk(context.new_page(), server, request.function.__name__)
    yield made
    context.close()
    assert made.errors == []


def test_fingers_select_move_wire_pan_and_open_menus(tablet: Desk) -> None:
    page = tablet.page
    finger = Finger(page.context.new_cdp_session(page))
    page.touchscreen.tap(*tablet.middle(tablet.title("retrieve")))
    tablet.until(lambda: tablet.events("selection")[-1:] == [["selection", ["retrieve"], 0]])
    tablet.node("retrieve").locator(".rl-bar").wait_for()

    x, y = tablet.middle(tablet.title("generate"))
    finger.drag((x, y), (x + 40, y + 160))
    tablet.until(lambda: tablet.nodes()["generate"]["position"][1] > 100)

    tablet.do(ops=[{"op": "disconnect", "edges": [["retrieve", "chunks", "generate", "chunks"]]}])
    tablet.until(lambda: tablet.wires().count() == 2)
    finger.drag(
        tablet.middle(tablet.port("retrieve", "source", "chunks")),
        tablet.middle(tablet.port("generate", "target", "chunks")),
    )
    tablet.until(lambda: "retrieve chunks>chunks generate" in tablet.edges())

    finger.press(tablet.middle(tablet.title("question")))
    page.locator(".rl-menu").wait_for()
    page.wait_for_function("document.activeElement.closest('.rl-menu')")
    finger.lift()
    # The end of the press chooses nothing of the menu, which lies under the finger by now.
    page.get_by_role("menuitem", name="Disable").tap()
    tablet.until(lambda: tablet.nodes()["question"].get("disabled"))

    before = tablet.node("question").bounding_box()
    x, y = tablet.empty_spot()
    finger.drag((x, y + 400), (x + 120, y + 460))

    def panned() -> bool:
        now = tablet.node("question").bounding_box()
        return bool(before and now and now["x"] > before["x"] + 60)

    tablet.until(panned)
    page.get_by_label("Add a node").tap()
    page.locator(".rl-quick-list li").filter(has_text="Rerank").tap()
    tablet.node("rerank").wait_for()
    tablet.settled()

    # A tap on a port lists what fits, and does not choose from the list under the finger.
    count = len(tablet.nodes())
    page.touchscreen.tap(*tablet.middle(tablet.port("retrieve", "source", "chunks")))
    page.locator(".rl-quick-input").wait_for()
    page.touchscreen.tap(*tablet.empty_spot())
    tablet.gone(page.locator(".rl-quick-input"))
    assert len(tablet.nodes()) == count

    # Two quick taps add a node where they were, and do not zoom.
    zoom = page.locator(".rl-zoom").inner_text()
    tap_twice(page, (x, y + 400), page.locator(".rl-quick-input"))
    assert page.locator(".rl-zoom").inner_text() == zoom
    page.keyboard.press("Escape")

    # A box is drawn without a key, from the menu; the drag after it pans again.
    finger.press((x, y + 400))
    page.locator(".rl-menu").wait_for()
    finger.lift()
    page.get_by_role("menuitem", name="Select with a box").tap()
    page.get_by_text("Draw a box around").wait_for()
    tablet.settled()
    left = tablet.node("question").bounding_box()
    right = tablet.node("generate").bounding_box()
    assert left
    assert right
    below = max(left["y"] + left["height"], right["y"] + right["height"]) + 20
    finger.drag((left["x"] - 30, below), (right["x"] + 30, left["y"] - 10))
    tablet.until(lambda: {"question", "generate"} <= set(tablet.selected() or ()))
