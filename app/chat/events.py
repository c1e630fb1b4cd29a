"""What a turn reports while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.actions.records import Action
from app.errors import AppError


@dataclass(frozen=True, slots=True)
class Progress:
    """What is being done now, in a few words, and in which conversation (a new one has just got its id)."""

    text: str
    conversation_id: str


@dataclass(frozen=True, slots=True)
class Delta:
    """The next piece of the reply."""

    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The finished turn, as it was stored."""

    conversation_id: str
    message_id: str
    reply: str
    sources: list[dict[str, Any]]
    action: Action | None
    lookups: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Failure:
    """The turn ended in an error; what the user wrote is kept."""

    error: AppError
    conversation_id: str


Event = Progress | Delta | Answer | Failure
