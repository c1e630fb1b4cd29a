"""The rule for text."""

from __future__ import annotations

import pytest

from app.errors import InvalidInput
from app.text import MAX_TEXT_CHARS, checked_text


@pytest.mark.parametrize("text", ["", " ", "\n\t\r\n", "\u200b\u200d", "\u202e", "\u00a0\u2003"])
def test_text_without_a_visible_character_is_refused(text: str) -> None:
    """Invisible ones alone are no message."""
    with pytest.raises(InvalidInput) as refusal:
        checked_text(text, "The message")
    assert refusal.value.code == "text_empty"


@pytest.mark.parametrize(
    ("text", "said"),
    [("a\x00b", "U+0000"), ("a\x1b[31m", "U+001B"), ("\x7f!", "U+007F"), ("ab\x85", "U+0085"), ("x\ud83d", "U+D83D")],
)
def test_control_characters_are_refused_with_their_place(text: str, said: str) -> None:
    """Also halves of surrogate pairs."""
    with pytest.raises(InvalidInput) as refusal:
        checked_text(text, "The message")
    assert refusal.value.code == "text_unacceptable"
    assert said in refusal.value.message


def test_long_text_is_refused_with_both_numbers() -> None:
    """Actual against allowed."""
    with pytest.raises(InvalidInput) as refusal:
        checked_text("a" * 1_048_576, "The message")
    assert "1,048,576" in refusal.value.message
    assert f"{MAX_TEXT_CHARS:,}" in refusal.value.message


@pytest.mark.parametrize(
    "text",
    [
        "Hi",
        "👩‍👩‍👧 🇩🇪 ❤️",
        "שלום \u202bworld\u202c",
        "tab\there\nand there",
        "Zalgo: h\u0363\u0351",
        "a" * MAX_TEXT_CHARS,
    ],
)
def test_every_script_and_emoji_stays_as_it_is(text: str) -> None:
    """Not normalised, not stripped."""
    assert checked_text(text, "The message") == text


def test_line_ends_are_made_one_kind() -> None:
    """Windows and old Mac line ends."""
    assert checked_text("a\r\nb\rc", "The message") == "a\nb\nc"
