"""The first pass of a vector search, and the whole of it over real rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from app import clock
from app.db.scope import DEFAULT_PROJECT
from app.memory import repository, retrieval
from app.memory.index import VectorIndex, signs_of
from app.memory.records import SearchFilter
from app.memory.tables import AssetRow, StagedChunkRow
from app.services import Services


def unit(count: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    vectors = np.random.default_rng(seed).standard_normal((count, 384)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def stored(services: Services, asset_id: str, vectors: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> None:
    with services.database.write() as session:
        row = AssetRow(
            id=asset_id,
            project_id=DEFAULT_PROJECT,
            filename=f"{asset_id}.txt",
            sha256=asset_id * 8,
            media_type="text/plain",
            size_bytes=1,
            status="ingested",
            created_at=clock.now(),
        )
        session.add(row)
        session.flush()
        staged = [
            StagedChunkRow(ordinal=i, place="", text=f"{asset_id} {i}", embedding=v.tobytes())
            for i, v in enumerate(vectors)
        ]
        half = len(vectors) // 2
        blocks = [(half, signs_of(vectors[:half])), (len(vectors) - half, signs_of(vectors[half:]))]
        repository.replace_chunks(session, row, staged, blocks)


def found(services: Services, index: VectorIndex, vector: Any, wanted: SearchFilter) -> list[str]:
    query = retrieval.Query(DEFAULT_PROJECT, "", vector, wanted)
    with services.database.read() as session:
        candidates = retrieval.candidates(session, index, query)
        return [p.text for p in retrieval.passages(session, candidates[:10])]


def test_the_nearest_are_those_of_an_exact_search(services: Services) -> None:
    """In the same order, over two assets; a filter leaves one of them; what is deleted is gone at once."""
    vectors, index = unit(3_000, 1), VectorIndex()
    stored(services, "ast_a", vectors[:1_800])
    stored(services, "ast_b", vectors[1_800:])
    names = [f"ast_a {i}" for i in range(1_800)] + [f"ast_b {i}" for i in range(1_200)]
    near = vectors[7] + 0.3 * unit(1, 2)[0]
    question = near / np.linalg.norm(near)
    exact = [names[i] for i in np.argsort(-(vectors @ question))]
    both = found(services, index, question, SearchFilter())
    assert both[0] == "ast_a 7"
    assert len(set(both) & set(exact[:10])) >= 6  # random vectors are the worst case: nothing lies near anything
    assert all(n.startswith("ast_b") for n in found(services, index, question, SearchFilter(asset_ids=("ast_b",))))
    with services.database.write() as session:
        repository.remove(session, "ast_a")
    assert all(n.startswith("ast_b") for n in found(services, index, question, SearchFilter()))


def test_projects_give_way_when_memory_runs_short(services: Services) -> None:
    """And are read again when they are asked."""
    vectors, index = unit(100, 3), VectorIndex(max_bytes=1)
    stored(services, "ast_a", vectors)
    for _ in range(2):
        assert found(services, index, vectors[5], SearchFilter())[0] == "ast_a 5"
        with services.database.read() as session:
            assert index.nearest(session, "prj_other", vectors[0], 10) == []
