"""The memory API."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from tests.app.fakes import FakeEmbedder
from tests.app.memory.test_extraction import pdf_of
from tests.app.memory.test_sniffing import PNG

DOCUMENTS = "/api/v1/memory/documents"


@pytest.mark.parametrize(
    ("name", "content", "status", "code"),
    [
        ("photo.png", PNG, 415, "unsupported_type"),
        ("photo.txt", PNG, 415, "unsupported_type"),
        ("menu.pdf", b"not a pdf", 415, "unsupported_type"),
        ("empty.txt", b"", 422, "document_empty"),
        ("secret.pdf", pdf_of("x", password="pw"), 422, "document_encrypted"),
        ("cut.pdf", pdf_of("x " * 3_000)[:1_500], 422, "document_damaged"),
        ("scan.pdf", pdf_of(""), 422, "document_without_text"),
        ("big.txt", b"a" * (26 * 1024 * 1024), 413, "too_large"),
    ],
)
def test_a_document_that_cannot_be_read_is_refused(
    client: TestClient, name: str, content: bytes, status: int, code: str
) -> None:
    """With a hint, and nothing stored."""
    answer = client.post(DOCUMENTS, files={"file": (name, content)})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["error"]["hint"]
    assert client.get(DOCUMENTS).json() == {"documents": []}


def test_a_document_just_over_the_limit_gets_exact_numbers(client: TestClient) -> None:
    """It passes the coarse limit of bodies and meets the one of documents."""
    answer = client.post(DOCUMENTS, files={"file": ("big.txt", b"a" * (25 * 1024 * 1024 + 1))})
    assert answer.status_code == 413
    assert "26,214,401 bytes; at most 26,214,400" in answer.json()["error"]["message"]


@pytest.mark.parametrize("request_", [{}, {"data": {"file": "text"}}, {"files": {"other": ("a.txt", b"a")}}])
def test_an_upload_without_a_file_is_refused(client: TestClient, request_: dict[str, object]) -> None:
    """422 naming the field."""
    answer = client.post(DOCUMENTS, **request_)  # type: ignore[arg-type]
    assert answer.status_code == 422
    assert "file" in answer.json()["error"]["message"]


def test_while_inference_is_down_an_upload_answers_503(client: TestClient, embedder: FakeEmbedder) -> None:
    """So does a search; both say what to do."""
    client.post(DOCUMENTS, files={"file": ("a.txt", b"first")})
    embedder.is_down = True
    upload = client.post(DOCUMENTS, files={"file": ("b.txt", b"second")})
    search = client.get("/api/v1/memory/search", params={"q": "x"})
    assert (upload.status_code, search.status_code) == (503, 503)
    assert upload.json()["error"]["code"] == "inference_unavailable"


@pytest.mark.parametrize("params", [{}, {"q": ""}, {"q": "a", "k": "0"}, {"q": "a", "k": "51"}, {"q": "a" * 2_001}])
def test_a_bad_search_is_refused(client: TestClient, params: dict[str, str]) -> None:
    """422."""
    assert client.get("/api/v1/memory/search", params=params).status_code == 422


def test_a_document_goes_in_is_found_and_goes_out(client: TestClient) -> None:
    """201, then 200 for the same content, then 204, then 404."""
    pdf = pdf_of("We open at nine.", "Espresso costs 2.50 euro.")
    made = client.post(DOCUMENTS, files={"file": ("menu.pdf", pdf)})
    assert made.status_code == 201
    document = made.json()
    assert (document["filename"], document["chunk_count"], document["size_bytes"]) == ("menu.pdf", 2, len(pdf))
    again = client.post(DOCUMENTS, files={"file": ("copy.pdf", pdf)})
    assert (again.status_code, again.json()) == (200, document)
    assert client.get(DOCUMENTS).json() == {"documents": [document]}
    best = client.get("/api/v1/memory/search", params={"q": "espresso price", "k": 1}).json()["results"]
    assert [(r["document_id"], r["place"], r["text"]) for r in best] == [
        (document["id"], "page 2", "Espresso costs 2.50 euro.")
    ]
    assert client.delete(f"{DOCUMENTS}/{document['id']}").status_code == 204
    assert client.delete(f"{DOCUMENTS}/{document['id']}").status_code == 404
