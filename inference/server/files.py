"""``/v1/files``: inputs of batches and their results. Source: OpenAI API reference, files."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse

from inference.batch.records import FileRecord
from inference.errors import InvalidRequest, StorageFailed
from inference.server.state import batch_state_of

router = APIRouter()

FORM_BYTES = 1 << 16
MAX_NAME_CHARS = 255


@router.post("/v1/files")
async def create_file(request: Request) -> FileRecord:
    """Take a file in: multipart with ``file`` and ``purpose`` batch."""
    try:
        async with request.form(max_files=1, max_fields=16) as form:
            content, purpose = form.get("file"), form.get("purpose")
            if not isinstance(content, UploadFile):
                raise InvalidRequest("Send the file as multipart field 'file'.", param="file")
            if purpose != "batch":
                raise InvalidRequest(f"purpose is {purpose!r}, only 'batch' is served.", param="purpose")
            name = (content.filename or "upload.jsonl")[:MAX_NAME_CHARS]
            return await asyncio.to_thread(batch_state_of(request).store.add_file, content.file, name)
    except HTTPException as error:
        raise InvalidRequest(f"The multipart form cannot be read: {error.detail}") from error
    except OSError as error:
        raise StorageFailed(f"The file could not be kept: {error.strerror or error}. Make room on the disk.") from error


@router.get("/v1/files")
async def list_files(
    request: Request,
    purpose: str | None = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
    order: Literal["asc", "desc"] = "desc",
    after: str | None = None,
) -> dict[str, Any]:
    """The files, the newest first unless ``order`` is asc."""
    found = [record for record in batch_state_of(request).store.files() if purpose in (None, record.purpose)]
    return page(found if order == "desc" else found[::-1], limit, after)


@router.get("/v1/files/{file_id}")
async def get_file(file_id: str, request: Request) -> FileRecord:
    """One file."""
    return batch_state_of(request).store.file(file_id)


@router.get("/v1/files/{file_id}/content")
async def get_content(file_id: str, request: Request) -> FileResponse:
    """What is in it."""
    store = batch_state_of(request).store
    record = store.file(file_id)
    return FileResponse(store.content_path(record.id), media_type="application/jsonl", filename=record.filename)


@router.delete("/v1/files/{file_id}")
async def delete_file(file_id: str, request: Request) -> dict[str, Any]:
    """Forget a file, unless a batch that is under way reads it."""
    batch_state_of(request).store.delete_file(file_id)
    return {"id": file_id, "object": "file", "deleted": True}


def page(found: list[Any], limit: int, after: str | None) -> dict[str, Any]:
    """A page of a list that begins after the record with the id ``after``. Raises: InvalidRequest."""
    start = 0
    if after is not None:
        place = next((index for index, record in enumerate(found) if record.id == after), None)
        if place is None:
            raise InvalidRequest(f"after is {after!r}, which is not in the list.", param="after")
        start = place + 1
    shown = found[start : start + limit]
    return {
        "object": "list",
        "data": [record.model_dump() for record in shown],
        "first_id": shown[0].id if shown else None,
        "last_id": shown[-1].id if shown else None,
        "has_more": start + limit < len(found),
    }
