"""What a written post gets wrong of its request."""

from __future__ import annotations

import pytest

from app.chat import faults


@pytest.mark.parametrize(
    ("message", "text", "left"),
    [
        ("Tuitea que cerramos el viernes por la tarde", "Tuitea que cerramos el viernes por la tarde.", ""),
        ("Schreib was Nettes über Pizza und stell es auf Instagram", "Schreib war Nettes über Pizza.", ""),
        (
            "Fai un post su Facebook, è arrivata Berta",
            "È arrivata Berta! Fai un post su Facebook.",
            "È arrivata Berta!",
        ),
        ("Écris un texte et publie-le", "Voici un petit texte sur nos éclairs.", ""),
        ("Tweet that we moved", "We moved! Shall I post it?", "We moved!"),
        ("Schreib etwas zum Fest", "Das ist ein Beitrag für Instagram. Das Fest ist da!", "Das Fest ist da!"),
        ("2 spots, get it up on insta asap", "2 spots! Get it up on Instagram asap.", "2 spots!"),
        ("Tweet that we hire", "We hire! Write to [email address].", "We hire!"),
        ("Tweet that the bakery opens at 7", "We are hiring a baker! We open at 7.", "We open at 7."),
        ("Anuncie la llegada", "Ha llegado. ¿En qué puedo ayudarte hoy?", "Ha llegado."),
        ("Annonce sur notre page Facebook qu'on ferme", "On ferme. Annonce sur notre page Facebook !", "On ferme."),
    ],
)
def test_what_only_repeats_or_answers_the_request_is_left_out(message: str, text: str, left: str) -> None:
    """The order at its head, a sentence of it that names the network, an introduction, an offer of help."""
    assert faults.without_echo(text, message) == left


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("Tweet that the oven is fixed and we bake again", "The oven is fixed and we bake again!"),
        ("Tweet that we are hiring a baker", "We are hiring a baker!"),
        ("Share on Facebook that we have cake", "We have cake. Share it with your friends on Facebook!"),
        ("Schreib auf X, dass wir am Montag wieder für alle offen haben", "Wir haben am Montag wieder für alle offen."),
    ],
)
def test_the_news_itself_is_no_echo(message: str, text: str) -> None:
    """Its words are the request's, as they should be."""
    assert faults.without_echo(text, message) == text


def test_facts_that_are_missing_are_named() -> None:
    """Numbers, days and addresses; how long the text shall be is none of them."""
    message = "Write two sentences: from Friday tea is 3.50 at tea.example, and post it"
    assert faults.left_out("From Friday!", message) == {"3.5", "tea.example"}
    assert faults.left_out("Vanaf vrijdag 3,50, tea.example", message) == set()
    assert faults.left_out("Open till 19:00", "post that we are open till 7 pm") == set()


@pytest.mark.parametrize(
    ("message", "text", "is_wrong"),
    [
        ("Tweet dat we een monteur zoeken", "We are looking for a mechanic! Come and talk to us.", True),
        (
            "Tweet dat we een monteur zoeken, in het Engels",
            "We are looking for a mechanic! Come and talk to us.",
            False,
        ),
        ("Tweet dat we een monteur zoeken", "Wij zoeken een monteur!", False),
        ("Tweet: Berta", "Berta!", False),
    ],
)
def test_another_language_is_wrong_unless_it_was_asked_for(message: str, text: str, is_wrong: bool) -> None:
    """And nothing is said of a text without small words."""
    assert faults.is_in_another_language(text, message) is is_wrong


def test_a_text_without_any_word_of_the_request_is_beside_the_point() -> None:
    """Another form of a word will do, and a request without words asks for nothing in particular."""
    assert faults.is_beside_the_point("We look forward to seeing you!", "Post about our new colleague")
    assert not faults.is_beside_the_point("A colleague has joined!", "Post about our new colleagues")
    assert not faults.is_beside_the_point("Hello!", "123")


def test_the_reminder_names_the_language_where_it_is_plain() -> None:
    """And none where one was named, or none can be told."""
    assert "in German" in faults.reminder("Schreib einen Beitrag für die Kunden und poste ihn")
    assert "is in" not in faults.reminder("Schreib es für die Kunden auf Englisch")
    assert "is in" not in faults.reminder("Berta")
