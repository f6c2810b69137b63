"""HTML, Markdown, plain text and CSV."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.documents.chunk import ChunkConfig, chunk
from app.documents.errors import DocumentError
from app.documents.extract.metadata import iso_date
from app.documents.model import ExtractedDocument

Read = Callable[..., ExtractedDocument]


def outline(document: ExtractedDocument) -> list[tuple[str, str]]:
    return [(block.kind, block.text) for block in document.blocks]


HTML = """<!doctype html><html lang=en><head><title>A page</title>
<meta name=description content="About things"><style>p {}</style></head><body>
<nav><a href=/>Home</a></nav><script>alert("x")</script>
<h1>Ducks &amp; geese</h1>
<p>They <b>swim</b>
well.<br>And fly.</p>loose text
<ul><li>one<ul><li>inner</li></ul></li><li><p>two</p></li></ul><ol start=3><li>three</li></ol>
<table><caption>Weights</caption><tr><th rowspan=2>Kind<th>kg</tr><tr><td>1.2</tr>
<tr><td>Goose<td>3</tr></table>
<pre><code>def f():
    return 1</code></pre>
<div hidden>not seen</div><div aria-hidden=true>nor this</div>
<table><tr><td>layout only</td></tr></table>
<img alt="A duck" src=x></body></html>"""


def test_html(read: Read) -> None:
    document = read("a.html", HTML)
    assert document.title == "A page"
    assert document.metadata == {"description": "About things"}
    assert outline(document) == [
        ("heading", "Ducks & geese"),
        ("paragraph", "They swim well.\nAnd fly."),
        ("paragraph", "loose text"),
        ("list", "- one\n  - inner\n- two"),
        ("list", "3. three"),
        ("paragraph", "Weights"),
        ("table", "| Kind | kg |\n| --- | --- |\n| Kind | 1.2 |\n| Goose | 3 |"),
        ("code", "def f():\n    return 1"),
        ("paragraph", "layout only"),
        ("image", "A duck"),
    ]
    assert document.blocks[6].cells == (("Kind", "kg"), ("Kind", "1.2"), ("Goose", "3"))


def test_html_says_what_code_pictures_and_the_page_are(read: Read) -> None:
    document = read(
        "a.html",
        """<html><head><meta name=author content="https://x.org/me"><meta property="article:author" content="A. Writer"><meta name=keywords content="x, y">
        <meta property="article:published_time" content="2024-05-01T10:00:00Z"></head><body>
        <pre class="highlight"><code class="hljs language-rust">fn main() {}</code></pre>
        <figure><img alt="A pond" src=x><figcaption>Figure 1. Ducks</figcaption></figure>
        <p>An <img alt="icon" src=i> in text</p><a href=/><img alt="Logo" src=l></a>
        <table><tr><th colspan=2>Wide<th>n</tr><tr><td>a<td>b<td>1</tr>
        <tr><td colspan=3>all</tr></table></body></html>""",
    )
    assert document.metadata == {
        "author": "A. Writer",
        "created": "2024-05-01T10:00:00+00:00",
        "keywords": ["x", "y"],
    }
    assert [(b.kind, b.info, b.text) for b in document.blocks[:4]] == [
        ("code", "rust", "fn main() {}"),
        ("image", "", "Figure 1. Ducks\nA pond"),
        ("paragraph", "", "An icon in text"),
        ("image", "", "Logo"),
    ]
    table = document.blocks[4]
    assert table.text == ("| Wide | Wide | n |\n| --- | --- | --- |\n| a | b | 1 |\n| all |  |  |")
    assert table.cells[0] == ("Wide", "Wide", "n")
    assert table.cells[2] == ("all", "all", "all")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2024-05-01", "2024-05-01"),
        ("2024-05", "2024-05"),
        ("2024-05-01T10:00:00Z", "2024-05-01T10:00:00+00:00"),
        ("Wed, 01 May 2024 10:00:00 +0200", "2024-05-01T10:00:00+02:00"),
        ("May 1, 2024", "2024-05-01"),
        ("yesterday", None),
        ("", None),
        ("99999999999", None),
    ],
)
def test_dates_become_iso_8601(value: str, expected: str | None) -> None:
    assert iso_date(value) == expected


def test_deeply_nested_html_is_read(read: Read) -> None:
    depth = 20_000
    document = read("a.html", "<html>" + "<div>" * depth + "deep" + "</div>" * depth)
    assert document.text == "deep"
    lists = read("b.html", "<html>" + "<ul><li>x" * 500)
    assert lists.text.count("x") > 300


MARKDOWN = """---
title: "The guide"
tags: a, b
---
# Top

