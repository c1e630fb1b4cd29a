"""Proposals and decisions: what is refused, what an approval binds, and that it counts once."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import text

from app import clock
from app.accounts.service import NewAccount
from app.actions.records import Action, Status
from app.errors import AppError, Conflict, InvalidInput, NotFound
from app.services import Services
from tests.app.fakes import Waker

SCRAPE = {"url": "https://example.com/prices"}
POST = {"platform": "x", "text": "We open at 9am tomorrow!", "account": ""}


def proposed(services: Services, params: dict[str, str] = SCRAPE, type_name: str = "scrape_url") -> Action:
    return services.actions.propose(type_name, params, actor="test")


def connected(services: Services, handle: str = "acme", base_url: str = "https://x.com") -> str:
    new = NewAccount(platform="x", handle=handle, username="u", password="secret-pw", base_url=base_url)
    return services.accounts.create(new, "test").id


def events(services: Services, action: Action) -> list[str]:
    return [entry.event for entry in services.audit.entries(action.id)][::-1]


def test_an_unknown_type_is_refused_with_those_that_exist(services: Services) -> None:
    """The hint lists what can be proposed."""
    with pytest.raises(InvalidInput) as refusal:
        services.actions.propose("rm_rf", {}, actor="test")
    assert refusal.value.code == "unknown_action_type"
    assert "scrape_url" in refusal.value.hint


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "url: Field required"),
        ({"url": 5}, "url: Input should be a valid string (got 5)"),
        ({"url": "https://a.example", "cookies": "all"}, "cookies: Extra inputs are not permitted"),
        ({"url": "https://a.example/\x00"}, "U+0000"),
        ({"url": ""}, "url: String should have at least 1 character"),
    ],
)
def test_bad_params_are_refused_by_field(services: Services, params: dict[str, object], said: str) -> None:
    """Every wrong field is named with the reason; nothing is stored."""
    with pytest.raises(InvalidInput) as refusal:
        services.actions.propose("scrape_url", params, actor="test")
    assert said in refusal.value.message
    assert services.actions.newest() == []


def test_an_unknown_action_is_not_found(services: Services) -> None:
    """For every use."""
    for use in (
        lambda: services.actions.get("act_x"),
        lambda: services.actions.approve("act_x", "0" * 64, actor="t"),
        lambda: services.actions.reject("act_x", actor="t"),
        lambda: services.actions.edit("act_x", SCRAPE, actor="t"),
    ):
        with pytest.raises(NotFound):
            use()


def test_a_wrong_digest_approves_nothing(services: Services, waker: Waker) -> None:
    """409, and the action still waits."""
    action = proposed(services)
    with pytest.raises(Conflict) as refusal:
        services.actions.approve(action.id, "0" * 64, actor="owner")
    assert refusal.value.code == "digest_mismatch"
    assert services.actions.get(action.id).status is Status.AWAITING_APPROVAL
    assert waker.woken == []


def test_an_edit_voids_the_digest_that_was_shown(services: Services) -> None:
    """Whoever approves the old card approves nothing."""
    action = proposed(services)
    edited = services.actions.edit(action.id, {"url": "https://example.com/other"}, actor="owner")
    assert edited.digest != action.digest
    with pytest.raises(Conflict) as refusal:
        services.actions.approve(action.id, action.digest, actor="owner")
    assert refusal.value.code == "digest_mismatch"
    assert services.actions.approve(action.id, edited.digest, actor="owner").status is Status.APPROVED
    assert events(services, action) == ["action.proposed", "action.edited", "action.approved"]


def test_a_card_with_a_problem_cannot_be_approved(services: Services) -> None:
    """A post without a connected account is not runnable, and says so."""
    action = proposed(services, POST, "post_social")
    assert action.problems
    with pytest.raises(InvalidInput) as refusal:
        services.actions.approve(action.id, action.digest, actor="owner")
    assert refusal.value.code == "not_runnable"
    assert "No X account" in refusal.value.message


@pytest.mark.parametrize("field", ["type", "params_json", "account", "expires_at", "digest"])
def test_bytes_changed_behind_the_card_are_not_approved(services: Services, field: str) -> None:
    """The digest is taken again over what is stored."""
    connected(services)
    action = proposed(services, POST, "post_social")
    changed = {
        "type": "scrape_url",
        "params_json": '{"account":"","platform":"x","text":"Buy my coin"}',
        "account": '{"platform":"x","handle":"evil","base_url":"https://x.com"}',
        "expires_at": "2099-01-01 00:00:00.000000",
        "digest": "f" * 64,
    }[field]
    with services.database.write() as session:
        session.execute(text(f"UPDATE actions SET {field} = :v WHERE id = :i"), {"v": changed, "i": action.id})
    with pytest.raises(Conflict) as refusal:
        services.actions.approve(action.id, action.digest, actor="owner")
    assert refusal.value.code == "digest_mismatch"


def test_an_expired_proposal_cannot_be_decided(services: Services) -> None:
    """After a day it is expired, in the record and in the audit log."""
    action = proposed(services)
    with time_machine.travel(clock.now() + timedelta(hours=24, seconds=1), tick=False):
        with pytest.raises(Conflict) as refusal:
            services.actions.approve(action.id, action.digest, actor="owner")
        assert refusal.value.code == "expired"
        assert services.actions.get(action.id).status is Status.EXPIRED
    assert events(services, action) == ["action.proposed", "action.expired"]


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_a_decision_is_final(services: Services, decision: str) -> None:
    """After either decision every other is refused."""
    action = proposed(services)
    if decision == "approve":
        services.actions.approve(action.id, action.digest, actor="owner")
    else:
        rejected = services.actions.reject(action.id, actor="owner", reason="not today")
        assert rejected.status is Status.REJECTED
    for use in (
        lambda: services.actions.approve(action.id, action.digest, actor="t"),
        lambda: services.actions.reject(action.id, actor="t"),
        lambda: services.actions.edit(action.id, SCRAPE, actor="t"),
    ):
        with pytest.raises(Conflict) as refusal:
            use()
        assert refusal.value.code == "already_decided"


def test_approving_wakes_the_worker_once(services: Services, waker: Waker) -> None:
    """After the commit, with the action's id."""
    action = proposed(services)
    approved = services.actions.approve(action.id, action.digest, actor="owner")
    assert approved.status is Status.APPROVED
    assert approved.decided_at is not None
    assert waker.woken == [action.id]


