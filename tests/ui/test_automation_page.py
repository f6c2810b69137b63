"""The automation page over real services, without a browser."""

from __future__ import annotations

import asyncio
import hmac
import json
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from nicegui import ui
from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement
from nicegui.testing import User
from visitor import visiting

from app.services.automation.cron import moment_in_words
from app.services.automation.schedules import ScheduleView
from app.ui.pages.automation.page import local_words
from app.ui.pages.automation.times import choices_of, cron_of, zones
from app.ui.pages.automation.webhooks import example_body, example_call
from storage.source_tables import Source
from storage.sources import SourceRepository

if TYPE_CHECKING:
    from app.services.container import Services

E = TypeVar("E", bound=Element)
NASTY = "<script>alert(1)</script>"


@pytest.fixture
async def user(services: Services) -> AsyncIterator[User]:
    """A browserless visitor of the pages, who lives in Berlin and is called Anna."""
    async with visiting(services) as visitor:
        visitor.javascript_rules[re.compile(".*timeZone.*", re.DOTALL)] = lambda _: "Europe/Berlin"
        visitor.javascript_rules[re.compile(".*canvas.name.*", re.DOTALL)] = lambda _: "Anna"
        yield visitor


async def until(check: Callable[[], Awaitable[Any]]) -> None:
    for _ in range(1200):
        if await check():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not happen")


def one(user: User, kind: type[E], marker: str) -> E:
    """The only element of this kind and marker."""
    (element,) = user.find(kind=kind, marker=marker).elements
    return element


async def make(services: Services, *, asking: bool = False) -> str:
    nodes = [
        {"id": "text", "type": "text_input", "config": {"default": NASTY}},
        {"id": "output", "type": "output", "config": {}},
    ]
    edges = [{"source": "text", "target": "output", "key": "text>value"}]
    if asking:
        nodes.append({"id": "ask", "type": "approval", "config": {"message": NASTY}})
        edges = [
            {"source": "text", "target": "ask", "key": "text>value"},
            {"source": "ask", "target": "output", "key": "approved>value"},
        ]
    graph = {
        "directed": True,
        "multigraph": True,
        "graph": {"format": "ragloom/1", "name": NASTY, "outputs": {"said": ["output", "value"]}},
        "nodes": nodes,
        "edges": edges,
    }
    return (await services.workflows.create(graph)).workflow_id


async def test_a_schedule_is_made_paused_deleted_and_brought_back(
    user: User, services: Services
) -> None:
    workflow = await make(services)
    await user.open(f"/workflows/{workflow}/automation")
    await user.should_see("No schedule yet")
    user.find(marker="new-schedule").click()
    await user.should_see("Monday to Friday at 09:00")
    user.find(marker="save-schedule").click()

    async def count(wanted: int) -> bool:
        return len(await services.schedules.list(workflow)) == wanted

    await until(lambda: count(1))
    [schedule] = await services.schedules.list(workflow)
    assert (schedule.cron, schedule.timezone) == ("0 9 * * 1-5", "Europe/Berlin")
    await user.should_see("Europe/Berlin")
    await user.should_see(schedule.next_words)
    await user.should_see("Has not run yet")
    [switch] = user.find(kind=ui.switch).elements
    assert switch.props["aria-label"] == f"Schedule “{schedule.description}” is on"
    user.find(kind=ui.switch).click()

    async def paused() -> bool:
        return not (await services.schedules.list(workflow))[0].enabled

    await until(paused)
    await user.should_see("Paused")
    user.find(marker="delete").click()
    await until(lambda: count(0))
    await user.should_see("is deleted")
    user.find(kind=ui.button, content="Undo").click()
    await until(lambda: count(1))


async def test_what_somebody_else_changed_meanwhile_is_kept(user: User, services: Services) -> None:
    workflow = await make(services)
    made = await services.schedules.add(workflow, "0 9 * * *", name="Mornings")
    await user.open(f"/workflows/{workflow}/automation")
    await user.should_see("Mornings")
    user.find(marker="change").click()
    await user.should_see("Change the schedule")
    await services.schedules.change(made.schedule_id, name="By somebody else")
    one(user, ui.select, "how-often").value = "hour"
    user.find(marker="save-schedule").click()

    async def changed() -> bool:
        [one] = await services.schedules.list(workflow)
        return (one.cron, one.name) == ("0 * * * *", "By somebody else")

    await until(changed)
    user.find(marker="change").click()
    await user.should_see("Change the schedule")
    await services.schedules.remove(made.schedule_id)
    one(user, ui.select, "how-often").value = "day"
    user.find(marker="save-schedule").click()
    await user.should_see("It was deleted meanwhile.")


async def test_a_source_that_was_paused_for_its_time_zone_says_so(
    user: User, services: Services
) -> None:
    kb = (await services.knowledge.create("Notes")).knowledge_base_id
    now = time.time()
    daily = {"cron": "0 3 * * *", "timezone": "Mars/Olympus", "next_at": now - 5}
    known = {"id": "src_1", "name": "Docs", "kind": "folder", "location": "/docs"}
    row: dict[str, Any] = {**known, **daily, "created_at": now, "updated_at": now}
    SourceRepository(services.database).add(Source(knowledge_base_id=kb, **row))
    await services.sources.fire_due(now)
    await user.open(f"/knowledge/{kb}?tab=Sources")
    await user.should_see("Paused")
    await user.should_see("It was paused: There is no time zone “Mars/Olympus”.")


