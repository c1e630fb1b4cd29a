"""``./scripts/install``: runs every step that is not done yet, in order, under a lock.

``--extra NAME`` installs a dependency group besides (test, check); ``--model NAME`` fetches a model besides the
configured ones; ``--only environment`` stops after the dependencies, ``--only tools`` before the owner's data is made.
"""

from __future__ import annotations

import argparse
import fcntl
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.setup import chromium, database, engine, environment, weights
from scripts.setup.box import Box
from scripts.setup.errors import SetupError, last_lines
from scripts.setup.progress import Progress

_ROOT = Path(__file__).resolve().parents[2]
_SHOWN_LOG_LINES = 12


def main(arguments: list[str]) -> int:
    """Returns the exit status: 0 set up, 1 a step failed and said why, 130 interrupted."""
    parser = argparse.ArgumentParser(
        prog="./scripts/install", description="Set this box up. Finished steps are not repeated."
    )
    parser.add_argument(
        "--extra", action="append", default=[], choices=["test", "check"], help="also install this dependency group"
    )
    parser.add_argument("--model", action="append", default=[], metavar="NAME", help="also fetch this model")
    parser.add_argument(
        "--only", choices=["environment", "tools"], help="stop after the dependencies, or before data is made"
    )
    options = parser.parse_args(arguments)
    steps = _steps(options.only)
    progress = Progress(len(steps))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with _lock(_ROOT / ".setup"):
            started = time.monotonic()
            box = Box(_ROOT, progress, frozenset(options.extra), tuple(options.model))
            for step in steps:
                progress.step()
                step(box)
            if not progress.shown:
                print(
                    f"Set-up: nothing to do ({len(steps)} steps checked in {time.monotonic() - started:.1f} s).",
                    flush=True,
                )
    except SetupError as error:
        progress.fail()
        _explain(error)
        return 1
    except OSError as error:
        progress.fail()
        _explain(
            SetupError(
                f"The system refused a file operation: {error}.", "Mend its cause and run the same command again."
            )
        )
        return 1
    except KeyboardInterrupt:
        progress.fail()
        print("Interrupted. Run the same command again to go on.", file=sys.stderr)
        return 130
    return 0


def _interrupt(_number: int, _frame: object) -> None:
    """Being told to end is like Ctrl-C: the running command and its children are ended too."""
    raise KeyboardInterrupt


def _steps(only: str | None) -> list[Callable[[Box], None]]:
    first: list[Callable[[Box], None]] = [
        environment.prepare_environment,
        environment.install_torch,
        engine.install_engine,
        environment.install_dependencies,
    ]
    if only == "environment":
        return first
    tools = [*first, chromium.install_chromium, _models_and_trial]
    return tools if only == "tools" else [*tools, engine.tune_engine, database.migrate_database]


def _models_and_trial(box: Box) -> None:
    smallest = weights.fetch_models(box)
    if smallest is not None:
        engine.prove_engine(box, smallest)


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """One set-up at a time in one clone; the second waits and says so."""
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("a") as file:
        started = time.monotonic()
        said_at = started
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                now = time.monotonic()
                if said_at == started or now - said_at > 15:
                    print(f"Another set-up runs in this folder; waiting for it … {now - started:.0f} s", flush=True)
                    said_at = now
                time.sleep(0.5)
        yield


def _explain(error: SetupError) -> None:
    print(f"\nWhat failed: {error.what}\nWhat to do:  {error.todo}", file=sys.stderr)
    if error.log is not None:
        print(f"Log:         {error.log}, which ends with", file=sys.stderr)
        for line in last_lines(error.log, _SHOWN_LOG_LINES):
            print(f"    {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
