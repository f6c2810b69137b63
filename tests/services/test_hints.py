"""Values that exist, from real documents in a real knowledge base."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.services.hints import MAX_VALUES, HintService, _flat, _Seen, filter_problems
from app.services.ingestion.uploads import IncomingFile

if TYPE_CHECKING:
    from app.services.container import Services

PAGE = """---
author: Ada
year: 1999
---
# Tides

The harbour of Lowick has the highest tide at noon.
"""


async def test_fields_and_values_are_those_of_the_documents(services: Services) -> None:
    kb = await services.knowledge.create("Harbour")
    hints = HintService(services.repository)
    assert (await hints.fields("Harbour")).documents == 0
    files = [
        IncomingFile("tides.md", data=PAGE.encode()),
        IncomingFile("prices.csv", data=b"item,price\ntea,3\n"),
    ]
    job = await services.ingest.submit(kb.knowledge_base_id, files, None)
    await services.ingest.wait(job.job_id, 60)

    known = await hints.fields("Harbour")
    names = {field.name for field in known.fields}
    assert {"filename", "media_type", "document_id", "language", "headings"} <= names
    filename = known.get("filename")
    assert filename is not None
    assert set(filename.values) == {"tides.md", "prices.csv"}
    assert filename.all_values
    assert known.documents == 2
    headings = known.get("headings")
    assert headings is not None
    assert headings.kind == "list"
    assert "Tides" in headings.values
    # The same commit is read once.
    assert await hints.fields("Harbour", "main") is known

    assert filter_problems({"filename": "tides.md", "headings": "Tides"}, known) == {}
    assert set(filter_problems({"filename": "tides.txt", "colour": "red"}, known)) == {
        "filename",
        "colour",
    }
    refs = await hints.refs("Harbour")
    assert refs["main"] == "main"
    assert known.commit in refs


def test_fields_are_counted_in_bounds() -> None:
    seen = _Seen()
    for number in range(500):
        seen.add(_flat({"n": number, "deep": {"er": {"x": "y"}}, "tags": ["a", "b"], "on": True}))
        seen.add({f"field {number}": 1}.items())
    hints = {hint.name: hint for hint in seen.hints(whole=True)}
    assert len(hints) == 200
    assert (hints["n"].low, hints["n"].high, hints["n"].kind) == (0, 499, "number")
    assert len(hints["n"].values) == MAX_VALUES
    assert not hints["n"].all_values
    assert hints["deep.er.x"].values == ("y",)
    assert (hints["tags"].kind, hints["on"].kind) == ("list", "bool")
    assert hints["on"].all_values
    assert hints["n"].documents == 500
