"""Fifty secrets are planted and the box is used as in earnest: none of them comes out anywhere."""

from __future__ import annotations

import base64
import io
import json
import logging
import secrets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import structlog
from cryptography.fernet import Fernet
from fastapi.testclient import TestClient
from pydantic import SecretStr

from app.accounts.service import NewAccount
from app.chat.outcome import OutcomeReporter
from app.chat.service import ChatService
from app.logging import REDACTED, configure_logging
from app.main import create_app
from app.services import Services, build_services
from app.settings import Settings
from automation.actions.base import Account
from automation.config import AutomationSettings
from automation.hands.client import Hands
from automation.tasks import ActionRunner
from tests.app.chat.fake_inference import FakeInference
from tests.sites import social
from tests.sites.serving import serve

pytestmark = [pytest.mark.browser, pytest.mark.slow]
HANDLES = ("acme", "globex", *(f"brand{number}" for number in range(12)))


def canary(what: str) -> str:
    """A secret that stands nowhere by chance, with characters that URLs and JSON spell in their own way."""
    return f"{what}-{secrets.token_hex(9)}"


class Canaries:
    """All planted secrets."""

    def __init__(self) -> None:
        self.passwords = {handle: canary("pässwörd&\"'") for handle in HANDLES}
        self.cookies = {handle: canary("cookie") for handle in HANDLES}
        self.storage = {handle: canary("storage") for handle in HANDLES}
        self.api_key, self.inference_key = canary("apikey"), canary("inferencekey")
        self.vault_keys = [Fernet.generate_key().decode() for _ in range(2)]
        self.tokens = [canary("token") for _ in range(8)]
        self.born: list[str] = []  # made by the box and the sites while they run

    def all(self) -> list[str]:
        """Every one of them."""
        planted = [*self.passwords.values(), *self.cookies.values(), *self.storage.values()]
        return [*planted, self.api_key, self.inference_key, *self.vault_keys, *self.tokens, *self.born]

    def found_in(self, content: bytes) -> list[str]:
        """Those that stand in the bytes: as they are, as URLs and JSON spell them, and in base64."""
        return [secret for secret in self.all() if any(form in content for form in _forms(secret))]


def _forms(secret: str) -> set[bytes]:
    texts = {secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1], repr(secret)[1:-1]}
    return {text.encode() for text in texts} | {base64.b64encode(secret.encode()).rstrip(b"=")[:-1]}


@pytest.fixture
def planted() -> Canaries:
    """The secrets of this run."""
    return Canaries()


@pytest.fixture
def logged() -> io.StringIO:
    """Every line that is logged, as it is written."""
    return io.StringIO()


@pytest.fixture
def services(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, planted: Canaries, logged: io.StringIO
) -> Iterator[Services]:
    """A box whose own keys are canaries too, and that logs all it can."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HERALD_HOME", str(tmp_path / "home"))
    settings = Settings(
        allow_private_addresses=True,
        inference_port=9,
        api_key=SecretStr(planted.api_key),
        inference_key=SecretStr(planted.inference_key),
        vault_key=SecretStr(",".join(planted.vault_keys)),
        log_level="debug",
        log_format="json",
        _env_file=None,
    )
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging(settings)
    (handler,) = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(logged)
    services = build_services(settings, wake=lambda _id: None)
    yield services
    services.close()
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def plant(services: Services, planted: Canaries, base_url: str) -> None:
    """Fourteen accounts with their logins and sessions."""
    for handle in HANDLES:
        new = NewAccount("x", handle, handle, base_url, password=planted.passwords[handle])
        services.accounts.create(new, "test")
        if handle in {"acme", "globex"}:
            continue  # these log in for themselves
        state = {
            "cookies": [{"name": "auth", "value": planted.cookies[handle], "domain": "x", "path": "/"}],
            "origins": [{"origin": base_url, "localStorage": [{"name": "t", "value": planted.storage[handle]}]}],
        }
        services.accounts.save_session(Account("x", handle, base_url), state)
    cookies = [{"name": n, "value": v} for n, v in zip("abcd", [*list(planted.cookies.values())[:2]] * 2, strict=True)]
    services.accounts.save_session(Account("x", "brand0", base_url), {"cookies": cookies, "origins": []})
    storage = [{"name": "t", "value": value} for value in planted.storage.values()]
    services.accounts.save_session(Account("x", "brand1", base_url), {"cookies": [], "origins": storage})


def use_chat(services: Services, inference: FakeInference, text: str) -> str:
    """Have a post proposed in a conversation, as the model sees it; returns the action's id."""
    llm = inference.client()
    chat = ChatService(
        services.database,
        services.conversations,
        services.actions,
        services.accounts,
        services.memory,
        llm,
        services.analytics,
    )
    params = {"platform": "x", "account": text.rpartition(" ")[2], "text": "Hello there"}
    inference.turns.append({"action": {"type": "post_social", "params": params}, "reply": "Here it is."})
    inference.is_obedient = False
    answer = chat.turn(text, actor="owner")
    assert answer.action is not None
    return answer.action.id


