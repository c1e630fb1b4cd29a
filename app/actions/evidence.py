"""The folders that runs leave as evidence, one an action, and their end with the project that they belong to."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.orm import Session

from app.actions import repository
from app.db.engine import Database


class EvidenceFolders:
    """Evidence of all projects.

    Args:
        folder: what holds one folder an action, named by its id.
    """

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder

    def forget_project(self, session: Session, project_id: str) -> Callable[[], None]:
        """What removes the evidence of a project that is being deleted."""
        action_ids = repository.ids_of_project(session, project_id)

        def remove() -> None:
            for action_id in action_ids:
                shutil.rmtree(self._folder / action_id, ignore_errors=True)

        return remove

    def clear_leftovers(self) -> None:
        """Remove evidence that belongs to no action: of a project whose deletion a crash cut short."""
        if not self._folder.is_dir():
            return
        folders = {path.name: path for path in self._folder.iterdir() if path.is_dir()}
        with self._database.read() as session:  # after the listing: a folder is made for a row that is there
            known = repository.every_id(session)
        for name in folders.keys() - known:
            shutil.rmtree(folders[name], ignore_errors=True)
