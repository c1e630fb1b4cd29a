"""``herald batch run --cluster``: the same file and the same output, answered by a Ray cluster.

A process of its own does it (``python -m inference.cluster``): the app never loads what serves models.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.errors import AppError, InvalidInput
from app.terminal.batch_files import ResultFile, first_error, is_answer, write_errors, write_remaining
from app.terminal.connection import EXIT_ERROR, EXIT_INTERRUPTED, err, out, plain, show_error

STOP_S = 60.0
Told = Callable[[dict[str, Any]], None]


class ClusterFailed(AppError):
    """The cluster cannot be reached or broke; what is done is kept."""

    code = "cluster_failed"


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where it is and what each worker gets there; 0 workers and -1 GPUs are chosen for the cluster."""

    address: str
    workers: int = 0
    cpus: int = 1
    gpus: int = -1


def run(cluster: Cluster, source: Path, output: Path) -> int:
    """Answer every request that has no answer in ``output``; returns the exit status.

    Raises: OSError, InvalidInput, ClusterFailed.
    """
    if output.exists() and source.exists() and output.samefile(source):
        raise InvalidInput("The output would overwrite the input.", hint="Choose another file with -o.")
    source.open("rb").close()  # a wrong name leaves no empty output behind
    shards = output.with_name(f".{output.name}.shards")
    results = ResultFile(output)
    try:
        _merge(shards, results)  # what an earlier run that was killed has left
        with tempfile.TemporaryDirectory() as folder, (Path(folder) / "requests.jsonl").open("wb") as remaining:
            total, left, _ = write_remaining(source, results.ids, remaining)
            remaining.flush()
            if total and not left:
                err.print(plain(f"All {total:,} requests have their answers in {output} already."))
                return 0
            started_s = time.monotonic()
            try:
                was_stopped = _answer(cluster, Path(remaining.name), shards, total, total - left)
            finally:
                before = len(results.ids)
                failed = _merge(shards, results, output.with_name(f"{output.stem}.errors.jsonl"))
    finally:
        results.close()
    added, elapsed_s = len(results.ids) - before, time.monotonic() - started_s
    out.print(plain(f"{added:,} answers in {elapsed_s:,.1f} s, {len(results.ids):,} in {output}."))
    if failed:
        errors = output.with_name(f"{output.stem}.errors.jsonl")
        show_error(f"{failed:,} requests failed, see {errors}. The first: {first_error(errors)}")
    if was_stopped:
        err.print(plain("Stopped. The same command goes on where it was.", "dim"))
        return EXIT_INTERRUPTED
    return EXIT_ERROR if failed else 0


def _merge(shards: Path, results: ResultFile, errors: Path | None = None) -> int:
    """Move the shards' answers into the output, their failures into ``errors``; returns how many failures.

    The shards go away last: a run that is killed in between finds its answers in both, and adds none twice.
    """
    files = sorted(shards.glob("*.jsonl")) if shards.is_dir() else []
    for path in files:
        results.add(line for line in _lines(path) if is_answer(line))
    failed = write_errors(errors, _failures(files, results)) if errors is not None else 0
    for path in files:
        path.unlink()
    if shards.is_dir() and not any(shards.iterdir()):
        shards.rmdir()
    return failed


def _failures(files: list[Path], results: ResultFile) -> Iterator[bytes]:
    for path in files:
        for line in _lines(path):
            if json.loads(line)["custom_id"] not in results.ids:
                yield line


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


def _answer(cluster: Cluster, requests: Path, shards: Path, total: int, done_before: int) -> bool:
    """See the work to its end with a bar; whether somebody stopped it. Raises: ClusterFailed."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[speed]}"),
        TextColumn("left:"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task(f"Connecting to {cluster.address}", total=total, completed=done_before, speed="")
        begun_s = time.monotonic()

        def told(event: dict[str, Any]) -> None:
            if event["event"] == "workers":
                kind = f"{event['gpus']} GPUs" if event["gpus"] else f"{event['cpus']} CPUs"
                progress.update(task, description=f"{event['count']} workers with {kind} each")
            elif event["event"] == "progress":
                failed = f", {event['failed']:,} failed" if event["failed"] else ""
                speed = event["tokens"] / max(time.monotonic() - begun_s, 0.001)
                finished = done_before + event["done"] + event["failed"]
                progress.update(task, completed=finished, speed=f"{speed:,.1f} tokens/s{failed}")

        return _listen(_start(cluster, requests, shards), cluster, told)


def _start(cluster: Cluster, requests: Path, shards: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "inference.cluster", str(requests), str(shards.absolute())]
    command += ["--cluster", cluster.address, "--workers", str(cluster.workers)]
    command += ["--cpus", str(cluster.cpus), "--gpus", str(cluster.gpus)]
    # A group of its own: Ctrl-C reaches this process alone, which then ends the other in order.
    return subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )


def _listen(process: subprocess.Popen[str], cluster: Cluster, told: Told) -> bool:
    last: dict[str, Any] = {}
    try:
        assert process.stdout is not None
        for line in process.stdout:
            last = _event(line) or last
            told(last)
        process.wait()
    except KeyboardInterrupt:
        return True
    finally:
        _end(process)
    if process.returncode == 0 and last.get("event") == "done":
        return False
    if last.get("event") == "failed":
        raise ClusterFailed(last["message"], hint=last["hint"])
    how = f"signal {-process.returncode}" if process.returncode < 0 else f"exit status {process.returncode}"
    raise ClusterFailed(
        f"The connection to {cluster.address} ended unexpectedly ({how}).", hint="Run the same command again."
    )


def _event(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.stdout is not None:
        process.stdout.close()
