"""The inspector over real services, without a browser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
from nicegui import ui
from nicegui.element import Element
from nicegui.testing import User
from visitor import visiting

from app.services.ingestion.uploads import IncomingFile
from app.ui.canvas.flow import FlowCanvas
from app.ui.forms.entry import CodeEntry

if TYPE_CHECKING:
    from app.services.container import Services

NASTY = "<script>alert(1)</script>"


@pytest.fixture
async def user(services: Services) -> AsyncIterator[User]:
    """A browserless visitor of the pages."""
    async with visiting(services) as visitor:
        yield visitor


async def until(check: Callable[[], Awaitable[bool]]) -> None:
    """Wait for something that happens in the background."""
    for _ in range(600):
        if await check():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it did not happen")


async def fill(services: Services) -> str:
    kb = await services.knowledge.create("Harbour")
    text = f"# Tides {NASTY}\n\nThe harbour of Lowick has the highest tide at noon on Fridays.\n"
    job = await services.ingest.submit(
        kb.knowledge_base_id, [IncomingFile("tides.md", data=text.encode())], None
    )
    await services.ingest.wait(job.job_id, 60)
    return kb.knowledge_base_id


def workflow_file(nodes: list[dict[str, Any]], wires: list[tuple[str, str, str]]) -> dict[str, Any]:
    """A workflow; a wire is (source, ports, target)."""
    return {
        "directed": True,
        "multigraph": True,
        "graph": {"format": "ragloom/1", "name": "Toy"},
        "nodes": nodes,
        "edges": [{"source": s, "key": key, "target": t} for s, key, t in wires],
    }


def node(id_: str, kind: str, **config: Any) -> dict[str, Any]:
    return {"id": id_, "type": kind, "version": 1, "title": "", "config": config}


def asking(kb: str) -> dict[str, Any]:
    return workflow_file(
        [
            node("question", "question", default="When is the highest tide at Lowick?"),
            node("retrieve", "retrieve", knowledge_base=kb),
            node("answer", "generate"),
            node("end", "answer_output"),
        ],
        [
            ("question", "query>query", "retrieve"),
            ("question", "query>query", "answer"),
            ("retrieve", "chunks>chunks", "answer"),
            ("answer", "answer>answer", "end"),
        ],
    )


def one_node(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    return workflow_file([{**node("it", kind), "config": config}], [])


async def select(user: User, services: Services, graph: dict[str, Any], node: str) -> str:
    workflow = await services.workflows.create(graph)
    await user.open(f"/workflows/{workflow.workflow_id}")
    user.find(FlowCanvas).trigger("selectionChange", {"nodes": [node], "edges": []})
    return workflow.workflow_id


def named(user: User, kind: type[Element], label: str) -> Any:
    with user:
        found = [
            e
            for e in user.find(kind).elements
            if label in (e.props.get("aria-label"), e.props.get("label"))
        ]
    assert len(found) == 1, [e.props.get("aria-label") for e in user.find(kind).elements]
    return found[0]


def saved(services: Services, workflow: str, node: str) -> Callable[[], Awaitable[dict[str, Any]]]:
    async def read() -> dict[str, Any]:
        graph = (await services.workflows.get(workflow)).graph or {}
        return dict(next(n for n in graph["nodes"] if n["id"] == node))

    return read


async def test_a_setting_is_computed_checked_previewed_and_reset(
    user: User, services: Services
) -> None:
    workflow = await select(user, services, asking(await fill(services)), "retrieve")
    read = saved(services, workflow, "retrieve")
    await user.should_see("How many passages to find.")
    user.find(marker="fx-k").click()
    entry = named(user, CodeEntry, "Passages to find (k): expression")
    with user:
        entry.set_value("nothing_here | length")
    await user.should_see("uses “nothing_here”, which is not there")
    with user:
        entry.set_value("input.limit | default(3)")
    await user.should_see("= 3")

    async def kept() -> bool:
        return bool((await read())["config"].get("k") == {"$expr": "input.limit | default(3)"})

    await until(kept)
    offers = await _offers(entry, "query.")
    assert {"text", "original", "language"} <= {offer["text"] for offer in offers}
    user.find(marker="fx-k").click()

    async def fixed() -> bool:
        return "k" not in (await read())["config"]

    await until(fixed)


async def _offers(entry: CodeEntry, source: str) -> list[dict[str, str]]:
    assert entry._offer is not None
    found = entry._offer(source, len(source))
    return list(found if isinstance(found, list) else [])


async def test_filters_offer_the_fields_there_are_and_warn_of_others(
    user: User, services: Services
) -> None:
    graph = asking(await fill(services))
    next(n for n in graph["nodes"] if n["id"] == "retrieve")["config"]["filters"] = {
        "filname": "tides.md"
    }
    workflow = await select(user, services, graph, "retrieve")
    await user.should_see("Did you mean “filename”?")
    field = named(user, ui.select, "Field")
    assert {"filename", "headings", "language"} <= set(field.options)
    with user:
        field.set_value("filename")
    await user.should_not_see("Did you mean")

    async def offered() -> bool:
        return "tides.md" in named(user, ui.select, "Value of filename").options

    await until(offered)
    read = saved(services, workflow, "retrieve")

    async def kept() -> bool:
        return bool((await read())["config"]["filters"] == {"filename": "tides.md"})

    await until(kept)


async def test_secrets_are_refused_with_advice(user: User, services: Services) -> None:
    config = {"origin": "dify", "kind": "tool", "data": {"api_key": "sk-very-secret-key-1234567"}}
    await select(user, services, one_node("placeholder", config), "it")
    await user.should_see("Secrets are not kept in workflows")
    config = {"url": "https://example.org", "headers": {"Authorization": "{{ secret.KEY }}"}}
    workflow = await select(user, services, one_node("http_request", config), "it")
    await user.should_see("Added to the address")
    await user.should_not_see("Secrets are not kept in workflows")
    entry = named(user, CodeEntry, "Value 1")
    assert [o["text"] for o in await _offers(entry, "Bearer {{ val")] == ["value"]
    with user:
        entry.set_value("Bearer abcdef")
    await user.should_see("Secrets are not kept in workflows")
    node = await saved(services, workflow, "it")()
    assert node["config"]["headers"] == {"Authorization": "{{ secret.KEY }}"}


async def test_rows_are_added_and_moved_and_their_expressions_complete(
    user: User, services: Services
) -> None:
    config = {
        "results": [{"name": "first", "expression": "value"}, {"name": "b", "expression": "1"}]
    }
    workflow = await select(user, services, one_node("compute", config), "it")
    await user.should_see("Result 2")
    with user:
        down = [
            e for e in user.find(ui.button).elements if e.props.get("aria-label") == "Move down"
        ]
    read = saved(services, workflow, "it")
    user.find(marker="add-results").click()
    await user.should_see("Result 3")
    assert down

    async def three() -> bool:
        return len((await read())["config"]["results"]) == 3

    await until(three)
    entries = [e for e in user.find(CodeEntry).elements if isinstance(e, CodeEntry)]
    offers = await _offers(entries[0], "fir")
    assert [offer["text"] for offer in offers] == ["first"]


async def test_a_stored_workflow_is_pinned_and_updated(user: User, services: Services) -> None:
    inner = await services.workflows.create(asking(await fill(services)))
    view = await services.workflows.get(inner.workflow_id)
    graph = dict(view.graph or {})
    graph["graph"] = {**graph["graph"], "description": "Changed."}
    await services.workflows.save(inner.workflow_id, graph, view.revision)
    body: dict[str, Any] = {
        "graph": None, "workflow": inner.workflow_id, "revision": view.revision,
        "interface": {"inputs": [], "outputs": []},
    }  # fmt: skip
    workflow = await select(user, services, one_node("workflow", {"body": body}), "it")
    await user.should_see(f"Version {view.revision}")
    user.find(marker="body-update").click()
    await user.should_see("the newest")
    read = saved(services, workflow, "it")

    async def pinned() -> bool:
        body = (await read())["config"]["body"]
        return bool(body["revision"] == view.revision + 1 and body["interface"]["outputs"])

    await until(pinned)


async def test_what_is_inside_a_node_becomes_a_workflow_of_its_own(
    user: User, services: Services
) -> None:
    inside = one_node("inlet", {"name": "item", "value_type": "Text"})
    inside["graph"]["name"] = "Each line"
    workflow = await select(user, services, one_node("map", {"body": {"graph": inside}}), "it")
    await user.should_see("A part of this workflow")
    await user.should_not_see("Expand it here")  # only a node that runs it once can be expanded
    user.find(marker="body-keep").click().click()
    await user.should_see("Version 1")
    read = saved(services, workflow, "it")

    async def kept() -> bool:
        body = (await read())["config"]["body"]
        return body.get("graph") is None and bool(body.get("workflow"))

    await until(kept)
    made = await services.workflows.get((await read())["config"]["body"]["workflow"])
    assert made.name == "Each line"
    assert (await services.workflows.list(limit=9, offset=0)).total == 2
    assert [node["type"] for node in (made.graph or {})["nodes"]] == ["inlet"]


async def test_policies_are_written_and_a_fallback_is_checked(
    user: User, services: Services
) -> None:
    workflow = await select(user, services, asking(await fill(services)), "answer")
    read = saved(services, workflow, "answer")
    await user.should_see("When it runs")
    with user:
        next(iter(user.find(marker="on-error").elements)).set_value("fallback")  # type: ignore[attr-defined]
    await user.should_see("answer")
    entry = named(user, CodeEntry, "Value of answer when it fails")
    with user:
        entry.set_value("{nope")
    await user.should_see("This is no JSON")
    with user:
        entry.set_value('{"text": "Sorry."}')

    async def kept() -> bool:
        on_error = (await read()).get("on_error")
        return isinstance(on_error, dict) and on_error["fallback"]["answer"]["text"] == "Sorry."

    await until(kept)
    with user:
        next(iter(user.find(marker="disabled").elements)).set_value(True)  # type: ignore[attr-defined]

    async def off() -> bool:
        return bool((await read()).get("disabled"))

    await until(off)


async def test_data_is_shown_with_ranks_searched_and_explained(
    user: User, services: Services
) -> None:
    graph = reranked(asking(await fill(services)))
    workflow = await services.workflows.create(graph)
    run = await services.runs.start(workflow_id=workflow.workflow_id, input_data={})
    await services.runs.wait(run, 60)
    await user.open(f"/workflows/{workflow.workflow_id}")
    user.find(FlowCanvas).trigger("selectionChange", {"nodes": ["rerank"], "edges": []})
    user.find(kind=ui.tab, content="Data").click()
    await user.should_see("Done")
    await user.should_see("compared with what came in")
    await user.should_see("still 1")
    await user.should_see("highest tide at noon")
    user.find(marker="search-chunks").click()
    with user:
        finders = [
            e for e in user.find(ui.input).elements if e.props.get("aria-label") == "Find in chunks"
        ]
        for finder in finders:
            assert isinstance(finder, ui.input)
            finder.set_value("lowick")
    await user.should_see("chunks.items[0].content")
    user.find(kind=ui.tab, content="Help").click()
    await user.should_see("What is in it")


def reranked(graph: dict[str, Any]) -> dict[str, Any]:
    """The graph with a reranker behind the search."""
    node = {
        "id": "rerank", "type": "rerank", "version": 1, "title": NASTY, "config": {},
        "position": [500, 0],
    }  # fmt: skip
    for edge in graph["edges"]:
        if edge["source"] == "retrieve":
            edge["source"] = "rerank"
    wires = [
        {"source": "retrieve", "target": "rerank", "key": "chunks>chunks"},
        {"source": "question", "target": "rerank", "key": "query>query"},
    ]
    return {**graph, "nodes": [*graph["nodes"], node], "edges": [*graph["edges"], *wires]}
