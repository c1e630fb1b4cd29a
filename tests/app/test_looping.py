"""Where a text begins to repeat itself."""

from __future__ import annotations

import pytest

from app.looping import loop_start

LIST = "\n".join(
    f"- {day}: 9 am to 5 pm, closed from 12 to 1"
    for day in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Ha ha ha ha! We open at 9. We really do open at 9, so come by at 9.",
        LIST,
        "Price list: " + ", ".join(f"{thing} 3.50 euro" for thing in ("tea", "cocoa", "milk", "coffee", "juice")),
        "Gooo" + "o" * 40 + "al!",
    ],
)
def test_a_text_that_goes_on_is_left_alone(text: str) -> None:
    """Short echoes, lists whose lines are alike, a long cheer."""
    assert all(loop_start(text[:end]) is None for end in range(len(text) + 1))


@pytest.mark.parametrize(
    ("said", "again"),
    [
        ("Apple cake for 3.50! #cake ", "#tasty "),
        ("El pan está listo. ", "Ven a probarlo con tu familia. "),
        ("Viel Spaß ", "🎉"),
        ("", "We open at 9 and bake all day, and whoever comes early finds warm bread. "),
    ],
)
def test_a_part_that_comes_again_and_again_ends_at_its_first_time(said: str, again: str) -> None:
    """Hashtags, sentences, emoji; however far the loop has gone."""
    for rounds in (200 // len(again) + 3, 90):
        start = loop_start(said + again * rounds)
        assert start is not None
        assert (said + again).startswith((said + again * rounds)[:start].strip()[:-1])
        assert start <= len(said + again)


def test_counting_on_with_nothing_new_is_a_loop() -> None:
    """Every line has another number and nothing else."""
    line = "Tip: post in the morning and thank everybody who answers you"
    start = loop_start("Here is what to do. " + " ".join(f"{n}. {line}" for n in range(1, 12)))
    assert start is not None


def test_a_long_part_counts_when_it_comes_twice() -> None:
    """Over a hundred characters repeated exactly are no chance."""
    part = (
        "The garden opens on 2 May with music, cake and a market, and children come in free all the day long. Do come. "
    )
    assert loop_start(part + "By the way. ") is None
    assert loop_start(f"{part}Hurry up now!! {part}Hurry up now!! ") == len(part) + 15
