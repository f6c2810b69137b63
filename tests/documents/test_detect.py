"""Types come from content; what cannot be read is refused in words that help."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import pytest

from app.documents import media
from app.documents.detect import detect
from app.documents.errors import DocumentError
from app.nodes.documents import Extract

ROOT = Path(__file__).resolve().parents[2]


def zipped(**members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as container:
        for name, text in members.items():
            container.writestr(name.replace("__", "/"), text)
    return buffer.getvalue()


CONTENT_TYPES = "[Content_Types].xml"


@pytest.mark.parametrize(
    ("name", "content", "media_type"),
    [
        ("a.pdf", b"%PDF-1.7\n", media.PDF),
        ("a.docx", b"junk before\n%PDF-1.4", media.PDF),
        ("a.doc", zipped(**{CONTENT_TYPES: "", "word__document.xml": ""}), media.DOCX),
        ("a", zipped(**{CONTENT_TYPES: "", "ppt__presentation.xml": ""}), media.PPTX),
        ("a.xlsm", zipped(**{CONTENT_TYPES: "", "xl__workbook.xml": ""}), media.XLSX),
        ("a.txt", b"<!DOCTYPE html><html><body>x</body></html>", media.HTML),
        ("a.html", b"no tags at all", media.HTML),
        ("a.md", b"<!-- c -->\n# Title", media.MARKDOWN),
        ("a.csv", b"a,b\n1,2", media.CSV),
        ("a.txt", b"BM is not always a bitmap", media.TEXT),
        ("a.py", b"print()", media.TEXT),
        ("a.pdf", zipped(mimetype="application/epub+zip"), media.EPUB),
        ("a.zip", zipped(**{"META-INF__container.xml": ""}), media.EPUB),
        ("a.docx", zipped(mimetype=media.ODT), media.ODT),
        ("a.doc", b"{\\rtf1 x}", media.RTF),
        ("a.png", b"\xff\xd8\xff\xe0", media.JPEG),
        ("a.jpg", b"RIFF\x00\x00\x00\x00WEBPVP8 ", media.WEBP),
        ("a.rst", b"Title\n=====\n", media.RST),
        ("a.txt", b'{"a": 1}', media.TEXT),
        ("a", b'[{"a": 1}]', media.JSON),
        ("a", b"[1] A footnote", media.TEXT),
        ("a.json", b'{"nbformat_minor": 5, "cells": []}', media.NOTEBOOK),
        ("a.txt", b"From: a@b\nTo: c@d\nMessage-ID: <1@x>\n\nHi", media.EMAIL),
        ("a.txt", b"From: the board\nTo: everyone\nSubject: lunch\n\nHi", media.TEXT),
        ("noname", "Größe".encode("utf-16"), media.TEXT),
    ],
)
def test_known_types(tmp_path: Path, name: str, content: bytes, media_type: str) -> None:
    path = tmp_path / "upload"
    path.write_bytes(content)
    assert detect(path, name) == media_type


@pytest.mark.parametrize(
    ("name", "content", "code", "words"),
    [
        ("a.pdf", b"", "empty", "is empty"),
        ("a.txt", b" \n\x00 ", "empty", "is empty"),
        ("a.pdf", b"just text", "wrong_type", "named .pdf but is plain text"),
        ("a.docx", b"<html><p>x", "wrong_type", "is an HTML page"),
        ("a.docx", zipped(a="b"), "wrong_type", "zip archive"),
        ("a.txt", b"\x00\x01\x02\x03" * 9, "wrong_type", "not recognised"),
        ("a.zip", zipped(a="b"), "unsupported_type", "zip archive"),
        ("a.png", b"just text", "wrong_type", "named .png but is plain text"),
        ("a.odg", zipped(mimetype=media.ODT[:-4] + "graphics"), "unsupported_type", "OpenDocument"),
        ("a.gz", b"\x1f\x8b\x08", "unsupported_type", "gzip"),
        ("a.bin", b"\x00\x01\x02\x03" * 9, "unsupported_type", "not recognised"),
        ("a.docx", b"PK\x03\x04 cut off", "damaged", "zip directory"),
        ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "unsupported_type", "Office 2003"),
    ],
)
def test_refusals(tmp_path: Path, name: str, content: bytes, code: str, words: str) -> None:
    path = tmp_path / "upload"
    path.write_bytes(content)
    with pytest.raises(DocumentError) as caught:
        detect(path, name)
    assert caught.value.code == code
    assert words in caught.value.message
    assert caught.value.fix


@pytest.mark.parametrize(
    ("name", "word"),
    [("a.pptx", "slide"), ("folder/A.ODP", "slide"), ("a.xlsx", "sheet"), ("a.ods", "sheet"),
     ("a.pdf", "page"), ("slides", "page"), ("", "page")],
)  # fmt: skip
def test_pages_are_called_what_people_call_them(name: str, word: str) -> None:
    assert media.page_word(name) == word


def test_only_some_files_have_pages_that_can_be_drawn() -> None:
    names = ("a.PDF", "a.tif", "a.pptx", "None")
    assert [name for name in names if media.drawable(name)] == ["a.PDF", "a.tif"]


def test_what_is_read_is_told_completely_wherever_it_is_told() -> None:
    """Pages and commands name kinds, errors extensions, the docs both."""
    types = sorted(set(media.EXTENSIONS.values()))
    assert sorted(one for kind in media.KINDS.values() for one in kind) == types
    named = set(re.findall(r"[a-z]+", media.SUPPORTED))
    ways = {one: {e[1:] for e, known in media.EXTENSIONS.items() if known == one} for one in types}
    assert [one for one in types if not ways[one] & named] == []
    how_to = (ROOT / "docs/how-to.md").read_text()
    table = " ".join(re.findall(r"^\| ([^|]+) \|", how_to, re.MULTILINE))
    assert [one for one in types if not ways[one] & set(re.findall(r"[a-z]+", table))] == []
    assert Extract.__doc__ is not None
    readme = (ROOT / "README.md").read_text()
    for kind in {*media.KINDS} - {"Office files", "JSON", "text"}:
        assert kind in readme, kind
        assert kind in Extract.__doc__, kind
