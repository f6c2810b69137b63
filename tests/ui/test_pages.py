"""The pages over real services, without a browser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
from nicegui import ui
from nicegui.testing import User, UserInteraction
from visitor import visiting

from app.services.ingestion.uploads import IncomingFile
from app.services.workflows import templates
from app.ui.canvas.flow import FlowCanvas
from app.ui.pages.canvas.pickers import branches_of
from app.ui.pages.workflows import blank

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


async def fill(services: Services, name: str = "Harbour") -> str:
    kb = await services.knowledge.create(name)
    text = f"# Tides {NASTY}\n\nThe harbour of Lowick has the highest tide at noon on Fridays.\n"
    job = await services.ingest.submit(
        kb.knowledge_base_id, [IncomingFile("tides.md", data=text.encode())], None
    )
    await services.ingest.wait(job.job_id, 60)
    return kb.knowledge_base_id


def asking(kb: str) -> dict[str, Any]:
    graph = templates.copy_of(templates.get(templates.FIRST), [kb])
    for node in graph["nodes"]:
        if node["type"] == "question":
            node["config"]["default"] = "When is the highest tide at Lowick?"
    return graph


async def test_an_empty_list_of_workflows_leads_on(user: User, services: Services) -> None:
    await user.open("/")
    await user.should_see("No workflow here yet")
    user.find(kind=ui.button, content="Empty canvas").click()
    await until(lambda: _has_workflows(services, 1))


async def _has_workflows(services: Services, count: int) -> bool:
    return (await services.workflows.list(limit=10, offset=0)).total == count


async def test_workflows_are_listed_and_deleting_one_can_be_undone(
    user: User, services: Services
) -> None:
    made = await services.workflows.create(blank(NASTY))
    await user.open("/")
    await user.should_see(NASTY)
    user.find(marker="delete").click()
    await until(lambda: _has_workflows(services, 0))
    await user.should_see("was deleted")
    user.find(kind=ui.button, content="Undo").click()
    await until(lambda: _has_workflows(services, 1))
    assert (await services.workflows.get(made.workflow_id)).name == NASTY


async def test_a_pipeline_in_use_cannot_be_deleted(user: User, services: Services) -> None:
    kb = await services.knowledge.create("Minutes")
    drawn = await services.pipelines.draw(kb.knowledge_base_id)
    await services.pipelines.use(kb.knowledge_base_id, drawn.workflow_id)
    await user.open("/")
    await user.should_see(drawn.name)
    user.find(marker="delete").click()
    await user.should_see("Files of “Minutes” go through this workflow.")
    assert await _has_workflows(services, 1)


async def test_the_canvas_page_runs_and_answers_with_citations(
    user: User, services: Services
) -> None:
    kb = await fill(services)
    workflow = await services.workflows.create(asking(kb))
    await user.open(f"/workflows/{workflow.workflow_id}")
    user.find(FlowCanvas).trigger("ready", {"origin": "t"})
    await user.should_see("Nothing is in the way of a run.")
    user.find(marker="run").click()

    async def answered() -> bool:
        runs = await services.runs.list(workflow_id=workflow.workflow_id, limit=1, offset=0)
        return bool(runs.items) and runs.items[0].status == "completed"

    await until(answered)
    await user.should_see("highest tide at noon")
    await user.should_see("confidence")
    # The run is on the list, and opens as it was.
    run = (await services.runs.list(limit=1, offset=0)).items[0]
    await user.open("/runs")
    await user.should_see("When is the highest tide at Lowick?")
    await user.open(f"/workflows/{workflow.workflow_id}?run={run.execution_id}")
    await user.should_see("A past run")
    await user.should_see("Current version")
    await user.should_see("highest tide at noon")


async def test_settings_of_a_node_are_edited_checked_and_saved(
    user: User, services: Services
) -> None:
    kb = await fill(services)
    workflow = await services.workflows.create(asking(kb))
    await user.open(f"/workflows/{workflow.workflow_id}")
    canvas = user.find(FlowCanvas)
    canvas.trigger("selectionChange", {"nodes": ["retrieve"], "edges": []})
    await user.should_see("How many passages to find.")
    with user:
        fields = user.find(ui.number).elements
        field = next(e for e in fields if e.props.get("aria-label") == "Passages to find (k)")
        field.set_value(500)
    await user.should_see("Must be at most 200")
    with user:
        field.set_value(12)
    await user.should_not_see("Must be at most 200")

    async def saved() -> bool:
        graph = (await services.workflows.get(workflow.workflow_id)).graph or {}
        node = next(n for n in graph["nodes"] if n["id"] == "retrieve")
        return bool(node["config"].get("k") == 12)

    await until(saved)


async def test_a_workflow_that_cannot_run_says_why(user: User, services: Services) -> None:
    graph = asking("nowhere")
    graph["edges"] = [e for e in graph["edges"] if e["target"] != "answer"]
    workflow = await services.workflows.create(graph)
    await user.open(f"/workflows/{workflow.workflow_id}")
    await user.should_not_see("Nothing is in the way of a run.")
    user.find(marker="run").click()
    await asyncio.sleep(0.3)
    assert (await services.runs.list(limit=1, offset=0)).total == 0


async def test_an_unknown_workflow_document_or_run_leads_back(
    user: User, services: Services
) -> None:
    await user.open("/workflows/wf_gone")
    await user.should_see("All workflows")
    await user.open("/knowledge/kb_gone")
    await user.should_see("All knowledge")
    kb = await fill(services)
    await user.open(f"/knowledge/{kb}/documents/doc_gone")
    await user.should_see("All knowledge")


async def test_a_branch_of_another_model_is_put_to_use_and_taken_back(
    user: User, services: Services
) -> None:
    kb = await fill(services)
    await services.reembedding.start(kb, "multilingual", "other")
    await services.reembedding.wait(kb, "other")
    await user.open(f"/knowledge/{kb}?tab=Settings")
    await user.should_see("“other” is embedded by multilingual: 1 of 1 document.")

    async def model() -> str:
        return str((await services.knowledge.get(kb)).config["embedding_model"])

    async def uses(name: str) -> bool:
        return await model() == name

    before = await model()
    user.find(content="Search", kind=ui.tab).click()
    await user.should_see("In use (main)")
    user.find(content="Settings", kind=ui.tab).click()
    services.repository.create_branch(kb, "later")
    user.find(content="Search", kind=ui.tab).click()

    async def offered() -> bool:
        choices = user.find(kind=ui.select).elements
        return any("later" in (select.options or ()) for select in choices)

    await until(offered)
    user.find(content="Settings", kind=ui.tab).click()
    await user.should_see(marker="adopt")
    user.find(marker="adopt").click()
    await user.should_see("Everybody then searches what is in the copy")
    user.find(marker="confirm").click()
    await until(lambda: uses("multilingual"))
    await user.should_see("in use")
    await user.should_see(kind=ui.button, content="Undo")
    user.find(kind=ui.button, content="Undo").click()
    await until(lambda: uses(before))
    await user.should_see("Use this copy")
    user.find(marker="delete-copy").click()
    await user.should_see(
        "What is lost: the vectors of multilingual for 1 document, and whatever was "
    )
    user.find(marker="confirm").click()
    await user.should_see("The copy “other” is deleted.")
    assert "other" not in await services.knowledge.branches(kb)
    user.find(kind=ui.button, content="Undo").click()

    async def there() -> bool:
        return "other" in await services.knowledge.branches(kb)

    await until(there)
    await user.should_see("“other” is embedded by multilingual: 1 of 1 document.")
    await user.open(f"/knowledge/{kb}?tab=History")
    await user.should_see("Use “other” from now on")
    # Every state but the one that is there can be gone back to, in any order.
    commits = (await services.knowledge.commits(kb, "main")).items
    buttons = sorted(user.find(marker="go-back").elements, key=lambda button: button.id)
    assert commits[1].message == "Use “other” from now on"
    assert len(buttons) == len(commits) - 1
    UserInteraction(user, {buttons[0]}, None).click()
    await user.should_see("“Use “other” from now on”")
    user.find(marker="confirm").click()
    await until(lambda: uses("multilingual"))
    await user.should_see("It holds again what it held then.")
    user.find(kind=ui.button, content="Undo").click()
    await until(lambda: uses(before))


async def test_a_knowledge_base_is_made_searched_and_read(user: User, services: Services) -> None:
    await user.open("/knowledge")
    await user.should_see("No knowledge base yet")
    kb = await fill(services)
    await user.open("/knowledge")
    await user.should_see("Harbour")
    await user.open(f"/knowledge/{kb}")
    await user.should_see("tides.md")
    await user.should_see("Healthy")
    await user.open(f"/knowledge/{kb}?tab=Search&q=highest%20tide")
    await user.should_see("1 passage")
    document = (await services.knowledge.documents(kb, limit=1, offset=0)).items[0]
    chunk = (await services.knowledge.chunks(kb, document.document_id, limit=1, offset=0)).items[0]
    await user.open(f"/knowledge/{kb}/documents/{document.document_id}?chunk={chunk.chunk_id}")
    await user.should_see("1 chunk")
    user.find(marker="panel-Details").click()
    await user.should_see("Settings it was made with")
    user.find(marker="panel-History").click()
    await user.should_see("As it is now")
    user.find(marker="panel-Quality").click()
    await user.should_see("1 chunk checked, 1 kept.")


async def test_a_key_is_shown_once(user: User, services: Services) -> None:
    await user.open("/settings")
    await user.should_see("API keys")
    await user.should_see("bge-small-en-v1.5")
    key, _ = await services.keys.create("robot")
    await user.open("/settings")
    await user.should_see("robot")
    user.find(kind=ui.button, content="Revoke").click()
    await user.should_see("Programs that use it are refused from now on.")
    user.find(marker="confirm").click()

    async def revoked() -> bool:
        return any(k.key_id == key.key_id and k.revoked_at for k in await services.keys.list())

    await until(revoked)


async def test_everything_is_found_from_one_place(services: Services) -> None:
    from app.ui.finder import find

    kb = await fill(services)
    await services.workflows.create(asking(kb))
    assert {hit.kind for hit in await find(services, "")} == {"Workflows", "Knowledge bases"}
    (hit,) = await find(services, "tides")
    assert hit.kind == "Documents"
    assert hit.href.startswith(f"/knowledge/{kb}/documents/")


async def test_an_address_that_leads_nowhere_is_answered_in_the_frame(
    user: User, services: Services
) -> None:
    answer = await user.http_client.get("/no/such/page")
    assert answer.status_code == 404
    assert "There is no page at this address." in answer.text
    assert "Knowledge" in answer.text
    assert "sad" not in answer.text


async def test_runs_are_filtered_by_their_status_among_all(user: User, services: Services) -> None:
    kb = await fill(services)
    workflow = await services.workflows.create(asking(kb))
    run = await services.runs.start(workflow_id=workflow.workflow_id, input_data={})
    await services.runs.wait(run, 60)
    await user.open("/runs")
    await user.should_see("highest tide at noon")
    with user:
        status = next(e for e in user.find(ui.select).elements if "failed" in e.options)
        status.set_value("failed")
    await user.should_see("No such run")
    user.find(kind=ui.button, content="Show all runs").click()
    await user.should_see("highest tide at noon")


async def test_the_branch_picker_offers_the_branches_of_the_chosen_base(
    services: Services,
) -> None:
    kb = await fill(services)
    assert await branches_of(services, kb) == ["main"]
    assert await branches_of(services, "gone") == ["main"]
