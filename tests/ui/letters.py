"""Small workflows over letters, and moves of a visitor on the pages that run them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from nicegui.testing import User

from app.ui.canvas.flow import FlowCanvas

if TYPE_CHECKING:
    from app.services.container import Services
    from app.services.views import ExecutionView


async def until(check: Callable[[], Awaitable[Any]]) -> Any:
    """Wait for something that happens in the background."""
    for _ in range(600):
        if found := await check():
            return found
        await asyncio.sleep(0.1)
    raise AssertionError("it did not happen")


def node(id_: str, kind: str, **config: Any) -> dict[str, Any]:
    return {"id": id_, "type": kind, "version": 1, "title": id_.capitalize(), "config": config}


def chain(*nodes: dict[str, Any], ports: list[str]) -> dict[str, Any]:
    """A workflow of nodes one after the other; `ports` are the keys of the wires."""
    edges = [
        {"source": a["id"], "target": b["id"], "key": key}
        for a, b, key in zip(nodes, nodes[1:], ports, strict=False)
    ]
    return {
        "directed": True,
        "multigraph": True,
        "graph": {"format": "ragloom/1", "name": "Letters"},
        "nodes": list(nodes),
        "edges": edges,
    }


def reading() -> dict[str, Any]:
    return chain(
        node("words", "text_input", name="text"),
        node("reader", "parse_json", strict=True),
        node("result", "output", name="found"),
        ports=["text>text", "data>value"],
    )


def approving() -> dict[str, Any]:
    return chain(
        node("words", "text_input", name="text"),
        node("boss", "approval", message="Send “{{ value.text }}”?", allow_edit=True),
        node("result", "output", name="letter"),
        ports=["text>value", "approved>value"],
    )


async def newest(services: Services) -> ExecutionView | None:
    page = await services.runs.list(limit=1, offset=0)
    return await services.runs.get(page.items[0].execution_id) if page.items else None


async def ended(services: Services, count: int) -> ExecutionView:
    """The newest of `count` runs, once it has ended."""

    async def check() -> ExecutionView | None:
        if (await services.runs.list(limit=1, offset=0)).total < count:
            return None
        run = await newest(services)
        over = run is not None and run.status in ("completed", "failed", "cancelled")
        return run if over else None

    run: ExecutionView = await until(check)
    return run


async def idle(user: User) -> None:
    """Wait until the bar of the page is free for another run."""

    async def free() -> bool:
        with user:
            (button,) = user.find(marker="run").elements
            around = button.parent_slot.parent if button.parent_slot else None
            return around is not None and "rl-hidden" not in around.classes

    await until(free)


def fill_in(user: User, marker: str, value: str) -> None:
    with user:
        (field,) = user.find(marker=marker).elements
        field.set_value(value)  # type: ignore[attr-defined]


async def open_page(user: User, services: Services, graph: dict[str, Any]) -> str:
    workflow = await services.workflows.create(graph)
    await user.open(f"/workflows/{workflow.workflow_id}")
    user.find(FlowCanvas).trigger("ready", {"origin": "t"})
    return workflow.workflow_id


def act(user: User, action: str, node_id: str) -> None:
    user.find(FlowCanvas).trigger("nodeAction", {"action": action, "node": node_id})
