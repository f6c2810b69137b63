"""Runs that take too much memory, or let nothing else work, are stopped and named."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from running import Place, until

from app.engine.visit import Visit
from app.services.runs import watch as run_watch
from app.services.runs.node_threads import NodeThreads
from app.services.runs.service import RunLimits
from app.services.runs.watch import MB, _Memory, default_cap_mb
from app.services.views import ExecutionView, StepView
from tests.crash.bad_nodes import Bad, Wait, workflow

CAP = 150


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    monkeypatch.setenv("BAD_NODES_FOLDER", str(tmp_path))
    made = Place(tmp_path, RunLimits(memory_mb=CAP))
    made.registry.register(Bad)
    made.registry.register(Wait)
    await made.open()
    yield made
    await made.close()
    # Whatever was left behind ends, so that it weighs on no other test.
    await until(lambda: not threads_at_work())


def threads_at_work() -> set[Visit]:
    loop: Any = asyncio.get_running_loop()
    threads = loop._default_executor
    assert isinstance(threads, NodeThreads)
    return threads.owners()


async def go(
    place: Place, how: str, *, last: bool = False, **policy: Any
) -> tuple[ExecutionView, dict[str, StepView]]:
    """A bad node beside a branch that works, or after it (`last`)."""
    wires = "say.text>shout.text" + (" shout.text>bad.text" if last else "")
    graph = workflow(
        "Bad",
        {
            "bad": {"type": "bad", "config": {"how": how}, **policy},
            "say": {"type": "say"},
            "shout": {"type": "shout"},
        },
        wires,
        outputs={"end": ["shout", "text"]},
    )
    ended = await place.runs.wait(await place.runs.start(graph=graph), 60)
    return ended, {step.node_id: step for step in ended.steps}


@pytest.mark.parametrize("how", ["eat", "eat_in_a_thread", "eat_at_once"])
async def test_a_node_that_eats_memory_is_stopped(
    place: Place, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    # What else is at work while memory grows may be taken for the one that eats it.
    ended, steps = await go(place, how, last=True, on_error="continue", retries=3)
    assert ended.status == "failed"
    assert steps["bad"].error is not None
    assert steps["bad"].error["code"] == "out_of_memory"
    assert f"more than {CAP} MB" in steps["bad"].error["message"]
    assert "max_run_memory_mb" in steps["bad"].error["fix"]
    assert ended.outputs == {"end": {"text": "HELLO!"}}
    assert "stopping Node bad (bad) of run" in caplog.text


async def test_a_run_beside_one_that_eats_memory_goes_on(place: Place, tmp_path: Path) -> None:
    quiet = workflow(
        "Quiet", {"say": {"type": "say"}, "wait": {"type": "wait"}}, "say.text>wait.text"
    )
    beside = await place.runs.start(graph=quiet)
    await until((tmp_path / "began-all").exists)
    ended, _ = await go(place, "eat")
    assert ended.error is not None
    assert ended.error["code"] == "out_of_memory"
    (tmp_path / "go-all").touch()
    assert (await place.runs.wait(beside, 60)).status == "completed"


async def test_a_node_that_keeps_the_server_waiting_is_named(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(run_watch, "HELD_UP_S", 0.5)
    ended, steps = await go(place, "block")
    assert ended.status == "completed"
    assert "it kept the whole server waiting for" in steps["bad"].reason
    assert "waiting" not in steps["shout"].reason
    named = [r.getMessage() for r in caplog.records if "keeps the server waiting" in r.message]
    assert len(named) == 1
    assert named[0].startswith(f"Node bad (bad) of run {ended.execution_id}")
    assert "bad_nodes.py:" in named[0]


async def test_a_node_that_never_lets_go_is_stopped(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_watch, "HELD_UP_S", 0.3)
    ended, steps = await go(place, "never_let_go", timeout_s=1, on_error="continue")
    assert steps["bad"].error is not None
    assert steps["bad"].error["code"] == "blocked"
    assert "let nothing else work" in steps["bad"].error["message"]
    assert "kept the whole server waiting" in steps["bad"].error["fix"]
    assert ended.outputs == {"end": {"text": "HELLO!"}}


async def test_a_thread_whose_node_is_over_is_ended(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_watch, "LEFT_S", 0.1)
    _, steps = await go(place, "spin_in_a_thread", timeout_s=0.2)
    assert steps["bad"].error is not None
    assert steps["bad"].error["code"] == "timeout"
    await until(lambda: not threads_at_work())


async def test_it_watches_only_while_nodes_work(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_watch, "LINGER_S", 0.1)

    def watching() -> bool:
        return any(thread.name == "run-watch" for thread in threading.enumerate())

    await until(lambda: not watching())
    seen = asyncio.ensure_future(until(watching))
    await go(place, "block")
    await seen
    await until(lambda: not watching())


# -- whose memory it is ---------------------------------------------------------------------


class Node:
    """What is known of a node at work."""

    def __init__(self, *outer: Node) -> None:
        self.verdict: object = None
        self.working = True
        self.outer = outer

    def around(self) -> list[Any]:
        return [self, *self.outer]


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Looks at a process that takes so many MB, while these nodes work."""
    taken = [0]
    monkeypatch.setattr(_Memory, "_now", lambda self: taken[0] * MB)
    made = _Memory(100 * MB)

    def look(
        mb: int, *nodes: Node, threads: tuple[Node, ...] = (), alone: Node | None = None
    ) -> Any:
        taken[0] = mb
        return made.look(list(nodes), set(threads), alone)  # type: ignore[arg-type]

    return look


