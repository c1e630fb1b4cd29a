"""Finds the characters of a text that a reader cannot see, so that screens can show them.

A person approves what they see; a bidirectional override or a zero-width character would make them approve something
else. Pure text in, marked pieces out: how a mark looks is the screen's business.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

_PLAIN = frozenset("\n\t ")
_EMOJI_JOINERS = frozenset("\u200d\ufe0e\ufe0f\u20e3")
_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5")
"""Characters that Unicode calls letters or marks and every font draws as nothing."""


def pieces(text: str) -> Iterator[tuple[str, bool]]:
    """Split a text into runs of ordinary characters ``(run, False)`` and single hidden ones ``(char, True)``."""
    run: list[str] = []
    for index, char in enumerate(text):
        if is_hidden(text, index):
            if run:
                yield "".join(run), False
                run = []
            yield char, True
        else:
            run.append(char)
    if run:
        yield "".join(run), False


def is_hidden(text: str, index: int) -> bool:
    """Whether the character at ``index`` changes a text without being seen. Joiners inside an emoji are not hidden."""
    char = text[index]
    if char in _PLAIN:
        return False
    if char in _EMOJI_JOINERS:
        return not _is_in_emoji(text, index)
    if char in _BLANK_LETTERS:
        return True
    category = unicodedata.category(char)
    return category in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} or (
        category == "Zs" and char not in {" ", "\u00a0", "\u202f"}
    )


def code_point(char: str) -> str:
    """``U+202E``."""
    return f"U+{ord(char):04X}"


def name(char: str) -> str:
    """What Unicode calls the character, for a tooltip: ``RIGHT-TO-LEFT OVERRIDE``."""
    return unicodedata.name(char, "control character")


def shown(text: str) -> str:
    """The text with each hidden character written out as ``⟦U+202E⟧``: safe for a terminal."""
    return "".join(f"⟦{code_point(run)}⟧" if hidden else run for run, hidden in pieces(text))


def _is_in_emoji(text: str, index: int) -> bool:
    if index == 0:
        return False
    before = text[index - 1]
    if before in _EMOJI_JOINERS:
        return index > 1 and _is_pictograph(text[index - 2])
    return _is_pictograph(before)


def _is_pictograph(char: str) -> bool:
    return unicodedata.category(char) in {"So", "Sk"} or ord(char) >= 0x1F000 or char in "0123456789#*©®‼⁉™ℹ"
