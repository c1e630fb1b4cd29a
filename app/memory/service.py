"""What the box knows: taking files in, listing and deleting them, and finding passages."""

from __future__ import annotations

import hashlib
import re
import threading
import time
import unicodedata
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy.orm import Session

from app import clock
from app.audit.service import AuditService
from app.db.engine import Database
from app.db.scope import DEFAULT_PROJECT
from app.errors import InvalidInput, NotFound, TooLarge, TooManyRequests
from app.memory import repository, retrieval
from app.memory.embedder import Embedder
from app.memory.index import VectorIndex
from app.memory.ingestion import CLAIM_S, IngestionService, asset_error, checked_vectors, embedding_text
from app.memory.records import EVERYTHING, Asset, AssetStatus, Chunk, Passage, SearchFilter
from app.memory.reranking import Reranking
from app.memory.sniffing import sniff
from app.memory.storage import OriginalStore, StorageUnavailable
from app.memory.tables import AssetRow
from app.settings import Settings
from app.text import checked_text

log = structlog.get_logger(__name__)

MAX_WAITED_CHARS = 2_000_000  # about 1,000 chunks: a minute of embedding on two cores, while somebody waits
MAX_DOCUMENTS_AT_ONCE = 8  # each holds one of the server's forty threads for as long as it is embedded
QUERY_MAX_CHARS = 2_000
MAX_TAGS = 20
MAX_TAG_CHARS = 50
PASSAGE_NEIGHBOURS = 2
POLL_S = 0.1
JUST_DROPPED_S = 60.0
_slots = threading.BoundedSemaphore(MAX_DOCUMENTS_AT_ONCE)

Wake = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PassageInContext:
    """A chunk with the text around it, as its asset has it."""

    asset: Asset
    chunk_id: int
    place: str
    before: str
    text: str
    after: str


