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


@pytest.mark.parametrize(
    ("proposed", "message"),
    [
        (
            "Come and try our Black Forest cake!",
            'Write a tweet about our new cake called "Black Forest" and then post it for me',
        ),
        ("A fresh text about bread", "Write something about bread and post it"),
        ("We meet at 9:30", "tweet when we meet, 9:30 works"),
        ("The page is nice", "Post that https://jos.example is online"),
    ],
)
def test_a_composed_text_stays_as_the_model_wrote_it(proposed: str, message: str) -> None:
    """A quoted name, a time or an address is a detail of the text, not the text."""
    assert spans.exact_text(proposed, message) == proposed


@pytest.mark.parametrize(
    ("proposed", "message", "expected"),
    [
        ("We open at 9am tomorrow! Come by!", "Post on X: We open at 9am tomorrow!", "We open at 9am tomorrow!"),
        ("We open at 9 am tomorrow", "Post on X: We open at 9am tomorrow!", "We open at 9am tomorrow!"),
        ("Happy birthday to us! We hope so.", 'put "Happy birthday to us" on x please', "Happy birthday to us"),
        ("Our blend is here", "tweet “Our blend is here ☕🎉”", "Our blend is here ☕🎉"),
        ("Line one Line two", "Post on X: Line one\nLine two", "Line one\nLine two"),
        ("Open at 9:30", "Tweet: Open at 9:30: be there", "Open at 9:30: be there"),
        ("Hello", 'Post: "Hello"', "Hello"),
    ],
)
def test_dictated_text_is_taken_over_letter_by_letter(proposed: str, message: str, expected: str) -> None:
    """Whatever the model changed, added or dropped, the user's wording wins."""
    assert spans.exact_text(proposed, message) == expected


def test_other_networks_are_told_from_x() -> None:
    """Naming only a network that cannot be posted to rules posting out; naming X beside it does not."""
    assert spans.names_only_other_platforms("Post this on LinkedIn: hi")
    assert spans.names_only_other_platforms("put it on insta")
    assert not spans.names_only_other_platforms("Post on X what we have on Instagram")
    assert not spans.names_only_other_platforms("publish this")


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
