"""All SQL of conversations."""

from __future__ import annotations

from sqlalchemy import Integer, Select, bindparam, column, delete, or_, select, text
from sqlalchemy.orm import Session

from app.conversations.tables import ConversationRow, MessageRow

TRIGRAM = 3


def add(session: Session, row: ConversationRow | MessageRow) -> None:
    """Insert the row."""
    session.add(row)
    session.flush()


def by_id(session: Session, conversation_id: str) -> ConversationRow | None:
    """The conversation, if there is one."""
    return session.get(ConversationRow, conversation_id)


def newest(session: Session, limit: int, containing: str = "") -> list[ConversationRow]:
    """The most recently used first; only those whose title or messages contain the text, if one is given."""
    query = select(ConversationRow).order_by(ConversationRow.updated_at.desc(), ConversationRow.id).limit(limit)
    if containing:
        in_title = ConversationRow.title.icontains(containing, autoescape=True)
        query = query.where(or_(in_title, ConversationRow.id.in_(_saying(containing))))
    return list(session.scalars(query))


def _saying(words: str) -> Select[str]:
    """The conversations with a message that holds every one of the words, or parts of words.

    The index is of trigrams: what is shorter than three characters is looked for without it.
    """
    query = select(MessageRow.conversation_id)
    for word in words.split():
        if len(word) >= TRIGRAM:
            phrase = '"' + word.replace('"', '""') + '"'  # quoted, because raw text is FTS5 syntax
            found = text("SELECT rowid FROM message_texts WHERE message_texts MATCH :phrase")
            rows = found.bindparams(bindparam("phrase", phrase, unique=True)).columns(column("rowid", Integer))
            query = query.where(MessageRow.position.in_(rows))
        else:
            query = query.where(MessageRow.content.icontains(word, autoescape=True))
    return query


def messages(session: Session, conversation_id: str, newest_only: int | None = None) -> list[MessageRow]:
    """The conversation's messages in order; only the last so many when a number is given."""
    query = select(MessageRow).where(MessageRow.conversation_id == conversation_id)
    if newest_only is None:
        return list(session.scalars(query.order_by(MessageRow.position)))
    return list(session.scalars(query.order_by(MessageRow.position.desc()).limit(newest_only)))[::-1]


def message_of_action(session: Session, action_id: str) -> MessageRow | None:
    """The message that proposed the action."""
    query = select(MessageRow).where(MessageRow.action_id == action_id).order_by(MessageRow.position).limit(1)
    return session.scalars(query).one_or_none()


def last_of_role_before(session: Session, conversation_id: str, position: int, role: str) -> MessageRow | None:
    """The last message of that role before a position."""
    query = (
        select(MessageRow)
        .where(MessageRow.conversation_id == conversation_id, MessageRow.position < position, MessageRow.role == role)
        .order_by(MessageRow.position.desc())
        .limit(1)
    )
    return session.scalars(query).one_or_none()


def drafts(session: Session) -> list[MessageRow]:
    """The messages with a post that the model wrote, the oldest first."""
    return list(session.scalars(select(MessageRow).where(MessageRow.drafted != "").order_by(MessageRow.position)))


def messages_before(session: Session, conversation_id: str, position: int) -> list[MessageRow]:
    """The conversation's messages before a position, in order."""
    query = select(MessageRow).where(MessageRow.conversation_id == conversation_id, MessageRow.position < position)
    return list(session.scalars(query.order_by(MessageRow.position)))


def remove(session: Session, conversation_id: str) -> bool:
    """Delete the conversation and its messages; False when there was none."""
    query = delete(ConversationRow).where(ConversationRow.id == conversation_id).returning(ConversationRow.id)
    return session.scalar(query) is not None
