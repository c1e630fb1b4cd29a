"""``herald batch``: a file of requests through the model server, with progress, resumed where it was."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from app.client import ApiError
from app.errors import AppError, InvalidInput
from app.settings import load_settings
from app.terminal import batch_cluster
from app.terminal.batch_cluster import Cluster
from app.terminal.batch_endpoint import ENDED, Batch, BatchEndpoint, digest
from app.terminal.batch_files import ResultFile, first_error, write_errors, write_remaining
from app.terminal.connection import EXIT_ERROR, EXIT_INTERRUPTED, err, out, plain, reported, show_error

POLL_S = 0.5
AWAY_S = 300.0
"""How long a server that does not answer is waited for: it may be starting again and loading its model."""

app = typer.Typer(help="Many requests from a file, in the background of everything else.", no_args_is_help=True)


@app.callback()
def batch() -> None:
    """Many requests from a file, in the background of everything else."""


@app.command()
def run(
    source: Annotated[Path, typer.Argument(help="Requests in OpenAI's batch format, one a line.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Results; those that it holds are kept.")],
    cluster: Annotated[
        str, typer.Option("--cluster", help="A Ray cluster: ray://HOST:10001, HOST:6379 on a node, or local.")
    ] = "",
    workers: Annotated[int, typer.Option(min=0, help="With --cluster: workers; 0 is as many as suit it.")] = 0,
    cpus: Annotated[int, typer.Option(min=1, help="With --cluster: processors of a worker.")] = 1,
    gpus: Annotated[
        int, typer.Option(min=-1, help="With --cluster: GPUs of a worker; -1 is one where there are.")
    ] = -1,
) -> None:
    """Answer every request of a file. Interrupted or killed, the same command goes on where it was.

    Failed requests are written to OUTPUT.errors.jsonl and tried again by the next run. Exit status 0 when every
    request has an answer, 1 when some failed, 130 after Ctrl-C.
    """
    with reported(), _files_reported():
        if cluster:
            raise typer.Exit(batch_cluster.run(Cluster(cluster, workers, cpus, gpus), source, output))
        settings = load_settings()
        with BatchEndpoint(settings.inference_origin, settings.inference_key_text()) as endpoint:
            status = _run(endpoint, source, output)
    raise typer.Exit(status)


@contextmanager
def _files_reported() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        raise InvalidInput(f"{place}{error.strerror or error}.", hint="Check the name and the disk.") from error


def _run(endpoint: BatchEndpoint, source: Path, output: Path) -> int:
    if output.exists() and source.exists() and output.samefile(source):
        raise InvalidInput("The output would overwrite the input.", hint="Choose another file with -o.")
    source.open("rb").close()  # a wrong name leaves no empty output behind
    results = ResultFile(output)
    try:
        with tempfile.TemporaryFile() as remaining:
            total, left, url = write_remaining(source, results.ids, remaining)
            if total and not left:
                err.print(plain(f"All {total:,} requests have their answers in {output} already."))
                return 0
            started_s = time.monotonic()
            found, is_over = _begun(endpoint, remaining, url, output)
            found, is_interrupted = _followed(endpoint, found, total - left)
        failed = _fetch(endpoint, found, results, output, time.monotonic() - started_s)
    finally:
        results.close()
    if is_over and found["status"] == "cancelled":
        return _run(endpoint, source, output)  # an earlier run was stopped before it could fetch
    if is_interrupted or found["status"] == "cancelled":
        err.print(plain("Stopped. The same command goes on where it was.", "dim"))
        return EXIT_INTERRUPTED
    return EXIT_ERROR if failed else 0


def _begun(endpoint: BatchEndpoint, remaining: BinaryIO, url: str, output: Path) -> tuple[Batch, bool]:
    """Start the batch, or find the one that an earlier run of the same command started; whether that is over."""
    metadata = {"input_sha256": digest(remaining), "output": str(output.absolute())[-512:]}
    with err.status(plain("Checking the requests…", "dim")):
        found = endpoint.find(metadata)
        if found is None:
            return endpoint.start(remaining, url, metadata), False
    err.print(plain("Going on with the batch that an earlier run has started.", "dim"))
    return found, found["status"] in ENDED


def _followed(endpoint: BatchEndpoint, found: Batch, done_before: int) -> tuple[Batch, bool]:
    """See a batch to its end; Ctrl-C stops it. Returns it with whether it was stopped."""
    try:
        return _watch(endpoint, found, done_before), False
    except KeyboardInterrupt:
        with err.status(plain("Stopping; what is done is kept…", "dim")):
            endpoint.cancel(found["id"])
            return _ended(endpoint, found["id"]), True


def _watch(endpoint: BatchEndpoint, found: Batch, done_before: int) -> Batch:
    """Show a bar until the batch has ended."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TextColumn("left:"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task("Requests", total=done_before + found["request_counts"]["total"], speed="")
        answered_s, begun = time.monotonic(), (time.monotonic(), _tokens(found))
        while found["status"] not in ENDED:
            try:
                found = endpoint.batch(found["id"])
                answered_s = time.monotonic()
            except ApiError as error:
                # The server may be starting again: the batch goes on when it is back.
                if (error.status and error.status != 503) or time.monotonic() - answered_s > AWAY_S:
                    raise
                progress.update(task, speed="the model server does not answer, waiting for it")
            else:
                _show(progress, task, found, done_before, begun)
            time.sleep(POLL_S)
    return found


def _show(progress: Progress, task: TaskID, found: Batch, done_before: int, begun: tuple[float, int]) -> None:
    counts = found["request_counts"]
    elapsed_s = max(time.monotonic() - begun[0], 0.001)
    failed = f", {counts['failed']:,} failed" if counts["failed"] else ""
    progress.update(
        task,
        completed=done_before + counts["completed"] + counts["failed"],
        speed=f"{(_tokens(found) - begun[1]) / elapsed_s:,.1f} tokens/s{failed}",
    )


def _tokens(found: Batch) -> int:
    return int(found["usage"]["output_tokens"])


def _ended(endpoint: BatchEndpoint, batch_id: str) -> Batch:
    while (found := endpoint.batch(batch_id))["status"] not in ENDED:
        time.sleep(POLL_S)
    return found


def _fetch(endpoint: BatchEndpoint, found: Batch, results: ResultFile, output: Path, elapsed_s: float) -> int:
    """Fetch the results, forget them on the server, and say what it came to; returns how many requests failed."""
    if found["status"] == "failed":
        problems = (found["errors"] or {}).get("data") or [{"message": "The batch failed."}]
        raise AppError(problems[0]["message"], hint="Run the same command again.")
    added = results.add(endpoint.lines(found["output_file_id"]))
    errors_path = output.with_name(f"{output.stem}.errors.jsonl")
    failed = write_errors(errors_path, endpoint.lines(found["error_file_id"]))
    for name in ("output_file_id", "error_file_id", "input_file_id"):
        endpoint.delete_file(found[name])
    usage = found["usage"]
    cached = usage["input_tokens_details"]["cached_tokens"]
    out.print(
        plain(
            f"{added:,} answers in {elapsed_s:,.1f} s, {len(results.ids):,} in {output}. Tokens: "
            f"{usage['input_tokens']:,} read ({cached:,} cached), {usage['output_tokens']:,} written "
            f"({usage['output_tokens'] / max(elapsed_s, 0.001):,.1f} a second)."
        )
    )
    if failed:
        show_error(f"{failed:,} requests failed, see {errors_path}. The first: {first_error(errors_path)}")
    return failed
