"""Keeping and giving out recipes. A healed version is followed only after a run of it that a person approved."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import ValidationError
from sqlalchemy.orm import Session

from app import clock
from app.audit.service import AuditService
from app.db.engine import Database
from app.errors import InvalidInput, NotFound
from app.recipes import repository
from app.recipes.tables import RecipeRow
from automation.recipes import Kind, Recipe

MAX_VERSIONS = 20
"""Of one kind; the oldest that are no longer followed go first."""


class State(StrEnum):
    """What a version is for: followed by the next run, waiting for an approved run, or kept for the record."""

    ACTIVE = "active"
    PROPOSED = "proposed"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class RecipeView:
    """One version: ``fields`` maps what values were called to what the page calls their fields."""

    id: str
    origin: str
    path: str
    fields: dict[str, str]
    button: str
    version: int
    state: State
    uses: int
    action_id: str
    created_at: datetime
    used_at: datetime | None


class RecipeService:
    """Recipes of the project that the database is limited to."""

    def __init__(self, database: Database, audit: AuditService) -> None:
        self._database = database
        self._audit = audit

    def active(self, kind: Kind) -> dict[str, Any] | None:
        """What the next run of that kind follows, or None when there was none yet."""
        with self._database.read() as session:
            rows = repository.of_kind(session, kind)
        return next((dict(row.recipe) for row in rows if row.state == State.ACTIVE), None)

    def keep(self, raw: dict[str, Any], *, action_id: str) -> None:
        """Keep what a run found: with a confirmation it worked and is followed from now on, else it waits.

        The same way again makes no new version. Raises: InvalidInput when it is no recipe.
        """
        try:
            recipe = Recipe.model_validate(raw)
        except ValidationError as error:
            raise InvalidInput(f"This is no recipe: {error.error_count()} faults.", code="bad_recipe") from None
        kind = Kind(recipe.origin, recipe.path, tuple(sorted(recipe.fields)))
        with self._database.write() as session:
            rows = repository.of_kind(session, kind)
            same = next((row for row in rows if row.state != State.RETIRED and _way(row.recipe) == _way(raw)), None)
            has_worked = recipe.confirmation is not None
            if same is None:
                same = self._add(session, kind, recipe, rows, action_id)
                rows = [same, *rows]
            state = State.ACTIVE if has_worked or same.state == State.ACTIVE else State.PROPOSED
            for row in rows:
                if row is not same and row.state in (state, State.PROPOSED):
                    row.state = State.RETIRED.value
            same.state = state.value
            if has_worked:
                same.recipe = recipe.model_dump(mode="json")
                same.uses += 1
                same.used_at = clock.now()

    def all(self) -> list[RecipeView]:
        """Every version, by page, the newest first."""
        with self._database.read() as session:
            return [_view(row) for row in repository.every(session)]

    def delete(self, recipe_id: str, actor: str) -> None:
        """Forget the version; without an active one the next run looks at the page anew. Raises: NotFound."""
        with self._database.write() as session:
            if not repository.remove(session, recipe_id):
                raise NotFound(
                    f"There is no recipe {recipe_id[:60]}.", hint="GET /api/v1/recipes lists those there are."
                )
            self._audit.record(session, "recipe.removed", actor=actor, detail={"recipe_id": recipe_id})

    def _add(self, session: Session, kind: Kind, recipe: Recipe, rows: list[RecipeRow], action_id: str) -> RecipeRow:
        for old in [row for row in rows if row.state == State.RETIRED][MAX_VERSIONS - 2 :]:
            repository.remove(session, old.id)
            rows.remove(old)
        row = RecipeRow(
            id=f"rcp_{uuid.uuid4().hex}",
            origin=kind.origin,
            path=kind.path,
            names=repository.names_of(kind),
            version=max((row.version for row in rows), default=0) + 1,
            state=State.PROPOSED.value,
            recipe=recipe.model_dump(mode="json"),
            action_id=action_id,
            created_at=clock.now(),
            uses=0,
        )
        repository.add(session, row)
        detail = {"recipe_id": row.id, "version": row.version, "page": kind.origin + kind.path}
        event = "recipe.kept" if recipe.confirmation else "recipe.healed"
        self._audit.record(session, event, actor="herald", action_id=action_id, detail=detail)
        return row


def _way(raw: dict[str, Any]) -> str:
    """The recipe without the answer of its last run, which differs each time."""
    return json.dumps({"fields": raw["fields"], "submit": raw["submit"]}, sort_keys=True)


def _view(row: RecipeRow) -> RecipeView:
    fields = {name: str(step["title"]) for name, step in row.recipe["fields"].items()}
    button = str(row.recipe["submit"]["title"])
    return RecipeView(
        row.id,
        row.origin,
        row.path,
        fields,
        button,
        row.version,
        State(row.state),
        row.uses,
        row.action_id,
        row.created_at,
        row.used_at,
    )
