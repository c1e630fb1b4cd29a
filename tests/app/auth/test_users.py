"""Signing up, logging in and out, a new password, over HTTP."""

from __future__ import annotations

from datetime import timedelta

import jwt
import pytest
import time_machine
from fastapi.testclient import TestClient
from sqlalchemy import text

from app import clock
from app.auth.records import OWNER_ID, TIERS
from app.services import Services

PASSWORD = "a long sentence of mine"
ANN = {"email": "ann@example.com", "password": PASSWORD, "name": "Ann"}
BEN = {"email": "ben@example.com", "password": PASSWORD, "name": "Ben"}


def sign_up(client: TestClient, person: dict[str, str], **more: str) -> dict[str, str]:
    """Sign up without a key; returns the headers of the new person's token."""
    answer = client.post("/api/v1/auth/signup", json=person | more, headers={"Authorization": ""})
    assert answer.status_code == 201, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"email": "ann"}, "is not a mail address"),
        ({"email": "a b@example.com"}, "is not a mail address"),
        ({"password": "short"}, "5 characters; 8 to 200"),
        ({"password": "x" * 201}, "201 characters"),
        ({"password": "password123"}, "guessed first"),
        ({"password": "aaaaaaaaaa"}, "guessed first"),
        ({"password": "ann@example.com"}, "is your mail address"),
        ({"name": " "}, "0 characters"),
        ({"name": "A\u0000"}, "control character"),
    ],
)
def test_what_cannot_be_signed_up_with_is_said(anonymous: TestClient, change: dict[str, str], said: str) -> None:
    """And the password is not repeated."""
    answer = anonymous.post("/api/v1/auth/signup", json=ANN | change)
    assert answer.status_code == 422
    assert said in answer.json()["error"]["message"]
    assert PASSWORD not in answer.text


def test_an_address_signs_up_once(anonymous: TestClient) -> None:
    """However it is written."""
    sign_up(anonymous, ANN)
    again = anonymous.post("/api/v1/auth/signup", json=ANN | {"email": " ANN@Example.com"})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "email_taken")


def test_the_first_person_owns_the_box_and_the_second_sees_nothing(anonymous: TestClient, services: Services) -> None:
    """What the box has belongs to the first; the second has no project."""
    ann, ben = sign_up(anonymous, ANN), sign_up(anonymous, BEN)
    me = anonymous.get("/api/v1/auth/me", headers=ann).json()
    assert (me["id"], me["is_box_owner"], me["via"]) == (OWNER_ID, True, "token")
    services.conversations.create("Hello")
    assert len(anonymous.get("/api/v1/conversations", headers=ann).json()["conversations"]) == 1
    assert anonymous.get("/api/v1/auth/me", headers=ben).json()["is_box_owner"] is False
    assert anonymous.get("/api/v1/projects", headers=ben).json() == {"projects": []}
    refused = anonymous.get("/api/v1/conversations", headers=ben)
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "no_project")


def test_a_box_in_use_is_not_taken_over_by_whoever_signs_up_first(client: TestClient, services: Services) -> None:
    """That needs its key or a session of its sign-in link."""
    services.conversations.create("Hello")
    headers = sign_up(client, ANN)
    assert client.get("/api/v1/auth/me", headers=headers).json()["is_box_owner"] is False
    owner = client.post("/api/v1/auth/signup", json=BEN).json()
    assert (owner["id"], owner["is_box_owner"]) == (OWNER_ID, True)
    assert client.get("/api/v1/auth/me").json()["name"] == "Ben"


