"""The adapters of each project: which were trained, which of them may be used, and which is.

They are files in ``adapters/`` of the data home: ``NAME.gguf`` is what inference serves, ``NAME.json`` is its card, and
``in-use.json`` names what each project writes with. Nothing here loads an adapter.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from sqlalchemy.orm import Session

from app.errors import AppError, Conflict, InvalidInput, NotFound

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
IN_USE = "in-use.json"


class Card(BaseModel):
    """What is known of one trained adapter.

    Attributes:
        status: ``ready`` may be used; ``refused`` was no better than the model alone, its weights were not kept.
        figures: what the comparison on held-out texts found.
        reasons: why it was refused.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    project_id: str
    model: str
    status: Literal["ready", "refused"]
    created_at: datetime
    trained_on: int
    held_out: int
    seed: int
    figures: dict[str, Any]
    reasons: list[str]


class AdapterShelf:
    """The adapters under ``home``. Safe to use from several processes."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "adapters"

    def path_of(self, name: str) -> Path:
        """Where the adapter's weights are, or will be."""
        return self.folder / f"{name}.gguf"

    def cards(self, project_id: str) -> list[Card]:
        """The project's adapters, the newest first."""
        cards = [card for card in self._all() if card.project_id == project_id]
        return sorted(cards, key=lambda card: card.created_at, reverse=True)

    def card(self, project_id: str, name: str) -> Card:
        """One of them. Raises: NotFound, also for another project's."""
        for card in self.cards(project_id):
            if card.name == name:
                return card
        known = ", ".join(card.name for card in self.cards(project_id)) or "none"
        raise NotFound(
            f"This project has no adapter {name[:64]!r}; it has: {known}.",
            hint="herald finetune train makes one, herald finetune list shows them.",
        )

    def free_name(self, wanted: str, project_id: str) -> str:
        """``wanted``, or the next free name of the project when that is empty. Raises: InvalidInput, Conflict."""
        if wanted:
            if not NAME.fullmatch(wanted):
                raise InvalidInput(
                    f"An adapter cannot be called {wanted[:80]!r}.",
                    hint="Take letters, digits, '.', '_' and '-', at most 64, a letter or digit first.",
                )
            if self._is_taken(wanted):
                raise Conflict(f"There is an adapter {wanted!r} already.", hint="Choose another name with --name.")
            return wanted
        stem = project_id.removeprefix("prj_")[:12]
        number = 1
        while self._is_taken(f"{stem}-{number}"):
            number += 1
        return f"{stem}-{number}"

    def add(self, card: Card) -> None:
        """Put a card beside the weights."""
        _write(self.folder / f"{card.name}.json", card.model_dump_json(indent=1))

    def in_use(self, project_id: str, model: str) -> str | None:
        """The adapter that the project writes with on this model; None is the model itself."""
        stack = self._stacks().get(project_id, [])
        if not stack:
            return None
        try:
            card = self.card(project_id, stack[-1])
        except NotFound:
            return None  # its files were taken away
        return card.name if card.model == model and self.path_of(card.name).is_file() else None

    def use(self, project_id: str, name: str) -> None:
        """Let the project write with it. Raises: NotFound, Conflict (it was refused, or its weights are gone)."""
        card = self.card(project_id, name)
        if card.status == "refused":
            raise Conflict(
                f"{name} was not better than {card.model} alone: {'; '.join(card.reasons)}.",
                hint="Approve and edit more texts, then train another one.",
                code="adapter_refused",
            )
        if not self.path_of(name).is_file():
            raise Conflict(f"The weights of {name} are gone: {self.path_of(name)}.", hint="Train another one.")
        with self._changing() as stacks:
            stack = [other for other in stacks.get(project_id, []) if other != name]
            stacks[project_id] = [*stack, name]

    def roll_back(self, project_id: str, name: str) -> str | None:
        """Stop using it; what was used before is used again. Returns that, None for the model itself.

        Raises: NotFound, Conflict (it is not in use).
        """
        self.card(project_id, name)
        with self._changing() as stacks:
            stack = stacks.get(project_id, [])
            if name not in stack:
                raise Conflict(f"{name} is not in use.", hint="herald finetune list says which one is.")
            stack.remove(name)
            stacks[project_id] = stack
            return stack[-1] if stack else None

    def forget_project(self, _session: Session, project_id: str) -> Callable[[], None]:
        """What removes the adapters of a project that is being deleted: they were made of its texts."""

        def remove() -> None:
            for card in self.cards(project_id):
                self.path_of(card.name).unlink(missing_ok=True)
                (self.folder / f"{card.name}.json").unlink(missing_ok=True)
            if self.folder.is_dir():
                with self._changing() as stacks:
                    stacks.pop(project_id, None)

        return remove

    def _is_taken(self, name: str) -> bool:
        return self.path_of(name).exists() or (self.folder / f"{name}.json").exists()

    def _all(self) -> Iterator[Card]:
        for path in self.folder.glob("*.json"):
            if path.name == IN_USE:
                continue
            try:
                yield Card.model_validate_json(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise AppError(
                    f"The card {path} cannot be read: {error}.", hint="Restore it from a backup, or delete it."
                ) from error

    def _stacks(self) -> dict[str, list[str]]:
        path = self.folder / IN_USE
        try:
            return {str(k): [str(n) for n in v] for k, v in json.loads(path.read_text(encoding="utf-8")).items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise AppError(
                f"{path} cannot be read: {error}.", hint="Delete it: every project then writes with the model alone."
            ) from error

    @contextmanager
    def _changing(self) -> Iterator[dict[str, list[str]]]:
        """The adapters in use by project, oldest first; written back at the end. One process at a time."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.folder / ".lock").open("a") as lock:
            flock(lock, LOCK_EX)
            stacks = self._stacks()
            yield stacks
            _write(self.folder / IN_USE, json.dumps(stacks, indent=1))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
