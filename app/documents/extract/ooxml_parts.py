"""What Word, PowerPoint and Excel files hold in the same form: charts and comments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from app.documents.extract.xml_parts import all_text, attribute, local
from app.documents.text import one_line

#: Categories of one chart that are read.
MAX_POINTS = 5_000
_THREADED = re.compile(r"\[Threaded comment\].*?\bComment:", re.DOTALL)
#: What office programs add to descriptions they made themselves.
_BY_MACHINE = re.compile(
    r"Description automatically generated(?: with \w+ confidence)?\.?"
    r"|AI-generated content may be incorrect\.?"
)
#: What says nothing: names of files, and that it is a picture.
_EMPTY = re.compile(
    r"\S+\.(?:png|jpe?g|gif|emf|wmf|bmp|tiff?|svg|webp)|(?:picture|image|bild|grafik)\s?\d*",
    re.IGNORECASE,
)


def chart_table(root: Any) -> tuple[str, list[list[str]]]:
    """Return a chart's title and data: a head of the series' names, then a row a category."""
    title = next(root.iter("{*}title"), None)
    on_top = title is not None and local(title.getparent()) == "chart"
    head, names, columns = [""], list[str](), list[dict[int, str]]()
    for series in root.iter("{*}ser"):
        name = series.find("{*}tx")
        head.append(" ".join(_points(name).values()) if name is not None else "")
        found = {local(part): _points(part) for part in series}
        categories = found.get("cat") or found.get("xVal") or {}
        values = found.get("val") or found.get("yVal") or {}
        longest = max([-1, *values, *categories]) + 1
        while len(names) < longest:
            names.append(categories.get(len(names), str(len(names) + 1)))
        columns.append(values)
    rows = [[name, *(column.get(i, "") for column in columns)] for i, name in enumerate(names)]
    text = all_text_of_runs(title) if on_top else ""
    return text, [head, *rows] if rows else []


def _points(part: Any) -> dict[int, str]:
    """Return index -> value of the points below a part of a series."""
    points: dict[int, str] = {}
    for point in part.iter("{*}pt"):
        index = attribute(point, "idx")
        if index.isdigit() and int(index) < MAX_POINTS:
            before = points.get(int(index))
            text = _number(one_line(all_text(point)))
            # Levels of categories: the widest comes last.
            points[int(index)] = f"{text} {before}" if before else text
    if not points and part.find("{*}v") is not None:
        points[0] = one_line(all_text(part))
    return points


def _number(text: str) -> str:
    try:
        return f"{float(text):.10g}" if "." in text else text
    except ValueError:
        return text


def all_text_of_runs(element: Any) -> str:
    """Return the texts of the runs below an element on one line."""
    return one_line("".join((run.text or "") for run in element.iter("{*}t", "{*}v")))


def comments(root: Any, authors: dict[str, str] | None = None) -> Iterator[tuple[str, str]]:
    """Yield (place, "Comment by NAME: text") of a part of comments, whichever program wrote it.

    `authors` maps ids to names where the part holds ids only. The place is a cell in Excel.
    """
    names = dict(authors or {})
    for number, author in enumerate(root.iter("{*}author")):
        names[str(number)] = one_line(all_text(author))
    for comment in root.iter("{*}comment", "{*}cm", "{*}threadedComment"):
        key = attribute(comment, "personId") or attribute(comment, "authorId")
        name = attribute(comment, "author") or names.get(key, "")
        texts = [one_line(t.text or "") for t in comment.iter("{*}t")]
        text = " ".join(filter(None, texts)) or " ".join(
            one_line(all_text(part)) for part in comment.iter("{*}text")
        )
        text = _THREADED.sub("", text).strip()
        if text:
            by = f" by {name}" if name and not name.startswith("tc=") else ""
            yield attribute(comment, "ref"), f"Comment{by}: {text}"


def authors_of(root: Any) -> dict[str, str]:
    """Return id -> name of a part that lists authors or persons."""
    return {
        attribute(person, "id"): attribute(person, "displayName") or attribute(person, "name")
        for person in root.iter("{*}cmAuthor", "{*}author", "{*}person")
    }


def description(properties: Any) -> str:
    """Return what a picture's properties say of it, if it says anything."""
    if properties is None:
        return ""
    texts = (
        one_line(_BY_MACHINE.sub("", properties.get(name) or "")) for name in ("title", "descr")
    )
    return "\n".join(dict.fromkeys(t for t in texts if t and not _EMPTY.fullmatch(t)))
