"""From approval to outcome: claims, dead workers, the irreversible step, late outcomes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import text

from app import clock
from app.actions import workers
from app.actions.execution import ClaimLost
from app.actions.records import Action, Claim, Status
from app.actions.rules import MAX_DEATHS, WORKER_DEAD_AFTER_S
from app.services import Services, build_services
from app.settings import Settings
from automation.actions.base import ActionResult, Evidence
from automation.errors import ActionError
from tests.app.conftest import Uptime

RESULT = ActionResult("Read it.", {"title": "Prices"}, (Evidence("screenshot", "The page", filename="page.png"),))
LONG_AFTER = timedelta(seconds=WORKER_DEAD_AFTER_S + 1)


def approved(services: Services) -> Action:
    action = services.actions.propose("scrape_url", {"url": "https://example.com"}, actor="test")
    return services.actions.approve(action.id, action.digest, actor="owner")


def claimed(services: Services, worker: str = "w1") -> Claim:
    action = approved(services)
    services.execution.heartbeat(worker)
    claim = services.execution.claim(action.id, worker)
    assert claim is not None
    return claim


def test_only_an_approved_action_can_be_claimed(services: Services) -> None:
    """Not one that waits, was rejected, or does not exist."""
    waiting = services.actions.propose("scrape_url", {"url": "https://example.com"}, actor="test")
    assert services.execution.claim(waiting.id, "w1") is None
    services.actions.reject(waiting.id, actor="owner")
    assert services.execution.claim(waiting.id, "w1") is None
    assert services.execution.claim("act_nothing", "w1") is None


def test_an_action_is_claimed_once(services: Services) -> None:
    """Ten workers look at the same moment: one gets it."""
    action = approved(services)
    claims: list[Claim | None] = []
    barrier = threading.Barrier(10)

    def claim(number: int) -> None:
        barrier.wait()
        claims.append(services.execution.claim(action.id, f"w{number}"))

    threads = [threading.Thread(target=claim, args=(n,)) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(c is not None for c in claims) == 1


def test_stored_bytes_that_were_not_approved_never_run(services: Services) -> None:
    """An approved row that is altered afterwards fails at the claim."""
    action = approved(services)
    with services.database.write() as session:
        session.execute(text("""UPDATE actions SET params_json = '{"url":"https://evil.example"}'"""))
    assert services.execution.claim(action.id, "w1") is None
    failed = services.actions.get(action.id)
    assert failed.status is Status.FAILED
    assert failed.error is not None
    assert failed.error["code"] == "digest_mismatch"


def test_an_approval_that_nobody_ran_in_time_fails(services: Services) -> None:
    """A worker that was down for days must not post yesterday's news."""
    action = approved(services)
    with time_machine.travel(clock.now() + timedelta(hours=25), tick=False):
        assert services.execution.claim(action.id, "w1") is None
        failed = services.actions.get(action.id)
    assert failed.status is Status.FAILED
    assert failed.error is not None
    assert failed.error["code"] == "expired"


def test_a_run_succeeds_with_result_and_evidence(services: Services) -> None:
    """The claim has validated params; progress shows while it runs; the outcome is stored once."""
    claim = claimed(services)
    assert claim.params.model_dump() == {"url": "https://example.com"}
    services.execution.progress(claim, "Opening the page")
    running = services.actions.get(claim.action_id)
    assert (running.status, running.is_running, running.progress) == (Status.APPROVED, True, "Opening the page")
    services.execution.finish_success(claim, RESULT)
    done = services.actions.get(claim.action_id)
    assert done.status is Status.SUCCEEDED
    assert done.result == {"summary": "Read it.", "title": "Prices"}
    assert done.evidence[0]["filename"] == "page.png"
    assert done.progress == ""
    with pytest.raises(ClaimLost):
        services.execution.finish_failure(claim, ActionError("too late"))
    assert services.actions.get(claim.action_id).status is Status.SUCCEEDED


def test_a_run_fails_with_code_message_and_hint(services: Services) -> None:
    """The error is kept as the executor gave it."""
    claim = claimed(services)
    error = ActionError("The page answered 404.", code="page_missing", hint="Check the address.")
    services.execution.finish_failure(claim, error)
    failed = services.actions.get(claim.action_id)
    assert failed.error == {"code": "page_missing", "message": "The page answered 404.", "hint": "Check the address."}
    names = [e.event for e in services.audit.entries(claim.action_id)]
    assert names == ["action.failed", "action.started", "action.approved", "action.proposed"]


