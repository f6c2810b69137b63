"""reStructuredText, notebooks, JSON, books, mail, OpenDocument and RTF."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from app.documents import media
from app.documents.errors import DocumentError
from app.documents.model import ExtractedDocument

Read = Callable[..., ExtractedDocument]


def outline(document: ExtractedDocument) -> list[tuple[str, str]]:
    return [(block.kind, block.text) for block in document.blocks]


def zipped(**members: str | bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as container:
        for name, data in members.items():
            container.writestr(name.replace("__", "/"), data)
    return buffer.getvalue()


RST = """
=========
The Guide
=========

:Author: A. Writer
:Date: 2024-05-01

Install
=======

Run :func:`setup` and ``pip``, see `the site <http://x>`_. |sub| too [1]_.

.. |sub| replace:: Substituted

- one

  - inner
- two

3. third

.. code-block:: python
   :linenos:

   print(1)

.. versionadded:: 1.2
   More *words* here.

.. toctree::
   :maxdepth: 2

   hidden/name

.. include:: /etc/passwd

.. literalinclude:: /etc/passwd

.. csv-table:: Numbers
   :file: /etc/passwd

.. raw:: html

   <script>x</script>

.. figure:: x.png
   :alt: A duck

   The caption

.. note:: Take care.

+-----+-----+
| wide      |
+-----+-----+
| 1   | 2|2 |
+-----+-----+

term
   definition

.. [1] The foot.

Use
---

Like this::

   literal
