"""What of the user's settings the set-up can see before the product is installed."""

from __future__ import annotations

import os
import re
from pathlib import Path

_DECIDING = (
    *("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "HERALD_HOME", "HERALD_MODELS_DIR"),
    *("HERALD_MODEL", "HERALD_EMBEDDING_MODEL", "HERALD_INFERENCE_URL"),
)


def environment_settings() -> dict[str, str]:
    """The variables that decide which models are needed and where data lies."""
    return {name: os.environ[name] for name in _DECIDING if name in os.environ}


def dotenv_text(root: Path) -> str:
    """The settings file of this clone, or nothing."""
    try:
        return (root / ".env").read_text("utf-8")
    except OSError:
        return ""


def setting(root: Path, name: str) -> str:
    """One setting: the environment's value, else that of ``.env``, else nothing."""
    if value := os.environ.get(name):
        return value
    found = re.findall(rf"^\s*(?:export\s+)?{re.escape(name)}\s*=\s*(.*?)\s*$", dotenv_text(root), re.MULTILINE)
    return found[-1].strip("'\"") if found else ""
