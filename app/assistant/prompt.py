"""The three short prompts of an answer: choose lines, check that they state the answer, write it.

What every question shares comes first, so that the engine's prefix cache holds it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

from app.assistant.lines import Listing
from app.assistant.records import Line
from app.llm import Message

MAX_CHOSEN = 3
MAX_CLAIM_CHARS = 300
VERSION = "assistant-1"
"""Changes with the prompts: what an answer was made with can be told from it."""


def choose_messages(question: str, listing: Listing) -> list[Message]:
    """Which lines state the answer."""
    return [*_choose_prefix(), _user(f"{listing.text()}\n\nQuestion: {question}")]


def choose_schema(listing: Listing) -> dict[str, Any]:
    """Only numbers of lines that are there can come out, so a source cannot be made up."""
    lines = {"type": "array", "items": {"enum": listing.numbers()}, "minItems": 1, "maxItems": MAX_CHOSEN}
    return _object({"answered": {"type": "boolean"}, "lines": lines})


def check_messages(question: str, lines: Sequence[Line]) -> list[Message]:
    """Whether these lines alone state the answer."""
    evidence = "\n".join(line.in_context for line in lines)
    return [*_check_prefix(), _user(f"Evidence: {evidence}\nQuestion: {question}")]


def check_schema() -> dict[str, Any]:
    """One word: its probability is what is wanted."""
    return _object({"stated": {"type": "boolean"}})


def write_messages(question: str, listing: Listing) -> list[Message]:
    """The answer from the chosen lines; nothing else is in sight."""
    return [*_write_prefix(), _user(_evidence(_numbered(listing), question))]


def write_schema(listing: Listing) -> dict[str, Any]:
    """Claims, each with the line that supports it."""
    text = {"type": "string", "minLength": 2, "maxLength": MAX_CLAIM_CHARS}
    claim = _object({"line": {"enum": listing.numbers()}, "text": text})
    return _object({"claims": {"type": "array", "items": claim, "minItems": 1, "maxItems": max(1, len(listing.lines))}})


def _numbered(listing: Listing) -> str:
    return "\n".join(f"{number}: {line.in_context}" for number, line in enumerate(listing.lines, 1))


def _evidence(evidence: str, question: str) -> str:
    return f"Evidence:\n{evidence}\nQuestion: {question}"


@cache
def _choose_prefix() -> tuple[Message, ...]:
    examples = _examples()["choose"]
    messages = [_system("choose.md")]
    for index, (question, turn) in enumerate(examples["turns"]):
        listed = f"{examples['lines']}\n\n" if index == 0 else ""
        messages += [_user(f"{listed}Question: {question}"), _said(turn)]
    return tuple(messages)


@cache
def _check_prefix() -> tuple[Message, ...]:
    messages = [_system("check.md")]
    for evidence, question, is_stated in _examples()["check"]:
        messages += [_user(f"Evidence: {evidence}\nQuestion: {question}"), _said({"stated": is_stated})]
    return tuple(messages)


@cache
def _write_prefix() -> tuple[Message, ...]:
    messages = [_system("write.md")]
    for evidence, question, turn in _examples()["write"]:
        messages += [_user(_evidence(evidence, question)), _said(turn)]
    return tuple(messages)


def _system(name: str) -> Message:
    return {"role": "system", "content": _text(name)}


def _user(content: str) -> Message:
    return {"role": "user", "content": content}


def _said(turn: dict[str, Any]) -> Message:
    return {"role": "assistant", "content": json.dumps(turn, ensure_ascii=False)}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


@cache
def _examples() -> dict[str, Any]:
    examples: dict[str, Any] = json.loads(_text("examples.json"))
    return examples


@cache
def _text(name: str) -> str:
    return resources.files("app.assistant.prompts").joinpath(name).read_text(encoding="utf-8").strip()
