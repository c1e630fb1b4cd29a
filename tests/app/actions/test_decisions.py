"""Approvals as signed rows, policies, cancelling, settling: what is refused, and what a changed database does."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from app.actions.approvals import Approver
from app.actions.records import Action, Status
from app.actions.service import ActionService
from app.errors import AppError, Conflict, Forbidden, InvalidInput, NotFound
from app.services import Services
from tests.app.actions.test_execution import RESULT
from tests.app.actions.test_service import POST, SCRAPE, connected, events, proposed
from tests.app.conftest import Uptime


def person(name: str, role: str = "approver") -> Approver:
    return Approver(name, f"{name.title()} in the browser", frozenset({role}))


ADA, BOB, EVE = person("ada", "owner"), person("bob"), person("eve", "editor")


def approved(services: Services) -> Action:
    action = proposed(services)
    return services.actions.approve(action.id, action.digest, actor="owner")


def changed(services: Services, statement: str, **values: object) -> None:
    with services.database.write() as session:
        session.execute(text(statement), values)


def assert_not_run(services: Services, action: Action) -> None:
    assert services.execution.claim(action.id, "w1") is None
    after = services.actions.get(action.id)
    assert after.status is not Status.SENDING
    assert after.result is None


# -- signatures


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("digest", "f" * 64),
        ("approver_id", "somebody"),
        ("approver", "Somebody"),
        ("people_needed", 0),
        ("created_at", "2020-01-01 00:00:00.000000"),
        ("expires_at", "2099-01-01 00:00:00.000000"),
        ("policy_id", "pol_x"),
        ("signature", "0" * 64),
        ("voided_at", "2026-01-01 00:00:00.000000"),
        ("used_at", "2026-01-01 00:00:00.000000"),
    ],
)
def test_a_changed_approval_is_none(services: Services, column: str, value: object) -> None:
    """Whoever can write to the database cannot sign."""
    action = approved(services)
    changed(services, f"UPDATE approvals SET {column} = :v", v=value)
    assert_not_run(services, action)
    assert services.actions.get(action.id).status is Status.FAILED


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("type", "fill_form"),
        ("params_json", '{"url":"https://evil.example"}'),
        ("account", '{"platform":"x","handle":"evil","base_url":"https://x.com"}'),
        ("target", "evil.example"),
        ("intent_id", "int_other"),
        ("not_before", "2020-01-01 00:00:00.000000"),
        ("expires_at", "2099-01-01 00:00:00.000000"),
        ("digest", "f" * 64),
    ],
)
def test_bytes_changed_after_the_claim_are_not_sent(services: Services, column: str, value: object) -> None:
    """Everything is checked again in the transaction that commits the sending."""
    action = approved(services)
    claim = services.execution.claim(action.id, "w1")
    assert claim is not None
    changed(services, f"UPDATE actions SET {column} = :v", v=value)
    with pytest.raises(AppError) as refusal:
        services.execution.mark_sending(claim)
    assert refusal.value.code == "digest_mismatch"


def test_an_approval_copied_to_another_action_is_none(services: Services) -> None:
    """Even when both say the same: the signature names the action, the digest its own intent."""
    first, second = approved(services), proposed(services)
    changed(services, "UPDATE actions SET status = 'approved' WHERE id = :i", i=second.id)
    changed(services, "UPDATE approvals SET action_id = :i", i=second.id)
    assert_not_run(services, second)
    assert_not_run(services, first)


@pytest.mark.parametrize("end", ["rejected", "cancelled", "succeeded"])
def test_an_action_that_was_played_back_is_not_run(services: Services, end: str) -> None:
    """Its row made to look approved and its approval unused: the log of what was done knows better."""
    action = proposed(services)
    if end == "rejected":
        services.actions.reject(action.id, actor="owner")
    else:
        services.actions.approve(action.id, action.digest, actor="owner")
        if end == "cancelled":
            services.actions.cancel(action.id, actor="owner")
        else:
            claim = services.execution.claim(action.id, "w1")
            assert claim is not None
            services.execution.finish_success(claim, RESULT)
    changed(services, "UPDATE actions SET status = 'approved', result = NULL, finished_at = NULL")
    changed(services, "UPDATE approvals SET used_at = NULL, voided_at = NULL")
    assert_not_run(services, action)


def test_another_boxes_key_signs_nothing_here(services: Services) -> None:
    """An approval counts only under the key that is in the data folder."""
    action = approved(services)
    services.execution._desk._key = b"another box's key"
    assert_not_run(services, action)


# -- policies


def test_policies_that_make_no_sense_are_refused(services: Services) -> None:
    """An unknown type; by itself for everything; by itself and by two people."""
    for values in (
        {"type_name": "rm_rf"},
        {"is_auto": True},
        {"is_auto": True, "type_name": "post_social"},
        {"is_auto": True, "type_name": "scrape_url", "people_needed": 2},
    ):
        with pytest.raises(InvalidInput):
            services.policies.add("p", actor="owner", **values)  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        services.policies.remove("pol_x", actor="owner")
    assert services.policies.all() == []


def test_who_a_policy_does_not_name_cannot_approve(services: Services) -> None:
    """By role and by user; what it does not concern is not touched by it."""
    services.policies.add(
        "Only owners read", actor="owner", type_name="scrape_url", approvers=["role:owner", "user:bob"]
    )
    action = proposed(services)
    with pytest.raises(Forbidden, match="Only owners read"):
        services.actions.approve(action.id, action.digest, actor=EVE)
    assert services.actions.approve(action.id, action.digest, actor=BOB).status is Status.APPROVED


def test_two_different_people(services: Services, uptime: Uptime) -> None:
    """One person twice is one; an edit between the two voids the first; with both it runs."""
    services.policies.add("Two for all", actor="owner", people_needed=2)
    action = proposed(services)
    half = services.actions.approve(action.id, action.digest, actor=ADA)
    assert (half.status, half.people_needed) == (Status.AWAITING_APPROVAL, 2)
    assert [a.by for a in half.approvals] == ["Ada in the browser"]
    assert services.execution.claim(action.id, "w1") is None
    with pytest.raises(Conflict) as refusal:
        services.actions.approve(action.id, action.digest, actor=ADA)
    assert refusal.value.code == "already_approved"
    edited = services.actions.edit(action.id, {"url": "https://example.com/b"}, actor="owner")
    assert edited.approvals == ()
    assert services.actions.approve(action.id, edited.digest, actor=BOB).status is Status.AWAITING_APPROVAL
    whole = services.actions.approve(action.id, edited.digest, actor=ADA)
    assert whole.status is Status.APPROVED
    assert services.execution.claim(action.id, "w1") is not None
    assert events(services, action).count("action.approved_in_part") == 2


def test_one_approval_of_two_cannot_be_made_enough_in_the_database(services: Services) -> None:
    """The number of people stands under each signature, so that neither a removed policy nor a status helps."""
    services.policies.add("Two for all", actor="owner", people_needed=2)
    action = proposed(services)
    services.actions.approve(action.id, action.digest, actor=ADA)
    changed(services, "DELETE FROM approval_policies")
    changed(services, "UPDATE actions SET status = 'approved'")
    assert_not_run(services, action)


def test_nothing_is_approved_by_itself_unless_a_policy_names_it(services: Services) -> None:
    """Off without one; with one only what it names, only of a conversation that read nothing from outside."""
    connected(services)
    page, post = proposed(services), proposed(services, POST, "post_social")
    assert services.actions.approve_by_policies() == []
    policy = services.policies.add("Pages", actor="owner", type_name="scrape_url", is_auto=True)
    conversation = services.conversations.create("Read it")
    with services.database.write() as session:
        services.conversations.append_in(session, conversation.id, "assistant", "The page says…", is_tainted=True)
    tainted = services.actions.propose("scrape_url", SCRAPE, actor="model", conversation_id=conversation.id)
    assert tainted.is_tainted
    services.conversations.delete(conversation.id)
    assert services.actions.approve_by_policies() == [page.id]
    shown = services.actions.get(page.id)
    assert (shown.status, shown.approvals[0].by) == (Status.APPROVED, "policy Pages")
    assert services.actions.get(post.id).status is Status.AWAITING_APPROVAL
    assert services.actions.get(tainted.id).status is Status.AWAITING_APPROVAL
    assert services.execution.claim(page.id, "w1") is not None
    services.policies.remove(policy.id, actor="owner")


def test_two_people_outweigh_a_policy_that_approves_by_itself(services: Services) -> None:
    """The stricter one counts."""
    services.policies.add("Pages", actor="owner", type_name="scrape_url", is_auto=True)
    services.policies.add("Two for all", actor="owner", people_needed=2)
    proposed(services)
    assert services.actions.approve_by_policies() == []


def test_the_chat_is_given_nothing_that_decides(services: Services) -> None:
    """The object that a model's turn can reach has no decision in it, public or private."""
    for service in (services.chat._actions, services.outcomes._actions):
        assert type(service) is ActionService
        names = " ".join(dir(service))
        assert not any(word in names for word in ("approve", "reject", "cancel", "settle_", "wake"))


