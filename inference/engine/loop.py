"""The engine's one thread: takes submissions and aborts, steps the backend, hands out deltas.

Everything that touches the backend happens here. Other threads only put messages into the inbox.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from inference.backends.base import Backend, CacheExhausted, DecodeFailed, Logits, Span
from inference.engine.scheduler import Limits, Scheduler
from inference.engine.sequences import Sequence
from inference.errors import ConstraintFailed, EngineFailed, InferenceError, NotReady, QueueFull
from inference.metrics import BATCH_BUCKETS, Histogram

log = logging.getLogger(__name__)

MAX_FAILED_STEPS = 3


@dataclass(slots=True)
class LoopCounters:
    """Totals since the start, for metrics. Written by the loop's thread, read by any."""

    steps: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    guessed_tokens: int = 0
    accepted_tokens: int = 0
    finished: int = 0
    failed: int = 0
    aborted: int = 0
    preempted: int = 0
    cache_problems: int = 0
    busy_s: float = 0.0
    batch_sizes: Histogram = field(default_factory=lambda: Histogram(BATCH_BUCKETS))


class StepLoop:
    """Runs the scheduler on a backend until it is closed."""

    def __init__(
        self,
        backend: Backend,
        limits: Limits,
        *,
        queue_limit: int,
        on_step_end: Callable[[], None] | None = None,
    ) -> None:
        """``on_step_end`` runs in the loop's thread after the sinks of a step were fed."""
        self._backend = backend
        self.queue_limit = queue_limit
        self._on_step_end = on_step_end
        self.scheduler = Scheduler(backend, limits)
        self.counters = LoopCounters()
        self.failure = ""
        self._inbox: queue.SimpleQueue[Sequence | str | None] = queue.SimpleQueue()
        self._queued = 0
        self._unseen = 0  # of the queued, those that still lie in the inbox
        self._background = 0
        self._lock = threading.Lock()
        self._is_closing = False
        self._failed_steps = 0
        self._limits = limits
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def unfinished(self) -> int:
        """Requests that are waiting or running."""
        return self._queued

    def submit(self, sequence: Sequence) -> None:
        """Queue a sequence; its sink gets every delta and at most one error. Thread-safe.

        Raises: QueueFull, NotReady.
        """
        with self._lock:
            # Background work is bounded by who submits it; it takes nobody's place in the queue.
            allowed = self._limits.max_sequences + self.queue_limit + self._background
            if self._is_closing or self.failure:
                raise NotReady(self.failure or "The server is stopping. Send the request again when it is back.")
            if self._queued >= allowed:
                raise QueueFull(
                    f"{self._queued} requests are running or waiting, at most {allowed} may. Send it again later.",
                    retry_after_s=max(1.0, self._queued / max(self._limits.max_sequences, 1)),
                )
            self._queued += 1
            self._unseen += 1
            self._background += sequence.is_background
        self._inbox.put(sequence)

    def abort(self, request_id: str) -> None:
        """Drop a request if it is still there. Thread-safe."""
        self._inbox.put(request_id)

    def drain(self) -> None:
        """Step in the calling thread until nothing is left to do. Only for a loop whose thread was not started."""
        assert not self._thread.is_alive()
        self._take_messages(is_idle=False)
        while self.scheduler.has_work:
            self.step()
            self._take_messages(is_idle=False)

    def close(self, timeout_s: float = 30.0) -> None:
        """Fail what is in flight, stop the thread and free the backend."""
        with self._lock:
            self._is_closing = True
        self._inbox.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        if not self._thread.is_alive():
            self._backend.close()

    def _run(self) -> None:
        while not self._is_closing:
            try:
                self._take_messages(is_idle=not self.scheduler.has_work)
                if self.scheduler.has_work and not self._is_closing:
                    self.step()
            except Exception:
                log.exception("The engine's step failed in an unexpected way")
                self._fail_all(EngineFailed("The engine met an unexpected error; see its log. Send the request again."))
                self._count_failure()
        self._take_messages(is_idle=False)
        self._fail_all(NotReady("The server is stopping. Send the request again when it is back."))

    def step(self) -> None:
        """Plan and compute one step and feed the sinks."""
        started_at_s = time.monotonic()
        scheduler = self.scheduler
        planned = scheduler.plan()
        if planned:
            self.counters.batch_sizes.observe(len(planned))
            try:
                logits = self._backend.decode([span for _, span in planned], planned[0][0].adapter)
            except CacheExhausted:
                # The ledger said that there is room, so the two disagree: start from nothing rather than guess.
                log.error("The backend has fewer free cells than the ledger; all cached tokens are dropped")
                self._restart_running()
                self._count_failure()
                return
            except DecodeFailed as error:
                log.error("%s", error)
                self._fail_all(EngineFailed(f"The model could not compute a step: {error}. Send the request again."))
                self._count_failure()
                return
            self._failed_steps = 0
            if len(planned) == 1:
                scheduler.costs.note(len(planned[0][1].tokens), time.monotonic() - started_at_s)
            self._apply(planned, logits)
        self._settle()
        self.counters.preempted = scheduler.preempted
        self.counters.steps += 1
        self.counters.busy_s += time.monotonic() - started_at_s

    def _apply(self, planned: list[tuple[Sequence, Span]], logits: Logits) -> None:
        row = 0
        for sequence, span in planned:
            if not span.logit_rows:
                self.scheduler.commit(sequence, span)
                continue
            before = len(sequence.tokens)
            guessed = span.tokens[before - span.position :]
            try:
                sequence.advance(guessed, logits[row : row + span.logit_rows])
            except InferenceError as error:
                self._fail(sequence, error)
            except Exception as error:
                log.exception("Sampling failed for %s", sequence.request_id)
                self._fail(sequence, EngineFailed(f"The next token could not be chosen: {error}."))
            accepted = self.scheduler.commit(sequence, span) - (before - span.position)
            self.counters.guessed_tokens += len(guessed)
            self.counters.accepted_tokens += accepted
            self.counters.generated_tokens += len(sequence.tokens) - before
            self._count_finish(sequence)
            row += span.logit_rows

    def _count_finish(self, sequence: Sequence) -> None:
        if sequence.is_finished and not sequence.is_failed:
            self.counters.finished += 1

    def _fail(self, sequence: Sequence, error: InferenceError) -> None:
        if isinstance(error, ConstraintFailed):
            log.error("Request %s: %s", sequence.request_id, error.message)
        self.counters.failed += 1
        sequence.fail(error)

    def _settle(self) -> None:
        scheduler = self.scheduler
        done = [s for s in [*scheduler.running, *scheduler.waiting] if s.is_finished or s.is_aborted]
        for sequence in done:
            self.counters.aborted += sequence.is_aborted
            self.counters.prompt_tokens += sequence.prompt_length
            self.counters.cached_tokens += sequence.cached_tokens
        scheduler.retire()
        with self._lock:
            self._queued = len(scheduler.running) + len(scheduler.waiting) + self._unseen
            self._background = sum(s.is_background for s in [*scheduler.running, *scheduler.waiting])
        if self._on_step_end is not None:
            self._on_step_end()
        if done and not scheduler.has_work:
            self._check_cells()

    def _check_cells(self) -> None:
        """Account for every cell now that nothing runs; when it does not add up, start from an empty cache."""
        slots = self.scheduler.slots
        problems = slots.check()
        problems += [f"slot {slot.number} is held by nobody" for slot in slots.slots if slot.is_held]
        if problems:
            self.counters.cache_problems += 1
            log.error("The cache does not add up and is dropped: %s", "; ".join(problems))
            slots.clear()

    def _take_messages(self, *, is_idle: bool) -> None:
        """Empty the inbox; when there is nothing to do, sleep until something arrives."""
        while True:
            try:
                message = self._inbox.get(block=is_idle)
            except queue.Empty:
                return
            is_idle = False
            if message is None:
                return
            if isinstance(message, str):
                self._abort(message)
            else:
                self._begin(message)

    def _begin(self, sequence: Sequence) -> None:
        with self._lock:
            self._unseen -= 1
        self.scheduler.add(sequence)
        try:
            # A constraint may force the output's beginning, or all of it.
            sequence.jump_forward()
        except InferenceError as error:
            self._fail(sequence, error)
        if sequence.is_finished:
            self.counters.generated_tokens += len(sequence.tokens) - sequence.prompt_length
            self._count_finish(sequence)
            self._settle()

    def _abort(self, request_id: str) -> None:
        for sequence in [*self.scheduler.waiting, *self.scheduler.running]:
            if sequence.request_id == request_id:
                sequence.is_aborted = True
        self._settle()

    def _restart_running(self) -> None:
        for sequence in reversed(self.scheduler.running):
            self.scheduler.put_back(sequence)
        self.scheduler.running.clear()
        self.scheduler.slots.clear()

    def _fail_all(self, error: InferenceError) -> None:
        for sequence in [*self.scheduler.running, *self.scheduler.waiting]:
            if not sequence.is_finished and not sequence.is_aborted:
                self._fail(sequence, error)
        self.scheduler.running.clear()
        self.scheduler.waiting.clear()
        self.scheduler.slots.clear()
        self._settle()

    def _count_failure(self) -> None:
        self._failed_steps += 1
        if self._failed_steps >= MAX_FAILED_STEPS:
            message = f"The engine failed {self._failed_steps} times in a row and takes no more requests. Restart it."
            log.critical("%s", message)
            self._fail_all(EngineFailed(message))
            with self._lock:
                self.failure = message
