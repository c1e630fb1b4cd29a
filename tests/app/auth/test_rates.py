"""The general limits of requests: who is counted, what is said, and that the window moves."""

from __future__ import annotations

import pytest
import time_machine
from fastapi.testclient import TestClient

from app.auth.rates import RequestRates
from app.auth.records import Actor
from app.errors import TooManyRequests
from app.main import create_app
from app.services import Services
from app.settings import Settings
from tests.app.conftest import BASE_URL, KEY

ANN = Actor("usr_ann", "Ann", is_box_owner=False, via="token")
ANNS_KEY = Actor("usr_ann", "Ann", is_box_owner=False, via="api_key", key_id="key_1")
NOBODY = Actor("", "nobody", is_box_owner=False, via="system")


def test_a_user_over_the_limit_is_told_when_to_come_again() -> None:
    """A key of theirs and another person count apart."""
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False) as now:
        rates = RequestRates(per_user=2, per_address=0)
        rates.count_user(ANN)
        now.shift(20)
        rates.count_user(ANN)
        with pytest.raises(TooManyRequests, match="2 requests within a minute; the next is possible in 40 s") as caught:
            rates.count_user(ANN)
        assert caught.value.retry_after_s == 40
        assert "HERALD_REQUESTS_PER_USER" in caught.value.hint
        rates.count_user(ANNS_KEY)
        now.shift(41)
        rates.count_user(ANN)


def test_an_address_is_counted_but_not_this_machine() -> None:
    """An IPv6 customer has a /64 and is one address all the same; loopback is free."""
    rates = RequestRates(per_user=0, per_address=1)
    rates.count_address("203.0.113.5")
    rates.count_address("203.0.113.6")
    rates.count_address("2001:db8::1")
    for address in ("203.0.113.5", "2001:db8::2"):
        with pytest.raises(TooManyRequests):
            rates.count_address(address)
    for _ in range(5):
        rates.count_address("127.0.0.1")
        rates.count_address("::1")


def test_nought_means_no_limit() -> None:
    """Nor is nobody counted as a user."""
    rates = RequestRates(per_user=0, per_address=0)
    strict = RequestRates(per_user=1, per_address=0)
    for _ in range(5):
        rates.count_user(ANN)
        rates.count_address("203.0.113.5")
        strict.count_user(NOBODY)


def test_the_app_answers_429_with_retry_after(services: Services, settings: Settings) -> None:
    """In the one shape of errors; this machine's own health checks go on."""
    services.settings = settings.model_copy(update={"requests_per_user": 2, "requests_per_address": 3})
    app = create_app(services=services, with_ui=False)
    local = TestClient(app, base_url=BASE_URL, client=("127.0.0.1", 50_000), headers={"Authorization": f"Bearer {KEY}"})
    assert [local.get("/api/v1/auth/me").status_code for _ in range(3)] == [200, 200, 429]
    refused = local.get("/api/v1/auth/me")
    assert refused.json()["error"]["code"] == "rate_limited"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert {local.get("/healthz").status_code for _ in range(5)} == {200}
    remote = TestClient(app, base_url=BASE_URL, client=("203.0.113.5", 50_000))
    assert [remote.get("/signin").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert remote.get("/healthz").status_code == 429
