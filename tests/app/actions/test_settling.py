"""After the irreversible step: what a keyed platform allows, what a look finds, what stays open."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from app import clock
from app.actions.records import Claim, Status
from app.actions.rules import LOOK_WAIT_S, MAX_SENDS
from app.services import Services
from automation.actions.base import Reconciled, ReconciledOutcome
from automation.actions.scrape_url import ScrapeUrl
from automation.errors import ActionError
from tests.app.actions.test_execution import RESULT, approved
from tests.app.conftest import Uptime

LOST = ActionError("The connection broke after the request was sent.")


@pytest.fixture
def keyed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform that takes a key of ours."""
    monkeypatch.setattr(ScrapeUrl, "is_keyed", lambda _self, _params: True)


def sent(services: Services) -> Claim:
    claim = services.execution.claim(approved(services).id, "w1")
    assert claim is not None
    services.execution.mark_sending(claim)
    return claim


def status(services: Services, claim: Claim) -> Status:
    return services.actions.get(claim.action_id).status


def test_an_error_after_the_step_leaves_it_open_unless_the_site_said_no(services: Services) -> None:
    """A refusal is a failure; anything else is unconfirmed."""
    lost, refused = sent(services), sent(services)
    services.execution.finish_failure(lost, LOST)
    services.execution.finish_failure(refused, ActionError("Duplicate post.", is_refused=True))
    assert (status(services, lost), status(services, refused)) == (Status.UNCONFIRMED, Status.FAILED)


def test_a_keyed_platform_is_asked_again_with_the_same_intent(services: Services, keyed: None, uptime: Uptime) -> None:
    """The next claim carries the intent and says that it had begun; it may go through the step again."""
    first = sent(services)
    services.execution.finish_failure(first, LOST)
    assert status(services, first) is Status.SENDING
    assert services.execution.claim(first.action_id, "w2") is None, "not at once"
    uptime.pass_(3)
    assert services.execution.due() == [first.action_id]
    second = services.execution.claim(first.action_id, "w2")
    assert second is not None
    assert second.intent_id == first.intent_id
    assert second.began_at is not None
    services.execution.mark_sending(second)
    services.execution.finish_success(second, RESULT)
    assert status(services, first) is Status.SUCCEEDED


def test_a_keyed_platform_is_not_asked_for_ever(services: Services, keyed: None, uptime: Uptime) -> None:
    """After MAX_SENDS times it is unconfirmed; past its expiry at once."""
    claim = sent(services)
    for _ in range(MAX_SENDS - 1):
        services.execution.finish_failure(claim, LOST)
        uptime.pass_(1_000)
        again = services.execution.claim(claim.action_id, "w1")
        assert again is not None
        claim = again
    services.execution.finish_failure(claim, LOST)
    assert status(services, claim) is Status.UNCONFIRMED
    late = sent(services)
    with time_machine.travel(clock.now() + timedelta(hours=25), tick=False):
        services.execution.finish_failure(late, LOST)
        assert status(services, late) is Status.UNCONFIRMED


def test_a_keyed_platform_that_says_later_is_asked_when_it_said(
    services: Services, keyed: None, uptime: Uptime
) -> None:
    """A 429 with Retry-After costs nobody an approval; one that ends after the approval does, and one without a key."""
    later = ActionError("Too many requests.", is_refused=True, retry_after_s=600.0)
    never = ActionError("Too many requests.", is_refused=True, retry_after_s=30 * 86_400.0)
    first, too_late = sent(services), sent(services)
    services.execution.finish_failure(first, later)
    assert status(services, first) is Status.SENDING
    uptime.pass_(599)
    assert services.execution.claim(first.action_id, "w2") is None
    uptime.pass_(2)
    with time_machine.travel(clock.now() + timedelta(seconds=601), tick=False):  # the site's own rest is over too
        assert services.execution.claim(first.action_id, "w2") is not None
    services.execution.finish_failure(too_late, never)
    assert status(services, too_late) is Status.FAILED


