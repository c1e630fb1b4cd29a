"""``POST /v1/rerank`` over real HTTP: what it refuses, its shape, and where else a reranker is seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from inference.reranker import Reranker
from tests.inference.conftest import RunningServer
from tests.inference.cross_encoders import make_cross_encoder
from tests.inference.exposition import parse

QUERY = "when does the bakery open on monday"
DOCUMENTS = ["oat cake", "the bakery on monday: open at seven", "bread costs seven", "the price"]
BODY: dict[str, Any] = {"model": "tiny-reranker", "query": QUERY, "documents": DOCUMENTS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cross-encoder that works."""
    return make_cross_encoder(tmp_path_factory.mktemp("rerankers") / "tiny-reranker")


@pytest.fixture
def client(make_server: Callable[..., RunningServer], folder: Path) -> Iterator[httpx.Client]:
    """A client of a server with that reranker."""
    with make_server(reranker=Reranker(folder)).client() as client:
        yield client


def test_without_a_reranker_the_route_says_what_to_set(make_server: Callable[..., RunningServer]) -> None:
    """A 404 of its own, no entry in the models, nothing in the metrics; everything else is as ever."""
    with make_server().client() as client:
        response = client.post("/v1/rerank", json=BODY)
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "no_reranker"
        assert "HERALD_RERANKER_PATH" in response.json()["error"]["message"]
        assert not any("endpoints" in model for model in client.get("/v1/models").json()["data"])
        assert "rerank" not in client.get("/metrics").text


def test_without_the_key_nothing_is_ranked(make_server: Callable[..., RunningServer], folder: Path) -> None:
    """The gate stands before this route too."""
    with make_server(reranker=Reranker(folder)).client(key="") as client:
        assert client.post("/v1/rerank", json=BODY).status_code == 401


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"model": "other"}, 404, "'other' is not served here; 'tiny-reranker' is"),
        ({"query": "  "}, 400, "query is empty"),
        ({"documents": []}, 400, "documents has 0 texts, 1 to 1,000"),
        ({"documents": ["a"] * 1_001}, 400, "documents has 1,001 texts"),
        ({"documents": ["a", " "]}, 400, "documents[1] is empty"),
        ({"documents": [{"title": "x"}]}, 400, "documents.0: Input should be a valid string"),
        ({"documents": "a"}, 400, "documents"),
        ({"top_n": -1}, 400, "top_n"),
        ({"documents": ["x" * 1_100_000]}, 413, "HERALD_INFERENCE_MAX_BODY_MB"),
    ],
)
def test_wrong_requests_are_told_what_is_wrong(
    client: httpx.Client, change: dict[str, Any], status: int, message: str
) -> None:
    """The field, what it has and what may be."""
    response = client.post("/v1/rerank", json=BODY | change)
    assert response.status_code == status
    assert message in response.json()["error"]["message"]


def test_documents_come_in_the_order_that_the_library_gives(client: httpx.Client, folder: Path) -> None:
    """The best first, each with its place in the request; texts only where they are asked for."""
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(folder), device="cpu", local_files_only=True)
    wanted = model.rank(QUERY, DOCUMENTS, show_progress_bar=False)
    answered = client.post("/v1/rerank", json=BODY).json()
    assert answered["id"].startswith("rerank-")
    assert answered["model"] == "tiny-reranker"
    assert answered["usage"]["total_tokens"] > 20
    assert [result["index"] for result in answered["results"]] == [row["corpus_id"] for row in wanted]
    for result, row in zip(answered["results"], wanted, strict=True):
        assert set(result) == {"index", "relevance_score"}
        assert result["relevance_score"] == pytest.approx(float(row["score"]), abs=1e-5)
    texts: list[Any] = [{"text": text} for text in DOCUMENTS]
    best = client.post("/v1/rerank", json=BODY | {"documents": texts, "top_n": 2, "return_documents": True}).json()
    assert [r["index"] for r in best["results"]] == [r["index"] for r in answered["results"]][:2]
    assert [r["document"]["text"] for r in best["results"]] == [DOCUMENTS[r["index"]] for r in best["results"]]


def test_a_reranker_is_in_the_list_of_models_and_in_the_metrics(client: httpx.Client) -> None:
    """Clients find it by the endpoint that it serves; what was ranked is counted."""
    (entry,) = [model for model in client.get("/v1/models").json()["data"] if "endpoints" in model]
    assert (entry["id"], entry["endpoints"]) == ("tiny-reranker", ["rerank"])
    assert client.get("/v1/models/tiny-reranker").json() == entry
    client.post("/v1/rerank", json=BODY)
    families = parse(client.get("/metrics").text)
    assert families["herald_inference_reranked_documents_total"].value == len(DOCUMENTS)
    assert families["herald_inference_rerank_waiting"].value == 0
    assert families["herald_inference_rerank_seconds"].samples["herald_inference_rerank_seconds_count", ""] == 1


def test_a_reranker_that_cannot_be_loaded_is_not_listed_and_the_readiness_says_why(
    make_server: Callable[..., RunningServer], tmp_path: Path
) -> None:
    """Chat and search go on without it."""
    path = make_cross_encoder(tmp_path / "broken")
    (path / "model.safetensors").write_bytes(b"not weights")
    with make_server(reranker=Reranker(path)).client() as client:
        assert not any("endpoints" in model for model in client.get("/v1/models").json()["data"])
        response = client.post("/v1/rerank", json=BODY | {"model": "broken"})
        assert response.status_code == 503
        assert "broken could not be loaded" in response.json()["error"]["message"]
