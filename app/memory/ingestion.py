"""From an uploaded file to passages that are found: read, cut, embed, switch over.

Whoever works on an asset holds a claim that runs out unless it is renewed. Embedded chunks are kept batch by batch, so
a worker that is killed loses at most one batch; the passages that were found before stay until all new ones are there.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import numpy as np
import structlog
from sqlalchemy.orm import Session

from app import clock
from app.db.engine import Database
from app.errors import AppError, TooManyRequests, Unavailable, UpstreamFailed
from app.memory import repository
from app.memory.chunking import chunks_of, tokenizer_of, windows_of
from app.memory.embedder import DIMENSIONS, Embedder
from app.memory.extraction import MAX_TEXT_CHARS, extract
from app.memory.index import SIGN_BYTES, signs_of
from app.memory.records import PDF, AssetError, AssetStatus, Chunk, Section
from app.memory.scanner import VirusScanner
from app.memory.sniffing import sniff
from app.memory.storage import OriginalStore
from app.memory.tables import AssetRow
from app.processes import process_space

log = structlog.get_logger(__name__)

BATCH_CHUNKS = 32
BLOCK_CHUNKS = 4_096
CLAIM_S = 300.0  # longer than reading a file and embedding one batch may take
RETRY_S = 30.0
MAX_ATTEMPTS = 4


class Stopped(Exception):
    """The worker stops; the asset goes on later from the last batch."""


class ClaimLost(Exception):
    """Somebody else took the asset, or deleted it."""


class IngestionService:
    """Takes assets of all projects in. Thread-safe."""

    def __init__(
        self,
        database: Database,
        embedder: Embedder,
        originals: OriginalStore,
        embedding_model: str,
        scanner: VirusScanner | None = None,
    ) -> None:
        self._database = database
        self._embedder = embedder
        self._originals = originals
        self._embedding_model = embedding_model
        self._scanner = scanner

    def due(self, limit: int = 100) -> list[str]:
        """Ids of the assets that nobody works on and that should be worked on now, the oldest first."""
        now = clock.now()
        with self._database.read() as session:
            rows = repository.due(session, now, limit)
            return [row.id for row in rows if row.status == AssetStatus.UPLOADED or not _is_held(row)]

    def count_by_status(self) -> dict[AssetStatus, int]:
        """How many assets of all projects have each status."""
        with self._database.read() as session:
            return repository.count_by_status(session)

    def run(self, asset_id: str, should_stop: Callable[[], bool] = lambda: False) -> None:
        """Take one asset in, unless somebody else does. What is wrong with the file is said in its row."""
        claim = self._claim(asset_id)
        if claim is None:
            return
        try:
            self._ingest(claim, should_stop)
        except AppError as error:
            level = "warning" if _is_passing(error) else "info"
            getattr(log, level)("ingestion_ended", asset_id=asset_id, code=error.code, error=error.message)
            self._give_up(claim, error)
        except (ClaimLost, Stopped):
            self._put_back(claim, None)

    def run_now(self, asset_id: str, max_chars: int) -> bool:
        """Take one asset in while the caller waits; False when somebody else is at it.

        Raises: what is wrong with the file or the embedding server.
        """
        claim = self._claim(asset_id, also_failed=True)
        if claim is None:
            return False
        try:
            self._ingest(claim, lambda: False, max_chars)
        except ClaimLost:
            return False
        except BaseException as error:
            if isinstance(error, AppError):
                self._give_up(claim, error)
            else:
                self._put_back(claim, None)
            raise
        return True

    def forget_project(self, session: Session, project_id: str) -> Callable[[], None]:
        """What removes the originals of a project that is being deleted, but for those that another one uses."""
        contents = repository.contents_of(session, project_id)

        def remove() -> None:
            for sha256 in contents:
                self._remove_unused(sha256)

        return remove

    def clear_leftovers(self) -> None:
        """Remove stored files that belong to no asset. Raises: StorageUnavailable."""
        with self._database.read() as session:
            wanted = repository.used_contents(session)
        unwanted = [name for name in self._originals.leftovers() if name not in wanted]
        for name in unwanted:
            self._remove_unused(name)
        if unwanted:
            log.info("originals_removed", count=len(unwanted))

    def _remove_unused(self, sha256: str) -> None:
        with self._database.write() as session:  # with the lock held, or an upload could slip in
            if not repository.is_content_used(session, sha256):
                self._originals.remove(sha256)

    # -- claims -------------------------------------------------------------------------------------------------

    def _claim(self, asset_id: str, also_failed: bool = False) -> AssetRow | None:
        takes = {AssetStatus.UPLOADED, AssetStatus.INGESTING} | ({AssetStatus.FAILED} if also_failed else set())
        with self._database.write() as session:
            row = repository.by_id(session, asset_id)
            if row is None or row.status not in takes or _is_held(row):
                return None
            if row.attempts >= MAX_ATTEMPTS:
                _set_failed(row, _gave_up(row))
                repository.clear_staged(session, asset_id)
                return None
            row.status = AssetStatus.INGESTING
            row.attempts += 1
            row.claimed_by = _claim_name()
            row.claimed_until = clock.now() + timedelta(seconds=CLAIM_S)
            row.error, row.retry_at, row.chunks_done, row.chunks_total = None, None, 0, 0
            return row

    def _held(self, session: Session, claim: AssetRow) -> AssetRow:
        """The row, for the holder of the claim, which is renewed. Raises: ClaimLost."""
        row = repository.by_id(session, claim.id)
        if row is None or row.claimed_by != claim.claimed_by:
            raise ClaimLost
        row.claimed_until = clock.now() + timedelta(seconds=CLAIM_S)
        return row

    def _put_back(self, claim: AssetRow, error: AppError | None) -> None:
        """Let it wait; with an error, for a while. Waiting is no attempt: attempts count workers that died over it."""
        with contextlib.suppress(ClaimLost), self._database.write() as session:
            row = self._held(session, claim)
            row.status, row.claimed_by, row.claimed_until = AssetStatus.UPLOADED, None, None
            row.attempts = max(0, row.attempts - 1)
            if error is not None:
                row.error = error_json(error)
                row.retry_at = clock.now() + timedelta(seconds=RETRY_S)

    def _give_up(self, claim: AssetRow, error: AppError) -> None:
        """Let it wait when the same file may go in later, or say what is wrong with it."""
        if _is_passing(error):
            self._put_back(claim, error)
            return
        with contextlib.suppress(ClaimLost), self._database.write() as session:
            _set_failed(self._held(session, claim), error)
            repository.clear_staged(session, claim.id)

    # -- the work -----------------------------------------------------------------------------------------------

    def _ingest(self, claim: AssetRow, should_stop: Callable[[], bool], max_chars: int = MAX_TEXT_CHARS) -> None:
        content = self._originals.get(claim.sha256, claim.filename)
        if self._scanner is not None:
            self._scanner.check(content, claim.filename)
        sniffed = sniff(content, claim.filename)
        sections = extract(content, sniffed, claim.filename, max_chars)
        if should_stop():
            raise Stopped
        chunks = list(chunks_of(sections, sniffed.media_type, tokenizer_of(self._embedding_model)))
        done = self._begin(claim, chunks, _page_count(sections, sniffed.media_type))
        for batch in _batched(chunks[done:]):
            if should_stop():
                raise Stopped
            embeddings = self._embedded([embedding_text(chunk) for chunk in batch])
            with self._database.write() as session:
                row = self._held(session, claim)
                repository.stage(session, claim.id, done, batch, embeddings)
                done += len(batch)
                row.chunks_done = done
        self._switch_over(claim)

    def _begin(self, claim: AssetRow, chunks: list[Chunk], page_count: int) -> int:
        """Find out how much an earlier worker did already: as many chunks as are still the same."""
        with self._database.write() as session:
            row = self._held(session, claim)
            kept = repository.staged(session, claim.id)
            is_same = row.embedding_model in {"", self._embedding_model} and kept == [
                (chunk.place, chunk.text) for chunk in chunks[: len(kept)]
            ]
            if not is_same:
                repository.clear_staged(session, claim.id)
                kept = []
            row.embedding_model = self._embedding_model
            row.page_count = page_count
            row.chunks_total = len(chunks)
            row.chunks_done = len(kept)
            return len(kept)

    def _switch_over(self, claim: AssetRow) -> None:
        with self._database.write() as session:
            row = self._held(session, claim)
            rows = repository.staged_rows(session, claim.id)
            vectors = np.frombuffer(b"".join(staged.embedding for staged in rows), np.float32).reshape(-1, DIMENSIONS)
            signs = signs_of(vectors)
            blocks = (
                (min(BLOCK_CHUNKS, len(rows) - start), signs[start * SIGN_BYTES : (start + BLOCK_CHUNKS) * SIGN_BYTES])
                for start in range(0, len(rows), BLOCK_CHUNKS)
            )
            repository.replace_chunks(session, row, rows, blocks)
            row.status, row.chunk_count, row.ingested_at = AssetStatus.INGESTED, len(rows), clock.now()
            row.claimed_by, row.claimed_until, row.attempts, row.error = None, None, 0, None

    def _embedded(self, texts: list[str]) -> list[bytes]:
        """A vector a text: the mean of its windows'."""
        tokenizer = tokenizer_of(self._embedding_model)
        windows = [windows_of(text, tokenizer) for text in texts]
        flat = [window for own in windows for window in own]
        vectors = checked_vectors(self._embedder.embed(flat), len(flat))
        firsts = np.cumsum([0, *(len(own) for own in windows[:-1])])
        means = np.add.reduceat(vectors, firsts, axis=0)
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
        return [mean.tobytes() for mean in means]


