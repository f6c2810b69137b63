"""Hostile files of the formats without an office: each ends as text or as one clear error."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from app.documents import media
from app.documents.errors import DocumentError
from app.documents.guard import ParseLimits, WorkerPool
from app.documents.model import ExtractedDocument

LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a0 "ha">'
    + "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))
    + '<!ENTITY file SYSTEM "file:///etc/passwd">]>'
)


@pytest.fixture(scope="module")
def guarded() -> Iterator[WorkerPool]:
    """One worker for all: what a file does to it shows in the next."""
    opened = WorkerPool(1, ParseLimits(timeout_s=60, memory_mb=1024))
    try:
        yield opened
    finally:
        opened.close()


def zipped(members: dict[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as container:
        for name, data in members.items():
            container.writestr(name, data)
    return buffer.getvalue()


def book(package: str, page: str) -> bytes:
    container = "<c><rootfile full-path='b.opf'/></c>"
    members = {"META-INF/container.xml": container, "b.opf": package, "a.html": page}
    return zipped({"mimetype": media.EPUB, **members})


def sheet(rows: str) -> bytes:
    return zipped(
        {
            "mimetype": media.ODS,
            "content.xml": "<d xmlns:t='urn:t'><body><spreadsheet><t:table t:name='S'>"
            f"{rows}</t:table></spreadsheet></body></d>",
        }
    )


def nested_mail(depth: int) -> str:
    head = "From: a@b\nMIME-Version: 1.0\n"
    parts = "".join(
        f'Content-Type: multipart/mixed; boundary="b{i}"\n\n--b{i}\n' for i in range(depth)
    )
    return head + parts + "Content-Type: text/plain\n\nthe core\n"


def flat_mail(parts: int) -> str:
    head = 'From: a@b\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b"\n\n'
    part = '--b\nContent-Type: text/csv\nContent-Disposition: attachment; filename="x.csv"\n\na,b\n'
    return head + "--b\n\nhello there\n" + part * parts + "--b--\n"


def picture_bomb(side: int) -> bytes:
    def piece(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    pixels = zlib.compress(bytes((side // 8 + 1) * 64))
    return b"\x89PNG\r\n\x1a\n" + piece(b"IHDR", header) + piece(b"IDAT", pixels)


def macros(depth: int) -> bytes:
    names = [f"\\a{chr(97 + i)}" for i in range(depth)]
    text = f"\\newcommand{{{names[0]}}}{{ha}}\\newcommand{{\\x}}{{\\x\\x}}"
    for inner, outer in pairwise(names):
        text += f"\\newcommand{{{outer}}}{{{f'{inner} ' * 10}}}"
    return f"{text} {names[-1]} words {names[4]} {'x '.join(names[3:4] * 900)}".encode()


PACKAGE = (
    '<package><metadata><title>&a11;</title></metadata><manifest><item id="a" href="a.html" '
    'media-type="text/html"/></manifest><spine><itemref idref="a"/></spine></package>'
)
CELL = '<t:table-cell t:number-columns-repeated="900000"><p>x</p></t:table-cell>'
ROW = f'<t:table-row t:number-rows-repeated="900000">{CELL}</t:table-row>'

CASES: dict[str, tuple[str, bytes, set[str]]] = {
    "entities in an odt": (
        "a.odt",
        zipped({"mimetype": media.ODT, "content.xml": f"{LAUGHS}<d><body>&a11;</body></d>"}),
        {"unsafe"},
    ),
    "entities in a book's package": (
        "a.epub",
        book(LAUGHS + PACKAGE, "<p>words</p>"),
        {"text", "damaged"},
    ),
    "entities in a book's page": (
        "a.epub",
        book(PACKAGE.replace("&a11;", "T"), f"{LAUGHS}<html><p>&a11; &file; words</p></html>"),
        {"text"},
    ),
    "a book whose pages lead out": (
        "a.epub",
        book(PACKAGE.replace("a.html", "../../../etc/passwd").replace("&a11;", "T"), ""),
        {"no_text"},
    ),
    "a zip bomb named epub": (
        "a.epub",
        zipped({"mimetype": media.EPUB, "a.html": bytes(100 * 2**20)}),
        {"unsafe"},
    ),
    "repeated cells": ("a.ods", sheet(ROW * 50), {"too_large"}),
    "deep JSON": ("a.json", b'{"a":' * 200_000 + b"1" + b"}" * 200_000, {"unsafe"}),
    "JSON as deep as can be": ("a.json", b"[" * 990 + b"1" + b"]" * 990, {"unsafe", "text"}),
    "a long number": ("a.json", b'{"a": ' + b"9" * 100_000 + b"}", {"damaged"}),
    "a huge notebook": (
        "a.ipynb",
        json.dumps(
            {
                "nbformat": 4,
                "cells": [
                    {
                        "cell_type": "code",
                        "source": "print()",
                        "outputs": [{"output_type": "stream", "text": "x" * 1_000_000}] * 2,
                    }
                ]
                * 10
                + [{"cell_type": "markdown", "source": "words"}] * 5_000,
            }
        ).encode(),
        {"text"},
    ),
    "a notebook of wrong types": (
        "a.ipynb",
        b'{"nbformat": 4, "metadata": 3, "cells": [1, {"cell_type": "code", "outputs": {"a": 1},'
        b' "source": {"b": 2}}, {"cell_type": "markdown", "source": ["words", 4]}]}',
        {"text"},
    ),
    "an old notebook of wrong types": ("a.ipynb", b'{"nbformat": 2, "cells": 7}', {"damaged"}),
    "10,000 nested parts": ("a.eml", nested_mail(10_000).encode(), {"unsafe"}),
    "200 nested parts": ("a.eml", nested_mail(200).encode(), {"text"}),
    "10,000 attachments": ("a.eml", flat_mail(10_000).encode(), {"text"}),
    "mails in mails": (
        "a.eml",
        b"From: a@b\nContent-Type: message/rfc822\n\n" * 300 + b"From: c@d\n\nwords\n",
        {"text", "unsafe"},
    ),
    "includes": (
        "a.rst",
        b"words\n\n.. include:: /etc/passwd\n\n.. csv-table::\n   :file: /etc/passwd\n\n"
        b".. raw:: html\n   :file: /etc/passwd\n\n.. literalinclude:: /etc/passwd\n\n"
        b".. include:: <isonum.txt>\n\n.. image:: file:///etc/passwd\n",
        {"text"},
    ),
    "nested quotes": (
        "a.rst",
        "\n\n".join("  " * i + "x" for i in range(2_000)).encode(),
        {"text"},
    ),
    "a circle of substitutions": (
        "a.rst",
        b".. |a| replace:: |b| x\n.. |b| replace:: |a| y\n\n|a| words\n",
        {"text"},
    ),
    "a million groups": ("a.rtf", b"{\\rtf1 " + b"{\\b " * 300_000 + b"words", {"text"}),
    "binary that is not there": ("a.rtf", b"{\\rtf1 words \\bin999999999 x}", {"text"}),
    "wrong numbers": (
        "a.rtf",
        b"{\\rtf1\\ansicpg99999\\uc-5\\u99999999 \\u-55555 words\\outlinelevel-3\\par\\ilvl-9 x}",
        {"text"},
    ),
    "half characters": ("a.rtf", b"{\\rtf1 \\u-10179 words \\u-8704}", {"text"}),
    "LaTeX macros of macros": ("a.tex", macros(20), {"text"}),
    "LaTeX of groups without an end": (
        "a.tex",
        b"\\textbf{\\footnote{" * 50_000 + b"words",
        {"text"},
    ),
    "LaTeX of arguments in arguments": (
        "a.tex",
        b"\\section{" * 20_000 + b"x" + b"}" * 20_000 + b" words",
        {"text"},
    ),
    "tables in tables of LaTeX": (
        "a.tex",
        b"\\begin{tabular}{c} a & " * 20_000 + b"\\end{tabular}" * 20_000 + b" words",
        {"text"},
    ),
    "LaTeX without ends": (
        "a.tex",
        b"\\begin{verbatim}\\(\\verb|$$\\newcommand{\\a}{" * 20_000 + b" words",
        {"text"},
    ),
    "LaTeX of arguments without an end": (
        "a.tex",
        b"\\def\\a#1#2#3#4#5#6#7#8#9{}words " + b"\\a{{{{{{{{{" * 50_000,
        {"text"},
    ),
    "a LaTeX macro of empty parameters": (
        "a.tex",
        b"\\def\\a{" + b"#9" * 2_400 + b"}words " + b"\\a " * 100_000,
        {"text"},
    ),
    "a LaTeX definition of blanks": (
        "a.tex",
        b"\\newcommand\\a" + b" " * 200_000 + b"x words",
        {"text"},
    ),
    "LaTeX formulas that end in line breaks": ("a.tex", b"words " + b"$$\\\\" * 100_000, {"text"}),
    "LaTeX formulas that no mark ends": (
        "a.tex",
        b"words " + b"\\'\\$$" * 100_000 + b"\n\n$$",
        {"text"},
    ),
    "formulas of LaTeX that end outside their cells": (
        "a.tex",
        b"\\begin{tabular}{c}" + b"\\(&" * 50_000 + b"\\end{tabular}" + b"words " * 10**6 + b"\\)",
        {"text"},
    ),
    "many authors of LaTeX": (
        "a.tex",
        b"words \\author{" + "ж".encode() * 9_000_000 + b"}" + b"\\author{a}" * 60_000,
        {"text"},
    ),
    "lists in lists of LaTeX": ("a.tex", b"\\begin{itemize}\\item words " * 40_000, {"text"}),
    "wide cells of LaTeX": (
        "a.tex",
        b"\\begin{tabular}{c}" + b"\\multicolumn{999}{c}{x}\\\\" * 5_000 + b"\\end{tabular} words",
        {"text"},
    ),
    "subtitles of times": (
        "a.srt",
        b"1\n" + b"99999:99:99,999 --> 00:00:00,000\n" * 100_000 + b"words",
        {"text"},
    ),
    "subtitles of marks": (
        "a.vtt",
        b"WEBVTT\n\n00:01.000 --> 00:02.000\n"
        + b"<v <ruby>{\\<v a>x&#1114112;" * 30_000
        + b"&#"
        + b"9" * 9_000
        + b";"
        + b" words",
        {"text"},
    ),
    "a picture of a billion pixels": ("a.png", picture_bomb(60_000), {"too_large"}),
    "long lines of separators": ("a.csv", b'",;|\t' * 300_000 + b"\nwords,1", {"text", "damaged"}),
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.replace(" ", "-"))
async def test_hostile_files_of_the_newer_formats(
    guarded: WorkerPool, tmp_path: Path, case: str
) -> None:
    name, content, expected = CASES[case]
    path = tmp_path / name
    path.write_bytes(content)
    found = await outcome(guarded, path)
    if isinstance(found, DocumentError):
        assert found.code in expected, found
        assert found.message
        assert found.fix
    else:
        assert "text" in expected
        assert "root:" not in found.text
        assert len(found.text) < 10_000_000
        assert len(found.title) < 5_000


async def outcome(pool: WorkerPool, path: Path) -> ExtractedDocument | DocumentError:
    try:
        return await pool.extract(path, options={"ocr": "auto"})
    except DocumentError as error:
        return error
