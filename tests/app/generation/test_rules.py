"""Lengths of the kinds, the address of a call to action, the brief's own sentences."""

from __future__ import annotations

from app.generation import rules
from app.generation.records import Kind

BRIEF = "Plum crumble is back from Friday, 3.80 euro a slice. Book at lindenhof.example/cake"


def fits(text: str) -> str:
    """A platform that takes 80 characters."""
    return "" if len(text) <= 80 else f"{len(text)} characters, at most 80 are allowed"


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
