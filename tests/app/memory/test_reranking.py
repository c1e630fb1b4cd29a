"""A reranker decides the order of the best where one is served; without it, or when it fails, the fused order stays."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.llm import InferenceUnavailable, ModelNotServed
from app.main import create_app
from app.memory.reranking import PAUSE_S, RERANKED, TIMEOUT_S, Reranking
from app.memory.retrieval import Candidate
from app.services import Services, build_services
from app.settings import Settings
from tests.app.conftest import BASE_URL, Uptime
from tests.app.fakes import FakeEmbedder, Waker

FOUND = [Candidate(chunk_id=i, score=1 - i / 100, similarity=0.5) for i in range(RERANKED + 5)]


class LastFirst:
    """Prefers the documents that end in the highest number. Can be missing or failing; remembers what it was asked."""

    def __init__(self, name: str = "tiny") -> None:
        self.name = name
        self.failure: Exception | None = None
        self.looked = 0
        self.asked: list[tuple[str, str, list[str], float]] = []

    def reranker(self) -> str:
        """The served name."""
        self.looked += 1
        if self.failure is not None:
            raise self.failure
        return self.name

    def rerank(self, model: str, query: str, documents: Sequence[str], timeout_s: float) -> list[float]:
        """The number at the end of each document."""
        self.asked.append((model, query, list(documents), timeout_s))
        if self.failure is not None:
            raise self.failure
        return [float(document.rsplit(" ", 1)[1]) for document in documents]


def texts_of(chunk_ids: list[int]) -> dict[int, str]:
    return {chunk_id: f"passage {chunk_id}" for chunk_id in chunk_ids}


def ids(found: list[Candidate]) -> list[int]:
    return [candidate.chunk_id for candidate in found]


def test_without_a_reranker_nothing_is_read_and_the_order_stays(uptime: Uptime) -> None:
    """Neither where there can be none nor where none is served; it is looked for once in a while only."""
    assert Reranking(None).reordered("q", FOUND, lambda _ids: pytest.fail("texts were read")) == FOUND
    client = LastFirst(name="")
    reranking = Reranking(client)
    for _ in range(3):
        assert reranking.reordered("q", FOUND, lambda _ids: pytest.fail("texts were read")) == FOUND
    assert (client.looked, reranking.problem) == (1, "")
    client.name = "tiny"
    uptime.pass_(PAUSE_S)
    assert reranking.reordered("q", FOUND, texts_of) != FOUND


def test_while_inference_cannot_be_asked_the_order_stays(uptime: Uptime) -> None:
    """It is no problem of the reranker's; the next look finds it."""
    client = LastFirst()
    client.failure = InferenceUnavailable("It is starting.")
    reranking = Reranking(client)
    assert reranking.reordered("q", FOUND, texts_of) == FOUND
    client.failure = None
    assert (client.asked, reranking.problem) == ([], "")
    uptime.pass_(PAUSE_S)
    assert ids(reranking.reordered("q", FOUND, texts_of))[0] == RERANKED - 1


@pytest.mark.parametrize("failure", [InferenceUnavailable("not within 15 s."), ModelNotServed("tiny is gone.")])
def test_a_failure_leaves_the_order_and_is_told_until_it_works_again(uptime: Uptime, failure: Exception) -> None:
    """Nobody waits for it again before the pause is over."""
    client = LastFirst()
    reranking = Reranking(client)
    assert ids(reranking.reordered("q", FOUND, texts_of))[0] == RERANKED - 1
    client.failure = failure
    for _ in range(3):
        assert reranking.reordered("q", FOUND, texts_of) == FOUND
    assert len(client.asked) == 2
    assert str(failure) in reranking.problem
    assert "tiny failed" in reranking.problem
    client.failure = None
    uptime.pass_(PAUSE_S)
    assert ids(reranking.reordered("q", FOUND, texts_of))[0] == RERANKED - 1
    assert reranking.problem == ""


def test_the_best_are_reordered_and_scores_stay_with_the_places() -> None:
    """What comes after the best stays where it is; the candidates keep their own similarity."""
    client = LastFirst()
    ordered = Reranking(client).reordered("which?", FOUND, texts_of)
    assert ids(ordered) == [*reversed(range(RERANKED)), *range(RERANKED, RERANKED + 5)]
    assert [candidate.score for candidate in ordered] == [candidate.score for candidate in FOUND]
    (asked,) = client.asked
    assert asked == ("tiny", "which?", [f"passage {i}" for i in range(RERANKED)], TIMEOUT_S)


def test_passages_that_are_gone_are_left_out() -> None:
    """A document that was deleted between the search and the reading; one passage alone needs no order."""
    client = LastFirst()
    reranking = Reranking(client)
    ordered = reranking.reordered("q", FOUND[:4], lambda chunk_ids: texts_of([i for i in chunk_ids if i != 3]))
    assert ids(ordered) == [2, 1, 0]
    assert ids(reranking.reordered("q", FOUND[:4], lambda _ids: {2: "passage 2"})) == [2]
    assert reranking.reordered("q", FOUND[:1], texts_of) == FOUND[:1]
    assert len(client.asked) == 1


@pytest.fixture
def client() -> LastFirst:
    """The reranker of the box."""
    return LastFirst()


@pytest.fixture
def box(settings: Settings, migrated: Path, client: LastFirst) -> Iterator[Services]:
    """Services with a reranker and three passages, found in the order 1, 2, 3 by words."""
    settings.home.mkdir(parents=True, exist_ok=True)
    shutil.copy(migrated, settings.home / "herald.db")
    services = build_services(settings, embedder=FakeEmbedder(), reranker=client, wake=Waker())
    for number, text in enumerate(("bread bread bread", "bread and cake", "bread, cake and oats"), 1):
        services.memory.add(f"{number}.md", f"# Menu\n{text} number {number}".encode(), "t")
    yield services
    services.close()


def test_a_search_and_a_prompt_follow_the_reranker(box: Services, client: LastFirst) -> None:
    """Both read the same order; the reranker reads the passage with its heading."""
    assert [passage.filename for passage in box.memory.search("bread")] == ["3.md", "2.md", "1.md"]
    assert [passage.filename for passage in box.memory.search("bread", 2)] == ["3.md", "2.md"]
    assert box.memory.context_for("bread", 5_000)[0].filename == "3.md"
    assert client.asked[0][1] == "bread"
    assert client.asked[0][2][0].startswith("Menu\n")


def test_a_failing_reranker_costs_no_search_and_is_seen_in_the_health(
    box: Services, client: LastFirst, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The passages come in the fused order, and who looks sees why."""
    monkeypatch.setattr(box.llm, "status", lambda: {"status": "ready", "model": "m", "detail": ""})
    assert box.memory.search("bread")
    client.failure = InferenceUnavailable("The inference process did not answer within 15 s.")
    assert {passage.filename for passage in box.memory.search("bread")} == {"1.md", "2.md", "3.md"}
    health = TestClient(create_app(services=box, with_ui=False), base_url=BASE_URL).get("/healthz").json()
    assert health["inference"]["status"] == "ready"
    assert "The reranker tiny failed" in health["inference"]["detail"]
    assert "15 s" in health["inference"]["detail"]
