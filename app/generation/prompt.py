"""Builds the messages of a variant. What the three share comes first, so that the engine's prefix cache holds it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

from app.generation.records import Kind, Voice
from app.llm import Message

VERSION = "generation-1"
"""Changes with the prompts; kept with every variant."""


def messages(brief: str, notes: Sequence[tuple[str, str]], voice: Voice, kind: Kind, limit: int) -> list[Message]:
    """The prompt of one variant.

    Args:
        notes: passages as (source, text).
        limit: the most characters that the text may have.
    """
    asked = f"{_given(brief, notes, voice)}\n\n{_kinds()[kind]} At most {limit} characters."
    return [*_prefix(), {"role": "user", "content": asked}]


def schema(limit: int) -> dict[str, Any]:
    """One text of at most so many characters."""
    text = {"type": "string", "minLength": 12, "maxLength": limit}
    return {"type": "object", "properties": {"text": text}, "required": ["text"], "additionalProperties": False}


def _given(brief: str, notes: Sequence[tuple[str, str]], voice: Voice) -> str:
    parts = [f"Voice: {voice.description.strip() or 'Warm and plain.'}"]
    if voice.banned_words:
        parts.append(f"Never write: {', '.join(voice.banned_words)}")
    if notes:
        parts.append("Notes:\n" + "\n\n".join(f"[{source}]\n{text}" for source, text in notes))
    parts.append(f"Brief: {brief}")
    return "\n\n".join(parts)


@cache
def _prefix() -> tuple[Message, ...]:
    example = json.loads(_text("example.json"))
    found: list[Message] = [{"role": "system", "content": _text("system.md")}]
    for kind in (Kind.SHORT, Kind.CALL):
        found.append({"role": "user", "content": f"{example['brief']}\n\n{_kinds()[kind]} At most 160 characters."})
        found.append({"role": "assistant", "content": json.dumps({"text": example[kind]})})
    return tuple(found)


@cache
def _kinds() -> dict[str, str]:
    kinds: dict[str, str] = json.loads(_text("kinds.json"))
    return kinds


@cache
def _text(name: str) -> str:
    return resources.files("app.generation.prompts").joinpath(name).read_text(encoding="utf-8").strip()
