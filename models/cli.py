"""``herald models list|pull|use``: a Typer sub-application that the main command line mounts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from models.catalog import Kind, load_catalog
from models.errors import ModelError
from models.fetch import is_present, pull
from models.progress import human_size
from models.safetensors import pull_safetensors

app = typer.Typer(help="The language models of this machine.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="A name from `herald models list`.")]


def _fail(error: ModelError) -> typer.Exit:
    typer.secho(str(error), fg=typer.colors.RED, err=True)
    return typer.Exit(1)


@app.command("list")
def list_models() -> None:
    """Show the catalogue: licence, context, memory, and what is here already."""
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "here", "download", "memory", "context", "licence"):
        table.add_column(heading, no_wrap=True)
    for model in load_catalog().models.values():
        table.add_row(
            model.name,
            "yes" if is_present(model) else "no",
            human_size(model.size_bytes) if model.size_bytes else "?",
            human_size(model.memory_bytes),
            f"{model.context:,}",
            model.licence,
        )
    # Names are copied from here into other commands: a narrow terminal scrolls rather than cuts them.
    console = Console(width=max(100, Console().width))
    console.print(table)
    console.print()
    for model in load_catalog().models.values():
        console.print(f"{model.name}: {model.note} {model.licence_note}".rstrip(), highlight=False)


@app.command("pull")
def pull_model(
    name: NameArgument,
    local: Annotated[Path | None, typer.Option("--from", help="A copy on this machine to try first.")] = None,
    safetensors: Annotated[bool, typer.Option("--safetensors", help="What vLLM loads, instead of the GGUF.")] = False,
) -> None:
    """Download a model, verify its SHA-256 and keep it; goes on where an earlier pull stopped."""
    try:
        model = load_catalog().get(name)
        if model.licence_note:
            typer.secho(f"{model.title}: {model.licence}. {model.licence_note}", fg=typer.colors.YELLOW, err=True)
        path = pull_safetensors(model) if safetensors else pull(model, local=local)
    except ModelError as error:
        raise _fail(error) from None
    typer.echo(str(path))


@app.command("use")
def use_model(name: NameArgument) -> None:
    """Make a chat model the one that is served: writes HERALD_MODEL to .env in the current folder."""
    try:
        model = load_catalog().get(name)
    except ModelError as error:
        raise _fail(error) from None
    if model.kind is not Kind.CHAT:
        typer.secho(f"{name} is an {model.kind} model and cannot chat. Choose another.", fg=typer.colors.RED, err=True)
        raise typer.Exit(1)
    write_setting(Path(".env"), "HERALD_MODEL", name)
    typer.echo(f"HERALD_MODEL={name} is now in .env. Restart Herald to serve it.")
    if not is_present(model):
        typer.echo(f"It is not here yet: herald models pull {name}")


def write_setting(path: Path, key: str, value: str) -> None:
    """Set one ``KEY=value`` line of a dotenv file, leaving every other line as it is."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    pattern = re.compile(rf"\s*(export\s+)?{re.escape(key)}\s*=")
    kept = [line for line in lines if not pattern.match(line)]
    position = next((at for at, line in enumerate(lines) if pattern.match(line)), len(kept))
    kept.insert(min(position, len(kept)), f"{key}={value}")
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    temporary = path.with_name(path.name + ".new")
    temporary.touch(mode=mode)
    temporary.write_text("\n".join(kept) + "\n", encoding="utf-8")
    temporary.replace(path)
