"""What holds an approved action: the stop, its own time, rates, quiet hours, a site that fails."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from app import clock
from app.actions.execution import Held
from app.actions.holds import FAILURES_BEFORE_REST, FIRST_REST_S
from app.actions.limits import QuietHours, Rate
from app.actions.records import Action, Claim, Status
from app.services import Services
from automation.errors import ActionError
from tests.app.actions.test_execution import RESULT
from tests.app.actions.test_service import POST, connected
from tests.app.conftest import Uptime


@pytest.fixture(autouse=True)
def account(services: Services) -> str:
    """The account that everything here is posted as."""
    return connected(services)


def approved(services: Services, **planned: object) -> Action:
    action = services.actions.propose("post_social", POST, actor="test", **planned)  # type: ignore[arg-type]
    return services.actions.approve(action.id, action.digest, actor="owner")


def claimed(services: Services) -> Claim:
    claim = services.execution.claim(approved(services).id, "w1")
    assert claim is not None
    return claim


def held(services: Services, action_id: str) -> str:
    action = services.actions.get(action_id)
    return action.held.reason if action.held else ""


def test_the_stop_holds_what_waits_and_what_is_about_to_submit(services: Services) -> None:
    """Both say why; after it is lifted both go on."""
    claim, waiting = claimed(services), approved(services)
    services.holds.stop(actor="Ada", reason="wrong campaign")
    assert services.execution.claim(waiting.id, "w2") is None
    assert "stopped by Ada, because: wrong campaign" in held(services, waiting.id)
    with pytest.raises(Held) as caught:
        services.execution.mark_sending(claim)
    services.execution.release(claim, caught.value.hold)
    assert services.actions.get(claim.action_id).status is Status.APPROVED
    assert "wrong campaign" in held(services, claim.action_id)
    assert services.execution.due() == []
    services.holds.resume(actor="Ada")
    assert set(services.execution.due()) == {claim.action_id, waiting.id}
    assert services.execution.claim(waiting.id, "w2") is not None


def test_a_planned_action_waits_for_both_clocks(services: Services, uptime: Uptime) -> None:
    """A wall clock that was set forward by an hour does not send it early."""
    planned = approved(services, not_before=clock.now() + timedelta(minutes=30))
    assert services.execution.claim(planned.id, "w1") is None
    assert "planned" in held(services, planned.id)
    with time_machine.travel(clock.now() + timedelta(hours=1), tick=False):
        assert services.execution.claim(planned.id, "w1") is None
        uptime.pass_(1_801)
        assert services.execution.due() == [planned.id]
        assert services.execution.claim(planned.id, "w1") is not None


def test_a_planned_action_expires_after_its_moment(services: Services) -> None:
    """The day that it has to be run in begins when it may be."""
    planned = approved(services, not_before=clock.now() + timedelta(days=3))
    assert planned.expires_at > clock.now() + timedelta(days=3, hours=23)


def test_a_rate_is_shared_and_counted_at_the_step(services: Services, uptime: Uptime) -> None:
    """Two that were claimed under a limit of one: the second is held before it submits."""
    services.holds.add_limit(Rate(max_count=1, per_s=3_600), account="x:acme", actor="Ada")
    first, second = claimed(services), claimed(services)
    services.execution.mark_sending(first)
    with pytest.raises(Held, match="at most 1 in 1 hour"):
        services.execution.mark_sending(second)
    third = approved(services)
    assert services.execution.claim(third.id, "w1") is None
    assert "x:acme" in held(services, third.id)
    with time_machine.travel(clock.now() + timedelta(hours=2), tick=False):
        assert services.execution.claim(third.id, "w1") is None, "a clock that was set forward frees nothing"
    uptime.pass_(3_601)
    assert services.execution.claim(third.id, "w1") is not None


def test_a_limit_of_another_account_or_site_holds_nothing(services: Services) -> None:
    """Limits are for what they name; one that is removed no longer counts."""
    services.holds.add_limit(Rate(max_count=1, per_s=60, counted_by="site"), target="example.com", actor="Ada")
    services.holds.add_limit(Rate(max_count=1, per_s=60), account="x:other", actor="Ada")
    mine = services.holds.add_limit(Rate(max_count=1, per_s=60, counted_by="site"), target="x.com", actor="Ada")
    services.execution.mark_sending(claimed(services))
    assert services.execution.claim(approved(services).id, "w1") is None
    services.holds.remove_limit(mine.id, actor="Ada")
    services.execution.mark_sending(claimed(services))


def test_quiet_hours_hold_until_they_end(services: Services) -> None:
    """The card says until when."""
    at = clock.now()
    starts, ends = (at - timedelta(hours=1)).strftime("%H:%M"), (at + timedelta(hours=1)).strftime("%H:%M")
    services.holds.add_limit(QuietHours(starts=starts, ends=ends, time_zone="UTC"), actor="Ada")
    action = approved(services)
    assert services.execution.claim(action.id, "w1") is None
    shown = services.actions.get(action.id)
    assert shown.held is not None
    assert shown.held.until is not None
    assert shown.held.until.strftime("%H:%M") == ends
    with time_machine.travel(at + timedelta(hours=1, minutes=1), tick=False):
        assert services.execution.claim(action.id, "w1") is not None


def test_a_failing_site_gets_a_rest_and_then_one_try(services: Services, uptime: Uptime) -> None:
    """After enough failures in a row nothing goes there; then one action does, and its success ends it."""
    claims = [claimed(services) for _ in range(FAILURES_BEFORE_REST)]
    for claim in claims:
        error = ActionError("The site answered 503.", is_site_fault=True)
        services.execution.finish_failure(claim, error)
    first, second = approved(services), approved(services)
    assert services.execution.claim(first.id, "w1") is None
    assert "gets a rest after 5 failures" in held(services, first.id)
    assert [site.target for site in services.holds.sites()] == ["x.com"]
    uptime.pass_(FIRST_REST_S + 1)
    probe = services.execution.claim(first.id, "w1")
    assert probe is not None
    assert services.execution.claim(second.id, "w2") is None
    services.execution.mark_sending(probe)
    services.execution.finish_success(probe, RESULT)
    assert services.holds.sites() == []
    assert services.execution.claim(second.id, "w2") is not None


def test_retry_after_is_obeyed(services: Services, uptime: Uptime) -> None:
    """The action goes back unsent, and everything else for that site waits as well."""
    claim, other = claimed(services), approved(services)
    services.execution.finish_failure(claim, ActionError("Too many requests.", code="rate_limited", retry_after_s=900))
    shown = services.actions.get(claim.action_id)
    assert shown.status is Status.APPROVED
    assert shown.held is not None
    assert "Too many requests" in shown.held.reason
    uptime.pass_(890)
    assert services.execution.claim(claim.action_id, "w1") is None
    assert services.execution.claim(other.id, "w1") is None
    uptime.pass_(11)
    assert services.execution.claim(claim.action_id, "w1") is not None


def test_a_passing_fault_before_the_step_is_tried_again_later_and_then_given_up(
    services: Services, uptime: Uptime
) -> None:
    """Nothing was submitted; after the last try it fails with the site's reason."""
    action = approved(services)
    for _ in range(3):
        claim = services.execution.claim(action.id, "w1")
        assert claim is not None
        services.execution.finish_failure(claim, ActionError("Down.", retryable=True, is_site_fault=False))
        assert services.actions.get(action.id).status is Status.APPROVED
        uptime.pass_(1_000)
    claim = services.execution.claim(action.id, "w1")
    assert claim is not None
    services.execution.finish_failure(claim, ActionError("Down.", retryable=True, is_site_fault=False))
    assert services.actions.get(action.id).status is Status.FAILED
