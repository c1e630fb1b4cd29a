"""Runs batches one after the other, the oldest first, with enough requests in flight to keep the engine full.

A line is done when its result is in one of the batch's two journals; whatever is not there is computed, after a crash
too. So no line is lost, and none has two results.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from inference.batch.journal import Journal
from inference.batch.lines import BatchLine, LineProblem, read_lines
from inference.batch.records import BatchProblem, BatchProblems, BatchRecord, BatchUsage, RequestCounts, now
from inference.batch.store import BatchStore
from inference.errors import Conflict

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
MAX_PAUSE_S = 10.0
STORAGE_PAUSE_S = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request came to. ``body`` is an answer with status 200, else OpenAI's error object."""

    status_code: int
    request_id: str
    body: dict[str, Any]

    def response(self) -> dict[str, Any]:
        """As the output file holds it."""
        return {"status_code": self.status_code, "request_id": self.request_id, "body": self.body}

    @property
    def should_wait(self) -> bool:
        """Whether the same request may be taken later: the engine was full or not ready."""
        return self.status_code in (429, 503)

    @property
    def may_succeed_again(self) -> bool:
        """Whether the engine broke down rather than refused."""
        return self.status_code == 500 and self.body.get("error", {}).get("code") == "engine_failed"


Execute = Callable[[str, dict[str, Any]], Awaitable[Answer]]


async def answer_line(execute: Execute, endpoint: str, body: dict[str, Any]) -> Answer:
    """Answer one request: wait while the engine is full, and try a few times again when it broke down."""
    attempts = 0
    while True:
        answer = await execute(endpoint, body)
        attempts += 1
        if not answer.should_wait and not (answer.may_succeed_again and attempts < MAX_ATTEMPTS):
            return answer
        await asyncio.sleep(min(MAX_PAUSE_S, 0.5 * attempts))


def result_entry(custom_id: str, response: dict[str, Any] | None, error: dict[str, Any] | None) -> dict[str, Any]:
    """A line of the output. Source: OpenAI API reference, "The request output object" of batches."""
    return {
        "id": f"batch_req_{secrets.token_hex(12)}",
        "custom_id": custom_id,
        "response": response,
        "error": error,
    }


