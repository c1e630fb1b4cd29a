"""Queries, fusion, relevance, redundancy."""

from __future__ import annotations

import numpy as np
import pytest

from app.memory.rules import (
    MAX_MATCHES,
    diversified,
    excerpt,
    fts_query_of,
    fused,
    is_redundant,
    is_relevant,
    joined,
    words_of,
)


def some(_word: str) -> int:
    return 1


@pytest.mark.parametrize(
    "hostile", ['"', "* NEAR(", "a AND OR NOT", 'x" OR "1"="1', "col:val", "-", "👋", "()", "'; --"]
)
def test_syntax_in_a_question_is_only_words(hostile: str) -> None:
    """Each word is quoted; what is no word is gone."""
    query = fts_query_of(hostile, some)
    assert query == "" or all(part.startswith('"') and part.endswith('"') for part in query.split(" OR "))


def test_stop_words_do_not_search() -> None:
    """Unless there is nothing else."""
    assert fts_query_of("When do you open on Sunday?", some) == '"open" OR "sunday"'
    assert fts_query_of("what is it", some) == '"is" OR "it" OR "what"'


def test_scores_are_the_cosine_and_the_share_of_the_best_bm25() -> None:
    """What leads both and means the same as the question is 1; what is missing in one counts nothing there."""
    scores = fused({7: 1.0, 8: 0.5, 9: -0.2}, {7: 12.0, 9: 6.0, 10: 3.0})
    assert scores == pytest.approx({7: 1.0, 8: 0.35, 9: 0.15, 10: 0.075})
    assert fused({7: 0.5}, {}) == pytest.approx({7: 0.35})
    assert fused({}, {}) == {}


def test_how_far_ahead_counts_not_the_rank_alone() -> None:
    """A passage that is far ahead by words beats one that is a little nearer in meaning."""
    scores = fused({1: 0.52, 2: 0.50}, {2: 10.0, 1: 2.0})
    assert scores[2] > scores[1]
    scores = fused({1: 0.80, 2: 0.50}, {2: 10.0, 1: 9.0})
    assert scores[1] > scores[2]


def test_far_passages_need_most_of_the_words() -> None:
    """A part number is found by its letters though it means nothing."""
    assert is_relevant("price of SKU-4471", "SKU-4471 costs 12 euro, price net", 0.05)
    assert not is_relevant("price of SKU-4471", "The price list is on the wall", 0.05)
    assert is_relevant("anything", "nothing in common", 0.5)


def test_a_near_copy_is_redundant() -> None:
    """But not another passage about the same."""
    chosen = [set(words_of("We open daily at nine and close at six in the evening."))]
    assert is_redundant(set(words_of("We open daily at nine and close at six.")), chosen)
    assert not is_redundant(set(words_of("On public holidays the shop stays closed all day long.")), chosen)


def test_common_words_give_way_to_rare_ones() -> None:
    """Ranking takes time for each match; where every word is common, all are wanted; unknown ones are left out."""
    counts = {'"shop"': MAX_MATCHES + 1, '"rare"': 10, '"rarer"': 5, '"new"': MAX_MATCHES + 1}
    assert fts_query_of("shop rare rarer unknown", lambda word: counts.get(word, 0)) == '"rarer" OR "rare"'
    assert fts_query_of("new shop", counts.__getitem__) == '"new" AND "shop"'
    assert fts_query_of("unknown", lambda _word: 0) == ""


def test_what_is_new_comes_before_what_was_said() -> None:
    """The copy of the best comes last, though it scores higher than the third."""
    vectors = np.asarray([[1, 0], [1, 0], [0, 1]], np.float32)
    assert diversified([1.0, 0.9, 0.7], vectors) == [0, 2, 1]
    assert diversified([], np.empty((0, 2), np.float32)) == []


def test_neighbours_are_joined_at_what_they_share() -> None:
    """Which then stands once."""
    assert (
        joined("One two. Three four five six.", "Three four five six. Seven.") == "One two. Three four five six. Seven."
    )
    assert joined("One.", "Two.") == "One.\nTwo."


def test_an_excerpt_is_the_part_with_the_words_of_the_question() -> None:
    """Whole sentences within the budget; nothing where too little would be left."""
    text = (
        " ".join(f"Line {n} is about nothing at all." for n in range(30)) + " Espresso costs two euro. " + "Bye. " * 60
    )
    found = excerpt(text, "What does an espresso cost?", 250)
    assert "Espresso costs two euro." in found
    assert len(found) <= 250
    assert excerpt(text, "espresso", 100) == ""
    assert excerpt("short", "espresso", 100) == "short"
    assert excerpt("x" * 1_000, "espresso", 300) == ""
