"""Pure decisions of retrieval: the full-text query, the fusion of two rankings, what is relevant, what is redundant."""

from __future__ import annotations

import re

RRF_K = 60  # Source: Cormack, Clarke, Büttcher, "Reciprocal Rank Fusion", SIGIR 2009
MAX_QUERY_WORDS = 64
MIN_SIMILARITY = 0.22
MIN_WORD_COVERAGE = 0.5
REDUNDANT_OVERLAP = 0.8
_WORD = re.compile(r"\w+")
STOP_WORDS = frozenset(
    """
    a about all also am an and any are as at be been but by can could did do does for from had has have
    he her him his how i if in into is it its me my no not of on or our out please post say she should
    so some tell than that the their them then there these they this those to up us was we were what
    when where which who why will with would write you your
    """.split()  # noqa: SIM905 - a list of a hundred quoted words is hard to read
)


def words_of(text: str) -> list[str]:
    """The words, lower-cased."""
    return [word.casefold() for word in _WORD.findall(text)]


def content_words_of(text: str) -> list[str]:
    """The distinct words that carry meaning; all of them when none does."""
    words = list(dict.fromkeys(words_of(text)))
    return [word for word in words if word not in STOP_WORDS] or words


def fts_query_of(question: str) -> str:
    """An FTS5 query for any of the words. Each is quoted, because raw text is FTS5 syntax; "" when there is none."""
    return " OR ".join(f'"{word}"' for word in content_words_of(question)[:MAX_QUERY_WORDS])


def fused(rankings: list[list[int]]) -> dict[int, float]:
    """Reciprocal rank fusion: ids to scores, 1.0 for an id that leads every ranking."""
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, item in enumerate(ranking, start=1):
            scores[item] = scores.get(item, 0.0) + 1 / (RRF_K + rank)
    best = len(rankings) / (RRF_K + 1)
    return {item: score / best for item, score in scores.items()}


def is_relevant(question: str, text: str, similarity: float) -> bool:
    """Whether a passage belongs into an answer: near in meaning, or holding at least half of the words that matter."""
    if similarity >= MIN_SIMILARITY:
        return True
    wanted = [word for word in dict.fromkeys(words_of(question)) if word not in STOP_WORDS]
    present = set(words_of(text))
    return bool(wanted) and sum(word in present for word in wanted) / len(wanted) > MIN_WORD_COVERAGE


def is_redundant(text: str, chosen: list[str]) -> bool:
    """Whether nearly all words of the passage are in one that was chosen already."""
    words = set(words_of(text))
    return any(len(words & set(words_of(other))) >= REDUNDANT_OVERLAP * len(words) for other in chosen)
