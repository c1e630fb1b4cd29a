"""What the language model takes a message for: one word, scored by its probability instead of written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import structlog

from app.chat.classifier import OPINIONS, opinion_model
from app.chat.prompt import PastMessage
from app.errors import AppError
from app.llm import LlmClient, Message, Purpose

MESSAGE_CHARS = 1_200
BEFORE_CHARS = 600

log = structlog.get_logger(__name__)


def opinion_of(llm: LlmClient, message: str, last: PastMessage | None) -> list[float] | None:
    """A log-probability each of ``OPINIONS``; None where this model's opinion was not learned from or cannot be had.

    Args:
        last: the assistant's last message; one made from documents or pages is not shown.
    """
    if llm.model != opinion_model():
        return None
    try:
        return asked(llm, message, _before(last))
    except AppError as error:
        log.warning("opinion_missing", code=error.code, error=error.message)
        return None


def asked(llm: LlmClient, message: str, before: str) -> list[float]:
    """The model's opinion of ``message`` after the assistant had said ``before`` ("" at the beginning)."""
    messages: list[Message] = [*_prefix(), {"role": "user", "content": _shown(message, before)}]
    return llm.first_word(messages, OPINIONS, Purpose("chat", message))


def _before(last: PastMessage | None) -> str:
    return "" if last is None or last.is_tainted else before_text(last.content, last.action)


def before_text(reply: str, action: Mapping[str, Any] | None) -> str:
    """The assistant's last turn as the model is shown it: the reply, and the post that was proposed with it."""
    params = action["params"] if action else {}
    return f"{reply} ({params['platform']}: {params['text']})" if "platform" in params else reply


def _shown(message: str, before: str) -> str:
    opening = f"Assistant before: {before[:BEFORE_CHARS]}\n" if before else ""
    return f"{opening}Message: {message[:MESSAGE_CHARS]}"


@cache
def _prefix() -> Sequence[Message]:
    folder = resources.files("app.chat.prompts")
    messages: list[Message] = [{"role": "system", "content": folder.joinpath("decide.md").read_text("utf-8").strip()}]
    for line in folder.joinpath("decide.jsonl").read_text("utf-8").splitlines():
        example = json.loads(line)
        messages.append({"role": "user", "content": _shown(example["message"], example.get("before", ""))})
        messages.append({"role": "assistant", "content": example["label"]})
    return messages