def test_without_an_invitation_nobody_signs_up_on_an_open_network(anonymous: TestClient, services: Services) -> None:
    """Not even the first one, without proof that the box is theirs."""
    services.settings.host = "0.0.0.0"
    answer = anonymous.post("/api/v1/auth/signup", json=ANN, headers={"Host": "127.0.0.1:8000"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "invitation_needed")


def test_logging_in_gives_a_token_that_logging_out_ends(anonymous: TestClient) -> None:
    """Wrong passwords and unknown addresses are told alike."""
    sign_up(anonymous, ANN)
    wrong = anonymous.post("/api/v1/auth/login", json={"email": ANN["email"], "password": "not this one"})
    unknown = anonymous.post("/api/v1/auth/login", json={"email": "eve@example.com", "password": PASSWORD})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    answer = anonymous.post("/api/v1/auth/login", json={"email": "Ann@example.com ", "password": PASSWORD}).json()
    assert answer["token_type"] == "bearer"
    headers = {"Authorization": f"Bearer {answer['access_token']}"}
    assert anonymous.get("/api/v1/auth/me", headers=headers).json()["email"] == ANN["email"]
    assert anonymous.post("/api/v1/auth/logout", headers=headers).status_code == 204
    assert anonymous.get("/api/v1/auth/me", headers=headers).status_code == 401


def test_guessing_a_password_is_slowed_down(anonymous: TestClient, services: Services) -> None:
    """Ten wrong ones, then also the right one has to wait; the answer says how long."""
    sign_up(anonymous, ANN)
    for _ in range(10):
        services.auth.users._failures.add_failure(f"mail {ANN['email']}")
    answer = anonymous.post("/api/v1/auth/login", json={"email": ANN["email"], "password": PASSWORD})
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "too_many_failures")


def test_forged_and_old_tokens_are_refused(anonymous: TestClient) -> None:
    """Another key, no signature at all, past its time."""
    token = sign_up(anonymous, ANN)["Authorization"].removeprefix("Bearer ")
    claims = jwt.decode(token, options={"verify_signature": False})
    forged = [jwt.encode(claims, "another key of thirty-two bytes or more", algorithm="HS256")]
    forged.append(jwt.encode(claims, "", algorithm="none"))
    forged.append(token[:-4] + "AAAA")
    for bad in forged:
        assert anonymous.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {bad}"}).status_code == 401
    with time_machine.travel(clock.now() + timedelta(hours=8, seconds=5)):
        assert anonymous.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_a_reset_link_sets_a_password_once_and_ends_every_session(anonymous: TestClient, services: Services) -> None:
    """`herald users reset` prints it."""
    headers = sign_up(anonymous, ANN)
    token = services.auth.users.create_reset_link(ANN["email"]).partition("token=")[2]
    body = {"token": token, "password": "another long sentence"}
    assert anonymous.post("/api/v1/auth/reset", json=body | {"password": "short"}).status_code == 422
    assert anonymous.post("/api/v1/auth/reset", json=body).status_code == 200
    assert anonymous.post("/api/v1/auth/reset", json=body).json()["error"]["code"] == "link_invalid"
    assert anonymous.get("/api/v1/auth/me", headers=headers).status_code == 401
    old = anonymous.post("/api/v1/auth/login", json={"email": ANN["email"], "password": PASSWORD})
    new = anonymous.post("/api/v1/auth/login", json={"email": ANN["email"], "password": body["password"]})
    assert (old.status_code, new.status_code) == (401, 200)


def test_the_database_holds_no_password_and_no_token(anonymous: TestClient, services: Services) -> None:
    """Only hashes; passwords as Argon2id."""
    headers = sign_up(anonymous, ANN)
    key = anonymous.post("/api/v1/auth/keys", json={"name": "crm"}, headers=headers).json()["key"]
    link = services.auth.users.create_reset_link(ANN["email"])
    with services.database.read() as session:
        tables = ("users", "login_sessions", "api_keys", "password_resets", "audit")
        rows = str([session.execute(text(f"SELECT * FROM {table}")).all() for table in tables])
    assert "$argon2id$" in rows
    for secret in (PASSWORD, key, link.partition("token=")[2], headers["Authorization"].removeprefix("Bearer ")):
        assert secret not in rows


