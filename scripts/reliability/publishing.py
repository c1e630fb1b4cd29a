"""Publishing through the real API, and the reckoning afterwards: what was lost, doubled, settled or shown."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from scripts.reliability.box import Box
from scripts.reliability.platform import Network

PLATFORMS = {"keyed": "bluesky", "keyless": "x"}
"""Which of the product's platforms each network stands in for (see ``process``)."""
STILL_S = 15.0
"""Longer than all looks at the platform take together (see ``process.WAITS``)."""
SETTLED = frozenset({"succeeded", "failed", "cancelled", "expired", "unconfirmed"})


@dataclass(frozen=True, slots=True)
class Publish:
    """One approved action. Its text is its own, so that the network's posts can be told apart."""

    action_id: str
    network: str
    text: str


@dataclass(slots=True)
class Reckoning:
    """What became of the approved actions, against what the networks hold.

    ``lost``: approved, and neither published nor shown as failed or unconfirmed; or called a success without a post.
    ``early``: published before its time. ``late``: published after its expiry. ``open``: not settled in time.
    """

    actions: int = 0
    published: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    shown: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, doubled or left open."""
        return not (self.lost or self.doubled or self.open)

    def __str__(self) -> str:
        counts = (*sorted(self.statuses.items()), *sorted(self.codes.items()))
        states = ", ".join(f"{count} {name}" for name, count in counts)
        return (
            f"{self.actions} approved, {self.published} published, {len(self.lost)} lost, {len(self.doubled)} doubled, "
            f"{len(self.open)} open ({states})"
        )


class Publisher:
    """Proposes and approves posts on both networks in turn, through a box whose processes may die at any moment."""

    def __init__(self, box: Box, network: Network) -> None:
        self._box = box
        self._network = network
        self.approved: list[Publish] = []
        self.problems: list[str] = []

    def connect(self) -> None:
        """Connect one account a network."""
        for network, platform in PLATFORMS.items():
            account = {
                "platform": platform,
                "handle": network,
                "username": "owner",
                "password": "not-checked-here",
                "base_url": self._network.origin,
            }
            answer = self._box.ask("POST", "/accounts", json=account)
            if answer.status_code != 201:
                raise RuntimeError(f"the account could not be connected: {answer.text}")

    def publish(self, number: int, network: str = "", **more: Any) -> Publish | None:
        """Propose and approve one post; None when its proposal was refused (which is noted).

        An approval whose answer was lost with the app is asked for again: it was either taken or it was not.
        """
        network = network or ("keyed", "keyless")[number % 2]
        text = f"Notice {number:05d} of the shop"
        params = {"platform": PLATFORMS[network], "text": text}
        proposed = self._box.ask("POST", "/actions", json={"type": "post_social", "params": params, **more})
        if proposed.status_code != 201:
            self.problems.append(proposed.text)
            return None
        action = proposed.json()
        answer = self._box.ask("POST", f"/actions/{action['id']}/approve", json={"digest": action["digest"]})
        if answer.status_code != 200 and answer.json()["error"]["code"] != "already_decided":
            self.problems.append(answer.text)
            return None
        publish = Publish(action["id"], network, text)
        self.approved.append(publish)
        return publish

    def publish_in_background(self, count: int, *, first: int = 0, pause_s: float = 0.0) -> threading.Thread:
        """Publish ``count`` posts in a thread; ``approved`` grows meanwhile."""

        def run() -> None:
            for number in range(first, first + count):
                try:
                    self.publish(number)
                except (TimeoutError, httpx.HTTPError) as error:
                    self.problems.append(str(error))
                    return
                time.sleep(pause_s)

        thread = threading.Thread(target=run, name="publisher", daemon=True)
        thread.start()
        return thread

    def actions(self) -> dict[str, dict[str, Any]]:
        """Every approved action as the box has it."""
        return {p.action_id: self._box.ask("GET", f"/actions/{p.action_id}").json() for p in self.approved}

    def wait_until_settled(self, within_s: float) -> dict[str, dict[str, Any]]:
        """Every approved action, once all have ended, or only unconfirmed ones are left that nothing moves any more.

        It gives up when none has ended for ``within_s``: how long a backlog takes depends on the machine.
        """
        done, moved_at = dict[str, dict[str, Any]](), time.monotonic()
        while time.monotonic() - moved_at < within_s:
            left = dict[str, dict[str, Any]]()
            for publish in self.approved:
                if publish.action_id not in done:
                    action = self._box.ask("GET", f"/actions/{publish.action_id}").json()
                    is_over = action["status"] in SETTLED - {"unconfirmed"}
                    (done if is_over else left)[publish.action_id] = action
                    if is_over:
                        moved_at = time.monotonic()
            is_still = time.monotonic() - moved_at > STILL_S
            if not left or (is_still and all(action["status"] == "unconfirmed" for action in left.values())):
                break
            time.sleep(0.5)
        return self.actions()

    def reckon(self, actions: dict[str, dict[str, Any]]) -> Reckoning:
        """Compare the box's account with the networks'."""
        found = Reckoning(actions=len(self.approved))
        for publish in self.approved:
            action = actions[publish.action_id]
            status, error = action["status"], action["error"] or {}
            posts = len(self._network.found(publish.network, text=publish.text))
            found.statuses[status] += 1
            found.published += posts > 0
            found.shown += status == "unconfirmed"
            if error:
                found.codes[error["code"]] += 1
            label = f"{publish.action_id} ({publish.network}, {status}, {posts} posts, {error})"
            if posts > 1:
                found.doubled.append(label)
            elif status not in SETTLED:
                found.open.append(label)
            elif (status == "succeeded") != (posts == 1) and status != "unconfirmed":
                found.lost.append(label)
        return found
