"""Where Herald keeps its data and its models, decided once so that every process agrees.

Reads ``HERALD_HOME``, ``HERALD_MODELS_DIR`` and ``HERALD_HUB_URL`` from the environment, then from ``.env`` in the
current directory, then falls back to the XDG defaults.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

DEFAULT_HUB_URL = "https://huggingface.co"


class HomeSettings(BaseSettings):
    """The settings that all three processes share; unknown keys in ``.env`` belong to others and are ignored."""

    model_config = SettingsConfigDict(env_prefix="HERALD_", env_file=".env", env_ignore_empty=True, extra="ignore")

    home: Path | None = None
    models_dir: Path | None = None
    hub_url: str = DEFAULT_HUB_URL


def herald_home() -> Path:
    """The data folder (database, evidence, keys, logs). It is not created here."""
    configured = HomeSettings().home
    if configured is not None:
        return configured.expanduser().absolute()
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return (Path(base).expanduser() / "herald").absolute()


def models_dir() -> Path:
    """The weights folder, shared between clones because weights are identified by their digest. Not created here."""
    configured = HomeSettings().models_dir
    if configured is not None:
        return configured.expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return (Path(base).expanduser() / "herald" / "models").absolute()


def hub_url() -> str:
    """The model hub's origin without a trailing slash (a mirror may stand in for it)."""
    return HomeSettings().hub_url.rstrip("/")
