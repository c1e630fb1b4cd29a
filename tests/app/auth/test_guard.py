"""The gate: keys, sessions, hosts, origins, guesses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.routing import Mount, Route

from app.auth.limiter import FailureLimiter
from app.main import create_app
from app.services import Services
from app.settings import Settings
from tests.app.conftest import BASE_URL, KEY

ACTIONS = "/api/v1/actions"
OPEN = {"/healthz", "/healthz/db", "/readyz", "/api/v1/healthz", "/api/v1/healthz/db", "/api/v1/readyz"}
OPEN |= {"/signin", "/signup", "/forgot", "/reset"}
OPEN |= {f"/api/v1/auth/{name}" for name in ("signup", "login", "forgot", "reset")}


def signed_in(client: TestClient, services: Services) -> TestClient:
    token = services.auth.create_signin_link().partition("token=")[2]
    assert client.get(f"/signin?token={token}").status_code == 303
    return client


def routes_of(app: FastAPI) -> Iterator[tuple[str, str]]:
    def walk(routes: list[object], prefix: str) -> Iterator[tuple[str, str]]:
        for route in routes:
            if isinstance(route, Mount):
                yield from walk(list(route.routes), prefix + route.path)
            elif isinstance(route, Route) or hasattr(route, "methods"):
                for method in route.methods or set():  # type: ignore[attr-defined]
                    yield method, prefix + route.path  # type: ignore[attr-defined]

    for path, operations in app.openapi()["paths"].items():
        for method in operations:
            yield method.upper(), path
    yield from walk(list(app.routes), "")


def test_every_route_but_the_open_ones_needs_a_key(anonymous: TestClient) -> None:
    """Also one that nobody thought of."""
    app = anonymous.app
    assert isinstance(app, FastAPI)
    found = set(routes_of(app))
    assert (("POST", "/api/v1/actions/{action_id}/approve")) in found
    for method, path in found:
        if path not in OPEN:
            answer = anonymous.request(method, path.replace("{", "").replace("}", ""))
            assert answer.status_code == 401, (method, path)
    assert anonymous.get("/no/such/page").status_code == 401


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer wrong", f"Basic {KEY}", KEY, f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", "Bearer ü"],
)
def test_a_wrong_key_is_refused(anonymous: TestClient, header: str) -> None:
    """401 with the challenge and where the key is."""
    answer = anonymous.get(ACTIONS, headers={"Authorization": header.encode()})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]["code"] == "not_authenticated"
    assert KEY not in answer.text


def test_guessing_is_slowed_down(services: Services) -> None:
    """From elsewhere, even a right key waits after too many wrong ones."""
    app = create_app(services=services, with_ui=False)
    remote = TestClient(app, base_url=BASE_URL, client=("203.0.113.5", 50_000))
    codes = [remote.get(ACTIONS, headers={"Authorization": "Bearer no"}).status_code for _ in range(21)]
    assert codes == [401] * 20 + [429]
    assert remote.get(ACTIONS, headers={"Authorization": f"Bearer {KEY}"}).status_code == 429
    other = TestClient(app, base_url=BASE_URL, client=("203.0.113.6", 50_000))
    assert other.get(ACTIONS, headers={"Authorization": f"Bearer {KEY}"}).status_code == 200


def test_a_confused_local_script_does_not_lock_its_owner_out(services: Services) -> None:
    """On this machine the right key passes all the same."""
    app = create_app(services=services, with_ui=False)
    local = TestClient(app, base_url=BASE_URL, client=("127.0.0.1", 50_000))
    codes = {local.get(ACTIONS, headers={"Authorization": "Bearer no"}).status_code for _ in range(30)}
    assert codes == {401, 429}
    assert local.get(ACTIONS, headers={"Authorization": f"Bearer {KEY}"}).status_code == 200


def test_the_window_of_failures_slides() -> None:
    """What is old no longer counts."""
    limiter = FailureLimiter(max_failures=2, window_s=0.0)
    limiter.add_failure("a")
    limiter.add_failure("a")
    assert limiter.retry_after_s("a") == 0


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "localhost.", "[::2]"]
)
def test_a_rebound_name_is_refused(client: TestClient, host: str) -> None:
    """A page that points its own name at this machine gets nothing, key or not."""
    answer = client.get(ACTIONS, headers={"Host": host})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "host_not_allowed")


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "LOCALHOST:9", "[::1]:8000"])
def test_local_names_are_served(client: TestClient, host: str) -> None:
    """By any port."""
    assert client.get(ACTIONS, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(("allowed", "status"), [("herald.example", 200), ("*", 200), ("other.example", 422)])
def test_further_names_are_a_setting(services: Services, settings: Settings, allowed: str, status: int) -> None:
    """For those who put a proxy in front."""
    services.settings = settings.model_copy(update={"allowed_hosts": [allowed]})
    client = TestClient(create_app(services=services, with_ui=False), base_url="http://herald.example")
    assert client.get(ACTIONS, headers={"Authorization": f"Bearer {KEY}"}).status_code == status


def test_a_browser_without_a_session_is_sent_to_sign_in(anonymous: TestClient) -> None:
    """Pages redirect; the API answers JSON."""
    page = anonymous.get("/", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["location"]) == (303, "/signin")
    deep = anonymous.get("/approvals", headers={"Accept": "text/html,*/*"})
    assert deep.headers["location"] == "/signin?next=/approvals"
    assert anonymous.get(ACTIONS, headers={"Accept": "text/html"}).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": BASE_URL},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9000"},
        {"Origin": ""},
    ],
)
def test_another_site_cannot_act_through_a_signed_in_browser(
    anonymous: TestClient, services: Services, headers: dict[str, str]
) -> None:
    """The cookie alone changes nothing."""
    browser = signed_in(anonymous, services)
    action = services.actions.propose("scrape_url", {"url": "https://example.com"}, actor="t")
    answer = browser.post(f"{ACTIONS}/{action.id}/approve", json={"digest": action.digest}, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "cross_site")
    assert services.actions.get(action.id).status == "awaiting_approval"


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": BASE_URL}, {}])
def test_heralds_own_pages_can(anonymous: TestClient, services: Services, headers: dict[str, str]) -> None:
    """And the audit log says that it was the owner."""
    browser = signed_in(anonymous, services)
    action = services.actions.propose("scrape_url", {"url": "https://example.com"}, actor="t")
    answer = browser.post(f"{ACTIONS}/{action.id}/approve", json={"digest": action.digest}, headers=headers)
    assert answer.status_code == 200
    assert services.audit.entries(action.id)[0].actor == "Owner in the browser"


def test_a_program_needs_no_origin(client: TestClient) -> None:
    """Its key cannot be sent by a foreign page."""
    body = {"type": "scrape_url", "params": {"url": "https://example.com"}}
    assert client.post(ACTIONS, json=body, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 201


def test_a_wrong_key_is_not_saved_by_a_cookie(anonymous: TestClient, services: Services) -> None:
    """What presents a key is judged by it."""
    browser = signed_in(anonymous, services)
    assert browser.get(ACTIONS, headers={"Authorization": "Bearer no"}).status_code == 401
