"""``/v1/batches``: offline generation from an uploaded file. Source: OpenAI API reference, batch."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from inference.batch.lines import check_input
from inference.batch.records import BatchRecord, RequestCounts, now
from inference.batch.store import new_sorted_id
from inference.errors import InvalidRequest, NotReady, StorageFailed
from inference.server.batch_lines import ENDPOINTS, served_model
from inference.server.files import page
from inference.server.state import batch_state_of, state_of

router = APIRouter()

MAX_WINDOW_H = 30 * 24


class BatchBody(BaseModel):
    """``POST /v1/batches``."""

    model_config = ConfigDict(extra="ignore")

    input_file_id: str
    endpoint: str
    completion_window: str = "24h"
    metadata: dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]] | None = Field(
        None, max_length=16
    )


@router.post("/v1/batches")
async def create_batch(body: BatchBody, request: Request) -> BatchRecord:
    """Check the whole input, then work through it. A wrong line is a 400 that names it, and nothing is run."""
    state, batch = state_of(request), batch_state_of(request)
    window_h = _window_h(body.completion_window)
    if body.endpoint not in ENDPOINTS:
        raise InvalidRequest(
            f"endpoint is {body.endpoint!r}, it must be one of {', '.join(ENDPOINTS)}.", param="endpoint"
        )
    if body.endpoint == "/v1/embeddings" and state.embedder.problem:
        raise NotReady(state.embedder.problem)
    source = batch.store.file(body.input_file_id, param="input_file_id")
    if source.purpose != "batch":
        raise InvalidRequest(f"The file's purpose is {source.purpose!r}, it must be 'batch'.", param="input_file_id")
    model = served_model(body.endpoint, state.engine, state.embedder)
    path = batch.store.content_path(source.id)
    try:
        total = await asyncio.to_thread(check_input, path, endpoint=body.endpoint, model=model, limits=batch.limits)
        batch.store.file(body.input_file_id, param="input_file_id")  # it may have been deleted meanwhile
        record = BatchRecord(
            id=new_sorted_id("batch_"),
            endpoint=body.endpoint,
            model=model,
            input_file_id=source.id,
            completion_window=body.completion_window,
            expires_at=now() + window_h * 3600,
            request_counts=RequestCounts(total=total),
            metadata=body.metadata,
        )
        batch.store.save_batch(record)
    except OSError as error:
        raise StorageFailed(
            f"The batch could not be kept: {error.strerror or error}. Make room on the disk."
        ) from error
    batch.runner.wake()
    return record


@router.get("/v1/batches")
async def list_batches(
    request: Request, limit: Annotated[int, Query(ge=1, le=100)] = 20, after: str | None = None
) -> dict[str, Any]:
    """The batches, the newest first."""
    return page(batch_state_of(request).store.batches(), limit, after)


@router.get("/v1/batches/{batch_id}")
async def get_batch(batch_id: str, request: Request) -> BatchRecord:
    """One batch as it stands, with the requests that are done and the tokens they took."""
    return batch_state_of(request).store.batch(batch_id)


@router.post("/v1/batches/{batch_id}/cancel")
async def cancel_batch(batch_id: str, request: Request) -> BatchRecord:
    """Stop it; what is done becomes its output file."""
    try:
        return batch_state_of(request).runner.cancel(batch_id)
    except OSError as error:
        raise StorageFailed(f"The batch could not be changed: {error.strerror or error}.") from error


def _window_h(window: str) -> int:
    """Hours of ``24h`` or ``7d``. Raises: InvalidRequest."""
    found = re.fullmatch(r"(\d{1,3})([hd])", window)
    hours = int(found[1]) * (24 if found[2] == "d" else 1) if found else 0
    if not 1 <= hours <= MAX_WINDOW_H:
        raise InvalidRequest(
            f"completion_window is {window!r}, it must be hours or days such as 24h or 7d, at most {MAX_WINDOW_H}h.",
            param="completion_window",
        )
    return hours
