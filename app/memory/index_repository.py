"""All SQL over the two indexes of memory. Every statement names its project: see ``app.db.scope``."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.memory.tables import MemoryIndexRow, VectorBlockRow

CHUNKS_A_PROJECT = 1 << 32
_BLOCKS_AT_ONCE = 500


def generation_of(session: Session, project_id: str) -> int:
    """A number that every change of the project's vectors raises; 0 when there are none."""
    query = select(MemoryIndexRow.generation).where(MemoryIndexRow.project_id == project_id)
    return session.scalars(query).one_or_none() or 0


def block_ids(session: Session, project_id: str) -> list[int]:
    """The project's blocks of signs, the oldest first."""
    query = select(VectorBlockRow.id).where(VectorBlockRow.project_id == project_id).order_by(VectorBlockRow.id)
    return list(session.scalars(query))


def blocks(session: Session, ids: Sequence[int]) -> Iterator[VectorBlockRow]:
    """The named blocks."""
    for start in range(0, len(ids), _BLOCKS_AT_ONCE):
        query = select(VectorBlockRow).where(VectorBlockRow.id.in_(ids[start : start + _BLOCKS_AT_ONCE]))
        yield from session.scalars(query)


def reserve_chunk_ids(session: Session, project_id: str, count: int) -> int:
    """The first of ``count`` ids that no chunk of any project has or had."""
    row = session.scalars(select(MemoryIndexRow).where(MemoryIndexRow.project_id == project_id)).one_or_none()
    if row is None:
        row = MemoryIndexRow(project_id=project_id, next_chunk=0, generation=0)
        session.add(row)
        session.flush()
    first = row.number * CHUNKS_A_PROJECT + row.next_chunk
    row.next_chunk += count
    session.flush()
    return first


def similarities(session: Session, vector: bytes, chunk_ids: Sequence[int]) -> list[tuple[int, float]]:
    """The chunks with their exact cosine similarity (sqlite-vec), the most similar first."""
    rows = session.execute(
        text(
            "SELECT chunk_id, vec_distance_cosine(embedding, :vector) AS distance FROM chunk_vectors"
            " WHERE chunk_id IN (SELECT value FROM json_each(:ids)) ORDER BY distance, chunk_id"
        ),
        {"vector": vector, "ids": json.dumps(list(chunk_ids))},
    )
    return [(chunk_id, 1.0 - distance) for chunk_id, distance in rows]


def vectors(session: Session, chunk_ids: Sequence[int]) -> dict[int, bytes]:
    """The chunks' vectors."""
    query = text("SELECT chunk_id, embedding FROM chunk_vectors WHERE chunk_id IN (SELECT value FROM json_each(:ids))")
    rows = session.execute(query, {"ids": json.dumps(list(chunk_ids))})
    return {row.chunk_id: row.embedding for row in rows}


def chunk_range_of(session: Session, project_id: str) -> range:
    """The ids that the project's chunks can have."""
    query = select(MemoryIndexRow.number).where(MemoryIndexRow.project_id == project_id)
    first = (session.scalars(query).one_or_none() or 0) * CHUNKS_A_PROJECT
    return range(first, first + CHUNKS_A_PROJECT)


def count_of(session: Session, ids: range, fts_query: str, at_most: int) -> int:
    """How many of the project's chunks match, counted up to ``at_most``."""
    query = text(
        "SELECT count(*) FROM (SELECT 1 FROM chunk_texts WHERE chunk_texts MATCH :query"
        " AND rowid BETWEEN :first AND :last LIMIT :at_most)"
    )
    values = {"query": fts_query, "at_most": at_most, "first": ids.start, "last": ids.stop - 1}
    return int(session.execute(query, values).scalar_one())


def matching(
    session: Session,
    ids: range,
    fts_query: str,
    limit: int,
    at_most: int,
    asset_ids: frozenset[str] | None,
    also: Collection[int] = (),
) -> list[tuple[int, float]]:
    """The project's best chunks by BM25, and of ``also`` those that match, each with its BM25, the best first.

    Of more than ``at_most`` matches only the oldest are ranked.
    """
    only = (
        ""
        if asset_ids is None
        else " AND (SELECT asset_id FROM chunks WHERE id = chunk_texts.rowid) IN (SELECT value FROM json_each(:assets))"
    )
    matches = "SELECT rowid AS id, bm25(chunk_texts) AS badness FROM chunk_texts WHERE chunk_texts MATCH :query"
    in_range = f"{matches} AND rowid BETWEEN :first AND :last{only} LIMIT :at_most"
    best = "SELECT id FROM ranked ORDER BY badness, id LIMIT :limit"
    wanted = f"SELECT id, -badness FROM ranked WHERE id IN ({best}) OR id IN (SELECT value FROM json_each(:also))"  # noqa: S608 - every value is bound
    query = text(f"WITH ranked AS MATERIALIZED ({in_range}) {wanted} ORDER BY badness, id")
    values = {"query": fts_query, "limit": limit, "at_most": at_most, "first": ids.start, "last": ids.stop - 1}
    values["also"] = json.dumps(list(also))
    if asset_ids is not None:
        values["assets"] = json.dumps(sorted(asset_ids))
    return [(chunk_id, bm25) for chunk_id, bm25 in session.execute(query, values)]
