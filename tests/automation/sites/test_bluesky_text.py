"""What Bluesky needs of a text: record keys and the places of links, mentions and hashtags."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from automation.actions.base import MediaRef
from automation.sites.base import Post
from automation.sites.bluesky import Bluesky
from automation.sites.bluesky_text import facets, record_key


def _marked(text: str) -> list[tuple[str, object]]:
    """Each facet's piece of the text, cut out by its byte offsets, and what it points to."""
    raw = text.encode()
    found = facets(text, lambda handle: "" if handle.startswith("nobody") else f"did:plc:{handle}")
    return [
        (
            raw[f["index"]["byteStart"] : f["index"]["byteEnd"]].decode(),
            next(value for key, value in f["features"][0].items() if key != "$type"),
        )
        for f in found
    ]


@pytest.mark.parametrize(
    "text", ["", "plain", "mail jo@example.com", "#123 and # and ##", "@nobody.test", "C# is fine"]
)
def test_plain_text_has_no_marks(text: str) -> None:
    """Mail addresses, numbers, lone signs and handles that nobody has stay plain."""
    assert _marked(text) == []


def test_marks_are_where_they_stand_in_bytes() -> None:
    """Emoji and umlauts before a mark move it by their bytes, not by their characters."""
    text = "👩‍👩‍👧 Grüße @jo.test: #Frühling! siehe https://example.com/a?b=1 und example.com, (@a.test)"
    assert _marked(text) == [
        ("@jo.test", "did:plc:jo.test"),
        ("#Frühling", "Frühling"),
        ("https://example.com/a?b=1", "https://example.com/a?b=1"),
        ("example.com", "https://example.com"),
        ("@a.test", "did:plc:a.test"),
    ]


def test_a_key_belongs_to_one_intent() -> None:
    """The same intent always gives the same valid key, another one another."""
    keys = {record_key(f"int_{number}") for number in range(2_000)}
    assert len(keys) == 2_000
    assert record_key("int_7") == record_key("int_7")
    assert all(re.fullmatch(r"[234567abcdefghij][234567abcdefghijklmnopqrstuvwxyz]{12}", key) for key in keys)
    years = {_time_of(key).year for key in keys}
    assert years == {2023, 2024}, "a key that looks like a future time would be refused"


def _time_of(key: str) -> datetime:
    """The time that a record key stands for, as the protocol reads it."""
    number = 0
    for letter in key:
        number = number * 32 + "234567abcdefghijklmnopqrstuvwxyz".index(letter)
    return datetime.fromtimestamp((number >> 10) / 1e6, UTC)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (" \n", "empty"),
        ("a" * 301, "counts 301, at most 300"),
        ("👩‍👩‍👧‍👦" * 300, "3,000"),
    ],
)
def test_texts_that_bluesky_refuses(text: str, problem: str) -> None:
    """Graphemes and bytes are both limited."""
    assert problem in Bluesky().check(Post(text)).problem


def test_a_family_counts_one() -> None:
    """The length is what a reader sees."""
    check = Bluesky().check(Post("👩‍👩‍👧‍👦é"))
    assert (check.length, check.limit, check.problem) == (2, 300, "")


@pytest.mark.parametrize(
    ("media", "problem"),
    [
        ([("video/mp4", 1)], "takes no videos"),
        ([("image/png", 1)] * 5, "at most 4 pictures"),
        ([("image/png", 2_100_000)], "2.1 MB"),
        ([("image/png", 2_000_000)] * 4, ""),
    ],
)
def test_files_that_bluesky_takes(media: list[tuple[str, int]], problem: str) -> None:
    """Up to four pictures of two megabytes."""
    refs = tuple(MediaRef(sha256="0" * 64, filename="a", media_type=kind, size_bytes=size) for kind, size in media)
    found = Bluesky().check(Post("hi", refs)).media_problem
    assert (problem in found) if problem else not found
