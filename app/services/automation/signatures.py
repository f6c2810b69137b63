"""Signatures of requests to webhooks: who sent them, when, and that each counts once."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from app.engine.problems import RagloomError
from app.services.threads import call

if TYPE_CHECKING:
    from storage.automation import TriggerRepository

#: Seconds that the clocks of a sender and of this server may be apart, transport included.
_APART_S = 300.0
#: Seconds that a signature is remembered: longer than its time is near by any server's clock.
_REMEMBERED_S = 3600.0
#: What is signed with a time begins so, and no body without one may: one signature would fit both.
_TIMED = re.compile(rb"v1:\d+\.")


@asynccontextmanager
async def once(
    stored: TriggerRepository, secret: str, body: bytes, signature: str, sent_at: str
) -> AsyncIterator[None]:
    """Take a request with the HMAC-SHA-256 of its body, or of “v1:TIME.body” where it has a time.

    One with a time is taken once, and only near that time: whoever overheard it cannot send it
    again, to another server of the same database neither. Raises RagloomError “unauthorized”, or
    “conflict” for one that was taken before. What fails inside may be sent again.
    """
    signed = b"v1:" + sent_at.encode("utf-8", "surrogatepass") + b"." + body if sent_at else body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    given = signature.strip().removeprefix("sha256=").lower()
    if not hmac.compare_digest(digest.encode(), given.encode("utf-8", "surrogatepass")):
        raise RagloomError(
            "The signature of the request is missing or wrong.",
            code="unauthorized",
            fix="Send the header “X-Signature-256: sha256=HEX”, the HMAC-SHA-256 of the body; with "
            "the header “X-Signature-Time”, that of “v1:TIME.BODY”.",
        )
    if not sent_at:
        if _TIMED.match(body):
            raise RagloomError(
                "The request was signed with a time, which it lacks.",
                code="unauthorized",
                fix="Send the time in the header “X-Signature-Time”, and the body without it.",
            )
        yield
        return
    await _take(stored, digest, sent_at)
    try:
        yield
    except Exception:
        # Not where the sender hangs up: what it asked for is done all the same.
        await call(stored.release_signature, digest)
        raise


async def _take(stored: TriggerRepository, digest: str, sent_at: str) -> None:
    now = time.time()
    digits = re.fullmatch(r"[0-9]{1,15}", sent_at)
    if digits is None or abs(now - int(sent_at)) > _APART_S:
        raise RagloomError(
            "The request was signed too long ago, or its time is wrong.",
            code="unauthorized",
            fix="Send “X-Signature-Time” in seconds since 1970, sign anew for each attempt, and "
            "set the clock of the sender.",
        )
    if not await call(stored.take_signature, digest, now, now + _REMEMBERED_S):
        raise RagloomError(
            "This request was taken already.",
            code="conflict",
            fix="Sign it with the time of now to send it on purpose.",
        )
