"""Signatures of requests to webhooks: who sent them, when, and that each counts once."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterator
from contextlib import contextmanager

from app.engine.problems import RagloomError

#: Seconds that the clocks of a sender and of this server may be apart, transport included.
_APART_S = 300.0


class Signatures:
    """Checks signatures. Belongs to the event loop."""

    def __init__(self) -> None:
        #: Signatures with a time that were taken, and when they may be forgotten, oldest first.
        self._taken: dict[str, float] = {}

    @contextmanager
    def once(self, secret: str, body: bytes, signature: str, sent_at: str) -> Iterator[None]:
        """Take a request with the HMAC-SHA-256 of its body, or of “TIME.body” where it has a time.

        One with a time is taken once, and only near that time: whoever overheard it cannot send it
        again. Raises RagloomError “unauthorized”, or “conflict” for one that was taken before. What
        fails inside may be sent again.
        """
        signed = f"{sent_at}.".encode("utf-8", "surrogatepass") + body if sent_at else body
        expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        given = signature.strip().removeprefix("sha256=").lower()
        if not hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogatepass")):
            raise RagloomError(
                "The signature of the request is missing or wrong.",
                code="unauthorized",
                fix="Send the header “X-Signature-256: sha256=HEX”, the HMAC-SHA-256 of the body.",
            )
        if sent_at:
            self._take(expected, sent_at)
        try:
            yield
        except BaseException:
            self._taken.pop(expected, None)
            raise

    def _take(self, signature: str, sent_at: str) -> None:
        now = time.time()
        if not sent_at.isdecimal() or abs(now - int(sent_at[:15])) > _APART_S:
            raise RagloomError(
                "The request was signed too long ago, or its time is wrong.",
                code="unauthorized",
                fix="Send “X-Signature-Time” in seconds since 1970, sign anew for each attempt, and "
                "set the clock of the sender.",
            )
        while self._taken and next(iter(self._taken.values())) < now:
            del self._taken[next(iter(self._taken))]
        if signature in self._taken:
            raise RagloomError(
                "This request was taken already.",
                code="conflict",
                fix="Sign it with the time of now to send it on purpose.",
            )
        self._taken[signature] = now + 2 * _APART_S