def checked_vectors(vectors: list[list[float]], count: int) -> Any:
    """``(count, 384)`` float32 rows of length 1. Raises: UpstreamFailed for vectors of another size or number."""
    wrong = next((len(v) for v in vectors if len(v) != DIMENSIONS), None)
    if wrong is not None or len(vectors) != count:
        raise UpstreamFailed(
            f"The embedding model gave vectors of {wrong} numbers; memory is built for {DIMENSIONS}.",
            hint="Set HERALD_EMBEDDING_MODEL back to the model that the documents were indexed with.",
            code="embedding_mismatch",
        )
    rows = np.asarray(vectors, np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def embedding_text(chunk: Chunk) -> str:
    """What is embedded: a heading path tells what a bare list of prices is about."""
    is_heading = chunk.place and not chunk.place.startswith(("page ", "line ", "row ", "rows "))
    return f"{chunk.place}\n{chunk.text}" if is_heading else chunk.text


def error_json(error: AppError) -> dict[str, str]:
    """The error as the row keeps it."""
    return {"code": error.code, "message": error.message, "hint": error.hint}


def asset_error(value: dict[str, Any] | None) -> AssetError | None:
    """The error that a row keeps."""
    return None if value is None else AssetError(value["code"], value["message"], value["hint"])


def _set_failed(row: AssetRow, error: AppError) -> None:
    row.status, row.error = AssetStatus.FAILED, error_json(error)
    row.claimed_by, row.claimed_until, row.attempts = None, None, 0


def _gave_up(row: AssetRow) -> AppError:
    return AppError(
        f"Taking {row.filename} in was begun {row.attempts} times, and each time the worker ended before it was done.",
        hint="The worker's log says why. Split the file, or try again when the machine has more free memory.",
        code="ingestion_crashed",
    )


def _is_passing(error: AppError) -> bool:
    """Whether the same file may go in later: another process or the disk is at fault."""
    return isinstance(error, Unavailable | TooManyRequests) and error.code not in {
        "original_missing",
        "reader_not_confined",
    }


def _page_count(sections: list[Section], media_type: str) -> int:
    return int(sections[-1].place.removeprefix("page ")) if media_type == PDF else 0


def _claim_name() -> str:
    return f"{process_space()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"[-100:]


def _is_held(row: AssetRow) -> bool:
    """Whether somebody works on it: the claim has not run out, and its process lives if it is one of this machine."""
    if row.claimed_by is None or row.claimed_until is None or row.claimed_until < clock.now():
        return False
    host, pid, _ = row.claimed_by.rsplit(":", 2)
    if host != process_space():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _batched(chunks: list[Chunk]) -> Iterable[list[Chunk]]:
    return (chunks[start : start + BATCH_CHUNKS] for start in range(0, len(chunks), BATCH_CHUNKS))
