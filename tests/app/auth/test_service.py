"""Sign-in links and sessions."""

from __future__ import annotations

import stat
import threading
from datetime import timedelta

import pytest
import time_machine
from fastapi.testclient import TestClient
from sqlalchemy import text

from app import clock
from app.errors import NotAuthenticated
from app.keys import KeyUnreadable
from app.main import create_app
from app.services import Services, build_services
from app.settings import Settings
from tests.app.conftest import BASE_URL


def token_of(services: Services) -> str:
    return services.auth.create_signin_link().partition("token=")[2]


@pytest.mark.parametrize("token", ["", "x", "ü", "a" * 43, "\ud800"])
def test_an_unknown_link_signs_nobody_in(services: Services, token: str) -> None:
    """Whatever it holds."""
    with pytest.raises(NotAuthenticated):
        services.auth.redeem(token)


def test_a_link_works_once(services: Services) -> None:
    """The second use is refused."""
    token = token_of(services)
    assert services.auth.actor_of_cookie(services.auth.redeem(token))
    with pytest.raises(NotAuthenticated):
        services.auth.redeem(token)


def test_a_link_works_once_also_in_a_race(services: Services) -> None:
    """Twelve browsers at the same moment: one session."""
    token = token_of(services)
    cookies: list[str] = []
    barrier = threading.Barrier(12)

    def redeem() -> None:
        barrier.wait()
        try:
            cookies.append(services.auth.redeem(token))
        except NotAuthenticated:
            cookies.append("")

    threads = [threading.Thread(target=redeem) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([c for c in cookies if c]) == 1


def test_a_link_ends_after_a_day(services: Services) -> None:
    """24 hours."""
    token = token_of(services)
    with time_machine.travel(clock.now() + timedelta(hours=24, seconds=1)), pytest.raises(NotAuthenticated):
        services.auth.redeem(token)


def test_a_session_ends_after_a_month(services: Services) -> None:
    """30 days."""
    cookie = services.auth.redeem(token_of(services))
    with time_machine.travel(clock.now() + timedelta(days=29)):
        assert services.auth.actor_of_cookie(cookie)
    with time_machine.travel(clock.now() + timedelta(days=30, seconds=2)):
        assert not services.auth.actor_of_cookie(cookie)


def test_an_altered_cookie_is_worthless(services: Services) -> None:
    """Every single character is signed."""
    cookie = services.auth.redeem(token_of(services))
    for index in range(0, len(cookie) - 1, 7):
        altered = cookie[:index] + ("A" if cookie[index] != "A" else "B") + cookie[index + 1 :]
        assert not services.auth.actor_of_cookie(altered)
    assert not services.auth.actor_of_cookie("")


def test_signing_out_ends_the_session_itself(services: Services) -> None:
    """A copied cookie is worthless afterwards."""
    cookie = services.auth.redeem(token_of(services))
    services.auth.sign_out(cookie)
    assert not services.auth.actor_of_cookie(cookie)


def test_the_database_holds_no_secret(services: Services) -> None:
    """Neither token nor session can be read from it."""
    token = token_of(services)
    cookie = services.auth.redeem(token)
    with services.database.read() as session:
        rows = [*session.execute(text("SELECT * FROM signin_links")), *session.execute(text("SELECT * FROM audit"))]
        rows += session.execute(text("SELECT * FROM login_sessions")).all()
    assert token not in str(rows)
    assert cookie.split(".")[0].strip('"') not in str(rows)


def test_a_generated_key_is_private_and_stays(settings: Settings) -> None:
    """Made at first need, readable by its owner alone."""
    generated = settings.model_copy(update={"api_key": None})
    key = generated.api_key_text()
    assert len(key) >= 43
    assert generated.api_key_text() == key
    path = settings.home / "keys" / "api.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_signin_page_says_how_to_get_a_link(anonymous: TestClient) -> None:
    """Also after a bad one, with the reason."""
    page = anonymous.get("/signin")
    assert page.status_code == 200
    assert "herald signin" in page.text
    bad = anonymous.get("/signin?token=%3Cscript%3E")
    assert bad.status_code == 401
    assert "unknown, used already" in bad.text
    assert "<script>" not in bad.text


def test_the_cookie_is_kept_from_scripts(anonymous: TestClient, services: Services) -> None:
    """HttpOnly and SameSite=Lax; Secure when the page came over https."""
    plain = anonymous.get(f"/signin?token={token_of(services)}").headers["set-cookie"].lower()
    assert "httponly" in plain
    assert "samesite=lax" in plain
    assert "secure" not in plain
    anonymous.base_url = BASE_URL.replace("http:", "https:")
    assert "secure" in anonymous.get(f"/signin?token={token_of(services)}").headers["set-cookie"].lower()


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("/approvals", "/approvals"),
        ("https://evil.example", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/a%0d%0aSet-Cookie:x", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
def test_a_link_leads_only_to_heralds_own_pages(
    anonymous: TestClient, services: Services, asked: str, given: str
) -> None:
    """No open redirect."""
    answer = anonymous.get(f"/signin?token={token_of(services)}&next={asked}")
    assert answer.headers["location"] == given


def test_a_mere_look_at_a_link_does_not_use_it_up(anonymous: TestClient, services: Services) -> None:
    """Previews ask with HEAD."""
    token = token_of(services)
    assert anonymous.head(f"/signin?token={token}").status_code == 405
    assert anonymous.get(f"/signin?token={token}").status_code == 303


def test_signing_out_in_the_browser(anonymous: TestClient, services: Services) -> None:
    """A link only asks; the button ends the session and removes the cookie."""
    anonymous.get(f"/signin?token={token_of(services)}")
    assert anonymous.get("/signout").status_code == 200
    assert anonymous.get("/api/v1/actions").status_code == 200
    answer = anonymous.post("/signout", headers={"Origin": BASE_URL})
    assert (answer.status_code, answer.headers["location"]) == (303, "/signin")
    assert anonymous.get("/api/v1/actions").status_code == 401


def test_a_broken_key_file_stops_the_start(services: Services, settings: Settings) -> None:
    """Rather than every request."""
    (settings.home / "keys").mkdir(parents=True, exist_ok=True)
    (settings.home / "keys" / "session.key").write_text("")
    with pytest.raises(KeyUnreadable):
        create_app(services=services, with_ui=False)


def test_behind_a_proxy_with_tls_links_lead_there_and_the_cookie_is_secure(settings: Settings) -> None:
    """Though the proxy speaks plain HTTP with the app and says nothing of itself."""
    host = "pod-8000.proxy.example.net"
    behind = build_services(settings.model_copy(update={"public_url": f"https://{host}", "allowed_hosts": [host]}))
    with TestClient(create_app(services=behind, with_ui=False), base_url=f"http://{host}") as client:
        link = behind.auth.create_signin_link()
        assert link.startswith(f"https://{host}/signin?token=")
        answer = client.get(link.removeprefix(f"https://{host}"), follow_redirects=False)
        cookie = answer.headers["set-cookie"]
        assert "secure" in cookie.lower()
        mine = {"Cookie": cookie.partition(";")[0]}
        assert client.post("/signout", headers=mine | {"Origin": "https://evil.example"}).status_code == 403
        assert client.post("/signout", headers=mine | {"Origin": f"https://{host}"}).status_code < 400
