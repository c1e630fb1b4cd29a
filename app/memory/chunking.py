"""Cutting sections into chunks that the embedding model can take in whole."""

from __future__ import annotations

import unicodedata

from semantic_text_splitter import MarkdownSplitter, TextSplitter

from app.memory.records import Chunk, Section
from app.memory.sniffing import MARKDOWN, PDF
from app.text import has_visible_text

CHUNK_CHARS = 900  # about 220 tokens of English in MiniLM, which reads 256
DENSE_CHUNK_CHARS = 220  # of scripts whose every character is a token
OVERLAP_SHARE = 120 / 900


def chunks_of(sections: list[Section], media_type: str) -> list[Chunk]:
    """The chunks in order; a chunk never spans two sections, so that its place is true."""
    chunks: list[Chunk] = []
    for section in sections:
        size = DENSE_CHUNK_CHARS if is_dense_script(section.text) else CHUNK_CHARS
        kind = MarkdownSplitter if media_type == MARKDOWN else TextSplitter
        splitter = kind(size, overlap=round(size * OVERLAP_SHARE))
        for offset, text in splitter.chunk_indices(section.text):
            if has_visible_text(text):
                chunks.append(Chunk(_place(section, offset, media_type), text.strip()))
    return chunks


def _place(section: Section, offset: int, media_type: str) -> str:
    if section.place or media_type == PDF:
        return section.place
    return f"line {section.first_line + section.text.count(chr(10), 0, offset)}"


def is_dense_script(text: str) -> bool:
    """Whether more than a fifth of the letters are of Chinese, Japanese, Korean or another token-a-character script."""
    sample = [c for c in text[:4_000] if c.isalpha()]
    dense = sum(1 for c in sample if ord(c) > 0x0E00 and unicodedata.category(c) == "Lo")
    return dense > len(sample) / 5
