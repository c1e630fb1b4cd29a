"""The first pass of a vector search: the signs of a project's vectors, held in memory and compared with a question's.

A vector of 384 numbers becomes 384 bits; two vectors that point the same way differ in few of them. Counting the
differing bits of a million vectors takes a few milliseconds, and what is nearest by bits is then measured exactly. The
bits lie in the database in blocks (``vector_blocks``), one asset's chunks each; this keeps a copy and reads new blocks.
Source: Charikar, "Similarity Estimation Techniques from Rounding Algorithms", STOC 2002.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy.orm import Session

from app.memory import index_repository as repository
from app.memory.embedder import DIMENSIONS

SIGN_BYTES = DIMENSIONS // 8
_WORDS = SIGN_BYTES // 8
_STEP = 65_536  # vectors compared at once: their bits stay in the processor's cache
MAX_BYTES = 512 * 1024 * 1024  # 10 million chunks; the projects that were not asked for longest give way

Signs = npt.NDArray[np.uint64]
Vector = npt.NDArray[np.float32]


def signs_of(vectors: Vector) -> bytes:
    """``vectors: (n, 384)`` to 48 bytes a vector."""
    return np.packbits(vectors > 0, axis=-1).tobytes()


@dataclass(frozen=True, slots=True)
class _Block:
    asset_id: str
    first_chunk_id: int
    signs: Signs  # (count, 6)


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """All blocks of a project at one generation; never changed, so that a search needs no lock."""

    generation: int
    blocks: dict[int, _Block]
    columns: Signs  # (6, n)
    chunk_ids: npt.NDArray[np.int64]  # (n,)

    @property
    def size_bytes(self) -> int:
        return 2 * self.columns.nbytes + self.chunk_ids.nbytes

    def mask(self, asset_ids: frozenset[str]) -> npt.NDArray[np.bool_]:
        """Which chunks are of one of the assets."""
        blocks = self.blocks.values()
        is_wanted = np.fromiter((block.asset_id in asset_ids for block in blocks), np.bool_, len(self.blocks))
        counts = np.fromiter((len(block.signs) for block in blocks), np.int64, len(self.blocks))
        return np.repeat(is_wanted, counts)


class VectorIndex:
    """The signs of all projects that were asked for. One a process; thread-safe."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._snapshots: OrderedDict[str, _Snapshot] = OrderedDict()
        self._lock = threading.Lock()

    def nearest(
        self, session: Session, project_id: str, vector: Vector, limit: int, asset_ids: frozenset[str] | None = None
    ) -> list[int]:
        """Ids of the ``limit`` chunks that differ from the vector in the fewest signs, and of ties with the last.

        Args:
            vector: ``(384,)``.
            asset_ids: only chunks of these; None for all.
        """
        snapshot = self._snapshot(session, project_id)
        if not len(snapshot.chunk_ids):
            return []
        distances = _distances(snapshot.columns, np.frombuffer(signs_of(vector), np.uint64))
        if asset_ids is not None:
            distances[~snapshot.mask(asset_ids)] = DIMENSIONS + 1
        counts = np.bincount(distances, minlength=DIMENSIONS + 2)[: DIMENSIONS + 1]
        furthest = min(int(np.searchsorted(np.cumsum(counts), limit)), DIMENSIONS)
        found: list[int] = snapshot.chunk_ids[np.flatnonzero(distances <= furthest)].tolist()
        return found

    def _snapshot(self, session: Session, project_id: str) -> _Snapshot:
        generation = repository.generation_of(session, project_id)
        with self._lock:
            known = self._snapshots.get(project_id)
            if known is None or known.generation != generation:
                known = _read(session, project_id, generation, known.blocks if known else {})
                self._snapshots[project_id] = known
            self._snapshots.move_to_end(project_id)
            while len(self._snapshots) > 1 and sum(s.size_bytes for s in self._snapshots.values()) > self._max_bytes:
                self._snapshots.popitem(last=False)
            return known


def _read(session: Session, project_id: str, generation: int, known: dict[int, _Block]) -> _Snapshot:
    wanted = repository.block_ids(session, project_id)
    fresh = {
        row.id: _Block(row.asset_id, row.first_chunk_id, np.frombuffer(row.signs, np.uint64).reshape(-1, _WORDS))
        for row in repository.blocks(session, [block_id for block_id in wanted if block_id not in known])
    }
    blocks = {block_id: fresh[block_id] if block_id in fresh else known[block_id] for block_id in wanted}
    rows = [block.signs for block in blocks.values()] or [np.empty((0, _WORDS), np.uint64)]
    ids = [np.arange(b.first_chunk_id, b.first_chunk_id + len(b.signs)) for b in blocks.values()]
    columns = np.ascontiguousarray(np.concatenate(rows).T)
    return _Snapshot(generation, blocks, columns, np.concatenate(ids) if ids else np.empty(0, np.int64))


def _distances(columns: Signs, signs: Signs) -> npt.NDArray[np.uint16]:
    """In how many signs each vector differs: ``(n,)``. Column by column, so that numpy's loops run over long rows."""
    count = columns.shape[1]
    result = np.zeros(count, np.uint16)
    differing = np.empty(_STEP, np.uint64)
    ones = np.empty(_STEP, np.uint8)
    for start in range(0, count, _STEP):
        size = min(_STEP, count - start)
        total = result[start : start + size]
        for column, word in zip(columns, signs, strict=True):
            np.bitwise_xor(column[start : start + size], word, out=differing[:size])
            np.bitwise_count(differing[:size], out=ones[:size])
            total += ones[:size]
    return result
