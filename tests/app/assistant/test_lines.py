"""Cutting passages into lines that can be quoted, and choosing among them."""

from __future__ import annotations

from dataclasses import dataclass

from app.assistant.lines import MAX_LINES, Listing, chosen_lines, lines_of, sentences_of
from tests.app.fakes import FakeEmbedder


@dataclass
class Passage:
    """What retrieval hands out."""

    text: str
    place: str = "Prices"
    asset_id: str = "doc_1"
    filename: str = "prices.md"
    similarity: float = 0.5
    chunk_id: int = 7


def test_headings_and_rules_are_no_lines() -> None:
    """They say what the lines are about, and nothing that could be quoted."""
    assert lines_of(Passage("# Prices\n\n---\n| --- | --- |\n")) == []


def test_every_quote_stands_in_its_passage() -> None:
    """Sentences, items and rows are the passage's own bytes."""
    text = (
        "## Beans\nWe roast here. Dr. Kim helps! It is 3.50 euro.\n- Decaf: 10.90 euro\n"
        "| Roast | 1 kg |\n|---|---|\n| Guji | 46 euro |"
    )
    lines = lines_of(Passage(text))
    assert [line.quote for line in lines] == [
        "We roast here.", "Dr. Kim helps!", "It is 3.50 euro.", "- Decaf: 10.90 euro", "| Guji | 46 euro |"
    ]  # fmt: skip
    assert all(line.quote in text for line in lines)


def test_a_row_of_a_table_is_shown_with_its_columns() -> None:
    """A bare number in a row says nothing; the quote stays as it is."""
    line = lines_of(Passage("| Roast | 250 g | 1 kg |\n| --- | --- | --- |\n| Guji | 12.90 | 46 |"))[0]
    assert line.shown == "Guji: 250 g: 12.90, 1 kg: 46"
    assert line.quote == "| Guji | 12.90 | 46 |"


def test_sentences_end_where_they_end() -> None:
    """Abbreviations, dates and decimals do not end one."""
    assert sentences_of("Open from 9 a.m. Mondays closed.") == ["Open from 9 a.m. Mondays closed."]
    assert sentences_of("It opens on 3. May. Come by!") == ["It opens on 3. May.", "Come by!"]
    assert sentences_of('He said "Yes." Then he left.') == ['He said "Yes."', "Then he left."]


def test_the_nearest_lines_are_chosen_in_their_order() -> None:
    """At most so many; the same line of two overlapping passages once; a short list is not ranked at all."""
    embedder = FakeEmbedder()
    many = Passage("\n".join(f"Number {i} is about nothing." for i in range(30)) + "\nThe espresso costs 2.60 euro.")
    chosen = chosen_lines("What does the espresso cost?", [many, many], embedder.embed)
    assert len(chosen) == MAX_LINES
    assert chosen[-1].quote == "The espresso costs 2.60 euro."
    embedder.texts.clear()
    assert len(chosen_lines("What?", [Passage("One. Two."), Passage("One. Two.")], embedder.embed)) == 2
    assert embedder.texts == []


def test_a_listing_names_each_source_once() -> None:
    """Lines stand under their document and place, and are named by numbers that exist."""
    listing = Listing(tuple(lines_of(Passage("One is here. Two is there.")) + lines_of(Passage("Three.", place=""))))
    assert listing.text() == "[prices.md, Prices]\n1: One is here.\n2: Two is there.\n[prices.md]\n3: Three."
    assert listing.numbers() == [1, 2, 3]
    assert [line.quote for line in listing.named([3, 1, 3])] == ["One is here.", "Three."]
