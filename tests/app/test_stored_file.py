"""Files in parts: what a browser asks for, and the refusals of what cannot be served."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from tests.app.media.test_service import PNG


@pytest.fixture
def url(client: TestClient) -> str:
    """The address of a stored picture."""
    media = client.post("/api/v1/media", files={"file": ("logo.png", PNG)}).json()
    return f"/api/v1/media/{media['sha256']}"


@pytest.mark.parametrize("asked", ["bytes", "lines=1-2", "bytes=", "bytes=9-3"])
def test_a_range_that_cannot_be_read_is_an_error_like_any(client: TestClient, url: str, asked: str) -> None:
    """A 400 that says what to do."""
    answer = client.get(url, headers={"Range": asked})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_range")
    assert answer.json()["error"]["hint"]


def test_a_range_behind_the_end_is_refused_with_the_size(client: TestClient, url: str) -> None:
    """A 416 with Content-Range, as RFC 9110 wants it."""
    answer = client.get(url, headers={"Range": f"bytes={len(PNG)}-"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (416, "range_not_satisfiable")
    assert answer.headers["content-range"] == f"bytes */{len(PNG)}"
    assert f"{len(PNG):,} bytes" in answer.json()["error"]["message"]


def test_parts_come_as_they_were_asked_for(client: TestClient, url: str) -> None:
    """One, several, and the whole."""
    part = client.get(url, headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"PNG", f"bytes 1-3/{len(PNG)}")
    several = client.get(url, headers={"Range": "bytes=0-1,4-5"})
    assert (several.status_code, several.headers["content-type"][:20]) == (206, "multipart/byteranges")
    assert client.get(url).content == PNG


def test_an_assets_content_comes_whole(client: TestClient) -> None:
    """Its bytes are compared with their hash, so there are no parts of it: a server may ignore Range."""
    files = {"file": ("a.txt", b"The shop opens at nine.")}
    asset = client.post("/api/v1/projects/prj_default/assets", files=files).json()
    for asked in ("bytes=0-3", "bytes=900-", "lines"):
        answer = client.get(f"/api/v1/projects/prj_default/assets/{asset['id']}/content", headers={"Range": asked})
        assert (answer.status_code, answer.content) == (200, b"The shop opens at nine.")
