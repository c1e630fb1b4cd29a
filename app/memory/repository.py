"""All SQL of memory, the full-text and the vector index included."""

from __future__ import annotations

from collections.abc import Sequence

import sqlite_vec
from sqlalchemy import bindparam, delete, select, text
from sqlalchemy.orm import Session

from app.memory.records import Chunk
from app.memory.tables import ChunkRow, DocumentRow


def by_id(session: Session, document_id: str) -> DocumentRow | None:
    """The document, if there is one."""
    return session.get(DocumentRow, document_id)


def by_sha256(session: Session, sha256: str) -> DocumentRow | None:
    """The document of that content, if there is one."""
    return session.scalars(select(DocumentRow).where(DocumentRow.sha256 == sha256)).one_or_none()


def every(session: Session) -> list[DocumentRow]:
    """All documents, the newest first."""
    return list(session.scalars(select(DocumentRow).order_by(DocumentRow.created_at.desc(), DocumentRow.id)))


def has_documents(session: Session) -> bool:
    """Whether there is anything to search."""
    return session.scalars(select(DocumentRow.id).limit(1)).one_or_none() is not None


def add(session: Session, document: DocumentRow, chunks: Sequence[Chunk], vectors: Sequence[Sequence[float]]) -> None:
    """Insert the document, its chunks and their vectors; a trigger fills the full-text index."""
    session.add(document)
    session.flush()
    rows = [
        ChunkRow(document_id=document.id, ordinal=ordinal, place=chunk.place, text=chunk.text)
        for ordinal, chunk in enumerate(chunks)
    ]
    session.add_all(rows)
    session.flush()
    session.execute(
        text("INSERT INTO chunk_vectors (rowid, embedding) VALUES (:id, :embedding)"),
        [
            {"id": row.id, "embedding": sqlite_vec.serialize_float32(list(vector))}
            for row, vector in zip(rows, vectors, strict=True)
        ],
    )


def remove(session: Session, document_id: str) -> None:
    """Delete the document with its chunks; triggers clear both indexes."""
    session.execute(delete(ChunkRow).where(ChunkRow.document_id == document_id))
    session.execute(delete(DocumentRow).where(DocumentRow.id == document_id))


def nearest(session: Session, vector: Sequence[float], limit: int) -> list[tuple[int, float]]:
    """Chunk ids with their cosine similarity, the nearest first."""
    rows = session.execute(
        text(
            "SELECT rowid, distance FROM chunk_vectors WHERE embedding MATCH :vector AND k = :limit ORDER BY distance"
        ),
        {"vector": sqlite_vec.serialize_float32(list(vector)), "limit": limit},
    )
    return [(chunk_id, 1.0 - distance) for chunk_id, distance in rows]


def similarities(session: Session, vector: Sequence[float], chunk_ids: Sequence[int]) -> dict[int, float]:
    """The cosine similarity of the named chunks."""
    if not chunk_ids:
        return {}
    query = text(
        "SELECT rowid, vec_distance_cosine(embedding, :vector) FROM chunk_vectors WHERE rowid IN :ids"
    ).bindparams(bindparam("ids", expanding=True))
    rows = session.execute(query, {"vector": sqlite_vec.serialize_float32(list(vector)), "ids": list(chunk_ids)})
    return {chunk_id: 1.0 - distance for chunk_id, distance in rows}


def matching(session: Session, fts_query: str, limit: int) -> list[int]:
    """Chunk ids by BM25, the best first."""
    rows = session.execute(
        text("SELECT rowid FROM chunk_texts WHERE chunk_texts MATCH :query ORDER BY rank LIMIT :limit"),
        {"query": fts_query, "limit": limit},
    )
    return list(rows.scalars())


def chunks_with_documents(session: Session, chunk_ids: Sequence[int]) -> dict[int, tuple[ChunkRow, DocumentRow]]:
    """The named chunks and their documents, by chunk id."""
    query = (
        select(ChunkRow, DocumentRow)
        .join(DocumentRow, DocumentRow.id == ChunkRow.document_id)
        .where(ChunkRow.id.in_(chunk_ids))
    )
    return {chunk.id: (chunk, document) for chunk, document in session.execute(query)}
