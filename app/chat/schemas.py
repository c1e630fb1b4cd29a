"""The shapes of ``POST /chat``."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from app.actions.schemas import ActionOut
from app.chat.events import Answer
from app.conversations.records import LookupOut
from app.projects.records import ProjectId


class ChatIn(BaseModel):
    """One message of the user. Without ``conversation_id`` a new conversation begins."""

    model_config = ConfigDict(extra="forbid")

    message: str
    conversation_id: Annotated[str | None, Field(max_length=100)] = None
    stream: bool = False
    project_id: ProjectId = None


class ChatOut(BaseModel):
    """The finished turn."""

    conversation_id: str
    message_id: str
    reply: str
    sources: list[dict[str, Any]]
    action: ActionOut | None
    lookups: list[LookupOut]

    @classmethod
    def of(cls, answer: Answer) -> ChatOut:
        """The wire shape of an answer."""
        return cls(
            conversation_id=answer.conversation_id,
            message_id=answer.message_id,
            reply=answer.reply,
            sources=answer.sources,
            action=ActionOut.of(answer.action) if answer.action else None,
            lookups=[LookupOut.model_validate(lookup) for lookup in answer.lookups],
        )