def test_a_look_settles_what_it_finds(services: Services, uptime: Uptime) -> None:
    """Not before its time; it may not submit; what it finds is the result."""
    claim = sent(services)
    services.execution.finish_failure(claim, LOST)
    assert services.execution.claim_look(claim.action_id, "w2") is None
    uptime.pass_(LOOK_WAIT_S[0] + 1)
    assert services.execution.looks_due() == [claim.action_id]
    look = services.execution.claim_look(claim.action_id, "w2")
    assert look is not None
    assert look.is_look
    with pytest.raises(Exception, match=r"."):
        services.execution.mark_sending(look)
    services.execution.finish_look(look, Reconciled(ReconciledOutcome.HAPPENED, RESULT))
    assert status(services, claim) is Status.SUCCEEDED


def test_looks_grow_rarer_and_end_with_a_person(services: Services, uptime: Uptime) -> None:
    """A look in vain says so on the card; after the last one nothing looks any more."""
    claim = sent(services)
    services.execution.finish_failure(claim, LOST)
    for wait_s in LOOK_WAIT_S:
        uptime.pass_(wait_s + 1)
        look = services.execution.claim_look(claim.action_id, "w1")
        assert look is not None
        services.execution.finish_look(look, Reconciled(ReconciledOutcome.DID_NOT_HAPPEN, note="Not on the profile."))
    uptime.pass_(100_000)
    assert services.execution.looks_due() == []
    action = services.actions.get(claim.action_id)
    assert action.status is Status.UNCONFIRMED
    assert action.error is not None
    assert action.error["looked"] == "Looked 4 of 4 times. Not on the profile."


def test_a_look_whose_worker_dies_is_repeated(services: Services, uptime: Uptime) -> None:
    """It changes nothing, so that it may."""
    claim = sent(services)
    services.execution.finish_failure(claim, LOST)
    uptime.pass_(LOOK_WAIT_S[0] + 1)
    assert services.execution.claim_look(claim.action_id, "w1") is not None
    uptime.pass_(services.execution.lease_s + LOOK_WAIT_S[1] + 1)
    assert services.execution.recover() == 1
    uptime.pass_(LOOK_WAIT_S[1] + 1)
    assert services.execution.claim_look(claim.action_id, "w2") is not None


def test_the_conversation_is_told_again_when_it_is_settled(services: Services) -> None:
    """First that nobody knows, then what became of it."""
    conversation = services.conversations.create("Read it")
    action = services.actions.propose(
        "scrape_url", {"url": "https://example.com"}, actor="model", conversation_id=conversation.id
    )
    services.actions.approve(action.id, action.digest, actor="owner")
    claim = services.execution.claim(action.id, "w1")
    assert claim is not None
    services.execution.mark_sending(claim)
    services.execution.finish_failure(claim, LOST)
    assert services.execution.unreported() == [action.id]
    with services.database.write() as session:
        services.execution.mark_reported_in(session, action.id)
    services.actions.settle(action.id, has_happened=True, actor="Ada")
    assert services.execution.unreported() == [action.id]


def test_a_look_that_is_given_back_is_still_to_come(services: Services, uptime: Uptime) -> None:
    """A worker that stops in the middle of it has changed nothing, and the look does not count."""
    claim = sent(services)
    services.execution.finish_failure(claim, LOST)
    uptime.pass_(LOOK_WAIT_S[0] + 1)
    look = services.execution.claim_look(claim.action_id, "w1")
    assert look is not None
    services.execution.release(look)
    action = services.actions.get(claim.action_id)
    assert action.error is not None
    assert (action.status, action.error["message"], action.is_running) == (Status.UNCONFIRMED, LOST.message, False)
    uptime.pass_(LOOK_WAIT_S[0] + 1)
    assert services.execution.looks_due() == [claim.action_id]
