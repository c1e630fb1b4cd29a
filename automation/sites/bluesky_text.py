"""What Bluesky needs of a text besides its letters: the marked-up spans ("facets") and the key of its record.

Source: the AT Protocol's lexicons ``app.bsky.richtext.facet`` and ``app.bsky.feed.post``, and its record key rules.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import regex

from automation.sites.x_text import url_spans

MAX_TAG_GRAPHEMES = 64
_MENTION = regex.compile(r"(?<![\w@./])@((?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61})\b", regex.I)
_TAG = regex.compile(r"(?<=^|\s)[#＃](?!\ufe0f)([^\s\u00ad\u2060\u200a-\u200d\u20e2#＃]+)")
_TRAILING = regex.compile(r"\p{P}+$")

_SORTABLE = "234567abcdefghijklmnopqrstuvwxyz"
# Keys look like times of 2023 and 2024: a key that lies in the future would be refused or sorted before all others.
_FIRST_MICROSECOND = 1_672_531_200_000_000
_MICROSECONDS = 63_072_000_000_000
_CLOCKS = 1_024


def record_key(intent_id: str) -> str:
    """The record key (a "TID": 13 characters) that every attempt of this action uses, and no other action does."""
    number = int.from_bytes(hashlib.sha256(f"herald post {intent_id}".encode()).digest()[:16])
    microsecond = _FIRST_MICROSECOND + number % _MICROSECONDS
    value = microsecond * _CLOCKS + number // _MICROSECONDS % _CLOCKS
    return "".join(_SORTABLE[value >> shift & 31] for shift in range(60, -1, -5))


def facets(text: str, resolve: Callable[[str], str]) -> list[dict[str, Any]]:
    """Links, mentions and hashtags of ``text``, with their places in UTF-8 bytes.

    Args:
        resolve: handle → DID, or an empty string; a handle that nobody has stays plain text.
    """
    found: list[tuple[int, int, dict[str, Any]]] = []
    for start, end in url_spans(text):
        shown = text[start:end]
        uri = shown if "://" in shown else f"https://{shown}"
        found.append((start, end, {"$type": "app.bsky.richtext.facet#link", "uri": uri}))
    for match in _MENTION.finditer(text):
        if did := resolve(match[1].lower()):
            found.append((*match.span(), {"$type": "app.bsky.richtext.facet#mention", "did": did}))
    for match in _TAG.finditer(text):
        tag = _TRAILING.sub("", match[1])
        if tag and not tag.isdigit() and len(regex.findall(r"\X", tag)) <= MAX_TAG_GRAPHEMES:
            found.append(
                (match.start(), match.start(1) + len(tag), {"$type": "app.bsky.richtext.facet#tag", "tag": tag})
            )
    return [
        {"index": {"byteStart": _bytes(text[:start]), "byteEnd": _bytes(text[:end])}, "features": [feature]}
        for start, end, feature in sorted(found, key=lambda one: one[:2])
    ]


def _bytes(text: str) -> int:
    return len(text.encode())