# -- cancelling and settling


def test_only_an_approved_action_can_be_cancelled(services: Services) -> None:
    """Not a proposal, not one that is being submitted."""
    action = proposed(services)
    with pytest.raises(Conflict) as refusal:
        services.actions.cancel(action.id, actor="owner")
    assert refusal.value.code == "not_cancellable"
    services.actions.approve(action.id, action.digest, actor="owner")
    claim = services.execution.claim(action.id, "w1")
    assert claim is not None
    services.execution.mark_sending(claim)
    with pytest.raises(Conflict):
        services.actions.cancel(action.id, actor="owner")


def test_a_worker_loses_what_is_cancelled_under_its_hands(services: Services) -> None:
    """It had begun to prepare; it must not submit."""
    action = approved(services)
    claim = services.execution.claim(action.id, "w1")
    assert claim is not None
    cancelled = services.actions.cancel(action.id, actor="owner", reason="typo")
    assert (cancelled.status, cancelled.is_final) == (Status.CANCELLED, True)
    with pytest.raises(Conflict):
        services.execution.mark_sending(claim)
    assert services.execution.sweep() == []


@pytest.mark.parametrize("has_happened", [True, False])
def test_a_person_settles_what_nobody_saw_the_end_of(services: Services, uptime: Uptime, has_happened: bool) -> None:
    """Once; the audit log says who."""
    action = approved(services)
    with pytest.raises(Conflict) as refusal:
        services.actions.settle(action.id, has_happened=has_happened, actor="Ada")
    assert refusal.value.code == "not_unconfirmed"
    claim = services.execution.claim(action.id, "w1")
    assert claim is not None
    services.execution.mark_sending(claim)
    uptime.pass_(services.execution.lease_s + 1)
    services.execution.sweep()
    settled = services.actions.settle(action.id, has_happened=has_happened, actor="Ada", url="https://x.com/1")
    assert settled.status is (Status.SUCCEEDED if has_happened else Status.FAILED)
    if has_happened:
        assert settled.result is not None
        assert settled.result["url"] == "https://x.com/1"
    assert services.audit.entries(action.id)[0].actor == "Ada"
    with pytest.raises(Conflict):
        services.actions.settle(action.id, has_happened=True, actor="Ada")
