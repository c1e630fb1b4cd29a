"""The worker's own settings: ``HERALD_…`` environment variables, or ``.env`` in the current directory."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from models.home import HeraldSettings


class AutomationSettings(HeraldSettings):
    """Each field's description is what the documentation says of its variable."""

    model_config = SettingsConfigDict(
        env_prefix="HERALD_", env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore"
    )

    chromium: str = Field(
        "", description="Browser executable; without it Playwright's own or an installed one is found."
    )
    action_timeout_s: Annotated[float, Field(ge=5, le=3_600)] = Field(
        90.0, description="Seconds that one action may take in the browser."
    )
    max_page_mb: Annotated[float, Field(ge=0.1, le=10_000)] = Field(
        50.0, description="Megabytes that one action may receive from the web."
    )
    hands_memory_mb: Annotated[float, Field(ge=256, le=1_000_000)] = Field(
        2_500.0, description="Megabytes of memory that one action's processes, the browser's among them, may use."
    )
    chromium_sandbox: bool = Field(
        True, description="Chromium's own sandbox; `false` goes on without it where the system forbids it."
    )
    worker_threads: Annotated[int, Field(ge=1, le=16)] = Field(
        2, description="Actions that run at the same time, each in a browser of its own."
    )
