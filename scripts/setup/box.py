"""Where everything of one set-up lies, and what every step is given."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scripts.setup.commands import run_logged
from scripts.setup.errors import SetupError, next_step
from scripts.setup.progress import Progress
from scripts.setup.state import FILE_NAME, State

_RUN_AGAIN = "Read the log, mend the cause and run the same command again; finished steps are not repeated."


def cache_home() -> Path:
    """Herald's folder for what is expensive to make and shared between clones."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "herald"


@dataclass
class Box:
    """One clone on one machine.

    Attributes:
        root: the repository's folder.
        extras: the dependency groups of pyproject.toml to install besides the product's own.
        models: names of the models to fetch, as ``models/catalog.toml`` knows them; empty for those that a start needs.
    """

    root: Path
    progress: Progress
    extras: frozenset[str] = frozenset()
    models: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.reload_state()

    def reload_state(self) -> None:
        """Read the stamps again, after the environment was made or removed."""
        self.state = State(self.venv / FILE_NAME)

    @property
    def venv(self) -> Path:
        """The virtual environment."""
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.venv / "bin" / "python"

    @property
    def is_root(self) -> bool:
        """Whether system packages can be installed."""
        return os.geteuid() == 0

    def log(self, name: str) -> Path:
        """The log file of a step."""
        return self.root / ".setup" / "logs" / f"{name}.log"

    def pinned(self, package: str) -> str:
        """The version of ``package`` that constraints.txt pins.

        Raises: SetupError when it pins none.
        """
        text = (self.root / "constraints.txt").read_text("utf-8")
        found = re.search(rf"^{re.escape(package)}==(\S+)", text, re.MULTILINE)
        if not found:
            raise SetupError(
                f"constraints.txt pins no version of {package}.", "Run ./scripts/lock, or restore the file with git."
            )
        return found.group(1)

    def call(
        self,
        *argv: str | Path,
        log_name: str,
        what: str,
        todo: str = _RUN_AGAIN,
        env: dict[str, str] | None = None,
        detail: Callable[[str], str] | None = None,
    ) -> Path:
        """Run a command that must succeed; returns its log.

        Raises: SetupError that says ``what`` failed and what to do about the cause that the log shows.
        """
        log = self.log(log_name)
        status = run_logged(argv, log, self.progress, env=env, cwd=self.root, detail=detail)
        if status != 0:
            ended = f"ended by signal {-status}" if status < 0 else f"exit status {status}"
            raise SetupError(f"{what} ({ended}).", next_step(log, todo), log)
        return log

    def pip(
        self,
        *arguments: str | Path,
        log_name: str,
        what: str,
        env: dict[str, str] | None = None,
        detail: Callable[[str], str] | None = None,
    ) -> None:
        """Run the environment's pip with the user's own configuration. Raises: SetupError."""
        self.call(
            self.python, "-m", "pip", "--no-input", "--disable-pip-version-check", *arguments,
            log_name=log_name, what=what, env=env, detail=detail,
        )  # fmt: skip
