"""Posting to a real server of the AT Protocol: nothing twice, whatever dies when."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from automation.actions.base import (
    Account,
    ActionContext,
    ActionError,
    ActionResult,
    Credential,
    MediaRef,
    ReconciledOutcome,
)
from automation.actions.post_social import PostSocial, PostSocialParams
from tests.sites.atproto import PASSWORD, Server, serve_pds
from tests.sites.dropping import Dropping

pytestmark = [pytest.mark.pds, pytest.mark.slow]

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c63f8ffff3f0005fe02fea7bc0f290000000049454e44ae426082"
)


@pytest.fixture(scope="module")
def pds() -> Iterator[Server]:
    """The server, with two accounts that the tests share."""
    with serve_pds() as server:
        server.create_account("baker")
        server.create_account("tailor")
        yield server


class Box:
    """A connected account on the real server."""

    def __init__(self, pds: Server, make_context: Callable[..., ActionContext]) -> None:
        self.pds, self._make_context = pds, make_context
        self.base_url = pds.url
        self.session: dict[str, Any] | None = None
        self.begun = 0
        self.said: list[str] = []

    def context(self, intent: str, *, handle: str = "baker.test", password: str = PASSWORD, **changes: Any) -> Any:
        def begin() -> None:
            self.begun += 1

        values: dict[str, Any] = {
            "account": Account("bluesky", handle, self.base_url),
            "credential": Credential("baker.test", password),
            "intent_id": intent,
            "before_irreversible": begin,
            "progress": self.said.append,
            "load_session": lambda: self.session,
            "save_session": lambda state: setattr(self, "session", state),
        }
        return self._make_context(**(values | changes))

    def post(self, text: str, intent: str, media: tuple[MediaRef, ...] = (), **changes: Any) -> ActionResult:
        params = PostSocialParams(platform="bluesky", text=text, media=media)
        return PostSocial().execute(params, self.context(intent, **changes))

    def stored(self, text: str) -> list[dict[str, Any]]:
        return [r["value"] for r in self.pds.posts("baker.test") if r["value"]["text"] == text]


@pytest.fixture
def box(pds: Server, make_context: Callable[..., ActionContext]) -> Box:
    """A box with the account baker.test."""
    return Box(pds, make_context)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"password": "wrong"}, "login_failed"),
        ({"handle": "tailor.test"}, "wrong_account"),
        ({"credential": None}, "login_expired"),
        ({"intent_id": ""}, "intent_missing"),
        ({"allow_private_addresses": False}, "address_refused"),
    ],
)
def test_nothing_is_posted_when_something_is_wrong(box: Box, changes: dict[str, Any], code: str) -> None:
    """A refused login, another account, a missing key and a forbidden address end before the record."""
    with pytest.raises(ActionError) as caught:
        box.post("must not appear", "int_wrong", **changes)
    assert caught.value.code == code, caught.value.message
    assert PASSWORD not in caught.value.message
    assert (box.begun, box.stored("must not appear")) == (0, [])


def test_a_commit_that_fails_stops_the_record(box: Box) -> None:
    """When the point of no return cannot be recorded, nothing is created."""

    def refuse() -> None:
        raise ActionError("disk full")

    with pytest.raises(ActionError, match="disk full"):
        box.post("not committed", "int_commit", before_irreversible=refuse)
    assert box.stored("not committed") == []


def test_posts_text_marks_and_pictures(box: Box, tmp_path: Path) -> None:
    """The record holds exactly the text, its marks, and the approved bytes with their description."""
    picture = tmp_path / "pixel.png"
    picture.write_bytes(PIXEL)
    ref = MediaRef(
        sha256=hashlib.sha256(PIXEL).hexdigest(), filename="pixel.png", media_type="image/png", alt="A white dot"
    )
    text = "Grüße 👩‍👩‍👧 an @tailor.test\n\n#bread https://example.com/x"
    result = box.post(text, "int_first", (ref,), media_path=lambda _ref: picture)
    (record,) = box.stored(text)
    kinds = [f["features"][0]["$type"].partition("#")[2] for f in record["facets"]]
    assert kinds == ["mention", "tag", "link"]
    (image,) = record["embed"]["images"]
    assert (image["alt"], image["image"]["size"]) == ("A white dot", len(PIXEL))
    shown = httpx.get(result.data["url"], timeout=30, trust_env=False).json()
    assert shown["value"]["text"] == result.data["text"] == text
    assert result.summary == f"Posted on Bluesky as @baker.test: {result.data['url']}"
    assert box.begun == 1
    assert box.said[-2:] == ["Posting", "Looking for the new post"]


def test_the_same_intent_never_posts_twice(box: Box) -> None:
    """A second execution finds the record of the first, does not begin anything, and says the same address."""
    first = box.post("Only once", "int_once")
    again = box.post("Only once", "int_once", password="not needed")
    assert (first.data, box.begun, len(box.stored("Only once"))) == (again.data, 1, 1)
    with pytest.raises(ActionError) as caught:
        box.post("Another text", "int_once")
    assert caught.value.code == "key_taken"
    box.post("Only once", "int_another")
    assert len(box.stored("Only once")) == 2, "the same text may be approved twice"


def test_a_session_that_expired_is_renewed(box: Box) -> None:
    """A kept session that the server does not know any more is replaced by a new login."""
    box.session = {"atproto": {"did": "did:plc:old", "handle": "baker.test", "access": "old", "refresh": "old"}}
    box.post("Logged in anew", "int_renewed")
    assert box.session["atproto"]["access"] != "old"
    kept = box.session["atproto"]["access"]
    box.post("With the kept session", "int_kept", credential=None)
    assert box.session["atproto"]["access"] == kept


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_is_settled_by_the_key(box: Box, when: str) -> None:
    """The connection breaks before or after the server took the record: it is there once, and the action succeeds."""
    with Dropping(box.pds.url, "com.atproto.repo.createRecord", when) as dropping:
        box.base_url = dropping.url
        result = box.post(f"Lost {when}", f"int_lost_{when}")
    assert dropping.dropped == 1
    assert (result.data["text"], len(box.stored(f"Lost {when}"))) == (f"Lost {when}", 1)


def test_an_outcome_nobody_saw_is_looked_up(box: Box) -> None:
    """The key tells a post that is there from one that never arrived; a fresh one may still be on its way."""
    action, ago = PostSocial(), datetime.now(UTC) - timedelta(minutes=10)
    params = PostSocialParams(platform="bluesky", text="Looked up")
    assert action.is_keyed(params)
    for began_at, outcome in ((ago, ReconciledOutcome.DID_NOT_HAPPEN), (datetime.now(UTC), ReconciledOutcome.UNKNOWN)):
        assert action.reconcile(params, box.context("int_look"), began_at).outcome == outcome
    url = box.post("Looked up", "int_look").data["url"]
    found = action.reconcile(params, box.context("int_look"), ago)
    assert found.outcome == ReconciledOutcome.HAPPENED
    assert found.result is not None
    assert found.result.data["url"] == url


# One process after the other publishes these intents, each until it succeeded, and is killed at any moment.
CHILD = """
import json, sys, time
from pathlib import Path
from automation.actions.base import Account, ActionContext, Credential
from automation.actions.post_social import PostSocial, PostSocialParams

