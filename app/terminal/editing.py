"""Editing an action's params: in ``$EDITOR`` as JSON, or field by field where there is no editor."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import typer

from app.client import Action
from app.terminal.connection import err, plain


def edited_params(action: Action) -> dict[str, Any] | None:
    """The params as the person wants them, or None when nothing was changed."""
    before = action["params"]
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    after = _in_editor(editor, before) if editor else _field_by_field(before)
    return None if after == before else after


def _in_editor(editor: str, params: dict[str, Any]) -> dict[str, Any] | None:
    with tempfile.TemporaryDirectory(prefix="herald-") as folder:
        path = Path(folder) / "params.json"
        path.write_text(json.dumps(params, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        while True:
            try:
                subprocess.run([*shlex.split(editor), str(path)], check=True)  # noqa: S603 - the person's own editor
            except (OSError, subprocess.CalledProcessError) as error:
                err.print(plain(f"The editor {editor!r} failed ({error}); nothing was changed.", "red"))
                return None
            try:
                after = json.loads(path.read_text(encoding="utf-8"))
                if isinstance(after, dict):
                    return after
                problem = "it must be an object {…}"
            except ValueError as error:
                problem = str(error)
            err.print(plain(f"That is not valid JSON: {problem}.", "red"))
            if not typer.confirm("Open the editor again?", default=True):
                return None


def _field_by_field(params: dict[str, Any]) -> dict[str, Any]:
    err.print(plain("Enter keeps a value. Set EDITOR to edit everything at once.", "dim"))
    return {name: _asked(name, value) for name, value in params.items()}


def _asked(name: str, value: Any) -> Any:
    if isinstance(value, dict) and all(isinstance(v, str) for v in value.values()):
        return {key: _asked(f"{name} · {key}", text) for key, text in value.items()}
    is_plain = isinstance(value, str) and "\n" not in value and not value.startswith('"')
    shown = value if is_plain else json.dumps(value, ensure_ascii=False)
    while True:
        typed = typer.prompt(name, default=shown, show_default=bool(shown))
        if typed == shown:
            return value
        if isinstance(value, str) and not typed.startswith('"'):
            return typed
        try:
            return json.loads(typed)
        except ValueError as error:
            err.print(plain(f"That is not valid JSON: {error}.", "red"))
