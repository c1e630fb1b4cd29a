"""``./scripts/bench memory``: the memory's query over up to 1,000,000 passages, beside LanceDB, FAISS and sqlite-vec.

Vectors are synthetic and clustered: groups of 200 around centres in a space of 96 dimensions, spread into 384 with
noise, since real embeddings lie near a surface of far fewer dimensions than they have. Texts are real: pieces of 600
characters of the docstrings of installed packages. Every engine holds the same vectors and gets the same questions in
turns, so that other work on the machine meets all alike. Recall is against exact search over the same vectors.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import statistics
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pysqlite3.dbapi2 as sqlite
import sqlite_vec
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sqlalchemy import text

from app import clock
from app.db.engine import Database
from app.db.migrate import migrate
from app.db.scope import DEFAULT_PROJECT
from app.memory import repository, retrieval
from app.memory.embedder import DIMENSIONS
from app.memory.index import VectorIndex, signs_of
from app.memory.tables import AssetRow, StagedChunkRow

K = 10
LATENT = 96
CLUSTER = 200
SPREAD = 0.6
NOISE = 0.25
STEP = 20_000
PIECE_CHARS = 600
WARM_UP = 3
PACKAGES = ("numpy", "scipy", "sklearn", "statsmodels", "pandas", "networkx")
_DOCSTRING = re.compile(r'"""(.*?)"""', re.DOTALL)

Matrix = npt.NDArray[np.float32]
console = Console(stderr=True)


@dataclass(slots=True)
class Figures:
    """What was measured of one engine at one size."""

    engine: str
    size: int
    build_s: float
    bytes_a_chunk: float
    latencies_ms: list[float] = field(default_factory=list)
    processor_ms: list[float] = field(default_factory=list)
    recalls: list[float] = field(default_factory=list)


class Engine(Protocol):
    """Something that holds vectors under the ids 0, 1, 2 … and finds the nearest."""

    name: str

    def build(self, vectors: Matrix, folder: Path) -> int:
        """Take the vectors in; bytes on disk (or in memory, where there is no disk)."""
        ...

    def find(self, vector: Matrix, words: str) -> list[int]:
        """Ids of the K best."""
        ...


# -- the corpus -----------------------------------------------------------------------------------------------------


def clustered(count: int, seed: int) -> Iterator[Matrix]:
    """``count`` vectors of length 1 in steps of 20,000; the same seed gives the same ones."""
    rng = np.random.default_rng(seed)
    spread_out = rng.standard_normal((LATENT, DIMENSIONS)).astype(np.float32)
    centres = rng.standard_normal((max(50, count // CLUSTER), LATENT)).astype(np.float32)
    for start in range(0, count, STEP):
        size = min(STEP, count - start)
        near = centres[rng.integers(0, len(centres), size)]
        points = (near + SPREAD * rng.standard_normal((size, LATENT)).astype(np.float32)) @ spread_out
        scale = NOISE * np.linalg.norm(points, axis=1, keepdims=True) / np.sqrt(DIMENSIONS)
        points += scale * rng.standard_normal((size, DIMENSIONS)).astype(np.float32)
        yield points / np.linalg.norm(points, axis=1, keepdims=True)


def docstrings(at_least_chars: int) -> list[str]:
    """Long docstrings of installed packages, until there are enough."""
    found: list[str] = []
    chars = 0
    installed = Path(sysconfig.get_paths()["purelib"])
    for path in (path for package in PACKAGES for path in sorted((installed / package).rglob("*.py"))):
        source = path.read_text(encoding="utf-8", errors="replace")
        docs = [doc for doc in _DOCSTRING.findall(source) if len(doc) > PIECE_CHARS]
        found += docs
        chars += sum(map(len, docs))
        if chars > at_least_chars:
            break
    return found


class Texts:
    """Pieces of real text, and questions made of their words."""

    def __init__(self) -> None:
        self._docs = docstrings(10_000_000)
        self._random = random.Random(7)  # noqa: S311 - a reproducible corpus

    def piece(self) -> str:
        doc = self._random.choice(self._docs)
        start = self._random.randrange(len(doc) - PIECE_CHARS + 1)
        return doc[start : start + PIECE_CHARS]

    def question(self) -> str:
        words = re.findall(r"[A-Za-z]{3,}", self.piece())
        start = self._random.randrange(max(1, len(words) - 8))
        return " ".join(words[start : start + 8])


# -- engines --------------------------------------------------------------------------------------------------------


class Herald:
    """The memory as the product runs it: signs, exact distances, full-text search, fused, texts read."""

    name = "Herald, whole hybrid query"

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._index = VectorIndex()
        self._first_id = 0
        self._database: Database

    def build(self, vectors: Matrix, folder: Path) -> int:
        self._database = Database(folder / "herald.db")
        migrate(self._database)
        for start in track(range(0, len(vectors), STEP), "Herald", console=console):
            self._add(vectors[start : start + STEP], start)
        with self._database.read() as session:
            self._first_id = session.execute(text("SELECT min(id) FROM chunks")).scalar_one()
        with self._database.engine.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        return (folder / "herald.db").stat().st_size

    def _add(self, vectors: Matrix, start: int) -> None:
        with self._database.write() as session:
            asset = AssetRow(
                id=f"ast_{start}",
                project_id=DEFAULT_PROJECT,
                filename=f"{start}.txt",
                sha256=f"{start:064x}",
                media_type="text/plain",
                size_bytes=0,
                status="ingested",
                chunk_count=len(vectors),
                created_at=clock.now(),
            )
            session.add(asset)
            session.flush()
            rows = [
                StagedChunkRow(ordinal=i, place="", text=self._texts.piece(), embedding=vector.tobytes())
                for i, vector in enumerate(vectors)
            ]
            repository.replace_chunks(session, asset, rows, [(len(vectors), signs_of(vectors))])

    def find(self, vector: Matrix, words: str) -> list[int]:
        query = retrieval.Query(DEFAULT_PROJECT, words, vector)
        with self._database.read() as session:
            found = retrieval.candidates(session, self._index, query)
            retrieval.passages(session, found[:K])
        return []

    def nearest(self, vector: Matrix) -> list[int]:
        with self._database.read() as session:
            query = retrieval.Query(DEFAULT_PROJECT, "", vector)
            found = retrieval.by_meaning(session, self._index, query, None)
        return [chunk_id - self._first_id for chunk_id, _ in found[:K]]

    def close(self) -> None:
        self._database.close()


class HeraldVectors:
    """Only the vector half of the memory's query, which is what the others do."""

    name = "Herald, vectors only"

    def __init__(self, whole: Herald) -> None:
        self._whole = whole

    def build(self, vectors: Matrix, folder: Path) -> int:
        return 0

    def find(self, vector: Matrix, words: str) -> list[int]:
        return self._whole.nearest(vector)


