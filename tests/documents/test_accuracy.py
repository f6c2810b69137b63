"""The measures of accuracy, on what can be counted by hand."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.accuracy import grid, order_f1, relations, similarity, word_f1, words


def test_words_are_those_a_person_reads() -> None:
    markdown = "# A *B* [c](https://x.y/z_(1))<!-- image -->\n| d_e | &amp;f |\n| --- | --- |\n日本"
    assert words(markdown) == ["a", "b", "c", "d", "e", "f", "日", "本"]
    assert word_f1("b a", "A b") == 1
    assert order_f1("b a", "a b") == 0
    assert word_f1("a b", "a b c d") == pytest.approx(2 / 3)


def test_relations_of_cells() -> None:
    # A head over two columns, and an empty cell that is looked across.
    cells = [("Sum", 0, 0, 0, 1), ("1", 1, 1, 0, 0), ("2", 1, 1, 1, 1), ("3", 2, 2, 0, 0), ("4", 2, 2, 2, 2)]  # fmt: skip
    assert relations(cells) == Counter(
        {
            ("sum", "1", "below"): 1,
            ("sum", "2", "below"): 1,
            ("1", "2", "right"): 1,
            ("1", "3", "below"): 1,
            ("3", "4", "right"): 1,
        }
    )
    rows = [["Sum", "Sum", ""], ["1", "2", None], ["3", "", "4"]]
    assert relations(grid(rows, {(0, 1)})) == relations(cells)
    assert relations(grid([["0", "0"]])) == Counter({("0", "0", "right"): 1})


def test_similarity_is_that_of_the_longest_common_subsequence() -> None:
    assert similarity("abc", "abc") == 1
    assert similarity("", "abc") == 0
    assert similarity("kitten", "sitting") == pytest.approx(2 * 4 / 13)
    assert similarity("ab" * 500, "ba" * 500) == pytest.approx(0.999)
