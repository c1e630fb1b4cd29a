"""How commands reach the running app, and how they end when something fails."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.text import Text

from app import invisibles
from app.client import ApiError, HeraldClient
from app.errors import AppError
from app.settings import load_settings

EXIT_ERROR = 1
EXIT_AWAITING = 3
EXIT_ACTION_FAILED = 4
EXIT_INTERRUPTED = 130

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


@contextmanager
def reported() -> Iterator[None]:
    """Turn errors into two plain lines on stderr and the exit status 1; Ctrl-C into 130."""
    try:
        yield
    except ApiError as error:
        show_error(error.message, error.hint)
        raise typer.Exit(EXIT_ERROR) from None
    except AppError as error:
        show_error(error.message, error.hint)
        raise typer.Exit(EXIT_ERROR) from None
    except BrokenPipeError:
        sys.stderr.close()
        raise typer.Exit(EXIT_ERROR) from None
    except KeyboardInterrupt:
        err.print()
        raise typer.Exit(EXIT_INTERRUPTED) from None


def show_error(message: str, hint: str = "") -> None:
    """Say on stderr what failed and what to do."""
    err.print(Text("✗ ", style="bold red") + plain(message))
    if hint:
        err.print(Text("  ") + plain(hint, "dim"))


def plain(text: object, style: str = "") -> Text:
    """Text for the terminal: no markup, and hidden or control characters written out as ⟦U+001B⟧."""
    return Text(invisibles.shown(str(text)), style=style)


def connect() -> HeraldClient:
    """A client of this box's app, with its key. Raises: SettingsInvalid, KeyUnreadable."""
    settings = load_settings()
    return HeraldClient(settings.local_url, api_key=settings.api_key_text())
