"""A project's lists of hosts, and the proxy that keeps them."""

from __future__ import annotations

import pytest

from automation.egress import EgressProxy
from automation.host_rules import HostRules, host_entry
from tests.automation.test_egress import Listener, ask


@pytest.mark.parametrize("text", ["", "https://example.com", "example.com/x", "a b", "example.com:80", "*", "-a.de"])
def test_what_is_no_host_is_refused(text: str) -> None:
    """A scheme, a port, a path or a lone star is no entry."""
    with pytest.raises(ValueError, match="host name"):
        host_entry(text)


def test_denied_and_unlisted_hosts_are_refused() -> None:
    """Denied is stronger than allowed; a list of allowed hosts shuts out all others; look-alikes are others."""
    rules = HostRules(allowed=("example.com",), denied=("ads.example.com",))
    assert "denied" in rules.refusal("ads.example.com")
    assert "denied" in rules.refusal("x.ADS.example.com.")
    assert "not on" in rules.refusal("example.com.evil.test")
    assert "not on" in rules.refusal("notexample.com")
    assert rules.refusal("www.example.com") == rules.refusal("EXAMPLE.com.") == ""
    assert HostRules().refusal("anything.test") == ""


def test_entries_are_kept_in_one_spelling() -> None:
    """Capitals, a leading star, a root dot and other scripts come to the same entry."""
    assert host_entry(" *.Example.COM. ") == "example.com"
    assert host_entry("münchen.de") == "xn--mnchen-3ya.de"
    assert host_entry("[::1]") == "::1"


def test_the_proxy_keeps_the_lists() -> None:
    """A denied host is not connected to, and the reason names the list; another one is."""
    listener = Listener()
    try:
        with EgressProxy(allow_private_addresses=True, host_rules=HostRules(denied=("localhost",))) as proxy:
            answer = ask(proxy, f"CONNECT LocalHost.:{listener.port} HTTP/1.1\r\n\r\n".encode())
            assert answer.startswith(b"HTTP/1.1 403")
            error = proxy.explain(f"http://localhost:{listener.port}/")
            assert error is not None
            assert "denied hosts" in error.message
            assert listener.count == 0
            assert ask(proxy, f"GET http://127.0.0.1:{listener.port}/ HTTP/1.1\r\n\r\n".encode(), 10)
        assert listener.count == 1
    finally:
        listener.close()
