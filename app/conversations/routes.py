"""``/conversations``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from app.actions.schemas import ActionOut
from app.conversations.records import LookupOut
from app.services import ServicesDep

router = APIRouter(tags=["conversations"])


class ConversationOut(BaseModel):
    """A conversation without its messages."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    title: str
    created_at: datetime
    updated_at: datetime


class ConversationsOut(BaseModel):
    """Conversations, the most recently used first."""

    conversations: list[ConversationOut]


class MessageOut(BaseModel):
    """One message, with the action that it proposed as that action stands now."""

    id: str
    role: str
    content: str
    sources: list[dict[str, Any]]
    action: ActionOut | None
    lookups: list[LookupOut]
    created_at: datetime


class ConversationWithMessagesOut(ConversationOut):
    """A conversation and its messages in order."""

    messages: list[MessageOut]


@router.get("/conversations")
def list_conversations(
    services: ServicesDep,
    q: Annotated[str, Query(max_length=500, description="Only those whose title or messages contain this.")] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> ConversationsOut:
    """The kept conversations."""
    found = services.conversations.newest(q, limit)
    return ConversationsOut(conversations=[ConversationOut.model_validate(c) for c in found])


@router.get("/conversations/{conversation_id}")
def get_conversation(conversation_id: str, services: ServicesDep) -> ConversationWithMessagesOut:
    """One conversation with its messages."""
    conversation = services.conversations.get(conversation_id)
    messages = services.conversations.messages(conversation_id)
    actions = services.actions.get_many([m.action_id for m in messages if m.action_id])
    return ConversationWithMessagesOut(
        id=conversation.id,
        title=conversation.title,
        created_at=conversation.created_at,
        updated_at=conversation.updated_at,
        messages=[
            MessageOut(
                id=m.id,
                role=m.role,
                content=m.content,
                sources=m.sources,
                action=ActionOut.of(actions[m.action_id]) if m.action_id in actions else None,
                lookups=[LookupOut.model_validate(lookup) for lookup in m.lookups],
                created_at=m.created_at,
            )
            for m in messages
        ],
    )


@router.delete("/conversations/{conversation_id}", status_code=204)
def delete_conversation(conversation_id: str, services: ServicesDep) -> None:
    """Forget a conversation and its messages."""
    services.conversations.delete(conversation_id)
