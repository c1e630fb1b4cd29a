"""Taking documents in, searching them, and choosing the passages for a prompt."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import unicodedata
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.orm import Session

from app import clock
from app.audit.service import AuditService
from app.db.engine import Database, StorageFull
from app.errors import NotFound, TooLarge, TooManyRequests, UpstreamFailed
from app.memory import repository, rules
from app.memory.chunking import chunks_of
from app.memory.embedder import DIMENSIONS, Embedder
from app.memory.extraction import extract
from app.memory.records import Chunk, Document, Passage
from app.memory.sniffing import sniff
from app.memory.tables import DocumentRow
from app.settings import Settings
from app.text import checked_text

MAX_DOCUMENT_CHARS = 2_000_000  # about 2,500 chunks: a minute of embedding on two cores
MAX_DOCUMENTS_AT_ONCE = 8  # each holds one of the server's forty threads for as long as it is embedded
CANDIDATES = 40
QUERY_MAX_CHARS = 2_000


class MemoryService:
    """The documents that the box knows."""

    def __init__(
        self,
        database: Database,
        audit: AuditService,
        embedder: Embedder,
        settings: Settings,
        slots: threading.BoundedSemaphore | None = None,
    ) -> None:
        self._database = database
        self._audit = audit
        self._embedder = embedder
        self._settings = settings
        self._slots = slots or threading.BoundedSemaphore(MAX_DOCUMENTS_AT_ONCE)

    def add(self, filename: str, content: bytes, actor: str) -> tuple[Document, bool]:
        """Take a document in; the second value is False when the same content was there already.

        Everything is stored in one transaction after the last thing that may fail, so nothing is ever half-stored.

        Raises: TooLarge, UnsupportedType, InvalidInput (empty, encrypted, damaged, no text), TooManyRequests,
            InferenceUnavailable.
        """
        filename = safe_filename(filename)
        limit = self._settings.max_upload_bytes
        if len(content) > limit:
            raise TooLarge(
                f"{filename} has {len(content):,} bytes; at most {limit:,} are allowed.",
                hint="Split it, or raise HERALD_MAX_UPLOAD_MB.",
                code="document_too_large",
            )
        sha256 = hashlib.sha256(content).hexdigest()
        known = self._known(sha256)
        if known is not None:
            return known, False
        with self._one_of_few(filename):
            return self._taken_in(filename, content, sha256, actor)

    def _taken_in(self, filename: str, content: bytes, sha256: str, actor: str) -> tuple[Document, bool]:
        sniffed = sniff(content, filename)
        sections = extract(content, sniffed, filename)
        chars = sum(len(section.text) for section in sections)
        if chars > MAX_DOCUMENT_CHARS:
            raise TooLarge(
                f"The text of {filename} has {chars:,} characters; at most {MAX_DOCUMENT_CHARS:,} are allowed.",
                hint="Split it into smaller documents.",
                code="document_too_large",
            )
        chunks = chunks_of(sections, sniffed.media_type)
        vectors = self._embedded([_embedding_text(chunk) for chunk in chunks])
        row = DocumentRow(
            id=f"doc_{uuid.uuid4().hex}",
            filename=filename,
            sha256=sha256,
            media_type=sniffed.media_type,
            size_bytes=len(content),
            chunk_count=len(chunks),
            embedding_model=self._settings.embedding_model,
            created_at=clock.now(),
        )
        return self._store(row, content, chunks, vectors, actor)

    @contextmanager
    def _one_of_few(self, filename: str) -> Iterator[None]:
        if not self._slots.acquire(blocking=False):
            raise TooManyRequests(
                f"{MAX_DOCUMENTS_AT_ONCE} documents are being read already, so {filename} was not taken.",
                hint="Upload it again when they are done.",
                code="memory_busy",
            )
        try:
            yield
        finally:
            self._slots.release()

    def documents(self) -> list[Document]:
        """All documents, the newest first."""
        with self._database.read() as session:
            return [_document(row) for row in repository.every(session)]

    def delete(self, document_id: str, actor: str) -> None:
        """Forget the document: its file, its chunks, their vectors. Raises: NotFound."""
        with self._database.write() as session:
            row = repository.by_id(session, document_id)
            if row is None:
                raise NotFound(
                    f"There is no document {document_id[:60]}.",
                    hint="GET /api/v1/memory/documents lists those there are.",
                )
            repository.remove(session, document_id)
            detail = {"document_id": row.id, "filename": row.filename, "sha256": row.sha256}
            self._audit.record(session, "memory.removed", actor=actor, detail=detail)
            if not repository.is_content_used(session, row.sha256):  # with the lock held, or an upload could slip in
                self._path_of(row.sha256).unlink(missing_ok=True)

    def search(self, question: str, limit: int = 8) -> list[Passage]:
        """Passages by meaning and by words, the best first.

        Raises: InvalidInput for an unacceptable question; InferenceUnavailable.
        """
        question = checked_text(question, "The question", max_chars=QUERY_MAX_CHARS)
        return self._ranked(question, limit)

    def context_for(self, question: str, budget_chars: int) -> list[Passage]:
        """The passages that belong into the prompt for a question: relevant, not redundant, within the budget.

        Nothing when no document is relevant. Only the first QUERY_MAX_CHARS of the question are looked up.

        Raises: InferenceUnavailable.
        """
        question = question[:QUERY_MAX_CHARS]
        with self._database.read() as session:
            if not repository.has_documents(session):
                return []
        chosen: list[Passage] = []
        left = budget_chars
        for passage in self._ranked(question, CANDIDATES):
            is_wanted = rules.is_relevant(question, passage.text, passage.similarity)
            if not is_wanted or rules.is_redundant(passage.text, [p.text for p in chosen]):
                continue
            if len(passage.text) <= left:
                chosen.append(passage)
                left -= len(passage.text)
        return chosen

    def _ranked(self, question: str, limit: int) -> list[Passage]:
        with self._database.read() as session:
            if not repository.has_documents(session):
                return []
        vector = self._embedded([question])[0]  # outside any transaction
        with self._database.read() as session:
            return self._passages(session, question, vector, limit)

    def _passages(self, session: Session, question: str, vector: list[float], limit: int) -> list[Passage]:
        candidates = max(CANDIDATES, limit)
        near = repository.nearest(session, vector, candidates)
        fts_query = rules.fts_query_of(question)
        by_words = repository.matching(session, fts_query, candidates) if fts_query else []
        scores = rules.fused([[chunk_id for chunk_id, _ in near], by_words])
        best = sorted(scores, key=lambda chunk_id: (-scores[chunk_id], chunk_id))[:limit]
        similarity = dict(near)
        similarity |= repository.similarities(session, vector, [i for i in best if i not in similarity])
        rows = repository.chunks_with_documents(session, best)
        return [
            Passage(
                document_id=document.id,
                filename=document.filename,
                place=chunk.place,
                text=chunk.text,
                score=round(scores[chunk.id], 4),
                similarity=round(similarity.get(chunk.id, 0.0), 4),
            )
            for chunk, document in (rows[chunk_id] for chunk_id in best if chunk_id in rows)
        ]

    def _embedded(self, texts: list[str]) -> list[list[float]]:
        vectors = self._embedder.embed(texts)
        wrong = next((len(v) for v in vectors if len(v) != DIMENSIONS), None)
        if wrong is not None or len(vectors) != len(texts):
            raise UpstreamFailed(
                f"The embedding model gave vectors of {wrong} numbers; memory is built for {DIMENSIONS}.",
                hint="Set HERALD_EMBEDDING_MODEL back to the model that the documents were indexed with.",
                code="embedding_mismatch",
            )
        return vectors

    def _known(self, sha256: str) -> Document | None:
        with self._database.read() as session:
            row = repository.by_sha256(session, sha256)
            return _document(row) if row else None

    def _store(
        self, row: DocumentRow, content: bytes, chunks: list[Chunk], vectors: list[list[float]], actor: str
    ) -> tuple[Document, bool]:
        partial = self._written(content, row.id)
        try:
            with self._database.write() as session:
                known = repository.by_sha256(session, row.sha256)
                if known is not None:  # the same upload at the same time
                    return _document(known), False
                repository.add(session, row, chunks, vectors)
                detail = {"document_id": row.id, "filename": row.filename, "sha256": row.sha256}
                self._audit.record(session, "memory.added", actor=actor, detail=detail)
                partial.replace(self._path_of(row.sha256))
                return _document(row), True
        finally:
            partial.unlink(missing_ok=True)

    def _written(self, content: bytes, name: str) -> Path:
        path = self._settings.documents_dir / f".{name}.partial"
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            path.unlink(missing_ok=True)
            raise StorageFull(
                f"The document could not be saved: {error.strerror or error}.",
                hint="Free some space on the disk that holds HERALD_HOME, then upload it again.",
            ) from error
        return path

    def _path_of(self, sha256: str) -> Path:
        return self._settings.documents_dir / sha256


def safe_filename(filename: str) -> str:
    """The last part of a name or path without control and invisible characters, at most 200 long."""
    name = re.split(r"[\\/]", filename)[-1]
    shown = "".join(c for c in name if unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn"}).strip(" .")
    if len(shown) > 200:
        stem, dot, suffix = shown.rpartition(".")
        shown = f"{stem[: 199 - len(suffix)]}.{suffix}" if dot and len(suffix) < 20 else shown[:200]
    return shown or "document"


def _embedding_text(chunk: Chunk) -> str:
    """What is embedded: a heading path tells what a bare list of prices is about."""
    is_heading = chunk.place and not chunk.place.startswith(("page ", "line "))
    return f"{chunk.place}\n{chunk.text}" if is_heading else chunk.text


def _document(row: DocumentRow) -> Document:
    return Document(row.id, row.filename, row.sha256, row.media_type, row.size_bytes, row.chunk_count, row.created_at)
