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
from app.documents.model import Block, Box, ExtractedDocument, Piece, full_text
from app.documents.tokens import CountingTokenizer, default_tokenizer

WORDS = CountingTokenizer(lambda word: 1)
STRATEGIES = ("recursive", "fixed", "sentence", "semantic")


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
block_strategy = st.builds(
    Block,
    kind=st.sampled_from(["heading", "paragraph", "list", "table", "code"]),
    text=text_strategy,
    page=st.one_of(st.none(), st.integers(1, 3)),
    level=st.one_of(st.none(), st.integers(1, 3)),
)


@pytest.mark.parametrize("strategy", STRATEGIES)
@settings(max_examples=60, deadline=None)
@given(
    blocks=st.lists(block_strategy, max_size=8),
    size=st.integers(16, 60),
    overlap=st.integers(0, 15),
)
def test_pieces_are_spans_of_the_text_and_cover_it(
    strategy: str, blocks: list[Block], size: int, overlap: int
) -> None:
    for tokenizer in (WORDS, default_tokenizer()):
        config = ChunkConfig(strategy=strategy, chunk_size=size, chunk_overlap=overlap)
        pieces = chunk(blocks, config, tokenizer=tokenizer, embed=bag_of_letters)
        text = full_text(blocks)
        covered = [False] * len(text)
        for piece in pieces:
            assert piece.content == text[piece.start : piece.end]
            assert piece.metadata["tokens"] <= size
            covered[piece.start : piece.end] = [True] * (piece.end - piece.start)
        assert all(done or char.isspace() for char, done in zip(text, covered, strict=True))
        assert all(a.start < b.start and a.end < b.end for a, b in pairwise(pieces))


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
    assert later.startswith("| name | count |\n| --- | --- |\n| item")


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


def test_overlap_must_be_below_size() -> None:
    with pytest.raises(ValueError, match="must be smaller"):
        ChunkConfig(chunk_size=50, chunk_overlap=50)
