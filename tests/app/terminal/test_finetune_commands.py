"""``herald finetune``: what is refused, and what is shown of adapters. Training itself is tested beside the service."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from app import clock
from app.adapters import Card
from app.cli import app
from app.services import Services
from app.settings import Settings


def put(services: Services, name: str, status: str) -> None:
    """An adapter of the default project."""
    figures = {"base_loss": 3.0, "loss": 2.0}
    card = Card(
        name=name, project_id="prj_default", model=services.settings.model, status=status, created_at=clock.now(),
        trained_on=20, held_out=5, seed=7, figures=figures, reasons=[] if status == "ready" else ["its loss is higher"],
    )  # fmt: skip
    services.adapters.add(card)
    if status == "ready":
        services.adapters.path_of(name).write_bytes(b"GGUF")


@pytest.mark.usefixtures("settings")
def test_without_a_database_there_is_nothing_to_learn_from() -> None:
    """The error says where it was looked for."""
    ended = CliRunner().invoke(app, ["finetune", "train"])
    assert ended.exit_code == 1
    assert "There is no database" in ended.stderr


def test_what_cannot_be_is_refused(services: Services, settings: Settings) -> None:
    """No such project, too few texts, a refused adapter, one that is not in use."""
    put(services, "worse", "refused")
    put(services, "better", "ready")
    assert settings.home == services.settings.home
    for arguments, words in (
        (["list", "--project", "prj_none"], "There is no project prj_none"),
        (["train"], "There are 0 texts to learn from; at least 20 are needed"),
        (["use", "worse"], "its loss is higher"),
        (["rollback", "better"], "better is not in use"),
    ):
        ended = CliRunner().invoke(app, ["finetune", *arguments])
        assert ended.exit_code == 1
        assert words in " ".join(ended.stderr.split())


@pytest.mark.usefixtures("settings")
def test_an_adapter_is_listed_used_and_rolled_back(services: Services) -> None:
    """And where inference does not serve it yet, that is said."""
    put(services, "better", "ready")
    used = CliRunner().invoke(app, ["finetune", "use", "better"])
    assert used.exit_code == 0, used.stderr
    assert "./scripts/down && ./scripts/up" in used.stderr
    listed = json.loads(CliRunner().invoke(app, ["finetune", "list", "--json"]).stdout)
    assert [(card["name"], card["is_in_use"]) for card in listed] == [("better", True)]
    back = CliRunner().invoke(app, ["finetune", "rollback", "better"])
    assert f"{services.settings.model} writes from now on" in " ".join(back.stdout.split())
