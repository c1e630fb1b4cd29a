"""What a text states, found by code."""

from __future__ import annotations

import pytest

from app import facts

SOURCE = (
    "A flat white is 3.90 euro. Mirela Kovac teaches on 21 May 2026. "
    "Write to hallo@lindenhof.example. Closed on Mondays."
)


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("A flat white is 4.90 euro.", {"4.9"}),
        ("Twelve people came.", {"12"}),
        ("Ask our barista Paolo for it.", {"paolo"}),
        ("Book at www.lindenhof.example/book today.", {"www.lindenhof.example/book"}),
        ("Write to hello@lindenhof.example.", {"hello@lindenhof.example"}),
        ("Follow @lindenhof_kaffee now.", {"@lindenhof_kaffee"}),
        ("On Tuesday we roast.", {"tuesday"}),
        ("A flat white is 3.90 dollars.", {"3.9 dollar"}),
        ("It takes 21 minutes.", {"21 minute"}),
    ],
)
def test_what_stands_in_no_source_is_found(text: str, missing: set[str]) -> None:
    """Numbers in figures and words, names, web and mail addresses, @names, weekdays."""
    assert facts.unfounded(text, [SOURCE]) == missing


@pytest.mark.parametrize(
    "text",
    [
        "The flat white costs 3,90 euro.",
        "A flat white: €3.90.",
        "Mirela teaches on 21 May.",
        "Come by! Mondays we are closed.",
        "One of a kind? No, plainly good coffee.",
        "Kovac's class is in 2026; write to hallo@lindenhof.example.",
    ],
)
def test_what_stands_in_a_source_is_fine(text: str) -> None:
    """Other spellings of a number, parts of a name, the beginning of a sentence, the vague word one."""
    assert facts.unfounded(text, [SOURCE]) == set()


def test_a_question_lends_its_names_but_not_its_numbers() -> None:
    """An answer may repeat who was asked about; a number needs a source."""
    asked = ["Does Paolo sell 500 g bags?"]
    assert facts.unfounded("We do not know Paolo.", [SOURCE], also_named=asked) == set()
    assert facts.unfounded("500 g are 3.90 euro.", [SOURCE], also_named=asked) == {"500"}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1,200 and 1.200", {"1200"}),
        ("9:00 to 17:30", {"9", "17:30"}),
        ("2.50 or 2,5", {"2.5"}),
        ("https://a.example/2024/x", set()),
    ],
)
def test_numbers_have_one_spelling(text: str, numbers: set[str]) -> None:
    """Thousands, times, decimals; an address is no number."""
    assert facts.numbers_in(text) == numbers


def test_words_are_compared_by_their_stems() -> None:
    """Open, opens and opening are one word; all of a text without such words stands anywhere."""
    assert facts.share_of_words("opening the cafes", ["The café opens"]) == 1.0
    assert facts.share_of_words("It is.", []) == 1.0
    assert facts.share_of_words("purple elephants", [SOURCE]) == 0.0
