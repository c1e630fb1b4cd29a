"""What a recipe takes for the same step, and what it never keeps."""

from __future__ import annotations

import pytest

from automation.recipes import Recipe, Step, changes, confirmation_of, kind_of, located, parsed

EMAIL = {"role": "email: E-mail", "label": "E-mail", "id": "e", "attr": "mail", "path": "form > input", "text": "you@"}


def step(**marks: str) -> Step:
    """A step that differs from EMAIL by these marks; an empty one is not there."""
    return Step(title=marks.get("label", "E-mail"), marks={k: v for k, v in (EMAIL | marks).items() if v})


@pytest.mark.parametrize(
    "candidates",
    [
        [],
        [step(role="email: Card number", label="Card number")],
        [step(role="password: E-mail")],
        [step(), step()],
        [step(id="x", attr="x"), step(id="y", attr="y")],
        [step(label="")],
    ],
)
def test_what_a_person_would_not_take_for_the_same_is_not_found(candidates: list[Step]) -> None:
    """Another label, another kind of field, or two that cannot be told apart."""
    assert located(step(), candidates) is None


@pytest.mark.parametrize(
    ("candidates", "index"),
    [
        ([step()], 0),
        ([step(id="x7f", attr="q", path="div > input", text="")], 0),
        ([step(role="text: Name", label="Name"), step(id="x")], 1),
        ([step(id="other", attr="other"), step(path="div > input")], 1),
    ],
)
def test_what_a_person_takes_for_the_same_is_found(candidates: list[Step], index: int) -> None:
    """Whatever became of its id, its name attribute and its place; these tell apart what looks alike."""
    assert located(step(), candidates) == index


def test_a_recipe_of_another_kind_or_form_is_left_alone() -> None:
    """Then one looks anew."""
    kind = kind_of("https://jo.example/book?day=1", ["E-mail"])
    assert (kind.origin, kind.path) == ("https://jo.example", "/book")
    recipe = Recipe(origin=kind.origin, path=kind.path, fields={"E-mail": step()}, submit=Step(title="Go", marks={}))
    raw = recipe.model_dump(mode="json")
    assert parsed(raw, kind) == recipe
    assert parsed(None, kind) is None
    assert parsed(raw | {"value": "x"}, kind) is None
    assert parsed(raw, kind_of("https://jo.example/book", ["Name"])) is None
    assert parsed(raw, kind_of("https://jo.example/other", ["E-mail"])) is None
    assert parsed(raw, kind_of("http://jo.example/book", ["E-mail"])) is None


def test_changes_are_told_step_by_step() -> None:
    """By what the page calls them, also where the form is sent."""
    old = Recipe(
        origin="o",
        path="/",
        fields={"mail": step(), "name": step(role="text: Name", label="Name")},
        submit=Step(title="Send", marks={"role": "button: Send", "target": "https://jo.example"}),
    )
    new = old.model_copy(
        update={
            "fields": old.fields | {"mail": step(role="email: Your mail", label="Your mail")},
            "submit": Step(title="Send", marks={"role": "button: Send", "target": "https://evil.example"}),
        }
    )
    assert changes(old, new) == [
        "mail: “E-mail” was not found; “Your mail” would be used instead",
        "The button: “Send” now sends the form to https://evil.example, not to https://jo.example",
    ]
    assert changes(old, old) == ["The page now has several fields or buttons that look alike."]


def test_the_confirmation_keeps_nothing_that_was_entered() -> None:
    """Neither whole nor in part."""
    seen = confirmation_of(
        "https://jo.example/thanks/ann@example.com", 200, "Thank you, Ann!\n4 guests on 24 December", ["Ann Lee", "4"]
    )
    assert seen.text == "Thank you, …! … guests on 2… December"
    assert "ann" not in seen.path.casefold()