A *line* with `code`,
a [link](http://x.y) and ![a picture](p.png).

1. first
2. second
   - inner
     more of it

| a | b |
|---|---|
| 1 | x\\|y |

```python
# not a heading
print(1)
```

> quoted

## Sub

<div>raw <b>html</b></div>
<!-- a comment -->
"""


def test_markdown(read: Read) -> None:
    document = read("a.md", MARKDOWN)
    assert document.title == "The guide"
    assert document.metadata == {"keywords": ["a", "b"]}
    assert outline(document) == [
        ("heading", "Top"),
        ("paragraph", "A line with code,\na link and a picture."),
        ("list", "1. first\n2. second\n  - inner more of it"),
        ("table", "| a | b |\n| --- | --- |\n| 1 | x\\|y |"),
        ("code", "# not a heading\nprint(1)"),
        ("paragraph", "quoted"),
        ("heading", "Sub"),
        ("paragraph", "raw html"),
    ]
    assert [block.level for block in document.blocks if block.kind == "heading"] == [1, 2]


def test_markdown_says_what_code_and_pictures_are(read: Read) -> None:
    document = read(
        "a.md",
        "---\ntags:\n  - a\n  - b\nauthor: Me\ndate: 2024-05-01\nbad:\n---\n"
        "```python title=x\nprint(1)\n```\n\n![A pond](x.png)\n\n|a|b|\n|-|-|\n|1|x\\|y|\n",
    )
    assert document.metadata == {"keywords": ["a", "b"], "author": "Me", "created": "2024-05-01"}
    code, image, table = document.blocks
    assert (code.kind, code.info) == ("code", "python")
    assert (image.kind, image.text) == ("image", "A pond")
    assert table.cells == (("a", "b"), ("1", "x|y"))


def test_markdown_without_front_matter_takes_its_first_heading_as_title(read: Read) -> None:
    assert read("a.md", "text\n\n# Name\n\nmore").title == "Name"
    assert read("notes.md", "only text").title == "notes"


def test_deeply_nested_markdown_is_read(read: Read) -> None:
    document = read("a.md", "> " * 5_000 + "deep\n\n" + "- " * 5_000 + "list")
    assert "deep" in document.text


def test_plain_text(read: Read) -> None:
    document = read("a.txt", "One\r\ntwo.\r\n\r\n- a\n- b\n\f\nPage two\x00." + " It goes on." * 5)
    assert [(b.kind, b.page, b.text) for b in document.blocks] == [
        ("paragraph", 1, "One\ntwo."),
        ("list", 1, "- a\n- b"),
        ("paragraph", 2, "Page two." + " It goes on." * 5),
    ]
    assert document.pages == 2
    assert read("b.txt", "x").pages is None


def test_csv(read: Read) -> None:
    expected = "| name | n |\n| --- | --- |\n| a, b | 1 |"
    assert read("a.csv", 'name,n\n"a, b",1\n').text == expected
    assert read("a.csv", "name;n\na, b;1\n").text == expected
    assert read("a.tsv", "name\tn\na, b\t1\n").text == expected


@pytest.mark.parametrize(
    ("name", "content"), [("a.html", "<html><body></body></html>"), ("a.md", "<!-- -->")]
)
def test_a_file_without_words_is_refused(read: Read, name: str, content: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read(name, content)
    assert caught.value.code == "no_text"


WEBVTT = """WEBVTT - A talk
Language: en

NOTE nobody hears this

STYLE
::cue { color: lime }

1
00:01.000 --> 00:03.500 align:start
<v.loud Ada Lovelace>It weaves <i>algebraic</i> patterns</v>

2
00:03.500 --> 00:05.000
<v Ada Lovelace>as the loom weaves flowers &amp; leaves.</v> <i>laughter</i>

00:05.000 --> 00:06.000
<v Charles>Does 3 < 5 hold? <v Ada Lovelace>Yes.

00:01:06.000 --> 00:01:07.000
<ruby>明日<rt>あした</rt></ruby>
"""


def test_subtitles_are_what_is_said_and_by_whom(read: Read) -> None:
    document = read("a.vtt", WEBVTT)
    assert document.media_type == "text/vtt"
    assert document.title == "A talk"
    assert [(b.info, b.text) for b in document.blocks] == [
        (
            "00:00:01",
            "Ada Lovelace: It weaves algebraic patterns as the loom weaves flowers & leaves. laughter",
        ),
        ("00:00:05", "Charles: Does 3 < 5 hold?"),
        ("00:00:05", "Ada Lovelace: Yes."),
        ("00:01:06", "明日(あした)"),
    ]
    assert document.metadata == {
        "encoding": "utf-8",
        "declared_language": "en",
        "speakers": ["Ada Lovelace", "Charles"],
        "duration": "00:01:07",
    }
    pieces = chunk(document, ChunkConfig(chunk_size=32, chunk_overlap=0))
    assert (pieces[0].metadata["time"], len(pieces) > 1) == ("00:00:01", True)
    assert all(p.content == document.text[p.start : p.end] for p in pieces)


def test_subrip_loses_numbers_and_styles_but_no_word(read: Read) -> None:
    text = (
        "1\r\n00:00:01,000 --> 00:00:02,000\r\n{\\an8}<font color=red>In 1815</font>\r\n"
        "2\r\n00:00:02,000 --> 00:00:03,000\r\n42\r\n\r\nit began.\r\n\r\n"
        "3\r\n00:00:09,000 --> 00:00:10,000\r\n- Where?\r\n- In <London>.\r\n"
    )
    for name in ("a.srt", "a.txt"):  # its content tells what it is
        document = read(name, text)
        assert document.media_type == "application/x-subrip"
        assert [(b.info, b.text) for b in document.blocks] == [
            ("00:00:01", "In 1815 42 it began."),
            ("00:00:09", "- Where?\n- In <London>."),
        ]


def test_captions_that_roll_up_say_each_line_once(read: Read) -> None:
    document = read(
        "a.vtt",
        "WEBVTT\n\n00:00.000 --> 00:02.000\n \nwe<00:00:00.500><c> begin</c>\n\n"
        "00:02.000 --> 00:02.010\nwe begin\n \n\n"
        "00:02.010 --> 00:04.000\nwe begin\nno,<00:00:03.000><c> no</c>\n",
    )
    assert document.text == "we begin no, no"
    said_twice = "1\n00:00:00,000 --> 00:00:01,000\nNo.\n\n2\n00:00:01,000 --> 00:00:02,000\nNo.\n"
    assert read("a.srt", said_twice).text == "No. No."


def test_long_subtitles_are_cut_at_ends_of_sentences(read: Read) -> None:
    cues = [
        f"{i}\n00:{i // 60:02d}:{i % 60:02d},000 --> 00:{i // 60:02d}:{i % 60:02d},900\n"
        f"the sentence of number {i}{'.' if i % 3 == 0 else ''}"
        for i in range(1, 200)
    ]
    blocks = read("a.srt", "\n\n".join(cues)).blocks
    assert len(blocks) > 5
    assert all(b.text.endswith(".") and len(b.text) < 800 for b in blocks[:-1])
    said = " ".join(b.text for b in blocks).split()
    assert said == " ".join(cue.split("\n")[2] for cue in cues).split()
