"""The login page of an account over HTTP: who gets it, and what it says without a worker."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient


@pytest.fixture
def account_id(client: TestClient) -> str:
    """An account that was connected without a password."""
    body = {"platform": "x", "handle": "<acme", "username": "acme"}
    assert client.post("/api/v1/accounts", json=body).status_code == 422
    return str(client.post("/api/v1/accounts", json=body | {"handle": "@acme"}).json()["id"])


def test_absent_accounts_have_no_login_page(client: TestClient) -> None:
    """Page, stream and inputs of an account that is not there are 404."""
    inputs = {"inputs": [{"kind": "reload"}]}
    assert client.get("/api/v1/accounts/acc_none/login").status_code == 404
    assert client.get("/api/v1/accounts/acc_none/login/stream").status_code == 404
    assert client.post("/api/v1/accounts/acc_none/login/inputs", json=inputs).status_code == 404


@pytest.mark.parametrize(
    "one",
    [
        {"kind": "click", "x": 1281, "y": 0},
        {"kind": "key", "key": "Enter; rm"},
        {"kind": "text", "text": ""},
        {"kind": "eval", "text": "1"},
    ],
)
def test_other_inputs_are_refused(client: TestClient, account_id: str, one: dict[str, object]) -> None:
    """Only what a person can do with a picture is passed on."""
    assert client.post(f"/api/v1/accounts/{account_id}/login/inputs", json={"inputs": [one]}).status_code == 422


def test_inputs_need_an_open_login(client: TestClient, account_id: str) -> None:
    """Without a stream there is no browser to pass them to."""
    answer = client.post(f"/api/v1/accounts/{account_id}/login/inputs", json={"inputs": [{"kind": "done"}]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "login_not_open")


def test_the_page_names_the_account_and_the_stream_says_what_is_missing(client: TestClient, account_id: str) -> None:
    """The page is of this account; without a worker the stream ends with the reason."""
    page = client.get(f"/api/v1/accounts/{account_id}/login")
    assert page.headers["content-type"].startswith("text/html")
    assert "Log in to X as @acme" in page.text
    assert account_id in page.text
    stream = client.get(f"/api/v1/accounts/{account_id}/login/stream").text
    assert stream.startswith("event: failed\n")
    assert "./scripts/up" in stream
