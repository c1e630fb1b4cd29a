"""X's weighted length."""

from __future__ import annotations

import pytest

from automation.sites.x_text import find_problem, weighted_length, without_urls


@pytest.mark.parametrize("text", ["", "  \n ", "a" * 281, "日" * 141, "👍" * 141, "x\ufeff", "https://e.com/1 " * 12])
def test_refuses_what_x_refuses(text: str) -> None:
    """Empty, over-long and forbidden texts have a problem that names the figures."""
    assert find_problem(text)


def test_problem_names_actual_and_allowed() -> None:
    """The user learns by how much the text is too long."""
    assert "counts 290, at most 280" in find_problem("a" * 290)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("hello", 5),
        ("a\nb", 3),
        ("é", 1),
        ("e\u0301", 1),
        ("Ünïcödé – “quotes”…", 20),
        ("日本", 4),
        ("한국", 4),
        ("عربي", 4),
        ("ไทย", 3),
        ("👍", 2),
        ("👍🏽", 2),
        ("👩‍👩‍👧‍👦", 2),
        ("🇩🇪🇫🇷", 4),
        ("1️⃣", 2),
        ("❤️", 2),
        ("🏴󠁧󠁢󠁥󠁮󠁧󠁿", 2),
        ("🏳️‍🌈x", 3),
        ("https://example.com", 23),
        ("see https://example.com/a/very/long/path?with=query&and=more#x now", 31),
        ("http://a.co", 23),
        ("example.com", 23),
        ("www.example.de", 23),
        ("example.de/menu", 23),
        ("example.de", 10),
        ("jo.tv", 23),
        ("9.30am.", 7),
        ("me@example.com", 14),
        ("#example.com", 12),
        ("(https://example.com)", 25),
        ("https://example.com.", 24),
        ("https://bücher.example", 22),
        ("a" * 280, 280),
    ],
)
def test_weights(text: str, length: int) -> None:
    """Letters count one, CJK and emoji two, addresses twenty-three."""
    assert weighted_length(text) == length


def test_without_urls() -> None:
    """Links are left out of comparisons, because X shortens them."""
    assert without_urls("a https://example.com/x b example.com c") == "a  b  c"
