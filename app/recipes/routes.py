"""``/recipes``."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from app.services import ActorDep, ServicesDep

router = APIRouter(tags=["recipes"])


class RecipeOut(BaseModel):
    """One version of the way through one form; ``state`` is active, proposed or retired."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    origin: str
    path: str
    fields: dict[str, str]
    button: str
    version: int
    state: str
    uses: int
    action_id: str
    created_at: datetime
    used_at: datetime | None


class RecipesOut(BaseModel):
    """All versions, by page."""

    recipes: list[RecipeOut]


@router.get("/recipes")
def list_recipes(services: ServicesDep) -> RecipesOut:
    """How forms were filled in before; no value that was entered is in it."""
    return RecipesOut(recipes=[RecipeOut.model_validate(view) for view in services.recipes.all()])


@router.delete("/recipes/{recipe_id}", status_code=204)
def delete_recipe(recipe_id: str, services: ServicesDep, actor: ActorDep) -> None:
    """Forget a version; without one the next run looks at the page anew."""
    services.recipes.delete(recipe_id, actor)
