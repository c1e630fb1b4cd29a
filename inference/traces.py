"""One record for every call of an engine, whatever it came to: what the model did for whom, and how fast.

A record holds numbers and names, never text of a prompt or an answer. The newest are kept in memory, all are written as
JSON lines by a thread of their own. Field names are OpenTelemetry's where it has one (``gen_ai.*``), so that the lines
can be shipped to any collector; all others begin with ``herald.``.

Sources: OpenTelemetry semantic conventions for generative AI; W3C Trace Context.
"""

from __future__ import annotations

import json
import logging
import queue
import re
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path
from typing import Any, Literal

from inference.engine.base import Delta, DeltaStream, Engine, EngineStatus, GenerationRequest, Usage
from inference.errors import InferenceError
from inference.metrics import CallMetrics

log = logging.getLogger(__name__)

KEPT_CALLS = 500
FILE_BYTES = 8 << 20
OLD_FILES = 3
UNWRITTEN_CALLS = 10_000
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")

Record = dict[str, Any]
Outcome = Literal["finished", "failed", "aborted"]


@dataclass(slots=True)
class CallContext:
    """What the caller's HTTP request says of itself; batches have none.

    ``request_id`` is the first call's, ``caller_id`` what the caller named its own request (``X-Request-ID``).
    """

    route: str = ""
    trace_id: str = field(default_factory=lambda: secrets.token_hex(16))
    parent_id: str | None = None
    request_id: str = ""
    caller_id: str = ""


context: ContextVar[CallContext | None] = ContextVar("call_context", default=None)


def read_traceparent(header: str) -> tuple[str, str] | None:
    """Trace id and parent id of a W3C ``traceparent`` header, or None when it is not one."""
    found = _TRACEPARENT.fullmatch(header)
    return (found.group(1), found.group(2)) if found is not None else None


class CallLog:
    """The newest records in memory, and all in a file that is rotated: at most four times 8 MiB. Thread-safe."""

    def __init__(self, path: Path | None = None) -> None:
        """``path`` None keeps nothing on the disk. Raises: OSError."""
        self._newest: deque[Record] = deque(maxlen=KEPT_CALLS)
        self._listener: QueueListener | None = None
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lines: queue.Queue[Any] = queue.Queue(UNWRITTEN_CALLS)
        self._file = _File(path, maxBytes=FILE_BYTES, backupCount=OLD_FILES, encoding="utf-8", delay=True)
        self._inlet = _Inlet(self._lines)
        self._listener = QueueListener(self._lines, self._file)
        self._listener.start()

    def add(self, record: Record) -> None:
        """Keep a record; returns at once, whatever the disk does."""
        self._newest.append(record)
        if self._listener is not None:
            line = json.dumps(record, ensure_ascii=False)
            self._inlet.handle(logging.LogRecord("calls", logging.INFO, "", 0, line, None, None))

    def newest(self, limit: int) -> list[Record]:
        """At most ``limit`` records, the newest first."""
        return list(reversed(self._newest))[:limit]

    def close(self) -> None:
        """Write what is left. May be called twice."""
        if self._listener is not None:
            self._listener.stop()
            self._file.close()
            self._listener = None


class _Inlet(QueueHandler):
    """Hands lines to the writing thread; when that is 10,000 behind, lines are lost rather than answers held up."""

    def handleError(self, record: logging.LogRecord) -> None:
        log.warning("The disk is too slow for the log of calls; a line is lost")


