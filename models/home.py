"""Where Herald keeps its data and its models, decided once so that every process agrees.

Reads ``HERALD_HOME``, ``HERALD_MODELS_DIR`` and ``HERALD_HUB_URL`` from the environment, then from ``.env`` in the
current directory, then falls back to the XDG defaults. Also where every setting can lie as a file: ``/run/secrets``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

DEFAULT_HUB_URL = "https://huggingface.co"
USUAL_SECRETS_DIR = "/run/secrets"  # where Docker and Podman mount them


class _SecretFiles(SecretsSettingsSource):
    """Files named like the variables, in small letters: ``herald_inference_key``."""

    def __call__(self) -> dict[str, Any]:
        """Raises: SettingsError that says which file, which the base class would wrap."""
        try:
            return super().__call__()
        except SettingsError as error:
            raise SettingsError(str(error.__cause__ or error)) from error

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Raises: SettingsError for a file that is there and cannot be read; an empty one counts as none."""
        try:
            value, key, is_complex = super().get_field_value(field, field_name)
        except (OSError, UnicodeDecodeError) as error:
            name = f"{self.env_prefix}{field_name}".lower()
            raise SettingsError(
                f"The secret {self.secrets_dir}/{name} cannot be read: {error}. Let the user who runs Herald read it."
            ) from error
        return value or None, key, is_complex


def secrets_dir() -> Path | None:
    """The folder of settings that are files: ``HERALD_SECRETS_DIR``, else ``/run/secrets`` where that exists."""
    path = Path(os.environ.get("HERALD_SECRETS_DIR") or USUAL_SECRETS_DIR).expanduser()
    return path if path.is_dir() else None


class HeraldSettings(BaseSettings):
    """Base of every settings class: variables go before ``.env``, and both before files of secrets."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The folder is looked up anew each time, so that it is where the environment says now."""
        files = _SecretFiles(settings_cls, secrets_dir=secrets_dir())
        return init_settings, env_settings, dotenv_settings, files


class HomeSettings(HeraldSettings):
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
