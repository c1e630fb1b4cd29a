"""Finding passages: the nearest by meaning and the best by words, fused, made diverse, joined and cut to a budget."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from sqlalchemy.orm import Session

from app.memory import index_repository, repository, rules
from app.memory.embedder import DIMENSIONS
from app.memory.index import Vector, VectorIndex
from app.memory.records import EVERYTHING, Passage, SearchFilter
from app.memory.tables import AssetRow, ChunkRow

FIRST_PASS = 300  # by signs; those are measured exactly
CANDIDATES = 100  # of each ranking
DIVERSIFIED = 40


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk that was found: ``score`` 0 to 1 by words and meaning, ``similarity`` the cosine with the question."""

    chunk_id: int
    score: float
    similarity: float


@dataclass(frozen=True, slots=True)
class Query:
    """A question with its vector ``(384,)`` of length 1, in one project."""

    project_id: str
    text: str
    vector: Vector
    wanted: SearchFilter = EVERYTHING


def candidates(session: Session, index: VectorIndex, query: Query, first_pass: int = FIRST_PASS) -> list[Candidate]:
    """What both rankings found, the best first; the order is the same each time."""
    assets = None
    if not query.wanted.is_empty:
        assets = repository.matching_assets(session, query.project_id, query.wanted)
        if not assets:
            return []
    similarity = dict(by_meaning(session, index, query, assets, first_pass))
    bm25 = dict(by_words(session, query, assets, similarity))
    unknown = [chunk_id for chunk_id in bm25 if chunk_id not in similarity]
    similarity |= dict(index_repository.similarities(session, query.vector.tobytes(), unknown))
    scores = rules.fused(similarity, bm25)
    found = [Candidate(chunk_id, score, similarity.get(chunk_id, 0.0)) for chunk_id, score in scores.items()]
    return sorted(found, key=lambda c: (-c.score, -c.similarity, c.chunk_id))


def by_meaning(
    session: Session, index: VectorIndex, query: Query, assets: frozenset[str] | None, first_pass: int = FIRST_PASS
) -> list[tuple[int, float]]:
    """Chunks with their exact cosine similarity, the nearest first."""
    ids = index.nearest(session, query.project_id, query.vector, first_pass, assets)
    return index_repository.similarities(session, query.vector.tobytes(), ids)[:CANDIDATES]


def by_words(
    session: Session, query: Query, assets: frozenset[str] | None, also: Collection[int] = ()
) -> list[tuple[int, float]]:
    """Chunks with their BM25, the best first: the best of all, and those of ``also`` that match."""

    ids = index_repository.chunk_range_of(session, query.project_id)

    def count_of(fts_query: str) -> int:
        return index_repository.count_of(session, ids, fts_query, rules.MAX_MATCHES + 1)

    fts_query = rules.fts_query_of(query.text, count_of)
    if not fts_query:
        return []
    return index_repository.matching(session, ids, fts_query, CANDIDATES, rules.MAX_MATCHES, assets, also)


def passages(session: Session, found: Sequence[Candidate]) -> list[Passage]:
    """The candidates with their texts, in their order."""
    rows = repository.chunks_with_assets(session, [candidate.chunk_id for candidate in found])
    return [_passage(*rows[c.chunk_id], c) for c in found if c.chunk_id in rows]


def context(session: Session, question: str, found: Sequence[Candidate], budget_chars: int) -> list[Passage]:
    """Those of the found that belong into a prompt: relevant, diverse, neighbours joined, within the budget."""
    found = found[:DIVERSIFIED]
    rows = repository.chunks_with_assets(session, [candidate.chunk_id for candidate in found])
    relevant = [
        c for c in found if c.chunk_id in rows and rules.is_relevant(question, rows[c.chunk_id][0].text, c.similarity)
    ]
    chosen: list[Passage] = []
    ordinals: dict[int, int] = {}
    known_words: list[set[str]] = []
    left = budget_chars
    for candidate in _diversified(session, relevant):
        chunk, asset = rows[candidate.chunk_id]
        words = set(rules.words_of(chunk.text))
        if rules.is_redundant(words, known_words):
            continue
        text = rules.excerpt(chunk.text, question, left)
        if text:
            known_words.append(words if text == chunk.text else set(rules.words_of(text)))
            chosen.append(replace(_passage(chunk, asset, candidate), text=text))
            ordinals[chunk.id] = chunk.ordinal
            left -= len(text)
    return _with_neighbours_joined(chosen, ordinals)


def _diversified(session: Session, found: list[Candidate]) -> list[Candidate]:
    if len(found) < 2:
        return found
    vectors = index_repository.vectors(session, [c.chunk_id for c in found])
    rows = b"".join(vectors[c.chunk_id] for c in found)
    order = rules.diversified([c.score for c in found], np.frombuffer(rows, np.float32).reshape(-1, DIMENSIONS))
    return [found[position] for position in order]


def _with_neighbours_joined(chosen: list[Passage], ordinals: dict[int, int]) -> list[Passage]:
    """Passages that follow each other in one place of an asset become one, at the place of the better one."""
    rank = {passage.chunk_id: position for position, passage in enumerate(chosen)}
    runs: list[list[Passage]] = []
    for passage in sorted(chosen, key=lambda p: (p.asset_id, ordinals[p.chunk_id])):
        last = runs[-1][-1] if runs else None
        is_next = (
            last is not None
            and (last.asset_id, last.place) == (passage.asset_id, passage.place)
            and ordinals[last.chunk_id] + 1 == ordinals[passage.chunk_id]
        )
        if is_next:
            runs[-1].append(passage)
        else:
            runs.append([passage])
    return sorted((_joined(run, rank) for run in runs), key=lambda p: rank[p.chunk_id])


def _joined(run: list[Passage], rank: dict[int, int]) -> Passage:
    best = min(run, key=lambda p: rank[p.chunk_id])
    text = run[0].text
    for passage in run[1:]:
        text = rules.joined(text, passage.text)
    return replace(best, text=text, chunk_ids=tuple(p.chunk_id for p in run))


def _passage(chunk: ChunkRow, asset: AssetRow, candidate: Candidate) -> Passage:
    return Passage(
        asset_id=asset.id,
        filename=asset.filename,
        place=chunk.place,
        text=chunk.text,
        score=round(candidate.score, 4),
        similarity=round(candidate.similarity, 4),
        chunk_id=chunk.id,
        chunk_ids=(chunk.id,),
    )
