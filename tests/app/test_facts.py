"""What a text states, found by code."""

from __future__ import annotations

import pytest

from app import facts

SOURCE = (
    "A flat white is 3.90 euro. Mirela Kovac teaches on 21 May 2026. "
    "Write to hallo@lindenhof.example. Closed on Mondays."
)


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("A flat white is 4.90 euro.", {"4.9"}),
        ("Twelve people came.", {"12"}),
        ("Ask our barista Paolo for it.", {"paolo"}),
        ("Book at www.lindenhof.example/book today.", {"www.lindenhof.example/book"}),
        ("Write to hello@lindenhof.example.", {"hello@lindenhof.example"}),
        ("Follow @lindenhof_kaffee now.", {"@lindenhof_kaffee"}),
        ("On Tuesday we roast.", {"tuesday"}),
        ("A flat white is 3.90 dollars.", {"3.9 dollar"}),
        ("It takes 21 minutes.", {"21 minute"}),
    ],
)
def test_what_stands_in_no_source_is_found(text: str, missing: set[str]) -> None:
    """Numbers in figures and words, names, web and mail addresses, @names, weekdays."""
    assert facts.unfounded(text, [SOURCE]) == missing


@pytest.mark.parametrize(
    "text",
    [
        "The flat white costs 3,90 euro.",
        "A flat white: €3.90.",
        "Mirela teaches on 21 May.",
        "Come by! Mondays we are closed.",
        "One of a kind? No, plainly good coffee.",
        "Kovac's class is in 2026; write to hallo@lindenhof.example.",
    ],
)
def test_what_stands_in_a_source_is_fine(text: str) -> None:
    """Other spellings of a number, parts of a name, the beginning of a sentence, the vague word one."""
    assert facts.unfounded(text, [SOURCE]) == set()


def test_a_question_lends_its_names_but_not_its_numbers() -> None:
    """An answer may repeat who was asked about; a number needs a source."""
    asked = ["Does Paolo sell 500 g bags?"]
    assert facts.unfounded("We do not know Paolo.", [SOURCE], also_named=asked) == set()
    assert facts.unfounded("500 g are 3.90 euro.", [SOURCE], also_named=asked) == {"500"}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1,200 and 1.200", {"1200"}),
        ("9:00 to 17:30", {"9", "17:30"}),
        ("2.50 or 2,5", {"2.5"}),
        ("https://a.example/2024/x", set()),
    ],
)
def test_numbers_have_one_spelling(text: str, numbers: set[str]) -> None:
    """Thousands, times, decimals; an address is no number."""
    assert facts.numbers_in(text) == numbers


def test_words_are_compared_by_their_stems() -> None:
    """Open, opens and opening are one word; all of a text without such words stands anywhere."""
    assert facts.share_of_words("opening the cafes", ["The café opens"]) == 1.0
    assert facts.share_of_words("It is.", []) == 1.0
    assert facts.share_of_words("purple elephants", [SOURCE]) == 0.0


@pytest.mark.parametrize(
    ("text", "source", "missing"),
    [
        ("Wir öffnen am Dienstag um zehn Uhr.", "ab Montag um 7 Uhr offen", {"dienstag", "10"}),
        ("Besucht uns bei der Bäckerei Müller!", "unsere Bäckerei hat Brötchen", {"müller"}),
        ("Abrimos el lunes. ¡Ven por diez euros!", "abrimos los martes", {"lunes", "10"}),
        ("Nous fermons mercredi à 18h30.", "nous fermons mercredi à 17h30", {"18:30"}),
        ("Opens at 7pm", "opens at 7am", {"7 pm"}),
        ("It is #bread2031 time", "bread", {"2031"}),
        ("À demain !", "le pain est prêt", {"demain"}),
        ("Call 020 7946 0001", "call 020 7946 0000", {"1"}),
    ],
)
def test_made_up_facts_are_found_in_other_languages(text: str, source: str, missing: set[str]) -> None:
    """Weekdays, number words, names behind a noun, the other half of the day, years in hashtags, telephone numbers."""
    assert facts.unfounded(text, [source]) == missing


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("Frische Brötchen warten auf euch, mit Kaffee und einem Glas Saft!", "wir haben Brötchen"),
        ("Wir öffnen Montag um 7 Uhr.", "our bakery opens at 7am from Monday"),
        ("5 stars! 🎉 Come by, it's FREE and I'm happy. #FreshBread", "we got five stars, it is free"),
        ("Nous ouvrons mercredi à 19h30 !", "we open Wednesday at 7:30 pm"),
        ("New Opening Hours At Our Little Shop!", "new opening hours"),
        ("Twenty-five years of bread", "25 years of bread"),
        ("Open till 7 pm", "open till 19:00"),
        ("Come by today!", "we have bread"),
        ("Book at https://tea.example/x! Come and see.", "book at https://tea.example/x"),
        ("Closed tomorrow", "morgen geschlossen"),
        ("Monday to Friday", "Mon-Fri"),
        ("Llámanos al 91 123 45 67", "llama al 911234567"),
        ("Sei il benvenuto, ti aspettiamo sabato", "aperti il sabato"),
    ],
)
def test_plain_words_and_other_spellings_are_no_inventions(text: str, source: str) -> None:
    """German nouns, weekdays in two languages, idle capitals, hours in both ways of counting, joined numbers."""
    assert facts.unfounded(text, [source]) == set()
