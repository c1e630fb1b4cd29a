"""Use cases: train an adapter on the project's texts, and keep it if it is better; use one, take it back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from app import clock
from app.actions.service import ActionService
from app.adapters import AdapterShelf, Card
from app.audit.service import AuditService
from app.conversations.service import ConversationService
from app.db.engine import Database
from app.db.scope import DEFAULT_PROJECT
from app.errors import AppError
from app.finetune import rules
from app.finetune.posts import published_posts
from app.generation.approved import Approved, Pair
from app.generation.service import GenerationService

COMMAND = (sys.executable, "-m", "inference.finetune")
Tell = Callable[[str, int, int, float | None], None]
"""Is told the stage, how many of how many steps are done, and the last loss."""


class TrainingFailed(AppError):
    """The training did not end in an adapter; nothing was kept of it."""

    code = "training_failed"


class FinetuneService:
    """The adapters of one project.

    Args:
        command: what trains; it is given the path of a job and tells its progress on standard output.
    """

    def __init__(
        self,
        database: Database,
        audit: AuditService,
        generation: GenerationService,
        conversations: ConversationService,
        actions: ActionService,
        shelf: AdapterShelf,
        model: str,
        command: tuple[str, ...] = COMMAND,
    ) -> None:
        self._database = database
        self._audit = audit
        self._generation = generation
        self._conversations = conversations
        self._actions = actions
        self._shelf = shelf
        self._model = model
        self._command = command
        self.project_id = database.project_id or DEFAULT_PROJECT

    def train(self, name: str, recipe: dict[str, Any], tell: Tell, *, actor: str) -> Card:
        """Train on what was edited and approved, compare on what was held out, keep the adapter if it is better.

        Args:
            name: the adapter's, "" for the next free one.
            recipe: fields of ``inference.finetune.job.Recipe``.
        Returns: its card; ``refused`` when it is no better, then its weights are deleted.
        Raises: InvalidInput (too few texts, a bad name), Conflict (the name is taken), TrainingFailed.
        """
        name = self._shelf.free_name(name, self.project_id)
        training, held_out = rules.split(self.learned_from())
        weights = self._shelf.path_of(name)
        staged = weights.with_name(f".{name}.training")
        job = {
            "model": self._model,
            "training": [_example(pair, f"{n}:{pair.id}") for n, pair in enumerate(training)],
            "held_out": [_example(pair, pair.id) for pair in held_out],
            "recipe": recipe,
            "adapter_path": str(staged),
        }
        try:
            report = self._run(job, tell)
            found = rules.verdict([_compared(row) for row in report["compared"]], held_out)
            if not found.reasons:
                staged.replace(weights)
        finally:
            staged.unlink(missing_ok=True)
        figures = found.figures | {k: report[k] for k in ("steps", "seconds", "device", "deviation")}
        card = Card(
            name=name,
            project_id=self.project_id,
            model=self._model,
            status="refused" if found.reasons else "ready",
            created_at=clock.now(),
            trained_on=len(training),
            held_out=len(held_out),
            seed=int(recipe.get("seed", 0)),
            figures=figures,
            reasons=list(found.reasons),
        )
        self._shelf.add(card)
        self._record("adapter.trained", actor, {"name": name, "status": card.status, "texts": len(training)})
        return card

    def learned_from(self) -> Approved:
        """The variants that were edited or approved, and the published posts that the chat wrote, of this project."""
        posts = self._generation.paired(published_posts(self._conversations, self._actions))
        return rules.joined(self._generation.approved(), posts)

    def cards(self) -> tuple[list[Card], str | None]:
        """The project's adapters, the newest first, and the one in use."""
        return self._shelf.cards(self.project_id), self._shelf.in_use(self.project_id, self._model)

    def use(self, name: str, *, actor: str) -> None:
        """Write with it from now on. Raises: NotFound, Conflict."""
        self._shelf.use(self.project_id, name)
        self._record("adapter.used", actor, {"name": name})

    def roll_back(self, name: str, *, actor: str) -> str | None:
        """Stop writing with it; returns what is used instead, None for the model alone. Raises: NotFound, Conflict."""
        before = self._shelf.roll_back(self.project_id, name)
        self._record("adapter.rolled_back", actor, {"name": name, "now": before or self._model})
        return before

    def _record(self, event: str, actor: str, detail: dict[str, Any]) -> None:
        with self._database.write() as session:
            self._audit.record(session, event, actor=actor, project_id=self.project_id, detail=detail)

    def _run(self, job: dict[str, Any], tell: Tell) -> dict[str, Any]:
        """Train in a process of its own, which alone loads weights. Raises: TrainingFailed."""
        folder = self._shelf.folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = Path(job["adapter_path"]).with_suffix(".job")
        log = folder / "training.log"
        try:
            path.touch(mode=0o600)  # it holds the project's texts
            path.write_text(json.dumps(job, ensure_ascii=False), encoding="utf-8")
            with log.open("w", encoding="utf-8") as errors:
                process = subprocess.Popen(  # noqa: S603 - our own module
                    [*self._command, str(path)], stdout=subprocess.PIPE, stderr=errors, text=True
                )
                try:
                    return _report(process, tell, log)
                finally:
                    _end(process)
        finally:
            path.unlink(missing_ok=True)


def _report(process: subprocess.Popen[str], tell: Tell, log: Path) -> dict[str, Any]:
    last: dict[str, Any] = {}
    for last in _lines(process):
        if last.get("error"):
            raise TrainingFailed(str(last["error"]), hint=str(last.get("hint") or f"See {log}."))
        if report := last.get("report"):
            return dict(report)
        tell(str(last["stage"]), int(last.get("done", 0)), int(last.get("of", 0)), last.get("loss"))
    status = process.wait()
    killed = " It was killed, most likely because the memory ran out." if status in {-9, 137} else ""
    raise TrainingFailed(
        f"The training stopped with status {status} while: {last.get('stage', 'starting')}.{killed}",
        hint=f"See {log}; with little memory, stop Herald meanwhile (./scripts/down) or train with --batch 1.",
    )


def _lines(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    for line in process.stdout:
        with suppress(ValueError):  # a library may print what it likes
            parsed = json.loads(line)
            if isinstance(parsed, dict) and "stage" in parsed:
                yield parsed


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
    if process.stdout is not None:
        process.stdout.close()


def _example(pair: Pair, name: str) -> dict[str, Any]:
    return {"id": name, "messages": list(pair.messages), "answer": pair.answer, "answer_schema": pair.schema}


def _compared(row: dict[str, Any]) -> rules.Compared:
    return rules.Compared(row["id"], row["base_loss"], row["loss"], row["base_text"], row["text"])
