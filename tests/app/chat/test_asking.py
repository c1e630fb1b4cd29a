"""Which messages ask for a fact of the owner's, and that the model is told when nothing is known of it."""

from __future__ import annotations

import pytest

from app.chat import prompt
from app.chat.asking import asks_for_a_fact


@pytest.mark.parametrize(
    "message",
    [
        "Is it better to post in the morning or in the evening?",
        "How can I get more followers?",
        "What are good hashtags for a bakery?",
        "What can you do?",
        "Post on X: When do we open? At 9!",
        "Write a post about when we open",
        "Our shop opens at nine.",
        "Was würdest du posten?",
        "thanks!",
    ],
)
def test_advice_texts_and_talk_ask_for_no_fact(message: str) -> None:
    """They can be answered without a document."""
    assert not asks_for_a_fact(message)


@pytest.mark.parametrize(
    "message",
    [
        "When is the bakery open on Sundays?",
        "how much do we charge for a haircut",
        "Who runs the kitchen?",
        "Do we deliver on Saturdays?",
        "Wann haben wir am Sonntag geöffnet?",
        "Quand est-ce que nous fermons le lundi ?",
        "¿Cuánto cuesta el menú del día?",
        "Quanto costa il corso di ceramica?",
    ],
)
def test_hours_prices_and_people_are_facts(message: str) -> None:
    """In the languages that owners write in; a question mark is not needed."""
    assert asks_for_a_fact(message)


def test_a_question_that_no_document_answers_is_shown_as_one_and_so_are_the_examples() -> None:
    """The model sees the same word behind the question and behind those that it is shown how to answer."""
    asked = prompt.turn_messages([], "When is the bakery open on Sundays?")
    assert asked[-1]["content"].endswith(prompt.NOT_IN_MEMORY)
    shown = [m["content"] for m in asked[:-1] if m["role"] == "user" and prompt.NOT_IN_MEMORY in m["content"]]
    assert [text.partition("\n")[0] for text in shown] == ["When are we open on Sundays?", "How much is an espresso?"]
    assert prompt.NOT_IN_MEMORY not in prompt.turn_messages([], "What can you do?")[-1]["content"]


def test_a_question_with_passages_is_not() -> None:
    """The passages may hold the answer."""
    notes = [prompt.Note("hours.md", "Sunday 9 to 12")]
    asked = prompt.answer_messages([], "When is the bakery open on Sundays?", notes)
    assert prompt.NOT_IN_MEMORY not in asked[-1]["content"]


def test_a_question_about_what_was_told_before_is_not() -> None:
    """The conversation may hold the answer."""
    told = [
        prompt.PastMessage("user", "On Sundays the bakery is open from 8."),
        prompt.PastMessage("assistant", "Good."),
    ]
    asked = prompt.turn_messages(told, "When is the bakery open on Sundays?")
    assert prompt.NOT_IN_MEMORY not in asked[-1]["content"]
