"""What a message asks to be looked up, by its words; the cases of ``./scripts/eval tools`` are judged whole there."""

from __future__ import annotations

import json
from datetime import date

import pytest

from app.chat.lookups.asking import asked_in
from app.chat.lookups.tools import FindConversations, ListAssets, ReadAnalytics
from scripts.evaluation.tools import CASES, NOW, ORDINARY

TODAY = date(2026, 11, 20)


@pytest.mark.parametrize(
    "message",
    [
        "How many posts a week should we publish?",
        "How many hashtags are good?",
        "What do our documents say about refunds?",
        "Did you post it?",
        "Hi, how are you doing?",
        "We published a calendar last year and it was rejected.",
        "How many posts did we publish last week? " + "Here is the whole report. " * 40,
        "",
    ],
)
def test_talk_and_advice_ask_for_nothing(message: str) -> None:
    """Nor do questions that documents answer, one post's fate, things that are told, and pasted texts."""
    assert not asked_in(message, TODAY)


def test_ordinary_talk_hardly_ever_asks_for_something() -> None:
    """Of the hundreds of messages with which the decision is measured, at most one in a hundred."""
    lines = [json.loads(line) for path in ORDINARY for line in path.read_text(encoding="utf-8").splitlines()]
    talk = [line["turns"][-1] for line in lines if line["expected"] is None]
    assert sum(bool(asked_in(message, TODAY)) for message in talk) <= len(talk) / 100


def test_the_words_settle_figures_periods_and_networks() -> None:
    """Then no model has to choose anything."""
    (call,) = asked_in("How many posts did we publish on LinkedIn and X last month?", TODAY).settled
    assert call.params == ReadAnalytics(
        figures=("published",), periods=("last_month",), networks=("linkedin", "x"), of="posts"
    )
    (call,) = asked_in("How many tweets were rejected this week?", TODAY).settled
    assert call.params == ReadAnalytics(figures=("rejected",), periods=("this_week",), networks=(), of="posts")


def test_what_the_words_leave_open_is_left_to_the_model() -> None:
    """With the period that they do name."""
    asked = asked_in("How is our marketing going this month?", TODAY)
    assert (asked.settled, asked.left_open) == ((), ("read_analytics",))
    assert asked.fixed["read_analytics"]["periods"] == ["this_month"]


def test_several_things_are_asked_for_at_once() -> None:
    """Each becomes a step; and a wish for more is known."""
    asked = asked_in("How many posts went out last week, which documents do we have, and what can we improve?", TODAY)
    assert [call.tool for call in asked.settled] == ["read_analytics", "list_assets"]
    assert asked.wants_comment


def test_the_topic_of_an_earlier_conversation_is_what_is_looked_for() -> None:
    """Without the words that only ask."""
    (call,) = asked_in("What did we say about the Christmas market?", TODAY).settled
    assert call.params == FindConversations(words="Christmas market")
    (call,) = asked_in("Did any of my uploads fail?", TODAY).settled
    assert call.params == ListAssets(status="failed")


def test_the_words_know_the_cases_of_the_evaluation() -> None:
    """All of them, so that a changed cue is seen here and not only where a model runs."""
    cases = [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]
    wrong = [case["q"] for case in cases if bool(asked_in(case["q"], NOW.date())) != bool(case["tool"])]
    assert wrong == []
