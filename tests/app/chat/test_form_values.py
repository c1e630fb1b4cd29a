"""Which values a message gives for a form."""

from __future__ import annotations

import pytest

from app.chat.form_values import gives_values, values_of


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
    ],
)
def test_values_are_read_to_the_letter(message: str, fields: dict[str, str]) -> None:
    """Signs, words, counts and quotations, in several languages."""
    assert values_of(message) == fields
