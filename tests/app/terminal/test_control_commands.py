"""The commands that hold actions back, over the real app."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from typer.testing import CliRunner, Result

from app.cli import app
from app.main import create_app
from app.services import Services
from tests.app.conftest import KEY
from tests.app.ui.conftest import serving

Run = Callable[..., Result]


@pytest.fixture
def herald(services: Services, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs ``herald`` against the app."""
    monkeypatch.setenv("HERALD_API_KEY", KEY)
    monkeypatch.setenv("COLUMNS", "200")
    with serving(create_app(services=services, with_ui=False)) as url:
        monkeypatch.setenv("HERALD_PORT", url.rpartition(":")[2])
        yield lambda *arguments: CliRunner().invoke(app, list(arguments))


def test_what_makes_no_sense_is_refused(herald: Run) -> None:
    """With the reason, and exit status 1."""
    for arguments in (
        ("limits", "quiet", "22:00", "22:00", "UTC"),
        ("limits", "remove", "lim_x"),
        ("policies", "add", "Everything", "--auto"),
        ("policies", "remove", "pol_x"),
        ("actions", "cancel", "act_x"),
        ("actions", "settle", "act_x", "succeeded"),
    ):
        result = herald(*arguments)
        assert result.exit_code == 1, arguments
        assert result.stderr


def test_stop_and_resume(herald: Run, services: Services) -> None:
    """The reason is kept."""
    assert herald("stop-actions", "--reason", "wrong campaign").exit_code == 0
    stop = services.holds.current_stop()
    assert stop is not None
    assert stop.reason == "wrong campaign"
    assert herald("resume-actions").exit_code == 0
    assert services.holds.current_stop() is None


def test_limits_and_policies_are_added_listed_and_removed(herald: Run, services: Services) -> None:
    """Each in words."""
    assert "at most 5 in 1 hour" in herald("limits", "rate", "5", "3600", "--account", "x:acme").stdout
    assert "quiet from 22:00 to 07:00" in herald("limits", "quiet", "22:00", "07:00", "Europe/Berlin").stdout
    assert "x:acme" in herald("limits", "list").stdout
    for limit in services.holds.limits():
        assert herald("limits", "remove", limit.id).exit_code == 0
    assert services.holds.limits() == []
    assert herald("policies", "add", "Pairs", "--type", "post_social", "--people", "2").exit_code == 0
    assert "Pairs" in herald("policies", "list").stdout
    assert herald("policies", "remove", services.policies.all()[0].id).exit_code == 0
    assert services.policies.all() == []


def test_an_approved_action_is_cancelled(herald: Run, services: Services) -> None:
    """The new status is printed."""
    action = services.actions.propose("scrape_url", {"url": "https://example.com"}, actor="test")
    services.actions.approve(action.id, action.digest, actor="owner")
    assert "cancelled" in herald("actions", "cancel", action.id).stdout
