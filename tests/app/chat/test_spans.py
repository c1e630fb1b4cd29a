"""What is taken from a message letter by letter."""

from __future__ import annotations

import pytest

from app.chat import spans


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "see menu.pdf and notes.md",
        "mail jo@bakery.example",
        "e.g. this, i.e. that",
        "at 9:30 or 1.5 hours",
        "@acme",
    ],
)
def test_text_without_an_address_gives_none(text: str) -> None:
    """File names, mail addresses, times and abbreviations are not addresses."""
    assert spans.addresses(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Read https://jos.example/prices and tell me", ["https://jos.example/prices"]),
        ("look at jos.example/a?b=1#c.", ["jos.example/a?b=1#c"]),
        ("(see www.jos.example)", ["www.jos.example"]),
        ("http://127.0.0.1:9101/x, then localhost:8000/y!", ["http://127.0.0.1:9101/x", "localhost:8000/y"]),
        ("“https://bäcker.example/brot”", ["https://bäcker.example/brot"]),
        ("ftp://old.example/file and file:///etc/passwd", ["ftp://old.example/file", "file:///etc/passwd"]),
        ("a.example a.example", ["a.example"]),
    ],
)
def test_addresses_are_found_as_written(text: str, expected: list[str]) -> None:
    """With and without a scheme, without the sentence's punctuation, each once."""
    assert spans.addresses(text) == expected


def test_a_value_counts_as_given_whatever_its_case_and_spacing() -> None:
    """Only what the user wrote may be sent through a form."""
    assert spans.is_quoted_from("ada  lovelace", ["name Ada Lovelace"])
    assert not spans.is_quoted_from("Ada Byron", ["name Ada Lovelace"])
    assert not spans.is_quoted_from("  ", ["name  Ada"])


@pytest.mark.parametrize(
    ("message", "topic"),
    [
        ("Draft a tweet about our Saturday hours, don't post it", "our Saturday hours"),
        ("Write a tweet about our summer offer and post it", "our summer offer"),
        ("Announce our summer offer on X", "our summer offer"),
        ("How much is a croissant?", "How much is a croissant"),
        ("post it", "post it"),
    ],
)
def test_the_topic_of_a_request_is_what_memory_is_asked_for(message: str, topic: str) -> None:
    """The words that say what to do would only blur the search; a message of nothing else stays whole."""
    assert spans.topic_of(message) == topic
