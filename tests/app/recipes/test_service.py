"""Recipes: which version is followed, what is kept of the others, and whose they are."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.errors import InvalidInput
from app.recipes.service import RecipeService, State
from app.services import Services
from automation.recipes import kind_of

KIND = kind_of("https://jo.example/book?x=1", ["name"])
ANSWER = {"path": "/thanks", "status": 200, "text": "Thank you, …!"}


def recipe(title: str = "Your name", confirmation: dict[str, Any] | None = None) -> dict[str, Any]:
    """A recipe as an execution hands it over."""
    step = {"title": title, "marks": {"role": f"text: {title}"}}
    submit = {"title": "Send", "marks": {"role": "button: Send"}}
    return {
        "origin": KIND.origin,
        "path": KIND.path,
        "fields": {"name": step},
        "submit": submit,
        "confirmation": confirmation,
    }


@pytest.fixture
def recipes(services: Services) -> RecipeService:
    """The recipes of the default project."""
    return services.recipes


def states(recipes: RecipeService) -> list[tuple[int, str, str, int]]:
    """Version, state, the field's title and uses of all."""
    return [(v.version, v.state.value, v.fields["name"], v.uses) for v in recipes.all()]


def test_what_is_no_recipe_is_refused(recipes: RecipeService) -> None:
    """Nothing of it is stored; a value would be one field too many."""
    for raw in ({}, recipe() | {"values": {"name": "Ann"}}):
        with pytest.raises(InvalidInput):
            recipes.keep(raw, action_id="act_1")
    assert recipes.all() == []


def test_a_healed_way_is_not_followed_before_a_run_of_it_succeeded(recipes: RecipeService) -> None:
    """Then it is the only one that is."""
    assert recipes.active(KIND) is None
    recipes.keep(recipe(confirmation=ANSWER), action_id="act_1")
    recipes.keep(recipe(confirmation=ANSWER | {"status": 201}), action_id="act_2")
    assert states(recipes) == [(1, "active", "Your name", 2)]
    recipes.keep(recipe("Full name"), action_id="act_3")
    recipes.keep(recipe("Full name"), action_id="act_4")
    assert states(recipes) == [(2, "proposed", "Full name", 0), (1, "active", "Your name", 2)]
    active = recipes.active(KIND)
    assert active is not None
    assert active["fields"]["name"]["title"] == "Your name"
    recipes.keep(recipe("Full name", ANSWER), action_id="act_5")
    assert states(recipes) == [(2, "active", "Full name", 1), (1, "retired", "Your name", 2)]
    assert (recipes.active(KIND) or {})["fields"]["name"]["title"] == "Full name"


def test_a_newer_change_takes_the_place_of_one_that_nobody_approved(recipes: RecipeService) -> None:
    """And a page that is as it was again is followed as before."""
    recipes.keep(recipe(confirmation=ANSWER), action_id="act_1")
    recipes.keep(recipe("A"), action_id="act_2")
    recipes.keep(recipe("B"), action_id="act_3")
    assert [(v, s) for v, s, _t, _u in states(recipes)] == [(3, "proposed"), (2, "retired"), (1, "active")]
    recipes.keep(recipe(confirmation=ANSWER), action_id="act_4")
    assert [(v, s) for v, s, _t, _u in states(recipes)] == [(3, "retired"), (2, "retired"), (1, "active")]


def test_old_versions_are_not_kept_for_ever(recipes: RecipeService) -> None:
    """The active one always is."""
    recipes.keep(recipe(confirmation=ANSWER), action_id="act_1")
    for number in range(30):
        recipes.keep(recipe(f"Name {number}"), action_id="act_2")
    kept = recipes.all()
    assert len(kept) <= 21
    assert [v.version for v in kept if v.state is State.ACTIVE] == [1]


def test_a_recipe_belongs_to_its_project(services: Services) -> None:
    """Another project looks at the page anew."""
    services.recipes.keep(recipe(confirmation=ANSWER), action_id="act_1")
    other = services.within("prj_other")
    assert other.recipes.active(KIND) is None
    assert other.recipes.all() == []


def test_recipes_are_listed_and_forgotten_over_the_api(client: TestClient, services: Services) -> None:
    """A second time it is not there."""
    services.recipes.keep(recipe(confirmation=ANSWER), action_id="act_1")
    (listed,) = client.get("/api/v1/recipes").json()["recipes"]
    assert (listed["fields"], listed["button"], listed["state"]) == ({"name": "Your name"}, "Send", "active")
    assert client.delete(f"/api/v1/recipes/{listed['id']}").status_code == 204
    assert client.delete(f"/api/v1/recipes/{listed['id']}").status_code == 404
    assert services.recipes.active(KIND) is None
    events = [entry.event for entry in services.audit.entries()]
    assert events[:2] == ["recipe.removed", "recipe.kept"]
