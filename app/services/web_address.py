"""Web addresses: reading them, looking them up, and telling which may be asked."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from app.engine.problems import RagloomError

if TYPE_CHECKING:
    import httpx

_HOST = re.compile(rb"[\w.:-]{1,253}")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

#: (host, port) -> its addresses
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class WebError(RagloomError):
    """A request that was not sent, or got no answer."""

    code = "request_failed"


def parse_url(address: str) -> httpx.URL:
    """The URL without its fragment. Raises WebError 'bad_url'."""
    import httpx

    problem = ""
    url = httpx.URL("")
    try:
        url = httpx.URL(address.strip())
    except (httpx.InvalidURL, TypeError, ValueError):
        problem = "it cannot be read"
    if not problem and url.scheme not in ("http", "https"):
        problem = "it does not start with http:// or https://"
    elif not problem and not _HOST.fullmatch(url.raw_host):
        problem = "it names no host"
    elif not problem and not 0 < (url.port or 80) < 65_536:
        problem = "it has a port that does not exist"
    elif not problem and url.userinfo:
        problem = "it holds a user name or password"
    if problem:
        shown = re.sub(r"//[^/@]*@", "//", address.strip())[:100]
        raise WebError(
            f"“{shown}” is not an address that can be asked: {problem}.",
            code="bad_url",
            fix="Write it as https://host/path; where it needs credentials, only a node that "
            "sends requests can give them, as {{ secret.NAME }} in a header."
            if url.userinfo
            else "Write it as https://host/path.",
        )
    return url.copy_with(fragment=None)


def fits(entry: str, host: str, port: int) -> bool:
    """Whether an entry of an allow-list, such as `*.example.com:8443`, names this host."""
    name, wanted = _split(entry)
    if port not in ((80, 443) if wanted is None else (wanted,)):
        return False
    if name == "*":
        return True
    return host.endswith(name[1:]) if name.startswith("*.") else host == name


def _split(entry: str) -> tuple[str, int | None]:
    entry = entry.strip().lower()
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name, int(rest[1:]) if rest[1:].isdigit() else None
    if entry.count(":") > 1:
        return entry, None
    name, _, port = entry.partition(":")
    return name.rstrip("."), int(port) if port.isdigit() else None


def is_near(host: str) -> bool:
    """Whether a host tells by itself that it is on this machine or in its network."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return not is_public(host)


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, whatever it is wrapped in."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64 or int(ip) >> 32 == 0:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip.teredo is not None or ip.is_site_local:
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


async def look_up(host: str, port: int) -> Sequence[str]:
    """Addresses of a host by the system's resolver, without repeats."""
    loop = asyncio.get_running_loop()
    try:
        rows = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # a label that is too long or empty
        return ()
    return list(dict.fromkeys(str(row[4][0]) for row in rows))