def test_a_living_workers_action_is_left_alone(services: Services, uptime: Uptime) -> None:
    """Heartbeats renew the lease, however long it takes."""
    claim = claimed(services)
    for _ in range(5):
        uptime.pass_(services.execution.lease_s * 0.9)
        services.execution.heartbeat("w1")
        assert services.execution.recover() == 0
    services.execution.finish_success(claim, RESULT)


def test_a_silent_worker_before_the_submit_gives_its_action_back(services: Services, uptime: Uptime) -> None:
    """Approved again; the late worker has lost it and must not submit."""
    claim = claimed(services)
    uptime.pass_(services.execution.lease_s + 1)
    assert services.execution.sweep() == [claim.action_id]
    again = services.execution.claim(claim.action_id, "w2")
    assert again is not None
    assert (again.attempt, again.fence) == (2, 2)
    with pytest.raises(ClaimLost):
        services.execution.mark_sending(claim)
    with pytest.raises(ClaimLost):
        services.execution.finish_success(claim, RESULT)
    events = [e.event for e in services.audit.entries(claim.action_id)]
    assert "action.late_outcome" in events
    services.execution.mark_sending(again)
    assert services.actions.get(claim.action_id).status is Status.SENDING


def test_a_worker_that_slept_past_its_lease_does_not_submit(services: Services, uptime: Uptime) -> None:
    """Even when nobody has taken its action meanwhile, and although it reports before it goes on."""
    claim = claimed(services)
    uptime.pass_(services.execution.lease_s + 1)
    services.execution.heartbeat("w1")
    with pytest.raises(ClaimLost):
        services.execution.mark_sending(claim)
    with pytest.raises(ClaimLost):
        services.execution.progress(claim, "Posting")


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(hours=-1)])
def test_a_set_clock_neither_ends_nor_prolongs_a_lease(services: Services, uptime: Uptime, jump: timedelta) -> None:
    """An hour forward takes the action from nobody; an hour back does not keep it from the next worker."""
    claim = claimed(services)
    with time_machine.travel(clock.now() + jump, tick=False):
        assert services.execution.claim(claim.action_id, "w2") is None
        uptime.pass_(services.execution.lease_s + 1)
        assert services.execution.claim(claim.action_id, "w2") is not None


def test_a_lease_does_not_outlive_a_reboot(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's seconds begin anew, its boot id is another one."""
    claim = claimed(services)
    monkeypatch.setattr("app.clock.boot_id", lambda: "another")
    assert services.execution.sweep() == [claim.action_id]


def test_a_silent_worker_after_the_submit_is_never_repeated(services: Services, uptime: Uptime) -> None:
    """Unconfirmed: it may or may not have gone out, and no sweep runs it again."""
    claim = claimed(services)
    services.execution.mark_sending(claim)
    uptime.pass_(services.execution.lease_s + 1)
    assert services.execution.sweep() == []
    lost = services.actions.get(claim.action_id)
    assert services.execution.sweep() == []
    assert services.execution.claim(claim.action_id, "w2") is None
    assert lost.status is Status.UNCONFIRMED
    assert lost.error is not None
    assert lost.error["code"] == "interrupted"
    assert "may or may not" in lost.error["message"]


def test_what_the_last_holder_saw_settles_an_unconfirmed_action(services: Services, uptime: Uptime) -> None:
    """It was only slow: its late success is the best that anybody knows."""
    claim = claimed(services)
    services.execution.mark_sending(claim)
    uptime.pass_(services.execution.lease_s + 1)
    services.execution.sweep()
    services.execution.finish_success(claim, RESULT)
    assert services.actions.get(claim.action_id).status is Status.SUCCEEDED


def test_an_action_that_kills_its_worker_ends(services: Services, uptime: Uptime) -> None:
    """After MAX_DEATHS dead workers it fails instead of killing one more."""
    action = approved(services)
    for attempt in range(1, MAX_DEATHS + 1):
        services.execution.heartbeat(f"w{attempt}")
        claim = services.execution.claim(action.id, f"w{attempt}")
        assert claim is not None
        assert claim.attempt == attempt
        uptime.pass_(60)
        assert services.execution.recover() == 1
        uptime.pass_(60)
    failed = services.actions.get(action.id)
    assert failed.status is Status.FAILED
    assert failed.error is not None
    assert failed.error["code"] == "worker_died"


def test_a_stopping_worker_gives_back_what_it_had_not_submitted(services: Services) -> None:
    """And reports what it had."""
    unsubmitted, submitted = claimed(services), claimed(services)
    services.execution.mark_sending(submitted)
    services.execution.release(unsubmitted)
    services.execution.release(submitted)
    assert services.actions.get(unsubmitted.action_id).status is Status.APPROVED
    assert services.actions.get(submitted.action_id).status is Status.UNCONFIRMED


def _run_until_killed(settings: Settings, action_id: str, is_irreversible: bool, ready: object) -> None:
    services = build_services(settings, wake=lambda _id: None)
    services.execution.heartbeat("doomed")
    claim = services.execution.claim(action_id, "doomed")
    assert claim is not None
    if is_irreversible:
        services.execution.mark_sending(claim)
    ready.set()  # type: ignore[attr-defined]
    threading.Event().wait()


@pytest.mark.parametrize("is_irreversible", [False, True])
def test_kill_nine_is_noticed_without_waiting_for_the_heartbeat(
    services: Services, settings: Settings, is_irreversible: bool
) -> None:
    """A worker process of this machine that is gone is seen to be gone at once."""
    action = approved(services)
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_run_until_killed, args=(settings, action.id, is_irreversible, ready))
    process.start()
    assert ready.wait(60)
    assert services.execution.recover() == 0
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert services.execution.recover() == 1
    status = services.actions.get(action.id).status
    assert status is (Status.UNCONFIRMED if is_irreversible else Status.APPROVED)


