"""What the cards show of a run: inner nodes, people who are asked, what a stop leaves behind."""

from __future__ import annotations

import time
from typing import Any

from app.engine.events import (
    Event,
    NodeFinished,
    NodeProgress,
    NodeStarted,
    NodeWaiting,
    RunFinished,
    RunStarted,
)
from app.engine.options import KEPT, PINNED, PINNED_SAME
from app.ui.canvas.board import RunBoard, statuses_of_steps

AT: dict[str, Any] = {"run_id": "r", "at": time.time()}


def begun(*nodes: str) -> RunBoard:
    board = RunBoard()
    board.feed(RunStarted(node_ids=nodes, **AT))
    return board


def started(node: str, title: str = "") -> Event:
    return NodeStarted(node_id=node, title=title, **AT)


def finished(node: str) -> Event:
    return NodeFinished(node_id=node, duration_ms=1, **AT)


def asked(node: str) -> Event:
    return NodeWaiting(node_id=node, message="Publish?", **AT)


def test_what_runs_inside_a_node_is_shown_on_its_card() -> None:
    board = begun("map", "last")
    board.feed(started("map"))
    board.feed(NodeProgress(node_id="map", done=12, total=40, **AT))
    changed = board.feed(started("map[12]/find", "Retrieve"))
    assert set(changed) == {"map"}
    status = changed["map"]
    assert status is not None
    assert (status["state"], status["done"], status["total"]) == ("running", 12, 40)
    assert status["inner"] == "Retrieve"
    assert board.feed(finished("map[12]/find")) == {}
    assert set(board.statuses) == {"map", "last"}


def test_outputs_that_were_given_say_so() -> None:
    board = begun("find", "write")
    for reason, word in ((PINNED, "Pinned"), (PINNED_SAME, "Pinned"), (KEPT, "Kept")):
        given = NodeFinished(node_id="find", duration_ms=0, cached=True, reason=reason, **AT)
        assert (board.feed(given)["find"] or {})["word"] == word
        step = {"node_id": "find", "status": "completed", "cached": True, "reason": reason}
        assert statuses_of_steps([step])["find"]["word"] == word
    assert "word" not in (board.feed(finished("write"))["write"] or {})


def test_a_question_to_a_person_is_shown_also_from_inside() -> None:
    board = begun("ask", "body")
    board.feed(started("ask"))
    assert board.feed(asked("ask")) == {"ask": {"state": "asking", "message": "Publish?"}}
    board.feed(started("body"))
    (inner,) = board.feed(asked("body/ask")).values()
    assert inner is not None
    assert inner["state"] == "asking"
    (after,) = board.feed(finished("body/ask")).values()
    assert after is not None
    assert after["state"] == "running"


def test_a_stop_leaves_nothing_running_or_asking() -> None:
    board = begun("a", "b", "c")
    board.feed(started("a"))
    board.feed(asked("b"))
    changed = board.feed(RunFinished(status="cancelled", duration_ms=1, **AT))
    assert changed == {"a": {"state": "cancelled"}, "b": {"state": "cancelled"}, "c": None}


def test_an_id_with_a_slash_of_its_own_is_no_inner_node() -> None:
    board = begun("a/b")
    assert set(board.feed(started("a/b"))) == {"a/b"}


def test_a_stored_step_that_waits_for_a_person_says_so() -> None:
    step = {"node_id": "ask", "status": "waiting", "waiting": {"message": "Publish?"}}
    assert statuses_of_steps([step])["ask"]["state"] == "asking"
    assert statuses_of_steps([step])["ask"]["message"] == "Publish?"
