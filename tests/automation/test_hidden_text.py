"""Invisible characters in a text are found; those that make an emoji are not complained of."""

from __future__ import annotations

import pytest

from automation.hidden_text import find_hidden, hidden_note


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a\u202eb", ["U+202E RIGHT-TO-LEFT OVERRIDE"]),
        ("a\u200bb\u2066", ["U+200B ZERO WIDTH SPACE", "U+2066 LEFT-TO-RIGHT ISOLATE"]),
        ("a\x00\r\tb", ["U+0000 NUL", "U+000D CARRIAGE RETURN", "U+0009 TAB"]),
        ("x\u200dy", ["U+200D ZERO WIDTH JOINER"]),
        ("\u3164\u2800\u00ad", ["U+3164 HANGUL FILLER", "U+2800 BRAILLE PATTERN BLANK", "U+00AD SOFT HYPHEN"]),
        ("a\U000e0041", ["U+E0041 TAG LATIN CAPITAL LETTER A"]),
        ("\ue000", ["U+E000"]),
    ],
)
def test_names_hidden_characters(text: str, names: list[str]) -> None:
    """Each invisible character is named with its code point."""
    assert find_hidden(text) == names


@pytest.mark.parametrize("text", ["", "Plain\ntwo lines", "👩‍👩‍👧‍👦 ❤️ 1️⃣ 🏳️‍🌈 🏴󠁧󠁢󠁥󠁮󠁧󠁿", "naïve café 日本 ½"])
def test_leaves_visible_text_alone(text: str) -> None:
    """Emoji sequences, accents and line feeds are visible text."""
    assert find_hidden(text) == []
    assert hidden_note(text) == ""


def test_note_counts_and_stays_short() -> None:
    """Two thousand hidden characters make one short sentence."""
    assert hidden_note("\u202e\u200b").startswith("contains 2 invisible characters: U+202E")
    assert len(hidden_note("\u200b" * 2_000)) < 400
