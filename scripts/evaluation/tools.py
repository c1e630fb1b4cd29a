"""``./scripts/eval tools``: whether the chat looks up what a question asks for, and says the right figure.

Questions about posts, documents and earlier conversations of a made-up café, and talk that needs no look-up. Needs a
running inference server (``./scripts/up`` or ``python -m inference``). ``--gate-only`` judges the words alone.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from pydantic import SecretStr
from sqlalchemy import text

from app.analytics.service import CallRecorder
from app.chat.events import Answer
from app.chat.lookups.asking import asked_in
from app.chat.service import ChatService
from app.llm import ModelCall, Purpose
from app.services import Services, build_services
from app.settings import load_settings
from scripts.evaluation.assistant import CORPUS

CASES = Path(__file__).parent / "cases" / "lookups.jsonl"
ORDINARY = tuple(CASES.with_name(f"actions_{split}.jsonl") for split in ("dev", "test"))
NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
PUBLISHED = (
    ("x", "2026-11-19"), ("linkedin", "2026-11-17"),
    ("x", "2026-11-12"), ("linkedin", "2026-11-11"), ("x", "2026-11-09"),
    ("linkedin", "2026-10-27"), ("facebook", "2026-10-20"), ("linkedin", "2026-10-13"), ("x", "2026-10-06"),
    ("x", "2026-10-02"),
)  # fmt: skip
REJECTED = (("x", "2026-11-10"), ("facebook", "2026-11-13"))
FAILED = (("x", "2026-11-03"),)
WAITING = 4
CALLS = ("2026-11-19", "2026-11-19", "2026-11-19", "2026-11-02")
CONVERSATIONS = (
    (
        "We have a stall at the Christmas market on 12 December. Keep that in mind for our posts.",
        "Noted: the Christmas market is on 12 December.",
    ),
    (
        "I want to give a student discount of 10 % on weekdays. What do you think?",
        "A student discount of 10 % is a good way to fill quiet weekdays.",
    ),
    (
        "How can we make the opening party special?",
        "For the opening party I suggest a jazz trio and a table for tasting three coffees.",
    ),
    (
        "The newsletter goes out on the first Monday of the month.",
        "Good: the newsletter goes out on each month's first Monday.",
    ),
    (
        "We decided that the new logo colour is green.",
        "Green it is: the new logo colour goes well with the plants in the room.",
    ),
    ("Hello!", "Hello! What shall we announce?"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """A case with what came of it."""

    question: str
    wanted: str
    tools: tuple[str, ...]
    is_right_tool: bool
    is_right: bool
    seconds: float
    reply: str


def main() -> int:
    """Judge the words, ask, print. Exit status 1 when a tool or a figure was wrong."""
    parser = argparse.ArgumentParser(prog="./scripts/eval tools", description=__doc__)
    parser.add_argument("--gate-only", action="store_true", help="judge the words alone; no model is asked")
    parser.add_argument("--limit", type=int, default=0, help="only so many questions")
    arguments = parser.parse_args()
    cases = [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]
    report_gate(cases)
    if arguments.gate_only:
        return 0
    rows = asked(cases[: arguments.limit or None])
    return report(rows)


def report_gate(cases: list[dict[str, Any]]) -> None:
    """How often the words alone know what to look up, and how often they do so for ordinary talk."""
    known = sum(bool(asked_in(case["q"], NOW.date())) == bool(case["tool"]) for case in cases)
    print(f"the words alone tell whether something is to be looked up: {known} of {len(cases)}")
    lines = [json.loads(line) for path in ORDINARY for line in path.read_text(encoding="utf-8").splitlines()]
    talk = [line["turns"][-1] for line in lines if line["expected"] is None]
    looked_up = [message for message in talk if asked_in(message, NOW.date())]
    print(f"looked up for the ordinary talk of ./scripts/eval actions: {len(looked_up)} of {len(talk)}")
    for message in looked_up:
        print(f"    {message[:110]}")


def asked(cases: list[dict[str, Any]]) -> list[Row]:
    """Every question in a conversation of its own."""
    settings = load_settings()
    key = SecretStr(settings.inference_key_text())
    with tempfile.TemporaryDirectory(prefix="herald-eval-") as folder, mock.patch("app.clock.now", return_value=NOW):
        own = settings.model_copy(update={"home": Path(folder), "inference_key": key})
        box = build_services(own, wake=lambda _id: None, wake_ingestion=lambda _id: None)
        try:
            services = box.within("prj_default")
            fill(services)
            parts = (services.conversations, services.actions, services.accounts, services.memory)
            chat = ChatService(services.database, *parts, box.llm, services.analytics)  # whose calls are not counted
            return [row_of(services, chat, case) for case in cases]
        finally:
            box.close()


def fill(services: Services) -> None:
    """The café's documents, posts, calls and conversations."""
    for path in sorted(CORPUS.iterdir()):
        services.memory.add(path.name, path.read_bytes(), "evaluation")
    broken, _ = services.memory.upload("broken.pdf", b"%PDF-1.7\nrubbish", "evaluation")
    services.ingestion.run(broken.id)
    for status, posts in (("succeeded", PUBLISHED), ("rejected", REJECTED), ("failed", FAILED)):
        for number, (platform, day) in enumerate(posts):
            propose(services, platform, f"{status} {number}", status, datetime.fromisoformat(f"{day}T10:00+00:00"))
    for number in range(WAITING):
        propose(services, "x", f"waiting {number}", "awaiting_approval", NOW - timedelta(hours=1))
    services.actions.propose("scrape_url", {"url": "https://example.com"}, actor="evaluation")
    record = CallRecorder(services.database)
    for day in CALLS:
        with mock.patch("app.clock.now", return_value=datetime.fromisoformat(f"{day}T09:00+00:00")):
            record(ModelCall(Purpose("chat", "seed"), "model", 2.0, 1_000, 0, 100, "finished"))
    for said, answered in CONVERSATIONS:
        conversation = services.conversations.create(said)
        services.conversations.append(conversation.id, "user", said)
        services.conversations.append(conversation.id, "assistant", answered)


