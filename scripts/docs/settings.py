"""Writes ``.env.example`` and ``docs/settings.md`` from the settings classes: ``python -m scripts.docs.settings``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_settings import BaseSettings

from app.settings import Settings
from automation.config import AutomationSettings
from inference.config import InferenceSettings
from models.home import HomeSettings

_ROOT = Path(__file__).resolve().parents[2]
_COMPUTED_DEFAULTS = {"HERALD_HOME": "~/.local/share/herald", "HERALD_MODELS_DIR": "~/.cache/herald/models"}
# Where a class says nothing of a field, this does.
_DESCRIPTIONS = {
    "HERALD_HOME": "Folder of all data: database, evidence, documents, keys, logs.",
    "HERALD_MODELS_DIR": "Folder of the models' files, shared between clones.",
    "HERALD_HUB_URL": "Origin of the model hub, or of a mirror of it.",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable as a reader needs it: an empty default means that it is unset."""

    name: str
    default: str
    description: str


_SETUP = (
    Setting("HERALD_PYTHON", "", "Python 3.11 or newer that ./scripts/install uses; found by itself when unset."),
    Setting("HERALD_TORCH_INDEX", "", "Package index for PyTorch alone, such as its CPU index; pip's own when unset."),
    Setting(
        "HERALD_ENGINE_BUILD",
        "native",
        "How llama-cpp-python is built: native for this CPU, portable for any x86 CPU with AVX2, cuda for NVIDIA cards "
        "besides (needs nvcc).",
    ),
)
_FILES = (
    Setting(
        "HERALD_SECRETS_DIR",
        "/run/secrets",
        "Folder of settings that are files, each named like its variable in small letters, such as "
        "`herald_inference_key`; variables and `.env` go first.",
    ),
)
_COMMAND_LINE = (
    Setting("HERALD_ACCOUNT_PASSWORD", "", "Password for `herald accounts add` in a script; asked for when unset."),
)
_RUNPOD = (
    Setting("HERALD_SOURCE", "", "Repository that a RunPod pod clones; `herald runpod up` sets it."),
    Setting("HERALD_REVISION", "", "Commit, branch or tag of it that the pod runs."),
    Setting("HERALD_VOLUME", "/workspace", "Folder in the pod that lasts; data and models are in its folder `herald`."),
)
_ENVIRONMENT_ONLY = {
    "HERALD_PYTHON",
    "HERALD_SECRETS_DIR",
    "HERALD_ACCOUNT_PASSWORD",
    *(setting.name for setting in _RUNPOD),
}


def sections() -> dict[str, list[Setting]]:
    """Every setting once, under the heading of the first part that reads it."""
    seen: set[str] = set()
    found: dict[str, list[Setting]] = {}
    parts: tuple[tuple[str, type[BaseSettings]], ...] = (
        ("Folders and models", HomeSettings),
        ("The app", Settings),
        ("Inference", InferenceSettings),
        ("Automation", AutomationSettings),
    )
    for heading, settings_class in parts:
        found[heading] = [setting for setting in _settings_of(settings_class) if setting.name not in seen]
        seen |= {setting.name for setting in found[heading]}
    found["Secrets as files"] = list(_FILES)
    found["Set-up"] = list(_SETUP)
    found["Command line"] = list(_COMMAND_LINE)
    found["In a RunPod pod"] = list(_RUNPOD)
    return found


def _settings_of(settings_class: type[BaseSettings]) -> list[Setting]:
    prefix = settings_class.model_config.get("env_prefix", "")
    return [
        Setting(
            name := f"{prefix}{field_name}".upper(),
            _COMPUTED_DEFAULTS.get(name, "" if field.default_factory else _as_text(field.default)),
            _DESCRIPTIONS.get(name) or field.description or "",
        )
        for field_name, field in settings_class.model_fields.items()
    ]


def _as_text(default: Any) -> str:
    if default is None:
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, float) and default.is_integer():
        return str(int(default))
    return str(default)


def env_example() -> str:
    """The text of ``.env.example``: every setting commented out with its default."""
    lines = [
        "# Every setting of Herald. Copy this file to .env and uncomment what you want to change; a variable of the",
        "# environment goes before .env. Written by `python -m scripts.docs.settings`; do not edit by hand.",
    ]
    for heading, settings in sections().items():
        lines += ["", f"# --- {heading}"]
        for setting in settings:
            note = " Read from the environment only." if setting.name in _ENVIRONMENT_ONLY else ""
            lines += ["", f"# {setting.description}{note}", f"#{setting.name}={setting.default}"]
    return "\n".join(lines) + "\n"


def settings_page() -> str:
    """The text of ``docs/settings.md``."""
    lines = [
        "# Settings",
        "",
        "Every setting is a variable of the environment, or a line of `.env` in the repository's folder (the",
        "environment goes first). `.env.example` lists them all with their defaults. A value that cannot be used stops",
        "the start with a message that names the variable, its value and what is allowed.",
        "What should stand in neither, such as a key, may be a file in `HERALD_SECRETS_DIR`.",
        "",
        "This page is written by `python -m scripts.docs.settings` from the settings classes.",
    ]
    for heading, settings in sections().items():
        lines += ["", f"## {heading}", "", "| variable | default | meaning |", "| --- | --- | --- |"]
        for setting in settings:
            default = f"`{setting.default}`" if setting.default else "unset"
            note = " Read from the environment only." if setting.name in _ENVIRONMENT_ONLY else ""
            lines.append(f"| `{setting.name}` | {default} | {setting.description.replace('|', '/')}{note} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write both files."""
    (_ROOT / ".env.example").write_text(env_example(), "utf-8")
    (_ROOT / "docs" / "settings.md").write_text(settings_page(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
