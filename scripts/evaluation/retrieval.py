"""``./scripts/eval retrieval``: how well memory finds the docstring that a question was taken from.

The documents are docstrings of installed packages without their first paragraph; first paragraphs are the questions;
nDCG@10 of each way to rank is printed, also of every other question alone: on the others the weights were chosen. The
documents lie in a real database, cut and embedded as memory does it. Vectors are kept under the user's cache folder;
the first run takes some minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import inspect
import math
import random
import re
import statistics
import sys
import sysconfig
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sqlalchemy import select
from sqlalchemy.orm import Session

from app import clock
from app.db.engine import Database
from app.db.migrate import migrate
from app.db.scope import DEFAULT_PROJECT
from app.memory import repository, retrieval
from app.memory.chunking import chunks_of, tokenizer_of, windows_of
from app.memory.index import Vector, VectorIndex, signs_of
from app.memory.records import PLAIN, Section
from app.memory.tables import AssetRow, ChunkRow, StagedChunkRow
from inference.config import InferenceSettings
from inference.embedder import Embedder
from inference.serve import make_embedder
from scripts.evaluation import reranking, rewriting
from scripts.setup.box import cache_home

K = 10
PACKAGES = ("scipy", "sklearn", "networkx")
MIN_BODY_CHARS, MAX_BODY_CHARS = 400, 6_000
MIN_QUESTION_WORDS, MAX_QUESTION_WORDS = 4, 25
BATCH = 64
_DOCSTRING = re.compile(r'"""(.*?)"""', re.DOTALL)

Ranking = Callable[[Session, retrieval.Query], list[int]]
console = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Docstring:
    """The first sentence and the rest."""

    question: str
    body: str


def docstrings(packages: tuple[str, ...] = PACKAGES) -> list[Docstring]:
    """Those of the installed packages that are long enough, each question and each body once, in a fixed order."""
    installed = Path(sysconfig.get_paths()["purelib"])
    found: dict[str, Docstring] = {}
    bodies: set[str] = set()
    for path in (path for package in packages for path in sorted((installed / package).rglob("*.py"))):
        if "tests" in path.parts:
            continue
        for text in _DOCSTRING.findall(path.read_text(encoding="utf-8", errors="replace")):
            parted = parted_docstring(inspect.cleandoc(text))
            if parted is not None and parted.question not in found and parted.body not in bodies:
                found[parted.question] = parted
                bodies.add(parted.body)
    return list(found.values())


def parted_docstring(text: str) -> Docstring | None:
    """The docstring's first paragraph as a question and the rest as a document; None when one is too short or long."""
    head, _, body = text.strip().partition("\n\n")
    question = " ".join(head.split())
    words = len(re.findall(r"[A-Za-z]{2,}", question))
    if not MIN_QUESTION_WORDS <= words <= MAX_QUESTION_WORDS or not MIN_BODY_CHARS <= len(body) <= MAX_BODY_CHARS:
        return None
    return Docstring(question, body)


class Vectors:
    """Embeddings of texts as memory makes them, kept in one file for each set of texts."""

    def __init__(self) -> None:
        self.name = InferenceSettings().embedding_model
        self._tokenizer = tokenizer_of(self.name)
        self._folder = cache_home() / "bench" / "retrieval"

    def of(self, texts: list[str], what: str) -> Vector:
        """``(n, 384)`` of length 1. Raises: NotReady without an embedding model."""
        digest = hashlib.sha256("\0".join([self.name, *texts]).encode("utf-8", "replace")).hexdigest()
        path = self._folder / f"{digest[:32]}.npy"
        if path.is_file():
            return np.asarray(np.load(path), np.float32)
        windows = [windows_of(text, self._tokenizer) for text in texts]
        rows = self._embedded([window for own in windows for window in own], what)
        means = np.add.reduceat(rows, np.cumsum([0, *(len(own) for own in windows[:-1])]), axis=0)
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
        self._folder.mkdir(parents=True, exist_ok=True)
        np.save(path, means)
        return means

    def _embedded(self, texts: list[str], what: str) -> Vector:
        embedder: Embedder = make_embedder(InferenceSettings())
        asyncio.run(embedder.load())
        rows: list[list[float]] = []
        for start in track(range(0, len(texts), BATCH), f"embedding {what}", console=console):
            rows += asyncio.run(embedder.embed(texts[start : start + BATCH])).vectors
        embedder.close()
        return np.asarray(rows, np.float32)


def stored(database: Database, documents: list[str], vectors: Vectors) -> dict[int, int]:
    """Put the documents into memory; the number of the document of each chunk id."""
    cut = [list(chunks_of([Section("", body)], PLAIN, tokenizer_of(vectors.name))) for body in documents]
    rows = vectors.of([chunk.text for chunks in cut for chunk in chunks], "the documents")
    start = 0
    for number, chunks in enumerate(track(cut, "storing", console=console)):
        own = rows[start : start + len(chunks)]
        start += len(chunks)
        with database.write() as session:
            asset = AssetRow(
                id=f"ast_{number}",
                project_id=DEFAULT_PROJECT,
                filename=f"{number}.txt",
                sha256=f"{number:064x}",
                media_type=PLAIN,
                size_bytes=len(documents[number]),
                status="ingested",
                chunk_count=len(chunks),
                created_at=clock.now(),
            )
            session.add(asset)
            session.flush()
            staged = [
                StagedChunkRow(ordinal=i, place="", text=chunk.text, embedding=row.tobytes())
                for i, (chunk, row) in enumerate(zip(chunks, own, strict=True))
            ]
            repository.replace_chunks(session, asset, staged, [(len(chunks), signs_of(own))])
    with database.read() as session:
        known = session.execute(select(ChunkRow.id, ChunkRow.asset_id))
        return {chunk_id: int(asset_id.removeprefix("ast_")) for chunk_id, asset_id in known}


