"""What the measurement's cross-encoder learns from."""

from __future__ import annotations

import random
from itertools import islice

from scripts.evaluation import reranker
from scripts.evaluation.retrieval import Docstring

KNOWN = [Docstring(f"How is number {n} made?", f"Number {n} is made of {'parts and ' * 200}more.") for n in range(30)]


def test_each_question_comes_with_its_passage_first_and_wrong_ones_after_it() -> None:
    """Every question once a round; passages are cut, and there are always as many."""
    asked = list(islice(reranker.groups(KNOWN, random.Random(1)), len(KNOWN)))
    assert {question for question, _ in asked} == {docstring.question for docstring in KNOWN}
    bodies = {docstring.question: docstring.body for docstring in KNOWN}
    for question, passages in asked:
        assert len(passages) == 1 + reranker.HARD + reranker.EASY
        assert passages[0] in bodies[question]
        assert all(passage not in bodies[question] for passage in passages[1:] if passage.startswith("Number"))
        assert all(len(passage) <= reranker.PASSAGE_CHARS for passage in passages)


def test_no_document_is_its_own_confusion() -> None:
    """Else the right passage would be learned as a wrong one."""
    neighbours = reranker.confusable(KNOWN)
    assert neighbours.shape == (30, reranker.NEIGHBOURS)
    assert all(number not in row for number, row in enumerate(neighbours))
