"""Checks a written text against the brief that it was written from, by code alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from app.chat.spans import addresses

BANNED = (
    *("as an ai", "language model", "in today's fast-paced world", "unlock the", "game-changer", "elevate your"),
    *("look no further", "dive into", "[your", "{", "lorem ipsum"),
)
REPEATED_WORDS = 4
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_NAME = re.compile(r"(?<=[^\W\d_,;:] )[A-ZÀ-Ý][\w'’-]+")


def missing_facts(text: str, facts: Sequence[str]) -> list[str]:
    """The facts that do not stand in ``text``, case aside."""
    folded = text.casefold()
    return [fact for fact in facts if fact.casefold() not in folded]


def invented(text: str, brief: str) -> list[str]:
    """Numbers, addresses and capitalised names in ``text`` that are not in ``brief``.

    A name is a capitalised word inside of a sentence; German capitalises all nouns, so there only numbers and
    addresses can be told. Hashtags are made of the brief's words and are left out.
    """
    known = brief.casefold()
    plain = re.sub(r"#\w+", " ", text)
    found = [number for number in _NUMBER.findall(plain) if number not in brief]
    found += [address for address in addresses(plain) if address.casefold() not in known]
    return found


def invented_names(text: str, brief: str) -> list[str]:
    """Capitalised words inside of sentences of ``text`` that are not in ``brief``; not meant for German."""
    known = brief.casefold()
    plain = re.sub(r"#\w+", " ", text)
    return [name for name in _NAME.findall(plain) if name.casefold() not in known and not name.isupper()]


def banned(text: str) -> list[str]:
    """Worn phrases and left-over placeholders in ``text``."""
    folded = text.casefold()
    return [phrase for phrase in BANNED if phrase in folded]


def echoes(text: str, request: str) -> list[str]:
    """The first three words of the request, if ``text`` has them as a run: it repeats the order instead of the news."""
    opening = " ".join(re.findall(r"\w+", request.casefold())[:3])
    return [opening] if opening and opening in " ".join(re.findall(r"\w+", text.casefold())) else []


def repetitions(text: str) -> list[str]:
    """Runs of four words that stand more than once in ``text``."""
    words = re.findall(r"\w+", text.casefold())
    runs = Counter(" ".join(words[i : i + REPEATED_WORDS]) for i in range(len(words) - REPEATED_WORDS + 1))
    return [run for run, count in runs.items() if count > 1]
