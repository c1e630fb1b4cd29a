"""Hostile text becomes harmless HTML."""

from __future__ import annotations

import pytest

from app.ui import markup


@pytest.mark.parametrize(
    "source",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](data:text/html;base64,AAAA)",
        "![x](https://evil.example/pixel.png)",
        "<a href='//evil.example'>x</a>",
        "[x](//evil.example/a)",
        "`<script>`",
        "<iframe src=https://evil.example></iframe>",
    ],
)
def test_markdown_makes_no_tag_that_runs_or_fetches(source: str) -> None:
    """No script, image, frame or link of another scheme comes out of a reply."""
    html = markup.markdown(source)
    for tag in ("<script", "<img", "<iframe", "onerror=alert(1)>", 'href="javascript', 'href="data', 'href="//'):
        assert tag not in html


def test_markdown_keeps_what_a_reply_needs() -> None:
    """Emphasis, lists, tables and web links are shown, links without a referrer."""
    html = markup.markdown("**a** [b](https://example.org/?x=1&y=2)\n\n- c\n\n|d|e|\n|-|-|\n|1|2|")
    assert "<strong>a</strong>" in html
    assert "<li>c</li>" in html
    assert "<table>" in html
    assert 'href="https://example.org/?x=1&amp;y=2" target="_blank" rel="noopener noreferrer nofollow"' in html


def test_exact_shows_hidden_characters_and_escapes_the_rest() -> None:
    """A bidirectional override is a visible mark with its name, a tag is text."""
    html = markup.exact("<b>\u202e")
    assert html.startswith("&lt;b&gt;")
    assert 'title="RIGHT-TO-LEFT OVERRIDE">U+202E</span>' in html


def test_exact_marks_what_the_api_has_written_out() -> None:
    """Previews come with ⟦U+…⟧ in place of the character; it looks the same on the card."""
    assert markup.exact("a⟦U+200B⟧b") == 'a<span class="h-hidden">U+200B</span>b'


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://", "//x", "file:///etc/passwd", "http://[", ""])
def test_an_address_that_is_none_is_no_link(url: str) -> None:
    """Only http and https with a host become links."""
    assert "<a" not in markup.outside_link(url)


def test_an_attribute_cannot_be_left() -> None:
    """Quotes in a value stay inside it."""
    assert markup.attributes({"title": '"><script>'}) == ' title="&quot;&gt;&lt;script&gt;"'


@pytest.mark.parametrize(
    ("size_bytes", "shown"), [(0, "0 B"), (999, "999 B"), (1_500, "1.5 kB"), (2_500_000, "2.5 MB")]
)
def test_sizes_are_read_at_a_glance(size_bytes: int, shown: str) -> None:
    """Sizes have one decimal and a unit."""
    assert markup.bytes_text(size_bytes) == shown
