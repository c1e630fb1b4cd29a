"""The set that retrieval is measured on, and its measure."""

from __future__ import annotations

import pytest

from scripts.evaluation import retrieval

BODY = "It reads the words of the text. " * 20


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"Too short.\n\n{BODY}",
        "A question of enough words but no body.",
        f"{'many words ' * 20}\n\n{BODY}",
        f"A question of enough words here.\n\n{BODY * 20}",
    ],
)
def test_docstrings_of_the_wrong_length_are_left_out(text: str) -> None:
    """The question or the body is too short or too long."""
    assert retrieval.parted_docstring(text) is None


def test_the_first_paragraph_asks_for_the_rest() -> None:
    """The rest does not hold it."""
    parted = retrieval.parted_docstring(f"Count the words\nof a long text.\n\n{BODY}")
    assert parted == retrieval.Docstring("Count the words of a long text.", BODY.strip())


def test_a_document_counts_once_at_its_best_chunk() -> None:
    """First is 1, third is a half, not among the first ten is nothing."""
    assert retrieval.gain([4, 4, 5], 4) == 1.0
    assert retrieval.gain([4, 4, 5, 5, 6], 6) == pytest.approx(0.5)
    assert retrieval.gain(list(range(11)), 10) == 0.0