def test_the_node_that_worked_while_memory_grew(memory: Callable[..., Any]) -> None:
    guilty, young = Node(), Node()
    assert memory(90, guilty) is None
    assert memory(101, guilty, young) is guilty


def test_of_nodes_alike_the_youngest(memory: Callable[..., Any]) -> None:
    old, guilty = Node(), Node()
    assert memory(1, old) is None
    assert memory(101, old, guilty) is guilty


def test_a_node_that_lets_no_other_work(memory: Callable[..., Any]) -> None:
    guilty, young = Node(), Node()
    assert memory(101, guilty, young, alone=guilty) is guilty


def test_only_further_growth_costs_another_node(memory: Callable[..., Any]) -> None:
    first, second = Node(), Node()
    assert memory(101, first) is first
    first.verdict = "stopped"
    assert memory(105, second) is None  # what was freed may stay with the process
    assert memory(120, second) is second
    assert memory(50, second) is None
    third = Node()
    assert memory(50, third) is None
    assert memory(101, third) is third


def test_one_that_was_stopped_and_goes_on_growing_costs_no_other(
    memory: Callable[..., Any],
) -> None:
    guilty, other = Node(), Node()
    assert memory(101, guilty) is guilty
    guilty.verdict = "stopped"
    assert memory(150, guilty, other) is None


def test_what_one_took_up_to_its_end_is_not_put_down_to_the_others(
    memory: Callable[..., Any],
) -> None:
    guilty, other = Node(), Node()
    assert memory(101, other, guilty) is guilty
    guilty.verdict = "stopped"
    assert memory(180, other) is None
    assert memory(181, other) is None
    assert memory(200, other) is other


def test_what_grew_long_ago_does_not_count(memory: Callable[..., Any]) -> None:
    old, guilty = Node(), Node()
    for _ in range(200):
        assert memory(90, old) is None
    assert memory(91, old, guilty) is None
    assert memory(131, old, guilty) is guilty
    # Work in a thread goes on while another node holds the event loop.
    other, alone = Node(), Node()
    assert memory(140, other, alone, threads=(other,), alone=alone) is None
    assert memory(190, alone, other, threads=(other,), alone=alone) is other


def test_a_node_that_waits_for_inner_ones(memory: Callable[..., Any]) -> None:
    outer = Node()
    outer.working = False
    for taken in range(10, 100, 10):
        assert memory(taken, outer, Node(outer)) is None
    assert memory(101, outer, Node(outer)) is outer  # all its items together
    outer, inner = Node(), Node()
    outer.working = False
    inner.outer = (outer,)
    assert memory(101, outer, inner) is None
    assert memory(101 + 101, outer, inner) is inner  # one of them


def test_the_cap_follows_from_the_machine() -> None:
    assert 512 <= default_cap_mb() <= psutil.virtual_memory().total // MB
