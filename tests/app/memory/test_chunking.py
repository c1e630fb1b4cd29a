"""Chunks: their size, their overlap, their place."""

from __future__ import annotations

from app.memory.chunking import CHUNK_CHARS, DENSE_CHUNK_CHARS, chunks_of
from app.memory.records import Section
from app.memory.sniffing import MARKDOWN, PDF, PLAIN

SENTENCES = " ".join(f"Sentence number {n} tells about the shop." for n in range(200))


def test_chunks_keep_to_their_size_and_lose_nothing() -> None:
    """Every sentence is whole in some chunk."""
    chunks = chunks_of([Section("", SENTENCES)], PLAIN)
    assert all(len(c.text) <= CHUNK_CHARS for c in chunks)
    for n in range(200):
        assert any(f"Sentence number {n} tells about the shop." in c.text for c in chunks)


def test_neighbours_overlap() -> None:
    """So that what stands at a border is found as a whole."""
    first, second = chunks_of([Section("", SENTENCES)], PLAIN)[:2]
    assert first.text[-40:] in second.text


def test_a_chunk_never_spans_two_places() -> None:
    """Short pages stay apart."""
    chunks = chunks_of([Section("page 1", "Espresso"), Section("page 2", "Cake")], PDF)
    assert [(c.place, c.text) for c in chunks] == [("page 1", "Espresso"), ("page 2", "Cake")]


def test_plain_text_is_placed_by_line() -> None:
    """Counted from 1."""
    lines = "\n\n".join(SENTENCES[:800] for _ in range(3))
    assert [c.place for c in chunks_of([Section("", lines)], PLAIN)] == ["line 1", "line 3", "line 5"]


def test_markdown_before_its_first_heading_is_placed_by_line() -> None:
    """There is no heading to name."""
    assert chunks_of([Section("", "Intro")], MARKDOWN)[0].place == "line 1"


def test_scripts_with_a_token_a_character_get_smaller_chunks() -> None:
    """Or the embedding model would read only their beginning."""
    chunks = chunks_of([Section("", "我们明天早上九点开门，欢迎光临。" * 100)], PLAIN)
    assert max(len(c.text) for c in chunks) <= DENSE_CHUNK_CHARS
