"""Builds the messages of a turn. What every turn shares comes first, so that the engine's prefix cache holds it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from app.chat.asking import asks_for_a_fact
from app.chat.spans import addresses
from app.facts import words_in
from app.lexicon import language_of
from app.llm import Message
from app.wording import sentences_of
from automation.actions.registry import ACTION_TYPES
from automation.sites.registry import SITES

HISTORY_MESSAGES = 8
HISTORY_CHARS = 3_000
NOT_IN_MEMORY = "(No document in memory answers this, so you do not know.)"
WITHHELD = "(An answer from a document or a page; its text is left out here.)"


@dataclass(frozen=True, slots=True)
class PastMessage:
    """An earlier message of the conversation.

    ``is_tainted``: its text was made from documents or web pages, so a prompt that may choose an action never sees it.
    """

    role: str
    content: str
    action: dict[str, Any] | None = None
    is_tainted: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """A passage that may be used in an answer, and where it comes from."""

    source: str
    text: str


def turn_messages(history: Sequence[PastMessage], message: str, *, writes: bool = False) -> list[Message]:
    """The prompt of a turn that needs no documents: no text of documents or pages stands in it.

    Args:
        writes: the action is settled and its text is to be written.
    """
    said = [past.content for past in history if past.role == "user"]
    return [
        *_prefix(),
        *_example_in(message, writes=writes),
        *_past(history, hides_tainted=True),
        {"role": "user", "content": _hinted(message, said)},
    ]


def answer_messages(
    history: Sequence[PastMessage], message: str, notes: Sequence[Note], *, writes: bool = False
) -> list[Message]:
    """The prompt of an answer from notes; it must be used with a schema that cannot choose an action type.

    Args:
        writes: the action is settled and its text is to be written with the notes.
    """
    return [
        *_prefix(),
        *_example_in(message, writes=writes),
        *_past(history, hides_tainted=False),
        {"role": "user", "content": _with_notes("write.md" if writes else "answer.md", notes, message)},
    ]


def comment_messages(history: Sequence[PastMessage], message: str, looked_up: str) -> list[Message]:
    """The prompt of what is said beside figures and lists that the user sees already."""
    content = _with_notes("comment.md", [Note("looked up", looked_up)], message)
    return [*_prefix(), *_past(history, hides_tainted=False), {"role": "user", "content": content}]


def page_messages(question: str, notes: Sequence[Note]) -> list[Message]:
    """The prompt that answers a question from a page that was read; no conversation and no action in it."""
    return [
        {"role": "system", "content": _text("page_system.md")},
        {"role": "user", "content": _with_notes("page.md", notes, question)},
    ]


def turn_json(reply: str, action: dict[str, Any] | None) -> str:
    """A turn as the model writes it, for the examples and the history."""
    return json.dumps({"action": action, "reply": reply}, ensure_ascii=False)


def _hinted(message: str, said: Sequence[str] = ()) -> str:
    """The message, with a word on what is not known: without it, a small model tends to talk about a page that it has
    not read, and to answer a question that no document answers by the nearest example, or by an invention.

    Args:
        said: the user's earlier messages; a question about what one of them told may be answered from it.
    """
    if found := addresses(message):
        return f"{message}\n(You have not read {', '.join(found)} yet.)"
    is_unknown = asks_for_a_fact(message) and not words_in(message) & words_in("\n".join(said))
    return f"{message}\n{NOT_IN_MEMORY}" if is_unknown else message


def _with_notes(template: str, notes: Sequence[Note], message: str) -> str:
    listed = "\n\n".join(f"[{note.source}]\n{note.text}" for note in notes)
    # One pass, so that a note that contains "{message}" is not filled in.
    values = {"{notes}": listed or "(none)", "{message}": message}
    return re.sub(r"\{notes\}|\{message\}", lambda match: values[match.group()], _text(template))


def _past(history: Sequence[PastMessage], *, hides_tainted: bool) -> list[Message]:
    """The newest messages that fit, oldest first."""
    kept: list[Message] = []
    left = HISTORY_CHARS
    for past in reversed(history[-HISTORY_MESSAGES:]):
        content = past.content
        if past.role == "assistant":
            is_hidden = past.is_tainted and hides_tainted
            content = turn_json(WITHHELD, None) if is_hidden else turn_json(past.content, past.action)
        left -= len(content)
        if left < 0:
            break
        kept.append({"role": past.role, "content": content})
    return kept[::-1]


def _example_in(message: str, *, writes: bool) -> list[Message]:
    """One post in the message's language, if that is not English: without it a small model repeats the request.

    It stands behind the shared prefix, so that English turns stay as they are.
    """
    found = _examples_of_languages().get(language_of(message)) if writes else None
    return _shown(found) if found else []


@cache
def news_of_examples() -> frozenset[str]:
    """The first sentence of each example's post in small letters: a very small model gives it for an answer."""
    rows = [json.loads(line) for line in _text("examples.jsonl").splitlines()]
    posts = [row["action"]["params"]["text"] for row in rows if row["action"] and "text" in row["action"]["params"]]
    posts += [row["action"]["params"]["text"] for row in _examples_of_languages().values()]
    return frozenset(sentences_of(text)[0].strip().casefold() for text in posts)


@cache
def _examples_of_languages() -> dict[str, dict[str, Any]]:
    rows = [json.loads(line) for line in _text("examples_of_languages.jsonl").splitlines()]
    return {row["language"]: row for row in rows}


def _shown(example: dict[str, Any]) -> list[Message]:
    return [
        {"role": "user", "content": _hinted(example["user"])},
        {"role": "assistant", "content": turn_json(example["reply"], example["action"])},
    ]


@cache
def _prefix() -> tuple[Message, ...]:
    listed = "\n".join(f"- {t.name}: {t.description}" for t in ACTION_TYPES.values())
    names = ", ".join(site.title for site in SITES.values())
    platforms = f"You can publish on {names} only; say so when another network is asked for."
    system = _text("system.md").replace("{action_types}", listed).replace("{platforms}", platforms)
    messages: list[Message] = [{"role": "system", "content": system}]
    for line in _text("examples.jsonl").splitlines():
        messages += _shown(json.loads(line))
    return tuple(messages)


@cache
def _text(name: str) -> str:
    return resources.files("app.chat.prompts").joinpath(name).read_text(encoding="utf-8").strip()