class MemoryService:
    """The assets of one project (the database's; the default one when it is limited to none).

    Args:
        wake: tells the worker that an asset waits.
    """

    def __init__(
        self,
        database: Database,
        audit: AuditService,
        embedder: Embedder,
        settings: Settings,
        ingestion: IngestionService,
        originals: OriginalStore,
        index: VectorIndex,
        reranking: Reranking,
        wake: Wake,
    ) -> None:
        self._database = database
        self._project_id = database.project_id or DEFAULT_PROJECT
        self._audit = audit
        self._embedder = embedder
        self._settings = settings
        self._ingestion = ingestion
        self._originals = originals
        self._index = index
        self._reranking = reranking
        self._wake = wake

    # -- assets -------------------------------------------------------------------------------------------------

    def upload(self, filename: str, content: bytes, actor: str, tags: Sequence[str] = ()) -> tuple[Asset, bool]:
        """Keep a file; the worker takes it in. The second value is False when the same content was there already.

        Raises: TooLarge, UnsupportedType, InvalidInput (empty, mislabelled, bad tags), StorageFull, StorageUnavailable.
        """
        asset, is_new = self._kept(
            filename, content, checked_tags(tags), lambda s, row: self._record_added(s, row, actor)
        )
        if is_new:
            self._wake_quietly(asset.id)
        return asset, is_new

    def add(self, filename: str, content: bytes, actor: str) -> tuple[Asset, bool]:
        """Take a file in while the caller waits; nothing is kept of one that cannot be.

        Raises: as ``upload``, and InvalidInput (encrypted, damaged, no text), TooManyRequests, InferenceUnavailable.
        """
        is_new = False
        with _one_of_few(safe_filename(filename)):
            while True:
                asset, is_made = self._kept(filename, content, [], _leave_to_caller)
                is_new = is_new or is_made  # it stays this caller's, also when another takes it in first
                try:
                    if asset.status == AssetStatus.INGESTED or self._ingestion.run_now(asset.id, MAX_WAITED_CHARS):
                        return self._added(asset.id, is_new, actor), is_new
                except BaseException:
                    if is_new:
                        self._forget(asset.id)
                    raise
                time.sleep(POLL_S)  # somebody else is taking the same content in

    def assets(self) -> list[Asset]:
        """The project's assets, the newest first."""
        with self._database.read() as session:
            return [_asset(row) for row in repository.every(session, self._project_id)]

    def being_read(self) -> list[str]:
        """Names of the files of the last minute that are on their way into memory, the oldest first.

        Larger ones take longer; nobody waits for them.
        """
        with self._database.read() as session:
            return repository.on_their_way(session, self._project_id, clock.now() - timedelta(seconds=JUST_DROPPED_S))

    def asset(self, asset_id: str) -> Asset:
        """One asset. Raises: NotFound."""
        with self._database.read() as session:
            return _asset(_found(repository.by_id(session, asset_id), asset_id))

    def ingest(self, asset_id: str, actor: str) -> Asset:
        """Take the asset in (again); one that is on its way stays as it is. What was found before is found until then.

        Raises: NotFound.
        """
        with self._database.write() as session:
            row = _found(repository.by_id(session, asset_id), asset_id)
            if row.status != AssetStatus.INGESTING:
                row.status, row.error, row.retry_at, row.attempts = AssetStatus.UPLOADED, None, None, 0
                row.chunks_done, row.chunks_total = 0, 0
                repository.clear_staged(session, asset_id)
                self._audit.record(session, "memory.ingestion_asked", actor=actor, detail=_detail(row))
            asset = _asset(row)
        self._wake_quietly(asset_id)
        return asset

    def set_tags(self, asset_id: str, tags: Sequence[str], actor: str) -> Asset:
        """Replace the asset's tags. Raises: NotFound, InvalidInput."""
        wanted = checked_tags(tags)
        with self._database.write() as session:
            row = _found(repository.by_id(session, asset_id), asset_id)
            row.tags = wanted
            self._audit.record(session, "memory.tagged", actor=actor, detail=_detail(row) | {"tags": wanted})
            return _asset(row)

    def content(self, asset_id: str) -> tuple[Asset, bytes]:
        """The asset and its original. Raises: NotFound, OriginalMissing, StorageUnavailable."""
        asset = self.asset(asset_id)
        return asset, self._originals.get(asset.sha256, asset.filename)

    def delete(self, asset_id: str, actor: str) -> None:
        """Forget the asset: its file (later when the storage is away), its chunks, their vectors. Raises: NotFound."""
        with self._database.write() as session:
            row = _found(repository.by_id(session, asset_id), asset_id)
            self._audit.record(session, "memory.removed", actor=actor, detail=_detail(row))
            self._remove(session, row)

    def passage(self, asset_id: str, chunk_id: int) -> PassageInContext:
        """A cited passage where it stands. Raises: NotFound, also for a passage that a later ingestion replaced."""
        with self._database.read() as session:
            asset = _found(repository.by_id(session, asset_id), asset_id)
            chunk, _asset_row = repository.chunks_with_assets(session, [chunk_id]).get(chunk_id, (None, None))
            if chunk is None or chunk.asset_id != asset.id:
                raise NotFound(
                    f"{asset.filename} has no passage {chunk_id}.",
                    hint="It may have been taken in anew since; search again.",
                )
            around = repository.chunks_around(
                session, asset_id, chunk.ordinal - PASSAGE_NEIGHBOURS, chunk.ordinal + PASSAGE_NEIGHBOURS
            )
            before = "\n\n".join(c.text for c in around if c.ordinal < chunk.ordinal)
            after = "\n\n".join(c.text for c in around if c.ordinal > chunk.ordinal)
            return PassageInContext(_asset(asset), chunk.id, chunk.place, before, chunk.text, after)

    # -- finding ------------------------------------------------------------------------------------------------

    def search(self, question: str, limit: int = 8, wanted: SearchFilter = EVERYTHING) -> list[Passage]:
        """Passages by meaning and by words, the best first.

        Raises: InvalidInput for an unacceptable question; InferenceUnavailable.
        """
        question = checked_text(question, "The question", max_chars=QUERY_MAX_CHARS)
        query = self._query(question, wanted)
        if query is None:
            return []
        found = self._ranked(query)
        with self._database.read() as session:
            return retrieval.passages(session, found[:limit])

    def context_for(self, question: str, budget_chars: int, wanted: SearchFilter = EVERYTHING) -> list[Passage]:
        """The passages that belong into the prompt for a question: relevant, not redundant, within the budget.

        Nothing when no asset is relevant. Only the first QUERY_MAX_CHARS of the question are looked up.

        Raises: InferenceUnavailable.
        """
        query = self._query(question[:QUERY_MAX_CHARS], wanted)
        if query is None:
            return []
        found = self._ranked(query)
        with self._database.read() as session:
            return retrieval.context(session, query.text, found, budget_chars)

    def _query(self, question: str, wanted: SearchFilter) -> retrieval.Query | None:
        with self._database.read() as session:
            if not repository.is_searchable(session, self._project_id):
                return None
        vector = checked_vectors(self._embedder.embed([question]), 1)[0]  # outside any transaction
        return retrieval.Query(self._project_id, question, vector, wanted)

    def _ranked(self, query: retrieval.Query) -> list[retrieval.Candidate]:
        """What both rankings found, by the reranker's order where one is served."""
        with self._database.read() as session:
            found = retrieval.candidates(session, self._index, query)
        return self._reranking.reordered(query.text, found, self._texts_of)  # outside any transaction

    def _texts_of(self, chunk_ids: list[int]) -> dict[int, str]:
        with self._database.read() as session:
            rows = repository.chunks_with_assets(session, chunk_ids)
            return {i: embedding_text(Chunk(chunk.place, chunk.text)) for i, (chunk, _asset) in rows.items()}

    # -- keeping ------------------------------------------------------------------------------------------------

    def _kept(
        self, filename: str, content: bytes, tags: list[str], finish: Callable[[Session, AssetRow], None]
    ) -> tuple[Asset, bool]:
        """Store the original and its row, which ``finish`` completes; False when the project has the content."""
        filename = safe_filename(filename)
        self._check_size(filename, content)
        sha256 = hashlib.sha256(content).hexdigest()
        with self._database.read() as session:
            known = repository.by_sha256(session, self._project_id, sha256)
            if known is not None:
                return _asset(known), False
        sniffed = sniff(content, filename)
        self._originals.put(content, sha256)
        with self._database.write() as session:
            known = repository.by_sha256(session, self._project_id, sha256)
            if known is not None:  # the same upload at the same time
                return _asset(known), False
            row = AssetRow(
                id=f"ast_{uuid.uuid4().hex}",
                project_id=self._project_id,
                filename=filename,
                sha256=sha256,
                media_type=sniffed.media_type,
                size_bytes=len(content),
                tags=tags,
                status=AssetStatus.UPLOADED,
                created_at=clock.now(),
            )
            session.add(row)
            finish(session, row)
            session.flush()
            asset = _asset(row)
        try:
            self._originals.put(
                content, sha256
            )  # once more: before the row was there, another's deletion could take it
        except StorageUnavailable as error:  # which nobody saw happen: it was stored a moment ago
            log.warning("original_not_made_sure_of", asset_id=asset.id, error=error.message)
        return asset, True

    def _check_size(self, filename: str, content: bytes) -> None:
        limit = self._settings.max_upload_bytes
        if len(content) > limit:
            raise TooLarge(
                f"{filename} has {len(content):,} bytes; at most {limit:,} are allowed.",
                hint="Split it, or raise HERALD_MAX_UPLOAD_MB.",
                code="document_too_large",
            )

    def _added(self, asset_id: str, is_new: bool, actor: str) -> Asset:
        with self._database.write() as session:
            row = _found(repository.by_id(session, asset_id), asset_id)
            if is_new:
                self._record_added(session, row, actor)
            return _asset(row)

    def _record_added(self, session: Session, row: AssetRow, actor: str) -> None:
        self._audit.record(session, "memory.added", actor=actor, detail=_detail(row))

    def _forget(self, asset_id: str) -> None:
        with self._database.write() as session:
            row = repository.by_id(session, asset_id)
            if row is not None:
                self._remove(session, row)

    def _remove(self, session: Session, row: AssetRow) -> None:
        repository.remove(session, row.id)
        if not repository.is_content_used(session, row.sha256):  # with the lock held, or an upload could slip in
            try:
                self._originals.remove(row.sha256)
            except StorageUnavailable as error:  # the worker removes it when the storage is back
                log.warning("original_left", asset_id=row.id, error=error.message)

    def _wake_quietly(self, asset_id: str) -> None:
        try:
            self._wake(asset_id)
        except Exception as error:  # the file is kept, and the worker's next sweep finds it
            log.warning("worker_not_woken", asset_id=asset_id, error=str(error))


