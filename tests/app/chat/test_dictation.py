"""Which text a message dictates, letter by letter."""

from __future__ import annotations

import pytest

from app.chat.dictation import dictation_of

STORY = "The lime trees flowered early, and nobody had ever seen that before in all these years. " * 4


@pytest.mark.parametrize(
    "message",
    [
        "",
        "hello there",
        'Write a tweet about our new cake called "Black Forest" and then post it for me',
        'Announce on LinkedIn that "The Seagull" won the regional prize',
        "tweet when we meet, 9:30 works",
        "Post that https://jos.example is online",
        "Generate a LinkedIn post re: our Series A and publish it.",
        "We sell chairs - and tables - to everyone",
        f"{STORY} Two things to remember: the gate and the jars.",
    ],
)
def test_a_detail_is_not_a_dictated_text(message: str) -> None:
    """A quoted name, a time or an address belongs to a text that is still to be written."""
    assert dictation_of(message) is None


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("Post on X: We open at 9am tomorrow!", "We open at 9am tomorrow!"),
        ('put "Happy birthday to us" on x please', "Happy birthday to us"),
        ("tweet “Our blend is here ☕🎉”", "Our blend is here ☕🎉"),
        ("Post on X: Line one\nLine two", "Line one\nLine two"),
        ("Tweet: Open at 9:30: be there", "Open at 9:30: be there"),
        ('Post: "Hello"', "Hello"),
        ('Post this on LinkedIn: "Hello all" please', "Hello all"),
        ('Publish on Bluesky: "Hamlet" tonight at 7', '"Hamlet" tonight at 7'),
        ("Publie sur X : Rencontre jeudi à 18h !", "Rencontre jeudi à 18h !"),
        ("Teile auf LinkedIn „Wir suchen Verstärkung“", "Wir suchen Verstärkung"),
        ("Mets « Nous cherchons un libraire » sur LinkedIn", "Nous cherchons un libraire"),
        ("Please post this on our Facebook page.\nWe are open again.", "We are open again."),
        ("insta post please - we play at nine", "we play at nine"),
        ("We are closed today. Please tweet that.", "We are closed today."),
        ("Post on X We open at 9am tomorrow!", "We open at 9am tomorrow!"),
        ("tweet this word for word burst pipe turn the tap off first", "burst pipe turn the tap off first"),
        (
            'Publish on Instagram this text: "First snow! Two rooms are free." Many thanks, Resi',
            "First snow! Two rooms are free.",
        ),
        ('Put on our page: "Demo class on Saturday at 5." Thanking you.', "Demo class on Saturday at 5."),
        (
            "Bitte auf Facebook: „Am Sonntag singen wir Brahms!“ Ich muss noch die Plakate falten.",
            "Am Sonntag singen wir Brahms!",
        ),
        (
            "News:\n- Ravi is done\n- we eat oranges\n\nOn X, could you post “Done, paid in oranges.” for us?",
            "Done, paid in oranges.",
        ),
        ("Post this on X. Notes:\n- no hashtags\n---\nWe said no today.\nGladly.", "We said no today.\nGladly."),
        (f'{STORY} Kindly place this there: "Lime honey. Gate open from nine."', "Lime honey. Gate open from nine."),
        (f'{STORY} Put up on YouTube as a post "We burn larch, nothing else."', "We burn larch, nothing else."),
        (f"{STORY} So here it is for X, word for word:\n\nHello! We are 58 singers.", "Hello! We are 58 singers."),
    ],
)
def test_a_dictated_text_is_found_exactly(message: str, text: str) -> None:
    """Behind a colon, in quotes, on the next line, beside a bare request: to the letter, without the quotes."""
    found = dictation_of(message)
    assert found is not None
    assert found.text == text
    assert text not in found.frame


def test_a_quotation_that_never_ends_is_looked_for_once() -> None:
    """Spaces behind its opening were tried in every combination: a message of 8,000 characters took minutes."""
    assert dictation_of("Post «" + " " * 7_900 + "x") is None
