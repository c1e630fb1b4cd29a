"""The API's shapes of assets and passages."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.memory.records import Asset, AssetStatus, Passage


class AssetErrorOut(BaseModel):
    """Why an asset is not in memory, and the next step. An uploaded one with an error waits and is tried again."""

    model_config = ConfigDict(from_attributes=True)

    code: str
    message: str
    hint: str


class AssetOut(BaseModel):
    """An uploaded file and what became of it."""

    id: str
    status: AssetStatus
    filename: str
    media_type: str
    size_bytes: Annotated[int, Field(description="Size of the file in bytes.")]
    sha256: str
    tags: list[str]
    pages: Annotated[int, Field(description="Pages of a PDF up to its last one with text; 0 for other types.")]
    chunks: Annotated[int, Field(description="Passages that are found now.")]
    chunks_done: Annotated[int, Field(description="How many passages the current ingestion has embedded.")]
    chunks_total: Annotated[int, Field(description="… of how many; 0 until the file is read.")]
    error: AssetErrorOut | None
    created_at: datetime
    ingested_at: datetime | None

    @classmethod
    def of(cls, asset: Asset) -> AssetOut:
        """The asset as the API shows it."""
        return cls(
            id=asset.id,
            status=asset.status,
            filename=asset.filename,
            media_type=asset.media_type,
            size_bytes=asset.size_bytes,
            sha256=asset.sha256,
            tags=list(asset.tags),
            pages=asset.page_count,
            chunks=asset.chunk_count,
            chunks_done=asset.chunks_done,
            chunks_total=asset.chunks_total,
            error=AssetErrorOut.model_validate(asset.error) if asset.error else None,
            created_at=asset.created_at,
            ingested_at=asset.ingested_at,
        )


class AssetsOut(BaseModel):
    """Assets, the newest first."""

    assets: list[AssetOut]


class TagsIn(BaseModel):
    """The asset's tags from now on."""

    model_config = ConfigDict(extra="forbid")

    tags: Annotated[list[str], Field(description="At most 20, of 50 characters each.")]


class DocumentOut(BaseModel):
    """An asset as the memory's own routes show it; ``status`` is ready once it can be found."""

    id: str
    project_id: str
    filename: str
    status: str
    media_type: str
    chunk_count: int
    chunks_done: int
    chunks_total: int
    size_bytes: Annotated[int, Field(description="Size of the file in bytes.")]
    sha256: str
    tags: list[str]
    error: AssetErrorOut | None
    created_at: datetime

    @classmethod
    def of(cls, asset: Asset) -> DocumentOut:
        """The asset as a document."""
        return cls(
            id=asset.id,
            project_id=asset.project_id,
            filename=asset.filename,
            status="ready" if asset.status == AssetStatus.INGESTED else asset.status.value,
            media_type=asset.media_type,
            chunk_count=asset.chunk_count,
            chunks_done=asset.chunks_done,
            chunks_total=asset.chunks_total,
            size_bytes=asset.size_bytes,
            sha256=asset.sha256,
            tags=list(asset.tags),
            error=AssetErrorOut.model_validate(asset.error) if asset.error else None,
            created_at=asset.created_at,
        )


class DocumentsOut(BaseModel):
    """Documents, the newest first."""

    documents: list[DocumentOut]


class PassageOut(BaseModel):
    """A passage that was found; ``score`` is 0 to 1, ``document_id`` the same as ``asset_id``."""

    asset_id: str
    document_id: str
    chunk_id: int
    filename: str
    place: str
    text: str
    score: float
    similarity: float

    @classmethod
    def of(cls, passage: Passage) -> PassageOut:
        """The passage as the API shows it."""
        return cls(
            asset_id=passage.asset_id,
            document_id=passage.asset_id,
            chunk_id=passage.chunk_id,
            filename=passage.filename,
            place=passage.place,
            text=passage.text,
            score=passage.score,
            similarity=passage.similarity,
        )


class PassagesOut(BaseModel):
    """Passages, the best first."""

    results: list[PassageOut]


class PassageInContextOut(BaseModel):
    """A passage where it stands: ``before`` and ``after`` are the asset's neighbouring text."""

    asset_id: str
    chunk_id: int
    filename: str
    place: str
    before: str
    text: str
    after: str
    content_url: Annotated[str, Field(description="The original, for a PDF with the page.")]
