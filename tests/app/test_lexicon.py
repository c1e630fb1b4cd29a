"""Which language a text is in, and its words for numbers, weekdays and months."""

from __future__ import annotations

import pytest

from app import lexicon


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("We open the doors for you", "en"),
        ("Wir freuen uns auf euch und die Kinder", "de"),
        ("Nous sommes ouverts pour vous", "fr"),
        ("Te esperamos con los amigos en la tienda", "es"),
        ("Siamo aperti con il nuovo gusto", "it"),
        ("Abrimos as portas e não fechamos", "pt"),
        ("Wij zijn open met de kinderen", "nl"),
        ("12345", ""),
        ("", ""),
    ],
)
def test_the_language_is_told_by_small_words(text: str, language: str) -> None:
    """Nothing is claimed of a text without any."""
    assert lexicon.language_of(text) == language


@pytest.mark.parametrize(
    "text",
    [
        "Samstagabend",
        "samstags",
        "le samedi",
        "los sábados",
        "di sabato",
        "aos sábados",
        "zaterdagochtend",
        "Saturdays",
    ],
)
def test_weekdays_are_one_in_all_languages(text: str) -> None:
    """Compounds and plurals too."""
    assert list(lexicon.calendar_words(text)) == ["saturday"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("You may march on", set()),
        ("It is in May", {"may"}),
        ("ab 3. Mai", {"may"}),
        ("the 1st of march", {"march"}),
        ("sat in the sun", set()),
    ],
)
def test_a_plain_word_is_no_month(text: str, found: set[str]) -> None:
    """Unless its capital or a number makes it one; short forms count in sources alone."""
    assert set(lexicon.calendar_words(text)) == found


def test_an_ambiguous_word_counts_in_a_source_only() -> None:
    """Italian sei, French neuf."""
    assert "sei" not in lexicon.number_words("it")
    assert lexicon.number_words("")["sei"] == "6"
    assert lexicon.number_words("fr").get("neuf") is None
    assert lexicon.number_words("de")["zehn"] == "10"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("So we do 3, mi casa, mon ami", set()),
        ("Mo-Fr 9-17, So. 10", {"monday", "friday", "sunday"}),
        ("open mon - fri", {"monday", "friday"}),
        ("see you sat or Sun", {"saturday", "sunday"}),
        ("mar 10:00", {"tuesday"}),
    ],
)
def test_short_forms_count_where_they_look_like_days(text: str, found: set[str]) -> None:
    """Beside numbers and dashes; otherwise most of them are plain words of some language."""
    assert set(lexicon.calendar_words(text, with_short=True)) == found
