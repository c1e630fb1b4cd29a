"""The assets' API: statuses, refusals, the original, the cited passage."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from app.db.scope import DEFAULT_PROJECT
from app.services import Services
from tests.app.memory.test_extraction import pdf_of
from tests.app.memory.test_sniffing import PNG

ASSETS = f"/api/v1/projects/{DEFAULT_PROJECT}/assets"


@pytest.mark.parametrize(
    ("name", "content", "status", "code"),
    [
        ("photo.txt", PNG, 415, "unsupported_type"),
        ("menu.docx", b"no package", 415, "unsupported_type"),
        ("empty.csv", b"", 422, "document_empty"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused(
    client: TestClient, name: str, content: bytes, status: int, code: str
) -> None:
    """At once, and nothing is kept."""
    answer = client.post(ASSETS, files={"file": (name, content)})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert client.get(ASSETS).json() == {"assets": []}


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("DELETE", ""), ("POST", "/ingest"), ("GET", "/content")])
def test_an_absent_asset_is_not_found(client: TestClient, method: str, path: str) -> None:
    """404."""
    assert client.request(method, f"{ASSETS}/ast_none{path}").status_code == 404


def test_too_many_tags_are_refused(client: TestClient) -> None:
    """With the actual and the allowed number."""
    asset = client.post(ASSETS, files={"file": ("a.txt", b"text")}).json()
    answer = client.patch(f"{ASSETS}/{asset['id']}", json={"tags": [str(n) for n in range(21)]})
    assert answer.status_code == 422
    assert "21" in answer.json()["error"]["message"]


def test_an_asset_goes_in_and_its_passage_opens(client: TestClient, services: Services) -> None:
    """Uploaded, ingested, found, opened where it stands, downloaded, tagged, deleted."""
    pdf = pdf_of("We open at nine.", "Espresso costs <b>2.50</b> euro.")
    made = client.post(ASSETS, files={"file": ("../Menü.pdf", pdf)}, data={"tags": ["menu"]})
    assert (made.status_code, made.json()["status"], made.json()["filename"]) == (201, "uploaded", "Menü.pdf")
    url = f"{ASSETS}/{made.json()['id']}"
    assert client.post(ASSETS, files={"file": ("copy.pdf", pdf)}).status_code == 200
    assert client.post(f"{url}/ingest").status_code == 202
    services.ingestion.run(made.json()["id"])
    asset = client.get(url).json()
    assert (asset["status"], asset["pages"], asset["chunks"], asset["error"]) == ("ingested", 2, 2, None)
    hit = client.get("/api/v1/memory/search", params={"q": "espresso", "k": 1}).json()["results"][0]
    assert (hit["asset_id"], hit["place"]) == (asset["id"], "page 2")
    passage = client.get(f"{url}/passages/{hit['chunk_id']}").json()
    assert passage["text"] == "Espresso costs <b>2.50</b> euro."
    assert passage["before"] == "We open at nine."
    assert passage["content_url"] == f"{url}/content#page=2"
    page = client.get(f"{url}/passages/{hit['chunk_id']}", headers={"Accept": "text/html"}).text
    assert "Espresso costs &lt;b&gt;2.50&lt;/b&gt; euro." in page
    assert client.get(f"{url}/passages/1").status_code == 404
    content = client.get(f"{url}/content")
    assert content.content == pdf
    assert content.headers["Content-Disposition"] == "attachment; filename*=UTF-8''Men%C3%BC.pdf"
    assert client.patch(url, json={"tags": ["b", "a", "b"]}).json()["tags"] == ["a", "b"]
    assert client.delete(url).status_code == 204
    assert client.get(ASSETS).json() == {"assets": []}


@pytest.mark.parametrize("chunk_id", ["0", "-1", str(2**63), "9" * 400])
def test_a_passage_whose_number_no_row_can_have_is_refused(client: TestClient, chunk_id: str) -> None:
    """SQLite counts rows in 64 bits; a larger number cannot even be asked for."""
    answer = client.get(f"/api/v1/projects/prj_default/assets/ast_x/passages/{chunk_id}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_input")
