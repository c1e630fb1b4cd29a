"""Chunks: their size in tokens, their overlap, their place."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from app.memory.chunking import CHUNK_TOKENS, OVERLAP_TOKENS, chunks_of, tokenizer_of
from app.memory.records import CSV, MARKDOWN, PDF, PLAIN, Chunk, Section

SENTENCES = " ".join(f"Sentence number {n} tells about the shop." for n in range(400))


@pytest.fixture
def words() -> Tokenizer:
    """A tokenizer for which every word and every punctuation mark is a token."""
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    return tokenizer


def chunks(sections: list[Section], media_type: str, tokenizer: Tokenizer | None = None) -> list[Chunk]:
    return list(chunks_of(sections, media_type, tokenizer))


def test_a_model_that_is_not_here_has_no_tokenizer() -> None:
    """Then the usual characters a token stand in."""
    assert tokenizer_of("no-such-model") is None


@pytest.mark.parametrize("is_counted", [True, False])
def test_chunks_keep_to_their_size_and_lose_nothing(words: Tokenizer, is_counted: bool) -> None:
    """Every sentence is whole in some chunk, counted or estimated."""
    found = chunks([Section("", SENTENCES)], PLAIN, words if is_counted else None)
    assert len(found) > 2
    assert all(len(words.encode(c.text).ids) <= CHUNK_TOKENS for c in found)
    for n in range(400):
        assert any(f"Sentence number {n} tells about the shop." in c.text for c in found)


def test_neighbours_overlap(words: Tokenizer) -> None:
    """By whole sentences, of at most 50 tokens."""
    first, second = chunks([Section("", SENTENCES)], PLAIN, words)[:2]
    shared = next(n for n in range(len(second.text), 0, -1) if first.text.endswith(second.text[:n]))
    assert 0 < len(words.encode(second.text[:shared]).ids) <= OVERLAP_TOKENS


def test_a_chunk_never_spans_two_places() -> None:
    """Short pages stay apart."""
    found = chunks([Section("page 1", "Espresso"), Section("page 2", "Cake")], PDF)
    assert [(c.place, c.text) for c in found] == [("page 1", "Espresso"), ("page 2", "Cake")]


def test_plain_text_is_placed_by_line(words: Tokenizer) -> None:
    """Counted from 1."""
    lines = "\n\n".join(" ".join(["word"] * 400) for _ in range(3))
    assert [c.place for c in chunks([Section("", lines)], PLAIN, words)] == ["line 1", "line 3", "line 5"]


def test_tables_are_placed_by_row(words: Tokenizer) -> None:
    """From the first to the last of the chunk."""
    rows = "\n".join(f"Name: Person; Number: {n}" for n in range(1, 101))
    places = [c.place for c in chunks([Section("", rows)], CSV, words)]
    assert places[0].startswith("rows 1-")
    assert places[-1].endswith("-100")
    assert [c.place for c in chunks([Section("", "Name: Person")], CSV, words)] == ["row 1"]


def test_markdown_before_its_first_heading_is_placed_by_line() -> None:
    """There is no heading to name."""
    assert chunks([Section("", "Intro")], MARKDOWN)[0].place == "line 1"


def test_scripts_with_a_token_a_character_get_smaller_chunks() -> None:
    """Where nobody counts, or the embedding model would read only their beginning."""
    found = chunks([Section("", "我们明天早上九点开门，欢迎光临。" * 100)], PLAIN)
    assert max(len(c.text) for c in found) <= CHUNK_TOKENS
