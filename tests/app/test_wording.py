"""What of a written text may stand, and what is cut from it."""

from __future__ import annotations

import pytest

from app import wording

BRIEF = "Plum crumble is back from Friday, 3.80 euro a slice. Book at lindenhof.example/cake"


def fits(text: str) -> str:
    """A platform that takes 80 characters."""
    return "" if len(text) <= 80 else f"{len(text)} characters, at most 80 are allowed"


def test_a_sentence_with_a_fact_of_its_own_is_cut() -> None:
    """A made-up price, name and address go; what the brief says stays, and the reasons are kept."""
    written = (
        "Plum crumble is back! It is 2.50 euro. Ask our Paolo for it. See www.other.example now. "
        "From Friday it is 3.80 euro a slice."
    )
    checked = wording.checked(written, [BRIEF], [], lambda _text: "")
    assert checked.text == "Plum crumble is back! From Friday it is 3.80 euro a slice."
    assert len(checked.cut) == 3
    assert "2.5" in checked.problems[0]


def test_banned_words_and_their_inflections_are_cut() -> None:
    """What the voice never says is not said."""
    checked = wording.checked("Plum crumble is back. Baked with passion.", [BRIEF], ["Passion"], lambda _text: "")
    assert checked.text == "Plum crumble is back."
    assert checked.problems == ("banned: Passion",)
    assert wording.banned_in("Our passionate team", ["passion"]) == ["passion"]
    assert wording.banned_in("A compassionate town", ["passion"]) == []


def test_what_the_platform_has_no_room_for_is_cut_from_the_end() -> None:
    """Whole sentences go, so that the text ends where a sentence does."""
    written = "Plum crumble is back from Friday. " * 4
    checked = wording.checked(written, [BRIEF], [], fits)
    assert checked.text == "Plum crumble is back from Friday. Plum crumble is back from Friday."
    assert "at most 80" in checked.problems[0]


def test_a_fine_text_stays_as_it_is() -> None:
    """Line breaks, emoji and several punctuation marks are kept."""
    written = "Plum crumble is back! 🎉\n\nFrom Friday, 3.80 euro a slice… Come by?!"
    assert wording.checked(written, [BRIEF], ["passion"], lambda _text: "") == wording.Checked(written, (), ())


@pytest.mark.parametrize(
    ("written", "tidied"),
    [('"Come by."', "Come by."), ("Come  by .\n\n\n\nNow", "Come by .\n\nNow"), ("“A” and “B”", "“A” and “B”")],
)
def test_texts_are_tidied(written: str, tidied: str) -> None:
    """Quotes around the whole and runs of blanks go; quotes within stay."""
    assert wording.tidy(written) == tidied


def test_only_the_briefs_hashtags_stay() -> None:
    """A model likes to add its own."""
    assert wording.without_own_hashtags("Cake #Friday #cake!", ["We say #cake"]) == "Cake #cake!"


def test_a_hashtag_may_be_the_models_own_unless_it_states_something() -> None:
    """Where hashtags are welcome: one made of words stays, one with a year of its own goes with its sentence."""
    found = wording.checked("Plum crumble is back! #crumble", [BRIEF], [], fits, takes_hashtags=True)
    assert found.text == "Plum crumble is back! #crumble"
    found = wording.checked("Plum crumble is back! Cake of #2031", [BRIEF], [], fits, takes_hashtags=True)
    assert found.text == "Plum crumble is back!"


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("We open at 9. Come by and", "We open at 9."),
        ("We open at 9. Come by! 🎉", "We open at 9. Come by! 🎉"),
        ("Cake! #cake #plum #plum #cake", "Cake! #cake #plum"),
        ("no end at all", ""),
    ],
)
def test_a_sentence_that_does_not_end_is_left_out(text: str, whole: str) -> None:
    """An emoji behind the end is fine; hashtags at the end stay, each once."""
    assert wording.whole_sentences(text) == whole
