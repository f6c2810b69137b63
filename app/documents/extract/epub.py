"""EPUB books: the chapters in the order they are read, and what the book says about itself."""

from __future__ import annotations

import posixpath
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from app.documents import media
from app.documents.archive import check_zip, damaged, open_zip
from app.documents.encoding import decode
from app.documents.errors import DocumentError
from app.documents.extract.builder import Blocks
from app.documents.extract.html import add_html
from app.documents.extract.metadata import metadata
from app.documents.extract.options import ExtractOptions
from app.documents.extract.xml_parts import all_text, attribute, local, read_member, read_xml
from app.documents.model import ExtractedDocument
from app.documents.text import one_line

#: Ways of scrambling that only concern fonts.
_FONT_SCRAMBLING = ("idpf.org/2008/embedding", "ns.adobe.com/pdf/enc#RC")
_PAGES = frozenset({"application/xhtml+xml", "text/html", "text/x-oeb1-document"})
#: Dublin Core element -> what it is called here.
_NAMES = {
    "creator": "author", "date": "created", "subject": "keywords", "description": "description",
    "publisher": "publisher", "identifier": "identifier", "contributor": "contributor",
}  # fmt: skip


def extract(path: Path, options: ExtractOptions) -> ExtractedDocument:
    """Read the pages that the book's spine lists, in its order; pictures by their descriptions.

    Raises:
        DocumentError: damaged, unsupported_encryption (copy protection), unsafe, too_large, too_many_pages.
    """
    check_zip(path, max_unpacked=options.max_unpacked)
    with open_zip(path) as book:
        package_name = _package_name(book)
        package = read_xml(book, package_name)
        if package is None:
            raise damaged("The book's list of contents is missing.")
        pages = _spine(package, posixpath.dirname(package_name))
        options.check_pages(len(pages), "book", "parts")
        _refuse_protected(book, set(pages))
        blocks = Blocks(options.max_chars)
        for name in pages:
            page = read_member(book, name)
            if page is not None:
                add_html(blocks, decode(page, html=True)[0])
        title, language, found = _about(package)
    return ExtractedDocument(
        media_type=media.EPUB,
        title=title,
        language=language,
        metadata=metadata(found),
        blocks=tuple(blocks.items),
    )


def _package_name(book: zipfile.ZipFile) -> str:
    container = read_xml(book, "META-INF/container.xml")
    if container is not None:
        for element in container.iter("{*}rootfile"):
            if name := attribute(element, "full-path"):
                return posixpath.normpath(name.lstrip("/"))
    found = [name for name in book.namelist() if name.endswith(".opf")]
    if not found:
        raise damaged("The book does not say where its contents are.")
    return found[0]


def _spine(package: Any, folder: str) -> list[str]:
    """Return the members that are read, in order; those outside the spine are none of them."""
    manifest = {}
    for item in package.iter("{*}item"):
        if attribute(item, "media-type") in _PAGES:
            href = unquote(attribute(item, "href").partition("#")[0])
            manifest[attribute(item, "id")] = posixpath.normpath(posixpath.join(folder, href))
    listed = (manifest.get(attribute(item, "idref")) for item in package.iter("{*}itemref"))
    return list(dict.fromkeys(name for name in listed if name)) or list(manifest.values())


def _refuse_protected(book: zipfile.ZipFile, pages: set[str]) -> None:
    encryption = read_xml(book, "META-INF/encryption.xml")
    if encryption is None:
        return
    for data in encryption.iter("{*}EncryptedData"):
        ways = [attribute(way, "Algorithm") for way in data.iter("{*}EncryptionMethod")]
        names = [unquote(attribute(part, "URI")) for part in data.iter("{*}CipherReference")]
        if any(name in pages for name in names) and not any(
            way.endswith(_FONT_SCRAMBLING) for way in ways
        ):
            raise DocumentError(
                "unsupported_encryption",
                "The book is copy-protected (DRM).",
                "Upload a copy without protection, from a shop or library that gives one.",
            )


def _about(package: Any) -> tuple[str, str | None, dict[str, Any]]:
    """Return title, language and other metadata."""
    title, language = "", None
    found: dict[str, Any] = {}
    authors: list[str] = []
    subjects: list[str] = []
    section = next(package.iter("{*}metadata"), None)
    for element in section.iter() if section is not None else ():
        name, text = local(element), one_line(all_text(element))
        if not text:
            continue
        if name == "title":
            title = title or text
        elif name == "language":
            language = language or text.partition("-")[0].lower()[:3]
        elif name == "creator":
            authors.append(text)
        elif name == "subject":
            subjects.append(text)
        elif name == "meta" and attribute(element, "property") == "dcterms:modified":
            found["modified"] = text
        elif name in _NAMES:
            found.setdefault(_NAMES[name], text)
    found["author"] = ", ".join(dict.fromkeys(authors))
    found["keywords"] = subjects
    if language is not None and len(language) != 2:
        language = None
    return title, language, found
