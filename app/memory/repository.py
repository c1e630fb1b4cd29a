"""All SQL of assets and of their way into memory; ``index_repository`` has that of searching."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import delete, func, insert, or_, select
from sqlalchemy.orm import Session

from app.db.scope import UNSCOPED
from app.memory import index_repository
from app.memory.records import AssetStatus, Chunk, SearchFilter
from app.memory.tables import AssetRow, ChunkRow, ChunkVectorRow, StagedChunkRow, VectorBlockRow


def by_id(session: Session, asset_id: str) -> AssetRow | None:
    """The asset, if there is one."""
    return session.scalars(select(AssetRow).where(AssetRow.id == asset_id)).one_or_none()


def by_sha256(session: Session, project_id: str, sha256: str) -> AssetRow | None:
    """The project's asset of that content, if there is one."""
    query = select(AssetRow).where(AssetRow.project_id == project_id, AssetRow.sha256 == sha256)
    return session.scalars(query).one_or_none()


def every(session: Session, project_id: str) -> list[AssetRow]:
    """The project's assets, the newest first."""
    query = select(AssetRow).where(AssetRow.project_id == project_id)
    return list(session.scalars(query.order_by(AssetRow.created_at.desc(), AssetRow.id)))


def on_their_way(session: Session, project_id: str, since: datetime) -> list[str]:
    """Names of the project's files that came after ``since`` and are not in yet, the oldest first; not those that wait
    for something to be mended."""
    query = select(AssetRow.filename).where(
        AssetRow.project_id == project_id,
        AssetRow.created_at >= since,
        AssetRow.chunk_count == 0,
        AssetRow.retry_at.is_(None),
        AssetRow.status.in_([AssetStatus.UPLOADED, AssetStatus.INGESTING]),
    )
    return list(session.scalars(query.order_by(AssetRow.created_at, AssetRow.id)))


def is_content_used(session: Session, sha256: str) -> bool:
    """Whether any project has an asset of that content: they share the stored file."""
    query = select(AssetRow.id).where(AssetRow.sha256 == sha256).limit(1)
    return session.scalars(query, execution_options=UNSCOPED).one_or_none() is not None


def used_contents(session: Session) -> set[str]:
    """The SHA-256 of every asset of every project."""
    return set(session.scalars(select(AssetRow.sha256).distinct(), execution_options=UNSCOPED))


def contents_of(session: Session, project_id: str) -> list[str]:
    """The SHA-256 of every asset of the project."""
    return list(session.scalars(select(AssetRow.sha256).where(AssetRow.project_id == project_id)))


def is_searchable(session: Session, project_id: str) -> bool:
    """Whether there is anything to search."""
    query = select(AssetRow.id).where(AssetRow.project_id == project_id, AssetRow.chunk_count > 0).limit(1)
    return session.scalars(query).one_or_none() is not None


def matching_assets(session: Session, project_id: str, wanted: SearchFilter) -> frozenset[str]:
    """Ids of the project's assets that meet the filter."""
    query = select(AssetRow.id, AssetRow.tags).where(AssetRow.project_id == project_id)
    if wanted.asset_ids:
        query = query.where(AssetRow.id.in_(wanted.asset_ids))
    if wanted.media_types:
        query = query.where(AssetRow.media_type.in_(wanted.media_types))
    if wanted.created_from is not None:
        query = query.where(AssetRow.created_at >= wanted.created_from)
    if wanted.created_before is not None:
        query = query.where(AssetRow.created_at < wanted.created_before)
    tags = set(wanted.tags)
    return frozenset(asset_id for asset_id, own in session.execute(query) if not tags or tags & set(own))


def count_by_status(session: Session) -> dict[AssetStatus, int]:
    """How many assets have each status; those that none has are there with 0."""
    query = select(AssetRow.status, func.count()).group_by(AssetRow.status)
    return dict.fromkeys(AssetStatus, 0) | {AssetStatus(status): count for status, count in session.execute(query)}


def due(session: Session, now: datetime, limit: int) -> list[AssetRow]:
    """Assets that somebody should take in: those that wait, and those whose worker went silent; the oldest first."""
    waits = (AssetRow.status == AssetStatus.UPLOADED) & (or_(AssetRow.retry_at.is_(None), AssetRow.retry_at <= now))
    query = select(AssetRow).where(or_(waits, AssetRow.status == AssetStatus.INGESTING))
    return list(session.scalars(query.order_by(AssetRow.created_at, AssetRow.id).limit(limit)))


