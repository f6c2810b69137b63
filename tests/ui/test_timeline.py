"""Rows of a run on one time scale, and the chain that decided how long it took."""

from __future__ import annotations

from typing import Any

import pytest

from app.services.views import StepView
from app.ui import usage
from app.ui.timeline import INNER_ROWS, Times, build, critical_path, outer_of

DIAMOND = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]


@pytest.mark.parametrize(
    ("durations", "edges", "chain", "total"),
    [
        ({}, [], (), 0),
        ({"a": 0}, [], (), 0),
        ({"a": 5}, [], ("a",), 5),
        ({"a": 1, "b": 5, "c": 2, "d": 1}, DIAMOND, ("a", "b", "d"), 7),
        ({"a": 1, "b": 5, "c": 9, "d": 1}, DIAMOND, ("a", "c", "d"), 11),
        # A node that took no time is no part of what to make faster.
        ({"a": 1, "b": 0, "c": 0, "d": 4}, DIAMOND, ("a", "d"), 5),
        # Side by side, the longest decides; wires to nodes that did not run do not count.
        ({"a": 3, "x": 4}, [("a", "gone"), ("gone", "x")], ("x",), 4),
        # A circle has no order, and does not hang.
        ({"a": 3, "b": 4, "c": 5}, [("a", "b"), ("b", "a")], ("c",), 5),
    ],
)
def test_the_critical_path_is_the_longest_chain(
    durations: dict[str, float],
    edges: list[tuple[str, str]],
    chain: tuple[str, ...],
    total: float,
) -> None:
    assert critical_path(durations, edges) == (chain, total)


def test_two_wires_between_two_nodes_are_one_dependency() -> None:
    assert critical_path({"a": 1, "b": 2}, [("a", "b"), ("a", "b")]) == (("a", "b"), 3)


def step(node: str, **facts: Any) -> StepView:
    return StepView(**{"node_id": node, "name": node, "type": "t", "status": "completed", **facts})


def rows_of(steps: list[StepView], starts: dict[str, float], **options: Any) -> Any:
    return build(
        {s.node_id: s for s in steps},
        {node: Times(start) for node, start in starts.items()},
        options.pop("edges", DIAMOND),
        order=[s.node_id for s in steps],
        now_ms=options.pop("now_ms", 0),
        total_ms=options.pop("total_ms", None),
        titles=options.pop("titles", {}),
    )


def test_a_row_says_when_a_node_could_have_begun_and_when_it_did() -> None:
    timeline = rows_of(
        [
            step("a", duration_ms=10),
            step("b", duration_ms=40),
            step("c", duration_ms=5, cached=True),
            step("d", status="running"),
        ],
        {"a": 0, "b": 30, "c": 10, "d": 70},
        now_ms=100,
        titles={"a": ("First", "t")},
    )
    rows = {row.id: row for row in timeline.rows}
    assert rows["a"].title == "First"
    # b had all it needed at 10 and got its turn at 30.
    assert (rows["b"].ready, rows["b"].start, rows["b"].end) == (10, 30, 70)
    assert rows["c"].cached
    assert rows["c"].words == "reused"
    # d still works: it has no end, and counts until now.
    assert rows["d"].end is None
    assert rows["d"].ready == 70
    assert timeline.critical == ("a", "b", "d")
    assert timeline.critical_ms == 80
    assert timeline.total_ms == 100
    assert [row.id for row in timeline.rows if row.critical] == ["a", "b", "d"]


def test_inner_steps_lie_under_their_node_item_by_item() -> None:
    timeline = rows_of(
        [
            step("m", duration_ms=30),
            step("m[0]/x", duration_ms=10),
            step("m[0]/y", duration_ms=5, status="failed"),
            step("m[1]/x", duration_ms=8),
            step("sub", duration_ms=9),
            step("sub/q", duration_ms=9),
        ],
        {"m": 0, "m[0]/x": 1, "m[0]/y": 11, "m[1]/x": 2, "sub": 30, "sub/q": 30},
        edges=[("m", "sub")],
    )
    assert [(row.id, row.parent, row.depth) for row in timeline.rows] == [
        ("m", "", 0),
        ("m[0]", "m", 1),
        ("m[0]/x", "m[0]", 2),
        ("m[0]/y", "m[0]", 2),
        ("m[1]", "m", 1),
        ("m[1]/x", "m[1]", 2),
        ("sub", "", 0),
        ("sub/q", "sub", 1),
    ]
    item = timeline.rows[1]
    assert (item.title, item.start, item.end, item.status) == ("Item 0", 1, 16, "failed")
    assert item.folds
    assert not timeline.rows[2].folds
    # Inner work is part of its node's: the chain is one of the canvas.
    assert timeline.critical == ("m", "sub")


def test_of_a_thousand_items_some_are_shown_and_the_others_counted() -> None:
    steps = [step("m", duration_ms=10)] + [step(f"m[{i}]/x", duration_ms=1) for i in range(1000)]
    timeline = rows_of(steps, {s.node_id: 0 for s in steps}, edges=[])
    assert len(timeline.rows) == 1 + INNER_ROWS * 2 + 1
    assert timeline.rows[-1].title == f"and {1000 - INNER_ROWS:,} more"


def test_a_step_belongs_to_a_node_of_the_canvas() -> None:
    assert [outer_of(n) for n in ("a", "m[3]/x", "s/q", "s/m[1]/x", "odd[1]")] == [
        "a",
        "m",
        "s",
        "s",
        "odd[1]",
    ]


def test_what_was_used_is_told_with_units_and_what_is_unknown_with_a_dash() -> None:
    assert usage.tokens({}) == usage.cost({}) == usage.calls({}) == "—"
    assert usage.tokens({"prompt_tokens": 1234, "completion_tokens": 56}) == "1.2k in, 56 out"
    assert [usage.cost({"cost_usd": c}) for c in (0, 0.00001, 0.0042, 1.5)] == [
        "$0",
        "<$0.0001",
        "$0.0042",
        "$1.50",
    ]
    both = usage.add([{"prompt_tokens": 2}, {"prompt_tokens": 3, "cost_usd": 0.5}])
    assert both == {"prompt_tokens": 5, "cost_usd": 0.5}
    assert usage.saved({"ms": 1200, "prompt_tokens": 3400, "cost_usd": 0.0042}) == (
        "1.20 s, 3.4k tokens, $0.0042"
    )
    assert usage.saved({}) == ""
