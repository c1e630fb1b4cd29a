"""What the worker makes of an action when the database says no just before the irreversible step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.actions.execution import ExecutionService
from app.actions.records import Status
from app.db.engine import StorageFull
from app.errors import AppError, NotFound
from app.services import Services, build_services
from app.settings import Settings
from automation import execution
from automation.actions.base import ActionContext, ActionResult, ActionType
from automation.config import AutomationSettings
from automation.tasks import ActionRunner


class Here:
    """Hands in this process: they take the irreversible step and do nothing else."""

    def __init__(self) -> None:
        self.steps = 0

    def in_child(self, _action: ActionType[Any]) -> Here:
        return self

    def execute(self, _params: object, context: ActionContext) -> ActionResult:
        context.before_irreversible()
        self.steps += 1
        return ActionResult("Sent.", {})


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HERALD_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(execution, "BACKOFF_S", (0.0, 0.0))
    services = build_services(Settings(inference_port=9, _env_file=None), wake=lambda _id: None)
    yield services
    services.close()


def run(services: Services, monkeypatch: pytest.MonkeyPatch, *errors: AppError) -> tuple[Here, str]:
    """Run a form's action; the commit of ``sending`` fails with each of the errors, then works."""
    left, hands = list(errors), Here()
    mark_sending: Callable[..., None] = ExecutionService.mark_sending

    def failing(self: ExecutionService, claim: Any) -> None:
        if left:
            raise left.pop(0)
        mark_sending(self, claim)

    monkeypatch.setattr(ExecutionService, "mark_sending", failing)
    params = {"url": "https://example.com/book", "fields": {"name": "Ann"}}
    action = services.actions.propose("fill_form", params, actor="test")
    services.actions.approve(action.id, action.digest, actor="test")
    services.execution.heartbeat("w1")
    settings = AutomationSettings(_env_file=None)
    ActionRunner(services, "w1", settings, hands).run_action(action.id)  # type: ignore[arg-type] - hands of the test
    return hands, action.id


def test_what_does_not_pass_fails_the_action_before_the_step(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its reason is told, and nothing was sent."""
    hands, action_id = run(services, monkeypatch, NotFound("The account is gone."))
    action = services.actions.get(action_id)
    assert action.status is Status.FAILED
    assert action.error is not None
    assert action.error["message"] == "Nothing was submitted: The account is gone."
    assert hands.steps == 0


def test_a_full_disk_that_passes_delays_the_step(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was approved does not fail of it, and is done once."""
    hands, action_id = run(services, monkeypatch, StorageFull("The disk is full."), StorageFull("The disk is full."))
    assert services.actions.get(action_id).status is Status.SUCCEEDED
    assert hands.steps == 1


def test_a_disk_that_stays_full_leaves_the_action_waiting(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again later, and says so; the site is not blamed."""
    hands, action_id = run(services, monkeypatch, *[StorageFull("The disk is full.")] * 3)
    action = services.actions.get(action_id)
    assert action.status is Status.APPROVED
    assert action.held is not None
    assert "The disk is full." in action.held.reason
    assert (hands.steps, services.holds.sites()) == (0, [])