def propose(services: Services, platform: str, post: str, status: str, at: datetime) -> None:
    """A post that was proposed and ended at that time."""
    action = services.actions.propose("post_social", {"platform": platform, "text": post}, actor="evaluation")
    ended = None if status == "awaiting_approval" else at.replace(tzinfo=None).isoformat(" ")
    with services.database.write() as session:
        session.execute(
            text("UPDATE actions SET status = :s, created_at = :c, decided_at = :e, finished_at = :e WHERE id = :i"),
            {"s": status, "c": at.replace(tzinfo=None).isoformat(" "), "e": ended, "i": action.id},
        )


def row_of(services: Services, chat: ChatService, case: dict[str, Any]) -> Row:
    """Ask one question, and forget its conversation so that the next one does not find it."""
    began = time.monotonic()
    answer: Answer = chat.turn(case["q"], actor="evaluation")
    seconds = time.monotonic() - began
    services.conversations.delete(answer.conversation_id)
    tools = tuple(lookup["tool"] for lookup in answer.lookups)
    is_right_tool = case["tool"] in tools if case["tool"] else not tools
    is_right = is_right_tool and all(re.search(said, answer.reply, re.I) for said in case["says"])
    row = Row(case["q"], case["tool"], tools, is_right_tool, is_right, seconds, answer.reply)
    mark = "ok " if row.is_right else "NO "
    print(
        f"{mark} {seconds:5.1f} s  {row.question} [{', '.join(tools)}] -> {' / '.join(answer.reply.split(chr(10)))}",
        flush=True,
    )
    return row


def report(rows: list[Row]) -> int:
    """Print the figures."""
    with_tool, without = [r for r in rows if r.wanted], [r for r in rows if not r.wanted]
    figures = [r for r in with_tool if r.wanted in {"read_analytics", "list_assets"}]
    print()
    print(f"right tool: {sum(r.is_right_tool for r in with_tool)} of {len(with_tool)}")
    print(f"right figure or list in the answer: {sum(r.is_right for r in figures)} of {len(figures)}")
    others = [r for r in with_tool if r not in figures]
    print(f"right answer from earlier conversations or documents: {sum(r.is_right for r in others)} of {len(others)}")
    print(f"nothing looked up for talk: {sum(r.is_right_tool for r in without)} of {len(without)}")
    seconds = sorted(r.seconds for r in figures)
    print(
        f"seconds a question on figures and lists: median {seconds[len(seconds) // 2]:.2f}, longest {seconds[-1]:.2f}"
    )
    return int(not all(r.is_right for r in rows))


if __name__ == "__main__":
    sys.exit(main())
