"""Accounts: their secrets at rest and in transit, their use by a run."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from fastapi.testclient import TestClient
from sqlalchemy import text

from app.accounts.service import NewAccount
from app.accounts.vault import VaultUnreadable
from app.errors import Conflict, NotFound
from app.services import Services
from automation.actions.base import Account

PASSWORD = "canary-pässword-🔑"
BODY = {"platform": "x", "handle": "@acme", "username": "owner@acme.example", "password": PASSWORD}
ACME = Account("x", "acme", "https://x.com")


def connected(services: Services) -> str:
    new = NewAccount(platform="x", handle="acme", username="u", password=PASSWORD, base_url="https://x.com")
    return services.accounts.create(new, "t").id


@pytest.mark.parametrize(
    "change",
    [
        {"platform": "myspace"},
        {"handle": ""},
        {"handle": "a b"},
        {"handle": "../x"},
        {"username": ""},
        {"password": ""},
        {"password": "x" * 1_001},
        {"base_url": "ftp://x.com"},
        {"base_url": "javascript:alert(1)"},
        {"base_url": "https://x.com/login"},
        {"base_url": "https://me:pw@x.com"},
        {"base_url": "//x.com"},
        {"extra": 1},
    ],
)
def test_a_bad_account_is_refused_without_repeating_its_password(client: TestClient, change: dict[str, object]) -> None:
    """422 by field."""
    answer = client.post("/api/v1/accounts", json=BODY | change)
    assert answer.status_code == 422
    assert PASSWORD not in answer.text
    assert "x" * 100 not in answer.text


def test_the_same_handle_twice_is_refused(client: TestClient) -> None:
    """With or without the at sign."""
    assert client.post("/api/v1/accounts", json=BODY).status_code == 201
    again = client.post("/api/v1/accounts", json=BODY | {"handle": "acme"})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "account_exists")


def test_the_password_never_comes_back(client: TestClient, services: Services) -> None:
    """Not from any route, not from the audit log, not from the files of the data home."""
    made = client.post("/api/v1/accounts", json=BODY)
    assert made.status_code == 201
    assert made.json()["handle"] == "acme"
    assert made.json()["base_url"] == "https://x.com"
    shown = made.text + client.get("/api/v1/accounts").text + client.get("/api/v1/audit").text
    assert PASSWORD not in shown
    assert BODY["username"] not in shown
    for path in services.settings.home.rglob("*"):
        if path.is_file():
            assert PASSWORD.encode() not in path.read_bytes(), path


def test_a_run_gets_the_login_decrypted(services: Services) -> None:
    """Its repr does not show it."""
    connected(services)
    credential = services.accounts.credential(ACME)
    assert credential.password == PASSWORD
    assert PASSWORD not in repr(credential)


@pytest.mark.parametrize(
    "other", [Account("x", "acme2", "https://x.com"), Account("x", "acme", "https://evil.example")]
)
def test_a_login_is_given_only_to_its_own_site(services: Services, other: Account) -> None:
    """An approved action whose account was removed or moved gets none."""
    connected(services)
    with pytest.raises(NotFound):
        services.accounts.credential(other)
    assert services.accounts.load_session(other) is None


def test_a_login_sealed_with_another_key_is_a_clear_error(services: Services) -> None:
    """After a key file was lost."""
    connected(services)
    (services.settings.home / "keys" / "vault.key").write_text(Fernet.generate_key().decode())
    with pytest.raises(VaultUnreadable, match=r"vault\.key"):
        services.accounts.credential(ACME)


def test_a_broken_key_file_is_a_clear_error(services: Services) -> None:
    """Before anything is sealed with it."""
    (services.settings.home / "keys").mkdir(exist_ok=True)
    (services.settings.home / "keys" / "vault.key").write_text("short")
    with pytest.raises(VaultUnreadable):
        connected(services)


def test_a_second_key_opens_what_the_first_sealed(services: Services) -> None:
    """So that keys can be rotated: the new one goes on top."""
    connected(services)
    path = services.settings.home / "keys" / "vault.key"
    path.write_text(Fernet.generate_key().decode() + "\n" + path.read_text())
    assert services.accounts.credential(ACME).password == PASSWORD


def test_browser_sessions_are_sealed_too(services: Services) -> None:
    """They are as good as a password."""
    connected(services)
    assert services.accounts.load_session(ACME) is None
    services.accounts.save_session(ACME, {"cookies": [{"name": "auth", "value": PASSWORD}]})
    loaded = services.accounts.load_session(ACME)
    assert loaded is not None
    assert loaded["cookies"][0]["value"] == PASSWORD
    with services.database.read() as session:
        assert PASSWORD not in str(session.execute(text("SELECT * FROM accounts")).all())


def test_deleting_forgets_everything(client: TestClient) -> None:
    """And a second time it is not there."""
    account_id = client.post("/api/v1/accounts", json=BODY).json()["id"]
    assert client.delete(f"/api/v1/accounts/{account_id}").status_code == 204
    assert client.get("/api/v1/accounts").json() == {"accounts": []}
    assert client.delete(f"/api/v1/accounts/{account_id}").status_code == 404


def test_two_accounts_need_a_choice_by_handle(services: Services) -> None:
    """The same login on two handles is two accounts."""
    connected(services)
    second = NewAccount(platform="x", handle="acme-de", username="u", password="p", base_url="https://x.com")
    services.accounts.create(second, "t")
    assert [a.handle for a in services.accounts.all()] == ["acme", "acme-de"]
    with pytest.raises(Conflict):
        services.accounts.create(second, "t")
