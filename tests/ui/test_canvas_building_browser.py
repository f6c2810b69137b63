"""Building and reading a graph in a real browser: notes, groups, marks, keys, fingers."""

from __future__ import annotations

import pytest
from canvas_desk import Desk

pytestmark = pytest.mark.xdist_group("canvas")


def test_differences_are_shown_with_a_colour_an_icon_and_a_word(desk: Desk) -> None:
    wire = ["retrieve", "chunks", "generate", "chunks"]
    marks = {
        "nodes": {"question": "same", "retrieve": "removed", "generate": "config"},
        "edges": {"|".join(wire): "removed"},
    }
    desk.do(method="set_marks", args=[marks])
    desk.shows(desk.node("retrieve").locator(".rl-mark-chip"), "Removed", exact=False)
    desk.shows(desk.node("generate").locator(".rl-mark-chip"), "Settings differ", exact=False)
    desk.until(lambda: desk.page.locator(".rl-wire-mark").all_text_contents() == ["Removed"])
    desk.open()  # a reload makes a canvas of its own, without marks
    desk.gone(desk.page.locator(".rl-mark-chip"))
    desk.do(method="set_marks", args=[marks])
    desk.page.locator(".rl-mark-chip").first.wait_for()
    desk.do(method="clear_marks")
    desk.gone(desk.page.locator(".rl-mark-chip, .rl-wire-mark"))