"""


def test_restructured_text(read: Read) -> None:
    document = read("a.rst", RST)
    assert document.media_type == media.RST
    assert document.title == "The Guide"
    assert document.metadata == {"author": "A. Writer", "created": "2024-05-01"}
    assert outline(document) == [
        ("heading", "The Guide"),
        ("heading", "Install"),
        ("paragraph", "Run setup and pip, see the site. Substituted too [1]."),
        ("list", "- one\n  - inner\n- two"),
        ("list", "3. third"),
        ("code", "print(1)"),
        ("paragraph", "versionadded: 1.2"),
        ("paragraph", "More words here."),
        ("paragraph", "Numbers"),
        ("image", "The caption\nA duck"),
        ("paragraph", "Note"),
        ("paragraph", "Take care."),
        ("table", "| wide |  |\n| --- | --- |\n| 1 | 2\\|2 |"),
        ("paragraph", "term"),
        ("paragraph", "definition"),
        ("paragraph", "[1] The foot."),
        ("heading", "Use"),
        ("paragraph", "Like this:"),
        ("code", "literal"),
    ]
    assert [b.level for b in document.blocks if b.kind == "heading"] == [1, 2, 3]
    assert next(b.info for b in document.blocks if b.kind == "code") == "python"
    table = next(b for b in document.blocks if b.kind == "table")
    assert table.cells == (("wide", "wide"), ("1", "2|2"))
    assert "root:" not in document.text
    assert "script" not in document.text


def test_restructured_text_that_docutils_refuses_is_read_as_text(read: Read) -> None:
    assert "words" in read("a.rst", "Title\n=====\n\n" + "words " * 5_000).text
    bombs = "".join(f".. |{i}| replace:: {f'|{i + 1}| ' * 10}\n" for i in range(9))
    assert len(read("b.rst", f"{bombs}.. |9| replace:: ha\n\n|0| end").text) < 1_000_000


def notebook(*cells: dict[str, Any], **extra: Any) -> str:
    about = {"language_info": {"name": "python"}, "authors": [{"name": "A. Writer"}]}
    return json.dumps(
        {"nbformat": 4, "nbformat_minor": 5, "metadata": about, "cells": list(cells)} | extra
    )


def test_notebook(read: Read) -> None:
    table = "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>"
    outputs = [
        {"output_type": "stream", "text": ["10%\r50%\r100%\n", "\x1b[31mred\x1b[0m\n"]},
        {"output_type": "execute_result", "data": {"text/html": table, "text/plain": "a b"}},
        {"output_type": "display_data", "data": {"image/png": "iVBO", "text/plain": "<Figure>"}},
        {"output_type": "error", "ename": "ValueError", "evalue": "bad", "traceback": []},
        {"output_type": "stream", "text": "x" * 99 + "\n" + "y" * 30_000},
    ]
    document = read(
        "a.ipynb",
        notebook(
            {"cell_type": "markdown", "source": ["# Study\n", "\n", "Some *words*."]},
            {"cell_type": "code", "source": "df.head()", "outputs": outputs},
            {"cell_type": "code", "source": "%%bash\nls"},
            {"cell_type": "raw", "source": "raw text"},
        ),
    )
    assert document.media_type == media.NOTEBOOK
    assert document.title == "Study"
    assert document.metadata["author"] == "A. Writer"
    assert [(b.kind, b.info, b.text) for b in document.blocks] == [
        ("heading", "", "Study"),
        ("paragraph", "", "Some words."),
        ("code", "python", "df.head()"),
        ("code", "text", "100%\nred"),
        ("table", "", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
        ("code", "text", "ValueError: bad"),
        ("code", "text", "x" * 99),
        ("code", "bash", "%%bash\nls"),
        ("paragraph", "", "raw text"),
    ]


def test_a_notebook_of_an_old_format(read: Read) -> None:
    cells = [
        {"cell_type": "heading", "level": 2, "source": "Part", "metadata": {}},
        {"cell_type": "code", "language": "python", "input": "1+1", "outputs": [], "metadata": {}},
    ]
    old = {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {"name": ""},
        "worksheets": [{"cells": cells, "metadata": {}}],
    }
    assert outline(read("a.ipynb", json.dumps(old))) == [("heading", "Part"), ("code", "1+1")]


def test_json(read: Read) -> None:
    document = read(
        "a.json",
        json.dumps(
            {
                "name": "Shop",
                "open": True,
                "staff": [{"name": "Ann", "home": {"city": "Rome"}}, {"name": "Bo", "tags": [1]}],
                "address": {"street": "High", "geo": {"lat": 1.5, "deep": {"er": {"x": [1]}}}},
                "notes": ["one", "two"],
                "odd": [{"a": [{"b": 1}]}, 2],
            }
        ),
    )
    assert outline(document) == [
        ("list", "- name: Shop\n- open: true"),
        ("heading", "staff"),
        ("table", "| name | home.city | tags |\n| --- | --- | --- |\n| Ann | Rome |  |\n"
                  "| Bo |  | 1 |"),
        ("heading", "address"),
        ("list", "- street: High"),
        ("heading", "address.geo"),
        ("list", "- lat: 1.5"),
        ("heading", "address.geo.deep"),
        ("code", '{\n"er": {\n    "x": [\n      1\n    ]\n  }\n}'.replace('\n"er"', '\n  "er"')),
        ("heading", "notes"),
        ("list", "- one\n- two"),
        ("heading", "odd"),
        ("code", '[\n  {\n    "a": [\n      {\n        "b": 1\n      }\n    ]\n  },\n  2\n]'),
    ]  # fmt: skip
    assert document.title == "a"
    assert document.blocks[2].cells[1] == ("Ann", "Rome", "")


def test_json_lines_and_json_without_a_name(read: Read) -> None:
    document = read("a.jsonl", '{"a": 1, "b": "x"}\n\n{"a": 2, "b": "y"}\n')
    assert document.media_type == media.JSON_LINES
    assert document.text == "| a | b |\n| --- | --- |\n| 1 | x |\n| 2 | y |"
    assert read("noname", '{"a": 1}').media_type == media.JSON
    assert read("noname2", notebook({"cell_type": "raw", "source": "x"})).text == "x"
    with pytest.raises(DocumentError, match=r"line 2, column 1") as caught:
        read("bad.json", '{"a": 1,\n}')
    assert caught.value.code == "damaged"


PACKAGE = """<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf"
 xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>The Book</dc:title>
