"""``/projects/{project_id}/assets``: files, their way into memory, and the passages that were made of them."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, File, Form, Path, Request, Response, UploadFile
from fastapi.responses import HTMLResponse

from app.memory import passage_page
from app.memory.records import PDF
from app.memory.schemas import AssetOut, AssetsOut, PassageInContextOut, TagsIn
from app.memory.service import PassageInContext
from app.services import ActorDep, ServicesDep

router = APIRouter(prefix="/projects/{project_id}/assets", tags=["assets"])


@router.post("", status_code=201, responses={200: {"model": AssetOut, "description": "Known already."}})
def upload_asset(
    project_id: str,
    file: Annotated[UploadFile, File(description="PDF, DOCX, plain text, Markdown, HTML or CSV.")],
    services: ServicesDep,
    actor: ActorDep,
    response: Response,
    tags: Annotated[list[str] | None, Form(description="Tags; the field may be repeated.")] = None,
) -> AssetOut:
    """Keep a file and let the worker take it in. The same content again answers 200 with the asset that is there."""
    content = file.file.read(services.settings.max_upload_bytes + 1)
    asset, is_new = services.memory.upload(file.filename or "document", content, actor, tags or [])
    response.status_code = 201 if is_new else 200
    return AssetOut.of(asset)


@router.get("")
def list_assets(project_id: str, services: ServicesDep) -> AssetsOut:
    """The project's assets, the newest first."""
    return AssetsOut(assets=[AssetOut.of(asset) for asset in services.memory.assets()])


@router.get("/{asset_id}")
def get_asset(project_id: str, asset_id: str, services: ServicesDep) -> AssetOut:
    """One asset with its status."""
    return AssetOut.of(services.memory.asset(asset_id))


@router.patch("/{asset_id}")
def tag_asset(project_id: str, asset_id: str, body: TagsIn, services: ServicesDep, actor: ActorDep) -> AssetOut:
    """Replace the asset's tags."""
    return AssetOut.of(services.memory.set_tags(asset_id, body.tags, actor))


@router.post("/{asset_id}/ingest", status_code=202)
def ingest_asset(project_id: str, asset_id: str, services: ServicesDep, actor: ActorDep) -> AssetOut:
    """Take the asset in, again if it is in already; what was found before is found until the new passages are there."""
    return AssetOut.of(services.memory.ingest(asset_id, actor))


@router.delete("/{asset_id}", status_code=204)
def delete_asset(project_id: str, asset_id: str, services: ServicesDep, actor: ActorDep) -> None:
    """Forget the asset: its file, its passages and their vectors."""
    services.memory.delete(asset_id, actor)


@router.get("/{asset_id}/content", response_class=Response, responses={200: {"content": {"*/*": {}}}})
def get_asset_content(project_id: str, asset_id: str, services: ServicesDep) -> Response:
    """The original as an attachment: a browser must not show another's HTML as a page of this site."""
    asset, content = services.memory.content(asset_id)
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(asset.filename, safe='')}"}
    return Response(content, media_type=asset.media_type, headers=headers)


@router.get("/{asset_id}/passages/{chunk_id}", response_model=PassageInContextOut)
def get_passage(
    project_id: str,
    asset_id: str,
    chunk_id: Annotated[int, Path(ge=1, le=2**63 - 1)],
    services: ServicesDep,
    request: Request,
) -> PassageInContextOut | HTMLResponse:
    """A cited passage with the text around it: a page for a browser (``Accept: text/html``), else JSON."""
    found = services.memory.passage(asset_id, chunk_id)
    url = f"{request.url.path.rsplit('/', 2)[0]}/content{_fragment(found)}"
    if "text/html" in request.headers.get("accept", ""):
        return HTMLResponse(passage_page.html_of(found, url))
    return PassageInContextOut(
        asset_id=found.asset.id,
        chunk_id=found.chunk_id,
        filename=found.asset.filename,
        place=found.place,
        before=found.before,
        text=found.text,
        after=found.after,
        content_url=url,
    )


def _fragment(found: PassageInContext) -> str:
    """Source: RFC 8118, open parameters of PDF."""
    is_page = found.asset.media_type == PDF and found.place.startswith("page ")
    return f"#page={found.place.removeprefix('page ')}" if is_page else ""