class PlainSqliteVec:
    """sqlite-vec's vec0 table, searched exactly."""

    name = "sqlite-vec (vec0)"

    def build(self, vectors: Matrix, folder: Path) -> int:
        path = folder / "plain.db"
        self._connection = sqlite.connect(str(path), isolation_level=None)
        self._connection.enable_load_extension(True)
        sqlite_vec.load(self._connection)
        self._connection.execute(
            f"CREATE VIRTUAL TABLE v USING vec0(embedding float[{DIMENSIONS}] distance_metric=cosine)"
        )
        for start in track(range(0, len(vectors), STEP), self.name, console=console):
            self._connection.execute("BEGIN")
            rows = ((start + i, row.tobytes()) for i, row in enumerate(vectors[start : start + STEP]))
            self._connection.executemany("INSERT INTO v (rowid, embedding) VALUES (?, ?)", rows)
            self._connection.execute("COMMIT")
        return path.stat().st_size

    def find(self, vector: Matrix, words: str) -> list[int]:
        rows = self._connection.execute(
            "SELECT rowid FROM v WHERE embedding MATCH ? AND k = ? ORDER BY distance", (vector.tobytes(), K)
        )
        return [row[0] for row in rows]


class Faiss:
    """One of FAISS's indexes in memory; one thread, as the others have."""

    def __init__(self, name: str, make: Callable[[Any, int], Any]) -> None:
        self.name = f"FAISS {name}"
        self._make = make

    def build(self, vectors: Matrix, folder: Path) -> int:
        import faiss

        faiss.omp_set_num_threads(1)
        self._index = self._make(faiss, len(vectors))
        if not self._index.is_trained:
            self._index.train(vectors[: min(len(vectors), 100_000)])
        for start in track(range(0, len(vectors), STEP), self.name, console=console):
            self._index.add(vectors[start : start + STEP])
        return int(faiss.serialize_index(self._index).nbytes)

    def find(self, vector: Matrix, words: str) -> list[int]:
        _, ids = self._index.search(vector[None], K)
        return [int(i) for i in ids[0]]


class Lance:
    """LanceDB: an IVF-PQ index with refinement once there are enough vectors for one, exact search before."""

    name = "LanceDB"

    def build(self, vectors: Matrix, folder: Path) -> int:
        import lancedb
        import pyarrow as pa
        from lancedb.index import IvfPq

        path = folder / "lance"
        connection = lancedb.connect(str(path))
        schema = pa.schema([("id", pa.int64()), ("vector", pa.list_(pa.float32(), DIMENSIONS))])

        def batches() -> Iterator[pa.RecordBatch]:
            for start in track(range(0, len(vectors), STEP), self.name, console=console):
                part = vectors[start : start + STEP]
                column = pa.FixedSizeListArray.from_arrays(pa.array(part.ravel()), DIMENSIONS)
                yield pa.RecordBatch.from_arrays([pa.array(range(start, start + len(part))), column], schema=schema)

        self._table: Any = connection.create_table("v", batches(), schema=schema)
        if len(vectors) >= 50_000:
            partitions = int(len(vectors) ** 0.5)
            config = IvfPq(distance_type="cosine", num_partitions=partitions, num_sub_vectors=48)
            self._table.create_index("vector", config=config)
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())

    def find(self, vector: Matrix, words: str) -> list[int]:
        query = self._table.search(vector).metric("cosine").nprobes(20).refine_factor(10).limit(K)
        query = query.select(["id", "_distance"])
        return [row["id"] for row in query.to_list()]


