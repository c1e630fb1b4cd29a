"""Logging in by hand: the real app and worker, a real browser, and a site that lets its owner in."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from app.accounts.service import NewAccount
from app.errors import Unavailable
from app.services import Services, build_services
from app.settings import Settings
from automation.config import AutomationSettings
from automation.hands.client import Hands
from automation.remote_login import RemoteLogins
from tests.sites import social
from tests.sites.serving import serve


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A box of its own that may open local sites."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HERALD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HERALD_ALLOW_PRIVATE_ADDRESSES", "true")
    return Settings(inference_port=9, _env_file=None)


def connect(services: Services, base_url: str) -> str:
    new = NewAccount(platform="x", handle="acme", username="acme", base_url=base_url, password="")
    return services.within("prj_default").accounts.create(new, "test").id


async def collect(services: Services, account_id: str) -> list[dict[str, Any]]:
    """All that is said to the owner who types his name and password, as he would."""
    said: list[dict[str, Any]] = []
    steps = [
        [{"kind": "key", "key": "Tab"}],
        [{"kind": "text", "text": "acme"}, {"kind": "key", "key": "Enter"}],
    ]
    async for message in services.logins.run(account_id, "prj_default", "test"):
        said.append(message)
        if "frame" in message:
            if steps:
                await services.logins.send(account_id, steps.pop(0))
            else:
                await services.logins.send(account_id, [{"kind": "done"}])
    return said


def test_without_a_worker_the_owner_is_told(settings: Settings) -> None:
    """The page says that the worker is not there."""
    services = build_services(settings, wake=lambda _action_id: None)
    with pytest.raises(Unavailable, match="worker"):
        asyncio.run(collect(services, "acc_1"))
    services.close()


@pytest.mark.browser
@pytest.mark.slow
def test_the_owner_logs_in_himself(settings: Settings) -> None:
    """Pictures come, inputs go, a second window is refused, and the session is kept encrypted."""
    services = build_services(settings, wake=lambda _action_id: None)
    hands = Hands(AutomationSettings(_env_file=None), hidden=(settings.home,))
    logins = RemoteLogins(services, hands)
    logins.start()
    try:
        with serve(social.create_app()) as base_url:
            account_id = connect(services, base_url)
            said = asyncio.run(collect(services, account_id))
        frames = [message["frame"] for message in said if "frame" in message]
        assert said[-1] == {"done": True}, said[-1]
        assert frames[0]["url"].startswith(base_url)
        assert len(frames) >= 3
        accounts = services.within("prj_default").accounts
        assert accounts.load_session(accounts.port(account_id)) is not None
        gone = asyncio.run(collect(services, "acc_none"))
        assert gone[-1]["error"]["code"] == "not_found"
    finally:
        logins.close()
        hands.close()
        services.close()
