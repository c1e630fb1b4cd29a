"""Addresses: what is refused, how the rest is written."""

from __future__ import annotations

import pytest

from automation.urls import BadUrl, host_note, normalise_url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,<b>x",
        "file:///etc/passwd",
        "ftp://example.com",
        "about:blank",
        "chrome://settings",
        "view-source:https://example.com",
        "mailto:a@example.com",
        "blob:https://x.com/1",
        "https://user:pw@example.com/",
        "https://example.com@evil.com/",
        "https://",
        "http:///path",
        "https://?x",
        "intranet",
        "https://exa mple.com",
        "https://example.com/\x00",
        "https://example.com/\u202egpj",
        "https://exam\u200bple.com",
        "https://example.com\\@evil.com",
        "https://example.com:99999/",
        "https://example.com:0x50/",
        "https://[::1",
        "https://[fe80::1%25lo]/",
        "https://exa<mple.com",
        "https://..",
        "https://example..com",
        "https://" + "a" * 2_100 + ".com",
        "x" * 5_000,
        "http://\n",
    ],
)
def test_refuses_what_is_no_web_address(text: str) -> None:
    """Schemes other than http and https, credentials, hidden characters and broken hosts are refused with a hint."""
    with pytest.raises(BadUrl) as caught:
        normalise_url(text)
    assert caught.value.code == "bad_url"
    assert caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("example.com", "https://example.com/"),
        ("  example.com/prices ", "https://example.com/prices"),
        ("//example.com", "https://example.com/"),
        ("HTTP://Example.COM:80/A?b=C#d", "http://example.com/A?b=C#d"),
        ("https://example.com:443", "https://example.com/"),
        ("example.com:8080/x", "https://example.com:8080/x"),
        ("https://example.com/ä b".replace(" ", ""), "https://example.com/%C3%A4b"),
        ("https://example.com/100%25?q=a%20b", "https://example.com/100%25?q=a%20b"),
        ("bücher.example", "https://xn--bcher-kva.example/"),
        ("localhost:9101/_posts", "http://localhost:9101/_posts"),
        ("127.0.0.1:9101", "http://127.0.0.1:9101/"),
        ("[::1]:8080/x", "http://[::1]:8080/x"),
        ("http://intranet:8080", "http://intranet:8080/"),
    ],
)
def test_writes_addresses_in_one_way(text: str, url: str) -> None:
    """A missing scheme is added, host and port are put into their plain form, and doing it again changes nothing."""
    assert normalise_url(text) == url
    assert normalise_url(url) == url


def test_notes_look_alike_and_local_hosts() -> None:
    """The card says when a name is not what it looks like, and when an address is local."""
    assert "xn--pple-43d.com" in host_note(normalise_url("https://аpple.com"), "https://аpple.com")
    assert "HERALD_ALLOW_PRIVATE_ADDRESSES" in host_note("http://127.0.0.1/", "127.0.0.1")
    assert host_note("https://example.com/", "example.com") == ""
