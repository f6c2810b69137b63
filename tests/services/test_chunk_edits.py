"""Chunks that people correct: what it does, how it is undone, and what processing again keeps."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from app.documents.media import time_of
from app.engine.problems import RagloomError
from app.engine.values import Box, Chunk
from app.services.container import Services
from app.services.knowledge.chunk_changes import Passage, merged, split
from app.services.knowledge.chunk_edits import apply, carry, edit_of
from app.services.views import ChunkView, SearchConfig
from storage.errors import Conflict, NotFound
from tests.services.conftest import opened, text_files

pytestmark = pytest.mark.asyncio(loop_scope="module")

HARBOUR = (
    "# Harbour\n\nThe harbour of Lowick has the highest tide at noon on Fridays.\n\n"
    "## Boats\n\nFishing boats leave Lowick two hours before the tide turns. They come back with "
    "herring and mackerel.\n\n## Lamps\n\nThe lamps of the pier burn whale oil until sunrise.\n"
)
SMALL = {"chunk_size": 20, "chunk_overlap": 0}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Services]:
    async with opened(tmp_path_factory.mktemp("shared") / "data") as services:
        yield services


@pytest_asyncio.fixture(loop_scope="module")
async def place(services: Services) -> tuple[str, str]:
    """A knowledge base with one document in several chunks, and that document."""
    made = await services.knowledge.create(f"Docs {uuid.uuid4()}", config=SMALL)
    kb = made.knowledge_base_id
    await upload(services, kb, HARBOUR)
    found = await services.knowledge.documents(kb)
    return kb, found.items[0].document_id


async def upload(
    services: Services, kb: str, text: str, config: dict[str, int] | None = None
) -> None:
    job = await services.ingest.submit(kb, text_files({"harbour.md": text}), config)
    done = await services.ingest.wait(job.job_id, 60)
    assert [result.status for result in done.results] == ["success"], done


async def chunks(services: Services, place: tuple[str, str]) -> list[ChunkView]:
    return (await services.knowledge.chunks(*place, disabled=True)).items


async def find(services: Services, kb: str, words: str, how: str = "keyword") -> list[str]:
    config = SearchConfig(search_type=how, k=20)
    return [c.content for c in (await services.search.search(kb, words, config)).results]


# ---- what a correction does ----
async def test_a_new_text_is_found_at_once_and_the_old_one_is_not(
    services: Services, place: tuple[str, str]
) -> None:
    kb, _ = place
    before = await chunks(services, place)
    lamps = next(c for c in before if "whale" in c.content)
    new = lamps.content.replace("whale oil", "paraffin")
    done = await services.corrections.change(*place, lamps.chunk_id, content=new, author="ada")
    assert (done.commit.message, done.commit.author) == (
        f"Edit chunk {lamps.ordinal + 1} of harbour.md",
        "ada",
    )
    after = await chunks(services, place)
    assert [c.content for c in after] == [
        new if c.chunk_id == lamps.chunk_id else c.content for c in before
    ]
    assert [(c.start, c.end) for c in after] == [(c.start, c.end) for c in before]
    assert done.chunks == [after[lamps.ordinal]]
    assert await find(services, kb, "paraffin") == [new]
    assert await find(services, kb, "whale") == []
    assert (await find(services, kb, "paraffin lamps", "semantic"))[0] == new
    # The page still shows what the document says.
    assert "whale oil" in (await services.knowledge.text(*place)).text


async def test_a_disabled_chunk_is_neither_found_nor_counted_and_comes_back(
    services: Services, place: tuple[str, str]
) -> None:
    kb, document = place
    boats = next(c for c in await chunks(services, place) if "leave Lowick" in c.content)
    count = (await services.knowledge.stats(kb)).chunk_count
    version = (await services.knowledge.document(kb, document)).version_id
    done = await services.corrections.change(*place, boats.chunk_id, disabled=True)
    for how in ("keyword", "semantic", "hybrid"):
        assert boats.content not in await find(services, kb, "fishing boats leave", how)
    config = SearchConfig(search_type="semantic", k=50, filters={"headings": "Boats"})
    filtered = await services.search.search(kb, "boats", config)
    assert boats.content not in [c.content for c in filtered.results]
    assert (await services.knowledge.stats(kb)).chunk_count == count - 1
    plain = (await services.knowledge.chunks(*place)).items
    assert boats.content not in [c.content for c in plain]
    hidden = next(c for c in await chunks(services, place) if c.disabled)
    assert hidden.content == boats.content
    assert hidden.ordinal == boats.ordinal
    assert hidden.chunk_id == done.chunks[0].chunk_id
    again = await services.corrections.change(*place, hidden.chunk_id, disabled=False)
    assert again.version_id == version, "what is taken back leaves no trace in the version"
    assert await find(services, kb, "fishing boats leave") != []


async def test_a_split_chunk_keeps_its_text_and_its_place(
    services: Services, place: tuple[str, str]
) -> None:
    boats = next(c for c in await chunks(services, place) if "leave Lowick" in c.content)
    text = (await services.knowledge.text(*place)).text
    at = boats.content.index("boats leave") + len("boats")
    done = await services.corrections.split(*place, boats.chunk_id, at)
    assert [c.content for c in done.chunks] == [boats.content[:at], boats.content[at:].lstrip()]
    for part in done.chunks:
        assert text[part.start : part.end] == part.content
    assert (await services.knowledge.text(*place)).text == text
    again = await services.corrections.merge(*place, [c.chunk_id for c in done.chunks])
    assert [c.content for c in again.chunks] == [boats.content]
    done = await services.corrections.split(*place, again.chunks[0].chunk_id, at)
    with pytest.raises(RagloomError, match="no text on one side"):
        await services.corrections.split(*place, done.chunks[0].chunk_id, 5_000)


async def test_merged_neighbours_are_one_chunk_with_both_boxes(
    services: Services, place: tuple[str, str]
) -> None:
    before = await chunks(services, place)
    ids = [c.chunk_id for c in before[:2]]
    done = await services.corrections.merge(*place, ids)
    one = done.chunks[0]
    assert one.content.startswith(before[0].content)
    assert one.content.endswith(before[1].content)
    assert (one.start, one.end) == (before[0].start, before[1].end)
    after = await chunks(services, place)
    assert len(after) == len(before) - 1
    with pytest.raises(RagloomError, match="follow each other"):
        await services.corrections.merge(*place, [after[0].chunk_id, after[2].chunk_id])


async def test_restoring_the_version_before_undoes_a_correction(
    services: Services, place: tuple[str, str]
) -> None:
    kb, document = place
    before = await chunks(services, place)
    done = await services.corrections.change(*place, before[0].chunk_id, content="Something else")
    undone = await services.corrections.restore(
        *place, done.previous_version_id, expected=done.version_id, author="ada"
    )
    assert await chunks(services, place) == before
    assert undone.version_id == done.previous_version_id
    history = await services.corrections.history(kb, document)
    assert [c.version_id for c in history.items] == [
        done.previous_version_id,
        done.version_id,
        done.previous_version_id,
    ]
    await services.corrections.change(*place, before[1].chunk_id, content="Another")
    with pytest.raises(RagloomError) as caught:
        await services.corrections.restore(*place, done.version_id, expected=undone.version_id)
    assert caught.value.code == "conflict"


async def test_the_same_text_is_never_embedded_twice(
    services: Services, place: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded: list[str] = []
    embed = services.models.embed

    async def counted(texts: list[str], **more: object) -> object:
        if more["kind"] == "passage":
            embedded.extend(texts)
        return await embed(texts, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(services.models, "embed", counted)
    first = (await chunks(services, place))[0]
    text = f"A text nobody wrote before {uuid.uuid4()}"
    done = await services.corrections.change(*place, first.chunk_id, content=text)
    assert len(embedded) == 1
    back = await services.corrections.change(*place, done.chunks[0].chunk_id, content=first.content)
    await services.corrections.change(*place, back.chunks[0].chunk_id, content=text)
    assert len(embedded) == 1


# ---- several people ----
async def test_two_people_correct_different_chunks_at_once(
    services: Services, place: tuple[str, str]
) -> None:
    before = await chunks(services, place)
    texts = [f"{c.content} Seen by {n}." for n, c in enumerate(before)]
    await asyncio.gather(
        *(
            services.corrections.change(*place, chunk.chunk_id, content=text)
            for chunk, text in list(zip(before, texts, strict=True))[:3]
        )
    )
    assert [c.content for c in await chunks(services, place)][:3] == texts[:3]


async def test_a_chunk_that_was_changed_meanwhile_is_refused_with_what_to_do(
    services: Services, place: tuple[str, str]
) -> None:
    first, second = (await chunks(services, place))[:2]
    await services.corrections.change(*place, first.chunk_id, content="By the first")
    with pytest.raises(Conflict) as caught:
        await services.corrections.change(*place, first.chunk_id, content="By the second")
    assert "Load the chunks" in caught.value.fix
    assert (await chunks(services, place))[0].content == "By the first"
    # Another chunk of the same document is not in the way.
    await services.corrections.change(*place, second.chunk_id, content="Still possible")
    with pytest.raises(NotFound):
        await services.corrections.change(*place, "0" * 32, content="x")


@pytest.mark.parametrize("text", ["  \n ", "a\x00b", "x" * 60_000, "\ud800"])
async def test_a_text_that_is_none_is_refused(
    services: Services, place: tuple[str, str], text: str
) -> None:
    first = (await chunks(services, place))[0]
    with pytest.raises(RagloomError) as caught:
        await services.corrections.change(*place, first.chunk_id, content=text)
    assert caught.value.code == "bad_edit"
    assert caught.value.fix


# ---- processing again ----
async def test_processing_again_with_other_sizes_keeps_what_was_corrected(
    services: Services, place: tuple[str, str]
) -> None:
    kb, document = place
    found = await chunks(services, place)
    lamps = next(c for c in found if "whale" in c.content)
    boats = next(c for c in found if "leave Lowick" in c.content)
    await services.corrections.change(*place, lamps.chunk_id, content="Paraffin lamps burn.")
    await services.corrections.change(*place, boats.chunk_id, disabled=True)
    await upload(services, kb, HARBOUR, {"chunk_size": 200})
    after = await chunks(services, place)
    assert [c.content for c in after if c.disabled] == [boats.content]
    assert "Paraffin lamps burn." in [c.content for c in after]
    assert await find(services, kb, "whale") == []
    view = await services.knowledge.document(kb, document)
    assert view.metadata["edits"] == 2
    assert "edit_conflicts" not in view.metadata
    text = (await services.knowledge.text(*place)).text
    assert "whale oil until sunrise" in text
    assert "leave Lowick two hours" in text


async def test_what_does_not_fit_any_more_is_listed_and_can_be_repeated_or_dropped(
    services: Services, place: tuple[str, str]
) -> None:
    kb, document = place
    lamps = next(c for c in await chunks(services, place) if "whale" in c.content)
    tide = next(c for c in await chunks(services, place) if "highest tide" in c.content)
    await services.corrections.change(*place, lamps.chunk_id, content="Paraffin lamps burn.")
    await services.corrections.change(*place, tide.chunk_id, content="Tides are high.")
    await upload(services, kb, HARBOUR.replace("whale oil", "gas").replace("noon", "six"))
    view = await services.knowledge.document(kb, document)
    conflicts = view.metadata["edit_conflicts"]
    assert [(c["op"], c["text"]) for c in conflicts] == [
        ("replace", "Paraffin lamps burn."),
        ("replace", "Tides are high."),
    ]
    assert all(c["reason"] for c in conflicts)
    assert await find(services, kb, "paraffin") == []
    # Uploading it once more loses nothing.
    await upload(services, kb, HARBOUR.replace("whale oil", "steam").replace("noon", "six"))
    again = await services.corrections.settle(*place, 0, "apply")
    assert [c.content for c in again.chunks] == ["Paraffin lamps burn."]
    await services.corrections.settle(*place, 0, "drop")
    view = await services.knowledge.document(kb, document)
    assert "edit_conflicts" not in view.metadata
    assert view.metadata["edits"] == 1
    assert await find(services, kb, "steam") == []
    assert await find(services, kb, "paraffin") == ["Paraffin lamps burn."]


async def test_a_correction_made_while_a_document_is_processed_is_not_lost(
    services: Services, place: tuple[str, str]
) -> None:
    kb, _ = place
    first = (await chunks(services, place))[0]

    async def processed() -> None:
        files = text_files({"harbour.md": HARBOUR})
        job = await services.ingest.submit(kb, files, {"chunk_size": 100})
        await services.ingest.wait(job.job_id, 60)

    await asyncio.gather(
        services.corrections.change(*place, first.chunk_id, content="Corrected meanwhile"),
        processed(),
    )
    assert "Corrected meanwhile" in [c.content for c in await chunks(services, place)]


async def test_deleting_a_knowledge_base_takes_its_corrections(
    services: Services, place: tuple[str, str]
) -> None:
    kb, _ = place
    first = (await chunks(services, place))[0]
    done = await services.corrections.change(*place, first.chunk_id, disabled=True)
    assert services.repository.corrections(done.version_id).edits
    await services.knowledge.delete(kb)
    assert not services.repository.corrections(done.version_id).edits


# ---- repeating edits, without a knowledge base ----
def cut(text: str, *places: int) -> list[Chunk]:
    """Chunks of a text, cut at these places."""
    made = []
    for start, end in zip((0, *places), (*places, len(text)), strict=True):
        content = text[start:end]
        lead = len(content) - len(content.lstrip())
        box = Box(page=1, x0=0.1, y0=start / len(text), x1=0.9, y1=end / len(text))
        made.append(
            Chunk(
                chunk_id="", document_id="", document_name="", content=content.strip(), page=1,
                start=start + lead, end=start + lead + len(content.strip()), boxes=(box,),
            )
        )  # fmt: skip
    return made


TEXT = "Alpha one two three. Beta four five six. Gamma seven eight nine. Delta ten."
SENTENCES = (20, 40, 64)


def texts(passages: list[Passage]) -> list[str]:
    return [p.chunk.content for p in passages]


async def test_edits_of_edited_chunks_are_repeated_in_order() -> None:
    passages = [Passage(c) for c in cut(TEXT, *SENTENCES)]
    edits = []
    for op, index, more in (
        ("replace", 1, {"text": "Beta was rewritten. It has two sentences."}),
        ("split", 1, {"at": 19}),
        ("replace", 2, {"text": "And a third."}),
        ("disable", 0, {}),
    ):
        edits.append(edit_of(op, passages, index, **more))  # type: ignore[arg-type]
        passages = apply(passages, edits[-1], index)
    again = carry(edits, cut(TEXT, *SENTENCES))
    assert again.passages == passages
    assert again.edits == edits
    assert again.conflicts == []
    # All is at its place still.
    assert [p.chunk.start for p in passages] == sorted(p.chunk.start or 0 for p in passages)


@pytest.mark.parametrize("places", [(), (30,), (10, 50), (20, 30, 50, 64), (5, 15, 25, 35, 45, 55)])
async def test_a_replaced_stretch_is_kept_wherever_chunks_are_cut(places: tuple[int, ...]) -> None:
    edit = edit_of("replace", [Passage(c) for c in cut(TEXT, *SENTENCES)], 1, text="New words.")
    again = carry([edit], cut(TEXT, *places))
    assert again.conflicts == []
    assert "New words." in texts(again.passages)
    # Nothing else of the text is lost, and nothing is there twice.
    rest = "".join(p.chunk.content for p in again.passages if p.chunk.content != "New words.")
    assert rest.replace(" ", "") == (TEXT[:20] + TEXT[40:]).replace(" ", "")
    spans = [(p.chunk.start, p.chunk.end) for p in again.passages]
    assert (21, 40) in spans
    assert spans == sorted(spans)


async def test_a_split_and_a_merge_hold_where_chunks_are_cut_otherwise() -> None:
    chunks = [Passage(c) for c in cut(TEXT, *SENTENCES)]
    at = edit_of("split", chunks, 1, at=9)
    again = carry([at], cut(TEXT))
    assert texts(again.passages) == [TEXT[:30], TEXT[30:].strip()]
    assert carry([at], cut(TEXT, 30)).edits == [at], "it ends there anyway"
    both = edit_of("merge", chunks, 1, 2)
    assert carry([both], cut(TEXT)).edits == [both], "they are in one chunk anyway"
    kept = carry([both], cut(TEXT, 20, 30, 40, 64))
    assert texts(kept.passages)[1].split() == TEXT[20:64].split()
    assert carry([both], cut(TEXT, 10, 30, 50)).conflicts[0]["reason"]


async def test_the_time_of_what_is_said_stays_with_the_first_words() -> None:
    at = [c.model_copy(update={"metadata": {"time": f"00:00:0{n}"}})
          for n, c in enumerate(cut(TEXT, 40))]  # fmt: skip
    one, two = map(Passage, at)
    first, second = split(one, 20)
    assert [time_of(p.chunk.metadata) for p in (first, second)] == ["00:00:00", ""]
    assert time_of(merged(first, second).chunk.metadata) == "00:00:00"
    assert time_of(merged(one, two).chunk.metadata) == "00:00:00"
    assert time_of(merged(second, two).chunk.metadata) == ""


async def test_a_chunk_whose_text_moved_is_found_and_a_changed_one_is_a_conflict() -> None:
    chunks = [Passage(c) for c in cut(TEXT, *SENTENCES)]
    edit = edit_of("disable", chunks, 2)
    moved = "A new beginning. " + TEXT
    again = carry([edit], cut(moved, *(n + 17 for n in SENTENCES)))
    assert [p.disabled for p in again.passages] == [False, False, True, False]
    assert again.edits[0]["start"] == edit["start"] + 17
    other = carry([edit], cut(TEXT.replace("seven", "SEVEN"), *SENTENCES))
    assert other.edits == []
    assert "another now" in other.conflicts[0]["reason"]
    assert not any(p.disabled for p in other.passages)


async def test_boxes_are_shared_out_and_joined() -> None:
    whole = Passage(cut(TEXT)[0])
    first, second = split(whole, 40)
    assert first.chunk.boxes[0].y1 == second.chunk.boxes[0].y0
    assert first.chunk.boxes[0].y1 == pytest.approx(40 / len(TEXT), abs=0.02)
    again = merged(first, second)
    assert again.chunk.content.split() == TEXT.split()
    assert (again.chunk.start, again.chunk.end) == (0, len(TEXT))
    assert len(again.chunk.boxes) == 2
