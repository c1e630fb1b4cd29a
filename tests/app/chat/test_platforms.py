"""Networks by the names that people give them."""

from __future__ import annotations

import pytest

from app.chat import platforms


@pytest.mark.parametrize(
    "text", ["", "we sell chairs", "x marks the spot", "a big insight", "jo@facebook.example", "6 x 4 cm"]
)
def test_other_words_name_no_network(text: str) -> None:
    """A letter, a part of a word and an address are no networks."""
    assert platforms.mentions(text) == []


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("Post on X: hi", "x"),
        ("put it on twiter pls", "x"),
        ("no, X!", "x"),
        ("fb post: closed", "facebook"),
        ("throw it on the gram", "instagram"),
        ("share on linkdin", "linkedin"),
        ("TIK TOK please", "tiktok"),
        ("stick this on YouTube", "youtube"),
        ("skeet this", "bluesky"),
        ("Opublikuj na Facebooku", "facebook"),
        ("not on X, on LinkedIn", "linkedin"),
        ("LinkedIn instead of X", "linkedin"),
    ],
)
def test_a_network_is_known_by_its_usual_names(text: str, platform: str) -> None:
    """Synonyms, typing errors and other languages; what is ruled out does not count."""
    assert platforms.named_for_posting(text) == platform


def test_networks_without_a_way_to_post_are_told_apart() -> None:
    """They are named, but never taken for one that can be posted to."""
    assert platforms.other_networks("Post on Mastodon: hi") == ["Mastodon"]
    assert platforms.mentions("Post on Mastodon: hi") == []
    assert platforms.can_post_to("x")
    assert not platforms.can_post_to("mastodon")
