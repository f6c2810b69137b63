"""Requests to web servers: only to hosts that the settings name, and to nothing behind them.

A workflow is a file that anybody may send, so it decides neither where requests may go nor what
else they reach: each address, and each redirect, is compared with the settings; the name is looked
up once, all its addresses are checked, and the connection goes to the address that was checked, so
that a name which changes its mind in between (DNS rebinding) changes nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from app.engine.context import Secret, WebRequest, WebResponse
from app.services.threads import call
from app.services.web_address import (
    Resolve,
    WebError,
    fits,
    is_near,
    is_public,
    look_up,
    parse_url,
)
from app.settings import SECRET_PREFIX

if TYPE_CHECKING:
    import httpx


BLOT = "•••"
_MAX_HEADERS = 100
_MAX_HEADER_CHARS = 16_384
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
#: Headers that belong to the connection; a request must not forge them.
_OWN_HEADERS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer",
     "proxy-authorization", "proxy-connection", "keep-alive", "expect", "accept-encoding"}
)  # fmt: skip
#: Headers that stay behind when a redirect leads to another server.
_PRIVATE_HEADERS = frozenset({"authorization", "cookie"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,200}")


@dataclass(frozen=True, slots=True)
class _Target:
    url: httpx.URL
    host: str
    port: int
    may_be_private: bool

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.url.scheme, self.host, self.port

    @property
    def shown(self) -> str:
        return _shown(self.host, self.port)


class WebService:
    """Serves the engine's `Web`.

    `allow` and `allow_private` are host names, `*.domain` or addresses, each with an optional
    `:port` (80 and 443 otherwise); “*” in `allow` stands for every public host. Hosts at private
    addresses are reached only where `allow_private` names them.
    """

    def __init__(
        self,
        allow: Sequence[str] = (),
        allow_private: Sequence[str] = (),
        *,
        resolve: Resolve | None = None,
        environ: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._allow = tuple(allow)
        self._allow_private = tuple(allow_private)
        self._resolve = resolve or look_up
        self._environ = os.environ if environ is None else environ
        self._tls = tls

    def check(self, url: str) -> None:
        """Raise RagloomError 'host_not_allowed' or 'bad_url' unless `url` may be asked."""
        self._target(url)

    async def check_address(self, url: str) -> None:
        """The same, and that its host is found at an address that may be reached."""
        await self._addresses(self._target(url))

    async def fetch(self, request: WebRequest) -> WebResponse:
        """Send a request and follow its redirects, each checked like the first address."""
        secrets = self._secrets(request.headers)
        try:
            async with asyncio.timeout(request.timeout_s):
                return await self._follow(request, secrets)
        except TimeoutError as error:
            raise WebError(
                f"{_host_of(request.url)} did not answer within {request.timeout_s:g} s.",
                code="timeout",
                fix="Try again, or raise the time limit of the request.",
            ) from error

    async def _follow(self, request: WebRequest, secrets: Mapping[str, str]) -> WebResponse:
        target = self._target(request.url)
        method, body = request.method.upper(), request.body
        if method not in _METHODS:
            raise WebError(
                f"“{method[:20]}” is not a method of requests.",
                code="bad_request",
                fix=f"Use one of: {', '.join(sorted(_METHODS))}.",
            )
        headers = _filled_in(request.headers, secrets)
        private = _PRIVATE_HEADERS | {
            name.lower()
            for name, pieces in request.headers.items()
            if any(isinstance(piece, Secret) for piece in pieces)
        }
        for _ in range(request.max_redirects + 1):
            status, answered, content = await self._send(target, method, headers, body, request)
            place = answered.get("location", "")
            if status not in _REDIRECTS or not place or request.max_redirects == 0:
                return _without_secrets(status, target, answered, content, secrets)
            following = self._target(str(target.url.join(place)))
            if following.origin != target.origin:
                headers = {n: v for n, v in headers.items() if n.lower() not in private}
            if status == 303 or (status in (301, 302) and method == "POST"):
                method, body = ("HEAD" if method == "HEAD" else "GET"), b""
                headers = {n: v for n, v in headers.items() if n.lower() != "content-type"}
            target = following
        raise WebError(
            f"{_host_of(request.url)} redirected more than {request.max_redirects} times.",
            code="too_many_redirects",
            fix="Use the address that the redirects end at.",
        )

    # -- where a request may go -----------------------------------------------------------

    def _target(self, address: str) -> _Target:
        url = parse_url(address)
        host = url.raw_host.decode("ascii").lower().strip("[]").rstrip(".")
        port = url.port or (443 if url.scheme == "https" else 80)
        private = any(fits(entry, host, port) for entry in self._allow_private)
        if not private and not any(fits(entry, host, port) for entry in self._allow):
            shown = _shown(host, port)
            raise WebError(
                f"“{shown}” is at a private address, which requests may not reach."
                if is_near(host)
                else f"Requests to “{shown}” are not allowed.",
                code="host_not_allowed",
                fix=_way_in(host, shown),
                found=shown,
                expected=list(self._allow + self._allow_private),
            )
        return _Target(url, host, port, private)

    async def _addresses(self, target: _Target) -> Sequence[str]:
        try:
            found = await self._resolve(target.host, target.port)
        except OSError:
            found = ()
        if not found:
            raise WebError(
                f"The host “{target.host}” cannot be found.",
                code="host_unreachable",
                fix="Check the address and this server's connection.",
            )
        if not target.may_be_private:
            for address in found:
                if not is_public(address):
                    raise WebError(
                        f"“{target.host}” is at a private address, which requests may not reach.",
                        code="private_address",
                        fix=f"If it is yours to ask, add “{target.shown}” to the setting "
                        "http_allow_private (RAGLOOM_HTTP_ALLOW_PRIVATE) and start the server again.",
                        found=target.host,
                    )
        return found

    # -- sending --------------------------------------------------------------------------

    async def _send(
        self,
        target: _Target,
        method: str,
        headers: Mapping[str, str],
        body: bytes,
        request: WebRequest,
    ) -> tuple[int, dict[str, str], bytes]:
        import httpx

        addresses = await self._addresses(target)
        default = 443 if target.url.scheme == "https" else 80
        name = f"[{target.host}]" if ":" in target.host else target.host
        sent = {
            **headers,
            "Host": name if target.port == default else f"{name}:{target.port}",
            "Accept-Encoding": "gzip",
        }
        if self._tls is None and target.url.scheme == "https":
            self._tls = await call(httpx.create_ssl_context)
        # Neither proxies nor credentials of the server's own environment take part.
        async with httpx.AsyncClient(
            verify=self._tls if self._tls is not None else False,  # False: plain HTTP
            trust_env=False,
            timeout=request.timeout_s,
            follow_redirects=False,
        ) as client:
            for place, address in enumerate(addresses, start=1):
                message = client.build_request(
                    method,
                    target.url.copy_with(host=address, port=target.port),
                    headers=[(name.encode(), value.encode()) for name, value in sent.items()],
                    content=body,
                    # The certificate is checked for the name, not for the address.
                    extensions={"sni_hostname": target.host},
                )
                try:
                    response = await client.send(message, stream=True)
                except httpx.ConnectError as error:
                    if place < len(addresses) and not _is_about_tls(error):
                        continue
                    raise _no_connection(target, error) from error
                except (httpx.HTTPError, httpx.InvalidURL) as error:
                    raise _broken(target, error) from error
                try:
                    content = await _read(response, request.max_bytes, target)
                except httpx.HTTPError as error:
                    raise _broken(target, error) from error
                finally:
                    await response.aclose()
                answered = {n.lower(): v for n, v in list(response.headers.items())[:_MAX_HEADERS]}
                return response.status_code, answered, content
        raise AssertionError("a host without addresses was refused before")

    # -- secrets --------------------------------------------------------------------------

    def _secrets(self, headers: Mapping[str, Sequence[str | Secret]]) -> dict[str, str]:
        """Values of the secrets that headers name."""
        names = {p.name for pieces in headers.values() for p in pieces if isinstance(p, Secret)}
        found: dict[str, str] = {}
        for name in sorted(names):
            value = self._environ.get(f"{SECRET_PREFIX}{name.upper()}", "")
            if not value:
                raise WebError(
                    f"The secret “{name}” is not set on this server.",
                    code="unknown_secret",
                    fix=f"Set {SECRET_PREFIX}{name.upper()} in the server's environment and start "
                    "it again.",
                    found=name,
                )
            found[name] = value
        return found


def _host_of(address: str) -> str:
    return str(parse_url(address).host)


def _filled_in(
    headers: Mapping[str, Sequence[str | Secret]], secrets: Mapping[str, str]
) -> dict[str, str]:
    filled: dict[str, str] = {}
    for name, pieces in headers.items():
        value = "".join(secrets[p.name] if isinstance(p, Secret) else p for p in pieces).strip()
        problem = ""
        if not _TOKEN.fullmatch(name):
            problem = "its name cannot be sent"
        elif name.lower() in _OWN_HEADERS:
            problem = "it is set by Ragloom itself"
        elif any((ord(c) < 32 and c != "\t") or ord(c) == 127 for c in value):
            problem = "its value holds a line break or control character"
        elif len(value) > _MAX_HEADER_CHARS:
            problem = f"its value is longer than {_MAX_HEADER_CHARS:,} characters"
        if problem or len(filled) >= _MAX_HEADERS:
            raise WebError(
                f"The header “{name[:60]}” cannot be sent: {problem or 'there are too many'}.",
                code="bad_request",
                fix="Correct or remove it.",
            )
        filled[name] = value
    return filled


def _without_secrets(
    status: int,
    target: _Target,
    headers: Mapping[str, str],
    content: bytes,
    secrets: Mapping[str, str],
) -> WebResponse:
    """The response; a server that repeats what it was sent must not give a secret away."""
    url = str(target.url)
    shown = dict(headers)
    for secret in secrets.values():
        for form in {secret, json.dumps(secret)[1:-1], quote(secret, safe="")}:
            content = content.replace(form.encode(), BLOT.encode())
            shown = {name: value.replace(form, BLOT) for name, value in shown.items()}
            url = url.replace(form, BLOT)
    return WebResponse(status=status, url=url, headers=shown, body=content)


async def _read(response: httpx.Response, limit: int, target: _Target) -> bytes:
    """The body, unpacked, at most `limit` bytes: a small answer may unpack to a large one."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip", ""):
        raise WebError(
            f"{target.host} sent its answer packed as “{encoding[:30]}”, which was not asked for.",
            code="bad_response",
            fix="Ask another address of that service.",
        )
    unpack = zlib.decompressobj(31) if "gzip" in encoding else None
    found = bytearray()
    try:
        async for piece in response.aiter_raw(65_536):
            room = limit + 1 - len(found)
            found += unpack.decompress(piece, room) if unpack is not None else piece[:room]
            if len(found) > limit:
                raise WebError(
                    f"{target.host} answered with more than {limit:,} bytes.",
                    code="response_too_large",
                    fix="Ask for less, or raise the size limit of the request.",
                    expected=limit,
                )
    except zlib.error as error:
        raise WebError(
            f"The answer of {target.host} cannot be unpacked.",
            code="bad_response",
            fix="Try again.",
        ) from error
    return bytes(found)


