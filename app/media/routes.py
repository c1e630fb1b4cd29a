"""``/media``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, File, Path, Response, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from app.services import ActorDep, ServicesDep
from app.stored_file import StoredFile

router = APIRouter(prefix="/media", tags=["media"])


class MediaOut(BaseModel):
    """A stored picture or film: what an action's ``media`` refers to."""

    model_config = ConfigDict(from_attributes=True)

    sha256: str
    filename: str
    media_type: str
    size_bytes: Annotated[int, Field(description="Size of the file in bytes.")]
    created_at: datetime


@router.post("", status_code=201, responses={200: {"model": MediaOut, "description": "Known already."}})
def upload_media(
    file: Annotated[UploadFile, File(description="PNG, JPEG, GIF, WebP or MP4.")],
    services: ServicesDep,
    actor: ActorDep,
    response: Response,
) -> MediaOut:
    """Keep a picture or film that actions can publish."""
    media, is_new = services.media.store(file.file, file.filename or "file", actor=str(actor))
    response.status_code = 201 if is_new else 200
    return MediaOut.model_validate(media)


@router.get("/{sha256}", response_class=StoredFile)
def get_media(sha256: Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")], services: ServicesDep) -> StoredFile:
    """The file of that hash."""
    media, path = services.media.get(sha256)
    return StoredFile(
        path,
        media_type=media.media_type,
        filename=media.filename,
        content_disposition_type="inline",
        headers={"Content-Security-Policy": "default-src 'none'; sandbox", "Cache-Control": "private, max-age=86400"},
    )
