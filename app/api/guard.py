"""What stands before every request: host, origin, size, session of the pages, safe headers.

Pure ASGI, so that websockets pass the same checks.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode

from app.api.hosts import HostPolicy, same_origin
from app.api.login import login_page

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS", "TRACE"}
#: Answered without a session: these ask for a key themselves, or tell nothing.
#: The last is the chat of whoever has a link: its token is the key.
_OPEN_PATHS = ("/api/", "/docs/", "/hooks/", "/c/")
_OPEN_EXACT = {
    "/api", "/hooks", "/docs", "/openapi.json", "/health", "/ready", "/metrics", "/login"
}  # fmt: skip
#: Asked by the scripts of pages, which have no use for the form to sign in.
_FOR_SCRIPTS = "/_chat/"
#: A cookie that was good is trusted for this long without asking the database again.
_TRUST_S = 30.0
_MAX_TRUSTED = 1_000
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)


class Sessions(Protocol):
    """Who has come in through a link."""

    session_days: int

    async def redeem(self, token: str) -> str | None:
        """Trade a one-time token for a session cookie."""

    async def sign_in(self, secret: str) -> str | None:
        """Trade an API key for a session cookie."""

    async def session_ok(self, cookie: str) -> bool:
        """Whether a cookie belongs to a session."""


class Guard:
    """ASGI middleware around the whole server."""

    def __init__(
        self,
        app: App,
        *,
        sessions: Callable[[], Sessions],
        hosts: HostPolicy,
        cookie: str,
        max_body: int,
        max_upload: int,
    ) -> None:
        self.app = app
        self.sessions = sessions
        self.hosts = hosts
        self.cookie = cookie
        self.max_body = max_body
        self.max_upload = max_upload
        self._trusted: dict[str, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        if scope["type"] == "http":
            send = _with_headers(send, headers.get("host", ""), allowed=self.hosts.allows)
        reply = _Reply(scope, receive, send)
        if await self._refused(scope, headers, reply):
            return
        path = scope["path"]
        if scope["type"] == "http":
            receive = _limited(receive, self._limit(path))
            if path == "/login":
                await self._login(scope, receive, reply)
                return
        if not self._is_open(path):
            if await self._redeemed(scope, headers, reply):
                return
            if not await self._has_session(headers):
                if path.startswith(_FOR_SCRIPTS):
                    await reply.problem(
                        401, "unauthorized", "Your session has ended.", "Reload the page."
                    )
                else:
                    await reply.login(401)
                return
        await self.app(scope, receive, send)

    async def _refused(self, scope: Scope, headers: dict[str, str], reply: _Reply) -> bool:
        """Answer a request that comes under a wrong name, from another site, or is too large."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self.hosts.allows(host):
            await reply.problem(
                421,
                "host_not_allowed",
                f"This server does not answer to the name “{host[:100]}”.",
                "Open it under localhost or its address, or add the name to allowed_hosts.",
            )
            return True
        unsafe = scope["type"] == "websocket" or scope["method"] not in _SAFE_METHODS
        if unsafe and origin is not None and not same_origin(origin, host):
            await reply.problem(
                403,
                "origin_not_allowed",
                f"Requests from {origin[:100]} are not accepted.",
                "Open the page under the same address as the server.",
            )
            return True
        length, limit = headers.get("content-length", ""), self._limit(scope["path"])
        if length.isdigit() and int(length) > limit:
            # The connection stays open, and what is still sent is thrown away: a client loses the
            # answer when its connection is closed under it.
            await reply.problem(
                413,
                "too_large",
                f"The request is larger than {limit / 1_048_576:.4g} MB.",
                "Send less at once, or raise max_request_mb or max_workflow_mb.",
            )
            return True
        return False

    def _limit(self, path: str) -> int:
        uploads = "/documents" in path or path.startswith("/_nicegui/")
        return self.max_upload if uploads else self.max_body

    @staticmethod
    def _is_open(path: str) -> bool:
        return path in _OPEN_EXACT or path.startswith(_OPEN_PATHS)

    async def _has_session(self, headers: dict[str, str]) -> bool:
        value = _cookie(headers.get("cookie", ""), self.cookie)
        if not value:
            return False
        now = time.monotonic()
        if self._trusted.get(value, 0.0) > now:
            return True
        if not await self.sessions().session_ok(value):
            return False
        if len(self._trusted) >= _MAX_TRUSTED:
            self._trusted.clear()
        self._trusted[value] = now + _TRUST_S
        return True

    async def _redeemed(self, scope: Scope, headers: dict[str, str], reply: _Reply) -> bool:
        if scope["type"] != "http" or scope["method"] != "GET":
            return False
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        token = dict(query).get("token")
        if token is None or "prefetch" in headers.get("sec-purpose", ""):
            return False
        rest = urlencode([(k, v) for k, v in query if k != "token"])
        # Only a path of this server: "//other.example" would lead away.
        target = "/" + scope["path"].lstrip("/") + (f"?{rest}" if rest else "")
        cookie = await self.sessions().redeem(token)
        if cookie is not None:
            await reply.redirect(target, self._set_cookie(cookie, scope))
        elif await self._has_session(headers):
            await reply.redirect(target)
        else:
            await reply.login(401, "This link was used before or is too old.")
        return True

    async def _login(self, scope: Scope, receive: Receive, reply: _Reply) -> None:
        if scope["method"] != "POST":
            await reply.login(200)
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body") or len(body) > 10_000:
                break
        form = dict(parse_qsl(body.decode("utf-8", "replace")))
        cookie = await self.sessions().sign_in(form.get("api_key", "").strip())
        if cookie is None:
            await reply.login(401, "No such API key.")
        else:
            await reply.redirect("/", self._set_cookie(cookie, scope))

    def _set_cookie(self, value: str, scope: Scope) -> str:
        secure = "; Secure" if scope["scheme"] == "https" else ""
        age = self.sessions().session_days * 86_400
        return f"{self.cookie}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}"