class _File(RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        log.warning("A line of %s could not be written", self.baseFilename, exc_info=True)


class TracedEngine:
    """An engine whose calls are recorded and timed as their reader sees them."""

    def __init__(self, engine: Engine, calls: CallLog) -> None:
        self._engine = engine
        self.calls = calls
        self.call_metrics = CallMetrics()

    @property
    def model(self) -> str:
        """Name of the served model."""
        return self._engine.model

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names of the adapters that a request may choose."""
        return self._engine.adapters

    def status(self) -> EngineStatus:
        """Whether requests can be served now."""
        return self._engine.status()

    def metrics(self) -> str:
        """The engine's metrics, those of its calls, and the process's."""
        return self._engine.metrics() + self.call_metrics.page()

    async def submit(self, request: GenerationRequest) -> DeltaStream:
        """Accept a request. Raises: InferenceError, which is recorded too."""
        call = _Call(self, request)
        try:
            return _TracedStream(await self._engine.submit(request), call)
        except InferenceError as error:
            call.end("failed", Usage(), error=error.code)
            raise
        except BaseException:
            call.end("aborted", Usage())
            raise

    async def close(self) -> None:
        """Close the engine, then write what its last calls left."""
        await self._engine.close()
        self.calls.close()


class _Call:
    """One call under way."""

    def __init__(self, engine: TracedEngine, request: GenerationRequest) -> None:
        self._engine = engine
        self._request = request
        self._context = context.get() or CallContext()
        self._context.request_id = self._context.request_id or request.request_id
        self._started_at = datetime.now(UTC)
        self._started_s = time.perf_counter()
        self._first_s = 0.0
        self._latest_s = 0.0
        self._is_over = False

    def note(self) -> None:
        """A piece of the answer has reached its reader."""
        now_s = time.perf_counter()
        if self._latest_s:
            self._engine.call_metrics.gaps.observe(now_s - self._latest_s)
        else:
            self._first_s = now_s - self._started_s
            self._engine.call_metrics.ttft.observe(self._first_s)
        self._latest_s = now_s

    def end(self, outcome: Outcome, usage: Usage, *, finish_reason: str = "", error: str = "") -> None:
        """Record the call, once."""
        if self._is_over:
            return
        self._is_over = True
        total_s, metrics = time.perf_counter() - self._started_s, self._engine.call_metrics
        metrics.outcomes[outcome] += 1
        metrics.duration.observe(total_s)
        if error:
            metrics.errors[error] += 1
        if outcome == "finished":
            metrics.queue.observe(usage.queue_s)
        self._engine.calls.add(self._record(outcome, usage, total_s, finish_reason, error))

    def _record(self, outcome: Outcome, usage: Usage, total_s: float, finish_reason: str, error: str) -> Record:
        request, caller = self._request, self._context
        writing_s = total_s - self._first_s
        record: Record = {
            "timestamp": self._started_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "trace_id": caller.trace_id,
            "span_id": secrets.token_hex(8),
            "parent_span_id": caller.parent_id,
            "http.route": caller.route or None,
            "herald.caller_id": caller.caller_id or None,
            "gen_ai.operation.name": "chat" if request.messages is not None else "text_completion",
            "gen_ai.request.model": request.adapter or self._engine.model,
            "gen_ai.response.id": request.request_id,
            "gen_ai.response.finish_reasons": [finish_reason] if finish_reason else [],
            "gen_ai.usage.input_tokens": usage.prompt_tokens,
            "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
            "gen_ai.usage.output_tokens": usage.completion_tokens,
            "gen_ai.server.time_to_first_token": round(self._first_s, 6) if self._first_s else None,
            "gen_ai.server.request.duration": round(total_s, 6),
            "error.type": error or None,
            "herald.outcome": outcome,
            "herald.background": request.is_background,
            "herald.constraint": str(request.constraint.kind) if request.constraint is not None else None,
            "herald.forced_tokens": usage.forced_tokens,
            "herald.queue_s": round(usage.queue_s, 6),
            "herald.tokens_per_second": None,
        }
        if self._first_s and usage.completion_tokens > 1 and writing_s > 0:
            record["herald.tokens_per_second"] = round((usage.completion_tokens - 1) / writing_s, 2)
        return record


class _TracedStream:
    """The deltas of a call, passed on as they are."""

    def __init__(self, stream: DeltaStream, call: _Call) -> None:
        self._stream = stream
        self._deltas = aiter(stream)
        self._call = call

    def __aiter__(self) -> AsyncIterator[Delta]:
        return self

    async def __anext__(self) -> Delta:
        try:
            delta = await anext(self._deltas)
        except InferenceError as error:
            self._call.end("failed", self._usage(), error=error.code)
            raise
        if delta.text or delta.logprobs:
            self._call.note()
        if delta.finish_reason is not None:
            self._call.end("finished", delta.usage or Usage(), finish_reason=delta.finish_reason)
        return delta

    async def aclose(self) -> None:
        """Abort the call unless it is over."""
        self._call.end("aborted", self._usage())
        await self._stream.aclose()

    def _usage(self) -> Usage:
        """What a call without a result has taken, where the engine can tell."""
        usage = getattr(self._stream, "usage", None)
        return usage if isinstance(usage, Usage) else Usage()
