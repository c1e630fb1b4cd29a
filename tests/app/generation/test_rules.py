"""What may stand in a generated text, and what is cut from it."""

from __future__ import annotations

import pytest

from app.generation import rules
from app.generation.records import Kind

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
    checked = rules.checked(written, [BRIEF], [], lambda _text: "")
    assert checked.text == "Plum crumble is back! From Friday it is 3.80 euro a slice."
    assert len(checked.cut) == 3
    assert "2.5" in checked.problems[0]


def test_banned_words_and_their_inflections_are_cut() -> None:
    """What the voice never says is not said."""
    checked = rules.checked("Plum crumble is back. Baked with passion.", [BRIEF], ["Passion"], lambda _text: "")
    assert checked.text == "Plum crumble is back."
    assert checked.problems == ("banned: Passion",)
    assert rules.banned_in("Our passionate team", ["passion"]) == ["passion"]
    assert rules.banned_in("A compassionate town", ["passion"]) == []


def test_what_the_platform_has_no_room_for_is_cut_from_the_end() -> None:
    """Whole sentences go, so that the text ends where a sentence does."""
    written = "Plum crumble is back from Friday. " * 4
    checked = rules.checked(written, [BRIEF], [], fits)
    assert checked.text == "Plum crumble is back from Friday. Plum crumble is back from Friday."
    assert "at most 80" in checked.problems[0]


def test_a_fine_text_stays_as_it_is() -> None:
    """Line breaks, emoji and several punctuation marks are kept."""
    written = "Plum crumble is back! 🎉\n\nFrom Friday, 3.80 euro a slice… Come by?!"
    assert rules.checked(written, [BRIEF], ["passion"], lambda _text: "") == rules.Checked(written, (), ())


@pytest.mark.parametrize(
    ("written", "tidied"),
    [('"Come by."', "Come by."), ("Come  by .\n\n\n\nNow", "Come by .\n\nNow"), ("“A” and “B”", "“A” and “B”")],
)
def test_texts_are_tidied(written: str, tidied: str) -> None:
    """Quotes around the whole and runs of blanks go; quotes within stay."""
    assert rules.tidy(written) == tidied


def test_only_the_briefs_hashtags_stay() -> None:
    """A model likes to add its own."""
    assert rules.without_own_hashtags("Cake #Friday #cake!", ["We say #cake"]) == "Cake #cake!"


def test_a_call_to_action_gets_the_briefs_address_if_there_is_room() -> None:
    """Once, and only where the platform takes it."""
    assert rules.with_address("Book now.", BRIEF, fits) == "Book now. lindenhof.example/cake"
    assert rules.with_address("Book at lindenhof.example/cake.", BRIEF, fits) == "Book at lindenhof.example/cake."
    assert rules.with_address("x" * 75, BRIEF, fits) == "x" * 75
    mail = "Write to hallo@lindenhof-kaffee.example."
    assert rules.with_address("Book now.", mail, fits) == "Book now. hallo@lindenhof-kaffee.example"
    assert rules.with_address("Book now.", "No address here, e.g. none.", fits) == "Book now."


def test_the_briefs_own_words_are_the_last_resort() -> None:
    """Its first sentences that fit."""
    assert rules.from_brief(BRIEF, fits, 60) == "Plum crumble is back from Friday, 3.80 euro a slice."


def test_the_shorter_of_kind_and_platform_counts() -> None:
    """A platform without a limit leaves the kind's length."""
    assert rules.max_chars(Kind.LONG, 280) == 280
    assert rules.max_chars(Kind.SHORT, 5_000) == rules.MAX_CHARS[Kind.SHORT]
    assert rules.max_chars(Kind.SHORT, None) == rules.MAX_CHARS[Kind.SHORT]