def engines(texts: Texts, names: list[str]) -> list[Engine]:
    """What takes part, by its short name."""
    herald = Herald(texts)
    known: dict[str, list[Engine]] = {
        "herald": [herald, HeraldVectors(herald)],
        "sqlite-vec": [PlainSqliteVec()],
        "faiss-flat": [Faiss("flat", lambda faiss, _n: faiss.IndexFlatIP(DIMENSIONS))],
        "faiss-hnsw": [
            Faiss("HNSW 32", lambda faiss, n: faiss.IndexHNSWFlat(DIMENSIONS, 32, faiss.METRIC_INNER_PRODUCT))
        ],
        "faiss-ivf": [Faiss("IVF", _ivf)],
        "lancedb": [Lance()],
    }
    return [engine for name in names for engine in known[name]]


def _ivf(faiss: Any, count: int) -> Any:
    cells = int(count**0.5)
    index = faiss.index_factory(DIMENSIONS, f"IVF{cells},Flat", faiss.METRIC_INNER_PRODUCT)
    index.nprobe = max(8, cells // 30)
    return index


# -- measuring ------------------------------------------------------------------------------------------------------


def measure(size: int, names: list[str], questions: int, folder: Path, texts: Texts) -> list[Figures]:
    """Build every engine with the same vectors, then ask them in turns."""
    everything = np.concatenate(list(clustered(size + questions, seed=size)))
    vectors, asked = everything[:size], everything[size:]
    words = [texts.question() for _ in asked]
    taking_part = engines(texts, names)
    figures = [_built(engine, vectors, folder) for engine in taking_part]
    exact = [set(_exact(vectors, vector)) for vector in track(asked, "exact search", console=console)]
    for number, (vector, question) in enumerate(track(list(zip(asked, words, strict=True)), "asking", console=console)):
        for engine, own in zip(taking_part, figures, strict=True):
            began_s, processor_s = time.perf_counter(), time.process_time()
            found = engine.find(vector, question)
            if number >= WARM_UP:
                own.processor_ms.append((time.process_time() - processor_s) * 1000)
                own.latencies_ms.append((time.perf_counter() - began_s) * 1000)
                if found:
                    own.recalls.append(len(exact[number] & set(found)) / K)
    for engine in taking_part:
        if isinstance(engine, Herald):
            engine.close()
    return figures


def _built(engine: Engine, vectors: Matrix, folder: Path) -> Figures:
    began_s = time.perf_counter()
    size_bytes = engine.build(vectors, folder)
    return Figures(engine.name, len(vectors), time.perf_counter() - began_s, size_bytes / len(vectors))


def _exact(vectors: Matrix, vector: Matrix) -> list[int]:
    similarity = vectors @ vector
    best = np.argpartition(-similarity, K)[:K]
    return [int(i) for i in best]


def _percentile(values: list[float], share: float) -> float:
    return float(np.percentile(values, share * 100))


def _table(all_figures: list[Figures]) -> Table:
    table = Table(title=f"k = {K}, {DIMENSIONS} dimensions; one question at a time")
    for column in ("passages", "engine", "p50 ms", "p99 ms", "processor ms", "recall@10", "build s", "bytes a passage"):
        table.add_column(column, justify="left" if column == "engine" else "right")
    for f in all_figures:
        table.add_row(
            f"{f.size:,}",
            f.engine,
            f"{statistics.median(f.latencies_ms):.1f}",
            f"{_percentile(f.latencies_ms, 0.99):.1f}",
            f"{statistics.median(f.processor_ms):.1f}",
            f"{statistics.fmean(f.recalls):.3f}" if f.recalls else "",
            f"{f.build_s:.0f}" if f.bytes_a_chunk else "",
            f"{f.bytes_a_chunk:,.0f}" if f.bytes_a_chunk else "",
        )
    return table


def main() -> int:
    """Measure and print a table; JSON with every latency where ``--out`` says."""
    parser = argparse.ArgumentParser(prog="./scripts/bench memory", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--questions", type=int, default=60)
    parser.add_argument(
        "--engines",
        nargs="+",
        default=["herald", "sqlite-vec", "faiss-flat", "faiss-hnsw", "lancedb"],
        choices=["herald", "sqlite-vec", "faiss-flat", "faiss-hnsw", "faiss-ivf", "lancedb"],
    )
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    texts = Texts()
    results: list[Figures] = []
    for size in options.sizes:
        folder = Path(tempfile.mkdtemp(prefix="herald-bench-memory-"))
        try:
            results += measure(size, options.engines, options.questions + WARM_UP, folder, texts)
        finally:
            shutil.rmtree(folder)
        Console(width=None if sys.stdout.isatty() else 120).print(_table(results))
    if options.out:
        options.out.write_text(json.dumps([asdict(figures) for figures in results], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
