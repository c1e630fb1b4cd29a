"""Pure decisions of retrieval: the full-text query, the fusion of two rankings, what is relevant, what is redundant."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

WORD_WEIGHT = (
    0.3  # of BM25 against the cosine; chosen on one half of questions, measured on the other (docs/quality.md)
)
MAX_QUERY_WORDS = 64
MIN_SIMILARITY = 0.22
MIN_WORD_COVERAGE = 0.5
REDUNDANT_OVERLAP = 0.8
MAX_MATCHES = 10_000
MMR_RELEVANCE = (
    0.7  # Source: Carbonell, Goldstein, "The Use of MMR", SIGIR 1998: the share of relevance against novelty
)
MIN_EXCERPT_CHARS = 200
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])\s+|\n+")
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
    return list(map(str.casefold, _WORD.findall(text)))


def content_words_of(text: str) -> list[str]:
    """The distinct words that carry meaning; all of them when none does."""
    words = list(dict.fromkeys(words_of(text)))
    return [word for word in words if word not in STOP_WORDS] or words


def fts_query_of(question: str, count_of: Callable[[str], int]) -> str:
    """An FTS5 query for the words of a question, each quoted, because raw text is FTS5 syntax; "" when there is none.

    Ranking costs a microsecond for each passage that matches, so at most about MAX_MATCHES may: any of the words, the
    rarest first, as far as that goes; where every word is commoner than that, all of them together.

    Args:
        count_of: how many passages match an FTS5 query, counted no further than MAX_MATCHES + 1.
    """
    quoted = [f'"{word}"' for word in content_words_of(question)[:MAX_QUERY_WORDS]]
    counted = sorted((count_of(word), word) for word in quoted)
    known = [(count, word) for count, word in counted if count]
    rare: list[str] = []
    total = 0
    for count, word in known:
        total += count
        if total > MAX_MATCHES:
            break
        rare.append(word)
    return " OR ".join(rare) if rare else " AND ".join(word for _count, word in known)


def fused(similarity: Mapping[int, float], bm25: Mapping[int, float]) -> dict[int, float]:
    """Ids to scores, 0 to 1: the cosine with the question, and BM25 as a share of the best one's.

    A sum keeps by how much one passage is ahead of another, which ranks alone (reciprocal rank fusion) do not.
    Source: Bruch, Gai, Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", ACM TOIS 2023.

    Args:
        similarity, bm25: of ids; one that is missing counts as 0.
    """
    best = max(bm25.values(), default=0.0) or 1.0
    return {
        item: WORD_WEIGHT * bm25.get(item, 0.0) / best + (1 - WORD_WEIGHT) * max(0.0, similarity.get(item, 0.0))
        for item in similarity.keys() | bm25.keys()
    }


def is_relevant(question: str, text: str, similarity: float) -> bool:
    """Whether a passage belongs into an answer: near in meaning, or holding at least half of the words that matter."""
    if similarity >= MIN_SIMILARITY:
        return True
    wanted = [word for word in dict.fromkeys(words_of(question)) if word not in STOP_WORDS]
    present = set(words_of(text))
    return bool(wanted) and sum(word in present for word in wanted) / len(wanted) > MIN_WORD_COVERAGE


def is_redundant(words: set[str], chosen: Sequence[set[str]]) -> bool:
    """Whether nearly all words of a passage are in one that was chosen already."""
    return any(len(words & other) >= REDUNDANT_OVERLAP * len(words) for other in chosen)


def diversified(relevance: list[float], vectors: npt.NDArray[np.float32]) -> list[int]:
    """Positions in the order of maximal marginal relevance: next comes what is relevant and unlike what came before.

    Args:
        relevance: of each item, 0 to 1, as comparable with a cosine similarity.
        vectors: ``(n, d)`` of length 1.
    """
    likeness = vectors @ vectors.T
    wanted = MMR_RELEVANCE * np.asarray(relevance)
    nearest = np.zeros(len(relevance))
    order: list[int] = []
    for _ in relevance:
        best = int(np.argmax(wanted - (1 - MMR_RELEVANCE) * nearest))  # the first of equals
        order.append(best)
        wanted[best] = -np.inf
        nearest = np.maximum(nearest, likeness[best])
    return order


def joined(first: str, second: str) -> str:
    """Two neighbouring chunks as one text: what the second repeats of the first's end stands once."""
    for size in range(min(len(first), len(second), 1_000), 15, -1):
        if first.endswith(second[:size]):
            return first + second[size:]
    return f"{first}\n{second}"


def excerpt(text: str, question: str, max_chars: int) -> str:
    """At most ``max_chars`` of the text: the run of whole sentences or lines that holds most of the question's words.

    "" when not even one sentence fits, or too little would be left to mean anything.
    """
    if len(text) <= max_chars:
        return text
    if max_chars < MIN_EXCERPT_CHARS:
        return ""
    ends = [match.start() for match in _SENTENCE_END.finditer(text)] + [len(text)]
    starts = [0] + [match.end() for match in _SENTENCE_END.finditer(text)]
    wanted = set(content_words_of(question))
    best, best_score = (0, 0), (-1, -1)
    for index, start in enumerate(starts):
        fitting = [end for end in ends[index:] if end - start <= max_chars]
        if fitting:
            window = text[start : fitting[-1]]
            score = (len(wanted & set(words_of(window))), len(window))
            if score > best_score:
                best, best_score = (start, fitting[-1]), score
    return text[best[0] : best[1]].strip()