class BodyTooLarge(Exception):
    """A body without a declared length went past the limit, in bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


class _Reply:
    """Answers given without asking the application."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope, self.receive, self.send = scope, receive, send

    async def problem(self, status: int, code: str, message: str, fix: str) -> None:
        error = {"code": code, "message": f"{message} {fix}", "details": []}
        await self._send(status, "application/json", json.dumps({"error": error}).encode(), [])

    async def login(self, status: int, note: str = "") -> None:
        html = login_page(note).encode()
        await self._send(
            status, "text/html; charset=utf-8", html, [(b"cache-control", b"no-store")]
        )

    async def redirect(self, target: str, cookie: str | None = None) -> None:
        extra = [(b"location", target.encode("latin-1")), (b"cache-control", b"no-store")]
        if cookie:
            extra.append((b"set-cookie", cookie.encode("latin-1")))
        await self._send(303, "text/plain", b"", extra)

    async def _send(
        self, status: int, kind: str, body: bytes, extra: list[tuple[bytes, bytes]]
    ) -> None:
        if self.scope["type"] == "websocket":
            await self.receive()
            await self.send({"type": "websocket.close", "code": 1008})
            return
        headers = [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(body))]
        await self.send(
            {"type": "http.response.start", "status": status, "headers": headers + extra}
        )
        await self.send({"type": "http.response.body", "body": body})


def _with_headers(send: Send, host: str, allowed: Callable[[str], bool]) -> Send:
    # A name that is not answered has no place in a header either.
    host = host if allowed(host) else "localhost"
    policy = (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
        f"connect-src 'self' ws://{host} wss://{host}; worker-src 'self' blob:; "
        "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
    ).encode("latin-1")

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = message["headers"] = list(message.get("headers", ()))
            present = {name.lower() for name, _ in headers}
            for name, value in (*_HEADERS, (b"content-security-policy", policy)):
                if name not in present:
                    headers.append((name, value))
        await send(message)

    return sending


def _limited(receive: Receive, limit: int) -> Receive:
    seen = 0

    async def receiving() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > limit:
                raise BodyTooLarge(limit)
        return message

    return receiving


def _cookie(header: str, name: str) -> str:
    try:
        morsel = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return morsel.value if morsel else ""
