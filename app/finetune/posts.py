"""Posts of the chat that a person approved and that went out, as texts to learn from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.actions.records import Action, Status
from app.actions.service import ActionService
from app.conversations.service import ConversationService, StoredMessage
from app.generation.approved import Wanted, is_by_a_person
from app.generation.records import Kind
from app.generation.rules import MAX_CHARS


def published_posts(conversations: ConversationService, actions: ActionService) -> Iterator[Wanted]:
    """What the project's users asked the chat for and what was published of it, the oldest first.

    Only posts whose text the model wrote, with the text as it was approved. What was dictated teaches nothing, and of
    a conversation that was deleted nothing is known.
    """
    drafts = conversations.drafts()
    found = actions.get_many([message.action_id for _, message in drafts if message.action_id])
    for said, message in drafts:
        action = found.get(message.action_id or "")
        if action is not None and action.status is Status.SUCCEEDED and is_by_a_person(action):
            yield _wanted(said, message, action)


def _wanted(said: str, message: StoredMessage, action: Action) -> Wanted:
    text = str(action.params["text"]).strip()
    return Wanted(
        id=action.id,
        group=message.conversation_id,
        brief=said,
        platform=str(action.params["platform"]),
        kind=Kind.SHORT if len(text) <= MAX_CHARS[Kind.SHORT] else Kind.LONG,
        chunks=[_chunk(source) for source in message.sources if source.get("chunk_id") is not None],
        text=text,
        origin="approved" if text == message.drafted.strip() else "edited",
    )


def _chunk(source: dict[str, Any]) -> dict[str, Any]:
    return {name: source[name] for name in ("chunk_id", "filename", "place")} | {"asset_id": source["document_id"]}
