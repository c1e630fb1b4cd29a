"""The media API: upload, fetch, and actions that refer to what was uploaded."""

from __future__ import annotations

from fastapi.testclient import TestClient

from tests.app.media.test_service import PNG

POST = {"platform": "x", "text": "Look!"}


def test_refusals_have_the_shape_of_errors(client: TestClient) -> None:
    """A kind that nobody takes, a hash that is none, a file that is not there, no key."""
    bad = client.post("/api/v1/media", files={"file": ("a.png", b"<html>")})
    assert (bad.status_code, bad.json()["error"]["code"]) == (415, "unsupported_type")
    assert client.get("/api/v1/media/abc").status_code == 422
    assert client.get(f"/api/v1/media/{'0' * 64}").status_code == 404
    del client.headers["Authorization"]
    assert client.post("/api/v1/media", files={"file": ("a.png", PNG)}).status_code == 401


def test_an_action_with_a_file_that_was_not_uploaded_is_refused(client: TestClient) -> None:
    """So is one that calls a PNG a film."""
    ref = {"sha256": "0" * 64, "filename": "a.png", "media_type": "image/png"}
    missing = client.post("/api/v1/actions", json={"type": "post_social", "params": POST | {"media": [ref]}})
    assert (missing.status_code, missing.json()["error"]["code"]) == (422, "media_missing")
    media = client.post("/api/v1/media", files={"file": ("a.png", PNG)}).json()
    ref = {"sha256": media["sha256"], "filename": "a.png", "media_type": "video/mp4"}
    differs = client.post("/api/v1/actions", json={"type": "post_social", "params": POST | {"media": [ref]}})
    assert (differs.status_code, differs.json()["error"]["code"]) == (422, "media_differs")


def test_an_upload_can_be_fetched_and_used(client: TestClient) -> None:
    """New 201, known 200; it comes back inline and harmless, and the digest changes with the file."""
    first = client.post("/api/v1/media", files={"file": ("logo.png", PNG)})
    assert first.status_code == 201
    media = first.json()
    assert client.post("/api/v1/media", files={"file": ("b.png", PNG)}).status_code == 200
    fetched = client.get(f"/api/v1/media/{media['sha256']}")
    assert fetched.content == PNG
    assert fetched.headers["content-type"] == "image/png"
    assert "sandbox" in fetched.headers["content-security-policy"]
    ref = {"sha256": media["sha256"], "filename": "logo.png", "media_type": "image/png", "alt": "Our logo"}
    action = client.post("/api/v1/actions", json={"type": "post_social", "params": POST | {"media": [ref]}}).json()
    assert action["params"]["media"][0]["size_bytes"] == len(PNG)
    other = client.post("/api/v1/media", files={"file": ("c.png", PNG + b"!")}).json()
    changed = {"params": POST | {"media": [ref | {"sha256": other["sha256"]}]}}
    edited = client.patch(f"/api/v1/actions/{action['id']}", json=changed)
    assert edited.json()["digest"] != action["digest"]
