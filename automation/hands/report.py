"""What the worker says of its hands to whoever asks for the box's health: a small file in the data home."""

from __future__ import annotations

import json
from pathlib import Path

_FILE_NAME = "hands.json"


def write_warnings(home: Path, warnings: tuple[str, ...]) -> None:
    """Keep what this system does not let be shut off, in place of what was said before. Raises: OSError."""
    made = home / f"{_FILE_NAME}.new"
    made.write_text(json.dumps({"warnings": list(warnings)}), encoding="utf-8")
    made.replace(home / _FILE_NAME)


def read_warnings(home: Path) -> tuple[str, ...]:
    """What the worker last said; empty when it never ran or has nothing to say."""
    try:
        found = json.loads((home / _FILE_NAME).read_text(encoding="utf-8"))["warnings"]
        return tuple(str(warning) for warning in found)
    except (OSError, ValueError, KeyError, TypeError):
        return ()
