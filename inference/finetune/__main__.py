"""``python -m inference.finetune JOB``: trains as the JSON file says; one line of JSON for each step on stdout."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from pydantic import ValidationError

from inference.errors import StartupError
from inference.finetune.errors import ExtraMissing, FinetuneError
from inference.finetune.job import Job, Progress, Report
from inference.serve import locate_model
from models.catalog import Kind

INSTALL = "./scripts/install-app --extra finetune"


def main(arguments: list[str]) -> int:
    """Returns the exit status: 0 with a report in the last line, 1 with an error in it, 2 for a job that is none."""
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # everything is here; nothing is asked of a hub
    try:
        job = Job.model_validate_json(Path(arguments[0]).read_text(encoding="utf-8"))
    except (IndexError, OSError, ValidationError) as error:
        tell(Progress(stage="failed", error=f"The job cannot be read: {error}", hint="herald finetune train makes it."))
        return 2
    try:
        tell(Progress(stage="done", report=trained(job)))
    except FinetuneError as error:
        tell(Progress(stage="failed", error=str(error), hint=error.hint))
        return 1
    except StartupError as error:
        tell(Progress(stage="failed", error=str(error)))
        return 1
    except OSError as error:
        tell(Progress(stage="failed", error=f"A file operation was refused: {error}.", hint="Is the disk full?"))
        return 1
    return 0


def trained(job: Job) -> Report:
    """Run the job. Raises: ExtraMissing, and what ``run`` raises."""
    base = locate_model(job.model, Kind.CHAT)
    try:
        from inference.finetune.run import run  # the libraries come with an extra
    except ModuleNotFoundError as error:
        raise ExtraMissing(f"Training needs {error.name}, which is not installed.", f"Run: {INSTALL}") from error
    return run(job, base, tell)


def tell(progress: Progress) -> None:
    """One line for whoever started this."""
    print(progress.model_dump_json(exclude_defaults=True), flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
