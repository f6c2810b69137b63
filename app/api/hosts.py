"""Which Host and Origin headers are answered: the guard against rebound names and other sites."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_DEFAULT_PORTS = {"http": 80, "https": 443}


class HostPolicy:
    """Names this server answers to.

    A page of another site can make a browser connect here under its own name (DNS rebinding); it
    cannot make the browser send one of these names. Addresses are safe where the server listens
    on more than loopback: a name is needed to rebind.
    """

    def __init__(self, host: str, allowed_hosts: Iterable[str] = ()) -> None:
        bound = _address(host)
        self._any_address = bound is not None and not bound.is_loopback
        self._names = {*_LOOPBACK, *(name.lower().rstrip(".") for name in allowed_hosts)}
        if bound is None:
            self._names.add(host.lower())

    def allows(self, header: str) -> bool:
        """Whether a request with this Host header is answered."""
        name, _ = split_host(header)
        if not name:
            return False
        if name in self._names:
            return True
        address = _address(name)
        if address is None:
            return False
        return address.is_loopback or self._any_address


def same_origin(origin: str, host: str) -> bool:
    """Whether a browser's Origin is the place it sends the request to.

    A proxy may end TLS in front of the server, so the scheme of the origin decides which port it
    means when it names none.
    """
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return False
    name, host_port = split_host(host)
    default = _DEFAULT_PORTS[parts.scheme]
    return parts.hostname.lower() == name and (port or default) == (host_port or default)


def split_host(header: str) -> tuple[str, int | None]:
    """Lower-cased name and port of a Host header; ("", None) when it is none."""
    try:
        parts = urlsplit(f"//{header.strip()}")
        name, port = parts.hostname, parts.port
    except ValueError:
        return "", None
    if not name or parts.path or parts.query or parts.fragment or "@" in header:
        return "", None
    return name.lower().rstrip("."), port


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return None