async def test_the_address_of_a_webhook_is_shown_once(user: User, services: Services) -> None:
    workflow = await make(services)
    await user.open(f"/workflows/{workflow}/automation")
    user.find(marker="new-webhook").click()
    await user.should_see("Requests must be signed")
    user.find(marker="save-webhook").click()
    await user.should_see(marker="new-webhook-url")
    [label] = user.find(marker="new-webhook-url").elements
    url = label.text  # type: ignore[attr-defined]
    run_id = await services.webhooks.call(url.rpartition("/")[2], b"")
    assert (await services.runs.wait(run_id, 60)).status == "completed"
    await user.open(f"/workflows/{workflow}/automation")
    await user.should_see("1 call")
    await user.should_not_see(marker="new-webhook-url")


async def test_a_question_is_answered_on_the_page(user: User, services: Services) -> None:
    workflow = await make(services, asking=True)
    run_id = await services.runs.start(workflow_id=workflow)
    await services.runs.wait(run_id, 60, or_asked=True)
    await user.open(f"/workflows/{workflow}/automation")
    await user.should_see("Waiting for you")
    user.find(marker="approve").click()

    async def completed() -> bool:
        return (await services.runs.get(run_id)).status == "completed"

    await until(completed)
    [asked] = (await services.runs.approvals.list(status="decided")).items
    assert asked.decision is not None
    assert (asked.decision["approved"], asked.decision["by"]) == (True, "Anna")


async def test_a_webhook_is_changed_and_renewed(user: User, services: Services) -> None:
    workflow = await make(services)
    made = await services.webhooks.add(workflow, name="CRM")
    await user.open(f"/workflows/{workflow}/automation")
    await user.should_see("CRM")
    user.find(marker="change-webhook").click()
    await user.should_see("Change the webhook")
    user.find("Such as message.text; * for everything").type("message.text")
    user.find(marker="save-webhook").click()
    await user.should_see("← message.text")
    user.find(marker="renew-webhook").click()
    await user.should_see("will answer no more")
    [row] = user.find(marker="webhook").elements
    with user:
        user.find(kind=ui.switch).elements.pop().set_value(False)  # draws the list anew

    async def drawn_anew() -> bool:
        return await found(user, "webhook", 1) and row not in user.find(marker="webhook").elements

    await until(drawn_anew)
    user.find(kind=ui.button, content="New address").click()
    await user.should_see(marker="new-webhook-url")
    assert not one(user, TextElement, "new-webhook-url").text.endswith(made.url)
    user.find(marker="fresh-done").click()
    await user.should_not_see(marker="new-webhook-url")


async def test_what_is_typed_into_a_question_stays_when_another_one_comes(
    user: User, services: Services
) -> None:
    workflow = await make(services, asking=True)
    first = await services.runs.start(workflow_id=workflow)
    await services.runs.wait(first, 60, or_asked=True)
    await user.open(f"/workflows/{workflow}/automation")
    await user.should_see(marker="ask-comment")
    user.find(marker="ask-comment").type("half a thought")
    second = await services.runs.start(workflow_id=workflow)
    await services.runs.wait(second, 60, or_asked=True)
    await until(lambda: found(user, "ask", 2))
    comments = [e.value for e in user.find(kind=ui.input, marker="ask-comment").elements]
    assert sorted(comments) == ["", "half a thought"]
    await services.runs.cancel(second)
    await until(lambda: found(user, "ask", 1))
    assert one(user, ui.input, "ask-comment").value == "half a thought"
    await services.runs.cancel(first)


async def found(user: User, marker: str, count: int) -> bool:
    try:
        return len(user.find(marker=marker).elements) == count
    except AssertionError:  # none, while they are drawn anew
        return False


def test_a_schedule_is_told_in_the_time_of_who_looks() -> None:
    at = datetime.now(UTC) + timedelta(hours=30)
    one = ScheduleView.model_construct(next_at=at.isoformat(), next_words="tomorrow at 03:00")
    assert local_words(one, "Asia/Tokyo").startswith("for you ")
    words = moment_in_words(at.timestamp(), "Asia/Tokyo", time.time())
    same = ScheduleView.model_construct(next_at=at.isoformat(), next_words=words)
    assert local_words(same, "Asia/Tokyo") == ""


async def test_a_workflow_that_is_not_there_says_so(user: User) -> None:
    await user.open("/workflows/wf_no/automation")
    await user.should_see("There is no workflow")


@pytest.mark.parametrize(
    "cron",
    [
        "15 * * * *",
        "30 7 * * *",
        "0 9 * * 1-5",
        "5 23 * * 0",
        "0 0 31 * *",
        "*/5 * * * *",
        "1 2 3 4 5",
    ],
)
def test_a_schedule_opens_as_it_was_chosen(cron: str) -> None:
    assert cron_of(**choices_of(cron)) == cron


def test_time_zones_can_be_chosen() -> None:
    names = zones()
    assert names[0] == "UTC"
    assert "Europe/Berlin" in names


def test_the_example_of_a_webhook_has_what_the_webhook_takes() -> None:
    body = example_body({"question": "message.text", "name": "message.from", "all": ""})
    assert json.loads(body) == {"message": {"text": "…", "from": "…"}, "text": "…"}


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_the_example_of_a_signed_webhook_signs_what_it_sends() -> None:
    body = example_body({"question": "it's"})
    call = example_call("http://127.0.0.1/hooks/x", body, "s3cret")
    said = "curl() { printf '%s\\n' \"$@\"; }; "
    shown = subprocess.run(
        ["sh", "-c", said + call], capture_output=True, text=True, check=True
    ).stdout
    signature = hmac.new(b"s3cret", body.encode(), "sha256").hexdigest()
    assert f"X-Signature-256: sha256={signature}\n" in shown
    assert f"{body}\n" in shown
