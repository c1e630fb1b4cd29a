"""Checks of written texts."""

from __future__ import annotations

from scripts.evaluation import texts

BRIEF = "Write an X post saying that Ida opens at 7am, see a.example, and publish it"


def test_what_is_not_in_the_brief_is_invented() -> None:
    """Numbers, addresses and names; what the brief says is none of them."""
    assert texts.invented("Ida opens at 8am with 20% off, see b.example", BRIEF) == ["8", "20", "b.example"]
    assert texts.invented_names("Come and see Bob or Ida", BRIEF) == ["Bob"]
    assert texts.invented("Ida opens at 7am, see a.example #Open2024", BRIEF) == []
    assert texts.invented_names("Our Ida opens. Come by!", BRIEF) == []


def test_facts_phrases_and_repetitions_are_told() -> None:
    """Case does not matter for a fact; a run of four words that comes again is a repetition."""
    assert texts.missing_facts("We open at 7AM", ["7am", "Ida"]) == ["Ida"]
    assert texts.banned("Look no further!") == ["look no further"]
    assert texts.repetitions("come by and see us, come by and see us") != []
    assert texts.repetitions("come by and see us") == []


def test_a_text_that_repeats_the_order_is_found() -> None:
    """Case and signs aside; the news may have the request's other words."""
    asked = "Schreib einen Beitrag für X: die Praxis ist zu"
    assert texts.echoes("Schreib einen Beitrag, bitte: zu!", asked) == ["schreib einen beitrag"]
    assert texts.echoes("Die Praxis ist zu.", asked) == []
