"""Chooses what of a long page stands in a prompt: the passages nearest to the question, in the page's order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from semantic_text_splitter import TextSplitter

PASSAGE_CHARS = 700
MAX_PASSAGES_EMBEDDED = 200


def best_passages(
    text: str, question: str, budget_chars: int, embed: Callable[[list[str]], list[list[float]]]
) -> list[str]:
    """The passages of ``text`` that fit in ``budget_chars``; the whole text when it fits.

    Args:
        embed: texts to vectors; only called for a text over the budget.
    """
    if len(text) <= budget_chars:
        return [text]
    passages = TextSplitter(PASSAGE_CHARS).chunks(text)[:MAX_PASSAGES_EMBEDDED]
    vectors = np.asarray(embed([question, *passages]), dtype=np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    ranked = np.argsort(-(vectors[1:] @ vectors[0]), kind="stable")
    chosen: list[int] = []
    left = budget_chars
    for index in ranked:
        if len(passages[index]) <= left:
            chosen.append(int(index))
            left -= len(passages[index])
    return [passages[index] for index in sorted(chosen)]
