"""Sitemaps (sitemaps.org/protocol.html): XML, its index files, or one address a line; also gzipped."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field
from xml.parsers import expat

from app.services.web_address import WebError

#: Bytes of a sitemap, unpacked, and addresses in it: what the protocol allows.
MAX_BYTES = 50 * 1024 * 1024
MAX_ADDRESSES = 50_000
_MAX_ADDRESS = 2_048
_MAX_DEPTH = 20
_PIECE = 1 << 16
_FIX = "Check that the address leads to a sitemap, such as https://example.com/sitemap.xml."


@dataclass(slots=True)
class Sitemap:
    """Addresses of pages, and of further sitemaps."""

    pages: list[str] = field(default_factory=list)
    sitemaps: list[str] = field(default_factory=list)
    #: False where it holds more than the protocol allows.
    whole: bool = True


def read_sitemap(data: bytes) -> Sitemap:
    """Read a sitemap. Raises WebError “bad_sitemap”."""
    if data[:2] == b"\x1f\x8b":
        data = _unpacked(data)
    head = data[:4_096].lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(b"<") or data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return _Reader().read(data)
    return _lines(data)


class _Reader:
    """Collects `<url><loc>` and `<sitemap><loc>`, in whichever name space."""

    def __init__(self) -> None:
        self.found = Sitemap()
        self._path: list[str] = []
        self._text: list[str] | None = None
        self._kind = ""

    def read(self, data: bytes) -> Sitemap:
        parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data
        try:
            for at in range(0, len(data), _PIECE):
                parser.Parse(data[at : at + _PIECE], False)
            parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise _bad(f"it is no well-formed XML ({error})") from error
        except (LookupError, ValueError) as error:  # an encoding that expat does not know
            raise _bad("its encoding is not known") from error
        if self._kind not in ("urlset", "sitemapindex"):
            raise _bad(f"it is XML, but begins with <{self._kind[:40]}>")
        return self.found

    def _refuse(self, *_: object) -> None:
        # A sitemap has no use for a document type, and entities are how XML is made to explode.
        raise _bad("it declares a document type or entities, which are not read")

    def _start(self, name: str, _: object) -> None:
        name = name.rpartition(":")[2]
        self._kind = self._kind or name
        self._path.append(name)
        if len(self._path) > _MAX_DEPTH:
            raise _bad("its elements lie too deep inside one another")
        # Images and videos of a page have a <loc> too, deeper in.
        if self._path[1:] in (["url", "loc"], ["sitemap", "loc"]):
            self._text = []

    def _end(self, _: str) -> None:
        if self._text is not None:
            self._keep("".join(self._text).strip(), self._path[1])
            self._text = None
        self._path.pop()

    def _data(self, text: str) -> None:
        if self._text is not None and len(self._text) < _MAX_ADDRESS:
            self._text.append(text[:_MAX_ADDRESS])

    def _keep(self, address: str, kind: str) -> None:
        into = self.found.pages if kind == "url" else self.found.sitemaps
        if not address or len(address) > _MAX_ADDRESS:
            return
        if len(into) >= MAX_ADDRESSES:
            self.found.whole = False
        else:
            into.append(address)


def _lines(data: bytes) -> Sitemap:
    lines = [line.strip() for line in data.decode("utf-8-sig", "replace").splitlines()]
    lines = [line for line in lines if line]
    if not lines or not all(re.match(r"https?://\S+$", line) for line in lines[:20]):
        raise _bad("it is neither XML nor a list of addresses")
    good = [line for line in lines if len(line) <= _MAX_ADDRESS]
    return Sitemap(pages=good[:MAX_ADDRESSES], whole=len(good) <= MAX_ADDRESSES)


def _unpacked(data: bytes) -> bytes:
    unpack = zlib.decompressobj(31)
    try:
        found = unpack.decompress(data, MAX_BYTES + 1)
    except zlib.error as error:
        raise _bad("it cannot be unpacked") from error
    if len(found) > MAX_BYTES:
        raise _bad(f"it unpacks to more than {MAX_BYTES // 1_048_576} MB")
    return found


def _bad(why: str) -> WebError:
    return WebError(f"The sitemap cannot be read: {why}.", code="bad_sitemap", fix=_FIX)
