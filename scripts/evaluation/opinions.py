"""Asks the language model for its opinion of many cases."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from app.chat.opinion import asked, before_text
from app.llm import LlmClient
from scripts.evaluation.cases import Case

CLIENTS = 4


def opinions_of(cases: Sequence[Case], llm: LlmClient) -> dict[str, list[float]]:
    """Case id → a log-probability each of ``OPINIONS``. Raises: the errors of ``app.llm``."""

    def one(case: Case) -> list[float]:
        last = case.replies[-1] if case.replies else None
        return asked(llm, case.turns[-1], before_text(last["reply"], last["action"]) if last else "")

    found: dict[str, list[float]] = {}
    with ThreadPoolExecutor(CLIENTS) as pool:
        for case, opinion in zip(cases, pool.map(one, cases), strict=True):
            found[case.id] = [round(score, 4) for score in opinion]
            print(f"\r{len(found)} of {len(cases)} opinions", end="", file=sys.stderr)
    print(file=sys.stderr)
    return found
