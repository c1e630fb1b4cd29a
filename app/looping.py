"""Notices, while a text is written, that its writer goes round in circles; and cuts such a text where it begins to.

A small model now and then repeats a hashtag, a sentence or a list until its tokens are used up. Penalties on repeated
tokens would also hold for the facts that a post has to repeat letter by letter, and samplers against repeated runs
(DRY) are not to be had from every engine and provider; a look at the text so far always is, and costs nothing.
"""

from __future__ import annotations

import re

MIN_SPAN_CHARS = 84
MAX_PERIOD_CHARS = 400
LONG_PERIOD_CHARS = 120
"""A part of this length that comes twice in a row is no chance; a shorter one has to come three times."""
WINDOW_WORDS = 60
RUN_WORDS = 4
MAX_NEW_RUNS = 5
_WORD = re.compile(r"\w+")


def loop_start(text: str) -> int | None:
    """Where ``text`` begins to say again what it has said, None while it goes on: ``text[:loop_start(text)]`` is new.

    Either its end is one part several times in a row, or hardly any run of four words of its last sixty is new.
    """
    exact = _exact_loop(text)
    return exact if exact is not None else _loose_loop(text)


def _exact_loop(text: str) -> int | None:
    for period in range(1, min(MAX_PERIOD_CHARS, len(text) // 2) + 1):
        rounds = 2 if period >= LONG_PERIOD_CHARS else 3
        span = max(rounds * period, MIN_SPAN_CHARS)
        if span > len(text) or text[-1] != text[-1 - period]:
            continue
        if text[-span + period :] == text[-span:-period]:
            start = len(text) - span
            while start and text[start - 1] == text[start - 1 + period]:
                start -= 1
            return _behind_stop(text, start + period)
    return None


def _behind_stop(text: str, end: int) -> int:
    """What stood before the loop may have ended like it, so that the first round seems to end before its full stop."""
    return end + len(text[end:]) - len(text[end:].lstrip(".!?…"))


def _loose_loop(text: str) -> int | None:
    """The same in other orders: hardly anything new comes. All numbers count as one, for counting on is no news."""
    words = [(match.start(), re.sub(r"\d+", "0", match.group().casefold())) for match in _WORD.finditer(text)]
    runs = [tuple(word for _, word in words[at : at + RUN_WORDS]) for at in range(len(words) - RUN_WORDS + 1)]
    if len(runs) <= WINDOW_WORDS:
        return None
    seen: set[tuple[str, ...]] = set()
    new = []
    for run in runs:
        new.append(run not in seen)
        seen.add(run)
    if sum(new[-WINDOW_WORDS:]) > MAX_NEW_RUNS:
        return None
    return words[len(new) - WINDOW_WORDS][0]
