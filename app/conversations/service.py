"""Keeping conversations: create, append, list, read, delete."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from app import clock
from app.conversations import repository
from app.conversations.tables import ConversationRow, MessageRow
from app.db.engine import Database
from app.errors import NotFound
from app.text import refuse_control_characters

TITLE_MAX_CHARS = 80


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation without its messages."""

    id: str
    title: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message; ``role`` is user or assistant, ``sources`` and ``lookups`` are as in the answer to ``POST /chat``.

    ``is_tainted``: it was made from documents or web pages, so a prompt that may choose an action never sees it.
    ``drafted``: the text of the proposed post as the model wrote it, "" where a person gave it.
    """

    id: str
    conversation_id: str
    role: str
    content: str
    sources: list[dict[str, Any]]
    is_tainted: bool
    action_id: str | None
    created_at: datetime
    lookups: list[dict[str, Any]]
    drafted: str


class ConversationService:
    """The kept conversations. The methods that end in ``_in`` work within the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create_in(self, session: Session, first_message: str) -> Conversation:
        """A new conversation, titled by the beginning of its first message."""
        at = clock.now()
        row = ConversationRow(
            id=f"conv_{uuid.uuid4().hex}", title=title_of(first_message), created_at=at, updated_at=at
        )
        repository.add(session, row)
        return _conversation(row)

    def create(self, first_message: str) -> Conversation:
        """``create_in`` in a transaction of its own."""
        with self._database.write() as session:
            return self.create_in(session, first_message)

    def append_in(
        self,
        session: Session,
        conversation_id: str,
        role: str,
        content: str,
        *,
        sources: list[dict[str, Any]] | None = None,
        is_tainted: bool = False,
        action_id: str | None = None,
        lookups: list[dict[str, Any]] | None = None,
        drafted: str = "",
    ) -> StoredMessage:
        """Add a message. Raises: NotFound when the conversation was deleted meanwhile."""
        conversation = _found(session, conversation_id)
        at = clock.now()
        row = MessageRow(
            id=f"msg_{uuid.uuid4().hex}",
            project_id=conversation.project_id,
            conversation_id=conversation_id,
            role=role,
            content=content,
            sources=sources or [],
            is_tainted=is_tainted,
            action_id=action_id,
            lookups=lookups or [],
            drafted=drafted,
            created_at=at,
        )
        repository.add(session, row)
        conversation.updated_at = at
        return _message(row)

    def append(
        self,
        conversation_id: str,
        role: str,
        content: str,
        *,
        sources: list[dict[str, Any]] | None = None,
        action_id: str | None = None,
    ) -> StoredMessage:
        """``append_in`` in a transaction of its own."""
        with self._database.write() as session:
            return self.append_in(session, conversation_id, role, content, sources=sources, action_id=action_id)

    def get(self, conversation_id: str) -> Conversation:
        """Raises: NotFound."""
        with self._database.read() as session:
            return _conversation(_found(session, conversation_id))

    def messages(self, conversation_id: str, newest_only: int | None = None) -> list[StoredMessage]:
        """The messages in order; only the last so many when a number is given. Raises: NotFound."""
        with self._database.read() as session:
            _found(session, conversation_id)
            return [_message(row) for row in repository.messages(session, conversation_id, newest_only)]

    def is_tainted_in(self, session: Session, conversation_id: str) -> bool:
        """Whether text from outside has a part in the conversation, within the caller's transaction."""
        return any(row.is_tainted for row in repository.messages(session, conversation_id))

    def question_before_action(self, action_id: str) -> StoredMessage | None:
        """The user's message that led to the action, or None when its conversation is gone."""
        with self._database.read() as session:
            proposing = repository.message_of_action(session, action_id)
            if proposing is None:
                return None
            row = repository.last_of_role_before(session, proposing.conversation_id, proposing.position, "user")
            return _message(row) if row else None

    def drafts(self) -> list[tuple[str, StoredMessage]]:
        """The messages that proposed a post in the model's own words, each with all that the user had said until then.

        The oldest first. What stood in a conversation that was deleted is gone.
        """
        with self._database.read() as session:
            found = []
            for row in repository.drafts(session):
                before = repository.messages_before(session, row.conversation_id, row.position)
                said = "\n".join(each.content for each in before if each.role == "user")
                found.append((said, _message(row)))
            return found

    def newest(self, containing: str = "", limit: int = 50) -> list[Conversation]:
        """The most recently used first; only those that contain the text (case aside), if one is given.

        Raises: InvalidInput for control characters, which no message holds and a full-text query ends at.
        """
        refuse_control_characters(containing, "The search")
        with self._database.read() as session:
            return [_conversation(row) for row in repository.newest(session, limit, containing)]

    def delete(self, conversation_id: str) -> None:
        """Delete the conversation and its messages; its actions stay, for the audit log. Raises: NotFound."""
        with self._database.write() as session:
            if not repository.remove(session, conversation_id):
                raise _not_found(conversation_id)


def title_of(message: str) -> str:
    """The message's first words on one line, cut at a word when it is long."""
    line = " ".join(message.split())
    if len(line) <= TITLE_MAX_CHARS:
        return line
    cut = line[: TITLE_MAX_CHARS - 1]
    return (cut.rsplit(" ", 1)[0] if " " in cut[TITLE_MAX_CHARS // 2 :] else cut) + "…"


def _conversation(row: ConversationRow) -> Conversation:
    return Conversation(row.id, row.title, row.created_at, row.updated_at)


def _message(row: MessageRow) -> StoredMessage:
    return StoredMessage(
        row.id,
        row.conversation_id,
        row.role,
        row.content,
        list(row.sources),
        row.is_tainted,
        row.action_id,
        row.created_at,
        list(row.lookups),
        row.drafted,
    )


def _found(session: Session, conversation_id: str) -> ConversationRow:
    row = repository.by_id(session, conversation_id)
    if row is None:
        raise _not_found(conversation_id)
    return row


def _not_found(conversation_id: str) -> NotFound:
    return NotFound(
        f"There is no conversation {conversation_id[:60]}.",
        hint="GET /api/v1/conversations lists those there are; leave conversation_id out to begin a new one.",
    )