def test_the_pages_work_without_javascript(anonymous: TestClient) -> None:
    """Sign up, sign out, sign in with a form; errors stand on the page, escaped."""
    bad = anonymous.post("/signup", data={"email": "<b>", "password": PASSWORD, "name": "<i>"})
    assert bad.status_code == 422
    assert "<b>" not in bad.text
    assert "&lt;i&gt;" in bad.text
    assert anonymous.post("/signup", data=ANN).headers["location"] == "/"
    first = anonymous.cookies["herald_session"]
    assert anonymous.get("/api/v1/auth/me").json()["via"] == "session"
    wrong = anonymous.post("/signin", data={"email": ANN["email"], "password": "wrong wrong"})
    assert (wrong.status_code, 'role="alert"' in wrong.text) == (401, True)
    assert anonymous.post("/signin", data=ANN | {"next": "//evil.example"}).headers["location"] == "/"
    assert anonymous.cookies["herald_session"] != first  # a new session id with each sign-in
    anonymous.cookies.clear()
    anonymous.cookies.set("herald_session", first)
    assert anonymous.get("/api/v1/auth/me").status_code == 401


def test_a_lost_password_without_a_mail_server_names_the_command(anonymous: TestClient) -> None:
    """The sign-in page leads there; a form that could not do anything is not shown."""
    assert 'href="/forgot"' in anonymous.get("/signin").text
    page = anonymous.get("/forgot").text
    assert "herald users reset ADDRESS" in page
    assert "<form" not in page
    assert "herald users reset ADDRESS" in anonymous.post("/forgot", data={"email": ANN["email"]}).text


def test_another_site_cannot_sign_a_browser_in(anonymous: TestClient) -> None:
    """As somebody else, for the owner to work in the wrong account."""
    answer = anonymous.post("/signin", data=ANN, headers={"Origin": "https://evil.example"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "cross_site")


def test_keys_are_limited_rotated_and_withdrawn(anonymous: TestClient) -> None:
    """A key does what its scopes say, and never manages keys."""
    headers = sign_up(anonymous, ANN)
    unknown = anonymous.post("/api/v1/auth/keys", json={"name": "x", "scopes": ["all"]}, headers=headers)
    assert unknown.json()["error"]["code"] == "unknown_scope"
    made = anonymous.post("/api/v1/auth/keys", json={"name": "crm"}, headers=headers).json()
    reader = {"Authorization": f"Bearer {made['key']}"}
    assert anonymous.get("/api/v1/actions", headers=reader).status_code == 200
    body = {"type": "scrape_url", "params": {"url": "https://example.com"}}
    for method, path in (("POST", "/actions"), ("POST", "/auth/keys"), ("POST", "/projects")):
        refused = anonymous.request(method, f"/api/v1{path}", json=body, headers=reader)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "scope_missing")
    rotated = anonymous.post(f"/api/v1/auth/keys/{made['id']}/rotate", headers=headers).json()["key"]
    assert anonymous.get("/api/v1/actions", headers=reader).status_code == 401
    reader = {"Authorization": f"Bearer {rotated}"}
    assert anonymous.get("/api/v1/actions", headers=reader).status_code == 200
    assert "key" not in anonymous.get("/api/v1/auth/keys", headers=headers).json()["keys"][0]
    assert anonymous.delete(f"/api/v1/auth/keys/{made['id']}", headers=headers).status_code == 204
    assert anonymous.get("/api/v1/actions", headers=reader).status_code == 401


def test_a_keys_day_has_an_end(anonymous: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer says when it works again; the next day it does."""
    headers = sign_up(anonymous, ANN)
    monkeypatch.setitem(TIERS, "standard", 3)
    made = anonymous.post("/api/v1/auth/keys", json={"name": "crm"}, headers=headers).json()
    reader = {"Authorization": f"Bearer {made['key']}"}
    assert [anonymous.get("/api/v1/actions", headers=reader).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert anonymous.get("/api/v1/actions", headers=reader).json()["error"]["code"] == "daily_limit"
    with time_machine.travel(clock.now() + timedelta(days=1)):
        assert anonymous.get("/api/v1/actions", headers=reader).status_code == 200
