"""What memory hands around: documents, sections of extracted text, chunks, passages that were found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Document:
    """A stored document."""

    id: str
    filename: str
    sha256: str
    media_type: str
    size_bytes: int
    chunk_count: int
    created_at: datetime
    status: str = "ready"


@dataclass(frozen=True, slots=True)
class Section:
    """A piece of a document's text with its place: "page 3", "Opening hours › Summer". ``first_line`` counts from 1."""

    place: str
    text: str
    first_line: int = 1


@dataclass(frozen=True, slots=True)
class Chunk:
    """What is embedded and found: about 900 characters."""

    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk that was found. ``score`` (0 to 1) is of both rankings, ``similarity`` the cosine with the question."""

    document_id: str
    filename: str
    place: str
    text: str
    score: float
    similarity: float

    @property
    def asset_id(self) -> str:
        """The document's id, as the assistant's citations call it."""
        return self.document_id
