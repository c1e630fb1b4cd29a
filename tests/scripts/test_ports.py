"""A taken port is named before anything starts, with its owner and the setting that moves it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from scripts.supervisor.ports import PortNeed, PortTaken, owner_of, require_free


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        yield listener.getsockname()[1]


def test_a_taken_port_is_refused_with_its_owner_and_the_setting(taken: int) -> None:
    """The message is enough to act on."""
    with pytest.raises(PortTaken) as caught:
        require_free(PortNeed("127.0.0.1", taken, "HERALD_PORT", "the app"))
    text = str(caught.value)
    assert f"Port {taken}, which the app needs, is taken by " in text
    assert f"(pid {os.getpid()})" in text
    assert "set HERALD_PORT to a free port" in text


def test_an_address_that_is_not_this_machines_is_refused_with_its_reason() -> None:
    """HERALD_HOST may name an address of another machine by mistake."""
    with pytest.raises(PortTaken, match=r"Check HERALD_HOST and HERALD_PORT"):
        require_free(PortNeed("192.0.2.1", 8000, "HERALD_PORT", "the app"))


def test_a_free_port_is_accepted_and_left_free(taken: int) -> None:
    """Looking leaves nothing behind: the port can be listened on right after."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    require_free(PortNeed("127.0.0.1", free, "HERALD_PORT", "the app"))
    require_free(PortNeed("127.0.0.1", free, "HERALD_PORT", "the app"))


def test_a_port_that_nobody_listens_on_has_no_owner() -> None:
    """Empty, not a guess."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        assert owner_of(probe.getsockname()[1]) == ""