url, password, folder, todo = sys.argv[1], sys.argv[2], Path(sys.argv[3]), json.loads(sys.argv[4])
session = folder / "session.json"
for intent in todo:
    context = ActionContext(
        action_id=intent, intent_id=intent, evidence_dir=folder, allow_private_addresses=True, timeout_s=60,
        progress=lambda text: None, before_irreversible=lambda: print("sending", intent, flush=True),
        account=Account("bluesky", "baker.test", url), credential=Credential("baker.test", password),
        load_session=lambda: json.loads(session.read_text()) if session.exists() else None,
        save_session=lambda state: session.write_text(json.dumps(state)),
    )
    PostSocial().execute(PostSocialParams(platform="bluesky", text=f"Kill test {intent}"), context)
    print("done", intent, flush=True)
"""


def _publish_until_killed(box: Box, folder: Path, todo: list[str], *, crash_point: str = "", rng: random.Random) -> int:
    """Run a child over ``todo`` and kill it at a random moment after it began to send; returns how many it finished."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, box.pds.url, PASSWORD, str(folder), json.dumps(todo)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"HERALD_CRASH_POINT": crash_point, "PYTHONPATH": str(Path.cwd())},
    )
    done = 0
    kill_after = rng.randrange(1, 4)
    assert child.stdout is not None
    with child.stdout as lines:
        for line in lines:
            done += line.startswith("done")
            if line.startswith("sending") and not crash_point and kill_after <= done + 1:
                time.sleep(rng.random() * 0.06)
                child.kill()
    assert child.wait(60) in (0, -signal.SIGKILL)
    return done


def test_killed_at_any_moment_each_intent_is_posted_exactly_once(box: Box, tmp_path: Path) -> None:
    """kill -9 before, during and after the record is created, then the same intents again: one record each."""
    rng = random.Random(20261121)
    todo = [f"int_kill_{number:02d}" for number in range(12)]
    crash_points = ["bluesky_before_create", "bluesky_after_create", "", "", "", ""]
    kills, left = 0, list(todo)
    for crash_point in crash_points:
        done = _publish_until_killed(box, tmp_path, left, crash_point=crash_point, rng=rng)
        kills += done < len(left)
        left = left[done:]
    while left:
        left = left[_publish_until_killed(box, tmp_path, left, crash_point="never", rng=rng) :]
    texts = [r["value"]["text"] for r in box.pds.posts("baker.test") if r["value"]["text"].startswith("Kill test")]
    assert sorted(texts) == [f"Kill test {intent}" for intent in todo]
    assert kills >= 4, "the kills must have hit"
