"""Ways to run, questions, pinned data and batches on the pages, over real services."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from letters import (
    act,
    approving,
    ended,
    fill_in,
    idle,
    newest,
    node,
    open_page,
    reading,
    until,
)
from nicegui import ui
from nicegui.elements.mixins.value_element import ValueElement
from nicegui.testing import User, UserInteraction
from visitor import visiting

from app.engine.options import RunOptions
from app.ui.canvas.flow import FlowCanvas

if TYPE_CHECKING:
    from app.services.container import Services
    from app.services.views import ExecutionView
    from app.settings import Settings

E = TypeVar("E", bound=ui.element)


@pytest.fixture
async def user(services: Services) -> AsyncIterator[User]:
    """A browserless visitor of the pages."""
    async with visiting(services) as visitor:
        yield visitor


async def test_a_failed_run_says_why_and_goes_on_from_there_after_the_fix(
    user: User, services: Services
) -> None:
    await open_page(user, services, reading())
    fill_in(user, "input-text", "nonsense")
    user.find(marker="run").click()
    failed = await ended(services, 1)
    assert failed.status == "failed"
    await idle(user)
    await user.should_see(marker="run-from-failed")
    # The fix: the node that made the data is given other data, and only what follows runs.
    act(user, "edit_output", "words")
    await user.should_see("What stands here is used instead of running the node")
    fill_in(user, "port-text", '{"a": 1}')
    user.find(marker="pin-outputs").click()
    await user.should_not_see("What stands here is used")
    user.find(marker="run-from-failed").click()
    run = await ended(services, 2)
    assert run.status == "completed", run.error
    assert run.outputs["found"] == {"data": {"a": 1}}
    await user.should_see("Critical path")


async def test_one_node_runs_alone_with_inputs_that_were_edited(
    user: User, services: Services
) -> None:
    await open_page(user, services, reading())
    fill_in(user, "input-text", '{"a": 1}')
    user.find(marker="run").click()
    first = await ended(services, 1)
    await idle(user)
    act(user, "run_alone", "reader")
    await user.should_see("Run Reader alone")
    fill_in(user, "port-text", "no JSON at all")
    user.find(marker="run-alone").click()
    await user.should_see("This is no JSON")
    fill_in(user, "port-text", '{"type": "Text", "value": {"text": "[2, 3]"}}')
    user.find(marker="run-alone").click()
    run = await ended(services, 2)
    ran = {step.node_id: step for step in run.steps if not step.cached}
    assert ran["reader"].outputs == {"data": {"data": [2, 3]}}
    assert run.parent_run == first.execution_id
    assert "result" not in ran


async def test_a_run_goes_a_step_at_a_time_and_then_on_by_itself(
    user: User, services: Services
) -> None:
    await open_page(user, services, reading())
    fill_in(user, "input-text", "[1]")
    user.find(marker="way-skip_next").click()
    await user.should_see("Next: Words")
    user.find(marker="step").click()
    await user.should_see("Next: Reader")
    run = await newest(services)
    assert run is not None
    done = [step.node_id for step in run.steps if step.status == "completed"]
    assert done == ["words"]
    # Another tab on the same workflow can let it go on, too.
    await user.open(f"/workflows/{run.workflow_id}")
    await user.should_see("Next: Reader")
    user.find(marker="continue").click()
    assert (await ended(services, 1)).status == "completed"


async def test_what_did_not_run_with_a_selection_is_out_of_date_where_that_gave_another_value(
    user: User, services: Services
) -> None:
    await open_page(user, services, reading())
    fill_in(user, "input-text", "[1]")
    user.find(marker="run").click()
    await ended(services, 1)
    await idle(user)
    with user:
        (canvas,) = user.find(FlowCanvas).elements

    async def select_and_run(count: int) -> set[str]:
        chosen = {"nodes": ["words", "reader"], "edges": []}
        user.find(FlowCanvas).trigger("selectionChange", chosen)
        act(user, "run_selection", "words")
        run = await ended(services, count)
        assert run.options["only"] == ["words", "reader"]
        await idle(user)
        return {node for node, (status, _) in canvas._statuses.items() if status.get("stale")}

    assert await select_and_run(2) == set()
    fill_in(user, "input-text", "[2]")
    assert await select_and_run(3) == {"result"}
    assert await select_and_run(4) == {"result"}
    # All of what was to run was reused the second time; the result was not to run.
    await user.should_see("2 of 2 reused", retries=20)
    fill_in(user, "input-text", "[1]")
    user.find(marker="run").click()
    await ended(services, 5)
    await idle(user)
    assert not any(status.get("stale") for status, _ in canvas._statuses.values())


async def test_a_person_is_asked_changes_the_value_and_the_run_goes_on(
    user: User, services: Services
) -> None:
    workflow = await open_page(user, services, approving())
    fill_in(user, "input-text", "Dear sir")
    user.find(marker="run").click()
    await user.should_see("Send “Dear sir”?")
    # It waits as long as it takes: a page opened later shows the question again, and the bar.
    await until(lambda: _waits(services))
    await user.open(f"/workflows/{workflow}")
    await user.should_see("Boss waits for you")
    await user.should_see("1 waits for you")
    fill_in(user, "ask-value", "Dear madam")
    fill_in(user, "ask-comment", "More polite")
    user.find(marker="approve").click()
    run = await ended(services, 1)
    assert run.status == "completed", run.error
    assert run.outputs["letter"] == {"text": "Dear madam"}
    decided = next(step for step in run.steps if step.node_id == "boss")
    assert decided.outputs["comment"] == {"text": "More polite"}
    await user.should_not_see("Boss waits for you")


async def test_several_questions_are_told_apart_and_keep_what_is_typed(
    user: User, services: Services
) -> None:
    graph = approving()
    graph["nodes"].append({**node("chief", "approval", message="Print it?"), "title": "Boss"})
    graph["edges"].append({"source": "words", "target": "chief", "key": "text>value"})
    workflow = await open_page(user, services, graph)
    fill_in(user, "input-text", "Dear sir")
    user.find(marker="run").click()
    await user.should_see("Boss (boss) waits for you")
    await user.should_see("Boss (chief) waits for you")
    await user.should_see("2 nodes wait for a person")

    def inside(step: str, kind: type[E]) -> list[E]:
        """The elements of this kind in the card of a question."""
        with user:
            cards = user.find(marker="ask").elements
            (card,) = (c for c in cards if c.props["aria-label"] == f"Boss ({step}) asks")
            return [e for e in card.descendants() if isinstance(e, kind)]

    with user:
        inside("chief", ui.input)[0].set_value("On paper")
    _show, approve, _reject = inside("boss", ui.button)
    UserInteraction(user, {approve}, None).click()
    await user.should_not_see("Boss (boss) waits for you")
    assert inside("chief", ui.input)[0].value == "On paper"
    user.find(marker="approve").click()
    run = await ended(services, 1)
    chief = next(step for step in run.steps if step.node_id == "chief")
    assert chief.outputs["comment"] == {"text": "On paper"}
    assert run.workflow_id == workflow


async def _waits(services: Services) -> bool:
    return (await services.runs.list(status="waiting", limit=1, offset=0)).total == 1


async def test_a_run_that_the_server_broke_off_is_resumed(settings: Settings) -> None:
    from app.services.container import Services

    before = await Services.open(settings, background=False)
    workflow = await before.workflows.create(reading())
    run_id = await before.runs.start(
        workflow_id=workflow.workflow_id, input_data={"text": "[1]"}, step=True
    )
    await until(lambda: _paused(before, run_id, "words"))
    before.runs.step(run_id)
    await until(lambda: _paused(before, run_id, "reader"))
    await before.close()
    services = await Services.open(settings, background=False)
    try:
        async with visiting(services) as user:
            await user.open(f"/workflows/{workflow.workflow_id}")
            await user.should_see("Interrupted")
            user.find(marker="resume").click()
            run = await ended(services, 1)
            assert run.status == "completed", run.error
            assert run.outputs["found"] == {"data": [1]}
            await user.should_see("Critical path")
    finally:
        await services.close()


async def _paused(services: Services, run_id: str, node_id: str) -> bool:
    return services.runs.paused(run_id) == [node_id]


async def test_a_past_run_is_opened_with_its_data_pinned_as_one_edit(
    user: User, services: Services
) -> None:
    workflow = await open_page(user, services, reading())
    fill_in(user, "input-text", "[7]")
    user.find(marker="run").click()
    run = await ended(services, 1)
    await idle(user)
    fill_in(user, "input-text", "[8]")
    user.find(marker="run").click()
    await ended(services, 2)
    await user.open(f"/workflows/{workflow}?run={run.execution_id}")
    await user.should_see(marker="pin-run")
    await user.open(f"/workflows/{workflow}?pin={run.execution_id}")
    await user.should_see("is pinned on 3 nodes")
    # That run is what is shown, not the newest: nothing of it is out of date.
    with user:
        (canvas,) = user.find(FlowCanvas).elements
        (field,) = user.find(marker="input-text").elements
    assert isinstance(field, ValueElement)
    assert field.value == "[7]"
    assert set(canvas._statuses) == {"words", "reader", "result"}
    assert not any(status.get("stale") for status, _ in canvas._statuses.values())

    async def pinned() -> dict[str, Any]:
        graph = (await services.workflows.get(workflow)).graph or {}
        return {n["id"]: n["pinned"] for n in graph["nodes"] if n.get("pinned")}

    data = await until(pinned)
    assert data["words"] == {"text": {"text": "[7]"}}
    user.find(marker="way-push_pin").click()
    await until(lambda: _nothing(pinned))


async def test_what_is_unpinned_after_a_reload_is_out_of_date_only_where_it_would_differ(
    user: User, services: Services
) -> None:
    workflow = await open_page(user, services, reading())
    fill_in(user, "input-text", "[7]")
    user.find(marker="run").click()
    first = await ended(services, 1)
    await idle(user)
    act(user, "toggle_pinned", "reader")
    user.find(marker="run").click()
    await ended(services, 2)
    await idle(user)

    async def open_and_unpin() -> None:
        await user.open(f"/workflows/{workflow}")
        user.find(FlowCanvas).trigger("ready", {"origin": "t"})
        with user:
            (canvas,) = user.find(FlowCanvas).elements
        assert not any(status.get("stale") for status, _ in canvas._statuses.values())
        act(user, "toggle_pinned", "reader")
        await until(lambda: _unpinned(canvas))

    def stale() -> set[str]:
        with user:
            (canvas,) = user.find(FlowCanvas).elements
        return {node for node, (status, _) in canvas._statuses.items() if status.get("stale")}

    async def looked_back() -> bool:
        return all(task.get_name() != "earlier runs" for task in asyncio.all_tasks())

    # The page is there before the earlier runs are read, and is told of them when they are.
    looked, get = asyncio.Event(), services.runs.get

    async def later(run_id: str) -> ExecutionView:
        if run_id == first.execution_id:
            await looked.wait()
        return await get(run_id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(services.runs, "get", later)
        await open_and_unpin()
        assert stale() == {"reader", "result"}
        looked.set()
        await until(looked_back)
        assert stale() == set()

    # Pinned while another text is read, it holds what the reader would not give now.
    async def run_pinned(count: int) -> None:
        act(user, "toggle_pinned", "reader")
        with user:
            (canvas,) = user.find(FlowCanvas).elements
        await until(lambda: _nothing(lambda: _unpinned(canvas)))
        fill_in(user, "input-text", "[8]")
        user.find(marker="run").click()
        await ended(services, count)
        await idle(user)

    await run_pinned(3)
    await open_and_unpin()
    await until(looked_back)
    assert stale() == {"reader", "result"}

    # Neither does it give what it gave of something typed in for one run.
    async def stored() -> bool:
        graph = (await services.workflows.get(workflow)).graph or {}
        return not any(spec.get("pinned") for spec in graph["nodes"])

    await until(stored)
    typed = RunOptions(inputs={"reader": {"text": {"text": "[9]"}}})
    await services.runs.start(workflow_id=workflow, input_data={"text": "[8]"}, options=typed)
    assert (await ended(services, 4)).outputs["found"] == {"data": [9]}
    await idle(user)
    await run_pinned(5)
    await open_and_unpin()
    await until(looked_back)
    assert stale() == {"reader", "result"}


async def _unpinned(canvas: FlowCanvas) -> bool:
    assert canvas.editor is not None
    return canvas.editor.graph.nodes["reader"].pinned is None


async def _nothing(check: Callable[[], Awaitable[Any]]) -> bool:
    return not await check()


async def test_a_run_in_the_background_is_on_the_list_and_can_be_compared(
    user: User, services: Services
) -> None:
    await open_page(user, services, reading())
    fill_in(user, "input-text", "[1]")
    user.find(marker="run").click()
    await ended(services, 1)
    await idle(user)
    fill_in(user, "input-text", "[2]")
    user.find(marker="way-move_to_inbox").click()
    run = await ended(services, 2)
    assert run.trigger == "background"
    with user:
        (tabs,) = [t for t in user.find(ui.tabs).elements if t.value == "Timeline"]
        tabs.set_value("Runs")
    await user.should_see("background")
    with user:
        tabs.set_value("Compare")
    await user.should_see("other input")
    with user:
        links = [str(e.props.get("href", "")) for e in user.find(ui.element).elements]
    assert any(href.startswith(f"/compare?a={run.execution_id}&b=") for href in links)


async def test_a_run_that_somebody_else_starts_is_shown_here_too(
    user: User, services: Services
) -> None:
    workflow = await services.workflows.create(approving())
    await user.open(f"/workflows/{workflow.workflow_id}")
    user.find(FlowCanvas).trigger("ready", {"origin": "t"})
    elsewhere = await services.workflows.create(approving())
    for id_, text in ((elsewhere.workflow_id, "Not this"), (workflow.workflow_id, "From afar")):
        await services.runs.start(workflow_id=id_, input_data={"text": text}, trigger="page")
    await user.should_see("Send “From afar”?")
    await user.should_not_see("Not this")
