"""``python -m inference.cluster REQUESTS SHARDS --cluster ADDRESS``: answer a file of requests on a Ray cluster.

What is answered is written to the folder SHARDS, one file a block, each complete or not there at all. stdout gets one
JSON object a line: ``workers``, ``progress`` and at the end ``done`` or ``failed``. ``herald batch run`` reads both.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from inference.cluster.requests import check_requests, require_answer
from inference.errors import InvalidRequest, StartupError

EXIT_FAILED, EXIT_INTERRUPTED = 1, 130


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 0 all blocks are written, 1 it failed (the last line says why), 130 interrupted."""
    parser = argparse.ArgumentParser(prog="python -m inference.cluster", description=__doc__)
    parser.add_argument("requests", type=Path)
    parser.add_argument("shards", type=Path)
    parser.add_argument("--cluster", required=True, help="ray://HOST:10001, HOST:6379 on a node, or local")
    parser.add_argument("--workers", type=int, default=0, help="0 is one for each node, or for each --gpus of GPUs")
    parser.add_argument("--cpus", type=int, default=1, help="processors of a worker")
    parser.add_argument("--gpus", type=int, default=-1, help="GPUs of a worker; -1 is one where the cluster has any")
    options = parser.parse_args(arguments)
    # Before Ray is imported: nothing is told to its makers, and no web page is opened.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        share, work = _share(options), check_requests(options.requests)
        require_answer(options.cluster)
        from inference.cluster.client import run  # late: Ray takes seconds to load

        run(work, options.shards, options.cluster, share, say)
    except ModuleNotFoundError as error:
        return _failed(
            f"Ray is not installed here ({error.name} is missing).",
            "Install it: ./scripts/install-app --extra cluster",
        )
    except StartupError as error:
        return _failed(str(error), "")
    except InvalidRequest as error:
        return _failed(error.message, "Correct the file and run the same command again.")
    except OSError as error:
        return _failed(f"{error.filename or options.shards}: {error.strerror or error}.", "Check the disk.")
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return 0


def _share(options: argparse.Namespace) -> tuple[int, int, int]:
    if options.workers < 0 or options.cpus < 1 or options.gpus < -1:
        raise StartupError(
            f"--workers is {options.workers} (0 or more), --cpus {options.cpus} (1 or more), --gpus {options.gpus} "
            "(-1, 0 or more). Correct them."
        )
    return options.workers, options.cpus, options.gpus


def say(event: str, **values: Any) -> None:
    """One line for the command that reads this. A reader that has gone away ends the run."""
    sys.stdout.write(json.dumps({"event": event, **values}) + "\n")
    sys.stdout.flush()


def _failed(message: str, hint: str) -> int:
    say("failed", message=message, hint=hint)
    return EXIT_FAILED


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
