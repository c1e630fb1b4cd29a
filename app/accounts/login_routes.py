"""``/accounts/{account_id}/login``: the owner logs in himself, in the worker's browser, shown in his own.

Pictures come as server-sent events and inputs go as posts, so that the one gate of all routes stands before both.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from html import escape
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from app.errors import AppError
from app.services import ActorDep, Services, ServicesDep
from automation.remote_inputs import Input
from automation.sites.registry import SITES

router = APIRouter(tags=["accounts"])

_PAGE = Path(__file__).with_name("login_page.html").read_text(encoding="utf-8")
_NO_STORE = {"Cache-Control": "no-store"}


class InputsIn(BaseModel):
    """What the owner did, in its order. Places are pixels of a picture of 1280 × 900."""

    model_config = ConfigDict(extra="forbid")

    inputs: Annotated[list[Input], Field(min_length=1, max_length=50)]


@router.get("/accounts/{account_id}/login", response_class=HTMLResponse)
def show_login(account_id: str, services: ServicesDep) -> HTMLResponse:
    """The page in which the account's owner logs in himself."""
    account = services.accounts.port(account_id)
    title = SITES[account.platform].title if account.platform in SITES else account.platform
    page = _PAGE.replace("__TITLE__", escape(title)).replace("__HANDLE__", escape(account.handle.lstrip("@")))
    return HTMLResponse(page.replace("__ID__", escape(account_id)), headers=_NO_STORE)


@router.get("/accounts/{account_id}/login/stream", response_class=StreamingResponse)
async def stream_login(account_id: str, request: Request, services: ServicesDep, actor: ActorDep) -> StreamingResponse:
    """Open the browser and send what it shows: events ``progress``, ``frame``, and at the end ``done`` or ``failed``.

    One login at a time on a box, ten minutes at most; the browser is closed with the stream.
    """
    services.accounts.port(account_id)  # 404 before the stream begins
    return StreamingResponse(
        _events(services, account_id, request.state.project.id, actor),
        media_type="text/event-stream",
        headers=_NO_STORE,
    )


@router.post("/accounts/{account_id}/login/inputs", status_code=204)
async def put_inputs(account_id: str, body: InputsIn, services: ServicesDep) -> None:
    """Pass on clicks, keys, text and scrolling to the login that is under way."""
    services.accounts.port(account_id)
    await services.logins.send(account_id, [one.model_dump() for one in body.inputs])


async def _events(services: Services, account_id: str, project_id: str, actor: str) -> AsyncIterator[str]:
    try:
        async for message in services.logins.run(account_id, project_id, actor):
            for name, value in message.items():
                yield _event("failed" if name == "error" else name, value)
    except AppError as error:
        yield _event("failed", {"code": error.code, "message": error.message, "hint": error.hint})


def _event(name: str, value: object) -> str:
    return f"event: {name}\ndata: {json.dumps(value)}\n\n"
