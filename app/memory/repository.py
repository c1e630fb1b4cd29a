"""All SQL of memory, the full-text and the vector index included."""

from __future__ import annotations

from collections.abc import Sequence

import sqlite_vec
from sqlalchemy import bindparam, delete, select, text
from sqlalchemy.orm import Session

from app.db.scope import UNSCOPED, scope_of
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


def is_content_used(session: Session, sha256: str) -> bool:
    """Whether any project has a document of that content: they share the stored file."""
    query = select(DocumentRow.id).where(DocumentRow.sha256 == sha256).limit(1)
    return session.scalars(query, execution_options=UNSCOPED).one_or_none() is not None


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
    query = (
        "SELECT rowid, distance FROM chunk_vectors"  # noqa: S608 - the condition is ours
        f" WHERE embedding MATCH :vector AND k = :limit{_in_project(session)} ORDER BY distance"
    )
    values = {"vector": sqlite_vec.serialize_float32(list(vector)), "limit": limit, "project_id": scope_of(session)}
    rows = session.execute(text(query), values)
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
    query = (
        f"SELECT rowid FROM chunk_texts WHERE chunk_texts MATCH :query{_in_project(session)}"  # noqa: S608 - ours too
        " ORDER BY rank LIMIT :limit"
    )
    rows = session.execute(text(query), {"query": fts_query, "limit": limit, "project_id": scope_of(session)})
    return list(rows.scalars())


def _in_project(session: Session) -> str:
    """What limits SQL over the two indexes to the session's project, which it binds as ``:project_id``."""
    if scope_of(session) is None:
        return " AND :project_id IS NULL"  # all projects; the value is bound either way
    return (
        " AND rowid IN (SELECT chunks.id FROM chunks JOIN documents ON documents.id = chunks.document_id"
        " WHERE documents.project_id = :project_id)"
    )


def chunks_with_documents(session: Session, chunk_ids: Sequence[int]) -> dict[int, tuple[ChunkRow, DocumentRow]]:
    """The named chunks and their documents, by chunk id."""
    query = (
        select(ChunkRow, DocumentRow)
        .join(DocumentRow, DocumentRow.id == ChunkRow.document_id)
        .where(ChunkRow.id.in_(chunk_ids))
    )
    return {chunk.id: (chunk, document) for chunk, document in session.execute(query)}
