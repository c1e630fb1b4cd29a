"""Remembers which steps are done and with what inputs, inside the environment that they built.

The file lives in ``.venv`` so that deleting the environment forgets its steps. A step that was begun and never
finished is seen on the next run.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

FILE_NAME = "herald-setup.json"


def fingerprint(*inputs: object) -> str:
    """A SHA-256 over the inputs of a step; any change of any of them gives another."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()


class State:
    """The stamps of one environment. ``begin`` before a step changes anything, ``finish`` when it is whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._data: dict[str, Any] = {"steps": {}, "running": None}
        try:
            loaded = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            return
        if isinstance(loaded, dict) and isinstance(loaded.get("steps"), dict):
            self._data = {"steps": loaded["steps"], "running": loaded.get("running")}

    @property
    def interrupted_step(self) -> str | None:
        """The step that was begun and not finished, if any."""
        return self._data["running"]

    def is_done(self, step: str, inputs: str) -> bool:
        """Whether the step was finished with exactly these inputs."""
        return self._data["steps"].get(step, {}).get("inputs") == inputs

    def note(self, step: str, key: str) -> Any:
        """What ``finish`` kept under ``key`` for a step, or None."""
        return self._data["steps"].get(step, {}).get(key)

    def begin(self, step: str) -> None:
        """Say that the step is changing things from now on."""
        self._data["steps"].pop(step, None)
        self._data["running"] = step
        self._write()

    def finish(self, step: str, inputs: str, **notes: Any) -> None:
        """Say that the step is whole."""
        self._data["steps"][step] = {"inputs": inputs, **notes}
        self._data["running"] = None
        self._write()

    def forget(self, step: str) -> None:
        """Have the step run again."""
        self._data["steps"].pop(step, None)
        self._write()

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_suffix(".new")
        beside.write_text(json.dumps(self._data, indent=1), "utf-8")
        beside.replace(self.path)