def test_a_lost_wake_up_is_found_by_the_sweep(services: Services, waker: Waker) -> None:
    """The queue may fail after the commit: the approval stands and the sweep finds it."""
    waker.is_broken = True
    action = proposed(services)
    assert services.actions.approve(action.id, action.digest, actor="owner").status is Status.APPROVED
    assert services.execution.sweep() == [action.id]


@pytest.mark.parametrize("_round", range(5))
def test_only_one_of_many_approvals_at_once_counts(services: Services, waker: Waker, _round: int) -> None:
    """Sixteen threads press Approve and Reject at the same moment: one decision, one event, at most one wake-up."""
    action = proposed(services)
    outcomes: list[str] = []
    barrier = threading.Barrier(16)

    def decide(number: int) -> None:
        barrier.wait()
        try:
            if number % 4:
                services.actions.approve(action.id, action.digest, actor=f"t{number}")
            else:
                services.actions.reject(action.id, actor=f"t{number}")
            outcomes.append("decided")
        except AppError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=decide, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["already_decided"] * 15 + ["decided"]
    decisions = [e for e in events(services, action) if e in {"action.approved", "action.rejected"}]
    assert len(decisions) == 1
    assert waker.woken.count(action.id) == (decisions == ["action.approved"])


def test_connecting_an_account_rebinds_waiting_posts(services: Services) -> None:
    """The card that had no account gets it, with a new digest; the old digest is void."""
    action = proposed(services, POST, "post_social")
    connected(services)
    bound = services.actions.get(action.id)
    assert bound.digest != action.digest
    assert not bound.problems
    assert services.actions.approve(action.id, bound.digest, actor="owner").status is Status.APPROVED


def test_moving_an_account_elsewhere_voids_its_approval_card(services: Services) -> None:
    """The digest binds the site's address: the same handle at another origin is another card."""
    account_id = connected(services)
    action = proposed(services, POST, "post_social")
    services.accounts.delete(account_id, "owner")
    connected(services, base_url="https://x.example.net")
    with pytest.raises(Conflict) as refusal:
        services.actions.approve(action.id, action.digest, actor="owner")
    assert refusal.value.code == "digest_mismatch"


def test_actions_are_listed_newest_first_and_by_status(services: Services) -> None:
    """With a limit."""
    first, second = proposed(services), proposed(services)
    services.actions.reject(first.id, actor="owner")
    assert [a.id for a in services.actions.newest()] == [second.id, first.id]
    assert [a.id for a in services.actions.newest(Status.REJECTED)] == [first.id]
    assert len(services.actions.newest(limit=1)) == 1


def test_text_is_kept_to_the_byte(services: Services) -> None:
    """Emoji, combining marks and bidirectional text come back exactly as proposed: no normalisation."""
    exact = "Cafe\u0301 👩‍👩‍👧 \u202eabc\u202c — “ok”\n"
    action = proposed(services, POST | {"text": exact}, "post_social")
    assert services.actions.get(action.id).params["text"] == exact
