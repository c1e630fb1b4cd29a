"""Which values a message gives for a form."""

from __future__ import annotations

import pytest

from app.chat.form_values import gives_values, values_of, values_over


@pytest.mark.parametrize(
    "message", ["Fill in a.example/f", "Please apply at a.example/f for me", "subscribe us at a.example"]
)
def test_no_values_are_made_up(message: str) -> None:
    """A form without values has none."""
    assert values_of(message) == {}
    assert not gives_values(message)


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        ("Fill in a.example/f: name: Ada, guests = 4", {"name": "Ada", "guests": "4"}),
        ("a.example/f. First name: Omar. Last name: Said.", {"First name": "Omar", "Last name": "Said"}),
        ("Book at a.example/f, name Ada Lovelace, 4 guests", {"name": "Ada Lovelace", "guests": "4"}),
        (
            "a.example/f with name lena ray and email lena@ray.example",
            {"name": "lena ray", "email": "lena@ray.example"},
        ),
        (
            "register me on a.example/f as Ann Oak, email ann@oak.example",
            {"name": "Ann Oak", "email": "ann@oak.example"},
        ),
        ("subscribe ann@oak.example at a.example/in", {"email": "ann@oak.example"}),
        ("FILE IT AT a.example/p APPLICANT: BOB STONE LOT: 17", {"APPLICANT": "BOB STONE", "LOT": "17"}),
        ('On a.example/f enter "The Seagull" as title and send it', {"title": "The Seagull"}),
        ("Melde mich auf a.example/f an: Name: Franz Huber", {"Name": "Franz Huber"}),
        ("Rellena a.example/f con nombre Luis y teléfono 600123456", {"nombre": "Luis", "teléfono": "600123456"}),
        ("a.example/f with amount 2,500 and time 15:00", {"amount": "2,500", "time": "15:00"}),
        (
            "fill a.example/f with shop name kiosk west, owner ali demir",
            {"shop name": "kiosk west", "owner": "ali demir"},
        ),
        ("The form at a.example/f has to be sent: Name: Open Door", {"Name": "Open Door"}),
        ("a.example/f, message: When do you deliver?", {"message": "When do you deliver?"}),
        (
            "a.example/f name is Oak and Son phone is 0113 area is Leeds",
            {"name": "Oak and Son", "phone": "0113", "area": "Leeds"},
        ),
        (
            "a.example/f → club: Rueda / amount: 85 / contact person: Ana",
            {"club": "Rueda", "amount": "85", "contact person": "Ana"},
        ),
        ("Kundennummer 20417, Menge 8 Fässer. Merci!", {"Kundennummer": "20417", "Menge": "8 Fässer"}),
        (
            "a.example/f, details: pupil name Conor Daly, test centre Naas",
            {"pupil name": "Conor Daly", "test centre": "Naas"},
        ),
        (
            "a.example/f\nName: Ada\nMessage: Two bottles came too late.",
            {"Name": "Ada", "Message": "Two bottles came too late."},
        ),
        (
            "a.example/f. name Ann Oak. company Oak Range. tickets 2. get it done",
            {"name": "Ann Oak", "company": "Oak Range", "tickets": "2"},
        ),
        (
            "a.example/f with date: 21 May, contact: Ann Oak? Then I'll write to him myself.",
            {"date": "21 May", "contact": "Ann Oak"},
        ),
        (
            "Sign us up at a.example/f. The email is a@oak.example and the first name is Ann. I'm so grateful.",
            {"email": "a@oak.example", "first name": "Ann"},
        ),
        (
            "a.example/f: style is Yin and Nidra, title is Mabel and the Moon, for website put oak.example",
            {"style": "Yin and Nidra", "title": "Mabel and the Moon", "website": "oak.example"},
        ),
        (
            "Bitte über a.example/f bestellen: Artikel 5512, Menge 40, Kundennummer K-20983.",
            {"Artikel": "5512", "Menge": "40", "Kundennummer": "K-20983"},
        ),
        (
            "a.example/f, Name: Dr. Eva Lang; Datum: 12. Mai. Herzlichen Dank!",
            {"Name": "Dr. Eva Lang", "Datum": "12. Mai"},
        ),
        (
            'a.example/f. To be entered: firm "Oak, Son", languages "German, English". Nothing else.',
            {"firm": "Oak, Son", "languages": "German, English"},
        ),
        (
            "a.example/f\n- stand size: 3x2 m\n- contact: Piet Oak\n\nWhat is optional stays blank.",
            {"stand size": "3x2 m", "contact": "Piet Oak"},
        ),
        (
            "inscris-nous sur a.example/f avec comme nom Oak et comme ville Lille. Merci beaucoup !",
            {"nom": "Oak", "ville": "Lille"},
        ),
    ],
)
def test_values_are_read_to_the_letter(message: str, fields: dict[str, str]) -> None:
    """Signs, words, counts and quotations, in several languages."""
    assert values_of(message) == fields


def test_values_that_are_not_understood_hide_none_that_were_given_before() -> None:
    """A message whose new values cannot be read is left to the language model."""
    assert values_over("change the second one to Birch Lane 4 please", {"name": "Ann"}) == {}


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        ("That is all correct. Yes, please go ahead.", {"Name": "Ann", "guests": "4", "mail": "ann@oak.example"}),
        ("Guests was my mistake: 6. Send again.", {"Name": "Ann", "guests": "6", "mail": "ann@oak.example"}),
        ("wrong address, it is ann@new.example", {"Name": "Ann", "guests": "4", "mail": "ann@new.example"}),
        ("yep but make it guests 40!!", {"Name": "Ann", "guests": "40", "mail": "ann@oak.example"}),
        ("date: 12 May", {"Name": "Ann", "guests": "4", "mail": "ann@oak.example", "date": "12 May"}),
    ],
)
def test_new_values_go_over_those_given_before(message: str, fields: dict[str, str]) -> None:
    """Names stay as they were first given; what is not mentioned stays."""
    assert values_over(message, {"Name": "Ann", "guests": "4", "mail": "ann@oak.example"}) == fields


@pytest.mark.parametrize(
    "message", ["a.example/f a" + " " * 7_900 + "x", "a.example/f " + ", ".join(["please send it " * 12 + "xy"] * 40)]
)
def test_a_long_message_of_nothing_is_read_once(message: str) -> None:
    """Runs of spaces and of closings were tried in every combination."""
    assert values_of(message) == {}
