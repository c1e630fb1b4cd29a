"""Tokens become text without half characters and without parts of stop strings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.engine.detokenizer import Detokenizer

BYTES = [bytes([value]) for value in range(256)]


def decoded(text: bytes, stop: tuple[str, ...] = ()) -> tuple[list[str], Detokenizer]:
    detokenizer = Detokenizer(BYTES, stop)
    pieces = []
    for value in text:
        pieces.append(detokenizer.push(value))
        if detokenizer.is_stopped:
            break
    pieces.append(detokenizer.flush())
    return pieces, detokenizer


@given(st.text())
def test_any_text_survives_byte_by_byte(text: str) -> None:
    """However a text is split into tokens, the pieces join to it and no piece holds a replacement character."""
    pieces, _ = decoded(text.encode("utf-8", "surrogatepass") if text.isascii() else text.encode("utf-8", "replace"))
    expected = text.encode("utf-8", "replace").decode()
    assert "".join(pieces) == expected


def test_a_split_character_is_held_back_until_it_is_whole() -> None:
    """The first three bytes of an emoji produce nothing."""
    pieces, _ = decoded("é🙂".encode())
    assert pieces == ["", "é", "", "", "", "🙂", ""]


def test_an_incomplete_character_at_the_end_is_marked() -> None:
    """A cut character becomes U+FFFD instead of an error."""
    pieces, _ = decoded("🙂".encode()[:3])
    assert "".join(pieces) == "�"


@pytest.mark.parametrize(
    ("text", "stop", "expected"),
    [
        ("one STOP two", ("STOP",), "one "),
        ("one STO two", ("STOP",), "one STO two"),
        ("aaab", ("aab",), "a"),
        ("abcabd", ("abd",), "abc"),
        ("x\n\ny", ("\n\n", "y"), "x"),
        ("no stop here", ("zzz",), "no stop here"),
        ("héé stop", ("é s",), "hé"),
    ],
)
def test_a_stop_string_ends_the_text_before_it(text: str, stop: tuple[str, ...], expected: str) -> None:
    """The text ends where the stop string begins, also when it straddles tokens or repeats its own beginning."""
    pieces, detokenizer = decoded(text.encode(), stop)
    assert "".join(pieces) == expected
    assert detokenizer.is_stopped == (expected != text)


@given(st.text(alphabet="ab", max_size=30), st.text(alphabet="ab", min_size=1, max_size=4))
def test_stopping_equals_splitting_at_the_first_stop(text: str, stop: str) -> None:
    """Streaming gives exactly what cutting the whole text would give."""
    pieces, _ = decoded(text.encode(), (stop,))
    assert "".join(pieces) == text.split(stop)[0]
