"""All SQL of briefs, variants and voices. The session's project limits every query (``app.db.scope``)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.generation.tables import GenerationRow, VariantRow, VariantVersionRow, VoiceRow


def add(session: Session, row: GenerationRow | VariantRow | VariantVersionRow | VoiceRow) -> None:
    """Insert the row."""
    session.add(row)
    session.flush()


def generation_by_id(session: Session, generation_id: str) -> GenerationRow | None:
    """The brief, or None."""
    return session.scalars(select(GenerationRow).where(GenerationRow.id == generation_id)).one_or_none()


def every(session: Session) -> list[GenerationRow]:
    """All briefs, the oldest first."""
    return list(session.scalars(select(GenerationRow).order_by(GenerationRow.created_at, GenerationRow.id)))


def newest(session: Session, limit: int) -> list[GenerationRow]:
    """The newest briefs first."""
    return list(session.scalars(select(GenerationRow).order_by(GenerationRow.created_at.desc()).limit(limit)))


def variants_of(session: Session, generation_ids: Sequence[str]) -> list[VariantRow]:
    """The variants of those briefs."""
    return list(session.scalars(select(VariantRow).where(VariantRow.generation_id.in_(generation_ids))))


def variant_by_id(session: Session, variant_id: str) -> VariantRow | None:
    """The variant, or None."""
    return session.scalars(select(VariantRow).where(VariantRow.id == variant_id)).one_or_none()


def versions_of(session: Session, variant_id: str) -> list[VariantVersionRow]:
    """Every version, the newest first."""
    query = select(VariantVersionRow).where(VariantVersionRow.variant_id == variant_id)
    return list(session.scalars(query.order_by(VariantVersionRow.number.desc())))


def voice(session: Session) -> VoiceRow | None:
    """The voice of the session's project."""
    return session.scalars(select(VoiceRow).limit(1)).one_or_none()
