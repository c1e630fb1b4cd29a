"""What memory hands around: assets, sections of extracted text, chunks, passages that were found."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
HTML = "text/html"
CSV = "text/csv"
MARKDOWN = "text/markdown"
PLAIN = "text/plain"


class AssetStatus(StrEnum):
    """Where an asset is on its way into memory."""

    UPLOADED = "uploaded"
    INGESTING = "ingesting"
    INGESTED = "ingested"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class AssetError:
    """Why an asset could not be taken in, and what to do."""

    code: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Asset:
    """An uploaded file and what became of it.

    ``chunk_count`` is what can be found now; ``chunks_done`` of ``chunks_total`` how far the ingestion is (0 of 0
    while the file is being read). ``error`` of an asset that is not failed says what it waits for.
    """

    id: str
    project_id: str
    filename: str
    sha256: str
    media_type: str
    size_bytes: int
    status: AssetStatus
    tags: tuple[str, ...]
    page_count: int
    chunk_count: int
    chunks_done: int
    chunks_total: int
    error: AssetError | None
    created_at: datetime
    ingested_at: datetime | None


@dataclass(frozen=True, slots=True)
class Section:
    """A piece of a document's text with its place: "page 3", "Opening hours › Summer". ``first_line`` counts from 1."""

    place: str
    text: str
    first_line: int = 1


@dataclass(frozen=True, slots=True)
class Chunk:
    """What is embedded and found: at most 500 tokens of one section."""

    place: str
    text: str


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """Which assets are searched: those that meet every condition that is set."""

    asset_ids: tuple[str, ...] = ()
    media_types: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    created_from: datetime | None = None
    created_before: datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Whether every asset meets it."""
        return self == SearchFilter()


EVERYTHING = SearchFilter()


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of an asset that was found.

    ``chunk_id`` is the chunk that was found, ``chunk_ids`` all that the text is made of (neighbours are joined).
    ``score`` (0 to 1) is of both rankings, ``similarity`` the cosine with the question (-1 to 1).
    """

    asset_id: str
    filename: str
    place: str
    text: str
    score: float
    similarity: float
    chunk_id: int = 0
    chunk_ids: tuple[int, ...] = field(default=())
