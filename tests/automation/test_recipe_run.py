"""A form that changed between two approved runs, from the worker's side: nothing goes out unseen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.actions.records import Status
from app.services import Services, build_services
from app.settings import Settings
from automation.config import AutomationSettings
from automation.hands.client import Hands
from automation.tasks import ActionRunner
from tests.sites.changing import FIRST, Changing, create_app
from tests.sites.serving import serve

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """The application's services over a box of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HERALD_HOME", str(tmp_path / "home"))
    settings = Settings(allow_private_addresses=True, inference_port=9, _env_file=None)
    services = build_services(settings, wake=lambda _id: None)
    yield services
    services.close()


def test_a_changed_page_ends_in_a_fresh_proposal_and_its_approval_sends_it(services: Services) -> None:
    """Linked to the old action; the values are the same; the healed way is followed from then on."""
    settings = AutomationSettings(_env_file=None)
    hands = Hands(settings, hidden=(services.settings.home,))
    worker = ActionRunner(services, "worker_test", settings, hands)
    services.execution.heartbeat("worker_test")
    site = Changing()

    def run(action_id: str, digest: str) -> Status:
        services.actions.approve(action_id, digest, actor="test")
        worker.run_action(action_id)
        return services.actions.get(action_id).status

    with serve(create_app(site)) as base_url, closing(hands):
        params = {"url": f"{base_url}/book", "fields": {"name": "Ann Lee", "email": "ann@example.com"}}
        first = services.actions.propose("fill_form", params, actor="test")
        assert run(first.id, first.digest) is Status.SUCCEEDED
        site.form = FIRST.replace("E-mail address", "Contact e-mail")
        second = services.actions.propose("fill_form", params, actor="test")
        assert run(second.id, second.digest) is Status.FAILED
        assert len(site.sent) == 1
        error = services.actions.get(second.id).error
        assert error is not None
        assert error["code"] == "page_changed"
        fresh = services.actions.get(error["proposal_id"])
        assert fresh.status is Status.AWAITING_APPROVAL
        assert fresh.params["fields"] == params["fields"]
        assert fresh.digest != second.digest
        assert services.audit.entries(fresh.id)[0].detail["instead_of"] == second.id
        assert [view.state.value for view in services.recipes.all()] == ["proposed", "active"]
        assert run(fresh.id, fresh.digest) is Status.SUCCEEDED
        assert len(site.sent) == 2
        assert site.sent[1] == site.sent[0]
    assert [view.state.value for view in services.recipes.all()] == ["active", "retired"]
    assert services.audit.verify().is_sound
