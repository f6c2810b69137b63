"""Chunking: exact offsets, nothing lost, sizes kept, pages and headings known."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.documents.chunk import (
    ChunkConfig,
    ChunkInput,
    chunk,
    chunker_names,
    heading_paths,
    register_chunker,
)
from app.documents.chunkers.units import WHOLE_FACTOR
from app.documents.embed_text import as_words, with_text
from app.documents.model import Block, Box, ExtractedDocument, Piece, block_starts, full_text
from app.documents.tokens import CountingTokenizer, EmbeddedTokenizer, TokenIndex, default_tokenizer

WORDS = CountingTokenizer(lambda word: 1)
STRATEGIES = (
    "recursive", "fixed", "sentence", "semantic", "document_aware", "parent_child", "table_rows",
    "question_answer", "page",
)  # fmt: skip


def bag_of_letters(texts: Sequence[str]) -> np.ndarray:
    """Unit vectors by letter counts: a real, if poor, embedding."""
    vectors = np.array([[text.count(c) + 0.01 for c in "aeioumnrst"] for text in texts])
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def cut(blocks: Sequence[Block], **config: object) -> list[Piece]:
    return chunk(blocks, ChunkConfig.model_validate(config), tokenizer=WORDS, embed=bag_of_letters)


text_strategy = st.text(
    st.one_of(
        st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")),
        st.sampled_from("ab.? \n|-。,12"),
    ),
    min_size=1,
    max_size=400,
).filter(lambda text: text.strip() == text)
#: Texts of the forms that strategies look for.
formed_strategy = st.lists(
    st.sampled_from(
        [
            "Q: What is it?", "A: It is a pump.", "Question 2. Why?", "| q | a |", "| --- | --- |",
            "| Why? | Because. |", "|", "word " * 40 + "end.", "Short one.", "x" * 90, "", "  ind",
        ]
    ),
    min_size=1,
    max_size=12,
).map(lambda lines: "\n".join(lines).strip()).filter(bool)  # fmt: skip
block_strategy = st.builds(
    Block,
    kind=st.sampled_from(["heading", "paragraph", "list", "table", "code", "image"]),
    text=st.one_of(text_strategy, formed_strategy),
    page=st.one_of(st.none(), st.integers(1, 3)),
    level=st.one_of(st.none(), st.integers(1, 3)),
    language=st.sampled_from([None, None, "en", "de"]),
    info=st.sampled_from(["", "python"]),
)


def most_tokens(config: ChunkConfig) -> int:
    """The size no piece may be above."""
    keeps = config.preserve_code_blocks or config.strategy == "document_aware"
    cut = config.chunk_size * (WHOLE_FACTOR if keeps else 1)
    # What is larger than a page may be, or on no page, is cut as usual.
    return max(cut, config.parent_size) if config.strategy == "page" else cut


@pytest.mark.parametrize("strategy", STRATEGIES)
@settings(max_examples=60, deadline=None)
@given(
    blocks=st.lists(block_strategy, max_size=8),
    size=st.integers(16, 60),
    overlap=st.integers(0, 15),
    parent=st.integers(60, 150),
    keep=st.booleans(),
    real=st.booleans(),
)
def test_pieces_are_spans_of_the_text_and_cover_it(
    strategy: str,
    blocks: list[Block],
    size: int,
    overlap: int,
    parent: int,
    keep: bool,
    real: bool,
) -> None:
    tokenizer = default_tokenizer() if real else WORDS
    config = ChunkConfig(
        strategy=strategy,
        chunk_size=size,
        chunk_overlap=overlap,
        parent_size=parent,
        preserve_code_blocks=keep and strategy != "fixed",
    )
    pieces = chunk(blocks, config, tokenizer=tokenizer, embed=bag_of_letters)
    assert pieces == chunk(blocks, config, tokenizer=tokenizer, embed=bag_of_letters)
    text, starts = full_text(blocks), block_starts(blocks)
    covered = [False] * len(text)
    for piece in pieces:
        assert piece.content == text[piece.start : piece.end]
        assert piece.content == piece.content.strip() != ""
        assert piece.metadata["tokens"] <= most_tokens(config)
        if piece.embed_text is not None:
            words = as_words(piece.content)
            assert piece.embed_text == words or piece.embed_text.endswith("\n" + words)
        inside = [
            block
            for block, start in zip(blocks, starts, strict=True)
            if start < piece.end and piece.start < start + len(block.text)
        ]
        assert len({block.language for block in inside} - {None}) <= 1
        for code in piece.metadata.get("code", ()):
            assert piece.start <= code["start"] < code["end"] <= piece.end
        if strategy == "parent_child":
            assert piece.metadata["parent"]["start"] <= piece.start
            assert piece.end <= piece.metadata["parent"]["end"]
        covered[piece.start : piece.end] = [True] * (piece.end - piece.start)
    assert all(done or char.isspace() for char, done in zip(text, covered, strict=True))
    assert all(a.start < b.start and a.end < b.end for a, b in pairwise(pieces))
    tokens = TokenIndex(text, tokenizer)
    for a, b in pairwise(pieces):
        # A word may be of several tokens: it is repeated whole or not at all.
        assert tokens.count(b.start, a.end) <= overlap or b.start >= a.end


def test_a_chunk_stays_on_its_page_and_knows_its_headings() -> None:
    blocks = [
        Block(kind="heading", text="Guide", level=1, page=1),
        Block(kind="paragraph", text="Start here. It is short.", page=1),
        Block(kind="heading", text="Install", level=2, page=2),
        Block(kind="paragraph", text="word " * 20 + "end.", page=2),
        Block(kind="heading", text="Use", level=2, page=2),
        Block(kind="paragraph", text="Press the button.", page=2),
    ]
    pieces = cut(blocks, chunk_size=40, chunk_overlap=0)
    assert [(piece.page, piece.headings) for piece in pieces] == [
        (1, ("Guide",)),
        (2, ("Guide", "Install")),
        (2, ("Guide", "Use")),
    ]
    # Its own heading is in the content; only what is above it is put in front.
    assert pieces[1].embed_text == "Guide\n" + pieces[1].content
    assert pieces[0].embed_text is None


def test_no_chunk_ends_with_a_heading() -> None:
    blocks = [
        Block(kind="paragraph", text="one " * 14),
        Block(kind="heading", text="Next", level=1),
        Block(kind="paragraph", text="two " * 10),
    ]
    pieces = cut(blocks, chunk_size=20, chunk_overlap=0)
    assert [piece.content.split()[0] for piece in pieces] == ["one", "Next"]


def test_overlap_repeats_whole_sentences() -> None:
    text = "First sentence here. Second one follows. " + "A third one is a good deal longer. " * 3
    blocks = [
        Block(kind="paragraph", text=text.strip()),
        Block(kind="paragraph", text="And now a new paragraph begins with these many words."),
    ]
    first, second = cut(blocks, chunk_size=30, chunk_overlap=8)
    assert second.content.startswith("A third one is a good deal longer.\n\nAnd now")
    assert second.start < first.end


def test_a_table_that_fits_is_kept_whole_and_a_long_one_repeats_its_head_for_embedding() -> None:
    rows = "\n".join(f"| item {i} | {i} |" for i in range(12))
    table = Block(kind="table", text=f"| name | count |\n| --- | --- |\n{rows}", page=1)
    intro = Block(kind="paragraph", text="word " * 12, page=1)
    whole = cut([intro, table], chunk_size=100, chunk_overlap=0)
    assert len(whole) == 1
    parts = cut([intro, table], chunk_size=40, chunk_overlap=0)
    assert len(parts) > 2
    assert all(piece.content.count("|") % 3 == 0 for piece in parts)  # cut between rows
    later = parts[-1].embed_text
    assert later is not None
    assert later.startswith("name count\nitem")
    assert not set("|-") & set(later)


def test_a_table_is_embedded_as_its_words() -> None:
    table = "| Work | Hours \\| days |  |\n| :--- | --- | --- |\n| Body Labor |  | 2 |"
    blocks = [Block(kind="heading", text="Costs", level=1), Block(kind="table", text=table)]
    (piece,) = cut(blocks, chunk_size=100, chunk_overlap=0)
    assert piece.content == f"Costs\n\n{table}"
    assert piece.embed_text == "Costs\n\nWork Hours | days\nBody Labor 2"
    assert with_text(piece.embed_text, piece.content, "| Paint | 3 |") == "Paint 3"
    assert with_text(f"Garage\n{piece.embed_text}", piece.content, "Paint") == "Garage\nPaint"
    assert with_text(None, "words", "other words") is None


def test_a_chunk_knows_where_its_headings_are() -> None:
    blocks = [
        Block(kind="heading", text="Pets", level=1),
        Block(kind="heading", text="Cats", level=2),
        Block(kind="paragraph", text="They sleep."),
        Block(kind="heading", text="Dogs", level=2),
        Block(kind="paragraph", text="They run."),
    ]
    (piece,) = cut(blocks, chunk_size=100, chunk_overlap=0)
    found = [(piece.content[t["start"] : t["end"]], t["level"]) for t in piece.metadata["titles"]]
    assert found == [("Pets", 1), ("Cats", 2), ("Dogs", 2)]


def test_boxes_follow_the_lines_a_chunk_covers() -> None:
    lines = [Box(page=1, x0=0.1, y0=0.1 * i, x1=0.9, y1=0.1 * i + 0.02) for i in range(1, 9)]
    block = Block(kind="paragraph", text="A sentence of some words. " * 8, page=1, boxes=lines)
    pieces = cut([block], chunk_size=16, chunk_overlap=0)
    assert pieces[0].boxes[0] == lines[0]
    assert pieces[-1].boxes[-1] == lines[-1]
    assert all(len(piece.boxes) < 8 for piece in pieces)


def test_touching_lines_become_one_box() -> None:
    lines = [Box(page=1, x0=0.1, y0=y, x1=0.5, y1=y + 0.01) for y in (0.1, 0.115, 0.13)]
    column = Box(page=1, x0=0.55, y0=0.1, x1=0.9, y1=0.11)
    block = Block(kind="paragraph", text="word " * 10, boxes=(*lines, column))
    (piece,) = cut([block])
    assert piece.boxes == (Box(page=1, x0=0.1, y0=0.1, x1=0.5, y1=0.14), column)


def test_semantic_cuts_where_the_topic_changes() -> None:
    cats = "Cats purr and nap in the sun. A cat likes warm places. Kittens play with string. "
    money = "The bank raised its interest rate. Loans cost more now. Inflation is falling. "
    from app.documents.embed import load_embedder

    block = Block(kind="paragraph", text=(cats + money).strip())
    config = ChunkConfig(strategy="semantic", chunk_size=64, chunk_overlap=0)
    pieces = chunk([block], config, embed=load_embedder().embed)
    assert any(piece.content.startswith("The bank") for piece in pieces)
    with pytest.raises(ValueError, match="needs an embedding model"):
        chunk([block], config)


def test_semantic_embeds_every_sentence_once_and_in_small_batches() -> None:
    batches: list[int] = []

    def counting(texts: Sequence[str]) -> np.ndarray:
        batches.append(len(texts))
        return bag_of_letters(texts)

    text = " ".join(f"This sentence has the number {i}." for i in range(300))
    config = ChunkConfig(strategy="semantic", chunk_size=64, chunk_overlap=0)
    chunk([Block(kind="paragraph", text=text)], config, tokenizer=WORDS, embed=counting)
    assert sum(batches) == 300
    assert max(batches) <= 64


def test_sections_tables_and_code_are_kept_whole() -> None:
    code = Block(kind="code", text="\n".join(f"x{i} = {i} + 1" for i in range(12)), info="python")
    blocks = [
        Block(kind="heading", text="Guide", level=1),
        Block(kind="heading", text="Install", level=2),
        Block(kind="paragraph", text="Run it."),
        Block(kind="heading", text="Use", level=2),
        code,
        Block(kind="paragraph", text="Done."),
    ]
    pieces = cut(blocks, strategy="document_aware", chunk_size=40, chunk_overlap=0)
    assert [piece.content for piece in pieces] == [
        "Guide\n\nInstall\n\nRun it.",
        f"Use\n\n{code.text}",
        "Done.",
    ]
    assert pieces[1].metadata["tokens"] == 61
    assert pieces[1].metadata["code"] == [
        {
            "start": pieces[1].end - len(code.text),
            "end": pieces[1].end,
            "info": "python",
            "whole": True,
        }
    ]
    assert pieces[2].embed_text == "Guide > Use\nDone."
    usual = cut(blocks, chunk_size=40, chunk_overlap=0)
    assert any(not c["whole"] for piece in usual for c in piece.metadata.get("code", ()))
    kept = cut(blocks, chunk_size=40, chunk_overlap=0, preserve_code_blocks=True)
    assert any(code.text in piece.content for piece in kept)


def test_children_know_the_passage_they_stand_in() -> None:
    blocks = [Block(kind="paragraph", text=f"Part {i} has seven words in it.") for i in range(20)]
    config = {"strategy": "parent_child", "chunk_size": 16, "parent_size": 50, "chunk_overlap": 0}
    pieces = cut(blocks, **config)
    text = full_text(blocks)
    parents = {p.metadata["parent"]["id"]: p.metadata["parent"] for p in pieces}
    assert len(parents) == 3
    for parent in parents.values():
        children = [p for p in pieces if p.metadata["parent"] == parent]
        assert len(children) > 1
        assert (children[0].start, children[-1].end) == (parent["start"], parent["end"])
        assert len(text[parent["start"] : parent["end"]].split()) <= 50


def test_parents_of_two_languages_have_ids_of_their_own() -> None:
    blocks = [
        Block(kind="paragraph", text="One two three.", language=language)
        for language in ("en", "de", "en")
    ]
    pieces = cut(blocks, strategy="parent_child", chunk_size=16, parent_size=50, chunk_overlap=0)
    assert [piece.language for piece in pieces] == ["en", "de", "en"]
    assert len({piece.metadata["parent"]["id"] for piece in pieces}) == 3
    for piece in pieces:
        parent = piece.metadata["parent"]
        assert (parent["start"], parent["end"]) == (piece.start, piece.end)


@pytest.mark.parametrize("markdown", [True, False])
def test_each_row_of_a_table_is_a_chunk_with_its_header(markdown: bool) -> None:
    rows = [("name", "count"), ("bolt", "12"), ("nut", "7")]
    lines = [f"| {a} | {b} |" if markdown else f"{a}\t{b}" for a, b in rows]
    if markdown:
        lines.insert(1, "| --- | --- |")
    blocks = [
        Block(kind="paragraph", text="Parts:"),
        Block(kind="table", text="\n".join(lines), cells=tuple(rows)),
        Block(kind="paragraph", text="That is all."),
    ]
    pieces = cut(blocks, strategy="table_rows", chunk_size=40, chunk_overlap=0)
    assert [piece.content for piece in pieces] == [
        "Parts:",
        "\n".join(lines[:-1]),
        lines[-1],
        "That is all.",
    ]
    assert pieces[2].embed_text == ("name count\nnut 7" if markdown else "name | count\nnut\t7")


def test_questions_stay_with_their_answers() -> None:
    blocks = [
        Block(kind="heading", text="FAQ", level=1),
        Block(kind="paragraph", text="Welcome to the questions."),
        Block(kind="heading", text="How do I begin?", level=2),
        Block(kind="paragraph", text="Press start."),
        Block(kind="heading", text="Note", level=3),
        Block(kind="paragraph", text="Hold it."),
        Block(kind="heading", text="Contact", level=2),
        Block(kind="paragraph", text="Write to us."),
        Block(kind="paragraph", text="Q: Is it free?\nA: Yes.\nQ2: For ever?\nA2: For ever."),
        Block(kind="paragraph", text="**Question:** May I copy it?"),
        Block(kind="paragraph", text="**Answer:** You may."),
        Block(
            kind="table",
            text="| Question | Answer |\n| --- | --- |\n| Where? | Ghent |\n| When? | Now |",
        ),
    ]
    pieces = cut(blocks, strategy="question_answer", chunk_size=60, chunk_overlap=0)
    assert [(p.metadata.get("question"), p.content.split("\n")[-1]) for p in pieces] == [
        (None, "Welcome to the questions."),
        ("How do I begin?", "Hold it."),
        (None, "Write to us."),
        ("Is it free?", "A: Yes."),
        ("For ever?", "A2: For ever."),
        ("May I copy it?", "**Answer:** You may."),
        ("Where?", "| Where? | Ghent |"),
        ("When?", "| When? | Now |"),
    ]


def test_a_long_answer_is_embedded_with_its_question() -> None:
    blocks = [
        Block(kind="paragraph", text="Q: How long is it?"),
        Block(kind="paragraph", text="A: " + "It is quite long. " * 20),
    ]
    pieces = cut(blocks, strategy="question_answer", chunk_size=30, chunk_overlap=0)
    assert len(pieces) > 2
    assert {p.metadata["question"] for p in pieces} == {"How long is it?"}
    assert pieces[0].embed_text is None
    assert all((p.embed_text or "").startswith("How long is it?\n") for p in pieces[1:])


def test_one_chunk_a_page_unless_it_is_too_large() -> None:
    blocks = [
        Block(kind="heading", text="One", level=1, page=1),
        Block(kind="paragraph", text="word " * 50, page=1),
        Block(kind="table", text="a | b", page=None),
        Block(kind="heading", text="Two", level=1, page=2),
        Block(kind="paragraph", text="word " * 90, page=3),
    ]
    pieces = cut(blocks, strategy="page", chunk_size=32, chunk_overlap=0, parent_size=64)
    assert [piece.page for piece in pieces] == [1, 2, 3, 3, 3]
    assert pieces[0].content.endswith("a | b")


def test_no_chunk_holds_two_languages_and_headings_stay_known() -> None:
    blocks = [
        Block(kind="heading", text="Manual", level=1, language="en"),
        Block(kind="paragraph", text="Read this first.", language="en"),
        Block(kind="paragraph", text="Lesen Sie das zuerst.", language="de"),
        Block(kind="code", text="x = 1"),
        Block(kind="paragraph", text="Then go on.", language="en"),
    ]
    for strategy in STRATEGIES:
        pieces = cut(blocks, strategy=strategy, chunk_size=100, chunk_overlap=10)
        german = [piece for piece in pieces if piece.language == "de"]
        assert german[0].content.startswith("Lesen")
        assert german[-1].content.endswith("x = 1")
        assert german[0].headings == ("Manual",)
        assert pieces[-1].content == "Then go on."


def test_heading_paths_follow_levels() -> None:
    levels = [1, 2, 3, 2, 1]
    blocks = [Block(kind="heading", text=f"h{i}", level=n) for i, n in enumerate(levels)]
    assert heading_paths(blocks) == [
        ("h0",),
        ("h0", "h1"),
        ("h0", "h1", "h2"),
        ("h0", "h3"),
        ("h4",),
    ]


def test_a_long_heading_path_does_not_crowd_out_the_text() -> None:
    heads = [Block(kind="heading", text=f"head{i} " * 6, level=i) for i in range(1, 5)]
    (*_, last) = cut(
        [*heads, Block(kind="paragraph", text="body " * 30)], chunk_size=32, chunk_overlap=0
    )
    assert last.embed_text is not None
    assert len(last.embed_text.split("\n")[0].split()) <= 8 + 2


def by_letter(source: ChunkInput) -> list[tuple[int, int]]:
    return [(i, i + 1) for i in range(len(source.text))]


def test_other_packages_add_chunkers() -> None:
    register_chunker("letters", by_letter)
    assert "letters" in chunker_names()
    document = ExtractedDocument(
        media_type="text/plain", blocks=(Block(kind="paragraph", text="a b"),)
    )
    config = ChunkConfig(strategy="letters")
    assert [piece.content for piece in chunk(document, config)] == ["a", "b"]
    with pytest.raises(ValueError, match=r"unknown chunking strategy “nope”.*letters"):
        chunk(document, ChunkConfig(strategy="nope"))


def beyond(source: ChunkInput) -> list[tuple[int, int]]:
    return [(0, len(source.text) + 1)]


def test_a_chunker_that_cuts_outside_the_text_is_named() -> None:
    register_chunker("beyond", beyond)
    with pytest.raises(ValueError, match=r"“beyond” cut at 0\.\.4 of a text of 3 characters"):
        cut([Block(kind="paragraph", text="a b")], strategy="beyond")


def test_overlap_must_be_below_size() -> None:
    with pytest.raises(ValueError, match="must be smaller"):
        ChunkConfig(chunk_size=50, chunk_overlap=50)


def test_a_long_text_is_tokenized_in_parts_as_it_is_whole() -> None:
    tokenizer = EmbeddedTokenizer()
    text = "".join(f"Word{i} unbelievable—naïve 研究 3.14\n" for i in range(2_000))
    whole = tokenizer._tokenizer.encode(text, add_special_tokens=False).offsets
    assert tokenizer.spans(text) == whole
    unbroken = "研" * 25_000
    assert tokenizer.spans(unbroken) == [(i, i + 1) for i in range(25_000)]
    assert tokenizer.spans("") == []
