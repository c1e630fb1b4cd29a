"""Keeps what the model says beside figures free of numbers, which only code may state."""

from __future__ import annotations

import re

_WORDS = (
    r"two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|fou?rty|fifty|sixty|seventy|eighty"
    r"|ninety|hundreds?|thousands?|millions?|dozens?|half|twice|doubled?|tripled?|per ?cent|percentage"
    r"|zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|elf|zwölf|hundert|tausend|halb\w*|doppelt"
    r"|deux|trois|quatre|cinq|sept|huit|neuf|dix|moitié|cent|mille"
    r"|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez|mitad|cien|mil"
)
_NUMBER = re.compile(rf"\d|(?<!\w)(?:{_WORDS})(?!\w)", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


def comment_without_numbers(comment: str) -> str:
    """The sentences of ``comment`` that state no number, in digits or in words; \"\" when none is left."""
    return " ".join(s for s in _SENTENCE.split(comment.strip()) if s and not _NUMBER.search(s))