def gain(ranked: list[int], right: int) -> float:
    """nDCG@10 where one document is right: 1 / log2(1 + its place), 0 when it is not among the first ten."""
    places = list(dict.fromkeys(ranked))[:K]
    return 1 / math.log2(2 + places.index(right)) if right in places else 0.0


def rankings(index: VectorIndex) -> dict[str, Ranking]:
    """The ways to rank chunks, by name."""
    return {
        "keyword": lambda session, query: [i for i, _ in retrieval.by_words(session, query, None)],
        "vector": lambda session, query: [i for i, _ in retrieval.by_meaning(session, index, query, None)],
        "hybrid by reciprocal rank": lambda session, query: by_reciprocal_rank(index, session, query),
        "hybrid": lambda session, query: [c.chunk_id for c in retrieval.candidates(session, index, query)],
    }


def by_reciprocal_rank(index: VectorIndex, session: Session, query: retrieval.Query) -> list[int]:
    """Both rankings fused by their ranks alone, to compare with.

    Source: Cormack, Clarke, Büttcher, "Reciprocal Rank Fusion", SIGIR 2009.
    """
    near = retrieval.by_meaning(session, index, query, None)
    scores: Counter[int] = Counter()
    for ranking in (near, retrieval.by_words(session, query, None)):
        for rank, (chunk_id, _) in enumerate(ranking, start=1):
            scores[chunk_id] += 1 / (60 + rank)
    similarity = dict(near)
    return sorted(scores, key=lambda i: (-scores[i], -similarity.get(i, 0.0), i))


def measured(database: Database, questions: list[str], vectors: Vector, of: dict[int, int]) -> dict[str, list[float]]:
    """Every question's nDCG@10 by each way; question ``i`` is about document ``i``."""
    index = VectorIndex()
    gains: dict[str, list[float]] = {name: [] for name in rankings(index)}
    for right, question in enumerate(track(questions, "asking", console=console)):
        query = retrieval.Query(DEFAULT_PROJECT, question, vectors[right])
        with database.read() as session:
            for name, ranking in rankings(index).items():
                gains[name].append(gain([of[i] for i in ranking(session, query)], right))
    return gains


def main() -> int:
    """Build, ask, print."""
    parser = argparse.ArgumentParser(prog="./scripts/eval retrieval", description=__doc__)
    parser.add_argument("--questions", type=int, default=250)
    parser.add_argument("--documents", type=int, default=1_000, help="the answers and others")
    parser.add_argument("--packages", nargs="+", default=PACKAGES, help="whose docstrings are asked about")
    parser.add_argument("--reranker", type=Path, help="folder of a cross-encoder that puts the best in order")
    parser.add_argument("--rewritten", type=int, default=0, help="so many questions also in the model's words")
    options = parser.parse_args()
    known = docstrings(tuple(options.packages))
    if len(known) < options.documents:
        console.print(f"Only {len(known):,} docstrings are long enough here; all of them are documents.")
    random.Random(7).shuffle(known)  # noqa: S311 - the same set each time
    chosen = known[: options.documents]
    questions = [docstring.question for docstring in chosen[: options.questions]]
    vectors = Vectors()
    asked = vectors.of(questions, "the questions")
    with tempfile.TemporaryDirectory(prefix="herald-eval-retrieval-") as folder:
        database = Database(Path(folder) / "herald.db")
        migrate(database)
        of = stored(database, [docstring.body for docstring in chosen], vectors)

        def gain_of(right: int, found: list[int]) -> float:
            return gain([of[i] for i in found], right)

        gains = measured(database, questions, asked, of)
        if options.rewritten:
            first = options.rewritten
            gains |= rewriting.measured(database, questions[:first], asked[:first], vectors.of, gain_of)
        if options.reranker:
            gains |= reranking.measured(options.reranker, database, questions, asked, gain_of)
        database.close()
    table = Table(title=f"{len(questions)} questions, {len(chosen):,} documents, {len(of):,} chunks")
    for column in ("ranking", "nDCG@10", "± (95 %)", "found first", "of the odd questions"):
        table.add_column(column, justify="left" if column == "ranking" else "right")
    for name, own in gains.items():
        error = 1.96 * statistics.stdev(own) / math.sqrt(len(own))
        table.add_row(
            name,
            f"{statistics.fmean(own):.3f}",
            f"{error:.3f}",
            f"{own.count(1.0) / len(own):.1%}",
            f"{statistics.fmean(own[1::2]):.3f}",
        )
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