def safe_filename(filename: str) -> str:
    """The last part of a name or path without control and invisible characters, at most 200 long."""
    name = re.split(r"[\\/]", filename)[-1]
    shown = "".join(c for c in name if unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn"}).strip(" .")
    if len(shown) > 200:
        stem, dot, suffix = shown.rpartition(".")
        shown = f"{stem[: 199 - len(suffix)]}.{suffix}" if dot and len(suffix) < 20 else shown[:200]
    return shown or "document"


def checked_tags(tags: Sequence[str]) -> list[str]:
    """The tags, trimmed, each once, sorted. Raises: InvalidInput for too many, or an unusable one."""
    cleaned = sorted({checked_text(" ".join(tag.split()), "A tag", max_chars=MAX_TAG_CHARS) for tag in tags})
    if len(cleaned) > MAX_TAGS:
        raise InvalidInput(
            f"An asset has at most {MAX_TAGS} tags; {len(cleaned)} were given.",
            hint="Leave some out.",
            code="too_many_tags",
        )
    return cleaned


@contextmanager
def _one_of_few(filename: str) -> Iterator[None]:
    if not _slots.acquire(blocking=False):
        raise TooManyRequests(
            f"{MAX_DOCUMENTS_AT_ONCE} documents are being read already, so {filename} was not taken.",
            hint="Upload it again when they are done.",
            code="memory_busy",
        )
    try:
        yield
    finally:
        _slots.release()


def _leave_to_caller(_session: Session, row: AssetRow) -> None:
    """Keep the worker's sweep from the asset for as long as the caller may take; it goes on if the caller dies."""
    row.retry_at = clock.now() + timedelta(seconds=CLAIM_S)


def _found(row: AssetRow | None, asset_id: str) -> AssetRow:
    if row is None:
        raise NotFound(f"There is no asset {asset_id[:60]}.", hint="The project's list of assets has those there are.")
    return row


def _detail(row: AssetRow) -> dict[str, Any]:
    return {"asset_id": row.id, "filename": row.filename, "sha256": row.sha256}


def _asset(row: AssetRow) -> Asset:
    return Asset(
        id=row.id,
        project_id=row.project_id,
        filename=row.filename,
        sha256=row.sha256,
        media_type=row.media_type,
        size_bytes=row.size_bytes,
        status=AssetStatus(row.status),
        tags=tuple(row.tags),
        page_count=row.page_count,
        chunk_count=row.chunk_count,
        chunks_done=row.chunks_done,
        chunks_total=row.chunks_total,
        error=asset_error(row.error),
        created_at=row.created_at,
        ingested_at=row.ingested_at,
    )
