"""``./scripts/install``: runs every step that is not done yet, in order, under a lock.

``--extra NAME`` installs a dependency group besides (test, check); ``--model NAME`` fetches a model besides the
configured ones; ``--only environment`` stops after the dependencies, ``--only tools`` before the owner's data is made,
``--only browser`` sees to Chromium alone. ``--dry-run`` says what would be done and does none of it.
"""

from __future__ import annotations

import argparse
import fcntl
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from scripts.setup import chromium, database, engine, environment, weights
from scripts.setup.box import Box
from scripts.setup.errors import SetupError, last_lines
from scripts.setup.progress import DryRun, Progress, rehearse

_ROOT = Path(__file__).resolve().parents[2]
_SHOWN_LOG_LINES = 12


def main(arguments: list[str]) -> int:
    """Returns the exit status: 0 set up, 1 a step failed and said why, 130 interrupted."""
    parser = argparse.ArgumentParser(
        prog="./scripts/install", description="Set this box up. Finished steps are not repeated."
    )
    parser.add_argument(
        "--extra",
        action="append",
        default=[],
        choices=["test", "check", "cluster", "finetune"],
        help="also install this dependency group",
    )
    parser.add_argument("--model", action="append", default=[], metavar="NAME", help="also fetch this model")
    parser.add_argument(
        "--only",
        choices=["environment", "browser", "tools"],
        help="the dependencies alone, the browser alone, or all but the owner's data",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    options = parser.parse_args(arguments)
    steps = _steps(options.only)
    progress = DryRun(len(steps)) if options.dry_run else Progress(len(steps))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    box = Box(_ROOT, progress, frozenset(options.extra), tuple(options.model))
    try:
        if options.dry_run:
            rehearse([(_words(step), partial(step, box)) for step in steps])
        else:
            with _lock(_ROOT / ".setup"):
                _run(box, steps)
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


def _run(box: Box, steps: list[Callable[[Box], None]]) -> None:
    started = time.monotonic()
    box.reload_state()  # another set-up may have finished while this one waited for the lock
    for step in steps:
        box.progress.step()
        step(box)
    if not box.progress.shown:
        print(f"Set-up: nothing to do ({len(steps)} steps checked in {time.monotonic() - started:.1f} s).", flush=True)


def _words(step: Callable[[Box], None]) -> str:
    return step.__name__.strip("_").replace("_", " ")


def _steps(only: str | None) -> list[Callable[[Box], None]]:
    first: list[Callable[[Box], None]] = [
        environment.prepare_environment,
        environment.install_torch,
        engine.install_engine,
        environment.install_dependencies,
    ]
    if only == "environment":
        return first
    if only == "browser":
        return [chromium.install_chromium]
    tools = [*first, chromium.install_chromium, _fetch_models_and_try_engine]
    return tools if only == "tools" else [*tools, engine.tune_engine, database.migrate_database]


def _fetch_models_and_try_engine(box: Box) -> None:
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
