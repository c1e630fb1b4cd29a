"""Finds the characters in a text that a person cannot see but that change what is read or published."""

from __future__ import annotations

import re
import unicodedata

_EMOJI_GLUE = {"\u200d", "\ufe0f", "\ufe0e"}
_BEFORE_GLUE = re.compile(r"[\u00a9\u00ae\u203c-\u3299\u20e3\ufe0f#*0-9\U0001f000-\U0001faff]")
_TAGS = re.compile(r"\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f")
# Default-ignorable or blank characters whose category is not Cf.
_BLANK = set("\u115f\u1160\u3164\uffa0\u2800\u00ad\u034f\u17b4\u17b5\u180b\u180c\u180d\u180e")
_CONTROL_NAMES = {"\t": "TAB", "\r": "CARRIAGE RETURN", "\x00": "NUL", "\n": "LINE FEED"}
_INVISIBLE_CATEGORIES = {"Cf", "Cc", "Co", "Cn", "Cs", "Zl", "Zp"}


def find_hidden(text: str, *, allow_newlines: bool = True) -> list[str]:
    """Names of the invisible, bidirectional and control characters in ``text`` (``U+202E RIGHT-TO-LEFT OVERRIDE``).

    Joiners and variation selectors that belong to an emoji are not counted; neither are line feeds (when allowed).
    """
    text = _TAGS.sub("", text)
    found: list[str] = []
    for index, char in enumerate(text):
        if allow_newlines and char == "\n":
            continue
        if char in _EMOJI_GLUE and index and _BEFORE_GLUE.match(text[index - 1]):
            continue
        is_selector = "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"
        if is_selector or char in _BLANK or unicodedata.category(char) in _INVISIBLE_CATEGORIES:
            name = unicodedata.name(char, "") or _CONTROL_NAMES.get(char, "")
            found.append(f"U+{ord(char):04X} {name}".rstrip())
    return found


def hidden_note(text: str) -> str:
    """A sentence for the approval card, or an empty string: "contains 2 invisible characters: U+202E …"."""
    found = find_hidden(text)
    if not found:
        return ""
    shown = ", ".join(dict.fromkeys(found[:200]))
    shown = shown if len(shown) <= 300 else shown[:300] + "…"
    return f"contains {len(found)} invisible character{'s' if len(found) > 1 else ''}: {shown}"
