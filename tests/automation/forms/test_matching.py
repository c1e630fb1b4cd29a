"""Which field a name means: refused when it could be two, found however it is written."""

from __future__ import annotations

import pytest

from automation.forms.matching import Field, Option, choose_option, match


def make(*titles: str, kind: str = "text") -> list[Field]:
    return [Field(index=i, frame=0, kind=kind, names=(t,), group=0) for i, t in enumerate(titles)]


@pytest.mark.parametrize(
    ("name", "titles"),
    [
        ("fax", ["Name", "Email"]),
        ("name", ["Company name"]),
        ("name", ["User name", "Password"]),
        ("company name", ["Name"]),
        ("number", ["Phone number"]),
        ("email", ["Mailing list"]),
        ("last name", ["First name"]),
        ("date", ["Update me"]),
        ("!!!", ["Name"]),
    ],
)
def test_does_not_guess(name: str, titles: list[str]) -> None:
    """A name that is only part of another field's name, or like it, is missing."""
    result = match([name], make(*titles))
    assert result.missing == [name]
    assert not result.is_complete


@pytest.mark.parametrize(
    ("name", "titles"), [("email", ["Email", "Email"]), ("street", ["Street of sender", "Street of recipient"])]
)
def test_several_candidates_are_ambiguous(name: str, titles: list[str]) -> None:
    """Two fields that fit equally are both named."""
    result = match([name], make(*titles))
    assert [f.title for f in result.ambiguous[name]] == titles


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("Email", "Email"),
        ("email", "E-mail *"),
        ("E-Mail address", "Email:"),
        ("your name", "Name (required)"),
        ("message", "Your message"),
        ("first name", "firstName"),
        ("phone", "Telephone number"),
        ("surname", "Last name"),
        ("date", "Date of arrival"),
        ("contact email", "Email"),
        ("recieve newsletter", "Receive newsletter"),
        ("number of guests", "Guests"),
        ("PLZ", "plz"),
        ("What do you need", "What do you need?"),
        ("straße", "Strasse"),
    ],
)
def test_finds_fields_however_they_are_written(name: str, title: str) -> None:
    """Case, punctuation, marks of obligation, synonyms and one typing error do not matter."""
    assert match([name], make("Something else", title)).fields[name].title == title.rstrip(" *:")


def test_exact_names_go_first() -> None:
    """A name that fits one field exactly leaves the other to the vaguer name."""
    fields = make("Email", "Confirm email")
    result = match(["confirm email", "email"], fields)
    assert {n: f.title for n, f in result.fields.items()} == {"confirm email": "Confirm email", "email": "Email"}


def test_type_tells_a_field_without_a_name() -> None:
    """The only field of type email is the e-mail address, whatever it is called."""
    fields = [*make("Where can we reach you"), Field(index=1, frame=0, kind="email", names=("x7",), group=0)]
    assert match(["email"], fields).fields["email"].index == 1


def test_options_by_label_value_and_start() -> None:
    """A choice is found by its label, its value or a beginning that only it has; a disabled one is none."""
    options = [
        Option("1 person", "1"),
        Option("2 people", "2"),
        Option("12 people", "12"),
        Option("Full", "x", disabled=True),
    ]
    assert choose_option("2 PEOPLE", options) == options[1]
    assert choose_option("12", options) == options[2]
    assert choose_option("1", options) == options[0]
    assert choose_option("people", options) is None
    assert choose_option("Full", options) is None
    assert choose_option("", options) is None