def remove(session: Session, asset_id: str) -> None:
    """Delete the asset and everything made of it; triggers clear both indexes."""
    clear_staged(session, asset_id)
    _remove_chunks(session, asset_id)
    session.execute(delete(AssetRow).where(AssetRow.id == asset_id))


def staged(session: Session, asset_id: str) -> list[tuple[str, str]]:
    """Place and text of the chunks that are embedded already, in order."""
    query = select(StagedChunkRow.place, StagedChunkRow.text).where(StagedChunkRow.asset_id == asset_id)
    return [(place, text) for place, text in session.execute(query.order_by(StagedChunkRow.ordinal))]


def clear_staged(session: Session, asset_id: str) -> None:
    """Forget what is embedded of an unfinished ingestion."""
    session.execute(delete(StagedChunkRow).where(StagedChunkRow.asset_id == asset_id))


def stage(session: Session, asset_id: str, first: int, chunks: Sequence[Chunk], embeddings: Sequence[bytes]) -> None:
    """Keep embedded chunks ``first`` and following until all are there."""
    session.execute(
        insert(StagedChunkRow),
        [
            {"asset_id": asset_id, "ordinal": ordinal, "place": chunk.place, "text": chunk.text, "embedding": embedding}
            for ordinal, (chunk, embedding) in enumerate(zip(chunks, embeddings, strict=True), start=first)
        ],
    )


def staged_rows(session: Session, asset_id: str) -> list[StagedChunkRow]:
    """The embedded chunks of an ingestion, in order."""
    query = select(StagedChunkRow).where(StagedChunkRow.asset_id == asset_id).order_by(StagedChunkRow.ordinal)
    return list(session.scalars(query))


def replace_chunks(
    session: Session, asset: AssetRow, rows: Sequence[StagedChunkRow], signs: Iterable[tuple[int, bytes]]
) -> None:
    """Make the staged chunks those that are found, in place of the asset's former ones.

    Args:
        signs: the vectors' signs in order, as (count, bytes) of consecutive chunks.
    """
    _remove_chunks(session, asset.id)
    first = index_repository.reserve_chunk_ids(session, asset.project_id, len(rows))
    session.execute(
        insert(ChunkRow),
        [
            {"id": first + i, "asset_id": asset.id, "ordinal": i, "place": row.place, "text": row.text}
            for i, row in enumerate(rows)
        ],
    )
    session.execute(
        insert(ChunkVectorRow), [{"chunk_id": first + i, "embedding": row.embedding} for i, row in enumerate(rows)]
    )
    block_first = first
    for count, packed in signs:
        session.add(
            VectorBlockRow(
                project_id=asset.project_id,
                asset_id=asset.id,
                first_chunk_id=block_first,
                count=count,
                signs=packed,
            )
        )
        block_first += count
    session.flush()
    clear_staged(session, asset.id)


def chunks_with_assets(session: Session, chunk_ids: Sequence[int]) -> dict[int, tuple[ChunkRow, AssetRow]]:
    """The named chunks and their assets, by chunk id."""
    query = (
        select(ChunkRow, AssetRow).join(AssetRow, AssetRow.id == ChunkRow.asset_id).where(ChunkRow.id.in_(chunk_ids))
    )
    return {chunk.id: (chunk, asset) for chunk, asset in session.execute(query)}


def chunks_around(session: Session, asset_id: str, first: int, last: int) -> list[ChunkRow]:
    """The asset's chunks ``first`` to ``last`` by ordinal."""
    query = select(ChunkRow).where(ChunkRow.asset_id == asset_id, ChunkRow.ordinal.between(first, last))
    return list(session.scalars(query.order_by(ChunkRow.ordinal)))


def count_chunks(session: Session, asset_id: str) -> int:
    """How many chunks of the asset can be found."""
    return session.scalar(select(func.count()).select_from(ChunkRow).where(ChunkRow.asset_id == asset_id)) or 0


def _remove_chunks(session: Session, asset_id: str) -> None:
    session.execute(delete(VectorBlockRow).where(VectorBlockRow.asset_id == asset_id))
    session.execute(delete(ChunkRow).where(ChunkRow.asset_id == asset_id))