class BatchRunner:
    """The one task that works on batches."""

    def __init__(self, store: BatchStore, execute: Execute, concurrency: int) -> None:
        """``execute`` answers one request of an endpoint and never raises but when it is cancelled."""
        self._store = store
        self._execute = execute
        self._concurrency = concurrency
        self._wake = asyncio.Event()
        self._stop_current = asyncio.Event()
        # One thread writes all results, in order, so that nobody waits for the disk but the line itself.
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batch-writer")

    def wake(self) -> None:
        """Say that a batch was created."""
        self._wake.set()

    def cancel(self, batch_id: str) -> BatchRecord:
        """Stop a batch; what is done stays. Raises: ObjectNotFound, Conflict when it has ended."""
        record = self._store.batch(batch_id)
        if record.has_ended or record.status == "finalizing":
            raise Conflict(f"The batch {batch_id} is {record.status}; only one that is under way can be cancelled.")
        if record.status != "cancelling":
            record.status, record.cancelling_at = "cancelling", now()
            self._store.save_batch(record)
        self._stop_current.set()
        self._wake.set()
        return record

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            while True:
                self._wake.clear()
                record = next((b for b in reversed(self._store.batches()) if not b.has_ended), None)
                if record is None:
                    await self._wake.wait()
                    continue
                try:
                    await self._run_batch(record)
                except (FileNotFoundError, LineProblem) as error:
                    self._give_up(record, f"The input file {record.input_file_id} cannot be read any more: {error}.")
                except OSError as error:
                    log.error("Batch %s cannot go on: %s. It is tried again.", record.id, error)
                    await asyncio.sleep(STORAGE_PAUSE_S)
                except Exception as error:
                    log.exception("Batch %s failed", record.id)
                    self._give_up(record, f"The batch met an unexpected error: {error}.")
        finally:
            self._writer.shutdown(wait=True)

    def _give_up(self, record: BatchRecord, message: str) -> None:
        record.status, record.failed_at = "failed", now()
        record.errors = BatchProblems(data=[BatchProblem(code="internal_error", message=message)])
        try:
            self._store.save_batch(record)
        except OSError as error:
            log.error("Batch %s could not be marked as failed: %s", record.id, error)

    async def _run_batch(self, record: BatchRecord) -> None:
        self._stop_current.clear()
        if record.status in ("validating", "in_progress"):
            record.in_progress_at = record.in_progress_at or now()
            self._store.save_batch(record)
        if record.status != "finalizing":
            job = await asyncio.to_thread(_Job, self._store, record)
            try:
                if record.status == "in_progress":
                    await self._run_lines(job)
                await self._settle(job)
            finally:
                # The writer's queue is emptied first: what was computed is kept.
                await asyncio.shield(asyncio.wrap_future(self._writer.submit(job.close)))
        self._finish(record)

    async def _run_lines(self, job: _Job) -> None:
        """Start all lines that are left and wait for them, until somebody cancels or the time is over."""
        lines = asyncio.ensure_future(self._start_lines(job))
        stop = asyncio.ensure_future(self._stop_current.wait())
        try:
            left_s = max(0, job.record.expires_at - now())
            await asyncio.wait({lines, stop}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            if lines.done():
                lines.result()
        finally:
            for task in (lines, stop):
                task.cancel()
            await asyncio.gather(lines, stop, return_exceptions=True)

    async def _start_lines(self, job: _Job) -> None:
        places = asyncio.Semaphore(self._concurrency)

        async def run(line: BatchLine) -> None:
            try:
                await self._run_line(job, line)
            finally:
                places.release()

        try:
            async with asyncio.TaskGroup() as group:
                for line in read_lines(job.input_path):
                    if not job.is_done(line.custom_id):
                        await places.acquire()
                        group.create_task(run(line))
        except ExceptionGroup as problems:
            raise problems.exceptions[0] from None

    async def _run_line(self, job: _Job, line: BatchLine) -> None:
        answer = await answer_line(self._execute, job.record.endpoint, line.body)
        await asyncio.wrap_future(self._writer.submit(job.keep, line, answer))

    async def _settle(self, job: _Job) -> None:
        """Decide how the batch ends, once every computed line is on the disk."""
        record = job.record
        await asyncio.wrap_future(self._writer.submit(lambda: None))
        if record.cancelling_at is None and job.left:
            await asyncio.wrap_future(self._writer.submit(job.expire))
            record.expired_at = now()
        # From here on the journals are never opened again: they may be files already when a crash is repaired.
        record.status, record.finalizing_at = "finalizing", now()
        self._store.save_batch(record)

    def _finish(self, record: BatchRecord) -> None:
        """Make the journals files. Repeats harmlessly after a crash."""
        stem = record.id.removeprefix("batch_")
        output = self._store.adopt_file(f"file-{stem}-output", self._store.output_path(record.id), f"{record.id}.jsonl")
        errors = self._store.adopt_file(
            f"file-{stem}-errors", self._store.errors_path(record.id), f"{record.id}.errors.jsonl"
        )
        record.output_file_id = output.id if output is not None else None
        record.error_file_id = errors.id if errors is not None else None
        if record.cancelling_at is not None:
            record.status, record.cancelled_at = "cancelled", now()
        elif record.expired_at is not None:
            record.status = "expired"
        else:
            record.status, record.completed_at = "completed", now()
        self._store.save_batch(record)
        counts = record.request_counts
        log.info("batch %s %s: %d of %d done", record.id, record.status, counts.completed, counts.total)


class _Job:
    """A batch under way with its open journals. ``keep`` and ``expire`` belong to the writer's thread."""

    def __init__(self, store: BatchStore, record: BatchRecord) -> None:
        self.record = record
        self.input_path = store.content_path(record.input_file_id)
        self._output = Journal(store.output_path(record.id))
        self._errors = Journal(store.errors_path(record.id))
        self._count()

    def _count(self) -> None:
        """Counts and tokens are what the journals say, whatever the record said before a crash."""
        record, usage = self.record, BatchUsage()
        for entry in self._output.entries():
            usage.add(entry["response"]["body"].get("usage") or {})
        record.usage = usage
        record.request_counts = RequestCounts(
            total=record.request_counts.total, completed=len(self._output.ids), failed=len(self._errors.ids)
        )

    @property
    def left(self) -> int:
        """Requests without a result."""
        counts = self.record.request_counts
        return counts.total - counts.completed - counts.failed

    def is_done(self, custom_id: str) -> bool:
        """Whether a request has its result."""
        return custom_id in self._output.ids or custom_id in self._errors.ids

    def keep(self, line: BatchLine, answer: Answer) -> None:
        """Write a result and count it. Raises: OSError."""
        self._append(line.custom_id, answer.response(), None, is_failure=answer.status_code != 200)
        if answer.status_code == 200:
            self.record.usage.add(answer.body.get("usage") or {})

    def expire(self) -> None:
        """Write an error for each request that was not reached in time. Raises: OSError."""
        error = {"code": "batch_expired", "message": "The batch's time was over before this request could be run."}
        for line in read_lines(self.input_path):
            if not self.is_done(line.custom_id):
                self._append(line.custom_id, None, error, is_failure=True)

    def _append(self, custom_id: str, response: Any, error: Any, *, is_failure: bool) -> None:
        (self._errors if is_failure else self._output).append(result_entry(custom_id, response, error))
        self.record.request_counts.failed += is_failure
        self.record.request_counts.completed += not is_failure

    def close(self) -> None:
        """Close the journals."""
        self._output.close()
        self._errors.close()
