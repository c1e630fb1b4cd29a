"""What the routes find on the application: the engine, the embedder, the reranker."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from fastapi import Request

from inference.batch.lines import BatchLimits
from inference.batch.runner import BatchRunner
from inference.batch.store import BatchStore
from inference.embedder import Embedder
from inference.engine.base import Engine
from inference.reranker import Reranker
from inference.traces import CallLog


@dataclass(frozen=True, slots=True)
class BatchState:
    """Offline generation: what is kept, who works on it, and how much is taken."""

    store: BatchStore
    runner: BatchRunner
    limits: BatchLimits


@dataclass(frozen=True, slots=True)
class ServerState:
    """Made once, at start.

    ``batch`` is None where nothing may be kept on the disk, ``calls`` where none are, ``reranker`` where none is set.
    """

    engine: Engine
    embedder: Embedder
    started_at: int
    batch: BatchState | None = None
    calls: CallLog | None = None
    reranker: Reranker | None = None


def state_of(request: Request) -> ServerState:
    """The state of the application that serves this request."""
    state = request.app.state.server
    assert isinstance(state, ServerState)
    return state


def batch_state_of(request: Request) -> BatchState:
    """What serves files and batches; their routes exist only where there is a folder for them."""
    batch = state_of(request).batch
    assert batch is not None
    return batch


def calls_of(request: Request) -> CallLog:
    """The calls that were recorded; the route exists only where they are."""
    calls = state_of(request).calls
    assert calls is not None
    return calls


def new_id(prefix: str) -> str:
    """An id such as ``chatcmpl-…``, never used twice."""
    return f"{prefix}-{secrets.token_hex(12)}"
