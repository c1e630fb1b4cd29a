"""Cutting sections into chunks of at most 500 tokens that share up to 50, counted as the embedding model does."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from semantic_text_splitter import MarkdownSplitter, TextSplitter
from tokenizers import Tokenizer

from app.memory.records import CSV, MARKDOWN, PLAIN, Chunk, Section
from app.text import has_visible_text
from models.home import models_dir

CHUNK_TOKENS = 500
OVERLAP_TOKENS = 50
WINDOW_TOKENS = 250
_CHARS_A_TOKEN = 4.0  # of English, for a model whose tokenizer is not on this machine
_DENSE_CHARS_A_TOKEN = 0.9  # of scripts whose every character is a token


def chunks_of(sections: list[Section], media_type: str, tokenizer: Tokenizer | None) -> Iterator[Chunk]:
    """The chunks in order; a chunk never spans two sections, so that its place is true.

    Args:
        tokenizer: as ``tokenizer_of`` gives it; None counts by the script's usual characters a token.
    """
    kind = MarkdownSplitter if media_type == MARKDOWN else TextSplitter
    exact = None if tokenizer is None else kind.from_huggingface_tokenizer(tokenizer, CHUNK_TOKENS, OVERLAP_TOKENS)
    for section in sections:
        for offset, text in (exact or _estimating(kind, section.text)).chunk_indices(section.text):
            if has_visible_text(text):
                yield Chunk(_place(section, offset, text, media_type), text.strip())


@functools.lru_cache(maxsize=4)
def tokenizer_of(embedding_model: str) -> Tokenizer | None:
    """The model's tokenizer from the models folder; None when it is not there (a remote embedding server)."""
    path = _tokenizer_path(embedding_model)
    if not path.is_file():
        return None
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def windows_of(text: str, tokenizer: Tokenizer | None) -> list[str]:
    """The text in pieces of at most 250 tokens, which is what the embedding model reads; together they are all of it.

    A chunk's vector is the mean of its windows': the model reads 256 tokens, and cutting the rest off finds less
    (``docs/performance.md``).
    """
    if tokenizer is None:
        chars = round(WINDOW_TOKENS * (_DENSE_CHARS_A_TOKEN if is_dense_script(text) else _CHARS_A_TOKEN))
        return [text[start : start + chars] for start in range(0, len(text), chars)]
    offsets = tokenizer.encode(text, add_special_tokens=False).offsets
    if len(offsets) <= WINDOW_TOKENS:
        return [text]
    starts = [offsets[index][0] for index in range(0, len(offsets), WINDOW_TOKENS)]
    return [text[start:end] for start, end in zip([0, *starts[1:]], [*starts[1:], len(text)], strict=True)]


def _tokenizer_path(embedding_model: str) -> Path:
    return models_dir() / embedding_model / "tokenizer.json"


def _estimating(kind: type[TextSplitter | MarkdownSplitter], text: str) -> TextSplitter | MarkdownSplitter:
    chars = _DENSE_CHARS_A_TOKEN if is_dense_script(text) else _CHARS_A_TOKEN
    return kind(round(CHUNK_TOKENS * chars), overlap=round(OVERLAP_TOKENS * chars))


def _place(section: Section, offset: int, text: str, media_type: str) -> str:
    if section.place or media_type not in {PLAIN, MARKDOWN, CSV}:
        return section.place
    first = section.first_line + section.text.count("\n", 0, offset)
    if media_type == CSV:
        last = first + text.strip().count("\n")
        return f"row {first}" if first == last else f"rows {first}-{last}"
    return f"line {first}"


def is_dense_script(text: str) -> bool:
    """Whether more than a fifth of the letters are of Chinese, Japanese, Korean or another token-a-character script."""
    sample = [c for c in text[:4_000] if c.isalpha()]
    dense = sum(1 for c in sample if ord(c) > 0x0E00 and unicodedata.category(c) == "Lo")
    return dense > len(sample) / 5
