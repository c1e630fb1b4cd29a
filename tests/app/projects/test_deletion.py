"""What goes with a project: its files, and those of nobody else."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

import pytest

from app.auth.records import OWNER_ID, Actor
from app.errors import Conflict
from app.memory.storage import Originals
from app.projects.records import Project
from app.services import Services
from automation.actions.base import ActionResult
from tests.app.media.test_service import PNG

OWNER = Actor(user_id=OWNER_ID, name="Owner", is_box_owner=True, via="system")
SHARED, OWN = b"The shop opens at nine.", b"The shop closes at five."


@pytest.fixture
def project(services: Services) -> Project:
    """A second project: a document and a picture of its own, one of each that the default project has too, evidence."""
    project = services.projects.create(OWNER, "Other")
    own, default = services.within(project.id), services.within("prj_default")
    for each in (own, default):
        each.memory.add("shared.txt", SHARED, "t")
        each.media.store(io.BytesIO(PNG), "shared.png", actor="t")
        leave_evidence(each)
    own.memory.add("own.txt", OWN, "t")
    own.media.store(io.BytesIO(PNG + b"!"), "own.png", actor="t")
    return project


def leave_evidence(services: Services) -> None:
    """Run an action that leaves a picture."""
    action = services.actions.propose("scrape_url", {"url": "https://example.com"}, actor="t")
    services.actions.approve(action.id, action.digest, actor="t")
    services.execution.heartbeat("w")
    claim = services.execution.claim(action.id, "w")
    assert claim is not None
    (services.execution.new_evidence_dir(claim) / "page.png").write_bytes(PNG)
    services.execution.finish_success(claim, ActionResult("Read", {}, ()))


def files_of(services: Services) -> dict[str, set[str]]:
    """The names of what lies in the data home, by kind."""
    settings = services.settings
    folders = {"originals": settings.documents_dir, "media": settings.media_dir, "evidence": settings.evidence_dir}
    return {kind: {path.name for path in Path(folder).iterdir()} for kind, folder in folders.items()}


def kept_by_default(services: Services) -> dict[str, set[str]]:
    """What the default project has."""
    default = services.within("prj_default")
    with services.database.read() as session:
        media = {str(row[0]) for row in session.connection().exec_driver_sql("SELECT sha256 FROM media")}
    return {
        "originals": {asset.sha256 for asset in default.memory.assets()},
        "media": media,
        "evidence": {action.id for action in default.actions.newest()},
    }


def test_a_project_with_an_action_under_way_stays_with_its_files(services: Services, project: Project) -> None:
    """Nothing is removed when the deletion is refused."""
    action = services.within(project.id).actions.propose("scrape_url", {"url": "https://example.com"}, actor="t")
    services.within(project.id).actions.approve(action.id, action.digest, actor="t")
    before = files_of(services)
    with pytest.raises(Conflict):
        services.projects.delete(OWNER, project.id)
    assert files_of(services) == before


def test_the_files_of_a_deleted_project_go_and_shared_ones_stay(services: Services, project: Project) -> None:
    """Originals, media and evidence; recipes, sessions and all other rows go with the project's row."""
    assert {kind: len(names) for kind, names in files_of(services).items()} == {
        "originals": 2,
        "media": 2,
        "evidence": 2,
    }
    services.projects.delete(OWNER, project.id)
    assert files_of(services) == kept_by_default(services)
    assert all(files_of(services).values())


def test_files_that_a_crash_left_are_removed_later(
    services: Services, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failing disk does not undo the deletion; an hour later the worker finds what nobody owns."""

    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError("the disk does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(Originals, "remove", fail)
        patch.setattr(Path, "unlink", fail)
        patch.setattr("app.actions.evidence.shutil.rmtree", lambda *_a, **_k: None)
        services.projects.delete(OWNER, project.id)
    assert [p.id for p in services.projects.all(OWNER_ID)] == ["prj_default"]
    assert {kind: len(names) for kind, names in files_of(services).items()}["originals"] == 2
    services.clear_leftovers()  # a file may have been written a moment ago, its row to come
    assert len(files_of(services)["media"]) == 2
    an_hour_ago = time.time() - 3_700
    for folder in (services.settings.documents_dir, services.settings.media_dir):
        for path in folder.iterdir():
            os.utime(path, (an_hour_ago, an_hour_ago))
    services.clear_leftovers()
    assert files_of(services) == kept_by_default(services)
