"""Queries, fusion, relevance, redundancy."""

from __future__ import annotations

import pytest

from app.memory.rules import fts_query_of, fused, is_redundant, is_relevant


@pytest.mark.parametrize(
    "hostile", ['"', "* NEAR(", "a AND OR NOT", 'x" OR "1"="1', "col:val", "-", "👋", "()", "'; --"]
)
def test_syntax_in_a_question_is_only_words(hostile: str) -> None:
    """Each word is quoted; what is no word is gone."""
    query = fts_query_of(hostile)
    assert query == "" or all(part.startswith('"') and part.endswith('"') for part in query.split(" OR "))


def test_stop_words_do_not_search() -> None:
    """Unless there is nothing else."""
    assert fts_query_of("When do you open on Sunday?") == '"open" OR "sunday"'
    assert fts_query_of("what is it") == '"what" OR "is" OR "it"'


def test_the_leader_of_all_rankings_scores_one() -> None:
    """And what is in one ranking only, half."""
    scores = fused([[7, 8], [7, 9]])
    assert scores[7] == pytest.approx(1.0)
    assert scores[8] == scores[9] < 0.5


def test_far_passages_need_most_of_the_words() -> None:
    """A part number is found by its letters though it means nothing."""
    assert is_relevant("price of SKU-4471", "SKU-4471 costs 12 euro, price net", 0.05)
    assert not is_relevant("price of SKU-4471", "The price list is on the wall", 0.05)
    assert is_relevant("anything", "nothing in common", 0.5)


def test_a_near_copy_is_redundant() -> None:
    """But not another passage about the same."""
    chosen = ["We open daily at nine and close at six in the evening."]
    assert is_redundant("We open daily at nine and close at six.", chosen)
    assert not is_redundant("On public holidays the shop stays closed all day long.", chosen)
