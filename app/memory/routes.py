"""``/memory``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, File, Query, Response, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from app.services import ActorDep, ServicesDep

router = APIRouter(prefix="/memory", tags=["memory"])


class DocumentOut(BaseModel):
    """A stored document; ``status`` is ready once it can be found."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    filename: str
    status: str
    media_type: str
    chunk_count: int
    size_bytes: Annotated[int, Field(description="Size of the file in bytes.")]
    sha256: str
    created_at: datetime


class DocumentsOut(BaseModel):
    """Documents, the newest first."""

    documents: list[DocumentOut]


class PassageOut(BaseModel):
    """A passage that was found; ``score`` is 0 to 1."""

    model_config = ConfigDict(from_attributes=True)

    document_id: str
    filename: str
    place: str
    text: str
    score: float


class PassagesOut(BaseModel):
    """Passages, the best first."""

    results: list[PassageOut]


@router.post("/documents", status_code=201, responses={200: {"model": DocumentOut, "description": "Known already."}})
def add_document(
    file: Annotated[UploadFile, File(description="Plain text, Markdown or PDF.")],
    services: ServicesDep,
    actor: ActorDep,
    response: Response,
) -> DocumentOut:
    """Take a document into memory. The same content again answers 200 with the document that is there."""
    content = file.file.read(services.settings.max_upload_bytes + 1)
    document, is_new = services.memory.add(file.filename or "document", content, actor)
    response.status_code = 201 if is_new else 200
    return DocumentOut.model_validate(document)


@router.get("/documents")
def list_documents(services: ServicesDep) -> DocumentsOut:
    """The documents in memory."""
    return DocumentsOut(documents=[DocumentOut.model_validate(d) for d in services.memory.documents()])


@router.delete("/documents/{document_id}", status_code=204)
def delete_document(document_id: str, services: ServicesDep, actor: ActorDep) -> None:
    """Forget a document with everything that was made of it."""
    services.memory.delete(document_id, actor)


@router.get("/search")
def search_memory(
    services: ServicesDep,
    q: Annotated[str, Query(description="A question or some words.")],
    k: Annotated[int, Query(ge=1, le=50, description="How many passages at most.")] = 8,
) -> PassagesOut:
    """Find passages by meaning and by words."""
    return PassagesOut(results=[PassageOut.model_validate(p) for p in services.memory.search(q, k)])
