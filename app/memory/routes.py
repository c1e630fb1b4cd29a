"""``/memory``: documents taken in while the caller waits, and searching."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, File, Query, Response, UploadFile

from app.memory.records import SearchFilter
from app.memory.schemas import DocumentOut, DocumentsOut, PassageOut, PassagesOut
from app.services import ActorDep, ServicesDep

router = APIRouter(prefix="/memory", tags=["memory"])


@router.post("/documents", status_code=201, responses={200: {"model": DocumentOut, "description": "Known already."}})
def add_document(
    file: Annotated[UploadFile, File(description="PDF, DOCX, plain text, Markdown, HTML or CSV.")],
    services: ServicesDep,
    actor: ActorDep,
    response: Response,
    wait: Annotated[bool, Query(description="Answer once it can be found; else the worker takes it in.")] = True,
) -> DocumentOut:
    """Take a document into memory. The same content again answers 200 with the document that is there."""
    content = file.file.read(services.settings.max_upload_bytes + 1)
    take = services.memory.add if wait else services.memory.upload
    asset, is_new = take(file.filename or "document", content, actor)
    response.status_code = 201 if is_new else 200
    return DocumentOut.of(asset)


@router.get("/documents")
def list_documents(services: ServicesDep) -> DocumentsOut:
    """The documents in memory."""
    return DocumentsOut(documents=[DocumentOut.of(asset) for asset in services.memory.assets()])


@router.delete("/documents/{document_id}", status_code=204)
def delete_document(document_id: str, services: ServicesDep, actor: ActorDep) -> None:
    """Forget a document with everything that was made of it."""
    services.memory.delete(document_id, actor)


@router.get("/search")
def search_memory(
    services: ServicesDep,
    q: Annotated[str, Query(description="A question or some words.")],
    k: Annotated[int, Query(ge=1, le=50, description="How many passages at most.")] = 8,
    asset_id: Annotated[list[str] | None, Query(description="Only these assets.")] = None,
    media_type: Annotated[list[str] | None, Query(description="Only assets of these types.")] = None,
    tag: Annotated[list[str] | None, Query(description="Only assets with one of these tags.")] = None,
    created_from: Annotated[datetime | None, Query(description="Only assets of this moment or later.")] = None,
    created_before: Annotated[datetime | None, Query(description="Only assets from before this moment.")] = None,
) -> PassagesOut:
    """Find passages by meaning and by words."""
    wanted = SearchFilter(
        asset_ids=tuple(asset_id or ()),
        media_types=tuple(media_type or ()),
        tags=tuple(tag or ()),
        created_from=_aware(created_from),
        created_before=_aware(created_before),
    )
    return PassagesOut(results=[PassageOut.of(passage) for passage in services.memory.search(q, k, wanted)])


def _aware(moment: datetime | None) -> datetime | None:
    """A moment without a zone is meant in UTC."""
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
