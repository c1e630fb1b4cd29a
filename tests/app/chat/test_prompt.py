"""What the model is shown before it writes."""

from __future__ import annotations

import json

import pytest

from app.chat import prompt
from app.lexicon import LANGUAGES, language_of

MESSAGES = {
    "de": "Schreib einen Beitrag auf Facebook, dass wir am Montag zu haben",
    "fr": "Écris un tweet pour dire que nous sommes fermés lundi et publie-le",
    "es": "Escribe un tuit que diga que cerramos el lunes y publícalo en la página",
    "it": "Scrivi un post per dire che siamo chiusi il lunedì e pubblicalo",
    "pt": "Escreve um texto sobre as nossas pranchas e publica no Facebook",
    "nl": "Schrijf een bericht voor X over de fietsen en plaats het",
}


def test_english_turns_and_talk_share_one_prompt() -> None:
    """What the prefix cache holds is not given up for nothing."""
    english, talk = (
        prompt.turn_messages([], "Write a tweet on the tea", writes=True),
        prompt.turn_messages([], "Wie geht es?"),
    )
    assert english[:-1] == talk[:-1]


@pytest.mark.parametrize("language", MESSAGES)
def test_a_post_in_another_language_has_an_example_in_it(language: str) -> None:
    """Behind the shared part, with a reply in that language too."""
    message = MESSAGES[language]
    shared, own = prompt.turn_messages([], message), prompt.turn_messages([], message, writes=True)
    assert own[: len(shared) - 1] == shared[:-1]
    asked, answered, last = own[len(shared) - 1 :]
    assert last["content"].startswith(message)
    example = json.loads(answered["content"])
    for text in (asked["content"], example["reply"]):
        assert language_of(text) == language
    assert example["action"]["params"]["text"]


def test_every_language_has_its_example() -> None:
    """But English, whose examples all turns share."""
    assert set(MESSAGES) == set(LANGUAGES) - {"en"}
    with_notes = prompt.answer_messages([], MESSAGES["de"], [prompt.Note("menu.md", "Tee 3 Euro")], writes=True)
    assert "Mai" in with_notes[-2]["content"]
