"""The reckoning of ./scripts/chaos: what it must find when something was lost or doubled."""

from __future__ import annotations

import json
import random
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from scripts.reliability.clocks import check_quiet_hours
from scripts.reliability.platform import Network
from scripts.reliability.publishing import Publish, Publisher


@pytest.fixture
def network() -> Iterator[Network]:
    """A network on loopback."""
    with Network() as network:
        yield network


def send(network: Network, kind: str, text: str, key: str = "") -> None:
    request = urllib.request.Request(
        f"{network.origin}/{kind}/posts", json.dumps({"text": text, "key": key}).encode(), method="POST"
    )
    urllib.request.urlopen(request, timeout=5).close()


def action(status: str, code: str = "") -> dict[str, Any]:
    return {"status": status, "error": {"code": code} if code else None}


def test_what_is_lost_doubled_or_open_is_found(network: Network) -> None:
    """Each by its own name, and none of them counts as clean."""
    publisher = Publisher(None, network)  # type: ignore[arg-type] - the reckoning asks no box
    for text in ("twice", "twice", "called a failure"):
        send(network, "keyless", text)
    fates = {
        "twice": "succeeded",
        "never": "succeeded",
        "called a failure": "failed",
        "still under way": "sending",
        "shown": "unconfirmed",
        "refused": "failed",
    }
    publisher.approved = [Publish(text, "keyless", text) for text in fates]
    found = publisher.reckon({text: action(status) for text, status in fates.items()})
    assert [entry.split(" ")[0] for entry in found.doubled] == ["twice"]
    assert [entry.split(" (")[0] for entry in found.lost] == ["never", "called a failure"]
    assert [entry.split(" (")[0] for entry in found.open] == ["still under way"]
    assert (found.shown, found.published, found.actions) == (1, 2, 6)
    assert not found.is_clean


def test_a_key_makes_one_post_of_many_requests(network: Network) -> None:
    """And without one each request makes its own."""
    for _ in range(3):
        send(network, "keyed", "hello", key="k")
        send(network, "keyless", "hello")
    assert (len(network.found("keyed", key="k")), len(network.found("keyless", text="hello"))) == (1, 3)


def test_a_fault_meets_the_next_request(network: Network) -> None:
    """A refusal publishes nothing; a reset after the request was heard does."""
    network.faults.extend(["503", "reset_after"])
    for _ in range(2):
        with pytest.raises((urllib.error.HTTPError, ConnectionError)):
            send(network, "keyless", "hello")
    assert len(network.found("keyless", text="hello")) == 1


def test_quiet_hours_hold_over_the_changes_of_summer_time() -> None:
    """At random moments around them, in zones with and without one."""
    assert check_quiet_hours(random.Random(3), 500) == 500
