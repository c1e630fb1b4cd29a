"""The rule for text that a person or a program sends. Showing hidden characters is `app.invisibles`."""

from __future__ import annotations

import unicodedata

from app.errors import InvalidInput

MAX_TEXT_CHARS = 20_000
_ALLOWED_CONTROLS = frozenset("\n\t\r")


def checked_text(text: str, what: str, max_chars: int = MAX_TEXT_CHARS) -> str:
    """The text with ``\\r\\n`` as ``\\n``, otherwise unchanged; emoji and bidirectional marks are kept.

    Args:
        what: how the text is called in the error ("The message").

    Raises: InvalidInput for empty or blank text, control characters, lone surrogates, over-long text.
    """
    if len(text) > max_chars:
        raise InvalidInput(
            f"{what} has {len(text):,} characters; at most {max_chars:,} are allowed.",
            hint="Shorten it, or put a long text into memory as a document.",
            code="text_too_long",
        )
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not has_visible_text(text):
        raise InvalidInput(f"{what} is empty.", hint="Write something and send it again.", code="text_empty")
    refuse_control_characters(text, what)
    return text


def refuse_control_characters(text: str, what: str) -> None:
    """Raises: InvalidInput, with the place, for control characters (but line breaks and tabs) and lone surrogates."""
    for position, char in enumerate(text):
        problem = _problem_of(char)
        if problem:
            raise InvalidInput(
                f"{what} contains {problem} (U+{ord(char):04X}) at character {position + 1:,}.",
                hint="Remove it; line breaks, tabs, emoji and all scripts are fine.",
                code="text_unacceptable",
            )


def has_visible_text(text: str) -> bool:
    """Whether at least one character is neither white space nor invisible."""
    return any(not char.isspace() and unicodedata.category(char) not in {"Cf", "Cc", "Zs", "Cn"} for char in text)


def _problem_of(char: str) -> str:
    category = unicodedata.category(char)
    if category == "Cc" and char not in _ALLOWED_CONTROLS:
        return "a control character"
    if category == "Cs":
        return "half of a surrogate pair"
    return ""