def test_a_worker_in_another_container_is_not_taken_for_dead(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process number means nothing here; its lease says when it fell silent."""
    action = approved(services)
    monkeypatch.setattr(workers, "process_space", lambda: "this-machine.another-container")
    monkeypatch.setattr(workers, "_own_process", lambda: "4194304:1")
    services.execution.heartbeat("elsewhere")
    monkeypatch.undo()
    assert services.execution.claim(action.id, "elsewhere") is not None
    assert services.execution.recover() == 0
    with time_machine.travel(clock.now() + LONG_AFTER, tick=False):
        services.execution.recover()
    assert services.actions.get(action.id).status is Status.APPROVED


def test_the_worker_state_says_whether_one_was_seen(services: Services) -> None:
    """For the health pages."""
    assert services.execution.worker_state().status == "not_running"
    services.execution.heartbeat("w1")
    assert services.execution.worker_state().status == "ready"
    with time_machine.travel(clock.now() + LONG_AFTER, tick=False):
        assert services.execution.worker_state().status == "not_running"
    services.execution.say_goodbye("w1")
    assert services.execution.worker_state().status == "not_running"


def test_an_outcome_is_reported_once(services: Services) -> None:
    """Only actions of a conversation, only finished ones, only until they are marked."""
    conversation = services.conversations.create("Read example.com")
    action = services.actions.propose(
        "scrape_url", {"url": "https://example.com"}, actor="model", conversation_id=conversation.id
    )
    services.actions.approve(action.id, action.digest, actor="owner")
    services.execution.heartbeat("w1")
    claim = services.execution.claim(action.id, "w1")
    assert claim is not None
    assert services.execution.unreported() == []
    services.execution.finish_success(claim, RESULT)
    assert services.execution.unreported() == [action.id]
    with services.database.write() as session:
        assert services.execution.mark_reported_in(session, action.id)
        assert not services.execution.mark_reported_in(session, action.id)
    assert services.execution.unreported() == []


def test_evidence_of_an_earlier_attempt_is_cleared(services: Services) -> None:
    """Each attempt starts with an empty folder, and a link in it is removed rather than followed."""
    claim = claimed(services)
    folder = services.execution.new_evidence_dir(claim)
    (folder / "old.png").write_bytes(b"x")
    outside = folder.parent / "kept.txt"
    outside.write_text("kept")
    (folder / "link").symlink_to(outside)
    assert list(services.execution.new_evidence_dir(claim).iterdir()) == []
    assert outside.read_text() == "kept"
