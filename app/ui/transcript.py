"""What the chat shows of a conversation: a list of keyed pieces of HTML that the page's script lays in place.

Pieces have keys so that an update replaces what changed and nothing else: a form that is being filled in, an opened
detail and the reader's place survive it.
"""

# ruff: noqa: E501 - a piece of HTML reads better on one line

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal, TypedDict

from app.client import Conversation, Lookup, Message, Source, lookup_text
from app.ui import cards, markup

FOLLOW_UP_WAIT = timedelta(minutes=3)
"""How long after an action the page says that its follow-up message is being written."""

EXAMPLES = (
    "Post on X: We open at 9am tomorrow!",
    "Read https://example.com and tell me what it offers",
    "What do my documents say about our prices?",
)


class Item(TypedDict):
    """One piece; empty HTML removes it. A new one goes behind the piece named ``after``, else to the end."""

    key: str
    html: str
    after: str


def item(key: str, html: str, after: str = "") -> Item:
    """A keyed piece of HTML."""
    return {"key": key, "html": html, "after": after}


class View(TypedDict):
    """A change of the transcript.

    ``replace`` puts these pieces in place of all others and makes ``scope`` (a conversation's id, empty for a new one)
    the shown conversation, unless ``expect`` names one that is no longer shown. ``patch`` touches only the pieces that
    it names, and only while ``scope`` is shown. ``restore`` goes back into the message box if that is empty;
    ``adopt`` is the id that a new conversation has got meanwhile.
    """

    mode: Literal["replace", "patch"]
    scope: str
    expect: str | None
    origin: str
    items: list[Item]
    restore: str
    adopt: str
    stamp: str


def view(
    mode: Literal["replace", "patch"],
    scope: str,
    items: list[Item],
    *,
    expect: str | None = None,
    origin: str = "",
    restore: str = "",
    adopt: str = "",
) -> View:
    """A change, stamped so that two equal ones in a row both reach the page."""
    return {
        "mode": mode, "scope": scope, "expect": expect, "origin": origin, "items": items,
        "restore": restore, "adopt": adopt, "stamp": datetime.now(UTC).isoformat(),
    }  # fmt: skip


def empty_items() -> list[Item]:
    """What a new conversation shows."""
    buttons = "".join(
        f'<button type="button" class="h-example" data-example="{markup.text(example)}">{markup.text(example)}</button>'
        for example in EXAMPLES
    )
    html = (
        f'<div class="h-welcome">{markup.LOGO}<h1>What shall we announce?</h1>'
        "<p>Herald writes with a language model on this machine, and does nothing in your name until you approve it.</p>"
        f'<div class="h-examples">{buttons}</div></div>'
    )
    return [item("welcome", html)]


def conversation_items(conversation: Conversation, schemas: cards.Schemas) -> list[Item]:
    """Every message, card and pending follow-up of a conversation, oldest first."""
    messages = conversation["messages"]
    items: list[Item] = []
    for index, message in enumerate(messages):
        items.append(item(f"m:{message['id']}", message_html(message)))
        action = message["action"]
        if action:
            card_key = f"a:{action['id']}"
            items.append(item(card_key, cards.card(action, schemas)))
            pending = _is_follow_up_pending(message, messages[index + 1 :])
            items.append(item(f"f:{action['id']}", _follow_up_html(action["id"]) if pending else "", card_key))
    return items


def _is_follow_up_pending(message: Message, later: list[Message]) -> bool:
    action = message["action"]
    if not action or action["status"] not in {"succeeded", "failed"} or not action["finished_at"]:
        return False
    finished_at = datetime.fromisoformat(action["finished_at"])
    if datetime.now(UTC) - finished_at > FOLLOW_UP_WAIT:
        return False
    decided_at = datetime.fromisoformat(action["decided_at"] or action["finished_at"])
    return not any(
        m["role"] == "assistant" and m["action"] is None and datetime.fromisoformat(m["created_at"]) >= decided_at
        for m in later
    )


def _follow_up_html(action_id: str) -> str:
    return (
        '<div class="h-message h-assistant" data-live><p class="h-status" role="status"><span class="h-spinner"></span>'
        f'Writing about the result… <span data-elapsed="f:{markup.text(action_id)}"></span></p></div>'
    )


def message_html(message: Message) -> str:
    """A stored message with its sources."""
    if message["role"] == "user":
        return user_html(message["content"])
    return assistant_html(message["content"], message["sources"], message["lookups"])


def user_html(content: str) -> str:
    """What the person said, exactly."""
    return f'<div class="h-message h-user"><bdi class="h-bubble" dir="auto">{markup.exact(content)}</bdi></div>'


def assistant_html(content: str, sources: list[Source] | None = None, lookups: list[Lookup] | None = None) -> str:
    """A finished reply with its sources and what was looked up for it."""
    shown = f'<div class="h-prose" dir="auto">{markup.markdown(content)}</div>'
    return f'<div class="h-message h-assistant">{shown}{_sources(sources or [])}{_lookups(lookups or [])}</div>'


def live_html(turn_id: str, content: str, status: str) -> str:
    """A reply that is still being written, or what goes on before its first word."""
    waiting = (
        f'<p class="h-status" role="status"><span class="h-spinner"></span>{markup.exact(status.rstrip("…. "))}… '
        f'<span data-elapsed="{markup.text(turn_id)}"></span></p>'
    )
    body = f'<div class="h-prose h-writing" dir="auto">{markup.markdown(content)}</div>' if content else waiting
    return f'<div class="h-message h-assistant" data-turn-live>{body}</div>'


def _lookups(lookups: list[Lookup]) -> str:
    if not lookups:
        return ""
    said = "; ".join(lookup_text(lookup) for lookup in lookups)
    return f'<p class="h-place">Looked up: {markup.exact(said)}</p>'


def _sources(sources: list[Source]) -> str:
    if not sources:
        return ""
    return f'<div class="h-sources"><h4>Sources</h4>{"".join(_source(source) for source in sources)}</div>'


def _source(source: Source) -> str:
    place = source["place"] or ""
    link = f'<p class="h-final">{markup.outside_link(place)}</p>' if markup.is_web_address(place) else ""
    shown_place = "" if link else f'<span class="h-place">{markup.exact(place)}</span>'
    return (
        f'<details class="h-source"><summary>{markup.icon("page" if link else "file")}'
        f'<span class="h-source-name">{markup.exact(source["filename"])}</span>{shown_place}</summary>'
        f'<blockquote dir="auto">{markup.exact(source["quote"])}</blockquote>{link}</details>'
    )