<dc:creator>A. Writer</dc:creator><dc:creator>B. Other</dc:creator><dc:language>en-GB</dc:language>
<dc:date>1899</dc:date><dc:subject>Ducks</dc:subject>
<meta property="dcterms:modified">2024-05-01T10:00:00Z</meta></metadata>
<manifest><item id="b" href="two.xhtml" media-type="application/xhtml+xml"/>
<item id="a" href="one%20a.xhtml" media-type="application/xhtml+xml"/>
<item id="n" href="nav.xhtml" media-type="application/xhtml+xml"/>
<item id="i" href="x.png" media-type="image/png"/></manifest>
<spine><itemref idref="a"/><itemref idref="b"/></spine></package>"""
CONTAINER = (
    """<container><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>"""
)


def book(**members: str) -> bytes:
    parts = {
        "mimetype": media.EPUB,
        "META-INF__container.xml": CONTAINER,
        "OEBPS__book.opf": PACKAGE,
        "OEBPS__two.xhtml": "<html><body><h1>Two</h1><p>Caf&eacute;</p></body></html>",
        "OEBPS__one a.xhtml": '<?xml version="1.0"?><!DOCTYPE html><html><body><h1>One</h1>'
        '<p><img src="x.png" alt="A pond"/></p></body></html>',
        "OEBPS__nav.xhtml": "<html><body><p>not in the spine</p></body></html>",
    }
    return zipped(**(parts | members))


def test_book(read: Read) -> None:
    document = read("a.epub", book())
    assert document.media_type == media.EPUB
    assert (document.title, document.language) == ("The Book", "en")
    assert document.metadata == {
        "author": "A. Writer, B. Other",
        "created": "1899",
        "modified": "2024-05-01T10:00:00+00:00",
        "keywords": ["Ducks"],
    }
    assert outline(document) == [
        ("heading", "One"),
        ("image", "A pond"),
        ("heading", "Two"),
        ("paragraph", "Café"),
    ]
    locked = (
        "<encryption><EncryptedData><EncryptionMethod Algorithm='http://aes'/><CipherData>"
        "<CipherReference URI='OEBPS/two.xhtml'/></CipherData></EncryptedData></encryption>"
    )
    with pytest.raises(DocumentError, match="copy-protected") as caught:
        read("b.epub", book(**{"META-INF__encryption.xml": locked}))
    assert caught.value.code == "unsupported_encryption"


def mail() -> bytes:
    from email.message import EmailMessage

    message = EmailMessage()
    message["From"] = "Ann Äther <ann@example.com>"
    message["To"] = "bo@example.com, Cy <cy@example.com>"
    message["Subject"] = "Prüfung der Daten"
    message["Date"] = "Wed, 01 May 2024 10:00:00 +0200"
    message["Message-ID"] = "<1@example.com>"
    message.set_content("Plain words.")
    message.add_alternative("<p>Rich <b>words</b>.</p><ul><li>one</li></ul>", subtype="html")
    message.add_attachment("a;b\n1;2\n", subtype="csv", filename="data.csv")
    message.add_attachment(
        b"\x00\x01\x02" * 99, maintype="application", subtype="x", filename="b.x"
    )
    inner = EmailMessage()
    inner["From"], inner["Subject"] = "dee@example.com", "Inner"
    inner["Message-ID"] = "<2@example.com>"
    inner.set_content("Forwarded.")
    message.add_attachment(inner)
    return message.as_bytes()


@pytest.mark.parametrize("name", ["a.eml", "a.txt", "noname"])
def test_mail(read: Read, name: str) -> None:
    document = read(name, mail())
    assert document.media_type == media.EMAIL
    assert document.title == "Prüfung der Daten"
    unread = document.metadata.pop("unread_attachments")
    assert document.metadata == {
        "sender": "Ann Äther <ann@example.com>",
        "recipients": ["bo@example.com", "Cy <cy@example.com>"],
        "sent": "2024-05-01T10:00:00+02:00",
        "subject": "Prüfung der Daten",
        "attachments": ["data.csv", "b.x", "message 3.eml"],
    }
    assert [line.split(":")[0] for line in unread] == ["b.x"]
    assert [(b.kind, b.level, b.text) for b in document.blocks] == [
        ("heading", 1, "Prüfung der Daten"),
        (
            "paragraph",
            None,
            "From: Ann Äther <ann@example.com>\nTo: bo@example.com, Cy <cy@example.com>\n"
            "Date: 2024-05-01T10:00:00+02:00",
        ),
        ("paragraph", None, "Rich words."),
        ("list", None, "- one"),
        ("heading", 1, "data.csv"),
        ("table", None, "| a | b |\n| --- | --- |\n| 1 | 2 |"),
        ("heading", 1, "message 3.eml"),
        ("heading", 2, "Inner"),
        ("paragraph", None, "From: dee@example.com"),
        ("paragraph", None, "Forwarded."),
    ]


def test_mail_with_broken_headers_and_charsets(read: Read) -> None:
    raw = (
        b"From: =?klingon?q?Caf=E9?= <a@x>\nTo: \xc3\xa4\xff, @@,,<>\nSubject: =?utf-8?b?!!!?=\n"
        b"Date: never\nMIME-Version: 1.0\nContent-Type: text/plain; charset=martian\n\nGr\xfc\xdfe\n"
    )
    document = read("a.eml", raw)
    assert "Grüße" in document.text
    assert "sent" not in document.metadata


OFFICE = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{path}:1.0"'
    for name, path in (
        ("office", "office"), ("text", "text"), ("table", "table"), ("draw", "drawing"),
        ("style", "style"), ("meta", "meta"), ("presentation", "presentation"),
        ("svg", "svg-compatible"),
    )
) + ' xmlns:dc="http://purl.org/dc/elements/1.1/"'  # fmt: skip


def odf(kind: str, media_type: str, body: str, **members: str) -> bytes:
    content = (
        f"<office:document-content {OFFICE}><office:automatic-styles><text:list-style "
        'style:name="L1"><text:list-level-style-number text:level="1" style:num-format="1"/>'
        f"</text:list-style></office:automatic-styles><office:body><office:{kind}>{body}"
        f"</office:{kind}></office:body></office:document-content>"
    )
    meta = (
        f"<office:document-meta {OFFICE}><office:meta><dc:title>Report</dc:title>"
        "<meta:initial-creator>A. Writer</meta:initial-creator><dc:creator>B</dc:creator>"
        "<meta:creation-date>2024-05-01T10:00:00.123</meta:creation-date>"
        "<meta:keyword>x</meta:keyword></office:meta></office:document-meta>"
    )
    parts = {"mimetype": media_type, "content.xml": content, "meta.xml": meta}
    return zipped(**(parts | members))


TEXT_BODY = """
<text:h text:outline-level="2">Part<text:s text:c="2"/>one</text:h>
<text:p>Some <text:span>rich<text:tab/>text</text:span> here<text:note><text:note-citation>1
</text:note-citation><text:note-body><text:p>The note.</text:p></text:note-body></text:note>.
<draw:frame><draw:image/><svg:title>Fig</svg:title><svg:desc>A pond</svg:desc></draw:frame></text:p>
<text:tracked-changes><text:p>gone</text:p></text:tracked-changes>
<text:list text:style-name="L1"><text:list-item><text:p>first</text:p><text:list><text:list-item>
<text:p>inner</text:p></text:list-item></text:list></text:list-item><text:list-item>
<text:p>second</text:p></text:list-item></text:list>
<table:table><table:table-header-rows><table:table-row>
<table:table-cell table:number-columns-spanned="2"><text:p>Wide</text:p></table:table-cell>
<table:covered-table-cell/><table:table-cell table:number-rows-spanned="2"><text:p>n</text:p>
</table:table-cell></table:table-row></table:table-header-rows><table:table-row>
<table:table-cell><text:p>a</text:p></table:table-cell><table:table-cell><text:p>b</text:p>
</table:table-cell><table:covered-table-cell/></table:table-row></table:table>"""


def test_open_document_text(read: Read) -> None:
    document = read("a.odt", odf("text", media.ODT, TEXT_BODY))
    assert (document.media_type, document.title) == (media.ODT, "Report")
    assert document.metadata == {
        "author": "A. Writer",
        "created": "2024-05-01T10:00:00",
        "keywords": ["x"],
    }
    assert outline(document) == [
        ("heading", "Part one"),
        ("paragraph", "Some rich\ttext here."),
        ("image", "Fig\nA pond"),
        ("list", "1. first\n  - inner\n2. second"),
        ("table", "| Wide | Wide | n |\n| --- | --- | --- |\n| a | b | n |"),
        ("paragraph", "The note."),
    ]
    assert document.blocks[4].cells == (("Wide", "Wide", "n"), ("a", "b", "n"))


def test_open_document_sheets_and_slides(read: Read) -> None:
    cell = "<table:table-cell><text:p>{}</text:p></table:table-cell>"
    row = "<table:table-row>{}</table:table-row>"
    rows = row.format(cell.format("a") + cell.format("b"))
    rows += row.format(
        cell.format("1")
        + '<table:table-cell table:number-columns-repeated="16000"/>'
    )  # fmt: skip
    rows += '<table:table-row table:number-rows-repeated="1048570"><table:table-cell/></table:table-row>'
    sheet = f'<table:table table:name="Stock">{rows}</table:table>'
    document = read("a.ods", odf("spreadsheet", media.ODS, sheet))
    assert (document.media_type, document.pages) == (media.ODS, 1)
    assert outline(document) == [
        ("heading", "Stock"),
        ("table", "| a | b |\n| --- | --- |\n| 1 |  |"),
    ]
    box = "<draw:frame {}><draw:text-box><text:p>{}</text:p></draw:text-box></draw:frame>"
    slide = (
        "<draw:page>" + box.format('presentation:class="title"', "Ducks") + box.format("", "Swim")
        + "<presentation:notes>" + box.format('presentation:class="notes"', "Say it")
        + "</presentation:notes></draw:page>"
    )  # fmt: skip
    document = read("a.odp", odf("presentation", media.ODP, slide * 2))
    assert (document.media_type, document.pages) == (media.ODP, 2)
    assert [(b.page, b.kind, b.text) for b in document.blocks[:3]] == [
        (1, "heading", "Ducks"),
        (1, "paragraph", "Swim"),
        (1, "paragraph", "Say it"),
    ]
    locked = (
        "<m:manifest xmlns:m='urn:x'><m:file-entry><m:encryption-data/></m:file-entry></m:manifest>"
    )
    with pytest.raises(DocumentError) as caught:
        read("b.odt", odf("text", media.ODT, "", **{"META-INF__manifest.xml": locked}))
    assert caught.value.code == "unsupported_encryption"


RTF = rb"""{\rtf1\ansi\ansicpg1252\uc1{\fonttbl{\f0\fcharset0 Arial;}{\f1\fcharset204 Arial;}}
{\colortbl;\red0;}{\stylesheet{\s0 Normal;}{\s1\sbasedon0 heading 1;}}
{\info{\title Report}{\author A. Writer}{\operator Someone}{\creatim\yr2024\mo5\dy1\hr10\min5}}
{\header Page head}\pard\s1 Ducks\par\pard\plain\f0 Caf\'e9 \u8364? {\b bold}\emdash{\v hidden}{\f1 \'ef\'f0}\par
{\*\secret nothing}{\field{\*\fldinst HYPERLINK x}{\fldrslt a link}}{\footnote A note.}\line next\par
{\listtext 1.\tab}\pard\ilvl0 first\par{\listtext\'b7\tab}\pard\ilvl1 second\par
\trowd\pard\intbl a\cell b|c\cell\row\trowd\pard\intbl 1\par 1\cell 2\cell\row\pard End {\pict ffd8ff}\u-10179 ?\u-8704 ?\par}"""


def test_rich_text(read: Read) -> None:
    document = read("a.rtf", RTF)
    assert (document.media_type, document.title) == (media.RTF, "Report")
    assert document.metadata == {"author": "A. Writer", "created": "2024-05-01T10:05:00"}
    assert outline(document) == [
        ("heading", "Ducks"),
        ("paragraph", "Café € bold—пр"),
        ("paragraph", "a link\nnext"),
        ("list", "1. first\n  - second"),
        ("table", "| a | b\\|c |\n| --- | --- |\n| 1 1 | 2 |"),
        ("paragraph", "End 😀"),
        ("paragraph", "A note."),
    ]
    assert "text" in read("b.rtf", b"{\\rtf1 " + b"{" * 5_000 + b"text" + b"}" * 5_000).text
