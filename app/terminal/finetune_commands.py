"""``herald finetune``: the model learns from edited and approved texts. On the box's machine, without the app."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from app.errors import AppError, NotFound
from app.settings import load_settings
from app.terminal import render
from app.terminal.connection import EXIT_ERROR, err, out, plain, reported

if TYPE_CHECKING:
    from app.adapters import Card
    from app.finetune.service import FinetuneService
    from app.llm import LlmClient

app = typer.Typer(help="Let the model learn from the texts that you edited and approved.", no_args_is_help=True)
ProjectOption = Annotated[str, typer.Option("--project", help="The project's id; without it, the first one's.")]
ACTOR = "cli"


@app.command("train")
def train(
    name: Annotated[str, typer.Option(help="How the adapter is called; without it, the next free name.")] = "",
    project: ProjectOption = "",
    epochs: Annotated[int, typer.Option(min=1, max=20, help="How often each text is learned from.")] = 3,
    batch: Annotated[int, typer.Option(min=1, max=64, help="Texts at once: fewer take less memory.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same adapter.")] = 7,
) -> None:
    """Train an adapter, compare it with the model alone on held-out texts, and keep it only if it is better."""
    with _finetune(project) as (service, _llm), _bar() as bar:
        task = bar.add_task("Gathering the texts", total=None)

        def tell(stage: str, done: int, of: int, loss: float | None) -> None:
            shown = f"{stage} (loss {loss:.3f})" if loss is not None else stage
            bar.update(task, description=shown, completed=done, total=of or None)

        card = service.train(name, {"epochs": epochs, "batch": batch, "seed": seed}, tell, actor=ACTOR)
    for line in _findings(card):
        out.print(plain(line))
    if card.status == "refused":
        err.print(plain(f"✗ {card.name} is not better and was not kept: {'; '.join(card.reasons)}.", "bold red"))
        err.print(plain("  Edit and approve more texts, then train again.", "dim"))
        raise typer.Exit(EXIT_ERROR)
    out.print(plain(f"✓ {card.name} is better. Write with it: herald finetune use {card.name}", "bold green"))


@app.command("list")
def list_adapters(
    project: ProjectOption = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program.")] = False,
) -> None:
    """List the project's adapters, the newest first."""
    with _finetune(project) as (service, _llm):
        cards, used = service.cards()
    if as_json:
        out.print_json(json.dumps([c.model_dump(mode="json") | {"is_in_use": c.name == used} for c in cards]))
        return
    if not cards:
        err.print(plain("No adapters yet. Train one with `herald finetune train`.", "dim"))
        return
    rows = (
        (c.name, "in use" if c.name == used else c.status, c.model, f"{c.trained_on}+{c.held_out}",
         f"{c.figures['base_loss']:.3f} → {c.figures['loss']:.3f}", render.moment(c.created_at.isoformat()))
        for c in cards
    )  # fmt: skip
    out.print(render.table(("name", "status", "of", "texts", "held-out loss", "trained"), rows))


@app.command("use")
def use(name: str, project: ProjectOption = "") -> None:
    """Let the project write with an adapter."""
    with _finetune(project) as (service, llm):
        service.use(name, actor=ACTOR)
        out.print(plain(f"✓ Variants and posts are written with {name} from now on."))
        if not _is_served(llm, name):
            hint = (
                "Inference does not serve it yet, so the model alone writes until then: ./scripts/down && ./scripts/up"
            )
            err.print(plain(hint, "yellow"))


@app.command("rollback")
def roll_back(name: str, project: ProjectOption = "") -> None:
    """Stop writing with an adapter; the one that was used before it is used again, else the model alone."""
    with _finetune(project) as (service, llm):
        now = service.roll_back(name, actor=ACTOR)
        out.print(plain(f"✓ {name} is not used any more; {now or llm.model} writes from now on."))


def _findings(card: Card) -> Iterator[str]:
    f = card.figures
    yield f"Learned from {card.trained_on} texts in {f['seconds']:.0f} s on the {f['device']}."
    yield (
        f"Loss on {card.held_out} held-out texts: {f['base_loss']:.3f} without it, {f['loss']:.3f} with it; "
        f"lower on {f['lower_on']} of {f['of']}."
    )
    for key, words in (("invented", "made-up facts"), ("lost", "lost facts"), ("empty_or_too_long", "a wrong length")):
        yield f"Written texts with {words}: {f[key]['base']} without it, {f[key]['adapter']} with it."


def _is_served(llm: LlmClient, name: str) -> bool:
    try:
        return name in llm.served()
    except AppError:
        return False


def _bar() -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f}"),
                    TimeElapsedColumn(), console=err)  # fmt: skip


@contextmanager
def _finetune(project: str) -> Iterator[tuple[FinetuneService, LlmClient]]:
    from app.db.scope import DEFAULT_PROJECT  # late: only these commands need the database
    from app.finetune.service import FinetuneService
    from app.services import build_services

    project = project or DEFAULT_PROJECT

    with reported():
        settings = load_settings()
        if not (settings.home / "herald.db").is_file():
            raise NotFound(
                f"There is no database {settings.home / 'herald.db'}.", hint="Start Herald once, or set HERALD_HOME."
            )
        services = build_services(settings)
        try:
            services.projects.require(project)
            own = services.within(project)
            yield (
                FinetuneService(
                    own.database,
                    own.audit,
                    own.generation,
                    own.conversations,
                    own.actions,
                    own.adapters,
                    settings.model,
                ),
                services.llm,
            )
        finally:
            services.close()