def _shown(host: str, port: int) -> str:
    """A host as the settings name it."""
    name = f"[{host}]" if ":" in host else host
    return name if port in (80, 443) else f"{name}:{port}"


def _way_in(host: str, shown: str) -> str:
    """What to do where no setting names a host."""
    private = "http_allow_private (RAGLOOM_HTTP_ALLOW_PRIVATE)"
    if is_near(host):
        return f"If it is yours to ask, add “{shown}” to the setting {private} and start the server again."
    return (
        f"Add “{shown}” to the setting http_allow (RAGLOOM_HTTP_ALLOW), or to {private} where it "
        "is in your own network, and start the server again."
    )


def _is_about_tls(error: BaseException) -> bool:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _no_connection(target: _Target, error: Exception) -> WebError:
    if _is_about_tls(error):
        return WebError(
            f"The certificate of {target.host} could not be verified.",
            code="bad_certificate",
            fix="Check the address; the server's certificate must be valid for its name.",
        )
    return WebError(
        f"{target.host} cannot be reached on port {target.port}.",
        code="host_unreachable",
        fix="Check the address, and whether the service is running.",
    )


def _broken(target: _Target, error: Exception) -> WebError:
    kind = type(error).__name__
    details: dict[str, Any] = {"found": kind}
    return WebError(
        f"The connection to {target.host} broke off ({kind}).",
        fix="Try again; give the node a retry if that happens often.",
        **details,
    )