def use_api(services: Services, planted: Canaries, action_ids: list[str]) -> bytes:
    """Every answer to requests good and bad, as one."""
    app = create_app(services=services, with_ui=False)

    @app.get("/api/v1/broken")
    def broken() -> None:
        raise RuntimeError(f"cannot log in with {planted.passwords['brand3']} and {planted.cookies['brand3']}")

    app.router.routes.insert(0, app.router.routes.pop())
    client = TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False, follow_redirects=False)
    link = urlsplit(services.auth.create_signin_link())
    planted.born.append(link.query.removeprefix("token="))
    said = b""
    for headers in ({"Authorization": f"Bearer {planted.api_key}"}, {"Authorization": f"Bearer {planted.tokens[0]}"}):
        for path in ("accounts", "audit", "actions", "recipes", "healthz", "broken", "nothing", "metrics"):
            answer = client.get(f"/api/v1/{path}", params={"token": planted.tokens[1]}, headers=headers)
            said += answer.content + str(answer.headers.items()).encode()
        for action_id in action_ids:
            shown = client.get(f"/api/v1/actions/{action_id}", headers=headers)
            said += shown.content
            for item in (shown.json().get("evidence") or []) if shown.status_code == 200 else []:
                said += client.get(item["url"], headers=headers).content if item["url"].startswith("/") else b""
        bad = {"platform": "x", "handle": "bad handle", "username": "u", "password": planted.tokens[2]}
        said += client.post("/api/v1/accounts", json=bad, headers=headers).content
        taken = {"platform": "x", "handle": "acme", "username": "u", "password": planted.tokens[3]}
        said += client.post("/api/v1/accounts", json=taken, headers=headers).content
        said += client.get("/metrics", headers=headers).content
    signed_in = client.get(f"{link.path}?{link.query}")
    planted.born += [cookie.value for cookie in client.cookies.jar if cookie.value and len(cookie.value) > 15]
    assert signed_in.status_code in (200, 302, 303)
    return said + signed_in.content


def log_carelessly(planted: Canaries) -> None:
    """What libraries and hurried code write."""
    log = logging.getLogger("careless")
    log.warning("GET https://user:%s@x.example/a?access_token=%s&x=1", planted.tokens[4], planted.tokens[5])
    log.warning("headers %s", {"Authorization": f"Basic {planted.tokens[6]}"})
    structlog.get_logger("careless").error("state", body={"cookies": list(planted.cookies.values())})
    structlog.get_logger("careless").error(
        f"keys {planted.vault_keys} {planted.inference_key}", token=planted.tokens[7]
    )
    try:
        raise ValueError(planted.passwords["acme"], planted.storage["brand2"])
    except ValueError:
        log.exception("no luck with %r", planted.passwords)


def test_no_planted_secret_comes_out(
    services: Services,
    planted: Canaries,
    monkeypatch: pytest.MonkeyPatch,
    logged: io.StringIO,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Through accounts, chat, a post that goes out, a login that fails, errors, tracebacks, evidence and answers."""
    inference = FakeInference()
    monkeypatch.setitem(social.ACCOUNTS, "acme", planted.passwords["acme"])
    site = social.create_app()
    settings = AutomationSettings(_env_file=None)
    hands = Hands(settings, hidden=(services.settings.home,))
    runner = ActionRunner(services, "worker_test", settings, hands)
    services.execution.heartbeat("worker_test")
    llm = inference.client()
    outcomes = OutcomeReporter(services.database, services.conversations, services.actions, services.execution, llm)
    statuses = []
    with serve(site) as base_url, closing(hands):
        plant(services, planted, base_url)
        action_ids = [use_chat(services, inference, f"Post on X: Hello there as {name}") for name in HANDLES[:2]]
        for action_id in action_ids:
            services.actions.approve(action_id, services.actions.get(action_id).digest, actor="test")
            runner.run_action(action_id)
            outcomes.report_outcome(action_id)
            statuses.append(services.actions.get(action_id).status.value)
    assert statuses == ["succeeded", "failed"]
    planted.born += list(site.state.social.sessions)
    assert len(planted.all()) >= 50
    log_carelessly(planted)
    answers = use_api(services, planted, action_ids)
    out_of: dict[str, Any] = {
        "answers": planted.found_in(answers),
        "logs": planted.found_in(logged.getvalue().encode()),
        "child's output": planted.found_in("".join(capfd.readouterr()).encode()),
        "prompts": planted.found_in(json.dumps(inference.requests, ensure_ascii=False).encode()),
    }
    files = [path for path in services.settings.home.rglob("*") if path.is_file() and path.parent.name != "keys"]
    out_of |= {str(path): planted.found_in(path.read_bytes()) for path in files}
    assert {place: found for place, found in out_of.items() if found} == {}
    assert logged.getvalue().count(REDACTED) > 20
    assert inference.requests
    assert any(path.suffix == ".txt" for path in files) or any(path.suffix == ".png" for path in files)


def test_the_search_finds_a_secret_that_is_there(planted: Canaries) -> None:
    """However it is spelled; else the other test could not fail."""
    for secret in planted.all():
        for content in (secret, quote(secret), json.dumps({"a": secret})):
            assert planted.found_in(b"before " + content.encode() + b" after") == [secret]
