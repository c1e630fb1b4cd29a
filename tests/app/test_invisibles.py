"""Characters that nobody sees are found, and emoji are left whole."""

from __future__ import annotations

import pytest

from app import invisibles


@pytest.mark.parametrize(
    "char",
    ["\u202e", "\u2066", "\u200b", "\u00ad", "\ufeff", "\x1b", "\x00", "\x7f", "\u2028", "\u3164", "\u2003", "\ud800"],
)
def test_a_hidden_character_is_written_out(char: str) -> None:
    """Bidirectional, zero-width, control and blank characters all become visible."""
    assert invisibles.shown(f"a{char}b") == f"a⟦U+{ord(char):04X}⟧b"


def test_a_terminal_escape_cannot_get_through() -> None:
    """A reply that tries to move the cursor is text."""
    assert "\x1b" not in invisibles.shown("\x1b[2J\x1b]0;title\x07")


@pytest.mark.parametrize("text", ["Grüße, 世界 שלום", "👩‍👩‍👧", "❤️", "1️⃣", "👍🏽", "line\nline\tend", "100\u00a0€"])
def test_ordinary_text_is_left_as_it_is(text: str) -> None:
    """Scripts, line breaks and emoji sequences are no tricks."""
    assert invisibles.shown(text) == text


def test_a_joiner_outside_an_emoji_is_shown() -> None:
    """The same character between letters hides something."""
    assert invisibles.shown("pay\u200dpal") == "pay⟦U+200D⟧pal"
