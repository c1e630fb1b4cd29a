"""All SQL of recipes."""

from __future__ import annotations

import json

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.recipes.tables import RecipeRow
from automation.recipes import Kind


def names_of(kind: Kind) -> str:
    """How the names of a kind are stored."""
    return json.dumps(kind.names, ensure_ascii=False)


def add(session: Session, row: RecipeRow) -> None:
    """Insert the row."""
    session.add(row)
    session.flush()


def every(session: Session) -> list[RecipeRow]:
    """All recipes, by page, the newest version of each first."""
    return list(
        session.scalars(
            select(RecipeRow).order_by(RecipeRow.origin, RecipeRow.path, RecipeRow.names, RecipeRow.version.desc())
        )
    )


def of_kind(session: Session, kind: Kind) -> list[RecipeRow]:
    """All versions of one kind, the newest first."""
    query = select(RecipeRow).where(
        RecipeRow.origin == kind.origin, RecipeRow.path == kind.path, RecipeRow.names == names_of(kind)
    )
    return list(session.scalars(query.order_by(RecipeRow.version.desc())))


def remove(session: Session, recipe_id: str) -> bool:
    """Delete the version; False when there was none."""
    return session.scalar(delete(RecipeRow).where(RecipeRow.id == recipe_id).returning(RecipeRow.id)) is not None
