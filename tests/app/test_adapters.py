"""The shelf of adapters: what may not be used, what is used, and what each project sees."""

from __future__ import annotations

from pathlib import Path

import pytest

from app import clock
from app.adapters import AdapterShelf, Card
from app.errors import AppError, Conflict, InvalidInput, NotFound
from app.services import Services

MODEL = "smollm2-135m-instruct"


@pytest.fixture
def shelf(tmp_path: Path) -> AdapterShelf:
    """An empty one."""
    return AdapterShelf(tmp_path)


def put(shelf: AdapterShelf, name: str, project_id: str = "prj_a", status: str = "ready") -> None:
    """A card, with weights when it is ready."""
    card = Card(
        name=name, project_id=project_id, model=MODEL, status=status, created_at=clock.now(),
        trained_on=20, held_out=5, seed=7, figures={}, reasons=[] if status == "ready" else ["its loss is higher"],
    )  # fmt: skip
    shelf.add(card)
    if status == "ready":
        shelf.path_of(name).write_bytes(b"GGUF")


def test_an_adapter_that_is_not_better_cannot_be_used(shelf: AdapterShelf) -> None:
    """The error says in what it is not."""
    put(shelf, "worse", status="refused")
    with pytest.raises(Conflict, match="its loss is higher"):
        shelf.use("prj_a", "worse")
    assert shelf.in_use("prj_a", MODEL) is None


def test_a_project_neither_sees_nor_uses_another_ones(shelf: AdapterShelf) -> None:
    """As if it were not there."""
    put(shelf, "theirs", "prj_b")
    assert shelf.cards("prj_a") == []
    for attempt in (shelf.use, shelf.roll_back):
        with pytest.raises(NotFound, match="it has: none"):
            attempt("prj_a", "theirs")


@pytest.mark.parametrize("name", ["Büro", "../x", ".hidden", "a" * 65])
def test_a_name_that_cannot_be_served_is_refused(shelf: AdapterShelf, name: str) -> None:
    """The rule is the one that inference serves by."""
    with pytest.raises(InvalidInput, match="cannot be called"):
        shelf.free_name(name, "prj_a")


def test_a_name_is_taken_once_on_the_whole_box(shelf: AdapterShelf) -> None:
    """Whichever project has it; without a wish the next free one is found."""
    put(shelf, "a-1", "prj_b")
    with pytest.raises(Conflict):
        shelf.free_name("a-1", "prj_a")
    assert shelf.free_name("", "prj_a") == "a-2"


def test_the_one_used_last_is_in_use_and_rolled_back_by_name(shelf: AdapterShelf) -> None:
    """Then the one before it is used again, and at last the model alone."""
    put(shelf, "one")
    put(shelf, "two")
    shelf.use("prj_a", "one")
    shelf.use("prj_a", "two")
    assert shelf.in_use("prj_a", MODEL) == "two"
    assert shelf.roll_back("prj_a", "two") == "one"
    assert shelf.in_use("prj_a", MODEL) == "one"
    assert shelf.roll_back("prj_a", "one") is None
    with pytest.raises(Conflict, match="not in use"):
        shelf.roll_back("prj_a", "one")


def test_an_adapter_of_another_model_or_without_weights_is_not_in_use(shelf: AdapterShelf) -> None:
    """The model alone writes then."""
    put(shelf, "one")
    shelf.use("prj_a", "one")
    assert shelf.in_use("prj_a", "another-model") is None
    shelf.path_of("one").unlink()
    assert shelf.in_use("prj_a", MODEL) is None
    with pytest.raises(Conflict, match="are gone"):
        shelf.use("prj_a", "one")


@pytest.mark.parametrize("name", ["in-use.json", "one.json"])
def test_a_damaged_file_is_an_error_with_its_name(shelf: AdapterShelf, name: str) -> None:
    """And with what to do."""
    put(shelf, "one")
    shelf.use("prj_a", "one")
    (shelf.folder / name).write_text("{", encoding="utf-8")
    with pytest.raises(AppError, match=name) as refused:
        shelf.in_use("prj_a", MODEL)
    assert "elete it" in refused.value.hint


def test_a_deleted_projects_adapters_are_deleted_with_it(services: Services) -> None:
    """They were made of its texts; another project's stay."""
    put(services.adapters, "mine", "prj_a")
    put(services.adapters, "other", "prj_b")
    services.adapters.use("prj_a", "mine")
    with services.database.read() as session:
        removals = [forget(session, "prj_a") for forget in services.projects.on_delete]
    assert services.adapters.in_use("prj_a", MODEL) == "mine"
    for remove in removals:
        remove()
    left = sorted(path.name for path in services.adapters.folder.glob("[!.]*"))
    assert left == ["in-use.json", "other.gguf", "other.json"]
    assert services.adapters.in_use("prj_a", MODEL) is None
