"""Webhooks: addresses that run a workflow with what is sent to them."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from app.engine.problems import RagloomError
from app.services.automation.room import check_room
from app.services.automation.signatures import once
from app.services.clock import iso
from app.services.threads import call
from app.services.views import View
from storage.automation import new_webhook_id
from storage.automation_tables import Webhook

if TYPE_CHECKING:
    from app.services.runs.service import RunService
    from app.services.workflows.service import WorkflowService
    from storage.automation import TriggerRepository

#: Randomness of an address, and of a secret, in bytes.
_TOKEN_BYTES = 32
#: Largest body of a webhook, in bytes.
MAX_HOOK_BYTES = 1024 * 1024


class WebhookView(View):
    """An address that runs a workflow; `url` is known only when it is made."""

    webhook_id: str
    workflow_id: str
    name: str
    mapping: dict[str, str]
    input_data: dict[str, Any]
    enabled: bool
    #: Whether requests have to be signed.
    signed: bool
    last_at: str | None
    last_run_id: str | None
    calls: int
    created_at: str
    #: Path with its token: shown once.
    url: str | None = None
    #: Key of the signatures: shown once.
    secret: str | None = None


class WebhookService:
    """Webhooks of workflows."""

    def __init__(
        self, stored: TriggerRepository, runs: RunService, workflows: WorkflowService
    ) -> None:
        self._stored = stored
        self._runs = runs
        self._workflows = workflows

    async def list(self, workflow_id: str) -> list[WebhookView]:
        """Webhooks of a workflow, oldest first."""
        await self._workflows.get(workflow_id)
        return [webhook_view(row) for row in await call(self._stored.webhooks, workflow_id)]

    async def add(
        self,
        workflow_id: str,
        *,
        name: str = "",
        mapping: Mapping[str, str] | None = None,
        input_data: Mapping[str, Any] | None = None,
        signed: bool = False,
    ) -> WebhookView:
        """Make an address that runs a workflow; the view holds it, this once.

        `mapping` says which part of the body each input gets (“order.items”; empty for the whole
        body); without it, an object's values go to the inputs of their names.
        """
        await check_room(self._stored, self._workflows, Webhook, workflow_id)
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        row = Webhook(
            id=new_webhook_id(),
            workflow_id=workflow_id,
            name=name.strip()[:200],
            token_hash=_hash(token),
            secret=secrets.token_urlsafe(_TOKEN_BYTES) if signed else "",
            mapping=_mapping(mapping),
            input_data=dict(input_data or {}),
            created_at=time.time(),
        )
        await call(self._stored.add, row)
        shown = {"url": f"/hooks/{token}", "secret": row.secret or None}
        return webhook_view(row).model_copy(update=shown)

    async def change(self, webhook_id: str, **values: Any) -> WebhookView:
        """Change name, mapping, input_data or enabled."""
        given = {name: value for name, value in values.items() if value is not None}
        if "mapping" in given:
            given["mapping"] = _mapping(given["mapping"])
        await call(self._stored.change, Webhook, webhook_id, given)
        return webhook_view(await call(self._stored.webhook, webhook_id))

    async def renew(self, webhook_id: str) -> WebhookView:
        """Give a webhook a new address, and secret if it has one; the view holds them, this once.

        The address before it answers no more from then on.
        """
        row = await call(self._stored.webhook, webhook_id)
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        secret = secrets.token_urlsafe(_TOKEN_BYTES) if row.secret else ""
        given = {"token_hash": _hash(token), "secret": secret}
        await call(self._stored.change, Webhook, webhook_id, given)
        shown = {"url": f"/hooks/{token}", "secret": secret or None}
        return webhook_view(row).model_copy(update=shown)

    async def remove(self, webhook_id: str) -> None:
        """Forget a webhook: its address answers no more."""
        await call(self._stored.remove, Webhook, webhook_id)

    async def call(
        self,
        token: str,
        body: bytes,
        *,
        signature: str = "",
        sent_at: str = "",
        content_type: str = "",
    ) -> str:
        """Start the workflow behind an address, and return the run.

        `sent_at` is the time that was signed with the body, if it was. Raises RagloomError
        “not_found” for an unknown or paused address, “unauthorized” for a missing, wrong or old
        signature, “conflict” for a request that was taken before, “too_large”, “not_json”,
        “bad_body” where the body has nothing of what the webhook takes.
        """
        row = await call(self._stored.webhook_by_token, _hash(token))
        if row is None or not row.enabled:
            raise RagloomError(
                "There is no webhook at this address.",
                code="not_found",
                fix="Make one on the automation page of the workflow, and use its whole address.",
            )
        if len(body) > MAX_HOOK_BYTES:
            raise RagloomError(
                f"The body is larger than {MAX_HOOK_BYTES // 1024:,} KB.",
                code="too_large",
                fix="Send less, or send the address of the data.",
            )
        taking = (
            once(self._stored, row.secret, body, signature, sent_at)
            if row.secret
            else nullcontext()
        )
        async with taking:
            data = {**row.input_data, **_inputs(body, content_type, row.mapping)}
            run_id = await self._runs.start(
                workflow_id=row.workflow_id, input_data=data, trigger="webhook"
            )
        await call(self._stored.called, row.id, run_id)
        return run_id


def webhook_view(row: Webhook) -> WebhookView:
    """A webhook as pages and programs get it, without its address."""
    return WebhookView(
        webhook_id=row.id,
        workflow_id=row.workflow_id,
        name=row.name,
        mapping=row.mapping,
        input_data=row.input_data,
        enabled=row.enabled,
        signed=bool(row.secret),
        last_at=iso(row.last_at) if row.last_at else None,
        last_run_id=row.last_run_id,
        calls=row.calls,
        created_at=iso(row.created_at),
    )


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _mapping(mapping: Mapping[str, str] | None) -> dict[str, str]:
    mapping = mapping or {}
    if len(mapping) > 100 or any(len(k) > 200 or len(v) > 500 for k, v in mapping.items()):
        raise RagloomError(
            "The mapping is too large.", code="too_large", fix="Map at most 100 inputs."
        )
    return dict(mapping)


def _inputs(body: bytes, content_type: str, mapping: Mapping[str, str]) -> dict[str, Any]:
    data: Any
    text = body.decode("utf-8", "replace")
    is_json = "json" in content_type.lower() or text.lstrip()[:1] in ("{", "[")
    if is_json and text.strip():
        try:
            data = json.loads(text)
            json.dumps(data, ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, RecursionError):
            raise RagloomError(
                "The body is not JSON.", code="not_json", fix="Send a JSON object in UTF-8."
            ) from None
    else:
        data = text
    if mapping:
        found = {name: _at(data, path) for name, path in mapping.items()}
        taken = {name: value for name, value in found.items() if value is not None}
        if not taken and text.strip():
            places = ", ".join(f"“{path}”" for path in mapping.values())
            raise RagloomError(
                f"The body has nothing at {places}, which is all that this webhook takes.",
                code="bad_body",
                fix="Send it there, or change what the webhook takes on the automation page.",
            )
        return taken
    if isinstance(data, dict):
        return data
    return {} if data in ("", None) else {"body": data}


def _at(data: Any, path: str) -> Any:
    for part in path.split(".") if path else ():
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and part.isdigit() and int(part) < len(data):
            data = data[int(part)]
        else:
            return None
    return data
