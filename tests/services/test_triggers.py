"""Schedules and webhooks: when they start a run, and when they do not."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import threading
import time
from collections.abc import AsyncIterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.engine.problems import RagloomError
from app.services.automation.cron import (
    BadSchedule,
    check_cron,
    in_words,
    moment_in_words,
    next_time,
)
from app.services.automation.schedules import ScheduleView
from app.services.automation.webhooks import MAX_HOOK_BYTES, WebhookService
from storage.automation import TriggerRepository
from storage.automation_tables import Schedule
from storage.database import Database
from storage.errors import NotFound
from tests.services.running import LOUD, Place, chain, until

ASKING = chain(("say", "say", {}), ("ask", "ask", {}))
#: No time of its own comes while a test runs, as one of every minute now and then would.
YEARLY = "0 4 29 2 *"


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    here = Place(tmp_path)
    yield here
    await here.close()


async def make_due(place: Place, schedule_id: str, ago_s: float = 1) -> None:
    values = {"next_at": time.time() - ago_s}
    TriggerRepository(place.db).change(Schedule, schedule_id, values)


async def the_only(place: Place, workflow_id: str) -> ScheduleView:
    [schedule] = await place.schedules.list(workflow_id)
    return schedule


async def outcome(place: Place, workflow_id: str) -> str:
    return (await the_only(place, workflow_id)).last_outcome


async def test_a_schedule_runs_its_workflow_when_it_is_due(place: Place) -> None:
    workflow_id = (await place.workflows.create(LOUD)).workflow_id
    made = await place.schedules.add(
        workflow_id, "0 9 * * 1-5", timezone="Europe/Berlin", input_data={"who": "anna"}
    )
    assert made.description == "Monday to Friday at 09:00"
    assert made.next_at
    assert made.next_words
    await make_due(place, made.schedule_id)
    place.schedules.start()
    await until(lambda: started(place, workflow_id))
    schedule = await the_only(place, workflow_id)
    assert schedule.last_run_id is not None
    run = await place.runs.wait(schedule.last_run_id, 30)
    assert (run.trigger, run.durable, run.input_data) == ("schedule", True, {"who": "anna"})
    assert (schedule.last_outcome, schedule.last_note) == ("started", "")
    assert schedule.next_at is not None
    assert schedule.next_at > schedule.last_at  # type: ignore[operator]


async def started(place: Place, workflow_id: str) -> bool:
    return await outcome(place, workflow_id) == "started"


async def test_times_that_were_missed_are_not_made_up_for(place: Place) -> None:
    workflow_id = (await place.workflows.create(LOUD)).workflow_id
    made = await place.schedules.add(workflow_id, YEARLY)
    await make_due(place, made.schedule_id, ago_s=86_400)
    place.schedules.start()
    await until(lambda: missed(place, workflow_id))
    assert (await place.runs.list()).total == 0
    schedule = await the_only(place, workflow_id)
    assert "was not running" in schedule.last_note


async def missed(place: Place, workflow_id: str) -> bool:
    return await outcome(place, workflow_id) == "missed"


async def test_a_schedule_whose_time_zone_is_gone_is_paused_and_holds_up_no_other(
    place: Place,
) -> None:
    lost = (await place.workflows.create(LOUD)).workflow_id
    other = (await place.workflows.create(LOUD)).workflow_id
    for workflow_id, ago_s, zone in ((lost, 5, "Mars/Olympus"), (other, 1, "UTC")):
        made = await place.schedules.add(workflow_id, YEARLY)
        await make_due(place, made.schedule_id, ago_s)
        TriggerRepository(place.db).change(Schedule, made.schedule_id, {"timezone": zone})
    place.schedules.start()
    await until(lambda: started(place, other))
    schedule = await the_only(place, lost)
    assert (schedule.last_outcome, schedule.enabled, schedule.next_at) == ("failed", False, None)
    assert "Mars/Olympus" in schedule.last_note


async def test_a_time_is_skipped_while_the_run_before_is_under_way(place: Place) -> None:
    workflow_id = (await place.workflows.create(ASKING)).workflow_id
    made = await place.schedules.add(workflow_id, YEARLY)
    run_id = await place.schedules.fire(made.schedule_id)
    await make_due(place, made.schedule_id)
    place.schedules.start()
    await until(lambda: skipped(place, workflow_id))
    schedule = await the_only(place, workflow_id)
    assert schedule.last_run_id == run_id
    assert (await place.runs.list()).total == 1


async def skipped(place: Place, workflow_id: str) -> bool:
    return await outcome(place, workflow_id) == "skipped"


async def test_a_workflow_that_cannot_run_is_said_so(place: Place) -> None:
    broken = chain(("say", "say", {}), ("shout", "shout", {}))
    broken["nodes"][1]["type"] = "whisper"
    workflow_id = (await place.workflows.create(broken)).workflow_id
    made = await place.schedules.add(workflow_id, YEARLY)
    await make_due(place, made.schedule_id)
    place.schedules.start()
    await until(lambda: failed(place, workflow_id))
    assert "whisper" in (await the_only(place, workflow_id)).last_note


async def failed(place: Place, workflow_id: str) -> bool:
    return await outcome(place, workflow_id) == "failed"


async def test_schedules_are_paused_changed_and_removed(place: Place) -> None:
    workflow_id = (await place.workflows.create(LOUD)).workflow_id
    made = await place.schedules.add(workflow_id, "0 9 * * *")
    paused = await place.schedules.change(made.schedule_id, enabled=False)
    assert (paused.next_at, paused.next_words) == (None, "")
    moved = await place.schedules.change(made.schedule_id, cron="30 7 * * *", enabled=True)
    assert moved.description == "Every day at 07:30"
    assert moved.next_at
    for bad in ({"cron": "whenever"}, {"timezone": "Moon/Crater"}):
        with pytest.raises(BadSchedule):
            await place.schedules.change(made.schedule_id, **bad)
    await place.schedules.remove(made.schedule_id)
    assert await place.schedules.list(workflow_id) == []
    with pytest.raises(NotFound):
        await place.schedules.add("wf_no", "* * * * *")


@pytest.mark.parametrize(
    "text", ["", "x", "* * * * * *", "61 * * * *", "0 0 30 2 *", "* * * *", "0 9 * * 1-5; ls"]
)
def test_times_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(BadSchedule):
        check_cron(text)


def test_times_follow_the_clock_on_the_wall() -> None:
    zone = ZoneInfo("Europe/Berlin")

    def at(*parts: int) -> float:
        return datetime(*parts, tzinfo=zone).timestamp()  # type: ignore[arg-type, misc]

    def times(cron: str, after: float, count: int, zone: ZoneInfo = zone) -> list[str]:
        found = []
        for _ in range(count):
            after = next_time(cron, zone.key, after)
            found.append(datetime.fromtimestamp(after, zone).strftime("%d %H:%M"))
        return found

    # The hour from two to three does not exist on the 29th of March, and is there twice in October.
    assert times("30 2 * * *", at(2026, 3, 28, 12), 2) == ["29 03:30", "30 02:30"]
    assert times("30 2 * * *", at(2026, 10, 24, 12), 2) == ["25 02:30", "26 02:30"]
    assert times("0 9 * * *", at(2026, 3, 28, 12), 2) == ["29 09:00", "30 09:00"]
    # What is due every half hour does not pause for an hour when the clocks are put back.
    half_hours = ["25 02:00", "25 02:30", "25 02:00", "25 02:30", "25 03:00", "25 03:30"]
    for every_hour in ("*", "*/1", "0-23"):
        assert times(f"*/30 {every_hour} * * *", at(2026, 10, 25, 1, 45), 6) == half_hours
    assert times("*/30 * * * *", at(2026, 3, 29, 1, 15), 3) == ["29 01:30", "29 03:00", "29 03:30"]
    assert times("15 * * * *", at(2026, 10, 25, 1, 45), 3) == ["25 02:15", "25 02:15", "25 03:15"]
    # By half an hour, at two.
    howe = ZoneInfo("Australia/Lord_Howe")
    after = datetime(2026, 4, 5, 0, 50, tzinfo=howe).timestamp()
    assert times("45 * * * *", after, 3, howe) == ["05 01:45", "05 01:45", "05 02:45"]
    # By an hour, at midnight: the hour that comes twice is the last one of a day.
    beirut = ZoneInfo("Asia/Beirut")
    after = datetime(2026, 10, 24, 22, 50, tzinfo=beirut).timestamp()
    assert times("15 * 24 10 *", after, 3, beirut) == ["24 23:15", "24 23:15", "24 00:15"]


def test_times_are_put_in_words() -> None:
    assert in_words("*/5 * * * *") == "Every 5 minutes"
    assert in_words("15 * * * *") == "Every hour, 15 minutes past"
    assert in_words("0 7 * * 0") == "Every Sunday at 07:00"
    assert in_words("0 7 1 * *") == "On day 1 of each month at 07:00"
    assert in_words("1-5 7 1 2 *") == "At “1-5 7 1 2 *”"
    now = datetime(2026, 5, 4, 12, 0, tzinfo=ZoneInfo("UTC")).timestamp()
    words = [moment_in_words(now + s, "UTC", now) for s in (5, 61, 7200, 86_400, 3 * 86_400, 9e6)]
    assert words == [
        "in less than a minute",
        "in 1 minute",
        "today at 14:00",
        "tomorrow at 12:00",
        "on Thursday at 12:00",
        "on 16 August 2026 at 16:00",
    ]
    assert moment_in_words(now + 7200, "Lost/Zone", now) == "today at 14:00 UTC"


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("61 * * * *", "“61” is no minute."),
        ("0 25 * 13 *", "“25” is no hour; “13” is no month."),
        ("* * *", "“* * *” is no time to repeat."),
        ("0 9 31 2 *", "“0 9 31 2 *” never comes."),
    ],
)
def test_a_time_that_means_nothing_is_told_by_its_part(cron: str, said: str) -> None:
    with pytest.raises(BadSchedule) as error:
        check_cron(cron)
    assert error.value.message == said


async def token_of(place: Place, **more: Any) -> tuple[str, str | None]:
    workflow_id = (await place.workflows.create(LOUD)).workflow_id
    made = await place.webhooks.add(workflow_id, **more)
    assert made.url is not None
    [listed] = await place.webhooks.list(workflow_id)
    assert (listed.url, listed.secret) == (None, None)
    return made.url.rpartition("/")[2], made.secret


async def test_a_webhook_maps_the_body_to_inputs(place: Place) -> None:
    token, _ = await token_of(
        place, mapping={"who": "order.buyers.1.name", "all": ""}, input_data={"note": "hi"}
    )
    body = {"order": {"buyers": [{"name": "anna"}, {"name": "bert"}]}}
    run_id = await place.webhooks.call(token, json.dumps(body).encode())
    run = await place.runs.wait(run_id, 30)
    assert run.input_data == {"who": "bert", "all": body, "note": "hi"}
    assert (run.trigger, run.durable) == ("webhook", True)
    assert run.outputs == {"end": {"text": "BERT!?"}}
    [hook] = await place.webhooks.list(run.workflow_id or "")
    assert (hook.calls, hook.last_run_id) == (1, run_id)


@pytest.mark.parametrize(
    ("body", "inputs"),
    [
        (b'{"who": "anna"}', {"who": "anna"}),
        (b"", {}),
        (b"plain words", {"body": "plain words"}),
        (b"[1, 2]", {"body": [1, 2]}),
    ],
)
async def test_without_a_mapping_names_are_taken_as_they_are(
    place: Place, body: bytes, inputs: dict[str, Any]
) -> None:
    token, _ = await token_of(place)
    run = await place.runs.wait(await place.webhooks.call(token, body), 30)
    assert run.input_data == inputs


async def test_a_webhook_refuses_what_it_should(place: Place) -> None:
    token, secret = await token_of(place, signed=True)
    assert secret is not None
    body = b'{"who": "anna"}'
    good = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()

    async def refused(token: str, body: bytes, **more: str) -> str:
        with pytest.raises(RagloomError) as error:
            await place.webhooks.call(token, body, **more)
        return error.value.code

    assert await refused(token, body) == "unauthorized"
    assert await refused(token, body, signature=good[:-1] + "é") == "unauthorized"
    assert await refused(token, body + b" ", signature=f"sha256={good}") == "unauthorized"
    assert await refused(token + "x", body, signature=good) == "not_found"
    assert await refused(token, b"x" * (MAX_HOOK_BYTES + 1)) == "too_large"
    assert (await place.runs.list()).total == 0
    await place.webhooks.call(token, body, signature=f"sha256={good}")
    open_token, _ = await token_of(place)
    for bad in (b"{", b'{"a": NaN}', b'{"a": "\\ud800"}', b"[" * 100_000):
        assert await refused(open_token, bad) == "not_json"


def signed_with_time(secret: str | None, body: bytes, sent_at: str) -> dict[str, str]:
    """What a sender says of a body that it signs with a time."""
    digest = hmac.new((secret or "").encode(), f"v1:{sent_at}.".encode() + body, hashlib.sha256)
    return {"signature": f"sha256={digest.hexdigest()}", "sent_at": sent_at}


async def test_a_request_that_was_signed_with_its_time_counts_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, secret = await token_of(place, signed=True)
    body = b'{"who": "anna"}'
    signed = partial(signed_with_time, secret, body)

    async def refused(**more: str) -> str:
        with pytest.raises(RagloomError) as error:
            await place.webhooks.call(token, body, **more)
        return error.value.code

    now = str(int(time.time()))
    start = place.runs.start

    async def busy(**what: Any) -> str:
        raise RagloomError("Too many runs wait.", code="busy")

    monkeypatch.setattr(place.runs, "start", busy)
    assert await refused(**signed(now)) == "busy"
    monkeypatch.setattr(place.runs, "start", start)
    await place.webhooks.call(token, body, **signed(now))  # what was not taken may come again
    assert await refused(**signed(now)) == "conflict"
    assert await refused(signature=signed(now)["signature"]) == "unauthorized"
    for wrong in ("0", "soon", "9" * 400, "٣"):
        assert await refused(**signed(wrong)) == "unauthorized"
    assert (await place.runs.list()).total == 1


async def test_what_was_signed_with_a_time_is_not_taken_without_it(place: Place) -> None:
    token, secret = await token_of(place, signed=True)
    body, now = b'{"who": "anna"}', str(int(time.time()))
    overheard = signed_with_time(secret, body, now)
    await place.webhooks.call(token, body, **overheard)
    # Neither does it count as another request, nor does its failure have the first forgotten.
    for content_type in ("text/plain", "application/json"):
        for begins in (f"v1:{now}.", f"{now}."):
            with pytest.raises(RagloomError) as error:
                await place.webhooks.call(
                    token,
                    begins.encode() + body,
                    signature=overheard["signature"],
                    content_type=content_type,
                )
            assert error.value.code == "unauthorized"
    with pytest.raises(RagloomError, match="taken already"):
        await place.webhooks.call(token, body, **overheard)
    assert (await place.runs.list()).total == 1
    # Nor may a sender sign what another could give out for a request with a time.
    misleading = f"v1:{now}.more".encode()
    without = hmac.new((secret or "").encode(), misleading, hashlib.sha256).hexdigest()
    with pytest.raises(RagloomError, match="which it lacks"):
        await place.webhooks.call(token, misleading, signature=without)


async def test_a_request_counts_once_after_a_restart_too(place: Place) -> None:
    token, secret = await token_of(place, signed=True)
    body = b'{"who": "anna"}'
    said = signed_with_time(secret, body, str(int(time.time())))
    await place.webhooks.call(token, body, **said)
    same = Database(place.db.url.render_as_string(hide_password=False))
    try:
        other = WebhookService(TriggerRepository(same), place.runs, place.workflows)
        with pytest.raises(RagloomError, match="taken already"):
            await other.call(token, body, **said)
    finally:
        same.close()
    assert (await place.runs.list()).total == 1


async def test_a_request_whose_sender_hung_up_counts(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, secret = await token_of(place, signed=True)
    body = b'{"who": "anna"}'
    said = signed_with_time(secret, body, str(int(time.time())))
    begun, go_on, start = asyncio.Event(), threading.Event(), place.repository.start
    loop = asyncio.get_running_loop()

    def slowly(**what: Any) -> Any:
        loop.call_soon_threadsafe(begun.set)
        assert go_on.wait(30)
        return start(**what)

    monkeypatch.setattr(place.repository, "start", slowly)
    sender = asyncio.create_task(place.webhooks.call(token, body, **said))
    try:
        await asyncio.wait_for(begun.wait(), 30)
        sender.cancel()
    finally:
        go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await sender
    with pytest.raises(RagloomError, match="taken already"):
        await place.webhooks.call(token, body, **said)
    assert (await place.runs.list()).total == 1


async def test_a_body_without_anything_that_the_webhook_takes_is_refused(place: Place) -> None:
    token, _ = await token_of(place, mapping={"who": "order.name", "note": "note"})
    for body in (b'{"name": "anna"}', b"[]", b"plain words"):
        with pytest.raises(RagloomError, match=r"nothing at “order\.name”, “note”") as error:
            await place.webhooks.call(token, body)
        assert error.value.code == "bad_body"
    for body in (b"", b'{"order": {"name": "anna"}}'):
        await place.runs.wait(await place.webhooks.call(token, body), 30)


async def test_a_renewed_webhook_answers_at_its_new_address_only(place: Place) -> None:
    workflow_id = (await place.workflows.create(LOUD)).workflow_id
    made = await place.webhooks.add(workflow_id, name="CRM", signed=True)
    renewed = await place.webhooks.renew(made.webhook_id)
    assert (renewed.webhook_id, renewed.name) == (made.webhook_id, "CRM")
    assert made.url
    assert made.secret
    assert renewed.url
    assert renewed.secret
    assert renewed.url != made.url
    assert renewed.secret != made.secret
    with pytest.raises(RagloomError) as error:
        await place.webhooks.call(made.url.rpartition("/")[2], b"")
    assert error.value.code == "not_found"
    token = renewed.url.rpartition("/")[2]
    with pytest.raises(RagloomError) as error:
        await place.webhooks.call(token, b"", signature=signed(made.secret, b""))
    assert error.value.code == "unauthorized"
    await place.webhooks.call(token, b"", signature=signed(renewed.secret, b""))


def signed(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


async def test_a_paused_webhook_answers_as_if_it_were_not_there(place: Place) -> None:
    workflow_id = (await place.workflows.create(LOUD)).workflow_id
    made = await place.webhooks.add(workflow_id)
    assert made.url is not None
    await place.webhooks.change(made.webhook_id, enabled=False)
    with pytest.raises(RagloomError) as error:
        await place.webhooks.call(made.url.rpartition("/")[2], b"")
    assert error.value.code == "not_found"
    # The token itself is nowhere in the database.
    await asyncio.to_thread(place.db.close)
    token = made.url.rpartition("/")[2].encode()
    file = place.db.url.database
    assert file is not None
    assert token not in Path(file).read_bytes()
